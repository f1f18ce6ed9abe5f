"""Rows that are pictures."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sklae.plotting._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["image_grid", "picture_lines"]

_GREY, _COLOURED = 1, 3
# Inches for each pixel, and the least and the most of a new figure.
_DOT, _LEAST_WIDTH, _MOST_WIDTH, _MOST_HEIGHT = 0.03, 6.0, 9.0, 8.0
# No pixel needs to be larger.
_LARGEST_DOT = 0.1


def image_grid(
    rows: ArrayLike,
    shape: Sequence[int],
    *,
    n_columns: int | None = None,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw rows as pictures, grey or coloured, side by side.

    Parameters
    ----------
    rows : array-like of shape (n_samples, height * width) or (n_samples, n_channels * height * width)
        Grey: the larger a value, the darker its pixel. Coloured: red, green and blue. All pictures share one scale.
        NaN marks a gap: nothing is drawn there.
    shape : tuple of two or three int
        Height and width; beside them a 3 for colours (or a 1 for grey), first or last as the rows have them. Where both
        ends may be that, it is the smaller one, and the first if they are equal: ``(3, 3, 3)`` is channels first.
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
        The Axes drawn on.

    Raises
    ------
    ValueError
        For rows that are no such pictures, none at all, without a single value or infinite, and for numbers of columns
        and limits that nothing can be drawn by.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae.plotting import image_grid
    >>> ax = image_grid(load_digits().data[:20], (8, 8), n_columns=10)
    >>> ax.images[0].get_array().shape  # two lines of ten, one pixel apart
    (17, 89)
    """
    return _draw(rows, shape, n_columns, limits, ax)


