"""Properties over many frames: any dtypes, levels, gaps and names give a clear error or a round trip, nothing else."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, note, settings
from hypothesis import strategies as st
from support import quick

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._tables.frames import is_gap


def examples(n):
    """Return settings for so many examples, as in `tests/test_properties.py`."""
    return settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def few_and_many(n):
    """Parametrize a test by how many examples it tries: ``n``, and 20 times as many under the slow marker."""
    return pytest.mark.parametrize("n_examples", [n, pytest.param(20 * n, marks=pytest.mark.slow)])


# -- frames of any columns ----------------------------------------------------------------------------------

ARROW = ["double[pyarrow]", "float[pyarrow]", "int64[pyarrow]", "uint8[pyarrow]", "bool[pyarrow]", "string[pyarrow]"]
WITHOUT_GAPS = ["int8", "uint16", "int64", "uint64", "bool"]

#: Library -> (what a column holds, its dtype).
DTYPES = {
    "pandas": [
        *(("float", dtype) for dtype in ("float64", "float32", "Float64", "Float32", *ARROW[:2])),
        *(("integer", dtype) for dtype in (*WITHOUT_GAPS[:-1], "Int16", "Int64", "UInt8", *ARROW[2:4])),
        *(("bool", dtype) for dtype in ("bool", "boolean", object, ARROW[4])),
        *(("text", dtype) for dtype in (object, "str", "string", ARROW[5], "category", "ordered", "unused")),
        ("codes", "category"),
        ("numbers as objects", object),
        ("mixed", object),
    ],
    "polars": [
        *(("float", dtype) for dtype in (pl.Float64, pl.Float32)),
        *(("integer", dtype) for dtype in (pl.Int8, pl.Int64, pl.UInt64)),
        ("bool", pl.Boolean),
        *(("text", dtype) for dtype in (pl.String, pl.Categorical, "unused")),
        ("mixed", pl.Object),
    ],
}
#: What can't be read -> values of two rows.
OTHERS = {
    "dates": pd.to_datetime(["2020-01-01", "2021-06-01"]).tolist(),
    "bytes": [b"a", b"b"],
    "lists": [[1], [2, 3]],
    "nothing": [None, None],
}
LEVELS = ["", " ", "  a", "a", "A", "b\n", "é", "0", "1.5", "nan", "None", "NA", "True"]
NAMES = [*"abcde", "", " ", "0", "a b", "naïve", "x0"]


@dataclass
class Table:
    """A frame, what each column holds, and why it must be refused."""

    frame: pd.DataFrame | pl.DataFrame
    holds: dict
    flaws: set
    n_present: int

    def __repr__(self):
        return f"{self.flaws or ''}\n{dict(zip(self.frame.columns, self.frame.dtypes, strict=True))}\n{self.frame}"

    def only(self, names):
        return Table(self.frame[names], {name: self.holds[name] for name in names}, self.flaws, self.n_present)


def _bounds(dtype):
    """Return the least and the largest integer of a dtype."""
    info = np.iinfo(str(dtype).lower().removesuffix("[pyarrow]"))
    return int(info.min), int(info.max)


@st.composite
def pools(draw, holds, dtype):
    """Return different values for a column to take."""
    if holds == "float":
        scale, center = 10.0 ** draw(st.integers(-12, 12)), draw(st.sampled_from([0.0, 0.0, 5.0, -1e6]))
        return [scale * (center + value) for value in (-1.5, -0.2, 0.0, 0.4, 1.0, 3.0)]
    if holds == "integer":
        return draw(st.sampled_from([[0, 1, 2, 5], [*_bounds(dtype), 3], [10, 20, 33]]))
    texts = draw(st.lists(st.sampled_from(LEVELS) | st.text(max_size=3), min_size=1, max_size=5, unique=True))
    pools_ = {"bool": [False, True], "codes": [10, 20, 33], "numbers as objects": [1, 2.5, True, 2**70]}
    return {**pools_, "text": texts, "mixed": [*texts, 7, 2.5]}[holds]


@st.composite
def columns(draw, library, n_rows, shares):
    """Return a series, and what it holds; of its values one of these shares is missing, where the dtype has gaps."""
    holds, dtype = draw(st.sampled_from(DTYPES[library]))
    pool = draw(pools(holds, dtype))
    if draw(st.sampled_from([False] * 7 + [True])):
        pool = pool[:1]  # constant
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    values = [pool[i] for i in rng.randint(len(pool), size=n_rows)]
    if dtype not in WITHOUT_GAPS:
        gaps = rng.uniform(size=n_rows) < draw(st.sampled_from(shares))
        values = [None if gap else value for gap, value in zip(gaps, values, strict=True)]
    if holds == "mixed" and not any(isinstance(value, str) for value in values):
        holds = "numbers as objects"
    if library == "polars":
        return pl.Series(values, dtype=pl.Enum([*pool, "unused"]) if dtype == "unused" else dtype), holds
    if dtype in ("ordered", "unused"):
        dtype = pd.CategoricalDtype([*pool, "unused"], ordered=dtype == "ordered")
    return pd.Series(values, dtype=dtype), holds


def present(series):
    return [value for value in series.to_list() if not is_gap(value)]


@st.composite
def tables(draw, shares=(0.0, 0.0, 0.0, 0.2, 0.2, 0.2, 0.5, 0.9, 1.0), odd=True):
    """Return a frame of either library; ``odd`` ones have columns that can't be read, or names that occur twice."""
    library = draw(st.sampled_from(["pandas", "polars"]))
    n_rows = draw(st.integers(1, 30))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    found = {name: draw(columns(library, n_rows, shares)) for name in names}
    series, flaws = {name: one for name, (one, _) in found.items()}, set()
    if odd and draw(st.sampled_from([False] * 5 + [True])):
        kind = draw(st.sampled_from(sorted(OTHERS)))
        values = [OTHERS[kind][i % 2] for i in range(n_rows)]
        series["other"] = pl.Series(values) if library == "polars" else pd.Series(values, dtype=object)
        flaws |= {"neither numbers nor categories"} if kind != "nothing" else set()
    there = {name: present(one) for name, one in series.items()}
    flaws |= set() if all(there.values()) else {"every value is missing"}
    flaws |= set() if any(len(set(there[name])) > 1 for name in names) else {"nothing to learn"}
    flaws |= set() if n_rows > 1 else {"minimum of 2"}
    frame = pl.DataFrame(series) if library == "polars" else pd.DataFrame(series)
    if library == "pandas":
        frame.index = draw(st.sampled_from([frame.index, frame.index[::-1], frame.index.map("row {}".format)]))
        if odd and len(names) > 1 and draw(st.sampled_from([False] * 9 + [True])):
            frame.columns = [names[1], *frame.columns[1:]]
            flaws.add("occur twice")
    return Table(frame, {name: holds for name, (_, holds) in found.items()}, flaws, sum(map(len, there.values())))


