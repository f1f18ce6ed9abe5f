"""How a flat row is an image or a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import torch

__all__ = ["ImageShape", "fitting_size", "read_shape"]

# Of axes that hold colours.
_MOST_CHANNELS = 4


class ImageShape(NamedTuple):
    """The axes of an image, and where a flat row has its channels.

    Attributes
    ----------
    n_channels, height, width : int
    channels_last : bool
        Whether the channels of one pixel follow each other in a row.
    """

    n_channels: int
    height: int
    width: int
    channels_last: bool = False

    @property
    def size(self) -> int:
        """How many numbers a row has."""
        return self.n_channels * self.height * self.width

    def unflatten(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows, (n, size), as images, (n, n_channels, height, width)."""
        if self.channels_last:
            return rows.view(-1, self.height, self.width, self.n_channels).movedim(-1, 1)
        return rows.view(-1, self.n_channels, self.height, self.width)

    def flatten(self, images: torch.Tensor) -> torch.Tensor:
        """Return images, (n, n_sets * n_channels, height, width), as rows: set after set, as `unflatten` takes each."""
        if not self.channels_last:
            return images.flatten(1)
        sets = images.unflatten(1, (-1, self.n_channels))
        return sets.movedim(2, -1).flatten(1)


def read_shape(shape: Sequence[int] | None, n_columns: int, named: str) -> ImageShape:
    """Return the shape of rows of so many columns.

    Parameters
    ----------
    shape : sequence of int or None
        (n_steps,), (height, width), (n_channels, height, width) or (height, width, n_channels): channels are on the
        shorter of the two ends, the first if they are equal. One of them may be -1, as in `numpy.reshape`; it is
        filled in before ends are compared. None: a square grey image.
    n_columns : int
    named : str
        Whose shape it is, in errors.

    Raises
    ------
    ValueError
        If there is no such shape for these columns.
    """
    if shape is None:
        side = math.isqrt(n_columns)
        if side * side != n_columns:
            raise ValueError(
                f"Got {n_columns} columns and shape=None in {named}; expected as many as the pixels of a square grey "
                f"image. Pass a shape: {_shapes_that_fit(n_columns)}. Leave network=None for tables."
            )
        return ImageShape(1, side, side)
    sizes = _complete(shape, n_columns, named)
    if math.prod(sizes) != n_columns:
        raise ValueError(
            f"Got {n_columns} columns; shape={tuple(shape)} in {named} needs {math.prod(sizes)}. Pass a shape that has "
            f"as many: {_shapes_that_fit(n_columns)}. Leave network=None for tables."
        )
    if len(sizes) < 3:
        return ImageShape(1, sizes[0], sizes[1] if len(sizes) > 1 else 1)
    first, middle, last = sizes
    if first <= last:
        return ImageShape(first, middle, last)
    return ImageShape(last, first, middle, channels_last=True)


def fitting_size(shape: Sequence[int] | None, at_least: int) -> int:
    """Return the least number of columns, from so many on, that has such a shape."""
    if shape is None:
        return (math.isqrt(max(at_least, 1) - 1) + 1) ** 2
    known = math.prod(size for size in shape if size != -1)
    return -(-at_least // known) * known if -1 in shape else known


def _complete(shape: Sequence[int], n_columns: int, named: str) -> list[int]:
    """Return the sizes of all axes, the one that is -1 as the columns have it."""
    sizes = list(shape)
    valid = all(
        isinstance(size, Integral) and not isinstance(size, bool) and (size > 0 or size == -1) for size in sizes
    )
    if not (1 <= len(sizes) <= 3 and valid and sizes.count(-1) <= 1):
        raise ValueError(
            f"Got shape={shape!r} in {named}; expected (n_steps,), (height, width), (n_channels, height, width) or "
            "(height, width, n_channels), positive integers, of which one may be -1."
        )
    if -1 in sizes:
        known = -math.prod(sizes)
        sizes[sizes.index(-1)] = max(1, n_columns // known)
    return [int(size) for size in sizes]


def _shapes_that_fit(n_columns: int) -> str:
    """Return some shapes of so many columns, grey ones and coloured ones, the squarest first."""
    grey = _rectangles(n_columns)[:2]
    channels = [n for n in range(2, _MOST_CHANNELS + 1) if n_columns % n == 0]
    coloured = [(n, *_rectangles(n_columns // n)[0]) for n in channels]
    return ", ".join(map(str, [*grey, *coloured]))


def _rectangles(n_pixels: int) -> list[tuple[int, int]]:
    """Return heights and widths of so many pixels, the squarest first."""
    return [(n, n_pixels // n) for n in range(math.isqrt(n_pixels), 0, -1) if n_pixels % n == 0]
