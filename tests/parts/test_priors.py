"""Priors: known densities. What holds for all of them is in `laws.py`."""

import numpy as np
import pytest
import torch
from support import QUICK, make_layout, make_table, seeded
from torch.distributions import Normal

from sklae import VAETransformer
from sklae.priors import CodeDistribution, GaussianMixture, Prior, PriorModule, StandardNormal, StandardNormalCodes


class _Anonymous(CodeDistribution):
    """Standard normal, but of no class that a closed form knows."""

    def __init__(self, n_components):
        self.normal = StandardNormalCodes(n_components)

    def log_prob(self, z):
        return self.normal.log_prob(z)

    def sample(self, n_samples, generator):
        return self.normal.sample(n_samples, generator)


class _AnonymousModule(PriorModule):
    def __init__(self, n_components):
        super().__init__()
        self.distribution = _Anonymous(n_components)

    def forward(self, encode, condition=None):
        return self.distribution


class AnonymousNormal(Prior):
    def build(self, n_components, layout):
        return _AnonymousModule(n_components)


def test_standard_normal_is_the_normal_density():
    z = torch.randn(20, 3, generator=seeded(), dtype=torch.float64)
    log_prob = StandardNormal().build(3, make_layout())(None).log_prob(z)
    torch.testing.assert_close(log_prob, Normal(0.0, 1.0).log_prob(z).sum(-1))


def test_kl_by_draws_scores_as_the_closed_form_does():
    """The path of priors without a closed form, on one that has it: the draws of the score are stratified."""
    X = make_table(80, 4)
    vae = VAETransformer(2, **QUICK).fit(X)
    exact = vae.score_samples(X)
    vae.net_.module_.prior = AnonymousNormal().build(2, vae.layout_)
    vae.net_._float64 = None
    np.testing.assert_allclose(vae.score_samples(X), exact, rtol=0, atol=0.02)


def test_kl_by_draws_trains_as_the_closed_form_does():
    """Its gradient is noisier; where it leads is the same."""
    X = make_table(300, 4)
    settings = {**QUICK, "max_iter": 60, "learning_rate_init": 0.01}
    scores = [VAETransformer(2, prior=prior, **settings).fit(X).score(X) for prior in ("normal", AnonymousNormal())]
    assert abs(scores[0] - scores[1]) < 0.1


def test_samples_of_a_vae_are_decoded_codes_of_its_prior():
    """They have the table's location and scale."""
    X = make_table(200, 3)
    vae = VAETransformer(2, **{**QUICK, "max_iter": 40, "learning_rate_init": 0.02}).fit(X)
    rows = vae.sample(4_000, random_state=0)
    assert np.all(np.abs(rows.mean(0) - X.mean(0)) < 0.3 * X.std(0))
    np.testing.assert_allclose(rows.std(0), X.std(0), rtol=0.3)


@pytest.mark.parametrize("prior", ["gaussian_mixture", "vamp", "flow"])
@pytest.mark.parametrize("n_importance_samples", [1, 4])
def test_codes_under_a_prior_that_follows_them_stay_in_place(prior, n_importance_samples):
    """The encoder is pushed away at the start: a decoder that saturates would never bring it back."""
    X = make_table(300, 5)
    settings = {**QUICK, "max_iter": 30, "learning_rate_init": 0.01}
    vae = VAETransformer(2, prior=prior, n_importance_samples=n_importance_samples, **settings).fit(X)
    codes = vae.sample_posterior(X, 20, random_state=0).reshape(-1, 2)
    assert np.all(np.abs(codes.mean(0)) < 1.0)
    assert np.all((codes.std(0) > 0.5) & (codes.std(0) < 2.0))
    history = vae.net_.history[-1]
    assert 0.0 <= history["train_anchor"] < 0.1


def test_what_holds_codes_in_place_is_no_part_of_the_bound():
    vae = VAETransformer(2, prior="flow", **QUICK).fit(make_table(60, 4), X_val=make_table(30, 4, seed=1))
    history = vae.net_.history[-1]
    assert history["valid_anchor"] > 0
    assert history["valid_bound"] == pytest.approx(history["valid_reconstruction"] + history["valid_kl"])
    one_row = VAETransformer(2, prior="flow", **QUICK).fit(make_table(60, 4), X_val=make_table(1, 4))
    assert one_row.net_.history[-1]["valid_anchor"] >= 0


def test_a_prior_that_is_given_holds_codes_by_itself():
    means = np.array([[3.0, 0.0], [-3.0, 0.0]])
    vae = VAETransformer(2, prior=GaussianMixture(2, means=means), **QUICK).fit(make_table(60, 4))
    assert "train_anchor" not in vae.net_.history[-1]