def strictly(call, *args, but="", **kwargs):
    """Return what a call gives, without a warning but one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if but:
            warnings.filterwarnings("ignore", but)
        return call(*args, **kwargs)


def fit_or_refuse(estimator, table, *, but=""):
    """Return the fitted estimator; None for a table with flaws, of which one was told."""
    try:
        fitted = strictly(estimator.fit, table.frame, but=but)
    except (ValueError, TypeError) as refusal:
        message = str(refusal)
        note(message)
        assert message.startswith(("Got", "Found array"))
        assert any(flaw in message for flaw in table.flaws)
        event("refused")
        return None
    assert not table.flaws
    return fitted


def assert_rows_of(table, found, n_rows, *, gaps=()):
    """Check rows made by a model of a table: columns, dtypes and levels are its own, and nothing is missing."""
    frame = table.frame
    assert type(found) is type(frame)
    assert list(found.columns) == list(frame.columns)
    assert len(found) == n_rows
    for name, holds in table.holds.items():
        if holds == "numbers as objects":
            assert str(found[name].dtype).lower() in ("float64", "object")
        else:
            assert found[name].dtype == frame[name].dtype, name
        values, seen = found[name].to_list(), set(frame[name].to_list())
        if name in gaps:
            assert all(is_gap(value) or value == 0 for value in values)
            continue
        assert not any(is_gap(value) for value in values), name
        if holds in ("float", "integer", "numbers as objects"):
            assert all(math.isfinite(value) for value in values)
        elif holds == "bool":
            assert set(values) <= {False, True}
        else:
            assert set(values) <= seen


# -- autoencoders -------------------------------------------------------------------------------------------


@few_and_many(40)
@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_a_frame_is_refused_or_comes_back(cls, n_examples):
    @examples(n_examples)
    @given(table=tables())
    def check(table):
        model = fit_or_refuse(quick(cls, max_iter=1, sample_from="aggregate"), table)
        if model is None:
            return
        frame = table.frame
        codes = strictly(model.transform, frame)
        assert np.isfinite(codes).all()
        assert not np.isnan(strictly(model.score_samples, frame)).any()
        rebuilt = strictly(model.reconstruct, frame)
        assert_rows_of(table, rebuilt, len(frame))
        assert_rows_of(table, strictly(model.inverse_transform, codes), len(frame))
        assert_rows_of(table, strictly(model.sample, 7, random_state=0), 7)
        assert_rows_of(table, strictly(model.reconstruct, frame[:1]), 1)
        if isinstance(frame, pd.DataFrame):
            assert rebuilt.index.equals(frame.index)

    check()


@few_and_many(15)
def test_columns_in_another_order_are_refused(n_examples):
    @examples(n_examples)
    @given(table=tables(odd=False), data=st.data())
    def check(table, data):
        names = list(table.frame.columns)
        assume(len(names) > 1 and not table.flaws)
        model = quick(VAETransformer, max_iter=1).fit(table.frame)
        order = data.draw(st.permutations(names).filter(lambda order: order != names))
        for chosen in (order, order[1:]):
            for verb in ("transform", "reconstruct", "score_samples"):
                with pytest.raises(ValueError, match="The feature names should match those that were passed"):
                    strictly(getattr(model, verb), table.frame[chosen])

    check()


@few_and_many(15)
def test_a_detector_takes_frames_as_they_are(n_examples):
    @examples(n_examples)
    @given(table=tables())
    def check(table):
        detector = fit_or_refuse(AEOutlierDetector(quick(AutoencoderTransformer, max_iter=1), random_state=0), table)
        if detector is None:
            return
        frame = table.frame
        scores = strictly(detector.score_samples, frame)
        assert not np.isnan(scores).any()
        why, expected = strictly(detector.explain, frame, return_expected=True)
        assert list(why.columns) == list(frame.columns)
        np.testing.assert_allclose(why.to_numpy().sum(axis=1), -scores, rtol=1e-6, atol=1e-9)
        assert_rows_of(table, expected, len(frame))

    check()


# -- the imputer --------------------------------------------------------------------------------------------

IMPUTERS = {
    "given": lambda: AEImputer(quick(VAETransformer, max_iter=1), n_importance_samples=4),
    "given alone": lambda: AEImputer(quick(AutoencoderTransformer, max_iter=1), linear_start=False),
    "draws": lambda: AEImputer(quick(VAETransformer, max_iter=1), n_importance_samples=4, sample_posterior=True),
}


@few_and_many(15)
@pytest.mark.parametrize("name", IMPUTERS)
def test_imputers_fill_gaps_and_nothing_else(name, n_examples):
    @examples(n_examples)
    @given(table=tables(shares=(0.0, 0.2, 0.2, 0.2, 0.5, 0.9, 1.0)), keep_empty=st.booleans(), indicate=st.booleans())
    def check(table, keep_empty, indicate):
        imputer = IMPUTERS[name]().set_params(keep_empty_features=keep_empty, add_indicator=indicate, random_state=0)
        table.flaws -= {"nothing to learn"} | ({"every value is missing"} if table.n_present else set())
        imputer = fit_or_refuse(imputer, table, but="Got columns without any observed value")
        if imputer is None:
            return
        frame = table.frame
        filled = strictly(imputer.transform, frame)
        assert list(filled.columns) == list(imputer.get_feature_names_out())
        empty = [column for column in table.holds if not present(frame[column])]
        kept = table.only([column for column in table.holds if keep_empty or column not in empty])
        assert_rows_of(kept, filled[list(kept.holds)], len(frame), gaps=empty)
        for column in kept.holds:
            for before, after in zip(frame[column].to_list(), filled[column].to_list(), strict=True):
                assert is_gap(before) or before == after, column
        if isinstance(frame, pd.DataFrame):
            assert filled.index.equals(frame.index)

    check()
