"""Whether tables are samples of one distribution: known distances, broken columns, chance, and bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import global_generators

from sklae.metrics import classifier_two_sample_score, energy_distance


def make_rows(n, seed, mean=0.0):
    """Numbers, text and gaps that depend on each other."""
    rng = np.random.RandomState(seed)
    a = rng.normal(mean, size=n)
    b = 0.9 * a + 0.4 * rng.normal(size=n)
    kind = np.where(a + 0.3 * rng.normal(size=n) > 0, "x", "y").astype(object)
    kind[rng.uniform(size=n) < 0.1] = None
    return pd.DataFrame({"a": a, "b": np.where(rng.uniform(size=n) < 0.1, np.nan, b), "kind": kind})


def shuffled(frame, seed=0):
    rng = np.random.RandomState(seed)
    return pd.DataFrame({name: frame[name].to_numpy()[rng.permutation(len(frame))] for name in frame})


# -- the energy distance --------------------------------------------------------------------------------


def test_the_distance_is_that_of_the_definition():
    rng = np.random.RandomState(0)
    real, made = rng.normal(size=(50, 2)), rng.normal(1.0, size=(40, 2))
    x, y = (part / real.std(axis=0) for part in (real, made))

    def mean(a, b):
        return np.mean([[np.linalg.norm(p - q) for q in b] for p in a])

    wanted = 2 * mean(x, y) - mean(x, x) - mean(y, y)
    assert energy_distance(real, made) == pytest.approx(wanted, rel=1e-9)


def test_two_levels_lie_one_apart():
    real, made = pd.DataFrame({"kind": list("aaaa")}), pd.DataFrame({"kind": list("bbbb")})
    assert energy_distance(real, made) == pytest.approx(2.0)
    assert energy_distance(real, real) == 0.0
    half = pd.DataFrame({"kind": ["a", "a", None, None]})
    assert energy_distance(half, real) == pytest.approx(energy_distance(half, half.iloc[:2]), abs=1e-9)


@pytest.mark.parametrize("to_frame", [lambda frame: frame, pl.from_pandas], ids=["pandas", "polars"])
def test_it_grows_with_what_is_wrong(to_frame):
    real, again, moved = (to_frame(make_rows(500, seed, mean)) for seed, mean in ((0, 0.0), (1, 0.0), (2, 0.7)))
    broken = to_frame(shuffled(make_rows(500, 1)))
    chance, apart, far = (energy_distance(real, other) for other in (again, broken, moved))
    assert chance < 0.02
    assert apart > 3 * chance
    assert far > apart


def test_gaps_in_one_table_alone_are_a_difference():
    real = np.random.RandomState(0).normal(size=(200, 2))
    gappy = np.where(np.random.RandomState(1).uniform(size=real.shape) < 0.5, np.nan, real)
    assert energy_distance(real, gappy) > 0.1
    assert energy_distance(gappy, real) > 0.1


# -- the classifier -------------------------------------------------------------------------------------


def test_samples_of_one_distribution_cannot_be_told_apart():
    scores = [classifier_two_sample_score(make_rows(400, 2 * i), make_rows(400, 2 * i + 1)) for i in range(3)]
    assert 0.45 < np.mean(scores) < 0.55


def test_trees_see_what_a_line_does_not():
    real, broken = make_rows(800, 0), shuffled(make_rows(800, 1))
    assert classifier_two_sample_score(real, broken, random_state=0) > 0.85
    numbers = [frame[["a", "b"]].fillna(0.0).to_numpy() for frame in (real, broken)]
    line = make_pipeline(StandardScaler(), LogisticRegression())
    assert classifier_two_sample_score(*numbers, estimator=line, random_state=0) < 0.6


def test_unknown_levels_give_rows_away():
    real = make_rows(300, 0)
    assert classifier_two_sample_score(real, make_rows(300, 1).assign(kind="z"), random_state=0) > 0.8


def test_the_larger_table_is_cut():
    score = classifier_two_sample_score(make_rows(1000, 0), make_rows(100, 1), random_state=0)
    assert 0.35 < score < 0.65


@pytest.mark.parametrize(
    "figure", [classifier_two_sample_score, lambda *t, **k: energy_distance(*t, sample_size=50, **k)]
)
def test_a_seed_gives_the_same_and_global_seeds_are_left_alone(figure):
    tables = make_rows(120, 0), make_rows(120, 1)
    before = global_generators()
    assert figure(*tables, random_state=0) == figure(*tables, random_state=0)
    assert global_generators() == before


BAD = {
    "other columns": (lambda: energy_distance(make_rows(9, 0), make_rows(9, 1)[["a", "b"]]), "expected the same"),
    "no rows": (lambda: energy_distance(make_rows(9, 0), make_rows(9, 1)[:0]), "Got no rows in synthetic"),
    "few rows": (lambda: classifier_two_sample_score(make_rows(9, 0), make_rows(3, 1)), "Got a table of 3 rows"),
    "no sample": (lambda: energy_distance([[0.0]], [[1.0]], sample_size=0), "Got sample_size=0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
