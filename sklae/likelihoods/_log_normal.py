"""Positive numbers, normal in their logarithm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from sklae._linear.factors import LinearModel, Noise
from sklae.likelihoods._base import ColumnDensity, Likelihood, Support
from sklae.likelihoods._real import GaussianColumns
from sklae.likelihoods._scales import (
    constant,
    width_constraints,
)

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["LogNormal", "log_moments"]


def log_moments(mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return location and spread of the logarithm of log-normal columns, from their mean and deviation.

    Columns that don't vary, or (no log-normal ones) have no positive mean, get a spread of 1.
    """
    mean = np.maximum(mean, np.finfo(np.float32).tiny)
    variance = np.log1p(np.minimum(deviation / mean, 1e15) ** 2)  # the ratio's square must not overflow
    spread = np.sqrt(variance)
    return np.log(mean) - 0.5 * variance, np.where(spread > 0, spread, 1.0)


class _LogNormalColumns(ColumnDensity):
    """A normal density of y = (log x - location) / spread.

    -log p(x) = -log p(y) + log spread + log x: the Jacobian's part that depends on x is in the energy.
    """

    location: torch.Tensor
    spread: torch.Tensor

    def __init__(self, normal: GaussianColumns, location: np.ndarray, spread: np.ndarray):
        super().__init__()
        self.normal = normal
        self.learns_norm = normal.learns_norm
        self.register_buffer("location", constant(location), persistent=False)
        self.register_buffer("spread", constant(spread), persistent=False)

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        return (_log_positive(x) - self.location) / self.spread

    def noise(self, n_columns: int) -> Noise:
        return self.normal.noise(n_columns)

    def start(self, linear: LinearModel) -> tuple[np.ndarray, np.ndarray]:
        return self.normal.start(linear)

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        log_x = _log_positive(x)
        return self.normal.energy(params, (log_x - self.location) / self.spread) + log_x

    def log_norm(self) -> torch.Tensor | float:
        return self.normal.log_norm() + self.spread.log()

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return self._positive(params, 0.5 * self.spread.square() * self.normal.variance())

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return self._positive(self.normal.sample(params, generator), 0.0)

    def _positive(self, y: torch.Tensor, shift: torch.Tensor | float) -> torch.Tensor:
        """Return exp(location + spread * y + shift), finite and above zero in y's type."""
        kind = torch.finfo(y.dtype)
        exponent = self.location + self.spread * y + shift
        return exponent.clamp(math.log(kind.tiny) + 1.0, math.log(kind.max) - 1.0).exp()


def _log_positive(x: torch.Tensor) -> torch.Tensor:
    # clamped: corruptions may put inputs below zero, and constant columns (of no weight) may lie there
    return x.clamp(min=torch.finfo(x.dtype).tiny).log()


class LogNormal(Likelihood):
    """Positive numbers whose logarithm is normal around the decoder's output: sizes, durations, amounts of money.

    The encoder sees logarithms, standardised with what the columns' mean and standard deviation say of
    log-normal columns; the density is that of the values themselves.

    Parameters
    ----------
    scale : {"shared", "per_feature"} or float, default="shared"
        Standard deviation of the logarithm, in units of its spread over the column. ``"shared"`` learns one for
        all columns, ``"per_feature"`` one for each; a number fixes it.
    min_scale : float, default=1e-3
        A learned scale never falls below this.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> vae = VAETransformer(
    ...     2, likelihood="log_normal", max_iter=2, n_iter_no_change=float("inf")
    ... )
    >>> rows = vae.fit(load_wine().data).sample(5, random_state=0)
    >>> bool(rows.min() > 0)
    True
    """

    is_density = True

    standardize = False
    support = Support(0.0, open_low=True)
    _parameter_constraints = width_constraints("scale")

    def __init__(self, scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        normal = GaussianColumns(self.scale, layout.n_features, self.min_scale)
        return _LogNormalColumns(normal, *log_moments(layout.mean, layout.deviation))
