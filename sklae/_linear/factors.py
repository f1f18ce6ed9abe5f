"""Factor analysis and principal components of a covariance matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh

__all__ = ["LinearModel", "Noise", "choose_rank", "factor_analysis", "principal_components"]

# Noise of at least this variance is left to each input, in units of the input's own variance.
_LEAST_NOISE = 1e-6
# Of the mean log-likelihood, in nats: less than this is no progress.
_TOL = 1e-5
# Iterations take about the time that 500 of them take for so many inputs.
_MOST_ITERATIONS, _WIDTH = 500, 60
# Numbers of factors that are tried, and folds to try them by.
_RANKS, _N_FOLDS, _TRIAL_ITERATIONS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25), 5, 50
# From so many inputs on, and for a code of no more than an eighth of them, Lanczos iterations are faster.
_WIDE, _NARROW = 200, 8
_SMALL = 40


class Noise(NamedTuple):
    """How the noise of a linear-Gaussian model's inputs is tied, and where it is given.

    Attributes
    ----------
    group : ndarray of shape (n_inputs,), int
        Inputs of one group share a variance.
    variance : ndarray of shape (n_inputs,)
        NaN where it is learned.
    least : ndarray of shape (n_inputs,)
        What no learned variance falls below.
    """

    group: np.ndarray
    variance: np.ndarray
    least: np.ndarray

    def tie(self, variance: np.ndarray) -> np.ndarray:
        """Return variances as they are tied and given."""
        shared = np.bincount(self.group, variance) / np.maximum(np.bincount(self.group), 1)
        return np.where(np.isnan(self.variance), np.maximum(shared[self.group], self.least), self.variance)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Rows as ``mean + regression @ c + loadings @ z + noise``, of conditions c and codes z with mean 0 and variance 1.

    Components are ordered from the most to the least that they tell, and each has its largest loading above zero. Those
    that there is nothing for have loadings of 0.

    Attributes
    ----------
    mean : ndarray of shape (n_inputs,)
    loadings : ndarray of shape (n_inputs, n_components)
    noise : ndarray of shape (n_inputs,)
        Variances.
    weights : ndarray of shape (n_components, n_inputs)
        The expected code of a row x is ``weights @ (x - mean - regression @ c)``.
    std : ndarray of shape (n_components,)
        Standard deviations of codes, given a row.
    regression : ndarray of shape (n_inputs, n_condition) or None, default=None
        None: there are no conditions.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    weights: np.ndarray
    std: np.ndarray
    regression: np.ndarray | None = None

    def given(self, regression: np.ndarray, mean_condition: np.ndarray) -> LinearModel:
        """Return the model of rows of which it describes what a regression on conditions leaves."""
        return replace(self, mean=self.mean - regression @ mean_condition, regression=regression)

    @property
    def decoder(self) -> np.ndarray:
        """The map from codes, and beside them conditions, to expected rows, but for the mean."""
        return self.loadings if self.regression is None else np.hstack([self.loadings, self.regression])

    @property
    def encoder(self) -> np.ndarray:
        """The map from rows, and beside them conditions, to expected codes, but for a constant."""
        if self.regression is None:
            return self.weights
        return np.hstack([self.weights, -self.weights @ self.regression])

    def rectified(self, n_components: int, random_state: np.random.RandomState) -> LinearModel:
        """Return a model of ``n_components`` codes that says the same where those below zero count as zero.

        Each component becomes two, of either sign, in the inputs' own units: loadings of length 1. Surplus codes are
        random mixtures of the components that tell nothing yet, so that each is above zero for some rows.
        """
        size = np.linalg.norm(self.loadings, axis=0)
        tells = np.flatnonzero(size)
        loadings, weights = self.loadings[:, tells] / size[tells], self.weights[tells] * size[tells, None]
        loadings = np.stack([loadings, -loadings], axis=2).reshape(len(loadings), -1)
        weights = np.stack([weights, -weights], axis=1).reshape(-1, weights.shape[1])
        n_surplus = max(0, n_components - len(weights))
        mixtures = random_state.normal(size=(n_surplus, len(weights))) / np.sqrt(max(1, len(weights)))
        weights = np.vstack([weights, mixtures @ weights])[:n_components]
        loadings = np.hstack([loadings, np.zeros((len(loadings), n_surplus))])[:, :n_components]
        return replace(self, loadings=loadings, weights=weights, std=np.ones(n_components))

    def select(self, inputs: np.ndarray | slice) -> LinearModel:
        """Return what it says of some of the inputs, given the code."""
        parts = self.mean[inputs], self.loadings[inputs], self.noise[inputs], self.weights[:, inputs]
        return LinearModel(*parts, self.std, None if self.regression is None else self.regression[inputs])

    def log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return the log-density of rows without gaps, (n_rows,), in nats."""
        return _log_likelihood(X - self.mean, self.noise, self.loadings, self.std**-2)

    @property
    def covariance(self) -> np.ndarray:
        """What the model says of rows, (n_inputs, n_inputs)."""
        return self.loadings @ self.loadings.T + np.diag(self.noise)


