"""What speaks against a row: kinds of evidence, how surprising each is, and which columns it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sklae._outliers.densities import ColumnTails, Density, NormalMixture, TrimmedNormal, left_out
from sklae._outliers.ensemble import Ensemble, batches_of
from sklae._outliers.spaces import SPACES, PointSpace, Seen, Space
from sklae._outliers.tails import Tail

__all__ = ["EVIDENCE", "MOST_RESIDUAL", "SAME", "Evidence", "Learned", "OfAutoencoders"]

_N_NEIGHBORS = 5
# Neighbours that say what to expect.
_N_WITNESSES = 10
#: Squared distance up to which rows are the same, but for rounding.
SAME = 1e-10
# What distances among trusted rows weigh beside those among all. Chosen on half of the tables of
# benchmarks/outliers/detection.py, as the weights of evidence are.
_TRUSTED_SHARE = 0.3
# Of fewer rows for a dimension, a view tells the rows it was learned from from others.
_ROWS_EACH = 10
#: A residual in units of the usual one: squares must not overflow.
MOST_RESIDUAL = 1e100


class Learned(NamedTuple):
    """What evidence is learned from.

    Attributes
    ----------
    seen : Seen
        Training rows.
    trusted : ndarray of int
        Positions of those that are trusted; neighbours are looked for among `references` of them, and of all.
    references : ndarray of int
    folds : list of ndarray of int
        Parts of the rows, each to be judged by what was learned from the others; none where all were learned from.
    fold_ensembles : list of Ensemble
        For each fold, autoencoders that were fitted without it; as many as were trained.
    seed : int
    counted : ndarray of int or None
        Positions of the rows, each as often as it counts; None: each once. Distributions are learned from these.
    """

    seen: Seen
    trusted: np.ndarray
    references: np.ndarray
    folds: list[np.ndarray]
    fold_ensembles: list[Ensemble]
    seed: int
    counted: np.ndarray | None = None

    def as_counted(self, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return what belongs to the rows (or to some of them) as often as each counts."""
        if self.counted is None:
            return values if rows is None else values[rows]
        chosen = self.counted if rows is None else self.counted[np.isin(self.counted, rows)]
        return values[chosen] if len(chosen) else values[rows]


class Evidence(ABC):
    """What speaks against rows.

    Parameters
    ----------
    ensemble : Ensemble
    residual_scale : ndarray of shape (n_columns,)
        The usual residual of each column, in the user's units; of a category that of its indicators together.

    Attributes
    ----------
    usual : ndarray of shape (n_terms,)
        Terms of a usual row, where they may be negative: 0 where not.
    """

    #: What its surprise weighs beside that of others.
    weight: ClassVar[float] = 0.3
    #: Names of the terms that come after those of the columns.
    further_terms: ClassVar[tuple[str, ...]] = ()

    usual: np.ndarray

    def __init__(self, ensemble: Ensemble, residual_scale: np.ndarray):
        self.ensemble = ensemble
        self.residual_scale = residual_scale

    @abstractmethod
    def fit(self, learned: Learned) -> np.ndarray:
        """Learn; return the surprise of the rows, each as if it had been left out, (n_rows,)."""

    @abstractmethod
    def surprise(self, seen: Seen) -> np.ndarray:
        """Return how surprising rows are beside those that were learned from, (n_rows,), in nats."""

    @abstractmethod
    def terms(self, seen: Seen) -> np.ndarray:
        """Return what columns, and further terms, have of it, (n_rows, n_terms), of either sign; gaps have 0."""

    def suggest(self, seen: Seen) -> np.ndarray | None:
        """Return the cells that speak least against rows, (n_rows, n_cells); None: it has none to suggest."""
        return None

    def _without_gaps(self, terms: np.ndarray, table: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(self.ensemble.modelled(table)), 0.0, terms)


