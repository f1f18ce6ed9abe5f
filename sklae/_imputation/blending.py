"""How much of a nonlinear model to believe, column by column, by cells whose values were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sklae._tables.indicators import Cells

__all__ = ["Account", "Blend"]

# A column's own weight counts as much as the table's from so many held-out cells on.
_PRIOR_CELLS = 20
# Fewer held-out cells say nothing.
_LEAST_CELLS = 30
# Of a normal distribution, the half-width of the interval that holds 90 % of it.
_REACH = 1.6449
_TINY = 1e-12
# Of categories: their probabilities are mixed.
_WEIGHTS = np.linspace(0.0, 1.0, 5)


@dataclass(frozen=True, eq=False)
class Account:
    """What the nonlinear model was found to add to the linear-Gaussian start, on cells held out of the fit.

    Attributes
    ----------
    names : list of str
        The columns.
    weight : ndarray of shape (n_columns,)
        How much of the nonlinear model's difference from the start is used: 0 for none of it, 1 for all.
    n_cells : ndarray of shape (n_columns,)
        Number of cells held out.
    linear_error, error : ndarray of shape (n_columns,)
        Root mean squared error of the start and of what is used, in standard deviations; of categories minus the mean
        log-probability of the true levels, in nats. NaN without cells.
    """

    names: list[str]
    weight: np.ndarray
    n_cells: np.ndarray
    linear_error: np.ndarray
    error: np.ndarray

    @property
    def kept(self) -> float:
        """The share of columns in which the nonlinear model has a say."""
        return float(np.mean(self.weight > 0))

    @property
    def gain(self) -> float:
        """By which share the errors fell, on the average of columns."""
        there = self.linear_error > 0
        return float(np.mean(1.0 - self.error[there] / self.linear_error[there])) if there.any() else 0.0

    def __str__(self) -> str:
        head = (
            f"The nonlinear part is used in {int((self.weight > 0).sum())} of {len(self.names)} columns; on "
            f"{int(self.n_cells.sum())} held-out cells errors fell by {100 * self.gain:.1f} %."
        )
        width = max([6, *map(len, self.names)])
        lines = [f"{'column':<{width}}  weight  cells  linear   used"]
        for name, *figures in zip(self.names, self.weight, self.n_cells, self.linear_error, self.error, strict=True):
            weight, cells, before, after = figures
            lines.append(f"{name:<{width}}  {weight:6.2f}  {int(cells):5d}  {before:6.3f}  {after:5.3f}")
        return "\n".join([head, *lines])


class Blend:
    """Weights between a start and a model, and how far true values lie from what they give.

    Parameters
    ----------
    cells : Cells
    names : sequence of str
        Of the columns.
    """

    def __init__(self, cells: Cells, names: Sequence[str]):
        self.cells = cells
        self.names = list(names)
        self.weight = np.ones(len(cells.n_levels))
        #: What draws' distances from the blended value are multiplied by.
        self.spread = np.ones(len(cells.n_levels))

    def fit(self, truth: np.ndarray, start: np.ndarray, model: np.ndarray, deviation: np.ndarray) -> Blend:
        """Learn from cells that were held out: ``truth`` is NaN elsewhere."""
        held_out = ~np.isnan(truth)
        first = held_out[:, self.cells.first]
        n_cells = first.sum(axis=0)
        weight = np.where(self.cells.is_coded, 1.0, 0.0)
        if first[:, ~self.cells.is_coded].sum() >= _LEAST_CELLS:
            weight = np.where(self.cells.is_coded, weight, self._weights(truth, start, model))
        weight = self._weights_of_categories(weight, truth, start, model)
        self.weight = weight
        blended = self(start, model)
        self._learn_spread(truth, blended, deviation)
        linear_error, error = (self._errors(truth, part) for part in (start, blended))
        self.account = Account(self.names, weight, n_cells, linear_error, error)
        return self

    def __call__(self, start: np.ndarray, model: np.ndarray) -> np.ndarray:
        """Return blended cells."""
        return start + self.weight[self.cells.owner] * (model - start)

    def _weights(self, truth: np.ndarray, start: np.ndarray, model: np.ndarray) -> np.ndarray:
        """Return the least-squares weights of numbers, each column's pulled towards the table's."""
        first = self.cells.first
        missed, moved = np.nan_to_num((truth - start)[:, first]), (model - start)[:, first]
        moved = np.where(np.isnan(truth[:, first]) | self.cells.is_coded, 0.0, moved)
        products, squares = (missed * moved).sum(axis=0), (moved**2).sum(axis=0)
        overall = products.sum() / max(squares.sum(), _TINY)
        n_cells = max((~np.isnan(truth[:, first])).sum(), 1)
        prior = _PRIOR_CELLS * squares.sum() / n_cells
        weight = np.clip((products + prior * overall) / np.maximum(squares + prior, _TINY), 0.0, 1.0)
        gain = missed**2 - (missed - weight * moved) ** 2
        gain = gain[(moved != 0)]
        if not len(gain) or gain.mean() <= 0:
            return np.zeros_like(weight)
        # less of what could be chance, and nothing where the gain is within a standard error
        noise = gain.std() / np.sqrt(len(gain)) / gain.mean()
        return weight * max(0.0, 1.0 - noise**2)

    def _weights_of_categories(
        self, weight: np.ndarray, truth: np.ndarray, start: np.ndarray, model: np.ndarray
    ) -> np.ndarray:
        """Return the weights of categories that make their true levels least surprising, with a look at the others'."""
        coded = np.flatnonzero(self.cells.is_coded)
        surprise = np.zeros((len(coded), len(_WEIGHTS)))
        count = np.zeros(len(coded))
        for i, j in enumerate(coded.tolist()):
            known, low, high = self._column(j, truth, start, model)
            count[i] = len(known)
            surprise[i] = [_surprise(known, low + share * (high - low)).sum() for share in _WEIGHTS]
        if count.sum() < _LEAST_CELLS:
            return weight
        prior = _PRIOR_CELLS * surprise.sum(axis=0) / count.sum()
        weight = weight.copy()
        weight[coded] = _WEIGHTS[(surprise + prior).argmin(axis=1)]
        return weight

    def _learn_spread(self, truth: np.ndarray, blended: np.ndarray, deviation: np.ndarray) -> None:
        first = self.cells.first
        ratio = np.abs(truth - blended)[:, first] / np.maximum(deviation[:, first], 1e-6)
        ratio[:, self.cells.is_coded] = np.nan
        everything = ratio[~np.isnan(ratio)]
        if len(everything) < _LEAST_CELLS:
            return
        overall = _quantile(everything) / _REACH
        for j in np.flatnonzero(~self.cells.is_coded):
            own = ratio[~np.isnan(ratio[:, j]), j]
            n = len(own)
            found = _quantile(own) / _REACH if n else overall
            self.spread[j] = (n * found + _PRIOR_CELLS * overall) / (n + _PRIOR_CELLS)

    def _errors(self, truth: np.ndarray, cells: np.ndarray) -> np.ndarray:
        errors = np.full(len(self.cells.n_levels), np.nan)
        for j in range(len(errors)):
            known, given = self._column(j, truth, cells)
            if len(known) and self.cells.is_coded[j]:
                errors[j] = _surprise(known, given).mean()
            elif len(known):
                errors[j] = np.sqrt(((given - known) ** 2).mean())
        return errors

    def _column(self, column: int, truth: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
        """Return a column's cells in rows in which they are known."""
        part = slice(self.cells.first[column], self.cells.first[column] + self.cells.widths[column])
        rows = ~np.isnan(truth[:, part]).any(axis=1)
        return [cells[rows, part] for cells in (truth, *others)]


def _quantile(ratios: np.ndarray) -> float:
    # of few cells the usual one is too small on the average
    return float(np.quantile(ratios, 0.9, method="weibull"))


def _surprise(truth: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Return minus the log-probability of the true levels."""
    chances = np.clip(chances, 1e-3, None)
    return -np.log((truth * chances).sum(axis=1) / chances.sum(axis=1))
