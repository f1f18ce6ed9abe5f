"""skorch's training loop, without what nobody listens to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.utils import TeeGenerator

from sklae._model.module import Output
from sklae._training.batches import Batch, SeenBatch, as_rows
from sklae._training.callbacks import EpochTasks, StopTraining
from sklae._training.data_parallel import OneProcess
from sklae._training.interrupts import Interrupts
from sklae._training.optimizers import clip_gradients
from sklae._utils.processes import whole_batch
from sklae._utils.tasks import Task
from sklae.exceptions import DivergenceError

__all__ = ["LeanLoop", "diverged", "record_terms"]

_EVENTS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_grad_computed",
)


class LeanLoop(NeuralNet):
    """The part of a net that steps: callbacks are called only where they override a hook, modes set once per epoch.

    Every loss term is in the history under its name.
    """

    max_grad_norm: float | None
    _interrupts = Interrupts()
    _processes = OneProcess()
    _task: Task | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a mix-in whose steps leave the terms of the loss out."""
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "_initialize_accelerator"):
            raise TypeError(
                f"Got {cls.__name__} with skorch's AccelerateMixin, which replaces the steps by its own; expected "
                "sklae's, which draw noise from the net's generators and record each term of the loss. Train with "
                "device='cuda', without the mix-in."
            )

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks with this hook; one that raises KeyboardInterrupt after an epoch ends training."""
        if method_name == "on_train_begin":
            callbacks = [*(callback for _, callback in self.callbacks_), *self._callbacks_of_run()]
            self._listeners = {event: [each for each in callbacks if _overrides(each, event)] for event in _EVENTS}
        getattr(self, method_name)(self, **cb_kwargs)
        stopped = None
        for callback in self.listeners(method_name):
            try:
                with _explained(self, callback):
                    getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt as stop:  # how skorch's EarlyStopping stops
                if method_name != "on_epoch_end" or self._interrupts.n_signals:
                    raise
                stopped = stop  # all others are to know of the epoch, too
        if stopped is not None:
            raise StopTraining from stopped

    def _callbacks_of_run(self) -> list[Callback]:
        """Return what listens to the run that begins, and to no other."""
        return [EpochTasks(self._task)] if self._task is not None and self._task.is_heard else []

    def listeners(self, method_name: str) -> list[Callback]:
        """Return the callbacks that override a hook."""
        return self._listeners[method_name]

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **fit_params: Any
    ) -> None:
        """Run one pass over the batches, recording the mean of every term per batch and per epoch."""
        if iterator is None:
            return
        if self.module_.training != training:
            self._set_training(training)
        if not training:  # the same noise in every epoch, so that epochs can be compared
            seeded = torch.Generator(self.device).manual_seed(self.seeds[1])
            self._valid_noise = self._processes.generator(seeded)
        begin, end = self.listeners("on_batch_begin"), self.listeners("on_batch_end")
        epoch = self.history.to_list()[-1]
        first = len(epoch["batches"])
        for batch in map(_as_batch, iterator):
            self._interrupts.check()
            row: dict[str, Any] = {}
            epoch["batches"].append(row)
            seen = SeenBatch(batch) if begin or end else None
            for callback in begin:
                callback.on_batch_begin(self, batch=seen, training=training)
            step = step_fn(batch, **fit_params)
            terms = step.pop("terms")
            row[f"{prefix}_loss"] = loss = step["loss"].item()
            if not math.isfinite(loss):
                raise diverged(f"{prefix} loss")
            for name, term in terms.items():
                row[f"{prefix}_{name}"] = loss if len(terms) == 1 else term.detach().mean().item()
            row[f"{prefix}_batch_size"] = batch.n_rows
            if end:
                output = step["y_pred"]
                step["y_pred"] = whole_batch(output.expected(), output.generator)
            for callback in end:
                callback.on_batch_end(self, batch=seen, training=training, **step)
        epoch[f"{prefix}_batch_count"] = len(epoch["batches"]) - first
        if training:
            epoch["learning_rate"] = self.optimizer_.param_groups[0]["lr"]  # of the last step
        record_terms(epoch, epoch["batches"][first:], prefix, self.criterion_)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take one optimizer step, and one for each of the model's opponents."""
        if isinstance(self.optimizer_, torch.optim.LBFGS):
            return super().train_step(batch, **fit_params)
        for group in self.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        step = self.train_step_single(batch, **fit_params)
        if self.listeners("on_grad_computed"):
            parameters = TeeGenerator(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=SeenBatch(batch), training=True)
        if self.max_grad_norm is not None:
            clip_gradients(self.optimizer_, self.max_grad_norm)
        self.optimizer_.step()
        if self.opponent_optimizers_:
            self._train_opponents(step, batch)
        return step

    def _train_opponents(self, step: dict[str, Any], batch: Batch) -> None:
        codes = self.criterion_.codes_cut_off(step["y_pred"])
        for opponent, optimizer in zip(self.criterion_.opponents, self.opponent_optimizers_, strict=True):
            for _ in range(opponent.n_steps):
                optimizer.zero_grad()  # of the model's own step
                loss = self.criterion_.opponent_loss(opponent, step["y_pred"], batch.target, codes, batch.weight)
                if not math.isfinite(loss.item()):
                    raise diverged("loss of the model's opponent")
                loss.backward()
                optimizer.step()
            step["terms"][opponent.loss_name] = loss.detach()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a batch and its gradient."""
        step = self._step(batch, self.noise_, fit_params)
        parameters = (parameter for _, parameter in self.get_all_learnable_params())
        self._processes.backward(step, parameters, self.noise_)
        return step

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a validation batch."""
        with torch.no_grad():
            step = self._step(batch, self._valid_noise, fit_params)
            return self._processes.average(step, self._valid_noise)

    def losses_of(self, dataset: Any, n_copies: int = 1) -> torch.Tensor:
        """Return the loss of each row, (n_rows,), with the noise and the weights that epochs are compared by.

        Of rows that have weights, times these, so that the mean is the weighted one.

        ``n_copies`` says how often the dataset repeats its rows: it is the mean over these.
        """
        was_training = self.module_.training
        self._set_training(False)
        generator = torch.Generator(self.device).manual_seed(self.seeds[1])
        parts = []
        with torch.no_grad():
            for batch in map(_as_batch, self.get_iterator(dataset)):
                losses = self.criterion_.final_losses(self._step(batch, generator, {})["terms"])
                parts.append(losses.expand(batch.n_rows).cpu())
        self._set_training(was_training)
        return torch.cat(parts).double().view(n_copies, -1).mean(0)

    def _step(self, batch: Batch, generator: torch.Generator, fit_params: dict[str, Any]) -> dict[str, Any]:
        own = self._processes.own(batch, generator)
        output = self.infer(batch.rows, generator=generator, **fit_params)
        terms = self.criterion_.terms(output, own.target, own.weight)
        return {"loss": self.criterion_.loss(terms), "y_pred": output, "terms": terms}

    def infer(self, x: Any, **fit_params: Any) -> Output:
        """Run the module on rows, or on what stands for them: tensors, arrays, dicts or tuples of these."""
        return self.module_(*as_rows(x), **fit_params)

    def evaluation_step(self, batch: Any, training: bool = False) -> torch.Tensor:
        """Return the expected rows, so that ``net.predict`` gives (encoded) reconstructions, in training too."""
        self.check_is_fitted()
        was_training = self.module_.training
        try:
            self._set_training(training)
            with torch.set_grad_enabled(training):
                return self.infer(_as_batch(batch).rows.to(self.device)).expected()
        finally:
            self._set_training(was_training)


