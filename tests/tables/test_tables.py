"""Tables as they are: every verb takes frames of mixed columns, and gives back what was fitted.

How columns are named and coded: `test_columns.py`; conditions: `test_conditions.py`; random frames:
`test_frame_properties.py`.
"""

import pickle
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from support import ESTIMATORS, TRANSFORMERS, quick
from toys import epochs, fingerprint, inner, outputs, same

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._tables.columns import Columns
from sklae._tables.frames import is_gap
from sklae._tables.layout import Layout
from sklae.likelihoods import Gaussian, Mixed, Ordinal, Poisson
from sklae.networks import MLP

N = 60
LETTERS = np.array(["u", "v", "w"], dtype=object)[np.arange(N) % 3]
JOBS, SIZES = np.array(["cook", "clerk", "nurse"], dtype=object), ["small", "medium", "large"]


def _pandas():
    """Columns that all depend on one number."""
    rng = np.random.RandomState(0)
    z = rng.normal(size=N)
    level = np.digitize(z, [-0.5, 0.5])
    gaps = rng.uniform(size=(N, 3)) < 0.1
    gaps[:3] = False
    return pd.DataFrame(
        {
            "size": pd.Categorical(np.array(SIZES)[level], categories=[*SIZES, "huge"], ordered=True),
            "weight": np.where(gaps[:, 0], np.nan, 70.0 + 10.0 * z + rng.normal(size=N)),
            "age": np.round(40 + 9 * z).astype(np.int64),
            "member": z + 0.1 * rng.normal(size=N) > 0,
            "job": pd.Series(np.where(gaps[:, 1], None, JOBS[level]), dtype=object),
            "city": pd.Series(np.where(level == 1, "Ulm", "Bonn"), dtype="str"),
            "plan": pd.Categorical(
                np.where(gaps[:, 2], None, np.array(["b", "a"])[(z > 1).astype(int)]), ["b", "a", "c"]
            ),
            "visits": rng.poisson(np.exp(0.5 * z)).astype(np.uint8),
        }
    ).set_axis([f"row {i}" for i in range(N)])


PANDAS = _pandas()
NAMES = list(PANDAS.columns)
CATEGORIES = ["size", "member", "job", "city", "plan"]
POLARS = pl.DataFrame(
    {name: [None if is_gap(value) else value for value in column.tolist()] for name, column in PANDAS.items()},
    schema={
        "size": pl.Enum([*SIZES, "huge"]),
        "weight": pl.Float64,
        "age": pl.Int64,
        "member": pl.Boolean,
        "job": pl.String,
        "city": pl.String,
        "plan": pl.Categorical,
        "visits": pl.UInt8,
    },
)
#: The same table in every way to hold it.
FRAMES = {
    "pandas": PANDAS,
    "nullable": PANDAS.convert_dtypes(),
    "Arrow": PANDAS.convert_dtypes(dtype_backend="pyarrow"),
    "polars": POLARS,
}


def assert_rows_of(found, table, n_rows):
    """Check that these are new rows of a table: columns, dtypes and levels are its own, and nothing is missing."""
    assert type(found) is type(table)
    assert list(found.columns) == NAMES
    assert list(found.dtypes) == list(table.dtypes)  # of categories the levels and their order, too
    assert len(found) == n_rows
    for name in NAMES:
        values, seen = found[name].to_list(), table[name].to_list()
        assert not any(is_gap(value) for value in values), name
        assert name not in CATEGORIES or set(values) <= set(seen), name


def answers(estimator, table, verbs=outputs):
    """Return what verbs say about rows, those of the table's columns as numbers and codes."""
    found = verbs(estimator, table)
    if "reconstruct" in found:
        found["reconstruct"] = estimator.layout_.columns.read(estimator.reconstruct(table))
    return found


@pytest.fixture(scope="module")
def fitted():
    """(Estimator, table) -> fitted estimator, made once."""
    made = {}

    def fit(cls, name):
        if (cls, name) not in made:
            params = {} if cls is AEOutlierDetector else {"sample_from": "aggregate"}
            made[cls, name] = quick(cls, **params).fit(FRAMES[name])
        return made[cls, name]

    return fit


# -- what comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_data_space_verbs_give_back_the_table_that_was_fitted(cls, name, fitted):
    table, model = FRAMES[name], fitted(cls, name)
    some = table[3:8]
    found = {
        "reconstruct": (model.reconstruct(some), 5),
        "inverse_transform": (model.inverse_transform(model.transform(some)), 5),
        "sample": (model.sample(9, random_state=0), 9),
        "interpolate": (model.interpolate(table[:2], table[2:4], n_steps=5), 10),
    }
    if cls is VAETransformer:
        found["traverse"] = (model.traverse(table[:2], 0), 14)
        found["vary"] = (model.vary(table[:2], n_samples=4, random_state=0), 8)
    for rows, n_rows in found.values():
        assert_rows_of(rows, table, n_rows)
    if isinstance(table, pd.DataFrame):
        assert found["reconstruct"][0].index.equals(some.index)


