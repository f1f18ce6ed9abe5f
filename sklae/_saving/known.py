"""Which classes and functions a file may name: those that only hold, or compute with, what is in the file."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterable, Sequence
from importlib import import_module
from inspect import getmembers, isclass, isfunction
from typing import Any

import numpy as np
import torch
from sklearn import metrics
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from torch import nn

__all__ = ["Known", "name_of", "trusted_types"]

# Of sklae itself: no command line, no reports, nothing that writes.
_WINGS = (
    "_autoencoders", "_codes", "_imputation", "_linear", "_model", "_outliers", "_tables", "_training", "compression",
    "corruptions", "critics", "divergences", "likelihoods", "networks", "penalties", "posteriors", "priors",
    "schedules",
)  # fmt: skip
# skorch's that hold a net's settings and history, its callbacks that only look at these, and what sets an optimizer's.
_OF_SKORCH = (
    "skorch.callbacks.logging:EpochTimer",
    "skorch.callbacks.logging:PrintLog",
    "skorch.callbacks.lr_scheduler:LRScheduler",
    "skorch.callbacks.lr_scheduler:WarmRestartLR",
    "skorch.callbacks.regularization:GradientNormClipping",
    "skorch.callbacks.scoring:BatchScoring",
    "skorch.callbacks.scoring:EpochScoring",
    "skorch.callbacks.scoring:PassthroughScoring",
    "skorch.callbacks.training:EarlyStopping",
    "skorch.dataset:Dataset",
    "skorch.history:History",
    "skorch.setter:optimizer_setter",
    "skorch.utils:to_numpy",
)
# Modules whose classes of a kind are known.
_OF_TORCH = (
    (nn, nn.Module),
    (torch.optim, torch.optim.Optimizer),
    (torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler),
)
# What pipelines and searches are made of.
_OF_SKLEARN = (BaseEstimator, BaseCrossValidator, BaseShuffleSplit)
# What flows are made of.
_OF_ZUKO = (nn.Module, torch.distributions.Transform, torch.distributions.Distribution)


def name_of(thing: Any) -> str:
    """Return the name by which a file knows a class or function."""
    return f"{thing.__module__}:{thing.__qualname__}"


class Known:
    """Finds classes and functions by their names, and nothing that is not known.

    Parameters
    ----------
    trusted : sequence of classes and functions
        The user's own.
    """

    def __init__(self, trusted: Sequence[Any] = ()):
        self._trusted = {name_of(each): each for each in trusted}

    def is_known(self, thing: Any) -> bool:
        """Return whether a class or function is found by its name without being trusted."""
        return self.find(name_of(thing)) is thing

    def find(self, name: str) -> Any:
        """Return the class or function of that name, or None where it is not known."""
        if name in self._trusted:
            return self._trusted[name]
        module, _, path = name.partition(":")
        own = _own()
        if name in own:
            return own[name]
        if not path.isidentifier():
            return None
        if name in _OF_SKORCH or name.startswith("skorch.utils:_indexing_"):
            return getattr(import_module(module), path, None)
        for library, base in _OF_TORCH:
            found = getattr(library, path, None)
            if isclass(found) and issubclass(found, base) and name_of(found) == name:
                return found
        if module.startswith("zuko."):
            return _subclass_in(module, path, _OF_ZUKO)
        if module.startswith("sklearn.metrics."):
            return _of_metrics(name, module, path)
        if module.startswith("sklearn."):
            return _subclass_in(module, path, _OF_SKLEARN)
        found = getattr(np, path, None)
        is_number = isclass(found) and issubclass(found, np.generic)
        return found if module == "numpy" and (is_number or isinstance(found, np.ufunc)) else None


def _subclass_in(module: str, path: str, base: type | tuple[type, ...]) -> Any:
    """Return a class of a library that is of a kind. Only modules of an installed library are imported."""
    if not all(part.isidentifier() for part in module.split(".")) or ".tests" in module:
        return None
    try:
        found = getattr(import_module(module), path, None)
    except ImportError:
        return None
    return found if isclass(found) and issubclass(found, base) and found.__module__ == module else None


def _of_metrics(name: str, module: str, path: str) -> Any:
    """Return one of scikit-learn's metrics, or what a search makes a scorer of them."""
    if module == "sklearn.metrics._scorer":
        return _subclass_in(module, path, object) if path.endswith("Scorer") else None
    found = getattr(metrics, path, None)
    return found if callable(found) and name_of(found) == name else None


@functools.cache
def _own() -> dict[str, Any]:
    """Return sklae's own classes, and the functions that its parts are told by, by name."""
    found = {}
    for module in _modules():
        for _, each in getmembers(module, lambda each: isclass(each) or isfunction(each)):
            # of functions schedules only: others may do more than compute
            if each.__module__ == module.__name__ and (isclass(each) or module.__name__ == "sklae.schedules"):
                found[name_of(each)] = each
    return found


def _modules() -> Iterable[Any]:
    for wing in _WINGS:
        module = import_module(f"sklae.{wing}")
        yield module
        for part in pkgutil.iter_modules(getattr(module, "__path__", ())):
            yield import_module(f"sklae.{wing}.{part.name}")


def trusted_types() -> list[str]:
    """Return the names of the types in fitted estimators of sklae, for ``skops.io.load(file, trusted=...)``.

    Returns
    -------
    names : list of str
        Of classes and functions of sklae, and of those of torch, zuko and skorch that its nets are made of. None of
        them runs code that is in the file.

    See Also
    --------
    load : Reads sklae's own files, which need no such list.

    Examples
    --------
    >>> import sklae
    >>> "sklae._autoencoders.vae.VAETransformer" in sklae.trusted_types()
    True
    """
    of_torch = [
        each for library, base in _OF_TORCH for _, each in getmembers(library, isclass) if issubclass(each, base)
    ]
    import zuko

    of_zuko = [
        each
        for info in pkgutil.iter_modules(zuko.__path__, "zuko.")
        for _, each in getmembers(import_module(info.name), isclass)
        if issubclass(each, _OF_ZUKO)
    ]
    names = [name_of(each) for each in (*_own().values(), *of_torch, *of_zuko, functools.partial, np.dtype)]
    return sorted({name.replace(":", ".") for name in (*names, *_OF_SKORCH)})
