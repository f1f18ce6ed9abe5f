"""Split-conformal p-values and the Benjamini-Hochberg procedure."""

from __future__ import annotations

import numpy as np

__all__ = ["conformal_p_values", "discoveries"]


def conformal_p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return how usual scores are beside those of calibration rows (Bates et al., Annals of Statistics 51:149, 2023).

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The lower, the stranger.
    calibration : ndarray of shape (n_calibration,)
        Sorted.

    Returns
    -------
    p_values : ndarray of shape (n_samples,)
        (1 + number of calibration scores at or below) / (n_calibration + 1).
    """
    return (1.0 + np.searchsorted(calibration, scores, side="right")) / (len(calibration) + 1.0)


def discoveries(p_values: np.ndarray, fdr: float) -> np.ndarray:
    """Return which p-values the Benjamini-Hochberg procedure rejects (JRSS B 57:289, 1995).

    Parameters
    ----------
    p_values : ndarray of shape (n_samples,)
    fdr : float
        The largest expected share of false discoveries among all.

    Returns
    -------
    rejected : ndarray of shape (n_samples,), bool
    """
    ordered = np.sort(p_values)
    passed = np.flatnonzero(ordered <= fdr * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    return p_values <= ordered[passed[-1]] if len(passed) else np.zeros(len(p_values), dtype=bool)
