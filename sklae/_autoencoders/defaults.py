"""What parameters that are left open stand for, by the size of the table."""

from __future__ import annotations

import numpy as np

__all__ = [
    "N_ITERATIONS",
    "PATIENCE",
    "default_batch_size",
    "default_dropout",
    "default_hidden_layer_sizes",
    "default_n_components",
    "default_n_held_out",
    "default_n_steps",
    "default_n_validation_draws",
]

#: Iterations of a solver that works on all rows at once.
N_ITERATIONS = 200
#: The share of the epochs that may pass without a better one on held-out rows.
PATIENCE = 0.4


def default_n_components(n_features: int) -> int:
    """Return the width of the code for ``n_components=None``."""
    return max(1, min(32, (n_features + 1) // 2))


def default_hidden_layer_sizes(n_features: int) -> tuple[int, ...]:
    """Return the widths for ``hidden_layer_sizes=None``."""
    return (128, 64) if n_features <= 128 else (256, 128)


def default_batch_size(n_samples: int) -> int:
    """Return the batch size for ``batch_size="auto"``."""
    return int(np.clip(2 ** round(np.log2(n_samples / 20)), 32, 1024))


def default_n_steps(n_samples: int, n_features: int, *, variational: bool) -> int:
    """Return how many steps ``max_iter="auto"`` takes at most: fewer where there is little to learn, or from."""
    if not variational:
        return int(np.clip(6 * n_samples, 100, 2_000))
    return int(np.clip(min(4.5 * n_samples, 250 * n_features), 100, 3_000))


def default_dropout(n_samples: int, n_features: int) -> float:
    """Return the dropout of a variational autoencoder's own network: few rows of many columns are learned by heart."""
    share = 1.3 * n_features / n_samples
    return min(0.5, share) if share >= 0.05 else 0.0


def default_n_held_out(n_samples: int) -> int:
    """Return how many rows ``early_stopping="auto"`` holds out: a tenth, of few rows more, of many less."""
    return int(min(max(0.1 * n_samples, 50), n_samples // 4, 1_000))


def default_n_validation_draws(n_held_out: int) -> int:
    """Return how many codes of each held-out row are drawn to compare epochs by."""
    return int(np.clip(400 // n_held_out, 1, 16))
