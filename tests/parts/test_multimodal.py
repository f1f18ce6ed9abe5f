"""Models of several blocks of columns, each with an encoder of its own; and the corruptions that go with them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support import QUICK, make_layout, make_table, seeded
from torch.nn.functional import softplus
from toys import fingerprint, same, vae

from sklae import AutoencoderTransformer, VAETransformer
from sklae._tables.layout import Layout
from sklae.corruptions import Binarize, BlockMasking
from sklae.likelihoods import Gaussian
from sklae.posteriors import ProductOfExperts

N = 300
LATENT = np.random.RandomState(0).normal(size=(N, 1))
#: Two blocks that share what they vary by: each tells the other.
LEFT = LATENT @ np.array([[1.0, -1.0, 0.5]]) + 0.2 * np.random.RandomState(1).normal(size=(N, 3))
RIGHT = LATENT @ np.array([[2.0, 1.0]]) + 0.2 * np.random.RandomState(2).normal(size=(N, 2)) + 5.0
X = np.hstack([LEFT, RIGHT])
BLOCKS = [("left", Gaussian("per_feature"), slice(0, 3)), ("right", Gaussian("per_feature"), slice(3, 5))]
TRAINED = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate": "one_cycle", "learning_rate_init": 0.02}


def without(block):
    """Return the table with a block missing."""
    table = X.copy()
    table[:, block] = np.nan
    return table


@pytest.fixture(scope="module")
def model():
    return VAETransformer(
        1, likelihood=BLOCKS, posterior="product_of_experts", corruption=BlockMasking(0.3), random_state=0, **TRAINED
    ).fit(X)


# -- product of experts -----------------------------------------------------------------------------------


def _experts(n_blocks, k, n=6):
    h = torch.randn(n, 2 * n_blocks * k, generator=seeded(), dtype=torch.float64)
    blocks = h.unflatten(1, (n_blocks, 2 * k))
    return h, blocks[..., :k], softplus(blocks[..., k:])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("n_blocks", [1, 2, 4])
def test_precisions_add(n_blocks, k):
    """To those of the standard normal; the mean is weighed by them."""
    h, means, scales = _experts(n_blocks, k)
    q = ProductOfExperts().build(k)(torch.cat([h, torch.ones(6, n_blocks)], dim=1))
    precision = 1.0 + (1.0 / scales**2).sum(1)
    torch.testing.assert_close(q.scale, precision.rsqrt())
    torch.testing.assert_close(q.mean, (means / scales**2).sum(1) / precision)


def test_product_is_proportional_to_the_product_of_the_densities():
    h, means, scales = _experts(2, 1, n=1)
    q = ProductOfExperts().build(1)(torch.cat([h, torch.ones(1, 2)], dim=1))
    z = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None, None]
    product = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    for i in range(2):
        product = product + torch.distributions.Normal(means[0, i], scales[0, i]).log_prob(z)
    ratio = q.log_prob(z) - product[..., 0]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


@pytest.mark.parametrize("missing", [[0], [1], [0, 2], [0, 1, 2]], ids=str)
def test_experts_of_missing_blocks_are_left_out(missing):
    h, means, scales = _experts(3, 2)
    present = torch.ones(6, 3, dtype=torch.float64)
    present[:, missing] = 0.0
    q = ProductOfExperts().build(2)(torch.cat([h, present], dim=1))
    there = [i for i in range(3) if i not in missing]
    if not there:  # nothing is known but the prior
        assert torch.equal(q.mean, torch.zeros(6, 2, dtype=torch.float64))
        assert torch.equal(q.scale, torch.ones(6, 2, dtype=torch.float64))
        return
    rest = torch.cat([torch.cat([means[:, i], h.unflatten(1, (3, 4))[:, i, 2:]], dim=1) for i in there], dim=1)
    alone = ProductOfExperts().build(2)(torch.cat([rest, torch.ones(6, len(there))], dim=1))
    torch.testing.assert_close(q.mean, alone.mean)
    torch.testing.assert_close(q.scale, alone.scale)
    assert torch.all(scales > 0)


def test_a_constant_does_not_speak_for_its_block():
    blocks = [*BLOCKS[:1], ("right", Gaussian("per_feature"), slice(3, 6))]
    model = vae(likelihood=blocks, posterior="product_of_experts").fit(np.column_stack([X, np.full(N, 7.0)]))
    nothing = np.full((2, 6), np.nan)
    nothing[0, 5] = 7.0
    assert not model.transform(nothing).any()  # the prior's mean


def _widths(fitted):
    """Return the number of inputs of each encoder's first layer."""
    layers = [
        [m for m in encoder.modules() if isinstance(m, torch.nn.Linear)] for encoder in fitted.net_.module_.encoder
    ]
    return [first.in_features for first, *_ in layers]


