"""Maps of the codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import TableLike
from sklae.plotting._axes import BLUE, COLORS, GREY, MARKERS, axes_or_new, ink, tidy
from sklae.plotting._cells import MOST_OF_A_NAME, plain, shorten
from sklae.plotting._labels import Labels, read_labels
from sklae.plotting._reductions import check_codes, reduce_codes
from sklae.plotting._tables import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["LatentSpaceDisplay", "latent_map"]

_MOST_DOTS = 20_000
_N_HEXAGONS = 90
# Far out is what lies further from the middle 96 % of codes than three quarters of their range.
_INNER, _BEYOND = (0.02, 0.98), 0.75
# Rows whose label is missing.
_UNKNOWN = {"color": GREY, "marker": "d"}
_KINDS = ("auto", "scatter", "hexbin")


class LatentSpaceDisplay:
    """A map of the codes, coloured by labels or a quantity.

    It is best made by `from_estimator` or `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    positions : array-like of shape (n_samples, 2)
        Where each row lies on the map.
    y : array-like of shape (n_samples,) or None, default=None
        A class per row, or (more than 20 different numbers or dates) a quantity. Of many classes the 20 commonest
        have a colour.
    axis_names : tuple of two str, default=("component 0", "component 1")
        What is written at the axes.

    Attributes
    ----------
    n_outside : int
        How many rows lie so far out that they are drawn at the edge.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    colorbar_ : matplotlib.colorbar.Colorbar or None
        Of a quantity, or of densities.

    See Also
    --------
    latent_map : The same for the first two components, as a function.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklae.plotting import LatentSpaceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = LatentSpaceDisplay(PCA(2).fit_transform(X), y).plot()
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['0', '1', '2']
    """

    def __init__(
        self,
        positions: ArrayLike,
        y: ArrayLike | None = None,
        *,
        axis_names: Sequence[str] = ("component 0", "component 1"),
    ):
        self.positions = np.asarray(positions, dtype=np.float64)
        if self.positions.ndim != 2 or self.positions.shape[1] != 2:
            raise ValueError(f"Got positions of shape {self.positions.shape}; expected (n_samples, 2).")
        n_finite = int(np.isfinite(self.positions).all(axis=1).sum())
        if n_finite < max(1, len(self.positions)):
            raise ValueError(
                f"Got {n_finite} of {len(self.positions)} rows with a place on the map; expected all, and one or more. "
                "Leave out rows whose codes are NaN or infinite."
            )
        self.y = None if y is None else np.asarray(y)
        if self.y is not None and self.y.shape != (len(self.positions),):
            raise ValueError(
                f"Got labels of shape {self.y.shape} for {len(self.positions)} codes; expected one label per row."
            )
        self.axis_names = tuple(axis_names)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: TableLike,
        y: ArrayLike | None = None,
        *,
        method: str | BaseEstimator = "auto",
        components: tuple[int, int] = (0, 1),
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the codes of rows.

        Parameters
        ----------
        estimator : transformer
            A fitted autoencoder, or a pipeline that ends in one.
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        y : array-like of shape (n_samples,), default=None
            A class per row, or (more than 20 different numbers or dates) a quantity; missing labels are drawn as such.
        method : {"auto", "components", "pca", "tsne", "umap"} or transformer, default="auto"
            How codes become two numbers. "components": two of them, as they are. "pca": the two directions in which
            they vary most. "tsne": `sklearn.manifold.TSNE`; minutes for more than some 10,000 rows. "umap": that
            of `umap-learn`. An object with ``fit_transform``: whatever that makes of them. "auto": two components
            as they are, of more "pca".
        components : tuple of two int, default=(0, 1)
            Which components, with "components".
        random_state : int, RandomState instance or None, default=None
            For "tsne" and "umap".
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display itself, drawn.

        Raises
        ------
        ImportError
            With "umap", if it is not installed; it names the extra that brings it.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklae import VAETransformer
        >>> from sklae.plotting import LatentSpaceDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> vae = VAETransformer(
        ...     3, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = LatentSpaceDisplay.from_estimator(vae, X, y)
        >>> display.positions.shape, display.ax_.get_xlabel()[:5]
        ((150, 2), 'PCA 1')
        """
        last, rows = last_step(estimator, X, "transform")
        settings: dict[str, Any] = {"method": method, "components": components, "random_state": random_state}
        return cls.from_predictions(last.transform(rows), y, **settings, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        codes: ArrayLike,
        y: ArrayLike | None = None,
        *,
        method: str | BaseEstimator = "auto",
        components: tuple[int, int] = (0, 1),
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            What ``transform`` of an autoencoder returns, with two components or more.
        y : array-like of shape (n_samples,), default=None
            A class per row, or (more than 20 different numbers) a quantity.
        method : {"auto", "components", "pca", "tsne", "umap"} or transformer, default="auto"
            How codes become two numbers, as in `from_estimator`.
        components : tuple of two int, default=(0, 1)
            Which components, with "components".
        random_state : int, RandomState instance or None, default=None
            For "tsne" and "umap".
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display itself, drawn.
        """
        codes = check_codes(codes)
        if isinstance(method, str) and method == "auto":
            method = "components" if codes.shape[1] == 2 else "pca"
        positions, names = reduce_codes(codes, method, components, random_state)
        return cls(positions, y, axis_names=names).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, kind: str = "auto", y_name: str | None = None, **kwargs: Any) -> Self:
        """Draw the map.

        A few codes far from all others would leave no room for these: codes further from the middle 96 % than three
        quarters of their range are drawn as crosses at the edge, and their number is told.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        kind : {"auto", "scatter", "hexbin"}, default="auto"
            A dot for each row, or hexagons: how many rows there are, or with ``y`` the mean of the quantity or the
            commonest class, the paler the fewer rows there are. "auto": hexagons for more than 20,000 rows.
        y_name : str or None, default=None
            What ``y`` is, for the legend or the colour bar.
        **kwargs
            For ``ax.scatter`` or ``ax.hexbin``.

        Returns
        -------
        self : object
            The display itself.
        """
        if kind not in _KINDS:
            raise ValueError(f"Got kind={kind!r}; expected one of {list(_KINDS)}.")
        if kind == "auto":
            kind = "hexbin" if len(self.positions) > _MOST_DOTS else "scatter"
        self.ax_ = axes_or_new(ax, (6.0, 5.0))
        self.figure_ = self.ax_.figure
        self.colorbar_: Any = None
        outside = _far_out(self.positions)
        low, high = _extremes(self.positions[~outside])
        self.n_outside = int(outside.sum())
        if kind == "scatter":
            self._draw_dots(~outside, y_name, kwargs)
        else:
            self._draw_hexagons(~outside, (low, high), y_name, kwargs)
        if self.n_outside:
            self._draw_outside(np.clip(self.positions[outside], low, high))
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        tidy(self.ax_)
        return self

    def _draw_dots(self, inside: np.ndarray, y_name: str | None, style: dict[str, Any]) -> None:
        positions = self.positions[inside]
        size = float(np.clip(2e4 / max(len(positions), 1), 3.0, 14.0))
        look = {"s": size, "alpha": 0.8, "linewidths": 0, "rasterized": len(positions) > 5_000, **style}
        if self.y is None:
            self._scatter(positions, **{"color": BLUE, **look})
            return
        labels = read_labels(self.y)
        mark_size = max(1.0, np.sqrt(30.0 / size))
        if labels.is_quantity:
            gaps = np.isnan(labels.values)
            if gaps.any():
                self._scatter(self.positions[inside & gaps], **{**_UNKNOWN, "label": "missing", **look})
                self.ax_.legend(frameon=False, markerscale=mark_size)
            there = inside & ~gaps
            self._add_colorbar(self._scatter(self.positions[there], **{"c": labels.values[there], **look}), y_name)
            self._name_dates(labels)
            return
        handles = []
        for place in reversed(range(len(labels.names))):  # rows without a class of their own lie below the others
            own = {**_look_of(place, labels), "label": labels.names[place]}
            handles.append(self._scatter(self.positions[inside & (labels.values == place)], **{**own, **look}))
        self._add_legend(labels, y_name, handles=handles[::-1], markerscale=mark_size)

    def _scatter(self, positions: np.ndarray, **look: Any) -> Any:
        return self.ax_.scatter(positions[:, 0], positions[:, 1], **look)

    def _draw_hexagons(self, inside: np.ndarray, limits: Any, y_name: str | None, style: dict[str, Any]) -> None:
        from matplotlib.colors import to_rgb

        ax, (low, high) = self.ax_, limits
        extent = (low[0], high[0], low[1], high[1])
        look = {"gridsize": _N_HEXAGONS, "extent": extent, "mincnt": 1, "linewidths": 0.1, **style}
        x, z = self.positions[inside].T
        if self.y is None:
            self._add_colorbar(ax.hexbin(x, z, **{"bins": "log", "cmap": "viridis", **look}), "rows")
            return
        labels = read_labels(self.y)
        values = labels.values[inside]
        if labels.is_quantity:
            there = ~np.isnan(values)
            means = ax.hexbin(x[there], z[there], **{"C": values[there], **look})
            name = "mean" if y_name is None else f"mean of {y_name}"
            self._add_colorbar(means, name + f" ({(~there).sum():,} rows without)" * (not there.all()))
            self._name_dates(labels)
            return
        counts = ax.hexbin(x, z, **look)
        n_rows = np.asarray(counts.get_array(), dtype=np.float64)
        counts.remove()
        commonest = ax.hexbin(x, z, **{"C": values, "reduce_C_function": _commonest, **look})
        winners = np.asarray(commonest.get_array()).astype(int)
        looks = [_look_of(place, labels) for place in range(len(labels.names))]
        colors = np.array([(*to_rgb(looks[winner]["color"]), 1.0) for winner in winners]).reshape(-1, 4)
        colors[:, 3] = 0.25 + 0.75 * np.log1p(n_rows) / np.log1p(n_rows.max(initial=1.0))
        commonest.set_array(None)
        commonest.set(facecolors=colors, edgecolors="none")
        handles = [
            ax.scatter([], [], color=own["color"], marker="h", s=60, label=name)
            for own, name in zip(looks, labels.names, strict=True)
        ]
        self._add_legend(labels, y_name, handles=handles)

    def _draw_outside(self, edge: np.ndarray) -> None:
        self.ax_.scatter(
            edge[:, 0], edge[:, 1], marker="x", color=ink(self.ax_), s=22, linewidths=0.8, clip_on=False, zorder=3
        )
        verb = "row lies" if self.n_outside == 1 else "rows lie"
        self.ax_.set_title(f"{self.n_outside:,} {verb} further out (x)", fontsize="small", loc="right", color=GREY)

    def _add_colorbar(self, mappable: Any, name: str | None) -> None:
        self.colorbar_ = self.figure_.colorbar(mappable, ax=self.ax_)
        self.colorbar_.outline.set_visible(False)
        if name is not None:
            self.colorbar_.set_label(plain(name))

    def _name_dates(self, labels: Labels) -> None:
        if labels.is_date:
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator()
            axis = self.colorbar_.ax.yaxis
            axis.set_major_locator(locator)
            axis.set_major_formatter(ConciseDateFormatter(locator))

    def _add_legend(self, labels: Labels, title: str | None, *, handles: list[Any], **settings: Any) -> None:
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
        names = [shorten(name, MOST_OF_A_NAME) for name in labels.names]
        self.ax_.legend(handles, names, **place, title=None if title is None else plain(title), **settings)


def latent_map(codes: ArrayLike, labels: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Draw the first two components of every row's code, coloured by its label.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        What ``transform`` of an autoencoder returns, with two components or more.
    labels : array-like of shape (n_samples,) or None, default=None
        A class per row, or (more than 20 different numbers) a quantity.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The Axes drawn on.

    See Also
    --------
    LatentSpaceDisplay : What draws it: more components by PCA, t-SNE or UMAP, and densities of many rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklae.plotting import latent_map
    >>> X, y = load_iris(return_X_y=True)
    >>> ax = latent_map(PCA(2).fit_transform(X), y)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['0', '1', '2']
    """
    return LatentSpaceDisplay.from_predictions(codes, labels, method="components", ax=ax).ax_


def _look_of(place: int, labels: Labels) -> dict[str, Any]:
    """Return colour and marker of a class: another marker once the colours are used up."""
    if place >= labels.n_classes:
        return _UNKNOWN if labels.names[place] == "missing" else {"color": GREY, "marker": "."}
    return {"color": COLORS[place % len(COLORS)], "marker": ("o" + MARKERS)[place // len(COLORS)]}


def _commonest(codes: Any) -> int:
    return int(np.bincount(np.asarray(codes, dtype=int)).argmax())


def _far_out(positions: np.ndarray) -> np.ndarray:
    """Return which positions are so far from all others that these would be a blot."""
    if not len(positions):
        return np.zeros(0, dtype=bool)
    low, high = np.quantile(positions, _INNER, axis=0)
    reach = _BEYOND * (high - low)
    return ((positions < low - reach) | (positions > high + reach)).any(axis=1)


def _extremes(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest positions, some way apart."""
    if not len(positions):
        return np.zeros(2), np.ones(2)
    low, high = positions.min(axis=0), positions.max(axis=0)
    return np.where(low < high, low, low - 0.5), np.where(low < high, high, high + 0.5)
