"""The promises that every estimator keeps: the same bits, stateless inference, dtypes, nothing left half done."""

import inspect
import pickle
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from support import ESTIMATORS, LISTED, make_table
from torch import nn
from toys import MAKERS, SLACK, X, ae, detector, epochs, fingerprint, inner, noise, outputs, same, vae, with_gaps

from sklae import AEImputer, AEOutlierDetector
from sklae._autoencoders import inference
from sklae._imputation import models as _imputation
from sklae._linear import gaps as _gaps
from sklae._outliers import ensemble
from sklae._tables import layout as _layout
from sklae.networks import MLP

GAPPY = with_gaps(X)


def dropping(n_inputs, n_outputs):
    """A module as users write them: it draws from torch's global generator."""
    return nn.Sequential(nn.Linear(n_inputs, 6), nn.Tanh(), nn.Dropout(0.3), nn.Linear(6, n_outputs))


MODELS = {
    "plain": ae(),
    "early stopping": ae(early_stopping=True),
    "one cycle": ae(learning_rate="one_cycle"),
    "adaptive": ae(learning_rate="adaptive", n_iter_no_change=1, tol=1e3),
    "adamw": ae(solver="adamw", weight_decay=0.1),
    "sgd": ae(solver="sgd", learning_rate_init=1e-2),
    "rmsprop": ae(solver="rmsprop"),
    "lbfgs": ae(solver="lbfgs", net_params={"optimizer__max_iter": 4}),
    "dropout": ae(network=MLP((6,), dropout=0.3)),
    "batch norm": ae(network=MLP((6,), normalization="batch")),
    "own modules": ae(encoder=dropping, decoder=dropping),
    **{
        f"corruption {name}": ae(corruption=part)
        for name, part in LISTED["corruption"].items()
        if name not in ("binarize", "block_masking")  # of rows in [0, 1], and of several blocks: tests of their own
    },
    **{f"penalty {name}": ae(penalty=part) for name, part in LISTED["penalty"].items()},
    "vae": vae(),
    "vae, own modules, dropped out": vae(encoder=dropping, decoder=dropping, corruption="masking"),
    "detector": detector(),
    "combined detector": AEOutlierDetector(ae(random_state=None), n_estimators=2, random_state=0),
    "imputer": AEImputer(vae(random_state=None), random_state=0),
    "drawing imputer": AEImputer(vae(random_state=None), random_state=0, sample_posterior=True, linear_start=False),
}
STEPWISE = sorted(
    set(MODELS) - {"early stopping", "one cycle", "detector", "combined detector", "imputer", "drawing imputer"}
)


def fit(name, table=GAPPY):
    return clone(MODELS[name]).fit(table)


# -- contract 2: the same bits ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected():
    """Name -> fingerprint of a fit in peace."""
    return {name: fingerprint(fit(name), GAPPY) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_a_refit_gives_the_same_bits_whatever_ran_before(name, expected):
    np.random.seed(7)
    torch.manual_seed(7)
    torch.rand(1000)
    fit("vae, own modules, dropped out", make_table(50, 3))
    estimator = fit(name)
    assert same(fingerprint(estimator, GAPPY), expected[name])
    assert same(fingerprint(estimator.fit(GAPPY), GAPPY), expected[name])


@pytest.mark.parametrize("disturbance", [pytest.param(nullcontext, marks=pytest.mark.slow), noise])
def test_fits_in_threads_give_the_same_bits(disturbance, expected):
    names = [*MODELS, *reversed(MODELS)]
    with disturbance(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: fingerprint(fit(name), GAPPY), names))
    different = {name for name, print_ in zip(names, found, strict=True) if not same(print_, expected[name])}
    assert not different


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_fits_do_not_depend_on_the_gradient_mode(context, expected):
    with context():
        estimator = fit("vae")
    assert same(fingerprint(estimator, GAPPY), expected["vae"])


def test_the_default_dtype_of_torch_does_not_matter(expected):
    torch.set_default_dtype(torch.float64)
    try:
        found = fingerprint(fit("vae"), GAPPY)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(found, expected["vae"])


def _global_states():
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().tolist()


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("name", MODELS)
def test_global_generators_are_never_written(name, random_state):
    estimator = clone(MODELS[name])
    estimator.set_params(random_state=random_state)
    before = _global_states()
    estimator.fit(GAPPY)
    outputs(estimator, GAPPY)
    if hasattr(estimator, "sample"):
        estimator.sample(3, random_state=random_state)
    assert _global_states() == before


def _seeded_globals(function):
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return function()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_global_generators_are_never_read(make):
    estimator = make(random_state=None)
    one, other = (_seeded_globals(lambda: estimator.fit(X).transform(X)) for _ in range(2))
    assert not np.allclose(one, other)


