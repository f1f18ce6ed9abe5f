"""Bad input is refused before training, with what was got, what was expected and the remedy."""

import copy
import re
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.decomposition import PCA
from torch import nn
from toys import MAKERS, X, ae, detector, inner, outputs, same, vae

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._training.net import AutoencoderNet
from sklae.corruptions import CORRUPTIONS, GaussianNoise, Masking
from sklae.exceptions import DivergenceError
from sklae.likelihoods import LIKELIHOODS, Gaussian
from sklae.networks import ACTIVATIONS, MLP
from sklae.penalties import L1, PENALTIES
from sklae.posteriors import POSTERIORS
from sklae.priors import PRIORS

PD = pd.DataFrame(X, columns=list("abcd"))
PL = pl.DataFrame(X, schema=list("abcd"))


#: Text in which no value occurs twice.
DISTINCT = [f"row {i}" for i in range(len(X))]


def put(value, dtype=None):
    """Return a copy of X with one value replaced."""
    table = X.astype(dtype or type(value))
    table[3, 1] = value
    return table


def pd_with(value, dtype=None):
    return PD.assign(b=pd.Series([value] * len(X) if not isinstance(value, list) else value, dtype=dtype))


def pl_with(column):
    return PL.with_columns(b=column)


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """Fail a test in which training starts."""

    def refuse(net, *args, **kwargs):
        pytest.fail("training started")

    monkeypatch.setattr(AutoencoderNet, "train", refuse)


def refusal(action):
    with pytest.raises((ValueError, TypeError)) as caught:
        action()
    return str(caught.value)


def assert_says(message, *patterns):
    """Check that patterns (got, expected, remedy) occur, and that no table is printed."""
    for pattern in patterns:
        assert re.search(pattern, message, re.DOTALL), f"no {pattern!r} in: {message}"
    assert len(message) < 1500


# -- tables -------------------------------------------------------------------------------------------------

ENCODE = ("expected numbers", "OneHotEncoder|[Ee]ncode")
VECTORIZE = ("expected numbers, booleans, and text or categories", "TableVectorizer")

