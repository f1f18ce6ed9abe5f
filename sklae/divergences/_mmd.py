"""Maximum mean discrepancy."""

from __future__ import annotations

import functools
from numbers import Real
from typing import TYPE_CHECKING

import torch

from sklae._utils.compat import Interval
from sklae._utils.processes import whole_batch
from sklae.divergences._base import Codes, Divergence

if TYPE_CHECKING:
    from sklae.posteriors import Posterior

__all__ = ["MMD", "discrepancy"]


class MMD(Divergence):
    """Maximum mean discrepancy between the batch's codes and the prior's: Wasserstein autoencoder (arXiv 1711.01558).

    Codes of single rows stay free; only all together they resemble the prior. The only divergence for point posteriors.

    Parameters
    ----------
    weight : float, default=10.0
        What ``beta`` is multiplied by: the discrepancy itself is between 0 and about 1.

    Notes
    -----
    Inverse multiquadric kernels of seven widths around that of the prior. The unbiased estimate, which may fall
    below 0.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.divergences import MMD
    >>> VAETransformer(posterior="point", divergence=MMD(50.0)).get_params()[
    ...     "divergence__weight"
    ... ]
    50.0
    """

    bound_terms = ("mmd",)
    needs_density = False
    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 10.0):
        self.weight = weight

    def check(self, posterior: Posterior) -> None:
        return None

    def terms(self, codes: Codes) -> dict[str, torch.Tensor]:
        codes = codes._replace(z=whole_batch(codes.z, codes.generator))
        return {"mmd": self.weight * discrepancy(codes.z, codes.draw_from_prior())}

    def weights(self, beta: float) -> dict[str, float]:
        return {"mmd": beta}


_WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def discrepancy(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the unbiased squared discrepancy of two samples of one size, with kernels between 0 and 1."""
    n = len(a)
    if n < 2:
        return a.sum() * 0.0
    # the kernel of a row with itself is 1
    alike = _kernel(a, a).sum() + _kernel(b, b).sum() - 2.0 * n
    return alike / (n * (n - 1)) - 2.0 * _kernel(a, b).mean()


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the mean of inverse multiquadric kernels of several widths, for all pairs of rows."""
    squares = a.square().sum(-1)[:, None] + b.square().sum(-1)
    distances = torch.addmm(squares, a, b.T, alpha=-2.0).clamp(min=0.0) / (2.0 * a.shape[1])
    kernels = [(1.0 + distances / width).reciprocal() for width in _WIDTHS]
    return functools.reduce(torch.add, kernels) / len(_WIDTHS)
