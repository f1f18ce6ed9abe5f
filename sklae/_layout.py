"""The columns of a table: what they are, how they become tensors, how they come back.

The only file that knows about frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from sklae._compat import container_adapter

__all__ = ["Layout", "check_table"]

_CHUNK_ELEMENTS = 2**20

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


def _refuse_non_numeric(X: Any) -> None:
    """Refuse text, dates and other non-numbers, naming a frame's columns."""
    if hasattr(X, "collect"):
        raise ValueError("Got a LazyFrame; expected a frame with its rows. Call its collect() first.")
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind and kind in "mMSUV":
        raise ValueError(f"Got an array of dtype {X.dtype}; expected numbers or booleans. Convert or encode it first.")
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return
    names = [str(column) for column in X.columns]
    if not names:
        raise ValueError("Got a table without columns; expected at least one. Check how it was read.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})[:5]
        raise ValueError(f"Got column names that occur twice: {twice}; expected unique names. Rename the duplicates.")
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


@dataclass(frozen=True, eq=False)
class Layout:
    """The columns of a fitted table and their scaling, made once in ``fit``.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64, as fitted.
    mean, deviation : ndarray of shape (n_features,), float64
        Of the values seen in ``fit``, in the user's units.
    offset, scale : ndarray of shape (n_features,), float64
        Encoded value = (value - offset) / scale.
    varies : ndarray of shape (n_features,), bool
        False for columns that were constant in ``fit``; they leave the density.
    minimum, maximum : ndarray of shape (n_features,), float64
        The range seen in ``fit``, encoded.
    fill : ndarray of shape (n_features,), float64
        The encoded value that stands in for a missing one: the column's mean.
    has_missing : bool
        Whether ``fit`` saw gaps.
    clip : float or None
        How many standard deviations from their mean training targets and encoder inputs may lie.
    container : frame of no rows, or None
        What data-space verbs return: a frame like this one, or (None) an array.
    """

    dtype: np.dtype
    mean: np.ndarray
    deviation: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    varies: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    fill: np.ndarray
    has_missing: bool
    clip: float | None
    container: Any

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        *,
        rows: np.ndarray | None,
        standardize: bool,
        source: Any,
        clip: float | None = None,
    ) -> Layout:
        """Read the scaling from the given rows of X (all of them for None), in bounded memory."""
        columns = _Columns(X.shape[1])
        for chunk, _ in _chunks(X, rows):
            columns.update(chunk)
        mean, deviation = columns.mean, columns.deviation()
        columns.check(getattr(source, "columns", np.arange(len(mean))))
        varies = columns.varies()
        if not varies.any():
            raise ValueError(
                f"Got {len(mean)} columns that are all constant (or vary by less than about 1e-150); expected at least "
                "one that varies. There is nothing to learn from this table."
            )
        scale = np.where(varies, deviation, 1.0) if standardize else np.ones_like(mean)
        offset = mean if standardize else np.zeros_like(mean)
        fill = (mean - offset) / scale
        return cls(
            dtype=X.dtype,
            mean=mean,
            deviation=deviation,
            offset=offset,
            scale=scale,
            varies=varies,
            minimum=np.where(varies, (columns.low - offset) / scale, fill),
            maximum=np.where(varies, (columns.high - offset) / scale, fill),
            fill=fill,
            has_missing=bool((columns.count < columns.n_rows).any()),
            clip=clip,
            container=_empty_like(source) if hasattr(source, "columns") else None,
        )

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return len(self.offset)

    @property
    def log_jacobian(self) -> np.ndarray:
        """Per column, what turns a log-density of encoded values into one in the user's units (nats)."""
        return -np.log(self.scale)

    @property
    def clip_bounds(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The least and largest encoded values after clipping, per column, float32; None for no clipping."""
        if self.clip is None:
            return None
        reach = self.clip * self.deviation / self.scale
        low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in (self.fill - reach, self.fill + reach))
        return low, high

    def encode(
        self, X: np.ndarray, *, rows: np.ndarray | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode rows of X.

        Returns
        -------
        x : Tensor of shape (n_rows, n_features)
            A fresh tensor; gaps hold `fill`, columns constant in ``fit`` their constant.
        observed : Tensor of the same shape, or None
            1 where a value was observed, 0 in gaps. None if there is no gap.
        """
        n_rows = len(X) if rows is None else len(rows)
        x = torch.empty((n_rows, self.n_features), dtype=dtype)
        observed = torch.ones_like(x) if self.has_missing else None
        for chunk, place in _chunks(X, rows):
            values = np.subtract(chunk, self.offset, dtype=np.float64)
            values /= self.scale
            gaps = np.isnan(values)
            if gaps.any():
                values[gaps] = np.broadcast_to(self.fill, values.shape)[gaps]
                if observed is None:
                    observed = torch.ones_like(x)
                observed.numpy()[place] = ~gaps
            if not self.varies.all():
                values[:, ~self.varies] = self.fill[~self.varies]
            with np.errstate(over="ignore"):  # values past float32 only where nothing was scaled: the loss will say
                x.numpy()[place] = values
        return x, observed

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return encoded values to the user's units, columns constant in ``fit`` to their constant."""
        values = values * self.scale + self.offset
        if not self.varies.all():
            values[:, ~self.varies] = self.mean[~self.varies]
        return values

    def wrap(self, values: np.ndarray, *, like: Any = None) -> Any:
        """Put decoded values into the container that was fitted, with the row index of ``like``."""
        if self.container is None:
            return values
        adapter = container_adapter(self.container)
        return adapter.create_container(values, like, columns=list(self.container.columns), inplace=False)


def _empty_like(frame: Any) -> Any:
    """Return a frame of the same library and columns, that keeps nothing of the table alive."""
    columns = list(frame.columns)
    return container_adapter(frame).create_container(np.empty((0, len(columns))), None, columns=columns, inplace=False)


def _chunks(X: np.ndarray, rows: np.ndarray | None) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield parts of X (or of the given rows) of about a million elements, and their places."""
    n_rows = len(X) if rows is None else len(rows)
    step = max(1, _CHUNK_ELEMENTS // X.shape[1])
    for start in range(0, n_rows, step):
        place = slice(start, min(start + step, n_rows))
        yield (X[place] if rows is None else X[rows[place]]), place


class _Columns:
    """Mean, spread and range of each column, over chunks (Chan et al., 1983) and around gaps.

    By hand: scikit-learn's incremental variance is NaN for a column that is missing throughout a chunk.
    """

    def __init__(self, n_features: int):
        self.n_rows = 0
        self.count, self.mean, self.squares = np.zeros((3, n_features))
        self.low, self.high = np.full(n_features, np.inf), np.full(n_features, -np.inf)

    def update(self, chunk: np.ndarray) -> None:
        """Take in a chunk of rows."""
        # in one memory order, whatever the table's: sums depend on it in their last bits
        chunk = np.ascontiguousarray(chunk, dtype=np.float64)
        observed = ~np.isnan(chunk)
        count = observed.sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.sum(chunk, axis=0, where=observed) / np.maximum(count, 1)
            squares = np.sum((chunk - mean) ** 2, axis=0, where=observed)
            total = np.maximum(self.count + count, 1)
            shift = mean - self.mean
            self.squares += squares + shift**2 * (self.count * count / total)
            self.mean += shift * (count / total)
        self.count += count
        self.n_rows += len(chunk)
        self.low = np.fmin(self.low, np.fmin.reduce(chunk, axis=0))
        self.high = np.fmax(self.high, np.fmax.reduce(chunk, axis=0))

    def deviation(self) -> np.ndarray:
        """Return the standard deviation, biased, as `StandardScaler` has it."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))

    def varies(self) -> np.ndarray:
        """Return which columns vary by more than the rounding of their sums (scikit-learn's rule)."""
        rounding = self.count * np.finfo(np.float64).eps
        variance = self.deviation() ** 2
        return (self.high > self.low) & (variance > rounding * variance + (rounding * self.mean) ** 2)

    def check(self, names: Any) -> None:
        """Refuse columns without a value, and columns whose spread overflows."""
        names = np.asarray(names, dtype=object)
        empty = self.count == 0
        if empty.any():
            raise ValueError(
                f"Got columns in which every value is missing: {names[empty].tolist()[:5]}; expected at least "
                "one value in each. Drop them first."
            )
        wild = ~np.isfinite(self.deviation())
        if wild.any():
            raise ValueError(
                f"Got values whose variance overflows in columns {names[wild].tolist()[:5]}; expected magnitudes below "
                "about 1e150. Rescale them, take logarithms, or replace codes for missing values by NaN."
            )
