"""Thresholds: each rule against its definition, and on a fitted detector."""

import copy

import numpy as np
import pytest
from sklearn.metrics import f1_score
from support import make_table

from sklae import AEOutlierDetector
from sklae._outliers.thresholds import by_false_alarm_rate, by_labels, by_share, by_thresholder, fence, outlier_labels

TABLE = make_table(200, 4)
OUTLYING = TABLE[:20] + 5 * TABLE.std(0)


@pytest.fixture(scope="module")
def once_fitted():
    return AEOutlierDetector(validation_fraction=0.25, random_state=0).fit(TABLE)


@pytest.fixture
def fitted(once_fitted):
    """A copy, for a test to do with as it likes."""
    return copy.deepcopy(once_fitted)


class TopTen:
    """What a thresholder of PyThresh looks like: labels by decision scores, high for outliers."""

    def eval(self, scores):
        return (scores >= np.sort(scores)[-10]).astype(int)


# -- rules -------------------------------------------------------------------------------------------------


def _best(scores, is_outlier, goodness):
    candidates = [-np.inf, *np.unique(scores), np.inf]
    return max(goodness(is_outlier, scores < candidate) for candidate in candidates)


def _f1(truth, found):
    return f1_score(truth, found, zero_division=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cost", [None, (1.0, 10.0), (5.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_no_threshold_is_better_by_the_labels(seed, cost):
    rng = np.random.RandomState(seed)
    is_outlier = rng.uniform(size=60) < 0.2
    is_outlier[:2] = [True, False]
    scores = np.round(rng.normal(size=60) - 1.5 * is_outlier, 1)  # with ties

    def goodness(truth, found):
        return (
            _f1(truth, found)
            if cost is None
            else -(cost[0] * (found & ~truth).sum() + cost[1] * (truth & ~found).sum())
        )

    threshold = by_labels(scores, is_outlier, cost)
    assert goodness(is_outlier, scores < threshold) == pytest.approx(_best(scores, is_outlier, goodness))


def test_the_threshold_lies_between_the_two_kinds():
    assert -4.0 < by_labels(np.array([-5.0, -4.0, -2.0, -1.0]), np.array([True, True, False, False]), None) <= -2.0


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.5])
def test_false_alarms_are_as_rare_as_promised(rate):
    """Averaged over held-out samples: P(new score below the threshold) <= rate, and not by much less."""
    rng = np.random.RandomState(0)
    found = np.mean(
        [(rng.normal(size=50) < by_false_alarm_rate(rng.normal(size=199), rate)).mean() for _ in range(2000)]
    )
    assert rate - 1 / 200 - 0.005 <= found <= rate + 0.005


def test_too_few_rows_for_a_rate_are_refused():
    with pytest.raises(ValueError, match=r"Got false_alarm_rate=0.01 and 50 held-out rows; expected at least 99"):
        by_false_alarm_rate(np.zeros(50), 0.01)


def test_a_share_is_a_percentile_and_a_fence_a_boxplots():
    scores = -np.random.RandomState(0).chisquare(3, size=500)
    assert (scores < by_share(scores, 0.1)).mean() == pytest.approx(0.1)
    roots = np.sqrt(-scores)
    lower, upper = np.percentile(roots, [25, 75])
    assert fence(scores) == pytest.approx(-((upper + 1.4 * (upper - lower)) ** 2))
    either_sign = scores + 5.0
    lower, upper = np.percentile(either_sign, [25, 75])
    assert fence(either_sign) == pytest.approx(lower - 1.4 * (upper - lower))


def test_a_thresholder_cuts_where_its_labels_do():
    scores = np.random.RandomState(0).normal(size=100)
    assert (scores < by_thresholder(scores, TopTen())).sum() == 10


@pytest.mark.parametrize("labels", [[0, 1, 2], [0.5, 0, 1], [0, 1]])
def test_a_thresholder_with_other_labels_is_refused(labels):
    class Odd:
        def eval(self, scores):
            return np.array(labels)

    with pytest.raises(ValueError, match=r"expected 0 or 1 for each of 3 scores"):
        by_thresholder(np.zeros(3), Odd())


