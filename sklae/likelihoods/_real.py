"""Likelihoods of real numbers around the decoder's output."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from sklae._linear.factors import LinearModel, Noise
from sklae.likelihoods._base import ColumnDensity, Likelihood
from sklae.likelihoods._scales import (
    GAIN,
    MOST_LOG,
    constant,
    fixed_value,
    learned_scale,
    log,
    n_values,
    tied,
    width_constraints,
)

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["AroundOutput", "Gaussian", "GaussianColumns", "Laplace"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
# The share of cells that scatter as the column does, whatever their row says: at first, and at least.
_FIRST_WIDE, _LEAST_WIDE = 1e-4, 1e-5


class AroundOutput(ColumnDensity):
    """What densities around the decoder's output share: ``scale`` is the parameter of their likelihood."""

    def __init__(self, scale: str | float, min_scale: float):
        super().__init__()
        self.tied_scale = scale, min_scale

    def noise(self, n_columns: int) -> Noise:
        return tied(self.tied_scale[0], n_columns, self.tied_scale[1])

    def start(self, linear: LinearModel) -> tuple[np.ndarray, np.ndarray]:
        self._set_scale(np.sqrt(linear.noise))
        weight, bias = linear.decoder, linear.mean
        if self.n_params == 2:  # the second one is what rows add to the logarithm of the scale
            return np.concatenate([weight, np.zeros_like(weight)]), np.concatenate([bias, np.zeros_like(bias)])
        return weight, bias

    @abstractmethod
    def _set_scale(self, deviation: np.ndarray) -> None:
        """Take up the columns' standard deviations."""

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return params if self.n_params == 1 else params.chunk(2, dim=-1)[0]


class GaussianColumns(AroundOutput):
    # stores the scale by itself, as `Positive` would, but as a variance: it saves the loss a square

    def __init__(self, scale: str | float, n_columns: int, min_scale: float):
        super().__init__(scale, min_scale)
        n_scales, fixed_scale = n_values(scale, n_columns), fixed_value("scale", scale, min_scale)
        self.min_variance = min_scale**2
        self.learns_norm = fixed_scale is None
        self.fixed_variance = None if fixed_scale is None else fixed_scale**2
        if fixed_scale is None:
            start = 0.5 * math.log(max(1.0 - self.min_variance, self.min_variance)) / GAIN
            self.raw_log_scale = nn.Parameter(constant(np.full(n_scales, start)))

    def variance(self) -> torch.Tensor | float:
        """Return the variance, (1,) or (n_columns,), never below the floor's square."""
        if self.fixed_variance is not None:
            return self.fixed_variance
        return self.min_variance + (2.0 * GAIN * self.raw_log_scale).exp()

    def _set_scale(self, deviation: np.ndarray) -> None:
        if self.fixed_variance is not None:
            return
        variance = deviation**2 if len(deviation) == len(self.raw_log_scale) else np.mean(deviation**2, keepdims=True)
        above = np.maximum(variance - self.min_variance, 1e-3 * self.min_variance)
        with torch.no_grad():
            self.raw_log_scale.copy_(constant(0.5 * np.log(above) / GAIN))

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        difference = params - x
        return difference.square() * (0.5 / self.variance())

    def log_norm(self) -> torch.Tensor | float:
        return _HALF_LOG_2PI + 0.5 * log(self.variance())

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noise = torch.empty_like(params).normal_(generator=generator)
        return params + noise * self.variance() ** 0.5


def _variance(log_scale: torch.Tensor, least: float) -> torch.Tensor:
    """Return variances above a floor, and finite whatever a network says."""
    return least + (2.0 * log_scale.clamp(max=MOST_LOG)).exp()


def _share(raw: torch.Tensor) -> torch.Tensor:
    """Return the share of cells of each column that scatter as the column does, (n_columns,)."""
    return _LEAST_WIDE + (1.0 - 2.0 * _LEAST_WIDE) * (GAIN * raw).sigmoid()


