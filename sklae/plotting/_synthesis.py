"""Synthetic rows beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklae._tables.annotations import CategoricalFeatures, ConditionLike, FeaturesLike, TableLike
from sklae._tables.frames import rows_of
from sklae.metrics import association_distances, marginal_distances
from sklae.plotting._axes import BLUE, ORANGE, add_legend, axes_grid, tidy
from sklae.plotting._cells import shorten, shorten_names
from sklae.plotting._codes import condition_for
from sklae.plotting._distributions import PANEL, check_features, draw_distributions
from sklae.plotting._tables import ReadTables, generator_for, last_step, read_tables, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AutoencoderTransformer, VAETransformer

__all__ = ["SynthesisDisplay"]

_KINDS = ("columns", "pairs")
_MOST_DOTS, _MOST_LEVELS = 1_000, 8
# Of pairs: what is seen, and as far again, where a few values far out would leave no room.
_MIDDLE = (0.02, 0.98)
# How far dots of levels and of whole numbers are spread, of the distance of two.
_JITTER = 0.3


class SynthesisDisplay:
    """A synthetic table beside the real one, by column or by pair of columns.

    It is best made by `from_estimator` or `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    real, synthetic : array-like or frame of shape (n_samples, n_features)
        The same columns in the same order; rows need not be as many.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans.

    Attributes
    ----------
    distances : dict of str to float
        Column to distance, as `sklae.metrics.marginal_distances` has it.
    axes_ : list of matplotlib.axes.Axes
        One for each column, or each of the lower triangle's places.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    sklae.metrics.marginal_distances, sklae.metrics.association_distances : The figures in the titles.

    Examples
    --------
    >>> from sklae.plotting import SynthesisDisplay
    >>> real, synthetic = (
    ...     [[1.0, 0], [2.0, 0], [3.0, 1], [4.0, 1]],
    ...     [[3.0, 0], [4.0, 0], [5.0, 0], [6.0, 1]],
    ... )
    >>> display = SynthesisDisplay(real, synthetic).plot()
    >>> [ax.get_title().splitlines() for ax in display.axes_]
    [['x0', '0.50 apart'], ['x1', '0.25 apart']]
    """

    def __init__(
        self,
        real: TableLike,
        synthetic: TableLike,
        *,
        categorical_features: CategoricalFeatures = "from_dtype",
    ):
        self.real = real
        self.synthetic = synthetic
        self.categorical_features = categorical_features
        self.distances = marginal_distances(real, synthetic, categorical_features=categorical_features)

    @classmethod
    def from_estimator(
        cls,
        estimator: AutoencoderTransformer | VAETransformer | Pipeline,
        X: TableLike,
        *,
        n_samples: int | None = None,
        condition: ConditionLike | None = None,
        categorical_features: CategoricalFeatures = "from_dtype",
        kind: str = "columns",
        features: FeaturesLike | None = None,
        max_features: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw rows that a fitted model samples beside real ones.

        Parameters
        ----------
        estimator : estimator
            With ``sample``: an autoencoder, or a pipeline that ends in one; rows are then as its last step sees them.
        X : array-like or frame of shape (n_samples, n_features)
            Real rows; best such that the model was not fitted to.
        n_samples : int, default=None
            How many rows to draw (for each given condition); None: as many as there are real ones, at most 10,000.
        condition : frame, mapping, array-like or scalar, default=None
            As ``sample`` has it. None: of a model with ``condition_features`` those of real rows, one draw for each.
        categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
            As the class has it.
        kind : {"columns", "pairs"}, default="columns"
            What a panel is of: a column, or a pair of them.
        features : str, int or sequence of them, default=None
            Names or positions of the columns to draw. None: all, those that differ most first.
        max_features : int, default=None
            How many at most, where ``features`` names none.
        random_state : int, RandomState instance or None, default=None
            For the draws.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : SynthesisDisplay
            The display itself, drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import VAETransformer
        >>> from sklae.plotting import SynthesisDisplay
        >>> X = load_wine(as_frame=True).data
        >>> vae = VAETransformer(
        ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = SynthesisDisplay.from_estimator(
        ...     vae, X, features=["ash", "hue"], random_state=0
        ... )
        >>> [ax.get_title()[:3] for ax in display.axes_]
        ['ash', 'hue']
        """
        last, seen = last_step(estimator, X, "sample")
        n_samples = min(np.shape(seen)[0], 10_000) if n_samples is None else n_samples
        random_state = generator_for(random_state)
        if condition is None and getattr(last, "condition_features", None) is not None:
            n_rows = np.shape(seen)[0]
            own = np.resize(random_state.permutation(n_rows), n_samples)  # more draws than rows: some serve twice
            condition, n_samples = condition_for(last, rows_of(seen, own, n_rows), None), 1
        given = {} if condition is None else {"condition": condition}
        synthetic = last.sample(n_samples, random_state=random_state, **given)
        display = cls(seen, synthetic, categorical_features=categorical_features)
        return display.plot(ax, kind=kind, features=features, max_features=max_features)

    @classmethod
    def from_predictions(
        cls,
        real: TableLike,
        synthetic: TableLike,
        *,
        categorical_features: CategoricalFeatures = "from_dtype",
        kind: str = "columns",
        features: FeaturesLike | None = None,
        max_features: int | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw a given synthetic table beside the real one.

        Parameters
        ----------
        real : array-like or frame of shape (n_samples, n_features)
            The real rows.
        synthetic : array-like or frame of shape (n_synthetic_samples, n_features)
            The others, with the same columns.
        categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
            As the class has it.
        kind : {"columns", "pairs"}, default="columns"
            What a panel is of: a column, or a pair of them.
        features : str, int or sequence of them, default=None
            Names or positions of the columns to draw. None: all, those that differ most first.
        max_features : int, default=None
            How many at most, where ``features`` names none.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each panel, one to divide among them, or None for a new figure.

        Returns
        -------
        display : SynthesisDisplay
            The display itself, drawn.
        """
        display = cls(real, synthetic, categorical_features=categorical_features)
        return display.plot(ax, kind=kind, features=features, max_features=max_features)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        kind: str = "columns",
        features: FeaturesLike | None = None,
        max_features: int | None = None,
    ) -> Self:
        """Draw the tables.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each panel, one to divide among them, or None for a new figure.
        kind : {"columns", "pairs"}, default="columns"
            A panel for each column, with its distance from `sklae.metrics.marginal_distances`; or one for each pair of
            columns below the diagonal, of some rows of each table, with the distance from
            `sklae.metrics.association_distances`.
        features : str, int or sequence of them, default=None
            Names or positions of the columns to draw. None: all, those that differ most first.
        max_features : int, default=None
            How many at most, where ``features`` names none. None: 12 columns, or the pairs of 4.

        Returns
        -------
        self : object
            The display itself.
        """
        if kind not in _KINDS:
            raise ValueError(f"Got kind={kind!r}; expected one of {list(_KINDS)}.")
        tables = read_tables(self.real, self.synthetic, categorical_features=self.categorical_features)
        differing = np.argsort([-self.distances[name] for name in tables.names], kind="stable").tolist()
        most = (12 if kind == "columns" else 4) if max_features is None else max_features
        chosen = check_features(tables, features, differing, most)
        if kind == "columns":
            self._draw_columns(tables, chosen, ax)
        else:
            self._draw_pairs(tables, chosen, ax)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self._add_legend(is_own=ax is None)
        return self

    def _draw_columns(self, tables: ReadTables, chosen: Sequence[int], ax: Any) -> None:
        self.axes_ = axes_grid(ax, len(chosen), 4, PANEL)
        for panel, j in zip(self.axes_, chosen, strict=True):
            note = f"{self.distances[tables.names[j]]:.2f} apart"
            draw_distributions(panel, tables, j, [table[:, j] for table in tables.values], note)

    def _draw_pairs(self, tables: ReadTables, chosen: Sequence[int], ax: Any) -> None:
        if len(chosen) < 2:
            raise ValueError(f"Got {len(chosen)} column to draw pairs of; expected two or more. Pass kind='columns'.")
        pairs = list(combinations(chosen, 2))
        together = self._associations(tables, chosen)
        self.axes_ = axes_grid(ax, len(pairs), 3, (3.0, 2.7))
        rng = np.random.RandomState(0)  # of which rows are drawn, and of the jitter
        for panel, (i, j) in zip(self.axes_, pairs, strict=True):
            parts = [values[rng.permutation(len(values))[:_MOST_DOTS]] for values in tables.values]
            colors = np.repeat([BLUE, ORANGE], [len(part) for part in parts])
            both = np.concatenate(parts)
            order = rng.permutation(len(both))  # neither covers the other
            x, y = (_spread(both[order, k], k in tables.levels, rng) for k in (i, j))
            x, y, n_outside = _tamed(x, y, self._range(tables, i), self._range(tables, j))
            panel.scatter(x, y, s=6, alpha=0.6, linewidths=0, c=colors[order], rasterized=True)
            for k, axis in ((i, panel.xaxis), (j, panel.yaxis)):
                _label_axis(axis, tables, k)
            note = f", {n_outside:,} at the edge" * bool(n_outside)
            panel.set_title(f"association {together[i, j]:.2f} apart{note}", fontsize="small" if note else "medium")
            tidy(panel)

    @staticmethod
    def _range(tables: ReadTables, column: int) -> tuple[float, float]:
        """Return where a column is drawn: the middle of both tables' values, and as far again on either side."""
        both = np.concatenate([values[:, column] for values in tables.values])
        if column in tables.levels or np.isnan(both).all():
            return -np.inf, np.inf
        low, high = np.nanquantile(both, _MIDDLE)
        return (low - (high - low), high + (high - low)) if low < high else (-np.inf, np.inf)

    def _associations(self, tables: ReadTables, chosen: Sequence[int]) -> dict[tuple[int, int], float]:
        found = association_distances(self.real, self.synthetic, categorical_features=self.categorical_features)
        by_place = {}
        for (one, other), distance in found.items():
            i, j = tables.names.index(one), tables.names.index(other)
            by_place[i, j] = by_place[j, i] = distance
        return by_place

    def _add_legend(self, *, is_own: bool) -> None:
        from matplotlib.patches import Patch

        handles = [
            Patch(color=BLUE, label=f"real: {shape_of(self.real)[0]:,} rows"),
            Patch(color=ORANGE, label=f"synthetic: {shape_of(self.synthetic)[0]:,} rows"),
        ]
        add_legend(self.axes_, handles, is_own=is_own)


def _tamed(
    x: np.ndarray, y: np.ndarray, x_range: tuple[float, float], y_range: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return positions, those far out at the edge, and how many these are: a few would leave no room for the rest."""
    inside_x, inside_y = np.clip(x, *x_range), np.clip(y, *y_range)
    return inside_x, inside_y, int(((inside_x < x) | (inside_x > x) | (inside_y < y) | (inside_y > y)).sum())


def _spread(values: np.ndarray, has_levels: bool, rng: np.random.RandomState) -> np.ndarray:
    """Return values, those that lie on top of each other a little apart."""
    there = values[~np.isnan(values)]
    is_whole = has_levels or (len(np.unique(there)) <= 20 and bool((there == np.round(there)).all()))
    return values + rng.uniform(-_JITTER, _JITTER, len(values)) if is_whole else values


def _label_axis(axis: Any, tables: ReadTables, column: int) -> None:
    levels, name = tables.levels.get(column), shorten_names(tables.names, 24)[column]
    if levels and len(levels) > _MOST_LEVELS:
        axis.set_ticks([])
        name += f" ({len(levels)} levels)"
    elif levels:
        axis.set_ticks(range(len(levels)), [shorten(level, 10) for level in levels])
        axis.set_tick_params(labelsize="small")
        if axis.axis_name == "x" and (len(levels) > 3 or max(map(len, levels)) > 6):
            for label in axis.get_ticklabels():
                label.set(rotation=40, ha="right", rotation_mode="anchor")
    axis.set_label_text(name)
