"""How much each row counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sklae._tables.frames import rows_of
from sklae._tables.sources import RowSource
from sklae._tables.table import unmasked
from sklae._utils.compat import check_sample_weight, num_samples

__all__ = ["RowWeights", "weights_of"]


class RowWeights(NamedTuple):
    """Weights of a table's rows. Those of weight 0 are taken out before anything is read: they are as good as absent.

    Attributes
    ----------
    n_rows : int
        Of the table, as it was given.
    rows : ndarray of int or None
        Positions of the rows above 0; None: all.
    weights : ndarray or None
        Theirs, of mean 1; None: all count alike.
    """

    n_rows: int
    rows: np.ndarray | None = None
    weights: np.ndarray | None = None

    @classmethod
    def read(cls, sample_weight: Any, X: Any) -> RowWeights:
        """Return the weights of the rows of X.

        Raises
        ------
        ValueError, TypeError
            For weights that are no finite numbers at or above 0, one a row, or all 0; and of a source of rows.
        """
        if sample_weight is None:
            return cls(0)
        if isinstance(X, RowSource):
            raise ValueError(
                f"Got sample_weight with {type(X).__name__}, a source of rows; expected none. Pass a table in memory, "
                "or let the source yield rows as often as they count."
            )
        n_rows = num_samples(X)
        expected = f"expected one finite number at or above 0 for each of the {n_rows} rows, and not only zeros."
        remedy = "Pass weights in the order of the rows, or None to count all alike."
        try:
            weights = check_sample_weight(unmasked(sample_weight), np.empty((n_rows, 1)), dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise type(error)(f"Got sample_weight that can't be used ({error}); {expected} {remedy}") from error
        lowest, largest = weights.min(), weights.max()
        if not np.isfinite(lowest) or lowest < 0 or not np.isfinite(largest):
            wrong = lowest if lowest < 0 else largest
            raise ValueError(f"Got sample_weight with {wrong:g}; {expected} {remedy} A weight of 0 leaves a row out.")
        if largest == 0:
            raise ValueError(f"Got sample_weight that is zero throughout; {expected} {remedy}")
        weights = weights / largest  # their sum might overflow
        rows = np.flatnonzero(weights > 0)
        counts = weights[rows]
        alike = counts.min() == counts.max()
        return cls(n_rows, None if len(rows) == n_rows else rows, None if alike else counts / counts.mean())

    def of(self, table: Any, name: str = "X") -> Any:
        """Return the rows of a table that count; None is None."""
        if table is None or self.n_rows == 0:
            return table
        if (n_rows := num_samples(table)) != self.n_rows:
            raise ValueError(
                f"Got {n_rows} rows in {name} and {self.n_rows} weights; expected as many. Pass the same rows in the "
                "same order."
            )
        return table if self.rows is None else rows_of(table, self.rows, self.n_rows)

    @property
    def _counts(self) -> np.ndarray:
        counts = np.zeros(self.n_rows, dtype=bool)
        counts[slice(None) if self.rows is None else self.rows] = True
        return counts

    def others(self, table: Any) -> Any:
        """Return the rows of a table that don't count."""
        return rows_of(table, np.flatnonzero(~self._counts), self.n_rows)

    def merge(self, counted: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the values of all rows, from those of the rows that count and of the others."""
        values, counts = np.empty(self.n_rows), self._counts
        values[counts], values[~counts] = counted, others
        return values


def weights_of(rows: Any, weights: np.ndarray | None) -> np.ndarray | None:
    """Return the weights of some rows (None: of all); None where all count alike."""
    return weights if weights is None or rows is None else weights[rows]
