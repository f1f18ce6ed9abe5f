"""Factor analysis of wide tables with gaps: a normal distribution of which no matrix is as wide as the table twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sklae._linear.mixture import Expected, LevelRows

__all__ = ["GappyFactors"]

# Rows at once, by the squares of factors that each has.
_CHUNK_ELEMENTS = 2**21
_LEAST_NOISE = 1e-3
_TOL = 1e-3


@dataclass(frozen=True, eq=False)
class GappyFactors:
    """Rows as ``mean + loadings @ z + noise``, of factors z that are standard normal, fitted to what was observed.

    Given a row's observed cells o, z is normal with precision ``I + L_o' Psi_o^-1 L_o``: as wide as there are factors,
    however many columns and gaps there are. Categories have their frequencies.

    Attributes
    ----------
    mean : ndarray of shape (n_columns,)
    loadings : ndarray of shape (n_columns, n_factors)
    noise : ndarray of shape (n_columns,)
        Variances.
    levels : list of ndarray of shape (1, n_levels)
        Of each category the probabilities of its levels.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    levels: list[np.ndarray]

    @classmethod
    def fit(cls, rows: LevelRows, n_factors: int, max_iter: int) -> GappyFactors:
        """Fit by expectation maximisation (Ilin and Raiko, JMLR 11:1957, 2010), from rows filled by means.

        Columns are of about unit variance.
        """
        numbers, times = rows.numbers, rows.counts()[:, None]
        n_seen = np.sum(~numbers.missing * times, axis=0)
        n_seen = np.where(n_seen > 0, n_seen, 1.0)
        mean = (numbers.values * times).sum(axis=0) / n_seen
        centered = np.where(numbers.missing, 0.0, numbers.values - mean) * np.sqrt(times)
        _, size, axes = np.linalg.svd(centered, full_matrices=False)
        k = min(n_factors, len(size))
        loadings = axes[:k].T * size[:k] / np.sqrt(max(len(centered), 1))
        variance = (centered**2).sum(axis=0) / n_seen
        noise = np.maximum(variance - (loadings**2).sum(axis=1), _LEAST_NOISE)
        counts = [one.sum(axis=0) + 1e-6 for one in rows.counted_levels()]
        start = cls(mean, loadings, noise, [(one / one.sum())[None] for one in counts])
        return start.refined(rows, max_iter)

    def refined(self, rows: LevelRows, max_iter: int, weights: np.ndarray | None = None) -> GappyFactors:
        """Return factors that fit rows better, from these; ``weights`` say how often each counts, beside its own."""
        weights = rows.counts(weights)
        found = self
        for _ in range(max_iter):
            step = found._step(rows, weights)
            change = np.abs(step.noise - found.noise).max(initial=0.0)
            found = step
            if change < _TOL:
                break
        return found

    def _step(self, rows: LevelRows, weights: np.ndarray) -> GappyFactors:
        numbers, (width, k) = rows.numbers, self.loadings.shape
        squares, products = np.zeros((width, (k + 1) ** 2)), np.zeros((width, k + 1))
        for part, expected, covariance in self._factors(rows):
            # a factor that is always 1 makes the mean
            z = np.concatenate([expected, np.ones((len(expected), 1))], axis=1)
            moments = z[:, :, None] * z[:, None, :]
            moments[:, :k, :k] += covariance
            there = np.where(numbers.missing[part], 0.0, weights[part, None])
            squares += there.T @ moments.reshape(len(z), -1)
            products += (there * numbers.values[part]).T @ z
        squares = squares.reshape(width, k + 1, k + 1)
        ridge = np.diag(np.append(np.ones(k), 0.0)) * self.noise[:, None, None]  # loadings are normal, a priori
        maps = np.linalg.solve(squares + ridge + 1e-9 * np.eye(k + 1), products[..., None])[..., 0]
        total = np.where(numbers.missing, 0.0, weights[:, None] * numbers.values**2).sum(axis=0)
        n_seen = np.where(numbers.missing, 0.0, weights[:, None]).sum(axis=0)
        left = total - 2.0 * (maps * products).sum(axis=1) + np.einsum("di,dij,dj->d", maps, squares, maps)
        noise = np.maximum(left / np.maximum(n_seen, 1e-9), _LEAST_NOISE)
        return GappyFactors(maps[:, k], maps[:, :k], noise, self.levels)

    def _factors(self, rows: LevelRows) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield parts of the rows, and means and covariances of their factors."""
        numbers, k = rows.numbers, self.loadings.shape[1]
        scaled = self.loadings / self.noise[:, None]
        outer = (self.loadings[:, :, None] * scaled[:, None, :]).reshape(len(scaled), -1)
        step = max(1, _CHUNK_ELEMENTS // max((k + 1) ** 2, numbers.width))
        for start in range(0, len(numbers), step):
            part = slice(start, start + step)
            there = ~numbers.missing[part]
            precision = (there.astype(np.float64) @ outer).reshape(-1, k, k) + np.eye(k)
            covariance = np.linalg.inv(precision)
            pulls = np.where(there, numbers.values[part] - self.mean, 0.0) @ scaled
            yield part, np.einsum("nij,nj->ni", covariance, pulls), covariance

    def expect(self, rows: LevelRows) -> Expected:
        """Return what is expected of rows."""
        numbers = rows.numbers
        means, variances = np.empty((2, 1, *numbers.values.shape))
        for part, expected, covariance in self._factors(rows):
            filled = self.mean + expected @ self.loadings.T
            spread = np.einsum("dk,nkl,dl->nd", self.loadings, covariance, self.loadings, optimize=True) + self.noise
            means[0, part] = np.where(numbers.missing[part], filled, numbers.values[part])
            variances[0, part] = np.where(numbers.missing[part], spread, 0.0)
        n_rows = len(numbers)
        return Expected(np.ones((n_rows, 1)), means, variances, [np.repeat(one, n_rows, axis=0) for one in self.levels])

    def draw(
        self, rows: LevelRows, chooser: np.ndarray, noise: np.ndarray, level_chooser: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Draw what is missing of rows, given what was observed: as `Mixture.draw` does.

        ``noise`` has columns for the factors behind those for the numbers.
        """
        numbers, width = rows.numbers, rows.numbers.width
        out = numbers.values.copy()
        for part, expected, covariance in self._factors(rows):
            z = expected + np.einsum("nij,nj->ni", np.linalg.cholesky(covariance), noise[part, width:])
            drawn = self.mean + z @ self.loadings.T + np.sqrt(self.noise) * noise[part, :width]
            out[part] = np.where(numbers.missing[part], drawn, out[part])
        levels = [(level_chooser[:, [i]] > one.cumsum(axis=1)[:, :-1]).sum(axis=1) for i, one in enumerate(self.levels)]
        return out, levels

    @property
    def n_noise(self) -> int:
        """How many random numbers of a row `draw` takes."""
        return len(self.mean) + self.loadings.shape[1]
