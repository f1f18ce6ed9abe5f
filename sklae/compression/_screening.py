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
        self._blocks: list[np.ndarray] = []
        self._numbers: dict[Feature, np.ndarray] = {}

    def add(self, feature: Feature, known: Known, *, is_number: bool) -> None:
        """Take note of a feature."""
        values = known.feature(feature)[self.rows]
        codes = _coarse(values)
        if codes.max(initial=0) == 0:
            return
        self._features.append(feature)
        self._blocks.append(_indicators(codes))
        if is_number:
            filled = known.feature(feature, filled=True)[self.rows].astype(np.float64)
            deviation = filled.std()
            if deviation > 0:
                self._numbers[feature] = ((filled - filled.mean()) / deviation).astype(np.float32)

    def telling(self, symbols: np.ndarray, n_features: int, *, steps: bool) -> list[Feature]:
        """Return the features with the most mutual information with symbols, of steps too if asked for."""
        places = [i for i, each in enumerate(self._features) if steps or not each.is_step]
        if not places:
            return []
        target = _indicators(_coarse(symbols[self.rows]))
        widths = [self._blocks[i].shape[1] for i in places]
        joint = np.concatenate([self._blocks[i] for i in places], axis=1).T @ target / len(self.rows)
        shares = target.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = joint * np.log2(joint / (joint.sum(axis=1, keepdims=True) * shares))
        starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
        found = np.add.reduceat(np.nan_to_num(terms).sum(axis=1), starts)
        best = np.argsort(-found, kind="stable")[:n_features]
        return [self._features[places[i]] for i in best if found[i] > _LEAST]

    def correlated(self, values: np.ndarray, n_features: int, *, steps: bool) -> list[Feature]:
        """Return the features of numbers with the largest correlations with values."""
        features = [each for each in self._numbers if each.is_step == steps]
        target = values[self.rows].astype(np.float64)
        deviation = target.std()
        if not features or deviation == 0:
            return []
        table = np.stack([self._numbers[each] for each in features])
        found = np.abs(table @ ((target - target.mean()) / deviation).astype(np.float32)) / len(self.rows)
        return [features[i] for i in np.argsort(-found, kind="stable")[:n_features] if found[i] > 0.02]


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
