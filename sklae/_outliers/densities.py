"""How far rows are from what is usual, by distributions in closed form."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sklae._outliers.spaces import Whitened
from sklae._outliers.tails import Tail

__all__ = ["LEAST_VARIANCE", "ColumnTails", "Density", "NormalMixture", "TrimmedNormal", "left_out"]

# Of more dimensions, so many principal components and what these miss.
_MOST_DIMENSIONS, _N_COMPONENTS = 128, 64
#: Of what principal components miss.
LEAST_VARIANCE = 1e-6


class Density(ABC):
    """What is usual of points."""

    @classmethod
    @abstractmethod
    def fit(cls, points: np.ndarray, *, like: Any = None, seed: int = 0) -> Self:
        """Learn it.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_dimensions)
        like : Density or None, default=None
            One of nearly the same points, to start from.
        seed : int, default=0
        """

    @abstractmethod
    def strangeness(self, points: np.ndarray) -> np.ndarray:
        """Return how far points are from what is usual, (n_points,)."""

    @abstractmethod
    def terms(self, points: np.ndarray) -> np.ndarray:
        """Return how much each dimension has of it, (n_points, n_dimensions), of either sign."""


def left_out(
    density: Density,
    points: np.ndarray,
    folds: list[np.ndarray],
    count: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return the strangeness of points for densities that were fitted without them, fold by fold.

    ``count(points, rows)`` returns those at some positions, as often as they count; None: once.
    """
    strangeness = density.strangeness(points)
    for fold in folds:
        rest = np.delete(np.arange(len(points)), fold)
        others = points[rest] if count is None else count(points, rest)
        strangeness[fold] = type(density).fit(others, like=density).strangeness(points[fold])
    return strangeness


class TrimmedNormal(Density):
    """A normal distribution of the three quarters of points that are nearest its middle.

    As in Rousseeuw and Van Driessen's concentration steps (Technometrics 41:212, 1999), from the covariance of all
    points; covariances are shrunk. The strangeness is the squared Mahalanobis distance.
    """

    _SHARE, _N_STEPS = 0.75, 5

    def __init__(self, reduced: _Reduced, inner: Whitened):
        self.reduced = reduced
        self.inner = inner

    @classmethod
    def fit(cls, points: np.ndarray, *, like: Any = None, seed: int = 0) -> Self:
        reduced = _Reduced.fit(points)
        points = reduced(points)
        inner = Whitened.fit(points)
        n_kept = max(2, int(cls._SHARE * len(points)))
        for _ in range(cls._N_STEPS):
            nearest = np.argpartition(inner.squared_distance(points), n_kept - 1)[:n_kept]
            inner = Whitened.fit(points[nearest])
        return cls(reduced, inner)

    def strangeness(self, points: np.ndarray) -> np.ndarray:
        return self.inner.squared_distance(self.reduced(points))

    def terms(self, points: np.ndarray) -> np.ndarray:
        return self.reduced.widen(self.inner.shares(self.reduced(points)))