def test_each_expert_sees_its_block_alone(model):
    """And beside it which values there are."""
    assert _widths(model) == [2 * 3, 2 * 2]
    codes = model.transform(without(slice(3, 5)))
    changed = without(slice(3, 5))
    changed[:, :3] += 1.0
    assert not np.allclose(model.transform(changed), codes)
    # what stands in a gap does not matter to the other expert
    module = model.net_.module_.double()
    rows = model.layout_.encode(without(slice(3, 5)), dtype=torch.float64)
    with torch.no_grad():
        first = module.encode(*rows).mean
        other = module.encode(rows.x + 100.0 * (rows.observed == 0), rows.observed).mean
    module.float()
    torch.testing.assert_close(first, other)


def test_a_row_without_any_value_has_the_prior_for_a_posterior(model):
    table = X.copy()
    table[0] = np.nan
    mean, std = model.encode(table)
    assert (mean[0, 0], std[0, 0]) == (0.0, 1.0)
    assert model.posterior_kl(table)[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert model.score_samples(table)[0] == pytest.approx(0.0, abs=1e-9)


def test_less_seen_is_less_known(model):
    """Precisions only add."""
    full = model.encode(X)[1]
    for block in (slice(0, 3), slice(3, 5)):
        assert np.all(model.encode(without(block))[1] > full)


@pytest.mark.parametrize("block", [slice(0, 3), slice(3, 5)], ids=["left", "right"])
def test_a_missing_block_is_read_off_the_other(block, model):
    """Better than by its mean: the noise of 0.2 is a small part of both, so that most of the variance is explained."""
    filled = model.reconstruct(without(block))[:, block]
    explained = 1 - (filled - X[:, block]).var(0) / X[:, block].var(0)
    assert np.all(explained > 0.6)


def test_scores_of_blocks_add_up_to_less_than_the_whole(model):
    """They share a cause: log p(left, right) is above log p(left) + log p(right)."""
    left, right, both = (model.score(table) for table in (without(slice(3, 5)), without(slice(0, 3)), X))
    assert both > left + right + 0.5


@pytest.mark.parametrize("likelihood", ["auto", "gaussian", Gaussian(1.0)], ids=str)
def test_experts_need_blocks(likelihood):
    with pytest.raises(ValueError, match=r"Got posterior='product_of_experts' with .*expected a list of blocks"):
        vae(posterior="product_of_experts", likelihood=likelihood).fit(X)


def test_experts_take_mixed_blocks_gaps_conditions_and_total_correlation():
    rng = np.random.RandomState(0)
    table = np.column_stack([X, rng.poisson(np.exp(LATENT[:, 0])), rng.randint(2, size=N)])
    table[::7, :3] = np.nan
    blocks = [("real", "gaussian", range(5)), ("counts", "poisson", [5])]
    fitted = vae(
        n_components=2,
        posterior="product_of_experts",
        divergence="tc",
        beta=2.0,
        likelihood=blocks,
        condition_features=[6],
    ).fit(table)
    assert _widths(fitted) == [5 + 5 + 1, 1 + 1 + 1]
    assert np.isfinite(fitted.score_samples(table)).all()
    assert fitted.sample(3, condition=1, random_state=0).shape == (3, 7)
    assert same(fingerprint(fitted, table), fingerprint(clone(fitted).fit(table), table))


# -- hidden blocks ----------------------------------------------------------------------------------------


def _masked(sizes, probability, n=20_000):
    """Return which of the columns of blocks are kept, and what the values became."""
    edges = np.cumsum([0, *sizes])
    blocks = tuple((f"b{i}", np.arange(a, b)) for i, (a, b) in enumerate(pairwise(edges)))
    layout = replace(make_layout(int(edges[-1])), blocks=blocks)
    x = torch.randn(n, int(edges[-1]), generator=seeded(1)) + 9.0
    damaged, kept = BlockMasking(probability).build(layout)(x, seeded(2))
    assert torch.equal(damaged[kept == 1], x[kept == 1])
    fill = torch.as_tensor(layout.fill, dtype=torch.float32).expand_as(x)
    assert torch.equal(damaged[kept == 0], fill[kept == 0])
    return [kept[:, columns] for _, columns in blocks]


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (1, 4, 2)], ids=str)
def test_blocks_are_hidden_whole_and_never_all(sizes, probability):
    kept = _masked(sizes, probability)
    for block in kept:
        assert torch.all((block == block[:, :1]).all(1))
        assert set(block.unique().tolist()) <= {0.0, 1.0}
    seen = torch.stack([block[:, 0] for block in kept], dim=1)
    assert torch.all(seen.sum(1) >= 1)
    # the chance that a block is hidden, less that of its being the last one left
    m, n = len(sizes), len(seen)
    expected = probability - probability**m / m
    error = 5 * np.sqrt(max(expected * (1 - expected), 1e-12) / n) + 1e-9
    np.testing.assert_allclose(1 - seen.mean(0), expected, atol=error)


