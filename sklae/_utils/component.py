"""Parts: objects that hold hyper-parameters and build a module when an estimator is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone

from sklae._utils.compat import StrOptions, validate_params

__all__ = ["Component", "choices", "resolve"]


class Component(BaseEstimator):
    """Base class of all parts.

    A component assigns its hyper-parameters in the constructor and does nothing else, so that
    `clone`, ``repr``, nested ``set_params`` and searches work on it as on any estimator.
    ``_parameter_constraints`` declares what is valid; `resolve` checks it before any work.
    """

    _parameter_constraints: dict[str, list] = {}


def choices(table: Mapping[str, type], kind: type, *others: Any) -> list:
    """Return scikit-learn constraints for a parameter that names, or is, a part of one family."""
    return [StrOptions(set(table)), kind, *others]


def resolve(value: Any, table: Mapping[str, type]) -> Any:
    """Turn a name or an instance into a fresh, validated component.

    Parameters
    ----------
    value : str, Component or None
        ``None`` stays ``None``.
    table : mapping of str to Component class
        The family's table.

    Returns
    -------
    component : Component or None
        A clone: the caller's own object is never changed.
    """
    if value is None:
        return None
    component = table[value]() if isinstance(value, str) else clone(value)
    validate_params(component)
    return component
