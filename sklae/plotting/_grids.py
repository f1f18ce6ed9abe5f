"""What codes on a grid stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import ConditionLike, TableLike
from sklae.plotting._axes import axes_or_new
from sklae.plotting._cells import plain
from sklae.plotting._codes import MIDDLE, codes_of, condition_for, condition_text, decode, pictures_in
from sklae.plotting._distributions import check_features
from sklae.plotting._images import picture_lines
from sklae.plotting._tables import last_step, read_tables, shape_of, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AutoencoderTransformer, VAETransformer

__all__ = ["LatentGridDisplay"]


class LatentGridDisplay:
    """What codes on a grid decode to: the map that two components span.

    It is best made by `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    rows : array-like or frame of shape (n_y * n_x, n_features)
        Decoded, line by line from the top: the largest value of the second component first.
    x_values, y_values : array-like of shape (n_x,), (n_y,)
        Of the two components, each rising.
    shape : tuple of two or three int or None, default=None
        Of rows that are pictures, as `image_grid` takes it.
    feature : str or int or None, default=None
        Of tables: the column to draw.
    axis_names : tuple of two str, default=("component 0", "component 1")
        What is written at the axes.
    title : str, default=""
        The condition, say, under which all of it was decoded.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklae.plotting import LatentGridDisplay
    >>> display = LatentGridDisplay(
    ...     [[0.0], [1.0], [2.0], [3.0]], [-1, 1], [-1, 1], feature=0
    ... ).plot()
    >>> display.ax_.images[0].get_array().shape
    (2, 2)
    """

    def __init__(
        self,
        rows: TableLike,
        x_values: ArrayLike,
        y_values: ArrayLike,
        *,
        shape: Sequence[int] | None = None,
        feature: str | int | None = None,
        axis_names: Sequence[str] = ("component 0", "component 1"),
        title: str = "",
    ):
        self.rows = rows
        self.x_values = np.asarray(x_values, dtype=np.float64)
        self.y_values = np.asarray(y_values, dtype=np.float64)
        if shape_of(rows)[0] != len(self.x_values) * len(self.y_values):
            raise ValueError(
                f"Got {shape_of(rows)[0]} rows for a grid of {len(self.y_values)} x {len(self.x_values)} codes; "
                "expected one each."
            )
        if (shape is None) == (feature is None):
            raise ValueError(
                f"Got shape={shape!r} and feature={feature!r}; expected one of them: the shape of rows that are "
                "pictures, or the column of a table to draw."
            )
        self.shape = shape
        self.feature = feature
        self.axis_names = tuple(axis_names)
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: AutoencoderTransformer | VAETransformer | Pipeline,
        X: TableLike | None = None,
        *,
        shape: Sequence[int] | None = None,
        feature: str | int | None = None,
        components: tuple[int, int] = (0, 1),
        n_steps: int | None = None,
        limits: Sequence[tuple[float, float]] | None = None,
        condition: ConditionLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Decode a grid of codes.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, or a pipeline that ends in one.
        X : array-like or frame of shape (n_samples, n_features), default=None
            Rows whose codes say how far the grid reaches (the middle 96 % of each component), and what the other
            components are set to (their medians). None: rows that the model draws itself.
        shape : tuple of two or three int, default=None
            Of rows that are pictures: height and width, and channels as `image_grid` takes them.
        feature : str or int, default=None
            Of tables: name or position of the column to draw, in place of ``shape``.
        components : tuple of two int, default=(0, 1)
            What varies from left to right, and from bottom to top.
        n_steps : int, default=None
            Codes to a side. None: 15 for pictures, 50 for a column.
        limits : sequence of two (float, float), default=None
            How far the grid reaches instead, for each of the two.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with. None: those of the first row of X; without X they are
            needed where there are any.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : LatentGridDisplay
            The display itself, drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklae import VAETransformer
        >>> from sklae.plotting import LatentGridDisplay
        >>> X = load_digits().data
        >>> vae = VAETransformer(
        ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = LatentGridDisplay.from_estimator(vae, X, shape=(8, 8), n_steps=5)
        >>> display.ax_.images[0].get_array().shape  # five by five, one pixel apart
        (44, 44)
        """
        last, seen = last_step(estimator, X, "inverse_transform", "transform", *(["sample"] if X is None else []))
        condition = condition_for(last, None if seen is None else seen[:1], condition)
        codes = codes_of(last, seen, condition)
        if codes.shape[1] < 2:
            raise ValueError(f"Got a model of {codes.shape[1]} component; expected 2 or more. Use TraversalDisplay.")
        n_steps = n_steps or (50 if shape is None else 15)
        if n_steps < 2:
            raise ValueError(f"Got n_steps={n_steps!r}; expected 2 or more, or None.")
        first, second = (i % codes.shape[1] for i in components)
        if limits is None:
            limits = list(np.quantile(codes[:, [first, second]], MIDDLE, axis=0).T)
            if any(low == high for low, high in limits):
                raise ValueError(
                    f"Got codes of {len(codes)} rows that do not vary; expected such as span the grid. Pass more rows, "
                    "or limits=((-2, 2), (-2, 2)), say."
                )
        x_values, y_values = (np.linspace(*limit, n_steps) for limit in limits)
        grid = np.tile(np.median(codes, axis=0), (n_steps * n_steps, 1)).astype(codes.dtype)
        grid[:, first], grid[:, second] = np.tile(x_values, n_steps), np.repeat(y_values[::-1], n_steps)
        decoded = decode(last, grid, condition)
        rows, title = pictures_in(last, decoded, shape), condition_text(last, decoded[:1])
        names = (f"component {first}", f"component {second}")
        display = cls(rows, x_values, y_values, shape=shape, feature=feature, axis_names=names, title=title)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, limits: tuple[float, float] | None = None, cmap: str = "viridis") -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        limits : tuple of two float or None, default=None
            Of pictures: the values drawn in white and in black. None: the smallest and the largest.
        cmap : str, default="viridis"
            Colours of a column's values.

        Returns
        -------
        self : object
            The display itself.
        """
        if self.shape is not None:
            rows = np.asarray(self.rows, dtype=np.float64)
            extremes = (float(rows.min()), float(rows.max())) if limits is None else limits
            lines = [short(value) if i % 2 == 0 else "" for i, value in enumerate(self.y_values)][::-1]
            ends = [short(value) for value in np.linspace(self.x_values[0], self.x_values[-1], 5)]
            self.ax_ = picture_lines(rows, self.shape, lines, ends, limits=extremes, ax=ax)
        else:
            self.ax_ = self._draw_column(ax, cmap)
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        self.ax_.set_title(self.title, fontsize="medium")
        self.figure_ = self.ax_.figure
        return self

    def _draw_column(self, ax: Any, cmap: str) -> Any:
        tables = read_tables(self.rows)
        (column,) = check_features(tables, self.feature, (), 1)
        values = tables.values[0][:, column].reshape(len(self.y_values), len(self.x_values))
        levels = tables.levels.get(column)
        ax = axes_or_new(ax, (5.6, 4.6))
        from matplotlib import colormaps

        colors = colormaps[cmap].resampled(len(levels)) if levels else cmap
        half = [np.ptp(axis) / max(len(axis) - 1, 1) / 2 for axis in (self.x_values, self.y_values)]
        ends = [
            (axis[0] - step, axis[-1] + step) for axis, step in zip((self.x_values, self.y_values), half, strict=True)
        ]
        bounds = {"vmin": -0.5, "vmax": len(levels) - 0.5} if levels else {}
        image = ax.imshow(
            values, cmap=colors, extent=(*ends[0], *ends[1]), aspect="auto", interpolation="nearest", **bounds
        )
        bar = ax.figure.colorbar(image, ax=ax)
        bar.outline.set_visible(False)
        if levels:
            bar.set_ticks(range(len(levels)), labels=[plain(level) for level in levels])
        bar.set_label(plain(tables.names[column]))
        return ax
