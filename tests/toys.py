"""Estimators that fit in milliseconds, and what the tests of the contracts ask of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from support import QUICK, make_table

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._imputation import conditional_vae as _conditional
from sklae._outliers import defaults

X = make_table(41, 4)
X.setflags(write=False)


def ae(**params: Any) -> AutoencoderTransformer:
    return AutoencoderTransformer(**_settings(params))


def vae(**params: Any) -> VAETransformer:
    return VAETransformer(**_settings(params))


def detector(**params: Any) -> AEOutlierDetector:
    """Return a detector around one autoencoder of these parameters, that goes by its residuals alone."""
    return AEOutlierDetector(ae(**params), anomaly_score="reconstruction", cv=None)


def _settings(params: dict[str, Any]) -> dict[str, Any]:
    defaults = {**QUICK, "batch_size": 8, "max_iter": 3}
    if "network" in params:
        del defaults["hidden_layer_sizes"]
    return {**defaults, **params}


def hurry(monkeypatch: Any) -> None:
    """Let the default imputer, and the default detector, train for milliseconds."""
    few = {"_MOST_STEPS": 20, "_LEAST_STEPS": 10, "_BATCH_SIZE": 32, "_MOST_COPIES": 3, "_N_DRAWS": 8}
    for name, value in few.items():
        monkeypatch.setattr(_conditional, name, value)
    monkeypatch.setattr(defaults, "_N_STEPS", 10)


#: Name -> function of an autoencoder's parameters.
MAKERS = {"AutoencoderTransformer": ae, "VAETransformer": vae, "AEOutlierDetector": detector}


# Bytes by which pickles of equal estimators may differ: numbers spelt out vary in length.
SLACK = 100


def epochs(estimator: Any, n: int, table: Any = X) -> Any:
    """Train for n epochs, one call each."""
    for _ in range(n):
        estimator.partial_fit(table)
    return estimator


def with_gaps(table: np.ndarray, share: float = 0.1, seed: int = 1) -> np.ndarray:
    """Return a copy with values missing, none of them in the first two rows."""
    holes = np.random.RandomState(seed).uniform(size=table.shape) < share
    holes[:2] = False
    return np.where(holes, np.nan, table)


def inner(estimator: Any) -> Any:
    """Return the fitted autoencoder: the estimator itself, or what it wraps."""
    return getattr(estimator, "autoencoder_", estimator)


def outputs(estimator: Any, table: Any) -> dict[str, np.ndarray]:
    """Return what every verb that takes rows says about them."""
    verbs = ("transform", "reconstruct", "score_samples", "decision_function", "predict")
    return {verb: np.asarray(getattr(estimator, verb)(table)) for verb in verbs if hasattr(estimator, verb)}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two dicts of arrays hold the same bits."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)


def fingerprint(estimator: Any, table: Any = X) -> dict[str, np.ndarray]:
    """Return everything that must be the same for two fits to be the same, as arrays."""
    net = inner(estimator).net_
    weights = {name: value.numpy().copy() for name, value in net.module_.state_dict().items()}
    history = {
        key: np.asarray(net.history[:, key]) for key in net.history[-1] if key not in ("batches", "dur", "event_lr")
    }
    batches = [b["train_loss"] for row in net.history for b in row["batches"] if "train_loss" in b]
    return {**weights, **history, "batches": np.asarray(batches), **outputs(estimator, table)}


class Spy(Callback):
    """Calls ``function(net)`` after every training batch.

    Estimators copy their callbacks; a copy of a spy is the spy itself, so that it can report to its test.
    """

    def __init__(self, function: Callable[[Any], None]):
        self.function = function

    def __deepcopy__(self, memo: Any) -> Spy:
        return self

    def on_batch_end(self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        if training:
            self.function(net)


def raise_at(epoch: int, error: type[BaseException]) -> Spy:
    """Return a callback that raises in the second batch of an epoch (the first is number 1)."""

    def strike(net: Any) -> None:
        if len(net.history) == epoch and len(net.history[-1, "batches"]) == 2:
            raise error("struck")

    return Spy(strike)


@contextmanager
def noise() -> Iterator[None]:
    """Run a thread that draws from the global generators, seeds them, and leaves NaN in the memory it frees."""
    stop = threading.Event()

    def draw() -> None:
        round_ = 0
        while not stop.is_set():
            round_ += 1
            np.random.seed(round_)
            np.random.uniform(size=10)
            torch.manual_seed(round_)
            torch.nn.functional.dropout(torch.rand(10))
            for size in (8, 64, 512, 4096):
                torch.full((size,), torch.nan)
                np.full(size, np.nan)

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
