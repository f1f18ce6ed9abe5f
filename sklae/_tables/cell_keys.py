"""Cells of any type as text, and back, bit for bit."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["cell_of", "key_of"]

#: Type -> the letter that its keys begin with, and how a cell becomes text.
_WRITE: dict[type, tuple[str, Callable[[Any], str]]] = {
    str: ("s", str),
    bool: ("b", lambda cell: "1" if cell else ""),
    int: ("i", str),
    float: ("f", lambda cell: "nan" if math.isnan(cell) else cell.hex()),
    bytes: ("y", bytes.hex),
    decimal.Decimal: ("D", str),
    datetime.date: ("d", datetime.date.isoformat),
    datetime.time: ("h", datetime.time.isoformat),
    datetime.datetime: ("t", datetime.datetime.isoformat),
    datetime.timedelta: ("e", lambda cell: f"{cell.days},{cell.seconds},{cell.microseconds}"),
    np.str_: ("u", str),
    type(None): ("0", lambda cell: ""),
}


def _read_scalar(text: str) -> Any:
    dtype, _, content = text.partition(":")
    return np.frombuffer(bytes.fromhex(content), dtype=np.dtype(dtype))[0]


def _missing_of_pandas(name: str) -> Any:
    import pandas as pd

    return {"NA": pd.NA, "NaT": pd.NaT}[name]


_READ: dict[str, Callable[[str], Any]] = {
    "s": str,
    "b": bool,
    "i": int,
    "f": lambda text: math.nan if text == "nan" else float.fromhex(text),
    "y": bytes.fromhex,
    "D": decimal.Decimal,
    "d": datetime.date.fromisoformat,
    "h": datetime.time.fromisoformat,
    "t": datetime.datetime.fromisoformat,
    "e": lambda text: datetime.timedelta(*map(int, text.split(","))),
    "u": np.str_,
    "0": lambda text: None,
    "n": _read_scalar,
    "m": _missing_of_pandas,
}
_MISSING = {"NAType": "mNA", "NaTType": "mNaT"}


def key_of(cell: Any) -> str | None:
    """Return a cell as text that says its type too; None for what has no such text."""
    write = _WRITE.get(type(cell))
    if write is not None:
        if getattr(cell, "tzinfo", None) is not None:  # whose zone isoformat does not keep
            return None
        return write[0] + write[1](cell)
    if isinstance(cell, np.generic) and cell.dtype.kind in "biufmM":
        return f"n{cell.dtype.str}:{cell.tobytes().hex()}"
    return _MISSING.get(type(cell).__name__)


def cell_of(key: str) -> Any:
    """Return the cell that became a key."""
    return _READ[key[0]](key[1:])
