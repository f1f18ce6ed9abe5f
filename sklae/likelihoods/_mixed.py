"""The likelihood that each column's kind asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sklae._tables.annotations import FeaturesLike
from sklae._utils.component import choices, resolve
from sklae.likelihoods._base import ColumnDensity, Likelihood
from sklae.likelihoods._blocks import BlockColumns
from sklae.likelihoods._histogram import Histogram
from sklae.likelihoods._real import Gaussian
from sklae.likelihoods._table import LIKELIHOODS

if TYPE_CHECKING:
    from sklae._tables.columns import Columns
    from sklae._tables.layout import Layout

__all__ = ["ByKind", "LeastSquares", "Mixed"]

# From so many rows on, histograms of numbers beside categories make better draws, and are no less likely held out
# (adult, california_housing); of fewer, their cells say too little.
_MANY_ROWS = 1_000
# What a number costs that is predicted by its mean, at scale 1, in nats.
_COST_OF_A_NUMBER = 0.5


class Mixed(Likelihood):
    """A likelihood for each kind of column, as the table's dtypes tell them: what ``likelihood="auto"`` stands for.

    Floats and integers are numbers, booleans and text are categories, ordered categories keep their order. Integers
    are counts where ``count_features`` says so. "auto" is ``Mixed()`` in a VAE, and ``Mixed("histogram")`` where the
    table has categories, too, and 1,000 rows; in a plain autoencoder it is ``Mixed(Gaussian(1.0), balance=True)``.

    Parameters
    ----------
    numeric : str, Likelihood or None, default=None
        Of numbers. None is ``Gaussian("per_row")``, whose draws know no bounds. "histogram" is for columns with
        heavy tails, several modes or values that repeat, and for draws that keep to ranges and to what repeats;
        "student_t" for tails alone.
    categorical : str or Likelihood, default="categorical"
        Of text, unordered categories and booleans.
    ordered : str or Likelihood, default="ordinal"
        Of ordered categories.
    count : str or Likelihood, default="negative_binomial"
        Of ``count_features``.
    count_features : array-like of str, int or bool, str, int, slice or None, default=None
        Columns of non-negative integers that count something: by name, position or mask.
    balance : bool, default=False
        Whether columns of categories are weighed in training so that each costs, predicted by its frequencies alone,
        as much as a number predicted by its mean at scale 1: half a nat, over the column's entropy. For numbers whose
        scale is fixed; a learned scale finds its own weight, and a bound of the log-density is one only if all weigh
        the same. Scores never weigh.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import Mixed
    >>> X = pd.DataFrame(
    ...     {
    ...         "age": [31.5, 40.0, None, 25.0] * 9,
    ...         "job": ["cook", "clerk", None, "cook"] * 9,
    ...         "visits": [0, 2, 7, 1] * 9,
    ...     }
    ... )
    >>> vae = VAETransformer(
    ...     2,
    ...     likelihood=Mixed(count_features="visits"),
    ...     max_iter=2,
    ...     n_iter_no_change=float("inf"),
    ... )
    >>> vae.fit(X).sample(3, random_state=0).dtypes.astype(str).tolist() == X.dtypes.astype(
    ...     str
    ... ).tolist()
    True
    """

    _parameter_constraints = {
        "numeric": choices(LIKELIHOODS, Likelihood, None),
        "categorical": choices(LIKELIHOODS, Likelihood),
        "ordered": choices(LIKELIHOODS, Likelihood),
        "count": choices(LIKELIHOODS, Likelihood),
        "count_features": ["array-like", str, int, slice, None],
        "balance": ["boolean"],
    }

    def __init__(
        self,
        numeric: str | Likelihood | None = None,
        *,
        categorical: str | Likelihood = "categorical",
        ordered: str | Likelihood = "ordinal",
        count: str | Likelihood = "negative_binomial",
        count_features: FeaturesLike | None = None,
        balance: bool = False,
    ):
        self.numeric = numeric
        self.categorical = categorical
        self.ordered = ordered
        self.count = count
        self.count_features = count_features
        self.balance = balance

    def _stands_for(self, name: str, given: Any) -> Any:
        return Gaussian("per_row") if name == "numeric" and given is None else super()._stands_for(name, given)

    def assign(self, columns: Columns) -> list[tuple[str, Likelihood, np.ndarray]]:
        """Return a block for each kind that there is.

        Raises
        ------
        ValueError
            If ``count_features`` names a column that is none, or one of categories.
        """
        kinds = np.array([_BLOCK_OF[kind] for kind in columns.kinds], dtype=object)
        if self.count_features is not None:
            counts = columns.find(self.count_features, "count_features")
            wrong = counts[kinds[counts] != "numeric"]
            if len(wrong):
                raise ValueError(
                    f"Got count_features={self.count_features!r}, among them categories, "
                    f"{columns.labels()[wrong[:5]].tolist()}; expected columns of non-negative integers."
                )
            kinds[counts] = "count"
        blocks = []
        for name in ("numeric", "count", "categorical", "ordered"):
            indices = np.flatnonzero(kinds == name)
            part = getattr(self, name)
            if len(indices):
                blocks.append((name, Gaussian("per_row") if part is None else resolve(part, LIKELIHOODS), indices))
        return blocks

    def build(self, layout: Layout) -> ColumnDensity:
        blocks = self.assign(layout.columns)
        if len(blocks) == 1:
            density = blocks[0][1].build(layout)
        else:
            densities = [part.build(layout.select(indices)) for _, part, indices in blocks]
            density = BlockColumns(densities, [indices for _, _, indices in blocks])
        if self.balance:
            density.register_buffer("balance", _balance(layout), persistent=False)
        return density


class _Numbers(Likelihood):
    """Of many rows the distribution that each column has, by histograms; of few a normal one, given the code."""

    reads_grid = True

    def build(self, layout: Layout) -> ColumnDensity:
        n_rows = max((grid.n_values for grid in layout.grids if grid is not None), default=0)
        return (Histogram() if n_rows >= _MANY_ROWS else Gaussian("per_row")).build(layout)


class ByKind(Mixed):
    """What "auto" stands for in a VAE: as `Mixed`, but numbers beside categories are as they are in long tables."""

    _parameter_constraints = {}

    def __init__(self) -> None:
        super().__init__()

    def assign(self, columns: Columns) -> list[tuple[str, Likelihood, np.ndarray]]:
        blocks = super().assign(columns)
        if len(blocks) == 1:
            return blocks
        return [(name, _Numbers() if name == "numeric" else part, indices) for name, part, indices in blocks]

    def streamed(self) -> Likelihood:
        return Mixed()


class LeastSquares(Mixed):
    """Squared errors, and categories weighed to count as much: what "auto" stands for in a plain autoencoder."""

    _parameter_constraints = {}

    def __init__(self) -> None:
        super().__init__(Gaussian(1.0), balance=True)

    def build(self, layout: Layout) -> ColumnDensity:
        density = super().build(layout)
        density.noiseless = True
        return density


#: Kind of column -> the parameter that says its likelihood.
_BLOCK_OF = {
    "numeric": "numeric",
    "integer": "numeric",
    "binary": "categorical",
    "categorical": "categorical",
    "ordered": "ordered",
}


def _balance(layout: Layout) -> torch.Tensor | None:
    """Return what each column counts in training; None where all are numbers."""
    if not any(len(shares) for shares in layout.frequencies):
        return None
    entropy = np.array([-np.sum(shares * np.log(np.maximum(shares, 1e-12))) for shares in layout.frequencies])
    coded = np.array([len(shares) > 0 for shares in layout.frequencies])
    # a level of one row in a thousand: columns that hardly vary would otherwise count for nothing but noise
    return torch.as_tensor(np.where(coded, _COST_OF_A_NUMBER / np.maximum(entropy, 0.01), 1.0), dtype=torch.float32)
