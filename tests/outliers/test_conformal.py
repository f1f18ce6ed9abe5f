"""Conformal p-values and the selection by false discovery rate, against their definitions and their guarantees."""

import itertools

import numpy as np
import pytest
from support import make_table

from sklae import AEOutlierDetector
from sklae._outliers.conformal import conformal_p_values, discoveries


def test_a_p_value_is_the_rank_among_calibration_scores():
    calibration = np.array([-3.0, -2.0, -2.0, -1.0])
    found = conformal_p_values(np.array([-5.0, -3.0, -2.0, -1.5, 0.0]), calibration)
    np.testing.assert_allclose(found, [1 / 5, 2 / 5, 4 / 5, 4 / 5, 1.0])


def test_p_values_of_exchangeable_scores_are_super_uniform_exactly():
    """Over all orders of ranks, with and without ties: P(p <= t) <= t, with equality at multiples of 1 / (n + 1)."""
    for scores in ([1, 2, 3, 4, 5], [1, 1, 2, 3, 3]):
        p = [
            conformal_p_values(np.array([order[-1]]), np.sort(order[:-1]))[0]
            for order in itertools.permutations(scores)
        ]
        for t in np.linspace(0.05, 1.0, 39):
            assert np.mean(np.array(p) <= t + 1e-12) <= t + 1e-12
    distinct = [
        conformal_p_values(np.array([order[-1]]), np.sort(order[:-1]))[0] for order in itertools.permutations(range(5))
    ]
    assert np.mean(np.array(distinct) <= 0.4 + 1e-12) == pytest.approx(0.4)


def _by_definition(p_values, fdr):
    """Reject the k smallest, k the largest number with p_(k) <= fdr k / m."""
    order = np.argsort(p_values, kind="stable")
    m = len(p_values)
    k = max((i + 1 for i in range(m) if p_values[order[i]] <= fdr * (i + 1) / m), default=0)
    rejected = np.zeros(m, dtype=bool)
    rejected[order[:k]] = True
    return rejected


@pytest.mark.parametrize("seed", range(5))
def test_discoveries_are_those_of_benjamini_and_hochberg(seed):
    rng = np.random.RandomState(seed)
    p_values = np.concatenate([rng.uniform(size=30), rng.uniform(high=0.02, size=10)])
    for fdr in (0.01, 0.1, 0.3, 0.9):
        assert np.array_equal(discoveries(p_values, fdr), _by_definition(p_values, fdr))


def test_no_rows_no_discoveries():
    assert discoveries(np.empty(0), 0.1).shape == (0,)
    assert not discoveries(np.array([0.9, 0.8]), 0.1).any()


# -- of the detector ---------------------------------------------------------------------------------------

TABLE, FRESH = np.split(make_table(4000, 4), [600])


@pytest.fixture(scope="module")
def calibrated():
    return AEOutlierDetector(validation_fraction=0.5, random_state=0).fit(TABLE)


def test_held_out_rows_are_not_fitted(calibrated):
    assert calibrated.n_calibration_ == 300
    assert calibrated.min_p_value_ == 1 / 301
    alone = AEOutlierDetector(random_state=0).fit(TABLE[:300], X_val=TABLE[300:])
    assert alone.n_calibration_ == 300
    assert np.array_equal(
        alone.score_samples(TABLE), AEOutlierDetector(random_state=0).fit(TABLE[:300]).score_samples(TABLE)
    )
    scores, held_out = alone.score_samples(TABLE[:50]), alone.score_samples(TABLE[300:])
    wanted = [(1 + (held_out <= score).sum()) / 301 for score in scores]
    np.testing.assert_allclose(alone.p_values(TABLE[:50]), wanted)


def test_rows_of_the_same_kind_have_super_uniform_p_values():
    detector = AEOutlierDetector(random_state=0).fit(TABLE[:300], X_val=FRESH[:1700])
    p_values = detector.p_values(FRESH[1700:])
    for t in (0.01, 0.05, 0.1, 0.2, 0.5):
        # 1,700 rows share 1,700 calibration rows: both vary
        error = np.sqrt(t * (1 - t) * (1 / 1700 + 1 / 1700))
        assert (p_values <= t).mean() <= t + 4 * error


def test_selection_finds_planted_rows_and_few_others(calibrated):
    rows = np.vstack([FRESH[:300], TABLE[:30] + 6 * TABLE.std(0)])
    labels = calibrated.predict(rows, fdr=0.1)
    found = labels == -1
    assert found[300:].all()
    assert found[:300].sum() <= 0.25 * found.sum()
    assert np.array_equal(found, discoveries(calibrated.p_values(rows), 0.1))


def test_without_held_out_rows_p_values_go_by_rows_as_if_left_out():
    detector = AEOutlierDetector(random_state=0).fit(TABLE[:100])
    assert detector.n_calibration_ == 100
    p_values = detector.p_values(TABLE[:100])
    assert np.array_equal(np.sort(np.unique(p_values)), np.sort(p_values))
    np.testing.assert_allclose(p_values.min(), detector.min_p_value_)
    with pytest.raises(AttributeError, match=r"Got fdr=0.1 of a detector .* validation_fraction"):
        detector.predict(TABLE, fdr=0.1)


@pytest.mark.parametrize("fdr", [0.0, 1.0, -0.1, "0.1"])
def test_odd_rates_are_refused(calibrated, fdr):
    with pytest.raises(ValueError, match=r"Got fdr=.*expected a number in \(0, 1\)"):
        calibrated.predict(TABLE, fdr=fdr)


def test_a_fraction_that_leaves_nothing_to_fit_is_refused():
    with pytest.raises(ValueError, match=r"Got 3 rows and validation_fraction=0.9; expected at least 2"):
        AEOutlierDetector(validation_fraction=0.9).fit(TABLE[:3])