@pytest.mark.parametrize("name", FRAMES)
def test_detectors_explain_the_columns_of_the_table(name, fitted):
    table, detector = FRAMES[name], fitted(AEOutlierDetector, name)
    some = table[3:8]
    for method in ("additive", "repair"):
        why, expected = detector.explain(some, method=method, return_expected=True)
        assert type(why) is type(table)
        assert list(why.columns) == NAMES
        np.testing.assert_allclose(why.to_numpy().sum(axis=1), -detector.score_samples(some), rtol=1e-9)
        assert_rows_of(expected, table, 5)
        if isinstance(table, pd.DataFrame):
            assert why.index.equals(some.index)
            assert expected.index.equals(some.index)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_it_is_all_the_same_how_a_table_is_held(cls, fitted):
    """Fitted on any, and asked about any."""
    model = fitted(cls, "pandas")
    wanted = answers(model, PANDAS, fingerprint)
    for name, table in FRAMES.items():
        assert same(answers(fitted(cls, name), table, fingerprint), wanted), name
        assert same(answers(model, table, fingerprint), wanted), name


def test_levels_follow_the_row():
    """All columns depend on one number, which a code of one holds."""
    model = AutoencoderTransformer(
        1, hidden_layer_sizes=(16,), learning_rate="one_cycle", learning_rate_init=0.02, max_iter=60, random_state=0
    ).fit(PANDAS)
    rebuilt = model.reconstruct(PANDAS)
    for name in CATEGORIES:
        there = PANDAS[name].notna()
        right = (rebuilt[name] == PANDAS[name])[there].mean()
        assert right > PANDAS[name].value_counts(normalize=True).max() + 0.1, name
    assert np.corrcoef(rebuilt["age"], PANDAS["age"])[0, 1] > 0.9


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_constant_columns_of_any_kind_come_back(cls):
    constants = {"one": 1, "word": "w", "yes": True, "level": pd.Categorical(["b"] * N, ["a", "b"], ordered=True)}
    table = PANDAS[["weight"]].assign(**constants)
    estimator = quick(cls).fit(table)
    changed = table.assign(one=7, word="v", yes=False, level=pd.Categorical(["a"] * N, ["a", "b"], ordered=True))
    for rows in (table, changed):
        rebuilt = inner(estimator).reconstruct(rows)
        pd.testing.assert_frame_equal(rebuilt[list(constants)], table[list(constants)])


#: Columns that don't vary, and other values than theirs.
CONSTANTS = {
    "number": (1.0, [7.0, None]),
    "integer": (3, [4, None]),
    "text": ("w", ["v", None]),
    "all True": (True, [False, None]),
    "all False": (False, [True, None]),
    "level": (pd.Categorical(["b"] * N, ["a", "b"], ordered=True), ["a", None, "c"]),
}


@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("gaps", [True, False], ids=["gaps", "no gaps"])
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_what_does_not_vary_says_nothing(cls, gaps, name):
    """Not by another value, an unknown level or a gap either."""
    constant, others = CONSTANTS[name]
    table = PANDAS[["weight", "age", "job"]].assign(same=constant)
    model = quick(cls).fit(table if gaps else table.dropna())
    assert model.layout_.varies.tolist() == [True, True, True, False]
    wanted = answers(model, table)
    for other in others:
        changed = table.assign(same=pd.Series([other] * N, index=table.index, dtype=object))
        assert same(answers(model, changed), wanted), other


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_column_may_have_no_name(cls, library):
    table = library.DataFrame({"a": PANDAS["age"].tolist(), "": LETTERS.tolist()})
    model = inner(quick(cls).fit(table))
    found = [model.reconstruct(table), model.inverse_transform(model.transform(table))]
    assert all(list(rows.columns) == ["a", ""] and set(rows[""].to_list()) <= set(LETTERS) for rows in found)


@pytest.mark.parametrize("sample_from", ["aggregate", "flow"])
def test_few_different_rows_make_no_warnings(sample_from):
    """Of which there may be fewer than a mixture has components."""
    table = pd.DataFrame({"a": np.arange(N) % 3 > 0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = quick(AutoencoderTransformer, sample_from=sample_from).fit(table).sample(9, random_state=0)
    assert rows.dtypes.equals(table.dtypes)


def beside_numbers(column):
    numbers = {"a": PANDAS["age"].tolist(), "b": [0.5 * i % 7 for i in range(N)]}
    if isinstance(column, pl.Series):
        return pl.DataFrame({**numbers, "c": column})
    return pd.DataFrame({**numbers, "c": column.array})


LARGE = 2**100
DECIMAL = pd.ArrowDtype(pa.decimal128(5, 2))


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (pl.Series([LARGE, 0, -LARGE] * 20, dtype=pl.Int128), pl.Int128),
        (pl.Series([2**64 - 1, 0, 2**63] * 20, dtype=pl.UInt64), pl.UInt64),
        (pl.Series([Decimal("1.5"), Decimal("0.1"), None] * 20), pl.Float64),
        (pl.Series([1, 2.5, None] * 20, dtype=pl.Object), pl.Float64),
        (pd.Series([Decimal("1.5"), Decimal("0.1"), None] * 20, dtype=DECIMAL), np.dtype(float)),
        (pd.Series([LARGE, 2.5, None] * 20, dtype=object), np.dtype(float)),
    ],
    ids=lambda value: str(value) if not hasattr(value, "to_list") else "",
)
def test_unusual_numbers_come_back_as_what_holds_them(column, dtype):
    table = beside_numbers(column)
    rebuilt = quick(VAETransformer).fit(table).reconstruct(table)["c"]
    assert rebuilt.dtype == dtype
    low, high = (extreme(float(value) for value in column.to_list() if not is_gap(value)) for extreme in (min, max))
    assert all(low - (high - low) <= value <= high + (high - low) for value in rebuilt.to_list())


