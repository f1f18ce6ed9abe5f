"""AEImputer: what scikit-learn's imputers promise, whatever fills the gaps; and how well they are filled."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from support import make_table
from toys import Spy, ae, hurry, vae, with_gaps

from sklae import AEImputer, VAETransformer
from sklae._linear.normal import Normal
from sklae._tables.frames import is_gap
from sklae.exceptions import DivergenceError
from sklae.likelihoods import Gaussian

X = make_table(60, 4)
GAPPY = with_gaps(X, 0.2)
GAPS = np.isnan(GAPPY)
NAMES = list("abcd")
GAPPY_FRAME = pd.DataFrame(GAPPY, columns=NAMES, index=[f"row {i}" for i in range(len(X))])


def small(autoencoder=None, **params):
    """An imputer around an autoencoder that trains for milliseconds."""
    model = vae(random_state=None) if autoencoder is None else autoencoder
    return AEImputer(model, **{"random_state": 0, **params})


@pytest.fixture
def few_steps(monkeypatch):
    hurry(monkeypatch)


#: What fills the gaps, by its name.
MODES = {
    "default": {"autoencoder": None},
    "default without a start": {"autoencoder": None, "linear_start": False},
    "vae": {"autoencoder": vae(random_state=None)},
    "vae without a start": {"autoencoder": vae(random_state=None, prior="normal"), "linear_start": False},
    "plain": {"autoencoder": ae(corruption="masking")},
    "plain without a start": {"autoencoder": ae(corruption="masking"), "linear_start": False},
    "draws": {"autoencoder": vae(prior="normal"), "sample_posterior": True},
    "draws without a start": {"autoencoder": vae(), "sample_posterior": True, "linear_start": False},
}


@pytest.fixture(
    params=[pytest.param(mode, marks=pytest.mark.slow if mode.endswith("without a start") else ()) for mode in MODES]
)
def imputer(request, few_steps):
    return clone(AEImputer(random_state=0, **MODES[request.param]))


def values(table):
    return np.asarray(table, dtype=float)


# -- arrays ---------------------------------------------------------------------------------------------

TABLES = {
    "gaps": GAPPY,
    "no gaps": X,
    "one column": GAPPY[:, :1],
    "a constant column": np.where(np.arange(4) == 1, np.where(GAPS, np.nan, 7.0), GAPPY),
    "constants only": np.where(GAPS, np.nan, 7.0),
    "rows of gaps": np.where(np.arange(60)[:, None] % 9 == 5, np.nan, GAPPY),
    "a value in a column": np.where((np.arange(4) == 2) & (np.arange(60)[:, None] > 0), np.nan, GAPPY),
    "two rows": X[:2],
}


@pytest.mark.parametrize("name", TABLES)
def test_gaps_are_filled_and_nothing_else_is_changed(imputer, name):
    table = TABLES[name]
    before = table.copy()
    filled = imputer.fit_transform(table)
    assert np.array_equal(table, before, equal_nan=True)
    assert filled.shape == table.shape
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~np.isnan(table)], table[~np.isnan(table)])
    new = np.where(np.eye(60, table.shape[1], dtype=bool), np.nan, X[:, : table.shape[1]])
    new[-1] = np.nan
    filled = imputer.transform(new)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~np.isnan(new)], new[~np.isnan(new)])


def test_constant_columns_are_filled_with_their_constant(imputer):
    table = np.column_stack([GAPPY, np.where(GAPS[:, 0], np.nan, 7.25)])
    assert (imputer.fit_transform(table)[:, 4] == 7.25).all()
    alone = imputer.fit(table[:, 4:])
    assert (alone.transform(table[:, 4:]) == 7.25).all()
    assert alone.autoencoder_ is None


def test_fit_transform_is_fit_and_transform(imputer):
    together = clone(imputer).fit_transform(GAPPY)
    imputer.fit(GAPPY)
    assert np.array_equal(imputer.transform(GAPPY), together)
    assert np.array_equal(imputer.transform(GAPPY), together)


@pytest.mark.parametrize("name", [name for name in MODES if "draws" not in name])
def test_a_row_does_not_depend_on_its_neighbours(few_steps, name):
    imputer = AEImputer(random_state=0, **MODES[name]).fit(GAPPY)
    together = imputer.transform(GAPPY)
    alone = np.concatenate([imputer.transform(row[None]) for row in GAPPY])
    np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fitted", [np.float32, np.float64])
def test_each_call_answers_in_its_own_dtype(fitted, dtype):
    imputer = small(add_indicator=True).fit(GAPPY.astype(fitted))
    filled = imputer.transform(GAPPY.astype(dtype))
    assert filled.dtype == dtype
    assert np.array_equal(filled[:, :4][~GAPS], GAPPY.astype(dtype)[~GAPS])


def test_integers_become_floats():
    filled = small().fit(GAPPY).transform(np.arange(8).reshape(2, 4))
    assert filled.dtype == np.float64
    assert np.array_equal(filled, np.arange(8).reshape(2, 4))


# -- frames ---------------------------------------------------------------------------------------------


def _mixed_frame():
    """A column of each kind that tables have, most with gaps."""
    rng = np.random.RandomState(0)
    n = 60
    columns = {
        "float": rng.normal(size=n),
        "float32": rng.normal(size=n).astype(np.float32),
        "int": rng.randint(9, size=n),
        "Int64": pd.array(rng.randint(9, size=n), dtype="Int64"),
        "uint8 arrow": pd.array(rng.randint(9, size=n), dtype="uint8[pyarrow]"),
        "text": rng.choice(["red", "green", "blue"], n),
        "text arrow": pd.array(rng.choice(["u", "v"], n), dtype="string[pyarrow]"),
        "category": pd.Categorical(rng.choice(["x", "y"], n)),
        "ordered": pd.Categorical(rng.choice(["low", "high"], n), categories=["low", "mid", "high"], ordered=True),
        "bool": rng.uniform(size=n) < 0.5,
        "boolean": pd.array(rng.uniform(size=n) < 0.5, dtype="boolean"),
        "objects": rng.choice([True, False], n).astype(object),
    }
    frame = pd.DataFrame(columns, index=[f"row {i}" for i in range(n)])
    for name in frame.columns.difference(["int", "bool"]):
        gaps = rng.uniform(size=n) < 0.2
        gaps[:4] = False
        frame[name] = frame[name].mask(gaps)
    return frame


MIXED = _mixed_frame()
MIXED_POLARS = pl.from_pandas(MIXED.drop(columns=["ordered", "objects"])).with_columns(
    pl.Series("ordered", [None if pd.isna(v) else v for v in MIXED["ordered"]], dtype=pl.Enum(["low", "mid", "high"]))
)


def test_pandas_frames_keep_their_dtypes(imputer):
    filled = imputer.fit_transform(MIXED)
    assert list(filled.columns) == list(MIXED.columns)
    assert filled.index.equals(MIXED.index)
    assert list(filled.dtypes) == list(MIXED.dtypes)
    assert not filled.isna().any(axis=None)
    for name in MIXED:
        seen = ~MIXED[name].isna()
        assert (filled[name][seen] == MIXED[name][seen]).all()
        if MIXED[name].dtype.kind not in "f":
            assert filled[name].isin(MIXED[name][seen]).all() or name in ("Int64", "uint8 arrow")


def test_polars_frames_keep_their_dtypes(imputer):
    filled = imputer.fit_transform(MIXED_POLARS)
    assert filled.schema == MIXED_POLARS.schema
    assert not sum(filled.null_count().row(0))
    for name in MIXED_POLARS.columns:
        assert filled[name].filter(MIXED_POLARS[name].is_not_null()).equals(MIXED_POLARS[name].drop_nulls())


def test_nan_is_a_gap_of_polars_too(few_steps):
    table = pl.DataFrame(GAPPY, schema=NAMES)
    filled = AEImputer(random_state=0).fit_transform(table)
    assert np.array_equal(values(filled), AEImputer(random_state=0).fit_transform(GAPPY))


def test_columns_without_gaps_in_fit_may_have_some_later(imputer):
    imputer.fit(MIXED.dropna())
    filled = imputer.transform(MIXED)
    assert not filled.isna().any(axis=None)
    assert list(filled.dtypes) == list(MIXED.dtypes)


def test_integers_that_a_gap_made_floats_come_back_as_fitted():
    whole = MIXED[["int", "float"]]
    later = whole.astype({"int": float}).mask(GAPS[:, :2])
    filled = small().fit(whole).transform(later)
    assert filled["int"].dtype == whole["int"].dtype
    assert small().fit_transform(later)["int"].dtype == float


@pytest.mark.parametrize("to_frame", [pd.DataFrame, pl.DataFrame])
def test_integers_beyond_the_floats_are_not_touched(to_frame):
    frame = to_frame({"id": np.arange(60) + 2**60 + 1, "a": GAPPY[:, 0]})
    filled = small().fit_transform(frame)
    assert filled["id"].to_list() == frame["id"].to_list()


def test_levels_that_fit_has_not_seen_count_as_missing(few_steps):
    imputer = AEImputer(random_state=0, add_indicator=True).fit(MIXED)
    new = MIXED.astype({"text": object, "category": object})
    new.loc["row 0", ["text", "category"]] = ["purple", "z"]
    gone = new.copy()
    gone.loc["row 0", ["text", "category"]] = None
    pd.testing.assert_frame_equal(imputer.transform(new), imputer.transform(gone))
    assert imputer.transform(new)["text"].isin(["red", "green", "blue"]).all()


def test_named_columns_are_categories(few_steps):
    codes = with_gaps(np.random.RandomState(0).choice([1.0, 2.0, 5.0], (60, 2)), 0.2)
    filled = AEImputer(categorical_features=[0], random_state=0).fit_transform(np.hstack([codes, GAPPY]))
    assert set(filled[:, 0]) == {1.0, 2.0, 5.0}
    assert not set(filled[:, 1]) <= {1.0, 2.0, 5.0}


# -- missing_values -------------------------------------------------------------------------------------


def _marked(table, value):
    return np.where(np.isnan(table), value, table)


ROUND = np.where(GAPS, np.nan, np.round(X))


@pytest.mark.parametrize("value", [-1, 0, 7.5, np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
def test_numbers_may_stand_for_gaps(value, dtype):
    table = np.where(value == ROUND, 99.0, ROUND)
    filled = small(missing_values=value).fit_transform(_marked(table, value).astype(dtype))
    assert filled.dtype == (dtype if dtype is np.float32 else np.float64)
    np.testing.assert_allclose(filled, small().fit_transform(table), rtol=1e-4)


def test_numbers_may_stand_for_gaps_in_lists():
    filled = small(missing_values=99.0).fit_transform(_marked(GAPPY, 99.0).tolist())
    assert np.array_equal(filled, small().fit_transform(GAPPY))


@pytest.mark.parametrize("nothing", [np.nan, None, pd.NA, -1])
def test_nan_always_stands_for_a_gap(nothing):
    assert np.array_equal(small(missing_values=nothing).fit_transform(GAPPY), small().fit_transform(GAPPY))
    frame = MIXED[["Int64", "text", "float"]]
    pd.testing.assert_frame_equal(
        small(missing_values=nothing).fit_transform(frame), small().fit_transform(frame), check_exact=True
    )


@pytest.mark.parametrize("to_table", [np.asarray, np.ndarray.tolist])
def test_text_may_stand_for_gaps_among_numbers(to_table):
    table = np.where(GAPS, "?", GAPPY.astype(object))
    filled = small(missing_values="?").fit_transform(to_table(table))
    assert np.array_equal(values(filled), small().fit_transform(GAPPY))


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_text_may_stand_for_gaps_among_levels(dtype, library):
    text = MIXED["text"].astype(object).fillna("?").astype(dtype)
    frame = MIXED[["float", "bool"]].assign(text=text)
    frame = pl.from_pandas(frame) if library == "polars" else frame
    filled = small(missing_values="?").fit_transform(frame)
    assert set(filled["text"]) == {"red", "green", "blue"}
    wanted = small().fit_transform(MIXED[["float", "bool", "text"]])
    assert list(filled["text"]) == list(wanted["text"])


def test_integers_stay_integers_where_one_stands_for_gaps():
    frame = pd.DataFrame({"int": MIXED["int"].mask(GAPS[:, 0], -1), "other": X[:, 1]})
    imputer = small(missing_values=-1).fit(frame)
    for table in (frame, frame[frame["int"] >= 0]):
        filled = imputer.transform(table)
        assert filled["int"].dtype == frame["int"].dtype
        assert filled["int"].between(0, 8).all()
    polars = small(missing_values=-1).fit_transform(pl.from_pandas(frame))
    assert polars.schema["int"] == pl.Int64
    assert polars["int"].to_list() == imputer.transform(frame)["int"].to_list()


def test_zero_for_a_gap_leaves_booleans_alone():
    frame = pd.DataFrame({"flag": MIXED["bool"], "number": np.where(GAPS[:, 0], 0.0, X[:, 0])})
    filled = small(missing_values=0).fit_transform(frame)
    assert filled["flag"].equals(frame["flag"])
    assert (filled["number"] != 0).all()


# -- columns that are added, kept and named ---------------------------------------------------------------

WITH_EMPTY = np.insert(GAPPY, 2, np.nan, axis=1)
WITH_EMPTY[:, 0] = X[:, 0]  # no gap


@pytest.mark.parametrize("keep_empty_features", [False, True])
@pytest.mark.parametrize("add_indicator", [False, True])
@pytest.mark.parametrize("table", [WITH_EMPTY, pd.DataFrame(WITH_EMPTY, columns=list("vwxyz"))], ids=["array", "frame"])
def test_columns_are_those_of_scikit_learns_imputers(table, add_indicator, keep_empty_features):
    settings = {"keep_empty_features": keep_empty_features, "add_indicator": add_indicator}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping features without any observed values", UserWarning)
        simple = SimpleImputer(**settings).fit(table)
    imputer = small(**settings).fit(table)
    names = imputer.get_feature_names_out()
    assert names.dtype == object
    assert list(names) == list(simple.get_feature_names_out())
    filled = imputer.transform(table)
    assert filled.shape[1] == len(names)
    assert np.isfinite(values(filled)).all()
    if keep_empty_features:
        assert (values(filled)[:, 2] == 0).all()
    if isinstance(table, pd.DataFrame):
        assert list(filled.columns) == list(names)
    if add_indicator:
        wanted = MissingIndicator().fit_transform(WITH_EMPTY)
        assert np.array_equal(values(filled)[:, -wanted.shape[1] :], wanted)


@pytest.mark.parametrize("frame", [GAPPY_FRAME, pl.DataFrame(GAPPY, schema=NAMES)], ids=["pandas", "polars"])
def test_indicators_in_a_frame_are_booleans(frame):
    filled = small(add_indicator=True).fit_transform(frame)
    assert list(filled.columns[4:]) == [f"missingindicator_{name}" for name in NAMES]
    assert [str(dtype).lower().removesuffix("ean") for dtype in filled.dtypes[4:]] == ["bool"] * 4
    assert np.array_equal(values(filled)[:, 4:], GAPS)


def test_names_that_indicators_would_take_are_refused():
    with pytest.raises(ValueError, match=r"Got columns \['missingindicator_a'\] and add_indicator=True.*Rename"):
        small(add_indicator=True).fit(GAPPY_FRAME.rename(columns={"b": "missingindicator_a"}))
    numbered = GAPPY_FRAME.set_axis(range(4), axis=1)
    with pytest.raises(ValueError, match=r"Got column names that are no text and add_indicator=True.*astype\(str\)"):
        small(add_indicator=True).fit(numbered)
    assert list(small().fit_transform(numbered).columns) == [0, 1, 2, 3]


def test_what_an_empty_column_holds_later_is_kept():
    imputer = small(keep_empty_features=True).fit(WITH_EMPTY)
    new = WITH_EMPTY.copy()
    new[:5, 2] = np.arange(5.0)
    assert np.array_equal(imputer.transform(new)[:, 2], [*range(5), *[0] * 55])


def test_empty_categories_stay_missing():
    empty = {
        "text": pd.array([None] * 60, dtype="str"),
        "flag": pd.array([None] * 60, dtype="boolean"),
        "count": pd.array([None] * 60, dtype="Int64"),
    }
    frame = GAPPY_FRAME.assign(**empty)
    filled = small(keep_empty_features=True).fit_transform(frame)
    assert list(filled.dtypes) == list(frame.dtypes)
    assert filled[["text", "flag"]].isna().all(axis=None)
    assert (filled["count"] == 0).all()
    assert list(small().fit_transform(frame).columns) == NAMES


@pytest.mark.parametrize("n_imputations", [1, 3])
@pytest.mark.parametrize(("output", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
@pytest.mark.parametrize(
    "table", [GAPPY, GAPPY_FRAME, pl.DataFrame(GAPPY, schema=NAMES)], ids=lambda t: type(t).__name__
)
def test_set_output_rules(table, output, kind, n_imputations):
    imputer = small(add_indicator=True, n_imputations=n_imputations).set_output(transform=output)
    filled = imputer.fit_transform(table)
    for one in filled if n_imputations > 1 else [filled]:
        assert type(one) is kind
        assert list(one.columns) == list(imputer.get_feature_names_out())
        if kind is pd.DataFrame and isinstance(table, pd.DataFrame):
            assert one.index.equals(table.index)


def test_features_are_counted_and_named():
    imputer = small().fit(GAPPY_FRAME)
    assert imputer.n_features_in_ == 4
    assert list(imputer.feature_names_in_) == NAMES
    assert not hasattr(imputer.fit(GAPPY), "feature_names_in_")


def test_tags():
    tags = get_tags(AEImputer())
    assert tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    assert tags.requires_fit


# -- draws ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linear_start", [True, False])
@pytest.mark.parametrize("table", [GAPPY, MIXED], ids=["array", "frame"])
def test_several_imputations_are_draws(table, linear_start, untouched_globals):
    imputer = small(n_imputations=4, linear_start=linear_start).fit(table)
    draws = imputer.transform(table)
    assert len(draws) == 4
    missing = pd.DataFrame(table).isna().to_numpy()
    cells = [pd.DataFrame(draw).to_numpy() for draw in draws]
    assert all((one[~missing] == pd.DataFrame(table).to_numpy()[~missing]).all() for one in cells)
    assert not any(pd.DataFrame(draw).isna().any(axis=None) for draw in draws)
    assert all((one[missing] != cells[0][missing]).any() for one in cells[1:])
    for one, again in zip(draws, imputer.transform(table), strict=True):
        pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(again), check_exact=True)
    if isinstance(table, pd.DataFrame):
        assert all(list(draw.dtypes) == list(table.dtypes) for draw in draws)


@pytest.mark.parametrize("linear_start", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_draws_vary_about_what_is_expected(linear_start):
    imputer = small(linear_start=linear_start).fit(GAPPY)
    expected = imputer.transform(GAPPY)
    draws = np.stack(imputer.set_params(n_imputations=400).transform(GAPPY))
    spread = draws.std(axis=0)
    assert (spread[GAPS] > 0).all()
    assert (draws[:, ~GAPS] == GAPPY[~GAPS]).all()
    # what is expected is of all models by column, and may lie beyond the values that were seen
    distance = np.abs(draws.mean(axis=0) - expected)[GAPS] / spread[GAPS]
    assert np.mean(distance) < 0.2
    assert np.quantile(distance, 0.9) < 0.6


def test_a_draw_is_not_what_is_expected():
    expected, drawn = (small(sample_posterior=flag).fit_transform(GAPPY) for flag in (False, True))
    assert (expected[GAPS] != drawn[GAPS]).all()


# -- in company -----------------------------------------------------------------------------------------

Y = (X[:, 0] > X[:, 0].mean()).astype(int)


@pytest.mark.parametrize("table", [GAPPY, GAPPY_FRAME], ids=["array", "frame"])
def test_in_a_pipeline(table):
    pipeline = make_pipeline(small(), LogisticRegression()).fit(table, Y)
    assert pipeline.score(table, Y) > 0.7


def test_in_a_column_transformer():
    parts = [("gaps", small(add_indicator=True), ["float", "Int64"]), ("flag", small(), ["boolean"])]
    transformer = ColumnTransformer(parts, remainder="drop").set_output(transform="pandas")
    filled = transformer.fit_transform(MIXED)
    assert filled.shape == (60, 5)
    assert not filled.isna().any(axis=None)


def test_in_a_search():
    grid = {
        "aeimputer__linear_start": [True, False],
        "aeimputer__autoencoder__n_components": [1, 2],
        "aeimputer__n_importance_samples": [8],
    }
    search = GridSearchCV(make_pipeline(small(), LogisticRegression()), grid, cv=2, error_score="raise").fit(GAPPY, Y)
    assert len(search.cv_results_["params"]) == 4
    assert (
        search.best_estimator_[0].autoencoder_.n_components_
        == search.best_params_["aeimputer__autoencoder__n_components"]
    )


def test_clones_are_equal_and_unfitted():
    imputer = small(missing_values=-1, n_imputations=2, categorical_features=[0]).fit(np.round(GAPPY))
    copy = clone(imputer)
    assert repr(copy) == repr(imputer)
    assert not hasattr(copy, "autoencoder_")


@pytest.mark.parametrize("table", [GAPPY, MIXED, MIXED_POLARS], ids=["array", "pandas", "polars"])
def test_pickles_fill_as_before(imputer, table, tmp_path):
    imputer.fit(table)
    wanted = pd.DataFrame(np.asarray(imputer.transform(table)))
    joblib.dump(imputer, tmp_path / "imputer")
    for copy in (pickle.loads(pickle.dumps(imputer)), joblib.load(tmp_path / "imputer")):
        found = pd.DataFrame(np.asarray(copy.transform(table)))
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)


@pytest.mark.parametrize(
    "imputer",
    [pytest.param(mode, marks=pytest.mark.slow if mode not in ("default", "plain") else ()) for mode in MODES],
    indirect=True,
)
def test_pickles_hold_no_rows(imputer):
    sizes = []
    for n in (8, 20):  # of fewer rows there are fewer mixtures
        fitted = clone(imputer).fit(np.tile(GAPPY, (n, 1)))
        for model in fitted.estimators_:
            model.net_.history.clear()  # it has a line for each batch
        sizes.append(len(pickle.dumps(fitted)))
    assert sizes[1] - sizes[0] < 4 * GAPPY.nbytes  # of twelve times as much; mixtures may differ in size


def test_threads_fill_alike(imputer):
    imputer.fit(GAPPY)
    wanted = imputer.transform(GAPPY)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(one, wanted) for one in pool.map(imputer.transform, [GAPPY] * 8))


# -- randomness -----------------------------------------------------------------------------------------


def _figures(imputer):
    """What a fit's random numbers show in."""
    return imputer.autoencoder_.loss_curve_ if imputer.estimators_ else imputer.account_.n_cells.tolist()


