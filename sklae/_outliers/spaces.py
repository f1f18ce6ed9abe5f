"""Where distances between rows are measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import ndtri
from sklearn.covariance import ledoit_wolf

from sklae._outliers.ensemble import Ensemble
from sklae._outliers.tails import kept_knots

__all__ = ["CONDITION_WEIGHT", "FARTHEST", "SPACES", "PointSpace", "Seen", "Space", "Whitened"]

#: Standard deviations from the mean from which on rows are no longer told apart: squares must not overflow.
FARTHEST = 1e6
# Closer to the mean they aren't either: differences of such numbers have no quotients.
_NEAREST = 1e-100
#: How many standard deviations apart rows of different conditions lie.
CONDITION_WEIGHT = 3.0
# Of the mean variance: what keeps covariances of dependent columns invertible.
_RIDGE = 1e-6


class Seen(NamedTuple):
    """Rows as evidence looks at them.

    Attributes
    ----------
    table : ndarray of shape (n_rows, n_features)
        Validated.
    expected : ndarray of shape (n_rows, n_cells)
        What the autoencoders make of them.
    points : ndarray of shape (n_rows, n_dimensions)
        See `PointSpace`.
    """

    table: np.ndarray
    expected: np.ndarray
    points: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Seen:
        """Return some of the rows."""
        return Seen(*(part[rows] for part in self))


class PointSpace:
    """Rows as points: standardised cells, gaps filled, conditions beside them.

    A category counts as one standardised number does: its indicators together have variance 1.

    Parameters
    ----------
    ensemble : Ensemble
    """

    def __init__(self, ensemble: Ensemble):
        self.ensemble = ensemble
        self.unit = ensemble.spread[ensemble.cells.owner]

    def see(self, table: np.ndarray) -> Seen:
        """Return rows as points, and what is expected of them."""
        expected = self.ensemble.expect_in_parts(table)
        return Seen(table, expected, self.points(table, expected))

    def points(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return rows as points, (n_rows, n_dimensions): cells first."""
        ensemble, layout = self.ensemble, self.ensemble.layout
        observed = ensemble.observe(table)
        gaps = np.isnan(observed)
        with np.errstate(over="ignore"):
            filled = np.where(gaps, expected, observed) if gaps.any() else observed
            points = ensemble.cumulate(filled - ensemble.mean)
            points /= self.unit
        np.clip(points, -FARTHEST, FARTHEST, out=points)
        points[np.abs(points) < _NEAREST] = 0.0
        if gaps.any():
            points[np.isnan(points)] = FARTHEST  # filled by a network that overflowed
        if layout.n_condition:
            conditions = layout.conditions.encode(layout.columns.conditioning(table))
            points = np.hstack([points, CONDITION_WEIGHT * conditions])
        return points

    def cells(self, points: np.ndarray) -> np.ndarray:
        """Return the cells that points stand for."""
        ensemble = self.ensemble
        return ensemble.separate(points[:, : len(self.unit)] * self.unit) + ensemble.mean


class Space(ABC):
    """A view of points, learned from some."""

    #: Of more dimensions there is none.
    most_dimensions: ClassVar[float] = np.inf
    #: Whether it depends on the points that it is learned from.
    learns: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def fit(cls, points: np.ndarray) -> Self:
        """Learn the view from points."""

    @abstractmethod
    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return points as they are seen."""


class Standardized(Space):
    """Points as they are."""

    learns = False

    @classmethod
    def fit(cls, points: np.ndarray) -> Self:
        return cls()

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return points


class Whitened(Space):
    """Points without correlations: a row far from the lines that others lie along is far from them.

    Covariances are shrunk by the rule of Ledoit and Wolf (Journal of Multivariate Analysis 88:365, 2004).

    Parameters
    ----------
    mean : ndarray of shape (n_dimensions,)
    root : ndarray of shape (n_dimensions, n_dimensions)
        The lower triangle whose product with its transpose is the covariance.
    """

    most_dimensions = 1_024

    def __init__(self, mean: np.ndarray, root: np.ndarray):
        self.mean = mean
        self.root = root

    @classmethod
    def fit(cls, points: np.ndarray) -> Self:
        mean = points.mean(axis=0)
        covariance, _ = ledoit_wolf(points - mean, assume_centered=True)
        ridge = _RIDGE * max(float(np.trace(covariance)) / len(covariance), _RIDGE)
        return cls(mean, np.linalg.cholesky(covariance + ridge * np.eye(len(covariance))))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return solve_triangular(self.root, (points - self.mean).T, lower=True).T

    def squared_distance(self, points: np.ndarray) -> np.ndarray:
        """Return the squared Mahalanobis distance of points from the mean, (n_points,)."""
        return (self(points) ** 2).sum(axis=1)

    def shares(self, points: np.ndarray) -> np.ndarray:
        """Return what dimensions have of that, (n_points, n_dimensions), of either sign."""
        difference = points - self.mean
        return difference * cho_solve((self.root, True), difference.T).T


class NormalScores(Space):
    """Each dimension bent so that it is normal: skewed columns and crowded values are told apart as others are.

    Beyond the values that were seen it goes on in standard deviations.
    """

    most_dimensions = 1_024

    def __init__(self, knots: list[tuple[np.ndarray, np.ndarray]]):
        self.knots = knots

    @classmethod
    def fit(cls, points: np.ndarray) -> Self:
        return cls([_normal_scores(values) for values in points.T])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        bent = np.empty_like(points)
        for j, (values, scores) in enumerate(self.knots):
            x = points[:, j]
            beyond = x - np.clip(x, values[0], values[-1])
            bent[:, j] = np.interp(x, values, scores) + beyond
        return bent


def _normal_scores(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct values in order, and the normal quantiles of their mean ranks."""
    distinct, count = np.unique(values, return_counts=True)
    kept = kept_knots(len(distinct))
    return distinct[kept], ndtri((np.cumsum(count) - 0.5 * count) / len(values))[kept]


#: The views in which neighbours are looked for.
SPACES: tuple[type[Space], ...] = (Standardized, Whitened, NormalScores)
