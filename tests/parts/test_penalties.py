"""Penalties: restated in NumPy, and at work. What holds for all of them is in `laws.py`."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from support import QUICK, make_table, seeded

from sklae import AutoencoderTransformer, VAETransformer
from sklae.penalties import L1, KLSparsity

Z = 2.0 * torch.randn(30, 4, generator=seeded(), dtype=torch.float64)


def _kl_sparsity(z, rate, weight):
    active = expit(z).mean(axis=0)
    return weight * np.sum(rate * np.log(rate / active) + (1 - rate) * np.log((1 - rate) / (1 - active)))


@pytest.mark.parametrize(
    ("penalty", "restated"),
    [
        (L1(0.3), lambda z: 0.3 * np.abs(z).sum(axis=1)),
        (KLSparsity(0.05, weight=2.0), lambda z: _kl_sparsity(z, 0.05, 2.0)),
        (KLSparsity(0.7), lambda z: _kl_sparsity(z, 0.7, 1.0)),
    ],
    ids=["l1", "kl_sparsity", "kl_sparsity_of_common_units"],
)
def test_term_is_the_formula(penalty, restated):
    np.testing.assert_allclose(penalty.term(Z).numpy(), restated(Z.numpy()), rtol=1e-12)


def test_kl_sparsity_is_zero_at_its_rate():
    z = torch.full((7, 3), float(np.log(0.2 / 0.8)), dtype=torch.float64)
    assert float(KLSparsity(0.2).term(z)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("penalty", ["l1", "kl_sparsity"])
def test_term_is_in_the_history_and_in_the_loss(estimator, penalty):
    row = estimator(penalty=penalty, **QUICK).fit(make_table(60, 4)).net_.history[-1]
    terms = {name: row[f"train_{name}"] for name in ("reconstruction", "kl", "penalty") if f"train_{name}" in row}
    assert terms["penalty"] > 0
    assert row["train_loss"] == pytest.approx(sum(terms.values()), rel=1e-5)


def test_penalties_shape_the_codes():
    X = make_table(200, 4)
    settings = {"hidden_layer_sizes": (), "max_iter": 100, "learning_rate_init": 0.01, "random_state": 0}
    settings["n_iter_no_change"] = np.inf
    plain = AutoencoderTransformer(3, **settings).fit_transform(X)
    small = AutoencoderTransformer(3, penalty=L1(0.3), **settings).fit_transform(X)
    rare = AutoencoderTransformer(3, penalty=KLSparsity(0.1, weight=10.0), **settings).fit_transform(X)
    assert np.abs(small).mean() < 0.5 * np.abs(plain).mean()
    np.testing.assert_allclose(expit(rare).mean(axis=0), 0.1, atol=0.03)
