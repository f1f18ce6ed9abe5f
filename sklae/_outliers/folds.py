"""Parts of the rows, each to be judged by what is learned from the others."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["make_folds"]

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
