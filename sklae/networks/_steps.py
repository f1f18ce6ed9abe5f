"""Rows as sequences: how steps are read, and how what is found at each is written back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sklae.networks._base import Inputs, beside
from sklae.networks._shapes import read_shape

__all__ = ["StepHead", "ValueHeads", "ValueTokens", "as_steps", "head_of_steps", "read_steps"]


def read_steps(shape: Sequence[int], inputs: Inputs, n_numbers: int, named: str) -> tuple[int, int]:
    """Return numbers of steps and channels of rows, of which the likelihood tells or is told so many numbers."""
    if len(shape) > 2:
        raise ValueError(
            f"Got shape={shape!r} in {named}; expected (n_steps, n_channels) or (n_steps,). Multiply axes that "
            "belong to one step, as pixels of a patch do."
        )
    read = read_shape(shape, inputs.n_columns, named)
    if n_numbers % read.size:
        raise ValueError(
            f"Got a likelihood with {n_numbers} numbers for the {read.size} values of {named}; expected as many "
            "for each. Choose one likelihood for all columns, without categories, or leave shape=None."
        )
    return read.height, read.width


def as_steps(n_steps: int, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return what each step has, and beside it which of it was observed."""
    return beside(*(None if part is None else part.unflatten(-1, (n_steps, -1)) for part in (values, mask)))


def head_of_steps(
    shape: Sequence[int] | None, inputs: Inputs, n_outputs: int, width: int, named: str
) -> tuple[int, StepHead | ValueHeads]:
    """Return a number of steps (of columns, without a shape), and the map from what is found at each to outputs."""
    if shape is not None:
        n_steps, n_channels = read_steps(shape, inputs, n_outputs, named)
        return n_steps, StepHead(width, n_channels, n_outputs // (n_steps * n_channels))
    even = inputs.n_columns and n_outputs % inputs.n_columns == 0
    n_steps = inputs.n_columns if even else n_outputs
    return n_steps, ValueHeads(width, n_steps, n_outputs // n_steps)


class ValueTokens(nn.Module):
    """A token for each value, by a map of its own (arXiv 2106.11959)."""

    def __init__(self, inputs: Inputs, width: int):
        super().__init__()
        self.n_tokens, self.width = inputs.n_values, width
        self.weight = _uniform(self.n_tokens, width, fan_in=width)
        self.bias = _uniform(self.n_tokens, width, fan_in=width)
        self.each_is_a_column = inputs.n_mask == inputs.n_values
        self.of_mask: Any = None
        if inputs.n_mask:
            shape = (self.n_tokens, width) if self.each_is_a_column else (width, inputs.n_mask)
            self.of_mask = _uniform(*shape, fan_in=width)

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        tokens = values[..., None] * self.weight + self.bias
        if mask is None:
            return tokens
        if self.each_is_a_column:
            return tokens + mask[..., None] * self.of_mask
        return tokens + nn.functional.linear(mask, self.of_mask)[:, None]


class ValueHeads(nn.Module):
    """The outputs of each token, by a map of its own: the first of all tokens, then the second, and so on."""

    def __init__(self, width: int, n_tokens: int, n_each: int):
        super().__init__()
        self.weight = _uniform(n_each, n_tokens, width, fan_in=width)
        self.bias = _uniform(n_each, n_tokens, fan_in=width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return (torch.einsum("ntd,ptd->npt", tokens, self.weight) + self.bias).flatten(1)


class StepHead(nn.Linear):
    """The outputs of each step, by one map: the first of all values, step by step, then the second, and so on."""

    def __init__(self, width: int, n_channels: int, n_each: int):
        super().__init__(width, n_channels * n_each)
        self.n_each = n_each

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return super().forward(tokens).unflatten(-1, (self.n_each, -1)).transpose(1, 2).flatten(1)


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    bound = fan_in**-0.5
    return nn.Parameter(nn.init.uniform_(torch.empty(*shape), -bound, bound))
