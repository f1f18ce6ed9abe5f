"""Modules of the user's: what they may return, and what gradients have to reach."""

import pytest
import torch
from torch import nn
from toys import X, ae, vae


def _module(answer):
    class Own(nn.Module):
        def __init__(self, n_inputs, n_outputs):
            super().__init__()
            self.layer = nn.Linear(n_inputs, n_outputs)

        def forward(self, h):
            return answer(self.layer, h)

    return Own


ANSWERS = {
    "a tuple": (lambda layer, h: (layer(h), h), "returned tuple"),
    "nothing": (lambda layer, h: None, "returned NoneType"),
    "a dict": (lambda layer, h: {"out": layer(h)}, "returned dict"),
    "an array": (lambda layer, h: layer(h).detach().numpy(), "returned ndarray"),
    "a number": (lambda layer, h: 3.0, "returned float"),
    "doubles": (lambda layer, h: layer(h).double(), "returned a tensor of torch.float64"),
    "integers": (lambda layer, h: layer(h).int(), "returned a tensor of torch.int32"),
    "no gradient": (lambda layer, h: layer(h).detach(), "no gradient with respect to its own parameters"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("role", ["encoder", "decoder"])
@pytest.mark.parametrize("make", [ae, vae])
def test_other_answers_are_refused(make, role, name):
    answer, reason = ANSWERS[name]
    model = make(**{role: _module(answer)}, hidden_layer_sizes=None)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=rf"Got a module from {role}\(.*{reason}.*expected .*(Let|Leave)"):
        model.fit(X)
    assert vars(model) == before


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_rows_lost_of_larger_batches_are_refused(role):
    model = ae(**{role: _module(lambda layer, h: layer(h)[:7])}, hidden_layer_sizes=None)
    with pytest.raises(ValueError, match=r"Got 7 rows for \d+ from Own; expected one output a row"):
        model.fit(X)


def test_a_decoder_that_cuts_codes_off_is_refused():
    own = _module(lambda layer, h: layer(h.detach()))
    with pytest.raises(ValueError, match="no gradient reaches the codes, and so the encoder"):
        ae(decoder=own).fit(X)
    assert ae(encoder=own, max_iter=1).fit(X).n_iter_ == 1


def test_frozen_layers_are_allowed():
    assert ae(encoder=lambda a, b: nn.Linear(a, b).requires_grad_(False), max_iter=1).fit(X).n_iter_ == 1
    assert ae(encoder=lambda a, b: nn.AdaptiveAvgPool1d(b), max_iter=1).fit(X).n_iter_ == 1


class Attention(nn.Module):
    draws = False

    def __init__(self, n_inputs, n_outputs, kind):
        super().__init__()
        self.into, self.out = nn.Linear(1, 4), nn.Linear(4, 1)
        self.attention = {
            "layer": nn.TransformerEncoderLayer(4, 1, 8, dropout=0.0, batch_first=True),
            "heads": nn.MultiheadAttention(4, 1, dropout=0.0, batch_first=True),
            "function": None,
        }[kind]
        self.last = nn.Linear(n_inputs, n_outputs)

    def forward(self, h):
        h = self.into(h[..., None])
        if self.attention is None:
            h = nn.functional.scaled_dot_product_attention(h, h, h, dropout_p=0.0)
        else:
            h = (
                self.attention(h)
                if isinstance(self.attention, nn.TransformerEncoderLayer)
                else self.attention(h, h, h)[0]
            )
        return self.last(self.out(h)[..., 0])


@pytest.mark.parametrize("kind", ["layer", "heads", "function"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_attention_without_dropout_draws_nothing(kind, solver):
    state = torch.random.get_rng_state()
    assert ae(encoder=lambda a, b: Attention(a, b, kind), solver=solver, max_iter=1).fit(X).n_iter_ == 1
    assert torch.equal(torch.random.get_rng_state(), state)
