"""Maps of the codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklae.plotting._axes import BLUE, axes_or_new

__all__ = ["latent_map"]

# More distinct numbers than this are a quantity, not classes.
_MOST_CLASSES = 20


def latent_map(codes: ArrayLike, labels: ArrayLike | None = None, ax: Any = None) -> Any:
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
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] < 2:
        raise ValueError(
            f"Got codes of shape {codes.shape}; expected (n_samples, 2) or wider. Fit with n_components=2."
        )
    labels = None if labels is None else np.asarray(labels)
    if labels is not None and labels.shape != (len(codes),):
        raise ValueError(f"Got labels of shape {labels.shape} for {len(codes)} codes; expected one label per row.")
    ax = axes_or_new(ax, (5.6, 5.0))
    ax.set(xlabel="component 0", ylabel="component 1")
    if labels is None:
        _scatter(ax, codes, color=BLUE)
    elif _is_quantity(labels):
        ax.figure.colorbar(_scatter(ax, codes, c=labels), ax=ax)
    else:
        _scatter_classes(ax, codes, labels)
    return ax


def _is_quantity(labels: np.ndarray) -> bool:
    return labels.dtype.kind in "iuf" and len(np.unique(labels)) > _MOST_CLASSES


def _scatter(ax: Any, codes: np.ndarray, **style: Any) -> Any:
    return ax.scatter(codes[:, 0], codes[:, 1], s=10, alpha=0.8, linewidths=0, **style)


def _scatter_classes(ax: Any, codes: np.ndarray, labels: np.ndarray) -> None:
    from matplotlib import colormaps

    classes = np.unique(labels)
    colors = colormaps["tab10" if len(classes) <= 10 else "tab20"]
    for position, label in enumerate(classes):
        _scatter(ax, codes[labels == label], color=colors(position % colors.N), label=str(label))
    ax.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=2.0, ncols=1 + (len(classes) > 20)
    )
