"""Several kinds of evidence as one anomaly, and how it is shared out among columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklae._outliers.scores import Evidence
from sklae._outliers.tails import Tail

__all__ = ["Joint", "share_out"]


class Joint:
    """One anomaly from one or several kinds of evidence.

    Of one kind, it is the strangeness itself. Several are made comparable first: each becomes its surprise beside the
    trusted rows, in nats (see `Tail`), and surprises are added, as logarithms of p-values are in Fisher's method.

    Parameters
    ----------
    parts : sequence of Evidence
    """

    def __init__(self, parts: Sequence[Evidence]):
        self.parts = parts
        self.ensemble = parts[0].ensemble
        self.tails: list[Tail] = []
        self.usual: list[np.ndarray] = []
        #: What the columns of a usual row add up to; 0 where nothing is below it.
        self.baseline = 0.0

    @property
    def further_terms(self) -> list[str]:
        """Names of the terms that come after those of the columns."""
        return [name for part in self.parts for name in part.further_terms]

    def fit(self, table: np.ndarray, expected: np.ndarray, trusted: np.ndarray) -> np.ndarray:
        """Learn what is usual from those rows, of the given ones, that are trusted; return how anomalous all are."""
        for part in self.parts:
            part.fit(table[trusted], expected[trusted])
        found = self._found(table, expected)
        if len(self.parts) > 1:
            self.usual, self.tails = [], []
            for part, terms in zip(self.parts, found, strict=True):
                self.usual.append(np.zeros(terms.shape[1]) if part.positive else terms[trusted].mean(axis=0))
                self.tails.append(Tail.fit(terms[trusted].sum(axis=1), positive=part.positive))
        anomaly = self._surprises(found, table).sum(axis=0)
        if len(self.parts) == 1 and not self.parts[0].positive:
            n_columns = self.ensemble.layout.n_features
            self.baseline = float(found[0][trusted, :n_columns].sum(axis=1).mean())
        return anomaly

    def anomaly(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return how anomalous rows are."""
        return self._surprises(self._found(table, expected), table).sum(axis=0)

    def terms(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return what the anomaly is the sum of, column by column and further terms.

        Of several kinds of evidence: each one's surprise, shared out in proportion to its terms (those that may be
        negative: to what they have in excess of the usual).
        """
        found = self._found(table, expected)
        if len(found) == 1:
            return found[0]
        there = ~np.isnan(self.ensemble.modelled(table))
        n_columns = there.shape[1]
        shared = [
            share_out(surprise, np.maximum(terms - usual, 0.0), there)
            for surprise, terms, usual in zip(self._surprises(found, table), found, self.usual, strict=True)
        ]
        return np.hstack([sum(part[:, :n_columns] for part in shared), *(part[:, n_columns:] for part in shared)])

    def suggest(self, table: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the cells that speak least against rows, on the average of all kinds of evidence."""
        return np.mean([part.suggest(table, expected) for part in self.parts], axis=0)

    def _surprises(self, found: list[np.ndarray], table: np.ndarray) -> np.ndarray:
        """Return what each kind of evidence adds to the anomaly, (n_parts, n_rows)."""
        totals = [terms.sum(axis=1) for terms in found]
        if len(totals) == 1:
            return np.array(totals)
        # against a row without any value nothing speaks
        there = ~np.isnan(self.ensemble.modelled(table)).all(axis=1)
        return np.array([np.where(there, tail(total), 0.0) for tail, total in zip(self.tails, totals, strict=True)])

    def _found(self, table: np.ndarray, expected: np.ndarray) -> list[np.ndarray]:
        return [part.terms(table, expected) for part in self.parts]


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
