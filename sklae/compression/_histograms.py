"""Counts of symbols on a coarse logarithmic scale: what a distribution costs in a model, and what it codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sklae.compression._coder import IntReader, IntWriter, Tables

__all__ = ["Fitted", "Histograms", "fit_histograms", "fit_levels", "fit_root", "size_level"]

# Steps of the scale to a factor of 2, the level of a count of 1 (no count at all is level 0, a 16th of it), and the
# highest.
_STEPS, _ONE, _HIGHEST = 4, 16, 160
# 2 ** (i / 4) in units of 2**-30, as integers: floating point powers differ between machines.
_POWERS = np.array([1073741824, 1276901417, 1518500250, 1805811301], dtype=np.int64)
# Bits that a level other than the expected one takes in a model, and one as expected; chosen on four tables.
_CHANGED, _UNCHANGED = 6.0, 0.25
# Kinds of expected levels, and how many levels each spans.
_N_KINDS, _KIND = 6, 8


def _levels_of(counts: np.ndarray) -> np.ndarray:
    levels = np.rint(_STEPS * np.log2(np.maximum(counts, 1))).astype(np.int64) + _ONE
    return np.where(counts > 0, np.minimum(levels, _HIGHEST), 0)


def _weights_of(levels: np.ndarray) -> np.ndarray:
    """Return integers in proportion, by integer arithmetic alone."""
    return np.maximum(_POWERS[levels % _STEPS] >> np.maximum(30 - levels // _STEPS, 0), 1) << np.maximum(
        levels // _STEPS - 30, 0
    )


class Fitted(NamedTuple):
    """Levels of distributions of the same symbols.

    Attributes
    ----------
    levels : ndarray of shape (n_contexts, n_symbols), int64
    model_bits, data_bits : ndarray of shape (n_contexts,)
        About what the levels take in a model, and what the counted symbols take under them.
    """

    levels: np.ndarray
    model_bits: np.ndarray
    data_bits: np.ndarray

    @property
    def bits(self) -> np.ndarray:
        """All of it."""
        return self.model_bits + self.data_bits


def _expected(root: np.ndarray, size_levels: np.ndarray, root_size_level: int) -> np.ndarray:
    """Return the levels of parts of the counted symbols that are like all of them."""
    return np.maximum(root + (size_levels[:, None] - root_size_level), 0)


def _data_bits(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (counts * (np.log2(weights.sum(axis=1, keepdims=True)) - np.log2(weights))).sum(axis=1)


def fit_root(counts: np.ndarray) -> Fitted:
    """Return levels for counts of shape (n_symbols,), as one context."""
    levels = _levels_of(counts)[None]
    jumps = np.abs(np.diff(levels, prepend=0))
    return Fitted(levels, (2.0 * np.log2(1.0 + jumps) + 1.0).sum(axis=1), _data_bits(counts, _weights_of(levels)))


def fit_levels(counts: np.ndarray, root: np.ndarray, root_size_level: int) -> Fitted:
    """Return levels for counts of shape (n_contexts, n_symbols).

    They differ from a root's only where that saves more bits than it takes.
    """
    own = _levels_of(counts)
    sizes = counts.sum(axis=1, keepdims=True)
    like = _expected(root, _levels_of(sizes[:, 0]), root_size_level)
    weights = _weights_of(like)
    expected = weights / weights.sum(axis=1, keepdims=True) * sizes
    # bits lost if a symbol keeps the expected share: those of the divergence, symbol by symbol
    there = np.maximum(counts, 1e-9)
    lost = counts * np.log2(there / np.maximum(expected, 1e-9)) + (expected - counts) / np.log(2.0)
    price = _CHANGED + 0.5 * np.log2(1.0 + np.abs(own - like))
    levels = np.where(lost > price, own, like)
    changed = levels != like
    model_bits = np.where(changed, price, _UNCHANGED).sum(axis=1) + 4.0
    return Fitted(levels, model_bits, _data_bits(counts, _weights_of(levels)))


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
        expected = _expected(self.root, self.sizes, self.root_size)
        for level, at in _kinds(expected):
            to.ints(f"change of {level}", self.levels[at] - expected[at])

    @classmethod
    def read(cls, source: IntReader, n_contexts: int, n_symbols: int) -> Histograms:
        """Read what was written."""
        root = np.cumsum(source.ints("step of root", n_symbols))
        root_size = source.one("size of root")
        if n_contexts == 1:
            return cls(root, root_size, np.array([root_size]), root[None])
        sizes = root_size - source.ints("size of context", n_contexts)
        levels = _expected(root, sizes, root_size)
        for level, at in _kinds(levels.copy()):
            levels[at] += source.ints(f"change of {level}", int(at.sum()))
        return cls(root, root_size, sizes, levels)


def _kinds(expected: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield which levels are about as high: symbols that are rare in all contexts are seldom worth a change."""
    coarse = np.minimum(expected // _KIND, _N_KINDS - 1)
    for kind in range(_N_KINDS):
        yield kind, coarse == kind


def size_level(counts: np.ndarray) -> int:
    """Return the level of how many symbols were counted."""
    return int(_levels_of(counts.sum(keepdims=True).ravel())[0])


def fit_histograms(counts: np.ndarray) -> Histograms:
    """Return distributions for counts of shape (n_contexts, n_symbols)."""
    total = counts.sum(axis=0)
    root, size = fit_root(total).levels[0], size_level(total)
    if len(counts) == 1:
        return Histograms(root, size, np.array([size]), root[None])
    return Histograms(root, size, _levels_of(counts.sum(axis=1)), fit_levels(counts, root, size).levels)
