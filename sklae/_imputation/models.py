"""What fills the cells of modelled columns: mixtures of normals, autoencoders, and how far to believe each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

from sklae._autoencoders.base import BaseAutoencoder
from sklae._imputation.account import Account
from sklae._imputation.candidates import Candidate, SeenRows, fit_candidates, unrelated_columns
from sklae._imputation.conditional_vae import ConditionalModel, GivenModel, numbers_for
from sklae._imputation.draws import Draws
from sklae._imputation.stacking import Stack
from sklae._imputation.support import Support, ends, varies
from sklae._imputation.views import View
from sklae._tables.columns import Columns
from sklae._tables.indicators import Space
from sklae._tables.weights import weights_of
from sklae._utils.progress import progress
from sklae._utils.random import draw_seed, some_rows
from sklae._utils.tasks import part
from sklae._utils.warnings import told_once

__all__ = ["ImputationModels"]

# Cells that no model sees: so many of the table, but no more than the one share of those observed, and no less than
# the other.
_HELD_OUT, _LEAST_HELD_OUT, _MOST_HELD_OUT = 1_500, 0.05, 0.15
# The cost of an iteration, in rows by cells cubed; and how many rows mixtures are fitted to.
_BUDGET, _LEAST_ROWS, _MOST_ROWS = 3e9, 2_000, 10_000
_CHUNK_ELEMENTS, _LEAST_CHUNK = 100_000, 256


class ImputationModels:
    """The fitted models of a table's columns that vary.

    Parameters
    ----------
    imputer : AEImputer
        Its parameters are read, none is set.
    columns : Columns
    table : ndarray of shape (n_samples, n_columns)
        Numbers and codes; NaN in gaps.
    limits : tuple of ndarray of shape (n_columns,)
        The least and the largest values to fill in.
    n_draws : int
        How many draws of each row there are to be; 0: none.
    random_state : RandomState
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each row counts; None: all alike.

    Attributes
    ----------
    autoencoders : list
        Fitted.
    account : Account or None
        What each model brought; None where there is one only.
    """

    account: Account | None = None

    def __init__(
        self,
        imputer: Any,
        columns: Columns,
        table: np.ndarray,
        limits: tuple[np.ndarray, np.ndarray],
        n_draws: int,
        random_state: np.random.RandomState,
        weights: np.ndarray | None = None,
    ):
        space = self.space = Space(columns, table, weights)
        self.support = Support(table, space.cells, *limits, np.array(columns.kinds) == "integer")
        self.stack = Stack(space.cells)
        self.candidates: list[Candidate] = []
        self.networks: list[ConditionalModel] = []
        self.given: GivenModel | None = None
        self.draws = Draws(space, self.support, draw_seed(random_state))
        self._verbose = bool(imputer.verbose)
        cells = self.space.of(table)
        rows = self._some_rows(cells, random_state)
        if not imputer.linear_start:
            start = unrelated_columns(space.cells, cells[rows], weights_of(rows, weights))
            self._fit_autoencoder(imputer, columns, table, np.full_like(cells, np.nan), start, random_state, weights)
            self.stack.single()
            return
        held_out = self._choose_held_out(table, random_state)
        visible, truth = self._apart(cells, held_out)
        own = weights_of(rows, weights)
        candidates = fit_candidates(space.cells, visible[rows], truth[rows], draw_seed(random_state), own)
        found = list(progress(candidates, "mixtures of normals", verbose=self._verbose, of_fit=True))
        models, expected = [model for model, _ in found], [filled for _, filled in found]
        names = [model.name for model in models]
        judged = rows[~np.isnan(truth[rows]).all(axis=1)]
        if imputer.autoencoder is not None:
            seen = np.where(held_out, np.nan, table)
            self._fit_autoencoder(imputer, columns, seen, truth, models[0], random_state, weights)
            expected.append(self._expect_of_autoencoder(seen[judged]))
            names.append("autoencoder")
        of_judged = weights_of(judged, weights)
        self.stack.fit(truth[judged], expected, columns.labels().astype(str).tolist(), names, of_judged)
        self.account = self.stack.account
        refit = _Refit(space, cells[rows], own)
        used = [models[i] for i in self.stack.used.tolist() if i < len(models)]
        self.candidates = [refit(model) for model in progress(used, "refit", verbose=self._verbose, of_fit=True)]
        if not n_draws:
            weights = self.stack.weights.mean(axis=0)[: len(self.candidates)]
            self.draws.believe(self.candidates or [refit(models[0])], weights if len(weights) else np.ones(1))
            return
        seed = draw_seed(random_state)
        chosen, chances = self.draws.judge(models, visible[judged], truth[judged], seed, of_judged)
        self.draws.believe([refit(model) for model in chosen], chances)
        self.draws.prepare(cells[rows], n_draws, random_state, verbose=self._verbose, weights=own)

    # -- fitting ----------------------------------------------------------------------------------------

    def _some_rows(self, cells: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Return rows to fit mixtures to, among them some with each cell."""
        n_most = int(np.clip(_BUDGET / cells.shape[1] ** 3, _LEAST_ROWS, _MOST_ROWS))
        rows = some_rows(len(cells), n_most, rng)
        lacking = np.flatnonzero(~varies(cells[rows]))
        more = [ends(cells[:, j]) for j in lacking.tolist()]
        return np.unique(np.concatenate([rows, *more])).astype(int)

    def _choose_held_out(self, table: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Return which observed cells no model is to see, of each column few enough that the rest varies."""
        there = ~np.isnan(table)
        share = np.clip(_HELD_OUT / max(there.sum(), 1), _LEAST_HELD_OUT, _MOST_HELD_OUT)
        chosen = there & (rng.uniform(size=table.shape) < share) & (there.cumsum(axis=0) > 2)
        return chosen & varies(np.where(chosen, np.nan, table))

    def _apart(self, cells: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cells without those of the columns held out, and these alone."""
        hidden = held_out[:, self.space.cells.owner]
        return np.where(hidden, np.nan, cells), np.where(hidden, cells, np.nan)

    def _fit_autoencoder(
        self,
        imputer: Any,
        columns: Columns,
        seen: np.ndarray,
        truth: np.ndarray,
        start: Candidate,
        rng: np.random.RandomState,
        weights: np.ndarray | None,
    ) -> None:
        """Fit what the user asked for."""
        if not isinstance(imputer.autoencoder, BaseAutoencoder):
            n_models, width = numbers_for(int((~np.isnan(seen)).sum()))
            with told_once(), part("train autoencoders", n_models):
                for _ in range(n_models):
                    settings = {"random_state": draw_seed(rng), "verbose": imputer.verbose}
                    network = ConditionalModel(self.space, columns, width, rng, settings)
                    known = truth if (~np.isnan(truth)).any() else None
                    self.networks.append(network.fit(seen, start, known, weights))
        else:
            settings = {"random_state": draw_seed(rng), "verbose": imputer.verbose}
            own = clone(imputer.autoencoder)
            given = GivenModel(self.space, columns, own, settings, imputer.n_importance_samples)
            self.given = given.fit(seen, weights)

    def _expect_of_autoencoder(self, table: np.ndarray) -> np.ndarray:
        models = [self.given] if self.given is not None else self.networks
        return np.mean([model.expect(table) for model in models], axis=0)

    # -- after that -------------------------------------------------------------------------------------

    @property
    def autoencoders(self) -> list[Any]:
        """The fitted autoencoders."""
        models = self.networks if self.given is None else [self.given]
        return [model.autoencoder for model in models]

    def show_columns(self, columns: Columns, names: np.ndarray | None) -> None:
        """Let the user's autoencoder, which knows codes only, take tables as they are."""
        model = self.autoencoders[0]
        numbers = np.flatnonzero(model.layout_.columns.n_levels() == 0)
        model.layout_ = dataclasses.replace(model.layout_, columns=columns.treat_as_numbers(numbers))
        if names is not None:
            model.feature_names_in_ = names

    def fill(self, seen: np.ndarray, n_draws: int) -> list[np.ndarray]:
        """Return rows with gaps filled: by what is expected, or by so many draws."""
        if not n_draws:
            return [self._in_chunks(seen, lambda part: self._expect(seen[part]), "filling")]
        return [self._draw(seen, i) for i in range(n_draws)]

    def _in_chunks(self, seen: np.ndarray, fill: Callable[[slice], np.ndarray], task: str) -> np.ndarray:
        width = len(self.space.cells.owner)
        step = max(_LEAST_CHUNK, _CHUNK_ELEMENTS // width)
        out = np.empty(seen.shape)
        for start in progress(range(0, len(seen), step), task, verbose=self._verbose and len(seen) > step):
            part = slice(start, start + step)
            out[part] = fill(part)
        return out

    def _expect(self, seen: np.ndarray) -> np.ndarray:
        rows = SeenRows(self.space.of(seen))
        given = [one.expect(rows) for one in self.candidates]
        if len(given) < len(self.stack.used):
            given.append(self._expect_of_autoencoder(seen))
        return self.support.limit(self.space.table(self.stack(given)))

    def _draw(self, seen: np.ndarray, which: int) -> np.ndarray:
        if not self.candidates and self.given is not None:
            rng = np.random.RandomState((self.draws.seed + which) % 2**32)
            return self.support.snap(self.given.draw(seen, 1, rng)[0])
        uniforms = self.draws.uniforms(seen, which)

        def draw(part: slice) -> np.ndarray:
            return self.draws(self.space.of(seen[part]), which, uniforms.take(part))

        return self._in_chunks(seen, draw, f"draw {which + 1}")


class _Refit:
    """Fits candidates to all that is known, in views of all that is known.

    Parameters
    ----------
    space : Space
    cells : ndarray of shape (n_samples, n_cells)
    weights : ndarray of shape (n_samples,) or None
    """

    def __init__(self, space: Space, cells: np.ndarray, weights: np.ndarray | None):
        self.numbers = np.flatnonzero(~space.cells.is_coded[space.cells.owner])
        self.rows = SeenRows(cells, weights)
        self._views: dict[type[View], View] = {}

    def __call__(self, candidate: Candidate) -> Candidate:
        kind = type(candidate.view)
        if kind not in self._views:
            self._views[kind] = kind.fit(self.rows.cells, self.numbers)
        return candidate.refit(self.rows, self._views[kind])
