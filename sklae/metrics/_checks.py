"""What all metrics ask of their arguments."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array, check_is_fitted

__all__ = ["check_count", "check_rows", "fitted", "generator_for"]


def fitted(estimator: Any, X: Any, *verbs: str) -> tuple[Any, Any]:
    """Return the fitted estimator that has the verbs, and X as it sees it: a pipeline's earlier steps are applied.

    Raises
    ------
    TypeError
        If a verb is missing.
    sklearn.exceptions.NotFittedError
    """
    last = estimator
    if isinstance(estimator, Pipeline):
        last = estimator[-1]
    missing = [verb for verb in verbs if not hasattr(last, verb)]
    if missing:
        raise TypeError(
            f"Got {type(last).__name__}, which has no {missing[0]}; expected an estimator that has. Where it is "
            "about the distribution of a row's codes, fit a VAETransformer whose posterior is not a point."
        )
    check_is_fitted(last)
    if last is not estimator and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return last, X


def generator_for(random_state: Any) -> np.random.RandomState:
    """Return a generator for a ``random_state``; None takes entropy from the system, not NumPy's global state."""
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(np.random.MT19937() if random_state is None else random_state)


def check_count(value: Any, name: str, least: int = 1) -> int:
    """Refuse anything but a whole number from ``least`` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"Got {name}={value!r}; expected a whole number, {least} or more. Pass {name}={least}, say.")
    return int(value)


def check_rows(X: Any, name: str, least: int) -> np.ndarray:
    """Return a table of finite numbers with at least so many rows, as float64."""
    table = check_array(X, dtype=np.float64, input_name=name)
    if len(table) < least:
        raise ValueError(f"Got {len(table)} rows in {name}; expected at least {least}. Pass more of them.")
    return table
