"""Which rows not to trust: those that look strange and resemble each other."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sklae._outliers.scores import _N_WITNESSES

__all__ = ["clique"]
# Chosen on half of the tables of benchmarks/outliers/detection.py: this share of rows is suspected, and a suspect is
# left out if this share of its witnesses is suspected, too.
_SUSPECT_SHARE = 0.2
_AGREEMENT = 0.7


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
