"""Warnings that point at the line of the user's program that caused them, once for one cause."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import joblib
import sklearn

from sklae._utils.processes import tells

__all__ = ["told_once", "warn"]

# what sklae is called through: contextlib runs bodies of context managers, scikit-learn and joblib call `fit`
_PACKAGES = tuple(
    f"{package}{os.sep}"
    for package in (Path(__file__).parents[1], Path(sklearn.__file__).parent, Path(joblib.__file__).parent)
)
_NOT_THE_USERS = (*_PACKAGES, contextmanager.__code__.co_filename)
# what goes on when a call is over: loky is joblib's pool of processes
_POOLS = (
    f"{Path(joblib.__file__).parent / 'externals'}{os.sep}",
    *(f"{Path(str(module.__file__)).parent}{os.sep}" for module in (multiprocessing, concurrent.futures)),
    threading.__file__,
    "<frozen ",
)
_SECONDS = 60.0
_in_pools: dict[Hashable, float] = {}
# Quoted text, which stays, and numbers, which do not count.
_NUMBERS = re.compile(r"""(?<!\w)('.*?'|".*?")(?!\w)|(?<!\w)-?\d[\d.,e+-]*""")


def warn(message: str | Warning, category: type[Warning] = UserWarning, *, cause: Hashable = None) -> None:
    """Warn from the innermost frame that belongs neither to sklae nor to what it is called through.

    Of processes that fit together one warns, the first. Where the user's filters show a warning once a line, which
    is Python's default, one call of the user's shows it once for one cause, however many fits the call consists of:
    scikit-learn sets the filters anew for each, whereupon Python forgets what it has shown.

    Parameters
    ----------
    message : str or Warning
    category : type of warning, default=UserWarning
        Of a str.
    cause : hashable, default=None
        What makes two warnings of a category one. None: their text, but for its numbers.
    """
    if not tells():
        return
    warning = category(message) if isinstance(message, str) else message
    if cause is not None:
        warning.__dict__["cause"] = cause
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame, level = frame.f_back, level + 1
    if _is_shown_once_a_line(warning, frame) and _was_told((_cause(warning), _line(frame)), frame):
        return
    warnings.warn(warning, stacklevel=level)


@contextmanager
def told_once() -> Iterator[None]:
    """Give warnings of several equal parts of a call once for one cause, whatever the filters."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    causes: dict[Hashable, Warning] = {}
    for each in told:
        assert isinstance(each.message, Warning)
        causes.setdefault(_cause(each.message), each.message)
    for warning in causes.values():
        warn(warning)


def _cause(warning: Warning) -> Hashable:
    given = getattr(warning, "cause", None)
    return type(warning), _NUMBERS.sub(lambda found: found[1] or "", str(warning)) if given is None else given


def _line(frame: FrameType) -> Hashable:
    return frame.f_code.co_filename, frame.f_lineno


def _is_shown_once_a_line(warning: Warning, frame: FrameType) -> bool:
    """Return whether the filters in force say so, as `warnings.warn_explicit` reads them."""
    module, line = frame.f_globals.get("__name__") or "<unknown>", frame.f_lineno
    filters = getattr(warnings, "_get_filters", lambda: warnings.filters)()
    for action, text, category, where, at_line in filters:
        if (
            isinstance(warning, category)
            and _matches(text, str(warning))
            and _matches(where, module)
            and at_line in (0, line)
        ):
            return action in ("default", "module")
    return True


def _matches(pattern: re.Pattern[str] | str | None, text: str) -> bool:
    if pattern is None or isinstance(pattern, str):  # Python's own filters are plain text
        return pattern is None or pattern == text
    return pattern.match(text) is not None


def _was_told(key: Hashable, user: FrameType) -> bool:
    """Return whether a call has told what a key stands for; from now on, it has."""
    if user.f_code.co_filename.startswith(_POOLS):
        return _was_told_lately(key)
    # What was told lies in the frame of the outermost call itself, among its locals, and is gone with it: no later
    # call takes it for its own, as it would by the frame's id, and nothing else outlives the call.
    told = _outermost_call().f_locals.setdefault("sklae_told", set())
    is_told = key in told
    told.add(key)
    return is_told


def _was_told_lately(key: Hashable) -> bool:
    """Return whether this process has told it within a minute: workers of a pool don't know who called."""
    now = time.monotonic()
    is_told = now - _in_pools.get(key, -_SECONDS) < _SECONDS
    if not is_told:
        _in_pools[key] = now
    return is_told


def _outermost_call() -> FrameType:
    """Return the frame of what the user's program called: of sklae, or of what calls it."""
    frame: FrameType | None = sys._getframe(1)
    assert frame is not None
    outermost = frame
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PACKAGES) and not file.startswith(_POOLS):
            outermost = frame
        frame = frame.f_back
    return outermost
