"""The skorch net, without the overheads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from sklae._training.batches import Batches
from sklae._training.callbacks import EpochBar, Monitor, StopTraining
from sklae._training.data_parallel import processes_for
from sklae._training.interrupts import Interrupts
from sklae._training.loop import LeanLoop, diverged
from sklae._training.plain import plain, with_tensors
from sklae._training.saved import NOT_KEPT, Saved
from sklae._training.state import all_finite, drop_unfinished_epoch
from sklae._utils.processes import SharedGenerator, tells
from sklae._utils.random import generate
from sklae._utils.tasks import Task, current_task

__all__ = ["AutoencoderNet"]

_GENERATORS = {"noise_", "shuffle_"}


class AutoencoderNet(Saved, LeanLoop):
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
    max_grad_norm : float or None, default=None
        What a step's gradient is shortened to where it is longer.
    **kwargs
        As in skorch.

    Attributes
    ----------
    started_ : bool
        Whether the first weights are those of a linear model.
    """

    def __init__(
        self,
        module: Any,
        *,
        criterion: Any,
        monitor: Monitor,
        seeds: tuple[int, int, int],
        max_grad_norm: float | None = None,
        iterator_train: Any = Batches,
        iterator_valid: Any = Batches,
        **kwargs: Any,
    ):
        super().__init__(
            module, criterion=criterion, iterator_train=iterator_train, iterator_valid=iterator_valid, **kwargs
        )
        self.monitor = monitor
        self.seeds = seeds
        self.max_grad_norm = max_grad_norm

    started_: bool = False
    _float64: tuple[Any, torch.nn.Module] | None = None

    # -- construction ---------------------------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]
        if self.verbose and tells():
            table = PrintLog(keys_ignored=["valid_final_loss", "learning_rate"])
            callbacks.append(("epoch_bar", EpochBar()) if self.verbose == 1 else ("print_log", table))
        return callbacks

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

    def initialize_criterion(self) -> AutoencoderNet:
        """Build the objective, whose parts may learn, from the first seed as well."""
        with generate(torch.Generator().manual_seed(self.seeds[0])):
            super().initialize_criterion()
        self.criterion_.float()
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> AutoencoderNet:
        """Build the model's optimizer, and one for each of its opponents."""
        super().initialize_optimizer()
        self.opponent_optimizers_ = [opponent.make_optimizer(self.lr) for opponent in self.criterion_.opponents]
        return self

    def get_all_learnable_params(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield the parameters that the model's own optimizer trains, with their names."""
        against = {id(parameter) for opponent in self.criterion_.opponents for parameter in opponent.parameters()}
        yield from ((name, each) for name, each in super().get_all_learnable_params() if id(each) not in against)

    @property
    def learners(self) -> list[torch.nn.Module]:
        """What training changes: the model, and the objective where its parts learn."""
        return [self.module_, self.criterion_]

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The model's optimizer, and those of its opponents."""
        return [self.optimizer_, *self.opponent_optimizers_]

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches of a dataset, shuffled in training."""
        iterator = self.iterator_train if training else self.iterator_valid
        if iterator is not Batches:
            return super().get_iterator(dataset, training)
        settings = {"batch_size": self.batch_size, "generator": self.shuffle_, "device": self.device}
        settings |= self.get_params_for("iterator_train" if training else "iterator_valid")
        if settings["batch_size"] == -1:
            settings["batch_size"] = len(dataset)
        return Batches(dataset, **settings)

    # -- training -------------------------------------------------------------------------------------

    def train(
        self,
        dataset: Dataset,
        dataset_valid: Dataset | None = None,
        *,
        epochs: int,
        n_copies: int = 1,
        start_counts: bool = False,
        interrupts: Interrupts,
        keeps: bool = False,
    ) -> bool:
        """Train on. If an exception gets out, weights and history are half done: a `TrainingState` puts them back.

        Parameters
        ----------
        dataset, dataset_valid : Dataset
        epochs : int
        n_copies : int, default=1
            How often the validation set repeats its rows.
        start_counts : bool, default=False
            Whether the weights as they are may be the best, on the validation rows.
        interrupts : Interrupts
            Entered: what to look at after each batch.
        keeps : bool, default=False
            Whether an interrupt ends training with the best weights so far, if one epoch is complete; else it is
            raised.

        Returns
        -------
        interrupted : bool
            Whether the user stopped training by an interrupt.

        Raises
        ------
        DivergenceError
            If the loss turns non-finite.
        """
        self._n_epochs = epochs
        with self.run(dataset, dataset_valid, n_copies=n_copies, interrupts=interrupts, task=current_task()):
            try:
                if start_counts and self.monitor.validate:
                    self.monitor.look_at_start(self, self.losses_of(dataset_valid, n_copies))
                self.fit_loop(dataset, epochs=epochs)
            except StopTraining:
                pass
            except KeyboardInterrupt:
                drop_unfinished_epoch(self, validates=dataset_valid is not None)
                if not keeps or interrupts.n_signals > 1 or len(self.history) == self.monitor.first_epoch_:
                    raise
                self.monitor.interrupted_ = True
        return self.monitor.interrupted_

    @contextmanager
    def run(
        self,
        dataset: Dataset,
        dataset_valid: Dataset | None = None,
        *,
        interrupts: Interrupts,
        n_copies: int = 1,
        task: Task | None = None,
    ) -> Iterator[None]:
        """Begin and end training around whatever trains; its epochs are parts of a task, where one is given."""
        if not self.initialized_:
            self.initialize()
        self._interrupts, self._task = interrupts, task
        self.train_split = None if dataset_valid is None else predefined_split(dataset_valid)
        try:
            self._processes = processes_for(self)
            self._processes.begin(self, dataset, dataset_valid)
            self.noise_ = self._processes.generator(self.noise_)
            self.notify("on_train_begin", X=dataset, y=None)
            yield
            drop_unfinished_epoch(self, validates=dataset_valid is not None)
            self.monitor.finish(self, partial(self.losses_of, dataset_valid, n_copies))
            self.notify("on_train_end", X=dataset, y=None)
            if not all_finite(self.learners):
                raise diverged("weights")
        finally:
            for _, callback in self.callbacks_:
                if isinstance(callback, EpochBar):
                    callback.close()
            del self._interrupts
            for name in ("_processes", "_n_epochs", "_task"):
                self.__dict__.pop(name, None)
            if isinstance(self.noise_, SharedGenerator):
                self.noise_ = self.noise_.plain()
            self._float64 = None
            self.monitor.snapshot_ = self.monitor.start_ = None
            self.train_split = None  # it holds the validation rows
            for learner in self.learners:
                learner.zero_grad()
            self.module_.eval()

    # -- prediction -----------------------------------------------------------------------------------

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
        for name in NOT_KEPT:
            state.pop(name, None)
        # as arrays: a pickled Generator holds memory addresses, so that equal nets would differ
        for name in _GENERATORS & state.keys():
            state[name] = state[name].device.type, state[name].get_state().numpy()
        return plain(state) if self.device == "cpu" else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = with_tensors(state)
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
