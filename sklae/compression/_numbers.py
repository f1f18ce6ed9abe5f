"""Numbers as integers: steps of a grid, decimals, bits of floats, or ranks among the values that occur."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

__all__ = ["FORMS", "Form", "fit_form"]

# Integers of a form stay below it, so that sums of a few of them are integers of 64 bits.
_FARTHEST = 2**61
_MOST_DECIMALS = 12
# Shares of values that a form has to hold, without loss and within a bound; the others are written as they are.
_ENOUGH, _ENOUGH_BOUNDED = 0.98, 0.9995
_MOST_VALUES = 4096
# Bits of a value in a model, about.
_VALUE = 14.0


class Form(Protocol):
    """A way to write numbers as integers."""

    name: ClassVar[str]

    def to_ints(self, values: np.ndarray) -> np.ndarray:
        """Return integers for finite numbers; which of them come back right is for others to check."""
        ...

    def from_ints(self, ints: np.ndarray) -> np.ndarray:
        """Return the numbers, of 64 bits."""
        ...

    def plain(self) -> dict[str, Any]:
        """Return what `FORMS` makes it of again."""
        ...


class _Plain:
    name: ClassVar[str]

    def plain(self) -> dict[str, Any]:
        return {"form": self.name, **vars(self)}


@dataclass(frozen=True)
class Lattice(_Plain):
    """Multiples of a unit of so many decimals, the nearest of every ``width`` of them.

    Attributes
    ----------
    decimals, unit, width, base : int
        Integer i stands for ``(base + unit * (width * i + width // 2)) / 10**decimals``.
    """

    name: ClassVar[str] = "lattice"
    decimals: int
    unit: int
    width: int
    base: int

    def to_ints(self, values: np.ndarray) -> np.ndarray:
        return (_scaled(values, self.decimals) - self.base) // self.unit // self.width

    def from_ints(self, ints: np.ndarray) -> np.ndarray:
        units = self.base + self.unit * (self.width * ints + self.width // 2)
        return units / 10.0**self.decimals if self.decimals else units


@dataclass(frozen=True)
class Grid(_Plain):
    """Steps from an origin."""

    name: ClassVar[str] = "grid"
    origin: float
    step: float

    def to_ints(self, values: np.ndarray) -> np.ndarray:
        steps = (values.astype(np.float64) - self.origin) / self.step
        return np.rint(np.clip(steps, -_FARTHEST, _FARTHEST)).astype(np.int64)

    def from_ints(self, ints: np.ndarray) -> np.ndarray:
        return self.origin + ints * self.step


@dataclass(frozen=True)
class Bits(_Plain):
    """The bits of floats, in the order of the numbers; those between 0 and the least one are left out.

    Attributes
    ----------
    least : int
        Bits of the least number that is not 0, without its sign.
    """

    name: ClassVar[str] = "bits"
    least: int

    def to_ints(self, values: np.ndarray) -> np.ndarray:
        magnitude = np.abs(values.astype(np.float64)).view(np.int64)
        there = np.where(magnitude < self.least, 0, magnitude - self.least + 1)
        return np.where(values < 0, -there, there)

    def from_ints(self, ints: np.ndarray) -> np.ndarray:
        magnitude = np.where(ints == 0, 0, np.abs(ints) + self.least - 1).view(np.float64)
        return np.where(ints < 0, -magnitude, magnitude)


@dataclass(frozen=True)
class Values(_Plain):
    """Ranks among the values that occur."""

    name: ClassVar[str] = "values"
    values: list[Any]

    def to_ints(self, values: np.ndarray) -> np.ndarray:
        return np.minimum(np.searchsorted(self._array(), values), len(self.values) - 1)

    def from_ints(self, ints: np.ndarray) -> np.ndarray:
        return self._array()[np.clip(ints, 0, len(self.values) - 1)]

    def _array(self) -> np.ndarray:
        return np.array(self.values, dtype=np.float64 if isinstance(self.values[0], float) else np.int64)


FORMS: dict[str, Any] = {form.name: form for form in (Lattice, Grid, Bits, Values)}


def _scaled(values: np.ndarray, decimals: int) -> np.ndarray:
    """Return numbers as integers, in units of their last decimal."""
    if values.dtype.kind in "iub":
        return values.astype(np.int64)
    with np.errstate(over="ignore"):
        scaled = values.astype(np.float64) * 10.0**decimals
    return np.rint(np.clip(scaled, -_FARTHEST, _FARTHEST)).astype(np.int64)


def fit_form(values: np.ndarray, bound: float, *, is_exact: bool) -> Form:
    """Return the form that holds numbers within a bound in the fewest bits.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Finite; floats of 32 or 64 bits, integers or booleans.
    bound : float
        Largest error; 0 for none.
    is_exact : bool
        Whether the numbers are codes, or times: errors make no sense.
    """
    if not len(values):
        return Lattice(0, 1, 1, 0)
    bound = 0.0 if is_exact else bound
    if bound == math.inf:
        bound = float(values.max()) - float(values.min())
    decimals = _decimals(values)
    lossless = _lossless(values, decimals, is_exact=is_exact)
    if bound <= 0.0:
        return lossless
    found = _bounded(values, bound, decimals)
    return found if found is not None else lossless


def _decimals(values: np.ndarray) -> int | None:
    """Return how many decimals numbers have, if so few that they are integers in units of the last."""
    if values.dtype.kind in "iub":
        return 0
    for decimals in range(_MOST_DECIMALS + 1):
        scaled = _scaled(values, decimals)
        is_same = (scaled / 10.0**decimals).astype(values.dtype) == values
        if (is_same & (np.abs(scaled) < 2**53)).mean() >= _ENOUGH:
            return decimals
    return None


def _unit(values: np.ndarray, decimals: int) -> tuple[int, int]:
    """Return the least value, in units of the last decimal, and what all differences are multiples of."""
    scaled = _scaled(values, decimals)
    if values.dtype.kind == "f":
        scaled = scaled[(scaled / 10.0**decimals).astype(values.dtype) == values]
    near = scaled[np.abs(scaled) < _FARTHEST // 4]
    if not len(near):
        return 0, 1
    least = int(near.min())
    return least, max(int(np.gcd.reduce(near - least)), 1)


def _lossless(values: np.ndarray, decimals: int | None, *, is_exact: bool) -> Form:
    if decimals is None:
        magnitudes = np.abs(values[values != 0].astype(np.float64))
        form: Form = Bits(int(magnitudes.min().view(np.int64)) if len(magnitudes) else 1)
    else:
        least, unit = _unit(values, decimals)
        form = Lattice(decimals, unit, 1, least)
    distinct, counts = np.unique(values, return_counts=True)
    if is_exact or not 1 < len(distinct) <= min(_MOST_VALUES, len(values) // 4):
        return form
    ints = form.to_ints(distinct)
    shares = counts / counts.sum()
    ranks = -(counts * np.log2(shares)).sum() + _VALUE * len(distinct)
    # if values fell anywhere between their neighbours
    gaps = np.diff(ints, append=ints[-1] + 1)
    direct = -(counts * np.log2(shares)).sum() + (counts * np.log2(np.maximum(gaps, 1))).sum() / 2.0
    if ranks < direct and not (np.signbit(values[values == 0]).any() if values.dtype.kind == "f" else False):
        return Values([each.item() for each in distinct])
    return form


def _bounded(values: np.ndarray, bound: float, decimals: int | None) -> Form | None:
    """Return a form with errors up to a bound; None where there is nothing to gain."""
    forms: list[Form] = []
    low, high = float(values.min()), float(values.max())
    if decimals is not None:
        least, unit = _unit(values, decimals)
        half = int(bound * 10.0**decimals / unit * (1.0 + 1e-12))
        if half < 1:
            return None
        half = min(half, int((high - low) * 10.0**decimals) // unit + 1)
        forms.append(Lattice(decimals, unit, 2 * half + 1, least))
    if values.dtype.kind == "f":
        slack = float(np.finfo(values.dtype).eps) * max(abs(low), abs(high))
        step = 2.0 * bound * (1.0 - 1e-7) - 4.0 * slack
        if step > 0.0 and (high - low) / step < 2.0**50:
            forms.append(Grid(low + step / 2.0, step))
    if decimals is not None and half > 1:
        forms.append(Lattice(decimals, unit, 2 * half - 1, least))
    for form in forms:
        back = form.from_ints(form.to_ints(values))
        if values.dtype.kind in "iu":  # the middle of the last cell may be beyond the dtype; decoding ends there, too
            back = np.clip(back, np.iinfo(values.dtype).min, np.iinfo(values.dtype).max)
        back = back.astype(values.dtype)
        if (np.abs(back.astype(np.float64) - values.astype(np.float64)) <= bound).mean() >= _ENOUGH_BOUNDED:
            return form
    return None
