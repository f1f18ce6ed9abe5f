"""Posteriors: the distribution of a row's code, given the encoder's output."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import nn

from sklae._component import Component
from sklae.priors import CodeDistribution, StandardNormalCodes

__all__ = ["POSTERIORS", "Diagonal", "DiagonalCodes", "Point", "PointCodes", "Posterior", "RowCodes"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class RowCodes:
    """A distribution of codes per row, with `mean` of shape (n_samples, n_components)."""

    mean: torch.Tensor

    @abstractmethod
    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one code per row, differentiably."""

    @abstractmethod
    def push(self, noise: torch.Tensor) -> torch.Tensor:
        """Turn standard normal draws, broadcastable to (..., n_samples, n_components), into codes."""

    @abstractmethod
    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z) per row, in nats."""

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        """Return KL(q || prior) per row in nats, or None where there is no closed form."""
        return None


class Posterior(Component):
    """A component that says how many encoder outputs it needs, and reads them."""

    @abstractmethod
    def n_outputs(self, n_components: int) -> int:
        """Return the number of encoder outputs for codes of this width."""

    @abstractmethod
    def build(self, n_components: int) -> nn.Module:
        """Return a module from encoder outputs, (n_samples, n_outputs), to `RowCodes`."""


class PointCodes(RowCodes):
    """All mass on one code: what makes an autoencoder plain."""

    def __init__(self, mean: torch.Tensor):
        self.mean = mean

    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        return self.mean

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + 0.0 * noise


class _PointModule(nn.Module):
    def forward(self, h: torch.Tensor) -> RowCodes:
        return PointCodes(h)


class Point(Posterior):
    """The posterior of a plain autoencoder. It has no density, hence no KL term."""

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def build(self, n_components: int) -> nn.Module:
        return _PointModule()


class DiagonalCodes(RowCodes):
    """Independent normal components per row.

    Parameters
    ----------
    mean, log_scale : Tensor of shape (n_samples, n_components)
    """

    def __init__(self, mean: torch.Tensor, log_scale: torch.Tensor):
        self.mean = mean
        self.log_scale = log_scale
        self.scale = log_scale.exp()

    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        return self.push(torch.empty_like(self.mean).normal_(generator=generator))

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + self.scale * noise

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        standard = (z - self.mean) / self.scale
        return -(0.5 * standard.square() + self.log_scale + _HALF_LOG_2PI).sum(-1)

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        if not isinstance(prior, StandardNormalCodes):
            return None
        return (0.5 * (self.mean.square() + self.scale.square() - 1.0) - self.log_scale).sum(-1)


class _DiagonalModule(nn.Module):
    # exp(8) standard deviations is far past any prior, and its square is finite in float32
    _LIMIT = 8.0

    def forward(self, h: torch.Tensor) -> RowCodes:
        mean, log_scale = h.chunk(2, dim=-1)
        return DiagonalCodes(mean, log_scale.clamp(-self._LIMIT, self._LIMIT))


class Diagonal(Posterior):
    """Normal, with a standard deviation per component (arXiv 1312.6114)."""

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components

    def build(self, n_components: int) -> nn.Module:
        return _DiagonalModule()


#: Name -> class, for variational models. A new posterior is one class and one row here.
POSTERIORS: dict[str, type[Posterior]] = {"diagonal": Diagonal}
