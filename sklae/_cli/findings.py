"""What a detector finds in a table: strange rows, p-values, reasons. Uses the estimators' public methods only."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import sklae
from sklae import plotting
from sklae._cli.reasons import method_of_strangest, reasons
from sklae._cli.report import Cell, Picture, ResultTable
from sklae._cli.words import for_sheets, shown, unique
from sklae._tables.frames import rows_of

__all__ = ["Findings", "finding_pictures", "inspect", "load_libraries", "strangest_rows", "write_scores"]

_N_STRANGEST = 10
# Of fewer rows there are no p-values.
_LEAST_ROWS = 50
# Characters of a cell that only says what row it is.
_LONGEST_BESIDE = 40
# Characters of a bar's label that a picture of explanations has room for in a line, and inches for each more.
_ROOMY, _INCHES = 30, 0.06
_SCORES = ("score", "decision", "outlier", "p_value", "reasons")


@dataclass(frozen=True)
class Findings:
    """What a detector says about the rows it was fitted on: scores, decisions and p-values are all of its one fit.

    Parameters
    ----------
    detector : AEOutlierDetector
    X : array or frame of shape (n_samples, n_features)
        What it was fitted to.
    rows : sequence of int
        The rows' numbers.
    beside : dict of str to sequence of str
        Names of columns that the detector has not seen -> their cells, to be shown beside the rows.
    scores : ndarray of shape (n_samples,)
        The detector's ``training_scores_``: each row as if it had been left out.
    why : list of lists of str
        What `reasons` returns.
    seconds : float
        What the fit took.
    """

    detector: Any
    X: Any
    rows: Sequence[int]
    beside: Mapping[str, Sequence[str]]
    scores: np.ndarray
    why: list[list[str]]
    seconds: float

    @property
    def order(self) -> np.ndarray:
        """The rows' places, the strangest first."""
        return np.argsort(self.scores, kind="stable")

    @property
    def decision(self) -> np.ndarray:
        """The scores less the threshold: negative for outliers."""
        return self.scores - self.detector.offset_

    @property
    def p_values(self) -> np.ndarray | None:
        """Of each row, from its own score among those of all rows; None for a table of few rows.

        They are those of the detector's ``p_values``, and do not depend on whether it recognises the row: of a long
        table it keeps a sample only, and would count the others twice.
        """
        n_rows = len(self.scores)
        if n_rows < _LEAST_ROWS:
            return None
        return np.searchsorted(np.sort(self.scores), self.scores, side="right") / (n_rows + 1.0)

    def verdict(self) -> str:
        """Return the result in a sentence or two."""
        n_outliers, n_rows = int((self.decision < 0).sum()), len(self.scores)
        are = "rows is an outlier: its" if n_outliers == 1 else "rows are outliers: their"
        return (
            f"{n_outliers:,} of {n_rows:,} {are} score is below the threshold, {self.detector.offset_:.3g}. "
            f"Fitted in {self.seconds:.1f} s."
        )

    def trust(self) -> str:
        """Return how many rows were not trusted."""
        n_left_out = len(self.detector.left_out_)
        if not n_left_out:
            return "All rows are trusted to say what is usual."
        share = f"({_short(100 * (1.0 - self.detector.support_fraction_))} % of those looked at)"
        if n_left_out == 1:
            return f"One row {share} is not trusted to say what is usual: it looks strange, and so do most like it."
        return (
            f"{n_left_out:,} rows {share} are not trusted to say what is usual: "
            "they look strange, and so do most of the rows that are like them."
        )

    def significance(self) -> list[str]:
        """Return what p-values are and what they can't say, in a paragraph; none of a table of few rows."""
        n_rows = len(self.scores)
        if self.p_values is None:
            return []
        return [
            f"P-value of a row: how many of the {n_rows:,} rows have a score at least as low, the row itself counted, "
            f"over {n_rows + 1:,}, so that none is below {_short(1 / (n_rows + 1))}. The scores are those of this "
            "table, from one fit, each row judged as if it had been left out. Outliers among the rows make p-values "
            "larger."
        ]


def _short(value: float) -> str:
    """Return a number in two digits."""
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def load_libraries() -> None:
    """Import what a first fit imports, so that seconds are those of fits."""
    sklae.AutoencoderTransformer(1, max_iter=1, n_iter_no_change=np.inf, random_state=0).fit(np.eye(4))


