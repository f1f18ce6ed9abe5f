"""The start of training: PCA and factor analysis, exactly; what it takes; and that fits are never worse."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler
from support import make_table
from torch import nn

from sklae import AutoencoderTransformer, VAETransformer
from sklae._linear.factors import Noise, factor_analysis
from sklae._linear.normal import Normal
from sklae.likelihoods import Gaussian, LogNormal, StudentT
from sklae.networks import MLP

WINE = StandardScaler().fit_transform(load_wine().data)
#: A step that moves no weight to speak of.
AT_START = {"max_iter": 1, "learning_rate_init": 1e-12, "early_stopping": False, "random_state": 0}


def factors(X, k, **noise):
    """The closed form, as the tests of `factor_analysis` prove it."""
    width = X.shape[1]
    tied = {"group": np.arange(width), "variance": np.full(width, np.nan), "least": np.full(width, 1e-6), **noise}
    return factor_analysis(X.mean(0), np.cov(X.T, bias=True), k, Noise(**tied))


def decoded_density(vae):
    """The normal density of rows that decoder and scales of an affine model say, in encoded units."""
    module = vae.net_.module_
    with torch.no_grad():
        mean = module.decode(torch.zeros(1, vae.n_components_))[0].double().numpy()
        loadings = (module.decode(torch.eye(vae.n_components_)).double().numpy() - mean).T
        variance = torch.as_tensor(module.likelihood.variance()).double().numpy()
    width = vae.n_features_in_
    covariance = loadings[:width] @ loadings[:width].T + np.diag(np.broadcast_to(variance, width))
    return multivariate_normal(mean[:width], covariance)


@pytest.mark.parametrize("scale", ["per_feature", "shared", 0.6, "per_row"])
def test_a_vae_starts_as_factor_analysis_whose_bound_is_exact(scale):
    vae = VAETransformer(3, likelihood=Gaussian(scale), prior="normal", **AT_START).fit(WINE)
    noise = {"shared": {"group": np.zeros(13, dtype=int)}, 0.6: {"variance": np.full(13, 0.36)}}.get(scale, {})
    closed_form = factors(WINE, 3, **noise).log_likelihood(WINE)
    # a share of 1e-4 of the cells scatters otherwise, where scales depend on rows
    tolerance = 13 * 1.2e-4 if scale == "per_row" else 1e-4
    assert vae.score(WINE) == pytest.approx(closed_form.mean(), abs=1e-4 + tolerance)
    bound = vae.score_samples(WINE, n_importance_samples=1)
    if scale != "per_row":
        np.testing.assert_allclose(bound, decoded_density(vae).logpdf(WINE), atol=1e-4)
        np.testing.assert_allclose(vae.score_samples(WINE), bound, atol=1e-4)


def test_few_rows_start_with_the_factors_that_hold_on_others():
    rng = np.random.RandomState(1)
    loadings = rng.normal(size=(1, 12))
    train, new = (rng.normal(size=(n, 1)) @ loadings + rng.normal(size=(n, 12)) for n in (80, 1_000))
    vae = VAETransformer(6, likelihood=Gaussian("per_feature"), prior="normal", **AT_START).fit(train)
    assert (vae.net_.module_.decoder.linear.weight.abs().sum(0) > 1e-6).tolist() == [True] + [False] * 5
    assert vae.score(new) > factors(train, 6).log_likelihood(new).mean() + 0.1


def test_a_mixture_of_normal_codes_starts_likelier():
    plain, mixed = (VAETransformer(3, prior=prior, **AT_START).fit(WINE).score(WINE) for prior in ("normal", "auto"))
    assert mixed > plain + 0.3


def test_codes_of_one_cluster_have_a_standard_normal_prior():
    X = np.random.RandomState(0).normal(size=(300, 6))
    vae = VAETransformer(2, **AT_START).fit(X)
    assert vae.net_.module_.prior.factorizes
    assert vae.posterior_kl(X).shape == (300, 2)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("k", [2, 5, 13])
def test_an_autoencoder_starts_as_pca(k, standardize):
    X = WINE * np.linspace(0.5, 2.0, 13) + 3.0
    ae = AutoencoderTransformer(k, standardize=standardize, **AT_START).fit(X)
    scaler = StandardScaler(with_mean=standardize, with_std=standardize).fit(X)
    pca = PCA(k).fit(scaler.transform(X))
    wanted = scaler.inverse_transform(pca.inverse_transform(pca.transform(scaler.transform(X))))
    np.testing.assert_allclose(ae.reconstruct(X), wanted, atol=1e-4)
    codes = ae.transform(X)
    np.testing.assert_allclose(codes.std(0), 1.0, atol=1e-4)
    assert np.abs(np.corrcoef(codes.T) - np.eye(k)).max() < 1e-4
    shuffled = AutoencoderTransformer(k, standardize=standardize, **AT_START).fit(X[::-1])
    np.testing.assert_allclose(shuffled.transform(X), codes, atol=1e-3)  # signs as well


def test_partial_fit_starts_from_its_first_rows():
    ae = (
        AutoencoderTransformer(3, learning_rate_init=1e-12, random_state=0)
        .partial_fit(WINE[:90])
        .partial_fit(WINE[90:])
    )
    X = StandardScaler().fit(WINE[:90]).transform(WINE[:90])
    pca = PCA(3).fit(X)
    missed = ((ae.reconstruct(WINE[:90]) - WINE[:90]) / WINE[:90].std(0)) ** 2
    assert missed.mean() == pytest.approx(np.mean((pca.inverse_transform(pca.transform(X)) - X) ** 2), rel=1e-4)


def test_around_gaps_the_density_is_that_of_expectation_maximisation():
    rng = np.random.RandomState(0)
    X = make_table(400, 5)
    X = (X - X.mean(0)) / X.std(0)
    gappy = np.where(rng.uniform(size=X.shape) < 0.2, np.nan, X)
    vae = VAETransformer(4, likelihood=Gaussian("per_feature"), prior="normal", **AT_START).fit(gappy)
    scaling = vae.layout_.scaling
    encoded = (gappy - scaling.offset) / scaling.scale
    density = decoded_density(vae)
    observed = Normal(density.mean, density.cov_object.covariance).log_likelihood(encoded)
    jacobian = np.where(np.isnan(gappy), 0.0, -np.log(scaling.scale)).sum(axis=1)
    scores, whole = vae.score_samples(gappy), ~np.isnan(gappy).any(axis=1)
    np.testing.assert_allclose(scores[whole], (observed + jacobian)[whole], atol=1e-4)
    assert scores.mean() < (observed + jacobian).mean()  # the encoder has yet to learn of gaps
    by_em = Normal.fit(encoded).log_likelihood(encoded).mean()
    assert observed.mean() == pytest.approx(by_em, abs=0.05)  # four factors of five columns hold nearly all
    blind = np.isnan(gappy)
    filled = vae.model_.expect_given_observed(gappy, 2_000)
    assert np.mean((filled - X)[blind] ** 2) < 0.6 * np.mean(X[blind] ** 2)


def test_conditions_start_as_a_regression():
    rng = np.random.RandomState(0)
    group = rng.randint(3, size=500)
    X = make_table(500, 4) + 4.0 * rng.normal(size=(3, 4))[group]
    table = np.column_stack([X, group])
    settings = {"condition_features": [4], "categorical_features": [4], "likelihood": Gaussian("per_feature")}
    vae = VAETransformer(2, **settings, **AT_START).fit(table)
    hot = np.eye(3)[group]
    left = X - LinearRegression().fit(hot, X).predict(hot)
    wanted = factors(left, 2, least=1e-6 * X.var(0)).log_likelihood(left).mean()
    assert vae.score(table) == pytest.approx(wanted, abs=0.01)
    codes = vae.transform(table)
    assert max(abs(codes[group == g].mean(0)).max() for g in range(3)) < 1e-3  # they don't tell of the group


def mixed_table(n=400):
    rng = np.random.RandomState(0)
    hidden = rng.normal(size=(n, 2))
    frame = pd.DataFrame(hidden @ rng.normal(size=(2, 3)) + 0.3 * rng.normal(size=(n, 3)), columns=list("abc"))
    frame["kind"] = np.array(["low", "middle", "high"])[np.digitize(hidden[:, 0], [-0.5, 0.5])]
    return frame


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_levels_start_as_linear_discriminants(cls):
    table = mixed_table()
    model = cls(2, **AT_START).fit(table)
    assert model.net_.started_
    share = (model.reconstruct(table)["kind"] == table["kind"]).mean()
    assert share > table["kind"].value_counts(normalize=True).max() + 0.25
    unstarted = cls(2, network=MLP(linear_path=False), **AT_START).fit(table)
    assert not unstarted.net_.started_
    assert model.score(table) > unstarted.score(table) + 0.5


@pytest.mark.parametrize(
    "likelihood", [StudentT(), StudentT(scale="per_row"), "laplace", LogNormal("per_feature")], ids=str
)
def test_other_densities_of_numbers_start_near_it(likelihood):
    X = np.exp(0.3 * WINE)
    started = VAETransformer(3, likelihood=likelihood, **AT_START).fit(X)
    unstarted = VAETransformer(3, likelihood=likelihood, network=MLP(linear_path=False), **AT_START).fit(X)
    assert started.net_.started_
    assert started.score(X) > unstarted.score(X) + 2.0


@pytest.mark.parametrize(
    "params",
    [
        {"network": MLP((8,), linear_path=False)},
        {"encoder": nn.Linear},
        {"likelihood": "histogram"},
        {"likelihood": [("all", "gaussian", slice(None))], "posterior": "product_of_experts"},
    ],
    ids=["no path", "own encoder", "histogram", "experts"],
)
def test_what_cannot_start_so_starts_from_chance(params):
    vae = VAETransformer(2, **params, **AT_START).fit(WINE)
    other = VAETransformer(2, **params, **{**AT_START, "random_state": 1}).fit(WINE)
    assert not vae.net_.started_
    assert not np.allclose(vae.transform(WINE), other.transform(WINE), atol=1e-2)


@pytest.mark.parametrize("posterior", ["full_covariance", "iaf"])
def test_richer_posteriors_start_as_the_diagonal_one(posterior):
    settings = {"likelihood": Gaussian("per_feature"), "prior": "normal", **AT_START}
    plain, rich = (VAETransformer(3, posterior=q, **settings).fit(WINE) for q in ("diagonal", posterior))
    assert rich.score(WINE) == pytest.approx(plain.score(WINE), abs=1e-3)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("rate", [6e-3, 1.0])
def test_held_out_rows_are_never_modelled_worse_than_at_the_start(cls, rate):
    train, held_out = WINE[::2], WINE[1::2]
    settings = {"random_state": 0, "learning_rate_init": rate, "max_iter": 40}
    model = cls(4, **settings).fit(train, X_val=held_out)
    start = cls(4, **AT_START).fit(train)
    assert model.score(held_out) >= start.score(held_out) - 0.02
    assert (model.best_iter_ == 0) == (abs(model.score(held_out) - start.score(held_out)) < 1e-6)


def test_damage_is_undone_where_epochs_are_compared():
    """Codes as wide as the rows: on undamaged rows no model beats PCA, which would undo nothing."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 6))
    noisy = X + 0.7 * X.std(0) * rng.normal(size=X.shape)
    model = AutoencoderTransformer(6, corruption="gaussian_noise", random_state=0).fit(X)
    assert model.best_iter_ > 0
    assert np.mean((model.reconstruct(noisy) - X) ** 2) < 0.8 * np.mean((noisy - X) ** 2)


def test_wide_tables_of_few_rows_are_not_learned_by_heart():
    rng = np.random.RandomState(0)
    noise = rng.normal(size=(120, 150))
    vae = VAETransformer(random_state=0).fit(noise[:20])
    independent = -0.5 * 150 * (np.log(2 * np.pi) + 1.0)  # of standard normal columns
    assert vae.score(noise[20:]) > 1.2 * independent
