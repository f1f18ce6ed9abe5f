"""How surprising a value is beside a sample, in nats; beyond the sample, too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sklae._utils.thinning import thinned

__all__ = ["LARGE", "Tail", "kept_knots"]

# Beyond the largest of this share of the sample a line takes over from the steps of the sample.
_TAIL_SHARE = 0.2
_LEAST_TAIL = 5
# The tail's mean excess is at least this much, in logarithms (or in standard deviations): else a sample whose largest
# values are (almost) equal would find everything beyond them infinitely surprising.
_LEAST_EXCESS = 0.01
#: Nats from which on surprise grows more slowly.
LARGE = 20.0
# Of a larger sample so many values are kept.
_MOST_KNOTS = 1_024
# Values that differ by no more than this share of their size are the same.
_ROUNDING = 1e-9
# Positive values count from this share of their median on.
_SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class Tail:
    """Minus the log of the probability of a value at least as large, strictly increasing in the value.

    Between sample values it is interpolated. The upper fifth of the sample is smoothed by an exponential tail, which
    goes on beyond the largest value: of the logarithms where values are positive (Hill, Annals of Statistics 3:1163,
    1975), else of the values themselves.

    Attributes
    ----------
    knots, surprise : ndarray of shape (n_knots,)
        Distinct (log) values in order, and minus the log of the share of the sample at or above each.
    start, level, excess : float
        Where the tail starts, the surprise there, and the mean excess over it.
    floor : float or None
        Smaller values count as this; None for values of either sign, which are taken as they are.
    """

    knots: np.ndarray
    surprise: np.ndarray
    start: float
    level: float
    excess: float
    floor: float | None

    @classmethod
    def fit(cls, values: np.ndarray, *, positive: bool, share: float = _TAIL_SHARE) -> Tail:
        """Learn from a sample of at least one finite value, whose largest share makes the tail."""
        floor = None
        if positive:
            above = values[values > 0]
            floor = max(_SMALLEST * float(np.median(above)), 1e-300) if len(above) else 1e-12
        x = _tied(np.sort(_scaled(values, floor)))
        knots, first = np.unique(x, return_index=True)
        n = len(x)
        surprise = -np.log((n - first) / (n + 1))
        # at most as many as differ from the smallest, where that is what most values are
        n_tail = min(max(_LEAST_TAIL, round(share * n)), int((x > knots[0]).sum()) - 1, n - 1)
        start = x[n - 1 - n_tail] if n_tail > 0 else knots[-1]
        unit = 1.0 if positive else float(x.std()) or 1.0
        excess = max(_mean_excess(x[n - n_tail :] - start), _LEAST_EXCESS * unit)
        level = float(np.interp(start, knots, surprise))
        kept = kept_knots(len(knots))
        knots, surprise = knots[kept], surprise[kept]
        return cls(knots, surprise, float(start), level, excess, floor)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the surprise of values, in nats; that of infinity is infinite."""
        x = _scaled(values, self.floor)
        with np.errstate(over="ignore"):
            below = self.surprise[0] * np.exp(np.minimum(x - self.knots[0], 0.0))
            beyond = self.level + _bent((x - self.start) / self.excess)
        inside = np.interp(x, self.knots, self.surprise)
        return np.where(x > self.start, beyond, np.where(x < self.knots[0], below, inside))


def _tied(x: np.ndarray) -> np.ndarray:
    """Return sorted values, those that are equal but for rounding as one.

    The step between two of them would be steep, and a row's surprise hang on the rows that are scored beside it.
    """
    size = np.abs(x)
    is_new = np.diff(x, prepend=-np.inf) > _ROUNDING * np.maximum(size, np.median(size))
    return x[is_new][np.cumsum(is_new) - 1]


def _bent(surprise: np.ndarray) -> np.ndarray:
    """Return surprises, very large ones as logarithms go on: no cell is to outweigh all else by its size alone."""
    return np.where(surprise > LARGE, LARGE * (1.0 + np.log(np.maximum(surprise, LARGE) / LARGE)), surprise)


def kept_knots(n_knots: int) -> np.ndarray:
    """Return positions of knots, the first and the last among them, few enough to be kept."""
    return thinned(n_knots, _MOST_KNOTS)


def _mean_excess(excesses: np.ndarray) -> float:
    """Return the mean of an exponential distribution by its median: of few values, outliers would make up a mean."""
    if not len(excesses):
        return 0.0
    return float(np.median(excesses)) / math.log(2.0) or float(excesses.mean())


def _scaled(values: np.ndarray, floor: float | None) -> np.ndarray:
    return np.asarray(values, dtype=np.float64) if floor is None else np.log(np.maximum(values, floor))
