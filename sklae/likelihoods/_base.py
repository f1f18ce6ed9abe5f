"""What all likelihoods share: the support of their data, their interface, and the density they build."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sklae._linear.factors import LinearModel, Noise
from sklae._utils.component import Component

if TYPE_CHECKING:
    from sklae._tables.columns import Columns
    from sklae._tables.layout import Layout

__all__ = ["ColumnDensity", "Likelihood", "LinearStart", "Support"]

#: What to do about data outside the commonest supports: (low, high, integer) -> remedy.
_REMEDIES = {
    (0.0, 1.0, False): "Put a MinMaxScaler before, or choose another likelihood.",
    (0.0, math.inf, False): "Shift the values, or choose a likelihood of all real numbers, as 'gaussian'.",
    (0.0, math.inf, True): "Pass counts, or choose a likelihood of all real numbers, as 'gaussian'.",
}


@dataclass(frozen=True)
class Support:
    """The values that a likelihood is defined on.

    Parameters
    ----------
    low, high : float
        The least and the largest value.
    integer : bool, default=False
        Whether values are integers.
    open_low : bool, default=False
        Whether ``low`` itself is excluded.
    remedy : str, default=""
        What an error tells users to do; by default what fits the support.

    Examples
    --------
    >>> from sklae.likelihoods import Support
    >>> print(Support(0.0, 1.0), "and", Support(0.0, integer=True))
    [0, 1] and the integers 0, 1, 2, …
    """

    low: float = -math.inf
    high: float = math.inf
    integer: bool = False
    open_low: bool = False
    remedy: str = ""

    def __str__(self) -> str:
        if self.integer:
            return f"the integers {self._integers()}".rstrip()
        if not self.is_bounded:
            return "all real numbers"
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"

    def _integers(self) -> str:
        if math.isfinite(self.low):
            up_to = math.isfinite(self.high)
            return (
                f"{self.low:g} to {self.high:g}" if up_to else ", ".join(f"{self.low + i:g}" for i in range(3)) + ", …"
            )
        return "" if math.isinf(self.high) else f"up to {self.high:g}"

    @property
    def is_bounded(self) -> bool:
        """Whether some finite number is refused."""
        return self.integer or math.isfinite(self.low) or math.isfinite(self.high)

    def check(self, values: torch.Tensor) -> None:
        """Refuse values that lie outside.

        Parameters
        ----------
        values : Tensor
            Observed values, of any shape: gaps are taken out before.

        Raises
        ------
        ValueError
            With the range that was got, or the first value that is no integer.
        """
        if not self.is_bounded or not values.numel():
            return
        smallest, largest = values.min().item(), values.max().item()
        if smallest < self.low or largest > self.high or (self.open_low and smallest == self.low):
            self._refuse(f"from {smallest:.6g} to {largest:.6g}")
        if self.integer:
            fractions = values[values != values.round()]
            if fractions.numel():
                self._refuse(f"such as {fractions[0].item():.6g}")

    def _refuse(self, got: str) -> None:
        expected = "non-negative integers" if (self.low, self.integer) == (0.0, True) else f"all in {self}"
        remedy = self.remedy or _REMEDIES.get((self.low, self.high, self.integer), "Choose another likelihood.")
        raise ValueError(f"Got values {got} for this likelihood; expected {expected}. {remedy}")


class LinearStart:
    """What a density answers so that training can start as a linear-Gaussian model of the encoder's inputs."""

    def input_columns(self, n_columns: int) -> np.ndarray:
        """Return which column each of the encoder's inputs tells of, (n_inputs,)."""
        return np.arange(n_columns)

    def noise(self, n_columns: int) -> Noise:
        """Return how the inputs scatter around a linear model of them: by default each by itself."""
        n_inputs = len(self.input_columns(n_columns))
        return Noise(np.arange(n_inputs), np.full(n_inputs, np.nan), np.zeros(n_inputs))

    def start(self, linear: LinearModel) -> tuple[np.ndarray, np.ndarray] | None:
        """Become what a linear model of the inputs says; None where there is no telling.

        Parameters
        ----------
        linear : LinearModel
            What is said of the inputs.

        Returns
        -------
        weight : ndarray of shape (n_outputs, n_components + n_condition)
            Of an affine decoder.
        bias : ndarray of shape (n_outputs,)
            Of that decoder. What the density learns by itself is set.
        """
        return None


