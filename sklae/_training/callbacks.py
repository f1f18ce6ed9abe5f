"""Callbacks of sklae's own: when to stop, and what changes with the step or the epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.callbacks.scoring import ScoringBase

from sklae._training.batches import n_batches
from sklae._training.state import clone_tensors, load_tensors
from sklae._utils.processes import current_job
from sklae._utils.progress import Bar
from sklae._utils.tasks import Task

__all__ = [
    "Callback",
    "EpochBar",
    "EpochClock",
    "EpochTasks",
    "Monitor",
    "StepSchedule",
    "StopTraining",
    "scores_validation_rows",
]


# Gains further out than this, in median deviations from their median, count as if they were no further.
_REACH = 4.5


def scores_validation_rows(callback: Any) -> bool:
    """Return whether one of skorch's scoring callbacks has nothing to do without rows to validate on."""
    return isinstance(callback, ScoringBase) and not callback.on_train


class StopTraining(KeyboardInterrupt):
    """A callback asked training to stop; an interrupt to skorch, whose own callbacks stop it so."""


class Monitor(Callback):
    """Watches the loss: decides when to stop, lowers an adaptive rate, remembers the best weights.

    Parameters
    ----------
    tol : float
        Improvements up to this (nats a row) do not count.
    patience : float
        Epochs without improvement before something is done; infinity: never.
    validate : bool
        Watch the loss of validation rows, weighed as at the end of all schedules, not the training loss, and end with
        the best weights.
    adaptive : bool
        Divide the learning rate by 5 first, and stop when it falls below 1e-6.
    settles : float, default=0
        The epoch from which on weights no longer change. Before it training losses don't compare with each other, and
        nothing stops.

    Attributes
    ----------
    best_epoch_ : int
        The epoch of this run that was best; 0 for where it started.
    interrupted_ : bool
        Whether the user broke this run off: it ends with the best weights.
    """

    def __init__(self, tol: float, patience: float, validate: bool, adaptive: bool, settles: float = 0):
        self.tol = tol
        self.patience = patience
        self.validate = validate
        self.adaptive = adaptive
        self.settles = settles

    @property
    def can_stack(self) -> bool:
        """Whether several nets that are watched so can be trained in one pass: none stops before the others."""
        return math.isinf(self.patience) and not self.validate

    def initialize(self) -> Monitor:
        self.best_ = self.best_of_run_ = math.inf
        self.stalled_ = 0
        self.converged_ = False
        self.best_epoch_ = self.first_epoch_ = 0
        self.first_loss_ = math.inf
        self.snapshot_: list[torch.Tensor] | None = None
        self.start_: tuple[list[torch.Tensor], torch.Tensor] | None = None
        return self

    def watch(self, *, validate: bool, tol: float, patience: float) -> None:
        """Set what to watch, and how closely, from now on."""
        self.tol, self.patience = tol, patience
        if validate != self.validate:
            self.validate = validate
            self.initialize()

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        # a finished run's verdict does not hold for the next; its running count does, so that k epochs
        # and k more are 2k epochs
        if self.converged_ or self.validate:
            self.initialize()
        self.best_of_run_ = math.inf
        self.interrupted_ = False
        self.first_epoch_ = len(net.history)

    def look_at_start(self, net: Any, losses: torch.Tensor) -> None:
        """Count the weights as they are before the first step as a model, with these losses of the validation rows."""
        self.snapshot_ = clone_tensors(net.learners)
        self.start_ = self.snapshot_, losses
        self.best_ = self.best_of_run_ = self.first_loss_ = losses.mean().item()

    def on_epoch_end(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        row = net.history.to_list()[-1]
        # skorch's own partial_fit, of a net that had validation rows, has none
        loss = row.get("valid_final_loss", row["train_loss"]) if self.validate else row["train_loss"]
        changing = len(net.history) <= self.settles
        if changing and not self.validate:  # the loss of validation rows compares throughout, that of others does not
            self.best_ = self.best_of_run_ = math.inf
        self.stalled_ = 0 if changing or loss < self.best_ - self.tol else self.stalled_ + 1
        self.best_ = min(self.best_, loss)
        if loss < self.best_of_run_:
            self.best_of_run_ = loss
            self.best_epoch_ = len(net.history) - self.first_epoch_
            self.snapshot_ = clone_tensors(net.learners)
        if self.stalled_ > self.patience and not self._lower_rate(net):
            self.converged_ = True
            raise StopTraining

    def _lower_rate(self, net: NeuralNet) -> bool:
        if not self.adaptive:
            return False
        self.stalled_ = 0
        for group in _groups(net):
            group["lr"] /= 5.0
        return all(group["lr"] >= 1e-6 for group in net.optimizer_.param_groups)

    def finish(self, net: Any, validation_losses: Callable[[], torch.Tensor]) -> None:
        """Put the best weights back where that is promised, and let go of them.

        Where the start is a model, others have to be better by more than a standard error of the gain.
        """
        if self.snapshot_ is not None and (self.interrupted_ or self.validate):
            load_tensors(net.learners, self.snapshot_)
            if self.start_ is not None and self.best_epoch_ > 0:
                weights, losses = self.start_
                if not _is_gain(losses - validation_losses()):
                    load_tensors(net.learners, weights)
                    self.best_epoch_ = 0
        self.snapshot_ = self.start_ = None


def _is_gain(gains: torch.Tensor) -> bool:
    """Return whether rows gained on the average, and by more than a standard error, single rows apart."""
    median = gains.median()
    reach = _REACH * (gains - median).abs().median()
    usual = gains.clamp(median - reach, median + reach)
    error = usual.std() / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() > 0 and usual.mean() > error)


