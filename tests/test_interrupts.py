"""Ctrl-C, by real signals: at once or after a batch, kept by the program that called, raised in all that goes on."""

import os
import signal
import threading
import time
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from skorch.callbacks import Callback, EarlyStopping
from toys import X, ae, detector, fingerprint, outputs, same, vae, with_gaps

from sklae import AEImputer
from sklae._training.interrupts import Interrupts
from sklae.exceptions import InterruptedFitWarning
from sklae.networks import MLP

GAPPY = with_gaps(X)
HOOKS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
THREE = ["on_epoch_begin", "on_batch_end", "on_epoch_end"]


class Press(Callback):
    """Sends SIGINT in a hook, once, in an epoch (the first is number 1); a copy is the object itself."""

    def __init__(self, hook, epoch=1, times=1):
        self.hook, self.epoch, self.times = hook, epoch, times
        setattr(self, hook, self._press)

    def __deepcopy__(self, memo):
        return self

    def __sklearn_clone__(self):
        return self

    def _press(self, net, **kwargs):
        if len(net.history) >= self.epoch and self.times:
            self.times, times = 0, self.times
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let what they put aside ignore it
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("make", [ae, vae])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("hook", "kept"), [("on_epoch_begin", 2), ("on_batch_end", 2), ("on_epoch_end", 3)])
def test_the_program_that_called_keeps_the_best_epochs(make, hook, kept, early_stopping):
    model = make(max_iter=9, early_stopping=early_stopping, callbacks=[Press(hook, 3)])
    with pytest.warns(InterruptedFitWarning, match=f"interrupted after {kept} epochs"):
        model.fit(X)
    assert len(model.loss_curve_) == len(model.net_.history) == model.n_iter_ == kept
    assert len(getattr(model, "validation_scores_", [])) == (kept if early_stopping else 0)
    assert all(np.isfinite(values).all() for values in outputs(model, X).values())
    assert not any(p.grad is not None for p in model.net_.module_.parameters())
    model.set_params(early_stopping=False)
    assert model.partial_fit(X).n_iter_ == kept + 1


def test_the_best_epoch_is_kept_of_warm_starts_too():
    settings = {"learning_rate_init": 1e-2, "network": MLP((8,), linear_path=False), "warm_start": True}
    for n_before in (0, 3):
        wanted = ae(max_iter=3, **settings).fit(X)
        model = ae(max_iter=3, **settings)
        if n_before:
            wanted.fit(X)
            model.fit(X)
        model.set_params(max_iter=9)
        press = Press("on_batch_end", n_before + 4)
        if n_before:
            model.net_.callbacks_.insert(0, ("press", press))
        else:
            model.set_params(callbacks=[press])
        with pytest.warns(InterruptedFitWarning):
            model.fit(X)
        assert np.array_equal(model.transform(X), wanted.transform(X))


@pytest.mark.parametrize("hook", HOOKS[:4])
def test_before_an_epoch_is_complete_it_is_raised_and_nothing_changed(hook):
    model = ae(callbacks=[Press(hook, 0 if hook == "on_train_begin" else 1)], max_iter=1)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert vars(model) == before


def test_after_the_last_epoch_it_is_told_of():
    with pytest.warns(InterruptedFitWarning, match="after 3 epochs"):
        ae(callbacks=[Press("on_train_end", 3)]).fit(X)


class Pressing(BaseEstimator):
    """A density of codes that is interrupted while it is fitted."""

    def fit(self, codes, y=None):
        signal.raise_signal(signal.SIGINT)

    def sample(self, n_samples=1):
        raise AssertionError


@pytest.mark.parametrize("before", [False, True])
def test_a_second_interrupt_is_raised_in_what_follows_training_too(before):
    callbacks = [Press("on_batch_end", 2)] if before else None
    model = ae(max_iter=4, sample_from=Pressing(), callbacks=callbacks)
    state = dict(vars(model))
    words = "after 1 epochs" if before else "interrupted after training"
    gets_out = pytest.raises(KeyboardInterrupt) if before else nullcontext()
    with pytest.warns(InterruptedFitWarning, match=words), gets_out:
        model.fit(X)
    assert (vars(model) == state) == before


@pytest.mark.parametrize("hook", HOOKS)
def test_partial_fit_raises_and_puts_everything_back(hook):
    model = ae(warm_start=True).fit(X)
    wanted = fingerprint(model)
    model.net_.callbacks_.insert(0, ("press", Press(hook, 0)))
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X)
    del model.net_.callbacks_[0]
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert same(fingerprint(model), wanted)


@pytest.mark.parametrize("hook", THREE)
@pytest.mark.parametrize("warm", [False, True])
def test_the_second_is_always_raised(hook, warm):
    model = ae(warm_start=warm, max_iter=5).fit(X)
    wanted = fingerprint(model)
    press = Press(hook, 3, times=3)
    if warm:
        model.net_.callbacks_.insert(0, ("press", press))
    else:
        model.set_params(callbacks=[press])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    if warm:
        del model.net_.callbacks_[0]
    assert same(fingerprint(model), wanted)


def _searches(model):
    return {
        "search": GridSearchCV(model, {"n_components": [1, 2]}, cv=2),
        "validation": _CrossValidation(model),
        "last step": make_pipeline(model),
        "middle step": make_pipeline(model, LinearRegression()),
        "union": FeatureUnion([("a", model), ("b", clone(model))]),
        "detector": detector().set_params(autoencoder=model),
        "imputer": AEImputer(model, random_state=0),
    }


class _CrossValidation:
    def __init__(self, model):
        self.model = model

    def fit(self, X, y=None):
        cross_val_score(self.model, X, cv=2)


