"""Student's t-distribution around the decoder's output."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae.likelihoods._base import ColumnDensity, Likelihood
from sklae.likelihoods._real import AroundOutput
from sklae.likelihoods._scales import (
    GAIN,
    bounded,
    constant,
    learned_scale,
    log,
    log_gamma,
    n_values,
    width_constraints,
)

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["StudentT"]


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


class _StudentColumns(AroundOutput):
    def __init__(self, df: _DegreesOfFreedom, scale: str | float, n_columns: int, min_scale: float):
        super().__init__(scale, min_scale)
        self.df = df
        self.scale = learned_scale(scale, n_columns, min_scale)
        self.learns_norm = df.fixed is None or self.scale.fixed is None

    def _set_scale(self, deviation: np.ndarray) -> None:
        df = np.asarray(torch.as_tensor(self.df()).detach())
        self.scale.set(deviation * np.sqrt((df - 2.0) / df))

    def _of_rows(self, params: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Return locations and scales."""
        return params, self.scale()

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        df = self.df()
        location, scale = self._of_rows(params)
        squares = (location - x).square() * (1.0 / (df * scale**2))
        return squares.log1p() * (0.5 * (df + 1.0))

    def log_norm(self) -> torch.Tensor | float:
        return self._log_shape() + log(self.scale())

    def _log_shape(self) -> torch.Tensor | float:
        df = self.df()
        return log_gamma(0.5 * df) - log_gamma(0.5 * (df + 1.0)) + 0.5 * log(math.pi * df)

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        location, scale = self._of_rows(params)
        noise = torch.empty_like(location).normal_(generator=generator)
        half = (torch.zeros_like(location) + 0.5 * self.df()).detach()
        precision = torch._standard_gamma(half, generator) / half
        return location + noise * scale * precision.rsqrt()


class _RowStudentColumns(_StudentColumns):
    """The decoder's outputs are locations, and after them what it adds to the logarithms of the columns' scales."""

    n_params = 2

    def _of_rows(self, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        location, added = params.chunk(2, dim=-1)
        return location, self.scale() * bounded(added).exp()

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return super().energy(params, x) + bounded(params.chunk(2, dim=-1)[1])


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
    scale : {"shared", "per_feature", "per_row"} or float, default="shared"
        In encoded units; the standard deviation is ``sqrt(df / (df - 2))`` times that. Learned for all columns,
        or for each, or for each as a function of the code, or fixed.
    min_scale : float, default=1e-3
        A learned scale never falls below this.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import StudentT
    >>> vae = VAETransformer(
    ...     2, likelihood=StudentT(df=4), max_iter=2, n_iter_no_change=float("inf")
    ... )
    >>> vae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    is_density = True

    _parameter_constraints = {
        "df": [StrOptions({"shared", "per_feature"}), Interval(Real, 2, None, closed="neither")],
        **width_constraints("scale", "per_row"),
    }

    def __init__(self, df: str | float = "shared", scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.df = df
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        n = layout.n_features
        df = _DegreesOfFreedom(n_values(self.df, n), None if isinstance(self.df, str) else float(self.df))
        kind = _RowStudentColumns if self.scale == "per_row" else _StudentColumns
        return kind(df, self.scale, n, self.min_scale)
