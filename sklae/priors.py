"""Priors: the distribution of codes before a row is seen."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import nn

from sklae._component import Component

__all__ = ["PRIORS", "CodeDistribution", "Prior", "StandardNormal", "StandardNormalCodes"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class CodeDistribution:
    """A distribution over codes."""

    @abstractmethod
    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log p(z) per row, in nats."""

    @abstractmethod
    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        """Draw codes of shape (n_samples, n_components)."""


class Prior(Component):
    """A component that builds a module whose ``forward()`` returns a `CodeDistribution`."""

    @abstractmethod
    def build(self, n_components: int) -> nn.Module:
        """Return the module for codes of this width."""


class StandardNormalCodes(CodeDistribution):
    """Independent normal components of mean 0 and standard deviation 1."""

    def __init__(self, n_components: int):
        self.n_components = n_components

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -(0.5 * z.square() + _HALF_LOG_2PI).sum(-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(
            (n_samples, self.n_components), generator=generator, device=generator.device, dtype=torch.float64
        )


class _StandardNormalModule(nn.Module):
    def __init__(self, n_components: int):
        super().__init__()
        self.distribution = StandardNormalCodes(n_components)

    def forward(self) -> CodeDistribution:
        return self.distribution


class StandardNormal(Prior):
    """The standard normal prior of arXiv 1312.6114."""

    def build(self, n_components: int) -> nn.Module:
        return _StandardNormalModule(n_components)


#: Name -> class. A new prior is one class and one row here.
PRIORS: dict[str, type[Prior]] = {"normal": StandardNormal}
