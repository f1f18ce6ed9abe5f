"""The training engine: a skorch net without the overheads. The only file that imports skorch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from skorch.utils import TeeGenerator, to_device

from sklae._layout import Rows
from sklae._module import Output, generate
from sklae._optimizers import LBFGS, Adam, AdamW
from sklae.exceptions import DivergenceError

__all__ = [
    "SOLVERS",
    "AutoencoderNet",
    "Batches",
    "Callback",
    "EncodedRows",
    "EpochClock",
    "Monitor",
    "StepSchedule",
    "n_batches",
]

#: Name -> optimizer class and its settings. All but lbfgs also take ``weight_decay``.
SOLVERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (Adam, {"fused": True}),
    "adamw": (AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "lbfgs": (LBFGS, {"line_search_fn": "strong_wolfe"}),
}

# Up to here a permuted copy per epoch is cheaper than gathering each batch; past it memory counts.
_SMALL_ELEMENTS = 2**21

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


class _StopTraining(Exception):  # noqa: N818 - not an error
    """A callback asked training to stop."""


class EncodedRows(Dataset):
    """A skorch dataset of encoded rows and what to reconstruct.

    Parameters
    ----------
    rows : Rows
        The inputs.
    targets : Rows or None, default=None
        What to reconstruct. None: the inputs themselves.
    """

    def __init__(self, rows: Rows, targets: Rows | None = None):
        self.rows = rows
        self.targets = rows if targets is None else targets
        there = {name: part for name, part in rows._asdict().items() if part is not None}
        x, observed = self.targets.x, self.targets.observed
        super().__init__(rows.x if len(there) == 1 else there, x if observed is None else (x, observed))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch; a last one of a single row joins the one before."""
    full, rest = divmod(n_samples, batch_size)
    return full + (rest > 1 or full == 0)


def _apply(function: Callable[[torch.Tensor], torch.Tensor], data: Any) -> Any:
    """Apply a function to a tensor, or to each one in a dict or tuple of tensors."""
    if isinstance(data, Mapping):
        return {key: function(value) for key, value in data.items()}
    if isinstance(data, (tuple, list)):
        return tuple(function(value) for value in data)
    return function(data)


