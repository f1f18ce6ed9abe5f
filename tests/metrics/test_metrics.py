"""Figures about fitted models: closed forms of a linear model with a known posterior, and known samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from support import QUICK, global_generators, make_table

from sklae import AutoencoderTransformer, VAETransformer, metrics
from sklae.metrics._advice import _RULES
from sklae.metrics._baselines import _fit_factor_analysis
from sklae.metrics._information import conditions_of

# -- a model whose every figure has a closed form --------------------------------------------------------


class ProbabilisticPCA(TransformerMixin, BaseEstimator):
    """Probabilistic PCA at its maximum of likelihood (Tipping and Bishop, 1999), with a VAE's verbs.

    ``widen`` multiplies the standard deviations of the exact posterior, ``prior_scale`` that of the prior;
    ``one_column`` gives the KL as a total.
    """

    def __init__(self, n_components=2, *, widen=1.0, prior_scale=1.0, one_column=False, likelihood="gaussian"):
        self.n_components = n_components
        self.widen = widen
        self.prior_scale = prior_scale
        self.one_column = one_column
        self.likelihood = likelihood

    def fit(self, X, y=None):
        X = np.asarray(X, dtype=float)
        values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
        lam, k = values[::-1], self.n_components
        self.mean_ = X.mean(axis=0)
        self.variance_ = lam[k:].mean()
        self.eigenvalues_ = np.maximum(lam[:k], self.variance_)
        self.loadings_ = vectors[:, ::-1][:, :k] * np.sqrt(self.eigenvalues_ - self.variance_)
        return self

    def _rows(self, X):
        """Return an array of numbers, with the mean in gaps."""
        check_is_fitted(self)
        X = np.asarray(X, dtype=float)
        return np.where(np.isnan(X), self.mean_, X)

    def posterior(self, X):
        mean = (self._rows(X) - self.mean_) @ self.loadings_ / self.eigenvalues_
        return mean, np.broadcast_to(self.widen * np.sqrt(self.variance_ / self.eigenvalues_), mean.shape)

    def transform(self, X):
        return self.posterior(X)[0]

    def posterior_kl(self, X):
        mean, std = self.posterior(X)
        ratio = (mean**2 + std**2) / self.prior_scale**2
        kl = 0.5 * (ratio - 1.0) - np.log(std / self.prior_scale)
        return kl.sum(axis=1, keepdims=True) if self.one_column else kl

    def posterior_log_prob(self, Z, X):
        mean, std = self.posterior(X)
        return _normal(np.asarray(Z)[:, None], mean, std)

    def prior_log_prob(self, Z):
        return _normal(np.asarray(Z), 0.0, self.prior_scale)

    def sample_posterior(self, X, n_samples=1, random_state=None):
        mean, std = self.posterior(X)
        noise = np.random.RandomState() if random_state is None else random_state
        return mean + std * noise.normal(size=(n_samples, *mean.shape))

    def score_samples(self, X, n_importance_samples=None):
        """Return the bound in closed form; or the mean of importance weights, with draws of each row's own."""
        if n_importance_samples is None:
            (mean, std), noise = self.posterior(X), self.variance_
            spread = (self.loadings_**2).sum(axis=0) * std**2
            fit = _normal(self._rows(X), self.mean_ + mean @ self.loadings_.T, np.sqrt(noise))
            return fit - 0.5 * spread.sum(axis=1) / noise - self.posterior_kl(X).sum(axis=1)
        mean, std = self.posterior(X)
        Z = mean + std * np.random.RandomState(0).normal(size=(n_importance_samples, *mean.shape))
        rows = _normal(self._rows(X), self.mean_ + Z @ self.loadings_.T, np.sqrt(self.variance_))
        return logsumexp(rows + _normal(Z, 0.0, self.prior_scale) - _normal(Z, mean, std), axis=0) - np.log(len(Z))

    def log_likelihood(self, X):
        """Return the exact log-density of rows, for a prior of scale 1."""
        covariance = self.loadings_ @ self.loadings_.T + self.variance_ * np.eye(len(self.mean_))
        return multivariate_normal(self.mean_, covariance).logpdf(X)


def _normal(values, mean, std):
    return -(0.5 * ((values - mean) / std) ** 2 + np.log(std) + 0.5 * np.log(2 * np.pi)).sum(axis=-1)