@pytest.mark.parametrize("name", _searches(ae()))
@pytest.mark.parametrize("hook", THREE)
def test_whatever_goes_on_is_stopped(name, hook):
    nets = []

    class Watch(Press):
        def on_train_begin(self, net, **kwargs):
            nets.append(net)

    model = vae(max_iter=6, early_stopping=False, callbacks=[Watch(hook, 3)])
    outer = _searches(model)[name]
    before = dict(vars(outer))
    with pytest.raises(KeyboardInterrupt):
        outer.fit(X, X[:, 0])
    assert len(nets) == 1
    assert len(nets[0].history) == (3 if hook == "on_epoch_end" else 2)
    if name in ("detector", "imputer"):
        assert vars(outer) == before


def test_ensembles_in_one_pass_are_stopped(monkeypatch):
    from sklae._training import stacked

    step, calls = stacked._step, []

    def pressed(*args):
        calls.append(None)
        if len(calls) == 12:
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    monkeypatch.setattr(stacked, "_step", pressed)
    model = detector(n_iter_no_change=np.inf, early_stopping=False, penalty=None, max_iter=9).set_params(n_estimators=2)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert len(calls) == 12
    assert vars(model) == before


def test_a_stop_of_skorchs_is_none():
    stop = EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs", sink=lambda message: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedFitWarning)
        assert ae(max_iter=9, callbacks=[stop]).fit(X).n_iter_ < 9
    search = GridSearchCV(ae(max_iter=9, callbacks=[stop]), {"n_components": [1, 2]}, cv=2).fit(X)
    assert search.best_estimator_.n_iter_ < 9


def test_a_callbacks_own_interrupt_is_one():
    class Raise(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    with pytest.warns(InterruptedFitWarning, match="after 1 epochs"):
        ae(callbacks=[Raise()]).fit(X)


def test_a_handler_of_ones_own_is_called_at_once():
    calls = []
    previous = signal.signal(signal.SIGINT, lambda *args: calls.append(args))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InterruptedFitWarning)
            assert ae(callbacks=[Press("on_epoch_end", 2)]).fit(X).n_iter_ == 3
        assert len(calls) == 1
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("ignored", [signal.SIG_IGN, signal.SIG_DFL])
def test_where_signals_are_not_pythons_nothing_is_held(ignored):
    previous = signal.signal(signal.SIGINT, ignored)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is ignored
    finally:
        signal.signal(signal.SIGINT, previous)


def test_other_threads_train_without_signals():
    found = []
    thread = threading.Thread(target=lambda: found.append(ae().fit(X)))
    thread.start()
    thread.join()
    assert found[0].n_iter_ == 3


def test_one_that_waits_is_raised_in_place_of_an_error():
    """So that a search, which goes on after errors, stops."""

    def fail():
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        fail()


# -- at random moments ---------------------------------------------------------------------------------------

_LONG = {"max_iter": 30, "batch_size": 8}
CONFIGURATIONS = {
    "plain": lambda: ae(**_LONG),
    "held out": lambda: vae(early_stopping=True, **_LONG),
    "warm": lambda: ae(warm_start=True, **_LONG).fit(X),
    "flow": lambda: ae(sample_from="aggregate", **_LONG),
    "lbfgs": lambda: ae(solver="lbfgs", max_iter=15, net_params={"optimizer__max_iter": 4}),
    "ensemble": lambda: detector(n_iter_no_change=np.inf, **_LONG).set_params(n_estimators=2),
    "imputer": lambda: AEImputer(vae(**_LONG), random_state=0),
    "search": lambda: GridSearchCV(ae(**_LONG), {"n_components": [1]}, cv=2),
}


def _fit_pressed(model, delay):
    """Fit, with SIGINT after a time; return how it ended: "raised", "kept" or "done"."""
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    ended = "raised"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            timer.start()
            model.fit(GAPPY)
            ended = "done"
            timer.join()
            time.sleep(0.001)
        except KeyboardInterrupt:
            pass
    timer.join()
    kept = any(issubclass(each.category, InterruptedFitWarning) for each in told)
    return "kept" if kept and ended == "done" else ended


def _assert_kept_its_word(name, delay):
    model = CONFIGURATIONS[name]()
    is_model = hasattr(model, "warm_start")
    was_fitted = hasattr(model, "net_")
    before, wanted = dict(vars(model)), fingerprint(model) if was_fitted else None
    ended = _fit_pressed(model, delay)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ended == "raised" and name != "search":  # scikit-learn's own is not atomic
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is value for key, value in before.items() if not key.startswith("_"))
        assert not was_fitted or same(fingerprint(model), wanted)
    if ended == "kept":
        assert is_model, "only the outermost fit keeps"
    if ended != "raised" and is_model:
        n_before = len(before.get("loss_curve_", []))
        assert n_before < model.n_iter_ <= n_before + model.max_iter
        assert (ended == "kept") or model.n_iter_ == n_before + model.max_iter
        assert len(model.loss_curve_) == len(model.net_.history) == model.n_iter_
        assert all(np.isfinite(values).all() for values in outputs(model, X).values())
    return ended


def _duration(name):
    model = CONFIGURATIONS[name]()
    clone(model).fit(GAPPY)
    start = time.perf_counter()
    model.fit(GAPPY)
    return time.perf_counter() - start


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("n_signals", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_at_random_moments(name, n_signals):
    duration = _duration(name)
    moments = np.random.RandomState(len(name)).uniform(0, 1, n_signals)
    ends = [_assert_kept_its_word(name, moment * duration) for moment in moments]
    assert n_signals < 25 or "raised" in ends or "kept" in ends
