"""Whatever fills a cell: the value is one that its column can have, and observed cells are what they were."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import ae, hurry, vae

from sklae import AEImputer

N_ROWS = 40


def _positive(rng):
    return np.exp(2.0 * rng.normal(size=N_ROWS))


def _years(rng):
    return pd.array(rng.randint(1950, 2020, N_ROWS), dtype="Int64")


#: Kind of column -> its values.
COLUMNS = {
    "positive": _positive,
    "negative": lambda rng: -_positive(rng),
    "any": lambda rng: rng.normal(size=N_ROWS) * 10.0 ** rng.randint(-3, 6),
    "float32": lambda rng: rng.normal(1e4, 1.0, N_ROWS).astype(np.float32),
    "far out": lambda rng: np.where(np.arange(N_ROWS) == 7, 1e150, rng.normal(size=N_ROWS)),
    "whole": _years,
    "count": lambda rng: rng.poisson(0.3, N_ROWS).astype(float),
    "text": lambda rng: rng.choice(["a", "b", "rare"], N_ROWS, p=[0.6, 0.35, 0.05]).astype(object),
    "flag": lambda rng: pd.array(rng.uniform(size=N_ROWS) < 0.4, dtype="boolean"),
    "grade": lambda rng: pd.Categorical(rng.choice(list("lmh"), N_ROWS), categories=list("lmh"), ordered=True),
}


def assert_possible(filled, gappy, *, drawn):
    assert list(filled.columns) == list(gappy.columns)
    assert list(filled.dtypes) == list(gappy.dtypes)
    for name in gappy:
        gaps, seen = gappy[name].isna().to_numpy(), gappy[name].dropna()
        assert not filled[name].isna().any(), name
        assert (filled[name][~gaps] == seen).all(), name
        values = filled[name][gaps]
        if not len(values):
            continue
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            assert set(values) <= set(seen), name
        elif drawn:
            assert np.isin(values.to_numpy(float), seen.to_numpy(float)).all(), name
        else:
            low, high = float(seen.min()), float(seen.max())
            reach = (high - low) * (1 + 1e-6)
            assert values.min() >= (low if low >= 0 else low - reach), name
            assert values.max() <= (high if high <= 0 else high + reach), name


@pytest.mark.slow
@given(
    kinds=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5),
    share=st.floats(0.05, 0.6),
    drawn=st.booleans(),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fills_are_possible(kinds, share, drawn, seed):
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame({f"{kind} {i}": COLUMNS[kind](rng) for i, kind in enumerate(kinds)})
    gaps = rng.uniform(size=frame.shape) < share
    gaps[:3] = False
    gappy = frame.mask(gaps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = AEImputer(sample_posterior=drawn, random_state=0).fit_transform(gappy)
    assert_possible(filled, gappy, drawn=drawn)


_LIKELIHOODS = ("auto", "gaussian", "student_t", "laplace", "histogram")


@pytest.mark.parametrize(
    "params", [{}, {"sample_posterior": True}, {"linear_start": False}], ids=["", "drawn", "alone"]
)
@pytest.mark.parametrize("likelihood", _LIKELIHOODS)
def test_fills_of_autoencoders_are_possible(likelihood, params, monkeypatch):
    hurry(monkeypatch)
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({name: COLUMNS[name](rng) for name in ("positive", "negative", "any", "count")})
    gaps = rng.uniform(size=frame.shape) < 0.3
    gaps[:3] = False
    for model in (vae(likelihood=likelihood, random_state=None), ae(likelihood=likelihood, random_state=None)):
        filled = AEImputer(model, random_state=0, **params).fit_transform(frame.mask(gaps))
        assert_possible(filled, frame.mask(gaps), drawn="sample_posterior" in params)


def test_new_rows_far_outside_are_filled_within(monkeypatch):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100, 3)) @ rng.normal(size=(3, 3)) + 5.0
    imputer = AEImputer(random_state=0).fit(np.where(rng.uniform(size=X.shape) < 0.1, np.nan, X))
    far = np.array([[1e160, np.nan, -1e160], [np.nan, 1e9, np.nan], [np.nan, np.nan, np.nan]])
    filled = imputer.transform(far)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~np.isnan(far)], far[~np.isnan(far)])
    reach = X.max(axis=0) - X.min(axis=0)
    assert (filled[np.isnan(far)] <= np.broadcast_to(X.max(axis=0) + reach, far.shape)[np.isnan(far)]).all()


def test_limits_beyond_a_columns_dtype_are_refused():
    table = pd.DataFrame({"n": np.array([1, 2, 3, 4], dtype=np.uint16), "x": [1.0, 2.0, np.nan, 4.0]})
    with pytest.raises(ValueError, match=r"min_value=1e\+09 .* column 0 of uint16, which holds 0 to 65535"):
        AEImputer(min_value=1e9).fit(table)
    AEImputer(min_value=[-np.inf, 1e9]).fit(table)


def test_codes_are_levels_where_they_are_named():
    rng = np.random.RandomState(0)
    codes = rng.choice([1.0, 2.0, 5.0], 80)
    X = np.column_stack([codes, codes + rng.normal(size=80)])
    X[::5, 0] = np.nan
    filled = AEImputer(categorical_features=[0], random_state=0).fit_transform(X)
    assert set(filled[::5, 0]) <= {1.0, 2.0, 5.0}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("scale", [1.0, 1e-300])
def test_limits_far_from_the_data_hold_for_draws(scale):
    X = scale * np.random.RandomState(0).uniform(size=(100, 3))
    X[np.random.RandomState(1).uniform(size=X.shape) < 0.2] = np.nan
    filled = AEImputer(min_value=1e9, sample_posterior=True, random_state=0).fit_transform(X)
    np.testing.assert_array_equal(filled[np.isnan(X)], 1e9)