def test_a_seed_gives_the_same_bits(imputer, untouched_globals):
    wanted = imputer.fit_transform(GAPPY)
    assert np.array_equal(imputer.fit_transform(GAPPY), wanted)
    assert np.array_equal(clone(imputer).fit_transform(GAPPY), wanted)
    losses = _figures(imputer)
    own_seed = getattr(imputer.autoencoder, "random_state", None) is not None
    other = _figures(imputer.set_params(random_state=1).fit(GAPPY))
    assert imputer.linear_start or (other == losses) == own_seed


def test_no_seed_gives_other_bits_each_time(imputer, untouched_globals):
    if isinstance(imputer.autoencoder, BaseEstimator):
        imputer.autoencoder.random_state = None
    imputer.set_params(random_state=None)
    one, other = (imputer.fit_transform(GAPPY) for _ in range(2))
    assert not np.array_equal(one, other)


def test_a_random_state_instance_is_advanced_from_fit_to_fit():
    rng = np.random.RandomState(0)
    one, other = (small(random_state=rng).fit_transform(GAPPY) for _ in range(2))
    assert not np.array_equal(one, other)
    assert np.array_equal(one, small(random_state=np.random.RandomState(0)).fit_transform(GAPPY))


def test_the_autoencoder_keeps_a_seed_of_its_own():
    found = [small(vae(random_state=0), random_state=seed, linear_start=False).fit(GAPPY) for seed in (1, 2)]
    assert [imputer.autoencoder_.random_state for imputer in found] == [0, 0]
    assert np.array_equal(*(imputer.transform(GAPPY) for imputer in found))


