"""The scores that thresholds and p-values go by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Calibration"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of the rows that a detector was fitted with.

    Attributes
    ----------
    training : ndarray of shape (n_rows,)
        Of all training rows, sorted: what a share of outliers is meant of.
    held_out : ndarray of shape (n_calibration,) or None
        Of rows that were not fitted, sorted; None where there were none.
    """

    training: np.ndarray
    held_out: np.ndarray | None

    def require_held_out(self) -> np.ndarray:
        """Return the scores of held-out rows; AttributeError where there are none."""
        if self.held_out is None:
            raise AttributeError(
                "Got a detector that was fitted without held-out rows; expected some to compare with. Fit with "
                "validation_fraction=0.2, or fit(X, X_val=...)."
            )
        return self.held_out