#: Name -> table, patterns.
TABLES = {
    "text": ([["a", "b"], ["c", "d"]], "'a'", "float|number", "Encode|numbers"),
    "text, array": (np.array([["a", "b"], ["c", "d"]]), "U1|'a'", "expected|float", "[Ee]ncode"),
    "bytes": (np.array([[b"a", b"b"], [b"c", b"d"]]), "S1|'a'", "expected|float", "[Ee]ncode"),
    "text among objects": (put("red", object), "'red'", "float", "Encode"),
    "dict among objects": (put({}, object), "dict", "number", "Pass an array of numbers"),
    "date among objects": (put(pd.Timestamp("2020"), object), "Timestamp", "number", "Pass an array of numbers"),
    "list among objects": (put([1, 2], object), "Got a list", "expected a number", "Pass an array of numbers"),
    "ragged": ([[1.0, 2.0], [3.0]], "Got a list", "expected a number", "rows of one length"),
    "dates": (np.array([["2020", "2021"], ["2022", "2023"]], dtype="M8[D]"), "datetime64", *ENCODE),
    "durations": (np.array([[1, 2], [3, 5]], dtype="m8[s]"), "timedelta64", *ENCODE),
    "complex": (X + 1j, "Complex", "not supported", "real and the imaginary parts as separate columns"),
    "infinite": (put(np.inf), "infinity", "", "Replace.*NaN"),
    "minus infinite, float32": (put(-np.inf, np.float32), "infinity.*float32", "", "Replace.*NaN"),
    "column all missing": (np.column_stack([X, np.full(len(X), np.nan)]), r"\[4\]", "expected at least one", "Drop"),
    "all missing": (np.full((5, 2), np.nan), r"\[0, 1\]", "expected at least one", "Drop"),
    "all constant": (np.ones((5, 3)), "3 columns", "expected at least one that varies", "nothing to learn"),
    "overflowing": (X * 1e200, r"\[0, 1, 2, 3\]", "expected magnitudes", "Rescale"),
    "one row": (X[:1], "1 sample", "minimum of 2", "Pass more"),
    "no rows": (X[:0], "0 sample", "minimum of 2", "Pass more"),
    "no columns": (X[:, :0], r"0 feature\(s\)", "minimum of 1", "Pass more"),
    "one dimension": (X[:, 0], "got 1D array", "Expected 2D", "[Rr]eshape"),
    "three dimensions": (X[None], "dim 3", "dim <= 2", r"X.reshape\(len\(X\), -1\)"),
    "a number": (3.0, "scalar", "Expected 2D", "[Rr]eshape"),
    "nothing": (None, "scalar|NoneType", "2D|table|array", ""),
    "sparse matrix": (sp.csr_matrix(X), "[Ss]parse", "dense", "toarray.*TruncatedSVD"),
    "sparse array": (sp.coo_array(X), "[Ss]parse", "dense", "toarray.*TruncatedSVD"),
    "pandas text": (pd_with(DISTINCT), r"'b' \(41 levels in 41 rows\)", *VECTORIZE),
    "pandas object text": (pd_with(DISTINCT, object), r"'b' \(41 levels in 41 rows\)", *VECTORIZE),
    "pandas objects": (pd_with([{1}] * len(X), object), r"'b' \(object\)", *VECTORIZE),
    "pandas lists": (pd_with([[1, 2]] * len(X), object), r"'b' \(object\)", *VECTORIZE),
    "pandas periods": (pd_with(pd.Period("2020-01")), r"'b' \(period", *VECTORIZE),
    "pandas dates": (pd_with(pd.Timestamp("2020")), r"'b' \(datetime64", *VECTORIZE),
    "pandas dates in a zone": (pd_with(pd.Timestamp("2020", tz="UTC")), r"'b' \(datetime64", *VECTORIZE),
    "pandas durations": (pd_with(pd.Timedelta("1D")), r"'b' \(timedelta64", *VECTORIZE),
    "pandas categories": (pd_with(DISTINCT, "category"), r"'b' \(41 levels in 41 rows\)", *VECTORIZE),
    "pandas complex": (pd_with(1j), "Complex", "not supported", "separate columns"),
    "pandas twice the same name": (PD.set_axis(list("aabb"), axis=1), r"\['a', 'b'\]", "expected unique", "Rename"),
    "pandas names of two types": (PD.set_axis(["a", 1, 2, 3], axis=1), "'int', 'str'", "only supported if", "astype"),
    "pandas infinite": (PD.replace(X[0, 0], np.inf), "infinity", "", "Replace.*NaN"),
    "pandas no rows": (PD[:0], "0 sample", "minimum of 2", "Pass more"),
    "pandas no columns": (PD[[]], "without columns|0 feature", "expected|minimum", "Check|Pass more"),
    "pandas series": (PD["a"], "Series", "2-dimensional", "DataFrame"),
    "polars text": (pl_with(pl.Series(DISTINCT)), r"'b' \(41 levels in 41 rows\)", *VECTORIZE),
    "polars categories": (
        pl_with(pl.Series(DISTINCT, dtype=pl.Categorical)),
        r"'b' \(41 levels in 41 rows\)",
        *VECTORIZE,
    ),
    "polars dates": (pl_with(pl.lit(1).cast(pl.Date)), r"'b' \(Date\)", *VECTORIZE),
    "polars lists": (pl_with(pl.Series([[1, 2]] * len(X))), r"'b' \(List", *VECTORIZE),
    "polars nulls": (pl_with(pl.lit(None)), r"\['b'\]", "expected at least one", "Drop"),
    "polars infinite": (pl_with(pl.lit(float("inf"))), "infinity", "", "Replace.*NaN"),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_tables_are_refused_in_fit(make, name):
    table, *patterns = TABLES[name]
    estimator = make()
    before = dict(vars(estimator))
    assert_says(refusal(lambda: estimator.fit(table)), *patterns)
    assert vars(estimator) == before


@pytest.mark.parametrize("name", ["text among objects", "infinite", "one row", "pandas text", "sparse matrix"])
def test_tables_are_refused_in_partial_fit(name):
    table, *patterns = TABLES[name]
    assert_says(refusal(lambda: vae().partial_fit(table)), *patterns)


def test_more_than_five_columns_are_counted():
    frame = pd.DataFrame({f"date {i}": pd.to_datetime(["2020", "2021"]) for i in range(9)})
    assert_says(refusal(lambda: ae().fit(frame)), "'date 0'.*'date 4'.* and 4 more", *VECTORIZE)


@pytest.fixture(scope="module")
def fitted():
    """Name -> fitted on the frame. Made once, before the fixture that forbids training."""
    return {}


@pytest.fixture
def model(request, fitted, monkeypatch):
    make = request.param
    if make not in fitted:
        with monkeypatch.context() as patch:
            patch.setattr(AutoencoderNet, "train", _train)
            fitted[make] = MAKERS[make]().fit(PD)
    return fitted[make]


_train = AutoencoderNet.train

NUMBERS = ("text, dates or the like where fit saw numbers", "expected numbers", "Convert them first")
ROWS = {
    "fewer columns": (X[:, :3], "3 features", "expecting 4 features", "Pass the columns that were fitted"),
    "more columns": (
        np.column_stack([X, X]),
        "8 features",
        "expecting 4 features",
        "Pass the columns that were fitted",
    ),
    "another order": (PD[list("dcba")], "feature names", "same order", "Select"),
    "another name": (PD.rename(columns={"a": "z"}), "unseen at fit time:\n- z", "now missing:\n- a", "Select"),
    "text beside": (PD.assign(z="x"), "unseen at fit time:\n- z", "feature names", ""),
    "infinite": (PD.replace(X[0, 0], np.inf), "infinity", "", "Replace.*NaN"),
    "text": (pd_with("x"), r"'b' \((str|object)\)", *NUMBERS),
    "numbers as text": (pd_with("1"), r"'b' \((str|object)\)", *NUMBERS),
    "categories": (pd_with("1", "category"), r"'b' \(category\)", *NUMBERS),
    "dates": (pd_with(pd.Timestamp("2020")), r"'b' \(datetime64", *NUMBERS),
    "durations": (pd_with(pd.Timedelta("1D")), r"'b' \(timedelta64", *NUMBERS),
    "all dates": (PD.assign(**dict.fromkeys("abcd", pd.Timestamp("2020"))), r"'a' .* 'd' ", *NUMBERS),
    "polars text": (pl_with(pl.lit("1")), r"'b' \(String\)", *NUMBERS),
    "polars dates": (pl_with(pl.lit(1).cast(pl.Date)), r"'b' \(Date\)", *NUMBERS),
    "sparse": (sp.csr_matrix(X), "[Ss]parse", "dense", "toarray"),
    "no rows": (PD[:0], "0 sample", "minimum of 1", "Pass more"),
    "one dimension": (X[0], "got 1D array", "Expected 2D", "[Rr]eshape"),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("model", MAKERS, indirect=True)
def test_rows_are_refused_by_every_verb(model, name):
    table, *patterns = ROWS[name]
    wanted = outputs(model, PD)
    verbs = ("transform", "reconstruct", "score_samples", "decision_function", "predict", "partial_fit")
    for verb in verbs:
        if hasattr(model, verb):
            assert_says(refusal(lambda verb=verb: getattr(model, verb)(table)), *patterns)
    assert same(outputs(model, PD), wanted)


CODES = {
    "a width": (np.zeros((2, 7)), "7 columns", "expected 2", "as transform gives them"),
    "missing": (np.full((2, 2), np.nan), "NaN", "codes", ""),
    "infinite": (np.full((2, 2), np.inf), "infinity", "codes", ""),
    "text": ([["a", "b"]], "'a'", "float", ""),
    "sparse": (sp.csr_matrix(np.eye(2)), "[Ss]parse", "dense", "toarray"),
}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("model", ["AutoencoderTransformer", "VAETransformer"], indirect=True)
def test_codes_are_refused(model, name):
    codes, *patterns = CODES[name]
    assert_says(refusal(lambda: model.inverse_transform(codes)), *patterns)


FURTHER_TABLES = {
    "X_clean of another length": ({"X_clean": X[:5]}, "41 rows in X and 5 in X_clean", "expected pairs", "same order"),
    "X_clean of one row": ({"X_clean": X[:1]}, "1", "X_clean", ""),
    "X_clean with other columns": ({"X_clean": X[:, :3]}, "X_clean.*3 features", "expecting 4", "Pass the columns"),
    "X_clean infinite": ({"X_clean": put(np.inf)}, "X_clean.*infinity", "", "Replace"),
    "X_clean text": ({"X_clean": X.astype(str)}, "X_clean|array of dtype <U", *ENCODE),
    "X_clean dates": ({"X_clean": pd_with(pd.Timestamp("2020"))}, "'b'", *VECTORIZE),
    "X_val text": ({"X_val": pd_with("x")}, "X_val.*'b'", *NUMBERS),
    "X_clean constant": ({"X_clean": np.ones_like(X)}, "4 columns", "expected at least one", "nothing to learn"),
    "X_val with other columns": ({"X_val": X[:, :3]}, "X_val.*3 features", "expecting 4", "Pass the columns"),
    "X_val of no rows": ({"X_val": X[:0]}, "X_val.*0 sample", "minimum of 1", "Pass more"),
    "X_val infinite": ({"X_val": put(np.inf)}, "X_val.*infinity", "", "Replace"),
    "X_val sparse": ({"X_val": sp.csr_matrix(X)}, "X_val.*[Ss]parse", "dense", "toarray"),
}


@pytest.mark.parametrize("name", FURTHER_TABLES)
@pytest.mark.parametrize("make", [ae, vae])
def test_further_tables_of_fit_are_refused(make, name):
    tables, *patterns = FURTHER_TABLES[name]
    assert_says(refusal(lambda: make().fit(X, **tables)), *patterns)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(("n_samples", "fraction"), [(2, 0.1), (41, 0.99), (3, 0.5)])
def test_too_few_rows_for_a_validation_split_are_refused(make, n_samples, fraction):
    estimator = make(early_stopping=True, validation_fraction=fraction)
    message = refusal(lambda: estimator.fit(X[:n_samples]))
    assert_says(
        message, f"Got {n_samples} rows and validation_fraction={fraction}", "expected at least 2", "Pass more rows"
    )


UNIT = np.random.RandomState(0).uniform(size=(30, 3))
OUTSIDE = ("-0.5|1.5", r"expected all in \[0, 1\]", "MinMaxScaler")


def _stretched(place):
    table = UNIT.copy()
    table[place, 0] = 1.5
    return table


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_bernoulli_refuses_what_is_no_probability(make):
    for place in (0, 17):
        assert_says(refusal(lambda place=place: make(likelihood="bernoulli").fit(_stretched(place))), *OUTSIDE)
    assert_says(refusal(lambda: make(likelihood="bernoulli").fit(UNIT - 0.5)), "-0.4", *OUTSIDE[1:])
    message = refusal(lambda: make(likelihood="bernoulli", standardize=True).fit(UNIT))
    assert_says(message, "standardize=True with Bernoulli", r"\[0, 1\]", "'auto' or False")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_bernoulli_refuses_outside_values_in_every_table(early_stopping):
    make = partial(ae, likelihood="bernoulli", early_stopping=early_stopping)
    assert_says(refusal(lambda: make().fit(UNIT, X_val=_stretched(3))), *OUTSIDE)
    assert_says(refusal(lambda: make().fit(UNIT, X_clean=_stretched(3))), *OUTSIDE)
    for place in range(len(UNIT)):  # wherever the split puts the row
        assert_says(refusal(lambda place=place: make().fit(_stretched(place))), *OUTSIDE)


@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
def test_bernoulli_refuses_outside_values_when_it_trains_on(verb, monkeypatch):
    estimator = ae(likelihood="bernoulli", warm_start=True)
    with monkeypatch.context() as patch:
        patch.setattr(AutoencoderNet, "train", _train)
        estimator.fit(UNIT)
    assert_says(refusal(lambda: getattr(estimator, verb)(_stretched(3))), *OUTSIDE)


# -- parameters ---------------------------------------------------------------------------------------------


def names(table):
    """Return a pattern that holds if all names of a table occur."""
    return "".join(f"(?=.*'{name}')" for name in table)


#: Estimator, parameters, patterns. scikit-learn's own messages name what is valid: that is the remedy.
PARAMETERS = [
    (ae, {"likelihood": "gausian"}, "Got 'gausian'", names({**LIKELIHOODS, "auto": 0})),
    (ae, {"corruption": "mask"}, "Got 'mask'", names(CORRUPTIONS)),
    (ae, {"penalty": "l2"}, "Got 'l2'", names(PENALTIES)),
    (ae, {"network": "mpl"}, "Got 'mpl'", "'mlp'"),
    (ae, {"activation": "swish"}, "Got 'swish'", names(ACTIVATIONS)),
    (ae, {"network": MLP(activation="swish")}, "Got 'swish'", names(ACTIVATIONS)),
    (ae, {"solver": "adm"}, "Got 'adm'", names(["adam", "sgd", "lbfgs"])),
    (ae, {"learning_rate": "cos"}, "Got 'cos'", names(["constant", "adaptive", "cosine", "one_cycle"])),
    (vae, {"posterior": "diag"}, "Got 'diag'", names(POSTERIORS)),
    (vae, {"prior": "gauss"}, "Got 'gauss'", names(PRIORS)),
    (ae, {"likelihood": Masking()}, "Got Masking", "sklae.likelihoods.Likelihood"),
    (ae, {"likelihood": Gaussian}, "Got <class", "an instance of 'sklae.likelihoods.Likelihood'"),
    (ae, {"corruption": PCA()}, "Got PCA", "sklae.corruptions.Corruption"),
    (ae, {"corruption": GaussianNoise(-1.0)}, "Got -1", r"\[0.0, inf\)"),
    (ae, {"corruption": Masking(1.5)}, "Got 1.5", r"\[0.0, 1.0\]"),
    (ae, {"penalty": L1("much")}, "Got 'much'", r"\[0.0, inf\)"),
    (ae, {"likelihood": Gaussian(1e-9)}, "Got scale=1e-09", "expected.*floor", "Raise the scale or lower the floor"),
    (ae, {"n_components": 0}, "Got 0", r"an int in the range \[1, "),
    (ae, {"n_components": 2.5}, "Got 2.5", "an int"),
    (ae, {"batch_size": 0}, "Got 0", r"\[1, inf\)"),
    (ae, {"max_iter": 0}, "Got 0", r"\[1, inf\)"),
    (ae, {"tol": -1.0}, "Got -1", r"\[0.0, inf\)"),
    (ae, {"validation_fraction": 1}, "Got 1", r"\(0.0, 1.0\)"),
    (ae, {"learning_rate_init": 0.0}, "Got 0", r"\(0.0, inf\)"),
    (ae, {"weight_decay": -0.1}, "Got -0.1", r"\[0.0, inf\)"),
    (ae, {"weight_decay": 0.1, "solver": "lbfgs"}, "Got weight_decay=0.1", "expected 0"),
    (ae, {"n_iter_no_change": 0}, "Got 0", r"\[1, inf\).*inf"),
    (vae, {"beta": -1.0}, "Got -1", r"\[0.0, inf\)"),
    (ae, {"hidden_layer_sizes": (0,)}, r"Got hidden_layer_sizes=\(0,\)", "expected positive integers", "pass"),
    (ae, {"hidden_layer_sizes": (3.5,)}, r"Got hidden_layer_sizes=\(3.5,\)", "expected positive integers"),
    (ae, {"hidden_layer_sizes": ("a",)}, "Got hidden_layer_sizes=", "expected positive integers"),
    (ae, {"hidden_layer_sizes": -3}, "Got -3", r"\[1, inf\)"),
    (ae, {"random_state": "a"}, "Got 'a'", "int"),
    (ae, {"random_state": True}, "Got random_state=True", "an integer", "Pass 0"),
    (ae, {"encoder": 3}, "Got 3", "callable"),
    (ae, {"encoder": nn.Linear(4, 2)}, "nn.Module", "expected a factory", r"encoder\(n_inputs, n_outputs\)"),
    (ae, {"decoder": lambda n_inputs, n_outputs: 3}, "returned int", "expected an nn.Module", "decoder"),
    (ae, {"decoder": lambda: 3}, "decoder", "expected", r"decoder\(n_inputs"),
    (ae, {"encoder": lambda i, o: nn.Linear(i, o + 1)}, r"\(2, 3\)", r"expected \(2, 2\)", r"encoder\(n_inputs"),
    (ae, {"encoder": lambda i, o: nn.Linear(i + 1, o)}, "2x4 and 5x2", "expected", r"encoder\(n_inputs"),
    (ae, {"device": "gpu"}, "Got device='gpu'", "expected.*'cpu'", "device='auto'"),
    (ae, {"device": "cuda:99"}, "Got device='cuda:99'", "expected.*'cpu'", "device='auto'"),
    (ae, {"device": "meta"}, "Got device='meta'", "expected.*'cpu'", "device='auto'"),
    (ae, {"callbacks": "early"}, "Got 'early'", "list"),
    (ae, {"callbacks": [3]}, "Got callbacks.* 3", "expected skorch callbacks", "skorch.callbacks.Callback"),
    (ae, {"callbacks": ["early"]}, "Got callbacks.*'early'", "expected skorch callbacks"),
    (ae, {"callbacks": [("name", 3)]}, "Got callbacks.*'name', 3", r"expected.*\(name, callback\) pairs"),
    (ae, {"n_components": True}, "Got True", "int in the range"),
    (ae, {"batch_size": True}, "Got True", "int in the range"),
    (ae, {"tol": True}, "Got True", "float in the range"),
    (ae, {"shuffle": "no"}, "Got 'no'", "shuffle", "bool"),
    (ae, {"net_params": [1]}, r"Got \[1\]", "dict"),
    (ae, {"net_params": {"lrr": 1}}, "Got net_params=.*lrr", "expected arguments of skorch", "Check their names"),
    (ae, {"net_params": {"optimizer__lrr": 1}}, "Got net_params=.*lrr", "expected arguments", "Check their names"),
    (ae, {"net_params": {3: 1}}, "Got net_params=", "expected arguments", "Check their names"),
    (ae, {"n_components": 10**12}, "Got 1000000000000", r"an int in the range \[1, 2147483648\)"),
    (ae, {"n_components": 10**25}, "Got 10000000000000", r"an int in the range \[1, 2147483648\)"),
    (
        ae,
        {"hidden_layer_sizes": (10**12,)},
        r"Got hidden_layer_sizes=\(1000000000000,\)",
        "expected.*(below|2147483648|memory)",
    ),
    (
        ae,
        {"hidden_layer_sizes": (10**7, 10**7)},
        r"hidden_layer_sizes=\(10000000, 10000000\)",
        "fit in memory",
        "Lower",
    ),
    (
        ae,
        {"network": MLP((4,), normalization="batch"), "batch_size": 1},
        "one row",
        "expected at least 2",
        "batch_size",
    ),
    (ae, {"solver": "lbfgs", "corruption": "masking"}, "Got solver='lbfgs'", "expects a loss", "Use solver='adam'"),
    (vae, {"solver": "lbfgs"}, "Got solver='lbfgs'", "expects a loss", "Use solver='adam'"),
    (AEOutlierDetector, {"contamination": 0.6}, "Got 0.6", r"\(0.0, 0.5\]"),
    (AEOutlierDetector, {"contamination": 0.0}, "Got 0", r"\(0.0, 0.5\]"),
    (AEOutlierDetector, {"contamination": "aut"}, "Got 'aut'", "'auto'"),
    (AEOutlierDetector, {"autoencoder": "vae"}, "Got 'vae'", "BaseAutoencoder"),
    (AEOutlierDetector, {"autoencoder": PCA()}, "Got PCA", "BaseAutoencoder"),
    (detector, {"likelihood": "gausian"}, "Got 'gausian'", names(LIKELIHOODS)),
    (detector, {"device": "gpu"}, "Got device='gpu'", "expected.*'cpu'", "device='auto'"),
]


@pytest.mark.parametrize("number", range(len(PARAMETERS)), ids=lambda i: f"{i} {'+'.join(PARAMETERS[i][1])}")
def test_parameters_are_refused(number):
    make, params, *patterns = PARAMETERS[number]
    estimator = make(**params)
    before = dict(vars(estimator))
    assert_says(refusal(lambda: estimator.fit(X)), *patterns)
    assert vars(estimator) == before


def test_a_misspelt_parameter_is_pythons_own_error():
    for cls in (AutoencoderTransformer, VAETransformer, AEOutlierDetector):
        with pytest.raises(TypeError, match="unexpected keyword argument 'n_component'"):
            cls(n_component=2)


# -- numbers at the edge ------------------------------------------------------------------------------------

EDGES = {
    "1e30": X.astype(np.float32) * np.float32(1e30),
    "1e37": X.astype(np.float32) * np.float32(1e37),
    "1e-30": X.astype(np.float32) * np.float32(1e-30),
    "denormal": X.astype(np.float32) * np.float32(1e-41),
    "one of 1e30": put(1e30, np.float32),
    "largest": put(np.finfo(np.float32).max, np.float32),
    "1e140": X * 1e140,
    "1e-140": X * 1e-140,
    "offset": X + 1e9,
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")  # scikit-learn's sum of the table
@pytest.mark.parametrize("standardize", ["auto", False])
@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_numbers_at_the_edge_give_an_error_or_a_sound_model(make, name, standardize, monkeypatch):
    monkeypatch.setattr(AutoencoderNet, "train", _train)
    table = EDGES[name]
    try:
        estimator = make(standardize=standardize).fit(table)
    except DivergenceError as error:
        assert not standardize  # encoded, these numbers are harmless
        assert_says(str(error), "Got a non-finite", "expected finite", "look for extreme values")
        return
    for verb, values in outputs(estimator, table).items():
        assert np.isfinite(values).all(), verb
    assert all(bool(p.isfinite().all()) for p in inner(estimator).net_.module_.parameters())


def test_the_module_under_test_can_train(monkeypatch):
    """Or the fixture that forbids it would prove nothing."""
    with pytest.raises(pytest.fail.Exception, match="training started"):
        ae().fit(X)
    monkeypatch.setattr(AutoencoderNet, "train", _train)
    assert torch.is_tensor(copy.deepcopy(ae().fit(X)).net_.module_.decoder.linear.weight)