# -- failures -------------------------------------------------------------------------------------------


def _assert_unharmed(imputer, error, match, table=GAPPY, **params):
    """Fitting with these parameters fails and changes nothing, of an unfitted imputer and of a fitted one."""
    fresh = clone(imputer).set_params(**params)
    with pytest.raises(error, match=match):
        fresh.fit(table)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    imputer.fit(GAPPY)
    wanted, own = imputer.transform(GAPPY), imputer.get_params(deep=False)
    before = dict(vars(imputer.set_params(**params)))
    with pytest.raises(error, match=match):
        imputer.fit(table)
    assert vars(imputer).keys() == before.keys()
    assert all(vars(imputer)[name] is value for name, value in before.items())
    assert np.array_equal(imputer.set_params(**own).transform(GAPPY), wanted)


def test_a_diverging_fit_changes_nothing():
    wild = vae(solver="sgd", learning_rate_init=1e18, max_iter=20)
    _assert_unharmed(small(), DivergenceError, "Got a non-finite", autoencoder=wild)


@pytest.mark.parametrize("place", ["fit", "given"])
def test_an_interruption_changes_nothing(monkeypatch, place, few_steps):
    imputer = AEImputer(random_state=0).fit(GAPPY)
    before, wanted = dict(vars(imputer)), imputer.transform(GAPPY)
    with monkeypatch.context() as patch:

        def strike(*args, **kwargs):
            raise KeyboardInterrupt

        patch.setattr(Normal, place, strike)
        with pytest.raises(KeyboardInterrupt):
            imputer.fit(GAPPY * 2)
    assert vars(imputer).keys() == before.keys()
    assert all(vars(imputer)[name] is value for name, value in before.items())
    assert np.array_equal(imputer.transform(GAPPY), wanted)


