"""Why rows are strange, in words: the value of a cell, and the range or the level that was expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from sklae._cli.words import shown
from sklae._tables.columns import Columns
from sklae._tables.frames import rows_of

__all__ = ["Habits", "Table", "method_of_strangest", "reasons"]

# Columns to name of a row; each adds at least this share of what the first one adds to its anomaly.
_N_REASONS, _LEAST_SHARE = 3, 0.1
# Explaining a row by repair takes about as many microseconds as it has pairs of columns, and this many more. More than
# this is not spent on a table, nor on ordinary rows to compare with; the strangest rows come first.
_ROW_COST, _MOST_COST = 500, 2**22
_LEAST_CAREFUL = 20
# The share of gaps from which they are part of what is strange about a row.
_MANY_GAPS = 1 / 3
# Rows whose distances to what is expected say what is usual, and between which quantiles.
_N_ORDINARY, _LEAST_ORDINARY = 200, 5
_QUANTILES = (0.05, 0.95)
# Rows explained at a time: a table, its explanation and its expectation are held at once.
_CHUNK_ROWS = 2**14
# From here on numbers have thousands separators; beyond these, powers of ten.
_LARGE, _HUGE, _MOST_DECIMALS = 1e4, 1e15, 9


def reasons(detector: Any, X: Any, names: Sequence[str], scores: np.ndarray, *, n_listed: int = 10) -> list[list[str]]:
    """Say which cells make a row strange, and what was expected there.

    Rows are explained by repair, the strangest first, as long as the work stays small; others by the terms of their
    score, which is quick.

    Parameters
    ----------
    detector : AEOutlierDetector
        A fitted one.
    X : array or frame of shape (n_samples, n_features)
    names : sequence of str
        Of the columns.
    scores : ndarray of shape (n_samples,)
        What the detector's ``score_samples`` returns.
    n_listed : int, default=10
        How many rows to explain at least, outliers or not.

    Returns
    -------
    reasons : list of n_samples lists of str
        The strangest column first. Nothing of the rows that are neither outliers nor among the strangest ``n_listed``.
    """
    order = np.argsort(scores, kind="stable")
    table = Table(detector, X)
    n_strange = max(int((scores < detector.offset_).sum()), min(n_listed, len(scores)))
    n_affordable = _n_affordable(table.values.shape[1])
    strange, ordinary = order[:n_strange], _ordinary_rows(order, n_strange)
    ways = (
        ("repair", np.sort(strange[:n_affordable]), np.sort(ordinary[:n_affordable])),
        ("additive", np.sort(strange[n_affordable:]), np.sort(ordinary)),
    )
    said: list[list[str]] = [[] for _ in scores]
    for method, rows, beside in ways:
        if not len(rows):
            continue
        habits = Habits.of(table, beside, method)
        for part in gen_batches(len(rows), _CHUNK_ROWS):
            chosen = rows[part]
            told = habits.told(names, table.values[chosen], *table.explained(chosen, method))
            for i, why in zip(chosen, told, strict=True):
                said[i] = why
    return said


def _n_affordable(n_columns: int) -> int:
    """Return how many rows may be explained by repair; none where it would be too few."""
    n_rows = _MOST_COST // (_ROW_COST + n_columns**2)
    return n_rows if n_rows >= _LEAST_CAREFUL else 0


def method_of_strangest(n_columns: int) -> str:
    """Return how `reasons` explains the strangest row of a table."""
    return "repair" if _n_affordable(n_columns) else "additive"


def _ordinary_rows(order: np.ndarray, n_strange: int) -> np.ndarray:
    """Draw rows that are not strange; of all rows, if there are too few others."""
    others = order[n_strange:] if len(order) - n_strange >= _LEAST_ORDINARY else order
    return np.random.RandomState(0).permutation(others)[:_N_ORDINARY]


class Table:
    """A table as a detector takes it, and in numbers: levels have codes.

    Parameters
    ----------
    detector : AEOutlierDetector
        One that was fitted to such tables.
    X : array or frame of shape (n_samples, n_features)
    """

    def __init__(self, detector: Any, X: Any):
        self.detector = detector
        self.X = X
        self.columns = Columns.fit(X)
        self.values = self.columns.read(X)

    @property
    def levels(self) -> Mapping[int, Sequence[Any]]:
        """Position of a column of categories -> its levels."""
        return self.columns.categories.levels

    def explained(self, rows: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what each cell of some rows, in their order, adds to their anomaly, and what is expected in it."""
        chosen = rows_of(self.X, rows, len(self.values))
        terms, expected = self.detector.explain(chosen, method=method, return_expected=True)
        return np.asarray(terms, np.float64), np.asarray(self.columns.categories.encode(expected), np.float64)


