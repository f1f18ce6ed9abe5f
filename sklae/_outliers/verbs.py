"""What a fitted detector says of rows: scores, decisions, p-values, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoders.base import BaseAutoencoder
from sklae._outliers.calibration import Calibration, KnownRows
from sklae._outliers.combination import Joint
from sklae._outliers.conformal import conformal_p_values, discoveries
from sklae._outliers.explanation import EXPLANATIONS, adding_up_to
from sklae._outliers.thresholds import (
    Thresholder,
    by_false_alarm_rate,
    by_labels,
    by_share,
    by_thresholder,
    fence,
    is_rate,
    outlier_labels,
)
from sklae._tables.annotations import ArrayOrFrame, Frame, TableLike
from sklae._tables.frames import table_of
from sklae._tables.sources import RowSource
from sklae._tables.validation import check_table
from sklae.sources._taken import in_chunks

__all__ = ["Detection"]


class Detection(ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin):
    """The verbs of a fitted detector."""

    autoencoder_: BaseAutoencoder
    offset_: float
    n_features_in_: int
    _joint: Joint
    _calibration: Calibration
    _known: KnownRows | None

    # -- scores -----------------------------------------------------------------------------------------

    @in_chunks
    def score_samples(self, X: TableLike | RowSource) -> np.ndarray:
        """Return minus the anomaly of each row; the higher the more normal.

        What the numbers are depends on ``anomaly_score``. Of several kinds of evidence: nats of surprise, about 1 for
        each kind in a usual row. "reconstruction": the mean squared residual in units of `residual_scale_`, about 1.
        Missing values do not count, nor do levels that `fit` has not seen.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            One for each row.
        """
        return self._score_table(self._check_input(X))

    def decision_function(self, X: TableLike | RowSource) -> np.ndarray:
        """Return `score_samples` minus `offset_`: negative for outliers.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            One for each row.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: TableLike | RowSource, *, fdr: float | None = None) -> np.ndarray:
        """Return 1 for inliers and -1 for outliers.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        fdr : float, default=None
            The largest expected share of false alarms among all rows called outliers: takes those that the
            Benjamini-Hochberg procedure selects by `p_values`, whatever the threshold, and depends on all rows of X.
            None: compares with `offset_`, row by row.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            1 or -1 for each row.
        """
        if fdr is None:
            return np.where(self.decision_function(X) < 0, -1, 1)
        if not is_rate(fdr):
            raise ValueError(f"Got fdr={fdr!r}; expected a number in (0, 1).")
        check_is_fitted(self)
        calibration = self._calibration.require_held_out(f"fdr={fdr}")
        p_values = conformal_p_values(self.score_samples(X), calibration)
        return np.where(discoveries(p_values, float(fdr)), -1, 1)

    @in_chunks
    def p_values(self, X: TableLike | RowSource) -> np.ndarray:
        """Return conformal p-values: how usual each row is beside rows that what judges them was not fitted to.

        After a fit with held-out rows (``validation_fraction`` or ``X_val``) beside these: for a row that is
        exchangeable with them, P(p <= t) <= t, whatever the model and the data (Bates et al., Annals of Statistics
        51:149, 2023). Else beside all training rows, each as if it had been left out (cross-conformal: Vovk, Annals of
        Mathematics and Artificial Intelligence 74:9, 2015), which costs no rows, and holds nearly. Outliers among these
        rows make p-values larger, hence fewer rows selected, never more.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            From `min_p_value_` to 1.
        """
        table = self._check_input(X)
        usual = self._calibration.usual
        p_values = conformal_p_values(self._score_table(table), usual)
        if self._calibration.held_out is None and self._known is not None:
            # a training row is among those that it is compared with, and counts once
            p_values -= np.isfinite(self._known.find(table)) / (len(usual) + 1.0)
        return np.maximum(p_values, self.min_p_value_)

    @in_chunks
    def transform(self, X: TableLike | RowSource) -> ArrayOrFrame:
        """Return the codes of the (first) autoencoder.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        codes : ndarray or frame of shape (n_samples, n_components)
            In X's dtype; the container follows ``set_output``.
        """
        table = self._check_input(X)
        return self.autoencoder_.model_.codes(table)

    @property
    def labels_(self) -> np.ndarray:
        """Of the training rows, -1 for outliers and 1, (n_samples,)."""
        check_is_fitted(self)
        return np.where(self.training_scores_ < self.offset_, -1, 1)

    @property
    def training_scores_(self) -> np.ndarray:
        """Scores of the training rows, each as if it had been left out, in their order, (n_samples,)."""
        check_is_fitted(self)
        return self._calibration.training.copy()

    @property
    def n_calibration_(self) -> int:
        """Number of rows that p-values compare with: those held out, else all training rows."""
        check_is_fitted(self)
        return len(self._calibration.usual)

    @property
    def min_p_value_(self) -> float:
        """The smallest p-value there is: 1 / (n_calibration_ + 1)."""
        return 1.0 / (self.n_calibration_ + 1)

    # -- threshold --------------------------------------------------------------------------------------

    def set_threshold(
        self,
        X: TableLike | None = None,
        y: ArrayLike | None = None,
        *,
        contamination: float | str | Thresholder | None = None,
        score: float | None = None,
        false_alarm_rate: float | None = None,
        cost: tuple[float, float] | None = None,
        pos_label: int | float | str | bool | None = None,
    ) -> Self:
        """Move the threshold of a fitted detector: `decision_function` and `predict` follow at once.

        Pass one of labelled rows, ``contamination``, ``score`` and ``false_alarm_rate``.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features), default=None
            With y: rows to choose by. With ``false_alarm_rate``: normal rows that were not fitted, in place of the
            held-out ones.
        y : array-like of shape (n_samples,), default=None
            Labels: -1 for outliers and 1, as `predict` has them, or 1 for outliers and 0, or whatever ``pos_label``
            says. Takes the threshold of the best F1 score, or of the least ``cost``, and warns where most rows are
            outliers.
        contamination : "auto", float or object, default=None
            As in the constructor: by the training rows.
        score : float, default=None
            The threshold on `score_samples` itself.
        false_alarm_rate : float, default=None
            The highest threshold below which a new normal row falls with at most this probability, in (0, 1).
        cost : (float, float), default=None
            With y: of a false alarm and of a missed outlier.
        pos_label : label, default=None
            With y: what outliers are labelled. None: -1 beside 1, or 1 beside 0.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            For none or several of these, and for too few rows for so small a rate.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AEOutlierDetector
        >>> X = load_wine().data
        >>> detector = AEOutlierDetector(random_state=0).fit(X)
        >>> int((detector.set_threshold(contamination=0.05).predict(X) == -1).sum())
        9
        """
        check_is_fitted(self)
        given = {"y": y, "contamination": contamination, "score": score, "false_alarm_rate": false_alarm_rate}
        named = [name for name, value in given.items() if value is not None]
        misplaced = [
            name
            for name, value, goes_with in (
                ("X", X, {"y", "false_alarm_rate"}),
                ("cost", cost, {"y"}),
                ("pos_label", pos_label, {"y"}),
            )
            if value is not None and not goes_with & set(named)
        ]
        if len(named) != 1 or misplaced:
            raise ValueError(
                f"Got {', '.join(named + misplaced) or 'nothing'}; expected one of y (with X), contamination, score "
                "and false_alarm_rate; X with y or false_alarm_rate only, cost and pos_label with y only."
            )
        self.offset_ = self._new_offset(X, y, contamination, score, false_alarm_rate, cost, pos_label)
        return self

    def _offset_by(self, contamination: Any) -> float:
        if hasattr(contamination, "eval"):
            return by_thresholder(self._calibration.counted, contamination)
        weights = self._calibration.counts.weights
        if isinstance(contamination, str):
            return fence(self._calibration.counted, weights)
        return by_share(self._calibration.counted, contamination, weights)

    def _new_offset(
        self, X: Any, y: Any, contamination: Any, score: Any, rate: Any, cost: Any, pos_label: Any
    ) -> float:
        if y is not None:
            if X is None:
                raise ValueError("Got y without X; expected the rows that y labels.")
            if cost is not None and not _is_cost(cost):
                raise ValueError(f"Got cost={cost!r}; expected two numbers at or above 0: of a false alarm, of a miss.")
            scores = self.score_samples(X)
            return by_labels(scores, outlier_labels(y, len(scores), pos_label), cost)
        if contamination is not None:
            _check_contamination(contamination)
            return self._offset_by(contamination)
        if score is not None:
            if not isinstance(score, Real) or isinstance(score, bool) or math.isnan(score):
                raise ValueError(f"Got score={score!r}; expected a number, on the scale of score_samples.")
            return float(score)
        if not is_rate(rate):
            raise ValueError(f"Got false_alarm_rate={rate!r}; expected a number in (0, 1).")
        if X is None:
            return by_false_alarm_rate(self._calibration.usual, float(rate))
        return by_false_alarm_rate(self.score_samples(X), float(rate))

    # -- explanations -----------------------------------------------------------------------------------

    def explain(
        self,
        X: TableLike | RowSource,
        *,
        method: Literal["repair", "additive"] = "repair",
        return_expected: bool = False,
    ) -> Frame | tuple[Frame, Frame]:
        """Say how much each column adds to the anomaly of each row.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        method : {"repair", "additive"}, default="repair"
            How the anomaly is shared out. "repair": in proportion to how far it falls when the cell alone is replaced
            by what is expected there, given the row's other cells; costs about three scores a cell. "additive": each
            kind of evidence in proportion to its own terms, a column's part of the squared errors or distances; costs
            one score a row, but a bad cell makes the cells around it look bad, too. The KL term of "elbo" has a column
            of its own, "kl".
        return_expected : bool, default=False
            Whether to return what is expected in each cell, too.

        Returns
        -------
        contributions : frame of shape (n_samples, n_features) or (n_samples, n_features + 1)
            Rows add up to minus `score_samples`. In the library that was fitted; pandas for arrays. Conditions
            add nothing.
        expected : frame of shape (n_samples, n_features)
            In the user's units, of categories the likeliest level; only with ``return_expected``. "repair": given the
            row's other cells, on the average of what the autoencoders make of them and, where neighbours count, the ten
            nearest rows have. "additive": the reconstruction.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AEOutlierDetector
        >>> X = load_wine(as_frame=True).data
        >>> detector = AEOutlierDetector(random_state=0).fit(X)
        >>> row = X[:1].assign(ash=9.0)
        >>> why, expected = detector.explain(row, return_expected=True)
        >>> why.idxmax(axis=1).tolist(), expected["ash"].round().tolist()
        (['ash'], [2.0])
        """
        if not isinstance(method, str) or method not in EXPLANATIONS:
            raise ValueError(f"Got method={method!r}; expected one of {sorted(EXPLANATIONS)}.")
        table = self._check_input(X)
        terms, expected = EXPLANATIONS[method](table.astype(np.float64, copy=False), self._joint)
        terms = adding_up_to(terms, -self._score_table(table))
        columns = self.autoencoder_.layout_.columns
        names = _column_names(self)
        further = terms[:, columns.n_columns :]
        contributions = np.zeros((len(table), len(names) + further.shape[1]))
        contributions[:, columns.data] = terms[:, : columns.n_columns]
        contributions[:, len(names) :] = further
        labels = [*names, *_unused(self._joint.further_terms[: further.shape[1]], names)]
        frame = table_of(contributions, labels, columns.container, like=X)
        own: Any = getattr(X, "columns", ())
        if getattr(own, "nlevels", 1) > 1 and len(own) == frame.shape[1]:  # pandas' columns of several levels
            frame.columns = own
        if not return_expected:
            return frame
        own = columns.conditioning(table) if len(columns.condition) else None
        return frame, columns.categories.decode(table_of(columns.join(expected, own), names, columns.container, like=X))

    # -- on validated tables ----------------------------------------------------------------------------

    def _check_input(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_table(self, self.autoencoder_.layout_.columns.categories.encode(X), reset=False)

    def _score_table(self, table: np.ndarray) -> np.ndarray:
        table = table.astype(np.float64, copy=False)
        scores = np.full(len(table), np.nan) if self._known is None else self._known.find(table)
        new = np.flatnonzero(np.isnan(scores))
        for rows in self._joint.ensemble.batches_among(table, new):
            scores[rows] = -self._joint.anomaly(self._joint.see(table[rows]))
        return scores


def _column_names(detector: Detection) -> list[str]:
    names = detector.autoencoder_.layout_.columns.names
    return [f"x{i}" for i in range(detector.n_features_in_)] if names is None else names


def _is_cost(cost: Any) -> bool:
    numbers = isinstance(cost, (tuple, list)) and all(
        isinstance(part, Real) and 0.0 <= float(part) < math.inf for part in cost
    )
    return numbers and len(cost) == 2 and max(cost) > 0


def _check_contamination(contamination: Any) -> None:
    allowed = hasattr(contamination, "eval") or (isinstance(contamination, str) and contamination == "auto")
    if not allowed and not (is_rate(contamination) and contamination <= 0.5):
        raise ValueError(
            f"Got contamination={contamination!r}; expected 'auto', a number in (0, 0.5] or an object with eval."
        )


def _unused(labels: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return labels with underscores until none is a name."""
    found = []
    for label in labels:
        while label in names:
            label += "_"
        found.append(label)
    return found
