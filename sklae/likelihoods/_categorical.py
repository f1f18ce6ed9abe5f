"""Likelihood of categories: integer codes, with a logit for each level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from sklae._linear.factors import LinearModel
from sklae.likelihoods._base import ColumnDensity, Likelihood, Support

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["Categorical"]

# Of levels that are hardly seen; and of the variance of codes within levels, where these are all but told apart.
_LEAST_SHARE, _LEAST_WITHIN = 1e-4, 0.05
_ENCODE = "Encode categories as 0, 1, 2, ... first, with an OrdinalEncoder."


def levels_of(layout: Layout) -> np.ndarray:
    """Return how many levels each column of codes has, as its largest code says."""
    # constant columns leave the density, whatever their code: they get one level
    return np.maximum(np.where(layout.varies, np.round(layout.maximum) + 1.0, 1.0), 1.0)


def names_of(layout: Layout) -> list[str] | None:
    """Return what errors call a layout's columns."""
    return None if layout.columns.names is None else layout.columns.labels().tolist()


def refuse_unseen(
    x: torch.Tensor,
    observed: torch.Tensor | None,
    limit: torch.Tensor,
    last: torch.Tensor,
    names: list[str] | None,
    kind: str,
) -> None:
    """Refuse codes above the limit of their column: levels that fit has not seen."""
    unseen = x > limit
    if observed is not None:
        unseen &= observed > 0
    if unseen.any():
        column = int(unseen.any(0).nonzero()[0])
        name = f"number {column} of its block" if names is None else repr(names[column])
        raise ValueError(
            f"Got code {x[:, column][unseen[:, column]].max().item():g} in {kind} column {name}, where fit saw 0 to "
            f"{int(last[column])}; expected levels that fit has seen. Fit on rows with all levels, or set others to "
            "NaN: they count as missing."
        )


class _CategoricalColumns(ColumnDensity):
    """Logits by levels: those of code 0 in all columns first, then those of code 1 in the columns that have it, ...

    The softmax then runs over an axis that is not the last one, which is several times faster for few levels.
    Columns of fewer levels than others are padded with logits of -inf, so that there is one softmax for all.

    Parameters
    ----------
    levels : ndarray of shape (n_columns,), int
        How many levels each column has.
    known : ndarray of shape (n_columns,), bool
        False for columns whose codes are not checked.
    names : list of str or None
        What errors call the columns; None: by their number.
    """

    last: torch.Tensor
    limit: torch.Tensor
    column: torch.Tensor
    code: torch.Tensor
    padded: torch.Tensor | None

    def __init__(self, levels: np.ndarray, known: np.ndarray, names: list[str] | None = None):
        super().__init__()
        self.names = names
        self.levels = levels
        self.shape = int(levels.max()), len(levels)
        there = np.arange(self.shape[0])[:, None] < levels
        self.total = int(there.sum())
        code, column = there.nonzero()
        # where each logit stands among the decoder's outputs; one after the last is padding
        places = np.where(there.ravel(), np.cumsum(there) - 1, self.total)
        buffers = {
            "last": levels - 1,
            "limit": np.where(known, levels - 1, np.iinfo(np.int64).max),
            "column": column,
            "code": code,
            "padded": None if there.all() else places,
        }
        for name, values in buffers.items():
            self.register_buffer(name, None if values is None else torch.as_tensor(values), persistent=False)

    def n_outputs(self, n_columns: int) -> int:
        return self.total

    def n_inputs(self, n_columns: int) -> int:
        return self.total

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        """Return one-hot codes; all zeros in gaps, and for values that are no level."""
        hot = (x.index_select(-1, self.column) == self.code).to(x.dtype)
        return hot if observed is None else hot * observed.index_select(-1, self.column)

    def input_columns(self, n_columns: int) -> np.ndarray:
        return self.column.numpy()

    def start(self, linear: LinearModel) -> tuple[np.ndarray, np.ndarray]:
        """Linear discriminants: codes as normal around a mean for each level, of one covariance."""
        shares = np.maximum(linear.mean, _LEAST_SHARE)
        weight, bias = np.zeros_like(linear.loadings), np.log(shares)
        column = self.column.numpy()
        for j in range(self.shape[1]):
            own = np.flatnonzero(column == j)
            means = linear.loadings[own] / shares[own, None]
            within = np.eye(means.shape[1]) - (means.T * shares[own]) @ means
            values, vectors = np.linalg.eigh(within)
            weight[own] = means @ (vectors / np.maximum(values, _LEAST_WITHIN)) @ vectors.T
            bias[own] -= 0.5 * (weight[own] * means).sum(axis=1)
        # what conditions do is left to training
        return np.pad(weight, [(0, 0), (0, linear.decoder.shape[1] - weight.shape[1])]), bias

    def check(self, x: torch.Tensor, observed: torch.Tensor | None) -> None:
        refuse_unseen(x, observed, self.limit, self.last, self.names, "categorical")

    def logits(self, params: torch.Tensor) -> torch.Tensor:
        """Return (..., most levels, n_columns), with -inf for what is no level."""
        if self.padded is not None:
            params = functional.pad(params, (0, 1), value=-torch.inf).index_select(-1, self.padded)
        return params.unflatten(-1, self.shape)

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        logits = self.logits(params)
        # gaps hold the mean of codes, unseen ones are refused before: any level serves, as long as it is one
        codes = torch.minimum(x.round().long().clamp(min=0), self.last).expand(*params.shape[:-1], -1)
        if params.ndim == 2:
            return functional.cross_entropy(logits, codes, reduction="none")
        terms = functional.cross_entropy(logits.flatten(0, -3), codes.flatten(0, -2), reduction="none")
        return terms.view(codes.shape)

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return self.logits(params).argmax(-2).to(params.dtype)

    def expectation(self, params: torch.Tensor) -> torch.Tensor:
        return self._by_level(self.logits(params).softmax(-2))

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        chances = self.logits(params).softmax(-2).transpose(-1, -2)
        codes = torch.multinomial(chances.flatten(0, -2), 1, replacement=True, generator=generator)
        return codes.view(chances.shape[:-1]).to(params.dtype)


class Categorical(Likelihood):
    """Categories without an order; the decoder's outputs are logits of the levels.

    For columns of text, categories and booleans, and for integer codes 0, 1, 2, ..., of which a column has as many
    levels as its largest code in ``fit`` says. The encoder sees levels one-hot, a missing one as zeros. Where the
    density's `mean` is asked for (in ``reconstruct``), it is the most probable level.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import VAETransformer
    >>> X = np.random.RandomState(0).randint([2, 3, 7], size=(100, 3))
    >>> vae = VAETransformer(
    ...     2, likelihood="categorical", max_iter=2, n_iter_no_change=float("inf")
    ... ).fit(X)
    >>> bool(np.isin(vae.reconstruct(X)[:, 2], range(7)).all())
    True
    """

    standardize = False
    support = Support(0.0, integer=True, remedy=_ENCODE)
    discrete = True

    _MOST = 100_000

    def build(self, layout: Layout) -> ColumnDensity:
        levels = levels_of(layout)
        if levels.sum() > self._MOST:
            raise ValueError(
                f"Got categorical columns of {levels.sum():,.0f} levels in all, as their largest codes say; expected "
                f"at most {self._MOST:,}. Encode categories with an OrdinalEncoder (max_categories= merges rare ones), "
                "and leave out columns that only identify rows."
            )
        return _CategoricalColumns(levels.astype(np.int64), layout.varies, names_of(layout))
