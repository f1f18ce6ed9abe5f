"""Integers in bins: a bin is a symbol, and where in it an integer lies is written beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklae.compression._coder import IntReader, IntWriter

__all__ = ["Bins"]

# So many neighbouring integers are a bin each; of more, bins hold about equally many values.
_MOST_SINGLE = 512
# Shares of all values from which on one has a bin to itself.
_SPIKE = 1 / 400


@dataclass(frozen=True, eq=False)
class Bins:
    """Parts of the integers.

    Attributes
    ----------
    edges : ndarray of int64
        Ascending: bin k holds the integers from ``edges[k]`` to less than ``edges[k + 1]``.
    """

    edges: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, n_bins: int, low: int, high: int) -> Bins:
        """Return bins for such values that hold all integers from ``low`` to ``high``."""
        if not len(values):
            return cls(np.array([low, high + 1]))
        least, most = int(values.min()), int(values.max())
        if most - least < _MOST_SINGLE:
            inner = np.arange(least, most + 2)
        else:
            ordered = np.sort(values)
            at = np.unique((np.arange(1, n_bins) * len(ordered)) // n_bins)
            distinct, counts = np.unique(ordered, return_counts=True)
            spikes = distinct[counts > max(len(values) * _SPIKE, 3)][:n_bins]
            inner = np.concatenate([[least, most + 1], ordered[at], spikes, spikes + 1])
        reach = 1 + (most - least) // 4  # further out than all that was seen, but not by far
        ends = np.array([low, max(low, least - reach), min(high, most + reach) + 1, high + 1])
        return cls(np.unique(np.concatenate([ends, inner])))

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def sizes(self) -> np.ndarray:
        """How many integers each bin holds."""
        return np.diff(self.edges)

    def find(self, values: np.ndarray) -> np.ndarray:
        """Return the bins that integers are in."""
        return np.searchsorted(self.edges, values, side="right") - 1

    def model_bits(self) -> float:
        """Return about what the edges take in a model."""
        sizes = np.array([size for size, _ in _runs(self.sizes)])
        return float((2.0 + np.log2(sizes)).sum())

    def write(self, to: IntWriter) -> None:
        """Write the edges."""
        to.ints("first edge", [self.edges[0]])
        runs = _runs(self.sizes)  # of single integers, mostly
        to.counted("size of bin", [size for size, _ in runs])
        to.ints("number of bins alike", [count for _, count in runs])

    @classmethod
    def read(cls, source: IntReader) -> Bins:
        """Read edges that were written."""
        first = source.one("first edge")
        sizes = source.counted("size of bin")
        sizes = np.repeat(sizes, source.ints("number of bins alike", len(sizes)))
        return cls(first + np.concatenate([[0], np.cumsum(sizes)]))


def _runs(sizes: np.ndarray) -> list[tuple[int, int]]:
    """Return sizes and how often each follows itself."""
    starts = np.flatnonzero(np.diff(sizes, prepend=-1))
    counts = np.diff(starts, append=len(sizes))
    return list(zip(sizes[starts].tolist(), counts.tolist(), strict=True))
