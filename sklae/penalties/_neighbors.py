"""Codes that keep neighbours together: the objective of UMAP."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import curve_fit
from sklearn.neighbors import NearestNeighbors
from torch.nn import functional

from sklae._tables.layout import Rows
from sklae._utils.compat import Interval
from sklae._utils.processes import undivided
from sklae.penalties._base import CodedRows, Penalty, PenaltyModule

__all__ = ["Neighbors"]

# UMAP's own: keeps the slope finite where codes are the same.
_LEAST_SQUARE = 1e-3
_N_BISECTIONS = 64
# Of the mean distance, as in UMAP: no row's scale is smaller.
_LEAST_SCALE = 1e-3


class Neighbors(Penalty):
    """Codes of neighbours lie close together, others apart: parametric UMAP (arXiv 2009.12981), beside the decoder.

    Before training, the nearest neighbours of rows are looked up and weighed as UMAP does (arXiv 1802.03426). In each
    step pairs of neighbours are drawn by weight, and encoded; the term is UMAP's cross-entropy of these pairs and of
    random others.

    Parameters
    ----------
    weight : float, default=100.0
        Weight of the cross-entropy, which is in nats per pair. The reconstruction, in nats per row, counts beside it.
    n_neighbors : int, default=15
        How many neighbours of a row count. More show more of the whole, fewer more detail.
    min_dist : float, default=0.1
        How close codes of neighbours come: it says what distances are, of codes, for which neighbours are likely.
    n_negatives : int, default=5
        How many random others each pair is compared with.
    n_pairs : int, default=1_024
        How many pairs a step draws, whatever the batch size: most of what a step costs. Maps of many rows gain by more.
    max_samples : int, default=10_000
        Of more training rows so many at random have neighbours.

    Notes
    -----
    Distances are Euclidean, between what the encoder is given of rows: encoded numbers, and indicators of levels; a gap
    counts as its column's mean, and conditions do not count. The rows and their neighbours are held in training only.
    `partial_fit`, and `fit` with ``warm_start=True``, look up neighbours among the rows they are given.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import AutoencoderTransformer
    >>> X = load_digits().data[:200]
    >>> AutoencoderTransformer(
    ...     2, penalty="neighbors", max_iter=20, random_state=0
    ... ).fit_transform(X).shape
    (200, 2)
    """

    _parameter_constraints = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "min_dist": [Interval(Real, 0, 1, closed="left")],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "n_pairs": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        weight: float = 100.0,
        *,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        n_negatives: int = 5,
        n_pairs: int = 1_024,
        max_samples: int = 10_000,
    ):
        self.weight = weight
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist
        self.n_negatives = n_negatives
        self.n_pairs = n_pairs
        self.max_samples = max_samples

    def build(self, n_components: int) -> PenaltyModule:
        return _NeighborsModule(self)


class _Pairs(NamedTuple):
    """Rows, and which of them are neighbours: ``up_to`` are cumulated weights of pairs, ending at 1."""

    rows: Rows
    first: torch.Tensor
    second: torch.Tensor
    up_to: torch.Tensor

    def draw(self, n_pairs: int, generator: torch.Generator | None) -> tuple[Rows, Rows]:
        """Return both ends of pairs drawn by weight."""
        at = torch.empty_like(self.up_to[:1]).expand(n_pairs).clone().uniform_(generator=generator)
        pairs = torch.searchsorted(self.up_to, at).clamp(max=len(self.up_to) - 1)
        return self.rows.take(self.first[pairs]), self.rows.take(self.second[pairs])


class _NeighborsModule(PenaltyModule):
    draws = True
    learns_from_rows = True

    def __init__(self, penalty: Neighbors):
        super().__init__(penalty)
        self.penalty: Neighbors = penalty
        self.log_a, self.b = _curve(penalty.min_dist)
        self.pairs: _Pairs | None = None

    def begin(self, rows: Rows, inputs: Callable[..., torch.Tensor], generator: torch.Generator) -> None:
        n_rows, device = len(rows.x), generator.device
        if n_rows > self.penalty.max_samples:
            order = torch.randperm(n_rows, generator=generator, device=device)
            rows = rows.take(order[: self.penalty.max_samples].to(rows.x.device))
        weights = fuzzy_neighbors(inputs(rows.x, rows.observed).numpy(), self.penalty.n_neighbors)
        first, second = weights.nonzero()
        if len(first):
            up_to = torch.as_tensor(np.cumsum(weights.tocsr()[first, second].A1, dtype=np.float64))
            pairs = torch.as_tensor(first), torch.as_tensor(second), up_to / up_to[-1]
            self.pairs = _Pairs(rows.to(device), *(part.to(device) for part in pairs))

    def end(self) -> None:
        self.pairs = None

    def forward(self, coded: CodedRows) -> torch.Tensor:
        if self.pairs is None or not len(coded.z):
            return coded.z.new_zeros(())
        ends = self.pairs.draw(self.penalty.n_pairs, coded.generator)
        with undivided(coded.generator):
            z = coded.encode(Rows.concatenate(ends)).mean
        first, second = z.chunk(2)
        others = torch.randint(
            len(z), (self.penalty.n_negatives, len(first)), generator=coded.generator, device=z.device
        )
        together = functional.softplus(self._log_odds(first - second))
        apart = functional.softplus(-self._log_odds(first - z[others])).sum(0)
        return self.penalty.weight * (together + apart).mean()

    def _log_odds(self, difference: torch.Tensor) -> torch.Tensor:
        """Return the log-odds that two codes are no neighbours': log(a d^2b)."""
        return self.log_a + self.b * (difference.square().sum(-1) + _LEAST_SQUARE).log()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "pairs": None}  # a model that is pickled in training holds no rows


