"""Kinds of columns, categories and conditions: how they are named, encoded and put back.

What models make of them: `test_tables.py`, `test_conditions.py`.
"""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from support import make_table

from sklae._tables.categories import CategoriesReader
from sklae._tables.columns import Columns
from sklae._tables.conditions import ConditionsReader, read_condition

N = 24
LEVELS = np.arange(N) % 3
TABLE = make_table(N, 4)
NAMES = ["a", "b", "c", "d"]
TEXT = np.array(["u", "v", "w"], dtype=object)[LEVELS]

#: Kind -> column of pandas or polars, which codes 0, 1, 2 stand for.
KINDS = {
    "object": pd.Series(TEXT, dtype=object),
    "string": pd.Series(TEXT, dtype="string"),
    "category": pd.Series(TEXT).astype("category"),
    "ordered category": pd.Series(pd.Categorical(TEXT, categories=["w", "v", "u", "z"], ordered=True)),
    "category of numbers": pd.Series(LEVELS).astype("category"),
    "mixed": pd.Series([[2.5, 7, "u"][i] for i in LEVELS], dtype=object),
    "date": pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(LEVELS, unit="D")),
    "bool": pd.Series(LEVELS > 0),
    "nullable bool": pd.Series(LEVELS > 0, dtype="boolean"),
    "polars string": pl.Series(TEXT.tolist()),
    "polars categorical": pl.Series(TEXT.tolist(), dtype=pl.Categorical),
    "polars enum": pl.Series(TEXT.tolist(), dtype=pl.Enum(["w", "v", "u", "z"])),
    "polars boolean": pl.Series((LEVELS > 0).tolist()),
}


def framed(column):
    """Return a frame of its library with the column in second place."""
    if isinstance(column, pl.Series):
        return pl.DataFrame(TABLE[:, :3], schema=["a", "c", "d"]).insert_column(1, column.alias("b"))
    frame = pd.DataFrame(TABLE[:, :3], columns=["a", "c", "d"], index=[f"row {i}" for i in range(len(column))])
    frame.insert(1, "b", column.array)
    return frame


def with_gap(column):
    """Return the column with its fourth value missing."""
    if isinstance(column, pl.Series):
        return pl.Series([None if i == 3 else value for i, value in enumerate(column)], dtype=column.dtype)
    column = column.astype(object) if column.dtype == bool else column.copy()
    column.iloc[3] = None
    return column


def is_missing(value):
    return value is None or bool(pd.isna(value))


def fit(X):
    """Return the categories of a frame whose second column may hold anything."""
    reader = CategoriesReader(X.shape[1], anything=[1])
    reader.update(X)
    return reader.finish()


def codes_of(X, categories):
    coded = categories.encode(X)
    return coded["b"].to_numpy().astype(float)


# -- naming -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        ["d", "b"],
        ("b", "d"),
        np.array(["b", "d"]),
        pd.Index(["b", "d"]),
        [1, 3],
        [-1, 1],
        np.array([3, 1]),
        range(1, 4, 2),
        [False, True, False, True],
        np.array([False, True, False, True]),
        slice(1, None, 2),
    ],
    ids=repr,
)
@pytest.mark.parametrize("table", [pd.DataFrame(TABLE, columns=NAMES), pl.DataFrame(TABLE, schema=NAMES)], ids=type)
def test_conditions_by_name_position_mask_and_slice(table, key):
    columns = Columns.fit(table, key, "from_dtype")
    assert columns.condition.tolist() == [1, 3]
    assert columns.data.tolist() == [0, 2]
    assert columns.condition_names() == ["b", "d"]
    assert columns.labels().tolist() == ["a", "c"]


@pytest.mark.parametrize(("key", "expected"), [("b", [1]), (2, [2]), (-1, [3]), (np.int64(0), [0])])
def test_a_single_condition_needs_no_list(key, expected):
    assert Columns.fit(pd.DataFrame(TABLE, columns=NAMES), key, "from_dtype").condition.tolist() == expected


