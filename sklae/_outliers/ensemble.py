"""Equal autoencoders with seeds of their own, fitted to the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from sklae._autoencoders.base import BaseAutoencoder
from sklae._autoencoders.training import Training
from sklae._autoencoders.training_rows import FitInput, TrainingRows
from sklae._tables.columns import Columns
from sklae._tables.frames import rows_of
from sklae._tables.indicators import Cells
from sklae._tables.layout import Layout
from sklae._tables.table import frame_of
from sklae._tables.weights import weights_of
from sklae._training.stacked import can_train_together, train_together
from sklae._utils.compat import validate_params
from sklae._utils.random import draw_seed, random_state_for
from sklae._utils.tasks import part
from sklae._utils.torch_settings import torch_settings
from sklae._utils.warnings import told_once

__all__ = ["Ensemble", "batches_of", "fit_left_out", "fit_members", "residual_scale", "seed_members"]


def seed_members(members: Sequence[BaseAutoencoder], random_state: np.random.RandomState) -> None:
    """Give each member a seed: from its own ``random_state`` if it has one, else from the one given.

    A single member with a ``random_state`` of its own keeps it.
    """
    own = members[0].random_state
    if own is not None and len(members) == 1:
        return
    source = random_state if own is None else random_state_for(own)
    for member in members:
        member.set_params(random_state=draw_seed(source))


def fit_members(
    members: Sequence[BaseAutoencoder],
    X: Any,
    *,
    columns: Columns | None = None,
    max_rows: int | None = None,
    weights: np.ndarray | None = None,
) -> None:
    """Fit all, in one batched pass where their parts allow it, else one after the other.

    Parameters
    ----------
    members : sequence of BaseAutoencoder
        Unfitted, with equal parameters but for their ``random_state``.
    X : array-like or frame of shape (n_samples, n_features)
    columns : Columns or None, default=None
        Read already, from a table that X is a part of.
    max_rows : int or None, default=None
        Train on at most so many random rows. Columns and their scales are learned from all.
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each row counts.
    """
    validate_params(members[0])
    first, *others = trainings = [Training(member) for member in members]
    rows = first.start(FitInput(X, columns=columns, max_rows=max_rows, weights=weights))
    for other in others:
        other.start_like(members[0], rows)
    with told_once():
        _train(trainings, [rows] * len(trainings), "train")
        for training in trainings:
            training.fit_code_density(X, weights)


def fit_left_out(
    member: BaseAutoencoder,
    X: Any,
    n_rows: int,
    folds: Sequence[np.ndarray],
    random_state: np.random.RandomState,
    *,
    n_copies: int = 1,
    weights: np.ndarray | None = None,
) -> list[BaseAutoencoder]:
    """Fit one more autoencoder for each fold of rows, to all others; in one batched pass where their parts allow it.

    Parameters
    ----------
    member : BaseAutoencoder
        Fitted; they are like it, and share its columns and scales.
    X : array-like or frame of shape (n_rows, n_features)
    n_rows : int
    folds : sequence of ndarray of int
    random_state : RandomState
    n_copies : int, default=1
        How many epochs of the member's are one, over as many copies of the rows: of few rows, what surrounds an epoch
        costs more than its steps.
    weights : ndarray of shape (n_rows,) or None, default=None
        How much each row counts.

    Returns
    -------
    fitted : list of BaseAutoencoder
    """
    others = [clone(member).set_params(random_state=draw_seed(random_state)) for _ in folds]
    if n_copies > 1:
        others = [other.set_params(max_iter=max(1, member.max_iter // n_copies)) for other in others]
    trainings = [Training(other) for other in others]
    n_kept = n_rows - max(len(fold) for fold in folds)  # as many for each, to be stacked
    rests = [np.tile(np.delete(np.arange(n_rows), fold)[-n_kept:], n_copies) for fold in folds]
    rows = [
        training.start_after(member, FitInput(rows_of(frame_of(X), rest, n_rows), weights=weights_of(rest, weights)))
        for training, rest in zip(trainings, rests, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the member's own fit has warned
        _train(trainings, rows, "train without each fold")
    return others


def _train(trainings: Sequence[Training], rows: Sequence[TrainingRows], task: str) -> None:
    """Train all, each on its rows; in one batched pass where their parts allow it."""
    nets = [training.estimator.net_ for training in trainings]
    is_plain = all(own.valid is None for own in rows) and trainings[0].estimator.net_params is None
    if is_plain and can_train_together(nets):
        epochs = trainings[0].n_epochs(rows[0])
        with part(task, epochs), torch_settings(n_threads=1, gradients=True):
            train_together(nets, [own.train for own in rows], epochs=epochs)
        for training, own in zip(trainings, rows, strict=True):
            training.conclude(own)
    else:
        with part(task, len(trainings)) if len(trainings) > 1 else nullcontext():
            for training, own in zip(trainings, rows, strict=True):
                with part(task, of=training.estimator):
                    training.run(own)


# Residuals of a column count in units of at least this share of its standard deviation (of its magnitude,
# for a column that was constant in fit): else a column that is copied perfectly would decide alone.
_FLOOR = 1e-3
_CHUNK_ELEMENTS = 2**20


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
    lowest, highest : ndarray of shape (n_cells,)
        The range of the table's cells.
    spread : ndarray of shape (n_columns,)
        The unit of each column: its deviation, or a small share of the magnitude of a constant one.
    """

    def __init__(self, members: Sequence[BaseAutoencoder], table: np.ndarray):
        self.members = members
        layout = self.layout
        self.cells = Cells(np.where(layout.varies, members[0].model_.cells.n_levels, 0))
        self.mean, self.deviation = layout.mean[self.cells.owner], layout.deviation
        if not self.cells.only_numbers:
            self._learn_levels(self.observe(table))
        observed = self.observe(table)
        with np.errstate(invalid="ignore"):
            lowest, highest = np.fmin.reduce(observed, axis=0), np.fmax.reduce(observed, axis=0)
        # a column may have no value among the rows that were drawn
        self.lowest = np.where(np.isnan(lowest), -np.inf, lowest)
        self.highest = np.where(np.isnan(highest), np.inf, highest)
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

    def batches_among(self, table: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield some of the rows in parts that stay small."""
        if len(rows):
            yield from (rows[part] for part in batches_of(len(rows), max(table.shape[1], len(self.cells.owner))))

    def expect(self, table: np.ndarray) -> np.ndarray:
        """Return what is expected in the modelled cells, (n_rows, n_cells), float64."""
        with np.errstate(over="ignore"):  # far out the networks overflow
            found = [member.model_.expect(table) for member in self.members]
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

    def within_range(self, cells: np.ndarray) -> np.ndarray:
        """Return cells, those beyond the values that were seen at the last of these."""
        return np.clip(cells, self.lowest, self.highest)

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


def residual_scale(ensemble: Ensemble, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the root mean square of each column's residuals (of all levels together), never below the floor."""
    residuals, cells = ensemble.residuals(table, expected), ensemble.cells
    gaps = np.isnan(residuals)
    residuals[gaps] = 0.0
    squares = cells.add_up(np.einsum("ij,ij->j", residuals, residuals)[None])[0]
    mean_squares = squares / np.maximum((~gaps).sum(axis=0), 1)[cells.first]
    least = np.where(ensemble.layout.varies, _FLOOR * ensemble.deviation, ensemble.spread)
    return np.maximum(np.sqrt(mean_squares), least)
