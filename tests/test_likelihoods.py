"""Likelihoods: known densities, floors, and models of bits. What holds for all of them is in `laws.py`."""

import itertools
import math

import numpy as np
import pytest
import torch
from support import QUICK, make_layout, make_table, seeded
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from sklae import AutoencoderTransformer, VAETransformer
from sklae.likelihoods import Bernoulli, Gaussian

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
    assert np.array_equal(vae.layout_.scale, np.ones(5))
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
