"""What estimators refuse before any work: each error says got, expected, remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae._tables.layout import Rows
from sklae._training.callbacks import Callback, scores_validation_rows
from sklae._training.optimizers import SOLVERS
from sklae.likelihoods import Support

__all__ = [
    "check_callbacks",
    "check_count",
    "check_device",
    "check_factory",
    "check_iterators",
    "check_module",
    "check_monitors",
    "check_prior",
    "check_sample_from",
    "check_support",
    "check_trainable",
    "explain_construction",
    "explain_memory",
]


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no integer from ``least`` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"Got {name}={value!r}; expected an integer at or above {least}.")


def check_factory(factory: Any, role: str) -> Any:
    """Refuse a module in place of a factory of modules."""
    if isinstance(factory, nn.Module):
        raise ValueError(
            f"Got {role}= an nn.Module; expected a factory, so that every fit starts from fresh weights. Pass a "
            f"function or class that is called as {role}(n_inputs, n_outputs) and returns the module."
        )
    return factory


def check_callbacks(callbacks: Sequence[Any] | None) -> None:
    """Refuse what is no skorch callback."""
    for item in callbacks or ():
        callback = item[1] if isinstance(item, (tuple, list)) and len(item) == 2 else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                f"Got callbacks with {item!r}; expected skorch callbacks, or (name, callback) pairs. Derive "
                "your own from skorch.callbacks.Callback. Those of scikit-learn go to `set_callbacks`."
            )


def check_monitors(callbacks: Sequence[Any], *, validates: bool) -> None:
    """Refuse callbacks that watch validation rows where there are none."""
    for item in () if validates else callbacks:
        callback = item[1] if isinstance(item, (tuple, list)) else item
        monitor, name = getattr(callback, "monitor", None), type(callback).__name__
        if scores_validation_rows(callback):
            raise ValueError(
                f"Got callbacks with {name} of validation rows, and none; expected some: hold rows out by "
                "early_stopping=True, or pass fit(X, X_val=...). Or score the rows to train on: on_train=True."
            )
        if isinstance(callback, type) and "monitor" in signature(callback).parameters:
            monitor, name = signature(callback).parameters["monitor"].default, callback.__name__
        if isinstance(monitor, str) and monitor.startswith("valid_"):
            raise ValueError(
                f"Got callbacks with {name}(monitor={monitor!r}) and no rows to validate on; expected some: hold rows "
                "out by early_stopping=True, or pass fit(X, X_val=...). Or watch the rows to train on: "
                f"monitor={monitor.replace('valid_', 'train_', 1)!r}."
            )


def check_device(device: str) -> str:
    """Return the device to use; "auto" is the best at hand."""
    usable = ["cpu"]
    if torch.backends.mps.is_available():
        usable.insert(0, "mps")
    if torch.cuda.is_available():
        usable.insert(0, "cuda")
    if device == "auto":
        return usable[0]
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"Got device={device!r}, which can't be used here; expected 'auto' or one of {usable}. Pass "
            "device='auto' to take the best one."
        ) from error
    return device


def check_iterators(net_params: dict[str, Any] | None) -> None:
    """Refuse batches of the user's own making, which know of no weights."""
    own = sorted({"iterator_train", "iterator_valid"} & set(net_params or ()))
    if own:
        raise ValueError(
            f"Got sample_weight with net_params of {own}, whose batches have no weights; expected sklae's own batches. "
            "Leave one of the two out."
        )


def check_prior(prior: Any, divergence: Any) -> Any:
    """Return the prior; refuse one that can't be, or one without a density where the divergence asks for one."""
    prior.check()
    if divergence.needs_density and not prior.has_density:
        raise ValueError(
            f"Got prior={prior!r}, which has no density, with divergence={divergence!r}, which asks for one; expected "
            "divergence='adversarial' or 'mmd', which go by draws."
        )
    return prior


def check_sample_from(sample_from: Any) -> None:
    """Refuse a class in place of an estimator."""
    if isinstance(sample_from, type):
        raise ValueError(
            f"Got sample_from={sample_from.__name__}, a class; expected an instance, {sample_from.__name__}(...)."
        )


def check_support(rows: Rows, supports: list[tuple[Support, np.ndarray]]) -> None:
    """Refuse encoded values on which the likelihood of their columns is not defined."""
    for support, columns in supports:
        if support.is_bounded:
            values = rows.x[:, columns]
            support.check(values if rows.observed is None else values[rows.observed[:, columns] > 0])


def check_module(module: Autoencoder, objective: Objective, *, solver: str, batch_size: int) -> None:
    """Refuse modules that the solver or the batch size does not suit."""
    if SOLVERS[solver].full_batch and objective.remembers:
        raise ValueError(
            f"Got solver={solver!r} with a penalty that remembers earlier batches; its line search expects a loss that "
            "is the same whenever it is evaluated with the same weights. Use solver='adam', or penalty='l1'; of TopK "
            "and BatchTopK it is the term for units out of use that remembers, which weight=0 leaves out."
        )
    if SOLVERS[solver].full_batch and not (module.is_deterministic and objective.is_deterministic):
        raise ValueError(
            f"Got solver={solver!r} for a model that draws noise in training; its line search expects a loss that is a "
            "function of the weights alone. Use solver='adam', or leave out corruption, dropout, priors and penalties "
            "that draw; of a module of your own that draws nothing, say so by draws = False in its class."
        )
    if batch_size == 1 and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules()):
        raise ValueError(
            "Got batches of one row with batch normalization; expected at least 2, or it has nothing to average. Raise "
            "batch_size, pass more rows, or use normalization='layer'."
        )


def check_trainable(net: Any) -> None:
    """Refuse a net that has lost what it was trained with."""
    if getattr(net, "_trimmed_for_prediction", False):
        raise ValueError(
            "Got a net_ that was trimmed for prediction, without its optimizer and its history; expected a whole one "
            "to go on with. Fit anew, with warm_start=False, or trim a copy of the fitted estimator."
        )


@contextmanager
def explain_memory(estimator: Any, net: Any) -> Iterator[None]:
    """Turn what an allocator says in training into an error that names the parameters at fault."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_about_memory(error):
            raise
        n_parameters = sum(part.numel() for each in net.learners for part in each.parameters())
        raise MemoryError(
            f"Got {_sizes(estimator)}: a model of {n_parameters:,} parameters, for which the memory does not "
            "suffice; expected one that can be trained in it. Lower the sizes, or batch_size."
        ) from error


def _is_about_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(word in str(error) for word in ("alloc", "out of memory"))


def _sizes(estimator: Any) -> str:
    """Return the parameters that say how large a model is."""
    network = "" if estimator.network is None else f" with network={estimator.network!r}"
    return f"n_components={estimator.n_components} and hidden_layer_sizes={estimator.hidden_layer_sizes}{network}"


@contextmanager
def explain_construction(estimator: Any) -> Iterator[None]:
    """Turn the raw errors of building a net into ones that name the parameters at fault."""
    try:
        yield
    except (RuntimeError, OverflowError, MemoryError) as error:
        reason = "" if _is_about_memory(error) else f" ({error})"
        raise ValueError(
            f"Got {_sizes(estimator)}, for which no network can be built{reason}; expected sizes that fit in memory. "
            "Lower them."
        ) from error
    except (TypeError, ValueError) as error:
        if not estimator.net_params:
            raise
        raise ValueError(
            f"Got net_params={estimator.net_params} ({error}); expected arguments of skorch.NeuralNet, or of its parts "
            "as in 'optimizer__amsgrad'. Check their names."
        ) from error
