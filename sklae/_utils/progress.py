"""What is done, told where asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

from sklae._utils.processes import tells
from sklae._utils.tasks import current_task, part

__all__ = ["Bar", "progress", "stage"]

# Between two lines where none is drawn over.
_SECONDS = 30.0


T = TypeVar("T")


class Bar:
    """What is done, out of how much, on the standard error stream.

    A line that is drawn over itself on a terminal and in a notebook; elsewhere a plain line at the end, and every half
    a minute before.

    Parameters
    ----------
    task : str
    total : int or None
        None: not known.
    unit : str, default="it"
    """

    def __init__(self, task: str, total: int | None, unit: str = "it"):
        self.task, self.total, self.unit = task, total, unit
        self.n_done, self.figures = 0, ""
        self._start = self._told = time.monotonic()
        self._has_many = unit == "row"
        is_live = sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")
        self._live = tqdm(desc=task, total=total, unit=unit, unit_scale=self._has_many) if is_live and tells() else None
        self._is_open = tells()

    def advance(self, n: int = 1, **figures: float) -> None:
        """Say that more is done, and how things stand."""
        self.n_done += n
        self.figures = ", ".join(f"{name}={value:.4g}" for name, value in figures.items())
        if self._live is not None:
            self._live.set_postfix_str(self.figures, refresh=False)
            self._live.update(n)
        elif time.monotonic() - self._told > _SECONDS:
            self._tell()

    def close(self) -> None:
        """Leave the line as it is."""
        if self._live is not None:
            self._live.close()
        elif self._is_open:
            self._tell()
        self._is_open = False

    def _tell(self) -> None:
        if not self._is_open:
            return
        self._told = time.monotonic()
        line = tqdm.format_meter(
            self.n_done, self.total, self._told - self._start, ncols=0, prefix=self.task, unit=self.unit,
            unit_scale=self._has_many, postfix=self.figures,
        )  # fmt: skip
        print(line, file=sys.stderr, flush=True)


def progress(
    steps: Iterable[T], task: str, *, verbose: bool, total: int | None = None, of_fit: bool = False
) -> Iterable[T]:
    """Return steps, with a bar where ``verbose``; with a total they are parts of as many, a part with a length.

    Where they are those ``of_fit``, callbacks of scikit-learn are told of them, too.
    """
    n_steps = len(steps) if total is None and isinstance(steps, Sized) else None
    if of_fit and current_task() is not None:
        steps = _as_parts(steps, task, n_steps)
    return _told(steps, task, n_steps, total) if verbose else steps


def _as_parts(steps: Iterable[T], task: str, n_steps: int | None) -> Iterator[T]:
    whole = current_task()
    assert whole is not None
    own = whole.part(task, n_steps)
    own.begin()
    for step in steps:
        each = own.part("step")
        each.begin()
        yield step
        each.end()
    own.end()


def _told(steps: Iterable[T], task: str, n_steps: int | None, total: int | None) -> Iterator[T]:
    bar = Bar(task, n_steps if total is None else total, "it" if total is None else "row")
    try:
        for step in steps:
            yield step
            bar.advance(1 if total is None else len(step))  # type: ignore[arg-type]
    finally:
        bar.close()


@contextmanager
def stage(estimator: Any, what: str, n_parts: int | None = 0) -> Iterator[None]:
    """Say what was learned, and in what time, where the estimator is verbose; a part of its fit, with so many parts."""
    start = time.perf_counter()
    with part(f"learn {what}", n_parts):
        yield
    if estimator.verbose and tells():
        print(f"[{type(estimator).__name__}] learned {what} in {time.perf_counter() - start:.1f} s")