def test_unseeded_samples_are_not_drawn_from_global_generators():
    estimator = vae().fit(X)
    one, other = (_seeded_globals(lambda: estimator.sample(3)) for _ in range(2))
    assert not np.allclose(one, other)
    assert same(*({"rows": estimator.sample(3, random_state=5)} for _ in range(2)))


def test_a_random_state_instance_is_advanced_from_fit_to_fit():
    rng = np.random.RandomState(0)
    one, other = (ae(random_state=rng).fit(X).transform(X) for _ in range(2))
    assert not np.allclose(one, other)
    assert np.array_equal(one, ae(random_state=np.random.RandomState(0)).fit(X).transform(X))


@pytest.mark.parametrize("name", STEPWISE)
def test_k_epochs_a_pickle_and_k_epochs_are_2k_epochs(name):
    whole = epochs(clone(MODELS[name]), 6, GAPPY)
    first = epochs(clone(MODELS[name]), 3, GAPPY)
    outputs(first, GAPPY)  # leaves no trace
    second = epochs(pickle.loads(pickle.dumps(first)), 3, GAPPY)
    assert second.n_iter_ == 6
    assert same(fingerprint(second, GAPPY), fingerprint(whole, GAPPY))
    if name == "adaptive":  # or the test would be about a constant rate
        assert whole.net_.optimizer_.param_groups[0]["lr"] < 0.9 * whole.learning_rate_init


@pytest.mark.parametrize("name", STEPWISE)
def test_two_warm_starts_are_one_long_fit(name):
    whole = clone(MODELS[name]).set_params(max_iter=6).fit(GAPPY)
    halves = clone(MODELS[name]).set_params(warm_start=True)
    halves = pickle.loads(pickle.dumps(halves.fit(GAPPY))).fit(GAPPY)
    assert same(fingerprint(halves, GAPPY), fingerprint(whole, GAPPY))


@pytest.mark.parametrize("learning_rate", ["cosine", "one_cycle"])
def test_rates_with_a_horizon_refuse_partial_fit(learning_rate):
    estimator = ae(learning_rate=learning_rate)
    assert not hasattr(estimator, "partial_fit")  # as scikit-learn says it
    with pytest.raises(AttributeError) as refusal:
        estimator.partial_fit(X)
    reason = str(refusal.value.__cause__ or refusal.value)
    assert re.search(
        rf"Got learning_rate='{learning_rate}'.* partial_fit expects 'auto', 'constant' or 'adaptive'", reason
    )


@pytest.mark.parametrize("make", [ae, vae])
def test_early_stopping_may_be_switched_between_calls(make):
    estimator = make(early_stopping=True, max_iter=2, n_iter_no_change=1, tol=1e6).fit(X)
    estimator.set_params(early_stopping=False).partial_fit(X)
    assert (estimator.n_iter_, len(estimator.loss_curve_)) == (3, 3)
    estimator.set_params(early_stopping=True, warm_start=True, max_iter=20).fit(X)
    assert estimator.n_iter_ < 10  # it looks at the validation rows again
    assert len(estimator.validation_scores_) == estimator.n_iter_ - 3  # those before went with what did not validate


