"""Scores of outlier detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import TableLike
from sklae.plotting._axes import BLUE, GREY, ORANGE, axes_or_new, ink, tidy
from sklae.plotting._tables import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AEOutlierDetector

__all__ = ["OutlierScoreDisplay", "score_histogram"]

_N_BINS = 40
_KINDS = ("histogram", "rows")


class OutlierScoreDisplay:
    """How strange rows are, and where the threshold lies.

    It is best made by `from_estimator` or `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        What ``score_samples`` of an outlier detector returns: the higher, the more normal.
    threshold : float
        Rows below it are outliers: the detector's ``offset_``.
    y : array-like of shape (n_samples,) or None, default=None
        Which rows are known to be outliers: -1 beside 1, as ``predict`` has them, or 1 beside 0.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,), int
        -1 for rows below the threshold and 1.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    line_ : matplotlib.lines.Line2D
        The threshold.

    See Also
    --------
    ExplanationDisplay : Why a row is strange.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.plotting import OutlierScoreDisplay
    >>> scores = -np.random.RandomState(0).chisquare(4, size=500)
    >>> display = OutlierScoreDisplay.from_predictions(scores, threshold=-12.0)
    >>> int((display.labels == -1).sum()), display.ax_.get_xscale()
    (9, 'log')
    """

    def __init__(self, scores: ArrayLike, threshold: float, *, y: ArrayLike | None = None):
        self.scores = np.asarray(scores, dtype=np.float64)
        self.threshold = float(threshold)
        self.y = None if y is None else _known_outliers(np.asarray(y), len(self.scores))
        self.labels = np.where(self.scores < self.threshold, -1, 1)

    @classmethod
    def from_estimator(
        cls,
        estimator: AEOutlierDetector | Pipeline,
        X: TableLike | None = None,
        y: ArrayLike | None = None,
        *,
        kind: str = "histogram",
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the scores of rows, or those that the detector was fitted with.

        Parameters
        ----------
        estimator : estimator
            A fitted outlier detector, or a pipeline that ends in one: `AEOutlierDetector`, or another with
            ``score_samples`` and ``offset_``.
        X : array-like or frame of shape (n_samples, n_features), default=None
            None: the training rows, each judged as if it had been left out, which an `AEOutlierDetector` keeps the
            scores of.
        y : array-like of shape (n_samples,), default=None
            Which rows are known to be outliers: -1 beside 1, or 1 beside 0. They are marked.
        kind : {"histogram", "rows"}, default="histogram"
            How many rows have which score, or each row's score by its place in the table.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For ``ax.hist`` or ``ax.scatter``.

        Returns
        -------
        display : OutlierScoreDisplay
            The display itself, drawn.

        Raises
        ------
        TypeError
            For an estimator that has no scores, or no threshold on them.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AEOutlierDetector
        >>> from sklae.plotting import OutlierScoreDisplay
        >>> detector = AEOutlierDetector(anomaly_score="mixture", cv=None, random_state=0).fit(
        ...     load_wine().data
        ... )
        >>> display = OutlierScoreDisplay.from_estimator(detector)
        >>> display.ax_.get_xlabel()
        'anomaly (minus the score)'
        """
        detector, X = last_step(estimator, X, "score_samples", "offset_")
        if X is None and not hasattr(detector, "training_scores_"):
            raise TypeError(
                f"Got X=None and {type(detector).__name__}, which keeps no scores of training rows; expected X. Pass "
                "the rows to draw."
            )
        scores = detector.training_scores_ if X is None else detector.score_samples(X)
        return cls(scores, detector.offset_, y=y).plot(ax, kind=kind, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        threshold: float,
        y: ArrayLike | None = None,
        *,
        kind: str = "histogram",
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given scores.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            The higher, the more normal.
        threshold : float
            Rows below it are outliers.
        y : array-like of shape (n_samples,), default=None
            Which rows are known to be outliers: -1 beside 1, or 1 beside 0.
        kind : {"histogram", "rows"}, default="histogram"
            How many rows have which score, or each row's score by its place in the table.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For ``ax.hist`` or ``ax.scatter``.

        Returns
        -------
        display : OutlierScoreDisplay
            The display itself, drawn.
        """
        return cls(scores, threshold, y=y).plot(ax, kind=kind, **kwargs)

    def plot(self, ax: Axes | None = None, *, kind: str = "histogram", **kwargs: Any) -> Self:
        """Draw the scores.

        Scores that are all negative, as those of `AEOutlierDetector`, are drawn as their magnitude on a logarithmic
        axis (the stranger a row, the further out): they are skewed.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        kind : {"histogram", "rows"}, default="histogram"
            How many rows have which score, or each row's score by its place in the table.
        **kwargs
            For ``ax.hist`` or ``ax.scatter``.

        Returns
        -------
        self : object
            The display itself.
        """
        if kind not in _KINDS:
            raise ValueError(f"Got kind={kind!r}; expected one of {list(_KINDS)}.")
        if np.isnan(self.scores).any():
            raise ValueError(
                f"Got {int(np.isnan(self.scores).sum())} scores that are NaN; expected numbers, or -inf. Leave these "
                "rows out."
            )
        if not np.isfinite(self.scores).any():
            raise ValueError(f"Got {len(self.scores)} scores, of which none is finite; expected one or more.")
        self.ax_ = axes_or_new(ax, (6.0, 3.6) if kind == "histogram" else (7.0, 3.6))
        self.figure_ = self.ax_.figure
        # rows infinitely far out go to the edge
        values = np.maximum(self.scores, self.scores[np.isfinite(self.scores)].min())
        threshold, is_skewed = self.threshold, self.threshold < 0 and values.max() <= 0
        if is_skewed:
            values, threshold = _magnitudes(values), -threshold
        if kind == "histogram":
            self._draw_histogram(values, threshold, is_skewed, kwargs)
        else:
            self._draw_rows(values, threshold, is_skewed, kwargs)
        tidy(self.ax_)
        return self

    def _draw_histogram(self, values: np.ndarray, threshold: float, is_skewed: bool, style: dict[str, Any]) -> None:
        ax, strange = self.ax_, self.labels == -1
        if is_skewed:
            bins = np.exp(_edges(np.log(values), np.log(threshold)))
            _make_logarithmic(ax.set_xscale, ax.xaxis, values)
        else:
            bins = _edges(values, threshold)
        ax.set(xlabel="anomaly (minus the score)" if is_skewed else "score", ylabel="rows")
        look = {"bins": bins, "stacked": True, "color": [BLUE, ORANGE], **style}
        *_, (normal, outliers) = ax.hist([values[~strange], values[strange]], **look)
        normal.set_label(f"normal: {int((~strange).sum()):,} rows")
        outliers.set_label(f"outliers: {int(strange.sum()):,} rows")
        ax.margins(y=0.25)  # room for the legend
        self.line_ = ax.axvline(threshold, color=GREY, linestyle="--", label="threshold")
        handles = [normal, outliers, self.line_]
        # a mark for each outlier: a bar of one row is easily overlooked
        marks = values[strange if self.y is None else self.y]
        color, height = (ORANGE, 0.02) if self.y is None else (ink(ax), 0.04)
        (rug,) = ax.plot(
            marks, np.full(len(marks), height), "|", color=color, transform=ax.get_xaxis_transform(), clip_on=False
        )
        if self.y is not None:
            rug.set_label(self._known_label())
            handles.append(rug)
        ax.legend(handles=handles, frameon=False)

    def _draw_rows(self, values: np.ndarray, threshold: float, is_skewed: bool, style: dict[str, Any]) -> None:
        ax, strange, places = self.ax_, self.labels == -1, np.arange(len(values))
        size = float(np.clip(4e4 / max(len(values), 1), 3.0, 16.0))
        look = {"s": size, "linewidths": 0, "rasterized": len(values) > 10_000, **style}
        for part, color, name in ((~strange, BLUE, "normal"), (strange, ORANGE, "outliers")):
            own = {"color": color, "label": f"{name}: {int(part.sum()):,} rows", **look}
            ax.scatter(places[part], values[part], **own)
        if self.y is not None:
            ring = {"s": 5 * size, "facecolors": "none", "edgecolors": ink(ax), "linewidths": 0.9}
            ax.scatter(places[self.y], values[self.y], **ring, label=self._known_label())
        if is_skewed:
            _make_logarithmic(ax.set_yscale, ax.yaxis, values)
        ax.set(xlabel="row", ylabel="anomaly (minus the score)" if is_skewed else "score")
        self.line_ = ax.axhline(threshold, color=GREY, linestyle="--", label="threshold")
        mark_size = max(1.0, (16.0 / size) ** 0.5)
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=mark_size)

    def _known_label(self) -> str:
        assert self.y is not None
        found = int((self.y & (self.labels == -1)).sum())
        return f"known outliers: {found:,} of {int(self.y.sum()):,} found"


def _known_outliers(y: np.ndarray, n_rows: int) -> np.ndarray:
    """Return which rows are known to be outliers, as a mask."""
    values = set(np.unique(y).tolist())
    if y.shape != (n_rows,) or not (values <= {-1, 1} or values <= {0, 1}):
        raise ValueError(
            f"Got y of shape {y.shape} with values {sorted(values)[:5]} for {n_rows} scores; expected one label a row, "
            "-1 for outliers beside 1, or 1 beside 0."
        )
    return y == 1 if 0 in values or y.dtype.kind == "b" else y == -1


def score_histogram(scores: ArrayLike, threshold: float, ax: Axes | None = None) -> Axes:
    """Draw how scores are distributed, with the outliers' side of the threshold in another colour.

    Scores that are all negative, as those of `AEOutlierDetector`, are drawn as their magnitude on a
    logarithmic axis (the stranger a row, the further right): they are skewed.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        What ``score_samples`` of an outlier detector returns: the higher, the more normal.
    threshold : float
        Rows below it are outliers: the detector's ``offset_``.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The Axes drawn on.

    See Also
    --------
    OutlierScoreDisplay : What draws it: from an estimator, with known labels, or row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.plotting import score_histogram
    >>> scores = -np.random.RandomState(0).chisquare(4, size=500)
    >>> ax = score_histogram(scores, threshold=-10.0)
    >>> ax.get_xscale()
    'log'
    """
    return OutlierScoreDisplay.from_predictions(scores, threshold, ax=ax).ax_


def _magnitudes(scores: np.ndarray) -> np.ndarray:
    """Return positive numbers that a logarithmic axis can show, in float64."""
    sizes = np.abs(scores)
    positive = sizes[sizes > 0]
    return np.maximum(sizes, positive.min() if len(positive) else 1.0)


def _make_logarithmic(set_scale: Any, axis: Any, values: np.ndarray) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    set_scale("log")
    is_narrow = values.max() < 1e3 * values.min()  # powers of ten alone would be too few marks
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_narrow else (1.0,), numticks=12))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _edges(positions: np.ndarray, threshold: float) -> np.ndarray:
    """Return edges of bins of one width that hold all positions, the threshold among them (or in their line)."""
    low, high = positions.min(), positions.max()
    width = (high - low) / _N_BINS or 1.0
    first, last = np.floor((low - threshold) / width - 1e-6), np.ceil((high - threshold) / width + 1e-6)
    return threshold + width * np.arange(first, last + 1)
