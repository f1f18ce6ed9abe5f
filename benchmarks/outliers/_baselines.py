"""Four peers of scikit-learn, so that they are always there; with PyOD's sign where they are written here."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from benchmarks.outliers._protocol import Make

__all__ = ["NeighborDistance", "baselines"]


def baselines() -> dict[str, Make]:
    """Return what makes each from a seed."""
    return {
        "IsolationForest": lambda seed: IsolationForest(random_state=seed),
        "kNN, mean of 5": lambda seed: NeighborDistance(),
        "trimmed Gaussian": lambda seed: TrimmedGaussian(),
        "GaussianMixture(4)": lambda seed: Improbability(GaussianMixture(4, reg_covar=1e-3, random_state=seed)),
    }


class NeighborDistance:
    """Mean distance to the 5 nearest training rows."""

    def fit(self, X: np.ndarray) -> Self:
        self.neighbors_ = NearestNeighbors(n_neighbors=min(5, len(X))).fit(X)
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return self.neighbors_.kneighbors(X)[0].mean(axis=1)


class TrimmedGaussian:
    """Squared Mahalanobis distance, by mean and shrunk covariance of the 75 % nearest rows, found in 5 rounds."""

    def fit(self, X: np.ndarray) -> Self:
        self.covariance_ = LedoitWolf().fit(X)
        for _ in range(5):
            nearest = np.argsort(self.decision_function(X), kind="stable")[: max(2, int(0.75 * len(X)))]
            self.covariance_ = LedoitWolf().fit(X[nearest])
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return self.covariance_.mahalanobis(X)


class Improbability:
    """Minus the log-density of a model that has `score_samples`."""

    def __init__(self, model: Any):
        self.model = model

    def fit(self, X: np.ndarray) -> Self:
        self.model.fit(X)
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return -self.model.score_samples(X)
