"""What scoring holds at once, measured: however wide a network, its activations stay small, down to a single row's."""

import numpy as np
import pytest
import torch
from support import QUICK
from torch.utils._python_dispatch import TorchDispatchMode

from sklae import AutoencoderTransformer, VAETransformer
from sklae._autoencoders import fitted_model
from sklae._autoencoders.fitted_vae import N_DRAWS
from sklae.networks import MADE, MLP, Conv, PixelCNN, Transformer, _in_turn

MOST_BYTES = 2**24
PIXELS = np.random.RandomState(0).uniform(size=(5_000, 784))
FITTED = {**{name: value for name, value in QUICK.items() if name != "hidden_layer_sizes"}, "max_iter": 1}

NETWORKS = {
    "mlp": MLP((256,)),
    "wide mlp": MLP((4_096,)),
    "conv": Conv((28, 28), (4, 8)),
    "wide conv": Conv((28, 28), (128,)),
    "transformer": Transformer((28, 28), d_model=8, num_layers=1),
    "wide transformer": Transformer((28, 28), d_model=8, num_layers=1, dim_feedforward=4_096),
    "made": MADE((64,)),
    "wide made": MADE((2_048,)),
    "pixel_cnn": PixelCNN((28, 28), 4, n_layers=1, receptive_field=3),
    "wide pixel_cnn": PixelCNN((28, 28), 64, n_layers=1),
}
# A start in closed form takes seconds for as many columns.
for network in NETWORKS.values():
    network.set_params(**({"linear_path": False} if "linear_path" in network.get_params() else {}))


def _tensors(value):
    if torch.is_tensor(value):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)


def _largest_output(model, score):
    """Return the bytes of the largest tensor that a module returns while rows are scored."""
    largest = 0

    def watch(module, inputs, output):
        nonlocal largest
        largest = max([largest, *(each.numel() * each.element_size() for each in _tensors(output))])

    module = model.net_.inference_module(torch.float64)
    hooks = [part.register_forward_hook(watch) for part in module.modules()]
    score()
    for hook in hooks:
        hook.remove()
    assert largest
    return largest


@pytest.fixture(autouse=True)
def outputs_in_order(monkeypatch):
    """Which column each output is of, as it is for one likelihood: to find out takes seconds for as many columns."""
    monkeypatch.setattr(
        _in_turn, "_columns_of_outputs", lambda density, n, n_outputs, name: torch.arange(n_outputs) % n
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "wide made" else ()) for name in NETWORKS]
)
def test_scores_of_many_rows_hold_few_at_once(name):
    model = AutoencoderTransformer(8, network=NETWORKS[name], **FITTED).fit(PIXELS[:16])
    # the first chunk of so many rows is as large as any
    n_rows = len(PIXELS) if name in ("mlp", "made", "transformer") else next(model.model_.chunks(len(PIXELS))).stop + 1
    assert _largest_output(model, lambda: model.score_samples(PIXELS[:n_rows])) <= MOST_BYTES


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("wide conv", "wide made") else ())
        for name in NETWORKS
        if name.startswith("wide")
    ],
)
def test_bounds_of_many_draws_decode_few_at_once(name):
    model = VAETransformer(8, network=NETWORKS[name], prior="normal", **FITTED).fit(PIXELS[:16])
    rows = PIXELS[: next(model.model_.chunks(len(PIXELS), N_DRAWS)).stop]
    scores = [
        lambda: model.score_samples(rows),
        lambda: model.score_samples(rows, n_importance_samples=1),
        lambda: model.model_.bound_terms(rows),
    ]
    if name == "wide conv":
        scores.append(lambda: model.score_samples(rows, n_importance_samples=256))
    for score in scores:
        assert _largest_output(model, score) <= MOST_BYTES


def test_draws_that_come_in_parts_have_the_same_mean(monkeypatch):
    model = VAETransformer(2, network=MLP((8,)), **FITTED).fit(PIXELS[:40, :9])
    rows, codes = PIXELS[40:50, :9], np.random.RandomState(0).normal(size=(7, 2))

    def answers():
        fitted = model.model_
        return (
            fitted.score(rows),
            fitted.bound_terms(rows),
            fitted.importance_weighted(rows, None),
            fitted.expect_given_observed(rows, 64),
            fitted.expect_given_condition(rows, codes),
        )

    whole = answers()
    monkeypatch.setattr("sklae._autoencoders.inference._MOST_ELEMENTS", 64 * 5)
    assert fitted_model.FittedModel(model.layout_, model.net_).draws_at_once == 5
    for part, wanted in zip(answers(), whole, strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-10)


class _Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes."""

    n_bytes = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        self.n_bytes = max([self.n_bytes, *(each.numel() * each.element_size() for each in _tensors(made))])
        return made


def test_attention_between_many_columns_holds_few_pairs_at_once():
    network = Transformer(d_model=8, num_layers=1, linear_path=False)
    model = AutoencoderTransformer(2, network=network, batch_size=2, **FITTED).fit(PIXELS[:4])
    pairs = 4 * 784**2 * 8
    assert pairs > MOST_BYTES
    rows = model.layout_.encode(PIXELS[:1], dtype=torch.float64)
    module = model.net_.inference_module(torch.float64).requires_grad_(True)
    kept = module.encode(*rows).mean.detach()
    with _Largest() as largest:
        scores = model.score_samples(PIXELS[:2])
    assert largest.n_bytes <= MOST_BYTES
    assert np.isfinite(scores).all()
    with torch.no_grad():
        torch.testing.assert_close(module.encode(*rows).mean, kept)
