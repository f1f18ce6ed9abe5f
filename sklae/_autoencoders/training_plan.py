"""How a fit trains: the net, its optimizer, its callbacks and its patience, from an estimator's parameters."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae._autoencoders.checks import (
    check_callbacks,
    check_device,
    check_module,
    check_monitors,
    explain_construction,
    explain_memory,
)
from sklae._autoencoders.defaults import (
    N_ITERATIONS,
    PATIENCE,
    default_batch_size,
    default_n_components,
    default_n_steps,
    default_n_validation_draws,
)
from sklae._autoencoders.parts import Parts
from sklae._autoencoders.training_rows import TrainingRows
from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae._training.batches import n_batches
from sklae._training.callbacks import EpochClock, Monitor, StepSchedule
from sklae._training.net import AutoencoderNet
from sklae._training.net_params import check_callback_names
from sklae._training.optimizers import SOLVERS, Solver
from sklae._training.start import start_from_rows
from sklae._utils.torch_settings import torch_settings
from sklae.schedules import LEARNING_RATES

__all__ = ["TrainingPlan"]

_VALIDATION_BATCH_SIZE = 1_024
# Shorter than most gradients: what counts is their direction, and no batch throws a model back.
_MAX_GRAD_NORM = 1.0
# However many steps an epoch has.
_LEAST_EPOCHS = 20


@dataclass(frozen=True)
class TrainingPlan:
    """What a training run is made of.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its parameters are read, none is set.
    seeds : tuple of int
        For initialisation, noise and the order of rows.
    is_whole : bool, default=True
        Whether this is all there is to train: then "auto" holds rows out and plans the learning rate.
    """

    estimator: Any
    seeds: tuple[int, ...]
    is_whole: bool = True

    def make_net(self, rows: TrainingRows, parts: Parts) -> AutoencoderNet:
        """Return the skorch net, initialised: whatever a part refuses is refused here, before training."""
        estimator, solver, data = self.estimator, self.solver, rows.train
        module = self._module_parts(rows, parts)
        shared = {name: module[name] for name in ("n_components", "likelihood", "layout")}
        objective = {"penalty": parts.penalty, **shared, **parts.objective}
        schedules = parts.schedules
        n_samples = len(data)
        batch_size = n_samples if solver.full_batch else self._batch_size(n_samples)
        settings = {
            "criterion": Objective,
            "criterion__n_rows": n_samples,
            **{f"criterion__{name}": part for name, part in objective.items()},
            "monitor": Monitor(
                validate=self.validates(rows),
                adaptive=estimator.learning_rate == "adaptive",
                settles=max((schedule.settles for schedule in schedules), default=0),
                **self.patience(rows, batch_size),
            ),
            "seeds": self.seeds,
            "max_grad_norm": _MAX_GRAD_NORM if estimator.learning_rate == "auto" else None,
            "lr": estimator.learning_rate_init if solver.learning_rate is None else solver.learning_rate,
            "batch_size": batch_size,
            "iterator_train__shuffle": bool(estimator.shuffle),
            "max_epochs": self.n_epochs(n_samples, batch_size),
            "train_split": None,
            "callbacks": self._callbacks(
                n_samples, batch_size, has_schedules=bool(schedules), has_validation=rows.valid is not None
            ),
            "verbose": int(estimator.verbose),
            "device": check_device(estimator.device),
            "iterator_valid__batch_size": max(batch_size, _VALIDATION_BATCH_SIZE * self.is_automatic),
            **self._optimizer(),
            **{f"module__{name}": part for name, part in module.items()},
            **(estimator.net_params or {}),
        }
        with torch_settings(n_threads=1, gradients=True):
            with explain_construction(estimator):
                net = AutoencoderNet(Autoencoder, **settings).initialize()
            check_callback_names(estimator.net_params, net)
            check_module(net.module_, net.criterion_, solver=estimator.solver, batch_size=batch_size)
            data.check(net.module_.likelihood)
            with explain_memory(estimator, net):
                start_from_rows(net, rows.sample, rows.weights)
        return net

    def _module_parts(self, rows: TrainingRows, parts: Parts) -> dict[str, Any]:
        layout = rows.layout
        return {
            "layout": layout,
            "n_components": self.estimator.n_components or default_n_components(layout.n_features),
            "network": parts.network(layout.columns.n_total, len(rows.train)),
            "likelihood": parts.likelihood,
            "posterior": parts.posterior,
            "prior": parts.prior,
            "corruption": parts.corruption,
            **parts.factories,
            "n_draws": parts.n_draws,
        }

    @property
    def solver(self) -> Solver:
        """What is true of the optimizer that the estimator names."""
        return SOLVERS[self.estimator.solver]

    @property
    def learning_rate(self) -> str:
        """How the learning rate goes."""
        given = self.estimator.learning_rate
        return given if given != "auto" else "cosine" if self.is_whole else "constant"

    @property
    def is_scheduled(self) -> bool:
        """Whether the learning rate is planned over all epochs."""
        return LEARNING_RATES[self.learning_rate] is not None

    @property
    def holds_out(self) -> bool:
        """Whether rows are held out to validate on, if none are given."""
        early_stopping = self.estimator.early_stopping
        return self.is_whole if early_stopping == "auto" else early_stopping

    @property
    def is_automatic(self) -> bool:
        """Whether it is left open how to validate."""
        return self.estimator.early_stopping == "auto"

    def n_validation_draws(self, rows: TrainingRows, module: Autoencoder) -> int:
        """Return how many codes of each validation row are drawn to compare epochs by."""
        if rows.valid is None or not self.is_automatic or not self.validates(rows) or module.is_deterministic:
            return 1
        return default_n_validation_draws(len(rows.valid))

    def validates(self, rows: TrainingRows) -> bool:
        """Return whether the loss of validation rows decides, not the training loss."""
        return self.holds_out and rows.valid is not None

    def n_epochs(self, n_samples: int, batch_size: int) -> int:
        """Return how many epochs to train at most."""
        estimator = self.estimator
        if estimator.max_iter != "auto":
            return estimator.max_iter
        if self.solver.full_batch:
            return N_ITERATIONS
        n_steps = default_n_steps(n_samples, estimator.n_features_in_, variational=hasattr(estimator, "prior"))
        return max(math.ceil(n_steps / n_batches(n_samples, batch_size)), _LEAST_EPOCHS)

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Return how many steps that is: the horizon of a planned rate."""
        return self.n_epochs(n_samples, batch_size) * n_batches(n_samples, batch_size)

    def patience(self, rows: TrainingRows, batch_size: int) -> dict[str, float]:
        """Return how closely to watch the loss; a planned rate ends with its plan, or by validation."""
        estimator, given = self.estimator, self.estimator.n_iter_no_change
        n_epochs = self.n_epochs(len(rows.train), batch_size)
        validates = self.validates(rows)
        patience = given if given != "auto" else max(10, round(PATIENCE * n_epochs)) if self.is_scheduled else 10
        unending = self.is_scheduled and not validates
        return {"tol": estimator.tol * rows.layout.columns.n_total, "patience": np.inf if unending else patience}

    def _callbacks(self, n_samples: int, batch_size: int, *, has_schedules: bool, has_validation: bool) -> list[Any]:
        estimator = self.estimator
        check_callbacks(estimator.callbacks)
        check_monitors(estimator.callbacks or (), validates=has_validation)
        callbacks = list(copy.deepcopy(estimator.callbacks or ()))  # skorch changes them
        factor = LEARNING_RATES[self.learning_rate]
        if factor is not None:
            callbacks.append(("learning_rate", StepSchedule(factor, self.n_steps(n_samples, batch_size))))
        if has_schedules:
            callbacks.append(("epoch_clock", EpochClock()))
        return callbacks

    def _batch_size(self, n_samples: int) -> int:
        size = self.estimator.batch_size
        return min(default_batch_size(n_samples) if size == "auto" else size, n_samples)

    def _optimizer(self) -> dict[str, Any]:
        estimator, solver = self.estimator, self.solver
        if "optimizer" in (estimator.net_params or {}):
            return {}
        settings = dict(solver.settings)
        if solver.takes_weight_decay:
            settings["weight_decay"] = estimator.weight_decay
        elif estimator.weight_decay:
            raise ValueError(
                f"Got weight_decay={estimator.weight_decay} with solver={estimator.solver!r}, which has none; expected "
                "0."
            )
        if check_device(estimator.device) == "mps":
            settings.pop("fused", None)
        return {"optimizer": solver.optimizer, **{f"optimizer__{name}": value for name, value in settings.items()}}
