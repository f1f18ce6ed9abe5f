"""The scores that thresholds and p-values go by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Calibration", "KnownRows"]

_MULTIPLIER_SEED = 0x5EED


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of the rows that a detector was fitted with.

    Attributes
    ----------
    training : ndarray of shape (n_rows,)
        Of all training rows, each as if it had been left out, in their order: what a share of outliers is meant of.
    held_out : ndarray of shape (n_calibration,) or None
        Of rows that were not fitted, sorted; None where there were none.
    """

    training: np.ndarray
    held_out: np.ndarray | None

    @property
    def usual(self) -> np.ndarray:
        """What new rows are compared with, sorted: held-out rows where there are some, else those of training."""
        return np.sort(self.training) if self.held_out is None else self.held_out

    def require_held_out(self, wanted: str) -> np.ndarray:
        """Return the scores of held-out rows; AttributeError that says what for, where there are none."""
        if self.held_out is None:
            raise AttributeError(
                f"Got {wanted} of a detector that was fitted without held-out rows; expected some, for its promise "
                "holds beside rows that no part of the model has seen. Fit with validation_fraction=0.2, or "
                "fit(X, X_val=...)."
            )
        return self.held_out


class KnownRows:
    """Rows that were fitted, and their scores, each as if it had been left out.

    A fitted row looks more usual to the model than a new one just like it would. Where it turns up again, this has the
    score that it would have as a new one. Rows are the same where they are so in single precision.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
    scores : ndarray of shape (n_rows,)
    """

    def __init__(self, table: np.ndarray, scores: np.ndarray):
        keys, place = np.unique(_keys(table), return_inverse=True)
        self.keys = keys
        # copies of one row, left out one by one: their mean
        self.scores = np.bincount(place, scores) / np.bincount(place)

    def find(self, table: np.ndarray) -> np.ndarray:
        """Return the scores of rows, (n_rows,), NaN where they are not known."""
        keys = _keys(table)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.scores[place], np.nan)


def _keys(table: np.ndarray) -> np.ndarray:
    """Return a number for each row, (n_rows,), that others have with a chance of 2^-64."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.ascontiguousarray(table.astype(np.float32) + np.float32(0.0))  # -0 is 0
    values[np.isnan(values)] = np.nan
    bits = values.view(np.uint32).astype(np.uint64)
    multipliers = np.random.RandomState(_MULTIPLIER_SEED).randint(1, 2**63, size=bits.shape[1], dtype=np.int64)
    key = np.zeros(len(bits), dtype=np.uint64)
    for column, multiplier in zip(bits.T, multipliers.astype(np.uint64) | np.uint64(1), strict=True):
        key = (key ^ column) * multiplier
        key ^= key >> np.uint64(29)
    return key
