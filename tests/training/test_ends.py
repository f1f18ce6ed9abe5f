"""How fits end: budgets, held-out rows, warnings, and what is published."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from skorch.callbacks import Callback
from support import TRANSFORMERS

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._autoencoders.defaults import default_n_held_out, default_n_steps
from sklae._training.callbacks import _is_gain
from sklae._training.optimizers import clip_gradients

X = scale(load_wine().data)


@pytest.mark.parametrize(("n_rows", "held_out"), [(3, 0), (4, 1), (40, 10), (200, 50), (1_000, 100), (10**6, 1_000)])
def test_a_tenth_is_held_out_but_not_too_few_or_too_many(n_rows, held_out):
    assert default_n_held_out(n_rows) == held_out


@pytest.mark.parametrize(
    ("shape", "steps", "plain"),
    [((10, 5), 100, 100), ((100, 5), 450, 600), ((10**4, 5), 1_250, 2_000), ((10**6, 50), 3_000, 2_000)],
)
def test_budgets_are_steps(shape, steps, plain):
    assert default_n_steps(*shape, variational=True) == steps
    assert default_n_steps(*shape, variational=False) == plain


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_defaults_hold_rows_out_and_keep_the_best(cls):
    model = cls(3, random_state=0).fit(X)
    n_train = sum(row["train_batch_size"] for row in model.net_.history[0, "batches"] if "train_batch_size" in row)
    assert n_train == len(X) - len(X) // 4
    assert 0 <= model.best_iter_ <= model.n_iter_ == len(model.validation_scores_)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_few_rows_are_all_trained_on(cls):
    model = cls(1, max_iter=2, random_state=0).fit(X[:3])
    assert not hasattr(model, "validation_scores_")
    assert not hasattr(model, "best_iter_")


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_a_fit_that_ends_above_its_start_says_so_and_keeps_the_start(cls):
    with pytest.warns(ConvergenceWarning, match=r"ended above where it began.*Lower learning_rate_init, which is 1"):
        model = cls(3, learning_rate="one_cycle", learning_rate_init=1.0, max_iter=20, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = cls(3, max_iter=1, learning_rate_init=1e-12, random_state=0).fit(X)
    assert model.score(X) >= start.score(X) - 0.05


def test_so_does_one_without_held_out_rows():
    settings = {"early_stopping": False, "learning_rate": "constant", "n_iter_no_change": np.inf, "max_iter": 20}
    with pytest.warns(ConvergenceWarning, match="ended above where it began"):
        AutoencoderTransformer(3, learning_rate_init=1.0, random_state=0, **settings).fit(X)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_a_budget_too_small_is_told_of(cls):
    rng = np.random.RandomState(0)
    angle = rng.uniform(0, 2 * np.pi, size=800)
    rings = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    rings += 0.02 * rng.normal(size=rings.shape)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(6\) reached"):
        cls(2, max_iter=6, learning_rate="constant", learning_rate_init=1e-3, random_state=0).fit(rings)


def test_warm_starts_are_warned_of_as_well():
    settings = {"early_stopping": False, "learning_rate": "constant", "learning_rate_init": 1e-5, "max_iter": 3}
    model = AutoencoderTransformer(2, warm_start=True, random_state=0, **settings)
    for n_iter in (3, 6):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
            model.fit(X)
        assert model.n_iter_ == n_iter
    with pytest.warns(ConvergenceWarning):  # after an end at a number of epochs that max_iter does not divide
        model.set_params(max_iter=4).fit(X)


def test_validation_scores_are_those_of_the_last_fit():
    model = VAETransformer(2, max_iter=3, random_state=0).fit(X)
    assert len(model.validation_scores_) == 3
    model.set_params(early_stopping=False, learning_rate="constant").fit(X)
    assert not hasattr(model, "validation_scores_")
    assert not hasattr(model, "best_iter_")


def test_scores_of_validation_rows_go_with_them():
    model = AutoencoderTransformer(2, max_iter=3, warm_start=True, learning_rate="constant", random_state=0).fit(X)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    assert model.loss_ == model.loss_curve_[-1]
    model.partial_fit(X)
    assert not hasattr(model, "validation_scores_")
    assert not hasattr(model, "best_iter_")
    assert model.best_validation_score_ is None
    assert model.best_loss_ == min(model.loss_curve_)
    assert len(model.fit(X).validation_scores_) == 3  # of those since
    assert model.n_iter_ == len(model.loss_curve_) == 7
    assert len(model.fit(X).validation_scores_) == 6


def test_a_warm_start_plans_its_rate_over_its_own_epochs():
    """With the first one's plan it would train at a rate of 0 from the fourth epoch on."""
    model = AutoencoderTransformer(2, max_iter=3, warm_start=True, random_state=0).fit(X)
    model.set_params(max_iter=8).fit(X)
    rates = []
    model.net_.callbacks_.append(("look", Look(rates)))
    model.fit(X)
    assert len(rates) == 8
    assert rates[0] > rates[3] > rates[6] > 0


