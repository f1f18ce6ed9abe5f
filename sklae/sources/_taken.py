"""How estimators take sources: verbs chunk by chunk, and what needs its rows in memory some of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from sklae._tables.frames import concatenate
from sklae._tables.sources import RowSource
from sklae._utils.random import random_state_for, some_rows
from sklae._utils.warnings import told_once, warn
from sklae.sources._lazy import LazyRows, is_lazy

__all__ = ["as_source", "in_chunks", "what_fits"]

# What is fitted in memory is fitted to so many rows of a source at most, and to so many cells: 128 MB.
_MOST_ROWS, _MOST_CELLS = 100_000, 2**24

Verb = TypeVar("Verb", bound=Callable[..., Any])


def as_source(X: Any) -> Any:
    """Return a lazy frame as a source of rows, and anything else as it is."""
    return LazyRows(X) if is_lazy(X) else X


def in_chunks(verb: Verb) -> Verb:
    """Let a verb that says something of each row of a table take sources of rows, too."""

    @wraps(verb)
    def each(self: Any, X: Any, *args: Any, **settings: Any) -> Any:
        source = as_source(X)
        if not isinstance(source, RowSource):
            return verb(self, X, *args, **settings)
        with told_once():
            parts = [verb(self, chunk, *args, **settings) for chunk in source.checked_chunks()]
        if not parts:
            raise ValueError(f"Got {type(source).__name__} without rows; expected at least one.")
        if isinstance(parts[0], tuple):
            return tuple(map(_joined, zip(*parts, strict=True)))
        return _joined(parts)

    return cast(Verb, each)


def _joined(parts: Any) -> Any:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else concatenate(list(parts))


def what_fits(X: Any, estimator: Any, name: str = "X") -> Any:
    """Return a table as it is, and of a source as many rows as fit in memory, at random and in their order.

    Warns
    -----
    UserWarning
        If these are not all.
    """
    source = as_source(X)
    if not isinstance(source, RowSource):
        return X
    first = next(iter(source.checked_chunks()), None)
    if first is None:
        raise ValueError(f"Got {type(source).__name__} without rows as {name}; expected some.")
    n_rows = min(len(source), _MOST_ROWS, max(1, _MOST_CELLS // max(np.shape(first)[-1], 1)))
    if n_rows < len(source):
        warn(
            f"Got a source of {len(source):,} rows as {name}; {type(estimator).__name__} keeps its rows in memory, and "
            f"takes {n_rows:,} of them, at random."
        )
    return _joined(source.take(some_rows(len(source), n_rows, random_state_for(estimator.random_state))))
