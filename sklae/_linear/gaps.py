"""Rows with gaps, in blocks of which the same is computed at once."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

__all__ = ["Block", "GappyRows"]

# Matrices of a block have so many elements together; rows with up to so many times as many gaps share a block.
_BLOCK_ELEMENTS, _MOST_PADDING = 2**20, 1.35
_LEAST_ROWS = 64


class Block(NamedTuple):
    """Rows with about as many gaps.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Their positions.
    columns : ndarray of shape (n_patterns, n_most_gaps) or None
        Of each pattern of gaps the missing columns, and some others behind them; None: nothing is missing.
    missing : ndarray of shape (n_patterns, n_most_gaps), bool
        Which of these columns are missing.
    pattern : ndarray of shape (n_rows,)
        Which pattern each row has.
    """

    rows: np.ndarray
    columns: np.ndarray | None
    missing: np.ndarray
    pattern: np.ndarray


class GappyRows:
    """Rows with gaps, sorted by how many, and by which.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
        NaN marks a gap.

    Attributes
    ----------
    missing : ndarray of shape (n_samples, n_columns), bool
    values : ndarray of shape (n_samples, n_columns)
        0 in gaps.
    """

    def __init__(self, X: np.ndarray):
        self.missing = np.isnan(X)
        self.values = np.where(self.missing, 0.0, X)
        n_gaps = self.missing.sum(axis=1)
        if n_gaps.any():
            patterns, which = np.unique(np.packbits(self.missing, axis=1), axis=0, return_inverse=True)
            which = which.ravel()
            missing = np.unpackbits(patterns, axis=1, count=X.shape[1]).astype(bool)
            self._columns = np.argsort(~missing, axis=1, kind="stable")[:, : n_gaps.max()]
        else:
            which, self._columns = np.zeros(len(X), dtype=int), np.zeros((1, 0), dtype=int)
        self._pattern = which
        self._n_gaps = n_gaps
        self._order = np.lexsort((which, n_gaps))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.values.shape[1]

    def blocks(self, chosen: np.ndarray | None = None) -> list[Block]:
        """Return all rows, or those of a mask, in blocks."""
        return self._all if chosen is None or chosen.all() else self._blocks(self._order[chosen[self._order]])

    @cached_property
    def _all(self) -> list[Block]:
        return self._blocks(self._order)

    def _blocks(self, order: np.ndarray) -> list[Block]:
        n_gaps = self._n_gaps[order]
        start = int(np.searchsorted(n_gaps, 0, "right"))
        nothing = np.zeros((0, 0), dtype=bool)
        step = max(_LEAST_ROWS, _BLOCK_ELEMENTS // max(self.width, 1))
        found = [Block(order[i : min(i + step, start)], None, nothing, order[:0]) for i in range(0, start, step)]
        while start < len(order):
            fewest = int(n_gaps[start])
            stop = int(np.searchsorted(n_gaps, max(fewest + 1, int(_MOST_PADDING * fewest)), "right"))
            stop = min(stop, start + max(_LEAST_ROWS, _BLOCK_ELEMENTS // int(n_gaps[stop - 1]) ** 2))
            found.append(self._block(order[start:stop], int(n_gaps[stop - 1])))
            start = stop
        return found

    def _block(self, rows: np.ndarray, n_most: int) -> Block:
        patterns, which = np.unique(self._pattern[rows], return_inverse=True)
        first = np.zeros(len(patterns), dtype=int)
        first[which] = rows
        missing = np.arange(n_most) < self._n_gaps[first][:, None]
        return Block(rows, self._columns[patterns, :n_most], missing, which)