LAMBDA = np.array([6.0, 2.0, 0.5, 0.3, 0.1])
NOISE = LAMBDA[2:].mean()


def rows_with_exact_covariance(n_samples=1500, seed=0):
    """Normal rows whose biased covariance has the eigenvalues LAMBDA, in a random basis."""
    rng = np.random.RandomState(seed)
    Z = PCA(whiten=True).fit_transform(rng.normal(size=(n_samples, 5))) * np.sqrt(n_samples / (n_samples - 1))
    return 3.0 + Z * np.sqrt(LAMBDA) @ np.linalg.qr(rng.normal(size=(5, 5)))[0].T


X = rows_with_exact_covariance()
RATE = 0.5 * np.log(LAMBDA[:2] / NOISE)
NOISY = np.random.RandomState(0).normal(size=(400, 5))


@pytest.fixture(scope="module")
def model():
    return ProbabilisticPCA().fit(X)


# -- information -----------------------------------------------------------------------------------------


def test_kl_per_component_is_half_the_log_of_the_variance_ratio(model):
    np.testing.assert_allclose(metrics.kl_per_component(model, X), RATE, rtol=1e-10)
    total = metrics.kl_per_component(ProbabilisticPCA(one_column=True).fit(X), X)
    np.testing.assert_allclose(total, [RATE.sum()], rtol=1e-10)


def test_active_units_are_the_components_above_the_noise(model):
    n_active, variances = metrics.active_units(model, X, return_variances=True)
    assert n_active == 2
    np.testing.assert_allclose(variances, 1 - NOISE / LAMBDA[:2], rtol=1e-10)
    assert metrics.active_units(model, X, threshold=0.9) == (variances > 0.9).sum() == 1
    isotropic = ProbabilisticPCA(3).fit(X)
    isotropic.loadings_ = np.zeros_like(isotropic.loadings_)
    assert metrics.active_units(isotropic, X) == 0


def test_active_units_of_any_encoder():
    assert metrics.active_units(PCA(3).fit(X), X) == 3
    assert metrics.active_units(AutoencoderTransformer(2, **QUICK).fit(X), X, threshold=0.0) == 2


def test_codes_at_the_maximum_of_likelihood_match_the_prior(model):
    rate, error = metrics.mutual_information(model, X, n_samples=2, random_state=0)
    rest, _ = metrics.marginal_kl(model, X, n_samples=2, random_state=0)
    assert rate == pytest.approx(RATE.sum(), abs=0.1)
    assert 0 < error < 0.05
    assert -0.01 < rest < 0.1


def test_marginal_kl_of_a_prior_of_the_wrong_scale():
    wide = ProbabilisticPCA(prior_scale=3.0).fit(X)
    expected = 2 * (np.log(3.0) + 1 / 18 - 0.5)
    assert metrics.marginal_kl(wide, X, n_samples=2, random_state=0).value == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("params", [{}, {"widen": 0.3}, {"widen": 1e-4}, {"prior_scale": 2.0}, {"one_column": True}])
def test_rate_is_mutual_information_and_marginal_kl(params):
    model = ProbabilisticPCA(**params).fit(X)
    rows = X[:200]
    told = metrics.mutual_information(model, rows, random_state=0).value
    rest = metrics.marginal_kl(model, rows, random_state=0).value
    assert told + rest == pytest.approx(metrics.kl_per_component(model, rows).sum(), rel=1e-12)


@pytest.mark.parametrize("widen", [0.1, 1.0, 1.4])
def test_mutual_information_agrees_with_its_definition(widen):
    model, rows = ProbabilisticPCA(widen=widen).fit(X), X[:100]
    codes = model.sample_posterior(rows, 300, np.random.RandomState(7))
    log_prob = np.stack([model.posterior_log_prob(Z, rows) for Z in codes])
    own = np.diagonal(log_prob, axis1=1, axis2=2)
    draws = (own - logsumexp(log_prob, axis=2) + np.log(100)).mean(axis=1)
    told, _ = metrics.mutual_information(model, rows, n_samples=100, random_state=0)
    assert told == pytest.approx(draws.mean(), abs=5 * draws.std() * np.sqrt(1 / 300 + 1 / 100))


