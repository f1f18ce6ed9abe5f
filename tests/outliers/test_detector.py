"""The outlier detector: signs, threshold, what counts and what does not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from support import make_table
from toys import ae, detector, vae, with_gaps

from sklae import AEOutlierDetector
from sklae.networks import MLP

X = make_table(120, 5)
LINEAR = {"hidden_layer_sizes": (), "n_components": 2, "max_iter": 60, "learning_rate_init": 1e-2, "batch_size": 20}


@pytest.fixture(scope="module")
def fitted():
    return detector(**LINEAR).fit(X)


def planted():
    """Return a row that keeps each column's range and breaks the ties between columns."""
    correlation = np.corrcoef(X.T)
    tied = np.argsort(-np.abs(correlation - np.eye(5)).ravel())[0]
    i, j = divmod(tied, 5)
    row = X.mean(0)
    row[i] += 1.5 * X[:, i].std()
    row[j] -= 1.5 * np.sign(correlation[i, j]) * X[:, j].std()
    return row


# -- scikit-learn's signs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("contamination", ["auto", 0.1])
@pytest.mark.parametrize("anomaly_score", ["combined", pytest.param("reconstruction", marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [ae, pytest.param(vae, marks=pytest.mark.slow)])
def test_scores_decisions_and_labels_agree(make, contamination, anomaly_score):
    settings = {"contamination": contamination, "anomaly_score": anomaly_score, "random_state": 0}
    model = AEOutlierDetector(make(**LINEAR), **settings).fit(X)
    rows = np.vstack([X, planted(), X[:3] + 100.0])
    scores, decisions, labels = model.score_samples(rows), model.decision_function(rows), model.predict(rows)
    assert np.array_equal(decisions, scores - model.offset_)
    assert np.array_equal(labels, np.where(decisions < 0, -1, 1))
    assert set(labels) == {-1, 1}
    assert (scores <= 0).all()
    assert scores.dtype == decisions.dtype == np.float64
    assert labels.dtype.kind == "i"
    assert np.array_equal(clone(model).fit_predict(X), model.predict(X))


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.25, 0.5])
def test_contamination_is_the_share_of_training_rows_that_is_flagged(contamination):
    labels = detector(**LINEAR).set_params(contamination=contamination).fit_predict(X)
    assert abs(np.mean(labels == -1) - contamination) <= 1 / len(X)


def test_the_default_threshold_flags_few_rows_of_clean_data():
    clean = np.random.RandomState(0).normal(size=(300, 4))
    model = AEOutlierDetector(random_state=0).fit(clean)
    assert np.mean(model.predict(clean) == -1) < 0.1
    assert model.predict(clean[:5] + 50.0).tolist() == [-1] * 5


def test_a_planted_outlier_has_the_lowest_score(fitted):
    row = planted()
    assert (np.abs(row - X.mean(0)) < 2 * X.std(0)).all()  # no column gives it away
    assert fitted.score_samples(row[None]) < fitted.score_samples(X).min()
    assert fitted.predict(row[None]) == -1
    contaminated = np.vstack([X, row])
    refitted = clone(fitted).fit(contaminated)
    assert refitted.score_samples(contaminated).argmin() == len(X)


def test_scores_are_the_mean_squares_of_scaled_residuals(fitted):
    residuals = X - fitted.autoencoder_.reconstruct(X)
    np.testing.assert_allclose(fitted.residual_scale_, np.sqrt((residuals**2).mean(0)), rtol=1e-9)
    wanted = -((residuals / fitted.residual_scale_) ** 2).mean(1)
    np.testing.assert_allclose(fitted.score_samples(X), wanted, rtol=1e-9)
    np.testing.assert_allclose(wanted.mean(), -1.0, rtol=1e-9)


def test_scores_do_not_depend_on_the_units(fitted):
    units = np.array([1e-6, 1.0, 8.0, 1e3, 1e9])
    scores = clone(fitted).fit(X * units).score_samples(X * units)
    np.testing.assert_allclose(scores, fitted.score_samples(X), rtol=1e-3)


# -- columns and values that need care ----------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 7.0, -1e6])
def test_a_constant_column_counts_when_it_changes(level):
    table = np.column_stack([X, np.full(len(X), level)])
    model = detector(**LINEAR).fit(table)
    changed = table[:1].copy()
    changed[0, -1] += 0.1 * max(abs(level), 1.0)
    same_row, other = model.score_samples(np.vstack([table[:1], changed]))
    assert other < same_row
    assert model.predict(changed) == -1


def test_a_column_that_is_copied_perfectly_does_not_decide_alone():
    """Without a floor, its residuals of 1e-6 deviations would be the unit in which it counts."""
    table = make_table(120, 3)
    model = detector(**{**LINEAR, "n_components": 3, "max_iter": 300, "batch_size": 120}).fit(table)
    assert (model.residual_scale_ >= 1e-3 * table.std(0) * (1 - 1e-9)).all()


def test_gaps_do_not_count(fitted):
    rows = np.vstack([X[:20], X[:20]])
    rows[20:, 2] = np.nan
    scores = fitted.score_samples(rows)
    residuals = (rows[20:] - fitted.autoencoder_.reconstruct(rows)[20:]) / fitted.residual_scale_
    np.testing.assert_allclose(scores[20:], -np.nanmean(residuals**2, axis=1), rtol=1e-9)


