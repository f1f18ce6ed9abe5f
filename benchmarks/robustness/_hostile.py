"""New rows for a fitted table: as users meet them, and worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.robustness._tables import Column, Spec, pick

__all__ = ["NewRows", "draw_hostile", "draw_rows"]


@dataclass(frozen=True)
class NewRows:
    """New rows, and what is right to do with them.

    Attributes
    ----------
    name : str
    spec : Spec
    refused : bool
        Whether any answer is wrong.
    plain : Spec or None
        The same values in the dress that was fitted, if these wear another one in some columns.
    drifted : tuple of int
        Those columns.
    at : int or None
        The column of a single value that was put in.
    """

    name: str
    spec: Spec
    refused: bool = False
    plain: Spec | None = None
    drifted: tuple[int, ...] = ()
    at: int | None = None

    def build(self) -> Any:
        return self.spec.build()


def draw_rows(rng: np.random.Generator, spec: Spec, n_rows: int | None = None) -> NewRows:
    """Return rows like those fitted."""
    n_rows = pick(rng, (1, 2, 5, 9)) if n_rows is None else n_rows
    return NewRows("like those fitted", spec.take(rng.integers(spec.n_rows, size=n_rows)))


def draw_hostile(rng: np.random.Generator, spec: Spec) -> NewRows:
    """Return rows that are unlike those fitted in one way."""
    rows = draw_rows(rng, spec).spec
    name = pick(rng, list(WAYS))
    return WAYS[name](rng, name, rows)


def _change(
    rng: np.random.Generator, spec: Spec, change: Callable[[Column, int], Column | None], *kinds: str
) -> tuple[Spec, int] | None:
    """Change one column of some kinds; None without such a column."""
    fitting = [i for i, column in enumerate(spec.columns) if not kinds or column.kind in kinds]
    if not fitting:
        return None
    chosen = pick(rng, fitting)
    columns = list(spec.columns)
    changed = change(columns[chosen], chosen)
    if changed is None:
        return None
    columns[chosen] = changed
    return replace(spec, columns=tuple(columns)), chosen


def _value(value: Any, *kinds: str, refused: bool = False) -> Callable[..., NewRows]:
    """Return a way that puts one value into one cell."""

    def way(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
        row = int(rng.integers(spec.n_rows))
        found = _change(rng, spec, lambda c, _: c.with_values([*c.values[:row], value, *c.values[row + 1 :]]), *kinds)
        if found is None:
            return NewRows("like those fitted", spec)
        # where dtypes can't hold it, it is another value, or a gap
        held = _held(spec, found[1], value)
        return NewRows(name, found[0], refused=refused and held, at=found[1])

    return way


def _held(spec: Spec, column: int, value: Any) -> bool:
    if spec.container in ("pandas", "polars"):
        return spec.columns[column].dtype[spec.container].lower() in ("float64", "float32")
    return spec.container in ("float64", "float32", "list", "fortran", "strided", "read-only", "tuple")


def _dress(convert: Callable[[Any], Any], *kinds: str) -> Callable[..., NewRows]:
    """Return a way in which a column's values are of another type."""

    def way(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
        def dressed(column: Column, _: int) -> Column:
            kept = [None if value is None else convert(value) for value in column.values]
            return replace(column, kind="mixed", values=tuple(kept))

        found = _change(rng, spec, dressed, *kinds)
        if found is None:
            return NewRows("like those fitted", spec)
        return NewRows(name, found[0], plain=spec, drifted=(found[1],))

    return way


def _dtype(**dtypes: str) -> Callable[..., NewRows]:
    """Return a way in which all columns of some kinds have another dtype."""

    def way(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
        columns = [
            replace(c, dtype={"pandas": dtypes[f"pandas_{c.kind}"], "polars": dtypes[f"polars_{c.kind}"]})
            if f"pandas_{c.kind}" in dtypes
            else c
            for c in spec.columns
        ]
        changed = tuple(i for i, c in enumerate(spec.columns) if f"pandas_{c.kind}" in dtypes)
        return NewRows(name, replace(spec, columns=tuple(columns)), plain=spec, drifted=changed)

    return way


def _rows(n_rows: int) -> Callable[..., NewRows]:
    def way(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
        return NewRows(name, spec.take([0] * n_rows), refused=n_rows == 0)

    return way


def _all_gaps(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    columns = tuple(c.with_values([None, *c.values[1:]]) for c in spec.columns)
    return NewRows(name, replace(spec, columns=columns))


def _no_values(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    return NewRows(name, replace(spec, columns=tuple(c.with_values([None] * spec.n_rows) for c in spec.columns)))


def _permuted(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    told_apart = spec.is_frame and all(isinstance(c.name, str) for c in spec.columns)
    turned = spec.columns[::-1]
    return NewRows(name, replace(spec, columns=turned), refused=told_apart and len(turned) > 1)


def _missing(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    if len(spec.columns) < 2:
        return NewRows("like those fitted", spec)
    return NewRows(name, replace(spec, columns=spec.columns[:-1]), refused=True)


def _extra(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    more = replace(spec.columns[-1], name="one more" if isinstance(spec.columns[-1].name, str) else 99)
    return NewRows(name, replace(spec, columns=(*spec.columns, more)), refused=True)


def _renamed(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    told_apart = spec.is_frame and all(isinstance(c.name, str) for c in spec.columns)
    columns = (replace(spec.columns[0], name="another"), *spec.columns[1:])
    return NewRows(name, replace(spec, columns=columns), refused=told_apart)


def _changed_text(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    return replace(_dress(lambda value: f" {value} ", "text")(rng, name, spec), plain=None)


def _container(rng: np.random.Generator, name: str, spec: Spec) -> NewRows:
    others = ("pandas", "polars", "float64", "float32", "list", "object", "masked")
    columns = spec.columns
    container = pick(rng, [other for other in others if other != spec.container])
    if not spec.is_frame:
        columns = tuple(
            replace(c, name=f"x{i}", kind="number", dtype={"pandas": "float64", "polars": "Float64"})
            for i, c in enumerate(columns)
        )
        columns = tuple(c.with_values([None if v is None else float(v) for v in c.values]) for c in columns)
    return NewRows(name, replace(spec, columns=columns, container=container))


_NUMBERS = ("number", "integer")

#: How new rows are unlike those fitted.
WAYS: dict[str, Callable[..., NewRows]] = {
    "one row": _rows(1),
    "many rows": _rows(70),
    "no rows": _rows(0),
    "a row of gaps": _all_gaps,
    "nothing but gaps": _no_values,
    "infinity": _value(np.inf, *_NUMBERS, refused=True),
    "minus infinity": _value(-np.inf, *_NUMBERS, refused=True),
    "the largest float": _value(np.finfo(np.float64).max, *_NUMBERS),
    "1e160": _value(1e160, *_NUMBERS),
    "1e30": _value(1e30, *_NUMBERS),
    "-1e12": _value(-1e12, *_NUMBERS),
    "the largest float32": _value(float(np.finfo(np.float32).max), *_NUMBERS),
    "subnormal": _value(5e-324, *_NUMBERS),
    "a large integer": _value(2**53 + 1, "integer"),
    "an integer beyond int64": _value(2**70, "integer"),
    "a fraction among integers": _value(2.5, "integer"),
    "negative": _value(-3, *_NUMBERS),
    "an unseen level": _value("never seen", "text"),
    "a number among text": _value(3, "text"),
    "text among numbers": _value("3", *_NUMBERS),
    "a list in a cell": _value([1, 2], *_NUMBERS, "text"),
    "text of numbers": _dress(str, *_NUMBERS),
    "floats of integers": _dress(float, "integer"),
    "text of booleans": _dress(str, "boolean"),
    "numbers of booleans": _dress(int, "boolean"),
    "bytes of text": _dress(lambda value: str(value).encode(), "text"),
    "spaces around text": _changed_text,
    "float32": _dtype(pandas_number="float32", polars_number="Float32"),
    "nullable dtypes": _dtype(
        pandas_number="Float64",
        polars_number="Float64",
        pandas_integer="Int64",
        polars_integer="Int64",
        pandas_boolean="boolean",
        polars_boolean="Boolean",
        pandas_text="string",
        polars_text="String",
    ),
    "categories": _dtype(
        pandas_text="category", polars_text="Categorical", pandas_integer="category", polars_integer="Int64"
    ),
    "objects": _dtype(
        pandas_number="object",
        polars_number="Object",
        pandas_integer="object",
        polars_integer="Object",
        pandas_boolean="object",
        polars_boolean="Boolean",
        pandas_text="object",
        polars_text="String",
    ),
    "decimals": _dtype(pandas_number="decimal object", polars_number="Decimal"),
    "integers of another width": _dtype(pandas_integer="int8", polars_integer="Int8"),
    "permuted columns": _permuted,
    "a column missing": _missing,
    "a column too many": _extra,
    "a column renamed": _renamed,
    "another container": _container,
}