def fuzzy_neighbors(points: np.ndarray, n_neighbors: int) -> Any:
    """Return how far points are neighbours, in (0, 1], a symmetric sparse array (n_points, n_points)."""
    if len(points) < 2:
        raise ValueError("Got 1 row to find neighbors for; expected at least 2. Pass more rows, or penalty=None.")
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(points) - 1)).fit(points)
    distances, neighbors = search.kneighbors()
    graph = search.kneighbors_graph()
    graph.data, graph.indices = fuzzy_weights(distances).ravel(), neighbors.ravel().astype(graph.indices.dtype)
    graph.sum_duplicates()
    return (graph + graph.T - graph.multiply(graph.T)).tocsr()


def fuzzy_weights(distances: np.ndarray) -> np.ndarray:
    """Return UMAP's weights of each point's neighbours by their distances, (n_points, n_neighbors), in order.

    The nearest has weight 1; scales are such that the weights of a point add up to log2 of the number of neighbours,
    where distances differ.
    """
    n_neighbors = distances.shape[1]
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isfinite(nearest), nearest, 0.0), 0.0)
    low, high = np.zeros((len(distances), 1)), np.full((len(distances), 1), max(float(beyond.max()), 1e-12) * 1e3)
    for _ in range(_N_BISECTIONS):
        scale = 0.5 * (low + high)
        is_wide = np.exp(-beyond / scale).sum(axis=1, keepdims=True) > np.log2(n_neighbors)
        low, high = np.where(is_wide, low, scale), np.where(is_wide, scale, high)
    return np.exp(-beyond / np.maximum(scale, _LEAST_SCALE * max(float(distances.mean()), 1e-12)))


def _curve(min_dist: float, spread: float = 1.0) -> tuple[float, float]:
    """Return log a and b of 1 / (1 + a d^2b), the smooth curve next to UMAP's wanted one."""
    distance = np.linspace(0.0, 3.0 * spread, 300)
    wanted = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    (a, b), _ = curve_fit(_similarity, distance, wanted)
    return float(np.log(a)), float(b)


def _similarity(distance: np.ndarray, a: float, b: float) -> np.ndarray:
    return 1.0 / (1.0 + a * distance ** (2.0 * b))