def _strike(net):
    raise KeyboardInterrupt


def test_interrupted_training_changes_nothing():
    imputer = small(vae(callbacks=[Spy(_strike)]))
    before = dict(vars(imputer))
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(GAPPY)
    assert vars(imputer) == before


BAD_PARAMETERS = {
    "a class": ({"autoencoder": VAETransformer}, "Got <class"),
    "another estimator": ({"autoencoder": SimpleImputer()}, "The 'autoencoder' parameter"),
    "no imputations": ({"n_imputations": 0}, "The 'n_imputations' parameter"),
    "no draws": ({"n_importance_samples": 0}, "The 'n_importance_samples' parameter"),
    "a list for a gap": ({"missing_values": [0]}, "The 'missing_values' parameter"),
    "a bad autoencoder": ({"autoencoder": vae(n_components=-1)}, "The 'n_components' parameter"),
    "conditions": ({"autoencoder": vae(condition_features=[0])}, r"Got an autoencoder with condition_features=\[0\]"),
    "categories inside": ({"autoencoder": vae(categorical_features=[0])}, r"Got an autoencoder with categorical_feat"),
    "draws of a plain one": (
        {"autoencoder": ae(), "linear_start": False, "sample_posterior": True},
        "Got draws to make without linear_start",
    ),
    "draws of points": (
        {"autoencoder": vae(posterior="point", divergence="mmd"), "linear_start": False, "n_imputations": 2},
        "which has no density; expected a VAETransformer",
    ),
    "an unknown column": ({"categorical_features": [9]}, r"Got categorical_features=\[9\]"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_are_refused(name):
    params, match = BAD_PARAMETERS[name]
    _assert_unharmed(small(), ValueError, match, **params)


BAD_TABLES = {
    "nothing but gaps": (np.full((9, 2), np.nan), "Got a table in which every value is missing"),
    "infinity": (np.where(GAPS, np.inf, X), "contains infinity.*Replace infinite values"),
    "one row": (X[:1], "minimum of 2 is required"),
    "text in an array": (np.array([["a"], ["b"]]), "Got an array of dtype <U1"),
    "dates": (
        GAPPY_FRAME.assign(day=pd.Timestamp("2020-01-01")),
        "Got columns that are neither numbers nor categories",
    ),
    "names twice": (GAPPY_FRAME.set_axis(list("aabc"), axis=1), "Got column names that occur twice"),
    "three dimensions": (X[:, :, None], "Flatten each sample"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables_are_refused(name):
    table, match = BAD_TABLES[name]
    _assert_unharmed(small(), ValueError, match, table)


def test_other_columns_are_refused():
    imputer = small().fit(GAPPY_FRAME)
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(GAPPY_FRAME[list("badc")])
    with pytest.raises(ValueError, match="4 features"):
        small().fit(GAPPY).transform(X[:, :3])


# -- a given autoencoder --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ae, vae])
def test_a_given_autoencoder_is_not_touched(make):
    given = make(random_state=None)
    before = dict(vars(given))
    imputer = small(given).fit(GAPPY)
    assert vars(given) == before
    assert imputer.autoencoder is given
    assert type(imputer.autoencoder_) is type(given)


@pytest.mark.parametrize("frame", [MIXED, MIXED_POLARS], ids=["pandas", "polars"])
def test_the_fitted_autoencoder_takes_the_table_as_it_is(frame):
    inner = small().fit(frame).autoencoder_
    assert inner.transform(frame).shape == (60, inner.n_components_)
    rebuilt = inner.reconstruct(frame)
    alone = vae().fit(frame).reconstruct(frame)
    assert list(rebuilt.columns) == list(alone.columns)
    assert list(rebuilt.dtypes) == list(alone.dtypes)
    assert set(rebuilt["text"]) <= {"red", "green", "blue"}


_COUNTS = np.random.RandomState(0).poisson(3.0, (60, 4)).astype(float)
#: Likelihood -> a table in its support, and what is true of filled cells.
SUPPORTS = {
    "bernoulli": (X.argsort(axis=0).argsort(axis=0) / 59, lambda cells: (cells >= 0) & (cells <= 1)),
    "poisson": (_COUNTS, lambda cells: cells > 0),
    "negative_binomial": (_COUNTS, lambda cells: cells > 0),
    "categorical": (_COUNTS % 3, lambda cells: np.isin(cells, [0, 1, 2])),
    "ordinal": (_COUNTS % 3, lambda cells: np.isin(cells, [0, 1, 2])),
    "student_t": (X, np.isfinite),
}


@pytest.mark.parametrize("make", [ae, vae])
@pytest.mark.parametrize("likelihood", SUPPORTS)
def test_every_likelihood_fills_within_its_support(make, likelihood):
    table, holds = SUPPORTS[likelihood]
    gappy = np.where(GAPS, np.nan, table)
    filled = small(make(likelihood=likelihood), linear_start=False).fit_transform(gappy)
    assert holds(filled[GAPS]).all()
    assert np.array_equal(filled[~GAPS], table[~GAPS])
    assert np.isfinite(small(make(likelihood=likelihood)).fit_transform(gappy)).all()


@pytest.mark.parametrize("params", [{}, {"sample_posterior": True}, {"linear_start": False, "sample_posterior": True}])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "auto"])
def test_booleans_may_be_modelled_as_numbers(likelihood, params):
    frame = MIXED[["boolean", "objects"]].assign(share=MIXED["float"].rank(pct=True))
    filled = small(vae(likelihood=likelihood), **params).fit_transform(frame)
    assert list(filled.dtypes) == list(frame.dtypes)
    assert not filled.isna().any(axis=None)
    seen = ~frame["boolean"].isna()
    assert (filled["boolean"][seen] == frame["boolean"][seen]).all()


# -- the account ----------------------------------------------------------------------------------------


def test_there_is_an_account_where_there_is_a_start():
    imputer = small().fit(GAPPY_FRAME)
    account = imputer.account_
    assert account.names == NAMES
    assert all(len(part) == 4 for part in (account.weight, account.n_cells, account.linear_error, account.error))
    assert account.weights.shape == account.errors.shape == (4, len(account.parts))
    np.testing.assert_allclose(account.weights.sum(axis=1), 1.0)
    assert "held-out cells" in str(account)
    assert not hasattr(imputer.set_params(linear_start=False).fit(GAPPY), "account_")


# -- known answers --------------------------------------------------------------------------------------


def test_a_linear_vae_fills_with_its_own_conditional_means():
    """Rows of a factor model: under the fitted decoder they are normal, so that everything has a closed form."""
    rng = np.random.RandomState(0)
    table = 3.0 + 2.0 * (rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 6)) + 0.5 * rng.normal(size=(1000, 6)))
    gappy = with_gaps(table, 0.25)
    model = VAETransformer(
        2,
        likelihood=Gaussian("per_feature"),
        prior="normal",
        hidden_layer_sizes=(),
        learning_rate="cosine",
        early_stopping=False,
        learning_rate_init=2e-2,
        max_iter=150,
        batch_size=250,
        random_state=0,
    )
    imputer = AEImputer(model, linear_start=False, n_importance_samples=4096).fit(gappy)
    inner, layout = imputer.autoencoder_, imputer.autoencoder_.layout_
    decoder = inner.net_.module_.decoder[-1]
    weight, bias = (part.detach().numpy().astype(float) for part in (decoder.weight, decoder.bias))
    variance = inner.net_.module_.likelihood.variance().detach().numpy().astype(float)
    covariance = (weight @ weight.T + np.diag(variance)) * np.outer(layout.scaling.scale, layout.scaling.scale)
    exact = Normal(layout.scaling.offset + layout.scaling.scale * bias, covariance)
    rows = gappy[:300]
    missed = ((imputer.transform(rows) - exact.fill(rows)) / layout.scaling.scale)[np.isnan(rows)]
    assert np.sqrt(np.mean(missed**2)) < 0.03
    far = ((exact.fill(rows) - layout.mean) / layout.scaling.scale)[np.isnan(rows)]
    assert np.sqrt(np.mean(far**2)) > 0.5  # what filling with means would miss by
    scores = inner.score_samples(rows, n_importance_samples=4096)
    distance = scores - exact.log_likelihood(rows)
    assert abs(distance.mean()) < 0.02
    assert np.abs(distance).max() < 0.5


