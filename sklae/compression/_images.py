"""Pixels given those above and to the left: one model for all of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklae.compression._known import Feature, Known
from sklae.networks._shapes import ImageShape

__all__ = ["Around", "Raster"]

# Rows and columns from a pixel to those that tell most about it.
_NEIGHBORS = (
    (0, -1),
    (-1, 0),
    (-1, -1),
    (-1, 1),
    (0, -2),
    (-2, 0),
    (-1, 2),
    (-2, 1),
    (-1, -2),
    (-2, -1),
    (0, -3),
    (-3, 0),
)
# The same of what a decoder says, which knows the pixels to come.
_DECODED = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True)
class Raster:
    """Where pixels lie.

    Attributes
    ----------
    shape : ImageShape
    """

    shape: ImageShape

    @property
    def n_features(self) -> int:
        """How many features a pixel has."""
        return len(_NEIGHBORS) + self.shape.n_channels - 1 + len(_DECODED) + 3

    def around(self, place: int, decoded: int | None) -> Around:
        """Return what is known around a pixel, by its column; ``decoded`` is the place of the first decoded column."""
        n_channels, height, width, last = self.shape
        if last:
            row, column, channel = place // (width * n_channels), place // n_channels % width, place % n_channels
        else:
            row, column, channel = place // width % height, place % width, place // (width * height)

        def at(down: int, right: int, channel: int = channel) -> int | None:
            y, x = row + down, column + right
            if not (0 <= y < height and 0 <= x < width and channel >= 0):
                return None
            return (y * width + x) * n_channels + channel if last else (channel * height + y) * width + x

        places = [at(*each) for each in _NEIGHBORS]
        places += [at(0, 0, channel - 1 - k) for k in range(n_channels - 1)]
        for each in _DECODED:
            there = None if decoded is None else at(*each)
            places.append(None if there is None or decoded is None else decoded + there)
        return Around(places, (row, column, channel))

    def features(self) -> list[Feature]:
        """Return all features."""
        return [Feature(i, False) for i in range(self.n_features)]


class Around:
    """Columns by how they lie to one; those outside of the image count as 0.

    Parameters
    ----------
    places : list of (int or None)
    constants : tuple of int
        Where the pixel lies: features behind the places.
    """

    def __init__(self, places: list[int | None], constants: tuple[int, ...]):
        self.places, self.constants = places, constants

    def of(self, known: Known) -> Known:
        """Return what is known around the pixel."""
        return _View(known, self)


class _View(Known):
    def __init__(self, known: Known, around: Around):
        super().__init__(known.n_rows)
        self._known, self._around = known, around

    def feature(self, feature: Feature, *, filled: bool = False) -> np.ndarray:
        places = self._around.places
        if feature.place >= len(places):
            return np.full(self.n_rows, self._around.constants[feature.place - len(places)], dtype=np.int64)
        place = places[feature.place]
        if place is None:
            return np.zeros(self.n_rows, dtype=np.int64)
        return self._known.feature(Feature(place, feature.is_step), filled=filled)
