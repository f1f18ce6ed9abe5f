"""All or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator

__all__ = ["atomic"]


@contextmanager
def atomic(estimator: BaseEstimator, undo: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Leave the estimator as it was if anything goes wrong; ``undo`` puts back what its attributes refer to."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        undo()
        estimator.__dict__ = before  # in one step: a further interrupt can't come between two
        raise
