"""What is done, told where asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

from sklae._utils.processes import tells

__all__ = ["progress", "stage"]


T = TypeVar("T")


def progress(steps: Iterable[T], task: str, *, verbose: bool) -> Iterable[T]:
    """Return steps, with a bar on the standard error stream where ``verbose``."""
    return tqdm(steps, desc=task) if verbose and tells() else steps


@contextmanager
def stage(estimator: Any, done: str) -> Iterator[None]:
    """Say what was done, and how long it took, where the estimator is verbose."""
    start = time.perf_counter()
    yield
    if estimator.verbose and tells():
        print(f"[{type(estimator).__name__}] {done} in {time.perf_counter() - start:.1f} s")