def _reference(gappy):
    """The start alone, in the user's units."""
    mean, deviation = np.nanmean(gappy, axis=0), np.nanstd(gappy, axis=0)
    normal = Normal.fit((gappy - mean) / deviation)
    return lambda rows: normal.fill((rows - mean) / deviation) * deviation + mean


def _rmse(filled, truth, cells):
    return np.sqrt(np.mean(((filled - truth) / truth.std(axis=0))[cells] ** 2))


def _normal_rows(rng, n, chance):
    """Correlated normal rows, and the same with gaps of given chances in each cell."""
    covariance = [[1.0, 0.8, 0.2], [0.8, 1.0, 0.5], [0.2, 0.5, 1.0]]
    truth = rng.multivariate_normal([1.0, -2.0, 0.0], covariance, size=n)
    return truth, np.where(rng.uniform(size=truth.shape) < chance(truth), np.nan, truth)


def test_on_linear_data_nothing_is_lost_to_the_start():
    rng = np.random.RandomState(0)
    (_, gappy), (truth, rows) = (_normal_rows(rng, n, lambda table: 0.25) for n in (300, 2000))
    filled, cells = AEImputer(random_state=0).fit(gappy).transform(rows), np.isnan(rows)
    assert _rmse(filled, truth, cells) < 1.02 * _rmse(_reference(gappy)(rows), truth, cells)


