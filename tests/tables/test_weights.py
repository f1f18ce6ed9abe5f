"""Weights of rows: what is refused, what is absent, and a layout that repeated rows have, too."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklae import AutoencoderTransformer
from sklae._tables.columns import Columns
from sklae._tables.layout import Layout
from sklae._tables.sources import RowSource
from sklae._tables.weights import RowWeights
from sklae._utils.random import resampled

X = np.arange(12.0).reshape(4, 3)

REFUSED = {
    "negative": ([1, 1, -2, 1], r"Got sample_weight with -2; expected one finite number at or above 0 .* the 4 rows"),
    "NaN": ([1, 1, np.nan, 1], r"Got sample_weight that can't be used \(.*NaN.*\); expected one finite number"),
    "infinite": ([1, 1, np.inf, 1], r"Got sample_weight that can't be used \(.*infinity.*\); expected one finite"),
    "zeros": ([0, 0, 0, 0], r"Got sample_weight .*zero.*; expected .* not only zeros"),
    "a zero": (0, r"Got sample_weight .*zero.*; expected .* not only zeros"),
    "an infinite number": (np.inf, r"Got sample_weight with inf; expected"),
    "too few": (
        [1, 1, 1],
        r"Got sample_weight that can't be used \(.*shape == \(3,\).*\); expected one .* 4 rows, .*Pass weights in",
    ),
    "a column": (np.ones((4, 1)), r"Got sample_weight that can't be used \(.* [12]D array.*\); expected"),
    "text": (["a", "b", "c", "d"], r"Got sample_weight that can't be used \(.*\); expected one finite number"),
    "masked": (np.ma.array([1, 1, 1, 1], mask=[0, 0, 0, 1]), r"Got sample_weight that can't be used \(.*NaN"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_none_are_refused(case):
    weights, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        RowWeights.read(weights, X)
    model = AutoencoderTransformer()
    with pytest.raises(ValueError, match=message):
        model.fit(X, sample_weight=weights)
    assert not hasattr(model, "n_features_in_")


def test_weights_of_a_source_of_rows_are_refused():
    class Source(RowSource):
        def __len__(self):
            return 4

        def chunks(self):
            raise AssertionError("read before weights were refused")

    with pytest.raises(
        ValueError, match=r"Got sample_weight with Source, a source of rows; expected none\. Pass a table"
    ):
        AutoencoderTransformer().fit(Source(), sample_weight=np.ones(4))


@pytest.mark.parametrize("like", [np.array, list, pd.Series, pl.Series])
def test_weights_come_in_any_container(like):
    counts = RowWeights.read(like([1.0, 0.0, 2.0, 3.0]), X)
    np.testing.assert_array_equal(counts.rows, [0, 2, 3])
    np.testing.assert_allclose(counts.weights, [0.5, 1.0, 1.5])


@pytest.mark.parametrize(
    "table", [X, X.tolist(), pd.DataFrame(X), pl.DataFrame(X, schema=list("abc")), np.ma.array(X, mask=X == 6)]
)
def test_rows_of_weight_zero_are_taken_out_of_any_table(table):
    kept = RowWeights.read([1, 0, 2, 2], table).of(table)
    assert len(kept) == 3
    assert type(kept) is type(table)
    np.testing.assert_array_equal(np.ma.getdata(np.ma.array(kept)), X[[0, 2, 3]])
    assert np.ma.getmaskarray(kept).any() == np.ma.is_masked(table) if np.ma.isMaskedArray(table) else True


def test_tables_of_other_lengths_are_no_partners():
    with pytest.raises(ValueError, match="Got 3 rows in X_clean and 4 weights; expected as many"):
        RowWeights.read([1, 0, 2, 2], X).of(X[:3], "X_clean")


@pytest.mark.parametrize("weights", [None, 2, [3.0] * 4, [1e300] * 4, [1e-300] * 4, [True] * 4])
def test_equal_weights_are_none(weights):
    counts = RowWeights.read(weights, X)
    assert counts.weights is None
    assert counts.of(X) is X


@given(st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=20).filter(any), st.floats(1e-3, 1e3))
def test_weights_have_mean_one_in_any_unit(weights, unit):
    table = np.zeros((len(weights), 2))
    first, second = (RowWeights.read(np.array(weights) * times, table) for times in (1.0, unit))
    for counts in (first, second):
        assert counts.weights is None or counts.weights.mean() == pytest.approx(1.0)
    if first.weights is not None and second.weights is not None:
        np.testing.assert_allclose(first.weights, second.weights, rtol=1e-12)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20).filter(any), st.floats(0.01, 0.99))
def test_resampled_rows_are_there_as_often_as_they_count(counts, offset):
    found = resampled(np.array(counts, dtype=float), sum(counts), offset)
    np.testing.assert_array_equal(found, np.repeat(np.arange(len(counts)), counts))
    few = np.bincount(resampled(np.array(counts, dtype=float), 7, offset), minlength=len(counts))
    assert (np.abs(few - 7 * np.array(counts) / sum(counts)) < 1 + 1e-9).all()


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_weighted_rows_have_the_layout_of_repeated_ones(data):
    n = data.draw(st.integers(3, 12))
    counts = np.array(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    rng = np.random.RandomState(data.draw(st.integers(0, 100)))
    frame = pd.DataFrame(
        {"x": rng.normal(5, 2, n), "few": rng.randint(3, size=n) + 0.0, "kind": rng.choice(["a", "b"], n)}
    )
    frame.loc[rng.uniform(size=n) < 0.2, "x"] = np.nan
    frame.loc[0, "x"], frame.loc[1, "x"], frame.loc[0, "few"], frame.loc[1, "few"] = 1.0, 2.0, 0.0, 1.0
    frame.loc[0, "kind"], frame.loc[1, "kind"] = "a", "b"
    columns = Columns.learn([frame], None, "from_dtype")
    table = columns.categories.encode(frame)
    table = np.asarray(table, dtype=np.float64)
    weights = RowWeights.read(counts, table).weights
    shared = {"standardize": np.array([True, True, False]), "columns": columns}
    weighted = Layout.fit(table, rows=None, weights=weights, **shared)
    repeated = Layout.fit(np.repeat(table, counts, axis=0), rows=None, **shared)
    for name in ("mean", "deviation", "minimum", "maximum", "fill"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12, atol=1e-12)
    for own, other in zip(weighted.frequencies, repeated.frequencies, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12)
    assert weighted.has_missing == repeated.has_missing


def test_a_light_row_is_enough_for_a_value():
    """Sums of weights below 1 divide what they were made of."""
    table = np.array([[1.0, 7.0], [2.0, np.nan], [3.0, np.nan]])
    layout = Layout.fit(table, rows=None, standardize=True, weights=np.array([0.01, 1.5, 1.49]))
    assert layout.mean[1] == pytest.approx(7.0)
    assert layout.mean[0] == pytest.approx((0.01 + 3.0 + 4.47) / 3.0)


def test_shares_of_a_histogram_are_weighted():
    table = np.repeat([[0.0], [1.0]], 100, axis=0)
    layout = Layout.fit(table, rows=None, standardize=True, weights=np.repeat([1.5, 0.5], 100))
    np.testing.assert_allclose(layout.grids[0].share, [0.75, 0.25])
