"""Bounds of the log-density against what closed forms and quadrature say (design, known answers)."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from support import QUICK, make_table

from sklae import VAETransformer
from sklae.likelihoods import Gaussian
from sklae.metrics import marginal_kl
from sklae.priors import GaussianMixture, VampPrior

WINE = StandardScaler().fit_transform(load_wine().data)


def _set(parameter, values):
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(np.asarray(values)))


def _forget_copies(vae):
    """Let go of the float64 copy of a module whose weights were set by hand."""
    vae.net_._float64 = None
    return vae


def _raw_scale(scale):
    """Return what softplus makes a scale of."""
    return math.log(math.expm1(scale))


def probabilistic_pca(X, inflation, prior="normal", n_components=2):
    """Return a linear VAE that is probabilistic PCA at its maximum, its exact posterior's scale multiplied."""
    vae = VAETransformer(
        n_components, likelihood=Gaussian("shared"), prior=prior, **{**QUICK, "hidden_layer_sizes": (), "max_iter": 1}
    ).fit(X)
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
    top, noise = values[::-1][:n_components], values[::-1][n_components:].mean()
    W = vectors[:, ::-1][:, :n_components] * np.sqrt(top - noise)
    module = vae.net_.module_
    decoder, encoder = module.decoder[-1], module.encoder[-1]
    _set(decoder.weight, W)
    _set(decoder.bias, np.zeros(X.shape[1]))
    # W'W + noise is diagonal, hence so is the posterior
    inverse = 1.0 / (np.sum(W**2, axis=0) + noise)
    _set(encoder.weight, np.vstack([inverse[:, None] * W.T, np.zeros_like(W.T)]))
    _set(encoder.bias, np.concatenate([np.zeros(n_components), np.log(np.expm1(inflation * np.sqrt(noise * inverse)))]))
    _set(module.likelihood.raw_log_scale, [0.5 * math.log(noise - module.likelihood.min_variance) / 10.0])
    return _forget_copies(vae), W, noise


def test_importance_weighted_bounds_rise_to_the_likelihood():
    vae, W, noise = probabilistic_pca(WINE, inflation=2.0)
    exact = multivariate_normal(np.zeros(13), W @ W.T + noise * np.eye(13)).logpdf(WINE).mean()
    bounds = [vae.score_samples(WINE, n_importance_samples=k).mean() for k in (1, 5, 50, 500, 5_000)]
    assert np.all(np.diff(bounds[:-1]) > 0)
    assert bounds[0] < exact - 0.3, "the posterior is not wide enough for the test to tell anything"
    assert bounds[-2] == pytest.approx(exact, abs=0.02)
    assert bounds[-1] == pytest.approx(exact, abs=0.002)


def test_one_importance_sample_is_the_evidence_lower_bound_of_one_draw():
    """On average: over draws that differ, its mean is the bound."""
    vae, *_ = probabilistic_pca(WINE, inflation=1.0)
    # with the exact posterior every draw has the same weight
    np.testing.assert_allclose(vae.score_samples(WINE, 1), vae.score_samples(WINE), atol=1e-4)
    np.testing.assert_allclose(vae.score_samples(WINE, 7), vae.score_samples(WINE), atol=1e-4)


