"""Rows that are pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklae.plotting._axes import axes_or_new

__all__ = ["image_grid", "reconstructions"]


def image_grid(
    rows: ArrayLike,
    shape: tuple[int, ...],
    *,
    n_columns: int | None = None,
    limits: tuple[float, float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw rows as pictures, grey or coloured, side by side.

    Parameters
    ----------
    rows : array-like of shape (n_samples, height * width) or (n_samples, n_channels * height * width)
        Grey: the larger a value, the darker its pixel. Coloured: red, green and blue. All pictures share one scale.
    shape : tuple of two or three int
        Height and width; beside them a 3 for colours, first or last as the rows have them.
    n_columns : int or None, default=None
        Pictures per line; None makes the grid about square.
    limits : tuple of two float or None, default=None
        The values to draw in white and in black, or of colours the darkest and the brightest; None means the smallest
        and the largest.
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
    low, high = limits or (np.nanmin(pictures), np.nanmax(pictures))
    mosaic = _mosaic(pictures, n_columns or int(np.ceil(np.sqrt(len(pictures)))))
    height, width = mosaic.shape[:2]
    ax = axes_or_new(ax, (6.0, max(0.6, 6.0 * height / width)))
    if mosaic.ndim == 3:
        mosaic = np.clip((mosaic - low) / max(high - low, np.finfo(float).tiny), 0.0, 1.0)
        mosaic = np.nan_to_num(mosaic, nan=1.0)  # between pictures
    ax.imshow(mosaic, cmap="gray_r", interpolation="nearest", vmin=low, vmax=high)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def reconstructions(originals: ArrayLike, reconstructed: ArrayLike, shape: tuple[int, ...], *, ax: Any = None) -> Any:
    """Draw pictures in one line and their reconstructions in the line below.

    Parameters
    ----------
    originals, reconstructed : array-like of shape (n_samples, height * width)
        The same rows, before and after ``reconstruct``. The originals set the scale of grey.
    shape : tuple of two or three int
        Height and width; beside them a 3 for colours, as `image_grid` takes it.
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
    height = _size(shape)[0]
    ax.set_yticks([(height - 1) / 2, (height - 1) / 2 + height + 1], ["original", "reconstructed"])
    ax.tick_params(length=0)
    return ax


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width."""
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) == 3 and 3 in (shape[0], shape[-1]):
        return (shape[1], shape[2]) if shape[0] == 3 else (shape[0], shape[1])
    raise ValueError(
        f"Got shape={tuple(shape)}; expected (height, width), or for colours (3, height, width) or (height, width, 3). "
        "For other numbers of channels draw one of them."
    )


def _as_pictures(rows: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Return rows as pictures, (n, height, width) or (n, height, width, 3)."""
    rows = np.asarray(rows, dtype=np.float64)
    _size(shape)
    n_values = int(np.prod(shape))
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != n_values:
        raise ValueError(
            f"Got rows of shape {rows.shape}; expected (n_samples, {n_values}) for shape={tuple(shape)}. "
            "Pass one row per picture, and its height and width."
        )
    pictures = rows.reshape(-1, *shape)
    return np.moveaxis(pictures, 1, -1) if len(shape) == 3 and shape[0] == 3 else pictures


def _mosaic(pictures: np.ndarray, n_columns: int) -> np.ndarray:
    """Return one picture of all, a pixel apart; the gaps are NaN, which is drawn as nothing."""
    n_pictures, height, width = pictures.shape[:3]
    n_lines = -(-n_pictures // n_columns)
    mosaic = np.full((n_lines * (height + 1) - 1, n_columns * (width + 1) - 1, *pictures.shape[3:]), np.nan)
    for position, picture in enumerate(pictures):
        line, column = divmod(position, n_columns)
        top, left = line * (height + 1), column * (width + 1)
        mosaic[top : top + height, left : left + width] = picture
    return mosaic
