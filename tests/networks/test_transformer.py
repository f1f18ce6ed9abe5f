"""Attention between steps or columns. What holds for all networks is in `laws.py`."""

import numpy as np
import pytest
import torch
from support import QUICK, make_table, seeded

from sklae import AutoencoderTransformer, VAETransformer
from sklae._utils.random import generate
from sklae.networks import Inputs, Transformer
from sklae.networks._linear_path import WithLinearPath

SMALL = {"d_model": 8, "nhead": 2, "num_layers": 1, "dim_feedforward": 8}
PLAIN = {**SMALL, "linear_path": False}
FAST = {name: value for name, value in QUICK.items() if name != "hidden_layer_sizes"}
X = make_table(60, 6)


def built(role, network, inputs, n_outputs):
    with generate(seeded()):
        return getattr(network, role)(inputs, n_outputs).eval()


def drawn(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed))


# -- shapes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, (3, 2), (6,), (-1, 2), (2, -1), (6, 1), (1, 6)], ids=str)
@pytest.mark.parametrize("n_each", [1, 2, 3])
@pytest.mark.parametrize("linear_path", [False, True])
def test_outputs_are_as_many_as_asked(shape, n_each, linear_path):
    network = Transformer(shape, **{**SMALL, "linear_path": linear_path})
    encoder = built("encoder", network, Inputs(6, 6, 2, 6), 4)
    decoder = built("decoder", network, Inputs(2, 0, 2, 6), 6 * n_each)
    for n in (0, 1, 5):
        assert encoder(drawn(n, 6), drawn(n, 6), drawn(n, 2)).shape == (n, 4)
        assert decoder(drawn(n, 2), None, drawn(n, 2)).shape == (n, 6 * n_each)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Transformer((4, 2)), r"Got 6 columns; shape=.* needs 8"),
        (Transformer((1, 2, 3)), r"expected \(n_steps, n_channels\)"),
        (Transformer((0, 6)), "positive integers"),
        (Transformer(d_model=10, nhead=4), "Got d_model=10 and nhead=4; expected a multiple"),
    ],
    ids=["too many", "an image", "zero", "heads"],
)
def test_what_does_not_fit_is_refused(network, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(2, network=network, **FAST).fit(X)


def test_steps_take_as_many_numbers_for_each_value():
    with pytest.raises(ValueError, match=r"Got a likelihood with 7 numbers for the 6 values.*shape=None"):
        built("decoder", Transformer((3, 2)), Inputs(2, 0, 0, 6), 7)
    assert built("decoder", Transformer(**SMALL), Inputs(2, 0, 0, 6), 7)(drawn(4, 2)).shape == (4, 7)


# -- what is told apart -----------------------------------------------------------------------------------


def test_steps_are_read_by_one_map_and_told_apart_by_positions():
    """Tokens of permuted steps are permuted tokens, once positions are zero, and not before."""
    encoder = built("encoder", Transformer((5, 2), **PLAIN), Inputs(10, 0, 0, 10), 3)
    order = torch.tensor([3, 0, 4, 1, 2])
    rows = drawn(4, 5, 2)

    def tokens(steps):
        return encoder.blocks(encoder.tokens(steps.flatten(1), None))

    assert not torch.allclose(tokens(rows[:, order]), tokens(rows)[:, order], atol=1e-3)
    torch.nn.init.zeros_(encoder.tokens.positions.positions)
    torch.testing.assert_close(tokens(rows[:, order]), tokens(rows)[:, order])


def test_steps_are_written_by_one_map():
    """A decoder whose tokens are permuted writes permuted steps: all first parameters, then all second ones."""
    decoder = built("decoder", Transformer((5, 2), **PLAIN), Inputs(3, 0, 0, 10), 20)
    tokens, order = drawn(4, 5, 8), torch.tensor([3, 0, 4, 1, 2])

    def steps(tokens):
        return decoder.last(decoder.blocks(tokens)).view(4, 2, 5, 2)

    torch.testing.assert_close(steps(tokens[:, order]), steps(tokens)[:, :, order])
    assert not torch.allclose(steps(tokens)[:, 0], steps(tokens)[:, 1])


@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
def test_parameters_of_a_column_are_of_its_token(shape):
    """Where the blocks add nothing but a norm, a token reaches its own columns, in each set of parameters."""
    decoder = built("decoder", Transformer(shape, **PLAIN), Inputs(3, 0, 0, 6), 12)
    tokens = drawn(1, decoder.n_tokens, 8)
    other = tokens.clone()
    other[:, 1] = drawn(8, seed=2)
    changed = (decoder.last(tokens) != decoder.last(other)).view(2, -1)
    expected = [1] if shape is None else [2, 3]
    assert [torch.nonzero(part).flatten().tolist() for part in changed] == [expected, expected]


def test_columns_have_maps_of_their_own():
    encoder = built("encoder", Transformer(**PLAIN), Inputs(4, 0, 0, 4), 3)
    tokens = encoder.tokens(torch.ones(1, 4), None)[0]
    assert all(not torch.allclose(tokens[0], token) for token in tokens[1:])


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("d_model", [1, 7, 8])
def test_positions_differ(positions, d_model):
    encoder = built("encoder", Transformer((40,), **{**PLAIN, "d_model": d_model, "nhead": 1}, positions=positions),
                    Inputs(40, 0, 0, 40), 3)  # fmt: skip
    table = encoder.tokens.positions.positions
    assert table.shape == (40, d_model)
    assert len(table.unique(dim=0)) == 40
    assert isinstance(table, torch.nn.Parameter) == (positions == "learned")


@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
@pytest.mark.parametrize("n_values", [6, 12])
def test_gaps_and_conditions_are_read(shape, n_values):
    """As many values as columns, or several for each."""
    encoder = built("encoder", Transformer(shape, **PLAIN), Inputs(n_values, 6, 2, 6), 3)
    values, mask, condition = drawn(4, n_values), torch.ones(4, 6), drawn(4, 2)
    codes = encoder(values, mask, condition)
    gap = mask.clone()
    gap[:, 2] = 0.0
    assert torch.all((encoder(values, gap, condition) - codes).abs().amax(1) > 1e-5)
    assert torch.all((encoder(values, mask, condition + 1.0) - codes).abs().amax(1) > 1e-5)
    decoder = built("decoder", Transformer(shape, **PLAIN), Inputs(3, 0, 2, 6), 6)
    z = drawn(4, 3)
    assert torch.all((decoder(z, None, condition + 1.0) - decoder(z, None, condition)).abs().amax(1) > 1e-5)


def test_dropout_draws_from_the_generator_in_training_alone():
    encoder = built("encoder", Transformer((3, 2), **SMALL, dropout=0.5), Inputs(6, 0, 0, 6), 3)
    rows, before = drawn(4, 6), torch.get_rng_state()
    still = encoder(rows, None, None, seeded(3))
    assert torch.equal(still, encoder(rows, None, None, seeded(4)))
    encoder.train()
    first, again, other = (encoder(rows, None, None, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


# -- estimators -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
def test_gappy_rows_are_fitted_and_reproduced(cls, shape):
    gappy = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
    ae = cls(2, network=Transformer(shape, **SMALL, dropout=0.1), **FAST)
    codes, again = ae.fit(gappy).transform(gappy), ae.fit(gappy).transform(gappy)
    assert np.isfinite(ae.score_samples(gappy)).all()
    np.testing.assert_array_equal(codes, again)


def test_a_model_starts_as_its_linear_counterpart():
    plain = {**FAST, "max_iter": 1, "learning_rate_init": 1e-12}
    started, linear = (
        AutoencoderTransformer(2, network=network, **plain).fit(X).reconstruct(X)
        for network in (Transformer((3, 2), **SMALL), None)
    )
    np.testing.assert_allclose(started, linear, rtol=1e-3, atol=1e-3)


def test_without_a_linear_path_there_is_no_linear_start():
    module = built("encoder", Transformer((3, 2), **PLAIN), Inputs(6, 0, 0, 6), 3)
    assert not isinstance(module, WithLinearPath)
    assert not getattr(module, "can_become_affine", False)


# -- chunks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "n_columns", "expected"),
    [
        ((60, 1), 60, 60 * 60 * 2),  # a score for each pair and head
        ((10, 6), 60, 10 * 24),  # queries, keys and values
        (None, 60, 60 * 60 * 2),
    ],
)
def test_chunks_count_scores_of_pairs(shape, n_columns, expected):
    network = Transformer(shape, **SMALL)
    for module in (
        built("encoder", network, Inputs(n_columns, 0, 0, n_columns), 3),
        built("decoder", network, Inputs(3, 0, 0, n_columns), n_columns),
    ):
        assert module.n_activations == expected


def test_chunks_of_long_rows_stay_small():
    rows = make_table(40, 100)
    ae = AutoencoderTransformer(2, network=Transformer((100,), **SMALL), **{**FAST, "max_iter": 1}).fit(rows)
    largest = max(part.stop - part.start for part in ae.model_.chunks(10_000))
    assert largest * ae.net_.module_.width * 8 <= 2**24


def test_its_slopes_have_slopes():
    AutoencoderTransformer(2, network=Transformer(d_model=8), penalty="contractive", max_iter=1).fit(X)