def _groups(net: Any) -> list[dict[str, Any]]:
    return [group for optimizer in net.optimizers for group in optimizer.param_groups]


class StepSchedule(Callback):
    """Sets the learning rate before every step, as a function of the share of steps done.

    Parameters
    ----------
    factor : callable
        One of the functions of `sklae.schedules`.
    n_steps : int
        The horizon.
    """

    can_stack = True

    def __init__(self, factor: Callable[[float], float], n_steps: int):
        self.factor = factor
        self.n_steps = n_steps

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.step_ = 0
        for group in _groups(net):
            group.setdefault("initial_lr", group["lr"])

    def on_batch_begin(self, net: NeuralNet, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        if not training:
            return
        factor = self.factor(min(1.0, self.step_ / max(1, self.n_steps - 1)))
        for group in _groups(net):
            group["lr"] = group["initial_lr"] * factor
        self.step_ += 1


class EpochClock(Callback):
    """Tells the objective how many epochs have been trained, before every step.

    Read off the history, so that k epochs and k more are 2k epochs.
    """

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any) -> None:
        n_rows = len(dataset_train)
        self.n_batches_ = n_batches(n_rows, net.batch_size if net.batch_size > 0 else n_rows)

    def on_batch_begin(self, net: NeuralNet, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        if training:
            done = len(net.history.to_list()[-1]["batches"]) - 1
            net.criterion_.epoch = len(net.history) - 1 + done / self.n_batches_


class EpochBar(Callback):
    """A bar of epochs, with the last one's losses and terms."""

    bar: Bar | None = None

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.bar = Bar("training", getattr(net, "_n_epochs", net.max_epochs), "epoch")

    def on_epoch_end(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.advance(1, **_losses(net.history[-1]))

    def close(self) -> None:
        """Leave the bar as it is, however training ended."""
        if self.bar is not None:
            self.bar.close()
        self.bar = None


class EpochTasks(Callback):
    """Tells of each epoch as a part of a fit, and stops where a callback of scikit-learn's wants no further one.

    Parameters
    ----------
    task : Task
        The fit, or what trains the net in it.
    """

    def __init__(self, task: Task):
        self.task = task
        self._epoch: Task | None = None

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any) -> None:
        self._epoch = self.task.part("epoch")
        self._epoch.begin()

    def on_epoch_end(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        def fitted() -> dict[str, Any] | None:
            # a copy: what a callback does with the estimator must not change how training goes on
            return {"net_": copy.deepcopy(net)} if getattr(self.task.estimator, "net_", None) is net else None

        # processes that train together would not agree on an end that one alone knows of
        if self._epoch is not None and self._epoch.end(fitted) and current_job() is None:
            raise StopTraining


def _losses(epoch: dict[str, Any]) -> dict[str, float]:
    """Return an epoch's loss, on the rows to validate on, too, and its terms."""
    shown = {"loss": epoch.get("train_loss"), "valid_loss": epoch.get("valid_loss")}
    terms = {name.removeprefix("train_"): value for name, value in epoch.items() if name.startswith("train_")}
    shown |= {name: value for name, value in terms.items() if name not in ("loss", "loss_best", "batch_count")}
    return {name: float(value) for name, value in shown.items() if value is not None}