# -- levels that fit has not seen ---------------------------------------------------------------------------

#: A column with levels, the same with a level that fit has not seen in every other row, and with gaps there.
UNSEEN = {
    dtype: (pd.Series(LETTERS, dtype=dtype), pd.Series(np.where(np.arange(N) % 2, LETTERS, "x"), dtype=dtype))
    for dtype in (object, "str", "string", "string[pyarrow]", "category")
}
UNSEEN |= {
    "ordered": tuple(one.astype(pd.CategoricalDtype(list("xwvu"), ordered=True)) for one in UNSEEN[object]),
    "bool": (pd.Series(np.arange(N) % 3 > 0), pd.Series([bool(i % 3) if i % 2 else "perhaps" for i in range(N)])),
    "type": (UNSEEN[object][0], pd.Series([letter if i % 2 else i for i, letter in enumerate(LETTERS)], dtype=object)),
    "space": (UNSEEN[object][0], pd.Series([letter if i % 2 else f" {letter}" for i, letter in enumerate(LETTERS)])),
    "case": (UNSEEN[object][0], pd.Series([letter if i % 2 else letter.upper() for i, letter in enumerate(LETTERS)])),
    "polars": tuple(pl.Series(one.to_list()) for one in UNSEEN[object]),
    "polars categorical": tuple(pl.Series(one.to_list(), dtype=pl.Categorical) for one in UNSEEN[object]),
    "polars enum": tuple(pl.Series(one.to_list(), dtype=pl.Enum(list("xwvu"))) for one in UNSEEN[object]),
}


def assert_unseen_is_missing(estimator_class, kind, *, gaps):
    seen, unseen = UNSEEN[kind]
    values = [value if i % 2 else None for i, value in enumerate(seen.to_list())]
    missing = type(seen)(values, dtype=object if seen.dtype == bool else seen.dtype)
    estimator = quick(estimator_class).fit(beside_numbers(missing if gaps else seen))
    rows, wanted = beside_numbers(unseen), beside_numbers(missing)
    assert same(answers(estimator, rows), answers(estimator, wanted))
    assert not np.array_equal(estimator.transform(rows), estimator.transform(beside_numbers(seen)))
    return estimator, rows, wanted


@pytest.mark.parametrize("kind", UNSEEN, ids=str)
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_levels_that_fit_has_not_seen_are_missing_bit_for_bit(cls, kind):
    assert_unseen_is_missing(cls, kind, gaps=False)


@pytest.mark.parametrize("kind", [object, "ordered", "polars enum"], ids=str)
def test_they_are_where_fit_saw_gaps(kind):
    assert_unseen_is_missing(VAETransformer, kind, gaps=True)


@pytest.mark.parametrize("gaps", [False, True], ids=["without gaps", "with gaps"])
@pytest.mark.parametrize("kind", ["category", "polars"])
def test_they_are_to_detectors(kind, gaps):
    detector, rows, wanted = assert_unseen_is_missing(AEOutlierDetector, kind, gaps=gaps)
    for method in ("additive", "repair"):
        of_rows, of_wanted = (detector.explain(table, method=method, return_expected=True) for table in (rows, wanted))
        assert all(one.equals(other) for one, other in zip(of_rows, of_wanted, strict=True))
        assert (of_rows[0]["c"].to_numpy()[::2] == 0.0).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32, np.float64])
def test_codes_that_fit_has_not_seen_are_missing(dtype):
    table = np.column_stack([np.arange(N), np.array([10, 20, 33])[np.arange(N) % 3]]).astype(dtype)
    model = quick(VAETransformer, categorical_features=[1]).fit(table)
    unseen = table.copy()
    unseen[::2, 1] = 7
    missing = np.where(unseen == 7, np.nan, table).astype(np.float32 if dtype == np.float32 else np.float64)
    missing[:, 0] = unseen[:, 0]
    assert same(answers(model, unseen), answers(model, missing))


# -- kinds --------------------------------------------------------------------------------------------------

