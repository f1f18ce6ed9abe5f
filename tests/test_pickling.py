"""Pickles hold what is needed to predict and to train on, and none of the training data."""

import copy
import gc
import io
import pickle
import weakref

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import LRScheduler
from support import make_table
from torch import nn
from toys import MAKERS, SLACK, X, ae, detector, fingerprint, inner, same, vae, with_gaps

import sklae
from sklae import AEImputer, AEOutlierDetector
from sklae.exceptions import InconsistentVersionWarning
from sklae.networks import MLP

try:
    import cloudpickle
except ImportError:  # joblib brought its own before 1.6
    from joblib.externals import cloudpickle

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def _fit_pairs(table):
    return ae().fit(table + 0.125, X_clean=table)


def _fit_with_validation(table):
    return vae(early_stopping=True).fit(table[: len(table) // 2], X_val=table[len(table) // 2 :])


#: Name -> function from a table to a fitted estimator.
FITS = {
    "plain": lambda table: ae().fit(table),
    "early stopping": lambda table: ae(early_stopping=True, validation_fraction=0.3).fit(table),
    "validation rows": _fit_with_validation,
    "pairs": _fit_pairs,
    "corrupted, gaps": lambda table: vae(corruption="masking").fit(with_gaps(table)),
    "batch norm, warm start": lambda table: ae(network=MLP((6,), normalization="batch"), warm_start=True).fit(table),
    "lbfgs": lambda table: ae(solver="lbfgs", net_params={"optimizer__max_iter": 4}).fit(table),
    "frame": lambda table: vae().fit(pd.DataFrame(table)),
    "polars": lambda table: ae().fit(pl.DataFrame(table)),
    "partial fit": lambda table: ae().partial_fit(table).partial_fit(table),
    "detector": lambda table: detector().fit(table),
}


@pytest.fixture(params=FITS, scope="module")
def fit(request):
    return FITS[request.param]


def _joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "pickle, oldest protocol": lambda estimator: pickle.loads(pickle.dumps(estimator, protocol=2)),
    "joblib": _joblib,
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda estimator: pickle.loads(cloudpickle.dumps(estimator)),
}


@pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES)
def test_copies_say_the_same_and_train_on_alone(fit, make_copy):
    estimator = fit(X)
    twin = make_copy(estimator)
    wanted = fingerprint(estimator)
    assert same(fingerprint(twin), wanted)
    inner(twin).set_params(early_stopping=False).partial_fit(X)
    assert not same(fingerprint(twin), wanted)  # it did train,
    assert same(fingerprint(estimator), wanted)  # and alone,
    inner(estimator).set_params(early_stopping=False).partial_fit(X)
    assert same(fingerprint(twin), fingerprint(estimator))  # just as the original does


def _traces(values):
    """Return the bytes of each number, in both precisions."""
    return [number.tobytes() for dtype in (np.float64, np.float32) for number in values.astype(dtype).ravel()]


def test_no_training_row_is_in_the_pickle(fit):
    table = make_table(60, 4, seed=5)
    # numbers of their own, well inside the range; one row for each half: validation rows are rows, too
    planted = np.array([8, 41])
    places = np.array([[0.1234567, -0.3, 0.07654321, 0.2], [0.3, 0.17, -0.11, -0.2]])
    table[planted] = table.mean(0) + table.std(0) * places
    estimator = fit(table)
    inner(estimator).transform(table)
    blob = pickle.dumps(estimator)
    encoded = inner(estimator).layout_.encode(table[planted], dtype=torch.float64)[0].numpy()
    for values in (table[planted], table[planted] + 0.125, encoded):
        assert not any(trace in blob for trace in _traces(values))


def test_the_search_for_rows_can_find_them():
    table = make_table(60, 4, seed=5)
    estimator = ae().fit(table)
    estimator.rows_ = torch.as_tensor(table[8:9]).float()
    assert any(trace in pickle.dumps(estimator) for trace in _traces(table[8]))


def _plain(estimator):
    """Without a mixture, whose size is learned, and the dropout of few rows."""
    plain = {"prior": "normal", "network": MLP((8,)), "hidden_layer_sizes": None}
    return estimator.set_params(**plain) if "prior" in estimator.get_params() else estimator


def test_pickles_do_not_grow_with_the_rows():
    def size(estimator):
        # a number for each row, so that `set_threshold` can go by them, and the positions of those not trusted; tails
        # have up to 1,024 knots
        by_row = []
        if isinstance(estimator, AEOutlierDetector):
            by_row = [estimator._calibration.training.nbytes, estimator.left_out_.nbytes]
        return len(pickle.dumps(estimator)) - sum(by_row)

    sizes = {
        name: [size(_plain(make(batch_size=10**6, max_iter=2)).fit(make_table(n, 4))) for n in (2_000, 5_000)]
        for name, make in MAKERS.items()
    }
    assert all(abs(large - small) < 200 for small, large in sizes.values()), sizes


