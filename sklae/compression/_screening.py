"""Which columns tell most about another."""

from __future__ import annotations

import numpy as np

from sklae.compression._known import Feature, Known

__all__ = ["Screen"]

_N_BINS = 8
_MOST_ROWS = 8_000
# Beside a mutual information that comes of chance alone, in bits.
_LEAST = 1e-3


class Screen:
    """Coarse copies of columns that are known, to choose among them fast.

    Parameters
    ----------
    rows : ndarray of int
        Those that are looked at.
    """

    def __init__(self, rows: np.ndarray):
        self.rows = rows[:: max(1, -(-len(rows) // _MOST_ROWS))]
        self._features: list[Feature] = []
        self._starts: list[int] = []
        self._table = np.empty((0, len(self.rows)), dtype=np.float32)  # indicators of bins, one below the other
        self._width = 0
        self._numbers: dict[bool, list[Feature]] = {False: [], True: []}
        self._standardised: dict[bool, list[np.ndarray]] = {False: [], True: []}

    def add(self, feature: Feature, known: Known, *, is_number: bool) -> None:
        """Take note of a feature."""
        values = known.feature(feature)[self.rows]
        codes = _coarse(values)
        if codes.max(initial=0) == 0:
            return
        self._features.append(feature)
        self._starts.append(self._width)
        block = _indicators(codes).T
        if self._width + len(block) > len(self._table):  # twice as many, so that not each column copies all before it
            self._table = np.concatenate([self._table, np.empty((self._width + 64, len(self.rows)), dtype=np.float32)])
        self._table[self._width : self._width + len(block)] = block
        self._width += len(block)
        if is_number:
            filled = known.feature(feature, filled=True)[self.rows].astype(np.float64)
            deviation = filled.std()
            if deviation > 0:
                self._numbers[feature.is_step].append(feature)
                self._standardised[feature.is_step].append(((filled - filled.mean()) / deviation).astype(np.float32))

    def telling(self, symbols: np.ndarray, n_features: int, *, steps: bool) -> list[Feature]:
        """Return the features with the most mutual information with symbols, of steps too if asked for."""
        if not self._features:
            return []
        target = _indicators(_coarse(symbols[self.rows]))
        joint = self._table[: self._width] @ target / len(self.rows)
        shares = target.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = joint * np.log2(joint / (joint.sum(axis=1, keepdims=True) * shares))
        found = np.add.reduceat(np.nan_to_num(terms).sum(axis=1), self._starts)
        if not steps:
            found[[each.is_step for each in self._features]] = 0.0
        best = np.argsort(-found, kind="stable")[:n_features]
        return [self._features[i] for i in best if found[i] > _LEAST]

    def correlated(self, values: np.ndarray, n_features: int, *, steps: bool) -> list[Feature]:
        """Return the features of numbers with the largest correlations with values."""
        target = values[self.rows].astype(np.float64)
        deviation = target.std()
        if not self._numbers[steps] or deviation == 0:
            return []
        target = ((target - target.mean()) / deviation).astype(np.float32)
        found = np.abs([each @ target for each in self._standardised[steps]]) / len(self.rows)
        best = np.argsort(-found, kind="stable")[:n_features]
        return [self._numbers[steps][i] for i in best if found[i] > 0.02]


def _coarse(values: np.ndarray) -> np.ndarray:
    """Return codes of a few bins, each of about as many values."""
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) <= _N_BINS:
        return codes
    shares = np.cumsum(np.bincount(codes)) * _N_BINS / len(values)
    return np.minimum((shares - 1e-9).astype(np.int64), _N_BINS - 1)[codes]


def _indicators(codes: np.ndarray) -> np.ndarray:
    out = np.zeros((len(codes), int(codes.max(initial=0)) + 1), dtype=np.float32)
    out[np.arange(len(codes)), codes] = 1.0
    return out
