"""skorch's callbacks on our net: what they are told, what they may watch, and which nets they may be on."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import scale
from skorch.callbacks import BatchScoring, Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.helper import SkorchDoctor
from skorch.hf import AccelerateMixin
from support import QUICK

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._training.batches import EncodedRows
from sklae._training.net import AutoencoderNet
from sklae.networks import MLP

X = scale(load_wine().data)
GAPPY = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)


def fit(cls=AutoencoderTransformer, table=X, *, X_val=None, **params):
    return cls(**{**QUICK, **params}).fit(table, X_val=X_val)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("table", [X, GAPPY], ids=["whole", "gaps"])
@pytest.mark.parametrize("on_train", [True, False])
@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("kind", [EpochScoring, BatchScoring])
def test_scores_are_of_expected_rows(cls, table, on_train, use_caching, kind):
    scores = {"squares": "neg_mean_squared_error", "r2": "r2", "own": lambda net, X, y: float(net.predict(X).mean())}
    callbacks = [kind(score, name=name, on_train=on_train, use_caching=use_caching) for name, score in scores.items()]
    model = fit(cls, table, callbacks=callbacks, X_val=table[:40])
    assert np.isfinite([model.net_.history[:, name] for name in scores]).all()
    if not on_train and (cls is AutoencoderTransformer or not use_caching):
        rows = model.layout_.encode(table[:40])
        again = model.net_.predict(EncodedRows(rows))
        assert model.net_.history[-1, "squares"] == pytest.approx(-mean_squared_error(rows.x, again), rel=1e-4)


@pytest.mark.parametrize("scoring", [EpochScoring("r2"), ("own", BatchScoring("r2"))])
def test_scores_of_rows_that_are_not_there_are_refused(scoring):
    model = AutoencoderTransformer(callbacks=[scoring], **QUICK)
    with pytest.raises(ValueError, match=r"of validation rows, and none.*early_stopping=True.*on_train=True"):
        model.fit(X)
    with pytest.raises(ValueError, match="of validation rows, and none"):
        model.partial_fit(X)


def test_predictions_in_between_leave_training_as_it_was():
    """Dropout stays on."""
    settings = {"network": MLP((8,), dropout=0.5), "hidden_layer_sizes": None}
    scoring = BatchScoring(lambda net, X, y: float(net.predict(X).mean()), name="own", on_train=True, use_caching=False)
    assert fit(callbacks=[scoring], **settings).loss_curve_ == fit(**settings).loss_curve_


def test_callbacks_see_pairs_and_expected_rows():
    seen = []

    class Look(Callback):
        def on_batch_end(self, net, batch, y_pred, training, **kwargs):
            inputs, target = batch
            seen.append((inputs, target, batch.rows.x, batch.n_rows, y_pred))

        def __deepcopy__(self, memo):
            return self

    fit(callbacks=[Look()], max_iter=1, batch_size=178)
    inputs, target, x, n_rows, y_pred = seen[0]
    assert inputs is x
    assert target is x
    assert n_rows == 178
    assert y_pred.shape == x.shape
    assert not y_pred.requires_grad
    fit(VAETransformer, GAPPY, callbacks=[Look()], max_iter=1, batch_size=178, n_importance_samples=3)
    inputs, target, *_, y_pred = seen[-1]
    assert set(inputs) == {"x", "observed"}
    assert y_pred.shape == target.shape == X.shape


def test_hooks_of_an_instance_are_called():
    calls = []
    callback = Callback()
    callback.on_epoch_end = lambda net, **kwargs: calls.append(len(net.history))
    fit(callbacks=[callback])
    assert calls == [1, 2]


WATCHERS = {
    "EarlyStopping": (lambda **given: EarlyStopping(**given), "valid_loss"),
    "Checkpoint": (
        lambda **given: Checkpoint(**{"monitor": "valid_loss_best", **given}, dirname="no_such"),
        "valid_loss_best",
    ),
    "LRScheduler": (
        lambda **given: LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau, **{"monitor": "valid_loss", **given}),
        "valid_loss",
    ),
}


@pytest.mark.parametrize("name", WATCHERS)
@pytest.mark.parametrize("verb", ["fit", "partial_fit", "warm"])
def test_who_watches_validation_rows_needs_some(name, verb):
    make, monitor = WATCHERS[name]
    model = AutoencoderTransformer(**QUICK)
    refusal = rf"Got callbacks with {name}\(monitor='{monitor}'\) and no rows to validate on; expected some: .*"
    refusal += rf"early_stopping=True.*X_val.*monitor='{monitor.replace('valid', 'train')}'"
    if verb == "warm":
        model.set_params(warm_start=True, callbacks=[EarlyStopping()]).fit(X, X_val=X[:9])
        refusal = "no rows to validate on"
    else:
        model.set_params(callbacks=[("named", make())])
    before = dict(vars(model))
    with pytest.raises(ValueError, match=refusal):
        (model.partial_fit if verb == "partial_fit" else model.fit)(X)
    assert vars(model) == before


def test_a_class_of_callbacks_is_looked_at_too():
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor='valid_loss'\) and no rows"):
        fit(callbacks=[EarlyStopping])


def test_with_validation_rows_they_watch_them():
    stop = EarlyStopping(patience=2, threshold=1e9, threshold_mode="abs", sink=lambda message: None)
    assert fit(callbacks=[stop], X_val=X[:20], max_iter=9).n_iter_ == 3
    assert fit(callbacks=[stop], early_stopping=True, max_iter=9).n_iter_ == 3
    assert fit(callbacks=[EarlyStopping("train_loss")]).n_iter_ == 2


def test_the_detector_says_so_too():
    model = AutoencoderTransformer(callbacks=[EarlyStopping()], **QUICK)
    with pytest.raises(ValueError, match="no rows to validate on"):
        AEOutlierDetector(model, cv=None, anomaly_score="reconstruction").fit(X)


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor='val_loss'\), which .*'train_loss'"):
        fit(callbacks=[EarlyStopping("val_loss")])


def test_the_doctor_looks_at_layers():
    model = fit(X_val=X[:20], early_stopping=True)
    doctor = SkorchDoctor(model.net_, match_fn=lambda name: name.startswith(("encoder", "decoder")))
    doctor.fit(EncodedRows(model.layout_.encode(X)))
    assert any(name.startswith("encoder") for name in doctor.activation_recs_["module"][0])
    assert len(model.net_.history) == 4


def test_accelerate_is_refused_with_the_reason():
    with pytest.raises(TypeError, match=r"Got Net with skorch's AccelerateMixin.*expected .*device='cuda'"):

        class Net(AccelerateMixin, AutoencoderNet):
            pass
