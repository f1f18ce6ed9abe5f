"""Priors: the distribution of codes before a row is seen."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import zuko
from torch import nn
from torch.nn import functional

from sklae._codes.base import CodeDistribution
from sklae._codes.flows import FlowCodes, near_identity
from sklae._codes.mixtures import MixtureCodes, VampCodes
from sklae._codes.normal import StandardNormalCodes
from sklae._utils.compat import Interval, StrOptions
from sklae._utils.component import Component

if TYPE_CHECKING:
    from sklae._tables.layout import Layout, Rows

__all__ = [
    "PRIORS",
    "CodeDistribution",
    "Flow",
    "GaussianMixture",
    "Prior",
    "PriorModule",
    "StandardNormal",
    "StandardNormalCodes",
    "VampPrior",
]


class PriorModule(nn.Module):
    """What a prior builds.

    Attributes
    ----------
    factorizes : bool
        Whether its components are independent and standard normal, so that a KL divergence is a sum over them.
    floats : bool
        Whether it follows the codes wherever they go, so that training has to hold them in place.
    width : int
        How many numbers the density of one code takes.
    """

    factorizes: bool = False
    floats: bool = False
    width: int = 0

    @property
    def starts_from_rows(self) -> bool:
        """Whether `start` does anything: rows are looked up for it only then."""
        return type(self).start is not PriorModule.start

    def start(self, rows: Rows, generator: torch.Generator) -> None:
        """Set learned numbers from the training rows, before the first step; by default nothing is."""
        return None

    @abstractmethod
    def forward(self, encode: Callable[..., Any], condition: torch.Tensor | None = None) -> CodeDistribution:
        """Return the distribution of codes.

        Parameters
        ----------
        encode : callable
            ``encode(x, observed, condition)`` gives the posteriors of encoded rows, for priors made of these.
        condition : Tensor of shape (n_samples, n_condition) or None
            Encoded conditions of the rows that the codes belong to.
        """


class Prior(Component):
    """A component that builds a `PriorModule`."""

    @abstractmethod
    def build(self, n_components: int, layout: Layout) -> PriorModule:
        """Return the module for codes of this width.

        Raises
        ------
        ValueError
            If the prior does not suit these columns.
        """


# -- standard normal --------------------------------------------------------------------------------------


class _StandardNormalModule(PriorModule):
    factorizes = True

    def __init__(self, n_components: int):
        super().__init__()
        self.distribution = StandardNormalCodes(n_components)

    def forward(self, encode: Callable[..., Any], condition: torch.Tensor | None = None) -> CodeDistribution:
        return self.distribution


class StandardNormal(Prior):
    """The standard normal prior (arXiv 1312.6114)."""

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        return _StandardNormalModule(n_components)


# -- mixtures ---------------------------------------------------------------------------------------------


class _MixtureModule(PriorModule):
    means: torch.Tensor
    scales: torch.Tensor
    log_weights: torch.Tensor
    _LEAST_SCALE = 1e-3

    def __init__(self, means: Any, scales: Any, weights: Any, shape: tuple[int, int]):
        super().__init__()
        n_mixed = shape[0]
        self.floats = means is None and scales is None
        self.width = shape[0] * shape[1]
        self._set("means", means, lambda: torch.randn(shape), shape)
        self._set("scales", scales, lambda: torch.full(shape, math.log(math.expm1(1.0))), shape)
        self._set("log_weights", weights, lambda: torch.zeros(n_mixed), shape[:1])
        self.scales_learned = scales is None

    def _set(self, name: str, given: Any, start: Callable[[], torch.Tensor], shape: tuple[int, ...]) -> None:
        if given is None:
            self.register_parameter(name, nn.Parameter(start()))
        else:
            self.register_buffer(name, torch.as_tensor(np.broadcast_to(given, shape).copy(), dtype=torch.float32))

    def forward(self, encode: Callable[..., Any], condition: torch.Tensor | None = None) -> CodeDistribution:
        scales = self.scales
        if self.scales_learned:  # then what is stored is what softplus makes them of
            scales = self._LEAST_SCALE + functional.softplus(scales)
        return MixtureCodes(self.log_weights.log_softmax(-1), self.means, scales)


class _ConditionalMixtureModule(PriorModule):
    """Means, scales and weights as functions of the condition."""

    floats = True

    def __init__(self, n_mixed: int, n_components: int, n_condition: int):
        super().__init__()
        self.shape = (n_mixed, n_components)
        self.width = n_mixed * n_components
        self.net = nn.Sequential(nn.Linear(n_condition, 64), nn.SiLU(), nn.Linear(64, n_mixed * (1 + 2 * n_components)))
        # apart from the start, whatever the condition: equal parts of a mixture would stay equal
        self.offsets = nn.Parameter(torch.randn(n_mixed, n_components) * (n_mixed > 1))

    def forward(self, encode: Callable[..., Any], condition: torch.Tensor | None = None) -> CodeDistribution:
        n_mixed = self.shape[0]
        h = self.net(condition)
        means, raw_scales = (part.unflatten(-1, self.shape) for part in h[..., n_mixed:].chunk(2, dim=-1))
        scales = _MixtureModule._LEAST_SCALE + functional.softplus(raw_scales + math.log(math.expm1(1.0)))
        return MixtureCodes(h[..., :n_mixed].log_softmax(-1), self.offsets + means, scales)


class GaussianMixture(Prior):
    """A mixture of normal distributions: codes in clusters (as in arXiv 1611.05148, without labels).

    Parameters
    ----------
    n_components : int, default=10
        Number of mixed distributions.
    means : "learned" or array-like of shape (n_components, n_code_components), default="learned"
    scales : "learned", float or array-like, default="learned"
        Standard deviations; learned ones never fall below 1e-3.
    weights : {"learned", "uniform"} or array-like of shape (n_components,), default="learned"
    conditional : bool, default=False
        Whether means, scales and weights are functions of the condition (a small network); everything must then be
        learned, and the model needs ``condition_features``.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.priors import GaussianMixture
    >>> VAETransformer(prior=GaussianMixture(5)).get_params()["prior__n_components"]
    5
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "means": [StrOptions({"learned"}), "array-like"],
        "scales": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither"), "array-like"],
        "weights": [StrOptions({"learned", "uniform"}), "array-like"],
        "conditional": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        means: Any = "learned",
        scales: Any = "learned",
        weights: Any = "learned",
        conditional: bool = False,
    ):
        self.n_components = n_components
        self.means = means
        self.scales = scales
        self.weights = weights
        self.conditional = conditional

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        learned = [isinstance(given, str) and given == "learned" for given in (self.means, self.scales, self.weights)]
        if self.conditional:
            if not all(learned):
                raise ValueError("Got conditional=True with given means, scales or weights; expected 'learned' ones.")
            _check_conditional(self, layout)
            return _ConditionalMixtureModule(self.n_components, n_components, layout.n_condition)
        shape = (self.n_components, n_components)
        means = None if learned[0] else self._given("means", self.means, shape)
        scales = None if learned[1] else self._given("scales", self.scales, shape)
        weights = None if learned[2] else self._log_weights()
        return _MixtureModule(means, scales, weights, shape)

    def _log_weights(self) -> np.ndarray:
        if isinstance(self.weights, str):
            return np.zeros(self.n_components)
        weights = self._given("weights", self.weights, (self.n_components,))
        if weights.min() <= 0:
            raise ValueError(f"Got weights={self.weights!r}; expected positive numbers. Leave out what has no weight.")
        return np.log(weights / weights.sum())

    @staticmethod
    def _given(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        try:
            values = np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Got {name} of shape {np.shape(value)}; expected {shape}: one row per mixed distribution, one column "
                "per component of the code. Set n_components of the prior and of the estimator to match."
            ) from error
        if not np.isfinite(values).all() or (name == "scales" and values.min() <= 0):
            raise ValueError(f"Got {name}={value!r}; expected finite{' positive' * (name == 'scales')} numbers.")
        return values


