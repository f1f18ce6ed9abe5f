"""Where numbers lie, learned chunk by chunk, and how they are standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Moments", "Scaling"]

# The share of a column's squared misses that one cell has by itself where its moments tell of single cells.
_LARGEST_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and spreads of the modelled columns, and how their values are encoded.

    Attributes
    ----------
    mean, deviation : ndarray of shape (n_features,), float64
        Of the values seen in ``fit``, in the user's units; where gross values made them under a common scale that
        clips, those of the other columns.
    offset, scale : ndarray of shape (n_features,), float64
        Encoded value = (value - offset) / scale.
    varies : ndarray of shape (n_features,), bool
        False for columns that were constant in ``fit``; they leave the density.
    minimum, maximum : ndarray of shape (n_features,), float64
        The range seen in ``fit``, encoded; that of validation rows included.
    fill : ndarray of shape (n_features,), float64
        The encoded value that stands in for a missing one: the column's mean.
    """

    mean: np.ndarray
    deviation: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    varies: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    fill: np.ndarray

    def seen_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest values seen in ``fit``, in the user's units."""
        low, high = (bound * self.scale + self.offset for bound in (self.minimum, self.maximum))
        return low, high

    def select(self, indices: np.ndarray) -> Scaling:
        """Return that of some of the columns."""
        return Scaling(**{name: values[indices] for name, values in vars(self).items()})

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return encoded values, float64; NaN in gaps, but for columns that don't vary: a gap in these says nothing."""
        with np.errstate(over="ignore"):  # so far out that there is a limit later
            values = np.subtract(values, self.offset, dtype=np.float64)
            values /= self.scale
        if not self.varies.all():
            values[:, ~self.varies] = self.fill[~self.varies]
        return values

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return encoded values to the user's units, columns constant in ``fit`` to their constant."""
        values = values * self.scale + self.offset
        if not self.varies.all():
            values[:, ~self.varies] = self.mean[~self.varies]
        return values


