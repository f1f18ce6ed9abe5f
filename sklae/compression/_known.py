"""Columns of integers of which some are known already: what the next one may be told from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["Feature", "Known", "Range", "Series"]


@dataclass(frozen=True, eq=False)
class Series:
    """A column as the coder sees it.

    Attributes
    ----------
    values : ndarray of shape (n_rows,), int64
        0 where ``status`` is not `PRESENT`.
    status : ndarray of shape (n_rows,), uint8
        One of `GAP`, `NAN`, `ESCAPED` (its cell is written apart, as it is) and `PRESENT`.
    """

    values: np.ndarray
    status: np.ndarray

    GAP = 0
    NAN = 1
    ESCAPED = 2
    PRESENT = 3

    @property
    def is_present(self) -> np.ndarray:
        return self.status == self.PRESENT

    def rows(self, part: slice | np.ndarray) -> Series:
        """Return some of the rows."""
        return Series(self.values[part], self.status[part])


class Range(NamedTuple):
    """What integers a column may hold: others are written apart.

    Attributes
    ----------
    low, high : int
    typical : int
        What stands for a gap.
    is_number : bool
        Whether differences mean anything.
    """

    low: int
    high: int
    typical: int
    is_number: bool

    @property
    def width(self) -> int:
        """From end to end."""
        return self.high - self.low


class Feature(NamedTuple):
    """Something known of each row: a column's value, or (``is_step``) by how much it is more than in the row before."""

    place: int
    is_step: bool


class Known:
    """Columns that are known, by their places.

    Parameters
    ----------
    n_rows : int
    """

    def __init__(self, n_rows: int):
        self.n_rows = n_rows
        self._filled: dict[int, np.ndarray] = {}
        self._marked: dict[int, np.ndarray] = {}

    def add(self, place: int, series: Series, typical: int, low: int) -> None:
        """Put a column in its place: what is missing counts as the typical value, or is told apart as the lowest."""
        self._filled[place] = series.values
        self._marked[place] = series.values
        is_present = series.is_present
        if not is_present.all():
            self._filled[place] = np.where(is_present, series.values, typical)
            self._marked[place] = np.where(is_present, series.values, low - 1)

    def series(self, place: int) -> Series:
        """Return a column without gaps."""
        return Series(self._filled[place], np.full(self.n_rows, Series.PRESENT, dtype=np.uint8))

    def feature(self, feature: Feature, *, filled: bool = False) -> np.ndarray:
        """Return a feature of all rows."""
        values = (self._filled if filled or feature.is_step else self._marked)[feature.place]
        return np.diff(values, prepend=values[:1]) if feature.is_step else values