def test_another_process_gives_the_same_scores():
    code = (
        "import numpy as np; from sklae import AEOutlierDetector; X = np.random.RandomState(0).normal(size=(90, 4));"
        "detector = AEOutlierDetector(cv=2, n_estimators=1, random_state=0).fit(X);"
        "print(detector.score_samples(X[::-1]).tobytes().hex())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)]
    table = np.random.RandomState(0).normal(size=(90, 4))
    here = AEOutlierDetector(cv=2, n_estimators=1, random_state=0).fit(table).score_samples(table)
    assert runs[0] == runs[1]
    np.testing.assert_allclose(np.frombuffer(bytes.fromhex(runs[0].decode().strip()))[::-1], here, rtol=1e-9)


# -- contract 3: inference is stateless, and row by row -----------------------------------------------------

TRAINED = {
    "plain": ae(),
    "batch norm": ae(network=MLP((6,), normalization="batch", dropout=0.2), corruption="swap"),
    "own modules": ae(encoder=dropping, decoder=dropping),
    "bernoulli": ae(likelihood="bernoulli"),
    "vae": vae(n_components=3),
    "detector": detector(),
    "combined detector": AEOutlierDetector(ae(random_state=None), n_estimators=2, random_state=0),
    "imputer": AEImputer(vae(random_state=None), random_state=0),
    "plain imputer": AEImputer(ae(corruption="masking"), linear_start=False, random_state=0),
}


@pytest.fixture(params=TRAINED, scope="module")
def trained(request):
    table = 1 / (1 + np.exp(-GAPPY)) if request.param == "bernoulli" else GAPPY
    return clone(TRAINED[request.param]).fit(table)


def rows(dtype=np.float64):
    """Rows between 0 and 1, which every model here takes."""
    return 1 / (1 + np.exp(-with_gaps(make_table(60, 4, seed=0), seed=3).astype(dtype)))


def assert_close(found, wanted, rtol):
    for verb in wanted:
        scale = np.abs(wanted[verb]).max()
        np.testing.assert_allclose(found[verb], wanted[verb], rtol=rtol, atol=rtol * scale, err_msg=verb)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_a_row_does_not_depend_on_its_neighbours(trained, dtype, rtol):
    table = rows(dtype)
    wanted = outputs(trained, table)
    alone = [outputs(trained, row[None]) for row in table]
    assert_close({verb: np.concatenate([one[verb] for one in alone]) for verb in wanted}, wanted, rtol)
    order = np.random.RandomState(0).permutation(len(table))
    assert_close(outputs(trained, table[order]), {verb: values[order] for verb, values in wanted.items()}, rtol)


def test_a_row_does_not_depend_on_the_chunks(trained, monkeypatch):
    wanted = outputs(trained, rows())
    for module, n_elements in ((inference, 64 * 64 * 7), (_layout, 4 * 7), (ensemble, 4 * 11), (_imputation, 4 * 7)):
        monkeypatch.setattr(module, "_CHUNK_ELEMENTS", n_elements)
    for module, name in ((_imputation, "_LEAST_CHUNK"), (_gaps, "_LEAST_ROWS"), (_gaps, "_BLOCK_ELEMENTS")):
        monkeypatch.setattr(module, name, 1)
    assert len(list(inner(trained).model_.chunks(60, 64))) > 1
    assert_close(outputs(trained, rows()), wanted, 1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_concurrent_inference_gives_the_same_bits(trained, dtype):
    table = rows(dtype)
    inner(trained).net_._float64 = None  # the threads race for making it
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: outputs(trained, table), range(12)))
    wanted = outputs(trained, table)
    assert all(same(one, wanted) for one in found)


def test_inference_leaves_no_trace(trained):
    before, size, print_ = dict(vars(trained)), len(pickle.dumps(trained)), fingerprint(trained, rows())
    for dtype in (np.float64, np.float32):
        table = rows(dtype)
        table.setflags(write=False)
        outputs(trained, table)
    if hasattr(trained, "inverse_transform"):
        trained.inverse_transform(trained.transform(rows()))
    assert vars(trained).keys() == before.keys()
    assert all(vars(trained)[name] is value for name, value in before.items())
    assert abs(len(pickle.dumps(trained)) - size) < SLACK
    assert same(fingerprint(trained, rows()), print_)


def test_inference_switches_no_module_to_another_mode(trained, monkeypatch):
    outputs(trained, rows())  # makes the float64 copy
    assert not any(part.training for part in inner(trained).net_.module_.modules())

    def refuse(module, mode=True):
        raise AssertionError(f"{type(module).__name__}.train({mode})")

    monkeypatch.setattr(nn.Module, "train", refuse)
    for dtype in (np.float64, np.float32):
        outputs(trained, rows(dtype))


# -- contract 4: dtypes and containers ----------------------------------------------------------------------

NAMES = list("abcd")
GAPPY_FRAME = pd.DataFrame(GAPPY, columns=NAMES, index=[f"row {i}" for i in range(len(GAPPY))])
ROUND = np.round(X)
CONTAINERS = {
    "float64": (X, np.float64),
    "float32": (X.astype(np.float32), np.float32),
    "float16": (X.astype(np.float16), np.float64),
    "longdouble": (X.astype(np.longdouble), np.float64),
    "big-endian": (X.astype(">f8"), np.float64),
    "Fortran order": (np.asfortranarray(X.astype(np.float32)), np.float32),
    "every second": (np.repeat(np.repeat(X, 2, 0), 2, 1)[::2, ::2], np.float64),
    "backwards": (X[::-1, ::-1], np.float64),
    "int32": (ROUND.astype(np.int32), np.float64),
    "uint8": (np.abs(ROUND).astype(np.uint8), np.float64),
    "bool": (X.mean(0) < X, np.float64),
    "lists": (X.tolist(), np.float64),
    "numbers as objects": (ROUND.astype(object), np.float64),
    "pandas": (GAPPY_FRAME, np.float64),
    "pandas float32": (GAPPY_FRAME.astype(np.float32), np.float32),
    "pandas mixed": (GAPPY_FRAME.astype({"a": np.float32}), np.float64),
    "pandas nullable": (GAPPY_FRAME.convert_dtypes().round().astype({"b": "Int16", "c": "Float32"}), np.float64),
    "pandas boolean": ((GAPPY_FRAME > 0).astype("boolean").mask(GAPPY_FRAME.isna()), np.float64),
    "pandas objects": (GAPPY_FRAME.astype({"b": object}), np.float64),
    "polars": (pl.DataFrame(GAPPY, schema=NAMES, nan_to_null=True), np.float64),
    "polars float32": (pl.DataFrame(GAPPY.astype(np.float32), schema=NAMES), np.float32),
    "polars mixed": (
        pl.DataFrame(GAPPY, schema=NAMES, nan_to_null=True).with_columns(pl.col("b").cast(pl.Int16), pl.col("c") > 0),
        np.float64,
    ),
}


