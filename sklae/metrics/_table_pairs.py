"""Real and synthetic tables, read alike."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from sklae._tables.categories import CODED
from sklae._tables.columns import Columns
from sklae._tables.frames import is_frame, is_gap, values_of
from sklae._tables.validation import table_width

__all__ = ["TablePair", "gaps_of", "position_of", "read_pair", "split_target"]

UNKNOWN = -1.0  # the code of a level that the real table has not; its own levels count from 0


class TablePair(NamedTuple):
    """Tables as numbers and codes of the first one's levels, NaN where missing; which columns are categories."""

    values: list[np.ndarray]
    is_category: np.ndarray
    names: list[str]


def read_pair(named: Mapping[str, Any], categorical_features: Any) -> TablePair:
    """Read tables of the same columns; the first says what their kinds and levels are."""
    names = _same_names(named)
    (_, real), *_ = named.items()
    columns = Columns.fit(real, None, categorical_features)
    is_category = np.array([kind in CODED for kind in columns.kinds])
    values = [np.array(columns.read(table)) for table in named.values()]  # copies, to write codes into
    for table, read in zip(named.values(), values, strict=True):
        for i in np.flatnonzero(is_category).tolist():  # so far NaN stands for gaps and for unknown levels
            read[np.isnan(read[:, i]) & ~gaps_of(table, i), i] = UNKNOWN
    return TablePair(values, is_category, names)


def _same_names(named: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns, which all tables have, and refuse tables without rows."""
    every = {}
    for name, table in named.items():
        width = table_width(table)
        every[name] = [str(column) for column in table.columns] if is_frame(table) else [f"x{i}" for i in range(width)]
        if not len(table):
            raise ValueError(f"Got no rows in {name}; expected at least one. Pass more of them.")
    (first, names), *others = every.items()
    for name, found in others:
        if found != names:
            raise ValueError(
                f"Got columns {found[:20]} in {name} and {names[:20]} in {first}; expected the same in the same order. "
                f"Select them: {name}[list({first}.columns)]."
            )
    return names


def gaps_of(table: Any, position: int) -> np.ndarray:
    values = values_of(table, position) if is_frame(table) else np.asarray(table)[:, position]
    return np.array([is_gap(value) for value in values])


def position_of(target: Any, names: list[str]) -> int:
    if isinstance(target, Integral) and not isinstance(target, bool) and -len(names) <= int(target) < len(names):
        return int(target) % len(names)
    if target not in names:
        raise ValueError(f"Got target={target!r}, which is no column; expected a position or one of {names[:20]}.")
    return names.index(target)


def split_target(table: np.ndarray, column: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return predictors and target of the rows that have one."""
    if table.shape[1] < 2:
        raise ValueError("Got a table of one column, the target; expected at least another one. Add predictors.")
    table = table[~np.isnan(table[:, column])]
    if not len(table):
        raise ValueError(f"Got no row with a target in {name}; expected at least one. Pass labelled rows.")
    return np.delete(table, column, axis=1), table[:, column]
