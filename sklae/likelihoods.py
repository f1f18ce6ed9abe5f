"""Likelihoods: the distribution of a row given the decoder's output, one term per column."""

from __future__ import annotations

import math
from abc import abstractmethod
from numbers import Real
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from sklae._compat import Interval, StrOptions
from sklae._component import Component

if TYPE_CHECKING:
    from sklae._layout import Layout

__all__ = ["LIKELIHOODS", "Bernoulli", "ColumnDensity", "Gaussian", "Likelihood"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class ColumnDensity(nn.Module):
    """What a likelihood builds: densities of all columns given the decoder's output.

    ``-log p(x | params) = energy(params, x) + log_norm()``, per column. The split is for speed:
    the normaliser enters the training loss only where it is learned (`learns_norm`).
    """

    #: Decoder outputs per column.
    n_params: int = 1
    #: Whether `log_norm` depends on learned parameters.
    learns_norm: bool = False

    @abstractmethod
    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the part of -log p that depends on params and x, (n_samples, n_columns), in nats.

        ``params`` may have more leading dimensions than x: many codes of one row.
        """

    def log_norm(self) -> torch.Tensor | float:
        """Return the rest of -log p, broadcastable to (n_columns,), in nats."""
        return 0.0

    def log_prob(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return log p(x | params) per column, (n_samples, n_columns), in nats."""
        return -(self.energy(params, x) + self.log_norm())

    @abstractmethod
    def mean(self, params: torch.Tensor) -> torch.Tensor:
        """Return the expected row, (n_samples, n_columns)."""

    @abstractmethod
    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw one row per row of params."""


class Likelihood(Component):
    """A component that builds a `ColumnDensity`.

    Attributes
    ----------
    standardize : bool
        Whether ``standardize="auto"`` scales the columns for this likelihood.
    support : tuple of float
        The closed interval its data must lie in.
    """

    standardize: bool = True
    support: tuple[float, float] = (-math.inf, math.inf)

    @abstractmethod
    def build(self, layout: Layout) -> ColumnDensity:
        """Return the module for these columns."""


class _GaussianColumns(ColumnDensity):
    # log_scale is stored divided by this, so that Adam moves it this many times faster than a weight:
    # from 1 to 0.1 standard deviations takes 2,300 steps of 1e-3 otherwise.
    _GAIN = 10.0

    def __init__(self, n_scales: int, fixed_scale: float | None, min_scale: float):
        super().__init__()
        self.min_variance = min_scale**2
        self.learns_norm = fixed_scale is None
        if fixed_scale is None:
            start = 0.5 * math.log(max(1.0 - self.min_variance, self.min_variance)) / self._GAIN
            self.raw_log_scale = nn.Parameter(torch.full((n_scales,), start))
        else:
            self.fixed_variance = fixed_scale**2

    def variance(self) -> torch.Tensor | float:
        """Return the variance, (1,) or (n_columns,), never below the floor's square."""
        if not self.learns_norm:
            return self.fixed_variance
        return self.min_variance + (2.0 * self._GAIN * self.raw_log_scale).exp()

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        difference = params - x
        return difference.square() * (0.5 / self.variance())

    def log_norm(self) -> torch.Tensor | float:
        variance = self.variance()
        log = variance.log() if isinstance(variance, torch.Tensor) else math.log(variance)
        return _HALF_LOG_2PI + 0.5 * log

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

    _parameter_constraints = {
        "scale": [StrOptions({"shared", "per_feature"}), Interval(Real, 0, None, closed="neither")],
        "min_scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, scale: str | float = "shared", *, min_scale: float = 1e-3):
        self.scale = scale
        self.min_scale = min_scale

    def build(self, layout: Layout) -> ColumnDensity:
        if not isinstance(self.scale, str):
            if self.scale < self.min_scale:
                raise ValueError(
                    f"Got scale={self.scale}, below min_scale={self.min_scale}; expected a scale at or above "
                    "the floor. Raise the scale or lower the floor."
                )
            return _GaussianColumns(0, float(self.scale), self.min_scale)
        n_scales = 1 if self.scale == "shared" else layout.n_features
        return _GaussianColumns(n_scales, None, self.min_scale)


class _BernoulliColumns(ColumnDensity):
    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(params, x.expand_as(params), reduction="none")

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return params.sigmoid()

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.bernoulli(params.sigmoid(), generator=generator)


class Bernoulli(Likelihood):
    """Zeros and ones, with the decoder's output as log-odds.

    Values between 0 and 1 (grey pixels) are taken as probabilities of a one: the term is then the
    usual cross-entropy, which is no density of grey values; compare such scores with each other only.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import AutoencoderTransformer
    >>> X = load_digits().data / 16.0
    >>> ae = AutoencoderTransformer(n_components=8, likelihood="bernoulli", max_iter=2, n_iter_no_change=float("inf"))
    >>> ae.fit_transform(X).shape
    (1797, 8)
    """

    standardize = False
    support = (0.0, 1.0)

    def build(self, layout: Layout) -> ColumnDensity:
        return _BernoulliColumns()


#: Name -> class. A new likelihood is one class and one row here.
LIKELIHOODS: dict[str, type[Likelihood]] = {"gaussian": Gaussian, "bernoulli": Bernoulli}
