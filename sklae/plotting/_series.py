"""What rows become on the way: along a component of the code, and between two rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import ConditionLike, TableLike
from sklae.plotting._axes import axes_grid
from sklae.plotting._cells import OTHER_LEVEL, cell_size, draw_cells
from sklae.plotting._codes import MIDDLE, codes_of, condition_for, decode, pictures_in
from sklae.plotting._images import picture_lines
from sklae.plotting._tables import ReadTables, last_step, read_tables, scale_of, shape_of, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AutoencoderTransformer, VAETransformer

__all__ = ["InterpolationDisplay", "TraversalDisplay"]

# Of tables, each of which is a panel.
_MOST_PANELS = 24


class TraversalDisplay:
    """What single components stand for: a row, decoded with one component after the other set to a series of values.

    It is best made by `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    rows : array-like or frame of shape (n_components * n_values, n_features)
        Decoded, component by component.
    values : array-like of shape (n_values,)
        What the components were set to.
    components : sequence of int
        Which ones.
    shape : tuple of two or three int or None, default=None
        Of rows that are pictures, as `image_grid` takes it; None for tables.
    scale : array-like of shape (n_features,) or None, default=None
        Of tables: what a column's changes are measured in. None: its standard deviation among ``rows``.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        Of tables one for each component; of pictures a single one.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklae.plotting import TraversalDisplay
    >>> display = TraversalDisplay(
    ...     [[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]], [-1, 0, 1], [4]
    ... ).plot()
    >>> display.ax_.get_title(), [label.get_text() for label in display.ax_.get_xticklabels()]
    ('component 4', ['-1', '0', '1'])
    """

    def __init__(
        self,
        rows: TableLike,
        values: ArrayLike,
        components: Sequence[int],
        *,
        shape: Sequence[int] | None = None,
        scale: ArrayLike | None = None,
    ):
        self.rows = rows
        self.values = np.asarray(values, dtype=np.float64)
        self.components = [int(component) for component in components]
        if shape_of(rows)[0] != len(self.values) * len(self.components):
            raise ValueError(
                f"Got {shape_of(rows)[0]} rows for {len(self.components)} components and {len(self.values)} values; "
                "expected one for each pair."
            )
        self.shape = shape
        self.scale = None if scale is None else np.asarray(scale, dtype=np.float64)

    @classmethod
    def from_estimator(
        cls,
        estimator: VAETransformer | Pipeline,
        X: TableLike,
        *,
        components: Sequence[int] | None = None,
        values: ArrayLike | None = None,
        shape: Sequence[int] | None = None,
        condition: ConditionLike | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Vary the code of a row.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, or a pipeline that ends in one.
        X : array-like or frame of shape (n_samples, n_features)
            The first row is varied. The codes of all say how far components reach and, beside each other, which vary
            most; of a single row, codes of rows that the model draws itself do.
        components : sequence of int, default=None
            Which ones to vary. None: those whose codes vary most, at most 8.
        values : array-like of shape (n_values,), default=None
            What to set them to. None: 7 values over the middle 96 % of these components' codes.
        shape : tuple of two or three int, default=None
            Of rows that are pictures: height and width, and channels as `image_grid` takes them. None: a table.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with. None: those of the first row.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : TraversalDisplay
            The display itself, drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklae import AutoencoderTransformer
        >>> from sklae.plotting import TraversalDisplay
        >>> X = load_digits().data
        >>> ae = AutoencoderTransformer(
        ...     4, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = TraversalDisplay.from_estimator(ae, X, components=[0, 2], shape=(8, 8))
        >>> [label.get_text() for label in display.ax_.get_yticklabels()]
        ['component 0', 'component 2']
        """
        n_rows = shape_of(X)[0]
        if n_rows < 1:
            raise ValueError(f"Got X of shape {shape_of(X)}; expected at least one row. Pass one or more.")
        last, seen = last_step(estimator, X, "inverse_transform", "transform", *(["sample"] if n_rows == 1 else []))
        own = np.asarray(last.transform(seen[:1]))
        condition = condition_for(last, seen[:1], condition)
        codes = codes_of(last, seen if n_rows > 1 else None, condition)
        if components is None:
            components = np.argsort(-codes.std(axis=0), kind="stable")[:8].tolist()
        wrong = [i for i in components if not -codes.shape[1] <= i < codes.shape[1]]
        if wrong or not len(components):
            raise ValueError(f"Got components={components!r}; expected integers below {codes.shape[1]}.")
        chosen = [int(i) % codes.shape[1] for i in components]
        if values is None:
            low, high = np.quantile(codes[:, chosen], MIDDLE)
            values = np.linspace(low, high, 7)
        values = np.asarray(values, dtype=np.float64).ravel()
        moved = np.repeat(own, len(chosen) * len(values), axis=0)
        for place, component in enumerate(chosen):
            moved[place * len(values) : (place + 1) * len(values), component] = values
        rows = pictures_in(last, decode(last, moved, condition), shape)
        return cls(rows, values, chosen, shape=shape, scale=scale_of(last)).plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        limits: tuple[float, float] | None = None,
        max_features: int = 12,
    ) -> Self:
        """Draw a line of pictures for each component, or a table.

        Of a table the cells are written out, and shaded by how far they are from those of the middle value.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Where to draw; None makes a new figure.
        limits : tuple of two float or None, default=None
            Of pictures: the values drawn in white and in black. None: the smallest and the largest.
        max_features : int, default=12
            Of tables: how many columns to draw at most, those that move most.

        Returns
        -------
        self : object
            The display itself.
        """
        steps = [short(value) for value in self.values]
        names = [f"component {component}" for component in self.components]
        if self.shape is not None:
            rows = np.asarray(self.rows, dtype=np.float64)
            extremes = (float(rows.min()), float(rows.max())) if limits is None else limits
            ax = ax[0] if isinstance(ax, (Sequence, np.ndarray)) else ax
            self.axes_ = [picture_lines(rows, self.shape, names, steps, limits=extremes, ax=ax)]
        else:
            tables = read_tables(self.rows)
            parts = np.split(tables.values[0], len(names))
            n_features = min(max_features, len(tables.names))
            size = cell_size((n_features, len(steps)))
            self.axes_ = axes_grid(ax, len(parts), 2, size)
            for panel, name, part in zip(self.axes_, names, parts, strict=True):
                _draw_series(tables, part, steps, self.scale, len(steps) // 2, max_features, panel)
                panel.set_title(name)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        return self


class InterpolationDisplay:
    """What lies between the codes of two rows, decoded.

    It is best made by `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    rows : array-like or frame of shape (n_pairs * n_steps, n_features)
        Decoded, pair by pair, the ends included.
    n_steps : int
        Rows per pair.
    shape : tuple of two or three int or None, default=None
        Of rows that are pictures, as `image_grid` takes it; None for tables.
    scale : array-like of shape (n_features,) or None, default=None
        Of tables: what a column's changes are measured in. None: its standard deviation among ``rows``.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        Of tables one for each pair; of pictures a single one.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklae.plotting import InterpolationDisplay
    >>> display = InterpolationDisplay([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]], 3).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['a', '0.5', 'b']
    """

    def __init__(
        self, rows: TableLike, n_steps: int, *, shape: Sequence[int] | None = None, scale: ArrayLike | None = None
    ):
        self.rows = rows
        self.n_steps = n_steps
        if n_steps < 2 or shape_of(rows)[0] % n_steps or not shape_of(rows)[0]:
            raise ValueError(
                f"Got {shape_of(rows)[0]} rows and n_steps={n_steps!r}; expected two steps or more, all of each pair."
            )
        self.shape = shape
        self.scale = None if scale is None else np.asarray(scale, dtype=np.float64)

    @classmethod
    def from_estimator(
        cls,
        estimator: AutoencoderTransformer | VAETransformer | Pipeline,
        a: TableLike,
        b: TableLike,
        *,
        n_steps: int = 9,
        method: str = "linear",
        shape: Sequence[int] | None = None,
        condition: ConditionLike | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Decode the way from the codes of some rows to those of others.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, or a pipeline that ends in one.
        a, b : array-like or frame of shape (n_pairs, n_features)
            Where to start and where to end.
        n_steps : int, default=9
            Rows per pair, its ends included.
        method : {"linear", "spherical"}, default="linear"
            As ``interpolate`` has it.
        shape : tuple of two or three int, default=None
            Of rows that are pictures: height and width, and channels as `image_grid` takes them. None: a table.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with. None: those of the pairs, if both ends have the same.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : InterpolationDisplay
            The display itself, drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklae import AutoencoderTransformer
        >>> from sklae.plotting import InterpolationDisplay
        >>> X = load_digits().data
        >>> ae = AutoencoderTransformer(
        ...     4, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = InterpolationDisplay.from_estimator(ae, X[:3], X[3:6], shape=(8, 8))
        >>> display.ax_.images[0].get_array().shape  # three pairs, nine steps
        (26, 80)
        """
        last, start = last_step(estimator, a, "interpolate")
        end = last_step(estimator, b)[1]
        rows = pictures_in(last, last.interpolate(start, end, n_steps, method=method, condition=condition), shape)
        return cls(rows, n_steps, shape=shape, scale=scale_of(last)).plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        limits: tuple[float, float] | None = None,
        max_features: int = 12,
    ) -> Self:
        """Draw a line of pictures for each pair, or a table.

        Of a table the cells are written out, and shaded by how far they are from those at the start.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Where to draw; None makes a new figure.
        limits : tuple of two float or None, default=None
            Of pictures: the values drawn in white and in black. None: the smallest and the largest.
        max_features : int, default=12
            Of tables: how many columns to draw at most, those that move most.

        Returns
        -------
        self : object
            The display itself.
        """
        n_pairs = shape_of(self.rows)[0] // self.n_steps
        steps = ["a", *(short(share) for share in np.linspace(0, 1, self.n_steps)[1:-1]), "b"]
        if self.shape is not None:
            rows = np.asarray(self.rows, dtype=np.float64)
            extremes = (float(rows.min()), float(rows.max())) if limits is None else limits
            ax = ax[0] if isinstance(ax, (Sequence, np.ndarray)) else ax
            self.axes_ = [picture_lines(rows, self.shape, [""] * n_pairs, steps, limits=extremes, ax=ax)]
        else:
            if n_pairs > _MOST_PANELS:
                raise ValueError(
                    f"Got {n_pairs} pairs of rows; expected at most {_MOST_PANELS} to draw, a panel for each. Pass "
                    "fewer: a[:8], b[:8], say."
                )
            tables = read_tables(self.rows)
            size = cell_size((min(max_features, len(tables.names)), len(steps)))
            self.axes_ = axes_grid(ax, n_pairs, 2, size)
            for number, (panel, part) in enumerate(zip(self.axes_, np.split(tables.values[0], n_pairs), strict=True)):
                _draw_series(tables, part, steps, self.scale, 0, max_features, panel)
                if n_pairs > 1:
                    panel.set_title(f"pair {number}")
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        return self


def _draw_series(
    tables: ReadTables,
    values: np.ndarray,
    steps: list[str],
    scale: np.ndarray | None,
    start: int,
    max_features: int,
    ax: Any,
) -> None:
    """Draw rows that follow each other from left to right: their columns below each other, those that move most."""
    scale = tables.spreads() if scale is None else scale
    shades = (values - values[start]) / scale
    for j in tables.levels:
        shades[:, j] = OTHER_LEVEL * (values[:, j] != values[start, j])
    order = np.argsort(-np.abs(shades).max(axis=0), kind="stable")[:max_features]
    texts = [[tables.text(j, value) for value in values[:, j]] for j in order]
    meaning = "change\n(standard deviations)"
    draw_cells(texts, shades[:, order].T, [tables.names[j] for j in order], steps, meaning=meaning, ax=ax)
