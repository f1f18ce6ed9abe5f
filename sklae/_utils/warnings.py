"""Warnings that point at the line of the user's program that caused them."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import sklearn

from sklae._utils.processes import tells

__all__ = ["told_once", "warn"]

# what sklae is called through: contextlib runs bodies of context managers, scikit-learn and joblib call `fit`
_PACKAGES = (Path(__file__).parents[1], Path(sklearn.__file__).parent, Path(joblib.__file__).parent)
_NOT_THE_USERS = (*(f"{package}{os.sep}" for package in _PACKAGES), contextmanager.__code__.co_filename)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn from the innermost frame that belongs neither to sklae nor to what it is called through.

    Of processes that fit together one warns, the first.
    """
    if not tells():
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def told_once() -> Iterator[None]:
    """Give warnings of several equal parts of a call once for one cause: those that differ in numbers only."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    causes = {(each.category, re.sub(r"-?\d[\d.,e+-]*", "", str(each.message))): each for each in told[::-1]}
    for each in reversed(causes.values()):
        warn(str(each.message), each.category)
