"""What a table's missing cells are before any network has a say: the linear-Gaussian start."""

from __future__ import annotations

import numpy as np

from sklae._linear.normal import Normal
from sklae._tables.indicators import Space
from sklae._utils.random import some_rows

__all__ = ["LinearStart"]

# How much covariances are pulled to 0, less and less until cells held out are filled worse. Without any, a table of few
# rows and many gaps is learned by heart: half of the cells of breast_cancer cost 8 % more in the training rows, and
# 20 % in new ones.
_SHRINKAGES = (0.1, 0.03, 0.01, 0.003, 0.001)
# Filled values change by less than 1 % where a fit goes on to a tenth of this, for twice the time.
_TOL = 1e-3
# Where there are more columns of numbers than this, no normal distribution is fitted; categories join it as long as
# all cells are no more than that.
_MOST_NUMBERS, _MOST_CELLS = 200, 64
# The cost of an iteration, in rows by cells cubed; and the least number of rows.
_BUDGET, _LEAST_ROWS, _MOST_ROWS = 4e8, 1_000, 10_000


class LinearStart:
    """A normal distribution of the numbers and the smaller categories of a table; the others by their frequencies.

    Parameters
    ----------
    space : Space
    joint : bool, default=True
        False: all by their frequencies and means.
    """

    def __init__(self, space: Space, *, joint: bool = True):
        cells = space.cells
        numbers = np.flatnonzero(~cells.is_coded)
        chosen: list[int] = numbers.tolist() if joint and len(numbers) <= _MOST_NUMBERS else []
        n_chosen = len(chosen)
        for column in sorted(np.flatnonzero(cells.is_coded), key=lambda j: cells.widths[j]) if joint else ():
            n_chosen += int(cells.widths[column])
            if n_chosen <= _MOST_CELLS:
                chosen.append(int(column))
        #: The cells that are jointly normal.
        self.joint = np.flatnonzero(np.isin(cells.owner, chosen))
        self.shrinkage = _SHRINKAGES[-1]
        self.normal: Normal | None = None

    def choose(self, cells: np.ndarray, truth: np.ndarray, random_state: np.random.RandomState) -> None:
        """Choose the shrinkage: ``truth`` is what is known of some of the gaps, NaN elsewhere."""
        if not len(self.joint):
            return
        part, rows = self._part(cells, random_state)
        known, start, least = truth[np.ix_(rows, self.joint)], None, np.inf
        if np.isnan(known).all():
            return
        for shrinkage in _SHRINKAGES:
            start = Normal.fit(part, shrinkage=shrinkage, tol=_TOL, start=start)
            error = np.nanmean((start.fill(part) - known) ** 2)
            if error > least:
                return
            least, self.shrinkage, self.normal = error, shrinkage, start

    def fit(self, cells: np.ndarray, random_state: np.random.RandomState) -> LinearStart:
        """Fit to cells with gaps, from where a fit before this one ended."""
        self.mean = np.nanmean(cells, axis=0)
        if len(self.joint):
            part, _ = self._part(cells, random_state)
            self.normal = Normal.fit(part, shrinkage=self.shrinkage, tol=_TOL, start=self.normal)
        return self

    def _part(self, cells: np.ndarray, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells to fit to, of not too many rows, and these."""
        n_most = int(np.clip(_BUDGET / len(self.joint) ** 3, _LEAST_ROWS, _MOST_ROWS))
        rows = some_rows(len(cells), n_most, random_state)
        part = cells[np.ix_(rows, self.joint)]
        there = ~np.isnan(part).all(axis=0)
        if not there.all():  # too few rows were drawn to see each level
            self.joint, self.normal = self.joint[there], None
            part = part[:, there]
        return part, rows

    def fill(self, cells: np.ndarray) -> np.ndarray:
        """Return cells with gaps filled by their expected values."""
        filled = np.where(np.isnan(cells), self.mean, cells)
        if self.normal is not None:
            filled[:, self.joint] = self.normal.fill(cells[:, self.joint])
        return filled

    def deviation(self, cells: np.ndarray) -> np.ndarray:
        """Return how far true values lie from these, in standard deviations of the columns; 0 where observed."""
        out = np.where(np.isnan(cells), 1.0, 0.0)
        if self.normal is not None:
            out[:, self.joint] = self.normal.deviation(cells[:, self.joint])
        return out

    def residuals(self, cells: np.ndarray, n_draws: int, random_state: np.random.RandomState) -> np.ndarray:
        """Draw what the expected values miss by, (n_draws, n_samples, n_cells); 0 where observed."""
        out = random_state.standard_normal((n_draws, *cells.shape)) * np.isnan(cells)
        if self.normal is not None:
            out[..., self.joint] = self.normal.residuals(cells[:, self.joint], n_draws, random_state)
        return out
