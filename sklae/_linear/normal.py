"""A multivariate normal distribution of rows with gaps, and what it makes of a row's missing cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from sklae._linear.gaps import Block, GappyRows

__all__ = ["Given", "Normal", "symmetric"]

# Of the largest variance: what keeps dependent columns, such as the indicators of a category, apart.
_RIDGE = 1e-6
_MOST_ITERATIONS = 200
_LOG_2PI = math.log(2.0 * math.pi)


class Given(NamedTuple):
    """What a normal distribution says of a block of rows, given what was observed of them.

    Attributes
    ----------
    block : Block
    deviations : ndarray of shape (n_rows, n_columns)
        From the mean; in gaps what is expected.
    covariance : ndarray of shape (n_patterns, n_most_gaps, n_most_gaps) or None
        Of each pattern's missing columns; 0 for others. None: nothing is missing.
    log_density : ndarray of shape (n_rows,)
        Of what was observed, in nats.
    """

    block: Block
    deviations: np.ndarray
    covariance: np.ndarray | None
    log_density: np.ndarray

    def add_covariance(self, total: np.ndarray, weights: np.ndarray) -> None:
        """Add up conditional covariances, each times the weight of its row, into (n_columns, n_columns)."""
        columns = self.block.columns
        if columns is None or self.covariance is None:
            return
        width = len(total)
        each = np.bincount(self.block.pattern, weights, minlength=len(columns))
        places = columns[:, :, None] * width + columns[:, None, :]
        weighted = self.covariance * each[:, None, None]
        total += np.bincount(places.ravel(), weighted.ravel(), minlength=width * width).reshape(width, width)

    def variance(self) -> np.ndarray:
        """Return conditional variances, (n_rows, n_columns), 0 where observed."""
        out = np.zeros(self.deviations.shape)
        columns = self.block.columns
        if columns is not None and self.covariance is not None:
            own = np.diagonal(self.covariance, axis1=1, axis2=2)
            np.put_along_axis(out, columns[self.block.pattern], own[self.block.pattern], axis=1)
        return out

    def draw(self, noise: np.ndarray) -> np.ndarray:
        """Return deviations with draws in gaps, of standard normal noise for each cell, (n_rows, n_columns)."""
        columns, which = self.block.columns, self.block.pattern
        if columns is None or self.covariance is None:
            return self.deviations
        size = np.arange(columns.shape[1])
        padded = self.covariance.copy()
        padded[:, size, size] += ~self.block.missing
        root = np.where(self.block.missing[:, :, None], np.linalg.cholesky(padded), 0.0)
        moved = np.einsum("nij,nj->ni", root[which], np.take_along_axis(noise, columns[which], axis=1))
        out = self.deviations.copy()
        old = np.take_along_axis(out, columns[which], axis=1)
        np.put_along_axis(out, columns[which], old + np.where(self.block.missing[which], moved, 0.0), axis=1)
        return out


@dataclass(frozen=True, eq=False)
class Normal:
    """A normal distribution of rows with gaps.

    Attributes
    ----------
    mean : ndarray of shape (n_columns,)
    covariance : ndarray of shape (n_columns, n_columns)
    """

    mean: np.ndarray
    covariance: np.ndarray

    @cached_property
    def precision(self) -> np.ndarray:
        """The inverse of the covariance."""
        inverse = np.linalg.inv(self._root)
        return inverse.T @ inverse

    @cached_property
    def log_determinant(self) -> float:
        """Of the covariance."""
        return 2.0 * float(np.log(np.diag(self._root)).sum())

    @property
    def _root(self) -> np.ndarray:
        return np.linalg.cholesky(self.covariance)

    @classmethod
    def fit(
        cls,
        X: np.ndarray | GappyRows,
        *,
        shrinkage: float = 0.0,
        tol: float = 1e-4,
        start: Normal | None = None,
        ridge: np.ndarray | float | None = None,
        weights: np.ndarray | None = None,
        max_iter: int = _MOST_ITERATIONS,
    ) -> Normal:
        """Fit by expectation maximisation (Dempster et al., JRSS B 39:1, 1977; Schafer, 1997, chapter 5).

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns), or GappyRows
            Columns of about unit variance; NaN marks a gap. Each column has a value.
        shrinkage : float, default=0.0
            How much covariances are pulled to 0, in [0, 1): with few rows, chance ones are noise.
        tol : float, default=1e-4
            The largest change of a covariance at which to end.
        start : Normal or None, default=None
            Where to start; None: from independent columns.
        ridge : ndarray of shape (n_columns,), float or None, default=None
            What is added to variances; None: 1e-6 of the largest, at least of 1.
        weights : ndarray of shape (n_samples,) or None, default=None
            How often each row counts.
        max_iter : int, default=200
        """
        rows = X if isinstance(X, GappyRows) else GappyRows(X)
        independent = _independent(rows, weights) if start is None or ridge is None else start
        weights = np.ones(len(rows)) if weights is None else weights
        if start is None:
            start = independent
        if ridge is None:
            ridge = _RIDGE * max(1.0, float(independent.covariance.max(initial=0.0)))
        diagonal = np.diag_indices(rows.width)
        normal, blocks, n_rows = start, rows.blocks(), weights.sum()
        for _ in range(max_iter):
            total, products = np.zeros(rows.width), np.zeros(start.covariance.shape)
            for block in blocks:
                given, weight = normal.given(rows, block, density=False), weights[block.rows]
                weighted = given.deviations * weight[:, None]
                total += weighted.sum(axis=0)
                products += weighted.T @ given.deviations
                given.add_covariance(products, weight)
            shift = total / n_rows
            update = symmetric(products / n_rows - np.outer(shift, shift))
            kept = update[diagonal]
            update *= 1.0 - shrinkage
            update[diagonal] = kept + ridge
            change = np.abs(update - normal.covariance).max(initial=0.0)
            normal = cls(normal.mean + shift, update)
            if change < tol:
                break
        return normal

    def given(self, rows: GappyRows, block: Block, *, density: bool = True) -> Given:
        """Return what is to be said of a block of rows; without ``density``, log-densities are 0.

        The precision of a row's missing cells, given its others, is their part of the inverse covariance, so that no
        more is inverted than what is missing.
        """
        deviations, pulls = self._pulls(rows, block)
        if block.columns is None:
            return Given(block, deviations, None, self._log_density(deviations, pulls, block, 0.0, 0.0))
        root, pull = self._roots(block), self._pull(pulls, block)
        covariance = torch.cholesky_inverse(root).numpy()
        if not block.missing.all():
            covariance *= block.missing[:, :, None] & block.missing[:, None, :]
        expected = -np.einsum("nij,nj->ni", covariance[block.pattern], pull)
        log_density = np.zeros(len(block.rows))
        if density:
            explained = np.einsum("ni,ni->n", pull, expected)
            log_density = self._log_density(deviations, pulls, block, _log_determinants(root)[block.pattern], explained)
        columns = block.columns[block.pattern]
        old = np.take_along_axis(deviations, columns, axis=1)
        np.put_along_axis(deviations, columns, np.where(block.missing[block.pattern], expected, old), axis=1)
        return Given(block, deviations, covariance, log_density)

    def log_density(self, rows: GappyRows, block: Block) -> np.ndarray:
        """Return the log-density of what was observed of a block of rows, (n_rows,), in nats."""
        deviations, pulls = self._pulls(rows, block)
        if block.columns is None:
            return self._log_density(deviations, pulls, block, 0.0, 0.0)
        root, pull = self._roots(block), torch.as_tensor(self._pull(pulls, block))
        which = torch.as_tensor(block.pattern)
        whitened = torch.linalg.solve_triangular(root[which], pull[..., None], upper=False)
        explained = -whitened.square().sum((-2, -1)).numpy()
        return self._log_density(deviations, pulls, block, _log_determinants(root)[block.pattern], explained)

    def _pulls(self, rows: GappyRows, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Return how far rows are from the mean, 0 in gaps, and that times the precision."""
        deviations = rows.values[block.rows] - self.mean
        if block.columns is not None:
            deviations[rows.missing[block.rows]] = 0.0
        return deviations, deviations @ self.precision

    def _pull(self, pulls: np.ndarray, block: Block) -> np.ndarray:
        """Return the pulls of what is missing, (n_rows, n_most_gaps), 0 where it is not."""
        assert block.columns is not None
        return np.where(
            block.missing[block.pattern], np.take_along_axis(pulls, block.columns[block.pattern], axis=1), 0.0
        )

    def _roots(self, block: Block) -> torch.Tensor:
        """Return the Cholesky factor of the precision of each pattern's missing columns; of others, that of 1."""
        columns, missing = block.columns, block.missing
        assert columns is not None
        inner = self.precision[columns[:, :, None], columns[:, None, :]]
        if not missing.all():
            inner = np.where(missing[:, :, None] & missing[:, None, :], inner, np.eye(columns.shape[1]))
        return torch.linalg.cholesky(torch.as_tensor(inner))

    def _log_density(
        self,
        deviations: np.ndarray,
        pulls: np.ndarray,
        block: Block,
        log_inner: np.ndarray | float,
        explained: np.ndarray | float,
    ) -> np.ndarray:
        squares = np.einsum("ni,ni->n", deviations, pulls) + explained
        n_missing = 0 if block.columns is None else block.missing.sum(axis=1)[block.pattern]
        return -0.5 * ((len(self.mean) - n_missing) * _LOG_2PI + self.log_determinant + log_inner + squares)

    def fill(self, X: np.ndarray) -> np.ndarray:
        """Return rows with their gaps filled by conditional means, given what was observed."""
        filled, rows = X.copy(), GappyRows(X)
        for block in rows.blocks(rows.missing.any(axis=1)):
            expected = self.mean + self.given(rows, block, density=False).deviations
            filled[block.rows] = np.where(rows.missing[block.rows], expected, X[block.rows])
        return filled

    def log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return the log-density of what was observed of each row, in nats."""
        scores, rows = np.empty(len(X)), GappyRows(X)
        for block in rows.blocks():
            scores[block.rows] = self.log_density(rows, block)
        return scores


def _log_determinants(roots: torch.Tensor) -> np.ndarray:
    return 2.0 * roots.diagonal(dim1=-2, dim2=-1).log().sum(-1).numpy()


def symmetric(matrix: np.ndarray) -> np.ndarray:
    """Return the symmetric part of a matrix, which differs from it by rounding."""
    return 0.5 * (matrix + matrix.T)


def _independent(rows: GappyRows, weights: np.ndarray | None) -> Normal:
    """Return the means and variances of columns."""
    times = 1.0 if weights is None else weights[:, None]
    n_seen = np.sum(~rows.missing * times, axis=0)
    n_seen = np.where(n_seen > 0, n_seen, 1.0)
    mean = (rows.values * times).sum(axis=0) / n_seen
    squares = np.where(rows.missing, 0.0, rows.values - mean) ** 2 * times
    return Normal(mean, np.diag(np.maximum(squares.sum(axis=0) / n_seen, _RIDGE)))
