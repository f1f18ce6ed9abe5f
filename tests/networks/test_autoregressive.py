"""Autoregressive decoders: exact densities, windows, draws, and what they gain."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from support import global_generators, seeded

from sklae import VAETransformer
from sklae.likelihoods import Blocks, Gaussian, Mixed
from sklae.networks import MADE, MLP, Conv, EncoderDecoder, PixelCNN

BITS = np.array(list(product([0.0, 1.0], repeat=8)))
NETWORKS = {
    "made": MADE((16,)),
    "made_without_linear_path": MADE((16, 9), linear_path=False),
    "pixel_cnn": PixelCNN((2, 4), channels=8, receptive_field=3),
    "pixel_cnn_in_colour": PixelCNN((2, 2, 2), channels=8, receptive_field=3),
}


def bent(network, X=BITS, likelihood="bernoulli", **params):
    """Return a fitted model's module, with weights far from where training starts."""
    settings = {"max_iter": 1, "n_iter_no_change": float("inf"), "random_state": 0}
    module = VAETransformer(2, network=network, likelihood=likelihood, **settings, **params).fit(X).net_.module_.eval()
    generator = seeded(3)
    with torch.no_grad():
        for weight in module.decoder.parameters():
            weight.add_(0.4 * torch.randn(weight.shape, generator=generator))
    return module.double()


