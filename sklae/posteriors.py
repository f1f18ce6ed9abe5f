"""Posteriors: the distribution of a row's code, given the encoder's output."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Self

import torch
import zuko
from torch import nn
from torch.nn import functional

from sklae._utils.compat import Interval
from sklae._utils.component import Component
from sklae._utils.quasi_random import antithetic_draws
from sklae.priors import CodeDistribution, StandardNormalCodes, near_identity

__all__ = [
    "IAF",
    "POSTERIORS",
    "Diagonal",
    "DiagonalCodes",
    "FullCovariance",
    "Point",
    "PointCodes",
    "Posterior",
    "ProductOfExperts",
    "RowCodes",
]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class RowCodes:
    """A distribution of codes per row, with `mean` of shape (n_samples, n_components).

    Attributes
    ----------
    path_only : bool
        Whether the gradient of `path_log_prob` goes through the codes alone.
    """

    mean: torch.Tensor
    path_only: bool = False

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation of each component, (n_samples, n_components)."""
        draws = antithetic_draws(64, self.mean.shape[-1]).to(self.mean)
        return (self.push(draws[:, None, :]) - self.mean).square().mean(0).sqrt()

    def draw_noise(self, generator: torch.Generator, n_draws: int = 1) -> torch.Tensor:
        """Draw what `push` takes: (n_samples, n_components), or with several draws one more leading axis."""
        shape = self.mean.shape if n_draws == 1 else (n_draws, *self.mean.shape)
        return self.mean.new_empty(shape).normal_(generator=generator)

    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one code per row, differentiably."""
        return self.push(self.draw_noise(generator))

    @abstractmethod
    def push(self, noise: torch.Tensor) -> torch.Tensor:
        """Turn standard normal draws, broadcastable to (..., n_samples, n_components), into codes."""

    def push_with_density(self, noise: torch.Tensor) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
        """Return z = push(noise), and a function that returns what `path_log_prob` does of it, when asked."""
        z = self.push(noise)
        return z, lambda: self.path_log_prob(z, noise)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z) per row, in nats; posteriors that have no density don't override this."""
        raise TypeError(f"Got {type(self).__name__}, which has no density; expected a posterior that spreads its mass.")

    def component_log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z_j) of each component, (..., n_samples, n_components), in nats."""
        raise TypeError(f"Got {type(self).__name__}, whose components have no densities of their own.")

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return log q(z) of z = push(noise).

        With `path_only` its gradient goes through z alone: the rest has mean zero and only adds noise (arXiv
        1703.09194).
        """
        return self.log_prob(z)

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        """Return KL(q || prior) per row in nats, or None where there is no closed form."""
        components = self.component_kl(prior)
        return None if components is None else components.sum(-1)

    def component_kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        """Return the same per component, (n_samples, n_components), or None where components are not independent."""
        return None

    def select(self, rows: torch.Tensor) -> Self:
        """Return the distributions of some rows."""
        raise TypeError(f"Got {type(self).__name__}, whose rows can't be selected; expected a posterior that can.")


class Posterior(Component):
    """A component that says how many encoder outputs it needs, and reads them.

    Attributes
    ----------
    has_density : bool
        Whether its codes have a density, which the KL divergence and scores need.
    independent : bool
        Whether its components are independent, each with a density of its own (`RowCodes.component_log_prob`).
    per_block : bool
        Whether each block of columns has an encoder of its own.
    """

    has_density: bool = True
    independent: bool = False
    per_block: bool = False

    @abstractmethod
    def n_outputs(self, n_components: int) -> int:
        """Return the number of outputs of an encoder for codes of this width."""

    @abstractmethod
    def build(self, n_components: int) -> nn.Module:
        """Return a module from encoder outputs, (n_samples, n_outputs), to `RowCodes`.

        With ``per_block`` the outputs of all encoders stand side by side, and after them one column per block: 1 where
        a row has a value in it, 0 where all are missing.
        """


