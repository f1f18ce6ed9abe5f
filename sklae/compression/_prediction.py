"""What a column is expected to hold, by integer arithmetic: the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklae.compression._coder import IntReader, IntWriter
from sklae.compression._known import Feature, Known, Range, Series

__all__ = ["Prediction", "fit_prediction"]

# Sums of products stay below it.
_MOST_BITS = 60
_FINEST = 24
# Terms of a sum; those that move it by less than such a share of what is left are dropped.
_MOST_TERMS, _LEAST_EFFECT = 8, 0.02
_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Prediction:
    """A weighted sum of features, rounded.

    Attributes
    ----------
    from_last : bool
        Whether it is about the difference to the last row that has a value.
    is_only_asked : bool
        Whether it is not subtracted: only the tree asks for it.
    features : tuple of Feature
    weights : tuple of int
        In units of ``2**-shift``, as ``bias``.
    bias, shift : int
    """

    from_last: bool = False
    is_only_asked: bool = False
    features: tuple[Feature, ...] = ()
    weights: tuple[int, ...] = ()
    bias: int = 0
    shift: int = 0

    @property
    def model_bits(self) -> float:
        """About what it takes in a model."""
        return 6.0 + 24.0 * len(self.features)

    def only_asked(self) -> Prediction:
        """Return the same, not to be subtracted."""
        return Prediction(False, True, self.features, self.weights, self.bias, self.shift)

    def of(self, known: Known, of_range: Range) -> np.ndarray:
        """Return the sums, none further out than values may be."""
        low, high = of_range.low, of_range.high
        if not self.features:
            return np.zeros(known.n_rows, dtype=np.int64)
        total = np.full(known.n_rows, self.bias, dtype=np.int64)
        for feature, weight in zip(self.features, self.weights, strict=True):
            total += weight * known.feature(feature, filled=True)
        total >>= self.shift
        return np.clip(total, -of_range.width, of_range.width) if self.from_last else np.clip(total, low, high)

    def reach(self, of_range: Range) -> tuple[int, int]:
        """Return the least and the largest integer that can be left."""
        width = of_range.width
        if self.from_last:
            return -2 * width, 2 * width
        return (-width, width) if self.features and not self.is_only_asked else (of_range.low, of_range.high)

    def subtract(self, series: Series, predicted: np.ndarray, of_range: Range) -> np.ndarray:
        """Return what is left of values, 0 where there is none."""
        if self.is_only_asked:
            return series.values
        left = series.values - predicted
        if self.from_last:
            is_present = series.is_present
            left[is_present] -= np.concatenate([[of_range.typical], series.values[is_present][:-1]])[: is_present.sum()]
        return left

    def add(self, left: np.ndarray, status: np.ndarray, predicted: np.ndarray, of_range: Range) -> Series:
        """Return the column of which so much was left."""
        is_present = status == Series.PRESENT
        found = left if self.is_only_asked else left + predicted[is_present]
        values = np.zeros(len(status), dtype=np.int64)
        values[is_present] = of_range.typical + np.cumsum(found) if self.from_last else found
        return Series(values, status)

    def write(self, to: IntWriter) -> None:
        """Write the prediction."""
        to.ints("kind of prediction", [2 * self.from_last + self.is_only_asked, len(self.features)])
        if self.features:
            to.ints("places predicted from", [each.place for each in self.features])
            to.ints("steps predicted from", [each.is_step for each in self.features])
            to.ints("weights", [self.shift, self.bias, *self.weights])

    @classmethod
    def read(cls, source: IntReader) -> Prediction:
        """Read what was written."""
        kind, n_terms = source.ints("kind of prediction", 2).tolist()
        from_last, is_only_asked = bool(kind // 2), bool(kind % 2)
        if not n_terms:
            return cls(from_last, is_only_asked)
        places = source.ints("places predicted from", n_terms).tolist()
        steps = source.ints("steps predicted from", n_terms).tolist()
        shift, bias, *weights = source.ints("weights", 2 + n_terms).tolist()
        features = tuple(Feature(place, bool(step)) for place, step in zip(places, steps, strict=True))
        return cls(from_last, is_only_asked, features, tuple(weights), bias, shift)


def fit_prediction(
    series: Series, known: Known, features: list[Feature], rows: np.ndarray, *, from_last: bool, typical: int
) -> Prediction | None:
    """Return the linear prediction of a column with the least squares of what is left; None where there is none."""
    rows = rows[series.is_present[rows]]
    if len(rows) < 4 * _MOST_TERMS or not features:
        return None
    if from_last:
        values = np.zeros(len(series.values), dtype=np.int64)
        present = np.flatnonzero(series.is_present)
        values[present] = np.diff(series.values[present], prepend=typical)
    else:
        values = series.values
    target = values[rows].astype(np.float64)
    table = np.stack([known.feature(each, filled=True)[rows] for each in features], axis=1).astype(np.float64)
    center, scale = table.mean(axis=0), table.std(axis=0)
    usable = scale > 0
    features = [each for each, there in zip(features, usable, strict=True) if there]
    table = (table[:, usable] - center[usable]) / scale[usable]
    slopes = _ridge(table, target)
    if len(slopes) > _MOST_TERMS:
        strongest = np.argsort(-np.abs(slopes))[:_MOST_TERMS]
        features, table = [features[i] for i in strongest], table[:, strongest]
        center, scale = center[usable][strongest], scale[usable][strongest]
        slopes = _ridge(table, target)
    else:
        center, scale = center[usable], scale[usable]
    left = np.std(target - table @ slopes)
    kept = np.flatnonzero(np.abs(slopes) > _LEAST_EFFECT * max(left, 0.25))
    if not len(kept):
        return None
    slopes = _ridge(table[:, kept], target) / scale[kept]
    bias = target.mean() - slopes @ center[kept]
    return _rounded([features[i] for i in kept], slopes, bias, left, scale[kept], known, from_last)


def _ridge(table: np.ndarray, target: np.ndarray) -> np.ndarray:
    gram = table.T @ table + _RIDGE * len(table) * np.eye(table.shape[1])
    return np.linalg.solve(gram, table.T @ (target - target.mean()))


def _rounded(
    features: list[Feature],
    slopes: np.ndarray,
    bias: float,
    left: float,
    scale: np.ndarray,
    known: Known,
    from_last: bool,
) -> Prediction | None:
    """Return the same with integers: as fine as it matters, as coarse as the sums need."""
    largest = [float(np.abs(known.feature(each, filled=True)).max()) for each in features]
    bits = np.log2(np.abs(slopes) @ np.array(largest) + abs(bias) + 1.0)
    wanted = np.log2(64.0 * scale.max() / max(left, 0.25))
    shift = int(np.clip(np.ceil(wanted), 3, _FINEST))
    if bits + shift > _MOST_BITS - 2:
        return None
    unit = 2.0**shift
    weights = tuple(int(each) for each in np.rint(slopes * unit))
    return Prediction(from_last, False, tuple(features), weights, round(float((bias + 0.5) * unit)), shift)
