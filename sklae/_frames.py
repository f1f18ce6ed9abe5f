"""Tables from outside: validation, kinds of columns and frames. The only file that knows about frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.utils.validation import check_array, validate_data

from sklae._compat import container_adapter, safe_indexing

__all__ = [
    "append_columns",
    "check_numbers",
    "check_table",
    "columns_of",
    "dtypes_of",
    "empty_like",
    "is_frame",
    "is_gap",
    "is_other_float",
    "kinds_of",
    "ordered_levels",
    "replace_columns",
    "restore",
    "rows_of",
    "table_of",
    "table_width",
    "values_of",
    "without",
    "wrap",
]

# What scikit-learn says, and what to do about it.
_FRAME_OR_ENCODE = "Pass a frame, whose text columns are read as categories, or encode them with OneHotEncoder."
_REMEDIES = {
    "could not convert string": _FRAME_OR_ENCODE,
    "argument must be a string": "Pass an array of numbers.",
    "Complex data": "Pass the real and the imaginary parts as separate columns.",
    "infinity": "Replace infinite values, or mark them as missing with NaN.",
    "Sparse data": "Or reduce the width first with TruncatedSVD.",
    "Expected 2D array": "Rows are samples, columns are features.",
    "while dim <= 2": "Flatten each sample: X.reshape(len(X), -1).",
    "expected <= 2": "Flatten each sample: X.reshape(len(X), -1).",
    "minimum of": "Pass more of them.",
    "features, but": "Pass the columns that were fitted, in the same order.",
    "feature names should match": "Select them: X[list(estimator.feature_names_in_)].",
    "setting an array element": "Pass an array of numbers, with rows of one length.",
    "inhomogeneous": "Pass an array of numbers, with rows of one length.",
    "unique column names": "Rename the duplicates.",
}
_LONGEST_MESSAGE = 600


def _with_remedy(error: Exception, name: str) -> Exception:
    message = str(error)
    if len(message) > _LONGEST_MESSAGE:  # some print the whole table
        message = f"{message[:_LONGEST_MESSAGE]} ..."
    remedies = [remedy for symptom, remedy in _REMEDIES.items() if symptom in message]
    where = "" if name == "X" else f"In {name}: "
    return type(error)(" ".join([f"{where}{message}", *remedies[:1]]))


def _refuse_odd_frames(X: Any) -> None:
    """Refuse frames without rows or columns in memory, and those whose columns can't be told apart."""
    if hasattr(X, "collect"):
        raise ValueError("Got a LazyFrame; expected a frame with its rows. Call its collect() first.")
    if not is_frame(X):
        return
    names = [str(column) for column in X.columns]
    if not names:
        raise ValueError("Got a table without columns; expected at least one. Check how it was read.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})[:5]
        raise ValueError(f"Got column names that occur twice: {twice}; expected unique names. Rename the duplicates.")


def _refuse_odd_arrays(X: Any) -> None:
    """Refuse arrays of text, dates and other non-numbers, which scikit-learn would convert or say less of."""
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind and kind in "mMSUV":
        raise ValueError(f"Got an array of dtype {X.dtype}; expected numbers or booleans. {_FRAME_OR_ENCODE}")


def _odd_columns(X: Any) -> list[str]:
    """Return which columns of a frame hold no numbers, though its categories are codes by now: some would convert."""
    if not is_frame(X):
        return []
    doubtful = [i for i, dtype in enumerate(X.dtypes) if not _is_plainly_numeric(dtype)]
    series = _series(X) if doubtful else []
    return [f"{X.columns[i]!r} ({_dtype(series[i])})" for i in doubtful if not _holds_numbers(series[i])]


def _refuse_odd_columns(wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(
            f"Got columns of text, dates or the like where fit saw numbers: {', '.join(wrong[:5])}{more}; expected "
            "numbers. Convert them first, or pass the columns that were fitted."
        )


def _is_plainly_numeric(dtype: Any) -> bool:
    return dtype.is_numeric() if hasattr(dtype, "is_numeric") else getattr(dtype, "kind", "O") in "biufc"


def _holds_numbers(series: Any) -> bool:
    kind = _kind(series)
    if kind in ("categorical", "ordered"):
        kind = _kind_by_values(series.to_list())
    return kind in ("numeric", "integer", "binary")


def _is_single(X: Any) -> bool:
    """Whether X is a frame of float32 columns only: scikit-learn would widen one of polars."""
    return hasattr(X, "columns") and all(str(dtype).lower() == "float32" for dtype in X.dtypes)


def check_table(estimator: Any, X: Any, *, reset: bool, min_samples: int = 1, name: str = "X") -> np.ndarray:
    """Validate a numeric table and return it as an array, without a copy where possible.

    Parameters
    ----------
    estimator : object
        The estimator whose ``n_features_in_`` and ``feature_names_in_`` are set or compared.
    X : array-like or frame of shape (n_samples, n_features)
        Numbers; categories are codes by now. NaN marks a missing value.
    reset : bool
        Whether this is the table that defines the features.
    min_samples : int, default=1
        The smallest number of rows to accept.
    name : str, default="X"
        What to call the table in an error.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), float32 or float64

    Raises
    ------
    ValueError, TypeError
        With what was got, what was expected and the remedy.
    """
    try:
        _refuse_odd_frames(X)
        _refuse_odd_arrays(X)
        if wrong := _odd_columns(X):
            validate_data(estimator, X, reset=reset, skip_check_array=True)  # other columns altogether, by their names
            _refuse_odd_columns(wrong)
        return validate_data(
            estimator,
            X,
            reset=reset,
            dtype=np.float32 if _is_single(X) else [np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=min_samples,
        )
    except (ValueError, TypeError) as error:
        raise _with_remedy(error, name) from error


def check_numbers(X: Any) -> np.ndarray:
    """Return a table of numbers as an array, whatever its columns are called; NaN marks a missing value."""
    try:
        _refuse_odd_columns(_odd_columns(X))
        return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    except (ValueError, TypeError) as error:
        raise _with_remedy(error, "X") from error


def table_width(X: Any) -> int:
    """Return the number of columns of a table whose cells have not been looked at yet.

    Raises
    ------
    ValueError, TypeError
        If it is none.
    """
    _refuse_odd_frames(X)
    if is_frame(X):
        return len(X.columns)
    try:
        return check_array(X, dtype=None, ensure_all_finite=False, ensure_min_samples=0).shape[1]
    except (ValueError, TypeError) as error:
        raise _with_remedy(error, "X") from error


def is_frame(X: Any) -> bool:
    """Whether X has named columns."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def columns_of(X: Any, names: Sequence[str]) -> dict[str, list]:
    """Return the values of those named columns that a frame has."""
    columns = {str(name): X[name] for name in X.columns}
    return {name: nw.from_native(columns[name], series_only=True).to_list() for name in names if name in columns}


def empty_like(frame: Any) -> Any:
    """Return a frame of the same library and columns, that keeps nothing of the table alive."""
    columns = list(frame.columns)
    return container_adapter(frame).create_container(np.empty((0, len(columns))), None, columns=columns, inplace=False)


def wrap(values: np.ndarray, container: Any, *, like: Any = None) -> Any:
    """Put values into a frame like the (empty) container, with the row index of ``like``; None: leave the array."""
    if container is None:
        return values
    adapter = container_adapter(container)
    return adapter.create_container(values, like, columns=list(container.columns), inplace=False)


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
    return container_adapter(container).create_container(values, like, columns=list(names), inplace=False)


def append_columns(X: Any, columns: Mapping[str, np.ndarray]) -> Any:
    """Return the frame with further columns at its end."""
    frame = nw.from_native(X, eager_only=True)
    first = frame.get_column(frame.columns[0])
    series = [_series_like(first, values.tolist(), _dtype_of_array(first, values)) for values in columns.values()]
    return frame.with_columns(*(one.alias(name) for one, name in zip(series, columns, strict=True))).to_native()


def _dtype_of_array(series: Any, values: np.ndarray) -> Any:
    return values.dtype if series.implementation.is_pandas_like() else nw.Boolean()


def without(X: Any, value: Any) -> Any:
    """Return the frame with gaps where cells hold that value."""
    frame = nw.from_native(X, eager_only=True)
    series = []
    for name in frame.columns:
        column = frame.get_column(name)
        cells = column.to_list()
        if any(_equals(cell, value) for cell in cells):
            kept = [None if _equals(cell, value) else cell for cell in cells]
            series.append(_series_like(column, kept, _dtype(column)))
    return frame.with_columns(*series).to_native() if series else X


def _equals(cell: Any, value: Any) -> bool:
    return type(cell) is not bool and not is_gap(cell) and isinstance(cell, type(value) | int | float) and cell == value


def rows_of(X: Any, rows: np.ndarray, n_rows: int) -> Any:
    """Return some rows of what a user passed, which has ``n_rows`` of them."""
    if len(rows) == n_rows:
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
    return "numeric" if getattr(native, "kind", "") in tuple("iufc") or str(native) == "Null" else "other"


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
    return _series(X)[position].to_list()


def ordered_levels(X: Any, position: int) -> list[Any]:
    """Return the levels of a column of ordered categories, in their order."""
    return list(_series(X)[position].dtype.categories)


def replace_columns(X: Any, columns: Mapping[str, np.ndarray]) -> Any:
    """Return the frame with numbers in some of its columns: float32 where all others are float32."""
    frame = nw.from_native(X, eager_only=True)
    names = {str(name): name for name in frame.columns}
    others = [frame.get_column(name).dtype for text, name in names.items() if text not in columns]
    dtype = nw.Float32() if others and all(other == nw.Float32 for other in others) else nw.Float64()
    series = [
        nw.new_series(names[text], values, dtype, backend=frame.implementation)
        for text, values in columns.items()
        if text in names
    ]
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
