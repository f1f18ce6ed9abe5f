"""A frame that is read once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from sklae._tables.frames import (
    declared_levels,
    distinct_of,
    dtypes_of,
    has_values,
    is_frame,
    kinds_of,
    ordered_levels,
    refuse_odd_frames,
)

__all__ = ["Table", "frame_of", "read", "unmasked"]


class Table:
    """Names, kinds, dtypes and columns of a frame, each looked up when first asked for and kept.

    Parameters
    ----------
    frame : frame of pandas or polars

    Attributes
    ----------
    names : tuple of str
    kinds : tuple of str
        "numeric", "integer", "binary", "categorical", "ordered" or "other".
    dtypes : tuple of dtype
    """

    def __init__(self, frame: Any):
        refuse_odd_frames(frame)
        self.frame = frame
        self.names = tuple(str(name) for name in frame.columns)
        self._columns: dict[int, tuple[list[Any], np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        return tuple(kinds_of(self.frame))

    @cached_property
    def dtypes(self) -> tuple[Any, ...]:
        return tuple(dtypes_of(self.frame))

    def column(self, position: int) -> tuple[list[Any], np.ndarray]:
        """Return the values that a column holds, and where among them each row's stands."""
        if position not in self._columns:
            self._columns[position] = distinct_of(self.frame, position)
        return self._columns[position]

    def has_values(self, position: int) -> bool:
        """Return whether a column has any value."""
        return has_values(self.frame, position)

    def ordered_levels(self, position: int) -> list[Any]:
        """Return the levels of a column of ordered categories, in their order."""
        return ordered_levels(self.frame, position)

    def declared_levels(self, position: int) -> list[Any]:
        """Return the levels that a column's dtype declares; none if it does not."""
        return declared_levels(self.frame, position)


def read(X: Any) -> Any:
    """Return a frame as a `Table`, a masked array with gaps where it is masked, and anything else as it is."""
    return Table(X) if is_frame(X) else unmasked(X)


def unmasked(X: Any) -> Any:
    """Return a masked array of numbers or objects with NaN where it is masked; anything else as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if X.dtype.kind in "biu":  # which have no NaN
        X = X.astype(np.float64)
    return X.filled(np.nan) if X.dtype.kind in "fO" else X


def frame_of(X: Any) -> Any:
    """Return what the user passed."""
    return X.frame if isinstance(X, Table) else X
