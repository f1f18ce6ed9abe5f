"""What training changes: taken before a run, and put back where it fails."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

__all__ = ["TrainingState", "all_finite", "clone_tensors", "drop_unfinished_epoch", "load_tensors", "tensors_of"]


def clone_tensors(modules: Sequence[nn.Module]) -> list[torch.Tensor]:
    """Return copies of all parameters and buffers."""
    with torch.no_grad():
        return [value.clone() for value in tensors_of(modules)]


def load_tensors(modules: Sequence[nn.Module], saved: Sequence[torch.Tensor]) -> None:
    """Put such copies back."""
    with torch.no_grad():
        for value, old in zip(tensors_of(modules), saved, strict=True):
            value.copy_(old)


def tensors_of(modules: Sequence[nn.Module]) -> list[torch.Tensor]:
    """Return all parameters and buffers."""
    return [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]


def all_finite(modules: Sequence[nn.Module]) -> bool:
    """Return whether all parameters are finite."""
    return all(bool(p.isfinite().all()) for module in modules for p in module.parameters())


def drop_unfinished_epoch(net: Any, *, validates: bool) -> None:
    """Take an epoch that was broken off out of the history."""
    history = net.history.to_list()
    if history and ("train_loss" not in history[-1] or (validates and "valid_loss" not in history[-1])):
        del net.history[-1]


class TrainingState:
    """Weights, optimizers, generators, history and monitor of a net as they are now.

    Parameters
    ----------
    net : AutoencoderNet
    """

    def __init__(self, net: Any):
        self.tensors = clone_tensors(net.learners)
        self.optimizers = [copy.deepcopy(optimizer.state_dict()) for optimizer in net.optimizers]
        self.noise, self.shuffle = net.noise_.get_state(), net.shuffle_.get_state()
        self.n_epochs = len(net.history)
        self.monitor: dict[str, Any] = dict(vars(net.monitor))

    def restore(self, net: Any) -> None:
        """Make the net what it was."""
        load_tensors(net.learners, self.tensors)
        for optimizer, saved in zip(net.optimizers, self.optimizers, strict=True):
            optimizer.load_state_dict(saved)
        net.noise_.set_state(self.noise)
        net.shuffle_.set_state(self.shuffle)
        del net.history[self.n_epochs :]
        net.monitor.__dict__.update(self.monitor)
