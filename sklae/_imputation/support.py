"""Which values a column can have, by those that were seen and by the user's limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklae._tables.columns import Columns
from sklae._tables.held import integer_range
from sklae._tables.indicators import Cells
from sklae._utils.thinning import thinned

__all__ = ["Support", "check_limits", "ends", "find_constants", "varies"]

# Expected values lie within the seen range and as much again on either side: true values lie there, too, now and then,
# and beyond it a linear model's guess is worse than the limit.
_MARGIN = 1.0
# So many distinct values of a column are kept, for draws to be one of them.
_MOST_VALUES = 4_096


def varies(cells: np.ndarray) -> np.ndarray:
    """Return which columns hold more than one value."""
    return np.fmin.reduce(cells) < np.fmax.reduce(cells)


def ends(values: np.ndarray) -> np.ndarray:
    """Return the positions of the least and of the largest value of a column."""
    return np.array([np.nanargmin(values), np.nanargmax(values)])


class Support:
    """What may be filled in, column by column; of categories the levels, of numbers a range.

    Parameters
    ----------
    table : ndarray of shape (n_samples, n_columns)
        Numbers and codes as they were fitted; NaN in gaps. Each column has a value.
    cells : Cells
        Of the columns.
    least, most : ndarray of shape (n_columns,)
        The user's limits; infinite where there are none.
    is_whole : ndarray of shape (n_columns,), bool
        Which columns take whole numbers only.
    """

    def __init__(self, table: np.ndarray, cells: Cells, least: np.ndarray, most: np.ndarray, is_whole: np.ndarray):
        self.is_number = ~cells.is_coded
        low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
        with np.errstate(over="ignore"):  # beyond the largest float is no limit
            below, above = low - _MARGIN * (high - low), high + _MARGIN * (high - low)
        # where no value has the one sign, none is filled in
        least, most = _whole_limits(least, most, is_whole)
        self.low = np.clip(np.where(low >= 0, low, below), least, most)
        self.high = np.clip(np.where(high <= 0, high, above), least, most)
        self.seen: dict[int, np.ndarray] = {}
        for j in np.flatnonzero(self.is_number).tolist():
            values = np.unique(table[~np.isnan(table[:, j]), j])
            values = values[thinned(len(values), _MOST_VALUES)]
            within = values[(values >= least[j]) & (values <= most[j])]
            self.seen[j] = within if len(within) else np.clip(values[:1], least[j], most[j])

    def limit(self, table: np.ndarray) -> np.ndarray:
        """Return rows with numbers within their range."""
        return np.where(self.is_number, np.clip(table, self.low, self.high), table)

    def snap(self, table: np.ndarray) -> np.ndarray:
        """Return rows with each number replaced by the nearest one that was seen."""
        out = table.copy()
        for j, values in self.seen.items():
            above = np.clip(np.searchsorted(values, table[:, j]), 1, max(len(values) - 1, 1))
            above = np.minimum(above, len(values) - 1)
            low, high = values[np.maximum(above - 1, 0)], values[above]
            out[:, j] = np.where(table[:, j] - low <= high - table[:, j], low, high)
        return out


def _whole_limits(least: np.ndarray, most: np.ndarray, is_whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.where(is_whole, np.ceil(least), least), np.where(is_whole, np.floor(most), most)
    wrong = np.flatnonzero(low > high)
    if len(wrong):
        j = int(wrong[0])
        raise ValueError(
            f"Got min_value={least[j]:g} and max_value={most[j]:g} for a column of integers; expected a whole number "
            "between them."
        )
    return low, high


def check_limits(min_value: Any, max_value: Any, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return the user's limits of each column, infinite where there are none."""
    n_columns, categories = columns.n_total, columns.categories
    least, most = (
        _one_each(name, value, none, n_columns)
        for name, value, none in (("min_value", min_value, -np.inf), ("max_value", max_value, np.inf))
    )
    wrong = np.flatnonzero(~(least < most))
    if len(wrong):
        j = int(wrong[0])
        raise ValueError(
            f"Got min_value={least[j]:g} and max_value={most[j]:g} for column {j}; expected the first below the second."
        )
    for j in [j for j, kind in enumerate(categories.kinds) if kind == "integer" and categories.dtypes]:
        low, high = integer_range(categories.dtypes[j])
        if least[j] > high or most[j] < low:
            raise ValueError(
                f"Got min_value={least[j]:g} and max_value={most[j]:g} for column {j} of "
                f"{categories.dtypes[j]}, which holds {low} to {high}; expected limits that leave some of these. Give "
                "one limit for each column, infinite where there is none."
            )
    return least, most


def _one_each(name: str, value: Any, none: float, n_columns: int) -> np.ndarray:
    if value is None:
        return np.full(n_columns, none)
    try:
        limits = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Got {name}={value!r}; expected a number, or one for each column.") from error
    if limits.ndim and limits.shape != (n_columns,):
        raise ValueError(
            f"Got {name} of shape {limits.shape}; expected a number, or one for each of the {n_columns} columns."
        )
    return np.broadcast_to(limits, n_columns).copy()


def find_constants(table: np.ndarray, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns to model, and what to fill those with that don't vary (NaN: nothing)."""
    low, high = np.fmin.reduce(table), np.fmax.reduce(table)
    is_number = ~np.isin(np.arange(table.shape[1]), list(columns.categories.levels))
    constants = np.where(low == high, low, np.where(is_number & np.isnan(low), 0.0, np.nan))
    # constant pixels belong to their image; constant categories have too few levels for a likelihood
    modelled = (low < high) | (is_number & (low == high))
    return np.flatnonzero(modelled & (low < high).any()), constants
