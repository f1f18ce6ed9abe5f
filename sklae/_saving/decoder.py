"""Objects made of values of JSON and arrays, as `encoder` writes them."""

from __future__ import annotations

import datetime
import decimal
import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import partial
from inspect import isclass
from typing import Any

import numpy as np
import torch
from torch import nn

from sklae._saving.encoder import BUILTINS
from sklae._saving.known import Known
from sklae._tables.schema import timestamp_of_plain

__all__ = ["Decoder"]

# Nested deeper than any estimator is.
_DEEPEST = 200


class Decoder:
    """Makes objects of values.

    Parameters
    ----------
    nodes : list
    arrays : list of ndarray
    known : Known
    """

    def __init__(self, nodes: list[Any], arrays: list[np.ndarray], known: Known):
        self._nodes = nodes
        self._arrays = arrays
        self._known = known
        self._made: dict[int, Any] = {}
        self._begun: set[int] = set()
        self._depth = 0

    def decode(self, value: Any) -> Any:
        """Return the object of a value.

        Raises
        ------
        ValueError
            If it is none, or names what is not known.
        """
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is not list or not value or type(value[0]) is not str:
            raise ValueError("a value of no kind")
        tag, *rest = value
        if tag == "node":
            return self._node(*rest)
        return _made_by(_PLAIN, tag)(*rest)

    def decode_all(self, values: list[Any]) -> list[Any]:
        """Return the objects of several values."""
        return [self.decode(each) for each in values]

    def _node(self, place: Any) -> Any:
        if type(place) is not int or not 0 <= place < len(self._nodes):
            raise ValueError("a node that is not there")
        if place in self._made:
            return self._made[place]
        self._depth += 1
        if place in self._begun or self._depth > _DEEPEST:
            raise ValueError("nodes without end")
        self._begun.add(place)
        tag, *rest = self._nodes[place]
        made = _made_by(_NODES, tag)(self, partial(self._made.__setitem__, place), *rest)
        self._made[place] = made
        self._depth -= 1
        return made

    def array(self, tag: str, *rest: Any) -> np.ndarray:
        """Return an array."""
        if tag == "times":
            dtype, array = rest
            return self.array(*array).view(np.dtype(dtype))
        if tag == "masked":
            values, mask, fill_value = rest
            return np.ma.MaskedArray(self.array(*values), mask=self.array(*mask), fill_value=self.decode(fill_value))
        if tag == "cells":
            kind, shape, cells = rest
            if kind == "U":
                return np.array(self.decode_all(cells), dtype=np.str_).reshape(shape)
            made = np.empty(len(cells), dtype=object)
            made[:] = self.decode_all(cells)
            return made.reshape(shape)
        number, shape, order = rest
        array = self._arrays[number]
        return array.reshape(shape[::-1]).T if order == "F" else array.reshape(shape)

    def find(self, name: Any) -> Any:
        """Return a known class or function."""
        found = self._known.find(name) if type(name) is str else None
        if found is None:
            raise ValueError(
                f"{name!r}, which is not known here (if you trust it, pass it on: load(path, trusted=[...]))"
            )
        return found


def _made_by(table: dict[str, Callable], tag: Any) -> Callable:
    make = table.get(tag) if type(tag) is str else None
    if make is None:
        raise ValueError(f"a value of kind {str(tag)[:40]!r}")
    return make


# -- what has no identity ---------------------------------------------------------------------------------


def _torch_dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"a dtype {name!r}, which is none of PyTorch's")
    return found


def _scalar(dtype: str, content: str) -> Any:
    return np.frombuffer(bytes.fromhex(content), dtype=np.dtype(dtype))[0]


_PLAIN: dict[str, Callable] = {
    "float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
    "scalar": _scalar,
    "dtype": np.dtype,
    "torch dtype": _torch_dtype,
    "complex": lambda real, imag: complex(float.fromhex(real), float.fromhex(imag)),
    "bytes": bytes.fromhex,
    "decimal": decimal.Decimal,
    "slice": slice,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": datetime.timedelta,
    "timestamp": timestamp_of_plain,
}


