"""Normal distributions of codes, and points."""

from __future__ import annotations

import math

import torch

from sklae._codes.base import CodeDistribution, RowCodes

__all__ = [
    "HALF_LOG_2PI",
    "DiagonalCodes",
    "FullCovarianceCodes",
    "PointCodes",
    "StandardNormalCodes",
    "standard_noise",
]


HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class StandardNormalCodes(CodeDistribution):
    """Independent normal components of mean 0 and standard deviation 1.

    Parameters
    ----------
    n_components : int
        Numbers of a code.
    """

    def __init__(self, n_components: int):
        self.n_components = n_components

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -(0.5 * z.square() + HALF_LOG_2PI).sum(-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        return standard_noise(n_samples, self.n_components, generator)


def standard_noise(n_samples: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn((n_samples, n_components), generator=generator, device=generator.device, dtype=torch.float64)


class PointCodes(RowCodes):
    """All mass on one code: what makes an autoencoder plain.

    Parameters
    ----------
    mean : Tensor of shape (n_samples, n_components)
        The codes.
    """

    def __init__(self, mean: torch.Tensor):
        self.mean = mean

    @property
    def std(self) -> torch.Tensor:
        return torch.zeros_like(self.mean)

    def draw_noise(self, generator: torch.Generator, n_draws: int = 1) -> torch.Tensor:
        return torch.zeros_like(self.mean)  # none is drawn: training stays deterministic

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + 0.0 * noise

    def select(self, rows: torch.Tensor) -> PointCodes:
        return PointCodes(self.mean[rows])


class DiagonalCodes(RowCodes):
    """Independent normal components per row.

    Parameters
    ----------
    mean, scale : Tensor of shape (n_samples, n_components)
        Scales are standard deviations, above zero.
    """

    path_only = True

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor):
        self.mean = mean
        self.scale = scale

    @property
    def std(self) -> torch.Tensor:
        return self.scale

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + self.scale * noise

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return self.component_log_prob(z).sum(-1)

    def component_log_prob(self, z: torch.Tensor) -> torch.Tensor:
        standard = (z - self.mean) / self.scale
        return -(0.5 * standard.square() + self.scale.log() + HALF_LOG_2PI)

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return DiagonalCodes(self.mean.detach(), self.scale.detach()).log_prob(z)

    def component_kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        if not isinstance(prior, StandardNormalCodes):
            return None
        return 0.5 * (self.mean.square() + self.scale.square() - 1.0) - self.scale.log()

    def select(self, rows: torch.Tensor) -> DiagonalCodes:
        return DiagonalCodes(self.mean[rows], self.scale[rows])


class FullCovarianceCodes(RowCodes):
    """Normal with the covariance ``factor @ factor.T``; factors are lower triangular, (n_samples, k, k)."""

    path_only = True

    def __init__(self, mean: torch.Tensor, factor: torch.Tensor):
        self.mean = mean
        self.factor = factor

    @property
    def std(self) -> torch.Tensor:
        return self.factor.square().sum(-1).sqrt()

    def _log_volume(self) -> torch.Tensor:
        return self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + (self.factor @ noise[..., None])[..., 0]

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        difference = (z - self.mean)[..., None]
        standard = torch.linalg.solve_triangular(self.factor, difference, upper=False)[..., 0]
        return -(0.5 * standard.square() + HALF_LOG_2PI).sum(-1) - self._log_volume()

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return FullCovarianceCodes(self.mean.detach(), self.factor.detach()).log_prob(z)

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        if not isinstance(prior, StandardNormalCodes):
            return None
        squares = self.mean.square().sum(-1) + self.factor.square().sum((-2, -1)) - self.mean.shape[-1]
        return 0.5 * squares - self._log_volume()

    def select(self, rows: torch.Tensor) -> FullCovarianceCodes:
        return FullCovarianceCodes(self.mean[rows], self.factor[rows])
