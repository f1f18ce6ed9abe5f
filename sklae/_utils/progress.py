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


def progress(steps: Iterable[T], task: str, *, verbose: bool, total: int | None = None) -> Iterable[T]:
    """Return steps, with a bar on the standard error stream where ``verbose``.

    With a total they are parts of as many, a part with a length.
    """
    if not (verbose and tells()):
        return steps
    return tqdm(steps, desc=task) if total is None else _parts(steps, task, total)


def _parts(steps: Iterable[T], task: str, total: int) -> Iterator[T]:
    with tqdm(desc=task, total=total, unit_scale=True) as bar:
        for step in steps:
            yield step
            bar.update(len(step))  # type: ignore[arg-type]


@contextmanager
def stage(estimator: Any, done: str) -> Iterator[None]:
    """Say what was done, and how long it took, where the estimator is verbose."""
    start = time.perf_counter()
    yield
    if estimator.verbose and tells():
        print(f"[{type(estimator).__name__}] {done} in {time.perf_counter() - start:.1f} s")
