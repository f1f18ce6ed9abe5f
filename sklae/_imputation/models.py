"""What fills the cells of modelled columns: a start, what it misses, and how far to believe that."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.base import clone

from sklae._imputation.blending import Account, Blend
from sklae._imputation.conditional_vae import Average, ConditionalModel, GivenModel, numbers_for
from sklae._imputation.gaussian_start import LinearStart
from sklae._tables.columns import Columns
from sklae._tables.indicators import Cells, Space
from sklae._utils.random import draw_seed

__all__ = ["ImputationModels"]

# Cells that a model does not see: so many, but no more than this share of those observed, and no less than that one.
_HELD_OUT, _MOST_HELD_OUT, _LEAST_HELD_OUT = 1_000, 0.1, 0.03


class ImputationModels:
    """The fitted models of a table's columns that vary.

    Parameters
    ----------
    imputer : AEImputer
        Its parameters are read, none is set.
    columns : Columns
    table : ndarray of shape (n_samples, n_columns)
        Numbers and codes; NaN in gaps.
    random_state : RandomState

    Attributes
    ----------
    autoencoders : list
        Fitted.
    account : Account or None
        How far the autoencoders are believed; None where there is no start.
    """

    account: Account | None = None

    def __init__(self, imputer: Any, columns: Columns, table: np.ndarray, random_state: np.random.RandomState):
        self.linear_start = imputer.linear_start
        space = self.space = Space(columns, table)
        cells = space.of(table)
        start = self.start = LinearStart(space, joint=self.linear_start)
        models: list[Any] = []
        found = [(cells[:0],) * 4]
        n_models, hidden_width = (1, 0) if imputer.autoencoder is not None else numbers_for((~np.isnan(table)).sum())
        parts = self._held_out_parts(table, n_models, random_state)
        if np.any(parts):
            start.choose(*self._apart(cells, np.any(parts, axis=0)), random_state)
        for held_out in parts:
            visible, truth = self._apart(cells, held_out)
            start.fit(visible, random_state)
            model = self._make_model(imputer, columns, hidden_width, random_state)
            seen = np.where(held_out, np.nan, table)
            models.append(model.fit(seen, start, truth if held_out.any() else None))
            rows = held_out.any(axis=1)
            if rows.any():
                filled = start.fill(visible[rows])
                found.append((truth[rows], filled, model.expect(seen[rows], filled), start.deviation(visible[rows])))
        self.model = Average(models)
        self.autoencoders = [model.autoencoder for model in models]
        self.blend = Blend(space.cells, columns.labels().astype(str).tolist())
        if self.linear_start:
            self.blend.fit(*map(np.concatenate, zip(*found, strict=True)))
            self.account = self.blend.account
            start.fit(cells, random_state)
        self.seed = draw_seed(random_state)

    def _held_out_parts(self, table: np.ndarray, n_parts: int, rng: np.random.RandomState) -> list[np.ndarray]:
        """Return which observed cells each model is not to see, of each column few enough that the rest varies."""
        there = ~np.isnan(table)
        if not self.linear_start:
            return [np.zeros_like(there)]
        share = np.clip(_HELD_OUT / max(there.sum(), 1), _LEAST_HELD_OUT, _MOST_HELD_OUT)
        number = np.floor(rng.uniform(size=table.shape) / share)  # no cell is held out twice
        chosen = there & (number < n_parts) & (there.cumsum(axis=0) > 2)
        left = np.where(chosen, np.nan, table)
        chosen &= np.fmin.reduce(left) < np.fmax.reduce(left)
        return [chosen & (number == i) for i in range(n_parts)]

    def _apart(self, cells: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cells without those of the columns held out, and these alone."""
        hidden = held_out[:, self.space.cells.owner]
        return np.where(hidden, np.nan, cells), np.where(hidden, cells, np.nan)

    def _make_model(
        self, imputer: Any, columns: Columns, hidden_width: int, rng: np.random.RandomState
    ) -> ConditionalModel | GivenModel:
        settings = {"random_state": draw_seed(rng), "verbose": imputer.verbose}
        if imputer.autoencoder is None:
            return ConditionalModel(self.space, columns, hidden_width, rng, settings)
        own = clone(imputer.autoencoder)
        return GivenModel(self.space, columns, own, settings, imputer.n_importance_samples)

    def show_columns(self, columns: Columns, names: np.ndarray | None) -> None:
        """Let the user's autoencoder, which knows codes only, take tables as they are."""
        model = self.autoencoders[0]
        numbers = np.flatnonzero(model.layout_.columns.n_levels() == 0)
        model.layout_ = dataclasses.replace(model.layout_, columns=columns.treat_as_numbers(numbers))
        if names is not None:
            model.feature_names_in_ = names

    def fill(self, seen: np.ndarray, n_draws: int) -> list[np.ndarray]:
        """Return rows with gaps filled: by what is expected, or by so many draws."""
        start = self.start.fill(self.space.of(seen))
        expected = self.blend(start, self.model.expect(seen, start))
        return self._draw(seen, expected, n_draws) if n_draws else [self.space.table(expected)]

    def _draw(self, seen: np.ndarray, expected: np.ndarray, n_draws: int) -> list[np.ndarray]:
        rng = np.random.RandomState(self.seed)
        if not self.linear_start:
            return self.model.draw(seen, n_draws, rng)
        cells = self.space.cells
        is_coded, scale = cells.is_coded[cells.owner], self.blend.spread[cells.owner]
        residuals = self.start.residuals(self.space.of(seen), n_draws, rng)
        return [
            self.space.table(np.where(is_coded, _levels(cells, expected, rng), expected + scale * one))
            for one in residuals
        ]


def _levels(cells: Cells, expected: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Draw a level for each category, as indicators; numbers are left as they are."""
    out = expected.copy()
    for j in np.flatnonzero(cells.is_coded):
        part = slice(cells.first[j], cells.first[j] + cells.widths[j])
        chances = np.clip(expected[:, part], 1e-9, None).cumsum(axis=1)
        drawn = (rng.uniform(size=(len(out), 1)) * chances[:, -1:] > chances).sum(axis=1)
        out[:, part] = np.arange(cells.widths[j]) == drawn[:, None]
    return out
