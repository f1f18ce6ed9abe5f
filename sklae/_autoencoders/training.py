"""A training run of an estimator: what it starts from, how it goes on, how it ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklae._autoencoders.checks import check_sample_from
from sklae._autoencoders.code_density import MOST_CODES, fit_code_density
from sklae._autoencoders.parts import Parts
from sklae._autoencoders.training_plan import TrainingPlan
from sklae._autoencoders.training_rows import FitInput, TrainingRows, reader_for
from sklae._tables.layout import Layout
from sklae._tables.sources import in_memory
from sklae._tables.validation import check_table
from sklae._utils.random import draw_seed, random_state_for
from sklae._utils.torch_settings import torch_settings
from sklae._utils.warnings import warn
from sklae.exceptions import InterruptedFitWarning
from sklae.likelihoods import Likelihood

__all__ = ["Training"]

# What an estimator has learned from its tables before it trains.
_FROM_TABLES = ("layout_", "n_components_", "n_features_in_", "feature_names_in_")


class Training:
    """Trains an estimator, and sets its fitted attributes.

    Parameters
    ----------
    estimator : BaseAutoencoder
        With valid parameters.
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator

    @property
    def plan(self) -> TrainingPlan:
        """What the estimator's parameters say of training."""
        return TrainingPlan(self.estimator, self.estimator._seeds[:3])

    def start(self, given: FitInput) -> TrainingRows:
        """Do all that comes before training; return what to train on."""
        estimator = self.estimator
        vars(estimator).pop("net_", None)
        check_sample_from(estimator.sample_from)
        self._draw_seeds()
        parts: Parts = estimator.__sklae_parts__()
        rows = self._read(given, parts.likelihood)
        estimator.layout_ = rows.layout
        estimator.net_ = self.plan.make_net(rows, parts)
        estimator.n_components_ = estimator.net_.module_.n_components
        return rows

    def start_like(self, twin: Any, rows: TrainingRows) -> None:
        """Do the same after an equal estimator that has started on these rows."""
        self._draw_seeds()
        for name in _FROM_TABLES:
            if hasattr(twin, name):
                setattr(self.estimator, name, getattr(twin, name))
        self.estimator.net_ = self.plan.make_net(rows, self.estimator.__sklae_parts__())

    def resume(self, given: FitInput) -> TrainingRows:
        """Return what to train a fitted estimator on."""
        likelihood = self.estimator.net_.module__likelihood  # the one that was fitted, whatever was set since
        return self._read(given, likelihood, self.estimator.layout_)

    def _draw_seeds(self) -> None:
        seeds = random_state_for(self.estimator.random_state)
        self.estimator._seeds = tuple(draw_seed(seeds) for _ in range(4))

    def _read(self, given: FitInput, likelihood: Likelihood, layout: Layout | None = None) -> TrainingRows:
        reader = reader_for(given.X)(self.estimator, likelihood, self.estimator._seeds[3])
        return reader.read(given, layout)

    def run(self, rows: TrainingRows, epochs: int | None = None) -> None:
        """Train, for ``max_iter`` epochs at most or (as part of more) for so many."""
        estimator = self.estimator
        patience = self.plan.patience(estimator.n_features_in_)
        estimator.net_.monitor.watch(validate=estimator.early_stopping, **patience)
        with torch_settings(n_threads=1, gradients=True):
            interrupted = estimator.net_.train(rows.train, rows.valid, epochs=epochs or estimator.max_iter)
        self.conclude(interrupted=interrupted, is_whole=epochs is None)

    def conclude(self, *, interrupted: bool, is_whole: bool = True) -> None:
        """Publish what a training run left in the history, and warn of how it ended."""
        estimator = self.estimator
        history = estimator.net_.history.to_list()
        estimator.n_iter_ = len(history)
        estimator.loss_curve_ = [epoch["train_loss"] for epoch in history]
        if any("valid_bound" in epoch for epoch in history):
            estimator.validation_scores_ = [-epoch["valid_bound"] for epoch in history if "valid_bound" in epoch]
        if interrupted:
            warn(
                f"Training was interrupted after {estimator.n_iter_} epochs; kept the best weights so far.",
                InterruptedFitWarning,
            )
        elif is_whole and self._should_have_converged():
            warn(
                f"Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't converged yet. Raise "
                "max_iter or tol, or plan the rate over max_iter with learning_rate='one_cycle'.",
                ConvergenceWarning,
            )

    def _should_have_converged(self) -> bool:
        """Whether the run ended with its budget where it was meant to end with its loss."""
        estimator = self.estimator
        planned = self.plan.is_scheduled or np.isinf(estimator.n_iter_no_change)
        used_up = len(estimator.net_.history) % estimator.max_iter == 0
        return used_up and not planned and not estimator.net_.monitor.converged_

    def fit_code_density(self, X: Any) -> None:
        """Fit what `sample` draws codes from, if it is not the prior."""
        estimator = self.estimator
        vars(estimator).pop("code_density_", None)
        if estimator.sample_from in (None, "prior"):
            return
        random_state = np.random.RandomState(estimator._seeds[1])
        encode = estimator.layout_.columns.categories.encode
        tables = (check_table(estimator, encode(part), reset=False) for part in in_memory(X, MOST_CODES, random_state))
        codes = np.concatenate([estimator.model_.codes(table) for table in tables]).astype(np.float64)
        estimator.code_density_ = fit_code_density(estimator.sample_from, codes, random_state)
