"""A training run of an estimator: what it starts from, how it goes on, how it ended."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklae._autoencoders.checks import (
    check_module,
    check_monitors,
    check_sample_from,
    check_trainable,
    explain_memory,
)
from sklae._autoencoders.code_density import MOST_CODES, fit_code_density
from sklae._autoencoders.parts import Parts
from sklae._autoencoders.training_end import TrainingEnd
from sklae._autoencoders.training_plan import TrainingPlan
from sklae._autoencoders.training_rows import FitInput, TrainingRows, reader_for
from sklae._tables.layout import Layout
from sklae._tables.sources import RowSource
from sklae._tables.validation import check_table
from sklae._training.callbacks import Monitor, StepSchedule
from sklae._training.interrupts import Interrupts
from sklae._training.net_params import check_net_params
from sklae._training.state import TrainingState
from sklae._utils.processes import agreed
from sklae._utils.random import draw_seed, random_state_for, some_rows
from sklae._utils.tasks import fit_task
from sklae._utils.torch_settings import torch_settings
from sklae._utils.warnings import warn
from sklae.exceptions import InterruptedFitWarning
from sklae.likelihoods import Likelihood

__all__ = ["Training"]

# How many training rows say where the loss begins.
_WATCHED = 1_000
# What an estimator has learned from its tables before it trains.
_FROM_TABLES = ("layout_", "n_components_", "n_features_in_", "feature_names_in_")


class Training:
    """Trains an estimator, and sets its fitted attributes.

    Parameters
    ----------
    estimator : BaseAutoencoder
        With valid parameters.
    is_whole : bool, default=True
        Whether this run is all there is, or (in `partial_fit`) one of many.
    shown : tuple, default=()
        X, y and sample_weight as they were passed, as far as they are to be shown to callbacks of scikit-learn.
    """

    def __init__(self, estimator: Any, *, is_whole: bool = True, shown: tuple[Any, ...] = ()):
        self.estimator = estimator
        self.is_whole = is_whole
        self._shown = shown
        self._before: TrainingState | None = None

    @property
    def plan(self) -> TrainingPlan:
        """What the estimator's parameters say of training."""
        return TrainingPlan(self.estimator, self.estimator._seeds[:3], self.is_whole)

    def start(self, given: FitInput) -> TrainingRows:
        """Do all that comes before training; return what to train on."""
        estimator = self.estimator
        vars(estimator).pop("net_", None)
        check_sample_from(estimator.sample_from)
        check_net_params(estimator.net_params)
        self._draw_seeds()
        parts: Parts = estimator.__sklae_parts__()
        if not self.is_whole:
            parts = dataclasses.replace(parts, likelihood=parts.likelihood.streamed())
        rows = self._read(given, parts.likelihood)
        estimator.layout_ = rows.layout
        estimator.net_ = self.plan.make_net(rows, parts)
        estimator.n_components_ = estimator.net_.module_.n_components
        return rows

    def start_like(self, twin: Any, rows: TrainingRows) -> None:
        """Do the same after an equal estimator that has started on these rows."""
        self._draw_seeds()
        self._take_over(twin)
        self.estimator.net_ = self.plan.make_net(rows, self.estimator.__sklae_parts__())

    def start_after(self, twin: Any, given: FitInput) -> TrainingRows:
        """Do the same for other rows, whose columns and scales are those of an equal estimator that has started."""
        self._draw_seeds()
        self._take_over(twin)
        parts: Parts = self.estimator.__sklae_parts__()
        rows = self._read(given, parts.likelihood, twin.layout_)
        self.estimator.net_ = self.plan.make_net(rows, parts)
        return rows

    def _take_over(self, twin: Any) -> None:
        for name in _FROM_TABLES:
            if hasattr(twin, name):
                setattr(self.estimator, name, getattr(twin, name))

    def resume(self, given: FitInput) -> TrainingRows:
        """Return what to train a fitted estimator on."""
        net = self.estimator.net_
        check_trainable(net)
        self._before = TrainingState(net)
        likelihood = net.module__likelihood  # the one that was fitted, whatever was set since
        rows = self._read(given, likelihood, self.estimator.layout_)
        check_monitors(net.callbacks_, validates=rows.valid is not None)
        batch_size = min(net.batch_size, len(rows.train))
        check_module(net.module_, net.criterion_, solver=self.estimator.solver, batch_size=batch_size)
        return rows

    def undo(self) -> None:
        """Make the net of a fitted estimator what it was before it was resumed."""
        if self._before is not None:
            self._before.restore(self.estimator.net_)

    def _draw_seeds(self) -> None:
        seeds = random_state_for(agreed(self.estimator.random_state))
        self.estimator._seeds = tuple(draw_seed(seeds) for _ in range(4))

    def _read(self, given: FitInput, likelihood: Likelihood, layout: Layout | None = None) -> TrainingRows:
        seed = self.estimator._seeds[3]
        reader = reader_for(given.X)(self.estimator, likelihood, seed, holds_out=self.plan.holds_out)
        return reader.read(given, layout)

    def run(self, rows: TrainingRows, *, keeps: bool = False) -> bool:
        """Train: for all epochs of the plan at most, or (as part of more) for one; return whether it was interrupted.

        An interrupt ends training with the best weights so far where it ``keeps`` them, and is raised where it doesn't.
        """
        plan, estimator, net = self.plan, self.estimator, self.estimator.net_
        for _, callback in net.callbacks_:
            if isinstance(callback, StepSchedule):
                callback.n_steps = plan.n_steps(len(rows.train), net.batch_size)
        net.monitor.watch(validate=plan.validates(rows), **plan.patience(rows, net.batch_size))
        n_copies = plan.n_validation_draws(rows, net.module_)
        valid = None if rows.valid is None else rows.valid.repeated(n_copies)
        start_counts = net.started_ or len(net.history) > 0
        first_loss = math.inf
        holding = net.criterion_.holding(net.module_, rows.train.sample, net.noise_)
        told = fit_task(estimator, self.n_epochs(rows), *self._shown)
        with told, explain_memory(estimator, net), torch_settings(n_threads=1, gradients=True), holding:
            watched = None
            if self.is_whole:
                watched = rows.train.head(_WATCHED)
                first_loss = net.losses_of(watched).mean().item()
            settings = {"epochs": self.n_epochs(rows), "n_copies": n_copies, "start_counts": start_counts}
            with Interrupts() as interrupts:
                interrupted = net.train(rows.train, valid, **settings, interrupts=interrupts, keeps=keeps)
                interrupted |= keeps and interrupts.take()  # one that came after the last batch
                if watched is not None:
                    _tell_lost(net.losses_of(watched))
                self.conclude(rows, interrupted=interrupted, first_loss=first_loss)
        return interrupted

    def n_epochs(self, rows: TrainingRows) -> int:
        """Return how many epochs this run takes at most."""
        return self.plan.n_epochs(len(rows.train), self.estimator.net_.batch_size) if self.is_whole else 1

    def conclude(self, rows: TrainingRows, *, interrupted: bool = False, first_loss: float = math.inf) -> None:
        """Publish what a training run left in the history, and warn of how it ended."""
        estimator, monitor = self.estimator, self.estimator.net_.monitor
        history = estimator.net_.history.to_list()
        _publish(estimator, history, monitor, validated=rows.valid is not None)
        if interrupted:
            warn(
                f"Training was interrupted after {estimator.n_iter_} epochs; kept the best weights so far.",
                InterruptedFitWarning,
            )
        elif self.is_whole:
            epochs = history[monitor.first_epoch_ :]
            run = TrainingEnd(epochs, monitor, self.n_epochs(rows), rows.layout.n_features, first_loss)
            problem = run.problem(estimator, plans_rate=self.plan.is_scheduled)
            if problem:
                warn(problem, ConvergenceWarning)

    def fit_code_density(self, X: Any, weights: np.ndarray | None = None) -> None:
        """Fit what `sample` draws codes from, if it is not the prior; ``weights`` say how much each row of X counts."""
        estimator = self.estimator
        vars(estimator).pop("code_density_", None)
        if not self._fits_density:
            return
        random_state = np.random.RandomState(estimator._seeds[1])
        encode = estimator.layout_.columns.categories.encode
        parts = X.take(some_rows(len(X), MOST_CODES, random_state)) if isinstance(X, RowSource) else [X]
        tables = (check_table(estimator, encode(part), reset=False) for part in parts)
        codes = np.concatenate([estimator.model_.codes(table) for table in tables]).astype(np.float64)
        estimator.code_density_ = fit_code_density(estimator.sample_from, codes, random_state, weights)

    @property
    def _fits_density(self) -> bool:
        """Whether codes are drawn from a density of their own."""
        sample_from = self.estimator.sample_from
        return not (sample_from is None or (isinstance(sample_from, str) and sample_from == "prior"))


