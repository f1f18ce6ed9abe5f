"""New rows from any autoencoder: densities of codes that are fitted after training."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity
from support import global_generators, make_table
from toys import ae, fingerprint, same, vae

from sklae import AutoencoderTransformer, VAETransformer
from sklae._autoencoders import inference
from sklae._autoencoders.code_density import AGGREGATES, _FlowDensity, draw_codes, fit_code_density
from sklae.exceptions import InterruptedFitWarning

X = make_table(120, 4)
X.setflags(write=False)


class Bootstrap(BaseEstimator):
    """The codes themselves, drawn anew: a density as users write them."""

    def fit(self, codes, y=None):
        self.codes_ = codes
        return self

    def sample(self, n_samples=1, random_state=None):
        return self.codes_[np.random.RandomState(random_state.randint(2**31)).randint(len(self.codes_), size=n_samples)]


class Failing(Bootstrap):
    """A density that can't be fitted."""

    def fit(self, codes, y=None):
        raise ZeroDivisionError


#: Name -> sample_from, among them estimators left without a seed.
DENSITIES = {
    **{name: name for name in AGGREGATES},
    "mixture": GaussianMixture(3),
    "seeded mixture": GaussianMixture(2, random_state=7),
    "random mixture": BayesianGaussianMixture(n_components=3, init_params="random", max_iter=20, tol=1.0),
    "kernels": KernelDensity(bandwidth=0.2),
    "own": Bootstrap(),
}
CODES = np.random.RandomState(0).normal(size=(300, 2)) @ np.array([[1.0, 0.8], [0.0, 0.3]]) + [3.0, -1.0]


@pytest.fixture(scope="module", autouse=True)
def fewer_steps():
    """A flow fitted in a second instead of five: only clusters need them all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_FlowDensity, "_MOST_STEPS", 200)
        yield


@pytest.fixture(scope="module", params=DENSITIES)
def model(request):
    return ae(n_components=2, likelihood="gaussian", sample_from=DENSITIES[request.param]).fit(X)


# -- densities --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_have_the_moments_of_the_codes(name):
    density = fit_code_density(DENSITIES[name], CODES, np.random.RandomState(0))
    drawn = draw_codes(density, 4_000, np.random.RandomState(1))
    assert drawn.shape == (4_000, 2)
    error = CODES.std(0) / np.sqrt(len(CODES))
    assert np.all(np.abs(drawn.mean(0) - CODES.mean(0)) < 5 * error)
    # kernels widen the covariance by the square of their width
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(CODES.T), atol=0.2)


@pytest.mark.parametrize(("name", "share"), [("aggregate", 0.001), pytest.param("flow", 0.05, marks=pytest.mark.slow)])
def test_clusters_are_found(name, share, monkeypatch):
    """Two far apart: hardly a draw falls between them."""
    monkeypatch.setattr(_FlowDensity, "_MOST_STEPS", 1_000)
    codes = np.concatenate([CODES[:150] * 0.1, CODES[150:] * 0.1 + 20.0])
    drawn = draw_codes(fit_code_density(name, codes, np.random.RandomState(0)), 1_000, np.random.RandomState(1))
    assert np.mean((drawn[:, 0] > 3.0) & (drawn[:, 0] < 17.0)) < share
    assert abs(np.mean(drawn[:, 0] > 10.0) - 0.5) < 0.1


@pytest.mark.parametrize("name", DENSITIES)
def test_draws_are_in_no_order(name):
    """scikit-learn's mixtures return theirs sorted by component."""
    codes = np.concatenate([CODES[:150] * 0.1, CODES[150:] * 0.1 + 20.0])
    drawn = draw_codes(
        fit_code_density(DENSITIES[name], codes, np.random.RandomState(0)), 400, np.random.RandomState(1)
    )
    far = drawn[:, 0] > 10.0
    # of a sorted sample a half would hold all; five standard errors of a share
    assert abs(far[:200].mean() - far[200:].mean()) < 5 * np.sqrt(2 * 0.25 / 200)


def test_the_users_estimator_is_cloned():
    mixture = GaussianMixture(2)
    fitted = ae(sample_from=mixture).fit(X)
    assert not hasattr(mixture, "means_")
    assert mixture.random_state is None
    assert fitted.sample_from is mixture
    assert clone(fitted).sample_from is not mixture


