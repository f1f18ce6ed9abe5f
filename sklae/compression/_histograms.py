"""Counts of symbols on a coarse logarithmic scale: what a distribution costs in a model, and what it codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklae.compression._coder import IntReader, IntWriter, Tables

__all__ = ["Histograms", "fit_histograms", "fit_levels"]

# Steps of the scale to a factor of 2, the level of a count of 1 (no count at all is level 0, a 16th of it), and the
# highest.
_STEPS, _ONE, _HIGHEST = 4, 16, 160
# 2 ** (i / 4) in units of 2**-30, as integers: floating point powers differ between machines.
_POWERS = np.array([1073741824, 1276901417, 1518500250, 1805811301], dtype=np.int64)
# Bits that a level other than the expected one takes in a model, and one as expected; chosen on four tables.
_CHANGED, _UNCHANGED = 6.0, 0.25


def _levels_of(counts: np.ndarray) -> np.ndarray:
    levels = np.rint(_STEPS * np.log2(np.maximum(counts, 1))).astype(np.int64) + _ONE
    return np.where(counts > 0, np.minimum(levels, _HIGHEST), 0)


def _weights_of(levels: np.ndarray) -> np.ndarray:
    """Return integers in proportion, by integer arithmetic alone."""
    return np.maximum(_POWERS[levels % _STEPS] >> np.maximum(30 - levels // _STEPS, 0), 1) << np.maximum(
        levels // _STEPS - 30, 0
    )


class Fitted(NamedTuple):
    """Levels of one distribution.

    Attributes
    ----------
    levels : ndarray of int64
    model_bits, data_bits : float
        About what the levels take in a model, and what the counted symbols take under them.
    """

    levels: np.ndarray
    model_bits: float
    data_bits: float

    @property
    def bits(self) -> float:
        """All of it."""
        return self.model_bits + self.data_bits


def _expected(root: np.ndarray, size_level: int, root_size_level: int) -> np.ndarray:
    """Return the levels of a part of the counted symbols that is like all of them."""
    return np.maximum(root + (size_level - root_size_level), 0)


def _size_level(counts: np.ndarray) -> int:
    return int(_levels_of(np.array([counts.sum()]))[0])


def _data_bits(counts: np.ndarray, levels: np.ndarray) -> float:
    weights = _weights_of(levels)
    there = counts > 0
    return float((counts[there] * (np.log2(weights.sum()) - np.log2(weights[there]))).sum())


def fit_levels(counts: np.ndarray, root: np.ndarray | None = None, root_size_level: int = 0) -> Fitted:
    """Return levels for counts; beside a root's they differ only where that saves more than it takes."""
    own = _levels_of(counts)
    if root is None:
        jumps = np.abs(np.diff(own, prepend=0))
        return Fitted(own, float((2.0 * np.log2(1.0 + jumps) + 1.0).sum()), _data_bits(counts, own))
    if not counts.any():
        return Fitted(root, 1.0, 0.0)
    like = _expected(root, _size_level(counts), root_size_level)
    shares = _weights_of(like) / _weights_of(like).sum()
    expected = shares * counts.sum()
    # bits lost if a symbol keeps the expected share: those of the divergence, symbol by symbol
    lost = counts * np.log2(np.maximum(counts, 1e-9) / expected) + (expected - counts) / np.log(2.0)
    price = _CHANGED + 0.5 * np.log2(1.0 + np.abs(own - like))
    levels = np.where(lost > price, own, like)
    changed = levels != like
    return Fitted(levels, float(price[changed].sum() + _UNCHANGED * (~changed).sum() + 4.0), _data_bits(counts, levels))


class Histograms:
    """Distributions of the same symbols in several contexts, all like a root to begin with.

    Parameters
    ----------
    root : ndarray of shape (n_symbols,), int64
        Levels of all contexts together.
    sizes : ndarray of shape (n_contexts,), int64
        Levels of how many symbols each has; first of all together.
    levels : ndarray of shape (n_contexts, n_symbols), int64
    """

    def __init__(self, root: np.ndarray, root_size: int, sizes: np.ndarray, levels: np.ndarray):
        self.root, self.root_size, self.sizes, self.levels = root, root_size, sizes, levels
        self.tables = Tables(_weights_of(levels))

    def write(self, to: IntWriter) -> None:
        """Write the levels, those of contexts as what they differ by from the expected ones."""
        to.ints("step of root", np.diff(self.root, prepend=0))
        to.ints("size of root", [self.root_size])
        if len(self.levels) == 1:
            return
        to.ints("size of context", self.root_size - self.sizes)
        for size, levels in zip(self.sizes, self.levels, strict=True):
            expected = _expected(self.root, size, self.root_size)
            for level in range(0, 41, 8):  # symbols that are rare in all contexts are seldom worth a change
                at = np.minimum(expected, 40) // 8 * 8 == level
                to.ints(f"change of {level}", levels[at] - expected[at])

    @classmethod
    def read(cls, source: IntReader, n_contexts: int, n_symbols: int) -> Histograms:
        """Read what was written."""
        root = np.cumsum(source.ints("step of root", n_symbols))
        root_size = source.one("size of root")
        if n_contexts == 1:
            return cls(root, root_size, np.array([root_size]), root[None])
        sizes = root_size - source.ints("size of context", n_contexts)
        levels = np.empty((n_contexts, n_symbols), dtype=np.int64)
        for i, size in enumerate(sizes):
            expected = _expected(root, size, root_size)
            for level in range(0, 41, 8):
                at = np.minimum(expected, 40) // 8 * 8 == level
                levels[i, at] = expected[at] + source.ints(f"change of {level}", int(at.sum()))
        return cls(root, root_size, sizes, levels)


def fit_histograms(counts: np.ndarray) -> Histograms:
    """Return distributions for counts of shape (n_contexts, n_symbols)."""
    total = counts.sum(axis=0)
    root, root_size = fit_levels(total).levels, _size_level(total)
    if len(counts) == 1:
        return Histograms(root, root_size, np.array([root_size]), root[None])
    sizes = np.array([_size_level(each) for each in counts])
    levels = np.stack([fit_levels(each, root, root_size).levels for each in counts])
    return Histograms(root, root_size, sizes, levels)
