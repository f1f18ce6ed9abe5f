"""How cells look to a mixture of normals: as they are, or bent so that each column of numbers is normal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from scipy.special import ndtri

from sklae._linear.mixture import Expected
from sklae._utils.thinning import thinned

__all__ = ["NormalScores", "Plain", "View"]

# So many values of a column are kept, to go from values to scores and back.
_MOST_KNOTS = 4_096
# Points of Gauss-Hermite quadrature, and the least share of a component that takes part.
_N_POINTS, _LEAST_SHARE = 7, 1e-3


class View(ABC):
    """A view of cells, of which the numbers are bent."""

    @classmethod
    @abstractmethod
    def fit(cls, cells: np.ndarray, numbers: np.ndarray) -> Self:
        """Learn the view of cells, (n_samples, n_cells), of which these positions are numbers."""

    @abstractmethod
    def see(self, cells: np.ndarray) -> np.ndarray:
        """Return cells as they are seen."""

    @abstractmethod
    def expect(self, expected: Expected, missing: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the expected cells, (n_samples, n_columns), from what a mixture expects of these columns as seen."""

    @abstractmethod
    def back(self, seen: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the cells of these columns, (n_samples, n_columns), from how they are seen."""


class Plain(View):
    """Cells as they are."""

    @classmethod
    def fit(cls, cells: np.ndarray, numbers: np.ndarray) -> Self:
        return cls()

    def see(self, cells: np.ndarray) -> np.ndarray:
        return cells

    def expect(self, expected: Expected, missing: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return expected.mean()

    def back(self, seen: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return seen


class NormalScores(View):
    """Numbers by the normal quantile of their rank: skewed columns and heavy tails are as others.

    Parameters
    ----------
    knots : dict of int to (ndarray, ndarray)
        Of each cell that is a number, distinct values in order, and their scores.
    """

    def __init__(self, knots: dict[int, tuple[np.ndarray, np.ndarray]]):
        self.knots = knots

    @classmethod
    def fit(cls, cells: np.ndarray, numbers: np.ndarray) -> Self:
        knots = {}
        for j in numbers.tolist():
            values = cells[~np.isnan(cells[:, j]), j]
            distinct, count = np.unique(values, return_counts=True)
            scores = ndtri((count.cumsum() - 0.5 * count) / len(values))
            kept = thinned(len(distinct), _MOST_KNOTS)
            knots[j] = (distinct[kept], scores[kept])
        return cls(knots)

    def see(self, cells: np.ndarray) -> np.ndarray:
        seen = cells.copy()
        for j, (values, scores) in self.knots.items():
            seen[:, j] = np.interp(cells[:, j], values, scores)  # NaN stays NaN
        return seen

    def expect(self, expected: Expected, missing: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return E[g(z)], which is not g(E[z]), by quadrature over each component."""
        points, weights = np.polynomial.hermite_e.hermegauss(_N_POINTS)
        weights = weights / weights.sum()
        out = expected.mean()
        for position, j in enumerate(columns.tolist()):
            if j not in self.knots:
                continue
            values, scores = self.knots[j]
            rows = np.flatnonzero(missing[:, position])
            own, component = np.nonzero(expected.shares[rows] > _LEAST_SHARE)
            share = expected.shares[rows[own], component]
            mean = expected.means[component, rows[own], position]
            deviation = np.sqrt(np.maximum(expected.variances[component, rows[own], position], 0.0))
            total = np.zeros(len(own))
            for point, weight in zip(points, weights, strict=True):
                total += weight * np.interp(mean + point * deviation, scores, values)
            each = np.bincount(own, share, minlength=len(rows))
            out[rows, position] = np.bincount(own, share * total, minlength=len(rows)) / np.maximum(each, _LEAST_SHARE)
        return out

    def back(self, seen: np.ndarray, columns: np.ndarray) -> np.ndarray:
        cells = seen.copy()
        for position, j in enumerate(columns.tolist()):
            if j in self.knots:
                values, scores = self.knots[j]
                cells[:, position] = np.interp(seen[:, position], scores, values)
        return cells
