"""Variants of sklae's detector, and no autoencoder at all: what `detection.py --ablation` compares."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.outliers._protocol import Make, sklae
from sklae import AEOutlierDetector
from sklae._outliers.defaults import default_autoencoder

__all__ = ["DEFAULT", "NeighborDistance", "variants"]

DEFAULT = "default"


def variants() -> dict[str, Make]:
    """Return what makes each variant from a seed.

    Which rows are trusted makes no difference to reconstruction alone: the autoencoder sees all.
    """
    found = {DEFAULT: sklae(), "anomaly_score=reconstruction": sklae(anomaly_score="reconstruction")}
    for evidence in ("combined", "neighbors"):
        for support_fraction in ("auto", 0.9, 1.0):
            changes = {"anomaly_score": evidence, "support_fraction": support_fraction}
            changes = {name: value for name, value in changes.items() if value not in ("combined", "auto")}
            if changes:
                found[_name(changes)] = sklae(**changes)
    for n_estimators in (2, 4, 8):
        found[f"n_estimators={n_estimators}"] = sklae(n_estimators=n_estimators)
    found["no clipping"] = lambda seed: Unclipped(random_state=seed)
    found["no autoencoder: neighbour distance"] = lambda seed: NeighborDistance()
    found["no autoencoder, less suspects"] = lambda seed: NeighborDistance(leave_out=True)
    return found


def _name(changes: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in changes.items())


class Unclipped(AEOutlierDetector):
    """The default detector, but its autoencoders see inputs as they are, however far out."""

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        self.set_params(autoencoder=default_autoencoder(*X.shape).set_params(clip=None))
        return super().fit(X)


class NeighborDistance:
    """Mean distance to the 3 nearest training rows, with PyOD's sign.

    Parameters
    ----------
    leave_out : bool, default=False
        Whether training rows are left out that look strange by that distance themselves (the 20 % farthest from
        others) and whose neighbours do too (70 % of the nearest 10).
    """

    def __init__(self, leave_out: bool = False):
        self.leave_out = leave_out

    def fit(self, X: np.ndarray) -> Self:
        kept = X[~_suspects(X)] if self.leave_out else X
        self.neighbors_ = NearestNeighbors(n_neighbors=min(3, len(kept))).fit(kept)
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return self.neighbors_.kneighbors(X)[0].mean(axis=1)


def _suspects(X: np.ndarray, share: float = 0.2, n_neighbors: int = 10, vote: float = 0.7) -> np.ndarray:
    """Return which rows are farthest from their 3 nearest others, among others that are far away too."""
    neighbors = NearestNeighbors(n_neighbors=min(n_neighbors, len(X) - 1)).fit(X)
    distances, places = neighbors.kneighbors()  # of the rows themselves: each but itself
    distance = distances[:, :3].mean(axis=1)
    suspect = distance >= np.quantile(distance, 1.0 - share)
    return suspect & (suspect[places].mean(axis=1) >= vote)
