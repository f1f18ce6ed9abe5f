"""The contract of a network, and how its modules are called."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from sklae._utils.component import Component

__all__ = ["Inputs", "Network", "beside", "call"]


class Inputs(NamedTuple):
    """How many numbers of each kind a module is called with.

    Attributes
    ----------
    n_values : int
        What the likelihood tells of a row's columns; or the components of a code.
    n_mask : int, default=0
        One per column where the model sees what was observed, else 0.
    n_condition : int, default=0
        What encodes a row's conditions.
    n_columns : int, default=0
        Modelled columns: each is told, or rebuilt, by one value or by several. 0 where that is not known.
    """

    n_values: int
    n_mask: int = 0
    n_condition: int = 0
    n_columns: int = 0

    @property
    def total(self) -> int:
        """How many numbers there are in all."""
        return self.n_values + self.n_mask + self.n_condition


class Network(Component):
    """A component that builds an encoder and a decoder.

    Most networks treat all inputs alike: they override `build_encoder` and `build_decoder`, whose modules have
    ``forward(h, generator=None)``. A network to which values, mask and condition are different things overrides
    `encoder` and `decoder`, whose modules say ``sees_parts = True`` and have
    ``forward(values, mask, condition, generator)``, where what there is none of is None.

    Random draws (dropout) come from the generator that is handed along, never from torch's global one.

    Modules may say more:

    - ``n_activations``: how many numbers a row takes at the widest place, where that is more than weights tell;
    - ``draws``: whether a training step draws random numbers, where that is not to be seen from its layers;
    - ``can_become_affine``, and then ``become_affine(weight, bias)``: be an affine map of values and condition, for
      training to bend; ``weight`` is of shape (n_outputs, n_values + n_condition);
    - of a decoder, ``given(z, condition, density, generator)``: the distribution of rows, as `RowsGiven` has it, where
      the likelihood's parameters depend on the row itself.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from torch import nn
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.networks import Network
    >>> class Narrow(Network):
    ...     def __init__(self, width=4):
    ...         self.width = width
    ...
    ...     def build_encoder(self, n_inputs, n_outputs):
    ...         return nn.Sequential(
    ...             nn.Linear(n_inputs, self.width),
    ...             nn.SiLU(),
    ...             nn.Linear(self.width, n_outputs),
    ...         )
    ...
    ...     build_decoder = build_encoder
    >>> ae = AutoencoderTransformer(2, network=Narrow(), max_iter=2, random_state=0)
    >>> ae.set_params(network__width=8).fit_transform(load_wine().data).shape
    (178, 2)
    """

    def build_encoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return a module from (n_samples, n_inputs) to (n_samples, n_outputs)."""
        raise NotImplementedError(f"{type(self).__name__} has neither build_encoder() nor encoder().")

    def build_decoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return a module from (n_samples, n_inputs) to (n_samples, n_outputs)."""
        raise NotImplementedError(f"{type(self).__name__} has neither build_decoder() nor decoder().")

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the module that reads rows: side by side, unless it sees values, mask and condition apart."""
        return self.build_encoder(inputs.total, n_outputs)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the module that reads codes: conditions beside them, unless it sees both apart."""
        return self.build_decoder(inputs.total, n_outputs)

    def fitting_size(self, at_least: int) -> int:
        """Return the least number of columns, from so many on, that the network can be built for."""
        return at_least


def beside(*parts: torch.Tensor | None) -> torch.Tensor:
    """Join along the last axis what there is."""
    there = [part for part in parts if part is not None]
    return torch.cat(there, dim=-1) if len(there) > 1 else there[0]


def call(
    module: Any,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    condition: torch.Tensor | None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Run a network's module on rows: with their parts apart, or side by side."""
    if getattr(module, "sees_parts", False):
        return module(values, mask, condition, generator)
    return module(beside(values, mask, condition), generator)
