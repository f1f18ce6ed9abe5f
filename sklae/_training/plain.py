"""Nets without tensors: arrays in their places, so that equal nets have equal pickles and hashes."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

__all__ = ["plain", "with_tensors"]

# The key of the arrays in a plain state; and in the memory of `copy.deepcopy`, where slots become tensors again.
_ARRAYS = "arrays of tensors"


class _Slot(NamedTuple):
    """Where a tensor was: a pickled one holds memory addresses, and dictionaries by tensors can't be hashed."""

    number: int

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        return memo[_ARRAYS][self.number] if _ARRAYS in memo else self


class _Array(NamedTuple):
    """A tensor's values, and what it is."""

    values: np.ndarray
    is_parameter: bool
    requires_grad: bool

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Array:
        values = np.asarray(tensor.detach().numpy(), order="C")
        return cls(values, isinstance(tensor, nn.Parameter), tensor.requires_grad)

    def tensor(self) -> torch.Tensor:
        values = torch.from_numpy(self.values.copy())
        return nn.Parameter(values, self.requires_grad) if self.is_parameter else values


class _Optimizer(NamedTuple):
    """An optimizer's class and state: some read their tensors when they are given a state.

    What it remembers of each tensor is in pairs with its slot: keys of files are text.
    """

    kind: Any
    state: dict[str, Any]
    remembered: list[tuple[_Slot, dict[str, Any]]]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, memo: dict[Any, Any]) -> _Optimizer:
        state = copy.deepcopy(optimizer.__getstate__(), memo)
        return cls(type(optimizer), state, list(state.pop("state").items()))

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        state, remembered = copy.deepcopy((self.state, self.remembered), memo)
        if _ARRAYS not in memo:
            return _Optimizer(self.kind, state, remembered)
        optimizer = self.kind.__new__(self.kind)
        optimizer.__setstate__({**state, "state": defaultdict(dict, remembered)})
        return optimizer


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a net on the CPU with slots for tensors of modules and optimizers, and these as arrays."""
    optimizers = [
        each for each in (state.get("optimizer_"), *state.get("opponent_optimizers_", ())) if each is not None
    ]
    found = (tensor for tensor in _tensors(state, optimizers) if _can_be_array(tensor))
    tensors = list({id(tensor): tensor for tensor in found}.values())
    memo: dict[Any, Any] = {id(tensor): _Slot(i) for i, tensor in enumerate(tensors)}
    for optimizer in optimizers:
        memo[id(optimizer)] = _Optimizer.of(optimizer, memo)
    return {**copy.deepcopy(state, memo), _ARRAYS: [_Array.of(tensor) for tensor in tensors]}


def with_tensors(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the net that was made plain."""
    state = dict(state)
    arrays = state.pop(_ARRAYS, None)
    if arrays is None:  # of another device
        return state
    memo: dict[Any, Any] = {_ARRAYS: [array.tensor() for array in arrays]}
    return copy.deepcopy(state, memo)


def _can_be_array(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16 and tensor.layout == torch.strided


def _tensors(state: dict[str, Any], optimizers: list[torch.optim.Optimizer]) -> Iterator[torch.Tensor]:
    for module in (each for each in state.values() if isinstance(each, nn.Module)):
        yield from module.parameters()
        yield from module.buffers()
    for optimizer in optimizers:
        yield from _tensors_in([optimizer.param_groups, *optimizer.state.values()])


def _tensors_in(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors_in(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors_in(value)
