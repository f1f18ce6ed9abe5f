"""Factor analysis and principal components in closed form."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import StandardScaler

from sklae._linear.factors import Noise, _largest, choose_rank, factor_analysis, principal_components

WINE = StandardScaler().fit_transform(load_wine().data)
DIGITS = load_digits().data
DIGITS = StandardScaler().fit_transform(DIGITS[:, DIGITS.std(axis=0) > 0])


def covariance(X):
    return np.cov(X.T, bias=True)


def free(width):
    return Noise(np.arange(width), np.full(width, np.nan), np.zeros(width))


def by_em(X, k, n_iterations=4_000):
    """The largest mean log-likelihood, by the expectation maximisation of Rubin and Thayer (1982)."""
    S, width = covariance(X), X.shape[1]
    W, psi = np.linalg.eigh(S)[1][:, -k:], np.diag(S) * 0.5
    for _ in range(n_iterations):
        beta = W.T @ np.linalg.inv(W @ W.T + np.diag(psi))
        second = np.eye(k) - beta @ W + beta @ S @ beta.T
        W = S @ beta.T @ np.linalg.inv(second)
        psi = np.diag(S - W @ beta @ S)
    C = W @ W.T + np.diag(psi)
    return -0.5 * (width * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S)))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_no_other_loadings_and_noise_are_likelier(k):
    model = factor_analysis(WINE.mean(0), covariance(WINE), k, free(13))
    found = model.log_likelihood(WINE).mean()
    assert found == pytest.approx(by_em(WINE, k), abs=0.02)
    assert found >= FactorAnalysis(k, svd_method="lapack").fit(WINE).score(WINE) - 0.01


@pytest.mark.parametrize("k", [2, 5])
def test_the_density_is_that_of_the_covariance(k):
    model = factor_analysis(WINE.mean(0) + 3.0, covariance(WINE), k, free(13))
    exact = multivariate_normal(model.mean, model.covariance).logpdf(WINE + 3.0)
    np.testing.assert_allclose(model.log_likelihood(WINE + 3.0), exact, rtol=1e-9)


@pytest.mark.parametrize("k", [2, 5])
def test_components_are_independent_given_a_row(k):
    model = factor_analysis(WINE.mean(0), covariance(WINE), k, free(13))
    precision = np.eye(k) + (model.loadings.T / model.noise) @ model.loadings
    np.testing.assert_allclose(precision, np.diag(model.std**-2), atol=1e-8)
    expected = np.linalg.solve(precision, (model.loadings.T / model.noise))
    np.testing.assert_allclose(model.weights, expected, atol=1e-10)
    assert (np.diff(model.std) >= 0).all()  # from the most to the least that is told
    assert (model.loadings.max(axis=0) >= -model.loadings.min(axis=0)).all()


def test_shared_noise_is_probabilistic_pca():
    shared = Noise(np.zeros(13, dtype=int), np.full(13, np.nan), np.zeros(13))
    model = factor_analysis(WINE.mean(0), covariance(WINE), 4, shared)
    eigenvalues = np.linalg.eigvalsh(covariance(WINE))[::-1]
    np.testing.assert_allclose(model.noise, eigenvalues[4:].mean(), rtol=1e-3)
    assert model.log_likelihood(WINE).mean() == pytest.approx(PCA(4).fit(WINE).score(WINE), abs=1e-3)


def test_given_noise_stays():
    model = factor_analysis(WINE.mean(0), covariance(WINE), 4, Noise(np.arange(13), np.full(13, 0.25), np.zeros(13)))
    np.testing.assert_array_equal(model.noise, 0.25)
    eigenvalues = np.linalg.eigvalsh(covariance(WINE))[::-1]
    np.testing.assert_allclose(np.square(model.loadings).sum(0), np.maximum(eigenvalues[:4] - 0.25, 0), rtol=1e-9)


@pytest.mark.parametrize(("X", "k"), [(WINE, 3), (WINE, 13), (WINE[:8], 5), (DIGITS, 10)])
def test_principal_components_are_those_of_pca(X, k):
    model = principal_components(X.mean(0), covariance(X), k)
    pca = PCA(min(k, len(X) - 1, 13)).fit(X) if X is not DIGITS else PCA(k).fit(X)
    codes = (X - model.mean) @ model.weights.T
    there = codes.std(axis=0) > 1e-6
    np.testing.assert_allclose(codes[:, there].std(axis=0), 1.0, rtol=1e-8)
    rebuilt = model.mean + codes @ model.loadings.T
    np.testing.assert_allclose(rebuilt, pca.inverse_transform(pca.transform(X)), atol=1e-7)


def test_many_inputs_are_no_other_matter():
    """Lanczos iterations take over; the numbers are those of the full decomposition."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 260)) + 0.5 * rng.normal(size=(400, 260))
    model = principal_components(X.mean(0), covariance(X), 5)
    pca = PCA(5, svd_solver="full").fit(X)
    rebuilt = model.mean + (X - model.mean) @ model.weights.T @ model.loadings.T
    np.testing.assert_allclose(rebuilt, pca.inverse_transform(pca.transform(X)), atol=1e-6)


def test_many_equal_eigenvalues_are_found_all():
    """Those of a category's indicators, of which no level occurs twice."""
    n = 80
    for k in (2, 7):
        values, vectors = _largest(np.stack([np.eye(n) - 1.0 / n, np.eye(n) / n - 1.0 / n**2]), k)
        assert values.shape == (2, k)
        np.testing.assert_allclose(values[0], 1.0)
        np.testing.assert_allclose(vectors[0].T @ vectors[0], np.eye(k), atol=1e-9)


def test_inputs_that_do_not_vary_take_no_part():
    X = np.column_stack([WINE, np.full(len(WINE), 7.0)])
    S = covariance(X)
    S[-1] = S[:, -1] = 0.0
    with_it, without = (
        factor_analysis(X.mean(0), S, 3, free(14)),
        factor_analysis(WINE.mean(0), S[:-1, :-1], 3, free(13)),
    )
    np.testing.assert_allclose(with_it.loadings[:-1], without.loadings, atol=1e-9)
    assert not with_it.loadings[-1].any()


def test_components_that_there_is_nothing_for_stay_silent():
    model = factor_analysis(WINE.mean(0), covariance(WINE), 20, free(13), rank=4)
    assert not model.loadings[:, 4:].any()
    np.testing.assert_array_equal(model.std[4:], 1.0)
    four = factor_analysis(WINE.mean(0), covariance(WINE), 4, free(13))
    np.testing.assert_allclose(model.covariance, four.covariance)


@pytest.mark.parametrize("true_rank", [1, 3])
def test_cross_validation_finds_the_number_of_factors(true_rank):
    rng = np.random.RandomState(1)
    X = rng.normal(size=(150, true_rank)) @ rng.normal(size=(true_rank, 12)) + rng.normal(size=(150, 12))
    assert choose_rank(X, 6, free(12), np.random.RandomState(0)) == true_rank


def test_rows_too_few_to_be_left_out_are_taken_as_they_are():
    assert choose_rank(WINE[:6], 3, free(13), np.random.RandomState(0)) == 3
