"""What colours a map: classes, or a quantity."""

from __future__ import annotations

from datetime import datetime
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from sklae._tables.frames import is_gap

__all__ = ["Labels", "read_labels"]

# More distinct numbers than this are a quantity; more classes are too many to tell apart.
_MOST_CLASSES = 20


class Labels(NamedTuple):
    """A class or a number for each row.

    Attributes
    ----------
    values : ndarray of shape (n_rows,)
        Of a quantity, float64, NaN where it is missing; dates are days. Or positions among ``names``.
    names : list of str
        Of the classes; none for a quantity.
    n_classes : int
        How many of ``names`` are classes: behind them stand "... others", of too many, and "missing".
    is_date : bool
    """

    values: np.ndarray
    names: list[str]
    n_classes: int
    is_date: bool = False

    @property
    def is_quantity(self) -> bool:
        """Whether these are numbers to draw by a colour bar."""
        return not self.names


def read_labels(y: Any) -> Labels:
    """Read labels of any kind: numbers, texts, booleans, dates; None, NaN, NaT and NA are missing.

    Numbers and dates of more than 20 different values are a quantity, others are classes, of which the 20 commonest
    have a name.
    """
    values = _of_one_type(np.asarray(y))
    kind = values.dtype.kind
    gaps = np.isnan(values) if kind == "f" else np.isnat(values) if kind in "mM" else np.zeros(len(values), dtype=bool)
    if kind == "U":
        gaps = values == ""
    distinct, places, counts = np.unique(values[~gaps], return_inverse=True, return_counts=True)
    if kind in "iufM" and len(distinct) > _MOST_CLASSES:
        return Labels(_as_numbers(values, gaps), [], 0, is_date=kind == "M")
    commonest = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
    kept = np.sort(commonest)
    names = [_name(value) for value in distinct[kept]]
    n_others = len(distinct) - len(kept)
    new_places = np.full(len(distinct), len(kept))
    new_places[kept] = np.arange(len(kept))
    found = np.full(len(values), len(kept) + bool(n_others))
    found[~gaps] = new_places[places]
    names += [f"{n_others} others"] * bool(n_others) + ["missing"] * bool(gaps.any())
    return Labels(found, names, len(kept))


def _of_one_type(values: np.ndarray) -> np.ndarray:
    """Return an array of objects as one of numbers, dates or text; of text, "" is missing."""
    if values.dtype != object:
        return values
    cells = values.ravel().tolist()
    there = [cell for cell in cells if not is_gap(cell)]
    if there and all(isinstance(cell, Real) and not isinstance(cell, (bool, np.bool_)) for cell in there):
        cells = [np.nan if is_gap(cell) else float(cell) for cell in cells]
        return np.array(cells, dtype=np.float64).reshape(values.shape)
    if there and all(isinstance(cell, datetime) for cell in there):
        dates = [np.datetime64("NaT") if is_gap(cell) else cell.replace(tzinfo=None) for cell in cells]
        return np.array(dates, dtype="datetime64[us]").reshape(values.shape)
    return np.array(["" if is_gap(cell) else str(cell) for cell in cells]).reshape(values.shape)


def _as_numbers(values: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "M":
        return values.astype(np.float64)
    days = values.astype("datetime64[us]").astype(np.int64) / 86_400e6  # what matplotlib counts, from 1970
    days[gaps] = np.nan
    return days


def _name(value: Any) -> str:
    is_whole = isinstance(value, np.floating) and value == np.round(value)
    return str(int(value)) if is_whole and abs(value) < 1e15 else str(value)
