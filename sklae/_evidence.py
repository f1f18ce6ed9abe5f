"""What speaks against a row: kinds of evidence, each a sum over columns, and their joint score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from sklae._base import BaseAutoencoder
from sklae._cells import Cells
from sklae._layout import Layout
from sklae._tails import Tail

__all__ = ["EVIDENCE", "Ensemble", "Evidence", "Joint", "Space", "batches_of", "clique", "residual_scale", "share_out"]

# Residuals of a column count in units of at least this share of its standard deviation (of its magnitude,
# for a column that was constant in fit): else a column that is copied perfectly would decide alone.
_FLOOR = 1e-3
_CHUNK_ELEMENTS = 2**20
_N_NEIGHBORS = 3
# Neighbours that say whom to trust, and what to expect.
_N_WITNESSES = 10
# Chosen on half of the tables of benchmarks/outliers.py: this share of rows is suspected, and a suspect is left out if
# this share of its witnesses is suspected, too.
_SUSPECT_SHARE = 0.2
_AGREEMENT = 0.7
# Squared standard deviations up to which rows are the same: a row's own copy, but for rounding.
_SAME = 1e-10
# Standard deviations from the mean from which on neighbours are no longer told apart: squares must not overflow.
_FARTHEST = 1e6
# How many standard deviations apart rows of different conditions lie, in the search for neighbours.
_CONDITION_WEIGHT = 3.0


def batches_of(n_rows: int, width: int) -> Iterator[slice]:
    """Yield parts of rows of so many numbers that stay small."""
    return gen_batches(n_rows, max(1, _CHUNK_ELEMENTS // max(width, 1)))


class Ensemble:
    """Fitted autoencoders of one layout as one: what they expect is averaged.

    Rows are compared cell by cell (see `Cells`): a number is one cell, a category has one for each level.

    Parameters
    ----------
    members : sequence of BaseAutoencoder
    table : ndarray of shape (n_rows, n_features)
        Validated rows that say how frequent levels are.

    Attributes
    ----------
    cells : Cells
        Columns that were constant in fit count as numbers: all there is to them is whether they change.
    mean : ndarray of shape (n_cells,)
        Means of numbers, shares of levels.
    deviation : ndarray of shape (n_columns,)
        Root of a column's variance, of a category that of its indicators together.
    spread : ndarray of shape (n_columns,)
        The unit of each column: its deviation, or a small share of the magnitude of a constant one.
    """

    def __init__(self, members: Sequence[BaseAutoencoder], table: np.ndarray):
        self.members = members
        layout = self.layout
        self.cells = Cells(np.where(layout.varies, members[0]._cells.n_levels, 0))
        self.mean, self.deviation = layout.mean[self.cells.owner], layout.deviation
        if not self.cells.only_numbers:
            self._learn_levels(self.observe(table))
        has_unit = layout.varies & (self.deviation > 0)
        self.spread = np.where(has_unit, self.deviation, _FLOOR * np.maximum(np.abs(layout.mean), 1.0))

    def _learn_levels(self, observed: np.ndarray) -> None:
        cells = self.cells
        count = np.maximum((~np.isnan(observed)).sum(axis=0), 1)
        self.mean = np.where(cells.is_coded[cells.owner], np.nansum(observed, axis=0) / count, self.mean)
        below = self.cumulate(self.mean[None])
        variance = cells.add_up(below * (1.0 - below))[0]
        self.deviation = np.where(cells.is_coded, np.sqrt(np.maximum(variance, 0.0)), self.deviation)

    @property
    def layout(self) -> Layout:
        """The columns and their scaling."""
        return self.members[0].layout_

    def batches(self, table: np.ndarray, n_copies: int = 1) -> Iterator[slice]:
        """Yield parts of rows that stay small, copied so many times, with their cells."""
        return batches_of(len(table), n_copies * max(table.shape[1], len(self.cells.owner)))

    def expect(self, table: np.ndarray) -> np.ndarray:
        """Return what is expected in the modelled cells, (n_rows, n_cells), float64."""
        with np.errstate(over="ignore"):  # far out the networks overflow
            found = [member._expect(table).astype(table.dtype, copy=False) for member in self.members]
            expected = np.asarray(np.mean(found, axis=0, dtype=np.float64))
        constant = ~self.layout.varies
        expected[:, self.cells.first[constant]] = self.layout.mean[constant]
        return expected

    def expect_in_parts(self, table: np.ndarray) -> np.ndarray:
        """Return the same, in less memory."""
        expected = np.empty((len(table), len(self.cells.owner)))
        for rows in self.batches(table):
            expected[rows] = self.expect(table[rows])
        return expected

    def modelled(self, table: np.ndarray) -> np.ndarray:
        """Return the modelled columns of a validated table, float64."""
        return self.layout.columns.modelled(table).astype(np.float64, copy=False)

    def observe(self, table: np.ndarray) -> np.ndarray:
        """Return the modelled cells of a validated table, (n_rows, n_cells); NaN in gaps."""
        return self.cells.expand(self.modelled(table))

    def residuals(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return by how much cells differ from what is expected, (n_rows, n_cells), ordered levels cumulated."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.cumulate(self.observe(table) - expected)

    def cumulate(self, cells: np.ndarray) -> np.ndarray:
        """Return ordered levels added up from the lowest on: the farther a miss, the more cells are wrong."""
        return self._along_ordered(cells, lambda levels: np.cumsum(levels, axis=1))

    def separate(self, cells: np.ndarray) -> np.ndarray:
        """Undo `cumulate`."""
        return self._along_ordered(cells, lambda levels: np.diff(levels, axis=1, prepend=0.0))

    def _along_ordered(self, cells: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        is_ordered = self.cells.is_coded & (np.array(self.layout.columns.kinds) == "ordered")
        if not is_ordered.any():
            return cells
        cells = cells.copy()
        for first, width in zip(self.cells.first[is_ordered], self.cells.widths[is_ordered], strict=True):
            cells[:, first : first + width] = function(cells[:, first : first + width])
        return cells


class Space:
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
        self.space = Space(self.ensemble)
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
        members = self.ensemble.members
        return -sum(member._bound_terms(table) for member in members) / len(members)


#: Name -> class, called with the ensemble and the usual residual of each column.
EVIDENCE: dict[str, Any] = {"reconstruction": Reconstruction, "neighbors": Neighbors, "elbo": Bound}


class Joint:
    """One anomaly from one or several kinds of evidence.

    Of one kind, it is the strangeness itself. Several are made comparable first: each becomes its surprise beside the
    trusted rows, in nats (see `Tail`), and surprises are added, as logarithms of p-values are in Fisher's method.

    Parameters
    ----------
    parts : sequence of Evidence
    """

    def __init__(self, parts: Sequence[Evidence]):
        self.parts = parts
        self.ensemble = parts[0].ensemble
        self.tails: list[Tail] = []
        self.usual: list[np.ndarray] = []
        #: What the columns of a usual row add up to; 0 where nothing is below it.
        self.baseline = 0.0

    @property
    def further_terms(self) -> list[str]:
        """Names of the terms that come after those of the columns."""
        return [name for part in self.parts for name in part.further_terms]

    def fit(self, table: np.ndarray, expected: np.ndarray, trusted: np.ndarray) -> np.ndarray:
        """Learn what is usual from those rows, of the given ones, that are trusted; return how anomalous all are."""
        for part in self.parts:
            part.fit(table[trusted], expected[trusted])
        found = self._found(table, expected)
        if len(self.parts) > 1:
            self.usual, self.tails = [], []
            for part, terms in zip(self.parts, found, strict=True):
                self.usual.append(np.zeros(terms.shape[1]) if part.positive else terms[trusted].mean(axis=0))
                self.tails.append(Tail.fit(terms[trusted].sum(axis=1), positive=part.positive))
        anomaly = self._surprises(found, table).sum(axis=0)
        if len(self.parts) == 1 and not self.parts[0].positive:
            n_columns = self.ensemble.layout.n_features
            self.baseline = float(found[0][trusted, :n_columns].sum(axis=1).mean())
        return anomaly

    def anomaly(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return how anomalous rows are."""
        return self._surprises(self._found(table, expected), table).sum(axis=0)

    def terms(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return what the anomaly is the sum of, column by column and further terms.

        Of several kinds of evidence: each one's surprise, shared out in proportion to its terms (those that may be
        negative: to what they have in excess of the usual).
        """
        found = self._found(table, expected)
        if len(found) == 1:
            return found[0]
        there = ~np.isnan(self.ensemble.modelled(table))
        n_columns = there.shape[1]
        shared = [
            share_out(surprise, np.maximum(terms - usual, 0.0), there)
            for surprise, terms, usual in zip(self._surprises(found, table), found, self.usual, strict=True)
        ]
        return np.hstack([sum(part[:, :n_columns] for part in shared), *(part[:, n_columns:] for part in shared)])

    def suggest(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the cells that speak least against rows, on the average of all kinds of evidence."""
        return np.mean([part.suggest(table, expected) for part in self.parts], axis=0)

    def _surprises(self, found: list[np.ndarray], table: np.ndarray) -> np.ndarray:
        """Return what each kind of evidence adds to the anomaly, (n_parts, n_rows)."""
        totals = [terms.sum(axis=1) for terms in found]
        if len(totals) == 1:
            return np.array(totals)
        # against a row without any value nothing speaks
        there = ~np.isnan(self.ensemble.modelled(table)).all(axis=1)
        return np.array([np.where(there, tail(total), 0.0) for tail, total in zip(self.tails, totals, strict=True)])

    def _found(self, table: np.ndarray, expected: np.ndarray) -> list[np.ndarray]:
        return [part.terms(table, expected) for part in self.parts]


