"""Positive numbers that likelihoods learn, one for each column or one for all: scales, dispersions."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import nn

from sklae._linear.factors import Noise
from sklae._utils.compat import Interval, StrOptions

__all__ = [
    "GAIN",
    "MOST_LOG",
    "Positive",
    "bounded",
    "constant",
    "fixed_value",
    "learned_scale",
    "log",
    "log_gamma",
    "n_values",
    "tied",
    "width_constraints",
]

#: Logarithms are stored divided by this, so that Adam moves them this many times faster than a weight:
#: from 1 to 0.1 standard deviations takes 2,300 steps of 1e-3 otherwise.
GAIN = 10.0
#: What logarithms of scales that depend on the row are limited to.
MOST_LOG = 8.0


def width_constraints(name: str, *further: str) -> dict[str, list[Any]]:
    """Return scikit-learn's constraints of a parameter such as ``scale``, and of its floor ``min_scale``."""
    positive = Interval(Real, 0, None, closed="neither")
    return {name: [StrOptions({"shared", "per_feature", *further}), positive], f"min_{name}": [positive]}


def n_values(value: str | float, n_columns: int) -> int:
    """Return how many numbers a parameter such as ``scale`` stands for."""
    return n_columns if value in ("per_feature", "per_row") else 1


def tied(value: str | float, n_columns: int, least: float) -> Noise:
    """Return how noise is tied whose standard deviation such a parameter says."""
    group = np.arange(n_columns) if n_values(value, n_columns) == n_columns else np.zeros(n_columns, dtype=int)
    given = np.nan if isinstance(value, str) else float(value) ** 2
    return Noise(group, np.full(n_columns, given), np.full(n_columns, least**2))


def bounded(h: torch.Tensor) -> torch.Tensor:
    """Return h itself where it is small, and never more than a number whose exponential is harmless."""
    return MOST_LOG * torch.tanh(h / MOST_LOG)


def fixed_value(name: str, value: str | float, floor: float) -> float | None:
    """Return a parameter's number, None if it is learned; refuse one below the floor."""
    if isinstance(value, str):
        return None
    if value < floor:
        raise ValueError(
            f"Got {name}={value}, below min_{name}={floor}; expected a {name} at or above the floor. Raise the {name} "
            "or lower the floor."
        )
    return float(value)


class Positive(nn.Module):
    """One positive number for all columns or one for each: learned above a floor, or fixed.

    Parameters
    ----------
    n : int
        How many there are.
    fixed : float or None
        None: learned.
    floor : float
        What learned ones never fall below.
    start : float or ndarray of shape (n,), default=1.0
        Where learned ones start.
    """

    def __init__(self, n: int, fixed: float | None, floor: float, start: float | np.ndarray = 1.0):
        super().__init__()
        self.fixed, self.floor = fixed, floor
        if fixed is None:
            above = np.log(np.maximum(np.broadcast_to(start, (n,)) - floor, floor))
            self.raw_log = nn.Parameter(constant(above / GAIN))

    def set(self, values: np.ndarray) -> None:
        """Set learned ones to one number for each column, (n_columns,); to their median where all columns share one."""
        if self.fixed is None:
            values = values if len(values) == len(self.raw_log) else np.median(values, keepdims=True)
            with torch.no_grad():
                self.raw_log.copy_(constant(np.log(np.maximum(values - self.floor, 1e-3 * self.floor)) / GAIN))

    def forward(self) -> torch.Tensor | float:
        """Return the numbers, (n,), or the fixed one."""
        return self.floor + (GAIN * self.raw_log).exp() if self.fixed is None else self.fixed


def learned_scale(scale: str | float, n_columns: int, min_scale: float) -> Positive:
    """Return the scales that parameters ``scale`` and ``min_scale`` stand for."""
    return Positive(n_values(scale, n_columns), fixed_value("scale", scale, min_scale), min_scale)


def constant(values: np.ndarray) -> torch.Tensor:
    """Return float32 values for a parameter or a buffer, which moves to float64 with its module."""
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def log(value: torch.Tensor | float) -> torch.Tensor | float:
    """Return the logarithm of learned or of fixed numbers."""
    return value.log() if isinstance(value, torch.Tensor) else math.log(value)


def log_gamma(value: torch.Tensor | float) -> torch.Tensor | float:
    """Return the logarithm of the gamma function of learned or of fixed numbers."""
    return value.lgamma() if isinstance(value, torch.Tensor) else math.lgamma(value)
