"""Curves and histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklae.plotting._axes import BLUE, GREY, ORANGE, axes_or_new

__all__ = ["score_histogram", "training_curve"]

_N_BINS = 40


def training_curve(estimator: Any, ax: Any = None) -> Any:
    """Draw the loss of every epoch, and that of the validation rows where there were any.

    Parameters
    ----------
    estimator : estimator
        A fitted autoencoder, an outlier detector that holds one, or a pipeline that ends in either.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklae import VAETransformer
    >>> from sklae.plotting import training_curve
    >>> vae = VAETransformer(2, max_iter=5, n_iter_no_change=float("inf"), random_state=0)
    >>> ax = training_curve(vae.fit(load_iris().data))
    >>> ax.get_xlabel()
    'epoch'
    """
    model = _autoencoder_of(estimator)
    ax = axes_or_new(ax, (6.0, 3.6))
    epochs = np.arange(1, len(model.loss_curve_) + 1)
    ax.plot(epochs, model.loss_curve_, color=BLUE, label="training rows")
    if hasattr(model, "validation_scores_"):
        losses = -np.asarray(model.validation_scores_)
        best = getattr(model, "best_iter_", int(np.argmin(losses)) + 1)
        ax.plot(epochs, losses, color=ORANGE, label="validation rows" + " (kept: the start)" * (best == 0))
        if best:
            ax.plot(best, losses[best - 1], "o", color=ORANGE, label=f"best epoch: {best}")
    if len(epochs) > 1:
        ax.set_ylim(*_settled_range(ax))
    ax.set(xlabel="epoch", ylabel="loss (nats per row)")
    ax.legend(frameon=False)
    return ax


def _autoencoder_of(estimator: Any) -> Any:
    """Return the autoencoder inside a pipeline or a detector."""
    if hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    check_is_fitted(estimator)
    model = getattr(estimator, "autoencoder_", estimator)
    if not hasattr(model, "loss_curve_"):
        raise TypeError(
            f"Got {type(estimator).__name__}, which has no loss_curve_; expected an autoencoder of sklae, a detector "
            "that holds one, or a pipeline that ends in either."
        )
    return model


def _settled_range(ax: Any) -> tuple[float, float]:
    """Return limits that leave the steep start out of sight, where it would flatten the rest."""
    curves = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) > 1]
    low = min(float(np.min(curve)) for curve in curves)
    high = max(float(np.max(curve)) for curve in curves)
    settled = max(float(np.max(curve[len(curve) // 20 :])) for curve in curves)
    top = min(high, settled + 0.5 * (settled - low))
    margin = 0.05 * (top - low) or 1.0
    return low - margin, top + margin


def score_histogram(scores: ArrayLike, threshold: float, ax: Any = None) -> Any:
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

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.plotting import score_histogram
    >>> scores = -np.random.RandomState(0).chisquare(4, size=500)
    >>> ax = score_histogram(scores, threshold=-10.0)
    >>> ax.get_xscale()
    'log'
    """
    values = np.asarray(scores, dtype=np.float64)
    strange = values < threshold
    values = np.maximum(values, values[np.isfinite(values)].min())  # rows infinitely far out go to the edge
    ax = axes_or_new(ax, (6.0, 3.6))
    if threshold < 0 and values.max() <= 0:
        values, threshold = _magnitudes(values), -threshold
        bins = np.exp(_edges(np.log(values), np.log(threshold)))
        _make_logarithmic(ax, values)
        ax.set_xlabel("minus the score")
    else:
        bins = _edges(values, threshold)
        ax.set_xlabel("score")
    ax.hist([values[~strange], values[strange]], bins=bins, stacked=True, color=[BLUE, ORANGE])
    ax.margins(y=0.25)  # room for the legend
    _name_parts(ax, threshold, strange)
    # a mark for each outlier: a bar of one row is easily overlooked
    marks = values[strange]
    ax.plot(marks, np.full(len(marks), 0.02), "|", color=ORANGE, transform=ax.get_xaxis_transform())
    return ax


def _magnitudes(scores: np.ndarray) -> np.ndarray:
    """Return positive numbers that a logarithmic axis can show, in float64."""
    sizes = np.abs(scores)
    positive = sizes[sizes > 0]
    return np.maximum(sizes, positive.min() if len(positive) else 1.0)


def _make_logarithmic(ax: Any, values: np.ndarray) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xscale("log")
    is_narrow = values.max() < 1e3 * values.min()  # powers of ten alone would be too few marks
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_narrow else (1.0,), numticks=12))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _edges(positions: np.ndarray, threshold: float) -> np.ndarray:
    """Return edges of bins of one width that hold all positions, the threshold among them (or in their line)."""
    low, high = positions.min(), positions.max()
    width = (high - low) / _N_BINS or 1.0
    first, last = np.floor((low - threshold) / width - 1e-6), np.ceil((high - threshold) / width + 1e-6)
    return threshold + width * np.arange(first, last + 1)


def _name_parts(ax: Any, threshold: float, strange: np.ndarray) -> None:
    n_strange = int(strange.sum())
    normal, outliers = ax.containers
    normal.set_label(f"normal: {len(strange) - n_strange:,} rows")
    outliers.set_label(f"outliers: {n_strange:,} rows")
    line = ax.axvline(threshold, color=GREY, linestyle="--", label="threshold")
    ax.legend(handles=[normal, outliers, line], frameon=False)
    ax.set_ylabel("rows")
