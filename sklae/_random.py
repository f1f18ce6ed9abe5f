"""Generators from a ``random_state``; the global ones of NumPy and torch are never used."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["draw_seed", "random_state_for", "some_rows", "torch_generator"]

_LARGEST_SEED = np.iinfo(np.int32).max


def random_state_for(random_state: Any) -> np.random.RandomState:
    """Return a generator for a ``random_state``; None takes entropy from the system, not NumPy's global state."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937())
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def draw_seed(random_state: Any) -> int:
    """Draw an integer seed."""
    return int(random_state_for(random_state).randint(_LARGEST_SEED))


def torch_generator(random_state: Any, device: Any = "cpu") -> torch.Generator:
    """Return a torch generator seeded from a ``random_state``."""
    return torch.Generator(device).manual_seed(draw_seed(random_state))


def some_rows(n_rows: int, n_wanted: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return positions of rows, all or so many at random, in order."""
    return np.arange(n_rows) if n_wanted >= n_rows else np.sort(random_state.permutation(n_rows)[:n_wanted])
