"""Mixtures as distributions of codes."""

from __future__ import annotations

import math
from typing import Any

import torch

from sklae._codes.base import CodeDistribution
from sklae._codes.normal import HALF_LOG_2PI, standard_noise

__all__ = ["FullMixtureCodes", "MixtureCodes", "VampCodes", "choose_component"]


class MixtureCodes(CodeDistribution):
    """A mixture of normal distributions with independent components.

    Parameters
    ----------
    log_weights : Tensor of shape (n_mixed,) or (n_samples, n_mixed)
    means, scales : Tensor of shape (n_mixed, n_components) or (n_samples, n_mixed, n_components)
        With a leading axis each row has a mixture of its own.
    """

    def __init__(self, log_weights: torch.Tensor, means: torch.Tensor, scales: torch.Tensor):
        self.log_weights = log_weights
        self.means = means
        self.scales = scales

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        standard = (z[..., None, :] - self.means) / self.scales
        log_norm = self.scales.log().sum(-1) + z.shape[-1] * HALF_LOG_2PI
        return torch.logsumexp(self.log_weights - log_norm - 0.5 * standard.square().sum(-1), dim=-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        chosen = choose_component(self.log_weights, n_samples, generator)
        rows = (chosen,) if self.means.ndim == 2 else (torch.arange(n_samples, device=chosen.device), chosen)
        means, scales = self.means[rows], self.scales[rows]
        return means + scales * standard_noise(n_samples, means.shape[-1], generator)


class FullMixtureCodes(CodeDistribution):
    """A mixture of normal distributions with correlated components.

    Parameters
    ----------
    log_weights : Tensor of shape (n_mixed,)
    factors : Tensor of shape (n_components, n_mixed * n_components)
        Side by side, lower triangular, with a diagonal above zero: the inverse of each covariance is
        ``factor @ factor.T``.
    offsets : Tensor of shape (n_mixed * n_components,)
        ``mean @ factor`` of each.
    log_volumes : Tensor of shape (n_mixed,)
        Logarithms of the factors' determinants.
    share_normal : float
        The share that is standard normal, beside these.
    """

    def __init__(
        self,
        log_weights: torch.Tensor,
        factors: torch.Tensor,
        offsets: torch.Tensor,
        log_volumes: torch.Tensor,
        share_normal: float,
    ):
        self.log_weights = log_weights
        self.share_normal = share_normal
        self.factors = factors
        self.offsets = offsets
        self.log_volumes = log_volumes

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        width = len(self.factors)
        standard = (z @ self.factors - self.offsets).unflatten(-1, (-1, width))
        mixed = torch.logsumexp(self.log_weights + self.log_volumes - 0.5 * standard.square().sum(-1), dim=-1)
        plain = -0.5 * z.square().sum(-1) + math.log(self.share_normal)
        return torch.logaddexp(mixed + math.log1p(-self.share_normal), plain) - width * HALF_LOG_2PI

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        width = len(self.factors)
        is_normal = torch.rand(n_samples, 1, generator=generator, device=generator.device) < self.share_normal
        chosen = choose_component(self.log_weights, n_samples, generator)
        factors = self.factors.unflatten(-1, (-1, width)).movedim(1, 0)[chosen]
        noise = standard_noise(n_samples, width, generator).to(self.offsets)
        standard = self.offsets.view(-1, width)[chosen] + noise
        mixed = torch.linalg.solve_triangular(factors.mT, standard[..., None], upper=True)[..., 0]
        return torch.where(is_normal.to(noise.device), noise, mixed)


def choose_component(log_weights: torch.Tensor, n_samples: int, generator: torch.Generator) -> torch.Tensor:
    """Draw which of the mixed distributions each row comes from."""
    weights = log_weights.detach().exp().expand(n_samples, -1).to(generator.device)
    if not torch.isfinite(weights).all():
        raise ValueError(
            "Got shares of a mixture that are not finite; expected numbers: training went astray. Lower "
            "learning_rate_init, or look for extreme values in the data."
        )
    return torch.multinomial(weights, 1, generator=generator)[:, 0].to(log_weights.device)


class VampCodes(CodeDistribution):
    """A mixture of posteriors, one for each pseudo-input."""

    def __init__(self, log_weights: torch.Tensor, q: Any):
        self.log_weights = log_weights
        self.q = q

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(self.log_weights + self.q.log_prob(z[..., None, :]), dim=-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        q = self.q.select(choose_component(self.log_weights, n_samples, generator))
        return q.push(standard_noise(n_samples, q.mean.shape[-1], generator).to(q.mean))
