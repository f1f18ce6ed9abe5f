"""Several kinds of evidence as one anomaly, and how it is shared out among columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklae._outliers.scores import Evidence, Learned, OfAutoencoders
from sklae._outliers.spaces import PointSpace, Seen

__all__ = ["Joint", "share_out"]


class Joint:
    """One anomaly from one or several kinds of evidence.

    Of reconstruction or the bound alone, it is the strangeness itself. Others are made comparable: each becomes its
    surprise beside the training rows, in nats (see `Tail`), and weighted surprises are added, much as logarithms of
    p-values are in Fisher's method.

    Parameters
    ----------
    parts : sequence of Evidence
    space : PointSpace
    """

    def __init__(self, parts: Sequence[Evidence], space: PointSpace):
        self.parts = parts
        #: The only evidence, where the anomaly is its strangeness itself.
        self.alone = parts[0] if len(parts) == 1 and isinstance(parts[0], OfAutoencoders) else None
        self.space = space
        self.ensemble = space.ensemble
        #: What the columns of a usual row add up to; 0 where nothing is below it.
        self.baseline = 0.0

    @property
    def further_terms(self) -> list[str]:
        """Names of the terms that come after those of the columns."""
        return [name for part in self.parts for name in part.further_terms]

    def fit(self, learned: Learned) -> np.ndarray:
        """Learn what is usual; return how anomalous the rows are, each as if it had been left out."""
        if self.alone is None:
            surprises = [part.weight * part.fit(learned) for part in self.parts]
            return np.where(self._there(learned.seen), np.sum(surprises, axis=0), 0.0)
        anomaly = self.alone.fit_alone(learned)
        self.baseline = float(self.alone.usual[: self.ensemble.layout.n_features].sum())
        return anomaly

    def see(self, table: np.ndarray) -> Seen:
        """Return validated rows as evidence looks at them."""
        return self.space.see(table)

    def anomaly(self, seen: Seen) -> np.ndarray:
        """Return how anomalous rows are."""
        if self.alone is not None:
            return self.alone.strangeness(seen)
        surprises = [part.weight * part.surprise(seen) for part in self.parts]
        return np.where(self._there(seen), np.sum(surprises, axis=0), 0.0)

    def terms(self, seen: Seen) -> np.ndarray:
        """Return what the anomaly is the sum of, column by column and further terms.

        Surprises are shared out in proportion to terms: to what they have in excess of the usual.
        """
        if self.alone is not None:
            return self.alone.terms(seen)
        there = ~np.isnan(self.ensemble.modelled(seen.table))
        n_columns = there.shape[1]
        is_there = there.any(axis=1)
        shared = [
            share_out(
                np.where(is_there, part.weight * part.surprise(seen), 0.0),
                np.maximum(part.terms(seen) - part.usual, 0.0),
                there,
            )
            for part in self.parts
        ]
        return np.hstack([sum(part[:, :n_columns] for part in shared), *(part[:, n_columns:] for part in shared)])

    def suggest(self, seen: Seen) -> np.ndarray:
        """Return the cells that speak least against rows, on the average of the evidence that says."""
        suggested = [cells for part in self.parts if (cells := part.suggest(seen)) is not None]
        return self.ensemble.within_range(np.mean(suggested, axis=0) if suggested else seen.expected)

    def _there(self, seen: Seen) -> np.ndarray:
        """Return which rows have a value: against others nothing speaks."""
        return ~np.isnan(self.ensemble.modelled(seen.table)).all(axis=1)


def share_out(total: np.ndarray, weights: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Share totals out among terms.

    Parameters
    ----------
    total : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_rows, n_terms)
        At or above 0. Infinite ones leave nothing for finite ones.
    there : ndarray of shape (n_rows, n_columns), bool
        Whose terms, the first ones, get equal shares where all weights are 0.

    Returns
    -------
    shares : ndarray of shape (n_rows, n_terms)
        Rows add up to the totals.
    """
    infinite = np.isinf(weights)
    weights = np.where(infinite.any(axis=1, keepdims=True), infinite.astype(np.float64), weights)
    nothing = weights.sum(axis=1) <= 0
    weights[nothing, : there.shape[1]] = there[nothing]
    shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.multiply(shares, total[:, None], where=shares > 0, out=np.zeros_like(shares))
