"""Objects as values of JSON, and arrays beside them.

A value is null, true, a number, text, or a list that begins with a tag. What may be met twice is a *node*: it stands in
a list of nodes, and ``["node", 3]`` where it is used, so that it is one object again.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import math
from collections import OrderedDict, defaultdict
from inspect import isclass, isfunction
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from sklae._saving.known import Known, name_of
from sklae._tables.schema import plain_timestamp
from sklae._utils.persistent import OF_CALLBACKS

__all__ = ["BUILTINS", "Encoder"]

#: What is found by its name: factories of mappings, and where callbacks print to.
BUILTINS: dict[str, Any] = {name_of(each): each for each in (list, dict, set, tuple, int, float, str, bool, print)}
# What their objects hold is no attribute.
_CONTAINERS = (list, tuple, dict, set, frozenset, str, bytes, int, float)
_MAPPINGS: dict[type, str] = {dict: "dict", OrderedDict: "ordered"}
_ARRAY_KINDS = "biuf"
_MODULE = nn.Module().__dict__


class Encoder:
    """Turns objects into values; collects the nodes and arrays that these refer to.

    Parameters
    ----------
    keeps_optimizer : bool
        Whether nets keep what only further training needs.

    Attributes
    ----------
    nodes : list
    arrays : list of ndarray
    own : set of str
        Names of the user's own classes and functions: they are not in the file.
    """

    def __init__(self, *, keeps_optimizer: bool = False):
        self.keeps_optimizer = keeps_optimizer
        self.nodes: list[Any] = []
        self.arrays: list[np.ndarray] = []
        self.own: set[str] = set()
        self._known = Known()
        self._places: dict[int, int] = {}
        self._alive: list[Any] = []  # ids are of living objects only

    def encode(self, value: Any, path: str = "") -> Any:
        """Return a value for an object.

        Raises
        ------
        ValueError
            If there is none; it says where the object is.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        plain = self._as_plain(value)
        return plain if plain is not None else self._node(value, path)

    def _as_plain(self, value: Any) -> Any:
        """Return what has no identity of its own, None for all else."""
        if isinstance(value, np.generic) and value.dtype.kind in _ARRAY_KINDS + "mM":
            return ["scalar", value.dtype.str, value.tobytes().hex()]
        if isinstance(value, np.dtype) and not value.hasobject and value.names is None:
            return ["dtype", value.str]
        if isinstance(value, torch.dtype):
            return ["torch dtype", str(value).removeprefix("torch.")]
        if type(value) is complex:
            return ["complex", value.real.hex(), value.imag.hex()]
        if type(value) is bytes:
            return ["bytes", value.hex()]
        if type(value) is decimal.Decimal:
            return ["decimal", str(value)]
        if type(value) is slice and all(
            each is None or type(each) is int for each in (value.start, value.stop, value.step)
        ):
            return ["slice", value.start, value.stop, value.step]
        for kind in (datetime.datetime, datetime.date, datetime.time):
            if type(value) is kind and getattr(value, "tzinfo", None) is None:
                return [kind.__name__, value.isoformat()]
        timestamp = plain_timestamp(value)
        if timestamp is not None:
            return ["timestamp", *timestamp]
        if type(value) is datetime.timedelta:
            return ["timedelta", value.days, value.seconds, value.microseconds]
        return None

    def _node(self, value: Any, path: str) -> list[Any]:
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self.nodes)
            self.nodes.append(None)
            self._alive.append(value)
            self.nodes[place] = self._content(value, path)
        return ["node", place]

    def _content(self, value: Any, path: str) -> list[Any]:
        kind = type(value)
        if kind in (list, tuple):
            return [kind.__name__, [self.encode(each, f"{path}[{i}]") for i, each in enumerate(value)]]
        if kind in (set, frozenset):
            return [kind.__name__, sorted((self.encode(each, path) for each in value), key=repr)]
        if kind in _MAPPINGS:
            return [_MAPPINGS[kind], self._pairs(value, path)]
        if kind is defaultdict:
            return ["default", self.encode(value.default_factory, path), self._pairs(value, path)]
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        if isinstance(value, torch.Tensor):
            array = ["parameter" if isinstance(value, nn.Parameter) else "tensor", value.requires_grad]
            return [*array, self._array(value.detach().cpu().numpy(), path)]
        if isinstance(value, torch.Generator):
            return ["generator", value.device.type, self._array(value.get_state().numpy(), path)]
        if kind is np.random.RandomState:
            return ["random state", self.encode(value.get_state(legacy=False), path)]
        if isclass(value) or isfunction(value) or isinstance(value, np.ufunc) or value is print:
            return ["name", self._name(value, path)]
        if kind is functools.partial:
            return ["partial", *(self.encode(each, path) for each in (value.func, list(value.args), value.keywords))]
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return ["named", self._name(kind, path), [self.encode(each, path) for each in value]]
        return ["object", self._name(kind, path), self.encode(self._state(value, path), path)]

    def _pairs(self, value: Any, path: str) -> list[Any]:
        return [[self.encode(key, path), self.encode(each, f"{path}[{key!r}]")] for key, each in value.items()]

    def _array(self, array: np.ndarray, path: str) -> list[Any]:
        if type(array) is np.ma.MaskedArray:
            parts = np.asarray(array.data), np.ma.getmaskarray(array)
            return ["masked", *(self._array(each, path) for each in parts), self.encode(array.fill_value, path)]
        if type(array) is not np.ndarray:
            raise self._refusal(array, path)
        if array.dtype.kind in _ARRAY_KINDS and array.dtype.isnative:
            order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
            self.arrays.append(np.ascontiguousarray(array.T if order == "F" else array).reshape(-1))
            return ["array", len(self.arrays) - 1, list(array.shape), order]
        if array.dtype.kind in "mM":
            return ["times", array.dtype.str, self._array(array.view(np.int64), path)]
        if array.dtype.kind in "OU":
            cells = [self.encode(each, path) for each in array.ravel().tolist()]
            return ["cells", array.dtype.kind, list(array.shape), cells]
        raise self._refusal(array.dtype, path)

    def _name(self, thing: Any, path: str) -> str:
        name = name_of(thing)
        if BUILTINS.get(name) is thing:
            return name
        if not self._known.is_known(thing):
            if "<" in name:  # of a function's locals, or a lambda
                raise self._refusal(thing, path)
            self.own.add(name)
        return name

    def _refusal(self, thing: Any, path: str) -> ValueError:
        shown = name_of(thing) if isclass(thing) or isfunction(thing) else type(thing).__name__
        return ValueError(
            f"Got {shown} in {path.lstrip('.') or 'the estimator'}, which has no place in a file of plain "
            "values; expected classes and functions that can be imported by name, numbers, text and arrays of these. "
            "Define it at the top of a module, or use pickle for files that you trust."
        )

    def _state(self, value: Any, path: str) -> Any:
        if hasattr(value, "saved_state"):
            return value.saved_state(keeps_optimizer=self.keeps_optimizer)
        if isinstance(value, nn.Module):
            return {
                key: each
                for key, each in vars(value).items()
                if key not in _MODULE
                or not (each == _MODULE[key] if isinstance(each, (dict, set, bool)) else each is None)
            }
        if isinstance(value, BaseEstimator):
            state = BaseEstimator.__getstate__(value)
            return {key: each for key, each in state.items() if key not in OF_CALLBACKS}
        if not _is_plain_class(type(value)):
            raise self._refusal(value, path)
        state = value.__getstate__()
        if isinstance(state, tuple):  # of a class with slots
            raise self._refusal(value, path)
        return state


def _is_plain_class(kind: type) -> bool:
    """Return whether objects of a class are no more than their attributes."""
    if issubclass(kind, _CONTAINERS):
        return False
    reduces = (
        (cls, name) for cls in kind.__mro__[:-1] for name in ("__reduce__", "__reduce_ex__") if name in vars(cls)
    )
    return next(reduces, None) is None
