"""Which rows not to trust: those that look strange and resemble each other."""

from __future__ import annotations

import math

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sklae._outliers.densities import ColumnTails, TrimmedNormal
from sklae._outliers.tails import Tail

__all__ = ["clique", "distrusted", "suspicion"]
# Chosen on half of the tables of benchmarks/outliers/detection.py: this share of rows is suspected, and a suspect is
# left out if this share of its witnesses, the rows nearest to it, is suspected, too.
_SUSPECT_SHARE = 0.2
_AGREEMENT, _N_WITNESSES = 0.5, 10
# So many neighbours are more than outliers that resemble each other mostly have among themselves.
_MANY = 100
# Rows to look for them among.
_MOST_REFERENCES = 2_048


def distrusted(
    points: np.ndarray, support_fraction: float | str | None, random_state: np.random.RandomState
) -> np.ndarray:
    """Return which rows not to trust, as positions: a detector's ``support_fraction`` says how many are trusted."""
    if support_fraction == 1.0:
        return np.empty(0, dtype=int)
    anomaly = suspicion(points, random_state)
    if support_fraction is None or support_fraction == "auto":
        return clique(anomaly, points)
    n_trusted = max(2, math.ceil(float(support_fraction) * len(anomaly)))
    return np.sort(np.argsort(anomaly, kind="stable")[n_trusted:])


def suspicion(points: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """Return how strange points look from afar, (n_points,), whatever resembles them: surprises in nats, added.

    By a normal distribution of the inner ones, by columns, and by distances to very many neighbours.
    """
    distant = _far_distance(points, random_state)
    normal, columns = (kind.fit(points).strangeness(points) for kind in (TrimmedNormal, ColumnTails))
    return np.sum([Tail.fit(part, positive=True)(part) for part in (distant, normal, columns)], axis=0)


def _far_distance(points: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """Return mean distances to so many of all points, among a sample of these."""
    n_references = min(len(points), _MOST_REFERENCES)
    references = points[random_state.choice(len(points), n_references, replace=False)]
    n_neighbors = max(1, min(round(_MANY * n_references / len(points)), n_references - 1))
    distance, _ = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(references).kneighbors(points)
    is_copy = distance[:, 0] <= 0
    return np.where(is_copy, distance[:, 1:].mean(axis=1), distance[:, :-1].mean(axis=1))


def clique(anomaly: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the rows that look strange and have mostly such rows for neighbours, as positions.

    Outliers that resemble each other pass for usual: each is the other's close neighbour. Lone ones harm nobody else,
    and the outer rows of clean data have inner ones among their neighbours.

    Parameters
    ----------
    anomaly : ndarray of shape (n_rows,)
    points : ndarray of shape (n_rows, n_dimensions)
    """
    n_suspects = int(_SUSPECT_SHARE * len(anomaly))
    if n_suspects <= _N_WITNESSES:
        return np.empty(0, dtype=int)
    suspects = np.argsort(-anomaly, kind="stable")[:n_suspects]
    is_suspect = np.zeros(len(anomaly), dtype=bool)
    is_suspect[suspects] = True
    search = NearestNeighbors(n_neighbors=_N_WITNESSES + 1).fit(points)
    found = search.kneighbors(points[suspects], return_distance=False)
    others = found != suspects[:, None]
    strange = (is_suspect[found] & others).sum(axis=1) / others.sum(axis=1)
    return np.sort(suspects[strange >= _AGREEMENT])
