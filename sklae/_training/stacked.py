"""Several nets of one architecture, trained in one pass: their weights are stacked, and each step is one for all."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from skorch.callbacks import EpochTimer, PassthroughScoring
from torch import nn

from sklae._tables.layout import Rows
from sklae._training.batches import Batch, EncodedRows, SeenBatch
from sklae._training.callbacks import StopTraining
from sklae._training.interrupts import Interrupts
from sklae._training.loop import record_terms
from sklae._training.net import AutoencoderNet, diverged
from sklae._utils.processes import current_job
from sklae._utils.tasks import current_task

__all__ = ["can_train_together", "train_together"]

# skorch's own callbacks that don't look into a step
_CALLBACKS = (EpochTimer, PassthroughScoring)


def can_train_together(nets: Sequence[AutoencoderNet]) -> bool:
    """Return whether a single pass does to each net what training it alone would do.

    So it is on the CPU where all parts say that they can be stacked: networks of linear layers with nothing but
    activations between, a module that draws no noise, a reconstruction error as the whole loss, an optimizer of one
    look at a batch, and callbacks that don't look into a step.
    """
    return len(nets) > 1 and current_job() is None and all(_can_stack(net) for net in nets)


def _can_stack(net: AutoencoderNet) -> bool:
    return (
        net.device == "cpu"
        and net.module_.can_stack
        and net.criterion_.can_stack
        and not isinstance(net.optimizer_, torch.optim.LBFGS)
        and all(getattr(callback, "can_stack", type(callback) in _CALLBACKS) for _, callback in net.callbacks_)
    )


def train_together(nets: Sequence[AutoencoderNet], datasets: Sequence[EncodedRows], *, epochs: int) -> None:
    """Train all nets, each in an order of its own rows.

    Parameters
    ----------
    nets : sequence of AutoencoderNet
        For which `can_train_together` holds; initialised, and equal but for their seeds.
    datasets : sequence of EncodedRows
        What each is trained on; of as many rows.
    epochs : int

    Raises
    ------
    DivergenceError
        If a loss turns non-finite.
    """
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        for net, own in zip(nets, datasets, strict=True):
            task = current_task() if net is nets[-1] else None  # their epochs are one, which ends with the last's
            stack.enter_context(net.run(own, interrupts=interrupts, task=task))
        module, optimizer = stack.enter_context(_stacked(nets))
        with suppress(StopTraining):
            for _ in range(epochs):
                _run_epoch(nets, module, optimizer, datasets, interrupts)


class _StackedLinear(nn.Module):
    """Linear layers of several nets as one. Takes and gives the rows of all nets below each other."""

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers])[:, None])

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        h = h.view(len(self.weight), -1, h.shape[-1])
        return torch.baddbmm(self.bias, h, self.weight.mT).flatten(0, 1)


@contextmanager
def _stacked(nets: Sequence[AutoencoderNet]) -> Iterator[tuple[nn.Module, torch.optim.Optimizer]]:
    """Give a module and an optimizer for all nets, whose own parameters are views of its parameters meanwhile."""
    first = nets[0].module_
    module = copy.deepcopy(first)
    pairs = []
    for name in [name for name, layer in first.named_modules() if type(layer) is nn.Linear]:
        own_layers = [net.module_.get_submodule(name) for net in nets]
        layer = _StackedLinear(own_layers)
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, layer)
        pairs += [(layer.weight, [own.weight for own in own_layers]), (layer.bias, [own.bias for own in own_layers])]
    group = {name: value for name, value in nets[0].optimizer_.param_groups[0].items() if name != "params"}
    optimizer = type(nets[0].optimizer_)([stacked for stacked, _ in pairs], lr=group["lr"])
    optimizer.param_groups[0].update(group)
    for stacked, own in pairs:
        for parameter, part in zip(own, stacked.detach(), strict=True):
            parameter.data = part.view_as(parameter)
    try:
        yield module, optimizer
    finally:
        for stacked, own in pairs:
            for number, (net, parameter) in enumerate(zip(nets, own, strict=True)):
                parameter.data = parameter.data.clone()  # a view would be pickled with all of the stack
                net.optimizer_.state[parameter] = {
                    name: value[number].clone().view_as(parameter) if value.shape == stacked.shape else value.clone()
                    for name, value in optimizer.state[stacked].items()
                }


def _run_epoch(
    nets: Sequence[AutoencoderNet],
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    datasets: Sequence[EncodedRows],
    interrupts: Interrupts,
) -> None:
    """Pass over the rows once, recording in every net's history what it would have recorded itself."""
    for net, own in zip(nets, datasets, strict=True):
        net.notify("on_epoch_begin", dataset_train=own, dataset_valid=None)
        net.module_.train()
    epochs = [net.history.to_list()[-1] for net in nets]
    shuffled = (net.get_iterator(own, training=True) for net, own in zip(nets, datasets, strict=True))
    for batches in zip(*shuffled, strict=True):
        interrupts.check()
        for net, epoch, batch in zip(nets, epochs, batches, strict=True):
            epoch["batches"].append({})
            for callback in net.listeners("on_batch_begin"):
                callback.on_batch_begin(net, batch=SeenBatch(batch), training=True)
        optimizer.param_groups[0]["lr"] = nets[0].optimizer_.param_groups[0]["lr"]
        losses = _step(module, nets[0].criterion_, optimizer, batches)
        for epoch, loss in zip(epochs, losses, strict=True):
            if not math.isfinite(loss):
                raise diverged("train loss")
            size = batches[0].n_rows
            epoch["batches"][-1].update(train_loss=loss, train_reconstruction=loss, train_batch_size=size)
    for net, own, epoch in zip(nets, datasets, epochs, strict=True):
        epoch["train_batch_count"] = len(epoch["batches"])
        epoch["learning_rate"] = optimizer.param_groups[0]["lr"]
        record_terms(epoch, epoch["batches"], "train", net.criterion_)
        net.notify("on_epoch_end", dataset_train=own, dataset_valid=None)


def _step(module: nn.Module, objective: Any, optimizer: torch.optim.Optimizer, batches: Sequence[Batch]) -> list[float]:
    """Take one step for all nets, and return the loss of each."""
    rows, target = (Rows.concatenate([getattr(batch, name) for batch in batches]) for name in ("rows", "target"))
    weights = [batch.weight for batch in batches if batch.weight is not None]
    terms = objective.terms(module(*rows), target, torch.cat(weights) if weights else None)
    optimizer.zero_grad()
    losses = terms["reconstruction"].view(len(batches), -1).mean(1)
    losses.sum().backward()  # each net has the gradient of its own loss
    optimizer.step()
    return losses.tolist()