#: Values, dtypes of pandas (or polars), kind of column.
KINDS = [
    ([1.5, 2.5, 3.0], ["float64", "float32", "Float64", "double[pyarrow]", pl.Float32], "numeric"),
    ([1, 2, 3], ["int64", "uint8", "Int16", "int64[pyarrow]", pl.Int8], "integer"),
    ([2**70, 2, 3], [object], "numeric"),
    ([True, False, True], ["bool", "boolean", object, "bool[pyarrow]", pl.Boolean], "binary"),
    (
        ["a", "b", "a"],
        [object, "str", "string", "string[pyarrow]", "category", pl.String, pl.Categorical],
        "categorical",
    ),
    ([1, 2, 1], ["category", pd.CategoricalDtype([2, 1])], "categorical"),
    ([1, "2", 2.5], [object, pl.Object], "categorical"),
    (["a", "b", "a"], [pd.CategoricalDtype(["b", "a"], ordered=True), pl.Enum(["b", "a"])], "ordered"),
]
CASES = [(values * 3, dtype, kind) for values, dtypes, kind in KINDS for dtype in dtypes]
CASES += [
    ([*values, None], dtype, kind) for values, dtype, kind in CASES if str(dtype) not in ("int64", "uint8", "bool")
]
BLOCKS = {"numeric": "numeric", "integer": "numeric", "ordered": "ordered"}


@pytest.mark.parametrize(("values", "dtype", "kind"), CASES, ids=lambda value: str(value)[:40])
def test_dtypes_say_what_a_column_holds(values, dtype, kind):
    is_polars = isinstance(dtype, pl.DataType | type(pl.Int8))
    column = (pl if is_polars else pd).Series(values, dtype=dtype)
    table = (pl if is_polars else pd).DataFrame({"a": column, "b": list(range(len(values)))})
    model = quick(VAETransformer).fit(table)
    assert model.layout_.columns.kinds == [kind, "integer"]
    assert model.layout_.blocks[-1][0] == BLOCKS.get(kind, "categorical")


def test_integers_are_numbers_and_counts_where_asked():
    model = quick(VAETransformer, likelihood=Mixed(count_features=["visits"], count="poisson")).fit(PANDAS)
    blocks = {name: [NAMES[i] for i in indices] for name, indices in model.layout_.blocks}
    assert blocks == {
        "numeric": ["weight", "age"],
        "count": ["visits"],
        "categorical": ["member", "job", "city", "plan"],
        "ordered": ["size"],
    }
    assert_rows_of(model.sample(20, random_state=0), PANDAS, 20)
    for wrong in ("job", ["member"], ["age", "size"]):
        with pytest.raises(ValueError, match=r"Got count_features=.*among them categories.*non-negative integers"):
            quick(VAETransformer, likelihood=Mixed(count_features=wrong)).fit(PANDAS)


def test_ordered_levels_keep_their_order_and_unused_ones_are_none():
    columns = Columns.fit(PANDAS)
    assert columns.categories.levels[NAMES.index("size")] == SIZES
    assert columns.categories.levels[NAMES.index("plan")] == ["a", "b"]
    assert columns.n_levels().tolist() == [3, 0, 0, 2, 3, 2, 2, 0]
    assert Columns.fit(PANDAS, categorical_features=["size"]).kinds[0] == "ordered"


# -- categorical_features -----------------------------------------------------------------------------------

CODED = np.column_stack([PANDAS["age"], np.array([10, 20, 33])[np.arange(N) % 3], np.arange(N) % 5, np.arange(N) * 0.1])
CODED.setflags(write=False)


def names_of(positions):
    return [f"column {i}" for i in positions]


@pytest.mark.parametrize("cls", TRANSFORMERS)
@pytest.mark.parametrize(
    "key", [[1, 2], [-2, 1], (2, 1), np.array([1, 2]), [False, True, True, False], "names"], ids=str
)
def test_categories_are_named_in_frames_and_arrays_alike(cls, key):
    frame = pd.DataFrame(CODED, columns=names_of(range(4))).astype({"column 1": np.int16})
    wanted = quick(cls, categorical_features=[1, 2]).fit(CODED)
    of_frame = quick(cls, categorical_features=names_of([2, 1]) if isinstance(key, str) else key).fit(frame)
    assert same(answers(of_frame, frame, fingerprint), answers(wanted, CODED, fingerprint))
    assert of_frame.reconstruct(frame).dtypes.equals(frame.dtypes)
    if not isinstance(key, str):
        of_array = quick(cls, categorical_features=key).fit(CODED)
        assert same(answers(of_array, CODED, fingerprint), answers(wanted, CODED, fingerprint))


@pytest.mark.parametrize("to_table", [np.asarray, np.ndarray.tolist, lambda table: table.astype(np.float32)])
def test_codes_of_arrays_come_back_as_such(to_table):
    table = to_table(CODED)
    model = quick(VAETransformer, categorical_features=[1, 2]).fit(table)
    for rows in (model.reconstruct(table), model.sample(30, random_state=0)):
        assert rows.dtype == np.asarray(table).dtype
        assert set(rows[:, 1]) <= {10.0, 20.0, 33.0}
        assert set(rows[:, 2]) <= set(range(5))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "Int32", "int64[pyarrow]", "float64", "category", "str"])