def _overrides(callback: Callback, event: str) -> bool:
    """Return whether a hook is the callback's own: of its class, or set on the instance."""
    hook = getattr(callback, event, None)
    return hook is not None and getattr(hook, "__func__", hook) is not getattr(Callback, event)


@contextmanager
def _explained(net: Any, callback: Callback) -> Iterator[None]:
    """Say what a callback may watch, where it watches what is not there."""
    try:
        yield
    except KeyError as error:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or monitor not in str(error):
            raise
        known = sorted(name for name, value in net.history[-1].items() if isinstance(value, float))
        raise ValueError(
            f"Got callbacks with {type(callback).__name__}(monitor={monitor!r}), which the history does not have; "
            f"expected one of {known}."
        ) from error


def _as_batch(batch: Any) -> Batch:
    """Return the batch of an iterator of the user's own as one of ours."""
    return batch if isinstance(batch, Batch) else Batch.of(*batch)


def record_terms(epoch: dict[str, Any], rows: list[dict[str, Any]], prefix: str, objective: Any) -> None:
    """Record the epoch's mean of every term, and (validation) of the negative bound at beta = 1."""
    sizes = [row[f"{prefix}_batch_size"] for row in rows]
    skip = {f"{prefix}_loss", f"{prefix}_batch_size"}
    terms = {}
    for key in [key for key in rows[0] if key.startswith(f"{prefix}_") and key not in skip]:
        total = sum(row[key] * size for row, size in zip(rows, sizes, strict=True))
        terms[key.removeprefix(f"{prefix}_")] = total / sum(sizes)
    epoch.update({f"{prefix}_{name}": value for name, value in terms.items()})
    if prefix == "valid":
        epoch["valid_bound"] = objective.bound(terms)
        epoch["valid_final_loss"] = objective.final_losses(terms)


def diverged(what: str) -> DivergenceError:
    return DivergenceError(
        f"Got a non-finite {what} in training; expected finite numbers. Lower learning_rate_init, clip gradients "
        "(callbacks=[GradientNormClipping(1.0)]), or look for extreme values in the data. "
        "The estimator is as it was before this call."
    )
