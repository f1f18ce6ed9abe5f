"""Why a row is strange: its anomaly, shared out among its cells.

By its own terms; or by how far it falls when a cell is replaced by what the others make expected.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sklae._outliers.combination import Joint, share_out

__all__ = ["EXPLANATIONS", "adding_up_to", "repair"]


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
    copies[cell] = ensemble.cells.collapse(joint.suggest(joint.see(copies)))[own]
    before = joint.anomaly(joint.see(table))
    after = joint.anomaly(joint.see(copies)).reshape(n_rows, n_columns)
    with np.errstate(invalid="ignore"):
        falls = np.maximum(before[:, None] - after, 0.0)
    falls[np.isnan(falls) | np.isnan(ensemble.modelled(table))] = 0.0
    return falls, copies[cell].reshape(n_rows, n_columns).astype(np.float64)


def added_up(table: np.ndarray, joint: Joint) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of the anomaly, and the reconstruction."""
    ensemble, terms, expected = joint.ensemble, [], []
    for rows in ensemble.batches(table):
        seen = joint.see(table[rows])
        terms.append(joint.terms(seen))
        expected.append(ensemble.within_range(seen.expected))
    return np.concatenate(terms), ensemble.cells.collapse(np.concatenate(expected))


def repaired(table: np.ndarray, joint: Joint) -> tuple[np.ndarray, np.ndarray]:
    """Return the anomaly shared out by how far repairs lower it, and what they put in."""
    falls, expected = repair(table, joint)
    terms, _ = added_up(table, joint)
    width = falls.shape[1]
    # a term that belongs to no column stays what it is, unless it was joined with others
    remainder = terms[:, width:] if joint.alone is not None else np.empty((len(table), 0))
    # where no repair helps, and where the anomaly is infinite, whatever is repaired
    helpless = falls.sum(axis=1) <= 0
    falls[helpless] = np.maximum(terms[helpless, :width], 0.0)
    there = ~np.isnan(joint.ensemble.modelled(table))
    usual = there * joint.baseline / np.maximum(there.sum(axis=1, keepdims=True), 1)
    excess = terms.sum(axis=1) - remainder.sum(axis=1) - usual.sum(axis=1)
    return np.hstack([usual + share_out(excess, falls, there), remainder]), expected


def adding_up_to(terms: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return terms that add up to other totals: those of rows that were fitted are scored as if left out."""
    sums = terms.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = terms * (totals / sums)[:, None]
    shifted = terms + ((totals - sums) / terms.shape[1])[:, None]
    keeps_sign = (terms.min(axis=1, initial=0.0) >= 0) & (sums > 0) & (totals >= 0)
    changes = np.isfinite(sums) & np.isfinite(totals) & (totals != sums)
    return np.where(changes[:, None], np.where(keeps_sign[:, None], scaled, shifted), terms)


#: Name -> function of a validated table and a `Joint`: what each column and further term adds, (n_rows, n_terms),
#: and what is expected in each cell, (n_rows, n_columns).
EXPLANATIONS: dict[str, Callable[[np.ndarray, Joint], tuple[np.ndarray, np.ndarray]]] = {
    "repair": repaired,
    "additive": added_up,
}
