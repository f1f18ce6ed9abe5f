"""Likelihoods of real numbers: around the decoder's output, in the columns' units or in those of their logarithm."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae.likelihoods._base import ColumnDensity, Likelihood, Support
from sklae.likelihoods._scales import (
    GAIN,
    Positive,
    constant,
    fixed_value,
    log,
    log_gamma,
    n_values,
    width_constraints,
)

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["Gaussian", "Laplace", "LogNormal", "StudentT", "log_moments"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class _GaussianColumns(ColumnDensity):
    # stores the scale by itself, as `Positive` would, but as a variance: it saves the loss a square

    def __init__(self, n_scales: int, fixed_scale: float | None, min_scale: float):
        super().__init__()
        self.min_variance = min_scale**2
        self.learns_norm = fixed_scale is None
        if fixed_scale is None:
            start = 0.5 * math.log(max(1.0 - self.min_variance, self.min_variance)) / GAIN
            self.raw_log_scale = nn.Parameter(constant(np.full(n_scales, start)))
        else:
            self.fixed_variance = fixed_scale**2

    def variance(self) -> torch.Tensor | float:
        """Return the variance, (1,) or (n_columns,), never below the floor's square."""
        if not self.learns_norm:
            return self.fixed_variance
        return self.min_variance + (2.0 * GAIN * self.raw_log_scale).exp()

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        difference = params - x
        return difference.square() * (0.5 / self.variance())

    def log_norm(self) -> torch.Tensor | float:
        return _HALF_LOG_2PI + 0.5 * log(self.variance())

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return params

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noise = torch.empty_like(params).normal_(generator=generator)
        return params + noise * self.variance() ** 0.5


