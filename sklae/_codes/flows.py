"""Distributions of codes that are normal ones sent through invertible maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import zuko
from torch import nn

from sklae._codes.base import CodeDistribution, RowCodes
from sklae._codes.normal import HALF_LOG_2PI, DiagonalCodes, standard_noise
from sklae._utils.quasi_random import antithetic_draws

__all__ = ["FlowCodes", "FlowedCodes", "near_identity"]


class FlowCodes(CodeDistribution):
    def __init__(self, transform: Any, n_components: int, dtype: torch.dtype):
        self.transform = transform
        self.n_components = n_components
        self.dtype = dtype

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        noise, log_volume = self.transform.call_and_ladj(z)
        return log_volume - (0.5 * noise.square() + HALF_LOG_2PI).sum(-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        return self.transform.inv(standard_noise(n_samples, self.n_components, generator).to(self.dtype))


def near_identity(transforms: nn.Module) -> nn.Module:
    """Shrink the last layers of autoregressive transformations, so that training starts from hardly any.

    On binarised MNIST that gains a posterior of this kind half a nat to a nat after 3,000 steps.
    """
    layers = [part for part in transforms.modules() if isinstance(part, zuko.nn.MaskedMLP)]
    for last in [[layer for layer in net if isinstance(layer, nn.Linear)][-1] for net in layers]:
        with torch.no_grad():
            last.weight.mul_(0.01)
            last.bias.mul_(0.01)
    return transforms


class FlowedCodes(RowCodes):
    """Independent normal components, sent through an invertible map that depends on the row."""

    def __init__(self, base: DiagonalCodes, transform: Any, build: Any, context: torch.Tensor):
        self.base = base
        self.transform = transform
        self.build = build
        self.context = context

    @property
    def mean(self) -> torch.Tensor:  # type: ignore[override]
        """Mean over 64 antithetic draws that all rows share: there is no closed form."""
        draws = antithetic_draws(64, self.base.mean.shape[-1]).to(self.base.mean)
        return self.push(draws[:, None, :]).mean(0)

    def draw_noise(self, generator: torch.Generator, n_draws: int = 1) -> torch.Tensor:
        return self.base.draw_noise(generator, n_draws)

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.push_with_density(noise)[0]

    def push_with_density(self, noise: torch.Tensor) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
        # inverting the map takes as many passes as there are components; on the way there the density is known
        inner = self.base.push(noise)
        z, log_volume = self.transform.call_and_ladj(inner)
        return z, lambda: self.base.log_prob(inner) - log_volume

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        inner = self.transform.inv(z)
        return self.base.log_prob(inner) - self.transform.log_abs_det_jacobian(inner, z)

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.push_with_density(noise)[1]()

    def select(self, rows: torch.Tensor) -> FlowedCodes:
        context = self.context[rows]
        return FlowedCodes(self.base.select(rows), self.build(context), self.build, context)
