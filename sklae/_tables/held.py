"""Which numbers a dtype holds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from sklae._tables.frames import float_bits

__all__ = ["integer_range", "nearest_floats", "nearest_integers"]


def nearest_integers(values: np.ndarray, dtype: Any) -> list[Any]:
    """Return the nearest integers that the dtype holds, None for gaps."""
    low, high = integer_range(dtype)
    rounded = np.clip(np.rint(values.astype(np.float64)), float(low), float(high))
    # the largest integers are no floats: their neighbour above would not fit
    return [None if value != value else min(int(value), high) for value in rounded.tolist()]


def nearest_floats(values: np.ndarray, dtype: Any) -> list[Any]:
    """Return the nearest finite floats that the dtype holds, None for gaps."""
    most = float(np.finfo(_FLOATS.get(float_bits(dtype), np.float64)).max)
    return [None if value != value else value for value in np.clip(values, -most, most).tolist()]


_FLOATS: dict[int, Any] = {16: np.float16, 32: np.float32}


def integer_range(dtype: Any) -> tuple[int, int]:
    """Return the least and the largest integer of a dtype of NumPy, pandas, Arrow or narwhals, by its name."""
    unsigned, bits = re.match(r"(u?)int(\d+)", str(dtype).lower()).groups()  # type: ignore[union-attr]
    return (0, 2 ** int(bits) - 1) if unsigned else (-(2 ** (int(bits) - 1)), 2 ** (int(bits) - 1) - 1)