# -- point ------------------------------------------------------------------------------------------------


class PointCodes(RowCodes):
    """All mass on one code: what makes an autoencoder plain."""

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


class _PointModule(nn.Module):
    def forward(self, h: torch.Tensor) -> RowCodes:
        return PointCodes(h)


class Point(Posterior):
    """The posterior of a plain autoencoder: one code, without density, hence for ``divergence="mmd"`` only."""

    has_density = False

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def build(self, n_components: int) -> nn.Module:
        return _PointModule()


# -- normal -----------------------------------------------------------------------------------------------


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
        return -(0.5 * standard.square() + self.scale.log() + _HALF_LOG_2PI)

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return DiagonalCodes(self.mean.detach(), self.scale.detach()).log_prob(z)

    def component_kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        if not isinstance(prior, StandardNormalCodes):
            return None
        return 0.5 * (self.mean.square() + self.scale.square() - 1.0) - self.scale.log()

    def select(self, rows: torch.Tensor) -> DiagonalCodes:
        return DiagonalCodes(self.mean[rows], self.scale[rows])


# softplus, not exp: rows far out would get scales of thousands, and their noise would swamp the batch.
# exp(-20) standard deviations is the least scale; below about -100 it would be 0 in float32.
_LEAST = -20.0


def _scales(raw: torch.Tensor) -> torch.Tensor:
    return functional.softplus(raw.clamp(min=_LEAST))


class _DiagonalModule(nn.Module):
    def forward(self, h: torch.Tensor) -> RowCodes:
        mean, raw_scale = h.chunk(2, dim=-1)
        return DiagonalCodes(mean, _scales(raw_scale))


class Diagonal(Posterior):
    """Normal, with a standard deviation per component (arXiv 1312.6114)."""

    independent = True

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components

    def build(self, n_components: int) -> nn.Module:
        return _DiagonalModule()


class _FullCovarianceCodes(RowCodes):
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
        return -(0.5 * standard.square() + _HALF_LOG_2PI).sum(-1) - self._log_volume()

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return _FullCovarianceCodes(self.mean.detach(), self.factor.detach()).log_prob(z)

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        if not isinstance(prior, StandardNormalCodes):
            return None
        squares = self.mean.square().sum(-1) + self.factor.square().sum((-2, -1)) - self.mean.shape[-1]
        return 0.5 * squares - self._log_volume()

    def select(self, rows: torch.Tensor) -> _FullCovarianceCodes:
        return _FullCovarianceCodes(self.mean[rows], self.factor[rows])


