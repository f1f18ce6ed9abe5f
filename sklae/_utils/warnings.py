"""Warnings that point at the line of the user's program that caused them."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import sklearn

__all__ = ["warn"]

# contextlib runs bodies of context managers; scikit-learn calls `fit` from pipelines and searches
_NOT_THE_USERS = tuple(
    str(Path(file).parent) + "/" if Path(file).name == "__init__.py" else str(file)
    for file in (Path(__file__).parents[1] / "__init__.py", sklearn.__file__, contextmanager.__code__.co_filename)
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn from the innermost frame that belongs neither to sklae nor to what it is called through."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level - 1)
