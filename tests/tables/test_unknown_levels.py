"""A new table whose categories are not those that were fitted: a few unknown levels are gaps, more are told."""

from __future__ import annotations

import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import quick

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer

N = 60
RNG = np.random.default_rng(0)
ZIP = np.array(["10115", "10117", "20095"])[RNG.integers(0, 3, N)]
X = pd.DataFrame(
    {
        "x": RNG.normal(size=N),
        "zip": ZIP,
        "b": RNG.uniform(size=N) < 0.5,
        "k": pd.Categorical(np.array([1, 2, 3])[RNG.integers(0, 3, N)]),
    }
)
FITTED = {
    "autoencoder": quick(AutoencoderTransformer).fit(X),
    "detector": AEOutlierDetector(quick(AutoencoderTransformer), random_state=0).fit(X),
    "imputer": AEImputer(random_state=0).fit(X),
}
DRIFTED = {
    "text to numbers": (X.assign(zip=ZIP.astype(int)), "'zip' with numbers"),
    "booleans to text": (X.assign(b=X["b"].astype(str)), "'b' with text"),
    "numbers to text": (X.assign(k=X["k"].astype(str)), "'k' with text"),
    "decimals": (X.assign(zip=[Decimal(z) for z in ZIP]), "'zip' with numbers"),
}


@pytest.mark.parametrize("model", FITTED)
@pytest.mark.parametrize("name", DRIFTED)
def test_columns_of_another_type_are_refused(model, name):
    table, words = DRIFTED[name]
    with pytest.raises(ValueError, match=f"Got column {words}.*Convert the column"):
        FITTED[model].transform(table)


@pytest.mark.parametrize("model", FITTED)
def test_a_row_with_another_type_is_taken_alone_as_it_is_among_others(model):
    table = X.astype({"zip": object})
    table.at[0, "zip"] = 10115
    with pytest.warns(UserWarning, match=r"1 of 60 values in column 'zip'.*differ from levels by type"):
        together = FITTED[model].transform(table)
    with pytest.warns(UserWarning, match="1 of 1 values in column 'zip'"):
        alone = FITTED[model].transform(table[:1])
    if model == "imputer":
        pd.testing.assert_frame_equal(alone, together[:1])
    else:
        np.testing.assert_allclose(alone, together[:1], atol=1e-6)


@pytest.mark.parametrize("model", FITTED)
@pytest.mark.parametrize("values", [pd.Series(ZIP) + " ", pd.Series(["elsewhere"] * N)], ids=["blanks", "others"])
def test_columns_without_a_known_level_are_told(model, values):
    words = "60 of 60 values in column 'zip'.*count as missing.*" + (
        "strip" if values[0].endswith(" ") else "Check how"
    )
    with pytest.warns(UserWarning, match=words):
        FITTED[model].transform(X.assign(zip=values))


@pytest.mark.parametrize("k", [X["k"].astype(float), X["k"].astype(int).astype(np.int8), X["k"].astype("Int64")])
def test_the_same_numbers_of_another_dtype_are_known(k):
    found = FITTED["autoencoder"].transform(X.assign(k=k))
    np.testing.assert_array_equal(found, FITTED["autoencoder"].transform(X))


@pytest.mark.filterwarnings("error")
@given(share=st.floats(0.0, 0.5))
def test_few_unknown_levels_are_gaps(share):
    unknown = np.arange(N) < share * N
    table, gappy = X.assign(zip=X["zip"].mask(unknown, "elsewhere")), X.assign(zip=X["zip"].mask(unknown))
    model = FITTED["autoencoder"]
    np.testing.assert_array_equal(model.transform(table), model.transform(gappy))
    if unknown.any():
        model.transform(table[unknown][:2])  # of a row or two most are soon unknown


def test_imputers_tell_of_each_observed_cell_that_they_fill():
    with pytest.warns(UserWarning, match="Got 1 of 60 values in column 'zip' that fit has not seen, such as 'new'"):
        filled = FITTED["imputer"].transform(X.assign(zip=X["zip"].mask(np.arange(N) == 3, "new")))
    assert filled["zip"][3] in set(ZIP)


