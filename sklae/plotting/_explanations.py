"""Why rows are strange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import TableLike
from sklae.plotting._axes import GREY, ORANGE, axes_or_new, tidy
from sklae.plotting._cells import MOST_OF_A_NAME, shorten, shorten_names
from sklae.plotting._tables import cell_texts, column_names, last_step, numbers_of, scale_of, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AEOutlierDetector

__all__ = ["ExplanationDisplay"]

# How many times the mean part the largest is, at the least, where a column stands out.
_STANDS_OUT = 2.0


class ExplanationDisplay:
    """Why a row is strange: what each column adds to its anomaly, and what was expected there.

    It is best made by `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    contributions : array-like of shape (n_columns,)
        What each column adds.
    names : sequence of str
        The columns.
    seen, expected : sequence of str or None, default=None
        The row's cells, and what was expected there, as text.
    offs : array-like of shape (n_columns,) or None, default=None
        By how much cells are off what was expected, in standard deviations of their column; NaN: not told. It stands
        at the bars: in a row that is strange all over no cell alone makes it so, and bars are much alike.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    bars_ : matplotlib.container.BarContainer
        The most telling column first.

    Examples
    --------
    >>> from sklae.plotting import ExplanationDisplay
    >>> display = ExplanationDisplay(
    ...     [0.3, 5.2], ["ash", "hue"], ["2.3", "9.0"], ["2.3", "1.0"]
    ... ).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['hue = 9.0 (expected 1.0)', 'ash = 2.3 (expected 2.3)']
    """

    def __init__(
        self,
        contributions: ArrayLike,
        names: Sequence[str],
        seen: Sequence[str] | None = None,
        expected: Sequence[str] | None = None,
        *,
        offs: ArrayLike | None = None,
    ):
        self.contributions = np.asarray(contributions, dtype=np.float64)
        self.names = [str(name) for name in names]
        self.seen = None if seen is None else list(seen)
        self.expected = None if expected is None else list(expected)
        self.offs = None if offs is None else np.asarray(offs, dtype=np.float64)

    @classmethod
    def from_estimator(
        cls,
        estimator: AEOutlierDetector | Pipeline,
        X: TableLike,
        *,
        method: str = "repair",
        max_features: int = 10,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw what a detector's ``explain`` says of a row.

        Parameters
        ----------
        estimator : AEOutlierDetector
            Fitted; or a pipeline that ends in one.
        X : array-like or frame of shape (1, n_features)
            The row: ``X[3:4]``, say.
        method : {"repair", "additive"}, default="repair"
            As ``explain`` has it.
        max_features : int, default=10
            The most bars; what other columns add is one further bar.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For ``ax.barh``.

        Returns
        -------
        display : ExplanationDisplay
            The display itself, drawn.

        Raises
        ------
        TypeError
            For an estimator without ``explain``.
        ValueError
            For more rows than one.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AEOutlierDetector
        >>> from sklae.plotting import ExplanationDisplay
        >>> X = load_wine(as_frame=True).data
        >>> detector = AEOutlierDetector(anomaly_score="mixture", cv=None, random_state=0).fit(X)
        >>> display = ExplanationDisplay.from_estimator(
        ...     detector, X[:1].assign(ash=9.0), max_features=3
        ... )
        >>> display.ax_.get_yticklabels()[0].get_text().startswith("ash = 9 (expected 2")
        True
        """
        detector, X = last_step(estimator, X, "explain")
        if shape_of(X)[0] != 1 or len(shape_of(X)) != 2:
            raise ValueError(f"Got X of shape {shape_of(X)}; expected a single row. Pass X[i : i + 1].")
        contributions, expected = detector.explain(X, method=method, return_expected=True)
        names = column_names(contributions)
        (seen,), (foreseen,) = cell_texts(X), cell_texts(expected)
        n_more = len(names) - len(seen)  # terms that belong to no column
        values = np.asarray(contributions, dtype=np.float64)[0]
        offs = np.append(_offs(detector, X, expected), np.full(n_more, np.nan))
        display = cls(values, names, [*seen, *[""] * n_more], [*foreseen, *[""] * n_more], offs=offs)
        return display.plot(ax, max_features=max_features, **kwargs)

    def plot(self, ax: Axes | None = None, *, max_features: int = 10, **kwargs: Any) -> Self:
        """Draw a bar for each of the columns that add most.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        max_features : int, default=10
            The most bars; what other columns add is one further bar.
        **kwargs
            For ``ax.barh``.

        Returns
        -------
        self : object
            The display itself.
        """
        if max_features < 1:
            raise ValueError(f"Got max_features={max_features!r}; expected 1 or more.")
        offs = np.full(len(self.names), np.nan) if self.offs is None else self.offs
        order = np.lexsort([-np.abs(np.nan_to_num(offs)), -self.contributions])  # equal parts: the furthest off first
        kept, others = order[:max_features], order[max_features:]
        labels, values = [self._label(i) for i in kept], self.contributions[kept].tolist()
        if len(others):
            labels.append(f"{len(others)} other columns" if len(others) > 1 else self._label(others[0]))
            values.append(float(self.contributions[others].sum()))
        self.ax_ = axes_or_new(ax, (3.4 + 0.075 * max(map(len, labels)), 1.0 + 0.32 * len(values)))
        self.figure_ = self.ax_.figure
        colors = [ORANGE] * len(kept) + [GREY] * (len(values) - len(kept))
        self.bars_ = self.ax_.barh(np.arange(len(values)), values, **{"color": colors, "height": 0.7, **kwargs})
        title = []
        if len(self.names) > 2 and self.contributions.max() < _STANDS_OUT * self.contributions.mean():
            title.append("no column stands out: the row is strange as a whole")
        notes = ["" if np.isnan(off) else f" {off:+.1f}" for off in offs[kept]]
        if any(notes):
            marks = {"va": "center", "fontsize": "small", "color": GREY}
            for place, (value, note) in enumerate(zip(values, notes, strict=False)):
                self.ax_.text(max(value, 0.0), place, note, **marks)
            self.ax_.margins(x=0.12)
            title.append("at the bars: seen minus expected, in standard deviations")
        self.ax_.set_title("\n".join(title), fontsize="small", color=GREY, loc="right")
        self.ax_.set_yticks(np.arange(len(values)), labels)
        self.ax_.invert_yaxis()
        self.ax_.set_xlabel(f"part of the anomaly ({self.contributions.sum():.3g} in all)", loc="right")
        self.ax_.tick_params(axis="y", length=0)
        tidy(self.ax_)
        return self

    def _label(self, column: int) -> str:
        name, texts = shorten_names(self.names, MOST_OF_A_NAME)[column], (self.seen, self.expected)
        seen, expected = ("" if text is None else shorten(text[column], MOST_OF_A_NAME) for text in texts)
        return f"{name} = {seen}" * bool(seen) + name * (not seen) + f" (expected {expected})" * bool(expected)


def _offs(detector: Any, X: Any, expected: Any) -> np.ndarray:
    """Return by how much numbers of a row are off, in standard deviations; NaN for categories and gaps."""
    (seen,), (foreseen,) = numbers_of(X), numbers_of(expected)
    autoencoder: Any = getattr(detector, "autoencoder_", None)
    scale = scale_of(autoencoder)
    if scale is None:  # of another library
        return np.full(len(seen), np.nan)
    offs = (np.array(seen) - np.array(foreseen)) / scale
    offs[list(autoencoder.layout_.columns.categories.levels)] = np.nan
    return offs
