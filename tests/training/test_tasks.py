"""scikit-learn's callbacks: the tasks they are told of."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklae
from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer

callback = pytest.importorskip("sklearn.callback")

X = np.random.RandomState(0).normal(size=(40, 4))
GAPPY = np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.1, np.nan, X)
NAMES = ("fit", "epoch")
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def score(estimator, X, y):
    return {"score": estimator.score(X)}


class Record:
    """Writes down what it is told; propagated as scikit-learn's bar is."""

    max_propagation_depth = None

    def __init__(self, stops_after=None):
        self.stops_after, self.told, self.fitted, self.n_open = stops_after, [], [], 0

    def setup(self, estimator, context):
        self.n_open += 1

    def teardown(self, estimator, context):
        self.n_open -= 1

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.estimator_name, context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.told.append(("end", context.estimator_name, context.task_name, context.max_subtasks))
        if fitted_estimator is not None and context.estimator_name.endswith("Transformer"):
            self.fitted.append(fitted_estimator.score(X))
        return context.task_name == "epoch" and context.task_id + 1 == self.stops_after

    def n(self, *event):
        return sum(each[: len(event)] == event for each in self.told)

    def check(self):
        """Every task that began has ended, and nothing is left open."""
        assert self.n_open == 0
        assert sorted(each[1:] for each in self.told if each[0] == "begin") == sorted(
            each[1:] for each in self.told if each[0] == "end"
        )


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer])
def test_epochs_are_tasks(kind):
    record = Record()
    model = kind(2, **SMALL).set_callbacks(record).fit(X)
    record.check()
    assert record.n("begin", kind.__name__, "fit", 3) == 1
    assert record.n("end", kind.__name__, "epoch") == model.n_iter_ == 3
    assert record.fitted[-1] == model.score(X)
    assert not {"_callback_fit_ctx", "_parent_callback_ctx"} & set(vars(model))


def test_training_is_the_same_beside_callbacks_that_score():
    model = VAETransformer(2, **SMALL).set_callbacks(Record()).fit(X)
    assert model.loss_curve_ == VAETransformer(2, **SMALL).fit(X).loss_curve_


def test_a_callback_stops_training():
    model = AutoencoderTransformer(2, **SMALL).set_callbacks(Record(stops_after=2)).fit(X)
    assert model.n_iter_ == 2


def test_early_stopping_ends_all_tasks():
    record = Record()
    settings = {**SMALL, "max_iter": 50, "learning_rate": "constant", "early_stopping": False, "tol": 1e3}
    model = AutoencoderTransformer(2, n_iter_no_change=2, **settings).set_callbacks(record).fit(X)
    record.check()
    assert record.n("end", "AutoencoderTransformer", "epoch") == model.n_iter_ < 50


def test_a_failed_fit_takes_its_callbacks_down():
    record = Record()
    model = AutoencoderTransformer(2, **{**SMALL, "learning_rate": "constant"}, learning_rate_init=1e30, solver="sgd")
    with pytest.raises(sklae.exceptions.DivergenceError):
        model.set_callbacks(record).fit(X * 1e3)
    assert record.n_open == 0
    assert model._skl_callbacks == [record]


def test_partial_fit_is_one_epoch():
    record = Record()
    AutoencoderTransformer(2, **SMALL).set_callbacks(record).partial_fit(X)
    record.check()
    assert record.n("end", "AutoencoderTransformer", "epoch") == 1


def test_tasks_nest_in_a_pipeline():
    record = Record()
    make_pipeline(StandardScaler(), AutoencoderTransformer(2, **SMALL)).set_callbacks(record).fit(X)
    record.check()
    assert record.n("begin", "Pipeline", "fit", 2) == 1
    assert record.n("end", "AutoencoderTransformer", "epoch") == 3


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_detector_tells_of_its_autoencoders(n_estimators):
    record = Record()
    model = AutoencoderTransformer(2, **SMALL)
    AEOutlierDetector(model, n_estimators=n_estimators, cv=2, random_state=0).set_callbacks(record).fit(X)
    record.check()
    assert record.n("begin", "AEOutlierDetector", "fit", 3) == 1
    assert record.n("end", "AutoencoderTransformer", "epoch") == 3 * n_estimators * 3  # itself, and in two folds


def test_a_detector_tells_of_autoencoders_trained_in_one_pass():
    record = Record()
    model = AutoencoderTransformer(2, **SMALL, early_stopping=False)
    AEOutlierDetector(model, n_estimators=2, cv=None, random_state=0).set_callbacks(record).fit(X)
    record.check()
    assert record.n("end", "AEOutlierDetector", "epoch") == 3


