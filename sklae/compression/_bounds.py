"""Largest errors as users say them, and as each column is held to."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from sklae._tables.exact import Parts

__all__ = ["column_bounds"]

_NUMBERS = ("float", "integer")


def column_bounds(max_error: Any, parts: Parts, *, pooled: bool = False) -> list[float]:
    """Return the largest error of each column, in its units; 0 for what holds no numbers.

    ``pooled``: columns are pixels of one range.

    Raises
    ------
    ValueError
        For what is no error, and for columns that are not there or hold no numbers.
    """
    columns = parts.schema["columns"]
    given: list[Any] = [max_error] * len(columns)
    if isinstance(max_error, Mapping):
        places = {column["name"]: i for i, column in enumerate(columns)}
        given = [0.0] * len(columns)
        for name, each in max_error.items():
            place = places.get(name, places.get(str(name)))
            if place is None:
                raise ValueError(
                    f"Got max_error with {name!r}, which is no column; expected names among {list(places)[:20]}."
                )
            if columns[place]["kind"] not in _NUMBERS and _parsed(each)[0] > 0.0:
                raise ValueError(
                    f"Got max_error={each!r} for column {name!r}, which holds no numbers; expected columns of numbers. "
                    "Others come back exactly: leave it out."
                )
            given[place] = each
    if pooled:
        if isinstance(max_error, Mapping):
            raise ValueError("Got a mapping as max_error for images; expected one error for all of their pixels.")
        if any(column["kind"] in _NUMBERS for column in columns):
            return [_bound(max_error, np.concatenate(parts.values), None)] * len(columns)
    return [
        _bound(each, parts.values[i], parts.missing[i]) if columns[i]["kind"] in _NUMBERS else 0.0
        for i, each in enumerate(given)
    ]


def _bound(given: Any, values: np.ndarray, missing: np.ndarray | None) -> float:
    amount, is_relative = _parsed(given)
    if not is_relative or amount == 0.0:
        return amount
    there = values if missing is None else values[~missing]
    there = there[np.isfinite(there)]
    return amount * (float(there.max()) - float(there.min())) if len(there) else 0.0


# Twice as much is no float.
_TOO_LARGE = 1e300


def _parsed(given: Any) -> tuple[float, bool]:
    """Return an error, and whether it is a share of the column's range."""
    amount, is_relative = math.nan, False
    if isinstance(given, str) and given.strip().endswith("%"):
        is_relative = True
        with contextlib.suppress(ValueError):
            amount = float(given.strip()[:-1]) / 100.0
    elif isinstance(given, Real) and not isinstance(given, (bool, np.bool_)):
        amount = float(given)
    if not amount >= 0.0 or (is_relative and amount == math.inf) or _TOO_LARGE < amount < math.inf:
        raise ValueError(
            f"Got max_error={given!r}; expected a number at or above 0, a share of columns' ranges such as '1%', or a "
            "mapping of columns to these."
        )
    return amount, is_relative
