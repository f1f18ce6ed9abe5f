"""Values of a category that fit has not seen: a few count as missing, many are told, those of another type refused."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from sklae._tables.frames import is_gap
from sklae._utils.warnings import warn

__all__ = ["refuse_other_types", "tell_unknown"]

# Of fewer values than this most are soon unknown.
_FEW_VALUES = 3


def refuse_other_types(name: Any, levels: Sequence[Any], values: Sequence[Any]) -> None:
    """Refuse values of which none is of a type that levels are of: such as the text "10115" where 10115 was fitted.

    A few are `tell_unknown`'s, so that a row is taken alone as it is among others.

    Raises
    ------
    ValueError
        That names the column.
    """
    there = [value for value in values if not is_gap(value)]
    fitted, given = _by_type(levels), _by_type(there)
    if not fitted or len(there) < _FEW_VALUES or fitted.keys() & given.keys():
        return
    (now, value), (then, level) = next(iter(given.items())), next(iter(fitted.items()))
    raise ValueError(
        f"Got column {name!r} with {now}, such as {_shown(value)}, where fit has seen {then}, such as {_shown(level)}; "
        f"expected {then}. Convert the column, or fit to a table that is read in the same way."
    )


def tell_unknown(
    name: Any, levels: Sequence[Any], values: Sequence[Any], is_unknown: np.ndarray, *, most: float
) -> None:
    """Warn of a column in which more than this share of the values is unknown, or some look like a level or are others.

    Others are values of a type that no level is of.
    """
    n_unknown, n_values = int(is_unknown.sum()), sum(not is_gap(value) for value in values)
    unknown = [values[i] for i in np.flatnonzero(is_unknown).tolist()]
    known = {_plain(level) for level in levels}
    are_alike = any(_plain(value) in known for value in unknown)
    are_other = not _by_type(unknown).keys() <= _by_type(levels).keys()
    are_few = n_unknown <= most * n_values or (most > 0 and n_values < _FEW_VALUES)
    if are_few and not are_alike and not are_other:
        return
    hint = "Check how the table was read, or fit to one that has these."
    if are_alike:
        hint = "Some differ from levels by type, blanks or case alone: strip and convert the column as before fit."
    examples = ", ".join(sorted({_shown(value) for value in unknown})[:3])
    warn(
        f"Got {n_unknown} of {n_values} values in column {name!r} that fit has not seen, such as {examples}; expected "
        f"levels such as {', '.join(map(_shown, levels[:3]))}. They count as missing. {hint}",
        cause=(name, hint),
    )


def _by_type(values: Sequence[Any]) -> dict[str, Any]:
    """Return an example of each type."""
    return {_type(value): value for value in reversed(values)}


def _type(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (Number, np.bool_)):
        return "numbers"
    return f"values of type {type(value).__name__}"


def _plain(value: Any) -> str:
    return str(value).strip().casefold()


def _shown(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 40 else f"{text[:37]}..."