def test_codes_of_frames_keep_their_dtype(dtype):
    table = pd.DataFrame({"a": CODED[:, 0], "code": pd.Series(CODED[:, 1].astype(int)).astype(dtype)})
    model = quick(VAETransformer, categorical_features=["code"]).fit(table)
    rows = model.sample(30, random_state=0)
    assert rows.dtypes.equals(table.dtypes)
    assert set(rows["code"]) <= set(table["code"])


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_frame_in_place_of_the_array_goes_by_position():
    model = quick(VAETransformer, categorical_features=[1, 2]).fit(CODED)
    wanted = answers(model, CODED)
    for columns in (list("abcd"), [3, 2, 1, 0]):
        assert same(answers(model, pd.DataFrame(CODED, columns=columns)), wanted)


def test_unnamed_columns_go_by_position():
    """As scikit-learn has it: names that are no text are none."""
    table = pd.DataFrame({0: CODED[:, 0], 1: LETTERS})
    model = quick(VAETransformer).fit(table)
    assert same(answers(model, table.set_axis([7, 3], axis=1)), answers(model, table))
    with pytest.raises(ValueError, match=r"Got columns of text, dates or the like where fit saw numbers: '1' \("):
        model.transform(table[[1, 0]])


# -- refusals -----------------------------------------------------------------------------------------------


def repeated(n_levels, n_rows):
    return pd.DataFrame({"a": np.arange(n_rows) % 7, "text": [f"level {i % n_levels}" for i in range(n_rows)]})


@pytest.mark.parametrize(
    ("n_levels", "n_rows", "is_fine"),
    [(255, 600, True), (256, 600, False), (39, 39, True), (40, 79, False), (40, 80, True), (50, 99, False)],
)
def test_text_of_too_many_levels_is_refused_with_the_remedy(n_levels, n_rows, is_fine):
    table = repeated(n_levels, n_rows)
    if is_fine:
        assert Columns.fit(table).n_levels().tolist() == [0, n_levels]
        return
    with pytest.raises(ValueError, match="neither numbers nor categories") as refusal:
        quick(VAETransformer).fit(table)
    assert f"'text' ({n_levels} levels in {n_rows} rows)" in str(refusal.value)
    assert "make_pipeline(skrub.TableVectorizer(low_cardinality='passthrough'), estimator)" in str(refusal.value)


def test_naming_a_column_allows_rare_levels_but_not_many():
    assert Columns.fit(repeated(50, 60), None, ["text"]).n_levels().tolist() == [0, 50]
    for table, key in ((repeated(256, 600), ["text"]), (np.arange(600.0).reshape(300, 2), [1])):
        with pytest.raises(ValueError, match=r"\((256|300) levels.*expected.*at most 255 levels"):
            Columns.fit(table, None, key)


