"""Tables from outside: validation, kinds of columns and frames. The only file that knows about frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np

from sklae._utils.compat import container_adapter, safe_indexing

__all__ = [
    "append_columns",
    "columns_at",
    "columns_of",
    "dtypes_of",
    "empty_like",
    "has_values",
    "is_frame",
    "is_gap",
    "is_other_float",
    "is_single",
    "kinds_of",
    "odd_columns",
    "ordered_levels",
    "refuse_odd_frames",
    "replace_columns",
    "restore",
    "rows_of",
    "table_of",
    "take_cells",
    "values_of",
    "without",
    "without_decimals",
    "wrap",
]


def refuse_odd_frames(X: Any) -> None:
    """Refuse frames without rows or columns in memory, and those whose columns can't be told apart."""
    if hasattr(X, "collect"):
        raise ValueError("Got a LazyFrame; expected a frame with its rows. Call its collect() first.")
    if not is_frame(X):
        if hasattr(X, "to_pandas"):
            raise TypeError(f"Got a {type(X).__name__}; expected a frame of pandas or polars. Call its to_pandas().")
        return
    names = [str(column) for column in X.columns]
    if not names:
        raise ValueError("Got a table without columns; expected at least one. Check how it was read.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})[:5]
        raise ValueError(f"Got column names that occur twice: {twice}; expected unique names. Rename the duplicates.")


def odd_columns(X: Any) -> list[str]:
    """Return which columns of a frame hold no numbers, though its categories are codes by now: some would convert."""
    if not is_frame(X):
        return []
    doubtful = [i for i, dtype in enumerate(X.dtypes) if not _is_plainly_numeric(dtype)]
    series = _series(X) if doubtful else []
    return [f"{str(X.columns[i])!r} ({_dtype(series[i])})" for i in doubtful if not _holds_numbers(series[i])]


def _is_plainly_numeric(dtype: Any) -> bool:
    return dtype.is_numeric() if hasattr(dtype, "is_numeric") else getattr(dtype, "kind", "O") in "biufc"


def _holds_numbers(series: Any) -> bool:
    kind = _kind(series)
    if kind in ("categorical", "ordered"):
        kind = _kind_by_values(series.to_list())
    return kind in ("numeric", "integer", "binary")


def without_decimals(X: Any) -> Any:
    """Return the table with floats in place of decimals, whose gaps scikit-learn can't read."""
    kinds = zip(X.columns, X.dtypes, strict=True) if is_frame(X) else ()
    names = [name for name, dtype in kinds if str(dtype).lower().startswith("decimal")]
    if not names:
        return X
    frame = nw.from_native(X, eager_only=True)
    return frame.with_columns(*(frame.get_column(name).cast(nw.Float64()) for name in names)).to_native()


def is_single(X: Any) -> bool:
    """Whether X is a frame of float32 columns only: scikit-learn would widen one of polars."""
    return is_frame(X) and all(str(dtype).lower() == "float32" for dtype in X.dtypes)


def is_frame(X: Any) -> bool:
    """Whether X has named columns, and its rows in memory."""
    return not hasattr(X, "collect") and hasattr(X, "columns") and hasattr(X, "dtypes")


def columns_of(X: Any, names: Sequence[str]) -> dict[str, list]:
    """Return the values of those named columns that a frame has."""
    columns = {str(name): X[name] for name in X.columns}
    return {name: nw.from_native(columns[name], series_only=True).to_list() for name in names if name in columns}


def columns_at(X: Any, positions: Sequence[int] | np.ndarray) -> Any:
    """Return a frame of some of another one's columns."""
    return X[[X.columns[i] for i in positions]]


def empty_like(frame: Any) -> Any:
    """Return a frame of the same library and columns, that keeps nothing of the table alive."""
    return _framed(np.empty((0, len(frame.columns))), frame.columns, frame)


def wrap(values: np.ndarray, container: Any, *, like: Any = None) -> Any:
    """Put values into a frame like the (empty) container, with the row index of ``like``; None: leave the array."""
    return values if container is None else _framed(values, container.columns, container, like)


def _framed(values: np.ndarray, names: Any, container: Any, like: Any = None) -> Any:
    frame = container_adapter(container).create_container(values, like, columns=names, inplace=False)
    frame.columns = names  # polars makes up a name for ""
    return frame


def table_of(values: np.ndarray, names: Sequence[str], container: Any, *, like: Any = None) -> Any:
    """Put values into a frame with these column names, of the container's library (None: pandas).

    Raises
    ------
    ImportError
        If pandas is needed and not installed.
    """
    if container is None:
        try:
            return nw.from_numpy(values, schema=list(names), backend="pandas").to_native()
        except ImportError as error:
            raise ImportError(
                "Got an array, of which a pandas frame is to be made, and no pandas; expected it to be installed: pip "
                "install 'sklae[tables]'. Or fit on a frame of another library."
            ) from error
    return _framed(values, list(names), container, like)


def append_columns(X: Any, columns: Mapping[str, np.ndarray]) -> Any:
    """Return the frame with further columns of booleans at its end."""
    frame = nw.from_native(X, eager_only=True)
    series = [
        nw.new_series(name, column, nw.Boolean(), backend=frame.implementation) for name, column in columns.items()
    ]
    return frame.with_columns(*series).to_native()


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
            series.append(_series_like(column, kept, _dtype(column)))
    return frame.with_columns(*series).to_native() if series else X


def _array_without(X: Any, value: Any) -> Any:
    table = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)
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
    """Return the frame with the cells of another one, where these are there: in columns that have the same dtypes.

    Parameters
    ----------
    X, source : frame
        ``source`` has X's columns, and may have others.
    is_there : ndarray of shape (n_rows, n_columns), bool
    """
    if type(source) is not type(X):
        return X
    given, taken = (nw.from_native(frame, eager_only=True) for frame in (X, source))
    columns = []
    for name, own in zip(given.columns, is_there.T, strict=True):
        filled, kept = given.get_column(name), taken.get_column(name)
        if _dtype(filled) != _dtype(kept):
            continue
        if own.all():
            columns.append(kept)
        elif own.any() and filled.dtype.is_integer():  # others are exact as floats
            mask = nw.new_series(str(name), own, backend=given.implementation)
            columns.append(kept.zip_with(_aligned(mask, kept), filled).alias(name))
    return given.with_columns(*columns).to_native() if columns else X


