"""The normal distribution around gaps: what closed forms and brute force say."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from support import make_table

from sklae._linear import gaps as _gaps
from sklae._linear.gaps import GappyRows
from sklae._linear.normal import Normal

WIDTH = 5
_RNG = np.random.RandomState(0)
_ROOT = _RNG.normal(size=(WIDTH, WIDTH))
NORMAL = Normal(_RNG.normal(size=WIDTH), _ROOT @ _ROOT.T + 0.2 * np.eye(WIDTH))
ROWS = np.where(_RNG.uniform(size=(40, WIDTH)) < 0.4, np.nan, 3.0 * _RNG.normal(size=(40, WIDTH)))
ROWS[0] = np.nan
ROWS[1] = np.arange(WIDTH)


def standardized(n_samples, n_features):
    X = make_table(n_samples, n_features)
    return (X - X.mean(axis=0)) / X.std(axis=0)


def conditional(row, normal=NORMAL):
    """Mean and covariance of a row's missing cells, by block matrices, one row at a time."""
    gaps = np.isnan(row)
    mean, covariance = normal.mean, normal.covariance
    if gaps.all():
        return mean, covariance
    gain = covariance[np.ix_(gaps, ~gaps)] @ np.linalg.inv(covariance[np.ix_(~gaps, ~gaps)])
    left = covariance[np.ix_(gaps, gaps)] - gain @ covariance[np.ix_(~gaps, gaps)]
    return mean[gaps] + gain @ (row[~gaps] - mean[~gaps]), left


