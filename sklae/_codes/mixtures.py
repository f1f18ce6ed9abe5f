"""Mixtures as distributions of codes."""

from __future__ import annotations

from typing import Any

import torch

from sklae._codes.base import CodeDistribution
from sklae._codes.normal import HALF_LOG_2PI, standard_noise

__all__ = ["MixtureCodes", "VampCodes", "choose_component"]


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


def choose_component(log_weights: torch.Tensor, n_samples: int, generator: torch.Generator) -> torch.Tensor:
    """Draw which of the mixed distributions each row comes from."""
    weights = log_weights.detach().exp().expand(n_samples, -1).to(generator.device)
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