@pytest.mark.parametrize(
    "labels",
    [[-1, 1, 1], [1, 0, 0], [True, False, False], np.array([1.0, 0.0, 0.0])],
    ids=lambda value: str(list(value)),
)
def test_labels_are_read_in_both_ways(labels):
    assert outlier_labels(labels, 3).tolist() == [True, False, False]


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [-1, 0, 1], ["a", "b", "b"], [1, 0]], ids=str)
def test_labels_of_one_kind_or_of_others_are_refused(labels):
    with pytest.raises(ValueError, match=r"Got .*; expected"):
        outlier_labels(labels, 3)


# -- of the detector ---------------------------------------------------------------------------------------


def test_decisions_follow_at_once(fitted):
    scores = fitted.score_samples(TABLE)
    for given in (
        {"score": float(np.median(scores))},
        {"contamination": 0.2},
        {"contamination": TopTen()},
        {"contamination": "auto"},
        {"false_alarm_rate": 0.1},
        {"false_alarm_rate": 0.1, "X": TABLE[:100]},
        {"X": np.vstack([TABLE, OUTLYING]), "y": np.repeat([1, -1], [200, 20])},
        {"X": np.vstack([TABLE, OUTLYING]), "y": np.repeat([0, 1], [200, 20]), "cost": (1.0, 50.0)},
    ):
        assert fitted.set_threshold(**given) is fitted
        assert np.array_equal(fitted.decision_function(TABLE), scores - fitted.offset_)
        assert np.array_equal(fitted.predict(TABLE), np.where(scores < fitted.offset_, -1, 1))
        assert np.array_equal(fitted.score_samples(TABLE), scores)


@pytest.mark.parametrize("contamination", ["auto", 0.07, TopTen()], ids=["auto", "share", "thresholder"])
def test_the_constructor_and_the_method_agree(contamination):
    made = AEOutlierDetector(contamination=contamination, random_state=0).fit(TABLE)
    moved = AEOutlierDetector(random_state=0).fit(TABLE).set_threshold(contamination=contamination)
    assert made.offset_ == moved.offset_
    flagged = (made.predict(TABLE) == -1).sum()
    assert flagged == {"auto": flagged, 0.07: 14}.get(contamination, 10)


def test_labelled_rows_part_what_they_can(fitted):
    rows, labels = np.vstack([TABLE, OUTLYING]), np.repeat([1, -1], [200, 20])
    predicted = fitted.set_threshold(rows, labels).predict(rows)
    assert f1_score(labels == -1, predicted == -1) > 0.95


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"contamination": 0.1, "score": -3.0},
        {"X": TABLE},
        {"y": np.repeat([1, -1], 100)},
        {"contamination": 0.1, "X": TABLE},
        {"score": -3.0, "cost": (1, 1)},
        {"score": "low"},
        {"score": np.nan},
        {"contamination": 0.6},
        {"contamination": "automatic"},
        {"false_alarm_rate": 1.5},
        {"false_alarm_rate": 1e-6},
        {"X": TABLE, "y": np.repeat([1, -1], 100), "cost": (1,)},
        {"X": TABLE, "y": np.repeat([1, -1], 100), "cost": (-1, 2)},
        {"X": TABLE, "y": np.ones(200)},
    ],
    ids=lambda given: ", ".join(given),
)
def test_odd_requests_are_refused_and_change_nothing(fitted, given):
    before = fitted.offset_
    with pytest.raises(ValueError, match=r"Got .*; expected"):
        fitted.set_threshold(**given)
    assert fitted.offset_ == before


def test_false_alarm_rates_are_of_rows_as_if_left_out():
    detector = AEOutlierDetector(random_state=0).fit(TABLE).set_threshold(false_alarm_rate=0.1)
    assert (detector.labels_ == detector.fit_predict(TABLE)).mean() > 0.9
    assert abs((detector.set_threshold(false_alarm_rate=0.1).predict(TABLE) == -1).mean() - 0.1) < 0.03


def test_an_unfitted_detector_has_no_threshold_to_move():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        AEOutlierDetector().set_threshold(score=-1.0)