def _aligned(mask: Any, series: Any) -> Any:
    """Return a mask with the index of a series, where its library has one."""
    index = nw.maybe_get_index(series)
    return mask if index is None else nw.maybe_set_index(mask, index=index)


def rows_of(X: Any, rows: np.ndarray, n_rows: int) -> Any:
    """Return rows of what a user passed, which has ``n_rows`` of them, in the order given."""
    if np.array_equal(rows, np.arange(n_rows)):  # no copy
        return X
    return safe_indexing(X if is_frame(X) or hasattr(X, "__getitem__") else np.asarray(X), rows)


# -- columns ------------------------------------------------------------------------------------------------


def _series(X: Any) -> list[Any]:
    frame = nw.from_native(X, eager_only=True)
    return [frame.get_column(name) for name in frame.columns]


def kinds_of(X: Any) -> list[str]:
    """Return what a frame's columns hold, by their dtypes (those of object dtype: by their values).

    One of "numeric", "integer", "binary", "categorical", "ordered"; "other" for dates, lists and the like.
    """
    return [_kind(series) for series in _series(X)]


def _kind(series: Any) -> str:
    dtype = series.dtype
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "numeric"
    if dtype == nw.Object:
        return _kind_by_values(series.to_list())
    for kind, dtypes in _KINDS.items():
        if any(dtype == one for one in dtypes):
            return kind
    # what narwhals does not know: sparse columns, complex ones (refused later), and those of nothing but gaps
    native = series.to_native().dtype
    is_numeric = getattr(native, "kind", "") in tuple("iufc") or str(native).lower().startswith("null")
    return "numeric" if is_numeric else "other"


#: narwhals takes ordered categories of pandas for an Enum, whose levels have an order in polars.
_KINDS: dict[str, tuple[Any, ...]] = {
    "binary": (nw.Boolean,),
    "ordered": (nw.Enum,),
    "categorical": (nw.Categorical, nw.String),
}


def _kind_by_values(values: list[Any]) -> str:
    present = [value for value in values if not is_gap(value)]
    if present and all(isinstance(value, (bool, np.bool_)) for value in present):
        return "binary"
    if all(isinstance(value, (int, float, complex, np.number, np.bool_)) for value in present):
        return "numeric"
    plain = all(isinstance(value, (str, int, float, np.number, np.bool_)) for value in present)
    return "categorical" if plain else "other"


def dtypes_of(X: Any) -> list[Any]:
    """Return the dtypes of a frame's columns, as `restore` takes them."""
    return [_dtype(series) for series in _series(X)]


def _dtype(series: Any) -> Any:
    """Return what `_series_like` makes a series of: pandas has more dtypes than narwhals."""
    return series.to_native().dtype if series.implementation.is_pandas_like() else series.dtype


def is_other_float(dtype: Any, own: np.dtype) -> bool:
    """Whether a dtype is one of floats, and another than NumPy's: of another width, nullable, or Arrow's."""
    name = str(dtype)
    if isinstance(dtype, nw.dtypes.DType):  # there is but one of each width
        name = name.lower()
    return name != str(own) and any(word in name.lower() for word in ("float", "double"))


def values_of(X: Any, position: int) -> list[Any]:
    """Return the values of one of a frame's columns."""
    return _column(X, position).to_list()


def has_values(X: Any, position: int) -> bool:
    """Return whether a column has any value."""
    column = _column(X, position)
    return column.null_count() < len(column)


def ordered_levels(X: Any, position: int) -> list[Any]:
    """Return the levels of a column of ordered categories, in their order."""
    return list(_column(X, position).dtype.categories)


def _column(X: Any, position: int) -> Any:
    frame = nw.from_native(X, eager_only=True)
    return frame.get_column(frame.columns[position])


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


def is_gap(value: Any) -> bool:
    """Whether a cell is missing: None, NaN, NaT or NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # an array in a cell
        return False