def test_narrow_posteriors_tell_which_row_it_was():
    model = ProbabilisticPCA(widen=1e-6).fit(X)
    assert metrics.mutual_information(model, X[:50], random_state=0).value == pytest.approx(np.log(50), abs=1e-6)


def test_many_codes_are_compared_in_parts(model, monkeypatch):
    whole = metrics.mutual_information(model, X[:60], random_state=0)
    monkeypatch.setattr("sklae.metrics._information._CHUNK_ELEMENTS", 60 * 7)
    np.testing.assert_allclose(metrics.mutual_information(model, X[:60], random_state=0), whole, rtol=1e-12)


# -- likelihood ------------------------------------------------------------------------------------------


def test_the_oracle_is_one(model):
    assert model.score_samples(X).mean() == pytest.approx(model.log_likelihood(X).mean(), rel=1e-12)
    np.testing.assert_allclose(model.log_likelihood(X).mean(), -0.5 * (5 * np.log(2 * np.pi) + np.log(LAMBDA[:2]).sum()
                               + 3 * np.log(NOISE) + 5))  # fmt: skip


def test_importance_sampling_finds_the_exact_likelihood():
    wide, rows = ProbabilisticPCA(widen=1.3).fit(X), X[:200]
    exact = -wide.log_likelihood(rows)
    nll, error = metrics.negative_log_likelihood(wide, rows, n_importance_samples=2000)
    assert nll == pytest.approx(exact.mean(), abs=0.02)
    assert error == pytest.approx(exact.std(ddof=1) / np.sqrt(200), rel=0.05)
    bound = -wide.score_samples(rows).mean()
    assert bound - exact.mean() == pytest.approx(2 * (0.5 * (1.3**2 - 1) - np.log(1.3)), rel=1e-6)
    assert nll < metrics.negative_log_likelihood(wide, rows, n_importance_samples=3).value < bound


def test_one_row_has_a_likelihood_and_no_error(model):
    nll, error = metrics.negative_log_likelihood(model, X[:1], n_importance_samples=10)
    assert np.isfinite(nll)
    assert np.isnan(error)


# -- disentanglement -------------------------------------------------------------------------------------


def factors(n_samples=1500, continuous=False):
    rng = np.random.RandomState(0)
    return rng.uniform(size=(n_samples, 3)) if continuous else rng.randint(4, size=(n_samples, 3))


@pytest.mark.parametrize("continuous", [False, True])
def test_permuted_factors_are_disentangled(continuous):
    F = factors(continuous=continuous)
    codes = np.column_stack([-2.0 * F[:, 2], np.ones(len(F)), F[:, 0], 5.0 + F[:, 1]])
    assert metrics.mutual_information_gap(codes, F) > 0.9
    figures = metrics.dci(codes, F, n_estimators=10, random_state=0)
    np.testing.assert_allclose(figures[:3], 1.0, atol=0.05)
    np.testing.assert_array_equal(figures.importances.argmax(axis=0), [2, 3, 0])
    np.testing.assert_allclose(figures.importances.sum(axis=0), 1.0)


def test_rotated_factors_are_informative_and_entangled():
    F = factors(continuous=True)
    rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.3], [1.0, 0.5, -1.0]]))[0]
    assert metrics.mutual_information_gap(F @ rotation, F) < 0.15
    figures = metrics.dci(F @ rotation, F, n_estimators=20, random_state=0)
    assert figures.disentanglement < 0.5
    assert figures.completeness < 0.5
    assert figures.informativeness > 0.9


@pytest.mark.parametrize("continuous", [False, True])
def test_noise_tells_nothing(continuous):
    F = factors(continuous=continuous)
    noise = np.random.RandomState(1).normal(size=(len(F), 4))
    assert metrics.mutual_information_gap(noise, F) < 0.02
    figures = metrics.dci(noise, F, n_estimators=20, random_state=0)
    np.testing.assert_allclose(figures[:3], 0.0, atol=0.05)


def test_constant_codes_tell_nothing():
    F = factors(100)
    assert metrics.mutual_information_gap(np.ones((100, 2)), F) == 0
    np.testing.assert_allclose(metrics.dci(np.ones((100, 2)), F, n_estimators=2)[:3], 0.0, atol=1e-12)