@pytest.fixture(params=[None, 1], ids=["one block", "blocks of a row"])
def _chunks(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(_gaps, "_BLOCK_ELEMENTS", request.param)
        monkeypatch.setattr(_gaps, "_LEAST_ROWS", request.param)


def given(rows, normal=NORMAL):
    """What is given of each block of rows."""
    gappy = GappyRows(rows)
    return [normal.given(gappy, block) for block in gappy.blocks()]


# -- given the parameters -------------------------------------------------------------------------------


@pytest.mark.usefixtures("_chunks")
def test_gaps_are_filled_by_conditional_means():
    filled = NORMAL.fill(ROWS)
    for row, found in zip(ROWS, filled, strict=True):
        gaps = np.isnan(row)
        np.testing.assert_allclose(found[gaps], conditional(row)[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(found[~gaps], row[~gaps])


@pytest.mark.usefixtures("_chunks")
def test_variances_are_those_of_the_conditional_distribution():
    for found in given(ROWS):
        for row, variance in zip(ROWS[found.block.rows], found.variance(), strict=True):
            gaps = np.isnan(row)
            np.testing.assert_allclose(variance[gaps], np.diag(conditional(row)[1]), rtol=1e-9)
            assert not variance[~gaps].any()


@pytest.mark.usefixtures("_chunks")
def test_covariances_add_up_by_weight():
    weights, total, wanted = np.arange(1.0, len(ROWS) + 1), np.zeros((WIDTH, WIDTH)), np.zeros((WIDTH, WIDTH))
    for found in given(ROWS):
        found.add_covariance(total, weights[found.block.rows])
    for row, weight in zip(ROWS, weights, strict=True):
        gaps = np.isnan(row)
        wanted[np.ix_(gaps, gaps)] += weight * conditional(row)[1]
    np.testing.assert_allclose(total, wanted, rtol=1e-9)


@pytest.mark.usefixtures("_chunks")
def test_likelihood_is_that_of_what_was_observed():
    for row, found in zip(ROWS, NORMAL.log_likelihood(ROWS), strict=True):
        there = ~np.isnan(row)
        if not there.any():
            assert found == pytest.approx(0.0, abs=1e-12)
            continue
        marginal = multivariate_normal(NORMAL.mean[there], NORMAL.covariance[np.ix_(there, there)])
        assert found == pytest.approx(marginal.logpdf(row[there]), rel=1e-10)


def test_draws_have_the_conditional_moments():
    n_draws = 20_000
    for row in ROWS[:8]:
        gaps = np.isnan(row)
        noise = np.random.RandomState(0).standard_normal((n_draws, WIDTH))
        many = GappyRows(np.repeat(row[None], n_draws, axis=0))
        drawn = np.empty((n_draws, WIDTH))
        for block in many.blocks():
            part = NORMAL.given(many, block)
            drawn[block.rows] = NORMAL.mean + part.draw(noise[block.rows])
        np.testing.assert_allclose(drawn[:, ~gaps], np.broadcast_to(row[~gaps], (n_draws, (~gaps).sum())))
        mean, covariance = conditional(row)
        missed, variance = drawn[:, gaps] - mean, np.diag(covariance)
        assert (np.abs(missed.mean(axis=0)) < 5.0 * np.sqrt(variance / n_draws)).all()
        error = np.sqrt((covariance**2 + np.outer(variance, variance)) / n_draws)
        assert (np.abs(missed.T @ missed / n_draws - covariance) < 5.0 * error).all()


@pytest.mark.parametrize("verb", ["fill", "log_likelihood"])
def test_a_row_does_not_depend_on_its_neighbours(verb):
    together = getattr(NORMAL, verb)(ROWS)
    alone = np.concatenate([getattr(NORMAL, verb)(row[None]) for row in ROWS])
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-12)


def test_rows_without_gaps_are_left_as_they_are():
    rows = standardized(10, WIDTH)
    assert np.array_equal(NORMAL.fill(rows), rows)
    assert all(not found.variance().any() and found.covariance is None for found in given(rows))


# -- fitting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_without_gaps_the_fit_is_the_moments(shrinkage):
    X = standardized(60, WIDTH)
    normal = Normal.fit(X, shrinkage=shrinkage)
    covariance = np.cov(X.T, bias=True)
    shrunk = (1.0 - shrinkage) * covariance + shrinkage * np.diag(np.diag(covariance))
    np.testing.assert_allclose(normal.mean, X.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(normal.covariance, shrunk, atol=2e-6)


def test_with_monotone_gaps_the_fit_is_the_factored_regression():
    """Anderson (JASA 52:278, 1957): the second column's parameters follow from its regression on the first."""
    rng = np.random.RandomState(0)
    X = rng.multivariate_normal([0.5, -0.5], [[1.0, 0.8], [0.8, 1.0]], size=300)
    X[X[:, 0] > 0.5, 1] = np.nan
    first, seen = X[:, 0], ~np.isnan(X[:, 1])
    among = np.cov(X[seen].T, bias=True)
    slope = among[0, 1] / among[0, 0]
    mean = X[seen, 1].mean() + slope * (first.mean() - first[seen].mean())
    variance = among[1, 1] + slope**2 * (first.var() - among[0, 0])
    normal = Normal.fit(X, tol=1e-10)
    np.testing.assert_allclose(normal.mean, [first.mean(), mean], atol=1e-4)
    expected = [[first.var(), slope * first.var()], [slope * first.var(), variance]]
    np.testing.assert_allclose(normal.covariance, expected, atol=1e-4)
    assert abs(np.nanmean(X[:, 1]) - mean) > 0.2  # what complete cases would say


def _moved(normal, i, j, step):
    mean, covariance = normal.mean.copy(), normal.covariance.copy()
    if j is None:
        mean[i] += step
    else:
        covariance[i, j] = covariance[j, i] = covariance[i, j] + step
    return Normal(mean, covariance)


def test_the_fit_is_a_maximum_of_the_observed_likelihood():
    rng = np.random.RandomState(1)
    X = standardized(200, 3)
    X[rng.uniform(size=X.shape) < 0.3] = np.nan
    normal = Normal.fit(X, tol=1e-9)
    best = normal.log_likelihood(X).sum()
    for i in range(3):
        for j in [None, *range(i, 3)]:
            steps = [_moved(normal, i, j, step).log_likelihood(X).sum() for step in (-0.01, 0.01)]
            assert max(steps) < best


def test_weights_count_rows():
    X = standardized(40, 3)
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.2] = np.nan
    times = np.arange(40) % 3
    found = Normal.fit(X, weights=times.astype(float), tol=1e-9)
    wanted = Normal.fit(np.repeat(X, times, axis=0), tol=1e-9, ridge=1e-6)
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-5)
    np.testing.assert_allclose(found.covariance, wanted.covariance, atol=1e-5)


def test_a_start_changes_the_way_and_not_the_end():
    X = standardized(100, WIDTH)
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.2] = np.nan
    wanted = Normal.fit(X, tol=1e-8)
    far = Normal(wanted.mean + 1.0, 3.0 * np.eye(WIDTH))
    found = Normal.fit(X, tol=1e-8, start=far)
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-4)
    np.testing.assert_allclose(found.covariance, wanted.covariance, atol=1e-4)


ODD = {
    "one column": np.array([[1.0], [np.nan], [-1.0]]),
    "fewer rows than columns": standardized(3, 8),
    "a column twice": np.repeat(standardized(20, 1), 2, axis=1),
    "a constant column": np.column_stack([standardized(20, 1), np.zeros(20)]),
    "a row of gaps": np.vstack([standardized(20, 2), np.full(2, np.nan)]),
    "one value in a column": np.column_stack([standardized(20, 1), [0.5, *[np.nan] * 19]]),
}


@pytest.mark.parametrize("X", ODD.values(), ids=ODD)
def test_odd_tables_fit(X):
    normal = Normal.fit(X)
    assert np.linalg.eigvalsh(normal.covariance).min() > 0
    assert np.isfinite(normal.fill(X)).all()
    assert np.isfinite(normal.log_likelihood(X)).all()
