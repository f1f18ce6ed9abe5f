"""What a row scores does not depend on the rows beside it: ties of discrete tables included."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklae import AEOutlierDetector

N = 43


def discrete(seed, dtype):
    rng = np.random.RandomState(seed)
    return pd.DataFrame(
        {
            "a": rng.poisson(3, N).astype(dtype),
            "b": rng.uniform(size=N) < 0.5,
            "k": np.array(list("xyzw"))[rng.randint(0, 4, N)],
        }
    )


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"anomaly_score": ["neighbors", "columns"]},
        pytest.param({"support_fraction": 1.0}, marks=pytest.mark.slow),
    ],
)
def test_rows_score_alone_as_among_others(dtype, settings):
    train, new = discrete(0, dtype), discrete(1, dtype)
    detector = AEOutlierDetector(random_state=0, **settings).fit(train)

    @given(order=st.permutations(range(2 * N)), n_rows=st.integers(1, 2 * N))
    def check(order, n_rows):
        chosen = order[:n_rows]
        np.testing.assert_allclose(detector.score_samples(both.iloc[chosen]), together[chosen], rtol=0, atol=1e-8)

    both = pd.concat([train, new], ignore_index=True)
    together = detector.score_samples(both)
    check()


def test_three_rows_score_alone_as_among_others():
    X = np.array(
        [[3.25, 1.0, 0.0022887548339186603, 1.0], [3.25, 0.0, 0.18, -1.0], [3.25, 0.0, 0.3590193584594863, 1.0]]
    )
    X[1, 2] = 0.1833271337589074
    detector = AEOutlierDetector(random_state=25, support_fraction=0.9).fit(X)
    alone = [detector.score_samples(row[None])[0] for row in X]
    np.testing.assert_allclose(detector.score_samples(X), alone, rtol=1e-9)


def test_expected_values_are_told_where_the_rows_drawn_have_none():
    rng = np.random.RandomState(0)
    for seed in range(3):
        table = np.where(rng.uniform(size=(30, 3)) < 0.6, np.nan, rng.normal(size=(30, 3)))
        detector = AEOutlierDetector(anomaly_score="elbo", max_samples=2, random_state=seed).fit(table)
        assert np.isfinite(np.asarray(detector.explain(table[:3], return_expected=True)[1], dtype=float)).all()
