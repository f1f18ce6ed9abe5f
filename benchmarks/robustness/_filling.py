"""What is known to be right of a filled table."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.robustness._verdicts import Watch, cells, is_gap
from sklae import AEImputer

__all__ = ["check_filled"]


def check_filled(watch: Watch, imputer: AEImputer, fitted: Any, X: Any, filled: Any, name: str) -> None:
    """Check that observed cells are as they were, and that fills are possible."""
    tables = filled if isinstance(filled, tuple) else (filled,)
    watch.right("transform", len(tables) == imputer.n_imputations, "number of filled tables")
    known = _unmarked(cells(fitted), imputer.missing_values)
    given = _unmarked(cells(X), imputer.missing_values)
    if len(given) != len(known):
        return
    kept = [j for j, column in enumerate(known) if imputer.keep_empty_features or any(v is not None for v in column)]
    for table in tables:
        found = cells(table)[: len(kept)]
        if len(found) != len(kept) or len(table) != len(given[0]):
            watch.say("silent wrong", "transform", "shape of a filled table")
            return
        for j, column in zip(kept, found, strict=True):
            dtype = _dtype_of(fitted, j)
            _check_column(watch, imputer, known[j], given[j], column, j, f"column {j} ({dtype}): {name}")


def _unmarked(columns: list[list[Any]], marker: Any) -> list[list[Any]]:
    if is_gap(marker):
        return columns
    return [[None if not isinstance(v, bool) and v == marker else v for v in column] for column in columns]


def _dtype_of(table: Any, j: int) -> str:
    if hasattr(table, "dtypes"):
        return str(list(table.dtypes)[j])
    return str(getattr(table, "dtype", type(table).__name__))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_column(
    watch: Watch, imputer: AEImputer, known: list[Any], given: list[Any], found: list[Any], j: int, detail: str
) -> None:
    levels = {v for v in known if v is not None}
    coded = j in imputer._container.columns.categories.levels
    for before, after in zip(given, found, strict=True):
        if before is not None and not (coded and not _hashed_in(before, levels)):
            if watch.warned and isinstance(before, int) and after == float(before):
                continue  # it is told which integers the floats of a column round
            # numbers that were objects are floats
            if not _same(float(before) if "(object)" in detail and _is_number(before) else before, after):
                watch.say(
                    "silent wrong", "transform", "an observed cell was changed", f"{before!r} -> {after!r}; {detail}"
                )
                return
        elif after is None:
            if levels or not coded:
                watch.say("silent NaN or inf", "transform", "a gap was left", detail)
                return
        elif coded:
            watch.right("transform", _hashed_in(after, levels), "a fill that is no level", f"{after!r}; {detail}")
        elif levels and all(map(_is_number, levels)) and _is_number(after):
            _check_range(watch, imputer, levels, after, detail)


def _hashed_in(value: Any, levels: set[Any]) -> bool:
    if isinstance(value, list):
        return False
    return value in levels or any(
        _is_number(v) and np.float32(v) == np.float32(value) for v in levels if _is_number(value)
    )


def _same(before: Any, after: Any) -> bool:
    if before == after:
        return True
    try:
        return bool(np.float32(before) == np.float32(after)) and not isinstance(before, int)
    except (TypeError, ValueError, OverflowError):
        return False


def _check_range(watch: Watch, imputer: AEImputer, levels: set[Any], fill: Any, detail: str) -> None:
    low, high = float(min(levels)), float(max(levels))
    reach = high - low
    least, most = low if low >= 0 else low - reach, high if high <= 0 else high + reach
    low_limit = -np.inf if imputer.min_value is None else imputer.min_value
    high_limit = np.inf if imputer.max_value is None else imputer.max_value
    if all(isinstance(level, int) for level in levels):
        low_limit, high_limit = np.ceil(low_limit), np.floor(high_limit)
    if low < high:  # what does not vary is filled with its value
        least, most = np.clip((least, most), low_limit, high_limit)
    slack = 1e-5 * max(abs(least), abs(most), 1e-300)
    inside = least - slack <= fill <= most + slack or low_limit > high_limit
    watch.right(
        "transform", bool(inside), "a fill outside of what is possible", f"{fill!r} not in [{least}, {most}]; {detail}"
    )
