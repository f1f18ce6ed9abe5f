"""Likelihood of ordered categories: integer codes, with thresholds between neighbouring levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sklae.likelihoods._base import ColumnDensity, Likelihood, Support
from sklae.likelihoods._categorical import levels_of, names_of, refuse_unseen
from sklae.likelihoods._scales import GAIN, constant

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["Ordinal"]

_REMEDY = "Encode ordered categories as 0, 1, 2, ... first, with an OrdinalEncoder."


class _OrdinalColumns(ColumnDensity):
    """A logistic variable around the decoder's output, cut by increasing thresholds of each column.

    Parameters
    ----------
    levels : ndarray of shape (n_columns,), int
        How many levels each column has.
    known : ndarray of shape (n_columns,), bool
        False for columns whose codes are not checked.
    names : list of str or None, default=None
        What errors call the columns; None: by their number.
    """

    last: torch.Tensor
    limit: torch.Tensor
    inner: torch.Tensor

    def __init__(self, levels: np.ndarray, known: np.ndarray, names: list[str] | None = None):
        super().__init__()
        self.names = names
        self.levels = levels
        n_cuts = max(int(levels.max()) - 1, 1)
        self.register_buffer("last", torch.as_tensor(levels - 1), persistent=False)
        limit = np.where(known, levels - 1, np.iinfo(np.int64).max)
        self.register_buffer("limit", torch.as_tensor(limit), persistent=False)
        inner = np.arange(n_cuts)[:, None] < levels - 1
        self.register_buffer("inner", torch.as_tensor(inner), persistent=False)
        # logits of evenly filled levels; differences are learned by their logarithm, so that they stay positive
        share = (np.arange(n_cuts)[:, None] + 1.0) / np.maximum(levels, 2)
        even = np.log(share) - np.log1p(-np.minimum(share, 1.0 - 1e-6))
        steps = np.log(np.maximum(np.diff(even, axis=0), 1e-3)) / GAIN
        self.first = nn.Parameter(constant(even[0] / GAIN))
        self.raw_steps = nn.Parameter(constant(steps))

    def thresholds(self) -> torch.Tensor:
        """Return (most levels + 1, n_columns): below the first level, between levels, above the last one."""
        first = GAIN * self.first[None]
        cuts = torch.cat([first, first + (GAIN * self.raw_steps).exp().cumsum(0)])
        cuts = torch.where(self.inner, cuts, torch.inf)
        return functional.pad(functional.pad(cuts, (0, 0, 1, 0), value=-torch.inf), (0, 0, 0, 1), value=torch.inf)

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        """Return codes from -1 for the first to 1 for the last level; 0 in gaps."""
        half = self.last.clamp(min=1) / 2.0
        even = (x / half - 1.0).to(x.dtype)
        return even if observed is None else even * observed

    def check(self, x: torch.Tensor, observed: torch.Tensor | None) -> None:
        refuse_unseen(x, observed, self.limit, self.last, self.names, "ordered")

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        codes = torch.minimum(x.round().long().clamp(min=0), self.last)
        cuts = self.thresholds()
        upper, lower = cuts.gather(0, codes + 1), cuts.gather(0, codes)
        # logarithm of the difference of two logistic functions, without cancellation
        inside = torch.log(-torch.expm1((lower - upper).clamp(max=-1e-6)))
        return -(functional.logsigmoid(upper - params) + functional.logsigmoid(params - lower) + inside)

    def probabilities(self, params: torch.Tensor) -> torch.Tensor:
        """Return the probability of each level, (..., most levels, n_columns), 0 for what is no level."""
        # a cut is learned even where every column is constant
        assert self.levels is not None
        cuts = self.thresholds()[: self.levels.max() + 1]
        return (cuts - params[..., None, :]).sigmoid().diff(dim=-2)

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return self.probabilities(params).argmax(-2).to(params.dtype)

    def expectation(self, params: torch.Tensor) -> torch.Tensor:
        return self._by_level(self.probabilities(params))

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        share = torch.rand(params.shape, generator=generator, dtype=params.dtype).clamp(1e-7, 1.0 - 1e-7)
        logistic = params + share.logit()
        return (logistic[..., None, :] > self.thresholds()[1:-1]).sum(-2).to(params.dtype)


class Ordinal(Likelihood):
    """Ordered categories: the proportional-odds model.

    The decoder's output shifts a logistic variable along thresholds that are learned for each column, so that
    neighbouring levels are confused before distant ones (McCullagh, Journal of the Royal Statistical Society B 42:109,
    1980). For columns of ordered categories, and for integer codes 0, 1, 2, ..., of which a column has as many levels
    as its largest code in ``fit`` says. Where the density's `mean` is asked for (in ``reconstruct``), it is the most
    probable level.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import VAETransformer
    >>> X = np.random.RandomState(0).randint([2, 3, 7], size=(100, 3))
    >>> vae = VAETransformer(
    ...     2, likelihood="ordinal", max_iter=2, n_iter_no_change=float("inf")
    ... ).fit(X)
    >>> bool(np.isin(vae.reconstruct(X)[:, 2], range(7)).all())
    True
    """

    standardize = False
    support = Support(0.0, integer=True, remedy=_REMEDY)
    discrete = True

    _MOST = 1_000

    def build(self, layout: Layout) -> ColumnDensity:
        levels = levels_of(layout)
        if levels.max() > self._MOST:
            raise ValueError(
                f"Got an ordered column of {levels.max():,.0f} levels, as its largest code says; expected at most "
                f"{self._MOST:,}. Take it for a number, or a count."
            )
        return _OrdinalColumns(levels.astype(np.int64), layout.varies, names_of(layout))
