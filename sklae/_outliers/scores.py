"""What speaks against a row: kinds of evidence, each a sum over columns, and their joint score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sklae._outliers.ensemble import Ensemble, batches_of

__all__ = ["EVIDENCE", "Evidence", "NeighborSpace"]

_N_NEIGHBORS = 3
# Neighbours that say whom to trust, and what to expect.
_N_WITNESSES = 10
# Squared standard deviations up to which rows are the same: a row's own copy, but for rounding.
_SAME = 1e-10
# Standard deviations from the mean from which on neighbours are no longer told apart: squares must not overflow.
_FARTHEST = 1e6
# How many standard deviations apart rows of different conditions lie, in the search for neighbours.
_CONDITION_WEIGHT = 3.0


class NeighborSpace:
    """Where neighbours are looked for: standardised cells, gaps filled, conditions beside them.

    A category counts as one standardised number does: its indicators together have variance 1.

    Parameters
    ----------
    ensemble : Ensemble
    """

    def __init__(self, ensemble: Ensemble):
        self.ensemble = ensemble
        self.unit = ensemble.spread[ensemble.cells.owner]

    def __call__(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return rows as points, (n_rows, n_dimensions): cells first."""
        ensemble, layout = self.ensemble, self.ensemble.layout
        observed = ensemble.observe(table)
        gaps = np.isnan(observed)
        with np.errstate(over="ignore"):
            filled = np.where(gaps, expected, observed) if gaps.any() else observed
            points = ensemble.cumulate(filled - ensemble.mean)
            points /= self.unit
        np.clip(points, -_FARTHEST, _FARTHEST, out=points)
        if gaps.any():
            points[np.isnan(points)] = _FARTHEST  # filled by a network that overflowed
        if layout.n_condition:
            conditions = layout.conditions.encode(layout.columns.conditioning(table))
            points = np.hstack([points, _CONDITION_WEIGHT * conditions])
        return points

    def cells(self, points: np.ndarray) -> np.ndarray:
        """Return the cells that points stand for."""
        ensemble = self.ensemble
        return ensemble.separate(points[:, : len(self.unit)] * self.unit) + ensemble.mean


class Evidence(ABC):
    """What speaks against rows, term by term: the sum of a row's terms is its strangeness.

    Parameters
    ----------
    ensemble : Ensemble
    residual_scale : ndarray of shape (n_columns,)
        The usual residual of each column, in the user's units; of a category that of its indicators together.

    Methods take validated rows and the cells that the ensemble expects in them.
    """

    #: Whether strangeness is never negative, and therefore compared on a logarithmic scale.
    positive: ClassVar[bool] = True
    #: Names of the terms that come after those of the columns.
    further_terms: ClassVar[tuple[str, ...]] = ()

    def __init__(self, ensemble: Ensemble, residual_scale: np.ndarray):
        self.ensemble = ensemble
        self.residual_scale = residual_scale

    def fit(self, table: np.ndarray, expected: np.ndarray) -> None:  # noqa: B027 - most have nothing to learn
        """Learn from the rows that are trusted, and what the ensemble makes of them."""

    @abstractmethod
    def terms(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the terms of rows, (n_rows, n_columns + n_further_terms); those of gaps are 0."""

    def suggest(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the cells that speak least against rows, (n_rows, n_cells)."""
        return expected


class Reconstruction(Evidence):
    """Squared residuals in units of the column's usual one, averaged over a row's columns."""

    def terms(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        cells = self.ensemble.cells
        residuals = self.ensemble.residuals(table, expected)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = cells.add_up((residuals / self.residual_scale[cells.owner]) ** 2)
        return _mean_terms(squares, self.ensemble.modelled(table))


class Neighbors(Evidence):
    """Squared distances to the nearest trusted rows in units of the columns' spread, averaged over a row's columns.

    Of rows that are among them, the nearest other ones: a copy counts as the row itself, once.
    """

    def fit(self, table: np.ndarray, expected: np.ndarray) -> None:
        self.space = NeighborSpace(self.ensemble)
        self.points = self.space(table, expected)
        self.n_neighbors = min(_N_NEIGHBORS, len(self.points) - 1)
        self.search = NearestNeighbors(n_neighbors=self.n_neighbors + 1).fit(self.points)

    def terms(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        values, cells = self.ensemble.modelled(table), self.ensemble.cells
        points = self.space(table, expected)
        squares = np.empty(values.shape)
        for rows in batches_of(len(table), points.shape[1] * (self.n_neighbors + 1)):
            squares[rows] = cells.add_up(self._mean_squares(points[rows])[:, : len(cells.owner)])
        return _mean_terms(squares, values)

    def suggest(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        cells = self.ensemble.cells
        found = np.empty_like(expected)
        points = self.space(table, expected)
        n_neighbors = min(_N_WITNESSES, len(self.points))
        for rows in batches_of(len(table), points.shape[1] * n_neighbors):
            nearest = self.search.kneighbors(points[rows], n_neighbors, return_distance=False)
            found[rows] = self.space.cells(self.points[nearest].mean(axis=1))
        # means of counts and shares need not be any; those of levels are their shares
        has_means = self.ensemble.layout.clips | cells.is_coded
        return np.where(has_means[cells.owner], found, expected)

    def _mean_squares(self, points: np.ndarray) -> np.ndarray:
        found = self.search.kneighbors(points, return_distance=False)
        squares = (points[:, None, :] - self.points[found]) ** 2
        distance = squares.sum(axis=2)
        nearest = distance.argmin(axis=1)
        is_copy = distance.min(axis=1) <= _SAME
        left_out = np.where(is_copy, nearest, distance.argmax(axis=1))
        squares[np.arange(len(points)), left_out] = 0.0
        return squares.sum(axis=1) / self.n_neighbors


class Bound(Evidence):
    """Minus the evidence lower bound of a variational autoencoder, in nats: one term a column, and the KL term."""

    positive = False
    further_terms = ("kl",)

    def terms(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        models: list[Any] = [member.model_ for member in self.ensemble.members]
        return -np.sum([model.bound_terms(table) for model in models], axis=0) / len(models)


#: Name -> class, called with the ensemble and the usual residual of each column.
EVIDENCE: dict[str, Any] = {"reconstruction": Reconstruction, "neighbors": Neighbors, "elbo": Bound}


def _mean_terms(squares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return squares over the number of values in their row, 0 in gaps."""
    gaps = np.isnan(values)
    squares[np.isnan(squares)] = np.inf  # so far out that the network overflowed
    squares[gaps] = 0.0
    squares /= np.maximum((~gaps).sum(axis=1, keepdims=True), 1)
    return squares