@pytest.mark.slow
def test_intervals_cover_what_they_say(few_steps):
    covered = []
    for seed in range(3):
        rng = np.random.RandomState(seed)
        (_, gappy), (truth, rows) = (_normal_rows(rng, 600, lambda table: 0.25) for _ in range(2))
        draws = np.stack(AEImputer(n_imputations=60, random_state=0).fit(gappy).transform(rows))
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        covered.append(((low <= truth) & (truth <= high))[np.isnan(rows)])
    assert 0.84 < np.mean(np.concatenate(covered)) < 0.95


def test_the_mean_of_a_column_with_gaps_is_recovered():
    """The second column is missing mostly where the first is large: complete cases are biased."""
    rng = np.random.RandomState(0)
    truth, gappy = _normal_rows(rng, 300, lambda table: (np.arange(3) == 1) * np.where(table[:, :1] > 1.0, 0.8, 0.1))
    error = 1.0 / np.sqrt(len(truth))
    assert np.nanmean(gappy[:, 1]) < truth[:, 1].mean() - 4 * error
    filled = AEImputer(random_state=0).fit_transform(gappy)
    assert abs(filled[:, 1].mean() - truth[:, 1].mean()) < 2 * error


@pytest.mark.slow
def test_what_is_curved_is_learned():
    def draw(n):
        x = rng.uniform(-2.0, 2.0, n)
        truth = np.column_stack([x, x**2 + 0.1 * rng.normal(size=n)])
        gaps = (np.arange(2) == rng.randint(2, size=(n, 1))) & (rng.uniform(size=(n, 1)) < 0.4)
        return truth, np.where(gaps, np.nan, truth)

    rng = np.random.RandomState(0)
    (_, gappy), (truth, rows) = draw(400), draw(1000)
    imputer = AEImputer(random_state=0).fit(gappy)
    assert imputer.account_.weight[1] > 0.8
    assert imputer.account_.gain > 0.1
    filled, linear = imputer.transform(rows), _reference(gappy)(rows)
    of_square = np.isnan(rows) & (np.arange(2) == 1)
    assert _rmse(filled, truth, of_square) < 0.4 * _rmse(linear, truth, of_square)
    assert _rmse(filled, truth, np.isnan(rows)) < 0.9 * _rmse(linear, truth, np.isnan(rows))
    by_network = AEImputer("vae", random_state=0).fit(gappy)
    assert "autoencoder" in by_network.account_.parts
    assert _rmse(by_network.transform(rows), truth, of_square) < _rmse(filled, truth, of_square) * 1.1