class Look(Callback):
    def __init__(self, rates):
        self.rates = rates

    def on_epoch_end(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


def test_fewer_epochs_than_patience_tell_nothing_where_something_was_gained():
    model = VAETransformer(2, max_iter=3, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(load_wine().data)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(5\) reached"):
        model.set_params(max_iter=5).fit(load_wine().data)
    assert model.best_iter_ > 3


def test_an_ensemble_tells_one_cause_once():
    settings = {"early_stopping": False, "learning_rate": "constant", "learning_rate_init": 1e-5, "max_iter": 3}
    detector = AEOutlierDetector(AutoencoderTransformer(2, **settings), n_estimators=3, random_state=0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        detector.fit(X)
    assert [each.category for each in told] == [ConvergenceWarning]
    assert told[0].filename == __file__


def test_beta_is_what_held_out_rows_are_weighed_by():
    """At beta = 1 the start would be the best there is, and nothing be learned."""
    model = VAETransformer(4, beta=8.0, random_state=0).fit(X)
    start = VAETransformer(4, beta=8.0, max_iter=1, learning_rate_init=1e-12, early_stopping=False, random_state=0).fit(
        X
    )
    assert model.best_iter_ > 0
    assert model.posterior_kl(X).sum(1).mean() < 0.7 * start.posterior_kl(X).sum(1).mean()


def test_a_gain_is_more_than_chance_and_more_than_single_rows():
    noise = torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise -= noise.mean()
    assert not _is_gain(noise + 0.01)
    assert _is_gain(noise + 0.5)
    single = torch.zeros(200, dtype=torch.float64)
    single[0] = 1e4
    assert not _is_gain(noise - 0.5 + single)  # one row gains all there is, the others lose
    assert _is_gain(noise + 2.0 - 0.01 * single)  # one row loses
    assert not _is_gain(noise + 2.0 - single)  # more than all others gain


def test_gradients_are_shortened_together():
    parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2))]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    for length, wanted in ((10.0, 1.0), (0.5, 0.5)):
        parameters[0].grad, parameters[1].grad = torch.full((3,), 2.0), torch.full((2,), -1.0)
        norm = (3 * 4 + 2) ** 0.5
        for parameter in parameters:
            parameter.grad *= length / norm
        clip_gradients(optimizer, 1.0)
        found = torch.cat([p.grad for p in parameters])
        assert found.norm().item() == pytest.approx(wanted, rel=1e-5)
        assert (found[0] / found[-1]).item() == pytest.approx(-2.0, rel=1e-5)


def test_a_default_fit_that_keeps_its_start_has_nothing_to_tell():
    """Of a table that is linear, to the last bit: noise in training can only lose."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(178, 2)) @ rng.normal(size=(2, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        vae = VAETransformer(2, random_state=0).fit(X)
    assert vae.best_iter_ == 0


def test_validation_rows_need_a_value():
    with pytest.raises(ValueError, match="X_val without a single value"):
        AutoencoderTransformer(2, random_state=0).fit(X, X_val=X[:9] * np.nan)


def test_validation_rows_beside_pairs_are_refused():
    with pytest.raises(ValueError, match="X_clean and X_val"):
        AutoencoderTransformer(2, random_state=0).fit(X + 1.0, X_clean=X, X_val=X[:9])


def test_one_validation_row_will_do(recwarn):
    AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X[:30], X_val=X[30:31])
    assert not [told for told in recwarn if told.category is not ConvergenceWarning]
