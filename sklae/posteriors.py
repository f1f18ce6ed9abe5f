"""Posteriors: the distribution of a row's code, given the encoder's output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral

import torch
import zuko
from torch import nn
from torch.nn import functional

from sklae._codes.base import RowCodes
from sklae._codes.flows import FlowedCodes, near_identity
from sklae._codes.normal import DiagonalCodes, FullCovarianceCodes, PointCodes
from sklae._utils.compat import Interval
from sklae._utils.component import Component

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

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_wine
    >>> from torch import nn
    >>> from sklae import VAETransformer
    >>> from sklae.posteriors import DiagonalCodes, Posterior
    >>> class UnitModule(nn.Module):
    ...     def forward(self, h):
    ...         return DiagonalCodes(h, torch.ones_like(h))
    >>> class Unit(Posterior):
    ...     independent = True
    ...
    ...     def n_outputs(self, n_components):
    ...         return n_components
    ...
    ...     def build(self, n_components):
    ...         return UnitModule()
    >>> vae = VAETransformer(2, posterior=Unit(), max_iter=2, random_state=0).fit(
    ...     load_wine().data
    ... )
    >>> float(vae.encode(load_wine().data)[1].max())
    1.0
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

        A module may have ``outputs_for(mean, std, n_outputs)``: the encoder's outputs, (..., n_outputs), affine in
        ``mean``, for codes with means ``mean``, (..., n_components), and standard deviations ``std``, (n_components,).
        Then a model can start as a linear one.
        """


# -- point ------------------------------------------------------------------------------------------------


class _PointModule(nn.Module):
    def forward(self, h: torch.Tensor) -> RowCodes:
        return PointCodes(h)

    def outputs_for(self, mean: torch.Tensor, std: torch.Tensor, n_outputs: int) -> torch.Tensor:
        return mean


class Point(Posterior):
    """The posterior of a plain autoencoder: one code, without density, hence for ``divergence="mmd"`` only.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> wae = VAETransformer(
    ...     2, posterior="point", divergence="mmd", max_iter=2, random_state=0
    ... )
    >>> mean, std = wae.fit(load_wine().data).encode(load_wine().data)
    >>> float(std.max())
    0.0
    """

    has_density = False

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def build(self, n_components: int) -> nn.Module:
        return _PointModule()


# -- normal -----------------------------------------------------------------------------------------------


# softplus, not exp: rows far out would get scales of thousands, and their noise would swamp the batch.
# exp(-20) standard deviations is the least scale; below about -100 it would be 0 in float32.
_LEAST = -20.0


def _scales(raw: torch.Tensor) -> torch.Tensor:
    return functional.softplus(raw.clamp(min=_LEAST))


def _mean_and_scales(mean: torch.Tensor, std: torch.Tensor, n_outputs: int) -> torch.Tensor:
    """Return encoder outputs, (..., n_outputs), for normal codes with these means and standard deviations."""
    raw_scale = torch.log(torch.expm1(std)).expand_as(mean)
    rest = mean.new_zeros(*mean.shape[:-1], n_outputs - 2 * mean.shape[-1])
    return torch.cat([mean, raw_scale, rest], dim=-1)


class _DiagonalModule(nn.Module):
    def forward(self, h: torch.Tensor) -> RowCodes:
        mean, raw_scale = h.chunk(2, dim=-1)
        return DiagonalCodes(mean, _scales(raw_scale))

    def outputs_for(self, mean: torch.Tensor, std: torch.Tensor, n_outputs: int) -> torch.Tensor:
        return _mean_and_scales(mean, std, n_outputs)


class Diagonal(Posterior):
    """Normal, with a standard deviation per component (arXiv 1312.6114).

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.posteriors import Diagonal
    >>> VAETransformer(posterior=Diagonal()).posterior.n_outputs(3)  # means and deviations
    6
    """

    independent = True

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components

    def build(self, n_components: int) -> nn.Module:
        return _DiagonalModule()


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
        return FullCovarianceCodes(mean, factor)

    def outputs_for(self, mean: torch.Tensor, std: torch.Tensor, n_outputs: int) -> torch.Tensor:
        return _mean_and_scales(mean, std, n_outputs)


class FullCovariance(Posterior):
    """Normal, with correlated components: the encoder gives a triangular factor of the covariance.

    The encoder has k(k + 3)/2 outputs for a code of k components. An entry below the diagonal is at most as large as
    its row's diagonal one.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.posteriors import FullCovariance
    >>> VAETransformer(posterior=FullCovariance()).posterior.n_outputs(
    ...     3
    ... )  # means and a triangle
    9
    """

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components + n_components * (n_components - 1) // 2

    def build(self, n_components: int) -> nn.Module:
        return _FullCovarianceModule(n_components)


# -- flows ------------------------------------------------------------------------------------------------


class _IAFModule(nn.Module):
    def __init__(self, n_components: int, n_context: int, n_transforms: int, hidden_layer_sizes: tuple[int, ...]):
        super().__init__()
        self.n_components = n_components
        flow = zuko.flows.MAF(n_components, n_context, transforms=n_transforms, hidden_features=hidden_layer_sizes)
        self.flow = near_identity(flow.transform)

    def forward(self, h: torch.Tensor) -> RowCodes:
        k = self.n_components
        mean, raw_scale, context = h.split([k, k, h.shape[-1] - 2 * k], dim=-1)
        return FlowedCodes(DiagonalCodes(mean, _scales(raw_scale)), self.flow(context), self.flow, context)

    def outputs_for(self, mean: torch.Tensor, std: torch.Tensor, n_outputs: int) -> torch.Tensor:
        return _mean_and_scales(mean, std, n_outputs)


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
        share = precision / total[..., None, :]  # of means far out: their products with precisions would overflow
        return DiagonalCodes((share * mean).sum(-2), total.rsqrt())


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
    ...     2,
    ...     likelihood=blocks,
    ...     posterior="product_of_experts",
    ...     max_iter=2,
    ...     n_iter_no_change=float("inf"),
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
