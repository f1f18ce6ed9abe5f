"""What a fitted estimator keeps of a frame, its library, its columns' names and their dtypes, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np

from sklae._tables.frames import empty_like

__all__ = [
    "PlainContainer",
    "dtype_of_plain",
    "plain_dtype",
    "plain_timestamp",
    "timestamp_of_plain",
]

# The keys of plain values, by which they are told from what is kept as it is: a frame of another library, say.
_FRAME, _DTYPE = "frame of", "dtype of"
# narwhals' dtypes that are not made without arguments -> what these are.
_ARGUMENTS = {"Enum": ("categories",), "Datetime": ("time_unit", "time_zone"), "Duration": ("time_unit",)}


class PlainContainer:
    """Objects whose ``container``, a frame without rows or None, is plain values in their state."""

    container: Any

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "container": _plain_frame(self.container)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, container=_frame_of_plain(state["container"]))


def _plain_frame(frame: Any) -> Any:
    """Return a frame without rows as a dict of its library and names; others than these as they are."""
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas" and frame.columns.nlevels == 1:
        names: Any = frame.columns
        plain = {_FRAME: library, "names": names.tolist(), "of": names.name, "dtype": plain_dtype(names.dtype)}
    elif library == "polars":
        plain = {_FRAME: library, "names": list(frame.columns)}
    else:
        return frame
    same = _frame_of_plain(plain)
    return plain if type(same) is type(frame) and same.equals(frame) else frame


def _frame_of_plain(plain: Any) -> Any:
    """Return the frame without rows that was made plain."""
    if not isinstance(plain, dict):
        return plain
    names = plain["names"]
    if plain[_FRAME] == "polars":
        import polars as pl

        return empty_like(pl.DataFrame(schema=dict.fromkeys(names, pl.Float64)))
    import pandas as pd

    columns = pd.Index(names, name=plain["of"], dtype=dtype_of_plain(plain["dtype"]))
    return empty_like(pd.DataFrame(np.empty((0, len(names))), columns=columns))


def plain_dtype(dtype: Any) -> Any:
    """Return a dtype of NumPy, pandas or narwhals as a dict of plain values; what can't be made again as it is."""
    plain = _plain_dtype(dtype)
    if plain is None:
        return dtype
    try:
        same = dtype_of_plain(plain) == dtype
    except (TypeError, ValueError):
        return dtype
    return plain if same else dtype


def _plain_dtype(dtype: Any) -> dict[str, Any] | None:
    if isinstance(dtype, np.dtype):
        return {_DTYPE: "numpy", "name": dtype.str}
    kind = type(dtype)
    name, library = kind.__name__, kind.__module__.partition(".")[0]
    if library == "narwhals":
        arguments = [_listed(getattr(dtype, key)) for key in _ARGUMENTS.get(name, ())]
        return {_DTYPE: library, "name": name, "with": arguments}
    if library != "pandas":
        return None
    if name == "ArrowDtype":
        return {_DTYPE: "arrow", "name": str(dtype.pyarrow_dtype)}
    if name == "CategoricalDtype":
        index = dtype.categories
        levels, of = (None, None) if index is None else (index.tolist(), plain_dtype(index.dtype))
        return {_DTYPE: "categories", "levels": levels, "of": of, "ordered": dtype.ordered}
    return {_DTYPE: library, "name": str(dtype)}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def dtype_of_plain(plain: Any) -> Any:
    """Return the dtype that was made plain."""
    if not isinstance(plain, dict):
        return plain
    library = plain[_DTYPE]
    if library == "numpy":
        return np.dtype(plain["name"])
    if library == "narwhals":
        kind = getattr(nw, plain["name"])
        return kind(*plain["with"]) if plain["with"] else kind()
    import pandas as pd

    if library == "categories":
        levels = plain["levels"]
        index = None if levels is None else pd.Index(levels, dtype=dtype_of_plain(plain["of"]))
        return pd.CategoricalDtype(index, plain["ordered"])
    if library == "arrow":
        import pyarrow

        return pd.ArrowDtype(pyarrow.type_for_alias(plain["name"]))
    return pd.api.types.pandas_dtype(plain["name"])


def plain_timestamp(value: Any) -> list[Any] | None:
    """Return a Timestamp of pandas as its nanoseconds, unit and time zone; None for anything else."""
    if type(value).__name__ != "Timestamp" or not type(value).__module__.startswith("pandas"):
        return None
    plain = [value.value, value.unit, None if value.tzinfo is None else str(value.tzinfo)]
    try:
        return plain if timestamp_of_plain(*plain) == value else None
    except (KeyError, ValueError):  # a time zone of the user's own
        return None


def timestamp_of_plain(nanoseconds: int, unit: str, time_zone: str | None) -> Any:
    """Return the Timestamp of pandas that was made plain."""
    import pandas as pd

    return pd.Timestamp(nanoseconds, tz=time_zone).as_unit(unit)