def _tell_lost(losses: torch.Tensor) -> None:
    """Warn of training rows that a trained model can't evaluate, as modules may that are other in eval mode."""
    n_lost = int((~losses.isfinite()).sum())
    if n_lost:
        warn(
            f"Got no finite loss of {n_lost} of {len(losses)} training rows from the trained model; expected one each. "
            "transform and the other verbs refuse such rows. Look at what modules of your own do after eval().",
            ConvergenceWarning,
        )


def _publish(estimator: Any, history: list[dict[str, Any]], monitor: Monitor, *, validated: bool) -> None:
    """Set what scikit-learn's networks have of their training; scores of an earlier run's validation rows go."""
    estimator.n_iter_ = len(history)
    estimator.loss_curve_ = [epoch["train_loss"] for epoch in history]
    estimator.loss_ = estimator.loss_curve_[-1]
    estimator.best_loss_ = None if monitor.validate else min(estimator.loss_curve_)
    for name in ("validation_scores_", "best_iter_"):
        vars(estimator).pop(name, None)
    if validated:
        since = next((i for i in range(len(history), 0, -1) if "valid_bound" not in history[i - 1]), 0)
        estimator.validation_scores_ = [-epoch["valid_bound"] for epoch in history[since:]]
    estimator.best_validation_score_ = max(getattr(estimator, "validation_scores_", ()), default=None)
    if monitor.validate:
        estimator.best_iter_ = monitor.first_epoch_ + monitor.best_epoch_