@dataclass(frozen=True, eq=False)
class Habits:
    """How cells usually are: how far from what is expected there, between which values, and in which digits.

    Attributes
    ----------
    below, above : ndarray of shape (n_features,)
        Quantiles of a cell's value minus what is expected; 0 for categories.
    least, most : ndarray of shape (n_features,)
        The column's extremes.
    is_whole : ndarray of shape (n_features,), bool
        Whether all its values are whole numbers.
    levels : dict of int to sequence
        Position of a column of categories, whose values are codes -> its levels.
    """

    below: np.ndarray
    above: np.ndarray
    least: np.ndarray
    most: np.ndarray
    is_whole: np.ndarray
    levels: Mapping[int, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table, ordinary: np.ndarray, method: str) -> Habits:
        """Learn them from a table and some ordinary rows of it."""
        X = table.values
        distances = X[ordinary] - table.explained(ordinary, method)[1]
        # the normal distribution's quantiles, where too few cells have a value
        ends = np.outer((-1.64, 1.64), table.detector.residual_scale_)
        enough = (~np.isnan(distances)).sum(axis=0) >= min(_LEAST_ORDINARY, len(ordinary))
        ends[:, enough] = np.nanquantile(distances[:, enough], _QUANTILES, axis=0)
        ends[:, list(table.levels)] = 0.0
        is_whole = (np.isnan(X) | (np.floor(X) == X)).all(axis=0)
        return cls(ends[0], ends[1], np.nanmin(X, axis=0), np.nanmax(X, axis=0), is_whole, table.levels)

    def ranges(self, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the range around each expectation, in round numbers, and in the column's range.

        Where the two don't meet, it is left as it is.
        """
        digits = self._digits()
        low, high = (_rounded(expected + ends, digits) for ends in (self.below, self.above))
        meets = (low <= self.most) & (high >= self.least)
        return np.where(meets, np.maximum(low, self.least), low), np.where(meets, np.minimum(high, self.most), high)

    def _digits(self) -> np.ndarray:
        """Return how many decimals ranges have: two digits of their width; none, where all values are whole numbers."""
        width = np.maximum(self.above - self.below, np.finfo(np.float64).tiny)
        digits = 1 - np.floor(np.log10(width)).astype(int)
        return np.where(self.is_whole, np.minimum(digits, 0), digits)

    def told(self, names: Sequence[str], X: np.ndarray, terms: np.ndarray, expected: np.ndarray) -> Iterator[list[str]]:
        """Yield, for each row, its reasons.

        Parameters
        ----------
        names : sequence of str
        X, terms, expected : ndarray of shape (n_rows, n_features)
            The rows (codes for levels), what each cell adds to their anomaly, and what was expected there.
        """
        low, high = self.ranges(expected)
        counts = (terms > 0) & (terms >= _LEAST_SHARE * terms.max(axis=1, keepdims=True))
        margin = 10.0 ** -self._digits().astype(np.float64) / 2  # within the rounding of ranges it is in them
        outside = np.maximum(low - X, X - high) > margin
        ranked = np.argsort(-terms, axis=1, kind="stable")[:, :_N_REASONS]
        for row, strangest in enumerate(ranked):
            columns = [j for j in strangest if counts[row, j]]
            alone = [
                self._contrast(names[j], j, X[row, j], low[row, j], high[row, j]) for j in columns if outside[row, j]
            ]
            yield alone or self._together(names, X[row], columns)

    def _contrast(self, name: str, column: int, value: float, low: float, high: float) -> str:
        if column in self.levels:
            return f"{name} = {self._number(value, column)}, expected {self._number(low, column)}"
        with_commas = max(abs(value), abs(low), abs(high)) >= _LARGE
        said, start, end = (self._number(x, column, with_commas=with_commas) for x in (value, low, high))
        return f"{name} = {said}, expected about {start if start == end else f'{start} to {end}'}"

    def _together(self, names: Sequence[str], values: np.ndarray, columns: Sequence[int]) -> list[str]:
        """Name cells each of which is as expected."""
        cells = [f"{names[j]} = {self._number(values[j], j, with_commas=abs(values[j]) >= _LARGE)}" for j in columns]
        if not cells:
            return []
        n_gaps = int(np.isnan(values).sum())
        gaps = f"; {n_gaps} of {len(values)} cells are missing" if n_gaps >= _MANY_GAPS * len(values) else ""
        return [f"unusual{' together' if len(cells) > 1 else ''}: {', '.join(cells)}{gaps}"]

    def _number(self, value: float, column: int, *, with_commas: bool = False) -> str:
        """Return a number with one digit more than ranges have; of a code its level."""
        if column in self.levels:
            return shown(self.levels[column][int(value)])
        decimals = 0 if self.is_whole[column] else max(0, int(self._digits()[column]) + 1)
        if decimals > _MOST_DECIMALS or abs(value) >= _HUGE:
            return f"{value:.6g}"
        text = f"{round(float(value), decimals) + 0.0:{',' if with_commas else ''}.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


def _rounded(values: np.ndarray, decimals: np.ndarray) -> np.ndarray:
    """Round each column to its number of decimals, which may be negative."""
    limited = np.clip(decimals, -300, 300)
    unit = 10.0 ** -limited.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.round(values / unit) * unit
    return np.where(np.isfinite(rounded), rounded, values)
