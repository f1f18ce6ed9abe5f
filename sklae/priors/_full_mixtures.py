"""Mixtures of normal distributions with full covariances, in closed form at the start."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn import config_context, mixture
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklae._codes.base import CodeDistribution, RowCodes
from sklae._codes.mixtures import FullMixtureCodes
from sklae._codes.normal import StandardNormalCodes
from sklae._utils.random import some_rows
from sklae.priors._base import PriorModule

if TYPE_CHECKING:
    from sklae._tables.layout import Rows

__all__ = ["FullMixtureModule"]

# Sizes to choose from, of which BIC takes one; on so many codes at most. Variances of a component are no less than this
# in units of those of all codes.
_SIZES, _MOST_CODES, _LEAST_VARIANCE = (1, 2, 3, 5, 8, 12), 5_000, 1e-3
# The share of codes that is standard normal whatever is learned: those of new rows may be where there were none.
_ANYWHERE = 0.01


class FullMixtureModule(PriorModule):
    """Starts as the mixture that fits the first codes best; as the standard normal if that is one distribution.

    Factors and offsets are as `FullMixtureCodes` has them, but for logarithms on the factors' diagonals.
    """

    raw_factors: torch.Tensor | None
    offsets: torch.Tensor
    log_weights: torch.Tensor
    on_diagonal: torch.Tensor
    below: torch.Tensor

    def __init__(self, n_mixed: int | None, n_components: int):
        super().__init__()
        self.n_mixed = n_mixed
        self.normal = StandardNormalCodes(n_components)
        for name in ("raw_factors", "offsets", "log_weights"):
            self.register_parameter(name, None)
        self.register_buffer("on_diagonal", None, persistent=False)
        self.register_buffer("below", None, persistent=False)

    @property
    def factorizes(self) -> bool:  # type: ignore[override]
        """Whether it is the standard normal distribution."""
        return self.raw_factors is None

    @property
    def width(self) -> int:  # type: ignore[override]
        """How many numbers the density of one code takes."""
        return 0 if self.raw_factors is None else self.raw_factors.shape[1]

    def start(self, rows: Rows, draw_codes: Callable[[], torch.Tensor], generator: torch.Generator) -> None:
        with warnings.catch_warnings(), config_context(array_api_dispatch=False):
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is where training starts
            codes = draw_codes().cpu().numpy()
            if not np.isfinite(codes).all():
                return  # of rows that are past float32: the first loss will say so
            fitted = _fit_mixture(codes, self.n_mixed, generator)
        if fitted.n_components == 1:
            return
        width = self.normal.n_components
        factors = np.linalg.cholesky(np.linalg.inv(fitted.covariances_))
        weights, offsets = fitted.weights_, (fitted.means_[:, None] @ factors).ravel()
        diagonal = np.arange(width)
        factors[:, diagonal, diagonal] = np.log(factors[:, diagonal, diagonal])
        values = {
            "raw_factors": np.hstack(list(factors)),
            "offsets": offsets,
            "log_weights": np.log(np.maximum(weights, 1e-12)),
        }
        for name, value in values.items():
            setattr(self, name, nn.Parameter(torch.as_tensor(value, dtype=torch.float32)))
        self.on_diagonal = torch.eye(width).repeat(1, len(weights))
        self.below = torch.ones(width, width).tril(-1).repeat(1, len(weights))

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
        raw = self.raw_factors
        if raw is None:
            return self.normal
        diagonal = raw * self.on_diagonal
        factors = diagonal.exp() * self.on_diagonal + raw * self.below
        log_volumes = diagonal.sum(0).view(-1, len(raw)).sum(-1)
        return FullMixtureCodes(self.log_weights.log_softmax(-1), factors, self.offsets, log_volumes, _ANYWHERE)


def _fit_mixture(codes: np.ndarray, n_mixed: int | None, generator: torch.Generator) -> mixture.GaussianMixture:
    """Return a mixture of so many distributions, or (None) of the number that BIC takes."""
    seed = int(torch.randint(2**31, (), generator=generator))
    codes = codes[some_rows(len(codes), _MOST_CODES, np.random.RandomState(seed))]
    n_rows, width = codes.shape
    best, least = None, np.inf
    for size in _SIZES if n_mixed is None else (min(n_mixed, n_rows),):
        if n_mixed is None and size > 1 and size * width * (width + 3) // 2 > n_rows:
            break  # more numbers to learn than codes
        fitted = mixture.GaussianMixture(size, reg_covar=_LEAST_VARIANCE, random_state=seed)
        criterion = fitted.fit(codes).bic(codes)
        if best is not None and criterion >= least:
            break
        best, least = fitted, criterion
    return best