def test_detectors_keep_a_score_of_each_row_and_a_bounded_number_of_rows():
    table = make_table(40_000, 4)
    small, large = (len(pickle.dumps(AEOutlierDetector(random_state=0).fit(table[:n]))) for n in (20_000, 40_000))
    assert abs(large - small - 8 * 20_000) < 0.02 * small
    assert large < 2_000_000


def test_no_gradients_and_no_second_model_are_kept(fit):
    estimator = fit(X)
    size = len(pickle.dumps(estimator))
    inner(estimator).transform(X)  # makes a float64 copy of the module
    assert abs(len(pickle.dumps(estimator)) - size) < SLACK
    for one in (estimator, pickle.loads(pickle.dumps(estimator))):
        assert all(p.grad is None for p in inner(one).net_.module_.parameters())


def test_the_labels_of_rows_are_not_in_the_pickle():
    index = pd.MultiIndex.from_product([[f"patient {i}" for i in range(len(X))], ["visit"]])
    frame = pd.DataFrame(X, columns=list("abcd"), index=index)
    frame.attrs["source"] = "ward seven"
    blob = pickle.dumps(ae().fit(frame))
    assert b"patient 3" not in blob
    assert b"ward seven" not in blob


@pytest.mark.parametrize("to_table", [lambda values: values, lambda values: pd.DataFrame(values, copy=False)])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_fitted_estimator_lets_go_of_its_table(make, to_table):
    values = make_table(30, 4)
    alive = weakref.ref(values)
    estimator = make(early_stopping=True).fit(to_table(values))
    estimator.score_samples(to_table(values))
    del values
    gc.collect()
    assert alive() is None


def test_factories_that_are_lambdas_travel_by_cloudpickle():
    estimator = ae(encoder=lambda n_inputs, n_outputs: nn.Linear(n_inputs, n_outputs)).fit(X)
    twin = pickle.loads(cloudpickle.dumps(estimator))
    assert same(fingerprint(twin), fingerprint(estimator))
    assert same(fingerprint(twin.fit(X)), fingerprint(estimator))


# -- equal models are equal ---------------------------------------------------------------------------------

MIXED = pd.DataFrame(with_gaps(X)).rename(columns=str).assign(kind=np.array(list("uvw"))[np.arange(len(X)) % 3])
HASHED = {
    "ae": lambda: ae(),
    "vae": lambda: vae(sample_from="flow", prior="flow"),
    "critic": lambda: vae(critic="data", learning_rate="constant"),
    "schedule": lambda: ae(learning_rate="constant", callbacks=[LRScheduler("StepLR", step_size=1)]),
    "detector": lambda: AEOutlierDetector(ae(), random_state=0),
    "imputer": lambda: AEImputer(n_imputations=2, random_state=0),
}


@pytest.mark.parametrize("name", HASHED)
def test_hashes_survive_pickles_and_copies(name):
    model = HASHED[name]().fit(MIXED)
    twins = pickle.loads(pickle.dumps(model)), copy.deepcopy(model), pickle.loads(pickle.dumps(model, protocol=2))
    assert {joblib.hash(twin) for twin in twins} == {joblib.hash(model)}
    other = HASHED[name]().set_params(random_state=1).fit(MIXED)
    assert joblib.hash(other) != joblib.hash(model)


def test_frozen_models_are_cached_in_pipelines(tmp_path):
    frozen = FrozenEstimator(ae().fit(X))
    pipeline = make_pipeline(frozen, StandardScaler(), memory=str(tmp_path))
    np.testing.assert_array_equal(pipeline.fit_transform(X), pipeline.fit_transform(X))


def test_training_goes_on_after_a_pickle():
    """The optimizer that was pickled is the one that steps, and its tensors are the module's."""
    model = ae(learning_rate="constant").partial_fit(X)
    twin = pickle.loads(pickle.dumps(model))
    owned = {id(parameter) for parameter in twin.net_.module_.parameters()}
    assert {id(each) for group in twin.net_.optimizer_.param_groups for each in group["params"]} <= owned
    for _ in range(3):
        model.partial_fit(X)
        twin.partial_fit(X)
    np.testing.assert_array_equal(model.transform(X), twin.transform(X))


def test_pickles_say_which_version_wrote_them(monkeypatch):
    monkeypatch.setattr(sklae, "__version__", "0.1.7")
    blob = pickle.dumps(ae().fit(X))
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning, match=r"that sklae 0\.1\.7 wrote, .* install sklae==0\.1\.7"):
        twin = pickle.loads(blob)
    assert not hasattr(twin, "_sklae_version")
