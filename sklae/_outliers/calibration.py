"""The scores that thresholds and p-values go by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklae._tables.weights import RowWeights

__all__ = ["FARTHEST", "Calibration", "KnownRows"]

_MULTIPLIER_SEED = 0x5EED
# Standard deviations up to which values are the same.
_GRID = 1e-3
#: In units of that, how far values are told apart.
FARTHEST = 1e15


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of the rows that a detector was fitted with.

    Attributes
    ----------
    training : ndarray of shape (n_rows,)
        Of all training rows, each as if it had been left out, in their order: what a share of outliers is meant of.
    held_out : ndarray of shape (n_calibration,) or None
        Of rows that were not fitted, sorted; None where there were none.
    counts : RowWeights
        How much each training row counts where a share of them is meant. Of weight 0, it is judged, but does not count.
    """

    training: np.ndarray
    held_out: np.ndarray | None
    counts: RowWeights = RowWeights(0)  # noqa: RUF009 - immutable

    @property
    def counted(self) -> np.ndarray:
        """Scores of the training rows that count."""
        return self.counts.of(self.training)

    @property
    def usual(self) -> np.ndarray:
        """What new rows are compared with, sorted: held-out rows where there are some, else those of training."""
        return np.sort(self.counted) if self.held_out is None else self.held_out

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
    score that it would have as a new one. Rows are the same where they are so to a thousandth of a standard deviation.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
    scores : ndarray of shape (n_rows,)
    """

    def __init__(self, table: np.ndarray, scores: np.ndarray):
        there = ~np.isnan(table)
        count = np.maximum(there.sum(axis=0), 1)
        self.center = np.where(there, table, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(there, table - self.center, 0.0) ** 2).sum(axis=0) / count)
        self.unit = _GRID * np.where(spread > 0, spread, np.maximum(np.abs(self.center), 1.0))
        self.keys, place = np.unique(self._keys(table), return_inverse=True)
        # copies of one row, left out one by one: their mean
        self.scores = np.bincount(place, scores) / np.bincount(place)

    def find(self, table: np.ndarray) -> np.ndarray:
        """Return the scores of rows, (n_rows,), NaN where they are not known."""
        keys = self._keys(table)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.scores[place], np.nan)

    def _keys(self, table: np.ndarray) -> np.ndarray:
        """Return a number for each row, (n_rows,), that others have with a chance of 2^-64."""
        with np.errstate(over="ignore"):
            steps = np.clip((table - self.center) / self.unit, -FARTHEST, FARTHEST)
        bits: np.ndarray = np.where(np.isnan(steps), 2 * FARTHEST, np.round(steps)).astype(np.int64).astype(np.uint64)
        key = np.zeros(len(bits), dtype=np.uint64)
        for column, multiplier in zip(bits.T, self.multipliers(bits.shape[1]), strict=True):
            key = (key ^ column) * multiplier
            key ^= key >> np.uint64(29)
        return key

    @staticmethod
    def multipliers(n: int) -> np.ndarray:
        """Return odd numbers, (n,), uint64, by which the keys of rows are made of their columns."""
        drawn = np.random.RandomState(_MULTIPLIER_SEED).randint(1, 2**63, size=n, dtype=np.int64)
        return np.bitwise_or(drawn.astype(np.uint64), 1)
