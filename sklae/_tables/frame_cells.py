"""Frames with other cells: gaps put in, columns replaced or appended, cells kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np

from sklae._tables.frames import as_cells, dtype_of, is_frame, is_gap
from sklae._utils.warnings import warn

__all__ = ["append_columns", "arranged", "as_floats", "blank", "replace_columns", "restore", "take_cells", "without"]

# Below it all integers are floats.
_MOST_EXACT = 2.0**53


def append_columns(X: Any, columns: Mapping[str, np.ndarray]) -> Any:
    """Return the frame with further columns of booleans at its end."""
    frame = nw.from_native(X, eager_only=True)
    series = [
        nw.new_series(name, column, nw.Boolean(), backend=frame.implementation) for name, column in columns.items()
    ]
    return frame.with_columns(*series).to_native()


def blank(X: Any, gaps: Mapping[int, np.ndarray]) -> Any:
    """Return the frame with gaps in some of its columns, by their positions."""
    frame = nw.from_native(X, eager_only=True)
    series = []
    for i, is_missing in gaps.items():
        column = frame.get_column(frame.columns[i])
        cells = [None if gone else cell for cell, gone in zip(column.to_list(), is_missing, strict=True)]
        series.append(_series_like(column, cells, dtype_of(column)))
    return frame.with_columns(*series).to_native()


def arranged(X: Any, names: Sequence[str]) -> Any:
    """Return the frame with these columns, in this order; those that it lacks are empty."""
    frame = nw.from_native(X, eager_only=True)
    lacking = [name for name in names if name not in frame.columns]
    empty = [nw.new_series(name, [None] * len(frame), nw.Float64(), backend=frame.implementation) for name in lacking]
    return frame.with_columns(*empty).select(*names).to_native()


def without(X: Any, value: Any) -> Any:
    """Return the table with gaps where cells hold that value."""
    if not is_frame(X):
        return _array_without(X, value)
    frame = nw.from_native(X, eager_only=True)
    series = []
    for name in frame.columns:
        column = frame.get_column(name)
        cells = column.to_list()
        if any(_equals(cell, value) for cell in cells):
            kept = [None if _equals(cell, value) else cell for cell in cells]
            series.append(_series_like(column, kept, dtype_of(column)))
    return frame.with_columns(*series).to_native() if series else X


def _array_without(X: Any, value: Any) -> Any:
    table = as_cells(X)
    if table.dtype == object:
        found = np.array([_equals(cell, value) for cell in table.ravel()], dtype=bool).reshape(table.shape)
    elif table.dtype.kind in "iuf" and not isinstance(value, str):
        found = table == value
    else:
        return X
    return np.where(found, np.nan, table) if found.any() else X


def _equals(cell: Any, value: Any) -> bool:
    if is_gap(cell) or isinstance(cell, (bool, np.bool_)):  # no 0, and no 1
        return False
    try:
        return bool(cell == value)
    except (TypeError, ValueError):  # an array in a cell
        return False


def take_cells(X: Any, source: Any, is_there: np.ndarray) -> Any:
    """Return the frame with the cells of another one, where these are there.

    Numbers that a column's dtype can't hold as they are (2.7 among integers, 1e300 among float32) make it one of
    float64.

    Parameters
    ----------
    X, source : frame
        Of the same library; ``source`` has X's columns, and may have others.
    is_there : ndarray of shape (n_rows, n_columns), bool
    """
    given, taken = (nw.from_native(frame, eager_only=True) for frame in (X, source))
    columns = []
    for name, own in zip(given.columns, is_there.T, strict=True):
        filled, kept = given.get_column(name), taken.get_column(name)
        if dtype_of(filled) != dtype_of(kept):
            columns.extend(_wider(filled, kept, own))
        elif own.all():
            columns.append(kept)
        elif own.any() and filled.dtype.is_integer():  # others are exact as floats
            mask = nw.new_series(str(name), own, backend=given.implementation)
            columns.append(kept.zip_with(_aligned(mask, kept), filled).alias(name))
    return given.with_columns(*columns).to_native() if columns else X


def _wider(filled: Any, kept: Any, own: np.ndarray) -> list[Any]:
    """Return a column of float64 with the cells to keep, where those filled are not the same; none where they are."""
    if not (filled.dtype.is_numeric() and (kept.dtype.is_numeric() or kept.dtype == nw.Object)):
        return []
    now, before = (
        np.array([np.nan if is_gap(cell) else cell for cell in each.to_list()], float) for each in (filled, kept)
    )
    if np.array_equal(now[own], before[own]):
        _tell_rounded(kept, before, own)
        return []
    return [_series_like(filled, np.where(own, before, now).tolist(), _float_dtype(filled))]


def _tell_rounded(kept: Any, floats: np.ndarray, own: np.ndarray) -> None:
    """Warn of integers to keep that the floats of their column do not hold."""
    far = np.flatnonzero(own & (np.abs(floats) >= _MOST_EXACT)).tolist()
    cells = kept.to_list() if far else []
    rounded = [i for i in far if isinstance(cells[i], Integral) and cells[i] != int(floats[i])]
    if rounded:
        first = rounded[0]
        warn(
            f"Got {len(rounded)} integers in column {kept.name!r}, such as {cells[first]}, that floats, which it holds "
            f"since fit, round to {int(floats[first])}; expected numbers up to 2**53. They come back rounded. Fit to "
            "integers: where there are gaps, pandas' Int64.",
            cause=kept.name,
        )


def _aligned(mask: Any, series: Any) -> Any:
    """Return a mask with the index of a series, where its library has one."""
    index = nw.maybe_get_index(series)
    return mask if index is None else nw.maybe_set_index(mask, index=index)


#: How the names of dtypes begin whose cells are no numbers to NumPy, or are lost where there are gaps.
_NOT_READ = ("decimal", "object", "int128", "categor", "enum", "sparse")


def as_floats(X: Any) -> Any:
    """Return the table with floats in place of decimals, objects and the like, not all of which NumPy reads."""
    kinds = zip(X.columns, X.dtypes, strict=True) if is_frame(X) else ()
    names = [name for name, dtype in kinds if str(dtype).lower().startswith(_NOT_READ)]
    if not names:
        return X
    frame = nw.from_native(X, eager_only=True)
    return frame.with_columns(*(_floats(frame.get_column(name)) for name in names)).to_native()


def _floats(column: Any) -> Any:
    if column.dtype.is_numeric():
        return column.cast(nw.Float64())
    values = [None if is_gap(value) else float(value) for value in column.to_list()]
    return _series_like(column, values, _float_dtype(column))


def _float_dtype(column: Any) -> Any:
    return np.dtype(np.float64) if column.implementation.is_pandas_like() else nw.Float64()


def replace_columns(X: Any, columns: Mapping[int, np.ndarray]) -> Any:
    """Return the frame with numbers in some of its columns: float32 where all others are float32."""
    frame = nw.from_native(X, eager_only=True)
    names = frame.columns
    others = [frame.get_column(name).dtype for i, name in enumerate(names) if i not in columns]
    dtype = nw.Float32() if others and all(other == nw.Float32 for other in others) else nw.Float64()
    series = [nw.new_series(names[i], values, dtype, backend=frame.implementation) for i, values in columns.items()]
    return frame.with_columns(*series).to_native()


def restore(X: Any, columns: Mapping[int, Sequence[Any]], dtypes: Sequence[Any]) -> Any:
    """Return a frame with other values in some of its columns (None for a gap), in given dtypes of all columns."""
    frame = nw.from_native(X, eager_only=True)
    every = [frame.get_column(name) for name in frame.columns]
    series = [_series_like(every[i], list(values), dtypes[i]) for i, values in columns.items()]
    return frame.with_columns(*series).to_native()


def _series_like(series: Any, values: list[Any], dtype: Any) -> Any:
    """Return a series with the name and the index of another one, of given values and dtype."""
    if not series.implementation.is_pandas_like():
        return nw.new_series(series.name, values, dtype, backend=series.implementation)
    native = series.to_native()
    if None in values and isinstance(dtype, np.dtype) and dtype.kind in "biu":
        dtype = object if dtype.kind == "b" else np.float64  # what has no missing values
    return nw.from_native(type(native)(values, index=native.index, dtype=dtype, name=native.name), series_only=True)