def test_one_code_of_one_factor_has_a_gap():
    labels = np.array(["cat", "dog"] * 50)
    assert metrics.mutual_information_gap((labels == "cat")[:, None], labels) == pytest.approx(1.0)


def test_kinds_of_factors_are_read_or_given():
    F = np.column_stack([np.repeat(["a", "b"], 50), np.arange(100) / 7]).astype(object)
    codes = np.column_stack([np.repeat([0, 1], 50), np.arange(100)])
    read = metrics.mutual_information_gap(codes, F)
    assert read == metrics.mutual_information_gap(codes, F, discrete_factors=[True, False])
    assert read != metrics.mutual_information_gap(codes, F, discrete_factors=True)


@pytest.mark.parametrize(
    ("codes", "F", "params", "message"),
    [
        (np.ones((9, 2)), np.ones((8, 2)), {}, r"factors of shape \(8, 2\) for 9 codes"),
        (np.eye(9)[:, :2], np.ones((9, 2)), {}, "factor 0 with one value only"),
        (np.eye(9)[:, :2], np.arange(18).reshape(9, 2), {"discrete_factors": [True]}, "expected 'auto', a bool, or 2"),
        (np.eye(9)[:, :2], np.full((9, 2), np.nan), {"discrete_factors": False}, "contains NaN"),
        (np.full((9, 2), np.nan), np.arange(18).reshape(9, 2), {}, "codes contains NaN"),
    ],
)
def test_bad_codes_and_factors_are_refused(codes, F, params, message):
    for metric in (metrics.mutual_information_gap, metrics.dci):
        with pytest.raises(ValueError, match=message):
            metric(codes, F, **params)


def test_entanglement_takes_two():
    with pytest.raises(ValueError, match="Got 1 component"):
        metrics.dci(np.arange(9.0)[:, None], factors(9))
    with pytest.raises(ValueError, match="Got 1 factor"):
        metrics.dci(np.eye(9), np.arange(9.0))


# -- generation ------------------------------------------------------------------------------------------


def test_two_samples_of_one_distribution_agree():
    real, fake = np.random.RandomState(0).normal(size=(2, 1000, 3))
    density, coverage = metrics.density_coverage(real, fake)
    assert density == pytest.approx(1.0, abs=0.1)
    assert coverage == pytest.approx(1 - 0.5**5, abs=0.02)
    assert min(metrics.precision_recall(real, fake)) > 0.8
    assert metrics.precision_recall(real, real) == (1.0, 1.0)


def test_a_dropped_mode_is_not_covered():
    rng = np.random.RandomState(0)
    mode = rng.choice(4, size=1000)
    real = rng.normal(size=(1000, 2)) + 100.0 * np.column_stack([mode, mode])
    fake = rng.normal(size=(1000, 2))  # the first mode
    share = np.mean(mode == 0)
    density, coverage = metrics.density_coverage(real, fake)
    assert density == pytest.approx(1.0, abs=0.15)
    assert coverage == pytest.approx(share, abs=0.01)
    precision, recall = metrics.precision_recall(real, fake)
    assert precision > 0.8
    assert recall == pytest.approx(share, abs=0.02)


def test_rows_from_elsewhere_have_no_density():
    real, fake = np.random.RandomState(0).normal(size=(2, 300, 2))
    assert metrics.density_coverage(real, fake + 50) == (0.0, 0.0)
    assert metrics.precision_recall(real, fake + 50) == (0.0, 0.0)


def test_one_outlier_misleads_precision_and_not_density():
    real, fake = np.random.RandomState(0).normal(size=(2, 300, 2))
    real[0], fake = 100.0, fake + 30
    assert metrics.precision_recall(real, fake).precision == 1.0
    assert metrics.density_coverage(real, fake).density < 0.5


def test_balls_agree_with_their_definition():
    rng = np.random.RandomState(0)
    real, fake = rng.normal(size=(70, 3)), 1.3 * rng.normal(size=(300, 3))
    between = np.linalg.norm(real[:, None] - fake, axis=-1)

    def reach(A, k):
        return np.sort(np.linalg.norm(A[:, None] - A, axis=-1), axis=1)[:, k]

    inside = between <= reach(real, 4)[:, None]
    assert metrics.density_coverage(real, fake, n_neighbors=4) == pytest.approx(
        (inside.sum() / (4 * 300), inside.any(axis=1).mean())
    )
    assert metrics.precision_recall(real, fake, n_neighbors=4) == pytest.approx(
        (inside.any(axis=0).mean(), (between <= reach(fake, 4)).any(axis=1).mean())
    )