def share_out(total: np.ndarray, weights: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Share totals out among terms.

    Parameters
    ----------
    total : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_rows, n_terms)
        At or above 0. Infinite ones leave nothing for finite ones.
    there : ndarray of shape (n_rows, n_columns), bool
        Whose terms, the first ones, get equal shares where all weights are 0.

    Returns
    -------
    shares : ndarray of shape (n_rows, n_terms)
        Rows add up to the totals.
    """
    infinite = np.isinf(weights)
    weights = np.where(infinite.any(axis=1, keepdims=True), infinite.astype(np.float64), weights)
    nothing = weights.sum(axis=1) <= 0
    weights[nothing, : there.shape[1]] = there[nothing]
    shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.multiply(shares, total[:, None], where=shares > 0, out=np.zeros_like(shares))


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


def _mean_terms(squares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return squares over the number of values in their row, 0 in gaps."""
    gaps = np.isnan(values)
    squares[np.isnan(squares)] = np.inf  # so far out that the network overflowed
    squares[gaps] = 0.0
    squares /= np.maximum((~gaps).sum(axis=1, keepdims=True), 1)
    return squares


def residual_scale(ensemble: Ensemble, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the root mean square of each column's residuals (of all levels together), never below the floor."""
    residuals, cells = ensemble.residuals(table, expected), ensemble.cells
    gaps = np.isnan(residuals)
    residuals[gaps] = 0.0
    squares = cells.add_up(np.einsum("ij,ij->j", residuals, residuals)[None])[0]
    mean_squares = squares / np.maximum((~gaps).sum(axis=0), 1)[cells.first]
    least = np.where(ensemble.layout.varies, _FLOOR * ensemble.deviation, ensemble.spread)
    return np.maximum(np.sqrt(mean_squares), least)