def test_many_codes_are_thinned():
    density = fit_code_density(Bootstrap(), np.arange(24_000.0).reshape(-1, 2), np.random.RandomState(0))
    assert len(np.unique(density.codes_[:, 0])) == 10_000
    assert density.codes_.max() > 20_000


def test_codes_that_collapsed_have_a_density_all_the_same():
    codes = np.column_stack([CODES[:, 0], np.full(300, 2.0)])
    for name in AGGREGATES:
        drawn = draw_codes(fit_code_density(name, codes, np.random.RandomState(0)), 50, np.random.RandomState(1))
        assert np.abs(drawn[:, 1] - 2.0).max() < 0.1


# -- models -----------------------------------------------------------------------------------------------


def test_without_a_density_there_is_no_sample():
    fitted = ae().fit(X)
    assert not hasattr(fitted, "sample")
    with pytest.raises(AttributeError) as refusal:
        fitted.sample(3)
    assert "expected sample_from='aggregate'" in str(refusal.value.__cause__ or refusal.value)
    assert hasattr(ae(sample_from="aggregate"), "sample")


@pytest.mark.parametrize("make", [ae, vae])
def test_partial_fits_have_no_density(make):
    """Neither after the first call nor after a fit, whose codes were others."""
    estimator = make(sample_from=GaussianMixture(1))
    refusal = r"Got sample_from=GaussianMixture\(\) and a model that .*partial_fit.*Fit it again"
    with pytest.raises(ValueError, match=refusal):
        estimator.partial_fit(X).sample(2)
    with pytest.raises(ValueError, match=refusal):
        estimator.fit(X).partial_fit(X).sample(2)
    assert estimator.fit(X).sample(2, random_state=0).shape == (2, 4)


@pytest.mark.parametrize("make", [ae, vae])
def test_warm_starts_fit_the_density_anew(make):
    whole = make(max_iter=4, sample_from=Bootstrap()).fit(X)
    halves = make(max_iter=2, warm_start=True).fit(X).set_params(sample_from=Bootstrap()).fit(X)
    again = make(max_iter=2, warm_start=True, sample_from=Bootstrap()).fit(X).fit(X)
    for other in (halves, again):
        np.testing.assert_array_equal(other.code_density_.codes_, whole.code_density_.codes_)


