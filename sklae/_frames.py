"""Tables from outside: validation, text levels and frames. The only file that knows about frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.utils.validation import check_array, validate_data

from sklae._compat import container_adapter, safe_indexing

__all__ = [
    "Categories",
    "check_table",
    "columns_of",
    "empty_like",
    "is_frame",
    "rows_of",
    "table_of",
    "table_width",
    "wrap",
]

# What scikit-learn says, and what to do about it.
_ENCODE = "Encode text columns first, e.g. with OneHotEncoder in a ColumnTransformer."
_REMEDIES = {
    "could not convert string": _ENCODE,
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


def _refuse_non_numeric(X: Any) -> None:
    """Refuse text, dates and other non-numbers, naming a frame's columns."""
    _refuse_odd_frames(X)
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind and kind in "mMSUV":
        raise ValueError(f"Got an array of dtype {X.dtype}; expected numbers or booleans. Convert or encode it first.")
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return
    found = [
        f"{column!r} ({dtype})"
        for column, dtype in zip(X.columns, dtypes, strict=True)
        if not _is_numeric(dtype, X, column)
    ]
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ValueError(
            f"Got non-numeric columns: {', '.join(found[:5])}{more}; expected numbers or booleans. "
            "Encode them first, e.g. with OneHotEncoder in a ColumnTransformer, or drop them."
        )


def _is_numeric(dtype: Any, X: Any, column: Any) -> bool:
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric() or str(dtype) in ("Boolean", "Null"))
    kind = getattr(dtype, "kind", "O")  # NumPy and pandas extension types
    if kind == "O":  # an object column may still hold numbers, as in a frame made row by row
        return all(isinstance(value, (int, float, np.number, np.bool_)) or _is_missing(value) for value in X[column])
    return kind in "biufc"  # complex: refused by scikit-learn with its own words


def _is_single(X: Any) -> bool:
    """Whether X is a frame of float32 columns only: scikit-learn would widen one of polars."""
    return hasattr(X, "columns") and all(str(dtype).lower() == "float32" for dtype in X.dtypes)


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"


def check_table(estimator: Any, X: Any, *, reset: bool, min_samples: int = 1, name: str = "X") -> np.ndarray:
    """Validate a numeric table and return it as an array, without a copy where possible.

    Parameters
    ----------
    estimator : object
        The estimator whose ``n_features_in_`` and ``feature_names_in_`` are set or compared.
    X : array-like or frame of shape (n_samples, n_features)
        NaN marks a missing value.
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
        _refuse_non_numeric(X)
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
    columns = _named(nw.from_native(X, eager_only=True))
    return {name: columns[name].to_list() for name in names if name in columns}


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


def rows_of(X: Any, table: np.ndarray, rows: np.ndarray) -> Any:
    """Return some rows of what a validated table was read from: of a frame as a frame, else of the table."""
    if len(rows) == len(table):
        return X
    return safe_indexing(X, rows) if is_frame(X) else table[rows]


@dataclass(frozen=True, eq=False)
class Categories:
    """The levels of text-like columns, and their codes: 0, 1, ... in sorted order; NaN for missing or unknown.

    Attributes
    ----------
    levels : dict of str to list
        Column name -> its levels.
    dtypes : dict of str to dtype
        What the columns were made of.
    """

    levels: Mapping[str, list] = field(default_factory=dict)
    dtypes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fit(cls, X: Any, features: Sequence[str]) -> Categories:
        """Learn the levels of those columns that hold no numbers."""
        columns = _named(nw.from_native(X, eager_only=True))
        found = {name: columns[name] for name in features if not columns[name].dtype.is_numeric()}
        levels = {name: _levels(series.to_list()) for name, series in found.items()}
        return cls(levels, {name: _dtype(series) for name, series in found.items()})

    def encode(self, X: Any) -> Any:
        """Return the frame with codes in place of levels; what is no frame is returned as it is."""
        if not self.levels or not is_frame(X):
            return X
        frame = nw.from_native(X, eager_only=True)
        columns = _named(frame)
        others = [series.dtype for name, series in columns.items() if name not in self.levels]
        dtype = nw.Float32() if others and all(other == nw.Float32 for other in others) else nw.Float64()
        series = [
            nw.new_series(
                columns[name].name, self.codes(name, columns[name].to_list()), dtype, backend=frame.implementation
            )
            for name in self.levels
            if name in columns
        ]
        return frame.with_columns(*series).to_native()

    def codes(self, name: str, values: Sequence[Any], *, strict: bool = False) -> np.ndarray:
        """Return the codes of values; ``strict`` refuses unknown ones."""
        levels = self.levels[name]
        known = {level: float(code) for code, level in enumerate(levels)}
        if strict:
            unknown = [value for value in values if not _is_gap(value) and value not in known]
            if unknown:
                raise ValueError(
                    f"Got condition {name}={unknown[0]!r}, which fit has not seen; expected one of {levels[:20]}. "
                    "Check its spelling and its type."
                )
        return np.array([np.nan if _is_gap(value) else known.get(value, np.nan) for value in values], dtype=np.float64)

    def decode(self, X: Any) -> Any:
        """Return the frame with levels in place of codes."""
        if not self.levels or not is_frame(X):
            return X
        frame = nw.from_native(X, eager_only=True)
        columns = _named(frame)
        series = [
            _series_like(columns[name], self._values(name, columns[name].to_numpy()), dtype)
            for name, dtype in self.dtypes.items()
        ]
        return frame.with_columns(*series).to_native()

    def _values(self, name: str, codes: np.ndarray) -> list[Any]:
        """Return the levels of codes, None for what is no code."""
        known = dict(enumerate(self.levels[name]))
        return [known.get(code) for code in codes.tolist()]


def _named(frame: Any) -> dict[str, Any]:
    """Return the columns of a narwhals frame by their names as text, for pandas has others, too."""
    return {str(name): frame.get_column(name) for name in frame.columns}


def _dtype(series: Any) -> Any:
    """Return what `_series_like` makes a series of: pandas has more dtypes than narwhals."""
    return series.to_native().dtype if series.implementation.is_pandas_like() else series.dtype


def _series_like(series: Any, values: list[Any], dtype: Any) -> Any:
    """Return a series with the name and the index of another one, of given values and dtype."""
    if not series.implementation.is_pandas_like():
        return nw.new_series(series.name, values, dtype, backend=series.implementation)
    native = series.to_native()
    if getattr(dtype, "kind", "") == "b" and None in values and isinstance(dtype, np.dtype):
        dtype = object  # a missing value would become False
    return nw.from_native(type(native)(values, index=native.index, dtype=dtype, name=native.name), series_only=True)


def _is_gap(value: Any) -> bool:
    return _is_missing(value) or value != value


def _levels(values: list) -> list:
    """Return the values that occur, sorted; those of several types by type first."""
    return sorted({value for value in values if not _is_gap(value)}, key=lambda value: (type(value).__name__, value))
