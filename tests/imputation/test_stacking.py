"""Weights of models by held-out cells, what is possible in a column, and random numbers that rows have."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kstest

from sklae import AEImputer
from sklae._imputation.account import Account
from sklae._imputation.stacking import Stack, energy_weights
from sklae._imputation.support import Support
from sklae._imputation.views import NormalScores
from sklae._linear.gaps import GappyRows
from sklae._linear.mixture import LevelRows, Mixture
from sklae._linear.normal import Normal
from sklae._tables.indicators import Cells
from sklae._utils.random import RowUniforms

# -- weights --------------------------------------------------------------------------------------------


def stacked(truth, *given, n_levels=(0, 0)):
    cells = Cells(np.array(n_levels))
    return Stack(cells).fit(truth, given, list("abcd")[: len(n_levels)], [f"model {i}" for i in range(len(given))])


def test_weights_are_those_that_err_least_on_held_out_cells():
    rng = np.random.RandomState(0)
    truth = rng.normal(size=(6000, 2))
    given = [truth + rng.normal(size=truth.shape) * scale for scale in ([0.5, 1.0], [1.0, 0.5], [0.8, 0.8])]
    stack = stacked(truth, *given)
    assert list(stack.used) == [0, 1, 2]
    for j in range(2):

        def error(w, j=j):
            w = np.abs(w) / np.abs(w).sum()
            return np.mean((truth[:, j] - sum(a * one[:, j] for a, one in zip(w, given, strict=True))) ** 2)

        best = minimize(error, np.full(3, 1 / 3), method="Nelder-Mead").fun
        assert error(stack.weights[j]) < 1.02 * best
    joined = stack(given)
    np.testing.assert_allclose(stack.account.error, np.sqrt(((joined - truth) ** 2).mean(axis=0)))
    np.testing.assert_allclose(stack.account.linear_error, np.sqrt(((given[0] - truth) ** 2).mean(axis=0)))
    assert (stack.account.error < stack.account.errors.min(axis=1)).all()


def test_what_does_not_help_is_left_out():
    rng = np.random.RandomState(0)
    truth, noise = rng.normal(size=(2, 2000, 2))
    stack = stacked(truth, 0.9 * truth, 5.0 * noise)
    assert list(stack.used) == [0]
    assert stack.account.parts == ["model 0"]
    assert np.array_equal(stack([0.9 * truth]), 0.9 * truth)


def test_what_helps_in_one_column_is_used_there():
    rng = np.random.RandomState(0)
    truth, noise = rng.normal(size=(2, 4000, 2))
    first = np.column_stack([truth[:, 0], noise[:, 1]])
    second = np.column_stack([noise[:, 0], truth[:, 1]])
    weights = stacked(truth, first, second).weights
    assert (weights.argmax(axis=1) == [0, 1]).all()
    assert weights.max(axis=1).min() > 0.85


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_models_that_are_all_far_off_have_weights():
    truth = np.random.RandomState(0).normal(size=(60, 2))
    draws = [1e9 + np.random.RandomState(i).normal(size=(4, 60, 2)) for i in (1, 2)]
    weights = energy_weights(Cells(np.array([0, 0])), truth, draws, np.array([1, 1]))
    assert weights.sum() == pytest.approx(1.0)


def test_few_held_out_cells_say_nothing():
    truth = np.random.RandomState(0).normal(size=(10, 2))
    stack = stacked(truth, np.zeros_like(truth), truth)
    assert list(stack.used) == [0]


def test_cells_that_were_not_held_out_do_not_count():
    rng = np.random.RandomState(0)
    truth, noise = rng.normal(size=(2, 2000, 2))
    hidden = np.where(rng.uniform(size=truth.shape) < 0.2, truth, np.nan)
    first, second = 0.5 * truth, truth + noise
    wanted = stacked(hidden, first, second).weights
    elsewhere = np.where(np.isnan(hidden), 1e3, second)
    np.testing.assert_array_equal(stacked(hidden, first, elsewhere).weights, wanted)


@pytest.mark.parametrize("right", [True, False])
def test_levels_are_weighed_by_how_likely_they_were_thought(right):
    codes = np.random.RandomState(0).randint(3, size=2000)
    truth, even = np.eye(3)[codes], np.full((2000, 3), 1 / 3)
    model = 0.9 * np.eye(3)[codes if right else (codes + 1) % 3] + 0.1 / 3
    stack = stacked(truth, even, model, n_levels=(3,))
    assert list(stack.used) == [1 if right else 0]
    expected = -np.log(0.9 + 0.1 / 3) if right else np.log(3)
    assert stack.account.error[0] == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(stack([model]).sum(axis=1), 1.0)


def test_an_account_adds_up():
    account = Account(
        ["long name", "b", "<c>"],
        ["normal", "2 normals"],
        weights=np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),
        n_cells=np.array([10, 20, 0]),
        errors=np.array([[1.0, 1.2], [0.8, 0.7], [np.nan, np.nan]]),
        error=np.array([1.0, 0.6, np.nan]),
        linear_error=np.array([1.0, 0.8, np.nan]),
    )
    assert account.kept == pytest.approx(2 / 3)
    assert account.gain == pytest.approx(0.125)  # the mean of 0 and a quarter
    head, *table = str(account).splitlines()
    assert head == (
        "2 models have a say; on 30 held-out cells errors are 12.5 % below those of a single normal distribution."
    )
    assert [line.split()[-5:] for line in table[1:3]] == [
        ["10", "1.000", "1.000", "1.00", "0.00"],
        ["20", "0.800", "0.600", "0.50", "0.50"],
    ]
    assert len({len(line) for line in table}) == 1
    page = account._repr_html_()
    assert page.count("<tr>") == 4
    assert "&lt;c&gt;" in page
    assert "<c>" not in page


# -- views ----------------------------------------------------------------------------------------------


def test_scores_go_back_to_the_values():
    rng = np.random.RandomState(0)
    X = np.column_stack([np.exp(rng.normal(size=400)), np.round(rng.normal(size=400))])
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    view = NormalScores.fit(X, np.arange(2))
    seen = view.see(X)
    assert np.array_equal(np.isnan(seen), np.isnan(X))
    np.testing.assert_allclose(view.back(seen, np.arange(2)), X)
    assert abs(np.nanmean(seen[:, 0])) < 1e-6
    assert np.nanstd(seen[:, 0]) == pytest.approx(1.0, abs=0.02)


def test_expected_values_are_expectations_of_values_not_values_of_expectations():
    """The column is log-normal, and says nothing of the other: its expectation is its mean, not its median."""
    rng = np.random.RandomState(0)
    X = np.column_stack([np.exp(rng.normal(size=20_000)), rng.normal(size=20_000)])
    view = NormalScores.fit(X, np.arange(2))
    normal = Normal.fit(view.see(X))
    row = np.array([[np.nan, 0.3]])
    seen = GappyRows(view.see(row))
    found = Mixture(np.ones(1), [normal], []).expect(LevelRows(seen, []))
    filled = view.expect(found, seen.missing, np.arange(2))
    assert filled[0, 0] == pytest.approx(X[:, 0].mean(), rel=0.05)
    assert view.back(found.mean(), np.arange(2))[0, 0] == pytest.approx(1.0, abs=0.05)


# -- what is possible -----------------------------------------------------------------------------------


def test_fills_lie_within_a_range_of_what_was_seen():
    table = np.array([[0.0, -4.0, -1.0], [10.0, -2.0, 1.0]])
    support = Support(table, Cells(np.zeros(3, int)), np.full(3, -np.inf), np.full(3, np.inf), np.zeros(3, bool))
    wild = np.array([[-50.0, -50.0, -50.0], [50.0, 50.0, 50.0]])
    assert np.array_equal(support.limit(wild), [[0.0, -6.0, -3.0], [20.0, -2.0, 3.0]])
    assert np.array_equal(support.snap(wild), [[0.0, -4.0, -1.0], [10.0, -2.0, 1.0]])
    assert np.array_equal(support.snap(np.array([[4.9, -3.1, 0.0]])), [[0.0, -4.0, -1.0]])


@pytest.mark.parametrize("draws", [False, True])
def test_limits_of_the_users_hold(draws):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 3)) * [1.0, 5.0, 2.0]
    X[:, 2] = np.exp(X[:, 2])
    gaps = rng.uniform(size=X.shape) < 0.3
    limits = {"min_value": [-0.5, -3.0, 0.2], "max_value": [0.5, 4.0, 2.0]}
    filled = AEImputer(sample_posterior=draws, random_state=0, **limits).fit_transform(np.where(gaps, np.nan, X))
    for j in range(3):
        own = filled[gaps[:, j], j]
        assert own.min() >= limits["min_value"][j]
        assert own.max() <= limits["max_value"][j]
    assert np.array_equal(filled[~gaps], X[~gaps])


BAD_LIMITS = {
    "another number of them": ({"min_value": [0.0, 1.0]}, r"Got min_value of shape \(2,\); expected a number, or one"),
    "turned around": ({"min_value": 2.0, "max_value": 1.0}, "Got min_value=2 and max_value=1 for column 0"),
    "text": ({"max_value": "high"}, "The 'max_value' parameter"),
}


@pytest.mark.parametrize("name", BAD_LIMITS)
def test_bad_limits_are_refused(name):
    params, match = BAD_LIMITS[name]
    with pytest.raises(ValueError, match=match):
        AEImputer(**params).fit(np.random.RandomState(0).normal(size=(20, 3)))


# -- numbers of a row -----------------------------------------------------------------------------------


def test_rows_have_random_numbers_of_their_own():
    table = np.random.RandomState(0).normal(size=(5000, 3))
    table[::7, 1] = np.nan
    numbers = RowUniforms(table, 0, 0)
    drawn = np.column_stack([numbers.draw(2), numbers.draw(3)])
    for column in drawn.T:
        assert kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.05
    order = np.random.RandomState(1).permutation(5000)
    np.testing.assert_array_equal(RowUniforms(table[order], 0, 0).draw(5), drawn[order])
    np.testing.assert_array_equal(RowUniforms(table[4:5], 0, 0).draw(5), drawn[4:5])
    for seed, stream in ((1, 0), (0, 1)):
        assert not np.isin(RowUniforms(table, seed, stream).draw(5), drawn).any()


def test_equal_rows_have_different_numbers():
    drawn = RowUniforms(np.zeros((1000, 2)), 0, 0).draw(1)
    assert len(np.unique(drawn)) == 1000
    assert kstest(drawn[:, 0], "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(RowUniforms(-np.zeros((1000, 2)), 0, 0).draw(1), drawn)


def test_draws_of_a_row_do_not_depend_on_its_place():
    rng = np.random.RandomState(0)
    X = np.where(rng.uniform(size=(120, 3)) < 0.3, np.nan, rng.normal(size=(120, 3)))
    imputer = AEImputer(n_imputations=2, random_state=0).fit(X)
    order = rng.permutation(120)
    for draw, moved in zip(imputer.transform(X), imputer.transform(X[order]), strict=True):
        np.testing.assert_array_equal(moved, draw[order])


def test_draws_differ_by_models_too():
    """Of a small table, the mean of a column with gaps differs from draw to draw by more than cells do."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 2))
    gaps = np.column_stack([np.zeros(40, bool), np.arange(40) < 20])
    gappy = np.where(gaps, np.nan, X)
    together = AEImputer(n_imputations=200, random_state=0).fit(gappy)
    after = AEImputer(random_state=0).fit(gappy).set_params(n_imputations=200)
    means = [np.std([one[:20, 1].mean() for one in imputer.transform(gappy)]) for imputer in (together, after)]
    assert means[0] > 1.2 * means[1]
