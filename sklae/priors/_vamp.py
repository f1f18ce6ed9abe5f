"""The VampPrior."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import nn

from sklae._codes.base import CodeDistribution, RowCodes
from sklae._codes.mixtures import VampCodes
from sklae._utils.compat import Interval
from sklae.priors._base import Prior, PriorModule

if TYPE_CHECKING:
    from sklae._tables.layout import Layout, Rows

__all__ = ["VampPrior"]


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

    def start(self, rows: Rows, draw_codes: Callable[[], torch.Tensor], generator: torch.Generator) -> None:
        chosen = torch.randperm(len(rows.x), generator=generator)
        chosen = chosen.repeat(-(-len(self.x) // len(chosen)))[: len(self.x)]
        with torch.no_grad():
            self.x.copy_(rows.x[chosen])
            if rows.condition is not None:
                self.condition.copy_(rows.condition[chosen])

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
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
