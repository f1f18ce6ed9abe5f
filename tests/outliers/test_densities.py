"""Distributions in closed form, and the views in which distances are measured."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from support import make_table

from sklae._outliers.densities import ColumnTails, NormalMixture, TrimmedNormal, left_out
from sklae._outliers.spaces import SPACES, NormalScores, Whitened
from sklae._outliers.tails import Tail

POINTS = make_table(200, 4)
POINTS = (POINTS - POINTS.mean(0)) / POINTS.std(0)
DENSITIES = [TrimmedNormal, NormalMixture, ColumnTails]
FOLDS = np.array_split(np.random.RandomState(0).permutation(200), 5)


def test_the_trimmed_normal_is_that_of_its_own_inner_points():
    density = TrimmedNormal.fit(POINTS)
    distance = density.strangeness(POINTS)
    inner = POINTS[np.argsort(distance)[:150]]
    covariance, _ = ledoit_wolf(inner)
    wanted = [mahalanobis(x, inner.mean(0), np.linalg.inv(covariance)) ** 2 for x in POINTS]
    np.testing.assert_allclose(distance, wanted, rtol=1e-3)


def test_gross_rows_have_no_hold_on_the_trimmed_normal():
    gross = np.vstack([POINTS, POINTS[:40] * 0.1 + 30.0])
    clean, dirty = (TrimmedNormal.fit(points).strangeness(gross) for points in (POINTS, gross))
    assert dirty[200:].min() > 100 * dirty[:200].max()
    assert np.corrcoef(clean[:200], dirty[:200])[0, 1] > 0.95


def test_the_mixture_is_a_density():
    one = NormalMixture.fit(POINTS[:19])  # enough for a single normal
    mean, covariance = POINTS[:19].mean(0), np.cov(POINTS[:19].T, bias=True) + 1e-3 * np.eye(4)
    wanted = -multivariate_normal(mean, covariance).logpdf(POINTS)
    np.testing.assert_allclose(one.strangeness(POINTS), wanted, rtol=1e-6)


def test_column_tails_are_the_larger_of_both_sides():
    density = ColumnTails.fit(POINTS)
    sides = [[Tail.fit(s * x, positive=False, share=0.1)(s * x) for x in POINTS.T] for s in (1.0, -1.0)]
    np.testing.assert_allclose(density.terms(POINTS), np.max(sides, axis=0).T)


@pytest.mark.parametrize("kind", DENSITIES)
def test_terms_of_a_far_cell_are_the_largest(kind):
    rows = np.tile(POINTS[:1] * 0.0, (4, 1)) + 8.0 * np.eye(4)
    assert kind.fit(POINTS).terms(rows).argmax(axis=1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", DENSITIES)
def test_left_out_points_are_judged_by_the_others(kind):
    density = kind.fit(POINTS)
    found = left_out(density, POINTS, FOLDS)
    for fold in FOLDS:
        rest = np.delete(np.arange(200), fold)
        np.testing.assert_allclose(found[fold], kind.fit(POINTS[rest], like=density).strangeness(POINTS[fold]))
    assert found.mean() > density.strangeness(POINTS).mean()  # else there would be no need


@pytest.mark.parametrize("n_points", [40, 400])
@pytest.mark.parametrize("kind", DENSITIES)
def test_points_of_many_dimensions_are_cheap_and_finite(kind, n_points):
    points = np.random.RandomState(0).normal(size=(n_points, 300)) @ np.diag(np.linspace(0.1, 3, 300))
    density = kind.fit(points)
    far = points[:3] + 30.0
    assert density.terms(far).shape == (3, 300)
    assert density.strangeness(far).min() > density.strangeness(points).max()


@pytest.mark.parametrize("kind", [*DENSITIES, *SPACES])
def test_dimensions_that_depend_on_each_other_do_no_harm(kind):
    points = np.column_stack([POINTS, POINTS[:, :2].sum(1), np.zeros(200), np.ones(200)])
    fitted = kind.fit(points)
    found = fitted(points) if kind in SPACES else fitted.strangeness(points)
    assert np.isfinite(found).all()


def test_whitened_points_have_no_correlations():
    points = np.random.RandomState(0).normal(size=(5_000, 3)) @ np.array([[1, 0.9, 0], [0, 0.5, 0], [0, 0, 7.0]])
    np.testing.assert_allclose(np.cov(Whitened.fit(points)(points).T), np.eye(3), atol=0.1)


def test_normal_scores_are_normal_and_go_on_beyond():
    points = np.random.RandomState(0).exponential(size=(999, 1))
    view = NormalScores.fit(points)
    assert abs(np.mean(view(points) ** 3)) < 0.01
    assert abs(view(points).std() - 1) < 0.01
    largest = points.max(keepdims=True)
    np.testing.assert_allclose(view(largest + 2.5), view(largest) + 2.5)