@pytest.mark.parametrize("metric", [metrics.density_coverage, metrics.precision_recall])
def test_bad_samples_are_refused(metric):
    with pytest.raises(ValueError, match="3 columns in real and 2 in fake"):
        metric(np.ones((9, 3)), np.ones((9, 2)))
    with pytest.raises(ValueError, match="Got 4 rows in fake; expected at least 10"):
        metric(np.ones((20, 3)), np.ones((4, 3)), n_neighbors=9)
    with pytest.raises(ValueError, match="n_neighbors=0"):
        metric(np.ones((9, 3)), np.ones((9, 3)), n_neighbors=0)


# -- the report ------------------------------------------------------------------------------------------


def names(diagnosis):
    return {finding.name for finding in diagnosis.findings}


def test_a_model_in_good_health(model):
    diagnosis = metrics.diagnose(model, rows_with_exact_covariance(seed=1), X, random_state=0)
    assert diagnosis.distortion + diagnosis.rate == pytest.approx(-diagnosis.score.value)
    parts = diagnosis.mutual_information.value + diagnosis.marginal_kl.value
    assert parts == pytest.approx(diagnosis.rate)
    assert diagnosis.least_marginal_kl < diagnosis.marginal_kl.value < 0.5
    assert diagnosis.gap == pytest.approx(0.0, abs=1e-6)


def test_the_maximum_of_likelihood_is_a_tie_with_probabilistic_pca(model):
    diagnosis = metrics.diagnose(model, X, X, random_state=0)
    reached = diagnosis.baselines["probabilistic PCA"]
    standardised = PCA(2).fit(StandardScaler().fit_transform(X))
    expected = standardised.score(StandardScaler().fit_transform(X)) - np.log(X.std(axis=0)).sum()
    assert reached.score == pytest.approx(expected)
    assert reached.difference == pytest.approx(diagnosis.log_likelihood.value - expected)
    assert diagnosis.overfit.value == pytest.approx(0.0)


def silent():
    """A model whose code tells nothing, at the noise that is best then."""
    model = ProbabilisticPCA().fit(X)
    model.eigenvalues_ = np.full(2, LAMBDA.mean())
    model.variance_, model.loadings_ = LAMBDA.mean(), np.zeros((5, 2))
    return model


#: Finding -> a model and rows (and training rows) that show it.
SYMPTOMS = {
    "collapse": lambda: (silent(), X),
    "missed structure": lambda: (silent(), X),
    "structureless": lambda: (ProbabilisticPCA().fit(NOISY), np.random.RandomState(1).normal(size=(300, 5))),
    "idle components": lambda: (_with_idle_component(), X),
    "full code": lambda: (ProbabilisticPCA().fit(X), X),
    "poor posterior": lambda: (ProbabilisticPCA(widen=3.0).fit(X), X[:300]),
    "prior mismatch": lambda: (ProbabilisticPCA(prior_scale=3.0).fit(X), X),
    "matching prior": lambda: (ProbabilisticPCA().fit(X), X),
    "too few rows": lambda: (ProbabilisticPCA(widen=0.01).fit(X), X[:30]),
    "loses": lambda: (ProbabilisticPCA(1).fit(X[:30]), X),
    "ties": lambda: (ProbabilisticPCA(4).fit(X), X, X),
    "wins": lambda: (ProbabilisticPCA().fit(X), X[:1000], X[1000:1020]),
    "overfit": lambda: (ProbabilisticPCA().fit(X[:8]), X[8:], X[:8]),
    "out of reach": lambda: (_Unreachable().fit(X), X),
}


def _with_idle_component():
    model = ProbabilisticPCA(3).fit(X)
    model.loadings_[:, 2], model.eigenvalues_[2] = 0.0, model.variance_
    return model


class _Unreachable(ProbabilisticPCA):
    def score_samples(self, X, n_importance_samples=None):
        scores = super().score_samples(X, n_importance_samples)
        scores[0] = -np.inf
        return scores