def factor_analysis(
    mean: np.ndarray, covariance: np.ndarray, n_components: int, noise: Noise, *, rank: int | None = None
) -> LinearModel:
    """Return the maximum-likelihood model whose codes are independent normal, also given a row.

    Loadings have a closed form given the noise, and are turned so that components are uncorrelated given a row (Lawley
    and Maxwell, Factor Analysis as a Statistical Method, 1971); the noise is what is left of the variances. With noise
    that all inputs share this is probabilistic PCA (Tipping and Bishop, JRSS B 61:611, 1999).

    Parameters
    ----------
    mean : ndarray of shape (n_inputs,)
    covariance : ndarray of shape (n_inputs, n_inputs)
        Inputs without variance take no part.
    n_components : int
    noise : Noise
    rank : int or None, default=None
        How many of the components are to tell something; None: all.
    """
    k = min(n_components if rank is None else rank, int((np.diag(covariance) > 0).sum()))
    found = _maximize(covariance[None], k, noise, _n_iterations(len(mean)))
    psi, factors, spread = (part[0] for part in found)
    loadings, std = np.zeros((len(mean), n_components)), np.ones(n_components)
    loadings[:, :k], std[:k] = factors * _signs(factors), 1.0 / np.sqrt(spread)
    return LinearModel(mean, loadings, psi, (loadings / psi[:, None]).T * std[:, None] ** 2, std)


