"""Where numbers lie: means, spreads and ranges, in one pass over chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = []


class _Moments:
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
        self.update_range(chunk)

    def update_range(self, chunk: np.ndarray) -> None:
        """Take in only how far a chunk of rows reaches."""
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
