"""Which cell makes a row strange: replace each by what the others make expected, and see how far the anomaly falls."""

from __future__ import annotations

import numpy as np

from sklae._outliers.combination import Joint

__all__ = ["repair"]


def repair(table: np.ndarray, joint: Joint) -> tuple[np.ndarray, np.ndarray]:
    """Replace each cell of each row by what is expected there, given the row's other cells.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
        Validated; not changed.
    joint : Joint
        Says what is expected, and how anomalous a row is.

    Returns
    -------
    falls : ndarray of shape (n_rows, n_columns)
        By how much replacing the modelled column's cell lowers the row's anomaly; 0 where it does not, and in gaps.
    expected : ndarray of shape (n_rows, n_columns)
        What was put there; of a category the code of the likeliest level.
    """
    n_columns = joint.ensemble.layout.n_features
    falls, expected = np.empty((2, len(table), n_columns))
    for rows in joint.ensemble.batches(table, n_columns):
        falls[rows], expected[rows] = _repair_chunk(table[rows], joint)
    return falls, expected


def _repair_chunk(table: np.ndarray, joint: Joint) -> tuple[np.ndarray, np.ndarray]:
    ensemble = joint.ensemble
    positions = ensemble.layout.columns.data
    n_rows, n_columns = len(table), len(positions)
    copies = np.repeat(table, n_columns, axis=0)  # a row's copies follow each other, one for each modelled column
    every = np.arange(len(copies))
    cell, own = (every, np.tile(positions, n_rows)), (every, np.tile(np.arange(n_columns), n_rows))
    copies[cell] = np.nan
    copies[cell] = ensemble.cells.collapse(joint.suggest(copies, ensemble.expect(copies)))[own]
    before = joint.anomaly(table, ensemble.expect(table))
    after = joint.anomaly(copies, ensemble.expect(copies)).reshape(n_rows, n_columns)
    with np.errstate(invalid="ignore"):
        falls = np.maximum(before[:, None] - after, 0.0)
    falls[np.isnan(falls) | np.isnan(ensemble.modelled(table))] = 0.0
    return falls, copies[cell].reshape(n_rows, n_columns).astype(np.float64)
