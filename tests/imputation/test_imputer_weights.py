"""Rows that count more or less to an imputer: in its models, and in the errors by which these are chosen."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from toys import hurry

from sklae import AEImputer, AutoencoderTransformer, VAETransformer
from sklae._imputation.stacking import Stack, energy_weights
from sklae._linear.gappy_factors import GappyFactors
from sklae._linear.gaps import GappyRows
from sklae._linear.mixture import LevelRows, Mixture, Prior
from sklae._linear.normal import Normal
from sklae._tables.columns import Columns
from sklae._tables.indicators import Cells, Space

RNG = np.random.RandomState(0)
TABLE = pd.DataFrame({"x": RNG.normal(size=90), "kind": RNG.choice(list("abc"), 90)})
TABLE["y"] = 2 * TABLE.x + RNG.normal(size=90)
TABLE["z"] = TABLE.x - TABLE.y + RNG.normal(size=90)
TABLE = TABLE.mask(RNG.uniform(size=TABLE.shape) < 0.15)
WEIGHTS = RNG.choice([0.0, 0.5, 3.0], 90)
KEPT = WEIGHTS > 0
QUICK = {"max_iter": 2, "random_state": 0}


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    hurry(monkeypatch)


def filled(imputer, table, weights, **params):
    found = AEImputer(imputer, random_state=0, **params).fit(table, sample_weight=weights).transform(TABLE)
    return found if isinstance(found, tuple) else (found,)


def same(first, second):
    return all(a.equals(b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_imputations": 2},
        {"imputer": "vae"},
        {"imputer": VAETransformer(2, **QUICK), "add_indicator": True},
        {"imputer": AutoencoderTransformer(2, **QUICK), "linear_start": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("weights", [WEIGHTS, KEPT * 2.0], ids=["uneven", "even"])
def test_a_row_of_weight_zero_is_absent(settings, weights):
    settings = {"imputer": None, **settings}
    table = TABLE.copy()
    table.loc[~KEPT, "y"] = 1e9
    absent = filled(table=table[KEPT], weights=weights[KEPT], **settings)
    assert same(filled(table=table, weights=weights, **settings), absent)


def test_only_ratios_of_weights_matter():
    assert same(filled(None, TABLE, None), filled(None, TABLE, 3.0))
    assert same(filled(None, TABLE, WEIGHTS), filled(None, TABLE, 8 * WEIGHTS))
    assert not same(filled(None, TABLE, None), filled(None, TABLE, WEIGHTS))


@pytest.mark.parametrize(
    "imputer",
    [None, "vae", pytest.param(VAETransformer(1, random_state=0), marks=pytest.mark.slow)],
    ids=["mixtures", "vae", "own"],
)
def test_heavy_rows_are_filled_better(imputer):
    rng = np.random.RandomState(0)
    x = rng.normal(size=200)
    up = np.arange(200) < 100
    y = np.where(up, x, -x) + 0.1 * rng.normal(size=200)
    X = np.column_stack([x, y])
    for heavy in (up, ~up):
        model = AEImputer(imputer, random_state=0).fit(X, sample_weight=np.where(heavy, 20.0, 1.0))
        found = model.transform(np.column_stack([[-1.0, 1.0], [np.nan, np.nan]]))[:, 1]
        assert (np.sign(found[1] - found[0]) > 0) == heavy[0]


def test_models_of_weighted_rows_are_those_of_repeated_ones():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 4))
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    levels = np.eye(3)[rng.randint(3, size=80)]
    counts = rng.randint(1, 4, size=80)
    weighted = LevelRows(GappyRows(X), [levels], counts / counts.mean())
    repeated = LevelRows(GappyRows(np.repeat(X, counts, axis=0)), [np.repeat(levels, counts, axis=0)])
    normals = [Normal.fit(rows.numbers, weights=rows.weights) for rows in (weighted, repeated)]
    np.testing.assert_allclose(normals[0].mean, normals[1].mean, atol=1e-8)
    np.testing.assert_allclose(normals[0].covariance, normals[1].covariance, atol=1e-8)
    factors = [GappyFactors.fit(rows, 2, 20) for rows in (weighted, repeated)]
    np.testing.assert_allclose(factors[0].mean, factors[1].mean, atol=1e-2)
    ones = [Mixture.of_one(normals[0], rows) for rows in (weighted, repeated)]
    np.testing.assert_allclose(ones[0].levels[0], ones[1].levels[0], rtol=1e-12)
    # a prior of one row is as much of the weighted ones, whose weights add up to their number
    prior = Prior(normals[0], 0.01, np.full(4, 1e-6))
    starts = [Mixture.grouped(2, normals[0], weighted, prior, 0)] * 2
    scaled = weighted._replace(weights=counts.astype(float))
    mixtures = [start.refined(rows, prior, 5) for start, rows in zip(starts, (scaled, repeated), strict=True)]
    np.testing.assert_allclose(mixtures[0].weights, mixtures[1].weights, atol=1e-8)
    np.testing.assert_allclose(mixtures[0].normals[1].covariance, mixtures[1].normals[1].covariance, atol=1e-8)


def test_errors_on_held_out_cells_are_weighted():
    """Of two models, each right on its half of the rows, the one of the heavy half is believed."""
    rng = np.random.RandomState(0)
    truth = np.column_stack([rng.normal(size=400), np.eye(2)[rng.randint(2, size=400)]])
    first = np.arange(400) < 200
    off = np.column_stack([truth[:, 0] + rng.normal(size=400), 1.0 - truth[:, 1:]])
    given = [np.where(first[:, None], truth, off), np.where(first[:, None], off, truth)]
    cells = Cells(np.array([0, 2]))
    for heavy, best in ((first, 0), (~first, 1)):
        counts = np.where(heavy, 1.9, 0.1)
        stack = Stack(cells).fit(truth, given, ["number", "kind"], ["one", "other"], counts)
        assert (stack.weights[:, list(stack.used).index(best)] > 0.85).all()
        assert stack.account.errors[0, list(stack.used).index(best)] < 0.3
        codes = cells.collapse(truth)
        draws = [np.stack([cells.collapse(one)] * 4) for one in given]
        assert energy_weights(cells, codes, draws, np.ones(2), counts)[best] > 0.85


def test_units_of_columns_are_weighted():
    table = np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 1.0]])
    space = Space(Columns.fit(table), table, np.array([0.5, 1.5, 1.0]))
    values, weights = [1.0, 2.0, 4.0], [0.5, 1.5, 1.0]
    mean = np.average(values, weights=weights)
    deviation = np.sqrt(np.average((np.array(values) - mean) ** 2, weights=weights))
    np.testing.assert_allclose(space.mean, [mean, (2.5 + 1.0) / 1.5])
    assert space.deviation[0] == pytest.approx(deviation)


def test_bad_weights_are_refused_before_any_work():
    imputer = AEImputer()
    with pytest.raises(ValueError, match="Got sample_weight with -1; expected one finite number"):
        imputer.fit(TABLE, sample_weight=-WEIGHTS.clip(0, 1))
    assert not hasattr(imputer, "n_features_in_")


def test_weights_are_routed():
    X = TABLE[["x", "y", "z"]].to_numpy()
    direct = AEImputer(random_state=0).fit(X, sample_weight=WEIGHTS).transform(X)
    with config_context(enable_metadata_routing=True):
        asked = AEImputer(random_state=0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(), asked).fit(X, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline.transform(X), direct)
