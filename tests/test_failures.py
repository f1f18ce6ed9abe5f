"""Nothing is left half done: a call that fails changes nothing, and one that is interrupted keeps the best so far."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from skorch.callbacks import EarlyStopping
from support import make_table
from toys import MAKERS, SLACK, Spy, X, ae, epochs, fingerprint, inner, outputs, raise_at, same, vae, with_gaps

from sklae.exceptions import DivergenceError, InterruptedFitWarning
from sklae.networks import MLP

GAPPY = with_gaps(X)
NAMES = list("abcd")

WILD = {"solver": "sgd", "learning_rate_init": 1e18, "max_iter": 20}


@pytest.fixture(params=MAKERS, name="maker")
def _maker(request):
    return MAKERS[request.param]


def _settings_of(estimator, **params):
    prefix = "autoencoder__" if hasattr(estimator, "autoencoder") else ""
    return estimator.set_params(**{prefix + name: value for name, value in params.items()})


def test_a_diverging_fit_leaves_an_unfitted_estimator_unfitted(maker):
    estimator = maker(**WILD)
    before = dict(vars(estimator))
    with pytest.raises(DivergenceError, match=r"Got a non-finite .*expected .*Lower learning_rate_init"):
        estimator.fit(X)
    assert vars(estimator) == before


@pytest.mark.parametrize("make", [ae, vae])
def test_a_diverging_partial_fit_leaves_an_unfitted_estimator_unfitted(make):
    estimator = make(**WILD)
    before = dict(vars(estimator))
    with pytest.raises(DivergenceError):
        estimator.partial_fit(np.tile(X, (5, 1)))
    assert vars(estimator) == before


def _assert_unharmed(estimator, action, error):
    """Check that an action fails with an error and changes nothing that the user can see."""
    wanted, attributes = fingerprint(estimator), {k: v for k, v in vars(estimator).items() if k.endswith("_")}
    with pytest.raises(error):
        action()
    assert {k: v for k, v in vars(estimator).items() if k.endswith("_")} == attributes
    assert same(fingerprint(estimator), wanted)


def test_a_diverging_refit_keeps_the_old_model(maker):
    estimator = maker().fit(X)
    _settings_of(estimator, **WILD)
    _assert_unharmed(estimator, lambda: estimator.fit(X), DivergenceError)


def _extreme():
    table = X.copy()
    table[5, 2] = 1e30  # times itself: past float32
    return table


@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
@pytest.mark.parametrize("make", [ae, vae])
def test_a_diverging_continuation_keeps_the_old_model(make, verb):
    estimator = make(warm_start=True).fit(X)
    _assert_unharmed(estimator, lambda: getattr(estimator, verb)(_extreme()), DivergenceError)


@pytest.mark.parametrize(
    "model",
    [
        ae(),
        ae(learning_rate="adaptive", n_iter_no_change=1, tol=1e3),
        ae(solver="sgd", learning_rate_init=1e-2),
        vae(corruption="masking"),
    ],
    ids=["ae", "adaptive", "sgd", "vae"],
)
def test_a_failed_call_between_leaves_2k_epochs_2k_epochs(model):
    whole = epochs(clone(model), 6, GAPPY)
    broken = epochs(clone(model), 3, GAPPY).set_params(warm_start=True)
    size = len(pickle.dumps(broken))
    broken.net_.callbacks_.append(("bomb", raise_at(6, RuntimeError)))
    with pytest.raises(RuntimeError, match="struck"):
        broken.fit(GAPPY)
    del broken.net_.callbacks_[-1]
    assert abs(len(pickle.dumps(broken)) - size) < SLACK
    # but for skorch's marks of best epochs: callbacks have states of their own, which a failure does not reset
    found, wanted = (
        {key: value for key, value in fingerprint(estimator, GAPPY).items() if not key.endswith("_best")}
        for estimator in (epochs(broken, 3, GAPPY), whole)
    )
    assert same(found, wanted)


def test_an_exception_in_a_callback_gets_out_and_changes_nothing(maker):
    estimator = maker().fit(X)
    _settings_of(estimator, callbacks=[raise_at(2, ZeroDivisionError)])
    _assert_unharmed(estimator, lambda: estimator.fit(X), ZeroDivisionError)
    unfitted = maker(callbacks=[raise_at(2, ZeroDivisionError)])
    before = dict(vars(unfitted))
    with pytest.raises(ZeroDivisionError, match="struck"):
        unfitted.fit(X)
    assert vars(unfitted) == before


@pytest.mark.parametrize(
    ("reason", "other"),
    [
        ("all constant", pd.DataFrame(np.ones((9, 3)), columns=list("xyz"))),
        ("infinity", pd.DataFrame({"x": [1.0, np.inf], "y": [0.0, 1.0]})),
    ],
)
def test_a_refused_refit_with_other_columns_keeps_the_old_model(maker, reason, other):
    frame = pd.DataFrame(X, columns=NAMES)
    estimator = maker().fit(frame)
    wanted = outputs(estimator, frame)
    with pytest.raises(ValueError, match=reason):
        estimator.fit(other)
    assert estimator.n_features_in_ == 4
    assert list(estimator.feature_names_in_) == NAMES
    assert same(outputs(estimator, frame), wanted)


def _fit_interrupted(estimator):
    try:
        with pytest.warns(InterruptedFitWarning, match="interrupted"):
            return estimator.fit(X)
    except KeyboardInterrupt:  # would end the whole run
        pytest.fail("the interrupt got out of fit")


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupt_keeps_a_usable_model(maker, epoch, early_stopping):
    estimator = _fit_interrupted(
        maker(max_iter=5, early_stopping=early_stopping, callbacks=[raise_at(epoch, KeyboardInterrupt)])
    )
    model = inner(estimator)
    assert all(np.isfinite(values).all() for values in outputs(estimator, X).values())
    assert len(model.loss_curve_) == model.n_iter_ == epoch - 1  # epochs that were finished
    assert len(getattr(model, "validation_scores_", [])) == (model.n_iter_ if early_stopping else 0)
    assert not any(p.grad is not None for p in model.net_.module_.parameters())
    model.set_params(early_stopping=False)
    model.net_.callbacks_[:] = [pair for pair in model.net_.callbacks_ if not isinstance(pair[1], Spy)]
    assert model.partial_fit(X).n_iter_ == epoch
    assert len(model.loss_curve_) == epoch


def test_an_interrupt_keeps_the_best_epoch():
    settings = {"learning_rate_init": 1e-2, "network": MLP((8,), linear_path=False)}
    estimator = _fit_interrupted(ae(max_iter=9, callbacks=[raise_at(4, KeyboardInterrupt)], **settings))
    assert estimator.loss_curve_ == sorted(estimator.loss_curve_, reverse=True)  # the last epoch is the best
    wanted = ae(max_iter=3, **settings).fit(X)
    assert np.array_equal(estimator.transform(X), wanted.transform(X))


def test_early_stopping_by_skorch_is_no_interrupt(maker):
    # such an improvement is out of reach
    stop = EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs", sink=lambda message: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedFitWarning)
        estimator = maker(max_iter=9, callbacks=[stop]).fit(X)
    assert inner(estimator).n_iter_ < 9
    assert len(inner(estimator).loss_curve_) == inner(estimator).n_iter_


@pytest.mark.parametrize("n_samples", [9, 17, 25])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_no_batch_is_a_single_row(maker, n_samples, early_stopping):
    sizes = []
    spy = Spy(lambda net: sizes.append(net.history[-1, "batches", -1, "train_batch_size"]))
    table = make_table(2 * n_samples if early_stopping else n_samples, 4)
    estimator = maker(
        network=MLP((6,), normalization="batch"),
        callbacks=[spy],
        early_stopping=early_stopping,
        validation_fraction=0.5,
    ).fit(table)
    assert min(sizes) >= 2
    assert sum(sizes) == n_samples * inner(estimator).n_iter_
