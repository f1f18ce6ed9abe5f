"""Frames as they are: names, kinds and dtypes of columns. With `frame_cells` the only file that knows about frames."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np

from sklae._utils.compat import container_adapter, safe_indexing

__all__ = [
    "as_cells",
    "columns_at",
    "columns_of",
    "concatenate",
    "declared_levels",
    "distinct_of",
    "dtype_of",
    "dtypes_of",
    "empty_like",
    "float_bits",
    "has_values",
    "is_frame",
    "is_gap",
    "is_other_float",
    "is_single",
    "kinds_of",
    "odd_columns",
    "ordered_levels",
    "refuse_odd_frames",
    "rows_of",
    "table_of",
    "values_of",
    "wrap",
]


def refuse_odd_frames(X: Any) -> None:
    """Refuse frames without rows or columns in memory, and those whose columns can't be told apart."""
    if hasattr(X, "collect"):
        raise ValueError("Got a LazyFrame; expected a frame with its rows. Call its collect() first.")
    if hasattr(X, "compute") and hasattr(X, "npartitions"):
        raise ValueError(f"Got a {type(X).__name__} of Dask; expected a frame with its rows. Call its compute() first.")
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
    return [f"{str(X.columns[i])!r} ({dtype_of(series[i])})" for i in doubtful if not _holds_numbers(series[i])]


def _is_plainly_numeric(dtype: Any) -> bool:
    return dtype.is_numeric() if hasattr(dtype, "is_numeric") else getattr(dtype, "kind", "O") in "biufc"


def _holds_numbers(series: Any) -> bool:
    kind = _kind(series)
    if kind in ("categorical", "ordered"):
        kind = _kind_by_values(series.to_list())
    return kind in ("numeric", "integer", "binary")


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


def as_cells(X: Any) -> np.ndarray:
    """Return what is no frame as an array; a list as one of objects, for beside text its numbers would become text."""
    return np.asarray(X, dtype=None if hasattr(X, "dtype") else object)


def rows_of(X: Any, rows: np.ndarray, n_rows: int) -> Any:
    """Return rows of what a user passed, which has ``n_rows`` of them, in the order given."""
    if np.array_equal(rows, np.arange(n_rows)):  # no copy
        return X
    return safe_indexing(X if is_frame(X) or hasattr(X, "__getitem__") else np.asarray(X), rows)


def concatenate(frames: Sequence[Any]) -> Any:
    """Return frames with the same columns below each other."""
    whole = nw.concat([nw.from_native(frame, eager_only=True) for frame in frames], how="vertical").to_native()
    index = getattr(whole, "index", None)
    # each part may count its own rows
    return whole if index is None or index.is_unique else whole.reset_index(drop=True)


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

#: Dtypes whose values are equal only if they are the same, as 1 and True are not.
_LOOKED_UP = (nw.String, nw.Categorical, nw.Enum, nw.Boolean)


def _kind_by_values(values: list[Any]) -> str:
    present = [value for value in values if not is_gap(value)]
    if present and all(isinstance(value, (bool, np.bool_)) for value in present):
        return "binary"
    if all(isinstance(value, (int, float, complex, Decimal, np.number, np.bool_)) for value in present):
        return "numeric"
    plain = all(isinstance(value, (str, int, float, np.number, np.bool_)) for value in present)
    return "categorical" if plain else "other"


def dtypes_of(X: Any) -> list[Any]:
    """Return the dtypes of a frame's columns, as `restore` takes them."""
    return [dtype_of(series) for series in _series(X)]


def dtype_of(series: Any) -> Any:
    """Return what `_series_like` makes a series of: pandas has more dtypes than narwhals."""
    return series.to_native().dtype if series.implementation.is_pandas_like() else series.dtype


def is_other_float(dtype: Any, own: np.dtype) -> bool:
    """Whether a dtype is one of floats, and another than NumPy's: of another width, nullable, or Arrow's."""
    name = str(dtype)
    if isinstance(dtype, nw.dtypes.DType):  # there is but one of each width
        name = name.lower()
    return name != str(own) and any(word in name.lower() for word in ("float", "double"))


def float_bits(dtype: Any) -> int:
    """Return the width of a dtype of floats, of any library, by its name."""
    name = str(dtype).lower()
    return 16 if "half" in name or "16" in name else 32 if "32" in name or name.startswith("float[") else 64


def values_of(X: Any, position: int) -> list[Any]:
    """Return the values of one of a frame's columns."""
    return _column(X, position).to_list()


def distinct_of(X: Any, position: int) -> tuple[list[Any], np.ndarray]:
    """Return the values of one of a frame's columns, and where among them each row's stands.

    Text and categories come once each, gaps too; of other columns all values are returned as they stand.
    """
    column = _column(X, position)
    native = column.to_native()
    if any(column.dtype == dtype for dtype in _LOOKED_UP):
        if hasattr(native, "factorize"):  # of pandas
            codes, found = native.factorize(use_na_sentinel=False)
            return found.tolist(), codes
        if hasattr(native, "replace_strict"):  # of polars
            found = native.unique().drop_nulls()
            codes = native.replace_strict(found, range(len(found)), default=len(found))
            return [*found.to_list(), None], codes.fill_null(len(found)).to_numpy()
    values = column.to_list()
    return values, np.arange(len(values))


def has_values(X: Any, position: int) -> bool:
    """Return whether a column has any value."""
    column = _column(X, position)
    return column.null_count() < len(column)


def ordered_levels(X: Any, position: int) -> list[Any]:
    """Return the levels of a column of ordered categories, in their order."""
    return list(_column(X, position).dtype.categories)


def declared_levels(X: Any, position: int) -> list[Any]:
    """Return the levels that the dtype of a column declares: categories of pandas, an Enum of polars."""
    column = _column(X, position)
    if column.dtype == nw.Enum:
        return list(column.dtype.categories)
    is_declared = column.dtype == nw.Categorical and column.implementation.is_pandas_like()
    return column.to_native().dtype.categories.tolist() if is_declared else []  # narwhals leaves out the unused


def _column(X: Any, position: int) -> Any:
    frame = nw.from_native(X, eager_only=True)
    return frame.get_column(frame.columns[position])


def is_gap(value: Any) -> bool:
    """Whether a cell is missing: None, NaN, NaT or NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # an array in a cell
        return False
