"""Draws of missing cells: each table of one model, chosen by how good its draws are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from sklae._imputation.candidates import Candidate, SeenRows
from sklae._imputation.stacking import energy_score, energy_weights
from sklae._imputation.support import Support
from sklae._tables.indicators import Space
from sklae._utils.progress import progress
from sklae._utils.random import RowUniforms

__all__ = ["Draws"]

# Draws of each held-out cell that models are judged by.
_N_JUDGED = 8
# Standard deviations from which on all draws are as far out.
_FARTHEST = 1e100
# What else their spread may be multiplied by.
_SPREADS = (0.85, 1.15, 1.3)


class Draws:
    """Models to draw from.

    Parameters
    ----------
    space : Space
    support : Support
    seed : int

    Attributes
    ----------
    candidates : sequence of Candidate
    chances : ndarray of shape (n_candidates,)
        How likely each is drawn from.
    redrawn : list of Candidate
        The model of each draw that was asked for in `fit`.
    """

    def __init__(self, space: Space, support: Support, seed: int):
        self.space, self.support, self.seed = space, support, seed
        self.redrawn: list[Candidate] = []

    def believe(self, candidates: Sequence[Candidate], chances: np.ndarray) -> None:
        """Take models as they are, and how likely each is drawn from."""
        self.candidates, self.chances = candidates, chances / chances.sum()

    def judge(
        self,
        models: Sequence[Candidate],
        visible: np.ndarray,
        truth: np.ndarray,
        seed: int,
        weights: np.ndarray | None = None,
    ) -> tuple[list[Candidate], np.ndarray]:
        """Return models to draw from, and how likely each is, by cells that were held out of rows' visible ones.

        The spread of each is the one of a few that its draws are best with: a model of few rows is too sure of itself.
        """
        rows, known = SeenRows(visible), self.space.cells.collapse(truth)

        def draws(model: Candidate) -> np.ndarray:
            streams = [RowUniforms(visible, seed, stream) for stream in range(_N_JUDGED)]
            each = [self._draw(model, rows, stream, jointly=False) for stream in streams]  # cells are judged one by one
            with np.errstate(over="ignore"):  # limits may lie as far from the data as they like
                return np.clip((np.stack(each) - self.space.mean) / self.space.deviation, -_FARTHEST, _FARTHEST)

        sizes = np.array([model.size for model in models])
        drawn = [draws(model) for model in models]
        chances = energy_weights(self.space.cells, known, drawn, sizes, weights)
        chosen = []
        for i in np.flatnonzero(chances).tolist():
            others = [dataclasses.replace(models[i], spread=spread) for spread in _SPREADS]
            each = [drawn[i], *(draws(other) for other in others)]
            scores = [energy_score(self.space.cells, known, one, weights) for one in each]
            chosen.append([models[i], *others][int(np.argmin(scores))])
        return chosen, chances[chances > 0]

    def prepare(
        self,
        cells: np.ndarray,
        n_draws: int,
        rng: np.random.RandomState,
        *,
        verbose: bool,
        weights: np.ndarray | None = None,
    ) -> None:
        """Fit one model for each draw to a table of which rows count more or less by chance.

        That is the Bayesian bootstrap (Rubin, Annals of Statistics 9:130, 1981), so that draws differ as much as models
        of other samples would. ``weights`` say how much each row counts beside that.
        """
        everything = SeenRows(cells, weights)
        chosen = rng.choice(len(self.candidates), size=n_draws, p=self.chances)
        for i in progress(chosen.tolist(), "models to draw from", verbose=verbose, of_fit=True):
            times = rng.exponential(size=len(cells))
            times *= len(cells) / times.sum()
            one = self.candidates[i]
            self.redrawn.append(one.refit(everything, one.view, times))

    def model(self, which: int) -> Candidate:
        """Return the model of a draw."""
        if which < len(self.redrawn):
            return self.redrawn[which]
        # asked for after fit, which had no reason to prepare it
        rng = np.random.RandomState((self.seed + which) % 2**32)
        return self.candidates[rng.choice(len(self.candidates), p=self.chances)]

    def uniforms(self, table: np.ndarray, which: int) -> RowUniforms:
        """Return the random numbers of rows in a draw."""
        return RowUniforms(table, self.seed, which)

    def __call__(self, cells: np.ndarray, which: int, uniforms: RowUniforms) -> np.ndarray:
        """Return rows with draws in gaps, in the user's units."""
        return self._draw(self.model(which), SeenRows(cells), uniforms, jointly=True)

    def _draw(self, model: Candidate, rows: SeenRows, uniforms: RowUniforms, *, jointly: bool) -> np.ndarray:
        return self.support.snap(self.space.table(model.draw(rows, self.space.cells, uniforms, jointly=jointly)))