@pytest.mark.parametrize("values", [[{}, {"a": 1}], [[1], [2]], [{1}, {2}]], ids=str)
def test_what_can_not_be_looked_up_is_no_category(values):
    table = pd.DataFrame({"a": np.arange(N), "b": pd.Series(values * (N // 2), dtype=object)})
    for params in ({}, {"categorical_features": ["b"]}, {"condition_features": ["b"]}):
        with pytest.raises(ValueError, match=r"neither numbers nor categories: 'b' \(object\)"):
            quick(VAETransformer, **params).fit(table)


@pytest.mark.parametrize("dtype", [object, "category", "str", "Int64", "null[pyarrow]", "bool[pyarrow]"])
def test_columns_of_gaps_alone_are_refused_by_name(dtype):
    table = pd.DataFrame({"a": np.arange(N), "b": pd.Series([None] * N, dtype=dtype)})
    with pytest.raises(ValueError, match=r"Got columns in which every value is missing: \['b'\].*Drop them first"):
        quick(VAETransformer).fit(table)


def test_refusals_do_not_warn():
    """That names are there, or not, is of no use to one whose table is refused."""
    table = pd.DataFrame(CODED, columns=list("abcd")).assign(b="text")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"In X_val: Got columns of text.*'b'"):
            quick(VAETransformer).fit(CODED, X_val=table)
        with pytest.raises(ValueError, match=r"Got columns of text.*'b'"):
            quick(VAETransformer).fit(CODED).transform(table)


def test_tables_of_other_libraries_are_refused():
    table = pa.table({"a": [1.0, 2.0], "b": ["u", "v"]})
    for refuse in (quick(VAETransformer).fit, quick(VAETransformer).fit(PANDAS).transform):
        with pytest.raises(TypeError, match=r"Got a Table; expected a frame of pandas or polars. Call its to_pandas"):
            refuse(table)


@pytest.mark.parametrize("verb", ["transform", "reconstruct", "score_samples"])
def test_odd_frames_are_refused_by_models_of_categories(verb, fitted):
    model = fitted(VAETransformer, "polars")
    with pytest.raises(ValueError, match="Got a LazyFrame"):
        model.vary(POLARS.lazy())
    for table, message in (
        (PANDAS.set_axis([*NAMES[:-1], "job"], axis=1), r"occur twice: \['job'\]"),
        (PANDAS[NAMES[::-1]], "feature names should match"),
        (PANDAS.drop(columns="job"), "feature names should match"),
        (PANDAS.assign(weight="heavy"), r"Got columns of text, .* where fit saw numbers: 'weight'"),
    ):
        with pytest.raises(ValueError, match=message):
            getattr(model, verb)(table)


# -- fair weights, and ordered levels -----------------------------------------------------------------------


def wide_and_narrow(n_rows=400):
    """Return numbers that go together, beside a category of 40 levels that goes with nothing."""
    rng = np.random.RandomState(0)
    z = rng.normal(size=n_rows)
    share = rng.dirichlet(np.ones(40))
    return pd.DataFrame(
        {
            "a": 3.0 * z + 0.1 * rng.normal(size=n_rows),
            "b": z + 0.1 * rng.normal(size=n_rows),
            "kind": pd.Series([f"level {i}" for i in rng.choice(40, p=share, size=n_rows)]),
            "rare": pd.Series(rng.uniform(size=n_rows) < 0.1),
        }
    )


def test_a_column_of_categories_costs_as_much_as_a_number():
    """By hand: predicted by its frequencies alone, a column costs its entropy; a number by its mean half a nat."""
    table = wide_and_narrow()
    model = quick(AutoencoderTransformer).fit(table)
    density = model.net_.module_.likelihood
    frequencies = [table[name].value_counts(normalize=True) for name in ("kind", "rare")]
    assert [-(p * np.log(p)).sum() for p in frequencies] == pytest.approx([3.3, 0.33], abs=0.15)
    wanted = [1.0, 1.0, *(0.5 / -(p * np.log(p)).sum() for p in frequencies)]
    np.testing.assert_allclose(density.balance.numpy(), wanted, rtol=1e-6)
    x = model.layout_.encode(model.layout_.columns.read(table), dtype=torch.float64).x
    logits = [np.log(p.sort_index().to_numpy()) for p in frequencies]
    by_level = [logit_[level] for level in range(len(logits[0])) for logit_ in logits if level < len(logit_)]
    params = torch.as_tensor([0.0, 0.0, *by_level]).expand(len(x), -1)
    cost = (density.energy(params, x) * density.balance).mean(0)
    np.testing.assert_allclose(cost.numpy(), 0.5, rtol=1e-6)


def test_scores_and_densities_do_not_weigh():
    table = wide_and_narrow()
    model = quick(AutoencoderTransformer).fit(table)
    rows = model.layout_.encode(model.layout_.columns.read(table), dtype=torch.float64)
    module = model.net_.inference_module(torch.float64)
    with torch.no_grad():
        params = module.decode(module.encode(*rows).mean)
        terms = module.likelihood.log_prob(params, rows.x).numpy()
    np.testing.assert_allclose(model.score_samples(table), (terms + model.layout_.log_jacobian).sum(1), rtol=1e-9)
    assert quick(VAETransformer).fit(table).net_.module_.likelihood.balance is None


def test_forty_levels_do_not_drown_two_numbers():
    """One component holds what the two numbers share; unweighted, it goes where most nats are."""
    table = wide_and_narrow()
    settings = {"learning_rate": "one_cycle", "learning_rate_init": 0.02, "max_iter": 60}
    settings |= {"network": MLP((32,), linear_path=False), "early_stopping": False}
    lost = []
    for likelihood in ("auto", Mixed(Gaussian(1.0))):
        model = AutoencoderTransformer(1, likelihood=likelihood, random_state=0, **settings)
        rebuilt = model.fit(table).reconstruct(table)
        lost.append(((rebuilt["a"] - table["a"]) ** 2).mean() / table["a"].var())
    assert lost[0] < 0.1
    assert lost[1] > 0.2


@pytest.mark.parametrize("n_levels", [2, 3, 5])
def test_thresholds_alone_fit_the_frequencies(n_levels):
    """The most likely proportional-odds model without a slope has cuts at the logits of cumulative shares."""
    rng = np.random.RandomState(0)
    codes = np.concatenate(
        [np.arange(n_levels), rng.choice(n_levels, size=200, p=rng.dirichlet(np.full(n_levels, 3.0)))]
    )
    density = _fit_ordinal(codes, None)
    shares = np.bincount(codes) / len(codes)
    cuts = density.thresholds()[1:-1, 0].detach().numpy()
    np.testing.assert_allclose(cuts, logit(shares.cumsum()[:-1]), atol=1e-5)
    chances = density.probabilities(torch.zeros(1, 1, dtype=torch.float64)).detach().numpy()[0, :, 0]
    np.testing.assert_allclose(chances, shares, atol=1e-6)


def test_ordered_levels_are_a_proportional_odds_model():
    """Beside the likelihood written out: P(y <= k | x) = expit(cut_k - slope x)."""
    rng = np.random.RandomState(0)
    x = rng.normal(size=300)
    codes = np.digitize(1.5 * x + rng.logistic(size=300), [-2.0, 0.0, 1.0])

    def loss(parameters):
        slope, first, *steps = parameters
        cuts = np.concatenate([[-np.inf], first + np.concatenate([[0.0], np.exp(steps).cumsum()]), [np.inf]])
        return -np.log(expit(cuts[codes + 1] - slope * x) - expit(cuts[codes] - slope * x)).mean()

    best = minimize(loss, np.zeros(4))
    slope = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    density = _fit_ordinal(codes, slope, torch.as_tensor(x)[:, None])
    wanted = best.x[1] + np.concatenate([[0.0], np.exp(best.x[2:]).cumsum()])
    assert slope.item() == pytest.approx(best.x[0], abs=1e-3)
    assert slope.item() == pytest.approx(1.5, abs=0.3)
    np.testing.assert_allclose(density.thresholds()[1:-1, 0].detach().numpy(), wanted, atol=1e-3)
    energy = density.energy(slope * torch.as_tensor(x)[:, None], torch.as_tensor(codes)[:, None])
    assert energy.mean().item() == pytest.approx(best.fun, abs=1e-6)


def _fit_ordinal(codes, slope, x=None):
    """Return the density whose thresholds (and slope) make codes most likely."""
    layout = Layout.fit(codes[:, None].astype(float), rows=None, standardize=False)
    density = Ordinal().build(layout).double()
    targets = torch.as_tensor(codes)[:, None]
    params = torch.zeros(len(codes), 1, dtype=torch.float64)
    learned = [*density.parameters(), *([] if slope is None else [slope])]
    optimizer = torch.optim.LBFGS(
        learned, max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = density.energy(params if slope is None else slope * x, targets).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return density


@pytest.mark.parametrize(
    "likelihood", ["ordinal", "categorical", [("all", "categorical", slice(None))], Mixed()], ids=str
)
def test_likelihoods_of_categories_take_them_by_name(likelihood):
    table = PANDAS[["size", "member", "job", "plan"]]
    model = quick(VAETransformer, likelihood=likelihood).fit(table)
    rows = model.sample(20, random_state=0)
    assert rows.dtypes.equals(table.dtypes)
    assert all(set(rows[name]) <= set(table[name]) for name in table)
    assert np.isfinite(model.score_samples(table)).all()


def test_blocks_of_mixed_columns():
    blocks = [
        ("numbers", "gaussian", ["weight", "age"]),
        ("counts", Poisson(), ["visits"]),
        ("kinds", "categorical", ["job", "city", "member", "plan"]),
        ("grades", "ordinal", ["size"]),
    ]
    model = quick(VAETransformer, likelihood=blocks).fit(PANDAS)
    assert_rows_of(model.sample(20, random_state=0), PANDAS, 20)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t", "poisson", "bernoulli"])
def test_likelihoods_of_numbers_refuse_categories_and_take_booleans(likelihood):
    with pytest.raises(
        ValueError, match=r"Got columns of categories, \['size', 'job', 'city', 'plan'\], .*likelihood='auto'"
    ):
        quick(VAETransformer, likelihood=likelihood).fit(PANDAS)
    booleans = pd.DataFrame({"a": PANDAS["member"], "b": np.arange(N) % 3 > 0})
    rows = quick(VAETransformer, likelihood=likelihood).fit(booleans).reconstruct(booleans)
    assert (rows.dtypes == np.float64).all()  # what is expected of 0 and 1


# -- scikit-learn's machinery -------------------------------------------------------------------------------

Y = (PANDAS["age"] > 40).to_numpy().astype(int)


@pytest.mark.parametrize("name", ["pandas", "polars"])
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_codes_of_mixed_tables_feed_a_classifier(cls, name):
    settings = {"learning_rate": "one_cycle", "learning_rate_init": 0.02, "batch_size": 8, "max_iter": 15}
    model = cls(2, hidden_layer_sizes=(8,), random_state=0, **settings)
    pipeline = make_pipeline(model, LogisticRegression())
    assert cross_val_score(pipeline, FRAMES[name], Y, cv=3).mean() > 0.8


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_search_over_how_levels_are_modelled(cls):
    grid = {"likelihood__ordered": ["ordinal", "categorical"], "n_components": [1, 2]}
    search = GridSearchCV(quick(cls, likelihood=Mixed(numeric="gaussian")), grid, cv=2).fit(PANDAS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.likelihood.ordered == search.best_params_["likelihood__ordered"]
    assert search.score(PANDAS) == search.best_estimator_.score_samples(PANDAS).mean()


@pytest.mark.parametrize("name", ["Arrow", "polars"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_clones_and_pickles_of_mixed_models_are_the_same(cls, name, fitted):
    table, model = FRAMES[name], fitted(cls, name)
    wanted = answers(model, table)
    assert same(answers(clone(model).fit(table), table), wanted)
    travelled = pickle.loads(pickle.dumps(model))
    assert same(answers(travelled, table), wanted)
    if cls is not AEOutlierDetector:
        assert travelled.sample(5, random_state=0).equals(model.sample(5, random_state=0))
        for level in ("cook", "Bonn"):  # once, as a level: no row of the table
            assert pickle.dumps(model).count(level.encode()) <= 1


@pytest.mark.parametrize(
    ("output", "kind"), [("default", np.ndarray), ("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
@pytest.mark.parametrize("name", ["pandas", "polars"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_set_output_is_for_codes_alone(cls, name, output, kind):
    table = FRAMES[name]
    estimator = quick(cls).set_output(transform=output).fit(table)
    codes = estimator.transform(table)
    assert type(codes) is kind
    assert_rows_of(inner(estimator).reconstruct(table), table, N)
    assert_rows_of(inner(estimator).inverse_transform(codes), table, N)
    if kind is pd.DataFrame:
        assert list(codes.columns) == list(estimator.get_feature_names_out())
        assert codes.index.equals(pd.RangeIndex(N) if name == "polars" else table.index)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_training_goes_on_with_the_levels_of_the_first_call(cls):
    declared = PANDAS.select_dtypes("category")
    table = PANDAS.assign(**{name: declared[name].cat.remove_unused_categories() for name in declared})
    stepwise = epochs(quick(cls, max_iter=1), 2, table)
    warm = quick(cls, max_iter=1, warm_start=True).fit(table).fit(table)
    assert same(answers(stepwise, table), answers(warm, table))
    further = table.assign(job="pilot", city=None)
    with pytest.warns(UserWarning, match="column 'job' that fit has not seen"):
        continued = stepwise.partial_fit(further), warm.fit(further)
    for model in continued:
        assert model.layout_.columns.categories.levels[NAMES.index("job")] == sorted(JOBS)
        assert_rows_of(model.reconstruct(further), table, N)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_validation_and_clean_rows_are_read_alike(cls):
    odd = PANDAS.assign(job="pilot")
    model = quick(cls, early_stopping=True).fit(PANDAS, X_val=odd)
    assert np.isfinite(model.validation_scores_).all()
    damaged = PANDAS.assign(job=None, weight=np.nan)
    assert_rows_of(quick(cls).fit(damaged, X_clean=PANDAS).reconstruct(damaged), PANDAS, N)


def test_levels_that_only_validation_rows_have_are_levels():
    table = PANDAS.assign(job=[f"job {i % 20}" for i in range(N)])
    model = quick(VAETransformer, early_stopping=True, validation_fraction=0.5).fit(table)
    assert model.layout_.columns.n_levels()[NAMES.index("job")] == 20
    assert np.isfinite(model.score_samples(table)).all()


# -- conditions beside modelled categories ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pandas", "Arrow", "polars"])
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_conditions_stand_beside_modelled_categories(cls, name):
    table = FRAMES[name]
    model = quick(cls, condition_features=["job", "age"], sample_from="aggregate").fit(table)
    assert model.layout_.columns.kinds == [
        kind for kind, column in zip(Columns.fit(table).kinds, NAMES, strict=True) if column not in ("job", "age")
    ]
    nurses = model.sample(4, condition={"job": "nurse", "age": 50}, random_state=0)
    assert_rows_of(nurses, table, 4)
    assert set(nurses["job"].to_list()) == {"nurse"}
    assert set(nurses["age"].to_list()) == {50}
    rebuilt = model.reconstruct(table)
    for column in ("job", "age"):  # as they were, gaps included
        for one, other in zip(rebuilt[column].to_list(), table[column].to_list(), strict=True):
            assert is_gap(one) == is_gap(other)
            assert is_gap(one) or one == other
    assert list(rebuilt.dtypes) == list(table.dtypes)


def test_a_detector_judges_categories_given_conditions():
    detector = AEOutlierDetector(quick(VAETransformer, condition_features=["age"]), random_state=0).fit(PANDAS)
    why, expected = detector.explain(PANDAS[:5], return_expected=True)
    assert list(why.columns) == NAMES
    assert (why["age"] == 0.0).all()
    assert (expected["age"] == PANDAS["age"][:5]).all()
    assert expected.dtypes.equals(PANDAS.dtypes)


def test_a_frame_is_read_once(monkeypatch):
    """However often its columns are asked for: by kinds, by levels, by codes, and by the density of codes."""
    from sklae._tables import table as _table

    read = []
    distinct_of = _table.distinct_of
    monkeypatch.setattr(_table, "distinct_of", lambda frame, i: read.append(i) or distinct_of(frame, i))
    quick(VAETransformer, max_iter=1, sample_from="aggregate").fit(PANDAS)
    assert len(read) == len(set(read)) > 0
