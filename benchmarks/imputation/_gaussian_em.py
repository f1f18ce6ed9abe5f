"""A Gaussian with full covariance, fitted to a table with gaps by expectation maximisation: the peer to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["GaussianEM"]

#: Rows whose matrices are inverted together.
_CHUNK = 256


class _Block(NamedTuple):
    """The missing cells of some rows, given the observed ones.

    A row with fewer missing cells than another of its block is padded with observed ones: where `missing` is False,
    `covariance` is zero.
    """

    rows: np.ndarray  # (n,)
    columns: np.ndarray  # (n, k)
    missing: np.ndarray  # (n, k)
    covariance: np.ndarray  # (n, k, k)
    filled: np.ndarray  # (n, n_features), deviations from the mean
    log_density: np.ndarray  # (n,), of the observed cells


class GaussianEM:
    """Maximum likelihood under missing at random (Dempster, Laird and Rubin, 1977), and conditional means.

    Written from the textbook, with nothing of sklae's in it. Meant for columns of about unit scale.

    Parameters
    ----------
    tol : float, default=1e-3
        It stops when an iteration raises the log-likelihood of the observed cells by less, in nats per row. As in
        scikit-learn's `GaussianMixture`. On few rows with many gaps a smaller one fits the gaps' ambiguity too closely.
    max_iter : int, default=1000
    ridge : float, default=1e-6
        Added to the variances: indicator columns of one category sum to one, so their covariance has no inverse.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
    covariance_ : ndarray of shape (n_features, n_features)
    log_likelihoods_ : list of float
        Mean over rows, before each iteration.
    """

    def __init__(self, tol: float = 1e-3, max_iter: int = 1000, ridge: float = 1e-6) -> None:
        self.tol = tol
        self.max_iter = max_iter
        self.ridge = ridge

    def fit(self, X: np.ndarray) -> GaussianEM:
        self.mean_ = np.nanmean(X, axis=0)
        self.covariance_ = np.diag(np.nanvar(X, axis=0) + self.ridge)
        self.log_likelihoods_ = []
        for _ in range(self.max_iter):
            self.log_likelihoods_.append(self._step(X))
            if len(self.log_likelihoods_) > 1 and np.diff(self.log_likelihoods_[-2:])[0] < self.tol:
                break
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self.conditional(X)[0]

    def conditional(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the filled table, and the variance of each of its cells: zero where it was observed."""
        filled, variance = np.empty_like(X), np.zeros_like(X)
        for block in self._blocks(X):
            own = np.zeros_like(block.filled)
            np.put_along_axis(own, block.columns, np.diagonal(block.covariance, axis1=1, axis2=2), axis=1)
            filled[block.rows], variance[block.rows] = block.filled + self.mean_, own
        return np.where(np.isnan(X), filled, X), variance

    def _step(self, X: np.ndarray) -> float:
        """Take one step; return the mean log-likelihood before it."""
        n, d = X.shape
        filled, spread, log_likelihood = np.empty_like(X), np.zeros(d * d), 0.0
        for block in self._blocks(X):
            filled[block.rows] = block.filled
            place = block.columns[:, :, None] * d + block.columns[:, None, :]
            spread += np.bincount(place.ravel(), weights=block.covariance.ravel(), minlength=d * d)
            log_likelihood += block.log_density.sum()
        shift = filled.mean(axis=0)
        centred = filled - shift
        self.mean_ = self.mean_ + shift
        self.covariance_ = (centred.T @ centred + spread.reshape(d, d)) / n + self.ridge * np.eye(d)
        return float(log_likelihood / n)

    def _blocks(self, X: np.ndarray) -> Iterator[_Block]:
        """Condition all rows, those with equally many gaps together."""
        gaps = np.isnan(X)
        precision = np.linalg.inv(self.covariance_)
        precision = (precision + precision.T) / 2
        log_determinant = np.linalg.slogdet(self.covariance_)[1]
        by_gaps = np.argsort(gaps.sum(axis=1), kind="stable")
        for start in range(0, len(X), _CHUNK):
            rows = by_gaps[start : start + _CHUNK]
            columns = np.argsort(~gaps[rows], axis=1, kind="stable")[:, : gaps[rows].sum(axis=1).max()]
            missing = np.take_along_axis(gaps[rows], columns, axis=1)
            both = missing[:, :, None] & missing[:, None, :]
            # the precision's missing block is the inverse of the conditional covariance; padding: ones on the diagonal
            inner = np.where(both, precision[columns[:, :, None], columns[:, None, :]], np.eye(columns.shape[1]))
            covariance = np.where(both, np.linalg.inv(inner), 0.0)
            filled = np.where(gaps[rows], 0.0, X[rows] - self.mean_)
            pull = np.take_along_axis(filled @ precision, columns, axis=1)
            guess = -np.einsum("nij,nj->ni", covariance, pull)
            observed = np.take_along_axis(filled, columns, axis=1)
            np.put_along_axis(filled, columns, np.where(missing, guess, observed), axis=1)
            # of the observed cells: the conditional mean makes the whole row's quadratic form theirs
            quadratic = np.einsum("ni,ij,nj->n", filled, precision, filled, optimize=True)
            n_observed = (~gaps[rows]).sum(axis=1)
            log_determinants = log_determinant + np.linalg.slogdet(inner)[1]
            log_density = -(n_observed * np.log(2 * np.pi) + log_determinants + quadratic) / 2
            yield _Block(rows, columns, missing, covariance, filled, log_density)
