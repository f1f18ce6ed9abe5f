"""Likelihoods of zeros and ones, and of numbers in between; the decoder's output is a logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from sklae.likelihoods._base import ColumnDensity, Likelihood, Support

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["Bernoulli", "ContinuousBernoulli"]


class _BernoulliColumns(ColumnDensity):
    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(params, x.expand_as(params), reduction="none")

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return params.sigmoid()

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.bernoulli(params.sigmoid(), generator=generator)


class Bernoulli(Likelihood):
    """Zeros and ones, with the decoder's output as log-odds; booleans are taken for the numbers 0 and 1.

    Values between 0 and 1 (grey pixels) are taken as probabilities of a one: the term is then the
    usual cross-entropy, which is no density of grey values; compare such scores with each other only,
    or use `ContinuousBernoulli`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import AutoencoderTransformer
    >>> X = load_digits().data / 16.0
    >>> ae = AutoencoderTransformer(
    ...     n_components=8, likelihood="bernoulli", max_iter=2, n_iter_no_change=float("inf")
    ... )
    >>> ae.fit_transform(X).shape
    (1797, 8)
    """

    standardize = False
    support = Support(0.0, 1.0)

    def build(self, layout: Layout) -> ColumnDensity:
        return _BernoulliColumns()


# Around a logit of zero the closed forms are 0 / 0. Within this, series of four terms are exact to 1e-14.
_NEAR = 0.25


def _even_part(logits: torch.Tensor) -> torch.Tensor:
    """Return log(2 sinh(logit / 2) / logit), the logarithm of the normaliser less logit / 2."""
    size = logits.abs()
    near = size < _NEAR
    square = torch.where(near, logits, 0.0).square()
    series = square * (1 / 24 + square * (-1 / 2880 + square * (1 / 181440 - square / 9676800)))
    # where the other branch holds, its argument is replaced: the gradient of what is not taken must be finite, too
    far = torch.where(near, 1.0, size)
    return torch.where(near, series, 0.5 * far + torch.log(-torch.expm1(-far)) - far.log())


class _ContinuousBernoulliColumns(ColumnDensity):
    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return (0.5 - x) * params + _even_part(params)

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        size = params.abs()
        near = size < _NEAR
        inside = torch.where(near, params, 0.0)
        square = inside.square()
        series = inside * (1 / 12 + square * (-1 / 720 + square * (1 / 30240 - square / 1209600)))
        far = torch.where(near, 1.0, size)
        closed = params.sign() * (0.5 - torch.exp(-far) / torch.expm1(-far) - 1.0 / far)
        return 0.5 + torch.where(near, series, closed)

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        u = torch.empty_like(params).uniform_(generator=generator)
        # by the inverse of the distribution function for a negative logit, mirrored for a positive one. The least
        # size avoids 0 / 0 and moves nothing by more than itself.
        size = params.abs().clamp(min=1e-6)
        x = (-torch.log1p(u * torch.expm1(-size)) / size).clamp(0.0, 1.0)
        return torch.where(params > 0, 1.0 - x, x)


class ContinuousBernoulli(Likelihood):
    """Numbers between 0 and 1, such as grey pixels, with a density proportional to exp(logit * x).

    What the cross-entropy of `Bernoulli` lacks to be a density of such values is its normaliser
    (Loaiza-Ganem and Cunningham, arXiv 1907.06845).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import VAETransformer
    >>> X = load_digits().data / 16.0
    >>> vae = VAETransformer(
    ...     8, likelihood="continuous_bernoulli", max_iter=2, n_iter_no_change=float("inf")
    ... )
    >>> rows = vae.fit(X).reconstruct(X)
    >>> bool(0 < rows[:, 20:28].min() and rows.max() < 1)
    True
    """

    is_density = True

    standardize = False
    support = Support(0.0, 1.0)

    def build(self, layout: Layout) -> ColumnDensity:
        return _ContinuousBernoulliColumns()