class ColumnDensity(LinearStart, nn.Module):
    """What a likelihood builds: densities of all its columns given the decoder's output.

    ``-log p(x | params) = energy(params, x) + log_norm()``, per column. The split is for speed:
    the normaliser enters the training loss only where it is learned (`learns_norm`).
    """

    #: Decoder outputs per column, where all columns have as many.
    n_params: int = 1
    #: Whether `log_norm` depends on learned parameters.
    learns_norm: bool = False
    #: Whether it says nothing about how rows scatter, so that expected rows stand in for draws.
    noiseless: bool = False
    #: How many levels each column has, (n_columns,): 0 for one of numbers. None: all are numbers.
    levels: np.ndarray | None = None
    #: The largest code of each column that `check` lets pass, (n_columns,); None where it refuses none.
    limit: torch.Tensor | None
    #: What the columns count in training, (n_columns,); None: all the same.
    balance: torch.Tensor | None

    def n_outputs(self, n_columns: int) -> int:
        """Return the number of decoder outputs for all columns: the length of params' last axis."""
        return n_columns * self.n_params

    def n_inputs(self, n_columns: int) -> int:
        """Return the number of values the encoder gets for all columns."""
        return n_columns

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        """Return what the encoder sees of rows, (n_samples, n_inputs).

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_columns)
            Encoded values, in training damaged by a corruption: they may lie outside the support.
        observed : Tensor of the same shape, or None
            1 where a value was observed, 0 in gaps; None if there is none.

        Returns
        -------
        inputs : Tensor of shape (n_samples, n_inputs)
            By default the values as they are.
        """
        return x

    def check(self, x: torch.Tensor, observed: torch.Tensor | None) -> None:
        """Refuse encoded values outside a support that is known only since ``fit``; by default there is none such."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("balance", None, persistent=False)
        self.register_buffer("limit", None, persistent=False)

    @abstractmethod
    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the part of -log p that depends on params and x, (n_samples, n_columns), in nats.

        ``params``, (n_samples, n_outputs), may have more leading dimensions than x: many codes of one row.
        """

    def log_norm(self) -> torch.Tensor | float:
        """Return the rest of -log p, broadcastable to (n_columns,), in nats."""
        return 0.0

    def log_prob(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return log p(x | params) per column, (n_samples, n_columns), in nats."""
        return -(self.energy(params, x) + self.log_norm())

    @abstractmethod
    def mean(self, params: torch.Tensor) -> torch.Tensor:
        """Return the expected row, (n_samples, n_columns); of names without order the most probable one."""

    def n_levels(self, n_columns: int) -> np.ndarray:
        """Return how many levels each column has, (n_columns,), 0 for one of numbers."""
        return np.zeros(n_columns, dtype=np.int64) if self.levels is None else self.levels

    def expectation(self, params: torch.Tensor) -> torch.Tensor:
        """Return expected cells, (n_samples, n_cells), column by column: a number's mean, each level's probability."""
        return self.mean(params)

    def _by_level(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return (..., most levels, n_columns) side by side, column by column, without what is no level."""
        assert self.levels is not None
        there = np.flatnonzero(np.arange(self.levels.max()) < self.levels[:, None])
        place = torch.as_tensor(there).to(probabilities.device)
        return probabilities.transpose(-1, -2).flatten(-2).index_select(-1, place)

    @abstractmethod
    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw one row per row of params."""


class Likelihood(Component):
    """A component that builds a `ColumnDensity`.

    Attributes
    ----------
    standardize : bool
        Whether ``standardize="auto"`` scales the columns for this likelihood.
    support : Support
        What its data must be, as the user passes them.
    discrete : bool
        Whether values are codes of levels, so that columns of categories may be given to it: the density's ``levels``
        says how many, its `mean` is the most probable one, its `expectation` the probabilities of all.
    is_density : bool
        Whether log-likelihoods are log-densities of real numbers, so that they compare with those of linear models.
    reads_grid : bool
        Whether `build` reads ``layout.grids``: where the values of its columns lie.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import ColumnDensity, Likelihood
    >>> class AbsoluteColumns(ColumnDensity):
    ...     def energy(self, params, x):
    ...         return (x - params).abs()
    ...
    ...     def mean(self, params):
    ...         return params
    >>> class Absolute(Likelihood):
    ...     def build(self, layout):
    ...         return AbsoluteColumns()
    >>> vae = VAETransformer(2, likelihood=Absolute(), max_iter=2, random_state=0)
    >>> vae.fit(load_wine().data).n_components_
    2
    """

    standardize: bool = True
    support: Support = Support()
    discrete: bool = False
    is_density: bool = False
    reads_grid: bool = False

    @abstractmethod
    def build(self, layout: Layout) -> ColumnDensity:
        """Return the module for these columns."""

    def streamed(self) -> Likelihood:
        """Return what stands for it where rows come in pieces, of which the first is not to say where values lie."""
        return self

    def assign(self, columns: Columns) -> list[tuple[str, Likelihood, np.ndarray]]:
        """Return blocks of the modelled columns: names, likelihoods, and indices, which cover each column once."""
        return [("x", self, np.arange(columns.n_columns))]

    def leaves(self, columns: Columns) -> list[tuple[Likelihood, np.ndarray]]:
        """Return the likelihoods of single kinds of columns, and their indices, whatever blocks these stand in."""
        return [(part, indices) for _, part, indices in self.assign(columns)]