class Gaussian(Likelihood):
    """Normal distribution around the decoder's output.

    Parameters
    ----------
    scale : {"shared", "per_feature"} or float, default="shared"
        Standard deviation, in encoded units (standard deviations of the column where columns are
        standardised). ``"shared"`` learns one for all columns, ``"per_feature"`` one for each; a number
        fixes it: 1.0 makes training least squares.
    min_scale : float, default=1e-3
        A learned standard deviation never falls below this. Without a floor a model that copies one
        column perfectly has an unbounded density.

    Notes
    -----
    With an affine decoder and a shared learned scale, a VAE is probabilistic PCA (arXiv 1911.02469);
    with one scale per feature it is factor analysis.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import Gaussian
    >>> VAETransformer(likelihood=Gaussian("per_feature", min_scale=1e-2)).get_params()["likelihood__min_scale"]
    0.01
    """

    is_density = True

    _parameter_constraints = width_constraints("scale")

    def __init__(self, scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        fixed = fixed_value("scale", self.scale, self.min_scale)
        return _GaussianColumns(n_values(self.scale, layout.n_features), fixed, self.min_scale)


class _LaplaceColumns(ColumnDensity):
    def __init__(self, n_scales: int, fixed_scale: float | None, min_scale: float):
        super().__init__()
        self.learns_norm = fixed_scale is None
        self.scale = Positive(n_scales, fixed_scale, min_scale)

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return (params - x).abs() * (1.0 / self.scale())

    def log_norm(self) -> torch.Tensor | float:
        return log(2.0 * self.scale())

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return params

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        size = torch.empty_like(params).exponential_(generator=generator)
        sign = 2.0 * torch.empty_like(params).bernoulli_(0.5, generator=generator) - 1.0
        return params + sign * size * self.scale()


class Laplace(Likelihood):
    """Double exponential distribution around the decoder's output: training is least absolute deviations.

    Its tails are heavier than the normal distribution's, so that gross values weigh less, and the decoder's
    output is a median.

    Parameters
    ----------
    scale : {"shared", "per_feature"} or float, default="shared"
        Mean absolute deviation, in encoded units (the standard deviation is 1.41 times that). ``"shared"``
        learns one for all columns, ``"per_feature"`` one for each; a number fixes it.
    min_scale : float, default=1e-3
        A learned scale never falls below this.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import Laplace
    >>> vae = VAETransformer(2, likelihood=Laplace("per_feature"), max_iter=2, n_iter_no_change=float("inf"))
    >>> vae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    is_density = True

    _parameter_constraints = width_constraints("scale")

    def __init__(self, scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        fixed = fixed_value("scale", self.scale, self.min_scale)
        return _LaplaceColumns(n_values(self.scale, layout.n_features), fixed, self.min_scale)


class _DegreesOfFreedom(nn.Module):
    """Degrees of freedom between 2.04 and 1,000, learned, or fixed.

    Their inverse is learned, between two bounds: above 2 the variance exists, and beyond 1,000 the density is
    normal, while float32 loses the difference of two logarithms of gamma functions.
    """

    _LEAST, _RANGE = 1e-3, 0.489
    _START = 0.1

    def __init__(self, n: int, fixed: float | None):
        super().__init__()
        self.fixed = fixed
        if fixed is None:
            share = (self._START - self._LEAST) / self._RANGE
            self.raw = nn.Parameter(constant(np.full(n, math.log(share / (1.0 - share)) / GAIN)))

    def forward(self) -> torch.Tensor | float:
        """Return them, (1,) or (n_columns,), or the fixed number."""
        if self.fixed is not None:
            return self.fixed
        return 1.0 / (self._LEAST + self._RANGE * (GAIN * self.raw).sigmoid())


class _StudentColumns(ColumnDensity):
    def __init__(self, df: _DegreesOfFreedom, scale: Positive):
        super().__init__()
        self.df = df
        self.scale = scale
        self.learns_norm = df.fixed is None or scale.fixed is None

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        df = self.df()
        squares = (params - x).square() * (1.0 / (df * self.scale() ** 2))
        return squares.log1p() * (0.5 * (df + 1.0))

    def log_norm(self) -> torch.Tensor | float:
        df = self.df()
        return log_gamma(0.5 * df) - log_gamma(0.5 * (df + 1.0)) + 0.5 * log(math.pi * df) + log(self.scale())

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return params

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noise = torch.empty_like(params).normal_(generator=generator)
        half = (torch.zeros_like(params) + 0.5 * self.df()).detach()
        precision = torch._standard_gamma(half, generator) / half
        return params + noise * self.scale() * precision.rsqrt()


class StudentT(Likelihood):
    """Student's t-distribution around the decoder's output: robust, with tails as heavy as the data ask for.

    The influence of a value far off falls with its distance, where a normal density lets it grow
    (Takahashi et al., Student-t Variational Autoencoder for Robust Density Estimation, IJCAI 2018).

    Parameters
    ----------
    df : {"shared", "per_feature"} or float, default="shared"
        Degrees of freedom: few for heavy tails, many for a normal distribution. ``"shared"`` learns one number
        for all columns, ``"per_feature"`` one for each, between 2.04 and 1,000. A fixed number lies above 2, so
        that the variance exists.
    scale : {"shared", "per_feature"} or float, default="shared"
        In encoded units; the standard deviation is ``sqrt(df / (df - 2))`` times that. Learned for all columns,
        or for each, or fixed.
    min_scale : float, default=1e-3
        A learned scale never falls below this.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import StudentT
    >>> vae = VAETransformer(2, likelihood=StudentT(df=4), max_iter=2, n_iter_no_change=float("inf"))
    >>> vae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    is_density = True

    _parameter_constraints = {
        "df": [StrOptions({"shared", "per_feature"}), Interval(Real, 2, None, closed="neither")],
        **width_constraints("scale"),
    }

    def __init__(self, df: str | float = "shared", scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.df = df
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        n = layout.n_features
        df = _DegreesOfFreedom(n_values(self.df, n), None if isinstance(self.df, str) else float(self.df))
        fixed = fixed_value("scale", self.scale, self.min_scale)
        return _StudentColumns(df, Positive(n_values(self.scale, n), fixed, self.min_scale))


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

    def __init__(self, normal: _GaussianColumns, location: np.ndarray, spread: np.ndarray):
        super().__init__()
        self.normal = normal
        self.learns_norm = normal.learns_norm
        self.register_buffer("location", constant(location), persistent=False)
        self.register_buffer("spread", constant(spread), persistent=False)

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        return (_log_positive(x) - self.location) / self.spread

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
    >>> vae = VAETransformer(2, likelihood="log_normal", max_iter=2, n_iter_no_change=float("inf"))
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
        fixed = fixed_value("scale", self.scale, self.min_scale)
        normal = _GaussianColumns(n_values(self.scale, layout.n_features), fixed, self.min_scale)
        return _LogNormalColumns(normal, *log_moments(layout.mean, layout.deviation))
