"""Autoencoders as models of missing cells: of what a normal distribution misses, or the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklae._autoencoders.base import BaseAutoencoder
from sklae._autoencoders.training import Training
from sklae._autoencoders.training_rows import FitInput
from sklae._autoencoders.vae import VAETransformer
from sklae._imputation.candidates import Candidate, SeenRows
from sklae._imputation.support import ends, varies
from sklae._tables.categories import Categories
from sklae._tables.columns import Columns
from sklae._tables.indicators import Cells, Space
from sklae._tables.weights import weights_of
from sklae._utils.quasi_random import antithetic_draws
from sklae._utils.random import resampled, some_rows
from sklae._utils.tasks import part
from sklae.likelihoods import Gaussian, Mixed
from sklae.networks import MLP

__all__ = ["ConditionalModel", "GivenModel", "numbers_for"]

# Rows with further cells hidden to train on: so many in all, fewer where filling them costs more.
_MOST_PAIRS, _LEAST_PAIRS, _BUDGET, _MOST_NUMBERS = 120_000, 8_000, 1e10, 2e7
_MOST_COPIES = 400
# The share of a row's cells that is hidden, drawn anew for each.
_LEAST_HIDDEN, _MOST_HIDDEN = 0.05, 0.6
_BATCH_SIZE = 256
_MOST_STEPS, _LEAST_STEPS = 3_000, 200
# Of small given (in observed cells) the average of more and smaller models is better, of large ones of fewer and
# wider: letters at 20 % gain 4 %, concrete loses 1 %.
_SMALL, _FEW_WIDE, _MORE_NARROW = 20_000, (2, 256), (3, 128)
_N_DRAWS = 32
# In standard deviations: beyond that a cell says no more about the others.
_FARTHEST = 1e6


def numbers_for(n_observed: int) -> tuple[int, int]:
    """Return how many models to average for a table of so many observed cells, and the width of their layers."""
    return _MORE_NARROW if n_observed < _SMALL else _FEW_WIDE


class ConditionalModel:
    """A variational autoencoder with arbitrary conditioning (Ivanov et al., ICLR 2019) over a normal distribution.

    It models what the normal misses numbers by, and the levels of categories, in cells that are hidden, given what the
    normal expects and which cells were observed. Trained on rows of which further cells are hidden at random.

    Parameters
    ----------
    space : Space
    columns : Columns
    hidden_width : int
    random_state : RandomState
    settings : dict
        Further parameters of the autoencoder.
    """

    autoencoder: VAETransformer

    def __init__(
        self,
        space: Space,
        columns: Columns,
        hidden_width: int,
        random_state: np.random.RandomState,
        settings: dict[str, Any],
    ):
        self.space = space
        self.hidden_width = hidden_width
        self.random_state = random_state
        width, n_cells = columns.n_columns, len(space.cells.owner)
        self.width = width
        kinds = tuple("categorical" if coded else "numeric" for coded in space.cells.is_coded)
        levels = {int(j): list(np.arange(float(space.cells.widths[j]))) for j in np.flatnonzero(space.cells.is_coded)}
        n_total = width + n_cells + width
        self.columns = Columns(
            n_total,
            None,
            np.arange(width),
            np.arange(width, n_total),
            Categories(kinds + ("numeric",) * (n_cells + width), levels),
        )
        self.settings = settings

    def fit(
        self, table: np.ndarray, start: Candidate, truth: np.ndarray | None, weights: np.ndarray | None = None
    ) -> ConditionalModel:
        """Train on rows with gaps; ``truth`` are cells of gaps that are known, to stop by.

        ``weights`` say how much each row counts; of what to stop by, as often.
        """
        self.start = start
        cells = self.space.of(table)
        pairs, rows = self._pairs(cells)
        own = weights_of(rows, weights)
        n_steps = int(np.clip(cells.shape[0] * self.width, _LEAST_STEPS, _MOST_STEPS))
        settings = {
            "n_components": min(16, self.width),
            "network": MLP((self.hidden_width, self.hidden_width), linear_path=False),
            "likelihood": Mixed(Gaussian("per_feature")),
            "prior": "normal",
            "solver": "adamw",
            "weight_decay": 1e-2,
            "learning_rate": "one_cycle",
            "learning_rate_init": 2e-3,
            "batch_size": _BATCH_SIZE,
            "max_iter": max(1, round(n_steps * _BATCH_SIZE / len(pairs))),
            "n_iter_no_change": np.inf,
            "early_stopping": truth is not None,
            "condition_features": self.columns.condition,
            **self.settings,
        }
        vae = VAETransformer(**settings)
        held_out = None
        if truth is not None:
            held_out = self._rows(cells, self._fill(cells), truth)
            known = np.flatnonzero(~np.isnan(held_out[:, : self.width]).all(axis=1))
            if weights is not None and len(known):
                known = known[resampled(weights[known], len(known), 0.5)]
            held_out = held_out[known]
            if not len(held_out):
                held_out = None
                vae.set_params(early_stopping=False)
        training = Training(vae)
        pairs_to_fit = training.start(FitInput(pairs, held_out, columns=self.columns, weights=own))
        with part("train", of=vae):
            training.run(pairs_to_fit)
        self.autoencoder = vae
        return self

    def _pairs(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows with further cells hidden, beside what these hold, and which rows they are."""
        affordable = min(_BUDGET / max(cells.shape[1], 1) ** 3, _MOST_NUMBERS / self.columns.n_total)
        n_pairs = int(np.clip(affordable, _LEAST_PAIRS, _MOST_PAIRS))
        n_copies = max(1, min(_MOST_COPIES, n_pairs // len(cells)))
        rows = np.tile(some_rows(len(cells), n_pairs, self.random_state), n_copies)
        share = self.random_state.uniform(_LEAST_HIDDEN, _MOST_HIDDEN, size=(len(rows), 1))
        hidden = self.random_state.uniform(size=(len(rows), self.width)) < share
        targets = cells[rows]
        # a row of which nothing was hidden teaches nothing
        nothing = ~(hidden & ~np.isnan(self._columns_of(targets))).any(axis=1)
        hidden[nothing, self.random_state.randint(self.width, size=nothing.sum())] = True
        # where values, or levels, are rare, none may have been hidden
        values = np.where(hidden, self.space.cells.collapse(targets), np.nan)
        lacking = np.flatnonzero(~varies(values))
        known = self.space.cells.collapse(cells)
        rows = np.concatenate([rows, *(ends(known[:, j]) for j in lacking)])
        targets = cells[rows]
        hidden = np.concatenate([hidden, np.repeat(np.eye(self.width, dtype=bool)[lacking], 2, axis=0)])
        seen = np.where(hidden[:, self.space.cells.owner], np.nan, targets)
        return self._rows(seen, self._fill(seen), targets), rows

    def _fill(self, cells: np.ndarray) -> np.ndarray:
        return self.start.expect(SeenRows(cells))

    def _columns_of(self, cells: np.ndarray) -> np.ndarray:
        return cells[:, self.space.cells.first]

    def _rows(self, seen: np.ndarray, filled: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
        """Return the model's rows: what it is to predict of cells not seen, the start's filling, what was seen."""
        there = ~np.isnan(self._columns_of(seen))
        values = np.full(there.shape, np.nan)
        if targets is not None:
            codes = self.space.cells.collapse(targets)
            missed = codes - self._columns_of(filled)
            values = np.where(there, np.nan, np.where(self.space.cells.is_coded, codes, missed))
        return np.hstack([values, filled, there.astype(np.float64)])

    def expect(self, table: np.ndarray) -> np.ndarray:
        """Return what the model expects of rows' cells, given those seen."""
        cells = self.space.of(table)
        filled = self._fill(cells)
        rows = self._rows(cells, filled, None)
        codes = antithetic_draws(_N_DRAWS, self.autoencoder.n_components_)
        expected = self.autoencoder.model_.expect_given_condition(rows, codes.numpy())
        is_number = ~self.space.cells.is_coded[self.space.cells.owner]
        return np.where(is_number, expected + filled, expected)


class GivenModel:
    """A user's autoencoder, fitted to rows with gaps: what it expects in these, given the rest.

    Parameters
    ----------
    space : Space
    columns : Columns
    autoencoder : BaseAutoencoder
        Not fitted.
    settings : dict
        Its ``random_state``, where it has none, and ``verbose``.
    n_draws : int
        Codes per row.
    """

    def __init__(
        self, space: Space, columns: Columns, autoencoder: BaseAutoencoder, settings: dict[str, Any], n_draws: int
    ):
        self.space, self.columns, self.n_draws = space, columns, n_draws
        own = {"verbose": settings["verbose"] or autoencoder.verbose}
        if autoencoder.random_state is None:
            own["random_state"] = settings["random_state"]
        self.autoencoder: Any = autoencoder.set_params(**own)

    def fit(self, table: np.ndarray, weights: np.ndarray | None = None) -> GivenModel:
        """Train on rows with gaps, each as much as it counts."""
        training = Training(self.autoencoder)
        rows = training.start(FitInput(table, columns=self.columns.of_codes(), weights=weights))
        with part("train the autoencoder", of=self.autoencoder):
            training.run(rows)
        return self

    def expect(self, table: np.ndarray) -> np.ndarray:
        """Return what is expected of rows' cells, given those seen."""
        model = self.autoencoder.model_
        expected = model.expect_given_observed(self._near(table), self.n_draws)
        return self.space.of_expected(_as_cells(expected, model.cells, self.space.cells))

    def draw(self, table: np.ndarray, n_draws: int, random_state: np.random.RandomState) -> list[np.ndarray]:
        """Draw rows in the user's units, given the cells seen."""
        drawn = self.autoencoder.model_.draw_given_observed(self._near(table), n_draws, self.n_draws, random_state)
        most = np.where(self.space.cells.is_coded, self.space.cells.n_levels - 1, np.inf)
        codes = np.clip(np.rint(drawn), 0, most)
        return list(np.where(self.space.cells.is_coded, codes, drawn))

    def _near(self, table: np.ndarray) -> np.ndarray:
        """Return rows with numbers no further out than their squares can be compared by."""
        scaling = self.autoencoder.layout_.scaling
        reach = _FARTHEST * np.where(scaling.deviation > 0, scaling.deviation, 1.0)
        return np.clip(table, scaling.mean - reach, scaling.mean + reach)


def _as_cells(expected: np.ndarray, given: Cells, wanted: Cells) -> np.ndarray:
    """Return cells of columns that a likelihood takes for numbers, or for codes, where the table has the other."""
    if np.array_equal(given.is_coded, wanted.is_coded):
        return expected
    out = np.empty((len(expected), len(wanted.owner)))
    values = given.collapse(expected)
    for j in range(len(wanted.widths)):
        own = expected[:, given.first[j] : given.first[j] + given.widths[j]]
        if wanted.is_coded[j] and not given.is_coded[j]:  # booleans, as 0 and 1
            own = np.hstack([1.0 - own, own])
        elif given.is_coded[j] and not wanted.is_coded[j]:
            own = values[:, [j]]
        out[:, wanted.first[j] : wanted.first[j] + wanted.widths[j]] = own
    return out
