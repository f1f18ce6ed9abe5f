"""Recurrence along steps or columns. What holds for all networks is in `laws.py`."""

import numpy as np
import pytest
import torch
from support import QUICK, make_table, seeded

from sklae import AutoencoderTransformer, VAETransformer
from sklae._utils.random import generate
from sklae.critics import DataCritic
from sklae.networks import GRU, Inputs
from sklae.networks._gru import _Layers
from sklae.networks._linear_path import WithLinearPath

PLAIN = {"hidden_size": 8, "linear_path": False}
FAST = {name: value for name, value in QUICK.items() if name != "hidden_layer_sizes"}
X = make_table(60, 6)


def built(role, network, inputs, n_outputs):
    with generate(seeded()):
        return getattr(network, role)(inputs, n_outputs).eval()


def drawn(*shape, seed=1, **params):
    return torch.randn(*shape, generator=seeded(seed), **params)


# -- shapes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, (3, 2), (6,), (-1, 2), (2, -1), (6, 1), (1, 6)], ids=str)
@pytest.mark.parametrize("n_each", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("linear_path", [False, True])
def test_outputs_are_as_many_as_asked(shape, n_each, bidirectional, linear_path):
    network = GRU(shape, 5, n_layers=2, bidirectional=bidirectional, linear_path=linear_path)
    encoder = built("encoder", network, Inputs(6, 6, 2, 6), 4)
    decoder = built("decoder", network, Inputs(2, 0, 2, 6), 6 * n_each)
    for n in (0, 1, 5):
        assert encoder(drawn(n, 6), drawn(n, 6), drawn(n, 2)).shape == (n, 4)
        assert decoder(drawn(n, 2), None, drawn(n, 2)).shape == (n, 6 * n_each)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (GRU((4, 2)), r"Got 6 columns; shape=.* in GRU needs 8"),
        (GRU((1, 2, 3)), r"in GRU; expected \(n_steps, n_channels\)"),
        (GRU((0, 6)), "positive integers"),
        (GRU(hidden_size=0), "'hidden_size' parameter of GRU"),
    ],
    ids=["too many", "an image", "zero", "no units"],
)
def test_what_does_not_fit_is_refused(network, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(2, network=network, **FAST).fit(X)


def test_steps_take_as_many_numbers_for_each_value():
    with pytest.raises(ValueError, match=r"Got a likelihood with 7 numbers for the 6 values of GRU.*shape=None"):
        built("decoder", GRU((3, 2)), Inputs(2, 0, 0, 6), 7)
    assert built("decoder", GRU(hidden_size=8), Inputs(2, 0, 0, 6), 7)(drawn(4, 2)).shape == (4, 7)


# -- recurrence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_states_are_those_of_pytorch(n_layers, bidirectional):
    layers = _Layers(GRU(hidden_size=5, n_layers=n_layers), 3, bidirectional)
    theirs = torch.nn.GRU(3, 5, n_layers, batch_first=True, bidirectional=bidirectional)
    with torch.no_grad():
        for i, layer in enumerate(layers.layers):
            for direction, suffix in zip(layer, ["", "_reverse"], strict=False):
                for name, parameter in direction.cell.named_parameters():
                    parameter.copy_(getattr(theirs, f"{name}_l{i}{suffix}"))
    steps, starts = drawn(4, 7, 3), drawn(n_layers, 4, 5).tanh()
    each_way = starts.repeat_interleave(1 + bidirectional, dim=0)
    torch.testing.assert_close(layers(steps, starts.movedim(0, 1).flatten(1)), theirs(steps, each_way)[0])
    torch.testing.assert_close(layers(steps), theirs(steps)[0])


def test_a_step_is_written_from_the_steps_up_to_it():
    decoder = built("decoder", GRU((5, 2), n_layers=2, **PLAIN), Inputs(3, 0, 0, 10), 10)
    steps = drawn(1, 5, 8)
    other = steps.clone()
    other[:, 2] += 1.0
    changed = (decoder.last(decoder.layers(steps)) != decoder.last(decoder.layers(other))).view(5, 2).all(1)
    assert changed.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(("bidirectional", "expected"), [(True, [True] * 5), (False, [False, False, True, True, True])])
def test_a_step_is_read_with_the_steps_before_it_or_with_all(bidirectional, expected):
    encoder = built("encoder", GRU((5, 2), bidirectional=bidirectional, **PLAIN), Inputs(10, 0, 0, 10), 3)
    steps = drawn(1, 5, 2)
    other = steps.clone()
    other[:, 2] += 1.0
    changed = (encoder.layers(steps) != encoder.layers(other)).any(-1)[0]
    assert changed.tolist() == expected


def test_codes_reach_the_initial_state_and_every_step():
    decoder = built("decoder", GRU((5, 2), **PLAIN), Inputs(3, 0, 0, 10), 10)
    z = drawn(4, 3)
    for layer in (decoder.to_starts, decoder.to_steps):
        found = decoder(z)
        torch.nn.init.zeros_(layer.weight)
        assert torch.all((decoder(z) - found).view(4, 5, 2).abs().amax(-1) > 1e-5)
    torch.testing.assert_close(decoder(z), decoder(z)[:1].expand(4, -1))  # no other way


@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
def test_parameters_of_a_column_are_of_its_step(shape):
    """All first parameters come before all second ones."""
    decoder = built("decoder", GRU(shape, **PLAIN), Inputs(3, 0, 0, 6), 12)
    states = drawn(1, decoder.n_steps, 8)
    other = states.clone()
    other[:, 1] = drawn(8, seed=2)
    changed = (decoder.last(states) != decoder.last(other)).view(2, -1)
    expected = [1] if shape is None else [2, 3]
    assert [torch.nonzero(part).flatten().tolist() for part in changed] == [expected, expected]


# -- what is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
@pytest.mark.parametrize("n_values", [6, 12])
def test_gaps_and_conditions_are_read(shape, n_values):
    """As many values as columns, or several for each."""
    encoder = built("encoder", GRU(shape, **PLAIN), Inputs(n_values, 6, 2, 6), 3)
    values, mask, condition = drawn(4, n_values), torch.ones(4, 6), drawn(4, 2)
    codes = encoder(values, mask, condition)
    for column in range(6):
        gap = mask.clone()
        gap[:, column] = 0.0
        assert torch.all((encoder(values, gap, condition) - codes).abs().amax(1) > 1e-5)
    assert torch.all((encoder(values, mask, condition + 1.0) - codes).abs().amax(1) > 1e-5)
    decoder = built("decoder", GRU(shape, **PLAIN), Inputs(3, 0, 2, 6), 6)
    z = drawn(4, 3)
    assert torch.all((decoder(z, None, condition + 1.0) - decoder(z, None, condition)).abs().amin(1) > 1e-7)


def test_a_gap_and_a_condition_are_read_where_they_are():
    """In one direction, a gap changes no state before it, and a condition changes them all."""
    encoder = built("encoder", GRU((5, 2), bidirectional=False, **PLAIN), Inputs(10, 10, 1, 10), 3)
    seen = []
    encoder.layers.register_forward_hook(lambda module, args, states: seen.append(states))
    values, mask, condition = drawn(1, 10), torch.ones(1, 10), drawn(1, 1)
    gap = mask.clone()
    gap[:, 4] = 0.0
    for rows in ((values, mask, condition), (values, gap, condition), (values, mask, condition + 1.0)):
        encoder(*rows)
    plain, gappy, conditioned = seen
    assert (gappy != plain).any(-1)[0].tolist() == [False, False, True, True, True]
    assert (conditioned != plain).any(-1).all()


def test_dropout_draws_from_the_generator_in_training_alone():
    encoder = built("encoder", GRU((3, 2), 8, dropout=0.5), Inputs(6, 0, 0, 6), 3)
    rows, before = drawn(4, 6), torch.get_rng_state()
    still = encoder(rows, None, None, seeded(3))
    assert torch.equal(still, encoder(rows, None, None, seeded(4)))
    encoder.train()
    first, again, other = (encoder(rows, None, None, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
def test_rows_are_the_same_in_any_batch(shape):
    network = GRU(shape, n_layers=2, **PLAIN)
    for role, inputs, n_outputs in (("encoder", Inputs(6, 0, 0, 6), 3), ("decoder", Inputs(3, 0, 0, 6), 12)):
        module = built(role, network, inputs, n_outputs).double()
        rows = drawn(50, inputs.n_values, dtype=torch.float64)
        whole = module(rows)
        for batch in (rows.split(1), rows.split(7)):
            torch.testing.assert_close(torch.cat([module(part) for part in batch]), whole, rtol=1e-12, atol=1e-12)


# -- slopes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, (2, 2)], ids=str)
def test_slopes_have_slopes(shape):
    network = GRU(shape, 3, n_layers=2)
    for role, inputs, n_outputs in (("encoder", Inputs(4, 0, 0, 4), 2), ("decoder", Inputs(2, 0, 0, 4), 4)):
        module = built(role, network, inputs, n_outputs).double()
        rows = drawn(2, inputs.n_values, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(module, rows)
        assert torch.autograd.gradgradcheck(module, rows)


@pytest.mark.parametrize(
    "params", [{"penalty": "contractive"}, {"critic": DataCritic(network=GRU((3, 2), 4))}], ids=str
)
def test_penalties_and_critics_have_the_slopes_they_ask_for(params):
    cls = VAETransformer if "critic" in params else AutoencoderTransformer
    model = cls(2, network=GRU((3, 2), 4), **params, **FAST).fit(X)
    assert np.isfinite(model.transform(X)).all()


# -- estimators -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("shape", [None, (3, 2)], ids=str)
@pytest.mark.usefixtures("untouched_globals")
def test_gappy_rows_are_fitted_and_reproduced(cls, shape):
    gappy = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
    ae = cls(2, network=GRU(shape, 8, dropout=0.1), **FAST)
    codes, again = ae.fit(gappy).transform(gappy), ae.fit(gappy).transform(gappy)
    assert np.isfinite(ae.score_samples(gappy)).all()
    np.testing.assert_array_equal(codes, again)
    other = ae.set_params(random_state=1).fit(gappy).transform(gappy)
    assert not np.array_equal(codes, other)


def test_a_condition_changes_what_is_drawn():
    vae = VAETransformer(2, network=GRU((5,), 8), condition_features=[5], **FAST).fit(X)
    low, high = (vae.sample(5, condition=np.array([[value]]), noise=False, random_state=0) for value in X[:2, 5])
    assert np.abs(low[:, :5] - high[:, :5]).min() > 0.0


def test_it_is_known_by_name():
    assert AutoencoderTransformer(2, network="gru", **FAST).fit(X).transform(X).shape == (60, 2)


def test_a_model_starts_as_its_linear_counterpart():
    plain = {**FAST, "max_iter": 1, "learning_rate_init": 1e-12}
    started, linear = (
        AutoencoderTransformer(2, network=network, **plain).fit(X).reconstruct(X) for network in (GRU((3, 2), 8), None)
    )
    np.testing.assert_allclose(started, linear, rtol=1e-3, atol=1e-3)


def test_without_a_linear_path_there_is_no_linear_start():
    module = built("encoder", GRU((3, 2), **PLAIN), Inputs(6, 0, 0, 6), 3)
    assert not isinstance(module, WithLinearPath)
    assert not getattr(module, "can_become_affine", False)


# -- chunks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "encoder", "decoder"),
    [
        ((60, 1), 60 * 16, 60 * 8),  # states of both directions, of one
        ((2, 30), 2 * 30, 60),  # values and outputs
        ((1, 60), 60, 60),
        (None, 60 * 16, 60 * 8),
    ],
    ids=str,
)
def test_chunks_count_states_of_all_steps(shape, encoder, decoder):
    network = GRU(shape, **PLAIN)
    assert built("encoder", network, Inputs(60, 0, 0, 60), 3).n_activations == encoder
    assert built("decoder", network, Inputs(3, 0, 0, 60), 60).n_activations == decoder
    gates = built("encoder", GRU((1, 2), **PLAIN), Inputs(2, 0, 0, 2), 3).n_activations
    assert gates == 3 * 8


def test_chunks_of_long_rows_stay_small():
    rows = make_table(40, 100)
    ae = AutoencoderTransformer(2, network=GRU((100,)), **{**FAST, "max_iter": 1}).fit(rows)
    largest = max(part.stop - part.start for part in ae.model_.chunks(10_000))
    assert largest * ae.net_.module_.width * 8 <= 2**24
