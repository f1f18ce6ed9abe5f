"""What a detector finds in a table: strange rows, p-values, reasons. Uses the estimators' public methods only."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import sklae
from sklae._cli.reasons import reasons
from sklae._cli.report import ResultTable
from sklae._cli.words import for_sheets, unique

__all__ = ["Findings", "Significance", "inspect", "strangest_rows", "write_scores"]

_N_STRANGEST = 10
# Of fewer rows there are no p-values.
_LEAST_ROWS = 50
_SCORES = ("score", "decision", "outlier", "p_value", "reasons")


@dataclass(frozen=True)
class Significance:
    """What p-values say about the rows of a table.

    Parameters
    ----------
    p_values : ndarray of shape (n_samples,)
    n_compared : int
        How many rows they compare with.
    smallest : float
        The least p-value there is.
    """

    p_values: np.ndarray
    n_compared: int
    smallest: float

    def told(self) -> str:
        """Return what they are and what they can't say."""
        return (
            f"P-values: the share of {self.n_compared:,} rows, each as if it had been left out of the fit, that is at "
            f"least as strange, the row itself counted, so that none is below {_short(self.smallest)}. They come from "
            "the same table: outliers among them make p-values larger."
        )


@dataclass(frozen=True)
class Findings:
    """What a detector says about the rows it was fitted on.

    Parameters
    ----------
    detector : AEOutlierDetector
    rows : sequence of int
        The rows' numbers.
    beside : dict of str to sequence of str
        Names of columns that the detector has not seen -> their cells, to be shown beside the rows.
    scores, decision : ndarray of shape (n_samples,)
        What the detector's ``score_samples`` and ``decision_function`` return.
    significance : Significance or None
        None for a table of few rows.
    why : list of lists of str
        What `reasons` returns.
    seconds : float
        What the fit took.
    """

    detector: Any
    rows: Sequence[int]
    beside: Mapping[str, Sequence[str]]
    scores: np.ndarray
    decision: np.ndarray
    significance: Significance | None
    why: list[list[str]]
    seconds: float

    def told(self) -> list[str]:
        """Return the result in paragraphs: outliers, the rows that were not trusted, p-values."""
        said = [f"{self.verdict()} {self._trust()}"]
        return said if self.significance is None else [*said, self.significance.told()]

    def verdict(self) -> str:
        """Return the result in a sentence or two."""
        return (
            f"{int((self.decision < 0).sum()):,} of {len(self.scores):,} rows are outliers: their score is below the "
            f"threshold, {self.detector.offset_:.3g}. Fitted in {self.seconds:.1f} s."
        )

    def _trust(self) -> str:
        n_left_out = len(self.detector.left_out_)
        if not n_left_out:
            return "All rows are trusted to say what is usual."
        share = 1.0 - self.detector.support_fraction_
        return (
            f"{n_left_out:,} rows ({_short(100 * share)} % of those looked at) are not trusted to say what is usual: "
            "they look strange, and so do most of the rows that are like them."
        )


def _short(value: float) -> str:
    """Return a number in two digits."""
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def inspect(
    X: Any,
    names: Sequence[str],
    *,
    contamination: float | str = "auto",
    rows: Sequence[int] | None = None,
    beside: Mapping[str, Sequence[str]] | None = None,
) -> Findings:
    """Fit a detector on a table and explain its strange rows.

    Parameters
    ----------
    X : array or frame of shape (n_samples, n_features)
    names : sequence of str
        Of the columns.
    contamination : "auto" or float, default="auto"
    rows : sequence of int or None, default=None
        The rows' numbers; None counts from 0.
    beside : dict of str to sequence of str, or None, default=None
        Names of other columns -> their cells, to be shown beside the rows.

    Returns
    -------
    findings : Findings
    """
    detector = sklae.AEOutlierDetector(contamination=contamination, random_state=0)
    start = time.perf_counter()
    detector.fit(X)
    seconds = time.perf_counter() - start
    scores = detector.score_samples(X)
    return Findings(
        detector=detector,
        rows=range(len(X)) if rows is None else rows,
        beside=beside or {},
        scores=scores,
        decision=scores - detector.offset_,
        significance=_significance(detector, X),
        why=reasons(detector, X, names, scores, n_listed=_N_STRANGEST),
        seconds=seconds,
    )


def _significance(detector: Any, X: Any) -> Significance | None:
    """Return p-values, where there are rows enough for small ones."""
    if len(X) < _LEAST_ROWS:
        return None
    return Significance(
        p_values=detector.p_values(X),
        n_compared=detector.n_calibration_,
        smallest=detector.min_p_value_,
    )


def strangest_rows(found: Findings) -> ResultTable:
    """Return the rows of the lowest scores, the strangest first, and why."""
    lines: list[Sequence[str | list[str]]] = []
    for i in np.argsort(found.scores, kind="stable")[:_N_STRANGEST]:
        p_value = [] if found.significance is None else [_short(found.significance.p_values[i])]
        beside = [cells[i] for cells in found.beside.values()]
        outlier = "yes" if found.decision[i] < 0 else "no"
        lines.append([str(found.rows[i]), *beside, f"{found.scores[i]:.2f}", *p_value, outlier, found.why[i]])
    note = (
        "Rows are counted from 0. The score is minus a surprise in nats: how far the row is from the most similar "
        "ones, how improbable, how extreme, and how badly it is rebuilt, each as the log of the share of rows at least "
        "as strange, weighted and added. About -2 is usual, far below is strange. What was expected in a cell follows "
        "from the row's other cells and lies within the values that were seen; a range holds "
        "nine of ten ordinary rows."
    )
    with_p_value = [] if found.significance is None else ["p-value"]
    header = ["row", *found.beside, "score", *with_p_value, "outlier", "where it is strange"]
    return ResultTable("The strangest rows", note, header, lines)


def write_scores(path: Path, found: Findings) -> None:
    """Write a CSV file with a line per row.

    It has the row's number, the columns beside, score, decision, outlier (1 or 0), p-value (or empty), and reasons.

    Parameters
    ----------
    path : Path
    found : Findings
    """
    n_rows = len(found.scores)
    p_values = [""] * n_rows if found.significance is None else found.significance.p_values.tolist()
    own = ["row", *_SCORES]
    names = unique([*own, *found.beside])[len(own) :]  # a table may have a column "score"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *map(for_sheets, names), *_SCORES])
        columns = (found.rows, found.scores.tolist(), found.decision.tolist(), p_values, found.why)
        for i, (row, score, margin, p_value, why) in enumerate(zip(*columns, strict=True)):
            beside = [for_sheets(cells[i]) for cells in found.beside.values()]
            writer.writerow([row, *beside, score, margin, int(margin < 0), p_value, for_sheets("; ".join(why))])
