"""The kinds of a table's columns, and the levels of its categories with their codes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from sklae._tables.frame_cells import replace_columns, restore
from sklae._tables.frames import as_cells, is_frame, is_gap, is_other_float, refuse_odd_frames
from sklae._tables.held import integer_range, nearest_floats, nearest_integers
from sklae._tables.schema import dtype_of_plain, plain_dtype
from sklae._tables.table import Table, frame_of, read
from sklae._tables.unknown_levels import refuse_other_types, tell_unknown

__all__ = ["CODED", "Categories", "CategoriesReader"]

#: Kinds whose values are codes of levels.
CODED = ("binary", "categorical", "ordered")
# As many as scikit-learn's histogram-based trees take.
_MOST_LEVELS = 255
# Where more than this share of a column's values is unknown the user is told.
_MOST_UNKNOWN = 0.5
# Text in which more than this share of the values differ is no category, unless it has few levels: as many as skrub's
# TableVectorizer passes on, so that what it gives is taken.
_MOST_DISTINCT, _FEW_LEVELS = 0.5, 39
_REMEDY = (
    "Drop them, or turn them into numbers first: "
    "make_pipeline(skrub.TableVectorizer(low_cardinality='passthrough'), estimator)."
)


@dataclass(frozen=True, eq=False)
class Categories:
    """What a table's columns hold; of categories the levels, whose codes are 0, 1, ...; NaN for missing or unknown.

    Attributes
    ----------
    kinds : tuple of str
        Of each column: "numeric", "integer", "binary", "categorical" or "ordered".
    levels : dict of int to list
        Position of a column whose values are codes -> its levels: sorted, those of ordered categories in their order.
    names : tuple of str or None
        The columns' names, for a frame.
    dtypes : tuple of dtype
        Of a frame's columns.
    """

    kinds: tuple[str, ...]
    levels: Mapping[int, list] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    dtypes: tuple[Any, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "dtypes": tuple(map(plain_dtype, self.dtypes))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, dtypes=tuple(map(dtype_of_plain, state["dtypes"])))

    def treat_as_numbers(self, positions: Sequence[int]) -> Categories:
        """Return the same with booleans among these columns taken for the numbers 0 and 1."""
        kinds = list(self.kinds)
        levels = dict(self.levels)
        for i in positions:
            if kinds[i] == "binary":
                kinds[i] = "numeric"
                del levels[i]
        return Categories(tuple(kinds), levels, self.names, self.dtypes)

    def select(self, positions: Sequence[int]) -> Categories:
        """Return those of some of the columns."""
        return Categories(
            tuple(self.kinds[i] for i in positions),
            {new: self.levels[old] for new, old in enumerate(positions) if old in self.levels},
            None if self.names is None else tuple(self.names[i] for i in positions),
            tuple(self.dtypes[i] for i in positions) if self.dtypes else (),
        )

    def of_codes(self) -> Categories:
        """Return the same with codes for levels, of arrays."""
        levels = {i: [float(code) for code in range(len(levels))] for i, levels in self.levels.items()}
        return Categories(self.kinds, levels)

    def encode(self, X: Any, *, most_unknown: float | None = _MOST_UNKNOWN) -> Any:
        """Return the table with codes in place of levels.

        Levels that fit has not seen are missing. A column in which more than a share of the values are such is told of,
        and one whose values are of another type than its levels is refused; of frames with other columns, which are
        refused as a whole later, nothing is said. With None nothing is said of levels either.
        """
        X = read(X)
        if not self.levels:
            return frame_of(X)
        refuse_odd_frames(X)
        if isinstance(X, Table):
            there = [i for i in self.levels if i < len(X.names)]
            read_column = partial(self._read, most_unknown=most_unknown) if X.names == self.names else self.codes
            return replace_columns(X.frame, {i: read_column(i, *X.column(i)) for i in there})
        table = np.array(as_cells(X))
        if table.ndim != 2 or table.shape[1] != len(self.kinds):
            return X  # refused later
        if table.dtype.kind in "biu":  # integers have no NaN
            table = table.astype(np.float64)
        elif table.dtype.kind == "U":  # nor has text
            table = table.astype(object)
        for i in self.levels:
            table[:, i] = self._read(i, table[:, i].tolist(), most_unknown=most_unknown)
        return table

    def _read(
        self, position: int, values: list[Any], rows: np.ndarray | None = None, *, most_unknown: float | None
    ) -> np.ndarray:
        """Return the codes of values (of the places among them that ``rows`` name), and tell of unknown ones."""
        codes = self.codes(position, values)
        is_unknown = np.isnan(codes)
        if is_unknown.any():
            is_unknown &= [not is_gap(value) for value in values]
        if is_unknown.any() and most_unknown is not None:
            if rows is not None:
                values, is_unknown = [values[row] for row in rows.tolist()], is_unknown[rows]
            told = _name(position, self.names), self.levels[position], values
            if np.isnan(codes).all():
                refuse_other_types(*told)
            tell_unknown(*told, is_unknown, most=most_unknown)
        return codes if rows is None else codes[rows]

    def codes(
        self, position: int, values: Sequence[Any], rows: np.ndarray | None = None, *, strict: bool = False
    ) -> np.ndarray:
        """Return the codes of values (of the places among them that ``rows`` name); ``strict`` refuses unknown ones."""
        levels = self.levels[position]
        known = {level: float(code) for code, level in enumerate(levels)}
        found = [np.nan if is_gap(value) else known.get(_hashable(value), -1.0) for value in values]
        codes = np.array(found, dtype=np.float64)
        single = {_narrow(level): code for level, code in known.items() if isinstance(level, float)}
        if len(single) == len(levels):  # numbers, whatever the width of either's floats
            for i in np.flatnonzero(codes == -1.0).tolist():
                codes[i] = single.get(_narrow(values[i]), -1.0) if isinstance(values[i], float | np.floating) else -1.0
        unknown = codes == -1.0
        if strict and unknown.any():
            value = values[int(unknown.argmax())]
            raise ValueError(
                f"Got condition {_name(position, self.names)}={value!r}, which fit has not seen; expected one of "
                f"{levels[:20]}. Check its spelling and its type."
            )
        codes[unknown] = np.nan
        return codes if rows is None else codes[rows]

    def decode(self, X: Any) -> Any:
        """Return the table of codes and numbers, an array or a frame, with levels and in the dtypes that were read.

        Numbers that were objects or decimals are floats.
        """
        if not is_frame(X):
            return self._decode_array(X)
        table = {i: X[name].to_numpy() for i, name in enumerate(X.columns)}
        columns: dict[int, Sequence[Any]] = {i: self._values(i, table[i]) for i in self.levels}
        for i, kind in enumerate(self.kinds):
            if kind == "integer":
                columns[i] = nearest_integers(table[i], self.dtypes[i])
            elif kind == "numeric" and self.dtypes and is_other_float(self.dtypes[i], table[i].dtype):
                columns[i] = nearest_floats(table[i], self.dtypes[i])
        return restore(X, columns, self.dtypes or (None,) * len(self.kinds)) if columns else X

    def _decode_array(self, table: np.ndarray) -> np.ndarray:
        if not self.levels:
            return table
        is_number = all(isinstance(level, Real) for levels in self.levels.values() for level in levels)
        table = table.copy() if is_number else table.astype(object)
        for i in self.levels:
            table[:, i] = [np.nan if value is None else value for value in self._values(i, table[:, i])]
        return table

    def _values(self, position: int, codes: np.ndarray) -> list[Any]:
        """Return the levels of codes, None for what is no code."""
        known = dict(enumerate(self.levels[position]))
        return [known.get(code) for code in codes.tolist()]


class CategoriesReader:
    """Learns kinds and levels chunk by chunk.

    Parameters
    ----------
    width : int
        Number of columns.
    categorical : sequence of int
        Positions of columns that are categories whatever they hold. Of an array only these are.
    anything : sequence of int
        Positions of columns in which levels may be of any type, dates for example.
    keeps_declared : bool
        Whether levels that a dtype declares (categories of pandas, an Enum of polars) are levels, whether they occur or
        not: in a stream they may occur later.
    """

    def __init__(
        self,
        width: int,
        categorical: Sequence[int] = (),
        anything: Sequence[int] = (),
        *,
        keeps_declared: bool = False,
    ):
        self.width = width
        self.keeps_declared = keeps_declared
        self.categorical = [int(i) for i in categorical]
        self.anything = anything
        self.names: tuple[str, ...] | None = None
        self.kinds: list[str] = []
        self.dtypes: list[Any] = []
        self.found: dict[int, set] = {}
        self.order: dict[int, list] = {}
        self.n_rows: dict[int, int] = {}
        self.n_values: dict[int, int] = {}
        self.wrong: dict[int, str] = {}
        self.first: Table | None = None  # until there is a second
        self.empty: set[int] = set()  # columns without any value so far

    def update(self, X: Any) -> None:
        """Take in rows: an array, or a frame with the columns of the first."""
        X = read(X)
        if not isinstance(X, Table):
            for i in self.categorical:
                values = _column_of_array(X, i)
                self._take_in(i, values, np.arange(len(values)))
            return
        kinds, dtypes, empty = self._kinds_of(X), X.dtypes, set[int]()
        if self.names not in (None, X.names):
            raise ValueError(
                f"Got a chunk of rows with columns {list(X.names)}; expected {list(self.names)}, as in those before."
            )
        if self.names is None:
            self.names, self.kinds, self.dtypes, self.first = X.names, kinds, list(dtypes), X
        else:
            if self.first is not None:  # of a single table nobody needs to know
                self.empty, self.first = _empty_columns(self.first), None
            empty = _empty_columns(X)
            self._check_kinds(kinds, dtypes, empty)
        for i, kind in enumerate(kinds):
            if i in empty and i not in self.empty:
                continue  # known from other rows
            if kind in CODED:
                self._take_in(i, *X.column(i), kind, X.ordered_levels(i) if kind == "ordered" else ())
                if self.keeps_declared:
                    self.declare(i, X.declared_levels(i))
            elif kind == "other":
                self.wrong[i] = str(dtypes[i])

    def _kinds_of(self, table: Table) -> list[str]:
        kinds = list(table.kinds)
        for i in {*self.categorical, *(i for i in self.anything if kinds[i] == "other")}:
            kinds[i] = "ordered" if kinds[i] == "ordered" else "categorical"
        return kinds

    def _check_kinds(self, kinds: list[str], dtypes: Sequence[Any], empty: set[int]) -> None:
        """Refuse a column that changes its kind; integers that meet numbers are numbers, and gaps say nothing."""
        for i, (before, now) in enumerate(zip(self.kinds, kinds, strict=True)):
            if i in self.empty - empty:
                self.kinds[i], self.dtypes[i] = now, dtypes[i]
                self.empty.discard(i)
                for known in (self.found, self.order, self.wrong):
                    known.pop(i, None)
            elif {before, now} == {"integer", "numeric"} and i not in empty:
                if before == "integer":
                    self.kinds[i], self.dtypes[i] = now, dtypes[i]
            elif before != now and i not in empty:
                self.wrong[i] = f"{before}, then {now}"
            elif self.dtypes[i] != dtypes[i] and i not in empty:
                self._merge_dtypes(i, dtypes[i])

    def _merge_dtypes(self, i: int, dtype: Any) -> None:
        """Keep the wider of two integer dtypes; levels of categories that differ come back as they are."""
        if self.kinds[i] == "ordered":
            self.wrong[i] = f"{self.dtypes[i]}, then {dtype}"
        elif self.kinds[i] == "integer":
            ranges = [integer_range(each) for each in (self.dtypes[i], dtype)]
            widest = min(low for low, _ in ranges), max(high for _, high in ranges)
            if widest not in ranges:
                self.wrong[i] = f"{self.dtypes[i]}, then {dtype}"
            elif widest == ranges[1]:
                self.dtypes[i] = dtype
        elif self.kinds[i] in CODED:
            self.dtypes[i] = None

    def _take_in(
        self, i: int, values: list[Any], rows: np.ndarray, kind: str = "categorical", order: Sequence[Any] = ()
    ) -> None:
        """Take in values of a column, and where among them each row's stands."""
        is_there = np.array([not is_gap(value) for value in values], dtype=bool)[rows]
        there = [values[row] for row in np.unique(rows[is_there]).tolist()]
        if any(isinstance(value, Real) and math.isinf(value) for value in there):
            raise ValueError(
                f"Got infinite values among the categories of column {_name(i, self.names)!r}; expected finite levels. "
                "Replace them, or mark them as missing with NaN."
            )
        self.n_rows[i] = self.n_rows.get(i, 0) + len(rows)
        self.n_values[i] = self.n_values.get(i, 0) + int(is_there.sum())
        levels = self.order.setdefault(i, [])
        levels += [level for level in order if level not in levels]
        try:
            self.found.setdefault(i, set()).update([False, True] if kind == "binary" else there)
        except TypeError:  # lists, say: nothing that could be looked up
            self.wrong[i] = str(self.dtypes[i])

    def declare(self, i: int, levels: Sequence[Any]) -> None:
        """Take levels for known, whether they occur or not."""
        if i not in self.found:
            raise ValueError(
                f"Got categories of column {_name(i, self.names)!r}, which holds numbers; expected one of categories. "
                "Name it in categorical_features."
            )
        self.found[i].update(levels)

    def finish(self) -> Categories:
        """Return the kinds of all columns, and the levels of those that have some.

        Raises
        ------
        ValueError
            For columns that are neither numbers nor categories of not too many levels.
        """
        levels = {i: self._levels(i) for i in sorted(self.found) if i not in self.wrong}
        for i, known in levels.items():
            if self.names is None:
                if len(known) > _MOST_LEVELS:
                    self.wrong[i] = f"{len(known)} levels"
            elif self._are_too_many(i, known):
                self.wrong[i] = f"{len(known)} levels in {self.n_rows[i]} rows"
        _refuse(self.wrong, self.names)
        if self.names is None:
            return Categories(tuple("categorical" if i in levels else "numeric" for i in range(self.width)), levels)
        return Categories(tuple(self.kinds), levels, self.names, tuple(self.dtypes))

    def _levels(self, i: int) -> list[Any]:
        """Return a column's levels: ordered ones in their order, others sorted, by type first."""
        found = self.found[i]
        if self.order[i]:
            return [level for level in self.order[i] if level in found]
        try:
            return sorted(found, key=lambda value: (type(value).__name__, value))
        except TypeError:  # levels of a type without an order
            return sorted(found, key=lambda value: (type(value).__name__, str(value)))

    def _are_too_many(self, i: int, levels: list[Any]) -> bool:
        """Whether what was read is text that differs from row to row, or just too much of it."""
        chosen = i in self.categorical or self.kinds[i] == "ordered"
        some = len(levels) > _FEW_LEVELS and len(levels) > _MOST_DISTINCT * self.n_values[i]
        return len(levels) > _MOST_LEVELS or (some and not chosen)


def _name(position: int, names: Sequence[str] | None) -> Any:
    """Return what to call a column in an error: its name, or of an array its position."""
    return position if names is None else names[position]


def _empty_columns(table: Table) -> set[int]:
    return {i for i in range(len(table.names)) if not table.has_values(i)}


def _narrow(number: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(number))


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return None
    return value


def _column_of_array(X: Any, position: int) -> list[Any]:
    values = as_cells(X)[:, position].tolist()
    return values if any(isinstance(value, str) for value in values) else [_as_float(value) for value in values]


def _as_float(value: Any) -> Any:
    return np.nan if is_gap(value) else float(value) if isinstance(value, Real) else value


def _refuse(wrong: Mapping[int, str], names: Sequence[str] | None = None) -> None:
    """Refuse columns, by their positions, for what they hold."""
    if wrong:
        found = [f"{_name(i, names)!r} ({wrong[i]})" for i in sorted(wrong)]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ValueError(
            f"Got columns that are neither numbers nor categories: {', '.join(found[:5])}{more}; expected numbers, "
            f"booleans, and text or categories of at most {_MOST_LEVELS} levels, most of which occur more than once. "
            f"{_REMEDY}"
        )
