"""Surprise: the share of a sample at least as large, between and beyond its values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklae._outliers.tails import Tail

VALUES = st.lists(st.floats(0.0, 1e12, allow_subnormal=False), min_size=1, max_size=60).map(np.array)


def test_surprise_is_minus_the_log_of_the_share_at_or_above():
    sample = np.random.RandomState(0).lognormal(size=2000)
    tail = Tail.fit(sample, positive=True)
    for q in (0.1, 0.5, 0.7):
        value = np.quantile(sample, q)
        share = (sample >= value).mean()
        assert tail(np.array([value]))[0] == pytest.approx(-np.log(share), abs=0.01)


@pytest.mark.parametrize("positive", [True, False])
def test_beyond_the_sample_the_tail_is_that_of_its_distribution(positive):
    """Pareto with exponent 3 (on logarithms), exponential with rate 2 (on values): straight lines in surprise."""
    uniform = np.random.RandomState(1).uniform(size=20_000)
    sample = uniform ** (-1 / 3) if positive else -np.log(uniform) / 2
    far = np.array([50.0, 200.0]) if positive else np.array([8.0, 12.0])
    exact = 3 * np.log(far) if positive else 2 * far
    assert (far > sample.max()).all()
    np.testing.assert_allclose(Tail.fit(sample, positive=positive)(far), exact, rtol=0.05)


@given(VALUES, st.lists(st.floats(1e-9, 1e300), min_size=2, max_size=20, unique=True).map(np.array))
def test_the_order_is_kept_everywhere(sample, values):
    tail = Tail.fit(sample, positive=True)
    surprise = tail(np.sort(values))
    assert np.isfinite(surprise).all()
    assert (surprise >= 0).all()
    assert (np.diff(surprise) >= 0).all()


@pytest.mark.parametrize("positive", [True, False])
def test_rounding_makes_no_steps(positive):
    values = np.arange(1.0, 31.0)
    tail = Tail.fit(np.concatenate([values, values * (1.0 + 1e-15), values * (1.0 - 1e-15)]), positive=positive)
    for value in values:
        near = tail(value * (1.0 + np.array([-1e-14, -1e-15, 0.0, 1e-15, 1e-14])))
        assert np.ptp(near) < 1e-9


def test_the_order_is_strict_beyond_all_and_between_close_values():
    sample = np.random.RandomState(0).lognormal(size=300)
    tail = Tail.fit(sample, positive=True)
    beyond = sample.max() * np.geomspace(1.0, 1e200, 500)
    inside = np.linspace(sample.min(), sample.max(), 5000)
    below = sample.min() * np.linspace(0.01, 1.0, 100)
    for values in (beyond, inside, below):
        assert (np.diff(tail(values)) > 0).all()


@pytest.mark.parametrize(
    "sample", [[1.0], [0.0, 0.0, 0.0], [2.0] * 50, [0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0]], ids=str
)
def test_samples_with_ties_are_usual_themselves_and_surprised_beyond(sample):
    sample = np.array(sample)
    tail = Tail.fit(sample, positive=True)
    assert tail(sample[:1])[0] < 1.0
    further = tail(sample.max() + np.array([1.0, 10.0, 1e6]))
    assert np.isfinite(further).all()
    assert (np.diff(further) > 0).all()
    assert further[0] > tail(sample[:1])[0]


def test_infinity_is_infinitely_surprising():
    assert Tail.fit(np.arange(10.0), positive=True)(np.array([np.inf]))[0] == np.inf
