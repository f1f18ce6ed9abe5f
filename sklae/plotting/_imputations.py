"""What an imputer filled in, beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklae._tables.annotations import FeaturesLike, TableLike
from sklae._tables.frames import columns_at, is_frame
from sklae.plotting._axes import BLUE, ORANGE, add_legend, axes_grid
from sklae.plotting._distributions import PANEL, check_features, draw_distributions
from sklae.plotting._tables import ReadTables, column_names, gaps_of, last_step, read_tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AEImputer

__all__ = ["ImputationDisplay"]


class ImputationDisplay:
    """What was filled in, beside what was observed, column by column.

    It is best made by `from_estimator` or `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    X : array-like or frame of shape (n_samples, n_features)
        The table with its gaps.
    filled : array-like or frame of shape (n_samples, n_features), or tuple of them
        The same without; several of multiple imputation.
    missing_values : number, str or None, default=numpy.nan
        What stands for a gap in X, beside NaN and None.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        One for each column.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure

    Notes
    -----
    Filled values that look otherwise than observed ones are no fault in themselves: where older people leave a question
    out, the ages of those who did are higher. They are narrower where means are filled in, which `AEImputer` does
    unless ``sample_posterior`` says otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.plotting import ImputationDisplay
    >>> X = np.array([[1.0, 2.0], [np.nan, 3.0], [3.0, 1.0], [2.0, 2.0]])
    >>> display = ImputationDisplay(X, np.nan_to_num(X, nan=2.0)).plot()
    >>> [ax.get_title().splitlines()[1] for ax in display.axes_]
    ['1 of 4 filled']
    """

    def __init__(self, X: TableLike, filled: TableLike, *, missing_values: float | str | None = np.nan):
        self.X = X
        self.filled = filled
        self.missing_values = missing_values

    @classmethod
    def from_estimator(
        cls,
        estimator: AEImputer | Pipeline,
        X: TableLike,
        *,
        features: FeaturesLike | None = None,
        max_features: int = 12,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw what a fitted imputer makes of a table.

        Parameters
        ----------
        estimator : AEImputer
            Fitted; or another imputer with ``transform``, or a pipeline that ends in one.
        X : array-like or frame of shape (n_samples, n_features)
            With gaps.
        features : str, int or sequence of them, default=None
            Names or positions of the columns to draw. None: those with gaps, the most gaps first.
        max_features : int, default=12
            How many at most, where ``features`` names none.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each column, one to divide among them, or None for a new figure.

        Returns
        -------
        display : ImputationDisplay
            The display itself, drawn.

        Raises
        ------
        ValueError
            For a table without gaps.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AEImputer
        >>> from sklae.plotting import ImputationDisplay
        >>> X = load_wine(as_frame=True).data.iloc[:, :3].copy()
        >>> X.iloc[::5, 1] = np.nan
        >>> display = ImputationDisplay.from_estimator(AEImputer(random_state=0).fit(X), X)
        >>> [ax.get_title().splitlines()[1] for ax in display.axes_]
        ['36 of 178 filled']
        """
        last, seen = last_step(estimator, X, "transform")
        display = cls(seen, last.transform(seen), missing_values=getattr(last, "missing_values", np.nan))
        return display.plot(ax, features=features, max_features=max_features)

    @classmethod
    def from_predictions(
        cls,
        X: TableLike,
        filled: TableLike,
        *,
        missing_values: float | str | None = np.nan,
        features: FeaturesLike | None = None,
        max_features: int = 12,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw a filled table beside the one with gaps.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with gaps.
        filled : array-like or frame of shape (n_samples, n_features), or sequence of them
            The same rows without, as ``transform`` of an imputer returns them.
        missing_values : number, str, numpy.nan, None or pandas.NA, default=numpy.nan
            What stands for a missing value in X, beside NaN, None and NA.
        features : str, int or sequence of them, default=None
            Names or positions of the columns to draw. None: those with gaps, the most gaps first.
        max_features : int, default=12
            How many at most, where ``features`` names none.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each column, one to divide among them, or None for a new figure.

        Returns
        -------
        display : ImputationDisplay
            The display itself, drawn.
        """
        return cls(X, filled, missing_values=missing_values).plot(ax, features=features, max_features=max_features)

    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, *, features: FeaturesLike | None = None, max_features: int = 12
    ) -> Self:
        """Draw a panel for each column: shares of numbers in bars of one width, or of levels.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each column, one to divide among them, or None for a new figure.
        features : str, int or sequence of them, default=None
            Names or positions of the columns to draw. None: those with gaps, the most gaps first.
        max_features : int, default=12
            How many at most, where ``features`` names none.

        Returns
        -------
        self : object
            The display itself.
        """
        filled = list(self.filled) if isinstance(self.filled, tuple) else [self.filled]
        tables, gaps = self._read(filled)
        n_gaps = gaps.sum(axis=0)
        if not n_gaps.any():
            raise ValueError("Got X without gaps; expected some, for what was filled in to be seen.")
        ranked = [int(i) for i in np.argsort(-n_gaps, kind="stable") if n_gaps[i]]
        chosen = check_features(tables, features, ranked, max_features)
        self.axes_ = axes_grid(ax, len(chosen), 4, PANEL)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        for panel, j in zip(self.axes_, chosen, strict=True):
            new = np.concatenate([table[gaps[:, j], j] for table in tables.values])
            parts = [tables.values[0][~gaps[:, j], j], new]
            draw_distributions(panel, tables, j, parts, f"{n_gaps[j]:,} of {len(gaps):,} filled")
        from matplotlib.patches import Patch

        handles = [Patch(color=BLUE, label="observed"), Patch(color=ORANGE, label="filled in")]
        add_legend(self.axes_, handles, is_own=ax is None)
        return self

    def _read(self, filled: list[Any]) -> tuple[ReadTables, np.ndarray]:
        """Return the filled tables, and where the gaps were, of the columns that both have."""
        gaps, names = gaps_of(self.X, self.missing_values), column_names(self.X)
        if any(np.shape(table)[0] != len(gaps) for table in filled):
            raise ValueError(
                f"Got X of {len(gaps)} rows and filled of {np.shape(filled[0])[0]}; expected the same rows."
            )
        if is_frame(filled[0]):  # which may lack empty columns, and have indicators
            there = [str(name) for name in filled[0].columns]
            kept = [j for j, name in enumerate(names) if name in there]
            filled = [columns_at(table, [there.index(names[j]) for j in kept]) for table in filled]
        else:
            width = np.shape(filled[0])[1]
            kept = list(range(len(names))) if width == len(names) else np.flatnonzero(~gaps.all(axis=0)).tolist()
            filled = [np.asarray(table)[:, : len(kept)] for table in filled]
        tables = read_tables(*filled)
        return tables._replace(names=[names[j] for j in kept]), gaps[:, kept]
