"""Which cell makes a row strange: replace each by what the others make expected, and see how far the anomaly falls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sklae._evidence import Ensemble, batches_of

__all__ = ["repair"]

# The first pass sees a gap in place of the cell, further ones what was put there before.
_N_PASSES = 3


def repair(
    table: np.ndarray, anomaly_of: Callable[[np.ndarray, np.ndarray], np.ndarray], ensemble: Ensemble
) -> tuple[np.ndarray, np.ndarray]:
    """Replace each cell of each row by what is expected there, given the row's other cells.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
        Validated; not changed.
    anomaly_of : callable
        From a table and the ensemble's reconstruction of it to anomalies, (n_rows,).
    ensemble : Ensemble

    Returns
    -------
    falls : ndarray of shape (n_rows, n_columns)
        By how much replacing the modelled column's cell lowers the row's anomaly; 0 where it does not, and in gaps.
    expected : ndarray of shape (n_rows, n_columns)
        What was put there.
    """
    n_columns = ensemble.layout.n_features
    falls, expected = np.empty((2, len(table), n_columns))
    for rows in batches_of(len(table), n_columns * table.shape[1]):
        falls[rows], expected[rows] = _repair_chunk(table[rows], anomaly_of, ensemble)
    return falls, expected


def _repair_chunk(
    table: np.ndarray, anomaly_of: Callable[[np.ndarray, np.ndarray], np.ndarray], ensemble: Ensemble
) -> tuple[np.ndarray, np.ndarray]:
    positions = ensemble.layout.columns.data
    n_rows, n_columns = len(table), len(positions)
    copies = np.repeat(table, n_columns, axis=0)  # a row's copies follow each other, one for each modelled column
    cell = np.arange(len(copies)), np.tile(positions, n_rows)
    own = np.tile(np.arange(n_columns), n_rows)
    copies[cell] = np.nan
    for _ in range(_N_PASSES):
        rebuilt = ensemble.reconstruct(copies)
        copies[cell] = rebuilt[np.arange(len(copies)), own]
    before = anomaly_of(table, ensemble.reconstruct(table))
    after = anomaly_of(copies, ensemble.reconstruct(copies)).reshape(n_rows, n_columns)
    with np.errstate(invalid="ignore"):
        falls = np.maximum(before[:, None] - after, 0.0)
    falls[np.isnan(falls) | np.isnan(ensemble.modelled(table))] = 0.0
    return falls, copies[cell].reshape(n_rows, n_columns).astype(np.float64)
