"""Likelihoods: known densities, floors, and models of bits. What holds for all of them is in `laws.py`."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special, stats
from support import QUICK, into_support, make_layout, make_table, randomized, seeded
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from sklae import AutoencoderTransformer, VAETransformer
from sklae._tables.layout import Layout
from sklae.likelihoods import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    Histogram,
    Laplace,
    LogNormal,
    Mixed,
    NegativeBinomial,
    Poisson,
    StudentT,
    Support,
)

PARAMS = torch.randn(20, 3, generator=seeded(0), dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
def test_fixed_gaussian_is_the_normal_density(scale):
    x = torch.randn(20, 3, generator=seeded(1), dtype=torch.float64)
    log_prob = Gaussian(scale).build(make_layout()).log_prob(PARAMS, x)
    torch.testing.assert_close(log_prob, Normal(PARAMS, scale).log_prob(x))


@pytest.mark.parametrize(("scale", "n_scales"), [("shared", 1), ("per_feature", 3)])
def test_learned_gaussian_is_the_normal_density_of_its_scales(scale, n_scales):
    density = Gaussian(scale).build(make_layout()).double()
    with torch.no_grad():
        density.raw_log_scale.uniform_(-0.2, 0.2, generator=seeded(2))
    assert density.variance().shape == (n_scales,)
    x = torch.randn(20, 3, generator=seeded(1), dtype=torch.float64)
    torch.testing.assert_close(density.log_prob(PARAMS, x), Normal(PARAMS, density.variance().sqrt()).log_prob(x))


@pytest.mark.parametrize("min_scale", [1e-3, 0.1, 0.5])
def test_learned_scales_start_at_one(min_scale):
    """One standard deviation: what is not explained at first."""
    density = Gaussian("shared", min_scale=min_scale).build(make_layout())
    assert density.variance().item() == pytest.approx(1.0, rel=1e-5)


def test_bernoulli_is_the_probability_of_bits():
    x = torch.bernoulli(torch.full((20, 3), 0.5, dtype=torch.float64), generator=seeded(1))
    log_prob = Bernoulli().build(make_layout()).log_prob(PARAMS, x)
    torch.testing.assert_close(log_prob, TorchBernoulli(logits=PARAMS).log_prob(x))


@pytest.mark.parametrize("scale", ["shared", "per_feature"])
def test_floor_holds_where_a_column_can_be_copied(scale):
    """Two columns through a code of two: the error goes to zero, the density must not go to infinity."""
    X = make_table(100, 2)
    likelihood = Gaussian(scale, min_scale=0.1)
    ae = AutoencoderTransformer(
        2, likelihood=likelihood, hidden_layer_sizes=(), solver="lbfgs", max_iter=60, random_state=0
    ).fit(X)
    scales = ae.net_.module_.likelihood.variance().sqrt().detach().numpy()
    assert np.all(scales >= 0.1)
    assert np.all(scales < 0.11), "the column was not copied: the test shows nothing"
    ceiling = -np.log(0.1 * X.std(axis=0)).sum() - math.log(2 * math.pi)
    scores = ae.score_samples(X)
    assert scores.max() <= ceiling + 1e-6
    assert scores.mean() > ceiling - 0.5


def test_scale_below_the_floor_is_refused():
    with pytest.raises(ValueError, match=r"scale=0\.01, below min_scale=0\.1.*lower the floor"):
        AutoencoderTransformer(likelihood=Gaussian(0.01, min_scale=0.1)).fit(make_table(30, 3))


def test_model_of_eight_bits_sums_to_one():
    """Over all 256 rows there are, whatever the code."""
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
    bits = rows[np.random.RandomState(0).randint(256, size=300)]
    vae = VAETransformer(2, likelihood="bernoulli", **QUICK).fit(bits)
    module = vae.net_.inference_module(torch.float64)
    for z in torch.randn(5, 1, 2, generator=seeded(3), dtype=torch.float64):
        params = module.decode(z).expand(256, -1)
        log_prob = module.likelihood.log_prob(params, torch.as_tensor(rows)).sum(-1)
        assert float(log_prob.exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_bound_of_eight_bits_is_below_the_log_probability():
    """exp(score) over all rows sums to at most one: score_samples is a lower bound of log p."""
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
    bits = (np.random.RandomState(0).uniform(size=(400, 1)) < 0.5) * np.ones((400, 8))
    vae = VAETransformer(2, likelihood="bernoulli", **{**QUICK, "max_iter": 60, "learning_rate_init": 0.01}).fit(bits)
    scores = vae.score_samples(rows)
    assert 0.5 < np.exp(scores).sum() <= 1.0
    assert scores[[0, -1]].min() > scores[1:-1].max()


@pytest.mark.parametrize("values", [[0.0, 1.0], [0.0, 0.25, 0.5, 1.0]], ids=["bits", "grey"])
def test_bernoulli_works_in_units_of_probability(values):
    X = np.random.RandomState(0).choice(values, size=(100, 5))
    vae = VAETransformer(2, likelihood="bernoulli", **QUICK).fit(X)
    assert np.array_equal(vae.layout_.scaling.scale, np.ones(5))
    rows = vae.reconstruct(X)
    assert rows.min() > 0
    assert rows.max() < 1
    assert set(np.unique(vae.sample(50, random_state=0))) == {0.0, 1.0}
    assert vae.score(X) < 0


def test_densities_are_in_the_units_of_the_table():
    """A column in other units moves every score by the logarithm of the ratio, and nothing else."""
    X = make_table(80, 4)
    factors = np.array([1.0, 1e3, 1e-3, 7.0])
    for estimator in (AutoencoderTransformer(**QUICK), VAETransformer(**QUICK)):
        scores = estimator.fit(X).score_samples(X)
        rescaled = estimator.fit(X * factors + 5.0).score_samples(X * factors + 5.0)
        np.testing.assert_allclose(rescaled, scores - np.log(factors).sum(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_bernoulli_scores_no_values_outside_its_support(estimator):
    X = np.random.RandomState(0).uniform(size=(30, 3))
    fitted = estimator(2, likelihood="bernoulli", max_iter=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"Got values from .* expected all in \[0, 1\]. Put a MinMaxScaler"):
        fitted.score_samples(X + 1)


# -- known densities ------------------------------------------------------------------------------------


def _frozen(likelihood, seed=3):
    """Return a float64 density with learned numbers moved, params and rows to evaluate it at."""
    layout = make_layout(likelihood=likelihood)
    density = randomized(likelihood.build(layout), seed).double()
    params = torch.randn(40, density.n_outputs(3), generator=seeded(1), dtype=torch.float64)
    x = layout.encode(into_support(make_table(40, 3, seed=7), likelihood), dtype=torch.float64).x
    return density, params, x


def _numbers(value):
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def _student_t(density, params, x):
    return stats.t(_numbers(density.df()), params, _numbers(density.scale())).logpdf(x)


def _laplace(density, params, x):
    return stats.laplace(params, _numbers(density.scale())).logpdf(x)


def _log_normal(density, params, x):
    location, spread = density.location.numpy(), density.spread.numpy()
    width = spread * np.sqrt(_numbers(density.normal.variance()))
    return stats.lognorm(s=width, scale=np.exp(location + spread * params)).logpdf(x)


def _continuous_bernoulli(density, params, x):
    """A truncated exponential distribution, mirrored for positive logits."""
    size = np.abs(params)
    return stats.truncexpon(size, scale=1.0 / size).logpdf(np.where(params > 0, 1.0 - x, x))


def _poisson(density, params, x):
    return stats.poisson(np.exp(density.log_mean.numpy() + params)).logpmf(x)


def _negative_binomial(density, params, x):
    mean, shape = np.exp(density.log_mean.numpy() + params), 1.0 / _numbers(density.dispersion())
    return stats.nbinom(shape, shape / (shape + mean)).logpmf(x)


KNOWN = {
    "student_t": (StudentT("per_feature", "per_feature"), _student_t),
    "student_t shared": (StudentT(), _student_t),
    "student_t fixed": (StudentT(3.0, 0.7), _student_t),
    "laplace": (Laplace("per_feature"), _laplace),
    "laplace fixed": (Laplace(0.3), _laplace),
    "log_normal": (LogNormal("per_feature"), _log_normal),
    "log_normal fixed": (LogNormal(0.3), _log_normal),
    "continuous_bernoulli": (ContinuousBernoulli(), _continuous_bernoulli),
    "poisson": (Poisson(), _poisson),
    "negative_binomial": (NegativeBinomial(), _negative_binomial),
    "negative_binomial fixed": (NegativeBinomial(0.2), _negative_binomial),
}


@pytest.mark.parametrize("name", KNOWN)
def test_density_is_the_one_of_scipy(name):
    likelihood, reference = KNOWN[name]
    density, params, x = _frozen(likelihood)
    expected = reference(density, params.numpy(), x.numpy())
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(density.log_prob(params, x).detach().numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "n"), [(StudentT("per_feature"), 3), (StudentT(), 1), (StudentT(scale="per_feature"), 1)], ids=repr
)
def test_learned_degrees_of_freedom_keep_the_variance(likelihood, n):
    df = likelihood.build(make_layout()).df
    assert df().detach().numpy() == pytest.approx(np.full(n, 10.0), rel=1e-5)
    for value in (-1e3, 1e3):
        with torch.no_grad():
            df.raw.fill_(value)
        assert torch.all((df() > 2.03) & (df() < 1_001))


@pytest.mark.parametrize("likelihood", [Laplace, StudentT, LogNormal, NegativeBinomial])
def test_learned_numbers_have_a_floor(likelihood):
    name = "dispersion" if likelihood is NegativeBinomial else "scale"
    settings = {name: "per_feature", f"min_{name}": 0.25}
    density = likelihood(**settings).build(make_layout(likelihood=likelihood()))
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.fill_(-1e3)
    lowest = density.normal.variance().sqrt() if likelihood is LogNormal else getattr(density, name)()
    assert lowest.detach().numpy() == pytest.approx(np.full(3, 0.25), rel=1e-6)
    with pytest.raises(ValueError, match=f"Got {name}=0.1, below min_{name}=0.25; expected .* Raise the {name} or"):
        likelihood(**{**settings, name: 0.1}).build(make_layout(likelihood=likelihood()))


# -- numbers between zero and one ------------------------------------------------------------------------

_AROUND_ZERO = [0.0, 1e-12, 1e-8, 1e-4, 1e-3, 0.01, 0.1, 0.2499999, 0.25, 0.2500001, 0.5, 1.0, 5.0, 30.0, 700.0]
_LOGITS = torch.tensor(sorted({*_AROUND_ZERO, *(-v for v in _AROUND_ZERO)}), dtype=torch.float64)


def _quadrature(logits):
    """Return log of the integral of exp(logit x) over [0, 1], and the mean and variance of x under that density."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, weights = 0.5 * (nodes + 1.0), 0.5 * weights
    shifted = weights * np.exp(logits[:, None] * x - np.maximum(logits, 0.0)[:, None])
    mass = shifted.sum(1)
    mean = (shifted * x).sum(1) / mass
    variance = (shifted * (x - mean[:, None]) ** 2).sum(1) / mass
    return np.log(mass) + np.maximum(logits, 0.0), mean, variance


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_continuous_bernoulli_is_stable_around_a_logit_of_zero(dtype, tolerance):
    """The normaliser, its first derivative (the mean) and its second (the variance) by numerical integration."""
    density = ContinuousBernoulli().build(make_layout())
    logits = _LOGITS.to(dtype).requires_grad_()
    norm, mean, variance = _quadrature(logits.detach().double().numpy())
    energy = density.energy(logits, torch.zeros_like(logits))
    (first,) = torch.autograd.grad(energy.sum(), logits)
    (second,) = torch.autograd.grad(density.mean(logits).sum(), logits)
    np.testing.assert_allclose(energy.detach(), norm, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(first, mean, rtol=0, atol=10 * tolerance)
    np.testing.assert_allclose(density.mean(logits).detach(), mean, rtol=0, atol=tolerance)
    np.testing.assert_allclose(second, variance, rtol=0, atol=30 * tolerance)


def test_continuous_bernoulli_is_the_density_of_torch():
    density, params, x = _frozen(ContinuousBernoulli())
    expected = torch.distributions.ContinuousBernoulli(logits=params)
    torch.testing.assert_close(density.log_prob(params, x), expected.log_prob(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(density.mean(params), expected.mean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("logit", [-1e4, -5.0, -1e-7, 0.0, 1e-5, 3.0, 1e4])
def test_continuous_bernoulli_samples_by_its_distribution_function(logit):
    params = torch.full((20_000,), logit, dtype=torch.float64)
    draws = ContinuousBernoulli().build(make_layout()).sample(params, seeded()).numpy()
    size = abs(logit)
    reference = stats.uniform() if size < 1e-3 else stats.truncexpon(size, scale=1.0 / size)
    assert stats.kstest(1.0 - draws if logit > 0 else draws, reference.cdf).pvalue > 1e-3


# -- categories -----------------------------------------------------------------------------------------


def _codes(levels, n_samples=60, seed=0):
    rng = np.random.RandomState(seed)
    X = np.column_stack([rng.randint(0, n, size=n_samples) for n in levels]).astype(float)
    X[0] = np.array(levels) - 1
    X[1] = 0
    return X


@pytest.mark.parametrize("levels", [(4, 4, 4), (2, 5, 3), (3, 2)], ids=str)
def test_categories_are_softmaxes_of_their_columns_logits(levels):
    X = _codes(levels)
    layout = Layout.fit(X, rows=None, standardize=False)
    density = Categorical().build(layout)
    n = len(levels)
    assert density.n_outputs(n) == density.n_inputs(n) == sum(levels)
    params = torch.randn(len(X), sum(levels), generator=seeded(), dtype=torch.float64)
    x = torch.as_tensor(X)
    code, column = density.code.numpy(), density.column.numpy()
    hot = density.inputs(x, None).numpy()
    terms = density.log_prob(params, x).numpy()
    for j in range(n):
        own = np.flatnonzero(column == j)
        assert np.array_equal(code[own], np.arange(levels[j]))
        logits = params.numpy()[:, own]
        expected = np.take_along_axis(special.log_softmax(logits, axis=1), X[:, [j]].astype(int), axis=1)[:, 0]
        np.testing.assert_allclose(terms[:, j], expected, rtol=1e-12)
        np.testing.assert_array_equal(density.mean(params)[:, j], logits.argmax(1))
        np.testing.assert_array_equal(hot[:, own], X[:, [j]] == np.arange(levels[j]))


def test_gaps_and_unknown_codes_are_no_level_to_the_encoder():
    density = Categorical().build(Layout.fit(_codes((3, 2)), rows=None, standardize=False))
    x = torch.tensor([[1.0, 1.0], [1.3, 1.0], [7.0, 0.0]])
    observed = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    order = np.lexsort((density.code.numpy(), density.column.numpy()))
    hot = density.inputs(x, observed)[:, order]
    assert hot.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]]


def test_levels_that_fit_has_not_seen_are_refused():
    X = _codes((3, 2, 4))
    density = Categorical().build(Layout.fit(X, rows=None, standardize=False))
    x = torch.as_tensor(X)
    density.check(x, None)
    x[5, 1] = 2.0
    with pytest.raises(ValueError, match=r"Got code 2 .*number 1 .* fit saw 0 to 1; expected levels that fit has seen"):
        density.check(x, None)
    observed = torch.ones_like(x)
    density.check(x, observed.index_put((torch.tensor(5), torch.tensor(1)), torch.tensor(0.0, dtype=x.dtype)))
    with pytest.raises(ValueError, match="Got code 2"):
        density.check(x, observed)


def test_unseen_levels_are_told_by_the_names_of_columns():
    frame = pd.DataFrame(_codes((3, 2, 4)), columns=["size", "sex", "stage"])
    blocks = [("rest", "categorical", ["size"]), ("some", "categorical", ["sex", "stage"])]
    vae = VAETransformer(2, likelihood=blocks, **QUICK).fit(frame)
    with pytest.raises(ValueError, match="Got code 4 in categorical column 'stage', where fit saw 0 to 3"):
        vae.score_samples(frame.assign(stage=4.0))


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_estimators_refuse_levels_that_fit_has_not_seen(estimator):
    X = _codes((3, 2, 4))
    fitted = estimator(2, likelihood="categorical", **QUICK).fit(X)
    assert set(fitted.reconstruct(X)[:, 1]) <= {0.0, 1.0}
    with pytest.raises(ValueError, match=r"Got code 4 .*expected levels that fit has seen"):
        fitted.score_samples(X + np.array([0, 0, 1]))
    with pytest.raises(ValueError, match=r"Got values such as .*Encode categories as 0, 1, 2.*OrdinalEncoder"):
        estimator(2, likelihood="categorical", **QUICK).fit(X / 2)


def test_identifiers_are_no_categories():
    X = np.column_stack([np.arange(50) * 10_000, _codes((3, 2), 50)]).astype(float)
    with pytest.raises(ValueError, match=r"Got categorical columns of 490,00. levels in all.*leave out columns"):
        Categorical().build(Layout.fit(X, rows=None, standardize=False))


def test_constant_categories_need_no_levels():
    X = _codes((3, 2))
    X[:, 1] = 1e6
    layout = Layout.fit(X, rows=None, standardize=False)
    density = Categorical().build(layout)
    assert density.n_outputs(2) == 4
    density.check(layout.encode(X).x, None)


def test_a_model_of_categories_sums_to_one():
    """Over all 24 rows there are, whatever the code."""
    levels = (2, 3, 4)
    rows = np.array(list(itertools.product(*map(range, levels))), dtype=float)
    vae = VAETransformer(2, likelihood="categorical", **QUICK).fit(_codes(levels, 200))
    module = vae.net_.inference_module(torch.float64)
    params = module.decode(torch.randn(1, 2, generator=seeded(3), dtype=torch.float64)).expand(len(rows), -1)
    log_prob = module.likelihood.log_prob(params, torch.as_tensor(rows)).sum(-1)
    assert float(log_prob.exp().sum()) == pytest.approx(1.0, abs=1e-9)


# -- counts and sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", [Poisson(), NegativeBinomial()], ids=repr)
def test_rates_start_at_the_columns_mean_and_never_overflow(likelihood):
    layout = make_layout(likelihood=likelihood)
    density = likelihood.build(layout)
    np.testing.assert_allclose(density.mean(torch.zeros(1, 3))[0], layout.mean, rtol=1e-5)
    params = torch.tensor([-1e4, -100.0, 5.0, 10.0, 10.01, 1e4])[:, None].expand(-1, 3)
    rates = density.mean(params) / torch.as_tensor(layout.mean, dtype=torch.float32)
    assert rates.isfinite().all()
    assert torch.all(rates.diff(dim=0) >= 0)
    np.testing.assert_allclose(rates[2:4, 0], np.exp([5.0, 10.0]), rtol=1e-5)


def test_dispersion_starts_at_what_the_columns_show():
    X = np.random.RandomState(0).negative_binomial(2.0, 0.2, size=(20_000, 3)).astype(float)
    layout = Layout.fit(X, rows=None, standardize=False)
    for setting, n in (("per_feature", 3), ("shared", 1)):
        start = NegativeBinomial(setting).build(layout).dispersion().detach().numpy()
        assert start == pytest.approx(np.full(n, 0.5), rel=0.1)


def test_negative_binomial_without_dispersion_is_poisson():
    density, params, x = _frozen(NegativeBinomial(1e-9, min_dispersion=1e-9))
    plain = Poisson().build(make_layout(likelihood=Poisson())).double()
    torch.testing.assert_close(density.log_prob(params, x), plain.log_prob(params, x), rtol=0, atol=1e-4)


def test_log_normal_is_the_normal_density_of_logarithms_and_its_jacobian():
    density, params, x = _frozen(LogNormal("per_feature"))
    location = density.location + density.spread * params
    scale = density.spread * density.normal.variance().sqrt()
    torch.testing.assert_close(density.log_prob(params, x), Normal(location, scale).log_prob(x.log()) - x.log())
    torch.testing.assert_close(density.mean(params), (location + 0.5 * scale.square()).exp())


def test_log_normal_reads_standard_logarithms():
    """Of log-normal columns, whatever their units."""
    X = np.exp(np.random.RandomState(0).normal(size=(50_000, 3)) * [0.1, 0.5, 0.9] + [-9.0, 0.0, 9.0])
    layout = Layout.fit(X, rows=None, standardize=False)
    seen = LogNormal().build(layout).inputs(layout.encode(X).x, None)
    np.testing.assert_allclose(seen.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(seen.std(0), 1.0, atol=0.05)


@pytest.mark.parametrize("likelihood", ["log_normal", "poisson", "negative_binomial"])
def test_positive_data_are_scored_in_their_own_units(likelihood):
    """Densities of the values themselves: better than a normal distribution's where they are skewed."""
    rng = np.random.RandomState(0)
    mean = np.exp(rng.normal(size=(300, 1)) + 1.0) * np.ones((1, 4))
    X = mean * np.exp(0.3 * rng.normal(size=(300, 4))) if likelihood == "log_normal" else rng.poisson(mean) * 1.0
    settings = {"max_iter": 60, "learning_rate": "one_cycle", "learning_rate_init": 0.01, "random_state": 0}
    fitted, normal = (VAETransformer(1, likelihood=name, **settings).fit(X) for name in (likelihood, "gaussian"))
    assert fitted.score(X) > normal.score(X)
    rebuilt = fitted.reconstruct(X)
    assert np.corrcoef(np.log1p(rebuilt[:, 0]), np.log1p(mean[:, 0]))[0, 1] > 0.8
    assert rebuilt.mean() == pytest.approx(X.mean(), rel=0.2)


# -- supports -------------------------------------------------------------------------------------------

SUPPORTS = {
    "[0, 1]": (Support(0.0, 1.0), [0.0, 0.3, 1.0], [-0.1, 1.5], "MinMaxScaler"),
    "(0, inf)": (Support(0.0, open_low=True), [1e-9, 5.0], [0.0, -1.0], "gaussian"),
    "[0, inf)": (Support(0.0), [0.0, 5.0], [-1.0], "gaussian"),
    "(-inf, 3]": (Support(high=3.0), [-1e9, 3.0], [3.5], "another likelihood"),
    "the integers 0, 1, 2, …": (Support(0.0, integer=True), [0.0, 7.0], [-1.0, 0.5], "counts"),
    "the integers 0 to 5": (Support(0.0, 5.0, integer=True), [0.0, 5.0], [6.0, 2.5], "another likelihood"),
    "the integers up to 5": (Support(high=5.0, integer=True), [-9.0, 5.0], [6.0], "another likelihood"),
    "the integers": (Support(integer=True), [-9.0, 5.0], [0.1], "another likelihood"),
    "[-1, 1]": (Support(-1.0, 1.0, remedy="Take cosines."), [0.5], [2.0], "Take cosines"),
}


@pytest.mark.parametrize("text", SUPPORTS)
def test_supports_accept_refuse_and_say_what_they_are(text):
    support, inside, outside, remedy = SUPPORTS[text]
    assert support.is_bounded
    assert str(support) == text
    support.check(torch.tensor(inside))
    support.check(torch.tensor([]))
    for value in outside:
        with pytest.raises(ValueError, match=f"Got values .* for this likelihood; expected .*{remedy}"):
            support.check(torch.tensor([*inside, value]))


def test_real_numbers_have_no_bounds():
    assert not Support().is_bounded
    assert str(Support()) == "all real numbers"
    Support().check(torch.tensor([-1e30, np.pi]))


def test_bare_likelihoods_are_one_block_of_all_columns():
    likelihood = Gaussian()
    ((name, part, indices),) = likelihood.assign(make_layout(4).columns)
    assert name == "x"
    assert part is likelihood
    assert indices.tolist() == [0, 1, 2, 3]


# -- histograms -----------------------------------------------------------------------------------------


def _spiky(n=4_000, seed=0):
    """Amounts that are mostly 0, real numbers that end at a limit, decimals, and heavy tails."""
    rng = np.random.RandomState(seed)
    z = rng.normal(size=n)
    amounts = np.where(z + rng.normal(size=n) < 1.0, 0.0, np.round(rng.lognormal(7.0, 1.0, size=n)) + 1.0)
    ends = np.minimum(z + 0.5 * rng.normal(size=n), np.pi / 4)
    return np.column_stack([amounts, ends, np.round(np.exp(z), 2), z + rng.standard_cauchy(size=n)])


def _histogram(X, **settings):
    layout = Layout.fit(X, rows=None, standardize=True)
    return layout, Histogram(**settings).build(layout).double()


def _weights(density, n, seed=1):
    return torch.randn(n, density.n_outputs(4), generator=seeded(seed), dtype=torch.float64)


def test_histograms_start_at_the_columns_own_distribution():
    """By hand: shares over widths, in the user's units; a repeated value among real numbers has its probability."""
    X = _spiky()
    layout, density = _histogram(X)
    x = layout.encode(X, dtype=torch.float64).x
    zeros = torch.zeros(len(X), density.n_outputs(4), dtype=torch.float64)
    terms = density.log_prob(zeros, x).numpy() + layout.log_jacobian
    for values, grid, term in zip(X.T, layout.grids, terms.T, strict=True):
        cell = ((values[:, None] >= grid.low) & (values[:, None] <= grid.high)).argmax(1)
        width = (grid.high - grid.low)[cell]
        seen = grid.share[cell] / np.where(width > 0, width, 1.0)
        unseen = stats.cauchy(values.mean(), values.std()).pdf(values) * np.where(width > 0, 1.0, values.std())
        np.testing.assert_allclose(np.exp(term), (1.0 - 1e-4) * seen + 1e-4 * unseen, rtol=1e-4)
    for column, value in ((0, 0.0), (1, np.pi / 4)):
        spike = X[:, column] == value
        np.testing.assert_allclose(np.exp(terms[spike, column]), spike.mean(), rtol=1e-3)


def test_histograms_tilt_shares_by_bumps_and_repeated_values():
    """By hand: a softmax of the shares' logarithms plus Gaussian bumps over normal scores, plus weights of spikes."""
    X = _spiky()
    layout, density = _histogram(X, n_bumps=5)
    weights = _weights(density, 1)
    logits = density.logits(weights)[:, 0].numpy()
    weights = weights[0].numpy()
    for grid, own in zip(layout.grids, logits, strict=True):
        score = stats.norm.ppf(np.cumsum(grid.share) - 0.5 * grid.share)
        bumps = np.exp(-0.5 * ((score[:, None] - np.linspace(-2.5, 2.5, 5)) / 1.25) ** 2)
        spikes = np.flatnonzero((grid.share >= 1 / 32) & (grid.high - grid.low == grid.step))
        expected = np.log(grid.share) + bumps @ weights[:5]
        expected[spikes] += weights[5 : 5 + len(spikes)]
        np.testing.assert_allclose(own[: len(expected)], expected, rtol=1e-5, atol=1e-5)
        assert np.all(np.isneginf(own[len(expected) :]))
        weights = weights[5 + len(spikes) :]
    assert not len(weights)


def test_histograms_integrate_to_one_in_the_units_of_the_table():
    """Whole numbers and decimals: the sum over all there are, times their step; real numbers: also the spike's mass."""
    X = _spiky()
    layout, density = _histogram(X)
    row = _weights(density, 1)

    def score(values, column):
        table = np.tile(X[0], (len(values), 1))
        table[:, column] = values
        x = layout.encode(table, dtype=torch.float64).x
        log_prob = density.log_prob(row.expand(len(x), -1), x)[:, column].numpy() + layout.log_jacobian[column]
        return np.exp(log_prob)

    whole = np.arange(X[:, 0].max() + 1)
    assert score(whole, 0).sum() == pytest.approx(1.0, abs=2e-4)
    cents = np.arange(0.0, 100 * X[:, 2].max() + 1) / 100
    assert 0.01 * score(cents, 2).sum() == pytest.approx(1.0, abs=2e-4)
    line = np.linspace(X[:, 1].min(), np.pi / 4, 400_001)[:-1] + 1e-7
    spike = score([np.pi / 4], 1)[0]
    assert 0.05 < spike < 0.95
    assert score(line, 1).mean() * np.ptp(X[:, 1]) + spike == pytest.approx(1.0, abs=1e-3)


def test_values_that_fit_has_not_seen_are_improbable_and_no_more():
    X = _spiky()
    layout, density = _histogram(X)
    table = np.tile(X[0], (7, 1))
    table[:, 0] = [-1e300, -1e6, -2.0, 5.0, 1e6, 1e9, 1e300]
    terms = density.log_prob(_weights(density, 1).expand(7, -1), layout.encode(table, dtype=torch.float64).x)[:, 0]
    assert terms.isfinite().all()
    assert terms.max() < math.log(1e-4)
    assert torch.all(terms[:3].diff() > 0)
    assert torch.all(terms[4:].diff() < 0)


def test_draws_of_histograms_keep_range_decimals_and_spikes():
    X = _spiky()
    layout, density = _histogram(X)
    zeros = torch.zeros(len(X), density.n_outputs(4), dtype=torch.float64)
    rows = layout.decode(density.sample(zeros, seeded()).numpy())
    rounding = 1e-12 * np.abs(X).max(0)
    assert np.all((rows >= X.min(0) - rounding) & (rows <= X.max(0) + rounding))
    assert np.array_equal(rows[:, 0], np.round(rows[:, 0]))
    assert np.array_equal(rows[:, 2], np.round(rows[:, 2], 2))
    for column, value in ((0, 0.0), (1, np.pi / 4)):
        share = (np.abs(rows[:, column] - value) < 1e-12).mean()
        assert share == pytest.approx((X[:, column] == value).mean(), abs=0.03)
    for drawn, values in zip(rows.T, X.T, strict=True):
        assert stats.ks_2samp(drawn.round(9), values.round(9)).statistic < 0.05
    coarse = density.float().sample(zeros.float(), seeded()).numpy()
    np.testing.assert_allclose(layout.decode(coarse.astype(np.float64)), rows, rtol=1e-5, atol=1e-4)


def test_the_encoder_sees_normal_scores():
    """Of ranks: in the order of the values, however far they lie out."""
    X = _spiky()
    layout, density = _histogram(X)
    seen = density.inputs(layout.encode(X, dtype=torch.float64).x, None).numpy()
    assert np.abs(seen).max() < 3.1
    for values, scores in zip(X.T, seen.T, strict=True):
        assert np.all(np.diff(scores[values.argsort(kind="stable")]) >= -1e-6)
        ranks = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
        assert np.corrcoef(scores, ranks)[0, 1] > 0.99


@pytest.mark.slow
def test_histograms_fit_what_no_density_of_one_form_does():
    """Held-out rows of spikes and heavy tails, all whole numbers: scores are comparable."""
    train, test = (np.round(10 * _spiky(2_000, seed)) for seed in (0, 1))
    settings = {"max_iter": 30, "learning_rate": "one_cycle", "learning_rate_init": 0.01, "random_state": 0}
    scores = {
        name: VAETransformer(2, likelihood=name, **settings).fit(train).score(test)
        for name in ("gaussian", "student_t", "histogram")
    }
    assert scores["histogram"] > max(scores["gaussian"], scores["student_t"]) + 1.0


def test_histograms_know_nothing_of_single_rows():
    """A fitted model has no more numbers of a column than a summary has."""
    X = np.random.RandomState(0).normal(size=(400, 2))
    vae = VAETransformer(1, likelihood="histogram", **QUICK).fit(X)
    for grid in vae.layout_.grids:
        assert len(grid.low) == 20
        assert np.isin(np.concatenate([grid.low, grid.high]), X).sum() == 2  # the ends of the range


def test_grids_are_read_only_where_asked_for():
    X = _spiky(200)
    assert VAETransformer(1, **QUICK).fit(X).layout_.grids == (None,) * 4
    blocks = [("heavy", "histogram", [0, 3]), ("rest", "gaussian", [1, 2])]
    grids = VAETransformer(1, likelihood=blocks, **QUICK).fit(X).layout_.grids
    assert [grid is None for grid in grids] == [False, True, True, False]


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_mixed_tables_take_histograms_in_one_word(estimator):
    """Draws keep ranges, whole numbers and levels; gaps are filled, and conditions followed."""
    X = _spiky(400)
    frame = pd.DataFrame({"gain": X[:, 0].astype(int), "rate": X[:, 1], "price": X[:, 2]})
    frame["job"] = np.where(frame.gain > 0, "clerk", "cook")
    frame["hours"] = pd.array(np.random.RandomState(0).randint(1, 99, size=400), dtype="Int64")
    frame.loc[::7, "rate"] = np.nan
    frame.loc[::5, "hours"] = pd.NA
    fitted = estimator(
        2, likelihood=Mixed("histogram"), condition_features=["job"], sample_from="aggregate", **QUICK
    ).fit(frame)
    rows = fitted.sample(200, random_state=0, condition={"job": ["cook", "clerk"]})
    assert rows.dtypes.tolist() == frame.dtypes.tolist()
    numbers = ["gain", "rate", "price", "hours"]
    assert (rows[numbers].min() >= frame[numbers].min()).all()
    assert (rows[numbers].max() <= frame[numbers].max()).all()
    assert np.array_equal(rows.price, rows.price.round(2))
    assert np.isfinite(fitted.score_samples(frame)).all()
    assert fitted.reconstruct(frame).notna().all().all()
