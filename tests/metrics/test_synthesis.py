"""Figures about synthetic tables: distances by hand, broken pairs, copies that must be found, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import ks_2samp, spearmanr
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from support import global_generators

from sklae.metrics import association_distances, marginal_distances, near_copy_share, train_on_synthetic_score

DISTANCES = (marginal_distances, association_distances)


def make_mixed(n=600, seed=0):
    """Return rows of numbers, whole numbers, text, booleans and gaps that depend on each other."""
    rng = np.random.RandomState(seed)
    size = rng.normal(size=n)
    kind = np.where(size + rng.normal(scale=0.5, size=n) > 0.3, "big", "small").astype(object)
    kind[rng.random_sample(n) < 0.1] = None
    weight = 2.0 * size + rng.normal(scale=0.3, size=n)
    weight[rng.random_sample(n) < 0.2] = np.nan
    return pd.DataFrame(
        {"size": size, "count": rng.poisson(np.exp(size)), "kind": kind, "weight": weight, "flag": size > 0}
    )


def shuffled(frame, seed=1):
    rng = np.random.RandomState(seed)
    columns = {name: column.iloc[rng.permutation(len(frame))] for name, column in frame.items()}
    return pd.DataFrame({name: column.reset_index(drop=True) for name, column in columns.items()})


@pytest.fixture(scope="module")
def mixed():
    return make_mixed()


# -- distances ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distances", DISTANCES)
def test_a_table_is_at_no_distance_from_itself(mixed, distances):
    found = distances(mixed, mixed)
    assert set(found.values()) == {0.0}
    assert distances(mixed, mixed.sample(frac=1.0, random_state=0)) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("distances", DISTANCES)
def test_distances_are_symmetrical_in_their_kinds_and_bounded(mixed, distances):
    found = distances(mixed, make_mixed(300, seed=5).assign(kind="huge"))
    assert all(0.0 <= value <= 1.0 for value in found.values())
    names = list(mixed.columns)
    assert list(found) == (
        names
        if distances is marginal_distances
        else [(a, b) for a in names for b in names if names.index(a) < names.index(b)]
    )


def test_numbers_are_compared_as_kolmogorov_and_smirnov_do():
    a, b = np.random.RandomState(0).normal(size=(2, 300, 1))
    b = np.round(b[:200] + 0.4, 1)  # ties, another number of rows
    assert marginal_distances(a, b)["x0"] == pytest.approx(ks_2samp(a[:, 0], b[:, 0]).statistic, abs=1e-12)


def test_a_difference_in_gaps_counts_where_it_is_the_larger_one():
    numbers, gap = [1.0, 2.0, 3.0, 4.0], np.nan
    assert marginal_distances(np.c_[numbers], np.c_[[1.0, gap, gap, 4.0]])["x0"] == 0.5
    assert marginal_distances(np.c_[numbers], np.c_[[5.0, gap, 6.0, 7.0]])["x0"] == 1.0
    assert marginal_distances(np.c_[numbers], np.c_[[gap] * 4])["x0"] == 1.0
    assert marginal_distances(np.c_[[gap] * 2], np.c_[[gap] * 4])["x0"] == 0.0


def test_categories_are_compared_by_total_variation():
    real = pd.DataFrame({"kind": ["a", "a", "b", "c"]})
    assert marginal_distances(real, pd.DataFrame({"kind": ["a", "b", "b", "b"]})) == {"kind": 0.5}
    assert marginal_distances(real, pd.DataFrame({"kind": ["a", "a", "b", None]})) == {"kind": 0.25}
    assert marginal_distances(real, pd.DataFrame({"kind": ["d", "e", "d", "e"]})) == {"kind": 1.0}
    gaps = pd.DataFrame({"kind": ["a", "a", None, None]})
    assert marginal_distances(gaps, pd.DataFrame({"kind": ["a", "a", "z", "z"]})) == {
        "kind": 0.5
    }  # no gap, but a level


def test_columns_of_numbers_may_be_named_as_categories():
    real, synthetic = np.c_[[1.0, 2.0, 3.0, 3.0]], np.c_[[3.0, 2.0, 1.0, 1.0]]
    assert marginal_distances(real, synthetic)["x0"] == 0.25
    assert marginal_distances(real, synthetic, categorical_features=[0])["x0"] == 0.25
    assert marginal_distances(real, [[1.5]] * 4)["x0"] == 0.75
    assert marginal_distances(real, [[1.5]] * 4, categorical_features=[0])["x0"] == 1.0


def test_shuffled_columns_keep_their_distributions_and_lose_their_pairs(mixed):
    broken = shuffled(mixed)
    assert set(marginal_distances(mixed, broken).values()) == {0.0}
    pairs = association_distances(mixed, broken)
    assert pairs["size", "weight"] > 0.4
    assert pairs["size", "kind"] > 0.2
    assert pairs["kind", "flag"] > 0.2


def test_pairs_of_numbers_are_compared_by_rank_correlation():
    real, synthetic = np.random.RandomState(0).normal(size=(2, 100, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    synthetic[:, 1] *= -1
    expected = abs(spearmanr(*real.T)[0] - spearmanr(*synthetic.T)[0]) / 2
    assert association_distances(real, np.exp(synthetic)) == {("x0", "x1"): pytest.approx(expected)}
    real[::7, 0] = np.nan  # rows without both are left out
    assert np.isfinite(association_distances(real, synthetic)["x0", "x1"])
    assert association_distances(real, np.ones((5, 2)))["x0", "x1"] <= 0.5  # a constant goes with nothing


def test_two_way_tables_by_hand():
    real = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["u", "u", "v", "v"]})
    crossed = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["u", "v", "u", "v"]})
    assert association_distances(real, crossed) == {("a", "b"): 0.5}
    unknown = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["w", "w", "w", "w"]})
    assert association_distances(real, unknown) == {("a", "b"): 1.0}


def test_numbers_beside_a_category_are_cut_at_the_deciles_of_the_real_ones():
    real = pd.DataFrame({"n": np.arange(100.0), "kind": ["low"] * 50 + ["high"] * 50})
    near = real.assign(n=real.n + 0.3)  # still in the same tenths, but for none
    assert association_distances(real, near)["n", "kind"] == pytest.approx(0.0, abs=0.1)
    assert association_distances(real, real.assign(n=real.n[::-1].to_numpy()))["n", "kind"] == 1.0


@pytest.mark.parametrize("distances", DISTANCES)
def test_frames_of_both_libraries_give_the_same(mixed, distances):
    other = make_mixed(seed=3)
    both = [pl.from_pandas(frame) for frame in (mixed, other)]
    assert distances(*both) == pytest.approx(distances(mixed, other), abs=1e-12)
    assert distances(mixed, both[1]) == pytest.approx(distances(mixed, other), abs=1e-12)


# -- prediction -----------------------------------------------------------------------------------------


def test_good_rows_predict_and_shuffled_ones_do_not(mixed):
    test = make_mixed(seed=7)
    for target, at_least in {"kind": 0.85, "flag": 0.99, "weight": 0.9, 1: 0.2}.items():
        good = train_on_synthetic_score(make_mixed(seed=2), test, target, random_state=0)
        bad = train_on_synthetic_score(shuffled(mixed), test, target, random_state=0)
        assert good > at_least
        assert bad < good - 0.1


def test_more_levels_are_judged_each_against_the_rest():
    rng = np.random.RandomState(0)
    x = rng.normal(size=(400, 1))
    table = pd.DataFrame({"x": x[:, 0], "kind": np.array(["a", "b", "c"])[np.digitize(x[:, 0], [-0.5, 0.5])]})
    assert train_on_synthetic_score(table[::2], table[1::2], "kind") > 0.98
    without = table[::2].query("kind != 'c'")
    assert 0.5 < train_on_synthetic_score(without, table[1::2], "kind") < 0.95
    one = table[::2].assign(kind="a")
    assert train_on_synthetic_score(one, table[1::2], "kind") == 0.5
    assert train_on_synthetic_score(table[::2].assign(kind="never seen"), table[1::2], "kind") == 0.5


def test_two_numbers_are_levels_and_synthetic_ones_count_as_the_nearer():
    X = np.random.RandomState(0).normal(size=(400, 2))
    X[:, 1] = X[:, 0] > 0
    blurred = X[::2] + np.array([0.0, 0.3])
    figures = [train_on_synthetic_score(rows, X[1::2], 1, estimator=LogisticRegression()) for rows in (X[::2], blurred)]
    assert figures[0] == figures[1] == 1.0
    assert train_on_synthetic_score(X[::2], X[1::2], -1) > 0.99


def test_an_estimator_of_ones_own(mixed):
    numbers = mixed[["size", "weight", "count"]].fillna(0.0)
    train, test = numbers[::2], numbers[1::2]
    model = make_pipeline(StandardScaler(), LinearRegression())
    expected = model.fit(train.drop(columns="weight"), train["weight"]).score(
        test.drop(columns="weight"), test["weight"]
    )
    unfitted = make_pipeline(StandardScaler(), LinearRegression())
    assert train_on_synthetic_score(train, test, "weight", estimator=unfitted) == pytest.approx(expected)
    with pytest.raises(TypeError, match="LinearSVC, which has no predict_proba"):
        train_on_synthetic_score(mixed, mixed, "kind", estimator=LinearSVC())


def test_rows_without_a_target_are_left_out(mixed):
    test = make_mixed(seed=7)
    told = [
        train_on_synthetic_score(mixed.dropna(subset=["kind"]), rows, "kind")
        for rows in (test, test[test.kind.notna()])
    ]
    assert told[0] == told[1] == train_on_synthetic_score(mixed, test, "kind")


# -- near copies ----------------------------------------------------------------------------------------


def test_copies_are_found(mixed):
    holdout, fresh = make_mixed(seed=11), make_mixed(seed=12)
    settings = {"holdout": holdout, "random_state": 0}
    assert near_copy_share(mixed, mixed, **settings).share == 1.0
    assert near_copy_share(mixed, mixed.assign(size=mixed["size"] + 1e-6), **settings).share == 1.0
    share, reference = near_copy_share(mixed, fresh, **settings)
    assert share < 0.06
    assert reference < 0.06
    half = pd.concat([mixed[:300], fresh[:300]])
    assert near_copy_share(mixed, half, **settings).share == pytest.approx(0.5, abs=0.05)


def test_the_reference_without_held_out_rows_is_the_quantile(mixed):
    numbers = mixed[["size", "weight"]]
    assert near_copy_share(numbers, numbers, quantile=0.1).reference == pytest.approx(0.1, abs=0.01)
    twice = pd.concat([mixed, mixed])
    assert near_copy_share(twice, mixed).reference == 1.0  # every row has an exact fellow


def test_held_out_rows_that_repeat_show_in_the_reference():
    rng = np.random.RandomState(0)
    train, fresh, holdout = (pd.DataFrame({"kind": list("abcd")}).iloc[rng.randint(4, size=50)] for _ in range(3))
    assert near_copy_share(train, fresh, holdout=holdout) == (1.0, 1.0)


def test_unknown_levels_and_gaps_are_no_copies():
    train = pd.DataFrame({"kind": ["a", "b", "c", "d"], "n": [1.0, 2.0, 3.0, np.nan]})
    assert near_copy_share(train, train).share == 1.0
    distant = [train.assign(kind="z"), train.assign(kind=None), train.assign(n=[np.nan, np.nan, np.nan, 1.0])]
    exact = {"quantile": 0.01}
    near = pd.concat([train, train.assign(n=train.n + 1e-9)])  # so that the reach is next to nothing
    for frame in distant:
        assert near_copy_share(near, frame, **exact).share == 0.0


def test_columns_count_alike_whatever_their_unit():
    rng = np.random.RandomState(0)
    train, fresh = rng.normal(size=(2, 300, 3))
    unit = np.array([1.0, 1e6, 1e-6])
    told = [near_copy_share(train * u, fresh * u, quantile=0.2) for u in (1.0, unit)]
    assert told[0] == pytest.approx(told[1], abs=0.01)


def test_some_rows_stand_for_all_of_them(mixed):
    few = near_copy_share(mixed, mixed, holdout=make_mixed(seed=3), sample_size=50, random_state=0)
    assert few.share == 1.0
    assert few == near_copy_share(mixed, mixed, holdout=make_mixed(seed=3), sample_size=50, random_state=0)
    assert near_copy_share(mixed, mixed, sample_size=None).share == 1.0


def test_constant_and_empty_columns_have_a_unit():
    train = np.c_[np.ones(20), np.arange(20.0), np.full(20, np.nan), np.r_[np.zeros(19), 5.0]]
    assert near_copy_share(train, train + np.array([0.0, 1e-9, 0.0, 0.0])) == (1.0, 0.95)  # but for the last row
    assert near_copy_share(train, train + 30.0).share == 0.0


# -- all of them ----------------------------------------------------------------------------------------

ALL = {
    "marginal_distances": marginal_distances,
    "association_distances": association_distances,
    "train_on_synthetic_score": lambda real, synthetic: train_on_synthetic_score(synthetic, real, 0),
    "near_copy_share": near_copy_share,
}


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL)
def test_tables_of_other_columns_are_refused(mixed, figure):
    for other in (mixed[["size"]], mixed.rename(columns={"size": "length"}), mixed[mixed.columns[::-1]]):
        with pytest.raises(ValueError, match=r"expected the same in the same order. Select them"):
            figure(mixed, other)


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL)
def test_tables_without_rows_are_refused(mixed, figure):
    for pair in ((mixed, mixed[:0]), (mixed[:0], mixed)):
        with pytest.raises(ValueError, match="Got no rows in"):
            figure(*pair)


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL)
def test_other_bad_tables_are_refused(mixed, figure):
    with pytest.raises(ValueError, match="infinity"):
        figure(mixed, mixed.assign(size=np.inf))
    with pytest.raises(ValueError, match="where fit saw numbers"):
        figure(mixed, mixed.assign(size="long"))
    with pytest.raises(ValueError, match="LazyFrame"):
        figure(pl.from_pandas(mixed).lazy(), mixed)
    dates = mixed.assign(size=pd.Timestamp("2020-01-01"))
    with pytest.raises(ValueError, match="neither numbers nor categories"):
        figure(dates, dates)


@pytest.mark.parametrize("target", ["colour", 5, -6, True, None])
def test_an_unknown_target_is_refused(mixed, target):
    with pytest.raises(ValueError, match="which is no column; expected a position or one of"):
        train_on_synthetic_score(mixed, mixed, target)


def test_targets_that_tell_nothing_are_refused(mixed):
    for synthetic, real, words in (
        (mixed, mixed.assign(kind="a"), "a single value of 'kind'"),
        (mixed.assign(kind=None), mixed, "no row with a target in synthetic"),
        (mixed[["kind"]], mixed[["kind"]], "a table of one column"),
    ):
        with pytest.raises(ValueError, match=words):
            train_on_synthetic_score(synthetic, real, "kind")


def test_bad_settings_are_refused(mixed):
    for quantile in (0, 1, 1.5, "few", True, np.nan):
        with pytest.raises(ValueError, match="expected a number between 0 and 1"):
            near_copy_share(mixed, mixed, quantile=quantile)
    with pytest.raises(ValueError, match="sample_size=0"):
        near_copy_share(mixed, mixed, sample_size=0)
    with pytest.raises(ValueError, match="at least 2"):
        near_copy_share(mixed[:1], mixed)
    with pytest.raises(ValueError, match="categorical_features"):
        marginal_distances(mixed, mixed, categorical_features=["colour"])


def test_global_generators_are_left_alone(mixed):
    before = global_generators()
    near_copy_share(mixed, mixed, sample_size=10)
    train_on_synthetic_score(mixed, mixed, "flag")
    assert global_generators() == before