class NormalMixture(Density):
    """A mixture of four normals (fewer of few points). The strangeness is minus its log-density, in nats."""

    _N_NORMALS, _POINTS_EACH, _MOST_POINTS = 4, 10, 2_048
    _N_ITERATIONS, _N_MORE = 50, 10

    def __init__(self, reduced: _Reduced, mixture: GaussianMixture):
        self.reduced = reduced
        self.mixture = mixture

    @classmethod
    def fit(cls, points: np.ndarray, *, like: Any = None, seed: int = 0) -> Self:
        random_state = np.random.RandomState(seed)
        if len(points) > cls._MOST_POINTS:
            points = points[np.sort(random_state.choice(len(points), cls._MOST_POINTS, replace=False))]
        reduced = _Reduced.fit(points) if like is None else like.reduced
        settings: dict[str, Any] = {"max_iter": cls._N_ITERATIONS, "random_state": random_state}
        n_normals = int(np.clip(len(points) // cls._POINTS_EACH, 1, cls._N_NORMALS))
        if like is not None:
            found = like.mixture
            n_normals = found.n_components
            start = {"weights_init": found.weights_, "means_init": found.means_, "precisions_init": found.precisions_}
            settings |= {**start, "max_iter": cls._N_MORE}
        seen = reduced(points)
        # array API dispatch refuses the default way to start
        with warnings.catch_warnings(), config_context(array_api_dispatch=False):
            warnings.simplefilter("ignore", ConvergenceWarning)
            for ridge in (1e-3, 1e-2, 0.1, 1.0):
                try:
                    return cls(reduced, GaussianMixture(n_normals, reg_covar=ridge, **settings).fit(seen))
                except ValueError:  # a covariance that is not positive definite for rounding
                    continue
        return cls(reduced, GaussianMixture(1, covariance_type="diag", reg_covar=1.0).fit(seen))

    def strangeness(self, points: np.ndarray) -> np.ndarray:
        return -self.mixture.score_samples(self.reduced(points))

    def terms(self, points: np.ndarray) -> np.ndarray:
        seen, mixture = self.reduced(points), self.mixture
        shares = mixture.predict_proba(seen)
        terms = np.zeros(seen.shape)
        for share, mean, precision in zip(shares.T, mixture.means_, _matrices(mixture), strict=True):
            difference = seen - mean
            terms += 0.5 * share[:, None] * difference * (difference @ precision)
        return self.reduced.widen(terms)


class ColumnTails(Density):
    """How far out values lie among those of their dimension, each on its side. The strangeness is the sum, in nats."""

    def __init__(self, upper: list[Tail], lower: list[Tail]):
        self.upper = upper
        self.lower = lower

    @classmethod
    def fit(cls, points: np.ndarray, *, like: Any = None, seed: int = 0) -> Self:
        sides = ([Tail.fit(side * x, positive=False, share=0.1) for x in points.T] for side in (1.0, -1.0))
        return cls(*sides)

    def strangeness(self, points: np.ndarray) -> np.ndarray:
        return self.terms(points).sum(axis=1)

    def terms(self, points: np.ndarray) -> np.ndarray:
        pairs = zip(points.T, self.upper, self.lower, strict=True)
        return np.stack([np.maximum(upper(x), lower(-x)) for x, upper, lower in pairs], axis=1)


class _Reduced:
    """Points of very many dimensions in fewer: principal components, and the length of what these miss."""

    def __init__(self, mean: np.ndarray | None = None, axes: np.ndarray | None = None):
        self.mean = mean
        self.axes = axes

    @classmethod
    def fit(cls, points: np.ndarray) -> Self:
        if points.shape[1] <= _MOST_DIMENSIONS:
            return cls()
        mean = points.mean(axis=0)
        centered = points - mean
        if len(points) < points.shape[1]:
            _, vectors = np.linalg.eigh(centered @ centered.T)
            axes = centered.T @ vectors[:, ::-1][:, :_N_COMPONENTS]
            axes /= np.maximum(np.linalg.norm(axes, axis=0), np.finfo(np.float64).tiny)
        else:
            _, vectors = np.linalg.eigh(centered.T @ centered)
            axes = vectors[:, ::-1][:, :_N_COMPONENTS]
        return cls(mean, axes)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        if self.axes is None:
            return points
        centered = points - self.mean
        scores = centered @ self.axes
        missed = np.maximum((centered**2).sum(axis=1) - (scores**2).sum(axis=1), LEAST_VARIANCE)
        return np.column_stack([scores, np.sqrt(missed)])

    def widen(self, terms: np.ndarray) -> np.ndarray:
        """Return terms of components as terms of dimensions, by what these have of the components' axes."""
        if self.axes is None:
            return terms
        return terms[:, :-1] @ (self.axes.T**2) + terms[:, -1:] / len(self.axes)


def _matrices(mixture: GaussianMixture) -> Any:
    """Return the precision of each normal as a matrix."""
    return mixture.precisions_ if mixture.covariance_type == "full" else [np.diag(p) for p in mixture.precisions_]