class _OneNumber(Evidence):
    """Evidence that is a number, and surprising by its tail."""

    #: Whether the number is never negative, and therefore compared on a logarithmic scale.
    positive: ClassVar[bool] = True

    tail: Tail

    def fit(self, learned: Learned) -> np.ndarray:
        strangeness = self.fit_alone(learned)
        return self.tail(strangeness)

    def fit_alone(self, learned: Learned) -> np.ndarray:
        """Learn; return the strangeness of the rows, each as if it had been left out, (n_rows,)."""
        self.learn(learned)
        fitted = self.strangeness(learned.seen)
        left_out = self.strangeness_left_out(learned, fitted.copy())
        self.tail = Tail.fit(learned.as_counted(self.usual_strangeness(fitted, left_out)), positive=self.positive)
        terms = self.terms(learned.seen.take(learned.as_counted(np.arange(len(fitted)), learned.trusted)))
        self.usual = np.zeros(terms.shape[1]) if self.positive else terms.mean(axis=0)
        return left_out

    def surprise(self, seen: Seen) -> np.ndarray:
        return self.tail(self.strangeness(seen))

    def learn(self, learned: Learned) -> None:
        """Learn from rows."""

    @abstractmethod
    def strangeness_left_out(self, learned: Learned, fitted: np.ndarray) -> np.ndarray:
        """Return the strangeness of rows, each as if it had been left out, given that of fitted ones."""

    def usual_strangeness(self, fitted: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        """Return the strangeness that surprises are told by."""
        return left_out

    def strangeness(self, seen: Seen) -> np.ndarray:
        """Return the number, (n_rows,)."""
        return self.terms(seen).sum(axis=1)


class OfAutoencoders(_OneNumber):
    """What autoencoders say: of the rows of a fold, those that were fitted without it.

    Alone it is not turned into a surprise: its terms add up to its strangeness.
    """

    def usual_strangeness(self, fitted: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        # by what networks rebuild of fitted rows, new ones are the more surprising, which found more outliers
        return fitted

    def strangeness_left_out(self, learned: Learned, fitted: np.ndarray) -> np.ndarray:
        for fold, ensemble in zip(learned.folds, learned.fold_ensembles, strict=False):
            table = learned.seen.table[fold]
            other = type(self)(ensemble, self.residual_scale)
            fitted[fold] = other.strangeness(Seen(table, ensemble.expect_in_parts(table), table))
        return fitted


class Reconstruction(OfAutoencoders):
    """Squared residuals in units of the column's usual one, averaged over a row's columns."""

    def terms(self, seen: Seen) -> np.ndarray:
        cells = self.ensemble.cells
        with np.errstate(over="ignore"):
            residuals = self.ensemble.residuals(seen.table, seen.expected) / self.residual_scale[cells.owner]
        squares = cells.add_up(np.clip(residuals, -MOST_RESIDUAL, MOST_RESIDUAL) ** 2)
        return _mean_terms(squares, self.ensemble.modelled(seen.table))

    def suggest(self, seen: Seen) -> np.ndarray:
        return seen.expected


class Bound(OfAutoencoders):
    """Minus the evidence lower bound of a variational autoencoder, in nats: one term a column, and the KL term."""

    positive = False
    further_terms = ("kl",)

    def terms(self, seen: Seen) -> np.ndarray:
        models: list[Any] = [member.model_ for member in self.ensemble.members]
        with np.errstate(over="ignore", invalid="ignore"):
            terms = -np.sum([model.bound_terms(seen.table) for model in models], axis=0) / len(models)
        return np.clip(np.nan_to_num(terms, nan=MOST_RESIDUAL), -MOST_RESIDUAL, MOST_RESIDUAL)

    def suggest(self, seen: Seen) -> np.ndarray:
        return seen.expected


class _OfDensity(_OneNumber):
    """What a distribution in closed form says."""

    density_class: ClassVar[type[Density]]

    def learn(self, learned: Learned) -> None:
        self.density = self.density_class.fit(learned.as_counted(self._cells(learned.seen)), seed=learned.seed)

    def strangeness_left_out(self, learned: Learned, fitted: np.ndarray) -> np.ndarray:
        return left_out(self.density, self._cells(learned.seen), learned.folds, learned.as_counted)

    def strangeness(self, seen: Seen) -> np.ndarray:
        return self.density.strangeness(self._cells(seen))

    def terms(self, seen: Seen) -> np.ndarray:
        terms = self.density.terms(self._cells(seen))
        return self._without_gaps(self.ensemble.cells.add_up(terms), seen.table)

    def _cells(self, seen: Seen) -> np.ndarray:
        """Return points without their conditions, which are not judged."""
        return seen.points[:, : len(self.ensemble.cells.owner)]


class OfNormalMixture(_OfDensity):
    """Minus the log-density of a mixture of normal distributions."""

    density_class = NormalMixture
    positive = False


class OfTrimmedNormal(_OfDensity):
    """The squared Mahalanobis distance from the inner three quarters of rows."""

    density_class = TrimmedNormal


class OfColumnTails(_OfDensity):
    """How far out the values are, column by column."""

    density_class = ColumnTails


class Neighbors(Evidence):
    """Mean distances to the nearest other rows, in several spaces, among all rows and among those to be trusted.

    Of rows that are among them, the nearest other ones: a copy counts as the row itself, once.
    """

    weight = 1.0

    def fit(self, learned: Learned) -> np.ndarray:
        points, every = learned.seen.points, np.arange(len(learned.seen.points))
        views = [kind.fit(points) for kind in SPACES if points.shape[1] <= kind.most_dimensions]
        among = {1.0: (learned.references, every)}
        if len(learned.trusted) < len(points):
            trusted = np.intersect1d(learned.references, learned.trusted)
            trusted = trusted if len(trusted) > _N_NEIGHBORS else learned.trusted
            among = {1.0 - _TRUSTED_SHARE: (learned.references, every), _TRUSTED_SHARE: (trusted, learned.trusted)}
        self.views: list[tuple[Space, list[tuple[float, _Search, Tail]]]] = []
        surprise = np.zeros(len(points))
        for view in views:
            seen, searches = view(points), []
            for share, (references, compared) in among.items():
                search = _Search(seen[references])
                distance = search.mean_distance(seen)
                if view.learns and len(points) < _ROWS_EACH * points.shape[1]:
                    distance = _distances_left_out(type(view), points, references, learned.folds, distance)
                tail = Tail.fit(learned.as_counted(distance, compared), positive=True)
                searches.append((share / len(views), search, tail))
                surprise += share / len(views) * tail(distance)
            self.views.append((view, searches))
        self.standard = self.views[0][1][0][1]  # among all rows, of standardised columns
        self.space = PointSpace(self.ensemble)
        self.points = points[learned.references]
        self.usual = np.zeros(self.ensemble.layout.n_features)
        return surprise

    def surprise(self, seen: Seen) -> np.ndarray:
        surprise = np.zeros(len(seen.points))
        for view, searches in self.views:
            points = view(seen.points)
            for share, search, tail in searches:
                surprise += share * tail(search.mean_distance(points))
        return surprise

    def terms(self, seen: Seen) -> np.ndarray:
        """Return the columns' shares of squared distances, as the rows are."""
        values, cells = self.ensemble.modelled(seen.table), self.ensemble.cells
        squares = np.empty(values.shape)
        for rows in batches_of(len(values), seen.points.shape[1] * (self.standard.n_neighbors + 1)):
            found = self.standard.mean_squares(seen.points[rows])[:, : len(cells.owner)]
            squares[rows] = cells.add_up(found)
        return _mean_terms(squares, values)

    def suggest(self, seen: Seen) -> np.ndarray:
        cells = self.ensemble.cells
        found = np.empty_like(seen.expected)
        n_neighbors = min(_N_WITNESSES, len(self.points))
        for rows in batches_of(len(found), seen.points.shape[1] * n_neighbors):
            nearest = self.standard.nearest(seen.points[rows], n_neighbors)
            found[rows] = self.space.cells(self.points[nearest].mean(axis=1))
        # means of counts and shares need not be any; those of levels are their shares
        has_means = self.ensemble.layout.clips | cells.is_coded
        return np.where(has_means[cells.owner], found, seen.expected)


def _distances_left_out(
    kind: type[Space], points: np.ndarray, references: np.ndarray, folds: list[np.ndarray], distance: np.ndarray
) -> np.ndarray:
    """Return mean distances of points in views that were learned without them, fold by fold."""
    found = distance.copy()
    for fold in folds:
        rest = np.setdiff1d(references, fold)
        if len(rest) > 1:
            view = kind.fit(np.delete(points, fold, axis=0))
            found[fold] = _Search(view(points[rest])).mean_distance(view(points[fold]))
    return found


class _Search:
    """The nearest of some points; of a point that is among them, the nearest others."""

    def __init__(self, points: np.ndarray):
        self.points = points
        self.n_neighbors = min(_N_NEIGHBORS, len(points) - 1)
        self._search = NearestNeighbors(n_neighbors=self.n_neighbors + 1).fit(points)

    def __getstate__(self) -> dict[str, np.ndarray]:
        """Leave out the tree, which is grown again from the points: it is as large, and no plain array."""
        return {"points": self.points}

    def __setstate__(self, state: dict[str, np.ndarray]) -> None:
        self.__init__(state["points"])  # type: ignore[misc]

    def mean_distance(self, points: np.ndarray) -> np.ndarray:
        """Return mean distances to the nearest points, (n_points,)."""
        mean = np.empty(len(points))
        for rows in batches_of(len(points), points.shape[1] * (self.n_neighbors + 1)):
            squares = self._squares(points[rows]).sum(axis=2)
            mean[rows] = np.sqrt(squares).sum(axis=1) / self.n_neighbors
        return mean

    def mean_squares(self, points: np.ndarray) -> np.ndarray:
        """Return squared differences from the nearest points, (n_points, n_dimensions), averaged over these."""
        return self._squares(points).sum(axis=1) / self.n_neighbors

    def _squares(self, points: np.ndarray) -> np.ndarray:
        """Return squared differences, (n_points, n_neighbors + 1, n_dimensions); 0 for the copy, or else the last."""
        found = self._search.kneighbors(points, return_distance=False)
        squares = (points[:, None, :] - self.points[found]) ** 2
        distance = squares.sum(axis=2)
        dropped = np.where(distance.min(axis=1) <= SAME, distance.argmin(axis=1), distance.argmax(axis=1))
        squares[np.arange(len(points)), dropped] = 0.0
        return squares

    def nearest(self, points: np.ndarray, n_neighbors: int) -> np.ndarray:
        return self._search.kneighbors(points, n_neighbors, return_distance=False)


#: Name -> class, called with the ensemble and the usual residual of each column.
EVIDENCE: dict[str, type[Evidence]] = {
    "reconstruction": Reconstruction,
    "neighbors": Neighbors,
    "mixture": OfNormalMixture,
    "robust_covariance": OfTrimmedNormal,
    "columns": OfColumnTails,
    "elbo": Bound,
}


def _mean_terms(squares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return squares over the number of values in their row, 0 in gaps."""
    gaps = np.isnan(values)
    squares[np.isnan(squares)] = MOST_RESIDUAL**2  # so far out that the network overflowed
    squares[gaps] = 0.0
    squares /= np.maximum((~gaps).sum(axis=1, keepdims=True), 1)
    return squares
