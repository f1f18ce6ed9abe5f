"""Tables before they are built, and all containers that hold them."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

__all__ = ["ARRAYS", "FRAMES", "HELD", "INDEXES", "Column", "Spec", "pick"]

ARRAYS = (
    "float64",
    "float32",
    "fortran",
    "strided",
    "read-only",
    "big-endian",
    "float16",
    "int64",
    "uint8",
    "bool",
    "object",
    "masked",
    "list",
    "tuple",
)
FRAMES = ("pandas", "polars", "pyarrow")


def pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


@dataclass(frozen=True)
class Column:
    """A column: its values as plain Python's, None in gaps, and the dtype that a frame holds it in."""

    name: Any
    kind: str
    values: tuple[Any, ...]
    dtype: dict[str, str]
    levels: tuple[Any, ...] = ()

    def with_values(self, values: Sequence[Any]) -> Column:
        return replace(self, values=tuple(values))


@dataclass(frozen=True)
class Spec:
    """A table before it is built."""

    columns: tuple[Column, ...]
    container: str
    index: str = "range"

    @property
    def n_rows(self) -> int:
        return len(self.columns[0].values)

    @property
    def is_frame(self) -> bool:
        return self.container in FRAMES

    def take(self, rows: Sequence[int] | np.ndarray) -> Spec:
        return replace(self, columns=tuple(c.with_values([c.values[i] for i in rows]) for c in self.columns))

    def build(self) -> Any:
        return BUILDERS.get(self.container, _build_array)(self)

    def numbers(self) -> np.ndarray:
        """Return the table as floats, NaN in gaps and for what is no number."""
        return np.array([[_float(value) for value in column.values] for column in self.columns]).T


def _float(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float | decimal.Decimal) else np.nan
    except OverflowError:
        return np.inf


# -- containers ---------------------------------------------------------------------------------------------


def _build_array(spec: Spec) -> Any:
    if not any(isinstance(value, str | bytes) for column in spec.columns for value in column.values):
        table = spec.numbers()
    else:  # text in an array of numbers: hostile rows
        table = np.array([column.values for column in spec.columns], dtype=object).T
        return table.tolist() if spec.container in ("list", "tuple") else table
    builders: dict[str, Callable[[], Any]] = {
        "float32": lambda: table.astype(np.float32),
        "float16": lambda: table.astype(np.float16),
        "fortran": lambda: np.asfortranarray(table),
        "strided": lambda: np.repeat(np.repeat(table, 2, axis=0), 2, axis=1)[::2, ::2],
        "big-endian": lambda: table.astype(">f8"),
        "int64": lambda: _as_integers(table, np.int64),
        "uint8": lambda: _as_integers(table, np.uint8),
        "bool": lambda: table > 0,
        "object": lambda: np.array([column.values for column in spec.columns], dtype=object).T,
        "masked": lambda: np.ma.masked_array(np.nan_to_num(table, nan=-999.0, posinf=np.inf), np.isnan(table)),
        "list": table.tolist,
        "tuple": lambda: tuple(map(tuple, table.tolist())),
    }
    with np.errstate(over="ignore"):
        built = builders.get(spec.container, lambda: table)()
    if spec.container == "read-only":
        built.flags.writeable = False
    return built


def _as_integers(table: np.ndarray, dtype: Any) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.clip(np.nan_to_num(table), max(limits.min, -(2.0**62)), min(limits.max, 2.0**62)).astype(dtype)


INDEXES: dict[str, Callable[[int], Any]] = {
    "text": lambda n: [f"row {i}" for i in range(n)],
    "duplicates": lambda n: [0] * n,
    "reversed": lambda n: np.arange(n)[::-1],
    "dates": lambda n: pd.date_range("2020", periods=n),
    "levels": lambda n: pd.MultiIndex.from_product([["a"], range(n)]),
}


def _build_pandas(spec: Spec) -> pd.DataFrame:
    index = INDEXES.get(spec.index, pd.RangeIndex)(spec.n_rows)
    arrays = [_pandas_values(column) for column in spec.columns]  # a series would keep its own index
    series = [pd.Series(each.array if isinstance(each, pd.Series) else each, index=index) for each in arrays]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame(index=index)
    names = [column.name for column in spec.columns]
    frame.columns = pd.MultiIndex.from_tuples(names) if names and all(isinstance(n, tuple) for n in names) else names
    return frame


def _levels(column: Column) -> list[Any]:
    """Return levels of the column when it was drawn, and those that came later."""
    return [*dict.fromkeys(level for level in (*column.levels, *column.values) if level is not None)]


#: Dtypes that hold few integers, or none below zero: what they hold of those that are drawn.
HELD = {"int8": (-100, 100), "uint8": (0, 200), "UInt16": (0, 60_000), "Int8": (-100, 100), "UInt64": (0, 2**62)}