@pytest.mark.parametrize("name", SYMPTOMS)
def test_symptoms_are_recognised(name):
    diagnosis = metrics.diagnose(*SYMPTOMS[name](), n_importance_samples=50, random_state=0)
    found = {finding.name: finding for finding in diagnosis.findings}
    assert name in found
    assert all(text in str(diagnosis) for text in found[name].remedies)
    assert "{" not in str(diagnosis)


def test_every_symptom_is_shown_here():
    assert sorted(SYMPTOMS) == sorted(rule.name for rule in _RULES)


def test_contrary_findings_exclude_each_other(model):
    found = names(metrics.diagnose(model, X, X, n_importance_samples=20, random_state=0))
    assert found == {"full code", "matching prior", "loses"}  # to factor analysis


def test_report_in_words_and_in_html(model):
    diagnosis = metrics.diagnose(model, X, n_importance_samples=20, random_state=0)
    assert repr(diagnosis) == str(diagnosis)
    assert str(diagnosis).startswith("ProbabilisticPCA with 2 components, on 1,500 rows; nats per row")
    assert f"0: {RATE[0]:.2f}, 1: {RATE[1]:.2f}" in str(diagnosis)
    html = diagnosis._repr_html_()
    assert "<table>" in html
    assert "Every component carries information." in html


def test_components_are_ranked_by_nats_or_else_by_variance():
    model = ProbabilisticPCA(one_column=True).fit(X)
    model.loadings_, model.eigenvalues_ = model.loadings_[:, ::-1], model.eigenvalues_[::-1]
    diagnosis = metrics.diagnose(model, X, n_importance_samples=2, random_state=0)
    assert [place for place, _ in diagnosis.ranking()] == [1, 0]
    assert "variance of codes by component" in str(diagnosis)
    assert diagnosis.n_informative == diagnosis.active_units == 2
    model.set_params(one_column=False)
    ranking = metrics.diagnose(model, X, n_importance_samples=2, random_state=0).ranking()
    np.testing.assert_allclose(ranking, [(1, RATE[0]), (0, RATE[1])])


def test_many_rows_are_thinned_out(model):
    diagnosis = metrics.diagnose(model, X, X, max_samples=100, n_importance_samples=2, random_state=0)
    assert diagnosis.n_samples == 100


class OwnLikelihood:
    pass


