"""Tables from outside, validated: what scikit-learn refuses is told with a remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from sklae._tables.frame_cells import as_floats
from sklae._tables.frames import is_frame, is_single, odd_columns, refuse_odd_frames
from sklae._tables.sources import RowSource

__all__ = ["check_numbers", "check_table", "table_width"]
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
    "sequence, in a cell": "Pass an array of numbers, with rows of one length.",
    "unique column names": "Rename the duplicates.",
}
# What NumPy says, in words that say more.
_IN_OTHER_WORDS = dict.fromkeys(
    ("setting an array element", "inhomogeneous"), "Got a list, or another sequence, in a cell; expected a number."
)
_LONGEST_MESSAGE = 600


def _with_remedy(error: Exception, name: str) -> Exception:
    message = str(error)
    message = next((words for symptom, words in _IN_OTHER_WORDS.items() if symptom in message), message)
    if len(message) > _LONGEST_MESSAGE:  # some print the whole table
        message = f"{message[:_LONGEST_MESSAGE]} ..."
    remedies = [remedy for symptom, remedy in _REMEDIES.items() if symptom in message]
    where = "" if name == "X" else f"In {name}: "
    return type(error)(" ".join([f"{where}{message}", *remedies[:1]]))


def _refuse_sources(X: Any) -> None:
    if isinstance(X, RowSource):
        raise TypeError(
            f"Got {type(X).__name__}, a source of rows; expected a table in memory. Of sources there are fit, "
            "partial_fit, transform, reconstruct, score_samples, score, and a detector's predict, decision_function "
            "and p_values."
        )


def _refuse_odd_arrays(X: Any) -> None:
    """Refuse arrays of text, dates and other non-numbers, which scikit-learn would convert or say less of."""
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind and kind in "mMSUV":
        raise ValueError(f"Got an array of dtype {X.dtype}; expected numbers or booleans. {_FRAME_OR_ENCODE}")


def _refuse_odd_columns(wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(
            f"Got columns of text, dates or the like where fit saw numbers: {', '.join(wrong[:5])}{more}; expected "
            "numbers. Convert them first, or pass the columns that were fitted."
        )


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
        _refuse_sources(X)
        refuse_odd_frames(X)
        _refuse_odd_arrays(X)
        if wrong := odd_columns(X):
            if hasattr(estimator, "feature_names_in_"):  # other columns altogether?
                validate_data(estimator, X, reset=reset, skip_check_array=True)
            _refuse_odd_columns(wrong)
        return validate_data(
            estimator,
            as_floats(X),
            reset=reset,
            dtype=np.float32 if is_single(X) else [np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=min_samples,
        )
    except (ValueError, TypeError) as error:
        raise _with_remedy(error, name) from error


def check_numbers(X: Any) -> np.ndarray:
    """Return a table of numbers as an array, whatever its columns are called; NaN marks a missing value."""
    try:
        _refuse_odd_columns(odd_columns(X))
        return check_array(as_floats(X), dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    except (ValueError, TypeError) as error:
        raise _with_remedy(error, "X") from error


def table_width(X: Any) -> int:
    """Return the number of columns of a table whose cells have not been looked at yet.

    Raises
    ------
    ValueError, TypeError
        If it is none.
    """
    _refuse_sources(X)
    refuse_odd_frames(X)
    if is_frame(X):
        return len(X.columns)
    try:
        return check_array(X, dtype=None, ensure_all_finite=False, ensure_min_samples=0).shape[1]
    except (ValueError, TypeError) as error:
        raise _with_remedy(error, "X") from error