def test_images_are_painted_in_by_the_same_call():
    images = load_digits().data / 16.0
    masked = np.arange(64) >= 32
    train, new = images[:1200], images[1200:]
    vae_ = VAETransformer(
        16,
        likelihood="bernoulli",
        corruption="masking",
        learning_rate="one_cycle",
        learning_rate_init=4e-3,
        max_iter=30,
        random_state=0,
    )
    filled = AEImputer(vae_, linear_start=False).fit(train).transform(np.where(masked, np.nan, new))
    assert np.array_equal(filled[:, ~masked], new[:, ~masked])
    assert ((filled >= 0) & (filled <= 1)).all()
    error, of_means = (np.sqrt(np.mean((one - new)[:, masked] ** 2)) for one in (filled, train.mean(axis=0)))
    assert error < 0.93 * of_means


# -- what scikit-learn's imputers have, too -----------------------------------------------------------------


@pytest.mark.parametrize("read", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize("keep", [True, False])
def test_gaps_are_put_back_by_their_indicators(read, keep):
    table = pd.DataFrame(
        {"i": [1, 2, None, 4] * 10, "e": [np.nan] * 40, "f": np.arange(40.0), "k": ["a", "b", None, "c"] * 10}
    )
    frame = read(table.astype({"i": "Int64"}))
    imputer = AEImputer(add_indicator=True, keep_empty_features=keep, random_state=0)
    with (
        nullcontext()
        if keep
        else pytest.warns(UserWarning, match=r"without any observed value, \['e'\]; they are left")
    ):
        filled = imputer.fit_transform(frame)
    restored = imputer.inverse_transform(filled)
    assert type(restored) is type(frame)
    assert list(restored.columns) == list(frame.columns)
    for name in frame.columns:
        for before, after in zip(frame[name].to_list(), restored[name].to_list(), strict=True):
            assert (is_gap(before) and is_gap(after)) or before == after
    assert imputer.indicator_.features_.tolist() == [0, 1, 3]


def test_gaps_of_arrays_are_put_back():
    table = np.arange(60.0).reshape(20, 3)
    table[::3, 0] = np.nan
    imputer = AEImputer(add_indicator=True, random_state=0).fit(table)
    np.testing.assert_array_equal(imputer.inverse_transform(imputer.transform(table)), table)
    with pytest.raises(ValueError, match="expected 4 columns, as transform gives them: 3 filled ones and 1 indicators"):
        imputer.inverse_transform(table)
    assert AEImputer(random_state=0).fit(table).indicator_ is None


FAR = [1e160, -1e300, np.finfo(np.float64).max]
FILLERS = {
    "default": lambda: AEImputer(random_state=0),
    "draws": lambda: AEImputer(sample_posterior=True, random_state=0),
    "given": lambda: small(vae(n_components=2)),
    "given alone": lambda: small(ae(n_components=2), linear_start=False),
    "draws of the given": lambda: small(vae(n_components=2), linear_start=False, sample_posterior=True),
}


@pytest.mark.parametrize("name", FILLERS)
def test_rows_with_a_value_far_out_are_filled(name):
    imputer = FILLERS[name]().fit(GAPPY)
    rows = X[: len(FAR)].copy()
    rows[:, 1], rows[:, 2] = FAR, np.nan
    filled = imputer.transform(rows)
    np.testing.assert_array_equal(filled[:, 1], FAR)
    reach = 2 * np.ptp(X[:, 2])
    assert (np.abs(filled[:, 2] - X[:, 2].mean()) <= reach).all()
