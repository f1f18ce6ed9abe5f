"""Networks, and modules of one's own. What holds for all networks is in `laws.py`."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support import QUICK, TRANSFORMERS, make_table, seeded
from torch import nn
from torch.nn import functional

from sklae import AutoencoderTransformer, VAETransformer
from sklae._utils.random import generate
from sklae.networks import MLP, NORMALIZATIONS, Dropout

X = make_table(60, 4)


def _widths(module):
    return [(part.in_features, part.out_features) for part in module.modules() if isinstance(part, nn.Linear)]


@pytest.mark.parametrize("sizes", [(), (5,), (7, 5), 9, np.array([7, 5, 3])], ids=str)
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
def test_decoder_mirrors_the_encoder(sizes, normalization):
    mlp = MLP(sizes, normalization=normalization)
    encoder, decoder = _widths(mlp.build_encoder(6, 2)), _widths(mlp.build_decoder(2, 6))
    assert [width for width, _ in encoder] + [2] == [6, *np.atleast_1d(sizes).tolist(), 2]
    assert decoder == [(n_out, n_in) for n_in, n_out in reversed(encoder)]


@pytest.mark.parametrize("sizes", [(0,), (4, -1), (2.5,), 0])
def test_widths_must_be_positive_integers(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        AutoencoderTransformer(network=MLP(sizes)).fit(X)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(p):
    h = torch.ones(40_000)
    dropped = Dropout(p).train()(h, seeded())
    share = float((dropped == 0).double().mean())
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / len(h)) ** 0.5)
    torch.testing.assert_close(dropped[dropped > 0], torch.full_like(dropped[dropped > 0], 1 / (1 - p)))
    assert torch.equal(Dropout(p).eval()(h, seeded()), h)


def test_weight_norm_parts_length_and_direction():
    plain = nn.Linear(5, 3)
    (layer,) = NORMALIZATIONS["weight"](plain)
    rows = layer.weight.detach().norm(dim=1)
    with torch.no_grad():
        layer.length.fill_(2.0)
    h = torch.randn(7, 5, generator=seeded())
    expected = functional.linear(h, 2.0 * layer.weight / rows[:, None], layer.bias)
    torch.testing.assert_close(layer(h), expected)
    with torch.no_grad():
        layer.weight.mul_(10.0)  # length of the direction: no matter
    torch.testing.assert_close(layer(h), expected)


def test_weight_norm_begins_as_the_plain_layer():
    h = torch.randn(7, 5, generator=seeded())
    with generate(seeded(3)):
        (layer,) = NORMALIZATIONS["weight"](nn.Linear(5, 3))
    torch.testing.assert_close(layer.length, layer.weight.norm(dim=1, keepdim=True))
    torch.testing.assert_close(layer(h), functional.linear(h, layer.weight, layer.bias))


def test_network_wins_over_hidden_layer_sizes_with_a_warning():
    with pytest.warns(UserWarning, match="the network wins"):
        ae = AutoencoderTransformer(2, network=MLP((5,), linear_path=False), **QUICK).fit(X)
    assert _widths(ae.net_.module_.encoder) == [(4, 5), (5, 2)]


# -- modules of one's own -------------------------------------------------------------------------------


def _with_dropout(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, n_outputs))


class Noisy(nn.Module):
    """A module that draws by itself, as research code does."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)
        self.start = nn.Parameter(torch.randn(n_outputs))

    def forward(self, h):
        out = self.linear(h) + self.start
        return out + 0.1 * torch.randn_like(out) if self.training else out


