"""A bar of what is done, where asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

__all__ = ["progress"]


T = TypeVar("T")


def progress(steps: Iterable[T], task: str, *, verbose: bool) -> Iterable[T]:
    """Return steps, with a bar on the standard error stream where ``verbose``."""
    return tqdm(steps, desc=task) if verbose else steps
