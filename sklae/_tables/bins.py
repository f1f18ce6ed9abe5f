"""Where the values of a column of numbers lie: cells in order, with the share of the values in each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["Grid", "GridReader"]

# Cells of fewer values say more of these than of the column: 20 make a density that is off by a quarter.
_MOST_CELLS, _LEAST_VALUES = 64, 20
# Of a column that has no more values than this, with so many rows for each, every value is a cell.
_MOST_SINGLE = 128
# Finer decimals are taken for real numbers.
_MOST_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells that hold about as many values each, but for values that are repeated: these have cells of their own.

    Values that are all multiples of a step (beside a constant: whole numbers, prices) have cells that end half a step
    beside them. Between cells there may be room without any value.

    Attributes
    ----------
    low, high : ndarray of shape (n_cells,), float64
        Where cells begin and end, in the user's units; the same for one value among real numbers.
    share : ndarray of shape (n_cells,), float64
        The share of the values in each; together 1.
    step : float
        0.0 for real numbers.
    decimals : int or None
        How many decimals all values have; None for real numbers.
    n_values : int
        How many values they were cut by.
    """

    low: np.ndarray
    high: np.ndarray
    share: np.ndarray
    step: float
    decimals: int | None
    n_values: int

    @classmethod
    def of_counts(cls, values: np.ndarray, counts: np.ndarray, dtype: np.dtype) -> Grid:
        """Return the cells of sorted values that occur so often; ``dtype`` is the one that they were rounded to."""
        step, decimals = _step(values, dtype)
        n_most = counts.sum() // _LEAST_VALUES
        n_cells = int(np.clip(n_most, 1, _MOST_CELLS))
        if step and len(values) <= min(n_most, _MOST_SINGLE):
            first = last = np.arange(len(values))
        else:
            first, last = _runs(counts, counts.sum() / n_cells)
        low, high = values[first] - 0.5 * step, values[last] + 0.5 * step
        # cells of several values border on each other
        several = first < last
        both = several[1:] & several[:-1]
        if step:
            high[:-1] = np.where(both, low[1:], high[:-1])
        else:
            middle = 0.5 * (values[first[1:]] + values[last[:-1]])
            low[1:], high[:-1] = np.where(both, middle, low[1:]), np.where(both, middle, high[:-1])
        high[:-1] = np.minimum(high[:-1], low[1:])  # but for rounding, it is there already
        total = np.cumsum(counts)
        share = np.diff(total[last], prepend=0) / total[-1]
        return cls(low, high, share, step, decimals, round(total[-1]))

    def snap(self, values: np.ndarray) -> np.ndarray:
        """Return values with what rounding made of decimals undone."""
        if self.decimals is None:
            return values
        decimals = np.round(values, self.decimals)
        return np.where(np.abs(values - decimals) < 1e-6 * 0.1**self.decimals, decimals, values)


class GridReader:
    """Learns the cells of a column chunk by chunk. Holds each value once: it is for columns whose values repeat.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the table.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.values: np.ndarray = np.empty(0)
        self.counts: np.ndarray = np.empty(0)

    def update(self, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take in values, gaps among them, each as often as its weight says."""
        there = ~np.isnan(values)
        known = values[there].astype(np.float64)
        if weights is None:
            new, counts = np.unique(known, return_counts=True)
        else:
            new, places = np.unique(known, return_inverse=True)
            counts = np.bincount(places, weights[there], len(new))
        every, places = np.unique(np.concatenate([self.values, new]), return_inverse=True)
        self.counts = np.bincount(places, np.concatenate([self.counts, counts]), len(every))
        self.values = every

    def finish(self) -> Grid:
        """Return the cells of all values."""
        return Grid.of_counts(self.values, self.counts, self.dtype)


def _step(values: np.ndarray, dtype: np.dtype) -> tuple[float, int | None]:
    """Return what all differences of sorted values are multiples of, and the values' decimals; 0 and None for nothing.

    ``dtype`` is the one that they were rounded to.
    """
    eps = np.finfo(dtype).eps
    for decimals in range(_MOST_DECIMALS + 1):
        # whole numbers are exact
        rounding, most = (4.0 * eps, 0.0025 / eps) if decimals else (0.0, 0.25 / eps)
        scaled = values * 10.0**decimals
        if np.abs(scaled).max() > most:  # any number would do
            break
        whole = np.round(scaled)
        if np.all(np.abs(scaled - whole) <= rounding * np.abs(scaled)):
            step = np.gcd.reduce((whole - whole[0]).astype(np.int64)) if len(values) > 1 else 1
            return float(step / 10**decimals), decimals
    return 0.0, None


def _runs(counts: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last values of runs: one that occurs often makes a run of its own."""
    # those between two frequent ones are cut into even parts
    frequent = counts >= least
    bounds = np.flatnonzero(np.r_[True, frequent[1:] | frequent[:-1], True])
    starts = []
    for start, stop in pairwise(bounds.tolist()):
        total = np.cumsum(counts[start:stop])
        n_parts = 1 if frequent[start] else max(1, int(total[-1] // least))
        ends = np.searchsorted(total, total[-1] * np.arange(n_parts) / n_parts, side="right")
        starts.append(start + np.unique(ends))
    first = np.concatenate(starts)
    return first, np.r_[first[1:], len(counts)] - 1
