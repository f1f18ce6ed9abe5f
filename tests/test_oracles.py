"""Known answers: what closed forms say, to the last decimal that training reaches."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import StandardScaler

from sklae import AutoencoderTransformer, VAETransformer
from sklae.corruptions import GaussianNoise
from sklae.likelihoods import Gaussian

TABLES = {"wine": (load_wine, 2), "digits": (load_digits, 5)}


@pytest.fixture(scope="module", params=TABLES)
def table(request):
    """A standardised table without constant columns, and a number of components."""
    load, n_components = TABLES[request.param]
    X = load().data
    return StandardScaler().fit_transform(X[:, X.std(axis=0) > 0]), n_components


def eigenvalues(X):
    """Eigenvalues of the biased covariance, largest first."""
    return np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]


def probabilistic_pca(X, k):
    """The largest mean log-likelihood of probabilistic PCA (Tipping and Bishop, 1999), nats per row."""
    lam, d = eigenvalues(X), X.shape[1]
    s2 = lam[k:].mean()
    return -0.5 * (d * np.log(2 * np.pi) + np.log(lam[:k]).sum() + (d - k) * np.log(s2) + d)


def linear_vae(n_components, **params):
    """A linear VAE, trained to rest: a long run whose rate falls to zero."""
    settings = {
        "likelihood": "gaussian",
        "prior": "normal",
        "hidden_layer_sizes": (),
        "learning_rate": "cosine",
        "learning_rate_init": 2e-2,
        "max_iter": 700,
        "batch_size": 450,
        "early_stopping": False,
        "random_state": 0,
    }
    return VAETransformer(n_components, **{**settings, **params})


def test_a_linear_autoencoder_spans_the_pca_subspace(table):
    X, k = table
    ae = AutoencoderTransformer(
        k, hidden_layer_sizes=(), solver="lbfgs", max_iter=30, n_iter_no_change=np.inf, random_state=0
    ).fit(X)
    pca = PCA(k).fit(X)
    decoder = ae.net_.module_.decoder[-1].weight.detach().numpy()
    angle = np.rad2deg(subspace_angles(decoder, pca.components_.T).max())
    error = np.mean((X - ae.reconstruct(X)) ** 2)
    least = np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)
    assert angle < 1.0
    assert least <= error < 1.001 * least


def test_a_linear_vae_is_probabilistic_pca(table):
    X, k = table
    vae = linear_vae(k).fit(X)
    best = probabilistic_pca(X, k)
    assert best - 0.01 < vae.score(X) < best + 1e-6
    s2 = eigenvalues(X)[k:].mean()
    assert vae.net_.module_.likelihood.variance().item() == pytest.approx(s2, rel=0.01)


def test_the_posterior_of_a_linear_vae_has_the_rates_of_probabilistic_pca():
    X = StandardScaler().fit_transform(load_wine().data)
    vae = linear_vae(2).fit(X)
    module = vae.net_.inference_module(torch.float64)
    q = module.encode(torch.as_tensor(X))
    lam = eigenvalues(X)
    assert q.kl(module.prior_codes()).mean().item() == pytest.approx(
        0.5 * np.log(lam[:2] / lam[2:].mean()).sum(), abs=0.01
    )


def test_a_linear_vae_with_a_scale_per_feature_is_factor_analysis(table):
    X, k = table
    exact = FactorAnalysis(k, tol=1e-8, svd_method="lapack", max_iter=20_000).fit(X).score(X)
    vae = linear_vae(k, likelihood=Gaussian("per_feature")).fit(X)
    assert exact - 0.01 < vae.score(X) < exact + 0.01


@pytest.mark.parametrize("beta", [*(pytest.param(beta, marks=pytest.mark.slow) for beta in (1.0, 4.0)), 2.0])
def test_a_linear_beta_vae_is_gaussian_rate_distortion(beta):
    s2, lam = 0.25, np.array([6.0, 3.0, 1.6, 0.7, 0.35, 0.08])
    X = normal_data_with(lam)
    vae = linear_vae(6, beta=beta, likelihood=Gaussian(s2**0.5), standardize=False, max_iter=2500).fit(X)
    module, x = vae.net_.inference_module(torch.float64), torch.as_tensor(X)
    with torch.no_grad():
        q = module.encode(x)
        rates = (0.5 * (q.mean**2 + q.scale**2 - 1) - q.scale.log()).mean(0)
        noise = torch.randn((400, *q.mean.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        distortion = (module.decode(q.push(noise)) - x).square().sum(-1).mean().item()
    assert rates.sum().item() == pytest.approx(0.5 * np.log(lam / (beta * s2)).clip(min=0).sum(), rel=0.01)
    assert distortion == pytest.approx(np.minimum(lam, beta * s2).sum(), rel=0.01)
    assert (rates > 0.03).sum() == (lam > beta * s2).sum()


def normal_data_with(eigenvalues, n_samples=400):
    """Rows whose biased covariance has exactly these eigenvalues, in a random basis."""
    rng = np.random.RandomState(0)
    Z = rng.normal(size=(n_samples, len(eigenvalues)))
    Z = PCA(whiten=True).fit_transform(Z) * np.sqrt(n_samples / (n_samples - 1))
    basis = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))[0]
    return Z * np.sqrt(eigenvalues) @ basis.T


def test_the_optimal_shared_variance_is_the_mean_squared_error():
    X = StandardScaler().fit_transform(load_wine().data)
    ae = AutoencoderTransformer(
        3,
        hidden_layer_sizes=(),
        likelihood="gaussian",
        learning_rate="cosine",
        learning_rate_init=1e-2,
        max_iter=400,
        random_state=0,
    ).fit(X)
    error = np.mean((X - ae.reconstruct(X)) ** 2)
    assert ae.net_.module_.likelihood.variance().item() == pytest.approx(error, rel=0.01)


def test_the_best_denoiser_of_normal_data_is_the_conditional_mean():
    rng = np.random.RandomState(0)
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 1.0]])
    X = rng.multivariate_normal(np.zeros(3), covariance, size=4000)
    s2 = 0.5
    denoiser = AutoencoderTransformer(
        3,
        hidden_layer_sizes=(),
        corruption=GaussianNoise(s2**0.5),
        standardize=False,
        learning_rate="cosine",
        learning_rate_init=1e-2,
        batch_size=500,
        max_iter=300,
        early_stopping=False,
        random_state=0,
    ).fit(X)
    noisy = rng.multivariate_normal(np.zeros(3), covariance + s2 * np.eye(3), size=500)
    sample = np.cov(X.T, bias=True)
    gain = sample @ np.linalg.inv(sample + s2 * np.eye(3))
    expected = X.mean(axis=0) + (noisy - X.mean(axis=0)) @ gain.T
    assert np.abs(denoiser.reconstruct(noisy) - expected).max() < 0.1
    assert np.sqrt(np.mean((denoiser.reconstruct(noisy) - expected) ** 2)) < 0.02


def test_paired_training_learns_the_map_of_the_pairs():
    rng = np.random.RandomState(0)
    clean = rng.normal(3.0, 5.0, size=(500, 4))
    noisy = 2.0 * clean - 7.0
    ae = AutoencoderTransformer(
        4, hidden_layer_sizes=(), solver="lbfgs", max_iter=20, n_iter_no_change=np.inf, random_state=0
    ).fit(noisy, X_clean=clean)
    np.testing.assert_allclose(ae.reconstruct(noisy), clean, atol=1e-2)
    np.testing.assert_allclose(ae.layout_.mean, clean.mean(axis=0))


def test_scores_are_densities_in_the_users_units():
    """A linear VAE's score on raw columns is the multivariate normal's log-density, scaling included."""
    X = load_wine().data
    vae = linear_vae(2).fit(X)
    scaled = StandardScaler().fit(X)
    best = probabilistic_pca(scaled.transform(X), 2) - np.log(scaled.scale_).sum()
    assert best - 0.01 < vae.score(X) < best + 1e-6
