"""Rows that count more or less: in scaling, start, loss, held-out rows, densities of codes and scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklae import AutoencoderTransformer, VAETransformer
from sklae._model.objective import weighted
from sklae.critics import DataCritic
from sklae.likelihoods import Gaussian

TRANSFORMERS = [AutoencoderTransformer, VAETransformer]
QUICK = {"n_components": 2, "max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}
AT_START = {"max_iter": 1, "learning_rate_init": 1e-12, "early_stopping": False, "random_state": 0}


def mixed_table(n=60, seed=0):
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "y": rng.normal(size=n) ** 2, "kind": rng.choice(list("abc"), n)})
    frame["z"] = frame.x + rng.normal(scale=0.1, size=n)
    frame.loc[rng.uniform(size=n) < 0.1, "x"] = np.nan
    frame.loc[rng.uniform(size=n) < 0.1, "kind"] = None
    return frame


TABLE = mixed_table()
WEIGHTS = np.random.RandomState(1).choice([0.0, 0.5, 3.0], len(TABLE))
KEPT = WEIGHTS > 0


def fitted(estimator, table, weights, **params):
    return estimator(**{**QUICK, **params}).fit(table, sample_weight=weights)


def same_fit(first, second):
    np.testing.assert_array_equal(first.transform(TABLE), second.transform(TABLE))
    assert first.loss_curve_ == second.loss_curve_
    np.testing.assert_array_equal(first.score_samples(TABLE), second.score_samples(TABLE))


@pytest.mark.parametrize("estimator", TRANSFORMERS)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"condition_features": ["z"]},
        {"likelihood": "auto", "sample_from": "aggregate"},
        {"early_stopping": False, "solver": "sgd"},
        {"clip": 2.0, "standardize": "global"},
    ],
    ids=str,
)
def test_a_row_of_weight_zero_is_absent(estimator, params):
    table = TABLE.copy()
    table.loc[~KEPT, "kind"] = "seen nowhere else"
    table.loc[~KEPT, "x"] = 1e9
    weighted_fit = fitted(estimator, table, WEIGHTS, **params)
    absent = fitted(estimator, table[KEPT], WEIGHTS[KEPT], **params)
    same_fit(weighted_fit, absent)
    if "sample_from" in params:
        assert weighted_fit.sample(5, random_state=0).equals(absent.sample(5, random_state=0))


@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_only_ratios_of_weights_matter(estimator):
    same_fit(fitted(estimator, TABLE, None), fitted(estimator, TABLE, 3.0))
    same_fit(fitted(estimator, TABLE, None), fitted(estimator, TABLE, np.full(len(TABLE), 0.1)))
    same_fit(fitted(estimator, TABLE, WEIGHTS), fitted(estimator, TABLE, 8 * WEIGHTS))
    other = fitted(estimator, TABLE, None).transform(TABLE)
    assert not np.allclose(fitted(estimator, TABLE, WEIGHTS).transform(TABLE), other)


@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_heavy_rows_are_rebuilt_better(estimator):
    rng = np.random.RandomState(0)
    # two lines that cross: one component can follow one of them
    t = rng.normal(size=(200, 1))
    lines = np.vstack([t[:100] * [1.0, 1.0], t[100:] * [1.0, -1.0]]) + 0.05 * rng.normal(size=(200, 2))
    first = np.arange(200) < 100
    for heavy in (first, ~first):
        model = estimator(1, max_iter=20, random_state=0).fit(lines, sample_weight=np.where(heavy, 20.0, 1.0))
        missed = ((model.reconstruct(lines) - lines) ** 2).sum(axis=1)
        assert missed[heavy].mean() < 0.3 * missed[~heavy].mean()


def test_batches_of_weighted_rows_estimate_the_weighted_mean():
    """Summed over batches, products of losses and weights are the weighted mean of all rows, whatever the batches."""
    losses, weights = torch.arange(6.0), torch.tensor([0.0, 3.0, 1.0, 1.0, 0.5, 0.5])
    terms = [
        weighted({"rows": losses[part], "batch": torch.tensor(2.0)}, weights[part]) for part in (slice(4), slice(4, 6))
    ]
    total = sum(term["rows"].sum() for term in terms) / 6
    assert total.item() == pytest.approx(np.average(losses.numpy(), weights=weights.numpy()))
    assert all(term["batch"].item() == 2.0 for term in terms)


@pytest.mark.parametrize("params", [{"capacity": 50.0}, {"free_bits": 100.0}], ids=str)
def test_allowances_are_of_the_weighted_mean(params):
    """What is added to the KL term is measured from the same mean: a light row gains nothing by telling more."""
    model = VAETransformer(2, **AT_START, batch_size=len(TABLE), **params).fit(TABLE, sample_weight=WEIGHTS)
    epoch = model.net_.history[-1]
    expected = 50.0 - epoch["train_kl"] if "capacity" in params else 200.0
    assert epoch["train_kl"] + epoch[f"train_{next(iter(params))}"] == pytest.approx(expected, rel=1e-5)


def test_histories_hold_weighted_means():
    model = AutoencoderTransformer(1, **AT_START).fit(TABLE[["y", "z"]], sample_weight=WEIGHTS)
    kept = TABLE[["y", "z"]][KEPT]
    encoded = model.layout_.encode(kept.to_numpy()).x.numpy()
    rebuilt = model.layout_.encode(model.reconstruct(kept).to_numpy()).x.numpy()
    losses = 0.5 * ((encoded - rebuilt) ** 2).sum(axis=1)
    assert losses.mean() > 0.1
    assert model.loss_curve_[0] == pytest.approx(np.average(losses, weights=WEIGHTS[KEPT]), abs=1e-6)
    y, z = (np.average(kept[name], weights=WEIGHTS[KEPT]) for name in ("y", "z"))
    np.testing.assert_allclose(model.layout_.mean, [y, z])


def test_held_out_rows_are_weighed():
    """Where rows that count nearly nothing are the only ones to get worse, epochs are compared by the others."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100, 3))
    weights = np.where(np.arange(100) < 50, 1.0, 1e-6)
    both = [
        VAETransformer(1, random_state=0, max_iter=3, validation_fraction=0.3).fit(table, sample_weight=weights)
        for table in (X, np.where(np.arange(100)[:, None] < 50, X, X[::-1]))
    ]
    np.testing.assert_allclose(*[model.validation_scores_ for model in both], rtol=1e-3)


