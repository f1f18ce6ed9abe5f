"""Equal autoencoders with seeds of their own, fitted to the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklae._base import BaseAutoencoder
from sklae._columns import Columns
from sklae._compat import validate_params
from sklae._random import draw_seed, random_state_for
from sklae._threads import torch_settings
from sklae._training import can_train_together, train_together

__all__ = ["fit_members", "seed_members"]


def seed_members(members: Sequence[BaseAutoencoder], random_state: np.random.RandomState) -> None:
    """Give each member a seed: from its own ``random_state`` if it has one, else from the one given.

    A single member with a ``random_state`` of its own keeps it.
    """
    own = members[0].random_state
    if own is not None and len(members) == 1:
        return
    source = random_state if own is None else random_state_for(own)
    for member in members:
        member.set_params(random_state=draw_seed(source))


def fit_members(
    members: Sequence[BaseAutoencoder], X: Any, *, columns: Columns | None = None, max_rows: int | None = None
) -> None:
    """Fit all, in one batched pass where their parts allow it, else one after the other.

    Parameters
    ----------
    members : sequence of BaseAutoencoder
        Unfitted, with equal parameters but for their ``random_state``.
    X : array-like or frame of shape (n_samples, n_features)
    columns : Columns or None, default=None
        Read already, from a table that X is a part of.
    max_rows : int or None, default=None
        Train on at most so many random rows. Columns and their scales are learned from all.
    """
    first, *others = members
    validate_params(first)
    data, data_valid = first._start(X, None, None, max_rows, columns)
    for other in others:
        other._start_like(first, data)
    if data_valid is None and first.net_params is None and can_train_together([member.net_ for member in members]):
        with torch_settings(n_threads=1, gradients=True):
            interrupted = train_together([member.net_ for member in members], data, epochs=first.max_iter)
        for member in members:
            member._conclude(interrupted=interrupted, planned_epochs=True, stacklevel=5)
    else:
        for member in members:
            member._train(data, data_valid)
    for member in members:
        member._fit_code_density(X)
