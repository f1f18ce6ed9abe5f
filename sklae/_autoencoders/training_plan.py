"""How a fit trains: the net, its optimizer, its callbacks and its patience, from an estimator's parameters."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae._autoencoders.checks import check_callbacks, check_device, check_module, explain_construction
from sklae._autoencoders.defaults import default_batch_size, default_n_components
from sklae._autoencoders.parts import Parts
from sklae._autoencoders.training_rows import TrainingRows
from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae._training.batches import n_batches
from sklae._training.callbacks import EpochClock, Monitor, StepSchedule
from sklae._training.net import AutoencoderNet
from sklae._training.optimizers import SOLVERS, Solver
from sklae._utils.random import torch_generator
from sklae._utils.torch_settings import torch_settings
from sklae.schedules import LEARNING_RATES

__all__ = ["TrainingPlan"]


@dataclass(frozen=True)
class TrainingPlan:
    """What a training run is made of.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its parameters are read, none is set.
    seeds : tuple of int
        For initialisation, noise and the order of rows.
    """

    estimator: Any
    seeds: tuple[int, ...]

    def make_net(self, rows: TrainingRows, parts: Parts) -> AutoencoderNet:
        """Return the skorch net, initialised: whatever a part refuses is refused here, before training."""
        estimator, solver, data = self.estimator, self.solver, rows.train
        module = self._module_parts(rows, parts)
        objective = {"penalty": parts.penalty, "n_components": module["n_components"], **parts.objective}
        schedules = parts.schedules
        n_samples = len(data)
        batch_size = n_samples if solver.full_batch else self._batch_size(n_samples)
        settings = {
            "criterion": Objective,
            "criterion__n_rows": n_samples,
            **{f"criterion__{name}": part for name, part in objective.items()},
            "monitor": Monitor(
                validate=estimator.early_stopping,
                adaptive=estimator.learning_rate == "adaptive",
                settles=max((schedule.settles for schedule in schedules), default=0),
                **self.patience(rows.layout.columns.n_total),
            ),
            "seeds": self.seeds,
            "lr": estimator.learning_rate_init if solver.learning_rate is None else solver.learning_rate,
            "batch_size": batch_size,
            "max_epochs": estimator.max_iter,
            "train_split": None,
            "callbacks": self._callbacks(n_batches(n_samples, batch_size), has_schedules=bool(schedules)),
            "verbose": int(estimator.verbose),
            "device": check_device(estimator.device),
            **self._optimizer(),
            **{f"module__{name}": part for name, part in module.items()},
            **(estimator.net_params or {}),
        }
        with torch_settings(n_threads=1, gradients=True), explain_construction(estimator):
            net = AutoencoderNet(Autoencoder, **settings).initialize()
            check_module(net.module_, solver=estimator.solver, batch_size=batch_size)
            data.check(net.module_.likelihood)
            if net.module_.prior is not None and net.module_.prior.starts_from_rows:
                net.module_.prior.start(data.sample().to(net.device), torch_generator(self.seeds[0]))
        return net

    def _module_parts(self, rows: TrainingRows, parts: Parts) -> dict[str, Any]:
        layout = rows.layout
        return {
            "layout": layout,
            "n_components": self.estimator.n_components or default_n_components(layout.n_features),
            "network": parts.network(layout.columns.n_total),
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
    def is_scheduled(self) -> bool:
        """Whether the learning rate is planned over ``max_iter`` epochs."""
        return LEARNING_RATES[self.estimator.learning_rate] is not None

    def patience(self, n_features: int) -> dict[str, float]:
        """Return how closely to watch the loss; a planned rate ends with its plan, or by validation."""
        estimator = self.estimator
        unending = self.is_scheduled and not estimator.early_stopping
        return {"tol": estimator.tol * n_features, "patience": np.inf if unending else estimator.n_iter_no_change}

    def _callbacks(self, n_batches: int, *, has_schedules: bool) -> list[Any]:
        estimator = self.estimator
        check_callbacks(estimator.callbacks)
        callbacks = list(copy.deepcopy(estimator.callbacks or ()))  # skorch changes them
        factor = LEARNING_RATES[estimator.learning_rate]
        if factor is not None:
            callbacks.append(("learning_rate", StepSchedule(factor, estimator.max_iter * n_batches)))
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
