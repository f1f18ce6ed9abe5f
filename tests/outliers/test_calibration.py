"""Rows that were fitted are judged as if left out: what a threshold means of them, it means of new ones."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.model_selection import train_test_split
from support import make_table
from toys import ae

from sklae import AEOutlierDetector
from sklae._outliers.calibration import KnownRows
from sklae._outliers.folds import make_folds

X = make_table(150, 5)


@pytest.fixture(scope="module")
def of_all_defaults():
    return AEOutlierDetector(random_state=0).fit(X)


@pytest.fixture
def detector(of_all_defaults):
    """One of all defaults, fitted to X, for a test to do with as it likes."""
    return copy.deepcopy(of_all_defaults)


def share_flagged(X, **params):
    """Return which share of new rows, and of those that were fitted, is flagged."""
    train, new = train_test_split(X, test_size=0.5, random_state=0)
    detector = AEOutlierDetector(random_state=0, **params).fit(train)
    return (detector.predict(new) == -1).mean(), (detector.predict(train) == -1).mean()


@pytest.mark.parametrize("contamination", [0.05, "auto"])
@pytest.mark.parametrize(
    "table",
    [load_wine().data, load_breast_cancer().data[:200], np.random.RandomState(0).normal(size=(196, 18))],
    ids=["wine", "breast_cancer", "noise"],
)
def test_new_normal_rows_are_not_outliers(table, contamination):
    new, fitted = share_flagged(table, contamination=contamination)
    assert new <= 0.15
    assert fitted <= 0.12


def test_judged_by_what_was_fitted_to_them_rows_look_too_usual():
    table = np.random.RandomState(0).normal(size=(196, 18))
    honest, _ = share_flagged(table, contamination=0.05)
    fitted, _ = share_flagged(table, contamination=0.05, cv=None)
    assert fitted > honest + 0.05


@pytest.mark.parametrize("n_rows", [12, 20, 30])
@pytest.mark.parametrize("n_features", [2, 6])
def test_gross_outliers_of_tiny_tables_are_found(n_rows, n_features):
    table = np.random.RandomState(n_rows).normal(size=(n_rows, n_features))
    n_outliers = 1 if n_rows < 20 else 2
    table[:n_outliers] += 12.0
    labels = AEOutlierDetector(random_state=0).fit_predict(table)
    assert labels[:n_outliers].tolist() == [-1] * n_outliers
    assert (labels[n_outliers:] == -1).mean() <= 0.1


def test_labels_are_those_of_the_training_rows():
    detector = AEOutlierDetector(contamination=0.1, random_state=0).fit(X)
    assert np.array_equal(detector.labels_, detector.predict(X))
    assert (detector.labels_ == -1).sum() == 15
    shuffled = np.random.RandomState(0).permutation(150)
    assert np.array_equal(detector.predict(X[shuffled]), detector.labels_[shuffled])


def test_a_fitted_row_has_the_score_of_one_that_was_left_out(detector):
    nearly = X * (1 + 1e-5)
    assert detector.score_samples(X).mean() < detector.score_samples(nearly).mean()
    single = detector.score_samples(X.astype(np.float32))
    np.testing.assert_allclose(single, detector.score_samples(X))


@pytest.mark.parametrize("method", ["repair", "additive"])
@pytest.mark.parametrize("anomaly_score", ["combined", "reconstruction", ["neighbors", "columns"]])
def test_explanations_of_fitted_rows_add_up_to_their_scores(method, anomaly_score):
    detector = AEOutlierDetector(anomaly_score=anomaly_score, random_state=0).fit(X)
    rows = np.vstack([X[:10], X[:5] + 3.0])
    why = detector.explain(rows, method=method).to_numpy()
    np.testing.assert_allclose(why.sum(axis=1), -detector.score_samples(rows), rtol=1e-12)


def test_known_rows_are_found_whatever_their_zeros_and_gaps():
    table = np.array([[0.0, 1.0], [np.nan, 2.0], [3.0, np.nan], [0.0, 1.0]])
    known = KnownRows(table, np.array([-1.0, -2.0, -3.0, -5.0]))
    rows = np.array([[-0.0, 1.0], [np.nan, 2.0], [3.0, -np.nan], [1.0, 0.0], [1e300, np.inf]])
    np.testing.assert_array_equal(known.find(rows), [-3.0, -2.0, -3.0, np.nan, np.nan])


def test_folds_part_the_rows():
    for n_rows, n_folds in ((4, 2), (30, 5), (1_500, 3), (9_000, 2)):
        folds = make_folds("auto", n_rows, np.random.RandomState(0))
        assert len(folds) == n_folds
        assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(n_rows))
    assert make_folds(None, 30, np.random.RandomState(0)) == make_folds("auto", 3, np.random.RandomState(0)) == []
    assert len(make_folds(7, 300, np.random.RandomState(0))) == 7


def test_an_autoencoder_of_ones_own_is_fitted_for_each_fold():
    model = ae(random_state=None, max_iter=5, early_stopping=True)
    one, other = (AEOutlierDetector(model, random_state=0, cv=3).fit(X).score_samples(X) for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, AEOutlierDetector(model, random_state=0, cv=None).fit(X).score_samples(X))


@pytest.mark.slow
def test_p_values_are_nearly_uniform_beside_rows_that_were_not_held_out():
    rng = np.random.RandomState(0)
    p_values = np.concatenate(
        [
            AEOutlierDetector(random_state=seed).fit(rng.normal(size=(80, 6))).p_values(rng.normal(size=(100, 6)))
            for seed in range(8)
        ]
    )
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p_values <= level).mean() <= level + 0.06


def test_large_offsets_take_no_precision():
    dates = np.column_stack([X, 20_240_000 + np.arange(150) % 97])
    shifted = dates - np.array([0, 0, 0, 0, 0, 20_240_000.0])
    scores = [
        AEOutlierDetector(random_state=0).fit(table).score_samples(table[:20] + 0.5) for table in (dates, shifted)
    ]
    # beginning with other last bits, training in float32 ends with other third digits
    np.testing.assert_allclose(*scores, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("far", [1e20, 1e160, -1e300])
def test_absurd_cells_have_finite_scores(far, detector):
    rows = X[:3].copy()
    rows[:, 1] = far
    scores = detector.score_samples(rows)
    assert np.isfinite(scores).all()
    assert scores.max() < detector.score_samples(X).min()


# -- manners ------------------------------------------------------------------------------------------------


def test_labels_that_look_turned_around_are_told(detector):
    labels = np.r_[np.ones(140), np.zeros(10)].astype(int)
    with pytest.warns(UserWarning, match="Got labels that call 140 of 150 rows outliers.*pos_label"):
        detector.set_threshold(X, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.set_threshold(X, labels, pos_label=0)
        detector.set_threshold(X, np.where(labels == 0, "odd", "fine"), pos_label="odd")
    with pytest.raises(ValueError, match="pos_label with y only"):
        detector.set_threshold(score=-1.0, pos_label=1)


def test_thresholders_get_rows_in_order():
    class Recorder:
        def eval(self, anomalies):
            self.seen = anomalies
            return (anomalies > np.quantile(anomalies, 0.9)).astype(int)

    recorder = Recorder()
    detector = AEOutlierDetector(contamination=recorder, random_state=0).fit(X)
    np.testing.assert_allclose(recorder.seen, -detector.score_samples(X))


def test_too_large_samples_are_told():
    with pytest.warns(UserWarning, match="Got max_samples=200 and 150 rows"):
        detector = AEOutlierDetector(max_samples=200, random_state=0).fit(X)
    assert detector.max_samples_ == 150


def test_expected_values_lie_within_what_was_seen():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"gain": np.where(rng.uniform(size=300) < 0.95, 0.0, rng.exponential(1e4, 300))})
    frame = frame.assign(hours=rng.normal(40, 5, 300), age=rng.normal(50, 9, 300))
    detector = AEOutlierDetector(random_state=0).fit(frame)
    for method in ("repair", "additive"):
        _, expected = detector.explain(frame[:50], method=method, return_expected=True)
        assert (expected >= frame.min() - 1e-9).all(axis=None)
        assert (expected <= frame.max() + 1e-9).all(axis=None)


def test_columns_of_several_levels_stay_as_they_are():
    frame = pd.DataFrame(X, columns=pd.MultiIndex.from_product([["a"], list("vwxyz")]))
    why = AEOutlierDetector(random_state=0).fit(frame).explain(frame[:2])
    assert why.columns.equals(frame.columns)


def test_progress_is_told_when_asked_for(capsys):
    AEOutlierDetector(random_state=0, verbose=1).fit(X)
    assert capsys.readouterr().out.count("[AEOutlierDetector] learned") == 3
    AEOutlierDetector(random_state=0).fit(X)
    assert capsys.readouterr().out == ""


# -- what a breaker found -----------------------------------------------------------------------------------


def test_views_that_learn_are_left_out_too():
    """Whitened by few rows, these rows lie nearer to each other than new ones do."""
    rng = np.random.RandomState(0)
    factors = rng.normal(size=(5, 100))

    def draw(n_rows):
        return rng.normal(size=(n_rows, 5)) @ factors + rng.normal(size=(n_rows, 100))

    detector = AEOutlierDetector(contamination=0.05, anomaly_score="neighbors", random_state=0).fit(draw(60))
    assert (detector.predict(draw(300)) == -1).mean() < 0.3


def test_rows_that_only_single_precision_confuses_are_told_apart():
    rng = np.random.RandomState(0)
    table = rng.normal(size=(300, 2))
    table[:, 1] = table[:, 0] + 0.1 * rng.normal(size=300)
    detector = AEOutlierDetector(random_state=0).fit(1e6 + 0.01 * table)
    assert detector.predict(1e6 + 0.01 * np.array([[0, 0], [3.0, -3.0], [0, 8]])).tolist() == [1, -1, -1]
    assert len(np.unique(detector.score_samples(1e6 + 0.01 * table))) > 290


def test_conditions_are_not_judged():
    rng = np.random.RandomState(0)
    table = rng.normal(size=(400, 3))
    model = ae(random_state=None, condition_features=[0], max_iter=5)
    rows = np.column_stack([[0.0, 1.0, 2.5], [0.1] * 3, [-0.2] * 3])
    for name in ("columns", "mixture", "robust_covariance"):
        scores = AEOutlierDetector(model, anomaly_score=name, random_state=0).fit(table).score_samples(rows)
        np.testing.assert_allclose(scores, scores[0], atol=0.05)


@pytest.mark.parametrize("given", [{"cost": 5}, {"cost": ("a", 1)}, {"cost": (np.nan, 1)}, {"cost": (np.inf, 1)}])
def test_odd_costs_are_refused(given, detector):
    with pytest.raises(ValueError, match="Got cost="):
        detector.set_threshold(X, np.arange(150) < 5, **given)


def test_labels_of_no_order_are_refused(detector):
    with pytest.raises(ValueError, match="Got labels"):
        detector.set_threshold(X, np.array([None] * 75 + [1] * 75, dtype=object))
    with pytest.raises(ValueError, match="Got score=True"):
        detector.set_threshold(score=True)
    with pytest.raises(ValueError, match="Got method="):
        detector.explain(X, method=["repair"])
