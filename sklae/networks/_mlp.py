"""Fully connected encoder and decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae._utils.processes import fill
from sklae.networks._base import Inputs, Network
from sklae.networks._linear_path import set_layer, with_linear_path

__all__ = ["ACTIVATIONS", "MLP", "NORMALIZATIONS", "Dropout"]

#: Name -> module class, applied after every hidden layer.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "softplus": nn.Softplus,
}


def _batch_norm(layer: nn.Linear) -> list[nn.Module]:
    return [layer, nn.BatchNorm1d(layer.out_features)]


def _layer_norm(layer: nn.Linear) -> list[nn.Module]:
    return [layer, nn.LayerNorm(layer.out_features)]


class _WeightNormLinear(nn.Linear):
    """A linear layer whose rows are learned as direction and length.

    PyTorch's own parametrization of weight norm can't be pickled.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features)
        self.length = nn.Parameter(self.weight.detach().norm(dim=1, keepdim=True))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(input, self.length * nn.functional.normalize(self.weight, dim=1), self.bias)


def _weight_norm(layer: nn.Linear) -> list[nn.Module]:
    return [_WeightNormLinear(layer.in_features, layer.out_features)]


#: Name -> function from a linear layer to the modules that replace it.
NORMALIZATIONS: dict[str, Callable[[nn.Linear], list[nn.Module]]] = {
    "batch": _batch_norm,
    "layer": _layer_norm,
    "weight": _weight_norm,
}


class Dropout(nn.Module):
    """Dropout that draws from the generator it is handed, not from torch's global one.

    Parameters
    ----------
    p : float
        The share of inputs set to zero in training.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, h: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Drop and rescale in training; do nothing otherwise."""
        if not self.training:
            return h
        kept = fill(torch.empty_like(h), lambda chance: chance.uniform_(generator=generator), generator)
        return h * kept.lt_(1.0 - self.p).div_(1.0 - self.p)


def run_layers(layers: Iterable[Any], h: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Run layers one after the other, handing the generator to those that draw."""
    for layer in layers:
        h = layer(h, generator) if isinstance(layer, Dropout) else layer(h)
    return h


class _Stack(nn.Sequential):
    """Layers in a row, handing the generator to those that draw."""

    sees_parts = False
    #: How many of the inputs, the last ones, are conditions.
    n_condition = 0

    @property
    def can_stack(self) -> bool:
        """Whether there is nothing but linear layers and activations, so that several of these can be one."""
        known = {nn.Linear, *ACTIVATIONS.values()}
        return all(type(layer) in known for layer in self)

    def forward(self, h: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return run_layers(self._modules.values(), h, generator)

    @property
    def last(self) -> nn.Module:
        """The layer that gives the outputs."""
        return self[-1]

    @property
    def can_become_affine(self) -> bool:
        """Whether an affine map is all there is."""
        return len(self) == 1

    def become_affine(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Become an affine map of values and condition."""
        set_layer(self[0], weight, bias, self.n_condition)


class MLP(Network):
    """Multi-layer perceptron; the decoder mirrors the encoder.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(64, 32)
        Widths of the encoder's hidden layers; the decoder's are the same, reversed. ``()`` makes both
        maps affine.
    activation : str, default="silu"
        Applied after every hidden layer, never to the code or the output. One of the keys of
        `sklae.networks.ACTIVATIONS`.
    dropout : float, default=0.0
        The share of each hidden layer's outputs dropped in training (JMLR 15:1929, 2014).
    normalization : {"batch", "layer", "weight"} or None, default=None
        Batch normalisation (arXiv 1502.03167) or layer normalisation (arXiv 1607.06450) before each
        activation, or weight normalisation (arXiv 1602.07868) of each hidden layer.
    linear_path : bool, default=True
        Whether an affine map of values and condition is added to what the layers say, in encoder and decoder. A model
        with such a path can start as a linear one, in closed form: see the estimators' notes.

    Examples
    --------
    >>> from sklae.networks import MLP
    >>> MLP((8,), activation="relu").build_encoder(4, 2)
    _Stack(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "linear_path": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (64, 32),
        *,
        activation: str = "silu",
        dropout: float = 0.0,
        normalization: str | None = None,
        linear_path: bool = True,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.linear_path = linear_path

    def build_encoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return the stack from inputs to posterior parameters."""
        return self._stack([n_inputs, *self._hidden()], n_outputs)

    def build_decoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return the mirrored stack from codes to likelihood parameters."""
        return self._stack([n_inputs, *reversed(self._hidden())], n_outputs)

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the stack from rows to posterior parameters, with its linear path."""
        return self._with_path(self.build_encoder(inputs.total, n_outputs), inputs, n_outputs)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the stack from codes to likelihood parameters, with its linear path."""
        return self._with_path(self.build_decoder(inputs.total, n_outputs), inputs, n_outputs)

    def _with_path(self, stack: Any, inputs: Inputs, n_outputs: int) -> nn.Module:
        stack.n_condition = inputs.n_condition
        return with_linear_path(stack, inputs, n_outputs, wanted=self.linear_path and len(stack) > 1)

    def _hidden(self) -> list[int]:
        given = self.hidden_layer_sizes
        sizes: list[Any] = [given] if isinstance(given, Integral) else list(given)  # type: ignore[arg-type]
        if not all(
            isinstance(size, Integral) and not isinstance(size, bool) and 0 < int(size) < 2**31 for size in sizes
        ):
            raise ValueError(
                f"Got hidden_layer_sizes={self.hidden_layer_sizes}; expected positive integers below 2**31. "
                "For no hidden layer pass ()."
            )
        return [int(size) for size in sizes]

    def _stack(self, sizes: list[int], n_outputs: int) -> nn.Module:
        normalize = NORMALIZATIONS[self.normalization] if self.normalization else lambda layer: [layer]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [*normalize(nn.Linear(n_in, n_out)), ACTIVATIONS[self.activation]()]
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return _Stack(*layers, nn.Linear(sizes[-1], n_outputs))
