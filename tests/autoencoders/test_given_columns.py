"""Columns drawn, and scored, given any others: what exact conditionals of normal tables say."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm
from support import make_table
from toys import ae, vae

from sklae import VAETransformer

RHO = 0.8


@pytest.fixture(scope="module")
def normal():
    """A model of two correlated columns, fitted without gaps, and its rows."""
    rng = np.random.RandomState(0)
    a = rng.normal(size=2000)
    X = np.column_stack([10.0 + 2.0 * a, RHO * a + np.sqrt(1 - RHO**2) * rng.normal(size=2000)])
    return VAETransformer(1, random_state=0).fit(X), X


@pytest.fixture(scope="module")
def mixed():
    rng = np.random.RandomState(0)
    a = rng.normal(size=1500)
    b = RHO * a + np.sqrt(1 - RHO**2) * rng.normal(size=1500)
    kind = np.where(b + 0.3 * rng.normal(size=1500) > 0, "x", "y")
    frame = pd.DataFrame({"a": a, "kind": kind, "b": b, "count": np.round(3 + b).astype(int)})
    return VAETransformer(2, random_state=0).fit(frame), frame


def test_draws_given_a_column_have_its_conditional_moments(normal):
    vae_, _ = normal
    drawn = vae_.sample(4000, random_state=0, condition=[[13.0, np.nan]])
    assert (drawn[:, 0] == 13.0).all()
    assert drawn[:, 1].mean() == pytest.approx(RHO * 1.5, abs=0.08)
    assert drawn[:, 1].std() == pytest.approx(np.sqrt(1 - RHO**2), abs=0.08)
    back = vae_.sample(4000, random_state=0, condition=[[np.nan, -1.0]])
    assert back[:, 0].mean() == pytest.approx(10.0 - 2.0 * RHO, abs=0.2)


def test_scores_given_a_column_are_conditional_densities(normal):
    vae_, X = normal
    a = (X[:300, 0] - 10.0) / 2.0
    exact = norm.logpdf(X[:300, 1], RHO * a, np.sqrt(1 - RHO**2))
    found = vae_.score_samples(X[:300], given=[0])
    assert np.mean(found - exact) == pytest.approx(0.0, abs=0.05)
    assert np.corrcoef(found, exact)[0, 1] > 0.97
    alone = vae_.score_samples(X[:300]) - norm.logpdf(X[:300, 0], 10.0, 2.0)
    assert np.mean(found) == pytest.approx(np.mean(alone), abs=0.06)  # the chain rule


def test_scores_of_a_row_do_not_depend_on_its_neighbours(normal):
    vae_, X = normal
    together = vae_.score_samples(X[:20], given=[1])
    alone = np.concatenate([vae_.score_samples(row[None], given=[1]) for row in X[:20]])
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("to_frame", [lambda frame: frame, pl.from_pandas], ids=["pandas", "polars"])
def test_any_columns_of_a_frame_may_be_given(mixed, to_frame):
    vae_, frame = mixed
    given = {"kind": "y", "a": 0.5}
    drawn = vae_.sample(300, random_state=0, condition=given)
    assert list(drawn.columns) == list(frame.columns)
    assert list(drawn.dtypes) == list(frame.dtypes)
    assert set(drawn["kind"]) == {"y"}
    assert (drawn["a"] == 0.5).all()
    near = frame[(frame["kind"] == "y") & (np.abs(frame["a"] - 0.5) < 0.3)]
    assert drawn["b"].mean() == pytest.approx(near["b"].mean(), abs=0.25)
    several = vae_.sample(2, random_state=0, condition=to_frame(frame[["kind"]][:3]))
    assert several["kind"].tolist() == np.repeat(frame["kind"][:3], 2).tolist()


def test_a_level_is_scored_given_the_numbers(mixed):
    vae_, frame = mixed
    rows = frame[:200]
    right = vae_.score_samples(rows, given=["a", "b", "count"])
    wrong = vae_.score_samples(rows.assign(kind=np.where(rows["kind"] == "x", "y", "x")), given=["a", "b", "count"])
    total = np.exp(right) + np.exp(wrong)
    assert np.median(total) == pytest.approx(1.0, abs=0.02)  # the two levels are all there is
    assert np.mean(right > wrong) > 0.85


def test_a_seed_gives_the_same_rows(mixed, untouched_globals):
    vae_, _ = mixed
    one, again, other = (vae_.sample(5, random_state=seed, condition={"a": 1.0}) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


TABLE = make_table(60, 3)
BAD = {
    "an unknown column": (lambda m: m.sample(condition={"z": 1.0}), r"Got condition= of \['z'\]; expected some of the"),
    "an unknown level": (lambda m: m.sample(condition={"kind": "q"}), "which fit has not seen"),
    "text for a number": (lambda m: m.sample(condition={"a": "high"}), "expected numbers"),
    "unequal lengths": (lambda m: m.sample(condition={"a": [1.0, 2.0], "b": [1.0]}), "of unequal lengths"),
    "too few columns": (lambda m: m.sample(condition=[[1.0, 2.0]]), r"without conditions, of shape \(1, 2\)"),
    "nothing": (lambda m: m.sample(condition={}), "expected some of the columns"),
    "means": (lambda m: m.sample(condition={"a": 1.0}, noise=False), "Got noise=False with a condition="),
    "an unknown given": (lambda m: m.score_samples(m.sample(2), given=["z"]), "is no column"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_conditions_are_refused(mixed, name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call(mixed[0])


def test_models_without_a_density_refuse():
    with pytest.raises(ValueError, match="for a model without conditions"):
        ae(sample_from="aggregate").fit(TABLE).sample(2, condition=[[1.0, np.nan, np.nan]])
    points = vae(posterior="point", divergence="mmd").fit(TABLE)
    with pytest.raises(AttributeError, match="have no density"):
        points.sample(2, condition=[[1.0, np.nan, np.nan]])


def test_what_is_known_from_far_outside_is_told(mixed):
    vae_, _ = mixed
    with pytest.warns(UserWarning, match=r"Got condition a=1e\+06, far outside of what fit has seen, .* Draws of"):
        drawn = vae_.sample(3, random_state=0, condition={"a": 1e6})
    assert np.isfinite(drawn["b"]).all()
