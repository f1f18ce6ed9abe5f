"""Grids: where the values of a column lie."""

import numpy as np
import pytest

from sklae._tables.bins import GridReader

N = 4_000
COLUMNS = {
    "normal": lambda rng: rng.normal(size=N),
    "cauchy": lambda rng: rng.standard_cauchy(size=N),
    "spike": lambda rng: np.where(rng.uniform(size=N) < 0.3, 0.123456789, rng.normal(size=N)),
    "spikes at both ends": lambda rng: np.clip(rng.normal(size=N), -np.pi / 4, np.pi / 4),
    "few real numbers": lambda rng: rng.choice(np.sqrt([2.0, 3.0, 5.0]), size=N),
    "ages": lambda rng: rng.randint(17, 91, size=N).astype(float),
    "amounts": lambda rng: np.where(rng.uniform(size=N) < 0.9, 0.0, rng.randint(100, 10**5, size=N)),
    "bits": lambda rng: rng.randint(2, size=N).astype(float),
    "prices": lambda rng: np.round(rng.lognormal(3.0, 1.0, size=N), 2),
    "quarters": lambda rng: rng.randint(-9, 10, size=N) / 4.0,
    "constant": lambda rng: np.full(N, 7.25),
    "gaps": lambda rng: np.where(rng.uniform(size=N) < 0.5, np.nan, rng.normal(size=N)),
    "few rows": lambda rng: rng.normal(size=30),
}


def column(name):
    return COLUMNS[name](np.random.RandomState(0))


def grid_of(*chunks):
    reader = GridReader(chunks[0].dtype)
    for chunk in chunks:
        reader.update(chunk)
    return reader.finish()


@pytest.mark.parametrize("name", COLUMNS)
def test_cells_are_in_order_and_hold_their_shares(name):
    values = column(name)
    grid = grid_of(values)
    values = values[~np.isnan(values)]
    assert np.all(grid.low <= grid.high)
    assert np.all(grid.high[:-1] <= grid.low[1:])
    assert len(grid.low) <= 128
    room = 0.5 * grid.step
    assert (grid.low[0] + room, grid.high[-1] - room) == pytest.approx((values.min(), values.max()), rel=1e-12)
    inside = (values[:, None] >= grid.low - 1e-12) & (values[:, None] <= grid.high + 1e-12)
    assert inside.any(1).all()
    # on an edge between two cells of real numbers there is no value
    np.testing.assert_allclose(inside.mean(0), grid.share, atol=1e-12)
    assert grid.share.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["normal", "cauchy", "prices"])
def test_shares_are_even_where_nothing_repeats_itself(name):
    share = grid_of(column(name)).share
    assert len(share) > 55
    assert share.max() < 2.0 * share.min()


def test_few_values_make_few_cells():
    """What is kept of a table says nothing of single rows."""
    for n, n_cells in ((30, 1), (400, 20), (100_000, 64)):
        values = np.random.RandomState(0).normal(size=n)
        assert len(grid_of(values).low) == n_cells


STEPS = {
    "whole": ([3.0, 5.0, 6.0], 1.0, 0),
    "even": ([4.0, 10.0, -2.0], 6.0, 0),
    "odd": ([1.0, 3.0, 7.0], 2.0, 0),
    "thousands": ([5e5, 1e6, 1.5e6], 5e5, 0),
    "quarters": ([0.25, 1.0, 0.5], 0.25, 2),
    "prices": ([0.99, 17.49, 1234567.0], 0.01, 2),
    "constant": ([0.5, 0.5], 0.1, 1),
    "real": ([np.pi, np.e, 1.0], 0.0, None),
    "enormous": ([1e300, 2e300], 0.0, None),
    "thirds": ([1 / 3, 2 / 3], 0.0, None),
}


# more digits than float32 has
_DOUBLE = {"prices", "enormous"}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in STEPS
        for dtype in (np.float64, np.float32)
        if dtype == np.float64 or name not in _DOUBLE
    ],
)
def test_steps_and_decimals_are_recognised(name, dtype):
    values, step, decimals = STEPS[name]
    grid = grid_of(np.array(values, dtype=dtype))
    assert grid.step == pytest.approx(step, rel=1e-12)
    assert grid.decimals == decimals


def test_real_numbers_of_single_precision_are_no_decimals():
    assert grid_of(column("normal").astype(np.float32)).decimals is None


@pytest.mark.parametrize(
    ("name", "value"), [("spike", 0.123456789), ("amounts", 0.0), ("spikes at both ends", np.pi / 4)]
)
def test_a_value_that_is_repeated_has_a_cell_of_its_own(name, value):
    values = column(name)
    grid = grid_of(values)
    (own,) = np.flatnonzero((grid.low <= value) & (value <= grid.high))
    assert grid.high[own] - grid.low[own] == grid.step
    assert grid.share[own] == pytest.approx((values == value).mean())


def test_there_is_room_beside_values_that_stand_apart():
    grid = grid_of(column("amounts"))
    assert (grid.low[0], grid.high[0]) == (-0.5, 0.5)
    assert grid.low[1] > 90
    assert np.array_equal(grid.low[2:], grid.high[1:-1])


def test_decimals_come_back_from_rounding():
    grid = grid_of(column("prices"))
    prices = np.array([0.1 + 0.2, 12.340000000001, 5.0, 12.3456])
    assert grid.snap(prices).tolist() == [0.3, 12.34, 5.0, 12.3456]
    assert np.isnan(grid.snap(np.array([np.nan]))).all()
    assert grid_of(column("normal")).snap(prices) is prices


@pytest.mark.parametrize("name", COLUMNS)
def test_chunks_are_one_column(name):
    whole, parts = grid_of(column(name)), grid_of(*np.array_split(column(name), 7))
    for field in ("low", "high", "share"):
        assert np.array_equal(getattr(whole, field), getattr(parts, field))
    assert (whole.step, whole.decimals) == (parts.step, parts.decimals)
