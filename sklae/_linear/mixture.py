"""Mixtures of normal distributions of rows with gaps, with categories beside them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sklae._linear.gaps import GappyRows
from sklae._linear.normal import Given, Normal, symmetric

__all__ = ["Expected", "LevelRows", "Mixture", "Prior", "pick"]

# Rows that belong to a component by less take no part in its update; who belongs where is asked anew, of all
# components, so many iterations apart.
_LEAST_SHARE, _APART = 1e-3, 4
# Of the mean log-likelihood, in nats an iteration: less than this is no progress.
_TOL = 5e-3
_KMEANS_ITERATIONS = 15
# Indicators of levels count less than numbers do where rows are first grouped.
_LEVEL_WEIGHT = 0.7
# So many rows' worth of the whole table's frequencies are added to a component's.
_PRIOR_ROWS = 2.0


class LevelRows(NamedTuple):
    """Rows of numbers (and of indicators taken for such), and categories that are independent given the component.

    Attributes
    ----------
    numbers : GappyRows
    levels : list of ndarray of shape (n_samples, n_levels)
        Of each category: 1 for the level that a row has, 0 for others and in gaps.
    weights : ndarray of shape (n_samples,) or None
        How much each row counts in a fit; None: all alike.
    """

    numbers: GappyRows
    levels: list[np.ndarray]
    weights: np.ndarray | None = None

    def counts(self, times: np.ndarray | None = None) -> np.ndarray:
        """Return how often each row counts, (n_samples,), those of chance included."""
        own = np.ones(len(self.numbers)) if self.weights is None else self.weights
        return own if times is None else own * times

    def frequencies(self) -> list[np.ndarray]:
        """Return of each category the shares of its levels."""
        counts = [np.maximum(one.sum(axis=0), 1e-6) for one in self.counted_levels()]
        return [one / one.sum() for one in counts]

    def counted_levels(self) -> list[np.ndarray]:
        """Return of each category the levels, as often as each row counts."""
        return self.levels if self.weights is None else [self.weights[:, None] * one for one in self.levels]


class Expected(NamedTuple):
    """What a mixture expects of rows.

    Attributes
    ----------
    shares : ndarray of shape (n_samples, n_normals)
        How likely each component is, given what was observed.
    means, variances : ndarray of shape (n_normals, n_samples, n_columns)
        Of each component; in observed cells the value, and 0.
    levels : list of ndarray of shape (n_samples, n_levels)
        Probabilities, given what was observed of the other columns.
    """

    shares: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    levels: list[np.ndarray]

    def mean(self) -> np.ndarray:
        """Return the expected numbers, (n_samples, n_columns)."""
        return np.einsum("nk,knd->nd", self.shares, self.means)


class Prior(NamedTuple):
    """What the components of a mixture are pulled to.

    Attributes
    ----------
    base : Normal
        Of the whole table: means are pulled to its mean by one row.
    shrinkage : float
        How much correlations within components are pulled to 0. Each covariance is pulled to their average by as many
        rows as there are columns, and two.
    ridge : ndarray of shape (n_columns,)
        What is added to variances.
    """

    base: Normal
    shrinkage: float
    ridge: np.ndarray


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normals; given the component, categories are independent of each other and of the numbers.

    Attributes
    ----------
    weights : ndarray of shape (n_normals,)
    normals : sequence of Normal
    levels : list of ndarray of shape (n_normals, n_levels)
        Of each category the probabilities of its levels.
    """

    weights: np.ndarray
    normals: Sequence[Normal]
    levels: list[np.ndarray]

    @classmethod
    def of_one(cls, normal: Normal, rows: LevelRows) -> Mixture:
        """Return a normal as a mixture; categories have their frequencies."""
        return cls(np.ones(1), [normal], [one[None] for one in rows.frequencies()])

    @classmethod
    def grouped(cls, n_normals: int, base: Normal, rows: LevelRows, prior: Prior, seed: int) -> Mixture:
        """Return a mixture of groups of similar rows, by k-means on rows whose gaps a normal fills."""
        filled = np.empty(rows.numbers.values.shape)
        everything = [base.given(rows.numbers, block, density=False) for block in rows.numbers.blocks()]
        for given in everything:
            filled[given.block.rows] = base.mean + given.deviations
        points = [filled]
        for one, shares in zip(rows.levels, rows.frequencies(), strict=True):
            known = one.any(axis=1, keepdims=True)
            points.append(_LEVEL_WEIGHT * np.where(known, one, shares))
        kmeans = KMeans(n_normals, n_init=1, max_iter=_KMEANS_ITERATIONS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of fewer different rows than groups
            group = kmeans.fit_predict(np.hstack(points), sample_weight=rows.weights)
        shares = np.where(np.arange(n_normals) == group[:, None], 0.9, 0.0) + 0.1 / n_normals
        return cls._maximize([(base, everything)] * n_normals, shares, rows, prior, rows.counts())

    def refined(self, rows: LevelRows, prior: Prior, max_iter: int, weights: np.ndarray | None = None) -> Mixture:
        """Return a mixture that fits rows better, by expectation maximisation.

        Parameters
        ----------
        rows : LevelRows
        prior : Prior
            What components are pulled to.
        max_iter : int
        weights : ndarray of shape (n_samples,) or None, default=None
            How often each row counts, beside its own weight.
        """
        weights = rows.counts(weights)
        mixture, before, shares = self, -np.inf, np.ones((len(rows.numbers), len(self.normals)))
        for iteration in range(max_iter):
            whole = iteration % _APART == 0 or iteration == max_iter - 1
            if whole:
                shares, likelihood = mixture._shares(mixture._log_joint(rows))
                mean_likelihood = likelihood @ weights / weights.sum()
                if mean_likelihood - before < _TOL * _APART and iteration > _APART:
                    break
                before = mean_likelihood
            active = shares > _LEAST_SHARE
            found = [
                [normal.given(rows.numbers, block, density=not whole) for block in rows.numbers.blocks(active[:, k])]
                for k, normal in enumerate(mixture.normals)
            ]
            if not whole:
                log_joint = np.full(shares.shape, -np.inf)
                for k, part in enumerate(found):
                    for given in part:
                        log_joint[given.block.rows, k] = given.log_density
                shares, _ = mixture._shares(mixture._with_levels(log_joint, rows.levels))
            moves = list(zip(mixture.normals, found, strict=True))
            mixture = self._maximize(moves, shares, rows, prior, weights)
        return mixture

    @classmethod
    def _maximize(
        cls,
        moves: Sequence[tuple[Normal, list[Given]]],
        shares: np.ndarray,
        rows: LevelRows,
        prior: Prior,
        weights: np.ndarray,
    ) -> Mixture:
        base, width = prior.base, rows.numbers.width
        shares = shares * weights[:, None]
        sizes, n_normals = shares.sum(axis=0), len(moves)
        means, scatters, within = [], [], np.zeros((width, width))
        for k, (normal, found) in enumerate(moves):
            total, products, n = np.zeros(width), np.zeros((width, width)), 0.0
            for given in found:
                share = shares[given.block.rows, k]
                weighted = given.deviations * share[:, None]
                n += share.sum()
                total += weighted.sum(axis=0)
                products += weighted.T @ given.deviations
                given.add_covariance(products, share)
            # as if one row lay at the table's mean
            offset = normal.mean - base.mean
            mean = base.mean + (total + n * offset) / (n + 1.0)
            moved = mean - normal.mean
            scatter = products - np.outer(total, moved) - np.outer(moved, total) + n * np.outer(moved, moved)
            scatter += np.outer(mean - base.mean, mean - base.mean)
            within += scatter
            means.append(mean)
            scatters.append((scatter, n))
        within /= weights.sum() + n_normals
        kept = np.diag(within).copy()
        within *= 1.0 - prior.shrinkage
        within[np.diag_indices(width)] = kept
        n_prior = width + 2.0
        normals = []
        for mean, (scatter, n) in zip(means, scatters, strict=True):
            covariance = symmetric((scatter + n_prior * within) / (n + n_prior + 1.0))
            covariance[np.diag_indices(width)] += prior.ridge
            normals.append(Normal(mean, covariance))
        levels = []
        for one, frequencies in zip(rows.levels, rows.frequencies(), strict=True):
            common = _PRIOR_ROWS * frequencies
            counts = shares.T @ one + common
            levels.append(counts / counts.sum(axis=1, keepdims=True))
        return cls((sizes + 1.0) / (sizes.sum() + n_normals), normals, levels)

    def _log_joint(self, rows: LevelRows) -> np.ndarray:
        """Return the log-density of rows and each component, with its weight, (n_samples, n_normals)."""
        log_joint = np.empty((len(rows.numbers), len(self.normals)))
        blocks = rows.numbers.blocks()
        for k, normal in enumerate(self.normals):
            for block in blocks:
                log_joint[block.rows, k] = normal.log_density(rows.numbers, block)
        return self._with_levels(log_joint, rows.levels)

    def _with_levels(self, log_joint: np.ndarray, levels: Sequence[np.ndarray]) -> np.ndarray:
        for one, probabilities in zip(levels, self.levels, strict=True):
            log_joint = log_joint + one @ np.log(probabilities).T
        return log_joint + np.log(self.weights)

    @staticmethod
    def _shares(log_joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how likely components are, and the log-likelihood of rows."""
        highest = log_joint.max(axis=1, keepdims=True)
        shares = np.exp(log_joint - highest)
        total = shares.sum(axis=1, keepdims=True)
        return shares / total, (highest + np.log(total))[:, 0]

    @property
    def n_noise(self) -> int:
        """How many random numbers of a row `draw` takes."""
        return len(self.normals[0].mean)

    def log_likelihood(self, rows: LevelRows) -> np.ndarray:
        """Return the log-density of what was observed of each row, in nats."""
        return self._shares(self._log_joint(rows))[1]

    def expect(self, rows: LevelRows) -> Expected:
        """Return what is expected of rows."""
        n_normals, shape = len(self.normals), rows.numbers.values.shape
        log_joint = np.empty((shape[0], n_normals))
        means, variances = np.empty((2, n_normals, *shape))
        for k, given in self._everything(rows):
            log_joint[given.block.rows, k] = given.log_density
            means[k, given.block.rows] = self.normals[k].mean + given.deviations
            variances[k, given.block.rows] = given.variance()
        log_joint = self._with_levels(log_joint, rows.levels)
        shares, _ = self._shares(log_joint)
        return Expected(shares, means, variances, [shares @ probabilities for probabilities in self.levels])

    def draw(
        self, rows: LevelRows, chooser: np.ndarray, noise: np.ndarray, level_chooser: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Draw what is missing of rows, given what was observed.

        Parameters
        ----------
        rows : LevelRows
        chooser : ndarray of shape (n_samples,)
            Uniform: which component.
        noise : ndarray of shape (n_samples, n_columns)
            Standard normal.
        level_chooser : ndarray of shape (n_samples, n_categories)
            Uniform: which levels.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_columns)
        levels : list of ndarray of shape (n_samples,)
            Of each category, its level's position.
        """
        shares, _ = self._shares(self._log_joint(rows))
        chosen = pick(shares, chooser)
        numbers = rows.numbers.values.copy()
        for k, normal in enumerate(self.normals):
            for block in rows.numbers.blocks((chosen == k) & rows.numbers.missing.any(axis=1)):
                given = normal.given(rows.numbers, block, density=False)
                drawn = normal.mean + given.draw(noise[block.rows])
                numbers[block.rows] = np.where(rows.numbers.missing[block.rows], drawn, numbers[block.rows])
        levels = [pick(p[chosen], level_chooser[:, i]) for i, p in enumerate(self.levels)]
        return numbers, levels

    def _everything(self, rows: LevelRows) -> Iterator[tuple[int, Given]]:
        blocks = rows.numbers.blocks()
        for k, normal in enumerate(self.normals):
            for block in blocks:
                yield k, normal.given(rows.numbers, block)


def pick(chances: np.ndarray, chooser: np.ndarray) -> np.ndarray:
    """Return for each row, of chances (n_rows, n_choices), the choice that a uniform number falls on."""
    ends = chances.cumsum(axis=1)
    return (chooser[:, None] * ends[:, -1:] > ends[:, :-1]).sum(axis=1)