@pytest.mark.parametrize("has_gaps", [False, True])
@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_the_linear_start_of_weighted_rows_is_that_of_repeated_ones(estimator, has_gaps):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(300, 4))
    if has_gaps:
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    counts = rng.randint(4, size=300)
    params = {**AT_START, "n_components": 2}
    if estimator is VAETransformer:
        params |= {"prior": "normal", "likelihood": Gaussian("per_feature")}
    weighted_fit = estimator(**params).fit(X, sample_weight=counts)
    repeated = estimator(**params).fit(np.repeat(X, counts, axis=0))
    # inputs are float32: means and products of the same numbers, summed in another order
    np.testing.assert_allclose(weighted_fit.transform(X), repeated.transform(X), atol=1e-5)
    np.testing.assert_allclose(weighted_fit.score(X), repeated.score(X), atol=1e-5)
    if estimator is AutoencoderTransformer and not has_gaps:
        standard = StandardScaler().fit(X, sample_weight=counts)
        rows = np.repeat(standard.transform(X), counts, axis=0)
        expected = standard.inverse_transform(PCA(2).fit(rows).inverse_transform(PCA(2).fit(rows).transform(rows)))
        np.testing.assert_allclose(weighted_fit.reconstruct(np.repeat(X, counts, axis=0)), expected, atol=1e-5)