@pytest.mark.parametrize(("make", "continues"), [(ae, False), (vae, True)])
def test_an_interrupt_while_the_flow_is_fitted_keeps_what_was_trained(make, continues, monkeypatch):
    fitted = make(sample_from="flow", warm_start=continues)
    if continues:
        fitted.fit(X)
    wanted = clone(fitted).set_params(sample_from=make().sample_from).fit(X)
    if continues:
        wanted.fit(X)
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.lr_scheduler.OneCycleLR, "step", _interrupt_at(5))
        with pytest.warns(InterruptedFitWarning, match="without sample_from"):
            fitted.fit(X)
    assert not hasattr(fitted, "code_density_")
    np.testing.assert_array_equal(fitted.transform(X), wanted.transform(X))
    np.testing.assert_array_equal(fitted.score_samples(X), wanted.score_samples(X))
    assert fitted.loss_curve_ == wanted.loss_curve_
    assert fitted.n_iter_ == len(fitted.loss_curve_) == len(fitted.net_.history)
    with pytest.raises(ValueError, match=r"or by a fit that was interrupted.*Fit it again"):
        fitted.sample(2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    assert fitted.fit(X).sample(2, random_state=0).shape == (2, 4)


def _interrupt_at(n_steps):
    steps = iter(range(n_steps))

    def strike(*args, **kwargs):
        if next(steps, None) is None:
            raise KeyboardInterrupt

    return strike


def test_a_density_that_fails_leaves_the_model_as_it_was():
    unfitted = ae(sample_from=Failing())
    before = dict(vars(unfitted))
    with pytest.raises(ZeroDivisionError):
        unfitted.fit(X)
    assert vars(unfitted) == before


@pytest.mark.parametrize("make", [ae, vae])
def test_a_density_that_fails_after_a_warm_start_leaves_the_model_as_it_was(make):
    model = make(sample_from=Bootstrap(), warm_start=True).fit(X)
    wanted, attributes = fingerprint(model, X), {k: v for k, v in vars(model).items() if k.endswith("_")}
    with pytest.raises(ZeroDivisionError):
        model.set_params(sample_from=Failing()).fit(X)
    assert {k: v for k, v in vars(model).items() if k.endswith("_")} == attributes
    assert same(fingerprint(model, X), wanted)
    # but for skorch's marks of best epochs, which a failure does not reset
    whole = make(max_iter=6, sample_from=Bootstrap()).fit(X)
    found, expected = (
        {key: value for key, value in fingerprint(each, X).items() if not key.endswith("_best")}
        for each in (model.set_params(sample_from=Bootstrap()).fit(X), whole)
    )
    assert same(found, expected)


@pytest.mark.parametrize("wrong", ["prior", "kde", object(), GaussianMixture])
def test_other_densities_are_refused_before_any_work(wrong):
    with pytest.raises((ValueError, TypeError), match="sample_from"):
        ae(sample_from=wrong, max_iter=10**9).fit(X)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("name", ["aggregate", "kernels"])
def test_samples_resemble_the_data(cls, name):
    """Means within five standard errors of both tables, covariances within a quarter of the variances."""
    table = make_table(400, 4)
    settings = {"hidden_layer_sizes": (), "max_iter": 80, "learning_rate": "one_cycle", "learning_rate_init": 0.03}
    fitted = cls(2, likelihood="gaussian", sample_from=DENSITIES[name], random_state=0, **settings).fit(table)
    rows = (fitted.sample(2_000, random_state=0) - table.mean(0)) / table.std(0)
    assert np.all(np.abs(rows.mean(0)) < 5 * np.sqrt(1 / 400 + 1 / 2_000))
    np.testing.assert_allclose(np.cov(rows.T), np.corrcoef(table.T), atol=0.25)


def test_samples_of_least_squares_are_no_wider_than_the_data():
    """The squared error says nothing about noise: none is added."""
    table = make_table(200, 4)
    fitted = ae(n_components=3, sample_from="aggregate", max_iter=40, learning_rate_init=0.02).fit(table)
    rows = fitted.sample(2_000, random_state=0)
    assert np.all(rows.std(0) < 1.15 * table.std(0))


def test_samples_come_in_the_fitted_container_and_dtype():
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    rows = ae(sample_from=GaussianMixture(1)).fit(frame).sample(3, random_state=0)
    assert isinstance(rows, pd.DataFrame)
    assert list(rows.columns) == list("abcd")
    assert set(rows.dtypes) == {np.dtype("float32")}


# -- randomness -------------------------------------------------------------------------------------------


def test_samples_are_seeded_and_stateless(model):
    first = model.sample(5, random_state=3)
    model.sample(50)
    np.testing.assert_array_equal(model.sample(5, random_state=3), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).sample(5, random_state=3), first)
    assert not np.allclose(model.sample(5, random_state=4), first)
    assert not np.allclose(model.sample(5), model.sample(5))


def test_global_generators_are_neither_read_nor_written(model):
    """By fit, and by sample with and without a seed."""
    expected = model.sample(4, random_state=0)
    for seed in (0, 1):
        np.random.seed(seed)
        before = global_generators()
        fitted = clone(model).fit(X)
        rows = fitted.sample(4, random_state=0)
        fitted.sample(4)
        assert global_generators() == before
        np.testing.assert_array_equal(rows, expected)
    unseeded = []
    for _ in range(2):
        np.random.seed(0)
        unseeded.append(model.sample(4))
    assert not np.allclose(*unseeded)


def test_a_seed_of_the_density_is_kept():
    fitted = ae(sample_from=GaussianMixture(2, random_state=7)).fit(X)
    assert fitted.code_density_.random_state == 7
    assert isinstance(ae(sample_from=GaussianMixture(2)).fit(X).code_density_.random_state, int)


@pytest.mark.parametrize("n_samples", [10**12, 10**10])
def test_more_rows_than_memory_are_refused(n_samples, model):
    with pytest.raises(ValueError, match=rf"Got n_samples={n_samples}, a table of .* GiB; expected one that fits"):
        model.sample(n_samples)


def test_rows_are_drawn_a_few_at_a_time(monkeypatch):
    """And their conditions with them."""
    table = np.round(X)
    model, conditions = vae(condition_features=[0]).fit(table), np.unique(table[:, 0])
    at_once = model.sample(50, random_state=0, condition=conditions, noise=False)
    monkeypatch.setattr(inference, "_CHUNK_ELEMENTS", 2**10)
    np.testing.assert_allclose(model.sample(50, random_state=0, condition=conditions, noise=False), at_once)
    assert len(list(model.model_.chunks(len(at_once)))) > 5
