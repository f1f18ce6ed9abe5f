"""Which columns of a table a detector gets, and which only say what row it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from sklae._cli.words import Refusal, listed, shown, unique
from sklae._tables.columns import Columns
from sklae._tables.frames import is_gap, kinds_of

__all__ = ["Usable"]

# Columns that are shown beside the rows.
_MOST_BESIDE = 3
# Of fewer rows, equal steps and values that all differ say nothing; nor do numbers in any order, or with gaps.
_LEAST_ROWS, _LEAST_SCATTERED = 5, 20
# Names of whole numbers that tell rows apart: one of these words first or last, the last one only, or the whole name.
_ID_WORDS = {"guid", "id", "ids", "idx", "rowid", "uid", "uuid"}
_LAST_WORDS = {"nr", "no"}
_ID_NAMES = {
    *("#", "№", "index", "key", "level 0", "line", "line number", "number", "obs", "observation", "record"),
    *("record number", "row", "row index", "row num", "row number", "rownum", "rownumber", "seq", "sequence", "serial"),
    *("serial number",),
}
_NAMELESS = re.compile(r"Unnamed: \d+|__index_level_\d+__|\s*")


@dataclass(frozen=True)
class Usable:
    """What of a table is modelled and shown.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns that a detector takes, named as they are shown.
    beside : dict of str to list of str
        Names of columns that number or name the rows -> their cells.
    remarks : list of str
        What was left out, and why.
    """

    frame: Any
    beside: dict[str, list[str]]
    remarks: list[str]

    @classmethod
    def of(cls, frame: Any, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> Usable:
        """Sort the columns of a frame.

        Parameters
        ----------
        frame : pandas.DataFrame
        drop, keep : sequence of str
            Columns to leave out, and to model although they number or name the rows.

        Raises
        ------
        Refusal
            For names of no column, and if what is left can't be modelled.
        """
        written = [str(name) for name in frame.columns]
        frame = frame.set_axis(unique(shown(name) for name in written), axis="columns")
        is_kept = _named(keep, "--keep", written, frame)
        is_dropped = _named(drop, "--drop", written, frame)
        frame, is_kept = frame.loc[:, ~is_dropped], is_kept[~is_dropped]
        is_empty = frame.isna().all().to_numpy(dtype=bool)
        tells = _tell_rows_apart(frame) & ~is_empty & ~is_kept
        is_usable = np.array([_is_usable(frame.iloc[:, [i]]) for i in range(frame.shape[1])], dtype=bool)
        is_odd = ~is_usable & ~is_empty & ~tells
        if (is_kept & (is_odd | is_empty)).any():
            name = frame.columns[is_kept & (is_odd | is_empty)][0]
            raise Refusal(f"Got --keep '{name}', a column of neither numbers nor categories. Leave that option out.")
        left_out = {
            f"as they number or name the rows, and {_shown_beside(int(tells.sum()))}": tells,
            "as they are neither numbers nor categories": is_odd,
            "as every value is missing": is_empty,
        }
        remarks = [f"Left out, {why}: {listed(frame.columns[left])}." for why, left in left_out.items() if left.any()]
        if (tells & is_usable).any():
            remarks[0] += " To model one, use --keep."
        remarks += _among_numbers(frame.loc[:, is_odd])
        names = frame.columns[tells][:_MOST_BESIDE]
        beside = {name: [_cell(value) for value in frame[name].tolist()] for name in names}
        usable = cls(frame.loc[:, ~(tells | is_odd | is_empty)], beside, remarks)
        usable._check()
        return usable

    def size(self) -> str:
        """Return how many rows and columns there are."""
        n_numeric = self.frame.select_dtypes("number").shape[1]
        n_others = self.frame.shape[1] - n_numeric
        categories = f" and {n_others} of categories" if n_others else ""
        columns = "column" if n_numeric == 1 else "columns"
        return f"{len(self.frame):,} rows, {n_numeric} numeric {columns}{categories}"

    def _check(self) -> None:
        frame = self.frame
        if not frame.shape[1]:
            raise Refusal(
                f"Got a table without usable columns; expected numbers or categories. {' '.join(self.remarks)}"
            )
        numbers = frame.select_dtypes("number")
        is_infinite = np.isinf(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any(axis=0)
        if is_infinite.any():
            raise Refusal(
                f"Got infinite values in {listed(numbers.columns[is_infinite])}; expected numbers or gaps. Empty those "
                "cells, or use --drop."
            )
        if (frame.nunique() <= 1).all():
            raise Refusal(
                f"Got a constant table: one value in each of {frame.shape[1]} columns; expected one that varies. "
                f"{' '.join(self.remarks)}"
            )


def _among_numbers(frame: Any) -> list[str]:
    """Return which cells keep columns, most of whose cells are numbers, from being numbers."""
    remarks = []
    for name in frame.columns:
        cells = [str(value) for value in frame[name].tolist() if not is_gap(value)]
        others = [cell for cell in cells if not _is_number(cell)]
        if len(others) < len(cells) / 2:
            remarks.append(
                f"Of {name}, {len(cells) - len(others):,} cells are numbers and {len(others):,} are not, such as "
                f"'{shown(others[0])}': empty these, and it is looked at."
            )
    return remarks


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _named(names: Sequence[str], option: str, written: Sequence[str], frame: Any) -> np.ndarray:
    """Return which columns are named, as they are written in the file or as they are shown."""
    is_named = np.zeros(len(written), dtype=bool)
    for name in names:
        found = (np.array(written, dtype=object) == name) | (frame.columns.to_numpy(dtype=object) == name)
        if not found.any():
            raise Refusal(f"Got {option} '{shown(name)}'; expected one of the columns: {listed(frame.columns)}.")
        is_named |= found
    return is_named


def _shown_beside(n_columns: int) -> str:
    return "shown beside them" if n_columns <= _MOST_BESIDE else f"the first {_MOST_BESIDE} shown beside them"


def _is_usable(column: Any) -> bool:
    """Return whether a frame of a single column holds numbers or categories."""
    try:
        Columns.fit(column)
    except ValueError:
        return False
    return True


def _cell(value: Any) -> str:
    """Return a cell as text: of numbers that name rows, those beside gaps are whole, too."""
    if is_gap(value):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else shown(value)


# -- what tells rows apart --------------------------------------------------------------------------------


def _tell_rows_apart(frame: Any) -> np.ndarray:
    """Return which columns hold running numbers, numbers called ids, or text and dates no two of which are equal."""
    nameless = [bool(_NAMELESS.fullmatch(name)) for name in frame.columns]
    found = []
    for i, kind in enumerate(kinds_of(frame)):
        column = frame.iloc[:, i]
        if kind in ("numeric", "integer"):
            is_index = i == 0 and nameless[0] and not all(nameless)
            found.append(_number_rows(column.to_numpy(dtype=np.float64, na_value=np.nan), frame.columns[i], is_index))
        else:
            found.append(kind in ("categorical", "other") and _name_rows(column.dropna()))
    return np.array(found, dtype=bool)


def _name_rows(values: Any) -> bool:
    if len(values) < _LEAST_ROWS or isinstance(values.iloc[0], Number):
        return False
    try:
        return values.nunique() == len(values)
    except TypeError:  # lists, say
        return False


@np.errstate(over="ignore", invalid="ignore")  # of values up to the largest there are
def _number_rows(values: np.ndarray, name: str, is_index: bool) -> bool:
    """Whether numbers are no measurements; ``is_index``: of a first column without a name, as an index is written."""
    there = np.flatnonzero(np.isfinite(values))
    values = values[there]
    is_whole = bool((np.floor(values) == values).all())
    if len(values) < 2 or (is_whole and is_index):
        return is_whole and is_index
    if len(np.unique(values)) < len(values):
        return False
    return (is_whole and _is_called_id(name)) or _have_equal_steps(there, values) or (is_whole and _count(values))


def _is_called_id(name: str) -> bool:
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z\d])(?=[A-Z])", " ", name))
    words = [word.lower() for word in words] or [name.strip()]
    is_said = words[0] in _ID_WORDS or words[-1] in _ID_WORDS | _LAST_WORDS
    return is_said or " ".join(words) in _ID_NAMES or bool(_NAMELESS.fullmatch(name))


def _have_equal_steps(rows: np.ndarray, values: np.ndarray) -> bool:
    """Whether values grow or fall from row to row by always the same."""
    if len(values) < _LEAST_ROWS:
        return False
    step = (values[-1] - values[0]) / (rows[-1] - rows[0])
    tolerance = 1e-6 * abs(step) + 4 * np.finfo(np.float64).eps * np.abs(values).max()
    return bool((np.abs(values - values[0] - step * (rows - rows[0])) <= tolerance).all())


def _count(values: np.ndarray) -> bool:
    """Whether whole numbers count the rows: each from 0 or 1 on once, or in their order, mostly without a gap."""
    if len(values) < _LEAST_SCATTERED:
        return False
    if values.min() in (0, 1) and np.ptp(values) == len(values) - 1:
        return True
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all()) and bool((np.abs(steps) == 1).mean() >= 0.5)
