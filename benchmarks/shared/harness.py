"""What the benchmarks share: fair timing, peak memory, versions and tables."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import threadpoolctl
import torch

__all__ = [
    "ALL_EPOCHS",
    "Cost",
    "Goal",
    "interleave",
    "interleave_costs",
    "measure",
    "median",
    "n_cores",
    "one_thread",
    "peak_memory",
    "print_table",
    "versions",
]

#: What makes a fit as long as it is told to be, and from random weights, so that it compares with others' loops.
ALL_EPOCHS: dict[str, Any] = {"learning_rate": "constant", "early_stopping": False, "n_iter_no_change": float("inf")}

_PACKAGES = ("numpy", "scikit-learn", "torch", "skorch", "pyod", "joblib")

K = TypeVar("K")


@dataclass(frozen=True)
class Cost:
    """What a call took, in seconds: elapsed, and processor time of all threads of this process."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Goal:
    """A limit on a ratio of medians of wall time.

    Attributes
    ----------
    over : str
        The contender whose time divides.
    at_most, at_least : float or None
        The limit; one of the two.
    """

    over: str
    at_most: float | None = None
    at_least: float | None = None

    def verdict(self, ratio: float, *, judged: bool = True) -> str:
        """Return the limit, the ratio and yes or no."""
        if self.at_least is not None:
            limit, met = f">= {self.at_least:g}", ratio >= self.at_least
        else:
            assert self.at_most is not None
            limit, met = f"<= {self.at_most:g}", ratio <= self.at_most
        verdict = f": {'yes' if met else 'NO'} ({ratio:.2f})" if judged else ""
        return f"{limit} x {self.over}{verdict}"


def measure(function: Callable[[], Any]) -> Cost:
    """Call the function once and return what it took."""
    gc.collect()  # no contender pays for what another left behind
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def interleave(contenders: Mapping[K, Callable[[], Any]], repeats: int) -> dict[K, list[Cost]]:
    """Time every contender once per repeat, in an order that rotates.

    What drifts during the run (clock rates, other work) then falls on all of them alike.
    """
    return interleave_costs({name: partial(measure, function) for name, function in contenders.items()}, repeats)


def interleave_costs(contenders: Mapping[K, Callable[[], Cost]], repeats: int) -> dict[K, list[Cost]]:
    """Do the same for functions that return what they took."""
    costs: dict[K, list[Cost]] = {name: [] for name in contenders}
    names = list(contenders)
    for repeat in range(repeats):
        shift = repeat % len(names)
        for name in names[shift:] + names[:shift]:
            costs[name].append(contenders[name]())
    return costs


def median(costs: Iterable[Cost]) -> Cost:
    """Return the medians of wall and of processor time."""
    costs = list(costs)
    return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch and the BLAS libraries of NumPy and SciPy to one thread.

    Enter it after all imports: a library that is loaded later is not held.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # threadpoolctl does not hold torch's matrix products
    try:
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def peak_memory(function: Callable[[], Any]) -> tuple[Any, int | None]:
    """Return the function's result and the bytes its call needed at its peak, the result among them.

    Meant for a process of its own. None where the system (any but Linux) does not tell.
    """
    gc.collect()
    if not _reset_peak():
        return function(), None
    before = _status("VmRSS")
    result = function()
    return result, _status("VmHWM") - before


def _reset_peak() -> bool:
    """Forget the peak so far, and give back freed memory that the next call could take uncounted."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def versions(packages: Iterable[str] = _PACKAGES) -> str:
    """Return one line that says what was measured with what."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join([*found, f"{n_cores()} cores ({platform.machine()}, {sys.platform})"])


def n_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with its first and last columns left-aligned, numbers to three figures."""
    cells = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        left = (0, len(row) - 1)
        aligned = [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(aligned).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def _text(cell: Any) -> str:
    if cell is None:
        return "n/a"
    if isinstance(cell, float):
        return f"{cell:.3g}" if abs(cell) < 1 else f"{cell:.2f}"
    return str(cell)
