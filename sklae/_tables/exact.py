"""Tables taken apart into arrays of numbers and text, and put together again with the same dtypes."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from sklae._tables.cell_keys import cell_of, key_of
from sklae._tables.frames import refuse_odd_frames
from sklae._tables.schema import dtype_of_plain, plain_dtype

__all__ = ["Parts", "put_together", "take_apart"]

_TEMPORAL = (nw.Datetime, nw.Duration, nw.Date, nw.Time)
_N_TRIED = 20


@dataclass(frozen=True, eq=False)
class Parts:
    """A table as one-dimensional arrays.

    Attributes
    ----------
    schema : dict
        Plain values: the library, and of each column its name, dtype, and ``"kind"``: "float", "integer", "nominal"
        (codes of levels), "exact" (integers that no error is allowed in: times, booleans) or "cells" (keys of cells).
    values : list of ndarray
        One a column, of native numbers; of keys for "cells".
    missing : list of (ndarray of bool or None)
        Where a column has no value, apart from NaN; None: it has one everywhere.
    """

    schema: dict[str, Any]
    values: list[np.ndarray]
    missing: list[np.ndarray | None]

    def __len__(self) -> int:
        return len(self.values[0]) if self.values else 0

    @property
    def names(self) -> list[str]:
        """Names of the columns as text; positions, for arrays."""
        return [str(column["name"]) for column in self.schema["columns"]]

    def rows(self, part: slice | np.ndarray) -> Parts:
        """Return some of the rows."""
        missing = [None if each is None else each[part] for each in self.missing]
        return Parts(self.schema, [each[part] for each in self.values], missing)

    @classmethod
    def joined(cls, schema: dict[str, Any], every: Sequence[Parts]) -> Parts:
        """Return parts one below the other; of a table without rows where there are none."""
        kinds = [column["kind"] for column in schema["columns"]]
        if not every:
            empty = [np.empty(0, dtype=object if kind == "cells" else np.int64) for kind in kinds]
            return cls(schema, empty, [None] * len(kinds))
        values: list[np.ndarray] = []
        missing: list[np.ndarray | None] = []
        for i in range(len(kinds)):
            values.append(np.concatenate([each.values[i] for each in every]))
            gaps = [each.missing[i] for each in every]
            if all(each is None for each in gaps):
                missing.append(None)
                continue
            filled = [np.zeros(len(e), dtype=bool) if g is None else g for e, g in zip(every, gaps, strict=True)]
            missing.append(np.concatenate(filled))
        return cls(schema, values, missing)


def take_apart(X: Any) -> Parts:
    """Return the parts of an array, or of a frame of pandas, polars or pyarrow. The index of rows is no part.

    Raises
    ------
    ValueError, TypeError
        For what could not be put together again as it is.
    """
    if type(X).__module__.partition(".")[0] == "pyarrow":
        refuse_twice(X.column_names)
        parts = _of_arrow(X)
    elif hasattr(X, "columns"):
        refuse_odd_frames(X)
        parts = _of_pandas(X) if type(X).__module__.startswith("pandas") else _of_polars(X)
    else:
        return _of_array(X)
    few = parts.rows(slice(0, _N_TRIED))
    again = _TAKERS[parts.schema["library"]](put_together(few)).schema
    own = parts.schema["columns"]
    odd = [one["name"] for one, other in zip(own, again["columns"], strict=True) if one != other or not _is_plain(one)]
    if odd:
        raise ValueError(
            f"Got column {odd[0]!r} of a dtype that can't be made again from plain values; expected numbers, text, "
            "categories, dates or times. Cast it first."
        )
    return parts


def put_together(parts: Parts) -> Any:
    """Return the table."""
    return _MAKERS[parts.schema["library"]](parts)


def refuse_twice(names: Sequence[str]) -> None:
    """Refuse columns that can't be told apart."""
    if len(set(names)) < len(names):
        raise ValueError("Got column names that occur twice; expected unique names. Rename the duplicates.")


def _keys(cells: Sequence[Any], name: Any) -> np.ndarray:
    keys = np.empty(len(cells), dtype=object)
    known: dict[tuple[type, Any], str | None] = {}
    for i, cell in enumerate(cells):
        try:
            key = known.get((type(cell), cell)) if type(cell) is str else None
            if key is None:
                key = known[type(cell), cell] = key_of(cell)
        except TypeError:  # what has no hash
            key = None
        if key is None:
            raise ValueError(
                f"Got a {type(cell).__name__} in column {name!r}; expected numbers, text, booleans, dates, or gaps. "
                "Make text of it first."
            )
        keys[i] = key
    return keys


def _cells(keys: np.ndarray) -> list[Any]:
    known: dict[str, Any] = {}
    return [known[key] if key in known else known.setdefault(key, cell_of(key)) for key in keys]


