"""Rows as cells: a number is one cell, a category has a cell for each level, which holds 1, 0 or a probability."""

from __future__ import annotations

import numpy as np

from sklae._tables.columns import Columns

__all__ = ["Cells", "Space"]


class Cells:
    """What codes and cells of the same columns have to do with each other.

    Parameters
    ----------
    n_levels : ndarray of shape (n_columns,)
        0 for a column of numbers.
    """

    def __init__(self, n_levels: np.ndarray):
        self.n_levels = n_levels
        self.widths = np.maximum(n_levels, 1)
        #: Position of each column's first cell.
        self.first = np.concatenate([[0], np.cumsum(self.widths)[:-1]]).astype(int)
        #: For each cell its column.
        self.owner = np.repeat(np.arange(len(n_levels)), self.widths)
        self.is_coded = n_levels > 0
        self.only_numbers = not self.is_coded.any()

    def expand(self, values: np.ndarray) -> np.ndarray:
        """Return the cells of rows, (n_rows, n_columns) -> (n_rows, n_cells); NaN in gaps."""
        if self.only_numbers:
            return values
        level = np.arange(len(self.owner)) - self.first[self.owner]
        repeated = values[:, self.owner]
        indicators = np.where(np.isnan(repeated), np.nan, repeated == level)
        return np.where(self.is_coded[self.owner], indicators, repeated)

    def collapse(self, cells: np.ndarray) -> np.ndarray:
        """Return rows from their cells: of a category the code of its largest cell."""
        if self.only_numbers:
            return cells
        values = cells[:, self.first]
        for j in np.flatnonzero(self.is_coded):
            part = cells[:, self.first[j] : self.first[j] + self.widths[j]]
            values[:, j] = np.where(np.isnan(part[:, 0]), np.nan, np.nan_to_num(part).argmax(axis=1))
        return values

    def add_up(self, cells: np.ndarray) -> np.ndarray:
        """Return the sum of each column's cells, (n_rows, n_columns)."""
        return cells if self.only_numbers else np.add.reduceat(cells, self.first, axis=1)


# In interquartile ranges from the median, and in standard deviations from the mean: from there on a value is as far out
# as any. Single gross errors would otherwise be the unit of their column.
_FENCE, _FARTHEST = 100.0, 1e6


def _fences(table: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, middle, high = np.nanquantile(table, [0.25, 0.5, 0.75], axis=0)
    with np.errstate(over="ignore"):
        reach = np.where(numbers & (high > low), _FENCE * (high - low), np.inf)
    return middle - reach, middle + reach


def _moments(table: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if weights is None:
        return np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    counts = np.where(np.isnan(table), 0.0, weights[:, None])
    total = counts.sum(axis=0)
    mean = np.nansum(table * counts, axis=0) / total
    return mean, np.sqrt(np.nansum((table - mean) ** 2 * counts, axis=0) / total)


class Space:
    """Tables as cells: numbers in standard deviations from their mean, an indicator for each level.

    Parameters
    ----------
    columns : Columns
    table : ndarray of shape (n_samples, n_columns)
        Numbers and codes; NaN in gaps. Each column has a value.
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each row counts; None: all alike.
    """

    def __init__(self, columns: Columns, table: np.ndarray, weights: np.ndarray | None = None):
        self.cells = Cells(columns.n_levels())
        numbers = ~self.cells.is_coded
        self._low, self._high = _fences(table, numbers)
        table = np.clip(table, self._low, self._high)
        size = np.nanmax(np.abs(table), axis=0)  # squares of the largest numbers overflow
        size = np.where(numbers & (size > 0), size, 1.0)
        mean, deviation = _moments(table / size, weights)
        deviation = np.where(numbers, size * deviation, 1.0)
        self.mean = np.where(numbers, size * mean, 0.0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def of(self, table: np.ndarray) -> np.ndarray:
        """Return the cells of rows, (n_samples, n_cells); NaN in gaps. Values far out are no longer told apart."""
        table = np.clip(table, self._low, self._high)
        return np.clip(self.cells.expand((table - self.mean) / self.deviation), -_FARTHEST, _FARTHEST)

    def table(self, cells: np.ndarray) -> np.ndarray:
        """Return rows in the user's units, of categories the code of the likeliest level."""
        return self.cells.collapse(cells) * self.deviation + self.mean

    def of_expected(self, expected: np.ndarray) -> np.ndarray:
        """Return cells from such with numbers in the user's units."""
        owner = self.cells.owner
        return (expected - self.mean[owner]) / self.deviation[owner]
