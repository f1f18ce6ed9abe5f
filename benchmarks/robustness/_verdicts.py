"""What becomes of a call: its findings, and what tells them apart."""

from __future__ import annotations

import re
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

__all__ = ["KINDS", "REFUSED", "Finding", "OutOfTime", "Watch", "cells", "fingerprint", "is_gap", "time_limit"]

#: From best to worst.
KINDS = ("fine", "refused", "noisy", "opaque", "silent NaN or inf", "silent wrong", "slow")
SLOW_SECONDS, LIMIT_SECONDS = 20.0, 60.0
_MOST_REPEATS = 3


class _Refused:
    def __repr__(self) -> str:
        return "REFUSED"


#: What a refused call returns.
REFUSED = _Refused()


class OutOfTime(BaseException):
    """A case took more processor time than anyone would wait for."""


@dataclass(frozen=True)
class Finding:
    """What was found of a call.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    verb : str
    signature : str
        The same for findings of one cause, as far as can be told.
    detail : str
    """

    kind: str
    verb: str
    signature: str = ""
    detail: str = ""


# -- refusals -----------------------------------------------------------------------------------------------

_WELL_TYPES = (ValueError, TypeError, AttributeError, ImportError)
_WELL_SAID = re.compile(
    r"\bexpect(s|ed)\b|\bGot\b|\bgot\b|must be|minimum of|is not fitted|should match|features, but|"
    r"Input contains|Complex data|could not convert string|Replace infinite|Feature names are only supported"
)
_DEEP = re.compile(r"NoneType|not subscriptable|size of tensor|mat1 and mat2|broadcast|out of bounds")
_SKLEARN_CHECKS = ("sklearn/utils/", "sklearn/base.py")


def _judge_error(verb: str, error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1].filename.replace("\\", "/")
    own = [frame for frame in frames if "/sklae/" in frame.filename.replace("\\", "/")]
    where = f"{own[-1].filename.rpartition('/sklae/')[2]}:{own[-1].name}" if own else "outside"
    text = " ".join(str(error).split())
    signature = f"{type(error).__name__}: {_without_numbers(text)[:100]} [{where}]"
    told = "/sklae/" in last or any(part in last for part in _SKLEARN_CHECKS)
    well = told and isinstance(error, _WELL_TYPES) and _WELL_SAID.search(text) and not _DEEP.search(text)
    return Finding("refused" if well else "opaque", verb, signature, text[:600])


def _without_numbers(text: str) -> str:
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", re.sub(r"'[^']*'", "'...'", text))


# -- values -------------------------------------------------------------------------------------------------


def is_gap(value: Any) -> bool:
    if value is None or value is pd.NA or value is np.ma.masked:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return False


def cells(table: Any) -> list[list[Any]]:
    """Return a table's values, column by column, None in gaps."""
    if isinstance(table, pd.DataFrame):
        columns = [table.iloc[:, i].tolist() for i in range(table.shape[1])]
    elif hasattr(table, "get_columns"):
        columns = [series.to_list() for series in table.get_columns()]
    elif hasattr(table, "column_names"):
        columns = [column.to_pylist() for column in table.columns]
    else:
        array = np.ma.asarray(table) if isinstance(table, np.ma.MaskedArray) else np.asarray(table)
        if array.ndim < 2:
            array = array.reshape(-1, 1)
        columns = np.moveaxis(array, -1, 0).reshape(array.shape[-1], -1).tolist()
    return [[None if is_gap(value) else value for value in column] for column in columns]


def fingerprint(table: Any) -> str:
    """Return what is equal of a table for as long as nobody changes it."""
    if isinstance(table, np.ndarray):
        mask = repr(np.ma.getmaskarray(table).tolist()) if isinstance(table, np.ma.MaskedArray) else ""
        return f"{table.dtype}{table.shape}{table.flags.writeable}{np.asarray(table).tolist()!r}{mask}"
    if isinstance(table, pd.DataFrame):
        return f"{table.dtypes.tolist()}{table.columns.tolist()}{table.index.tolist()}{table.attrs}{cells(table)!r}"
    if hasattr(table, "get_columns"):
        return f"{table.schema}{cells(table)!r}"
    return repr(table)