def _pandas_values(column: Column) -> Any:
    values, dtype = list(column.values), column.dtype["pandas"]
    gaps = any(value is None for value in values)
    if column.kind == "odd":
        return _odd_pandas(values, dtype)
    if column.kind == "mixed" and dtype == "category":
        return pd.Categorical(values)
    if dtype == "object" or column.kind == "mixed" or not _fits(values, column.kind):
        return pd.Series(values, dtype=object)
    if dtype == "decimal object":
        kept = [None if v is None or not abs(v) < np.inf else decimal.Decimal(repr(float(v))) for v in values]
        return pd.Series(kept, dtype=object)
    if dtype in ("category", "ordered"):
        return pd.Categorical(values, categories=[*_levels(column), "unused"], ordered=dtype == "ordered")
    if dtype in HELD and not all(v is None or HELD[dtype][0] <= v <= HELD[dtype][1] for v in values):
        return pd.Series(values, dtype=object)
    if dtype.lower().startswith("int64") and any(v is not None and abs(v) >= 2**63 for v in values):
        return pd.Series(values, dtype=object)
    if gaps and dtype in ("int64", "int8", "uint8", "bool"):
        dtype = "float64" if dtype != "bool" else "object"
    with np.errstate(over="ignore"):
        if column.kind in ("number", "integer") and "float" in dtype.lower():
            return pd.array(np.array([np.nan if v is None else v for v in values], dtype=np.float64)).astype(dtype)
    return pd.array(values, dtype=dtype)


def _fits(values: list[Any], kind: str) -> bool:
    """Whether values are of the kind that the column was drawn as: hostile rows may hold others."""
    types = {
        "number": (int, float),
        "integer": (int,),
        "boolean": (bool,),
        "text": (str,),
    }[kind]
    return all(v is None or (isinstance(v, types) and isinstance(v, bool) == (kind == "boolean")) for v in values)


def _odd_pandas(values: list[Any], dtype: str) -> Any:
    if dtype == "list":
        return pd.Series([None if v is None else [v] for v in values], dtype=object)
    if dtype == "bytes":
        return pd.Series([None if v is None else str(v).encode() for v in values], dtype=object)
    if dtype == "complex128":
        return np.array([np.nan if v is None else v + 1j for v in values])
    return pd.Series(values, dtype="float64").astype(dtype)


def _build_polars(spec: Spec) -> pl.DataFrame:
    return pl.DataFrame([_polars_series(column) for column in spec.columns])


def _polars_series(column: Column) -> pl.Series:
    values, dtype, name = list(column.values), column.dtype["polars"], str(column.name)
    if column.kind == "odd":
        return _odd_polars(name, values, dtype)
    if column.kind == "mixed" and all(value is None or isinstance(value, str) for value in values):
        dtype = "String"
    elif dtype == "Object" or column.kind == "mixed":
        return pl.Series(name, values, dtype=pl.Object)
    elif not _fits(values, column.kind):
        return pl.Series(name, values, strict=False)
    if dtype == "Enum":
        return pl.Series(name, values, dtype=pl.Enum([*_levels(column), "unused"]))
    if dtype == "Decimal":
        kept = [None if v is None or not abs(v) < 1e9 else decimal.Decimal(f"{v:.4f}") for v in values]
        return pl.Series(name, kept, dtype=pl.Decimal(20, 4))
    if dtype in HELD and not all(v is None or HELD[dtype][0] <= v <= HELD[dtype][1] for v in values):
        dtype = "Float64"
    return pl.Series(name, values, dtype=getattr(pl, dtype), strict=False)


def _odd_polars(name: str, values: list[Any], dtype: str) -> pl.Series:
    day = datetime.date(2020, 1, 1)
    makers: dict[str, Callable[[Any], Any]] = {
        "Date": lambda v: day + datetime.timedelta(v),
        "Duration": lambda v: datetime.timedelta(v),
        "List": lambda v: [v],
        "Binary": lambda v: str(v).encode(),
        "Null": lambda v: None,
    }
    made = [None if v is None else makers[dtype](v) for v in values]
    return pl.Series(name, made, dtype=pl.List(pl.Int64) if dtype == "List" else getattr(pl, dtype))


def _build_pyarrow(spec: Spec) -> pa.Table:
    return _build_polars(replace(spec, columns=tuple(_plain(column) for column in spec.columns))).to_arrow()


def _plain(column: Column) -> Column:
    kind = {"number": "Float64", "integer": "Int64", "boolean": "Boolean", "text": "String", "odd": "Date"}
    if column.kind == "mixed":
        return replace(
            column,
            kind="text",
            values=tuple(None if v is None else str(v) for v in column.values),
            dtype={"polars": "String"},
        )
    return replace(column, dtype={**column.dtype, "polars": kind[column.kind]})


BUILDERS: dict[str, Callable[[Spec], Any]] = {
    "pandas": _build_pandas,
    "polars": _build_polars,
    "pyarrow": _build_pyarrow,
}
