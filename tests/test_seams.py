"""Parts that sklae does not have plug in from outside: each is one short file in `seams`, and nothing else knows it."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from laws import LAWS
from seams.autoregressive import Autoregressive
from seams.conv import Conv
from seams.latent_critic import LatentCritic
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklae import VAETransformer
from sklae.exceptions import DivergenceError
from sklae.likelihoods import Mixed
from sklae.networks import Inputs, Network
from sklae.posteriors import POSTERIORS

DIGITS = load_digits().data[:80] / 16.0
LABELS = load_digits().target[:80]
QUICK = {
    "n_components": 2,
    "max_iter": 2,
    "n_iter_no_change": np.inf,
    "early_stopping": False,
    "learning_rate": "constant",
    "batch_size": 16,
    "random_state": 0,
}


def vae(**params):
    return VAETransformer(**{**QUICK, **params})


def with_gaps(table, share=0.1):
    return np.where(np.random.RandomState(0).uniform(size=table.shape) < share, np.nan, table)


def levels(n):
    return np.random.RandomState(1).randint(0, 3, size=(len(DIGITS), n)).astype(float)


TABLES = {
    "numbers": (DIGITS, {}),
    "gaps": (with_gaps(DIGITS), {}),
    "a condition": (np.column_stack([with_gaps(DIGITS), LABELS]), {"condition_features": [64]}),
    "categories": (levels(64), {"likelihood": "categorical"}),
    "histograms": (np.round(DIGITS * 4), {"likelihood": "histogram"}),
    "kinds": (
        pd.DataFrame(DIGITS).assign(**{"0": pd.Categorical(LABELS.astype(str))}).drop(columns=[0]).rename(columns=str),
        {"likelihood": Mixed("histogram")},
    ),
}


def verbs_work(model, table, params):
    """Codes, rows and densities are finite and of the right size."""
    names = params.get("condition_features", [])
    given = {"condition": np.asarray(table)[:5, names]} if names else {}
    assert np.isfinite(model.transform(table)).all()
    assert np.isfinite(model.score_samples(table[:5])).all()
    assert model.reconstruct(table[:5]).shape == (5, table.shape[1])
    assert len(model.sample(5, random_state=0) if not names else model.sample(1, 0, **given)) == 5


# the small autoregressive one has as many outputs for each column, and columns of numbers before their own
OF_NUMBERS = ["numbers", "gaps", "a condition"]


@pytest.mark.parametrize(
    ("network", "kind"),
    [*product([Conv((1, 8, 8)), Conv()], TABLES), *product([Autoregressive((8,))], OF_NUMBERS)],
    ids=repr,
)
def test_networks_fit_tables_of_every_kind(network, kind):
    table, params = TABLES[kind]
    model = vae(network=network, **params).fit(table)
    verbs_work(model, table, params)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.transform(table), model.transform(table))
    assert np.array_equal(clone(model).fit(table).transform(table), model.transform(table))


@pytest.mark.parametrize("law", LAWS["network"], ids=lambda law: law.__name__)
@pytest.mark.parametrize("network", [Conv((1, 8, 8)), Conv(), Autoregressive((8,))], ids=repr)
def test_networks_obey_the_laws_of_their_kind(network, law):
    law(clone(network))


def test_a_wide_layer_makes_small_chunks():
    """The planes that a convolution makes are no weights: the part says how many numbers they are."""
    narrow, wide = (vae(network=Conv((1, 8, 8), channels=n)).fit(DIGITS) for n in (2, 256))
    assert wide.net_.module_.width == 256 * 64
    assert len(list(wide.model_.chunks(2_000))) > 10 * len(list(narrow.model_.chunks(2_000)))


def test_a_part_that_reads_its_size_off_the_table_says_what_fits():
    for size in (4, 9, 16):
        assert Conv().encoder(Inputs(size, 0, 0, size), 3)(torch.zeros(2, size), None, None).shape == (2, 3)
    with pytest.raises(ValueError, match="Got 7 columns; expected 4"):
        vae(network=Conv()).fit(DIGITS[:, :7] + np.arange(len(DIGITS))[:, None])


@pytest.mark.parametrize(("network", "name"), [(Conv((1, 8, 8)), "channels"), (Autoregressive((8,)), "dropout")])
def test_a_search_reaches_into_networks(network, name):
    grid = {f"network__{name}": [2, 5] if name == "channels" else [0.0, 0.2], "beta": [1.0, 2.0]}
    search = GridSearchCV(vae(network=network, condition_features=[64]), grid, cv=2, error_score="raise")
    search.fit(np.column_stack([with_gaps(DIGITS), LABELS]))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_an_autoregressive_density_sums_to_one():
    """Over all rows of six bits, whatever the code; and a column depends on those before it alone."""
    bits = np.array(list(product([0.0, 1.0], repeat=6)))
    model = vae(network=Autoregressive((8,)), likelihood="bernoulli", max_iter=3).fit(bits)
    module, x = model.net_.module_, torch.as_tensor(bits, dtype=torch.float32)
    z = torch.randn(5, 1, 2, generator=torch.Generator().manual_seed(0)).expand(-1, len(bits), -1)
    with torch.no_grad():
        given = module.given(z)
        torch.testing.assert_close(given.log_prob(x).sum(-1).exp().sum(-1), torch.ones(5))
    jacobian = torch.autograd.functional.jacobian(lambda row: module.given(z[0, :1]).params_of(row), x[:1])[0, :, 0]
    assert torch.equal(jacobian, jacobian.tril(-1))
    assert not torch.equal(jacobian, torch.zeros_like(jacobian))


# -- a critic with an optimizer of its own ------------------------------------------------------------------


def adversarial(**params):
    return vae(posterior="point", divergence=LatentCritic(), **params)


@pytest.mark.parametrize("kind", ["numbers", "gaps", "a condition"])
def test_a_critic_is_trained_against_the_model(kind):
    table, params = TABLES[kind]
    model = adversarial(**params).fit(table)
    history = model.net_.history
    assert np.isfinite([history[:, "train_adversarial"], history[:, "train_opponent"]]).all()
    assert [type(each).__name__ for each in model.net_.optimizers] == ["Adam", "RMSprop"]
    judge = model.net_.criterion_.divergence.judge
    trained = {id(p) for group in model.net_.optimizer_.param_groups for p in group["params"]}
    assert not trained & {id(p) for p in judge.parameters()}
    untrained = adversarial(**{**params, "max_iter": 1, "learning_rate_init": 1e-12}).fit(table)
    assert not torch.equal(judge[0].weight, untrained.net_.criterion_.divergence.judge[0].weight)
    copy = pickle.loads(pickle.dumps(model))
    assert torch.equal(copy.net_.criterion_.divergence.judge[0].weight, judge[0].weight)


def test_a_critic_draws_codes_to_the_prior():
    settings = {"max_iter": 40, "learning_rate_init": 5e-3, "beta": 5.0}
    held, free = (adversarial(**{**settings, "beta": beta}).fit(DIGITS).transform(DIGITS) for beta in (5.0, 0.0))
    assert np.abs(held.mean(0)).max() + np.abs(held.std(0) - 1).max() < 1.0
    assert np.abs(np.log(held.std(0))).max() < np.abs(np.log(free.std(0))).max()


def test_k_epochs_and_k_more_are_2k_epochs_of_both():
    whole = adversarial(max_iter=4).fit(DIGITS)
    halves = pickle.loads(pickle.dumps(adversarial(max_iter=2, warm_start=True).fit(DIGITS))).fit(DIGITS)
    for one, other in zip(whole.net_.learners, halves.net_.learners, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_failed_fit_restores_the_critic_too():
    model = adversarial(warm_start=True).fit(DIGITS)
    before = [p.clone() for learner in model.net_.learners for p in learner.parameters()]
    model.net_.criterion_.divergence.divergence.learning_rate = None
    for group in model.net_.optimizers[1].param_groups:
        group["lr"] = 1e38
    with pytest.raises(DivergenceError):
        model.set_params(max_iter=5).fit(DIGITS)
    after = [p for learner in model.net_.learners for p in learner.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_critic_that_fails_is_named():
    class Broken(LatentCritic):
        def build(self, n_components):
            module = super().build(n_components)
            module.opponent_loss = lambda codes: codes.z.sum() * np.nan
            return module

    with pytest.raises(DivergenceError, match="non-finite loss of the model's opponent"):
        vae(posterior="point", divergence=Broken()).fit(DIGITS)


def test_a_search_reaches_into_the_critic():
    grid = {"divergence__width": [4, 8], "posterior": sorted({"diagonal"} & set(POSTERIORS))}
    search = GridSearchCV(vae(divergence=LatentCritic(), condition_features=[64]), grid, cv=2, error_score="raise")
    assert np.isfinite(search.fit(np.column_stack([with_gaps(DIGITS), LABELS])).best_score_)


# -- mistakes in parts of one's own -------------------------------------------------------------------------


class _Misspelt(LatentCritic):
    def weights(self, beta):
        return {"adversarail": beta}


class _WatchesNothing(LatentCritic):
    bound_terms = ("advers",)


@pytest.mark.parametrize("divergence", [_Misspelt(), _WatchesNothing()], ids=repr)
def test_names_that_no_term_has_are_refused(divergence):
    model = adversarial().fit(DIGITS)
    before = model.transform(DIGITS)
    with pytest.raises(ValueError, match=r"terms \['adversarial'\], weights of .*; expected a weight for each term"):
        model.set_params(divergence=divergence).fit(DIGITS)
    assert np.array_equal(model.transform(DIGITS), before)


class _Answers(Autoregressive):
    def __init__(self, hidden_layer_sizes=(8,), answer=None):
        super().__init__(hidden_layer_sizes)
        self.answer = answer

    def decoder(self, inputs, n_outputs):
        module, answer = super().decoder(inputs, n_outputs), self.answer
        given = module.given
        module.given = lambda *args: answer(given(*args))
        return module


def _summed(given):
    given.log_prob = lambda x: torch.zeros(len(x))
    return given


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda given: given.mean, "returned Tensor, which has no energy, log_prob, expectation, sample"),
        (_summed, r"Got energy of shape \(2,\).*expected the same: one number for each column"),
    ],
    ids=["no distribution", "summed over columns"],
)
def test_what_a_decoder_answers_is_tried_out(answer, message):
    with pytest.raises(ValueError, match=message):
        vae(network=_Answers(answer=answer)).fit(DIGITS)


class _Plain(Network):
    """PyTorch's own containers take no generator."""

    def build_encoder(self, n_inputs, n_outputs):
        return torch.nn.Sequential(torch.nn.Linear(n_inputs, n_outputs), torch.nn.Dropout(0.5))

    build_decoder = build_encoder


def test_modules_that_take_no_generator_draw_from_it_all_the_same():
    one, other = (vae(network=_Plain()).fit(DIGITS).transform(DIGITS) for _ in range(2))
    assert np.array_equal(one, other)
