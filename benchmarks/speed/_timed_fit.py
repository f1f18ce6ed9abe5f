"""A fit with a given number of torch threads, timed: a module of its own, so that worker processes import it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from benchmarks.shared.workloads import Workload
from sklae._utils import torch_settings as _threads

__all__ = ["Timed", "timed_fit"]

_shipped = _threads._torch_threads
_here = threading.local()


@dataclass(frozen=True)
class Timed:
    """When a fit began and ended, and the processor time of its process meanwhile, in seconds.

    Attributes
    ----------
    start, stop, cpu : float
    n_threads : int
        Torch threads that training had.
    """

    start: float
    stop: float
    cpu: float
    n_threads: int


def timed_fit(workload: Workload, n_threads: int | None) -> Timed:
    """Fit once, on so many torch threads; None for what sklae chooses itself.

    The table is there before the clock starts.
    """
    X, estimator = workload.data(), workload.estimator()
    _here.wanted = n_threads
    start, cpu = time.time(), time.process_time()
    try:
        estimator.fit(X)
        return Timed(start, time.time(), time.process_time() - cpu, _here.found)
    finally:
        _here.wanted = None


@contextmanager
def _limit(n_chosen: int) -> Iterator[None]:
    """Stand in for sklae's own limit: set what this (Python) thread wants, and note what it got."""
    with _shipped(getattr(_here, "wanted", None) or n_chosen):
        _here.found = torch.get_num_threads()
        yield


_threads._torch_threads = _limit