def _quadrature(vae, X, n_points=80):
    """Return log p(x) of a model with two standard normal components, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_points)
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    log_weights = np.log(np.outer(weights, weights).ravel() / (2.0 * math.pi))
    module, _ = vae.model_.inference_module(np.dtype(np.float64))
    rows = vae.layout_.encode(X, dtype=torch.float64)
    params = module.decode(torch.as_tensor(z))
    log_prob = torch.stack([module.likelihood.log_prob(params, x).sum(-1) for x in rows.x]).numpy()
    return logsumexp(log_prob + log_weights, axis=1) + vae.layout_.log_jacobian.sum()


@pytest.mark.parametrize("posterior", ["diagonal", "full_covariance", pytest.param("iaf", marks=pytest.mark.slow)])
def test_importance_sampling_is_quadrature(posterior):
    """For two components and a nonlinear decoder, within three standard errors of plain draws."""
    X = make_table(300, 5)
    settings = {**QUICK, "max_iter": 30, "learning_rate_init": 0.01}
    vae = VAETransformer(2, posterior=posterior, likelihood=Gaussian(0.7), **settings).fit(X)
    exact = _quadrature(vae, X)
    np.testing.assert_allclose(_quadrature(vae, X, 100), exact, atol=1e-3)
    found = vae.score_samples(X, n_importance_samples=5_000)
    # the weights' spread, from draws of another kind
    codes = vae.sample_posterior(X, 500, random_state=0)
    log_weights = np.stack([_log_weights(vae, z, X) for z in codes])
    relative = np.exp(log_weights - log_weights.max(0))
    errors = relative.std(0) / relative.mean(0) / math.sqrt(5_000)
    assert np.all(np.abs(found - exact) < 3.0 * errors + 2e-3)
    assert np.all(vae.score_samples(X) < exact + 3.0 * log_weights.std(0) / math.sqrt(64))


def _log_weights(vae, z, X):
    module, _ = vae.model_.inference_module(np.dtype(np.float64))
    rows = vae.layout_.encode(X, dtype=torch.float64)
    z = torch.as_tensor(z)
    q = module.encode(*rows)
    return (
        module.likelihood.log_prob(module.decode(z), rows.x).sum(-1) + module.prior_codes().log_prob(z) - q.log_prob(z)
    ).numpy()


def test_a_mixture_prior_and_a_linear_decoder_have_the_likelihood_of_a_mixture():
    means, scales = np.array([[-2.0, 0.0], [1.0, 1.5], [0.0, -1.0]]), np.array([[0.5, 1.0], [0.7, 0.3], [1.0, 1.0]])
    weights = np.array([0.5, 0.3, 0.2])
    prior = GaussianMixture(3, means=means, scales=scales, weights=weights)
    vae, W, noise = probabilistic_pca(WINE, inflation=1.5, prior=prior)
    parts = [
        multivariate_normal(W @ mean, (W * scale**2) @ W.T + noise * np.eye(13)).logpdf(WINE)
        for mean, scale in zip(means, scales, strict=True)
    ]
    exact = logsumexp(np.array(parts) + np.log(weights)[:, None], axis=0)
    found = vae.score_samples(WINE, n_importance_samples=20_000)
    assert found.mean() == pytest.approx(exact.mean(), abs=0.02)
    assert np.all(vae.score_samples(WINE) < exact + 0.05)


def test_a_vamp_prior_of_all_rows_is_the_aggregate_posterior():
    X = make_table(60, 4)
    vae = VAETransformer(2, prior=VampPrior(60, learned=False), **{**QUICK, "max_iter": 20}).fit(X)
    estimate = marginal_kl(vae, X, n_samples=200, random_state=0)
    assert abs(estimate.value) < 4 * estimate.standard_error + 1e-6
    assert estimate.standard_error < 0.02


def test_eight_bits_sum_to_one():
    bits = np.array(np.meshgrid(*[[0.0, 1.0]] * 8)).reshape(8, -1).T
    rows = bits[np.random.RandomState(0).choice(256, size=100, p=np.random.RandomState(1).dirichlet(np.full(256, 0.1)))]
    settings = {**QUICK, "max_iter": 40, "learning_rate_init": 0.02}
    vae = VAETransformer(2, likelihood="bernoulli", standardize=False, **settings).fit(np.vstack([rows, bits[[0, -1]]]))
    assert np.exp(_quadrature(vae, bits)).sum() == pytest.approx(1.0, abs=1e-6)
    assert np.exp(vae.score_samples(bits, n_importance_samples=10_000)).sum() == pytest.approx(1.0, abs=0.01)
    assert np.exp(vae.score_samples(bits)).sum() < 1.0
