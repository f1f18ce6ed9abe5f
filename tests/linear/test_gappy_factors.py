"""Factors of wide tables with gaps: what the normal distribution that they make says."""

import numpy as np
import pytest

from sklae import AEImputer
from sklae._linear.gappy_factors import GappyFactors
from sklae._linear.gaps import GappyRows
from sklae._linear.mixture import LevelRows
from sklae._linear.normal import Normal

_RNG = np.random.RandomState(0)
WIDTH = 6
FACTORS = GappyFactors(_RNG.normal(size=WIDTH), _RNG.normal(size=(WIDTH, 2)), _RNG.uniform(0.2, 0.5, WIDTH), [])
NORMAL = Normal(FACTORS.mean, FACTORS.loadings @ FACTORS.loadings.T + np.diag(FACTORS.noise))
X = np.where(_RNG.uniform(size=(30, WIDTH)) < 0.4, np.nan, _RNG.normal(size=(30, WIDTH)))


def rows(table, levels=()):
    return LevelRows(GappyRows(table), list(levels))


def test_conditional_moments_are_those_of_the_normal():
    found, seen = FACTORS.expect(rows(X)), GappyRows(X)
    np.testing.assert_allclose(found.mean(), NORMAL.fill(X), atol=1e-10)
    for block in seen.blocks():
        given = NORMAL.given(seen, block)
        np.testing.assert_allclose(found.variances[0, block.rows], given.variance(), atol=1e-10)


def test_draws_are_joint():
    n = 60_000
    row = np.repeat(np.where(np.arange(WIDTH) < 2, np.nan, 0.3)[None], n, axis=0)
    rng = np.random.RandomState(1)
    numbers, _ = FACTORS.draw(
        rows(row), rng.uniform(size=n), rng.standard_normal((n, FACTORS.n_noise)), np.empty((n, 0))
    )
    (given,) = [NORMAL.given(GappyRows(row[:1]), block) for block in GappyRows(row[:1]).blocks()]
    np.testing.assert_allclose(numbers[:, :2].mean(axis=0), (NORMAL.mean + given.deviations)[0, :2], atol=0.02)
    np.testing.assert_allclose(np.cov(numbers[:, :2].T), given.covariance[0], atol=0.02)
    assert (numbers[:, 2:] == 0.3).all()


def test_a_fit_around_gaps_finds_the_distribution():
    rng = np.random.RandomState(2)
    z = rng.normal(size=(3000, 2))
    table = FACTORS.mean + z @ FACTORS.loadings.T + np.sqrt(FACTORS.noise) * rng.normal(size=(3000, WIDTH))
    table[rng.uniform(size=table.shape) < 0.3] = np.nan
    fitted = GappyFactors.fit(rows(table), 2, 100)
    found = Normal(fitted.mean, fitted.loadings @ fitted.loadings.T + np.diag(fitted.noise))
    best = NORMAL.log_likelihood(table).mean()
    assert found.log_likelihood(table).mean() > best - 0.02
    steps = [GappyFactors.fit(rows(table), 2, n) for n in (1, 3, 10)]
    scores = [
        Normal(one.mean, one.loadings @ one.loadings.T + np.diag(one.noise)).log_likelihood(table).mean()
        for one in steps
    ]
    assert scores == sorted(scores)


def test_weights_count_rows():
    table = np.repeat(_RNG.normal(size=(20, WIDTH)), 2, axis=0)
    table[:, 0] += np.arange(40) % 2
    kept = GappyFactors.fit(rows(table), 1, 5).refined(rows(table), 30, (np.arange(40) % 2 == 0).astype(float))
    np.testing.assert_allclose(kept.mean, table[::2].mean(axis=0), atol=1e-3)


@pytest.mark.parametrize("draws", [False, True])
def test_wide_tables_are_filled_by_factors(draws):
    rng = np.random.RandomState(0)
    table = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 170)) + 0.3 * rng.normal(size=(150, 170))
    gaps = rng.uniform(size=table.shape) < 0.2
    imputer = AEImputer(sample_posterior=draws, random_state=0)
    filled = imputer.fit_transform(np.where(gaps, np.nan, table))
    assert all("factors" in part for part in imputer.account_.parts)
    missed = np.sqrt(np.mean((filled - table)[gaps] ** 2)) / table.std()
    assert missed < (0.45 if draws else 0.3)  # by means, 1.0
