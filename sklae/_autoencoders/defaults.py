"""What parameters that are left open stand for, by the size of the table."""

from __future__ import annotations

import numpy as np

__all__ = ["default_batch_size", "default_hidden_layer_sizes", "default_n_components"]


def default_n_components(n_features: int) -> int:
    """Return the width of the code for ``n_components=None``."""
    return max(1, min(32, (n_features + 1) // 2))


def default_hidden_layer_sizes(n_features: int) -> tuple[int, ...]:
    """Return the widths for ``hidden_layer_sizes=None``."""
    return (128, 64) if n_features <= 128 else (256, 128)


def default_batch_size(n_samples: int) -> int:
    """Return the batch size for ``batch_size="auto"``."""
    return int(np.clip(2 ** round(np.log2(n_samples / 20)), 32, 1024))