def jacobian(module, x):
    given = module.given(torch.zeros(1, 2, dtype=x.dtype))
    return torch.autograd.functional.jacobian(given.params_of, x[None])[0, :, 0]


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_probabilities_of_all_rows_sum_to_one(name):
    module, x = bent(NETWORKS[name]), torch.as_tensor(BITS)
    z = torch.randn(5, 1, 2, generator=seeded(), dtype=torch.float64).expand(-1, len(x), -1)
    log_prob = module.given(z).log_prob(x)
    assert log_prob.shape == (5, 256, 8)
    torch.testing.assert_close(log_prob.sum(-1).exp().sum(-1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(module.given(z[0]).energy(x), -log_prob[0])
    assert module.given(z).mean.shape == module.given(z).sample(seeded()).shape == (5, 256, 8)


@pytest.mark.parametrize("name", ["made", "made_without_linear_path"])
def test_a_column_depends_on_all_before_it_and_on_no_other(name):
    depends = jacobian(bent(NETWORKS[name]), torch.as_tensor(BITS[77])) != 0
    assert torch.equal(depends, torch.ones(8, 8).tril(-1).bool())


@pytest.mark.parametrize("width", [3, 5, 7])
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 5), (3, 5, 2)])
def test_a_pixel_depends_on_its_window_and_on_nothing_else(shape, width):
    d = int(np.prod(shape))
    X = (np.random.default_rng(0).uniform(size=(40, d)) < 0.5).astype(float)
    depends = jacobian(bent(PixelCNN(shape, receptive_field=width), X), torch.as_tensor(X[0])) != 0
    places = np.stack(np.unravel_index(np.arange(d), shape))
    i, j = places[-2:] if shape[0] < shape[-1] else places[:2]
    up, aside = i[:, None] - i, j[:, None] - j
    earlier = (up > 0) | ((up == 0) & (aside > 0))
    expected = earlier & (up <= width // 2) & (np.abs(aside) <= width // 2)
    assert np.array_equal(depends.numpy(), expected)


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_draws_are_as_frequent_as_probabilities_say(name):
    module, n = bent(NETWORKS[name]), 20_000
    z = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    chances = module.given(z.expand(256, -1)).log_prob(torch.as_tensor(BITS)).sum(-1).exp().numpy()
    draws = module.given(z.expand(n, -1)).sample(seeded(5)).numpy()
    counts = np.bincount((draws @ 2 ** np.arange(7, -1, -1)).astype(int), minlength=256)
    assert np.all(np.abs(counts - n * chances) <= 6 * np.sqrt(n * chances) + 6)


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_expected_rows_are_each_column_given_the_expected_ones_before(name):
    """By fixed point: what the mean says of itself. It looks at codes alone."""
    module = bent(NETWORKS[name])
    given = module.given(torch.randn(4, 2, generator=seeded(), dtype=torch.float64))
    mean = given.mean
    torch.testing.assert_close(given.params_of(mean).sigmoid(), mean)
    given.log_prob(torch.as_tensor(BITS[:4]))
    assert torch.equal(given.mean, mean)


def test_parameters_of_blocks_are_their_columns():
    """Two parameters a column, but those of a block after each other: no column sees itself or a later one."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    blocks = Blocks([("a", Gaussian("per_row"), [0, 3]), ("b", Gaussian("per_row"), [1, 2])])
    depends = jacobian(bent(MADE((16,)), X, blocks), torch.as_tensor(X[0])) != 0
    column = np.array([0, 3, 0, 3, 1, 2, 1, 2])
    assert np.array_equal(depends.numpy(), np.arange(4) < column[:, None])
    with pytest.raises(ValueError, match="parameters differ"):
        bent(PixelCNN((2, 2)), X, blocks)


def test_categories_of_several_levels():
    X = np.random.default_rng(0).integers([2, 3, 4], size=(60, 3)).astype(float)
    module = bent(MADE((16,)), X, "categorical")
    rows = torch.tensor(list(product(range(2), range(3), range(4))), dtype=torch.float64)
    with torch.no_grad():
        given = module.given(torch.ones(len(rows), 2, dtype=torch.float64))
        assert given.log_prob(rows).sum(-1).exp().sum() == pytest.approx(1.0)
        assert given.expectation().shape == (24, 9)
    with pytest.raises(ValueError, match="9 parameters differ"):
        bent(PixelCNN((1, 3)), X[:, :3], Mixed(numeric="categorical"))


def test_gaps_and_conditions():
    X = np.random.default_rng(0).normal(size=(60, 5))
    X[:, 1] += X[:, 0]
    X[::3, 2] = np.nan
    for network in (MADE((16,)), PixelCNN((2, 2), channels=8)):
        vae = VAETransformer(2, network=network, condition_features=[4], max_iter=2, n_iter_no_change=float("inf"))
        vae.set_params(random_state=0).fit(X)
        assert np.isfinite(vae.score_samples(X)).all()
        assert np.isfinite(vae.reconstruct(X)).all()
        assert vae.sample(2, 0, condition=X[:3, [4]]).shape[-1] == 5


@pytest.mark.parametrize("network", [MADE((8,)), MADE((8,), dropout=0.5)], ids=repr)
def test_columns_in_turn_draw_from_the_generator(network):
    """A critic has rows decoded in training, in which dropout draws."""
    before = global_generators()
    first, again = (
        VAETransformer(2, network=network, critic="data", max_iter=2, random_state=0).fit(BITS) for _ in range(2)
    )
    assert global_generators() == before
    np.testing.assert_array_equal(first.transform(BITS), again.transform(BITS))


def test_windows_are_odd():
    with pytest.raises(ValueError, match="Got receptive_field=4; expected an odd number"):
        bent(PixelCNN((2, 4), receptive_field=4))


def test_training_takes_no_steps(monkeypatch):
    """Expected rows take a pass for each column: what is fitted and scored must not ask for them."""
    calls = []
    from sklae.networks import _in_turn

    walk = _in_turn.RowsInTurn._in_turn
    monkeypatch.setattr(_in_turn.RowsInTurn, "_in_turn", lambda self, choose: calls.append(1) or walk(self, choose))
    vae = VAETransformer(2, network=MADE((16,)), likelihood="bernoulli", max_iter=3, random_state=0)
    vae.set_params(early_stopping=True, n_iter_no_change=float("inf")).fit(BITS)
    vae.score(BITS)
    assert len(calls) == 2  # `try_answer`, once a fit: it takes a mean, and draws


@pytest.mark.slow
def test_neighbouring_pixels_tell_what_a_small_code_does_not():
    X = (load_digits().data > 8).astype(float)
    settings = {"likelihood": "bernoulli", "max_iter": 15, "n_iter_no_change": float("inf"), "random_state": 0}
    networks = MLP((64,)), MADE((64,)), PixelCNN((8, 8), receptive_field=3)
    plain, *in_turn = (VAETransformer(2, network=n, **settings).fit(X[:1400]).score(X[1400:]) for n in networks)
    assert min(in_turn) > plain + 1.0


def test_convolutions_read_images_for_a_decoder_of_pixels():
    network = EncoderDecoder(Conv((2, 4), channels=(4,)), PixelCNN((2, 4), channels=8, receptive_field=3))
    module, x = bent(network), torch.as_tensor(BITS)
    assert type(module.encoder).__name__ != type(bent(PixelCNN((2, 4), channels=8)).encoder).__name__
    with torch.no_grad():
        log_prob = module.given(torch.zeros(256, 2, dtype=torch.float64)).log_prob(x)
    torch.testing.assert_close(log_prob.sum(-1).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_halves_agree_on_the_number_of_columns():
    assert EncoderDecoder(Conv((4, -1)), PixelCNN((6, -1))).fitting_size(3) == 12