@pytest.mark.parametrize("table", [TABLE, TABLE.tolist(), pd.DataFrame(TABLE)], ids=["array", "list", "numbered frame"])
def test_nameless_tables_go_by_position(table):
    columns = Columns.fit(table, [2], [2])
    assert columns.condition_names() == ["2"]
    assert [columns.categories.kinds[i] for i in columns.condition] == ["categorical"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([0, 1, 2, 3], "4 of 4 columns; expected at least one, and at least one other"),
        ([], "0 of 4 columns"),
        ("e", "'e' is no column; expected names among"),
        (["a", 1], "1 is no column"),
        ([4], "4 is no column"),
        ([-5], "-5 is no column"),
        ([1.0], "1.0 is no column"),
        ([True, False], "True is no column"),
        (["a", "a"], "names a column twice"),
        ([1, -3], "names a column twice"),
    ],
)
def test_wrong_names_are_refused(key, message):
    with pytest.raises(ValueError, match=f"Got condition_features=.*{message}"):
        Columns.fit(pd.DataFrame(TABLE, columns=NAMES), key, "from_dtype")


def test_categories_are_chosen_among_all_columns():
    columns = Columns.fit(TABLE, [1, 3], [0, 3])
    assert [columns.categories.kinds[i] for i in columns.condition] == ["numeric", "categorical"]
    assert columns.kinds == ["categorical", "numeric"]
    assert columns.n_levels().tolist() == [N, 0]
    assert columns.read(TABLE)[:, 0].argsort().tolist() == TABLE[:, 0].argsort().tolist()
    with pytest.raises(ValueError, match=r"Got categorical_features=\[4\].*4 is no column"):
        Columns.fit(TABLE, [1, 3], [4])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE[:, 0], "Expected 2D array.*Rows are samples"),
        (TABLE[:, :, None], r"Flatten each sample"),
        (None, "Expected 2D array"),
        ([[1.0, 2.0], [1.0]], "rows of one length"),
        (scipy.sparse.csr_array(TABLE), "Sparse data"),
        (pl.DataFrame(TABLE, schema=NAMES).lazy(), "Got a LazyFrame"),
        (pd.DataFrame(TABLE, columns=list("aabc")), "occur twice: ['a']".replace("[", r"\[").replace("]", r"\]")),
        (pd.DataFrame(TABLE, columns=[1, "1", 2, 3]), "occur twice"),
        (pd.DataFrame(index=range(3)), "Got a table without columns"),
    ],
    ids=["1d", "3d", "None", "ragged", "sparse", "lazy", "twice", "twice as text", "empty"],
)
def test_what_is_no_table_is_refused_as_without_conditions(table, message):
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        Columns.fit(table, [0], "from_dtype")


# -- levels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [False, True], ids=["full", "gap"])
@pytest.mark.parametrize("kind", KINDS)
def test_levels_come_back_as_they_were(kind, gap):
    X = framed(with_gap(KINDS[kind]) if gap else KINDS[kind])
    categories = pickle.loads(pickle.dumps(fit(X)))
    coded = categories.encode(X)
    assert list(coded.columns) == ["a", "b", "c", "d"]
    codes = codes_of(X, categories)
    assert np.isnan(codes).tolist() == [gap and i == 3 for i in range(N)]
    assert set(codes[~np.isnan(codes)]) == set(range(len(categories.levels[1])))
    back = categories.decode(coded)
    assert back["b"].dtype == X["b"].dtype
    for value, expected in zip(back["b"].to_list(), X["b"].to_list(), strict=True):
        assert is_missing(value) if is_missing(expected) else value == expected
    if isinstance(X, pd.DataFrame):
        assert back.index.equals(X.index)


def test_the_users_frame_stays_as_it_was():
    X = framed(KINDS["category"])
    before = X.copy(deep=True)
    categories = fit(X)
    categories.decode(categories.encode(X))
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("value", [None, np.nan, "unknown"], ids=repr)
def test_missing_and_unknown_levels_are_gaps(value):
    X = framed(KINDS["object"])
    categories = fit(X)
    assert np.isnan(categories.codes(1, [value, "u"])).tolist() == [True, False]


