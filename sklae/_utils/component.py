"""Parts: objects that hold hyper-parameters and build a module when an estimator is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator, clone

from sklae._utils.compat import StrOptions, validate_params
from sklae._utils.documented import Documented

__all__ = ["Component", "NestedParameters", "choices", "resolve"]


class PartNames(StrOptions):
    """A parameter that names a part of one family.

    Attributes
    ----------
    table : mapping of str to Component class
    """

    def __init__(self, table: Mapping[str, type]):
        super().__init__(set(table))
        self.table = table


class NestedParameters:
    """Lets ``set_params``, and so a search, reach into parts that are named or left open.

    ``set_params(prior__n_components=3)`` of ``prior="vamp"`` sets ``VampPrior(n_components=3)``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]]

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of parts as ``<parameter>__<parameter of the part>``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters that are not there, and for those of a part where none is set.
        """
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, is_nested, rest = key.partition("__")
            if is_nested:
                nested.setdefault(name, {})[rest] = value
        for name, own in nested.items():
            given = params.get(name, getattr(self, name, None))
            if name in signature(type(self)).parameters and not hasattr(given, "set_params"):
                part = self._part_for(name, given, next(iter(own))).set_params(**own)
                params = {key: value for key, value in params.items() if not key.startswith(f"{name}__")}
                params[name] = part
        return super().set_params(**params)  # type: ignore[misc]

    def _part_for(self, name: str, given: Any, wanted: str) -> Any:
        part = self._stands_for(name, given)
        if part is not None:
            return part
        options = self._parameter_constraints.get(name, ())
        tables = [option.table for option in options if isinstance(option, PartNames)]
        kinds: dict[str, type] = {repr(key): kind for table in tables for key, kind in table.items()}
        if not kinds:
            bases: list[type] = [option for option in options if isinstance(option, type)]
            kinds = {f"{kind.__name__}()": kind for base in bases for kind in _kinds(base)}
        fitting = [key for key, kind in kinds.items() if wanted.partition("__")[0] in signature(kind).parameters]
        remedy = f"Set {name} to {' or '.join(sorted(fitting))}, too." if fitting else f"Look at what {name} may be."
        raise ValueError(
            f"Got {name}__{wanted} and {name}={given!r}, which has no parameters; expected a part that has it. {remedy}"
        )

    def _stands_for(self, name: str, given: Any) -> Any:
        """Return the part that a parameter's value stands for; None where it stands for none."""
        for option in self._parameter_constraints.get(name, ()):
            if isinstance(option, PartNames) and isinstance(given, str) and given in option.table:
                return option.table[given]()
        return None


def _kinds(base: type) -> list[type]:
    """Return the classes of sklae's own that are of a kind."""
    kinds: list[type] = base.__subclasses__()
    return [kind for kind in kinds if kind.__module__.startswith("sklae.")]


class Component(NestedParameters, Documented, BaseEstimator):
    """Base class of all parts.

    A component assigns its hyper-parameters in the constructor and does nothing else, so that
    `clone`, ``repr``, nested ``set_params`` and searches work on it as on any estimator.
    ``_parameter_constraints`` declares what is valid; `resolve` checks it before any work.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {}


def choices(table: Mapping[str, type], kind: type, *others: Any) -> list:
    """Return scikit-learn constraints for a parameter that names, or is, a part of one family."""
    return [PartNames(table), kind, *others]


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
