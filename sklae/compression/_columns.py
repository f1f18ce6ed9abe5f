"""One column of integers, coded given others: prediction, context, and the distribution of what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sklae.compression._bins import Bins
from sklae.compression._coder import IntReader, IntWriter, Reader, Writer
from sklae.compression._histograms import Histograms, fit_histograms, fit_root
from sklae.compression._known import Feature, Known, Range, Series
from sklae.compression._prediction import Prediction
from sklae.compression._trees import ContextTree, grow

__all__ = ["ColumnModel", "fit_column"]

_N_SPECIAL = Series.PRESENT
_N_BINS = (12, 40, 120, 360)
# Trees are grown for other ways to predict only if those save so much before.
_PROMISING = 0.97


@dataclass(frozen=True, eq=False)
class ColumnModel:
    """How a column is coded.

    Attributes
    ----------
    range : Range
    prediction : Prediction
        What is subtracted from its values.
    features : tuple of Feature
        What the tree asks for, by its numbers; the number behind the last is the prediction.
    tree : ContextTree
    bins : Bins
        Of what is left; symbols are those of `Series.status` and, behind these, bins.
    histograms : Histograms
    """

    range: Range
    prediction: Prediction
    features: tuple[Feature, ...]
    tree: ContextTree
    bins: Bins
    histograms: Histograms

    @property
    def asks_for(self) -> set[int]:
        """The places of the columns that have to be known."""
        return {feature.place for feature in (*self.features, *self.prediction.features)}

    def encode(self, series: Series, known: Known, to: Writer) -> None:
        """Append a column."""
        predicted = self.prediction.of(known, self.range)
        contexts = self._contexts(known, predicted)
        is_present = series.is_present
        left = self.prediction.subtract(series, predicted, self.range)[is_present]
        bins = self.bins.find(left)
        symbols = series.status.astype(np.int64)
        symbols[is_present] += bins
        to.symbols(symbols, contexts, self.histograms.tables)
        to.uniform(left - self.bins.edges[bins], self.bins.sizes[bins])

    def decode(self, known: Known, source: Reader) -> Series:
        """Return the next column."""
        predicted = self.prediction.of(known, self.range)
        symbols = source.symbols(self._contexts(known, predicted), self.histograms.tables)
        is_present = symbols >= _N_SPECIAL
        bins = symbols[is_present] - _N_SPECIAL
        left = self.bins.edges[bins] + source.uniform(self.bins.sizes[bins])
        status = np.minimum(symbols, _N_SPECIAL).astype(np.uint8)
        return self.prediction.add(left, status, predicted, self.range)

    def bits(self, series: Series, known: Known) -> float:
        """Return -log2 p of a column given the known ones."""
        predicted = self.prediction.of(known, self.range)
        contexts = self._contexts(known, predicted)
        is_present = series.is_present
        bins = self.bins.find(self.prediction.subtract(series, predicted, self.range)[is_present])
        symbols = series.status.astype(np.int64)
        symbols[is_present] += bins
        weights = self.histograms.tables.weights
        probabilities = weights[contexts, symbols] / weights.sum(axis=1)[contexts]
        return float(np.log2(self.bins.sizes[bins]).sum() - np.log2(probabilities).sum())

    def _contexts(self, known: Known, predicted: np.ndarray) -> np.ndarray:
        if self.tree.n_leaves == 1:
            return np.zeros(known.n_rows, dtype=np.int64)
        return self.tree.apply([*(known.feature(each) for each in self.features), predicted], known.n_rows)

    def write(self, to: IntWriter) -> None:
        """Write the model; its range is written by the cells."""
        self.prediction.write(to)
        to.counted("places asked for", [feature.place for feature in self.features])
        to.ints("steps asked for", [feature.is_step for feature in self.features])
        self.tree.write(to)
        self.bins.write(to)
        self.histograms.write(to)

    @classmethod
    def read(cls, source: IntReader, of_range: Range) -> ColumnModel:
        """Read what was written."""
        prediction = Prediction.read(source)
        places = source.counted("places asked for").tolist()
        steps = source.ints("steps asked for", len(places)).tolist()
        features = tuple(Feature(place, bool(step)) for place, step in zip(places, steps, strict=True))
        tree, bins = ContextTree.read(source), Bins.read(source)
        histograms = Histograms.read(source, tree.n_leaves, _N_SPECIAL + len(bins))
        return cls(of_range, prediction, features, tree, bins, histograms)


class _Candidate(NamedTuple):
    prediction: Prediction
    predicted: np.ndarray
    bins: Bins
    symbols: np.ndarray
    bits: float
    outside_bits: float


def fit_column(
    series: Series,
    known: Known,
    of_range: Range,
    features: list[Feature],
    predictions: list[Prediction],
    rng: np.random.RandomState,
    *,
    most_leaves: int = 256,
    most_rows: int = 24_000,
) -> ColumnModel:
    """Return the model of a column that takes the fewest bits, itself counted.

    Parameters
    ----------
    series : Series
    known : Known
        Columns before it.
    of_range : Range
    features : list of Feature
        What trees may ask for.
    predictions : list of Prediction
        What may be subtracted; the first subtracts nothing.
    rng : RandomState
    most_leaves : int, default=256
        Of a tree.
    most_rows : int, default=24,000
        That it is grown on.
    """
    candidates = [_candidate(series, known, of_range, each) for each in predictions]
    plain, *others = candidates
    best = min(others, key=lambda each: each.bits, default=plain)
    tried = [plain]
    if best is not plain:
        if best.bits < _PROMISING * plain.bits:
            tried.append(best)
        else:  # not worth subtracting, but maybe asking for
            asked_for = best.prediction.only_asked()
            tried.append(plain._replace(predicted=asked_for.of(known, of_range), prediction=asked_for))
    known_features = [known.feature(each) for each in features]
    found = []
    for each in tried:
        asked = [*known_features, each.predicted]
        tree, counts, bits = grow(
            asked, each.symbols, _N_SPECIAL + len(each.bins), rng, most_leaves=most_leaves, most_rows=most_rows
        )
        found.append((bits + each.outside_bits + each.prediction.model_bits, each, tree, counts))
    _, chosen, tree, counts = min(found, key=lambda each: each[0])
    used = [i for i in tree.used if i < len(features)]
    prediction = chosen.prediction
    if prediction.is_only_asked and len(features) not in tree.used:
        prediction = predictions[0]
    tree = tree.keep_features([*used, *([len(features)] if len(features) in tree.used else [])])
    kept = tuple(features[i] for i in used)
    return ColumnModel(of_range, prediction, kept, tree, chosen.bins, fit_histograms(counts))


def _candidate(series: Series, known: Known, of_range: Range, prediction: Prediction) -> _Candidate:
    predicted = prediction.of(known, of_range)
    is_present = series.is_present
    left = prediction.subtract(series, predicted, of_range)[is_present]
    low, high = prediction.reach(of_range)
    best: _Candidate | None = None
    for n_bins in _N_BINS:
        bins = Bins.fit(left, n_bins, low, high)
        at = bins.find(left)
        symbols = series.status.astype(np.int64)
        symbols[is_present] += at
        fitted = fit_root(np.bincount(symbols, minlength=_N_SPECIAL + len(bins)))
        outside = float(np.log2(bins.sizes[at]).sum() + bins.model_bits())
        found = _Candidate(prediction, predicted, bins, symbols, float(fitted.bits[0]) + outside, outside)
        if best is None or found.bits < best.bits:
            best = found
        if (bins.sizes == 1).sum() >= len(bins) - 4:  # each integer has its own already
            break
    assert best is not None
    return best