def inspect(
    X: Any,
    names: Sequence[str],
    *,
    contamination: float | str = "auto",
    rows: Sequence[int] | None = None,
    beside: Mapping[str, Sequence[str]] | None = None,
    random_state: int = 0,
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
    random_state : int, default=0

    Returns
    -------
    findings : Findings
    """
    detector = sklae.AEOutlierDetector(contamination=contamination, random_state=random_state)
    start = time.perf_counter()
    detector.fit(X)
    seconds = time.perf_counter() - start
    scores = detector.training_scores_
    return Findings(
        detector=detector,
        X=X,
        rows=range(len(X)) if rows is None else rows,
        beside=beside or {},
        scores=scores,
        why=reasons(detector, X, names, scores, n_listed=_N_STRANGEST),
        seconds=seconds,
    )


def strangest_rows(found: Findings) -> ResultTable:
    """Return the rows of the lowest scores, the strangest first, and why."""
    lines: list[Sequence[Cell]] = []
    p_values = found.p_values
    for i in found.order[:_N_STRANGEST]:
        p_value = [] if p_values is None else [_short(p_values[i])]
        beside = [shown(cells[i], _LONGEST_BESIDE) for cells in found.beside.values()]
        outlier = "yes" if found.decision[i] < 0 else "no"
        lines.append([str(found.rows[i]), *beside, f"{found.scores[i]:.2f}", *p_value, outlier, found.why[i]])
    notes = [
        "Rows are counted from 0. The score is minus a surprise in nats: how far the row is from the most similar "
        "ones, how improbable, how extreme, and how badly it is rebuilt, each as the log of the share of rows at least "
        "as strange, weighted and added. About -2 is usual, far below is strange.",
        "What was expected in a cell follows from the row's other cells and lies within the values that were seen; a "
        'range holds nine of ten ordinary rows. "Unusual" are the cells that add most to the score of a row none of '
        "whose cells is out of its range: it is their combination that is rare.",
        *found.significance(),
    ]
    with_p_value = [] if p_values is None else ["p-value"]
    header = ["row", *found.beside, "score", *with_p_value, "outlier", "where it is strange"]
    return ResultTable("The strangest rows", header, lines, notes=notes)


def finding_pictures(found: Findings, known: np.ndarray | None = None) -> Iterator[Picture]:
    """Yield pictures: of all scores, and of why the strangest row is strange.

    Parameters
    ----------
    found : Findings
    known : ndarray of shape (n_samples,), bool, or None, default=None
        Which rows are known to be strange.

    Yields
    ------
    picture : Picture
    """
    marks = "" if known is None else " The marks below are the rows that were made strange."
    yield Picture.of(
        "score_histogram.png",
        f"How surprising the rows are, in nats; right of the threshold are the outliers.{marks}",
        plotting.OutlierScoreDisplay.from_predictions(found.scores, found.detector.offset_, known),
    )
    if not found.why[first := int(found.order[0])]:
        return
    row = rows_of(found.X, np.array([first]), len(found.scores))
    method = method_of_strangest(found.detector.n_features_in_)
    display = plotting.ExplanationDisplay.from_estimator(found.detector, row, method=method)
    _make_room(display)
    others = " Grey: all other columns together." if len(display.contributions) > len(display.bars_) else ""
    yield Picture.of(
        "explanation.png",
        f"Row {found.rows[first]}, the strangest: what its cells add to its surprise, and what was expected there."
        f"{others}",
        display,
    )


def _make_room(display: Any) -> None:
    """Put what was expected on a line of its own, where labels would leave bars no room."""
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    if max(map(len, labels)) <= _ROOMY:
        return
    labels = [label.replace(" (expected ", "\n(expected ") for label in labels]
    display.ax_.set_yticks(np.arange(len(labels)), labels)
    longest = max(len(line) for label in labels for line in label.splitlines())
    width, height = display.figure_.get_size_inches()
    display.figure_.set_size_inches(width + _INCHES * max(0, longest - _ROOMY), 1.4 * height)


def write_scores(path: Path, found: Findings) -> None:
    """Write a CSV file with a line per row.

    It has the row's number, the columns beside, score, decision, outlier (1 or 0), p-value (or empty), and reasons.

    Parameters
    ----------
    path : Path
    found : Findings
    """
    p_values = [""] * len(found.scores) if found.p_values is None else found.p_values.tolist()
    own = ["row", *_SCORES]
    names = unique([*own, *found.beside])[len(own) :]  # a table may have a column "score"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *map(for_sheets, names), *_SCORES])
        columns = (found.rows, found.scores.tolist(), found.decision.tolist(), p_values, found.why)
        for i, (row, score, margin, p_value, why) in enumerate(zip(*columns, strict=True)):
            beside = [for_sheets(cells[i]) for cells in found.beside.values()]
            writer.writerow([row, *beside, score, margin, int(margin < 0), p_value, for_sheets("; ".join(why))])
