"""Tables taken apart and put together again are the same, dtypes included."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from sklae._tables.cell_keys import cell_of, key_of
from sklae._tables.exact import Parts, put_together, take_apart

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

DATES = [dt.date(2020, 1, 1), None, dt.date(1950, 1, 1)]
TIMES = [dt.datetime(2020, 1, 1), None, dt.datetime(2021, 1, 1, 1, 1, 1, 5)]


def _pandas():
    return pd.DataFrame(
        {
            "integers": [1, 2, 3],
            "small": np.array([1, 2, 3], dtype=np.uint8),
            "floats": [1.5, np.nan, -0.0],
            "single": np.array([1.5, np.nan, np.inf], dtype=np.float32),
            "levels": pd.Categorical(["x", None, "y"], categories=["y", "x", "z"]),
            "ordered": pd.Categorical([1, None, 3], categories=[3, 1], ordered=True),
            "times": pd.to_datetime(["2020-01-01", None, "2021-05-05"]),
            "zoned": pd.to_datetime(["2020-01-01", None, "2021-05-05"]).tz_localize("Europe/Berlin"),
            "text": ["t", None, "u\0"],
            "objects": pd.Series([1, "a", None], dtype=object),
            "numbers and gaps": pd.Series([Decimal("1.10"), pd.NA, np.float64(2)], dtype=object),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "booleans": [True, False, True],
            "nullable booleans": pd.array([True, None, False], dtype="boolean"),
            "nullable floats": pd.array([1.5, None, 2], dtype="Float32"),
            "spans": pd.to_timedelta([1, None, 3], unit="s"),
            "of Arrow": pd.array([1, None, 3], dtype="int64[pyarrow]"),
            "strings": pd.array(["1", None, "x"], dtype="string"),
            7: DATES,
        }
    )


def test_a_frame_of_pandas_comes_back():
    frame = _pandas()
    back = put_together(take_apart(frame))
    pd.testing.assert_frame_equal(frame, back, check_exact=True)
    assert list(back.columns) == list(frame.columns)
    assert [type(each) for each in back["objects"]] == [type(each) for each in frame["objects"]]
    assert np.signbit(back["floats"][2])


def test_names_of_columns_come_back():
    frame = pd.DataFrame(np.eye(2), columns=pd.Index([3, 5], name="year"))
    assert put_together(take_apart(frame)).columns.equals(frame.columns)
    assert put_together(take_apart(frame)).columns.name == "year"


def test_a_frame_of_polars_comes_back():
    frame = pl.DataFrame(
        {
            "integers": [1, None, 3],
            "floats": [1.5, float("nan"), None],
            "levels": pl.Series(["x", None, "y"], dtype=pl.Categorical),
            "enum": pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x"])),
            "dates": DATES,
            "zoned": pl.Series(TIMES, dtype=pl.Datetime("ns", "Europe/Berlin")),
            "hours": [dt.time(1, 2, 3), None, dt.time(4)],
            "bytes": pl.Series([1, 2, 3], dtype=pl.UInt8),
            "text": ["a", None, "b"],
            "booleans": [True, None, False],
            "spans": [dt.timedelta(1), None, dt.timedelta(2)],
        }
    )
    back = put_together(take_apart(frame))
    assert back.equals(frame)
    assert back.schema == frame.schema


def test_a_table_of_pyarrow_comes_back():
    table = pa.table(
        {
            "integers": pa.array([1, None, 3], pa.int16()),
            "floats": pa.array([1.0, None, 2.0]),
            "text": ["a", None, "b"],
            "large": pa.array(["a", None, "b"], pa.large_string()),
            "dates": pa.array(DATES),
            "times": pa.array(TIMES, pa.timestamp("us", "UTC")),
            "levels": pa.array(["x", "y", None]).dictionary_encode(),
            "booleans": [True, None, False],
        }
    ).replace_schema_metadata({"of": "a user"})
    back = put_together(take_apart(table))
    assert back.equals(table)
    assert back.schema.equals(table.schema, check_metadata=True)


@pytest.mark.parametrize(
    "table",
    [
        np.arange(6).reshape(3, 2),
        np.array([[1, "a"], [None, 2.5]], dtype=object),
        np.array([["a", "bc"]]),
        np.zeros((2, 2), ">f4"),
        np.array([["2020-01-01", "NaT"]], dtype="M8[D]"),
        np.array([[True], [False]]),
        np.asfortranarray(np.eye(3)),
    ],
    ids=lambda table: str(table.dtype),
)
def test_an_array_comes_back(table):
    back = put_together(take_apart(table))
    assert back.dtype == table.dtype
    assert back.tolist() == table.tolist()


def test_rows_are_joined():
    parts = take_apart(_pandas())
    joined = Parts.joined(parts.schema, [parts.rows(slice(0, 1)), parts.rows(slice(1, 3))])
    pd.testing.assert_frame_equal(put_together(joined), _pandas())
    empty = put_together(Parts.joined(parts.schema, []))
    assert empty.shape == (0, 19)
    assert (empty.dtypes == _pandas().dtypes).all()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((2, 2), dtype=complex), "Complex"),
        (np.ma.masked_array(np.eye(2)), "MaskedArray"),
        (pd.DataFrame({"a": [[1], [2]]}), "list in column 'a'"),
        (pd.DataFrame(np.eye(2), columns=["a", "a"]), "twice"),
        (pd.DataFrame(np.eye(2), columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), "several levels"),
        (pd.DataFrame({"a": pd.interval_range(0, 2)}), "column 'a'"),
        (pl.DataFrame({"a": [[1], [2]]}), "list in column 'a'"),
    ],
)
def test_what_would_not_come_back_is_refused(table, says):
    with pytest.raises((ValueError, TypeError), match=says):
        take_apart(table)


@pytest.mark.parametrize(
    "cell",
    ["", "a\0", "\ud800", True, 3, -(2**80), 0.1, float("-inf"), b"\xff", Decimal("1.10"), DATES[0], TIMES[2],
     dt.time(1), dt.timedelta(-1, 5), None, np.int8(3), np.float32(0.1), np.datetime64("2020-01-01")],
    ids=repr,
)  # fmt: skip
def test_cells_become_text_and_back(cell):
    back = cell_of(key_of(cell))
    assert type(back) is type(cell)
    assert back == cell