# -- nodes: functions of the decoder, of a function that lets others refer to what is not whole yet, and of the content


def _list(decoder: Decoder, keep: Callable, values: list[Any]) -> list[Any]:
    made: list[Any] = []
    keep(made)
    made.extend(decoder.decode_all(values))
    return made


def _filled(made: Any, decoder: Decoder, keep: Callable, pairs: list[Any]) -> Any:
    keep(made)
    for key, each in pairs:
        made[decoder.decode(key)] = decoder.decode(each)
    return made


def _array(tag: str, decoder: Decoder, keep: Callable, *rest: Any) -> np.ndarray:
    return decoder.array(tag, *rest)


def _tensor(decoder: Decoder, keep: Callable, requires_grad: bool, array: list[Any]) -> torch.Tensor:
    return torch.from_numpy(decoder.array(*array)).requires_grad_(requires_grad)


def _parameter(decoder: Decoder, keep: Callable, requires_grad: bool, array: list[Any]) -> torch.Tensor:
    return nn.Parameter(torch.from_numpy(decoder.array(*array)), requires_grad)


def _generator(decoder: Decoder, keep: Callable, device: str, array: list[Any]) -> torch.Generator:
    made = torch.Generator(device if device == "cpu" or torch.cuda.is_available() else "cpu")
    if made.device.type == device:
        made.set_state(torch.from_numpy(decoder.array(*array)))
    return made


def _random_state(decoder: Decoder, keep: Callable, state: Any) -> np.random.RandomState:
    made = np.random.RandomState(0)
    made.set_state(decoder.decode(state))
    return made


def _partial(decoder: Decoder, keep: Callable, function: Any, args: Any, keywords: Any) -> Any:
    return partial(decoder.decode(function), *decoder.decode(args), **decoder.decode(keywords))


def _named_tuple(decoder: Decoder, keep: Callable, name: str, values: list[Any]) -> Any:
    kind = decoder.find(name)
    if not (isclass(kind) and issubclass(kind, tuple) and len(values) == len(kind._fields)):  # type: ignore[attr-defined]
        raise ValueError(f"values of {name!r}, which is no named tuple of so many")
    return tuple.__new__(kind, decoder.decode_all(values))


def _object(decoder: Decoder, keep: Callable, name: str, state: Any) -> Any:
    kind = decoder.find(name)
    if not isclass(kind):
        raise ValueError(f"an object of {name!r}, which is no class")
    made = kind.__new__(kind)
    keep(made)
    if isinstance(made, nn.Module):
        nn.Module.__init__(made)
        vars(made).update(decoder.decode(state))
    elif hasattr(made, "load_saved_state"):
        made.load_saved_state(decoder.decode(state))
    elif hasattr(made, "__setstate__"):
        made.__setstate__(decoder.decode(state))
    elif state is not None:
        vars(made).update(decoder.decode(state))
    return made


_NODES: dict[str, Callable] = {
    "list": _list,
    "tuple": lambda decoder, keep, values: tuple(decoder.decode_all(values)),
    "set": lambda decoder, keep, values: set(decoder.decode_all(values)),
    "frozenset": lambda decoder, keep, values: frozenset(decoder.decode_all(values)),
    "dict": lambda *rest: _filled({}, *rest),
    "ordered": lambda *rest: _filled(OrderedDict(), *rest),
    "default": lambda decoder, keep, kind, pairs: _filled(defaultdict(decoder.decode(kind)), decoder, keep, pairs),
    "array": partial(_array, "array"),
    "times": partial(_array, "times"),
    "cells": partial(_array, "cells"),
    "masked": partial(_array, "masked"),
    "tensor": _tensor,
    "parameter": _parameter,
    "generator": _generator,
    "random state": _random_state,
    "name": lambda decoder, keep, name: BUILTINS.get(name) or decoder.find(name),
    "partial": _partial,
    "named": _named_tuple,
    "object": _object,
}
