"""Closed-form models of a table's cells: a normal distribution, and mixtures of several, in two views."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklae._imputation.account import NORMAL
from sklae._imputation.views import NormalScores, Plain, View
from sklae._linear.gappy_factors import GappyFactors
from sklae._linear.gaps import GappyRows
from sklae._linear.mixture import LevelRows, Mixture, Prior, pick
from sklae._linear.normal import Normal
from sklae._tables.indicators import Cells
from sklae._tables.weights import weights_of
from sklae._utils.random import RowUniforms

__all__ = ["Candidate", "Parts", "SeenRows", "fit_candidates", "unrelated_columns"]

# How much covariances are pulled to 0, less and less until cells held out are filled worse, twice.
_SHRINKAGES = (0.1, 0.03, 0.01, 0.003, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
_LEAST_SHRINKAGE, _ENOUGH_WORSE = 1e-6, 2
_MOST_ITERATIONS, _MORE_ITERATIONS = 16, 20
# Changes of a covariance at which to end, coarse for strong shrinkage.
_TOL, _FINE_TOL, _FINE, _REDRAW_TOL = 1e-3, 3e-4, 1e-4, 1e-4
# Numbers of normals that are tried.
_N_NORMALS = (2, 8, 24)
_MIXTURE_ITERATIONS, _REFIT_ITERATIONS, _REDRAW_ITERATIONS = 9, 3, 8
# Rows each normal has at least, and of joint ones rows for each cell.
_ROWS_EACH, _ROWS_EACH_CELL = 15, 1.5
# Indicators join the numbers up to so many cells in all, and mixtures of joint normals are tried up to so many. Of
# categories that are independent given the component fewer normals say too little.
_MOST_CELLS, _MOST_MIXED_CELLS, _LEAST_CLASSES = 64, 40, 8
# What is added to variances of indicators, whose covariances are singular.
_NUMBER_RIDGE, _INDICATOR_RIDGE = 1e-6, 1e-2
# Of more cells than this, a normal distribution has so many factors.
_MOST_NORMAL_CELLS, _N_FACTORS, _FACTOR_ITERATIONS = 160, (5, 20, 50), 12
# A level that is as unlikely as this has this chance.
_LEAST_CHANCE = 1e-3
# Errors beyond so many standard deviations count linearly.
_HUBER = 3.0


@dataclass(frozen=True, eq=False)
class Parts:
    """Which cells a mixture takes for numbers, and which categories it has beside them.

    Attributes
    ----------
    joint : ndarray of int
        Cells.
    categories : list of ndarray of int
        The cells of each category.
    """

    joint: np.ndarray
    categories: list[np.ndarray]

    @classmethod
    def of(cls, cells: Cells) -> tuple[Parts, Parts | None]:
        """Return how a joint normal sees cells, and how classes do (None: as the joint one does).

        The joint one has the numbers, and of the categories the smaller ones.
        """
        numbers = cells.first[~cells.is_coded]
        coded = {int(j): cells.first[j] + np.arange(cells.widths[j]) for j in np.flatnonzero(cells.is_coded)}
        room, joined = _MOST_CELLS - len(numbers), []
        for j in sorted(coded, key=lambda j: len(coded[j])):
            room -= len(coded[j])
            if room >= 0:
                joined.append(j)
        joint = np.sort(np.concatenate([numbers, *(coded[j] for j in joined)])).astype(int)
        first = cls(joint, [own for j, own in coded.items() if j not in joined])
        return first, cls(numbers, list(coded.values())) if coded else None

    def rows(self, seen: np.ndarray, weights: np.ndarray | None = None) -> LevelRows:
        """Return rows, from their cells as they are seen, and how much each counts."""
        levels = [np.nan_to_num(seen[:, own]) for own in self.categories]
        return LevelRows(GappyRows(seen[:, self.joint]), levels, weights)


class SeenRows:
    """Rows as candidates see them; what several of them need is computed once.

    Parameters
    ----------
    cells : ndarray of shape (n_samples, n_cells)
        NaN in gaps.
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each row counts in a fit; None: all alike.
    """

    def __init__(self, cells: np.ndarray, weights: np.ndarray | None = None):
        self.cells = cells
        self.weights = weights
        self._seen: dict[View, np.ndarray] = {}
        self._rows: dict[tuple[View, Parts], LevelRows] = {}

    def by(self, view: View, parts: Parts) -> LevelRows:
        """Return rows in a view, in parts."""
        if view not in self._seen:
            self._seen[view] = view.see(self.cells)
        if (view, parts) not in self._rows:
            self._rows[view, parts] = parts.rows(self._seen[view], self.weights)
        return self._rows[view, parts]


@dataclass(eq=False)
class Candidate(ABC):
    """A model of cells in a view.

    Attributes
    ----------
    name : str
    view : View
    parts : Parts
    model : Mixture or GappyFactors
        What expects and draws numbers and levels as they are seen.
    spread : float
        What draws' distances from what is expected are multiplied by.
    """

    name: str
    view: View
    parts: Parts
    model: Any
    spread: float = field(default=1.0, kw_only=True)

    def expect(self, rows: SeenRows) -> np.ndarray:
        """Return expected cells, (n_samples, n_cells); observed ones are as they were."""
        seen = rows.by(self.view, self.parts)
        found = self.model.expect(seen)
        out = np.zeros(rows.cells.shape)
        out[:, self.parts.joint] = self.view.expect(found, seen.numbers.missing, self.parts.joint)
        for own, chances in zip(self.parts.categories, found.levels, strict=True):
            out[:, own] = chances
        return np.where(np.isnan(rows.cells), out, rows.cells)

    def draw(self, rows: SeenRows, cells: Cells, uniforms: RowUniforms, *, jointly: bool = True) -> np.ndarray:
        """Draw what is missing of rows, (n_samples, n_cells); of categories the levels' indicators.

        Categories that joined the numbers are drawn one after the other, each given those drawn before, and then
        numbers given them: where not ``jointly``, each category given what was observed alone, which is quicker.
        """
        chooser, level_chooser = uniforms.draw(1)[:, 0], uniforms.draw(len(cells.n_levels))
        joined = np.flatnonzero(cells.is_coded & np.isin(cells.first, self.parts.joint))
        known = self._draw_levels(rows.cells, cells, joined, level_chooser) if jointly and len(joined) else rows.cells
        seen = (SeenRows(known) if known is not rows.cells else rows).by(self.view, self.parts)
        column = [cells.owner[own[0]] for own in self.parts.categories]
        noise = self.spread * uniforms.normal(self.model.n_noise)
        numbers, levels = self.model.draw(seen, chooser, noise, level_chooser[:, column])
        out = np.zeros(rows.cells.shape)
        out[:, self.parts.joint] = self.view.back(numbers, self.parts.joint)
        for own, chosen in zip(self.parts.categories, levels, strict=True):
            out[:, own] = np.arange(len(own)) == chosen[:, None]
        if known is rows.cells and len(joined):
            expected = self.expect(rows)
            for j in joined.tolist():
                _set_levels(out, expected, cells, j, level_chooser[:, j])
        return np.where(np.isnan(known), out, known)

    def _draw_levels(self, given: np.ndarray, cells: Cells, joined: np.ndarray, chooser: np.ndarray) -> np.ndarray:
        """Return cells with drawn levels in the gaps of these categories."""
        known = given.copy()
        for j in joined.tolist():
            missing = np.isnan(known[:, cells.first[j]])
            if missing.any():
                part = known[missing]
                _set_levels(part, self.expect(SeenRows(part)), cells, j, chooser[missing, j])
                known[missing] = part
        return known

    def refit(self, rows: SeenRows, view: View, weights: np.ndarray | None = None) -> Candidate:
        """Return it fitted to other rows, from where it is, or to the same ones with weights.

        Parameters
        ----------
        rows : SeenRows
        view : View
            Its own, or one of the same kind.
        weights : ndarray of shape (n_samples,) or None, default=None
            How often each row counts by chance, beside its own weight.
        """
        return dataclasses.replace(self, view=view, model=self.again(rows.by(view, self.parts), weights))

    @property
    @abstractmethod
    def size(self) -> int:
        """How much there is to learn, beside other candidates."""

    @abstractmethod
    def again(self, rows: LevelRows, weights: np.ndarray | None) -> Any:
        """Return the model fitted to rows, from where it is."""


@dataclass(eq=False)
class OneNormal(Candidate):
    """A normal distribution, as a mixture of one.

    Attributes
    ----------
    prior : Prior
        The normal that it was found as, and how it was shrunk.
    """

    model: Mixture
    prior: Prior
    size = 1

    def again(self, rows: LevelRows, weights: np.ndarray | None) -> Mixture:
        shrinkage = self.prior.shrinkage
        if weights is not None:  # what helps means to err less makes associations of draws too weak
            shrinkage = min(shrinkage, rows.numbers.width / len(rows.numbers))
        normal = Normal.fit(
            rows.numbers,
            shrinkage=shrinkage,
            tol=_TOL if weights is None else _REDRAW_TOL,
            start=self.model.normals[0],
            ridge=self.prior.ridge,
            weights=rows.counts(weights),
            max_iter=_MORE_ITERATIONS,
        )
        return Mixture.of_one(normal, rows)


@dataclass(eq=False)
class SeveralNormals(Candidate):
    """A mixture of normal distributions.

    Attributes
    ----------
    prior : Prior
        What the mixture is pulled to.
    """

    model: Mixture
    prior: Prior

    @property
    def size(self) -> int:
        return len(self.model.normals)

    def again(self, rows: LevelRows, weights: np.ndarray | None) -> Mixture:
        n_iterations = _REFIT_ITERATIONS if weights is None else _REDRAW_ITERATIONS
        return self.model.refined(rows, self.prior, n_iterations, weights)


@dataclass(eq=False)
class FewFactors(Candidate):
    """A normal distribution of a wide table, by its factors."""

    model: GappyFactors

    @property
    def size(self) -> int:
        return self.model.loadings.shape[1]

    def again(self, rows: LevelRows, weights: np.ndarray | None) -> GappyFactors:
        return self.model.refined(rows, _REFIT_ITERATIONS if weights is None else _REDRAW_ITERATIONS, weights)


def _set_levels(out: np.ndarray, expected: np.ndarray, cells: Cells, column: int, chooser: np.ndarray) -> None:
    """Write the indicators of levels drawn by their expected indicators."""
    own = cells.first[column] + np.arange(cells.widths[column])
    chosen = pick(np.clip(expected[:, own], _LEAST_CHANCE, None), chooser)
    out[:, own] = np.arange(len(own)) == chosen[:, None]


def unrelated_columns(cells: Cells, visible: np.ndarray, weights: np.ndarray | None = None) -> Candidate:
    """Return a candidate that expects means and frequencies, whatever else a row holds."""
    joint, _ = Parts.of(cells)
    view = Plain()
    rows = joint.rows(visible, weights)
    normal = Normal.fit(rows.numbers, shrinkage=1.0, max_iter=1, weights=weights)
    return OneNormal("means", view, joint, Mixture.of_one(normal, rows), Prior(normal, 1.0, np.zeros(len(joint.joint))))


def fit_candidates(
    cells: Cells, visible: np.ndarray, truth: np.ndarray, seed: int, weights: np.ndarray | None = None
) -> Iterator[tuple[Candidate, np.ndarray]]:
    """Fit candidates to cells, and yield each with what it expects of rows with cells held out; a normal comes first.

    Parameters
    ----------
    cells : Cells
    visible : ndarray of shape (n_samples, n_cells)
        NaN in gaps and in cells held out.
    truth : ndarray of shape (n_samples, n_cells)
        What was held out; NaN elsewhere.
    seed : int
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each row counts; None: all alike.
    """
    joint, classes = Parts.of(cells)
    is_number = ~cells.is_coded[cells.owner]
    to_judge = ~np.isnan(truth).all(axis=1)
    everything, judged = SeenRows(visible, weights), SeenRows(visible[to_judge], weights_of(to_judge, weights))
    views: tuple[type[View], ...] = (Plain, NormalScores) if is_number.any() else (Plain,)
    for kind in views:
        view = kind.fit(visible, np.flatnonzero(is_number))
        of_view = "" if kind is Plain else " (scores)"
        if len(joint.joint) > _MOST_NORMAL_CELLS:
            yield from _factors(joint, view, everything, judged, of_view)
            continue
        base, expected = _best_normal(joint, view, everything, judged, truth[to_judge], is_number, NORMAL + of_view)
        yield base, expected
        for parts in (joint, classes):
            if parts is None:
                continue
            prior = _prior(base, joint, parts, is_number)
            rows = everything.by(view, parts)
            for n_normals in _numbers_of_normals(len(visible), parts, is_joint=parts is joint):
                start = Mixture.grouped(n_normals, prior.base, rows, prior, seed + n_normals)
                mixture = start.refined(rows, prior, _MIXTURE_ITERATIONS - 1)
                name = f"{n_normals} {'normals' if parts is joint else 'classes'}{of_view}"
                candidate = SeveralNormals(name, view, parts, mixture, prior)
                yield candidate, candidate.expect(judged)


def _factors(
    parts: Parts, view: View, everything: SeenRows, judged: SeenRows, of_view: str
) -> Iterator[tuple[Candidate, np.ndarray]]:
    rows = everything.by(view, parts)
    most = max(1, len(rows.numbers) - 1)
    for n_factors in sorted({min(n, most) for n in _N_FACTORS}):
        model = GappyFactors.fit(rows, n_factors, _FACTOR_ITERATIONS)
        candidate = FewFactors(f"{n_factors} factors{of_view}", view, parts, model)
        yield candidate, candidate.expect(judged)


def _best_normal(
    parts: Parts,
    view: View,
    everything: SeenRows,
    judged: SeenRows,
    truth: np.ndarray,
    is_number: np.ndarray,
    name: str,
) -> tuple[OneNormal, np.ndarray]:
    rows, start = everything.by(view, parts), None
    best: tuple[float, OneNormal, np.ndarray] | None = None
    n_worse = 0
    for shrinkage in _SHRINKAGES:
        least = min(_NUMBER_RIDGE, shrinkage * 1e-2)
        ridge = np.where(is_number[parts.joint], least, _NUMBER_RIDGE)
        tol = _TOL if shrinkage > _FINE else _FINE_TOL
        normal = Normal.fit(
            rows.numbers,
            shrinkage=shrinkage,
            tol=tol,
            start=start,
            ridge=ridge,
            weights=rows.weights,
            max_iter=_MOST_ITERATIONS,
        )
        start = normal
        prior = Prior(normal, shrinkage, ridge)
        candidate = OneNormal(name, view, parts, Mixture.of_one(normal, rows), prior)
        expected = candidate.expect(judged)
        error = _error(truth, expected, judged.weights)
        if best is None or error < best[0]:
            best, n_worse = (error, candidate, expected), 0
        else:
            n_worse += 1
        if n_worse == _ENOUGH_WORSE or not len(truth):  # without cells to judge by, the most cautious one
            break
    assert best is not None
    return best[1], best[2]


def _prior(base: OneNormal, joint: Parts, parts: Parts, is_number: np.ndarray) -> Prior:
    normal = base.model.normals[0]
    if parts is not joint:
        own = np.searchsorted(joint.joint, parts.joint)
        normal = Normal(normal.mean[own], normal.covariance[np.ix_(own, own)])
    ridge = np.where(is_number[parts.joint], _NUMBER_RIDGE, _INDICATOR_RIDGE)
    return Prior(normal, max(base.prior.shrinkage, _LEAST_SHRINKAGE), ridge)


def _numbers_of_normals(n_rows: int, parts: Parts, *, is_joint: bool) -> Sequence[int]:
    width = len(parts.joint)
    if is_joint and width > _MOST_MIXED_CELLS:
        return ()
    most = min(n_rows / _ROWS_EACH, max(2, n_rows / (_ROWS_EACH_CELL * max(width, 1))) if is_joint else np.inf)
    return [n for n in _N_NORMALS if n <= most and (is_joint or n >= _LEAST_CLASSES)]


def _error(truth: np.ndarray, expected: np.ndarray, weights: np.ndarray | None) -> float:
    known = ~np.isnan(truth)
    missed = np.abs(expected - truth)[known]
    if not len(missed):
        return 0.0
    errors = np.where(missed < _HUBER, missed**2, 2 * _HUBER * missed - _HUBER**2)
    return float(np.average(errors, weights=weights_of(np.nonzero(known)[0], weights)))
