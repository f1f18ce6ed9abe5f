"""Rows that count more or less to a detector: in its autoencoder, in what is usual, and where its threshold lies."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toys import hurry

from sklae import AEOutlierDetector, VAETransformer
from sklae._outliers.thresholds import by_share, fence

RNG = np.random.RandomState(0)
TABLE = pd.DataFrame(
    {
        "x": RNG.normal(size=80),
        "y": RNG.normal(size=80) ** 2,
        "kind": RNG.choice(list("abc"), 80),
        "z": RNG.normal(size=80),
    }
)
TABLE.loc[RNG.uniform(size=80) < 0.1, "x"] = np.nan
TABLE.loc[RNG.uniform(size=80) < 0.1, "kind"] = None
WEIGHTS = RNG.choice([0.0, 0.5, 3.0], 80)
KEPT = WEIGHTS > 0


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    hurry(monkeypatch)


def fitted(table, weights, **params):
    return AEOutlierDetector(random_state=0, **params).fit(table, sample_weight=weights)


def same_fit(first, second):
    assert first.offset_ == second.offset_
    np.testing.assert_array_equal(first.score_samples(TABLE), second.score_samples(TABLE))
    np.testing.assert_array_equal(first.p_values(TABLE), second.p_values(TABLE))


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"cv": None, "contamination": 0.2},
        {"validation_fraction": 0.3, "support_fraction": 1.0, "cv": 2},
        {"max_samples": 30, "support_fraction": 0.8, "cv": 2},
        {"anomaly_score": "reconstruction", "n_estimators": 2, "cv": 2},
        {"anomaly_score": "elbo", "autoencoder": VAETransformer(2, max_iter=2, early_stopping=False)},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "weights", [pytest.param(WEIGHTS, id="uneven"), pytest.param(KEPT * 2.0, id="even", marks=pytest.mark.slow)]
)
def test_a_row_of_weight_zero_is_absent(params, weights):
    table = TABLE.copy()
    table.loc[~KEPT, "y"] = 1e9
    first, second = fitted(table, weights, **params), fitted(table[KEPT], weights[KEPT], **params)
    same_fit(first, second)
    np.testing.assert_array_equal(first.left_out_, np.flatnonzero(KEPT)[second.left_out_])
    # of X all rows have a label, also those that don't count
    np.testing.assert_array_equal(first.labels_[KEPT], second.labels_)
    np.testing.assert_array_equal(first.labels_, first.predict(table))
    assert (first.labels_[~KEPT] == -1).all()


def test_only_ratios_of_weights_matter():
    plain, weighted = (fitted(TABLE, weights, cv=2) for weights in (None, WEIGHTS))
    same_fit(plain, fitted(TABLE, 3.0, cv=2))
    same_fit(weighted, fitted(TABLE, 8 * WEIGHTS, cv=2))
    assert not np.allclose(plain.score_samples(TABLE), weighted.score_samples(TABLE))


@pytest.mark.parametrize("score", ["mixture", "robust_covariance", "columns", "reconstruction"])
def test_what_counts_much_is_usual(score):
    rng = np.random.RandomState(0)
    X = np.vstack([rng.normal(size=(100, 2)), rng.normal(4.0, 0.3, size=(20, 2))])
    few = np.arange(120) >= 100
    ranks = []
    for times in (1.0, 50.0):
        model = AEOutlierDetector(anomaly_score=[score, "neighbors"], support_fraction=1.0, random_state=0)
        model.fit(X, sample_weight=np.where(few, times, 1.0))
        part = model._joint.parts[0]
        surprise = part.surprise(model._joint.see(X))
        ranks.append(np.argsort(np.argsort(surprise))[few].mean())
    assert ranks[1] < ranks[0]


def test_contamination_is_a_share_of_the_weight():
    model = fitted(TABLE, WEIGHTS, contamination=0.2)
    flagged = model.labels_ == -1
    assert WEIGHTS[flagged].sum() / WEIGHTS.sum() == pytest.approx(0.2, abs=3.0 / WEIGHTS.sum())
    model.set_threshold(contamination=0.4)
    assert WEIGHTS[model.labels_ == -1].sum() / WEIGHTS.sum() == pytest.approx(0.4, abs=3.0 / WEIGHTS.sum())


@settings(max_examples=50)
@given(st.lists(st.floats(-100, 0), min_size=1, max_size=30), st.floats(0.01, 0.5), st.floats(0.1, 10))
def test_thresholds_of_equal_weights_are_those_of_none(scores, share, weight):
    scores, weights = np.array(scores), np.full(len(scores), weight)
    assert by_share(scores, share, weights) == pytest.approx(by_share(scores, share), abs=1e-9)
    assert fence(scores, weights) == pytest.approx(fence(scores), abs=1e-9)


def test_bad_weights_are_refused_before_any_work():
    model = AEOutlierDetector()
    with pytest.raises(ValueError, match="Got sample_weight with -1; expected one finite number"):
        model.fit(TABLE, sample_weight=-WEIGHTS.clip(0, 1))
    assert not hasattr(model, "n_features_in_")


def test_weights_are_routed_and_reach_fit_predict():
    X = TABLE[["y", "z"]].to_numpy()
    scaled = StandardScaler().fit_transform(X)
    direct = fitted(scaled, WEIGHTS)
    with config_context(enable_metadata_routing=True):
        asked = AEOutlierDetector(random_state=0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asked)
        pipeline.fit(X, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline.score_samples(X), direct.score_samples(scaled))
    labels = AEOutlierDetector(random_state=0).fit_predict(scaled, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(labels, direct.labels_)