def _maximize(
    covariances: np.ndarray, k: int, noise: Noise, n_iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noise, loadings and the variance of factors in units of that given a row, for each of several matrices."""
    variance = np.diagonal(covariances, axis1=1, axis2=2).copy()
    varies = variance > 0
    floor = np.maximum(_LEAST_NOISE * np.where(varies, variance, 1.0), 1e-12)

    def tie(left: np.ndarray) -> np.ndarray:
        return np.maximum([noise.tie(each) for each in np.where(varies, left, 1.0)], floor)

    psi, before = tie(0.5 * variance), -np.inf
    for to_go in range(n_iterations, 0, -1):
        root = np.sqrt(psi)
        values, vectors = _largest(covariances / root[:, :, None] / root[:, None], k)
        spread = np.maximum(values, 1.0)
        loadings = root[:, :, None] * vectors * np.sqrt(spread - 1.0)[:, None]
        unexplained = (variance / psi).sum(axis=1) - values.sum(axis=1)
        explained = (np.log(spread) + values / spread).sum(axis=1)
        likelihood = -0.5 * (explained + unexplained + np.log(psi).sum(axis=1))
        if (likelihood - before < _TOL).all() or to_go == 1:
            break
        before = likelihood
        psi = tie(np.maximum(variance - np.square(loadings).sum(axis=2), 0.0))
    return psi, loadings, spread


def choose_rank(
    X: np.ndarray,
    n_components: int,
    noise: Noise,
    random_state: np.random.RandomState,
    weights: np.ndarray | None = None,
) -> int:
    """Return how many factors, up to so many, predict rows best that were left out: by cross-validation.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_inputs)
    n_components : int
    noise : Noise
    random_state : RandomState
        For the folds.
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each row counts.
    """
    if len(X) < 2 * _N_FOLDS:
        return n_components
    counts = np.ones(len(X)) if weights is None else weights
    fold = random_state.permutation(np.arange(len(X)) % _N_FOLDS)
    left_out = [(X[fold == i], counts[fold == i]) for i in range(_N_FOLDS)]
    rests = [(X[fold != i], None if weights is None else weights[fold != i]) for i in range(_N_FOLDS)]
    means = np.stack([np.average(rows, axis=0, weights=own) for rows, own in rests])
    width = X.shape[1]
    covariances = np.stack([np.cov(rows.T, bias=True, aweights=own).reshape(width, width) for rows, own in rests])
    covariances[:, np.arange(width), np.arange(width)] += _LEAST_NOISE
    best, best_rank = -np.inf, n_components
    n_iterations = min(_TRIAL_ITERATIONS, _n_iterations(width))
    for rank in [rank for rank in _RANKS if rank < n_components] + [n_components]:
        found = zip(*_maximize(covariances, rank, noise, n_iterations), strict=True)
        likelihood = sum(
            (own * _log_likelihood(rows - mean, *model)).sum()
            for (rows, own), mean, model in zip(left_out, means, found, strict=True)
        )
        if likelihood > best:
            best, best_rank = likelihood, rank
        elif rank > 2 * best_rank:
            break
    return best_rank


def _log_likelihood(centered: np.ndarray, noise: np.ndarray, loadings: np.ndarray, spread: np.ndarray) -> np.ndarray:
    codes = centered @ (loadings / noise[:, None]) / np.sqrt(spread)  # what they explain of the squared distance
    squares = (np.square(centered) / noise).sum(axis=1) - np.square(codes).sum(axis=1)
    return -0.5 * (squares + np.log(noise).sum() + np.log(spread).sum() + len(noise) * math.log(2.0 * math.pi))


def principal_components(
    mean: np.ndarray, covariance: np.ndarray, n_components: int, unit: np.ndarray | None = None
) -> LinearModel:
    """Return PCA, its codes at unit variance; the noise is what is left of the variances.

    Parameters
    ----------
    mean : ndarray of shape (n_inputs,)
    covariance : ndarray of shape (n_inputs, n_inputs)
    n_components : int
    unit : ndarray of shape (n_inputs,) or None, default=None
        What errors of each input are measured in.
    """
    unit = np.ones(len(mean)) if unit is None else unit
    loadings, weights = np.zeros((len(mean), n_components)), np.zeros((n_components, len(mean)))
    k = min(n_components, len(mean))
    (values,), (vectors,) = _largest((covariance / unit[:, None] / unit)[None], k)
    there = values > 1e-10 * max(values[0], 1e-300)
    std = np.sqrt(np.where(there, values, 1.0))
    vectors = vectors * _signs(vectors) * there
    loadings[:, :k] = unit[:, None] * vectors * std
    weights[:k] = (vectors / std).T / unit
    left = np.diag(covariance) - np.square(loadings).sum(axis=1)
    return LinearModel(mean, loadings, np.maximum(left, 0.0), weights, np.zeros(n_components))


def _n_iterations(width: int) -> int:
    return max(3, round(_MOST_ITERATIONS * min(1.0, (_WIDTH / width) ** 2)))


def _largest(matrices: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest eigenvalues of each symmetric matrix, largest first, and their vectors as columns."""
    width = matrices.shape[-1]
    if width <= _SMALL:  # all of them are found sooner than some
        values, vectors = np.linalg.eigh(matrices)
        return values[..., ::-1][..., :k], vectors[..., ::-1][..., :k]
    values, vectors = zip(*(_largest_of_wide(matrix, k) for matrix in matrices), strict=True)
    return np.stack(values), np.stack(vectors)


def _largest_of_wide(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    width = len(matrix)
    if width >= _WIDE and k <= width // _NARROW:
        start = np.full(width, 1.0 / math.sqrt(width))
        values, vectors = eigsh(matrix, k, which="LA", v0=start)
        order = np.argsort(-values)
        return values[order], vectors[:, order]
    values, vectors = eigh(matrix, subset_by_index=[width - k, width - 1])
    if len(values) < k:  # LAPACK has lost some of many that are equal
        values, vectors = (found[..., width - k :] for found in np.linalg.eigh(matrix))
    return values[::-1], vectors[:, ::-1]


def _signs(columns: np.ndarray) -> np.ndarray:
    """Return 1 or -1 for each column, so that its largest number is above zero."""
    if not columns.size:
        return np.ones(columns.shape[1])
    largest = columns[np.abs(columns).argmax(axis=0), np.arange(columns.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)
