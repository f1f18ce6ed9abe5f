"""An affine map beside a network's module, for models that start as linear ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sklae.networks._base import Inputs, beside, call
from sklae.networks._custom import n_activations

__all__ = ["WithLinearPath", "set_layer", "silence", "with_linear_path"]


class WithLinearPath(nn.Module):
    """A module, and beside it an affine map of values and condition, that starts at zero: their sum.

    Parameters
    ----------
    stack : nn.Module
        As `Network` builds them; its attribute ``last`` is the layer that gives the outputs.
    n_inputs : int
        Values and conditions.
    n_outputs : int
    """

    sees_parts = True
    can_become_affine = True

    def __init__(self, stack: Any, n_inputs: int, n_outputs: int):
        super().__init__()
        self.stack = stack
        self.linear = nn.Linear(n_inputs, n_outputs)
        silence(self.linear)

    @property
    def can_stack(self) -> bool:
        """Whether there is nothing but linear layers and activations."""
        return getattr(self.stack, "can_stack", False)

    @property
    def n_activations(self) -> int:
        """How many numbers a row takes at the widest place."""
        return max(n_activations(self.stack), *self.linear.weight.shape)

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        return self.linear(beside(values, condition)) + call(self.stack, values, mask, condition, generator)

    def become_affine(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Become an affine map of values and condition, which training bends: the stack's last layer is zero."""
        set_layer(self.linear, weight, bias)
        silence(self.stack.last)


def with_linear_path(stack: Any, inputs: Inputs, n_outputs: int, *, wanted: bool) -> nn.Module:
    """Return a module for such inputs, with an affine map beside it if wanted.

    Which values were observed is not in the map.
    """
    return WithLinearPath(stack, inputs.n_values + inputs.n_condition, n_outputs) if wanted else stack


def silence(layer: Any) -> None:
    """Make a layer answer 0."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def set_layer(layer: Any, weight: torch.Tensor, bias: torch.Tensor, n_last: int = 0) -> None:
    """Make a layer an affine map of its first inputs, and of so many last ones."""
    n_first = weight.shape[1] - n_last
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :n_first] = weight[:, :n_first]
        layer.weight[:, layer.in_features - n_last :] = weight[:, n_first:]
        layer.bias.copy_(bias)
