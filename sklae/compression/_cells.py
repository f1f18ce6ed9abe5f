"""Cells of a column as integers, each checked to come back as promised; those that don't are kept as they are."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae.compression._known import Range, Series
from sklae.compression._numbers import FORMS, Form, fit_form

__all__ = ["KeyCells", "NumberCells", "cells_of_plain", "fit_cells"]

_FARTHEST = 2**61
# Texts that occur less often are written as they are.
_LEAST_COUNT = 2


@dataclass(frozen=True, eq=False)
class NumberCells:
    """A column of numbers.

    Attributes
    ----------
    dtype : str
    bound : float
    form : Form
    range : Range
    """

    dtype: str
    bound: float
    form: Form
    range: Range

    def encode(self, values: np.ndarray, missing: np.ndarray | None, center: np.ndarray | None = None) -> Series:
        """Return numbers as integers, of what they are more than a center's where there is one."""
        status = np.full(len(values), Series.PRESENT, dtype=np.uint8)
        is_float = values.dtype.kind == "f"
        usable = np.isfinite(values) if is_float else np.abs(values.astype(np.float64)) < _FARTHEST
        there = np.where(usable, values, np.zeros((), dtype=values.dtype))
        ints = self.form.to_ints(there if center is None else there - center)
        usable &= (ints >= self.range.low) & (ints <= self.range.high)
        ints = np.where(usable, ints, 0)
        usable &= self._is_kept(values, self.decode(ints, center))
        status[~usable] = Series.ESCAPED
        if is_float:
            is_nan = _as_bits(values) == _as_bits(np.full(1, np.nan, dtype=values.dtype))
            status[is_nan] = Series.NAN
        if missing is not None:
            status[missing] = Series.GAP
        return Series(np.where(status == Series.PRESENT, ints, 0), status)

    def decode(self, ints: np.ndarray, center: np.ndarray | None = None) -> np.ndarray:
        """Return integers as numbers."""
        found, dtype = self.form.from_ints(ints), np.dtype(self.dtype)
        if center is not None:
            found = found + center
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            found = np.clip(found, max(bounds.min, -_FARTHEST), min(bounds.max, _FARTHEST))
            found = np.rint(found) if found.dtype.kind == "f" else found
        with np.errstate(over="ignore"):
            return found.astype(dtype)

    def restore(
        self, series: Series, apart: bytes, center: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return numbers and gaps, with those that were kept apart."""
        values = self.decode(series.values, center)
        values[series.status != Series.PRESENT] = np.zeros((), dtype=values.dtype)
        if values.dtype.kind == "f":
            values[series.status == Series.NAN] = np.nan
        values[series.status == Series.ESCAPED] = np.frombuffer(apart, dtype=values.dtype)
        missing = series.status == Series.GAP
        return values, missing if missing.any() else None

    def apart(self, values: np.ndarray, series: Series) -> bytes:
        """Return the cells that are kept as they are."""
        return values[series.status == Series.ESCAPED].tobytes()

    def _is_kept(self, values: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return which numbers come back as promised."""
        if self.bound == 0.0:
            return _as_bits(values) == _as_bits(back)
        if values.dtype.kind == "f":
            with np.errstate(invalid="ignore", over="ignore"):
                return np.abs(values.astype(np.float64) - back.astype(np.float64)) <= self.bound
        apart = np.where(values > back, values.astype(np.int64) - back, back.astype(np.int64) - values)
        return apart <= self.bound

    def is_kept(self, values: np.ndarray, missing: np.ndarray | None, back: Any, gone: np.ndarray | None) -> bool:
        """Return whether a whole column came back as promised."""
        no = np.zeros(len(values), dtype=bool)
        there, left = no if missing is None else missing, no if gone is None else gone
        fine = (_as_bits(values) == _as_bits(back)) | self._is_kept(values, back) | there
        return bool(fine.all() and (there == left).all())

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        bound = "inf" if self.bound == math.inf else self.bound
        return {"dtype": self.dtype, "bound": bound, "range": list(self.range), **self.form.plain()}


@dataclass(frozen=True, eq=False)
class KeyCells:
    """A column of any cells, by their keys.

    Attributes
    ----------
    levels : list of str
        Keys, the most frequent first.
    """

    levels: list[str]

    @property
    def range(self) -> Range:
        return Range(0, max(len(self.levels) - 1, 0), 0, False)

    def encode(self, values: np.ndarray, missing: np.ndarray | None, center: None = None) -> Series:
        """Return keys as the numbers of their levels."""
        place = {level: i for i, level in enumerate(self.levels)}
        ints = np.array([place.get(key, -1) for key in values.tolist()], dtype=np.int64)
        status = np.where(ints < 0, Series.ESCAPED, Series.PRESENT).astype(np.uint8)
        return Series(np.maximum(ints, 0), status)

    def restore(self, series: Series, apart: bytes, center: None = None) -> tuple[np.ndarray, None]:
        """Return keys, with those that were kept apart."""
        out = np.empty(len(series.values), dtype=object)
        is_present = series.is_present
        if self.levels:
            out[is_present] = np.array(self.levels, dtype=object)[series.values[is_present]]
        if not is_present.all():
            out[~is_present] = json.loads(apart)
        return out, None

    def apart(self, values: np.ndarray, series: Series) -> bytes:
        """Return the cells that are kept as they are."""
        kept = values[~series.is_present].tolist()
        return json.dumps(kept, separators=(",", ":")).encode() if kept else b""

    def is_kept(self, values: np.ndarray, missing: np.ndarray | None, back: Any, gone: np.ndarray | None) -> bool:
        """Return whether a whole column came back."""
        return bool((values == back).all())

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return {"form": "keys", "levels": self.levels}


def cells_of_plain(plain: dict[str, Any]) -> NumberCells | KeyCells:
    """Return the cells that were made plain."""
    plain = dict(plain)
    name = plain.pop("form")
    if name == "keys":
        return KeyCells(plain["levels"])
    dtype, bound, of_range = plain.pop("dtype"), float(plain.pop("bound")), Range(*plain.pop("range"))
    return NumberCells(dtype, bound, FORMS[name](**plain), of_range)


def fit_cells(kind: str, values: np.ndarray, missing: np.ndarray | None, bound: float) -> NumberCells | KeyCells:
    """Return the cells of a column of `sklae._tables.exact.Parts`."""
    if kind == "cells":
        counts = sorted(Counter(values.tolist()).items(), key=lambda each: (-each[1], each[0]))
        return KeyCells([key for key, count in counts if count >= _LEAST_COUNT])
    there = values if missing is None else values[~missing]
    there = (
        there[np.isfinite(there)] if there.dtype.kind == "f" else there[np.abs(there.astype(np.float64)) < _FARTHEST]
    )
    is_exact = kind not in ("float", "integer") or not len(there)
    form = fit_form(there, bound, is_exact=is_exact)
    ints = form.to_ints(there)
    if not len(ints):
        ints = np.zeros(1, dtype=np.int64)
    low, high = int(ints.min()), int(ints.max())
    is_number = kind != "nominal"
    if is_number and form.name != "values":  # room for rows that are not here
        room = (high - low) // 2 + (high > low)
        low, high = max(low - room, -_FARTHEST), min(high + room, _FARTHEST)
    typical = int(np.median(ints))
    return NumberCells(
        values.dtype.str.lstrip("=|<>"), 0.0 if is_exact else bound, form, Range(low, high, typical, is_number)
    )


def _as_bits(values: np.ndarray) -> np.ndarray:
    return values.view(f"u{values.dtype.itemsize}")
