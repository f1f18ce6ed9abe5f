"""Normalizing flows as priors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
import zuko

from sklae._codes.base import CodeDistribution, RowCodes
from sklae._codes.flows import FlowCodes, near_identity
from sklae._utils.compat import Interval, StrOptions
from sklae.priors._base import Prior, PriorModule, check_conditional

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["Flow"]


class _FlowModule(PriorModule):
    floats = True

    def __init__(self, flow: Any, n_components: int, conditional: bool):
        super().__init__()
        self.flow = flow
        self.n_components = n_components
        self.conditional = conditional

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
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
            check_conditional(self, layout)
        flow = {"affine": zuko.flows.MAF, "spline": zuko.flows.NSF}[self.univariate](
            n_components,
            layout.n_condition if self.conditional else 0,
            transforms=self.n_transforms,
            hidden_features=tuple(self.hidden_layer_sizes),
        )
        return _FlowModule(near_identity(flow.transform), n_components, self.conditional)
