"""Rows that are pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklae.plotting._axes import axes_or_new

__all__ = ["image_grid", "reconstructions"]


def image_grid(
    rows: ArrayLike,
    shape: tuple[int, int],
    *,
    n_columns: int | None = None,
    limits: tuple[float, float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw rows as grey pictures, side by side.

    Parameters
    ----------
    rows : array-like of shape (n_samples, height * width)
        The larger a value, the darker its pixel; all pictures share one scale.
    shape : tuple of two int
        Height and width.
    n_columns : int or None, default=None
        Pictures per line; None makes the grid about square.
    limits : tuple of two float or None, default=None
        The values to draw in white and in black; None means the smallest and the largest.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae.plotting import image_grid
    >>> ax = image_grid(load_digits().data[:20], (8, 8), n_columns=10)
    >>> ax.images[0].get_array().shape  # two lines of ten, one pixel apart
    (17, 89)
    """
    pictures = _as_pictures(rows, shape)
    mosaic = _mosaic(pictures, n_columns or int(np.ceil(np.sqrt(len(pictures)))))
    height, width = mosaic.shape
    ax = axes_or_new(ax, (6.0, max(0.6, 6.0 * height / width)))
    white, black = limits or (None, None)
    ax.imshow(mosaic, cmap="gray_r", interpolation="nearest", vmin=white, vmax=black)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def reconstructions(originals: ArrayLike, reconstructed: ArrayLike, shape: tuple[int, int], *, ax: Any = None) -> Any:
    """Draw pictures in one line and their reconstructions in the line below.

    Parameters
    ----------
    originals, reconstructed : array-like of shape (n_samples, height * width)
        The same rows, before and after ``reconstruct``. The originals set the scale of grey.
    shape : tuple of two int
        Height and width.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklae.plotting import reconstructions
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> ax = reconstructions(X[:10], pca.inverse_transform(pca.transform(X[:10])), (8, 8))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['original', 'reconstructed']
    """
    originals, reconstructed = np.asarray(originals), np.asarray(reconstructed)
    if originals.shape != reconstructed.shape:
        raise ValueError(
            f"Got originals of shape {originals.shape} and reconstructed of shape {reconstructed.shape}; "
            "expected the same rows before and after reconstruct."
        )
    both = np.concatenate([originals, reconstructed])
    ax = image_grid(both, shape, n_columns=len(originals), limits=(originals.min(), originals.max()), ax=ax)
    height = shape[0]
    ax.set_yticks([(height - 1) / 2, (height - 1) / 2 + height + 1], ["original", "reconstructed"])
    ax.tick_params(length=0)
    return ax


def _as_pictures(rows: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    height, width = shape
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != height * width:
        raise ValueError(
            f"Got rows of shape {rows.shape}; expected (n_samples, {height * width}) for shape={tuple(shape)}. "
            "Pass one row per picture, and its height and width."
        )
    return rows.reshape(-1, height, width)


def _mosaic(pictures: np.ndarray, n_columns: int) -> np.ndarray:
    """Return one picture of all, a pixel apart; the gaps are NaN, which is drawn as nothing."""
    n_pictures, height, width = pictures.shape
    n_lines = -(-n_pictures // n_columns)
    mosaic = np.full((n_lines * (height + 1) - 1, n_columns * (width + 1) - 1), np.nan)
    for position, picture in enumerate(pictures):
        line, column = divmod(position, n_columns)
        top, left = line * (height + 1), column * (width + 1)
        mosaic[top : top + height, left : left + width] = picture
    return mosaic
