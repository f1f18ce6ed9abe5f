"""Where to put the threshold between normal rows and outliers, given scores that are low for the latter."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sklae._utils.warnings import warn

__all__ = [
    "Thresholder",
    "by_false_alarm_rate",
    "by_labels",
    "by_share",
    "by_thresholder",
    "fence",
    "is_rate",
    "outlier_labels",
]

# Interquartile ranges from the box to the fence: Tukey's 1.5, or a little less, for surprises have short tails.
_WHISKER = 1.4
# The share of training rows that the fence calls outliers, at most.
_MOST_FLAGGED = 0.1


class Thresholder(Protocol):
    """What chooses a threshold by a rule of its own: the thresholders of PyThresh do."""

    def eval(self, decision: np.ndarray) -> np.ndarray:
        """Return 0 for each inlier and 1 for each outlier, given scores that are high for outliers."""


def is_rate(value: Any) -> bool:
    """Whether a value is a number between 0 and 1, both excluded."""
    return isinstance(value, (float, np.floating)) and bool(0 < value < 1)


def fence(scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return a boxplot's lower fence (Tukey, Exploratory Data Analysis, 1977), but below it at most a tenth of scores.

    Where no score is above zero, it is taken on the square roots of their magnitudes, which are less skewed. More than
    a tenth lie beyond a fence where scores come in few values, or in two heaps. ``weights`` say how much each counts.
    """
    roots = np.sqrt(np.maximum(-scores, 0.0)) if scores.max() <= 0 else -scores
    finite = np.isfinite(roots)
    lower, upper = _percentiles(roots[finite], [25.0, 75.0], None if weights is None else weights[finite])
    edge = upper + _WHISKER * (upper - lower)
    found = -float(edge**2 if scores.max() <= 0 else edge)
    return min(found, by_share(scores, _MOST_FLAGGED, weights))


def by_share(scores: np.ndarray, contamination: float, weights: np.ndarray | None = None) -> float:
    """Return the threshold below which a share of the scores, or of their weight, lies."""
    return float(_percentiles(scores, [100.0 * contamination], weights)[0])


def _percentiles(values: np.ndarray, q: list[float], weights: np.ndarray | None) -> np.ndarray:
    """Return percentiles, interpolated as NumPy does it by default: each value has half its weight on either side."""
    if weights is None:
        return np.percentile(values, q)
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    middles = np.cumsum(weights) - 0.5 * weights
    reach = middles[-1] - middles[0]
    return np.interp(np.array(q) / 100.0, (middles - middles[0]) / reach if reach > 0 else middles, values)


def by_false_alarm_rate(scores: np.ndarray, rate: float) -> float:
    """Return the highest threshold below which a new normal row falls with at most this probability.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Of normal rows that were not fitted.
    rate : float
        In (0, 1).

    Raises
    ------
    ValueError
        If there are too few scores for so small a rate: less than 1 / rate - 1.
    """
    n_below = int(np.floor(rate * (len(scores) + 1) + 1e-9))
    if n_below < 1:
        raise ValueError(
            f"Got false_alarm_rate={rate} and {len(scores)} held-out rows; expected at least "
            f"{int(np.ceil(1 / rate)) - 1} of them. Hold out more, or allow a higher rate."
        )
    return float(np.sort(scores)[n_below - 1])


def by_labels(scores: np.ndarray, is_outlier: np.ndarray, cost: tuple[float, float] | None) -> float:
    """Return the threshold of the best F1 score of the outliers, or of the least cost.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
    is_outlier : ndarray of shape (n_samples,), bool
        Of both kinds at least one.
    cost : (float, float) or None
        Of a false alarm and of a missed outlier. None: F1.
    """
    order = np.argsort(scores, kind="stable")
    ordered, outlying = scores[order], is_outlier[order]
    # cutting after the first k scores, where the next one is higher
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > 0) + 1, [len(ordered)]])
    hits = np.concatenate([[0], np.cumsum(outlying)])[cuts]
    alarms, n_outliers = cuts - hits, int(is_outlier.sum())
    f1 = 2.0 * hits / (cuts + n_outliers)
    goodness = f1 if cost is None else -(cost[0] * alarms + cost[1] * (n_outliers - hits))
    best = cuts[int(np.argmax(goodness))]
    return _between(ordered[:best], ordered[best:])


def by_thresholder(scores: np.ndarray, thresholder: Thresholder) -> float:
    """Return where a thresholder, as PyThresh has them, cuts: its ``eval`` labels minus the scores by 0 and 1."""
    labels = np.asarray(thresholder.eval(-scores)).ravel()
    if labels.shape != scores.shape or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"Got {thresholder!r}, whose eval returned labels of shape {labels.shape}; expected 0 or 1 for each of "
            f"{len(scores)} scores, as PyThresh's thresholders return."
        )
    above = scores[labels == 0]
    if not len(above):
        return np.inf
    return _between(scores[scores < above.min()], above)


def outlier_labels(y: Any, n_samples: int, pos_label: Any = None) -> np.ndarray:
    """Return which rows are labelled as outliers: by -1 beside 1 (as ``predict``), or by 1 or True beside 0.

    ``pos_label`` is what they are labelled, if given.
    """
    labels = np.asarray(y)
    if labels.shape != (n_samples,):
        raise ValueError(f"Got y of shape {labels.shape} for {n_samples} rows; expected one label per row.")
    kinds = set(labels.tolist())
    if pos_label is None:
        pos_label = {frozenset((-1, 1)): -1, frozenset((0, 1)): 1}.get(frozenset(kinds))
    if pos_label is None or not any(pos_label == kind for kind in kinds) or len(kinds) < 2:
        raise ValueError(
            f"Got labels {sorted(kinds, key=str)[:5]}; expected rows of both kinds: -1 for outliers and 1, or 1 for "
            "outliers and 0. Pass what outliers are labelled as pos_label."
        )
    found = labels == pos_label
    if found.mean() > 0.5:
        warn(
            f"Got labels that call {int(found.sum())} of {n_samples} rows outliers; expected fewer than half. Pass "
            f"pos_label if {pos_label!r} labels the normal rows.",
            UserWarning,
        )
    return found


def _between(below: np.ndarray, above: np.ndarray) -> float:
    """Return a threshold that parts scores: below it those of the first kind only."""
    if not len(below):
        return float(above.min())
    if not len(above):
        return float(np.nextafter(below.max(), np.inf))
    low, high = float(below.max()), float(above.min())
    middle = low + (high - low) / 2.0
    return middle if low < middle else high
