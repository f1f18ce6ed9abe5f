"""How many torch threads a call may use, and the promise that no setting outlives it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["torch_threads"]

_lock = threading.Lock()
_active = 0
_original = 1


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Limit torch to ``n_threads`` in this thread, and restore the count found on first entry.

    A thread that has not used torch yet inherits whatever count was set last, by any thread. Calls that
    overlap therefore share one stored original, read before anything was changed; with a count each, the
    second would take the first one's limit for the user's setting and leave it behind.
    """
    global _active, _original
    with _lock:
        if _active == 0:
            _original = torch.get_num_threads()
        _active += 1
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        with _lock:
            _active -= 1
            torch.set_num_threads(_original)
