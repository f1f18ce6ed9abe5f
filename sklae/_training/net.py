"""The skorch net, without the overheads."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from skorch.utils import TeeGenerator, to_device

from sklae._model.module import Output
from sklae._training.batches import Batches
from sklae._training.callbacks import Monitor, StopTraining, clone_state, load_state
from sklae._utils.random import generate
from sklae.exceptions import DivergenceError

__all__ = ["AutoencoderNet", "Run", "diverged", "n_rows"]

_GENERATORS = {"noise_", "shuffle_"}

_EVENTS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_grad_computed",
)


class Run:
    """A training run: whether the user broke it off."""

    interrupted: bool = False

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a callback end training, and a user break it off."""
        try:
            yield
        except StopTraining:
            pass
        except KeyboardInterrupt:
            self.interrupted = True


class AutoencoderNet(NeuralNet):
    """A skorch net over `Autoencoder`, that skips what nobody listens to.

    Parameters and history are bit-equal to stock skorch's on the same batches. What differs:
    batches are slices (`Batches`), modes are set once per epoch, callbacks are called only where they
    override a hook, every loss term is in the history under its name, and draws come from generators
    of the net, whose states are pickled with it.

    Parameters
    ----------
    module, criterion
        As in skorch; `criterion` is an `Objective`.
    monitor : Monitor
    seeds : tuple of int
        For initialisation, noise and shuffling.
    **kwargs
        As in skorch.
    """

    def __init__(
        self,
        module: Any,
        *,
        criterion: Any,
        monitor: Monitor,
        seeds: tuple[int, int, int],
        iterator_train: Any = Batches,
        iterator_valid: Any = Batches,
        **kwargs: Any,
    ):
        super().__init__(
            module, criterion=criterion, iterator_train=iterator_train, iterator_valid=iterator_valid, **kwargs
        )
        self.monitor = monitor
        self.seeds = seeds

    _float64: tuple[Any, torch.nn.Module] | None = None

    # -- construction ---------------------------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]
        # PrintLog tabulates even when it prints nothing
        return [*callbacks, ("print_log", PrintLog())] if self.verbose else callbacks

    def initialize_callbacks(self) -> AutoencoderNet:
        """Initialise the callbacks; the monitor comes last, so that it sees what others recorded."""
        super().initialize_callbacks()
        self.callbacks_.append(("monitor", self.monitor.initialize()))
        return self

    def initialize_module(self) -> AutoencoderNet:
        """Build the module from the first seed; the others start the noise and the order of rows."""
        init, noise, shuffle = self.seeds
        with generate(torch.Generator().manual_seed(init)):
            super().initialize_module()
        self.module_.float()  # whatever torch's default dtype is
        self.noise_ = torch.Generator(self.device).manual_seed(noise)
        self.shuffle_ = torch.Generator().manual_seed(shuffle)
        return self

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches of a dataset, shuffled in training."""
        iterator = self.iterator_train if training else self.iterator_valid
        if iterator is not Batches:
            return super().get_iterator(dataset, training)
        size = self.get_params_for("iterator_train" if training else "iterator_valid").get(
            "batch_size", self.batch_size
        )
        generator = self.shuffle_ if training else None
        size = len(dataset) if size == -1 else size
        return Batches(dataset, size, shuffle=training, generator=generator, device=self.device)

    # -- training -------------------------------------------------------------------------------------

    def train(self, dataset: Dataset, dataset_valid: Dataset | None = None, *, epochs: int) -> bool:
        """Train on; all or nothing if an exception gets out.

        Returns
        -------
        interrupted : bool
            Whether the user stopped training by an interrupt; the best weights so far are kept.

        Raises
        ------
        DivergenceError
            If the loss turns non-finite.
        """
        with self.run(dataset, dataset_valid) as run, run.interruptible():
            self.fit_loop(dataset, epochs=epochs)
        return run.interrupted

    @contextmanager
    def run(self, dataset: Dataset, dataset_valid: Dataset | None = None) -> Iterator[Run]:
        """Begin and end training around whatever trains; all or nothing if an exception gets out."""
        if not self.initialized_:
            self.initialize()
        before = self._state()
        self.train_split = None if dataset_valid is None else predefined_split(dataset_valid)
        run = Run()
        try:
            self.notify("on_train_begin", X=dataset, y=None)
            yield run
            self._drop_unfinished_epoch(dataset_valid is not None)
            self.monitor.finish(self, interrupted=run.interrupted)
            self.notify("on_train_end", X=dataset, y=None)
            self._check_finite()
        except BaseException:
            self._restore(before)
            raise
        finally:
            self._float64 = None
            self.monitor.snapshot_ = None
            self.train_split = None  # it holds the validation rows
            for parameter in self.module_.parameters():
                parameter.grad = None
            self.module_.eval()

    def _drop_unfinished_epoch(self, validates: bool) -> None:
        history = self.history.to_list()
        if history and ("train_loss" not in history[-1] or (validates and "valid_loss" not in history[-1])):
            del self.history[-1]

    def _state(self) -> dict[str, Any]:
        return {
            "module": clone_state(self.module_),
            "optimizer": copy.deepcopy(self.optimizer_.state_dict()),
            "noise": self.noise_.get_state(),
            "shuffle": self.shuffle_.get_state(),
            "epochs": len(self.history),
            "monitor": dict(vars(self.monitor)),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        load_state(self.module_, state["module"])
        self.optimizer_.load_state_dict(state["optimizer"])
        self.noise_.set_state(state["noise"])
        self.shuffle_.set_state(state["shuffle"])
        del self.history[state["epochs"] :]
        self.monitor.__dict__.update(state["monitor"])

    def _check_finite(self) -> None:
        if not all(bool(p.isfinite().all()) for p in self.module_.parameters()):
            raise diverged("weights")

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks that override this hook; one that raises KeyboardInterrupt ends training."""
        if method_name == "on_train_begin":
            self._listeners = {event: [cb for _, cb in self.callbacks_ if _overrides(cb, event)] for event in _EVENTS}
        getattr(self, method_name)(self, **cb_kwargs)
        try:
            for callback in self.listeners(method_name):
                getattr(callback, method_name)(self, **cb_kwargs)
        except KeyboardInterrupt as stop:  # how skorch's EarlyStopping stops
            if method_name == "on_epoch_end":
                raise StopTraining from stop
            raise

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
            self._valid_noise = torch.Generator(self.device).manual_seed(self.seeds[1])
        begin, end = self.listeners("on_batch_begin"), self.listeners("on_batch_end")
        epoch = self.history.to_list()[-1]
        first = len(epoch["batches"])
        for batch in iterator:
            row: dict[str, Any] = {}
            epoch["batches"].append(row)
            for callback in begin:
                callback.on_batch_begin(self, batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            terms = step.pop("terms")
            row[f"{prefix}_loss"] = loss = step["loss"].item()
            if not math.isfinite(loss):
                raise diverged(f"{prefix} loss")
            for name, term in terms.items():
                row[f"{prefix}_{name}"] = loss if len(terms) == 1 else term.detach().mean().item()
            row[f"{prefix}_batch_size"] = n_rows(batch[0])
            for callback in end:
                callback.on_batch_end(self, batch=batch, training=training, **step)
        epoch[f"{prefix}_batch_count"] = len(epoch["batches"]) - first
        self.record_terms(epoch, epoch["batches"][first:], prefix)

    def record_terms(self, epoch: dict[str, Any], rows: list[dict[str, Any]], prefix: str) -> None:
        """Record the epoch's mean of every term, and (validation) of the negative bound at beta = 1."""
        sizes = [row[f"{prefix}_batch_size"] for row in rows]
        skip = {f"{prefix}_loss", f"{prefix}_batch_size"}
        terms = {}
        for key in [key for key in rows[0] if key.startswith(f"{prefix}_") and key not in skip]:
            total = sum(row[key] * size for row, size in zip(rows, sizes, strict=True))
            terms[key.removeprefix(f"{prefix}_")] = total / sum(sizes)
        epoch.update({f"{prefix}_{name}": value for name, value in terms.items()})
        if prefix == "valid":
            epoch["valid_bound"] = self.criterion_.bound(terms)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take one optimizer step."""
        if isinstance(self.optimizer_, torch.optim.LBFGS):
            return super().train_step(batch, **fit_params)
        for group in self.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        step = self.train_step_single(batch, **fit_params)
        if self.listeners("on_grad_computed"):
            parameters = TeeGenerator(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return step

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a batch and its gradient."""
        step = self._step(batch, self.noise_, fit_params)
        step["loss"].backward()
        return step

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a validation batch."""
        with torch.no_grad():
            return self._step(batch, self._valid_noise, fit_params)

    def _step(self, batch: Any, generator: torch.Generator, fit_params: dict[str, Any]) -> dict[str, Any]:
        inputs, target = batch
        output = self.infer(inputs, generator=generator, **fit_params)
        terms = self.criterion_.terms(output, target)
        return {"loss": self.criterion_.loss(terms), "y_pred": output, "terms": terms}

    def infer(self, x: Any, **fit_params: Any) -> Output:
        """Run the module on inputs that may come as tensors, arrays, or dicts of these."""
        if isinstance(x, Mapping):
            return self.module_(**x, **fit_params)
        return self.module_(x, **fit_params)

    # -- prediction -----------------------------------------------------------------------------------

    def evaluation_step(self, batch: Any, training: bool = False) -> torch.Tensor:
        """Return the decoder's output, so that ``net.predict`` gives (encoded) reconstructions."""
        self.check_is_fitted()
        with torch.set_grad_enabled(training):
            self._set_training(training)
            return self.infer(to_device(batch[0], self.device)).params

    def inference_module(self, dtype: torch.dtype) -> torch.nn.Module:
        """Return the module for prediction in float32 or float64, in evaluation mode.

        The float64 copy is made when first needed, kept until the weights change, and not pickled.
        """
        if dtype == torch.float32:
            if self.module_.training:
                self.module_.eval()
            return self.module_
        version = tuple((id(t), t._version) for t in self.module_.state_dict(keep_vars=True).values())
        cached = self._float64
        if cached is None or cached[0] != version:
            module = copy.deepcopy(self.module_)
            if self.device == "mps":  # which has no float64
                module = module.cpu()
            self._float64 = cached = version, module.double().eval().requires_grad_(False)
        return cached[1]

    def __getstate__(self) -> dict[str, Any]:
        # skorch pickles what lives on a device on its own, which breaks for lambdas; the CPU needs no such care
        state = self.__dict__.copy() if self.device == "cpu" else super().__getstate__()
        for name in ("_float64", "_listeners", "_valid_noise"):
            state.pop(name, None)
        # as arrays: a pickled Generator holds memory addresses, so that equal nets would differ
        for name in _GENERATORS & state.keys():
            state[name] = state[name].device.type, state[name].get_state().numpy()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        for name in _GENERATORS & state.keys():
            device, values = state[name]
            if device == "cuda" and not torch.cuda.is_available():
                state[name] = torch.Generator().manual_seed(state["seeds"][1])
            else:
                state[name] = torch.Generator(device)
                state[name].set_state(torch.as_tensor(values))
        if "__cuda_dependent_attributes__" in state:
            super().__setstate__(state)
        else:
            self.__dict__.update(state)


def _overrides(callback: Callback, event: str) -> bool:
    return getattr(type(callback), event, None) is not getattr(Callback, event)


def n_rows(inputs: Any) -> int:
    return len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)


def diverged(what: str) -> DivergenceError:
    return DivergenceError(
        f"Got a non-finite {what} in training; expected finite numbers. Lower learning_rate_init, clip gradients "
        "(callbacks=[GradientNormClipping(1.0)]), or look for extreme values in the data. "
        "The estimator is as it was before this call."
    )
