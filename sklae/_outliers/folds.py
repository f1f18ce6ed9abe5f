"""Parts of the rows, to be judged by what is learned from the others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["hold_out", "make_folds"]

# Of more rows fewer folds do: what was fitted says less of each.
_MOST_FOLDS, _FOLDED_ROWS = 5, 5_000


def make_folds(cv: Any, n_rows: int, random_state: np.random.RandomState) -> list[np.ndarray]:
    """Return positions of the rows of each fold, in order; none where rows are not left out.

    Parameters
    ----------
    cv : "auto", int or None
    n_rows : int
    random_state : RandomState
    """
    if cv is None:
        return []
    n_folds = int(np.clip(_FOLDED_ROWS // n_rows, 2, _MOST_FOLDS)) if isinstance(cv, str) else int(cv)
    n_folds = min(n_folds, n_rows // 2)
    return [] if n_folds < 2 else [np.sort(part) for part in np.array_split(random_state.permutation(n_rows), n_folds)]


def hold_out(n_rows: int, fraction: float, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of the rows to fit and of those to hold out, in order."""
    n_held_out = math.ceil(fraction * n_rows)
    if n_rows - n_held_out < 2:
        raise ValueError(
            f"Got {n_rows} rows and validation_fraction={fraction}; expected at least 2 rows to fit. Pass more rows, "
            "or a smaller fraction."
        )
    order = random_state.permutation(n_rows)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
