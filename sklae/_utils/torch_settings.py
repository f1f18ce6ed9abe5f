"""The torch settings that a call needs, and the promise that none outlives it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

__all__ = ["tensors_on_cpu", "torch_settings"]

_lock = threading.Lock()
_active = 0
_original = 1


@contextmanager
def torch_settings(*, n_threads: int, gradients: bool) -> Iterator[None]:
    """Set what a call needs in this thread, whatever the caller set, and put everything back.

    Parameters
    ----------
    n_threads : int
        Torch threads.
    gradients : bool
        Whether gradients are recorded.
    """
    with ExitStack() as stack:
        stack.enter_context(_torch_threads(n_threads))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(tensors_on_cpu())
        yield


@contextmanager
def tensors_on_cpu() -> Iterator[None]:
    """Make new tensors on the CPU, whatever ``torch.set_default_device`` says: the estimators' ``device`` counts."""
    if torch.get_default_device().type == "cpu":
        yield
    else:
        with torch.device("cpu"):
            yield


@contextmanager
def _torch_threads(n_threads: int) -> Iterator[None]:
    """Limit torch to ``n_threads`` in this thread, and restore the count found on first entry.

    A thread that has not used torch yet inherits whatever count was set last, by any thread. Calls that
    overlap therefore share one stored original, read before anything was changed; with a count each, the
    second would take the first one's limit for the user's setting and leave it behind.
    """
    global _active, _original
    with _lock:
        own = torch.get_num_threads()
        if _active == 0:
            _original = own
        # a thread whose count is right has nothing to restore, unless it inherited the count from a call
        changes = _active > 0 or own != n_threads
        if changes:
            _active += 1
            torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        if changes:
            with _lock:
                _active -= 1
                torch.set_num_threads(_original)