def test_an_imputer_tells_of_its_models():
    record = Record()
    AEImputer(AutoencoderTransformer(2, **SMALL), random_state=0).set_callbacks(record).fit(GAPPY)
    record.check()
    assert record.n("begin", "AEImputer", "fit", 3) == 1
    assert record.n("begin", "AEImputer", "mixtures of normals") == 1
    assert record.n("end", "AEImputer", "step") > 1
    assert record.n("end", "AutoencoderTransformer", "epoch") == 3


def test_an_imputer_without_mixtures_tells_of_its_autoencoder():
    record = Record()
    imputer = AEImputer(AutoencoderTransformer(2, **SMALL), linear_start=False, random_state=0)
    imputer.set_callbacks(record).fit(GAPPY)
    record.check()
    assert record.n("begin", "AEImputer", "fit", 1) == 1


def test_callbacks_of_scikit_learn_are_no_parameter(tmp_path):
    record = Record()
    model = AutoencoderTransformer(2, **SMALL).set_callbacks(record)
    assert model.get_params()["callbacks"] is None
    assert clone(model)._skl_callbacks == [record]
    model.fit(X)
    for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert twin.score(X) == model.score(X)
    pytest.importorskip("safetensors")
    sklae.save(model, tmp_path / "model.sklae")
    loaded = sklae.load(tmp_path / "model.sklae")
    assert loaded.score(X) == model.score(X)
    assert not hasattr(loaded, "_skl_callbacks")


def test_scores_of_a_monitor():
    monitor = callback.ScoringMonitor(scoring=score)
    model = AutoencoderTransformer(2, **SMALL).set_callbacks(monitor).fit(X, X)
    scores = {name: [row["score"] for row in monitor.get_logs().data if row["task_name"] == name] for name in NAMES}
    assert len(scores["epoch"]) == 3
    assert scores["fit"] == [model.score(X)]
    pickle.loads(pickle.dumps(model))


def test_callbacks_of_skorch_are_refused():
    from skorch.callbacks import EpochTimer

    with pytest.raises(TypeError, match=r"expected instances of scikit-learn's callbacks.*callbacks=\[\.\.\.\]"):
        AutoencoderTransformer().set_callbacks(EpochTimer())


def test_the_parameter_callbacks_refuses_those_of_scikit_learn():
    with pytest.raises(ValueError, match=r"expected skorch callbacks.*scikit-learn go to `set_callbacks`"):
        AutoencoderTransformer(callbacks=[callback.ScoringMonitor(scoring="r2")]).fit(X)


def test_a_bar_ends_well(capsys):
    pytest.importorskip("rich")
    AutoencoderTransformer(2, **SMALL).set_callbacks(callback.ProgressBar()).fit(X)
    assert "100%" in capsys.readouterr().out


@pytest.mark.parametrize(
    "estimator",
    [
        AEOutlierDetector(AutoencoderTransformer(1, early_stopping=True, **SMALL), cv=2),
        AEOutlierDetector(AutoencoderTransformer(1, early_stopping=False, **SMALL), cv=2),
        AEImputer(VAETransformer(1, **SMALL)),
    ],
    ids=["one by one", "together", "imputer"],
)
def test_callbacks_that_are_not_handed_down_hear_of_no_epochs(estimator):
    """`ScoringMonitor` is such a one: the autoencoder inside has none, and its epochs are no parts of the outer fit."""
    record = Record()
    record.max_propagation_depth = 0
    clone(estimator).set_callbacks(record).fit(GAPPY if isinstance(estimator, AEImputer) else X)
    record.check()
    assert not any(event[1].endswith("Transformer") for event in record.told)
    score_of_end = callback.ScoringMonitor(scoring=lambda fitted, X, y: {"score": 0.0})
    clone(estimator).set_callbacks(score_of_end).fit(X, X[:, 0])


def test_a_fit_within_a_callback_is_no_part_of_the_fit_around_it():
    class FitsAnother(Record):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            AutoencoderTransformer(1, **SMALL).fit(X)
            return super().on_fit_task_end(estimator, context)

    record = FitsAnother()
    AutoencoderTransformer(2, **SMALL).set_callbacks(record).fit(X)
    record.check()
    assert record.n("begin", "AutoencoderTransformer", "epoch") == SMALL["max_iter"]