class Lazy(nn.Module):
    """A module that learns its input's width from its first batch."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.LazyLinear(6), nn.Tanh(), nn.LazyLinear(n_outputs))

    def forward(self, h):
        return self.layers(h)


FACTORIES = {"linear": nn.Linear, "dropout": _with_dropout, "noisy": Noisy, "lazy": Lazy}


def _same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("cls", TRANSFORMERS)
@pytest.mark.parametrize("roles", [("encoder",), ("decoder",), ("encoder", "decoder")], ids="-".join)
@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.usefixtures("untouched_globals")
def test_factories_are_reproducible(cls, roles, factory):
    estimator = cls(2, **dict.fromkeys(roles, FACTORIES[factory]), **QUICK)
    first, again = estimator.fit(X).net_.module_, clone(estimator).fit(X).net_.module_
    other = clone(estimator).set_params(random_state=1).fit(X).net_.module_
    assert _same_weights(first, again)
    assert not _same_weights(first, other)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.array_equal(estimator.transform(X), estimator.transform(X))


def test_dropout_of_a_module_of_ones_own_is_at_work():
    """It must draw in training: a fit without it ends elsewhere."""
    with_, without = (
        AutoencoderTransformer(2, encoder=lambda i, o, p=p: _scaled_dropout(i, o, p), **QUICK).fit(X).loss_curve_
        for p in (0.5, 0.0)
    )
    assert with_ != without


def _scaled_dropout(n_inputs, n_outputs, p):
    return nn.Sequential(nn.Linear(n_inputs, 8), nn.Dropout(p), nn.ReLU(), nn.Linear(8, n_outputs))


@pytest.mark.parametrize("role", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (nn.Linear(4, 2), r"Got {role}= an nn\.Module; expected a factory"),
        (lambda n_inputs, n_outputs: "layers", r"Got {role}= that returned str; expected an nn\.Module"),
        (lambda n_inputs, n_outputs: nn.Linear(n_inputs, n_outputs + 1), r"has shape \(2, \d\).*expected \(2, \d\)"),
        (lambda n_inputs, n_outputs: nn.Unflatten(1, (n_inputs, 1)), r"output has shape \(2, \d, 1\)"),
    ],
    ids=["module", "no module", "wrong width", "wrong rank"],
)
def test_wrong_factories_are_refused(role, factory, message):
    estimator = VAETransformer(2, **{role: factory}, **QUICK)
    with pytest.raises(ValueError, match=message.format(role=role)):
        estimator.fit(X)
    assert not hasattr(estimator, "net_")


# -- drawing from a generator by force ------------------------------------------------------------------

_ONES = torch.ones(6, 4)
DRAWS = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(3),
    "rand_like": lambda: torch.rand_like(_ONES),
    "randn_like": lambda: torch.randn_like(_ONES),
    "randint": lambda: torch.randint(100, (3,)),
    "randint_from": lambda: torch.randint(5, 100, (3,)),
    "randint_like": lambda: torch.randint_like(_ONES, 100),
    "randint_like_from": lambda: torch.randint_like(_ONES, 5, 100),
    "randperm": lambda: torch.randperm(50),
    "normal": lambda: torch.normal(_ONES, _ONES),
    "bernoulli": lambda: torch.bernoulli(0.5 * torch.ones(60)),
    "multinomial": lambda: torch.multinomial(torch.ones(40), 10),
    "poisson": lambda: torch.poisson(10.0 * _ONES),
    "in_place": lambda: torch.empty(5).uniform_() + torch.empty(5).exponential_() + torch.empty(5).cauchy_(),
    "distribution": lambda: torch.distributions.Gamma(_ONES, _ONES).rsample(),
    "dropout": lambda: functional.dropout(torch.ones(60)),
    "native_dropout": lambda: torch.native_dropout(torch.ones(60), 0.5, True)[0],  # what dropout is on a GPU
    "alpha_dropout": lambda: functional.alpha_dropout(torch.ones(60), training=True),
    "feature_dropout": lambda: functional.dropout1d(torch.ones(2, 40, 3)),
    "rrelu": lambda: functional.rrelu(-_ONES, training=True),
    "gumbel": lambda: functional.gumbel_softmax(torch.zeros(5, 8)),
    "attention": lambda: functional.scaled_dot_product_attention(_ONES, _ONES, _ONES, dropout_p=0.5),
    "initialiser": lambda: nn.init.orthogonal_(torch.empty(4, 4)),
    "truncated": lambda: nn.init.trunc_normal_(torch.empty(40)),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.usefixtures("untouched_globals")
def test_every_way_to_draw_reads_the_generator(name):
    results = []
    for seed in (0, 0, 1):
        with generate(seeded(seed)):
            results.append(DRAWS[name]())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_native_dropout_is_dropout():
    ones = torch.ones(10_000, requires_grad=True)
    with generate(seeded()):
        dropped, keep = torch.native_dropout(ones, 0.2, True)
        untouched, _ = torch.native_dropout(ones, 0.2, False)
    (gradient,) = torch.autograd.grad(dropped.sum(), ones)
    assert torch.equal(gradient, dropped)
    torch.testing.assert_close(dropped, keep / 0.8)
    assert float(keep.double().mean()) == pytest.approx(0.8, abs=5 * (0.16 / 10_000) ** 0.5)
    assert torch.equal(untouched, ones)


def test_layers_with_dropout_inside_read_the_generator():
    before = torch.get_rng_state()
    results = []
    for seed in (0, 0, 1):
        with generate(seeded(seed)):
            layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8, batch_first=True)
            lstm = nn.LSTM(4, 4, num_layers=2, dropout=0.5, batch_first=True)
            results.append(lstm(layer.train()(torch.ones(2, 3, 4)))[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(before, torch.get_rng_state())


# -- attention, whose kernels take no generator -------------------------------------------------------------

_FUSED = [
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
    "_scaled_dot_product_efficient_attention_backward",
    "_scaled_dot_product_cudnn_attention_backward",
    "_flash_attention_forward",
    "_efficient_attention_forward",
]


class _Recorder:
    """A kernel that is there, whatever the device: its schema and tags, and a call that computes nothing."""

    def __init__(self, kernel):
        self.tags, self._schema = kernel.tags, kernel._schema

    def __call__(self, *args, **kwargs):
        return "ran"


def _arguments(kernel, p):
    return [p if argument.name == "dropout_p" else None for argument in kernel._schema.arguments]


@pytest.mark.parametrize("name", [name for name in _FUSED if hasattr(torch.ops.aten, name)])
def test_attention_kernels_run_without_dropout_and_are_refused_with_it(name):
    kernel = _Recorder(getattr(torch.ops.aten, name).default)
    mode = generate(seeded())
    assert mode.__torch_dispatch__(kernel, (), _arguments(kernel, 0.0)) == "ran"
    with pytest.raises(RuntimeError, match=r"takes no generator.*dropout=0\.0"):
        mode.__torch_dispatch__(kernel, (), _arguments(kernel, 0.1))
    if any(argument.name == "dropout_p" and argument.default_value == 0.0 for argument in kernel._schema.arguments):
        assert mode.__torch_dispatch__(kernel, (), ()) == "ran"


@pytest.mark.usefixtures("untouched_globals")
def test_attention_without_dropout_is_that_of_torch():
    q, k, v = (torch.randn(2, 2, 5, 4, generator=seeded(i), requires_grad=True) for i in range(3))
    expected = functional.scaled_dot_product_attention(q, k, v)
    with generate(seeded()):
        found = functional.scaled_dot_product_attention(q, k, v)
        gradients = torch.autograd.grad(found.sum(), (q, k, v))
    assert torch.equal(found, expected)
    assert all(gradient.isfinite().all() for gradient in gradients)


def _attentive(n_inputs, n_outputs, dropout):
    layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8, dropout=dropout, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (n_inputs, 1)), nn.Linear(1, 4), layer, nn.Flatten(), nn.LazyLinear(n_outputs))


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.usefixtures("untouched_globals")
def test_attention_of_ones_own_is_reproducible(dropout):
    """On a CPU attention with dropout is made of steps that take a generator; elsewhere kernels refuse it."""
    ae = AutoencoderTransformer(2, encoder=partial(_attentive, dropout=dropout), **QUICK)
    first, again = ae.fit(X).net_.module_, clone(ae).fit(X).net_.module_
    assert _same_weights(first, again)