NUMBERS = pd.DataFrame(
    {"i": np.arange(N) % 7, "f": RNG.normal(size=N).astype(np.float32), "g": RNG.normal(size=N)},
)


@pytest.mark.parametrize(
    "read", [pd.DataFrame, pl.from_pandas, pd.DataFrame.to_numpy], ids=["pandas", "polars", "array"]
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_imputers_keep_cells_that_the_columns_of_fit_could_not_hold(read):
    table = NUMBERS.astype(np.float64)
    table.loc[0, "i"], table.loc[1, "f"], table.loc[2, "f"] = 2.7, 1e300, 0.1
    gaps = np.zeros(table.shape, dtype=bool)
    gaps[[3, 4], [0, 1]] = gaps[5] = True
    imputer = AEImputer(random_state=0).fit(pl.from_pandas(NUMBERS) if read is pl.from_pandas else NUMBERS)
    filled = imputer.transform(read(table.mask(gaps)))
    cells = np.asarray(filled, dtype=np.float64)
    np.testing.assert_array_equal(cells[~gaps], table.to_numpy()[~gaps])
    assert np.isfinite(cells).all()
    assert (cells[:, 0][gaps[:, 0]] % 1 == 0).all()


@pytest.mark.parametrize("dtype", ["int64", "Int64", object])
def test_imputers_tell_of_integers_that_floats_round(dtype):
    largest = 2**53 + 1
    imputer = AEImputer(random_state=0).fit(NUMBERS.assign(i=NUMBERS["i"].astype(float).mask(NUMBERS["i"] == 3)))
    table = NUMBERS.astype({"i": dtype})
    table.at[0, "i"] = largest
    with pytest.warns(UserWarning, match=f"Got 1 integers in column 'i', such as {largest}.*round to {largest - 1}"):
        filled = imputer.transform(table)
    assert filled["i"][0] == float(largest)


def test_codes_of_another_container_come_back_as_levels():
    """Of frames given as arrays, too, where all of a column is observed."""
    table = pd.DataFrame({"a": np.repeat([3.5, 7.25, 1.0], 20), "x": RNG.normal(size=N)})
    imputer = AEImputer(categorical_features=["a"], random_state=0).fit(table)
    given = table.mask(np.column_stack([np.zeros(N, bool), np.arange(N) % 7 == 0]))
    for other in (given.to_numpy(), pl.from_pandas(given)):
        filled = np.asarray(imputer.transform(other))
        np.testing.assert_array_equal(filled[:, 0], table["a"])


def test_masked_arrays_have_gaps():
    values = np.arange(120.0).reshape(40, 3)
    hidden = np.zeros(values.shape, dtype=bool)
    hidden[::7, 1] = True
    masked, gappy = np.ma.MaskedArray(np.where(hidden, -9999.0, values), hidden), np.where(hidden, np.nan, values)
    for cls in (AutoencoderTransformer, VAETransformer):
        model, other = quick(cls).fit(masked), quick(cls).fit(gappy)
        np.testing.assert_array_equal(model.transform(masked), other.transform(gappy))
    np.testing.assert_array_equal(
        AEImputer(random_state=0).fit_transform(masked.astype(int)), AEImputer(random_state=0).fit_transform(gappy)
    )
    detectors = [AEOutlierDetector(random_state=0).fit(table) for table in (masked, gappy)]
    np.testing.assert_array_equal(detectors[0].score_samples(masked), detectors[1].score_samples(gappy))
    conditioned = quick(VAETransformer, condition_features=[1]).fit(gappy)
    unknown = np.ma.MaskedArray([[-9999.0]], [[True]])
    np.testing.assert_array_equal(
        conditioned.inverse_transform(np.zeros((1, 1)), unknown),
        conditioned.inverse_transform(np.zeros((1, 1)), [np.nan]),
    )


@pytest.mark.parametrize("as_list", [False, True])
def test_text_in_arrays_is_a_category_where_that_is_said(as_list):
    table = np.empty((N, 2), dtype=object)
    table[:, 0], table[:, 1] = X["x"], ZIP
    table[3, 1] = table[4, 0] = None
    given_table = table.tolist() if as_list else table
    model = quick(VAETransformer, categorical_features=[1]).fit(given_table)
    frame = pd.DataFrame({"0": table[:, 0].astype(float), "1": table[:, 1]})
    np.testing.assert_array_equal(model.transform(given_table), quick(VAETransformer).fit(frame).transform(frame))
    assert set(model.reconstruct(given_table)[:, 1]) <= set(ZIP)
    assert set(model.sample(5, random_state=0)[:, 1]) <= set(ZIP)
    filled = AEImputer(categorical_features=[1], random_state=0).fit_transform(given_table)
    assert filled[3, 1] in set(ZIP)
    assert isinstance(filled[4, 0], float)
    assert (filled[5:] == table[5:]).all()


def test_numbers_of_many_types_are_numbers():
    price = [None if i == 3 else Decimal(f"{1 + i % 7}.20") for i in range(40)]
    table = pd.DataFrame({"price": price, "x": np.arange(40.0), "o": pd.Series([1, 2, pd.NA, 3] * 10, dtype=object)})
    plain = table.astype({"price": float}).assign(o=table["o"].map(lambda v: np.nan if v is pd.NA else float(v)))
    found, wanted = (quick(AutoencoderTransformer).fit(each).transform(each) for each in (table, plain.astype(float)))
    np.testing.assert_array_equal(found, wanted)
    wide = pl.DataFrame({"a": pl.Series([1, 2, 3, None] * 10, dtype=pl.Int128), "x": np.arange(40.0)})
    filled = AEImputer(random_state=0).fit_transform(wide)
    assert filled["a"].dtype == pl.Int128
    assert filled["a"].null_count() == 0


# -- streams ------------------------------------------------------------------------------------------------


def piece(level, dtype):
    kind = pd.Series([level] * 40, dtype=dtype)
    return pd.DataFrame({"x": np.linspace(-1.0, 1.0, 40), "kind": kind})


DECLARED = {
    "categories": pd.CategoricalDtype(["a", "b"]),
    "ordered": pd.CategoricalDtype(["a", "b"], ordered=True),
}


@pytest.mark.parametrize("name", [*DECLARED, "enum", "boolean", "named"])
@pytest.mark.filterwarnings("error")
def test_levels_that_are_declared_may_come_later(name):
    settings, levels = {}, ("a", "b")
    if name == "boolean":
        levels, dtype = (False, True), bool
    elif name == "named":
        settings, dtype = {"categories": {"kind": ["a", "b"]}}, object
    else:
        dtype = DECLARED.get(name, DECLARED["categories"])

    def piece_of(level):
        table = piece(level, dtype)
        return pl.from_pandas(table).with_columns(pl.col("kind").cast(pl.Enum(["a", "b"]))) if name == "enum" else table

    model = VAETransformer(1, learning_rate="constant", learning_rate_init=0.02, random_state=0)
    model.partial_fit(piece_of(levels[0]), **settings)
    for _ in range(40):
        model.partial_fit(piece_of(levels[1]), **settings)
    assert set(model.reconstruct(piece_of(levels[1]))["kind"].to_list()) == {levels[1]}


def test_levels_that_are_not_are_told():
    model = VAETransformer(1, learning_rate="constant", random_state=0).partial_fit(
        piece("a", object).assign(y=range(40))
    )
    with pytest.warns(UserWarning, match="Got 40 of 40 values in column 'kind' that fit has not seen, such as 'b'"):
        model.partial_fit(piece("b", object).assign(y=range(40)))


def test_categories_of_numbers_are_refused():
    model = AutoencoderTransformer(1, learning_rate="constant")
    with pytest.raises(ValueError, match=r"Got categories of column 'x', which holds numbers.*categorical_features"):
        model.partial_fit(X, categories={"x": [1, 2]})
    with pytest.raises(ValueError, match="'colour' is no column"):
        model.partial_fit(X, categories={"colour": ["red"]})
    assert vars(model) == vars(AutoencoderTransformer(1, learning_rate="constant"))


# -- what stands for a gap ----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [NUMBERS, NUMBERS.to_numpy()], ids=["frame", "array"])
def test_text_stands_for_no_gap_among_numbers(table):
    with pytest.raises(ValueError, match=re.escape("Got missing_values='-1', which is text, and a table of numbers")):
        AEImputer(missing_values="-1").fit(table)


def test_text_stands_for_gaps_among_text():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = AEImputer(missing_values="?", random_state=0).fit_transform(X.assign(zip=X["zip"].mask(X["b"], "?")))
    assert "?" not in set(filled["zip"])


# -- what the fuzz found ------------------------------------------------------------------------------------


def test_values_that_look_like_levels_are_told_however_few():
    table = pd.DataFrame({"k": ["3", "a"] * 10, "b": np.arange(20.0)})
    model = quick(AutoencoderTransformer).fit(table)
    for odd in (3, "A", " a"):
        with pytest.warns(UserWarning, match=r"Got 1 of 2 values in column 'k'.*by type, blanks or case alone"):
            model.transform(pd.DataFrame({"k": ["a", odd], "b": [0.0, 0.0]}))


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float32", "float[pyarrow]"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_narrow_columns_hold_no_infinity(dtype):
    table = pd.DataFrame({"a": pd.array(X["x"].to_numpy(np.float32), dtype=dtype), "b": X["x"] * 2.0})
    model = quick(VAETransformer).fit(table)
    far = model.reconstruct(table.assign(b=1e300))
    assert far["a"].dtype == table["a"].dtype
    assert np.isfinite(far["a"].to_numpy(np.float64)).all()


def test_infinite_levels_are_refused():
    table = np.column_stack([X["x"], np.arange(N) % 3])
    table[0, 1] = np.inf
    for given_table in (table, pd.DataFrame(table)):
        with pytest.raises(ValueError, match=r"Got infinite values among the categories of column .*finite levels"):
            VAETransformer(1, categorical_features=[1]).fit(given_table)


def test_numbers_among_declared_text_are_numbers():
    model = quick(AutoencoderTransformer).fit(pd.DataFrame({"a": [1, 2, 3, 4] * 5, "b": np.arange(20.0)}))
    kinds = pd.Categorical([1, 2], categories=[1, 2, "unused"])
    found = model.transform(pd.DataFrame({"a": kinds, "b": pd.array([0.0, 1.0], dtype="Float64")}))
    np.testing.assert_array_equal(found, model.transform(pd.DataFrame({"a": [1, 2], "b": [0.0, 1.0]})))


@pytest.mark.filterwarnings("error")
def test_sparse_columns_are_read_in_silence():
    model = quick(AutoencoderTransformer).fit(pd.DataFrame({"a": [1.0, 0.0, 3.0, 0.0] * 5, "b": np.arange(20.0)}))
    model.transform(pd.DataFrame({"a": pd.arrays.SparseArray([1.0, 0.0]), "b": [0.0, 1.0]}))


def test_names_that_occur_twice_are_refused_before_gaps_are_looked_for():
    table = pd.DataFrame(np.ones((4, 2)), columns=["c", "c"])
    with pytest.raises(ValueError, match="Got column names that occur twice"):
        AEImputer(missing_values=-1).fit(table)


class Dask:
    """What tells a frame of Dask."""

    columns, dtypes, npartitions = ["a"], [np.dtype(float)], 2

    def compute(self):
        raise AssertionError


def test_frames_that_are_not_in_memory_are_refused():
    with pytest.raises(ValueError, match=r"Got a Dask of Dask; expected a frame with its rows\. Call its compute\(\)"):
        AutoencoderTransformer().fit(Dask())
