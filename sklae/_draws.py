"""Normal draws that every row shares, so that a score is a function of the row alone."""

from __future__ import annotations

from functools import cache

import torch
from torch.quasirandom import SobolEngine

__all__ = ["antithetic_draws", "sobol_draws"]


@cache
def sobol_draws(n_draws: int, n_components: int) -> torch.Tensor:
    """Return standard normal draws from one scrambled Sobol sequence, (n_draws, n_components), float64."""
    points = SobolEngine(n_components, scramble=True, seed=0).draw(n_draws, dtype=torch.float64)
    return torch.special.ndtri(points.clamp(1e-9, 1 - 1e-9))


@cache
def antithetic_draws(n_draws: int, n_components: int) -> torch.Tensor:
    """Return standard normal draws: Sobol points and their mirror images, (n_draws, n_components), float64.

    Their second moments are set to those of the normal distribution, so that an expectation of anything
    quadratic, such as the error of an affine decoder, is exact.
    """
    half = sobol_draws(n_draws // 2, n_components)
    if n_components <= n_draws // 4:
        moments = half.T @ half / len(half)
        half = torch.linalg.solve_triangular(torch.linalg.cholesky(moments), half.T, upper=False).T
    else:  # too few draws to part all components from each other
        half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])