class Batches:
    """Batches as slices of in-memory tensors: what a DataLoader does, without its per-row cost.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Its ``X`` and ``y`` are tensors, arrays, or dicts or tuples of these; ``y=None`` means X.
    batch_size : int
    shuffle : bool, default=False
    generator : torch.Generator or None, default=None
        Where the order of the rows comes from.
    device : str or torch.device, default="cpu"

    Notes
    -----
    A last batch of a single row joins the one before: batch statistics of one row are undefined.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        device: Any = "cpu",
    ):
        target = dataset.X if dataset.y is None else dataset.y
        self.device = device
        inputs = self._tensors(dataset.X, device)
        self.data = (inputs, inputs if target is dataset.X else self._tensors(target, device))
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.n_rows = len(dataset)
        starts = list(range(0, self.n_rows, batch_size))
        if len(starts) > 1 and self.n_rows - starts[-1] == 1:
            del starts[-1]
        self.slices = [slice(*ends) for ends in zip(starts, [*starts[1:], self.n_rows], strict=True)]

    @staticmethod
    def _tensors(data: Any, device: Any) -> Any:
        def move(value: Any) -> torch.Tensor:
            return torch.as_tensor(value).to(device)

        return _apply(move, data)

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if not self.shuffle:
            yield from self._slices_of(self.data)
            return
        order = torch.randperm(self.n_rows, generator=self.generator).to(self.device)
        if self._n_elements() <= _SMALL_ELEMENTS:
            yield from self._slices_of(self._take(self.data, order))
        else:
            for rows in self.slices:
                yield self._take(self.data, order[rows])

    def _slices_of(self, data: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
        for rows in self.slices:
            yield self._take(data, rows)

    @staticmethod
    def _take(data: tuple[Any, Any], rows: slice | torch.Tensor) -> tuple[Any, Any]:
        """Take rows of inputs and target, once where they are the same tensors."""

        def take(value: torch.Tensor) -> torch.Tensor:
            return value[rows] if isinstance(rows, slice) else value.index_select(0, rows)

        inputs, target = data
        taken = _apply(take, inputs)
        return taken, taken if target is inputs else _apply(take, target)

    def _n_elements(self) -> int:
        inputs = self.data[0]
        tensors = inputs.values() if isinstance(inputs, Mapping) else [inputs]
        return sum(tensor.numel() for tensor in tensors)


class Monitor(Callback):
    """Watches the loss: decides when to stop, lowers an adaptive rate, remembers the best weights.

    Parameters
    ----------
    tol : float
        Improvements up to this (nats a row) do not count.
    patience : float
        Epochs without improvement before something is done; infinity: never.
    validate : bool
        Watch the validation bound at beta = 1, not the training loss, and end with the best weights.
    adaptive : bool
        Divide the learning rate by 5 first, and stop when it falls below 1e-6.
    settles : float, default=0
        The epoch from which on training losses compare with each other: weights that change don't let them.
    """

    def __init__(self, tol: float, patience: float, validate: bool, adaptive: bool, settles: float = 0):
        self.tol = tol
        self.patience = patience
        self.validate = validate
        self.adaptive = adaptive
        self.settles = settles

    def initialize(self) -> Monitor:
        self.best_ = math.inf
        self.stalled_ = 0
        self.converged_ = False
        self.snapshot_: list[torch.Tensor] | None = None
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

    def on_epoch_end(self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        row = net.history.to_list()[-1]
        loss = row["valid_bound"] if self.validate else row["train_loss"]
        if not self.validate and len(net.history) <= self.settles:
            self.best_, self.stalled_ = math.inf, 0
        self.stalled_ = 0 if loss < self.best_ - self.tol else self.stalled_ + 1
        if loss < self.best_:
            self.best_ = loss
            self.snapshot_ = _clone_state(net.module_)
        if self.stalled_ > self.patience and not self._lower_rate(net):
            self.converged_ = True
            raise _StopTraining

    def _lower_rate(self, net: NeuralNet) -> bool:
        if not self.adaptive:
            return False
        self.stalled_ = 0
        for group in net.optimizer_.param_groups:
            group["lr"] /= 5.0
        return all(group["lr"] >= 1e-6 for group in net.optimizer_.param_groups)

    def finish(self, net: NeuralNet, *, interrupted: bool) -> None:
        """Put the best weights back where that is promised, and let go of them."""
        if self.snapshot_ is not None and (interrupted or self.validate):
            _load_state(net.module_, self.snapshot_)
        self.snapshot_ = None


def _clone_state(module: torch.nn.Module) -> list[torch.Tensor]:
    with torch.no_grad():
        return [value.clone() for value in _tensors_of(module)]


def _load_state(module: torch.nn.Module, state: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for value, saved in zip(_tensors_of(module), state, strict=True):
            value.copy_(saved)


def _tensors_of(module: torch.nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


class StepSchedule(Callback):
    """Sets the learning rate before every step, as a function of the share of steps done.

    Parameters
    ----------
    factor : callable
        One of the functions of `sklae.schedules`.
    n_steps : int
        The horizon.
    """

    def __init__(self, factor: Callable[[float], float], n_steps: int):
        self.factor = factor
        self.n_steps = n_steps

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.step_ = 0
        for group in net.optimizer_.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def on_batch_begin(self, net: NeuralNet, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        if not training:
            return
        factor = self.factor(min(1.0, self.step_ / max(1, self.n_steps - 1)))
        for group in net.optimizer_.param_groups:
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
        if not self.initialized_:
            self.initialize()
        before = self._state()
        self.train_split = None if dataset_valid is None else predefined_split(dataset_valid)
        interrupted = False
        try:
            self.notify("on_train_begin", X=dataset, y=None)
            try:
                self.fit_loop(dataset, epochs=epochs)
            except _StopTraining:
                pass
            except KeyboardInterrupt:
                interrupted = True
            self._drop_unfinished_epoch(dataset_valid is not None)
            self.monitor.finish(self, interrupted=interrupted)
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
        return interrupted

    def _drop_unfinished_epoch(self, validates: bool) -> None:
        history = self.history.to_list()
        if history and ("train_loss" not in history[-1] or (validates and "valid_loss" not in history[-1])):
            del self.history[-1]

    def _state(self) -> dict[str, Any]:
        return {
            "module": _clone_state(self.module_),
            "optimizer": copy.deepcopy(self.optimizer_.state_dict()),
            "noise": self.noise_.get_state(),
            "shuffle": self.shuffle_.get_state(),
            "epochs": len(self.history),
            "monitor": dict(vars(self.monitor)),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        _load_state(self.module_, state["module"])
        self.optimizer_.load_state_dict(state["optimizer"])
        self.noise_.set_state(state["noise"])
        self.shuffle_.set_state(state["shuffle"])
        del self.history[state["epochs"] :]
        self.monitor.__dict__.update(state["monitor"])

    def _check_finite(self) -> None:
        if not all(bool(p.isfinite().all()) for p in self.module_.parameters()):
            raise _diverged("weights")

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks that override this hook; one that raises KeyboardInterrupt ends training."""
        if method_name == "on_train_begin":
            self._listeners = {event: [cb for _, cb in self.callbacks_ if _overrides(cb, event)] for event in _EVENTS}
        getattr(self, method_name)(self, **cb_kwargs)
        try:
            for callback in self._listeners[method_name]:
                getattr(callback, method_name)(self, **cb_kwargs)
        except KeyboardInterrupt as stop:  # how skorch's EarlyStopping stops
            if method_name == "on_epoch_end":
                raise _StopTraining from stop
            raise

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
        begin, end = self._listeners["on_batch_begin"], self._listeners["on_batch_end"]
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
                raise _diverged(f"{prefix} loss")
            for name, term in terms.items():
                row[f"{prefix}_{name}"] = loss if len(terms) == 1 else term.detach().mean().item()
            row[f"{prefix}_batch_size"] = _n_rows(batch[0])
            for callback in end:
                callback.on_batch_end(self, batch=batch, training=training, **step)
        epoch[f"{prefix}_batch_count"] = len(epoch["batches"]) - first
        self._record_terms(epoch, epoch["batches"][first:], prefix)

    def _record_terms(self, epoch: dict[str, Any], rows: list[dict[str, Any]], prefix: str) -> None:
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
        if self._listeners["on_grad_computed"]:
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


def _n_rows(inputs: Any) -> int:
    return len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)


def _diverged(what: str) -> DivergenceError:
    return DivergenceError(
        f"Got a non-finite {what} in training; expected finite numbers. Lower learning_rate_init, clip gradients "
        "(callbacks=[GradientNormClipping(1.0)]), or look for extreme values in the data. "
        "The estimator is as it was before this call."
    )
