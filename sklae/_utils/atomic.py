"""All or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["atomic"]


@contextmanager
def atomic(estimator: BaseEstimator) -> Iterator[dict[str, Any]]:
    """Leave the estimator as it was if anything goes wrong: with the attributes that are handed out."""
    before = dict(vars(estimator))
    try:
        yield before
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