def test_integer_weights_are_repetitions_for_a_solver_of_all_rows():
    rng = np.random.RandomState(0)
    X = np.tanh(rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))) + 0.1 * rng.normal(size=(60, 5))
    counts = rng.randint(4, size=60)
    params = {"solver": "lbfgs", "early_stopping": False, "hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    weighted_fit = AutoencoderTransformer(2, **params).fit(X, sample_weight=counts)
    repeated = AutoencoderTransformer(2, **params).fit(np.repeat(X, counts, axis=0))
    assert weighted_fit.loss_curve_ == pytest.approx(repeated.loss_curve_, rel=1e-3)
    np.testing.assert_allclose(weighted_fit.transform(X), repeated.transform(X), atol=0.02)
    unweighted = AutoencoderTransformer(2, **params).fit(X)
    assert np.abs(unweighted.transform(X) - repeated.transform(X)).max() > 0.1


def test_pairs_stay_pairs():
    rng = np.random.RandomState(0)
    clean = rng.normal(size=(60, 3))
    noisy = clean + rng.normal(size=clean.shape)
    first = AutoencoderTransformer(**QUICK).fit(noisy, sample_weight=WEIGHTS, X_clean=clean)
    second = AutoencoderTransformer(**QUICK).fit(noisy[KEPT], sample_weight=WEIGHTS[KEPT], X_clean=clean[KEPT])
    np.testing.assert_array_equal(first.transform(noisy), second.transform(noisy))
    with pytest.raises(ValueError, match="Got 59 rows in X_clean and 60 weights; expected as many"):
        AutoencoderTransformer(**QUICK).fit(noisy, sample_weight=WEIGHTS, X_clean=clean[:-1])
    given = AutoencoderTransformer(**QUICK).fit(noisy, sample_weight=WEIGHTS, X_val=clean)
    assert len(given.validation_scores_) == 2


@pytest.mark.parametrize("sample_from", ["aggregate", KernelDensity(bandwidth=0.1)])
def test_densities_of_codes_are_weighted(sample_from):
    X = np.vstack([np.random.RandomState(0).normal(m, 0.1, size=(50, 2)) for m in (-3.0, 3.0)])
    weights = np.where(np.arange(100) < 50, 9.0, 1.0)
    model = AutoencoderTransformer(1, sample_from=sample_from, max_iter=1, random_state=0, n_iter_no_change=np.inf)
    drawn = model.fit(X, sample_weight=weights).sample(1_000, random_state=0)
    assert (drawn[:, 0] < 0).mean() == pytest.approx(0.9, abs=0.06)


def test_a_prior_starts_from_codes_as_often_as_they_count():
    X = np.vstack([np.random.RandomState(0).normal(m, 0.3, size=(100, 2)) for m in (-3.0, 3.0)])
    weights = np.where(np.arange(200) < 100, 9.0, 1.0)
    model = VAETransformer(1, **AT_START).fit(X, sample_weight=weights)
    assert (model.sample(2_000, random_state=0)[:, 0] < 0).mean() == pytest.approx(0.9, abs=0.04)


def test_partial_fit_and_warm_start_take_weights():
    weights = WEIGHTS[KEPT]
    first, second = (AutoencoderTransformer(**QUICK) for _ in range(2))
    for _ in range(2):
        first.partial_fit(TABLE, sample_weight=WEIGHTS)
        second.partial_fit(TABLE[KEPT], sample_weight=weights)
    same_fit(first, second)
    warm = [AutoencoderTransformer(**QUICK, warm_start=True).fit(TABLE) for _ in range(2)]
    warm[0].fit(TABLE, sample_weight=WEIGHTS)
    warm[1].fit(TABLE[KEPT], sample_weight=weights)
    same_fit(*warm)


def test_an_opponent_learns_from_weighted_rows():
    params = {"critic": DataCritic((4,), n_outputs=2), "early_stopping": False}
    first, second = (
        fitted(VAETransformer, TABLE, WEIGHTS, **params),
        fitted(VAETransformer, TABLE, KEPT * 1.0, **params),
    )
    assert first.net_.history[-1]["train_critic"] != second.net_.history[-1]["train_critic"]
    same_fit(first, fitted(VAETransformer, TABLE[KEPT], WEIGHTS[KEPT], **params))


def test_batches_of_ones_own_know_no_weights():
    model = AutoencoderTransformer(**QUICK, net_params={"iterator_train": torch.utils.data.DataLoader})
    with pytest.raises(
        ValueError, match=r"Got sample_weight with net_params of \['iterator_train'\], .*expected sklae"
    ):
        model.fit(TABLE[["y", "z"]], sample_weight=WEIGHTS)
    assert not hasattr(model, "net_")


@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_scores_are_weighted_means(estimator):
    model = fitted(estimator, TABLE, None)
    scores = model.score_samples(TABLE)
    assert model.score(TABLE) == scores.mean()
    assert model.score(TABLE, None, WEIGHTS) == pytest.approx(np.average(scores, weights=WEIGHTS))
    with pytest.raises(ValueError, match=r"Got sample_weight that can't be used \(.*shape == \(3,\)"):
        model.score(TABLE, sample_weight=np.ones(3))


@pytest.mark.parametrize("estimator", TRANSFORMERS)
def test_weights_are_routed(estimator):
    X = TABLE[["y", "z"]].to_numpy()
    with config_context(enable_metadata_routing=True):
        asked = estimator(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asked)
        pipeline.fit(X, sample_weight=WEIGHTS)
        standard = StandardScaler().fit_transform(X)
        direct = fitted(estimator, standard, WEIGHTS)
        np.testing.assert_array_equal(pipeline.transform(X), direct.transform(standard))
        search = GridSearchCV(asked, {"n_components": [1, 2]}, cv=[(np.arange(40), np.arange(40, 60))])
        search.fit(X, sample_weight=WEIGHTS)
        best = clone(search.best_estimator_).fit(X[:40], sample_weight=WEIGHTS[:40])
        assert search.best_score_ == pytest.approx(best.score(X[40:], sample_weight=WEIGHTS[40:]))
