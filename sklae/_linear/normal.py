"""A multivariate normal distribution fitted around gaps, and what it makes of a row's missing cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Normal"]

_CHUNK_ELEMENTS = 2**21
# Of the largest variance: what keeps dependent columns, such as the indicators of a category, apart.
_RIDGE = 1e-6
_MOST_ITERATIONS = 200
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


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

    @classmethod
    def fit(cls, X: np.ndarray, *, shrinkage: float = 0.0, tol: float = 1e-4, start: Normal | None = None) -> Normal:
        """Fit by expectation maximisation (Dempster et al., JRSS B 39:1, 1977; Schafer, 1997, chapter 5).

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
            Columns of about unit variance; NaN marks a gap. Each column has a value.
        shrinkage : float, default=0.0
            How much covariances are pulled to 0, in [0, 1): with few rows, chance ones are noise.
        tol : float, default=1e-4
            The largest change of a covariance at which to end.
        start : Normal or None, default=None
            Where to start; None: from independent columns.
        """
        patterns = _Patterns.of(X)
        n_rows, width = X.shape
        if start is None:
            start = cls(np.nanmean(X, axis=0), np.diag(np.maximum(np.nanvar(X, axis=0), _RIDGE)))
        mean, covariance = start.mean, start.covariance
        ridge = _RIDGE * max(1.0, float(np.nanvar(X, axis=0).max())) * np.eye(width)
        for _ in range(_MOST_ITERATIONS):
            filled, uncertainty = _expect(X, patterns, mean, covariance)
            mean = filled.mean(axis=0)
            centered = filled - mean
            update = (centered.T @ centered + uncertainty) / n_rows
            update = (1.0 - shrinkage) * update + shrinkage * np.diag(np.diag(update)) + ridge
            change = np.abs(update - covariance).max()
            covariance = 0.5 * (update + update.T)
            if change < tol:
                break
        return cls(mean, covariance)

    def fill(self, X: np.ndarray) -> np.ndarray:
        """Return rows with their gaps filled by conditional means, given what was observed."""
        return _expect(X, _Patterns.of(X), self.mean, self.covariance)[0]

    def residuals(self, X: np.ndarray, n_draws: int, random_state: np.random.RandomState) -> np.ndarray:
        """Draw what conditional means miss by, (n_draws, n_samples, n_columns): jointly in a row, 0 where observed."""
        patterns, out = _Patterns.of(X), np.zeros((n_draws, *X.shape))
        root = np.linalg.cholesky(self.covariance)
        # of an unconditional draw, the part that what is observed of it does not explain
        for rows, regression in _regressions(patterns, self.covariance):
            noise = random_state.standard_normal((n_draws, len(rows), X.shape[1])) @ root.T
            gaps = np.isnan(X[rows])
            explained = np.einsum("rij,drj->dri", regression, np.where(gaps, 0.0, noise))
            out[:, rows] = np.where(gaps, noise - explained, 0.0)
        return out

    def deviation(self, X: np.ndarray) -> np.ndarray:
        """Return conditional standard deviations, (n_samples, n_columns), 0 where observed."""
        out = np.zeros(X.shape)
        for rows, regression in _regressions(_Patterns.of(X), self.covariance):
            variance = np.diag(self.covariance) - np.einsum("rij,ji->ri", regression, self.covariance)
            out[rows] = np.where(np.isnan(X[rows]), np.sqrt(np.maximum(variance, 0.0)), 0.0)
        return out

    def log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return the log-density of what was observed of each row, in nats."""
        scores = np.empty(len(X))
        width = X.shape[1]
        for start in range(0, len(X), step := max(1, _CHUNK_ELEMENTS // width**2)):
            rows = X[start : start + step]
            there = ~np.isnan(rows)
            root = torch.linalg.cholesky(torch.as_tensor(_observed_part(there, self.covariance)))
            centered = torch.as_tensor(np.where(there, rows - self.mean, 0.0))
            whitened = torch.linalg.solve_triangular(root, centered[..., None], upper=False)[..., 0]
            log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            density = -0.5 * whitened.square().sum(-1) - log_det
            scores[start : start + step] = density.numpy() - _HALF_LOG_2PI * there.sum(axis=1)
        return scores


@dataclass(frozen=True, eq=False)
class _Patterns:
    """Which rows have gaps in the same columns; of rows without gaps nothing is to be computed."""

    observed: np.ndarray
    rows: list[np.ndarray]

    @classmethod
    def of(cls, X: np.ndarray) -> _Patterns:
        there = ~np.isnan(X)
        with_gaps = np.flatnonzero(~there.all(axis=1))
        if not len(with_gaps):
            return cls(there[:0], [])
        packed = np.packbits(there[with_gaps], axis=1)
        _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(which.ravel()))[:-1]
        return cls(there[with_gaps[first]], np.split(with_gaps[order], ends))


def _observed_part(observed: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return covariances of what was observed, beside ones for gaps, (n, n_columns, n_columns)."""
    part = covariance * (observed[:, :, None] & observed[:, None, :])
    diagonal = np.arange(len(covariance))
    part[:, diagonal, diagonal] += ~observed
    return part


def _regressions(patterns: _Patterns, covariance: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows, and for each the matrix that maps what was observed (0 in gaps) to expected deviations."""
    width = len(covariance)
    step = max(1, _CHUNK_ELEMENTS // width**2)
    for start in range(0, len(patterns.rows), step):
        observed = patterns.observed[start : start + step]
        root = torch.linalg.cholesky(torch.as_tensor(_observed_part(observed, covariance)))
        precision = torch.cholesky_inverse(root).numpy() * (observed[:, :, None] & observed[:, None, :])
        matrices = covariance @ precision
        for regression, rows in _grouped(matrices, patterns.rows[start : start + step], step):
            yield rows, regression


def _grouped(matrices: np.ndarray, rows: list[np.ndarray], step: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each row's matrix beside the row, several rows at once and never more than ``step``."""
    owner = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    every = np.concatenate(rows)
    for start in range(0, len(every), step):
        part = slice(start, start + step)
        yield matrices[owner[part]], every[part]


def _expect(
    X: np.ndarray, patterns: _Patterns, mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows filled by their conditional means, and the sum of conditional covariances."""
    filled, uncertainty = X.copy(), np.zeros_like(covariance)
    n_rows = 0
    total = np.zeros_like(covariance)
    for rows, regression in _regressions(patterns, covariance):
        gaps = np.isnan(X[rows])
        deviations = np.where(gaps, 0.0, X[rows] - mean)
        expected = mean + np.einsum("rij,rj->ri", regression, deviations)
        filled[rows] = np.where(gaps, expected, X[rows])
        n_rows += len(rows)
        total += regression.sum(axis=0)
    if n_rows:
        uncertainty = n_rows * covariance - total @ covariance
    return filled, uncertainty
