"""Mixtures of normals around gaps: what quadrature, brute force and a single normal say."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from sklae._linear.gaps import GappyRows
from sklae._linear.mixture import LevelRows, Mixture, Prior, pick
from sklae._linear.normal import Normal

_RNG = np.random.RandomState(0)


def _normal(center):
    root = _RNG.normal(size=(3, 3))
    return Normal(np.array(center), root @ root.T / 3 + 0.2 * np.eye(3))


MIXTURE = Mixture(
    np.array([0.5, 0.3, 0.2]),
    [_normal([0.0, 0.0, 0.0]), _normal([2.0, -1.0, 1.0]), _normal([-1.0, 2.0, 0.5])],
    [np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])],
)
POINT = np.array([0.4, -0.3, 0.8])


def rows_of(numbers, codes=None):
    """Rows with gaps, and a category of three levels; -1 is a gap."""
    numbers = np.atleast_2d(numbers)
    codes = np.full(len(numbers), -1) if codes is None else np.atleast_1d(codes)
    return LevelRows(GappyRows(numbers), [(codes[:, None] == np.arange(3)).astype(float)])


def density(points, code=None):
    """Brute force: the joint density of complete numbers and a level."""
    total = 0.0
    for weight, normal, levels in zip(MIXTURE.weights, MIXTURE.normals, MIXTURE.levels[0], strict=True):
        own = weight * multivariate_normal(normal.mean, normal.covariance).pdf(points)
        total = total + own * (1.0 if code is None else levels[code])
    return total


@pytest.mark.parametrize("code", [None, 0, 2])
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_one_gap_is_filled_as_quadrature_says(missing, code):
    row = np.where(np.arange(3) == missing, np.nan, POINT)
    grid = np.linspace(-12.0, 12.0, 4801)
    points = np.repeat(POINT[None], len(grid), axis=0)
    points[:, missing] = grid
    weights = density(points, code)
    rows = rows_of(row, -1 if code is None else code)
    mean = weights @ grid / weights.sum()
    found = MIXTURE.expect(rows)
    assert found.mean()[0, missing] == pytest.approx(mean, abs=1e-6)
    second = found.shares[0] @ (found.variances[:, 0, missing] + (found.means[:, 0, missing] - mean) ** 2)
    assert second == pytest.approx(weights @ (grid - mean) ** 2 / weights.sum(), abs=1e-6)
    integral = weights.sum() * (grid[1] - grid[0])
    assert MIXTURE.log_likelihood(rows)[0] == pytest.approx(np.log(integral), abs=1e-8)


def test_two_gaps_and_a_level_are_as_quadrature_says():
    axis = np.linspace(-9.0, 9.0, 361)
    first, second = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    points = np.column_stack([first, np.full(len(first), POINT[1]), second])
    found = MIXTURE.expect(rows_of([np.nan, POINT[1], np.nan]))
    weights = density(points)
    np.testing.assert_allclose(found.mean()[0, [0, 2]], weights @ points[:, [0, 2]] / weights.sum(), atol=1e-5)
    levels = np.array([density(points, code).sum() for code in range(3)])
    np.testing.assert_allclose(found.levels[0][0], levels / levels.sum(), atol=1e-6)


def test_complete_rows_have_the_density_of_the_mixture():
    points = _RNG.normal(size=(20, 3))
    codes = np.arange(20) % 3
    wanted = [np.log(density(point, code)) for point, code in zip(points, codes, strict=True)]
    np.testing.assert_allclose(MIXTURE.log_likelihood(rows_of(points, codes)), wanted, rtol=1e-9)


def test_one_component_is_the_normal():
    X = np.where(_RNG.uniform(size=(30, 3)) < 0.3, np.nan, _RNG.normal(size=(30, 3)))
    normal = MIXTURE.normals[0]
    one = Mixture(np.ones(1), [normal], [])
    rows = LevelRows(GappyRows(X), [])
    np.testing.assert_allclose(one.log_likelihood(rows), normal.log_likelihood(X), atol=1e-12)
    np.testing.assert_allclose(one.expect(rows).mean(), normal.fill(X), atol=1e-12)


def test_draws_have_the_moments_that_are_expected():
    n = 40_000
    rng = np.random.RandomState(1)
    row = rows_of(np.repeat([[np.nan, POINT[1], np.nan]], n, axis=0))
    numbers, (levels,) = MIXTURE.draw(row, rng.uniform(size=n), rng.standard_normal((n, 3)), rng.uniform(size=(n, 1)))
    expected = MIXTURE.expect(rows_of([np.nan, POINT[1], np.nan]))
    assert (numbers[:, 1] == POINT[1]).all()
    np.testing.assert_allclose(numbers.mean(axis=0), expected.mean()[0], atol=0.03)
    np.testing.assert_allclose(np.bincount(levels, minlength=3) / n, expected.levels[0][0], atol=0.01)
    apart = np.corrcoef(numbers[:, 0], numbers[:, 2])[0, 1]
    assert abs(apart) > 0.05  # gaps of a row are drawn jointly


def _clusters(n, seed=0):
    rng = np.random.RandomState(seed)
    group = rng.randint(2, size=n)
    X = rng.normal(size=(n, 2)) * 0.3 + np.where(group[:, None] == 1, [1.0, 1.0], [-1.0, -1.0])
    code = np.where(rng.uniform(size=n) < 0.9, group, 1 - group)
    return X, code, group


def _fit(X, code, n_normals=2, max_iter=20, weights=None):
    rows = LevelRows(GappyRows(X), [(code[:, None] == np.arange(2)).astype(float)])
    base = Normal.fit(X)
    prior = Prior(base, 1e-6, np.full(X.shape[1], 1e-6))
    start = Mixture.grouped(n_normals, base, rows, prior, seed=0)
    return start, start.refined(rows, prior, max_iter, weights), rows


def test_clusters_are_found_around_gaps():
    X, code, _ = _clusters(600)
    X[np.random.RandomState(1).uniform(size=X.shape) < 0.2] = np.nan
    start, mixture, rows = _fit(X, code)
    assert mixture.log_likelihood(rows).mean() > Normal.fit(X).log_likelihood(X).mean()
    assert mixture.log_likelihood(rows).mean() >= start.log_likelihood(rows).mean() - 0.01
    means = sorted(normal.mean[0] for normal in mixture.normals)
    np.testing.assert_allclose(means, [-1.0, 1.0], atol=0.1)
    np.testing.assert_allclose(mixture.weights, [0.5, 0.5], atol=0.05)
    assert np.sort(mixture.levels[0].max(axis=1)).min() > 0.8


def test_without_gaps_it_is_near_scikit_learns():
    X, _, _ = _clusters(2000)
    rows = LevelRows(GappyRows(X), [])
    base = Normal.fit(X)
    prior = Prior(base, 1e-6, np.full(2, 1e-6))
    mixture = Mixture.grouped(2, base, rows, prior, seed=0).refined(rows, prior, 60)
    wanted = GaussianMixture(2, random_state=0).fit(X).score(X)
    assert mixture.log_likelihood(rows).mean() == pytest.approx(wanted, abs=0.01)


def test_weights_count_rows():
    X, code, _ = _clusters(300)
    _, mixture, _ = _fit(X, code, weights=(X[:, 0] > 0).astype(float) + 1e-9)
    heavy = mixture.weights.argmax()
    assert mixture.normals[heavy].mean[0] > 0.8


def test_more_normals_than_different_rows_are_no_trouble():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]], 20, axis=0)
    _, mixture, rows = _fit(X, np.arange(60) % 2, n_normals=8)
    assert np.isfinite(mixture.log_likelihood(rows)).all()
    assert logsumexp(np.log(mixture.weights)) == pytest.approx(0.0)


def test_choices_fall_by_chance():
    chances = np.tile([0.2, 0.0, 0.8], (10_000, 1))
    chosen = pick(chances, np.random.RandomState(0).uniform(size=10_000))
    np.testing.assert_allclose(np.bincount(chosen, minlength=3) / 10_000, [0.2, 0.0, 0.8], atol=0.02)
    assert list(pick(chances[:2], np.array([0.0, 0.999999]))) == [0, 2]
