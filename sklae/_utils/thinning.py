"""Fewer of many sorted values."""

from __future__ import annotations

import numpy as np

__all__ = ["thinned"]


def thinned(n_values: int, n_most: int) -> np.ndarray:
    """Return evenly spread positions among so many, the first and the last among them, no more than ``n_most``."""
    return np.unique(np.linspace(0, n_values - 1, min(n_values, n_most)).round().astype(int))