class _RowEnergy(torch.autograd.Function):
    """-log of (1 - share) N(x; mean, scale) + share N(x; mean, wide), less log sqrt(2 pi), with a gradient by hand.

    Recorded operation by operation, on tensors as small as a batch's, it would be a quarter of a step's time.
    """

    @staticmethod
    def forward(
        ctx: Any,
        params: torch.Tensor,
        raw_log_scale: torch.Tensor,
        raw_share: torch.Tensor,
        x: torch.Tensor,
        wide: torch.Tensor,
        least: float,
    ) -> torch.Tensor:
        mean, added = params.chunk(2, dim=-1)
        difference = mean - x
        squares = difference.square()
        log_scale = added + GAIN * raw_log_scale
        variance = _variance(log_scale, least)
        precision = variance.reciprocal()
        share = _share(raw_share)
        narrow = (squares * precision).add_(variance.log_()).mul_(-0.5).add_(torch.log1p(-share))
        broad = squares.mul_(-0.5 / wide.square()).add_((share / wide).log_())
        log_prob = torch.logaddexp(narrow, broad)
        ctx.save_for_backward(difference, log_scale, narrow.sub_(log_prob).exp_(), precision, share, wide)
        ctx.least = least
        return log_prob.neg_()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        difference, log_scale, is_narrow, precision, share, wide = ctx.saved_tensors
        gradient = gradients[0]
        of_narrow = gradient * is_narrow
        of_wide = gradient - of_narrow
        weighted = of_narrow * precision
        of_mean = (weighted + of_wide / wide.square()).mul_(difference)
        # the variance is the floor, which stays, and the rest, which goes with the square of the scale
        learned = (1.0 - ctx.least * precision) * (log_scale < MOST_LOG)
        of_scale = (of_narrow - weighted * difference.square()).mul_(learned)
        rows = tuple(range(gradient.ndim - 1))
        of_share = of_narrow.sum(rows) / (1.0 - share) - of_wide.sum(rows) / share
        slope = GAIN * (share - _LEAST_WIDE) * (1.0 - _LEAST_WIDE - share) / (1.0 - 2.0 * _LEAST_WIDE)
        return torch.cat([of_mean, of_scale], -1), GAIN * of_scale.sum(rows), of_share * slope, None, None, None


class RowGaussianColumns(GaussianColumns):
    """The decoder's outputs are means, and after them what it adds to the logarithms of the columns' scales.

    A small share of cells has the column's own deviation instead: where a decoder is sure for no good reason, a single
    cell would cost thousands of nats (contaminated normal distribution: Tukey, A survey of sampling from contaminated
    distributions, 1960).
    """

    n_params = 2
    wide: torch.Tensor

    def __init__(self, scale: str | float, n_columns: int, min_scale: float, deviation: np.ndarray):
        super().__init__(scale, n_columns, min_scale)
        self.learns_norm = False  # it depends on the row, and is in the energy
        self.register_buffer("wide", constant(np.maximum(deviation, min_scale)), persistent=False)
        self.raw_share = nn.Parameter(constant(np.full(n_columns, math.log(_FIRST_WIDE) / GAIN)))

    def _of_rows(self, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, added = params.chunk(2, dim=-1)
        return mean, _variance(GAIN * self.raw_log_scale + added, self.min_variance)

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        own = self.raw_log_scale, self.raw_share
        return _RowEnergy.apply(params, *own, x, self.wide, self.min_variance)

    def log_norm(self) -> float:
        return _HALF_LOG_2PI

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        mean, variance = self._of_rows(params)
        chance = _share(self.raw_share).expand_as(mean)
        is_wide = torch.rand(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device) < chance
        scale = torch.where(is_wide, self.wide, variance.sqrt())
        return mean + torch.empty_like(mean).normal_(generator=generator) * scale


class Gaussian(Likelihood):
    """Normal distribution around the decoder's output.

    Parameters
    ----------
    scale : {"shared", "per_feature", "per_row"} or float, default="shared"
        Standard deviation, in encoded units (standard deviations of the column where columns are
        standardised). ``"shared"`` learns one for all columns, ``"per_feature"`` one for each, ``"per_row"`` one for
        each that depends on the code, as the mean does: noise that is large for some rows and small for others
        (heteroscedastic). A number fixes it: 1.0 makes training least squares.
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
    >>> VAETransformer(likelihood=Gaussian("per_feature", min_scale=1e-2)).get_params()[
    ...     "likelihood__min_scale"
    ... ]
    0.01
    """

    is_density = True

    _parameter_constraints = width_constraints("scale", "per_row")

    def __init__(self, scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        if self.scale == "per_row":
            deviation = layout.deviation / layout.scaling.scale
            return RowGaussianColumns(self.scale, layout.n_features, self.min_scale, deviation)
        return GaussianColumns(self.scale, layout.n_features, self.min_scale)


class _LaplaceColumns(AroundOutput):
    def __init__(self, scale: str | float, n_columns: int, min_scale: float):
        super().__init__(scale, min_scale)
        self.scale = learned_scale(scale, n_columns, min_scale)
        self.learns_norm = self.scale.fixed is None

    def _set_scale(self, deviation: np.ndarray) -> None:
        self.scale.set(deviation / math.sqrt(2.0))

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return (params - x).abs() * (1.0 / self.scale())

    def log_norm(self) -> torch.Tensor | float:
        return log(2.0 * self.scale())

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
    >>> vae = VAETransformer(
    ...     2, likelihood=Laplace("per_feature"), max_iter=2, n_iter_no_change=float("inf")
    ... )
    >>> vae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    is_density = True

    _parameter_constraints = width_constraints("scale")

    def __init__(self, scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        return _LaplaceColumns(self.scale, layout.n_features, self.min_scale)