#: Why there is no comparison -> the model's parameters and its rows.
REASONS = {
    "'bernoulli' is no density": ({"likelihood": "bernoulli"}, X),
    "'poisson' is no density": ({"likelihood": [("a", "gaussian", [0, 1]), ("b", "poisson", [2, 3, 4])]}, X),
    "'OwnLikelihood' is no density": ({"likelihood": OwnLikelihood()}, X),
    "columns are constant": ({}, np.column_stack([X[:, :4], np.arange(len(X)) == 3])),
    "columns are no numbers": ({}, pd.DataFrame(X).assign(flag=X[:, 0] > 3)),
    "missing values": ({}, np.where(np.arange(5) == np.arange(len(X))[:, None], np.nan, X)),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_linear_models_can_not_be_compared_with(reason):
    params, rows = REASONS[reason]
    model = ProbabilisticPCA(**params).fit(X if np.shape(rows)[1] == 5 else rows)
    diagnosis = metrics.diagnose(model, rows, n_importance_samples=2, random_state=0)
    assert reason in diagnosis.not_compared
    assert (diagnosis.baselines, diagnosis.best_baseline, diagnosis.lead) == ({}, "", None)
    assert "not compared" in str(diagnosis)


@pytest.mark.parametrize("features", [[4, 1], "e", ["e", "b"], [-1]])
def test_codes_meet_the_prior_of_their_own_condition(features):
    table = pd.DataFrame(X[:60], columns=list("abcde")) if isinstance(np.atleast_1d(features)[0], str) else X[:60]
    vae = VAETransformer(2, **QUICK, condition_features=features).fit(table)
    diagnosis = metrics.diagnose(vae, table, n_importance_samples=2, random_state=0)
    assert "conditional" in diagnosis.not_compared
    assert diagnosis.mutual_information.value + diagnosis.marginal_kl.value == pytest.approx(diagnosis.rate)


def test_condition_columns_are_found_in_arrays():
    model = ProbabilisticPCA().fit(X)
    model.feature_names_in_ = np.array(list("abcde"))
    for features, places in {"d": [3], ("d", "a"): [0, 3], (-1, 0): [0, 4], (): None}.items():
        model.condition_features = features if isinstance(features, str) else list(features)
        given = conditions_of(model, X)
        assert (given == {}) if places is None else np.array_equal(given["condition"], X[:, places])


def test_factor_analysis_of_a_condensed_table_is_the_same():
    full = FactorAnalysis(2, tol=1e-6 * len(X), random_state=0).fit(X)
    assert len(X) > 10
    quick = _fit_factor_analysis(2, X)
    assert quick.score(X) == pytest.approx(full.score(X), abs=1e-3)
    np.testing.assert_allclose(quick.mean_, full.mean_)


def test_constant_columns_leave_the_comparison(model):
    wide = np.column_stack([X, np.full(len(X), 7.0)])
    narrow = metrics.diagnose(model, X, X, n_importance_samples=2, random_state=0)
    model = Wide().fit(X)
    diagnosis = metrics.diagnose(model, wide, wide, n_importance_samples=2, random_state=0)
    assert diagnosis.baselines == narrow.baselines


class Wide(ProbabilisticPCA):
    """Ignores columns after the fifth."""

    def _rows(self, X):
        return super()._rows(X[:, :5])


# -- what all functions share ----------------------------------------------------------------------------

#: Every function of an estimator. A new one is tested the moment it is listed.
OF_ESTIMATORS = {
    "active_units": lambda model, X, random_state: metrics.active_units(model, X),
    "diagnose": lambda model, X, random_state: str(
        metrics.diagnose(model, X, n_importance_samples=5, random_state=random_state)
    ),
    "kl_per_component": lambda model, X, random_state: tuple(metrics.kl_per_component(model, X)),
    "marginal_kl": lambda model, X, random_state: metrics.marginal_kl(model, X, random_state=random_state),
    "mutual_information": lambda model, X, random_state: metrics.mutual_information(
        model, X, random_state=random_state
    ),
    "negative_log_likelihood": lambda model, X, random_state: metrics.negative_log_likelihood(
        model, X, n_importance_samples=5
    ),
}
OF_ARRAYS = {"dci", "density_coverage", "mutual_information_gap", "precision_recall"}
RANDOM = {"diagnose", "marginal_kl", "mutual_information"}


def test_every_function_is_listed_here():
    functions = {name for name in metrics.__all__ if name[0].islower()}
    of_tables = {"association_distances", "marginal_distances", "near_copy_share", "train_on_synthetic_score"}
    of_two = {"classifier_two_sample_score", "energy_distance"}
    # those of tables: `test_synthesis.py`, `test_two_samples.py`
    assert functions == {*OF_ESTIMATORS, *OF_ARRAYS, *of_tables, *of_two}


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_unfitted_estimators_are_refused(name):
    with pytest.raises(NotFittedError):
        OF_ESTIMATORS[name](ProbabilisticPCA(), X, 0)


@pytest.mark.parametrize("name", sorted(set(OF_ESTIMATORS) - {"active_units"}))
def test_plain_autoencoders_have_no_posterior(name):
    with pytest.raises(
        TypeError, match="Got AutoencoderTransformer, which has no posterior_kl; expected an estimator that has"
    ):
        OF_ESTIMATORS[name](AutoencoderTransformer(2, **QUICK).fit(X), X, 0)


def test_what_does_not_encode_is_refused():
    with pytest.raises(TypeError, match="Got BaseEstimator, which has no transform"):
        metrics.active_units(BaseEstimator(), X)


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_same_seed_same_figures_and_no_global_state(name, model):
    before = global_generators()
    first, again = (OF_ESTIMATORS[name](model, X[:60], 3) for _ in range(2))
    state = OF_ESTIMATORS[name](model, X[:60], np.random.RandomState(3))
    other, fresh = (OF_ESTIMATORS[name](model, X[:60], seed) for seed in (4, None))
    assert first == again == state
    assert len({first, other, fresh}) == (3 if name in RANDOM else 1)
    assert global_generators() == before


def test_forests_are_seeded_and_leave_global_state_alone():
    before = global_generators()
    codes, F = np.random.RandomState(0).normal(size=(60, 2)), factors(60)
    first, again, other = (metrics.dci(codes, F, n_estimators=3, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.importances, again.importances)
    assert not np.array_equal(first.importances, other.importances)
    metrics.dci(codes, F, n_estimators=3)
    assert global_generators() == before


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_pipelines_and_frames(name, model):
    rows = X[:60]
    pipe = make_pipeline(StandardScaler(), ProbabilisticPCA()).fit(rows)
    assert OF_ESTIMATORS[name](pipe, rows, 0) == OF_ESTIMATORS[name](pipe[-1], pipe[0].transform(rows), 0)
    assert OF_ESTIMATORS[name](make_pipeline(model), rows, 0) == OF_ESTIMATORS[name](model, rows, 0)
    assert OF_ESTIMATORS[name](model, pd.DataFrame(rows), 0) == OF_ESTIMATORS[name](model, rows, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: metrics.mutual_information(model, X, n_samples=0), "n_samples=0; expected a whole number"),
        (lambda model: metrics.mutual_information(model, X[:1]), "Got 1 row; expected at least 2"),
        (lambda model: metrics.negative_log_likelihood(model, X, n_importance_samples=1.5), "n_importance_samples=1.5"),
        (lambda model: metrics.diagnose(model, X[:3]), "Got 3 rows; expected at least 4"),
        (lambda model: metrics.diagnose(model, X, max_samples=2), "max_samples=2"),
        (lambda model: metrics.dci(X, X, n_estimators=0), "n_estimators=0"),
        (lambda model: metrics.mutual_information_gap(X, X, n_bins=1), "n_bins=1; expected a whole number, 2 or more"),
    ],
)
def test_bad_numbers_are_refused(call, message, model):
    with pytest.raises(ValueError, match=message):
        call(model)