def test_a_table_with_gaps_is_fitted_and_scored():
    table = with_gaps(X, 0.2)
    model = detector(**LINEAR).fit(table)
    assert np.isfinite(model.score_samples(table)).all()
    assert model.predict(planted()[None]) == -1


def test_a_row_without_any_value_is_no_outlier(fitted):
    empty = np.full((2, 5), np.nan)
    assert np.array_equal(fitted.score_samples(empty), [0.0, 0.0])
    assert fitted.predict(empty).tolist() == [1, 1]
    assert np.isfinite(fitted.transform(empty)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [ae, vae])
def test_the_absurd_is_never_normal(make, dtype):
    """A reconstruction that overflows is no gap."""
    model = AEOutlierDetector(make(**LINEAR), cv=2).fit(X.astype(dtype))
    largest = np.finfo(dtype).max
    rows = np.array([[-largest, largest, largest, -largest, largest], [largest, 0, 0, 0, np.nan], [1e30] * 5], dtype)
    scores = model.score_samples(rows)
    assert not np.isnan(scores).any()
    assert (scores < model.score_samples(X).min()).all()
    assert (model.predict(rows) == -1).all()


@pytest.mark.parametrize("make", [ae, vae])
def test_the_absurd_beside_gaps_is_never_normal(make):
    """What fills the gaps overflows, too."""
    model = AEOutlierDetector(make()).fit(X)
    largest = np.finfo(np.float64).max
    rows = np.array([[largest, -largest, np.nan, 0, 1], [-largest, np.nan, np.nan, np.nan, np.nan]])
    with np.errstate(all="ignore"):
        scores = model.score_samples(rows)
        contributions = model.explain(rows).to_numpy()
    assert (scores < model.score_samples(X).min()).all()
    assert model.predict(rows).tolist() == [-1, -1]
    np.testing.assert_allclose(contributions.sum(axis=1), -scores, rtol=1e-12)
    assert (contributions[np.isnan(rows)] == 0).all()


# -- the wrapped autoencoder --------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [None, ae(random_state=None), vae(random_state=None, max_iter=2)])
def test_the_wrappers_random_state_makes_it_reproducible(inner):
    one, again, other = (
        AEOutlierDetector(inner, cv=2, random_state=seed).fit(X[:40]).score_samples(X) for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)


def test_a_random_state_of_the_autoencoder_comes_first():
    one, other = (AEOutlierDetector(ae(random_state=3), random_state=seed, cv=None).fit(X) for seed in (0, 1))
    assert np.array_equal(one.autoencoder_.transform(X), other.autoencoder_.transform(X))
    assert np.array_equal(one.transform(X), ae(random_state=3).fit(X).transform(X))


def test_the_given_autoencoder_is_not_changed():
    given = ae(random_state=None)
    before = dict(vars(given))
    model = AEOutlierDetector(given, random_state=0).fit(X)
    assert vars(given) == before
    assert model.autoencoder is given
    assert model.autoencoder_ is not given


def test_nested_parameters_reach_the_autoencoder():
    model = AEOutlierDetector(ae()).set_params(autoencoder__n_components=3).fit(X)
    assert model.transform(X).shape == (len(X), 3)


@pytest.mark.parametrize(
    "params",
    [{"early_stopping": True}, {"corruption": "masking"}, {"network": MLP((4,), normalization="batch", dropout=0.1)}],
    ids=str,
)
def test_any_autoencoder_can_be_wrapped(params):
    model = detector(**params).fit(X)
    assert set(model.predict(np.vstack([X, X[:1] + 1e6]))) == {-1, 1}


def test_probabilities_are_compared_as_they_are():
    table = 1 / (1 + np.exp(-(X - X.mean(0))))
    model = detector(likelihood="bernoulli").set_params(cv=None).fit(table)
    residuals = (table - model.autoencoder_.reconstruct(table)) / model.residual_scale_
    np.testing.assert_allclose(model.score_samples(table), -(residuals**2).mean(1), rtol=1e-9)


# -- as a step of a pipeline --------------------------------------------------------------------------------


def test_transform_gives_the_codes_with_names(fitted):
    codes = fitted.transform(X)
    assert np.array_equal(codes, fitted.autoencoder_.transform(X))
    names = fitted.get_feature_names_out().tolist()
    assert names == ["aeoutlierdetector0", "aeoutlierdetector1"]
    table = pd.DataFrame(X, columns=list("abcde"))
    model = clone(fitted).set_output(transform="pandas")
    codes = model.fit_transform(table)
    assert list(codes.columns) == names
    assert np.array_equal(codes, model.autoencoder_.transform(table))


def test_it_feeds_a_pipeline_and_ends_one():
    feeding = make_pipeline(detector(), ae(n_components=1)).fit(X)
    assert feeding.transform(X).shape == (len(X), 1)
    ending = make_pipeline(ae(n_components=3), detector()).fit(X)
    assert ending.decision_function(X).shape == (len(X),)


def test_tags_and_verbs():
    tags = get_tags(AEOutlierDetector())
    assert tags.estimator_type == "outlier_detector"
    assert tags.input_tags.allow_nan
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    assert not hasattr(AEOutlierDetector(), "score")  # like scikit-learn's detectors
