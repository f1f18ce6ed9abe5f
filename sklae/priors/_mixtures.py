"""Mixtures of normal distributions as priors."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional

from sklae._codes.base import CodeDistribution, RowCodes
from sklae._codes.mixtures import MixtureCodes
from sklae._utils.compat import Interval, StrOptions
from sklae.priors._base import Prior, PriorModule, check_conditional
from sklae.priors._full_mixtures import FullMixtureModule

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["GaussianMixture"]


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

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
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

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
        n_mixed = self.shape[0]
        h = self.net(condition)
        means, raw_scales = (part.unflatten(-1, self.shape) for part in h[..., n_mixed:].chunk(2, dim=-1))
        scales = _MixtureModule._LEAST_SCALE + functional.softplus(raw_scales + math.log(math.expm1(1.0)))
        return MixtureCodes(h[..., :n_mixed].log_softmax(-1), self.offsets + means, scales)


class GaussianMixture(Prior):
    """A mixture of normal distributions: codes in clusters (as in arXiv 1611.05148, without labels).

    Parameters
    ----------
    n_components : int or "auto", default=10
        Number of mixed distributions. "auto", with full covariances: the one that BIC takes (of up to 12) for the codes
        that training starts from; one is the standard normal distribution.
    covariance_type : {"diag", "full"}, default="diag"
        Whether components of the code are independent in each. Full covariances start as scikit-learn's
        `GaussianMixture` of the first codes, and learn everything.
    means : "learned" or array-like of shape (n_components, n_code_components), default="learned"
        Of the components.
    scales : "learned", float or array-like, default="learned"
        Standard deviations; learned ones never fall below 1e-3.
    weights : {"learned", "uniform"} or array-like of shape (n_components,), default="learned"
        Shares of the components, which add up to 1.
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
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "covariance_type": [StrOptions({"diag", "full"})],
        "means": [StrOptions({"learned"}), "array-like"],
        "scales": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither"), "array-like"],
        "weights": [StrOptions({"learned", "uniform"}), "array-like"],
        "conditional": ["boolean"],
    }

    def __init__(
        self,
        n_components: int | str = 10,
        *,
        covariance_type: str = "diag",
        means: ArrayLike | Literal["learned"] = "learned",
        scales: ArrayLike | Literal["learned"] = "learned",
        weights: ArrayLike | Literal["learned"] = "learned",
        conditional: bool = False,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.means = means
        self.scales = scales
        self.weights = weights
        self.conditional = conditional

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        learned = [isinstance(given, str) and given == "learned" for given in (self.means, self.scales, self.weights)]
        if self.covariance_type == "full":
            if not all(learned) or self.conditional:
                raise ValueError(
                    f"Got {self!r}, with full covariances; expected learned means, scales and weights and "
                    "conditional=False. Leave them out, or use covariance_type='diag'."
                )
            return FullMixtureModule(None if self.n_components == "auto" else int(self.n_components), n_components)
        if isinstance(self.n_components, str):
            raise ValueError(
                "Got n_components='auto' with independent components; expected a number. Pass one, or "
                "covariance_type='full'."
            )
        n_mixed = int(self.n_components)
        if self.conditional:
            if not all(learned):
                raise ValueError("Got conditional=True with given means, scales or weights; expected 'learned' ones.")
            check_conditional(self, layout)
            return _ConditionalMixtureModule(n_mixed, n_components, layout.n_condition)
        shape = (n_mixed, n_components)
        means = None if learned[0] else self._given("means", self.means, shape)
        scales = None if learned[1] else self._given("scales", self.scales, shape)
        weights = None if learned[2] else self._log_weights(n_mixed)
        return _MixtureModule(means, scales, weights, shape)

    def _log_weights(self, n_mixed: int) -> np.ndarray:
        if isinstance(self.weights, str):
            return np.zeros(n_mixed)
        weights = self._given("weights", self.weights, (n_mixed,))
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