def test_a_missing_bool_does_not_turn_false():
    X = framed(KINDS["bool"])
    categories = fit(X)
    coded = categories.encode(X).assign(b=[np.nan, 0.0, 1.0] * (N // 3))
    assert categories.decode(coded)["b"].tolist()[:3] == [None, False, True]


@pytest.mark.parametrize("code", [7.0, -1.0, 0.5])
def test_what_is_no_code_is_no_level(code):
    """From an array in place of the frame that was fitted."""
    X = framed(KINDS["object"])
    categories = fit(X)
    coded = categories.encode(X).assign(b=code)
    assert categories.decode(coded)["b"].isna().all()


def test_single_precision_frames_keep_it():
    X = framed(KINDS["object"]).astype({"a": "float32", "c": "float32", "d": "float32"})
    assert set(fit(X).encode(X).dtypes) == {np.dtype("float32")}


# -- encoding ---------------------------------------------------------------------------------------------

NUMBERS = np.column_stack([TABLE[:, :2], LEVELS * 0.1, TABLE[:, 2]])
NUMBERS.setflags(write=False)


def conditions(table, categorical=(2,), features=(2, 3)):
    columns = Columns.fit(table, list(features), list(categorical))
    reader = ConditionsReader(columns)
    reader.update(columns.read(table))
    return columns, reader.finish()


def encoded_conditions(columns, fitted, table):
    return fitted.encode(columns.conditioning(columns.read(table)))


def test_categories_are_one_hot_and_numbers_standardised():
    columns, fitted = conditions(NUMBERS)
    encoded = encoded_conditions(columns, fitted, NUMBERS)
    assert fitted.width == encoded.shape[1] == 4
    assert np.array_equal(encoded[:, :3], np.eye(3)[LEVELS])
    column = NUMBERS[:, 3]
    np.testing.assert_allclose(encoded[:, 3], (column - column.mean()) / column.std(), atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, 99.0])
def test_gaps_and_levels_unseen_are_all_zero(value):
    columns, fitted = conditions(NUMBERS)
    assert np.array_equal(fitted.encode(np.array([[value, np.nan]])), np.zeros((1, 4)))
    assert columns.n_columns == 2


def test_gaps_in_fit_leave_means_and_levels_alone():
    table = NUMBERS.copy()
    table[0, 3] = table[1, 2] = np.nan
    _, fitted = conditions(table)
    np.testing.assert_array_equal(fitted.levels[0], [0, 1, 2])
    assert fitted.mean[1] == pytest.approx(NUMBERS[1:, 3].mean())
    assert fitted.scale[1] == pytest.approx(NUMBERS[1:, 3].std())


def test_constant_and_empty_conditions_are_finite():
    table = NUMBERS.copy()
    table[:, 2], table[:, 3] = 5.0, np.nan
    _, fitted = conditions(table, categorical=())
    assert np.array_equal(fitted.encode(table[:2, 2:]), np.zeros((2, 2)))


@pytest.mark.parametrize(("fitted_as", "given_as"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_levels_are_the_same_in_either_precision(fitted_as, given_as):
    """0.1 is another number in float32; the category it stands for is not."""
    table = NUMBERS.astype(fitted_as)
    columns, fitted = conditions(table)
    encoded = encoded_conditions(columns, fitted, NUMBERS.astype(given_as))
    assert np.array_equal(encoded[:, :3], np.eye(3)[LEVELS])
    assert read_condition([0.1, 0.0], columns, None).tolist() == [[1.0, 0.0]]


def test_levels_that_only_double_precision_tells_apart_stay_apart():
    table = NUMBERS.astype(np.float64)
    table[:, 2] = 2.0**24 + LEVELS
    columns, fitted = conditions(table)
    assert np.array_equal(encoded_conditions(columns, fitted, table)[:, :3], np.eye(3)[LEVELS])


# -- given conditions -------------------------------------------------------------------------------------

BOTH = framed(KINDS["object"])


def read(condition, n_rows=None, features=("b", "d")):
    columns = Columns.fit(BOTH, list(features), "from_dtype")
    return read_condition(condition, columns, n_rows)


@pytest.mark.parametrize(
    "condition",
    [
        pd.DataFrame({"d": [1.5, 2.5], "b": ["v", "u"], "other": [0, 0]}),
        pl.DataFrame({"b": ["v", "u"], "d": [1.5, 2.5]}),
        {"b": ["v", "u"], "d": (1.5, 2.5)},
        {"b": np.array(["v", "u"]), "d": np.array([1.5, 2.5])},
        {"b": pd.Series(["v", "u"], index=[7, 8]), "d": pd.Series([1.5, 2.5])},
        {"b": pl.Series(["v", "u"]), "d": pl.Series([1.5, 2.5])},
        [["v", 1.5], ["u", 2.5]],
        np.array([["v", 1.5], ["u", 2.5]], dtype=object),
    ],
    ids=["pandas", "polars", "lists", "arrays", "pandas series", "polars series", "rows", "object array"],
)
def test_conditions_may_be_given_in_any_container(condition):
    assert np.array_equal(read(condition), [[1.0, 1.5], [0.0, 2.5]])


@pytest.mark.parametrize(
    "condition", [{"b": "w", "d": 3}, {"b": ["w"], "d": np.array(3.0)}, ["w", 3], pd.Series(["w", 3])]
)
def test_one_condition_serves_all_rows(condition):
    assert np.array_equal(read(condition, n_rows=4), [[2.0, 3.0]] * 4)


@pytest.mark.parametrize(
    "condition", ["v", np.str_("v"), ["v"], [["v"]], {"b": "v"}, np.array(["v"]), pd.Series(["v"])]
)
def test_a_single_column_takes_its_values(condition):
    assert np.array_equal(read(condition, features=["b"]), [[1.0]])


def test_positions_name_conditions_of_arrays():
    columns, _ = conditions(NUMBERS)
    for condition in ({2: 0.1, 3: 5.0}, {"2": [0.1], "3": [5]}):
        assert np.array_equal(read_condition(condition, columns, None), [[1.0, 5.0]])


def test_given_conditions_may_be_missing():
    for gap in (None, np.nan):
        assert np.isnan(read({"b": [gap], "d": [gap]})).all()


@pytest.mark.parametrize(
    ("condition", "n_rows", "message"),
    [
        ({"b": "z", "d": 0.0}, None, "Got condition b='z', which fit has not seen; expected one of"),
        ({"b": 1, "d": 0.0}, None, "Got condition b=1,"),
        ({"b": "u", "d": "x"}, None, "Got condition d='x'; expected numbers"),
        ({"b": "u", "d": np.inf}, None, "Got condition d=inf.*expected finite"),
        ({"b": "u"}, None, r"Got a condition without \['d'\]"),
        (pd.DataFrame({"d": [0.0]}), None, r"Got a condition without \['b'\]"),
        ({"b": ["u", "v"], "d": 0.0}, None, "unequal lengths"),
        ({"b": ["u", "v"], "d": [0.0, 1.0]}, 3, "Got 2 conditions for 3 rows"),
        ("u", None, "expected 2 columns, .*'b', 'd'"),
        ([["u", 0.0, 1.0]], None, "expected 2 columns"),
        (np.zeros((2, 2, 2)), None, r"shape \(2, 2, 2\)"),
    ],
)
def test_wrong_conditions_are_refused_by_name(condition, n_rows, message):
    with pytest.raises(ValueError, match=message):
        read(condition, n_rows)


def test_unknown_numbers_are_refused_where_they_are_categories():
    columns, _ = conditions(NUMBERS)
    with pytest.raises(ValueError, match=r"Got condition 2=0\.5, which fit has not seen; expected one of \[0\.0"):
        read_condition([0.5, 0.0], columns, None)


def test_join_undoes_the_division():
    columns, _ = conditions(NUMBERS)
    assert np.array_equal(columns.join(columns.modelled(NUMBERS), columns.conditioning(NUMBERS)), NUMBERS)