def not_finite(result: Any, skip: tuple[int, ...] = ()) -> str:
    """Return "", or what there is beside finite values in an output: gaps or infinite values."""
    parts = result if isinstance(result, tuple) else (result,)
    for part in parts:
        for i, column in enumerate(cells(part)):
            if i in skip:
                continue
            if any(value is None for value in column):
                return f"NaN in column {i}"
            if any(isinstance(value, float) and np.isinf(value) for value in column):
                return f"inf in column {i}"
    return ""


# -- watching -----------------------------------------------------------------------------------------------


def _global_state() -> tuple[Any, ...]:
    _, keys, position, *_ = np.random.get_state()
    return (
        keys.tobytes(),
        position,
        torch.get_rng_state().numpy().tobytes(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        tuple(sorted(np.geterr().items())),
    )


@dataclass
class Watch:
    """The findings of a case, call by call."""

    findings: list[Finding] = field(default_factory=list)
    warned: bool = False

    def say(self, kind: str, verb: str, signature: str, detail: str = "") -> None:
        self.findings.append(Finding(kind, verb, signature, detail))

    def call(self, verb: str, function: Callable[..., Any], *inputs: Any) -> Any:
        """Call the function with inputs; return what it does, or `REFUSED`."""
        state, prints = _global_state(), [fingerprint(each) for each in inputs]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = function(*inputs)
                found = Finding("fine", verb)
            except Exception as error:
                result, found = REFUSED, _judge_error(verb, error)
        self.findings.append(found)
        if found.kind != "refused":  # what is refused has been looked at, in floating point
            self._judge_warnings(verb, caught)
        if _global_state() != state:
            self.say("silent wrong", verb, "global generators or settings changed")
        if [fingerprint(each) for each in inputs] != prints:
            self.say("silent wrong", verb, "an input was changed")
        return result

    def _judge_warnings(self, verb: str, caught: list[Any]) -> None:
        self.warned = bool(caught)
        causes = Counter((each.category.__name__, _without_numbers(str(each.message))[:60]) for each in caught)
        for (category, text), count in causes.items():
            if count > _MOST_REPEATS:
                self.say("noisy", verb, f"{category}: {text} (more than {_MOST_REPEATS} times)")
        for each in caught:
            if issubclass(each.category, RuntimeWarning):
                text = _without_numbers(str(each.message))[:60]
                path = each.filename.rpartition("site-packages/")[2].rpartition("/sklae/")[2]
                self.say("noisy", verb, f"raw RuntimeWarning: {text} [{path}:{each.lineno}]")

    def broke(self, error: Exception) -> None:
        """Take in what was raised where nothing should be: by a call with what an earlier one has taken."""
        found = _judge_error("case", error)
        self.say("opaque", "case", found.signature, found.detail)

    def finite(self, verb: str, result: Any, skip: tuple[int, ...] = (), detail: str = "") -> None:
        if result is not REFUSED and (what := not_finite(result, skip)):
            self.say("silent NaN or inf", verb, _without_numbers(what), f"{what} {detail}")

    def right(self, verb: str, is_right: bool, signature: str, detail: str = "") -> None:
        if not is_right:
            self.say("silent wrong", verb, signature, detail)

    @property
    def worst(self) -> str:
        return max((finding.kind for finding in self.findings), key=KINDS.index, default="fine")


@contextmanager
def time_limit(watch: Watch) -> Iterator[None]:
    """Find a case slow, and end it where it takes much too long; processor time."""

    def stop(*_: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
    start = time.process_time()
    try:
        yield
    except OutOfTime:
        where = "a case was ended"
        watch.say("slow", "case", where, f"after {LIMIT_SECONDS:g} CPU s")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
    if (taken := time.process_time() - start) > SLOW_SECONDS:
        watch.say("slow", "case", f"more than {SLOW_SECONDS:g} CPU s", f"{taken:.0f} CPU s")