# -- the real thing --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vae():
    """A linear VAE near its optimum, probabilistic PCA."""
    return VAETransformer(
        2,
        likelihood="gaussian",
        hidden_layer_sizes=(),
        learning_rate="cosine",
        learning_rate_init=2e-2,
        batch_size=500,
        max_iter=400,
        standardize=False,
        random_state=0,
    ).fit(X)


def test_a_linear_vae_has_the_figures_of_probabilistic_pca(vae, model):
    assert metrics.kl_per_component(vae, X).sum() == pytest.approx(RATE.sum(), abs=0.1)
    assert metrics.active_units(vae, X) == 2
    told, _ = metrics.mutual_information(vae, X[:500], random_state=0)
    assert told == pytest.approx(RATE.sum(), abs=0.2)
    nll, _ = metrics.negative_log_likelihood(vae, X[:300], n_importance_samples=200)
    assert nll == pytest.approx(-model.log_likelihood(X[:300]).mean(), abs=0.05)
    diagnosis = metrics.diagnose(vae, X, n_importance_samples=20, max_samples=500, random_state=0)
    assert {"full code", "matching prior"} <= names(diagnosis)


@pytest.mark.parametrize("params", [{"prior": "gaussian_mixture"}, {"posterior": "full_covariance"}, {"prior": "flow"}])
def test_where_the_divergence_does_not_divide(params):
    vae = VAETransformer(2, **QUICK, **params).fit(X[:60])
    diagnosis = metrics.diagnose(vae, X[:60], n_importance_samples=2, random_state=0)
    assert diagnosis.kl_per_component.shape == (1,)
    assert diagnosis.mutual_information.value + diagnosis.marginal_kl.value == pytest.approx(diagnosis.rate)


def test_a_point_has_no_posterior_to_measure():
    vae = VAETransformer(2, **QUICK, posterior="point", divergence="mmd").fit(X[:60])
    with pytest.raises(TypeError, match="fit a VAETransformer whose posterior is not a point"):
        metrics.diagnose(vae, X)


def test_gaps_and_frames_are_passed_on():
    table = pd.DataFrame(make_table(60, 4), columns=list("abcd"))
    table.iloc[::7, 1] = np.nan
    vae = VAETransformer(2, **QUICK).fit(table)
    vae.set_output(transform="pandas")
    diagnosis = metrics.diagnose(vae, table, table, n_importance_samples=2, random_state=0)
    assert "missing values" in diagnosis.not_compared
    assert diagnosis.n_components == 2