class Moments:
    """Mean, spread and range of each column, over chunks (Chan et al., 1983) and around gaps.

    By hand: scikit-learn's incremental variance is NaN for a column that is missing throughout a chunk.
    """

    def __init__(self, n_features: int):
        self.count, self.mean, self.squares = np.zeros((3, n_features))
        self.has_gaps = np.zeros(n_features, dtype=bool)
        self.low, self.high = np.full(n_features, np.inf), np.full(n_features, -np.inf)

    def update(self, chunk: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take in a chunk of rows, each as often as its weight says."""
        # in one memory order, whatever the table's: sums depend on it in their last bits
        chunk = np.ascontiguousarray(chunk, dtype=np.float64)
        observed = ~np.isnan(chunk)
        self.has_gaps |= ~observed.all(axis=0)
        times = None if weights is None else weights[:, None]
        count = observed.sum(axis=0) if times is None else np.sum(observed * times, axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.sum(_times(chunk, times), axis=0, where=observed) / _divisor(count)
            squares = np.sum(_times((chunk - mean) ** 2, times), axis=0, where=observed)
            self.merge(count, mean, squares)
        self.update_range(chunk)

    def merge(self, count: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> None:
        """Take in what was summed up: of each column the number of values, their mean and its squared misses."""
        total = _divisor(self.count + count)
        shift = mean - self.mean
        self.squares += squares + shift**2 * (self.count * count / total)
        self.mean += shift * (count / total)
        self.count += count

    def update_range(self, chunk: np.ndarray) -> None:
        """Take in only how far a chunk of rows reaches."""
        self.low = np.fmin(self.low, np.fmin.reduce(chunk, axis=0))
        self.high = np.fmax(self.high, np.fmax.reduce(chunk, axis=0))

    def deviation(self) -> np.ndarray:
        """Return the standard deviation, biased, as `StandardScaler` has it."""
        return np.sqrt(self.squares / _divisor(self.count))

    def _pool(self, columns: np.ndarray) -> tuple[float, float]:
        """Return mean and deviation of all values of some columns."""
        if not columns.any():
            return 0.0, 1.0
        count, mean, deviation = self.count[columns], self.mean[columns], self.deviation()[columns]
        pooled = np.average(mean, weights=count)
        return pooled, np.sqrt(np.average(deviation**2 + (mean - pooled) ** 2, weights=count))

    def _gross(self, columns: np.ndarray, clip: float) -> np.ndarray:
        """Return which of some columns lie further out than ``clip`` lets values lie, and do so by single cells.

        The moments of such columns say nothing of their other cells, and would say nothing of other columns' cells.
        """
        reach = np.maximum(self.high - self.mean, self.mean - self.low)
        share = np.divide(reach**2, self.squares, out=np.zeros_like(reach), where=columns)
        usual = columns & (share <= max(_LARGEST_SHARE, np.median(share[columns])))
        center, spread = self._pool(usual)
        return columns & ~usual & (np.hypot(self.deviation(), self.mean - center) > clip * spread)

    def varies(self) -> np.ndarray:
        """Return which columns vary by more than the rounding of their sums (scikit-learn's rule)."""
        rounding = self.count * np.finfo(np.float64).eps
        variance = self.deviation() ** 2
        return (self.high > self.low) & (variance > rounding * variance + (rounding * self.mean) ** 2)

    def check(self, names: Any) -> None:
        """Refuse columns without a value, and columns whose spread overflows."""
        names = np.asarray(names, dtype=object)
        empty = self.count == 0
        if empty.any():
            raise ValueError(
                f"Got columns in which every value is missing: {names[empty].tolist()[:5]}; expected at least "
                "one value in each. Drop them first."
            )
        wild = ~np.isfinite(self.deviation())
        if wild.any():
            raise ValueError(
                f"Got values whose variance overflows in columns {names[wild].tolist()[:5]}; expected magnitudes below "
                "about 1e150. Rescale them, take logarithms, or replace codes for missing values by NaN."
            )

    def finish(
        self,
        names: Any,
        standardize: bool | np.ndarray,
        *,
        together: bool = False,
        clip: float | None = None,
        is_open: bool | np.ndarray = False,
    ) -> Scaling:
        """Return the scaling of what was taken in.

        ``standardize`` is one answer for all columns, or one for each; ``together`` gives these one mean and one scale,
        those of all their values. With ``clip``, gross cells change these no more than they would change the scale of
        another column: columns that are so by single cells are held to be like the others. Columns that are ``is_open``
        vary in what is to come.

        Raises
        ------
        ValueError
            For columns without a value or with a spread that overflows, and where nothing varies.
        """
        mean, deviation = self.mean, self.deviation()
        self.check(names)
        varies = self.varies() | is_open
        if not varies.any():
            raise ValueError(
                f"Got {len(mean)} columns that are all constant (or vary by less than about 1e-150); expected at least "
                "one that varies. There is nothing to learn from this table."
            )
        scales = np.broadcast_to(standardize, mean.shape)
        center: np.ndarray | float = mean
        spread: np.ndarray | float = deviation
        if together:
            gross = self._gross(scales & varies, clip) if clip and (scales & varies).any() else np.zeros_like(varies)
            center, spread = self._pool(scales & ~gross)
            mean, deviation = np.where(gross, center, mean), np.where(gross, spread, deviation)
        scale = np.where(varies & scales, spread, 1.0)
        offset = np.where(scales, np.where(varies, center, mean), 0.0)
        fill = (mean - offset) / scale
        return Scaling(
            mean=mean,
            deviation=deviation,
            offset=offset,
            scale=scale,
            varies=varies,
            minimum=np.where(varies, (self.low - offset) / scale, fill),
            maximum=np.where(varies, (self.high - offset) / scale, fill),
            fill=fill,
        )


def _times(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return values if weights is None else values * weights


def _divisor(count: np.ndarray) -> np.ndarray:
    """Return counts to divide by: weighted ones may lie below 1."""
    return np.where(count > 0, count, 1.0)