class _FullCovarianceModule(nn.Module):
    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, n_components: int):
        super().__init__()
        self.n_components = n_components
        rows, columns = torch.tril_indices(n_components, n_components, offset=-1)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, h: torch.Tensor) -> RowCodes:
        k = self.n_components
        mean, raw_scale, below = h.split([k, k, k * (k - 1) // 2], dim=-1)
        factor = torch.diag_embed(_scales(raw_scale))
        # relative to the row's own scale, and bounded: what is learned is a correlation
        factor[..., self.rows, self.columns] = below.tanh() * _scales(raw_scale)[..., self.rows]
        return _FullCovarianceCodes(mean, factor)


class FullCovariance(Posterior):
    """Normal, with correlated components: the encoder gives a triangular factor of the covariance.

    The encoder has k(k + 3)/2 outputs for a code of k components. An entry below the diagonal is at most as large as
    its row's diagonal one.
    """

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components + n_components * (n_components - 1) // 2

    def build(self, n_components: int) -> nn.Module:
        return _FullCovarianceModule(n_components)


# -- flows ------------------------------------------------------------------------------------------------


class _FlowedCodes(RowCodes):
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

    def select(self, rows: torch.Tensor) -> _FlowedCodes:
        context = self.context[rows]
        return _FlowedCodes(self.base.select(rows), self.build(context), self.build, context)


class _IAFModule(nn.Module):
    def __init__(self, n_components: int, n_context: int, n_transforms: int, hidden_layer_sizes: tuple[int, ...]):
        super().__init__()
        self.n_components = n_components
        flow = zuko.flows.MAF(n_components, n_context, transforms=n_transforms, hidden_features=hidden_layer_sizes)
        self.flow = near_identity(flow.transform)

    def forward(self, h: torch.Tensor) -> RowCodes:
        k = self.n_components
        mean, raw_scale, context = h.split([k, k, h.shape[-1] - 2 * k], dim=-1)
        return _FlowedCodes(DiagonalCodes(mean, _scales(raw_scale)), self.flow(context), self.flow, context)


class IAF(Posterior):
    """Inverse autoregressive flow: normal draws made skew, curved and correlated (arXiv 1606.04934).

    Parameters
    ----------
    n_transforms : int, default=2
        How many autoregressive transformations follow each other, each in the reverse order of the one before.
    hidden_layer_sizes : sequence of int, default=(64,)
        Of the masked network in each.
    n_context : int, default=16
        Number of encoder outputs that tell these networks about the row.

    Notes
    -----
    Built on zuko. Codes and their own densities take one pass; the mean, which has no closed form, is one over 64
    draws that all rows share.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.posteriors import IAF
    >>> VAETransformer(posterior=IAF(4)).get_params()["posterior__n_context"]
    16
    """

    _parameter_constraints = {
        "n_transforms": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "n_context": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, n_transforms: int = 2, *, hidden_layer_sizes: Sequence[int] = (64,), n_context: int = 16):
        self.n_transforms = n_transforms
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_context = n_context

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components + self.n_context

    def build(self, n_components: int) -> nn.Module:
        return _IAFModule(n_components, self.n_context, self.n_transforms, tuple(self.hidden_layer_sizes))


# -- product of experts -----------------------------------------------------------------------------------


class _ProductModule(nn.Module):
    def __init__(self, n_components: int):
        super().__init__()
        self.n_components = n_components

    def forward(self, h: torch.Tensor) -> RowCodes:
        n_blocks = h.shape[-1] // (2 * self.n_components + 1)
        experts, present = h.split([h.shape[-1] - n_blocks, n_blocks], dim=-1)
        mean, raw_scale = experts.unflatten(-1, (n_blocks, -1)).chunk(2, dim=-1)
        precision = present[..., None] * _scales(raw_scale).square().clamp(min=1e-12).reciprocal()
        total = 1.0 + precision.sum(-2)  # 1: the standard normal's own
        return DiagonalCodes((precision * mean).sum(-2) / total, total.rsqrt())


class ProductOfExperts(Posterior):
    """One encoder per block of columns, fused by multiplying their normal densities and the standard normal's.

    Precisions add, so that a block of which a row has no value is simply left out (Wu and Goodman, arXiv 1802.05335).
    Needs a list of blocks as ``likelihood=``. To train the experts for being alone, hide whole blocks:
    ``corruption=BlockMasking()``.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> blocks = [("first", "gaussian", slice(0, 6)), ("second", "gaussian", slice(6, 13))]
    >>> vae = VAETransformer(
    ...     2, likelihood=blocks, posterior="product_of_experts", max_iter=2, n_iter_no_change=float("inf")
    ... ).fit(load_wine().data)
    >>> len(vae.net_.module_.encoder)
    2
    """

    independent = True
    per_block = True

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components

    def build(self, n_components: int) -> nn.Module:
        return _ProductModule(n_components)


#: Name -> class, for variational models. A new posterior is one class and one row here.
POSTERIORS: dict[str, type[Posterior]] = {
    "diagonal": Diagonal,
    "full_covariance": FullCovariance,
    "iaf": IAF,
    "point": Point,
    "product_of_experts": ProductOfExperts,
}
