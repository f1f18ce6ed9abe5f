"""Rows whose columns come in turn: what autoregressive decoders share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from sklae.networks._base import Inputs
from sklae.networks._linear_path import set_layer, silence

__all__ = ["InTurnDecoder", "RowsInTurn"]


class RowsInTurn:
    """The distribution of encoded rows given codes, a step after the other.

    Scores take one pass. Expected rows and draws take one for each step, and have no gradient: what is expected of a
    column is expected given the expected columns before it, and no row is looked at.

    Parameters
    ----------
    decoder : InTurnDecoder
    density : ColumnDensity
    context : tuple of Tensor
        What codes and conditions tell, as the decoder makes it.
    shape : tuple of int
        The leading axes of the codes.
    generator : torch.Generator or None
        Of the decoder's own draws.
    """

    def __init__(self, decoder: Any, density: Any, context: Any, shape: Any, generator: torch.Generator | None):
        self.decoder = decoder
        self.density = density
        self.context = context
        self.shape = shape
        self.generator = generator

    def params_of(self, x: torch.Tensor) -> torch.Tensor:
        """Return the likelihood's parameters, (..., n_samples, n_outputs), each column's given x before it."""
        return self.decoder.params(self.context, self._told(x), self.generator)

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        energy = self.density.energy(self.params_of(x), x)
        return energy + self.density.log_norm() if self.density.learns_norm else energy

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return self.density.log_prob(self.params_of(x), x)

    @property
    def mean(self) -> torch.Tensor:
        return self._in_turn(self.density.mean)

    @torch.no_grad()
    def expectation(self) -> torch.Tensor:
        return self.density.expectation(self.params_of(self.mean))

    def sample(self, generator: torch.Generator) -> torch.Tensor:
        return self._in_turn(lambda params: self.density.sample(params, generator))

    @torch.no_grad()
    def _in_turn(self, choose: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        like = self.context[0]
        x = like.new_zeros(*self.shape, self.decoder.n_columns)
        params = like.new_zeros(*self.shape, self.decoder.n_outputs)
        for step, columns in enumerate(self.decoder.steps):
            params = self.decoder.params_at(self.context, self._told(x), step, params, self.generator)
            x[..., columns] = choose(params)[..., columns]
        return x

    def _told(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the decoder is told of values: as the encoder is, where that is a number a column."""
        column = self.density.input_columns(self.decoder.n_columns)
        count = np.bincount(column, minlength=self.decoder.n_columns)
        if np.all(count > 1):
            return x
        told = self.density.inputs(x.reshape(-1, x.shape[-1]), None).unflatten(0, x.shape[:-1])
        place = np.zeros(len(count), dtype=np.int64)
        place[column] = np.arange(len(column))
        told = told[..., torch.as_tensor(place, device=x.device)]
        return told if np.all(count == 1) else torch.where(torch.as_tensor(count == 1, device=x.device), told, x)


class InTurnDecoder(nn.Module):
    """What both decoders are: a linear path from the code, and steps in which the columns come.

    Parameters
    ----------
    name : str
        The network's, in errors.
    inputs : Inputs
    n_outputs : int
    steps : Tensor of int, (n_steps, columns of a step)
    linear_path : bool
    """

    steps: torch.Tensor
    last: Any

    def __init__(self, name: str, inputs: Inputs, n_outputs: int, steps: torch.Tensor, linear_path: bool):
        super().__init__()
        self.name = name
        self.n_columns = inputs.n_columns
        self.n_outputs = n_outputs
        self.knows_columns = False
        self.register_buffer("steps", steps, persistent=False)
        self.linear = nn.Linear(inputs.total, n_outputs) if linear_path else None
        if self.linear is not None:
            silence(self.linear)

    def given(
        self, z: torch.Tensor, condition: torch.Tensor | None, density: Any, generator: torch.Generator | None = None
    ) -> RowsInTurn:
        """Return the distribution of rows given codes, (..., n_samples, n_components)."""
        if not self.knows_columns:  # when it is tried out: networks are built before they know the likelihood
            self.tell_columns(_columns_of_outputs(density, self.n_columns, self.n_outputs, self.name))
            self.knows_columns = True
        if condition is not None:
            condition = condition.expand(*z.shape[:-1], -1)
        return RowsInTurn(self, density, self.context(z, condition), z.shape[:-1], generator)

    def start(self, code: torch.Tensor) -> torch.Tensor | float:
        """Return what the linear path says of codes and conditions."""
        return 0.0 if self.linear is None else self.linear(code)

    @property
    def can_become_affine(self) -> bool:
        """Whether there is a linear path."""
        return self.linear is not None

    def become_affine(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Become an affine map of code and condition, which does not look at earlier columns before it is trained."""
        set_layer(self.linear, weight, bias)
        silence(self.last)

    @abstractmethod
    def tell_columns(self, column: torch.Tensor) -> None:
        """Take up which column each output is of, (n_outputs,)."""

    @abstractmethod
    def context(self, z: torch.Tensor, condition: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Return what codes and conditions tell."""

    @abstractmethod
    def params(self, context: Any, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return all outputs for rows x."""

    @abstractmethod
    def params_at(
        self, context: Any, x: torch.Tensor, step: int, params: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return outputs that are right for the columns of a step; those given may be changed."""


def _columns_of_outputs(density: Any, n_columns: int, n_outputs: int, name: str) -> torch.Tensor:
    """Return which column each of a likelihood's parameters is of, by what the columns' energies depend on.

    Columns are told apart by the binary digits of their number, so that a few backward passes do for any width.
    Parameters that nothing depends on, as the logit of an only level, are the first column's: it sees no other.
    """
    generator = torch.Generator().manual_seed(0)
    column, torn = torch.zeros(n_outputs, dtype=torch.long), torch.zeros(n_outputs, dtype=torch.bool)
    with torch.enable_grad():
        params = torch.randn(8, n_outputs, generator=generator).requires_grad_()
        energy = density.energy(params, density.sample(params.detach(), generator)).sum(0)
        number = torch.arange(n_columns)
        for digit in range((n_columns - 1).bit_length()):
            is_one = (number >> digit) % 2 == 1
            of_one, of_zero = (_depends(params, energy[part].sum()) for part in (is_one, ~is_one))
            column += of_one.long() << digit
            torn |= of_one & of_zero
    if torn.any():
        raise ValueError(
            f"Got a likelihood with {int(torn.sum())} parameters that several columns depend on; {name} expected each "
            "to be of one column, so that columns come in turn. Choose a likelihood of single columns, or "
            "network='mlp'."
        )
    return column


def _depends(params: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
    """Return which parameters an energy depends on, (n_outputs,)."""
    (slope,) = torch.autograd.grad(energy, params, retain_graph=True)
    return slope.ne(0).any(0)
