"""Normal draws that every row shares, so that a score is a function of the row alone."""

from __future__ import annotations

from functools import cache

import torch
from torch.quasirandom import SobolEngine

from sklae._utils.torch_settings import tensors_on_cpu

__all__ = ["antithetic_draws", "grouped_draws"]


def _sobol_draws(n_draws: int, n_components: int) -> torch.Tensor:
    """Return standard normal draws from one scrambled Sobol sequence, (n_draws, n_components), float64."""
    points = SobolEngine(n_components, scramble=True, seed=0).draw(n_draws, dtype=torch.float64)
    return torch.special.ndtri(points.clamp(1e-9, 1 - 1e-9))


@cache
@tensors_on_cpu()
def antithetic_draws(n_draws: int, n_components: int) -> torch.Tensor:
    """Return standard normal draws: Sobol points and their mirror images, (n_draws, n_components), float64.

    Their second moments are set to those of the normal distribution, so that an expectation of anything
    quadratic, such as the error of an affine decoder, is exact.
    """
    half = _sobol_draws(n_draws // 2, n_components)
    if n_components <= n_draws // 4:
        moments = half.T @ half / len(half)
        half = torch.linalg.solve_triangular(torch.linalg.cholesky(moments), half.T, upper=False).T
    else:  # too few draws to part all components from each other
        half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])


@cache
@tensors_on_cpu()
def grouped_draws(n_draws: int, n_components: int, n_total: int) -> torch.Tensor:
    """Return groups of standard normal draws, (n_groups, n_draws, n_components), float64.

    As many groups as make about ``n_total`` draws, at least one. All together they are a Sobol sequence; which of its
    points are in one group is left to chance, so that a group is like plain draws.
    """
    n_groups = max(1, n_total // n_draws)
    order = torch.randperm(n_groups * n_draws, generator=torch.Generator().manual_seed(0))
    return _sobol_draws(n_groups * n_draws, n_components)[order].unflatten(0, (n_groups, n_draws))