def _n_gaps(table):
    return np.isnan(np.asarray(table, dtype=object).astype(float)).sum() if not isinstance(table, list) else 0


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_goes_in_decides_what_comes_out(make, name):
    table, dtype = CONTAINERS[name]
    estimator = make().fit(table)
    codes = estimator.transform(table)
    assert isinstance(codes, np.ndarray)
    assert (codes.dtype, codes.shape) == (dtype, (len(X), inner(estimator).n_components_))
    assert estimator.score_samples(table).dtype == np.float64
    autoencoder = inner(estimator)
    found = [autoencoder.reconstruct(table), autoencoder.inverse_transform(codes)]
    if hasattr(autoencoder, "sample"):
        found.append(autoencoder.sample(3, random_state=0))
    for rows_ in found:
        assert_like(rows_, table, dtype)
    if isinstance(table, pd.DataFrame):
        assert found[0].index.equals(table.index)


def assert_like(found, table, dtype):
    """Check container, columns and dtypes, and that no gap came back."""
    if isinstance(table, (pd.DataFrame, pl.DataFrame)):
        assert type(found) is type(table)
        assert list(found.columns) == NAMES
        numbers_as_objects = [np.dtype(float) if wanted == np.dtype(object) else wanted for wanted in table.dtypes]
        assert list(found.dtypes) == numbers_as_objects
    else:
        assert isinstance(found, np.ndarray)
        assert found.dtype == dtype
    assert np.isfinite(np.asarray(found, dtype=float)).all()


@pytest.mark.parametrize("to_table", [np.asfortranarray, np.ndarray.tolist, pd.DataFrame, pl.DataFrame])
def test_the_container_changes_no_bit(to_table):
    estimator = vae(corruption="salt_and_pepper").fit(to_table(X))
    wanted = vae(corruption="salt_and_pepper").fit(X)
    assert same(fingerprint(estimator, to_table(X)), fingerprint(wanted))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_call_answers_in_its_own_dtype(make):
    estimator = make().fit(X)
    single, double = (estimator.transform(X.astype(dtype)) for dtype in (np.float32, np.float64))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5)
    assert not np.array_equal(single, double.astype(np.float32))  # float64 is computed, not cast


@pytest.mark.parametrize(("output", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_transform_follows_set_output(make, output, kind):
    estimator = make().set_output(transform=output).fit(GAPPY_FRAME)
    codes = estimator.transform(GAPPY_FRAME)
    assert type(codes) is kind
    assert list(codes.columns) == list(estimator.get_feature_names_out())
    if kind is pd.DataFrame:
        assert codes.index.equals(GAPPY_FRAME.index)
        rebuilt = inner(estimator).inverse_transform(codes)
        assert rebuilt.index.equals(GAPPY_FRAME.index)


# -- contract 6: constructors assign and do nothing else ----------------------------------------------------

CONSTRUCTED = dict.fromkeys(
    [*ESTIMATORS, AEImputer, *(type(part) for parts in LISTED.values() for part in parts.values())]
)


@pytest.mark.parametrize("cls", CONSTRUCTED, ids=lambda cls: cls.__name__)
def test_constructors_only_assign(cls):
    parameters = inspect.signature(cls).parameters
    values = {name: object() for name in parameters}
    made = cls(**values)
    assert vars(made).keys() == values.keys()
    assert all(vars(made)[name] is value for name, value in values.items())
    defaults = [p.default for p in parameters.values() if p.default is not p.empty]
    assert all(isinstance(default, (str, int, float, tuple, type(None))) for default in defaults)


@pytest.mark.parametrize("name", MODELS)
def test_fit_changes_no_parameter_and_hides_no_state(name):
    estimator = clone(MODELS[name])
    before = dict(vars(estimator))
    estimator.fit(GAPPY)
    assert all(vars(estimator)[name] is value for name, value in before.items())
    fitted = set(vars(estimator)) - set(before)
    assert all(name.endswith("_") or name.startswith("_") for name in fitted)
    assert repr(clone(estimator)) == repr(MODELS[name])


# -- contract 8: importing is cheap -------------------------------------------------------------------------


def test_import_does_not_load_torch():
    code = "import sys, sklae; dir(sklae); sys.exit(bool({'torch', 'skorch', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