def _check_conditional(prior: Prior, layout: Layout) -> None:
    if not layout.n_condition:
        raise ValueError(
            f"Got {prior!r} for a model without conditions; expected condition_features. Name them, or leave "
            "conditional=False."
        )


class _VampModule(PriorModule):
    x: torch.Tensor
    condition: torch.Tensor
    floats = True

    def __init__(self, n_pseudo: int, n_features: int, n_condition: int, n_components: int, learned: bool):
        super().__init__()
        self.width = n_pseudo * n_components
        self.x = nn.Parameter(torch.randn(n_pseudo, n_features), requires_grad=learned)
        self.condition = nn.Parameter(torch.zeros(n_pseudo, n_condition), requires_grad=learned)
        self.log_weights = nn.Parameter(torch.zeros(n_pseudo), requires_grad=learned)

    def start(self, rows: Rows, generator: torch.Generator) -> None:
        chosen = torch.randperm(len(rows.x), generator=generator)
        chosen = chosen.repeat(-(-len(self.x) // len(chosen)))[: len(self.x)]
        with torch.no_grad():
            self.x.copy_(rows.x[chosen])
            if rows.condition is not None:
                self.condition.copy_(rows.condition[chosen])

    def forward(self, encode: Callable[..., Any], condition: torch.Tensor | None = None) -> CodeDistribution:
        q = encode(self.x, None, self.condition if self.condition.shape[1] else None)
        return VampCodes(self.log_weights.log_softmax(-1), q)


class VampPrior(Prior):
    """A mixture of the posteriors of pseudo-inputs, which start as training rows and are learned (arXiv 1705.07120).

    Parameters
    ----------
    n_components : int, default=50
        Number of pseudo-inputs.
    learned : bool, default=True
        Whether pseudo-inputs and their weights are trained. False keeps the training rows they start from, all of
        one weight: with as many as there are rows the prior is the aggregate posterior.

    Notes
    -----
    Fixed pseudo-inputs are rows of the training data, and are pickled with the model.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.priors import VampPrior
    >>> VAETransformer(prior=VampPrior(100)).get_params()["prior__n_components"]
    100
    """

    _parameter_constraints = {"n_components": [Interval(Integral, 1, None, closed="left")], "learned": ["boolean"]}

    def __init__(self, n_components: int = 50, *, learned: bool = True):
        self.n_components = n_components
        self.learned = learned

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        widths = layout.n_features, layout.n_condition, n_components
        return _VampModule(self.n_components, *widths, learned=self.learned)


# -- flows ------------------------------------------------------------------------------------------------


class _FlowModule(PriorModule):
    floats = True

    def __init__(self, flow: Any, n_components: int, conditional: bool):
        super().__init__()
        self.flow = flow
        self.n_components = n_components
        self.conditional = conditional

    def forward(self, encode: Callable[..., Any], condition: torch.Tensor | None = None) -> CodeDistribution:
        transform = self.flow(condition if self.conditional else None)
        return FlowCodes(transform, self.n_components, next(self.parameters()).dtype)


class Flow(Prior):
    """An autoregressive normalizing flow, learned with the model (arXiv 1611.02731, 1705.07057).

    Parameters
    ----------
    n_transforms : int, default=3
        How many autoregressive transformations follow each other, each in the reverse order of the one before.
    hidden_layer_sizes : sequence of int, default=(64, 64)
        Of the masked network in each.
    univariate : {"affine", "spline"}, default="affine"
        What is done to each component given those before it: shift and scale, or a rational-quadratic spline
        (arXiv 1906.04032), which is bent in one dimension already.
    conditional : bool, default=False
        Whether the flow depends on the condition; needs ``condition_features``.

    Notes
    -----
    Built on zuko. Densities take one pass, draws as many as the code has components.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.priors import Flow
    >>> VAETransformer(prior=Flow(univariate="spline")).get_params()["prior__n_transforms"]
    3
    """

    _parameter_constraints = {
        "n_transforms": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "univariate": [StrOptions({"affine", "spline"})],
        "conditional": ["boolean"],
    }

    def __init__(
        self,
        n_transforms: int = 3,
        *,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        univariate: str = "affine",
        conditional: bool = False,
    ):
        self.n_transforms = n_transforms
        self.hidden_layer_sizes = hidden_layer_sizes
        self.univariate = univariate
        self.conditional = conditional

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        if self.conditional:
            _check_conditional(self, layout)
        flow = {"affine": zuko.flows.MAF, "spline": zuko.flows.NSF}[self.univariate](
            n_components,
            layout.n_condition if self.conditional else 0,
            transforms=self.n_transforms,
            hidden_features=tuple(self.hidden_layer_sizes),
        )
        return _FlowModule(near_identity(flow.transform), n_components, self.conditional)


#: Name -> class. A new prior is one class and one row here.
PRIORS: dict[str, type[Prior]] = {
    "normal": StandardNormal,
    "gaussian_mixture": GaussianMixture,
    "vamp": VampPrior,
    "flow": Flow,
}
