"""Posteriors: the distribution of a row's code, given the encoder's output."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import nn
from torch.nn import functional

from sklae._component import Component
from sklae.priors import CodeDistribution, StandardNormalCodes

__all__ = ["POSTERIORS", "Diagonal", "DiagonalCodes", "Point", "PointCodes", "PointModule", "Posterior", "RowCodes"]

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

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z) per row, in nats; posteriors that have no density don't override this."""
        raise TypeError(f"Got {type(self).__name__}, which has no density; expected a posterior that spreads its mass.")

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


class PointModule(nn.Module):
    """Reads the encoder's output as the code itself."""

    def forward(self, h: torch.Tensor) -> RowCodes:
        return PointCodes(h)


class Point(Posterior):
    """The posterior of a plain autoencoder. It has no density, hence no KL term."""

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def build(self, n_components: int) -> nn.Module:
        return PointModule()


class DiagonalCodes(RowCodes):
    """Independent normal components per row.

    Parameters
    ----------
    mean, scale : Tensor of shape (n_samples, n_components)
        Scales are standard deviations, above zero.
    """

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor):
        self.mean = mean
        self.scale = scale

    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        return self.push(torch.empty_like(self.mean).normal_(generator=generator))

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + self.scale * noise

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        standard = (z - self.mean) / self.scale
        return -(0.5 * standard.square() + self.scale.log() + _HALF_LOG_2PI).sum(-1)

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        if not isinstance(prior, StandardNormalCodes):
            return None
        return (0.5 * (self.mean.square() + self.scale.square() - 1.0) - self.scale.log()).sum(-1)


class _DiagonalModule(nn.Module):
    # softplus, not exp: rows far out would get scales of thousands, and their noise would swamp the batch.
    # exp(-20) standard deviations is the least scale; below about -100 it would be 0 in float32.
    _LEAST = -20.0

    def forward(self, h: torch.Tensor) -> RowCodes:
        mean, raw_scale = h.chunk(2, dim=-1)
        return DiagonalCodes(mean, functional.softplus(raw_scale.clamp(min=self._LEAST)))


class Diagonal(Posterior):
    """Normal, with a standard deviation per component (arXiv 1312.6114)."""

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components

    def build(self, n_components: int) -> nn.Module:
        return _DiagonalModule()


#: Name -> class, for variational models. A new posterior is one class and one row here.
POSTERIORS: dict[str, type[Posterior]] = {"diagonal": Diagonal}