def _kind_of(dtype: np.dtype) -> str:
    return {"f": "float", "i": "integer", "u": "integer"}.get(dtype.kind, "exact")


def _native(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


# -- arrays ---------------------------------------------------------------------------------------------------


def _of_array(X: Any) -> Parts:
    if hasattr(X, "toarray"):
        raise TypeError(
            f"Got a {type(X).__name__}, sparse data; expected an array or a frame. Call its toarray() first."
        )
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError("Got a MaskedArray; expected an array or a frame. Call its filled() first.")
    table = np.asarray(X)
    if table.dtype.kind == "c":
        raise ValueError(
            "Complex data not supported; expected numbers of at most 64 bits. Split real and imaginary parts."
        )
    if table.ndim != 2:
        raise ValueError(
            f"Got an array of shape {table.shape}; expected 2D array, (n_rows, n_columns). Reshape your data: "
            "of images call reshape(len(X), -1)."
        )
    if not table.shape[1]:
        raise ValueError(f"Got 0 feature(s) (shape={table.shape}) while a minimum of 1 is required.")
    if table.dtype.kind not in "biufOUmM" or (table.dtype.itemsize > 8 and table.dtype.kind == "f"):
        raise ValueError(f"Got an array of dtype {table.dtype}; expected numbers of at most 64 bits, or objects.")
    of_cells = table.dtype.kind in "OU"
    kind = "cells" if of_cells else _kind_of(table.dtype)
    columns = [{"name": i, "kind": kind} for i in range(table.shape[1])]
    schema = {"library": "numpy", "dtype": "O" if table.dtype.kind == "O" else table.dtype.str, "columns": columns}
    if of_cells:
        values = [_keys(table[:, i].tolist(), i) for i in range(table.shape[1])]
    elif table.dtype.kind in "mM":
        values = [_native(table[:, i]).view(np.int64) for i in range(table.shape[1])]
    else:
        values = [_native(table[:, i]) for i in range(table.shape[1])]
    return Parts(schema, values, [None] * table.shape[1])


def _array_of(parts: Parts) -> np.ndarray:
    dtype = np.dtype(parts.schema["dtype"])
    out = np.empty((len(parts), len(parts.values)), dtype=dtype)
    for i, values in enumerate(parts.values):
        if parts.schema["columns"][i]["kind"] == "cells":
            out[:, i] = _cells(values)
        else:
            out[:, i] = values.view(dtype.newbyteorder("=")) if dtype.kind in "mM" else values
    return out


def _is_plain(column: dict[str, Any]) -> bool:
    """Whether JSON says what a column is."""
    try:
        json.dumps(column)
    except TypeError:
        return False
    return True


# -- pandas ---------------------------------------------------------------------------------------------------


def _of_pandas(X: Any) -> Parts:
    if X.columns.nlevels != 1:
        raise ValueError("Got columns with names of several levels; expected one. Join them into one text each.")
    columns, every, gaps = [], [], []
    for place in range(X.shape[1]):
        series, name = X.iloc[:, place], X.columns[place]
        dtype, missing = series.dtype, None
        if isinstance(dtype, np.dtype) and dtype.kind in "biufmM" and dtype.itemsize <= 8:
            kind, values = _kind_of(dtype), _native(series.to_numpy())
            values = values.view(np.int64) if dtype.kind in "mM" else values
        elif hasattr(dtype, "tz"):
            kind, values = "exact", np.asarray(series.array.view("i8"))
        elif hasattr(dtype, "categories"):
            kind, values = "nominal", series.cat.codes.to_numpy().astype(np.int64)
            missing = values < 0
        elif getattr(dtype, "kind", "O") in "biuf" and hasattr(dtype, "numpy_dtype"):
            kind, missing = _kind_of(np.dtype(dtype.numpy_dtype)), series.isna().to_numpy(dtype=bool)
            values = series.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        else:
            kind, values = "cells", _keys(series.astype(object).tolist(), name)
        columns.append({"name": name, "kind": kind, "dtype": plain_dtype(dtype)})
        every.append(values)
        gaps.append(missing if missing is not None and missing.any() else None)
    names = [_keys([column["name"]], "names")[0] for column in columns]
    for column in columns:
        column["name"] = str(column["name"])
    schema = {
        "library": "pandas", "columns": columns, "names": names, "of": X.columns.name,
        "names_dtype": plain_dtype(X.columns.dtype),
    }  # fmt: skip
    return Parts(schema, every, gaps)


def _pandas_of(parts: Parts) -> Any:
    import pandas as pd

    series = []
    for column, values, missing in zip(parts.schema["columns"], parts.values, parts.missing, strict=True):
        dtype = dtype_of_plain(column["dtype"])
        if column["kind"] == "cells":
            made = pd.Series(pd.array(_cells(values), dtype=object) if len(values) else [], dtype=object)
            made = made.astype(dtype)
        elif column["kind"] == "nominal":
            codes = values if missing is None else np.where(missing, -1, values)
            made = pd.Series(pd.Categorical.from_codes(codes, dtype=dtype))
        elif hasattr(dtype, "tz"):
            naive = pd.Series(values.view(f"M8[{dtype.unit}]"))
            made = naive.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
        elif isinstance(dtype, np.dtype):
            made = pd.Series(values.view(dtype.newbyteorder("=")) if dtype.kind in "mM" else values.astype(dtype))
        else:
            made = pd.Series(values).astype(dtype)
            if missing is not None:
                made[missing] = pd.NA
        series.append(made)
    frame = pd.DataFrame(dict(enumerate(series)), index=pd.RangeIndex(len(parts)))
    names = [cell_of(key) for key in parts.schema["names"]]
    frame.columns = pd.Index(names, name=parts.schema["of"], dtype=dtype_of_plain(parts.schema["names_dtype"]))
    return frame


# -- polars and pyarrow ---------------------------------------------------------------------------------------


def _column_of(series: Any, kind: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return values and gaps of a column of narwhals."""
    if kind == "cells":
        return _keys(series.to_list(), series.name), None
    missing = series.is_null().to_numpy()
    if any(series.dtype == one for one in _TEMPORAL):
        native = series.to_native()
        if hasattr(native, "to_physical"):
            series = nw.from_native(native.to_physical(), series_only=True)
        else:
            wide = "32" in str(native.type)
            series = series.cast(nw.Int32()).cast(nw.Int64()) if wide else series.cast(nw.Int64())
    values = series.fill_null(False if series.dtype == nw.Boolean else 0).to_numpy()
    return _native(np.asarray(values)), missing if missing.any() else None


def _kind_of_series(series: Any) -> str:
    dtype = series.dtype
    if dtype.is_integer() and "128" not in str(dtype):
        return "integer"
    if dtype.is_float():
        return "float"
    return "exact" if any(dtype == one for one in (nw.Boolean, *_TEMPORAL)) else "cells"


def _of_narwhals(X: Any, library: str, **more: Any) -> Parts:
    frame = nw.from_native(X, eager_only=True)
    columns, every, gaps = [], [], []
    for name in frame.columns:
        series = frame.get_column(name)
        kind = _kind_of_series(series)
        values, missing = _column_of(series, kind)
        dtype = str(series.to_native().type) if library == "pyarrow" else plain_dtype(series.dtype)
        columns.append({"name": name, "kind": kind, "dtype": dtype})
        every.append(values)
        gaps.append(missing)
    return Parts({"library": library, "columns": columns, **more}, every, gaps)


def _of_polars(X: Any) -> Parts:
    return _of_narwhals(X, "polars")


def _polars_of(parts: Parts) -> Any:
    import polars as pl

    series = []
    for column, values, missing in zip(parts.schema["columns"], parts.values, parts.missing, strict=True):
        dtype = dtype_of_plain(column["dtype"])
        if column["kind"] == "cells":
            made = nw.new_series(column["name"], _cells(values), dtype, backend="polars").to_native()
        else:
            made = pl.Series(column["name"], values)
            if missing is not None:
                made = made.zip_with(pl.Series(~missing), pl.Series([None] * len(values), dtype=made.dtype))
            if dtype == nw.Date:  # which is of 32 bits
                made = made.cast(pl.Int32)
            made = nw.from_native(made, series_only=True).cast(dtype).to_native()
        series.append(made)
    return pl.DataFrame(series)


def _of_arrow(X: Any) -> Parts:
    return _of_narwhals(X, "pyarrow", arrow=base64.b64encode(X.schema.serialize().to_pybytes()).decode())


def _arrow_of(parts: Parts) -> Any:
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(parts.schema["arrow"])))
    arrays = []
    for i, (values, missing) in enumerate(zip(parts.values, parts.missing, strict=True)):
        wanted = schema.field(i).type
        if parts.schema["columns"][i]["kind"] == "cells":
            plain = wanted.value_type if pa.types.is_dictionary(wanted) else wanted
            made = pa.array(_cells(values), type=plain)
        else:
            narrow = pa.types.is_date32(wanted) or pa.types.is_time32(wanted)
            made = pa.array(values.astype(np.int32) if narrow else values, mask=missing)
        arrays.append(made.cast(wanted))
    return pa.Table.from_arrays(arrays, schema=schema)


_TAKERS = {"pandas": _of_pandas, "polars": _of_polars, "pyarrow": _of_arrow}
_MAKERS = {"numpy": _array_of, "pandas": _pandas_of, "polars": _polars_of, "pyarrow": _arrow_of}
