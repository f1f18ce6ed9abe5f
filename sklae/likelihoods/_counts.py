"""Likelihoods of counts; the decoder's output is the logarithm of a rate, relative to the column's mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from sklae.likelihoods._base import ColumnDensity, Likelihood, Support
from sklae.likelihoods._log_normal import log_moments
from sklae.likelihoods._scales import Positive, constant, fixed_value, log, log_gamma, n_values, width_constraints

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["NegativeBinomial", "Poisson"]


class _CountColumns(ColumnDensity):
    """What densities of counts share: the rate, and the logarithms the encoder sees.

    Rate = column mean * exp(param), and from exp(10) on, where only an accident of training leads, linear in
    param: finite for any network, and no plateau without a gradient, as clamping would make it.
    """

    _LINEAR_FROM = 10.0
    log_mean: torch.Tensor
    location: torch.Tensor
    spread: torch.Tensor

    def __init__(self, mean: np.ndarray, deviation: np.ndarray):
        super().__init__()
        # columns of zeros only have no logarithm; they are constant, and of no weight
        self.register_buffer("log_mean", constant(np.log(np.where(mean > 0, mean, 1.0))), persistent=False)
        location, spread = log_moments(1.0 + np.maximum(mean, 0.0), deviation)
        self.register_buffer("location", constant(location), persistent=False)
        self.register_buffer("spread", constant(spread), persistent=False)

    def log_rate(self, params: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the expected counts, (n_samples, n_columns)."""
        beyond = (params - self._LINEAR_FROM).clamp(min=0.0)
        return self.log_mean + params.clamp(max=self._LINEAR_FROM) + beyond.log1p()

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        return (x.clamp(min=0.0).log1p() - self.location) / self.spread  # clamped: corruptions go below zero

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return self.log_rate(params).exp()


class _PoissonColumns(_CountColumns):
    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        log_rate = self.log_rate(params)
        return log_rate.exp() - x * log_rate + (x + 1.0).lgamma()

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.poisson(self.mean(params), generator)


class Poisson(Likelihood):
    """Counts of independent events: their variance, given the code, equals their mean.

    The decoder's output is the logarithm of the rate over the column's mean; the encoder sees standardised
    logarithms of one plus the count.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import VAETransformer
    >>> X = np.random.RandomState(0).poisson(3.0, size=(100, 5))
    >>> vae = VAETransformer(
    ...     2, likelihood="poisson", max_iter=2, n_iter_no_change=float("inf")
    ... ).fit(X)
    >>> rows = vae.sample(5, random_state=0)
    >>> bool((rows == rows.round()).all() and rows.min() >= 0)
    True
    """

    standardize = False
    support = Support(0.0, integer=True)

    def build(self, layout: Layout) -> ColumnDensity:
        return _PoissonColumns(layout.mean, layout.deviation)


class _NegativeBinomialColumns(_CountColumns):
    """Counts whose rate is gamma distributed, of shape r = 1 / dispersion.

    With d = log(rate / r), -log p is a cross-entropy, (r + x) softplus(d) - x d, and gamma functions.
    """

    def __init__(self, mean: np.ndarray, deviation: np.ndarray, dispersion: Positive):
        super().__init__(mean, deviation)
        self.dispersion = dispersion
        self.learns_norm = dispersion.fixed is None

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        dispersion = self.dispersion()
        shape = 1.0 / dispersion
        log_odds = self.log_rate(params) + log(dispersion)
        gammas = (x + 1.0).lgamma() - (x + shape).lgamma()
        return functional.softplus(log_odds) * (x + shape) - x * log_odds + gammas

    def log_norm(self) -> torch.Tensor | float:
        return log_gamma(1.0 / self.dispersion())

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        mean = self.mean(params)
        shape = (torch.zeros_like(mean) + 1.0 / self.dispersion()).detach()
        return torch.poisson(mean * torch._standard_gamma(shape, generator) / shape, generator)


class NegativeBinomial(Likelihood):
    """Counts that vary more than those of independent events: variance = mean + dispersion * mean².

    As a mixture of Poisson distributions, it suits counts that come in bursts, such as words or
    reads of genes (Lopez et al., Deep generative modeling for single-cell transcriptomics, Nature Methods 2018).

    Parameters
    ----------
    dispersion : {"shared", "per_feature"} or float, default="per_feature"
        ``"shared"`` learns one for all columns, ``"per_feature"`` one for each; a number fixes it. Zero would be
        the Poisson distribution.
    min_dispersion : float, default=1e-3
        A learned dispersion never falls below this.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import VAETransformer
    >>> X = np.random.RandomState(0).negative_binomial(2, 0.3, size=(100, 5))
    >>> vae = VAETransformer(
    ...     2, likelihood="negative_binomial", max_iter=2, n_iter_no_change=float("inf")
    ... )
    >>> vae.fit_transform(X).shape
    (100, 2)
    """

    standardize = False
    support = Support(0.0, integer=True)
    _parameter_constraints = width_constraints("dispersion")

    def __init__(self, dispersion: str | float = "per_feature", *, min_dispersion: float = 1e-3):
        self.dispersion = dispersion
        self.min_dispersion = min_dispersion

    def build(self, layout: Layout) -> ColumnDensity:
        fixed = fixed_value("dispersion", self.dispersion, self.min_dispersion)
        n = n_values(self.dispersion, layout.n_features)
        start = _dispersion(layout.mean, layout.deviation)
        dispersion = Positive(n, fixed, self.min_dispersion, start if n == len(start) else np.median(start))
        return _NegativeBinomialColumns(layout.mean, layout.deviation, dispersion)


def _dispersion(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return what the columns' moments say, within bounds: what is not explained at first."""
    mean = np.maximum(mean, 1e-6)
    return np.clip((deviation**2 - mean) / mean**2, 0.01, 100.0)