def _draw(
    rows: ArrayLike,
    shape: Sequence[int],
    n_columns: int | None,
    limits: tuple[float, float] | None,
    ax: Any,
    margins: tuple[float, float] = (0.0, 0.0),
) -> Any:
    """Draw pictures side by side; a new figure has room for labels, in inches, on the left and below."""
    pictures = _as_pictures(rows, shape)
    low, high = _extremes(pictures) if limits is None else _check_limits(limits)
    mosaic = _mosaic(pictures, _check_n_columns(n_columns, len(pictures)))
    width, height = _size(*mosaic.shape[:2])
    ax = axes_or_new(ax, (width + margins[0], height + margins[1]), layout="compressed")
    if mosaic.ndim == 3:
        mosaic = np.clip((mosaic - low) / max(high - low, np.finfo(float).tiny), 0.0, 1.0)
        mosaic[np.isnan(mosaic).any(axis=-1)] = 1.0  # colours know no missing ones: as white as the page
    ax.imshow(mosaic, cmap="gray_r", interpolation="nearest", vmin=low, vmax=high)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def picture_lines(
    rows: ArrayLike,
    shape: Sequence[int],
    line_labels: Sequence[str],
    column_labels: Sequence[str] = (),
    *,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw rows as lines of pictures, of which each line has a label; return the Axes.

    Parameters
    ----------
    rows : array-like of shape (n_lines * n_columns, n_features)
        Line by line; pictures that are all NaN are left out.
    shape : tuple of two or three int
    line_labels : sequence of n_lines str
    column_labels : sequence of n_columns str
        Below the pictures; fewer of them are spread evenly.
    limits : tuple of two float or None, default=None
        None: those of the first line.
    ax : Axes or None, default=None
    """
    rows = np.asarray(rows, dtype=np.float64)
    n_columns = len(rows) // len(line_labels)
    limits = _extremes(_as_pictures(rows[:n_columns], shape)) if limits is None else limits
    margins = (0.25 + 0.085 * max(map(len, line_labels)), 0.3 * bool(len(column_labels)))
    ax = _draw(rows, shape, n_columns, limits, ax, margins)
    size = _read_shape(shape)
    ax.set_yticks([(size.height - 1) / 2 + i * (size.height + 1) for i in range(len(line_labels))], line_labels)
    if len(column_labels):
        places = np.linspace(0, n_columns - 1, len(column_labels))
        ax.set_xticks((size.width - 1) / 2 + places * (size.width + 1), column_labels)
    ax.tick_params(length=0)
    return ax


def _size(height: int, width: int) -> tuple[float, float]:
    """Return inches for a mosaic of so many pixels: some dots of a screen for each, or what a page holds."""
    across = min(max(_DOT * width, min(_LEAST_WIDTH, _LARGEST_DOT * width)), _MOST_WIDTH)
    down = across * height / width
    if down > _MOST_HEIGHT:
        across, down = across * _MOST_HEIGHT / down, _MOST_HEIGHT
    return max(across, 1.0), max(down, 0.6)


class _Shape(NamedTuple):
    n_channels: int
    height: int
    width: int
    channels_last: bool


def _read_shape(shape: Sequence[int]) -> _Shape:
    """Return height, width and channels; of two ends that may be channels the one that networks take."""
    sizes = list(shape) if isinstance(shape, Sequence) else []
    valid = all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in sizes)
    if valid and len(sizes) == 2:
        return _Shape(_GREY, sizes[0], sizes[1], channels_last=False)
    if valid and len(sizes) == 3:
        first, middle, last = sizes
        ends = [size for size in (first, last) if size in (_GREY, _COLOURED)]
        if ends and first == min(ends):
            return _Shape(first, middle, last, channels_last=False)
        if ends:
            return _Shape(last, first, middle, channels_last=True)
    raise ValueError(
        f"Got shape={shape!r}; expected (height, width), or with 3 channels for colours (or 1 for grey) "
        "(n_channels, height, width) or (height, width, n_channels), positive integers. Of other numbers of channels "
        "draw one."
    )


def _as_pictures(rows: ArrayLike, shape: Sequence[int]) -> np.ndarray:
    """Return rows as pictures, (n, height, width) or (n, height, width, 3)."""
    rows = np.asarray(rows, dtype=np.float64)
    n_channels, height, width, channels_last = _read_shape(shape)
    n_values = n_channels * height * width
    if rows.ndim != 2 or rows.shape[1] != n_values:
        raise ValueError(
            f"Got rows of shape {rows.shape}; expected (n_samples, {n_values}) for shape={tuple(shape)}. "
            "Pass one row per picture, and its height and width."
        )
    if len(rows) == 0:
        raise ValueError(f"Got rows of shape {rows.shape}; expected at least one picture. Pass a row or more.")
    if np.isinf(rows).any():
        raise ValueError(
            f"Got infinite values in {np.isinf(rows).any(axis=1).sum()} rows; expected finite ones, or NaN in gaps. "
            "Replace them."
        )
    if n_channels == _GREY:
        return rows.reshape(-1, height, width)
    if channels_last:
        return rows.reshape(-1, height, width, n_channels)
    return np.moveaxis(rows.reshape(-1, n_channels, height, width), 1, -1)


def _extremes(pictures: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest value."""
    if np.isnan(pictures).all():
        raise ValueError(
            "Got pictures without a single value; expected numbers in some cell, by which the others are drawn. Pass "
            "limits=(low, high), or rows without gaps."
        )
    return float(np.nanmin(pictures)), float(np.nanmax(pictures))


def _check_limits(limits: tuple[float, float]) -> tuple[float, float]:
    """Return the limits; refuse what is no range of values."""
    values = np.asarray(limits, dtype=np.float64)
    if values.shape != (2,) or not np.isfinite(values).all() or values[0] > values[1]:
        raise ValueError(f"Got limits={limits!r}; expected two finite numbers, the smaller first, or None.")
    return float(values[0]), float(values[1])


def _check_n_columns(n_columns: int | None, n_pictures: int) -> int:
    """Return how many pictures lie in a line."""
    if n_columns is None:
        return int(np.ceil(np.sqrt(n_pictures)))
    if not isinstance(n_columns, Integral) or isinstance(n_columns, bool) or n_columns < 1:
        raise ValueError(
            f"Got n_columns={n_columns!r}; expected an integer at or above 1, or None for a grid that is about square."
        )
    return int(n_columns)


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