def test_hidden_blocks_of_two_exclude_each_other():
    left, right = _masked((2, 3), 1.0)
    assert torch.all(left[:, 0] + right[:, 0] == 1)
    assert float(left[:, 0].mean()) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(20_000))


def test_masking_of_blocks_is_what_teaches_to_do_without():
    """A single encoder of both blocks, trained with whole rows, knows no rows of one block."""
    explained = []
    for corruption in (None, BlockMasking(0.4)):
        fitted = AutoencoderTransformer(1, likelihood=BLOCKS, corruption=corruption, random_state=0, **TRAINED).fit(X)
        filled = fitted.reconstruct(without(slice(3, 5)))[:, 3:]
        explained.append(1 - ((filled - RIGHT) ** 2).mean() / RIGHT.var(0).mean())
    assert explained[1] > 0.6
    assert explained[1] > explained[0] + 0.1


# -- drawn targets ----------------------------------------------------------------------------------------

GREY = np.random.RandomState(3).uniform(size=(200, 4))


def _grey_layout():
    return Layout.fit(GREY, rows=None, standardize=False)


def test_draws_are_bits_with_the_values_as_probabilities():
    n = 20_000
    x = torch.as_tensor(GREY[:5], dtype=torch.float32).repeat(n, 1, 1).flatten(0, 1)
    drawn, kept = Binarize().build(_grey_layout())(x, seeded())
    assert kept is None
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    means = drawn.unflatten(0, (n, 5)).mean(0).numpy()
    np.testing.assert_allclose(means, GREY[:5], atol=5 * 0.5 / np.sqrt(n))
    bits = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    assert torch.equal(Binarize().build(_grey_layout())(bits, seeded())[0], bits)


def test_what_was_drawn_is_what_is_reconstructed():
    """Codes that hold the bits give them back: a loss below log 2 a bit, the least for targets of 1/2."""
    half = 0.5 + 0.001 * (GREY[:, :2] - 0.5)
    settings = {**QUICK, "max_iter": 80, "learning_rate_init": 0.1, "hidden_layer_sizes": ()}
    drawn, grey = (
        AutoencoderTransformer(2, likelihood="bernoulli", corruption=corruption, **settings).fit(half).loss_curve_[-1]
        for corruption in ("binarize", None)
    )
    assert grey == pytest.approx(2 * np.log(2), abs=0.01)
    assert drawn < 0.3 * 2 * np.log(2)


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_values_that_are_no_probabilities_are_refused(shift):
    with pytest.raises(ValueError, match=r"corruption='binarize'; expected all in \[0, 1\]"):
        vae(corruption="binarize", likelihood="gaussian", standardize=False).fit(GREY + shift)
    # standardised values are none either
    with pytest.raises(ValueError, match="MinMaxScaler"):
        vae(corruption="binarize").fit(GREY)


def test_validation_rows_and_scores_are_not_drawn():
    fitted = vae(likelihood="bernoulli", corruption="binarize", max_iter=3).fit(GREY, X_val=GREY)
    again = vae(likelihood="bernoulli", corruption="binarize", max_iter=3).fit(GREY, X_val=GREY)
    assert fitted.validation_scores_ == again.validation_scores_
    np.testing.assert_array_equal(fitted.score_samples(GREY), fitted.score_samples(GREY))


def test_block_masking_of_one_block_is_refused():
    with pytest.raises(ValueError, match="single block"):
        AutoencoderTransformer(corruption="block_masking", **QUICK).fit(make_table(40, 3))
