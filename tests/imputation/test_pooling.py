"""Rubin's rules over the imputer's draws, against what maximum likelihood says in closed form."""

import numpy as np
import pytest

from sklae import AEImputer


def _table(seed, n=200, m=100, correlation=0.8):
    """Return normal rows whose second column is missing, completely at random, in all but m of them."""
    rng = np.random.RandomState(seed)
    x = rng.normal(size=n)
    y = correlation * x + np.sqrt(1.0 - correlation**2) * rng.normal(size=n)
    y[m:] = np.nan
    return np.column_stack([x, y])


def _by_regression(table):
    """Return the mean of the second column by maximum likelihood, and its variance.

    The factored likelihood of monotone gaps (Anderson, JASA 52:200, 1957; Little and Rubin, 2002, chapter 7): the
    regression of the complete rows, at the mean of all first values.
    """
    x, (a, b) = table[:, 0], table[~np.isnan(table[:, 1])].T
    slope = np.cov(a, b, bias=True)[0, 1] / a.var()
    residual = b - b.mean() - slope * (a - a.mean())
    shift = x.mean() - a.mean()
    noise = residual @ residual / (len(a) - 2)
    return b.mean() + slope * shift, noise * (1 / len(a) + shift**2 / (len(a) * a.var())) + slope**2 * x.var() / len(x)


@pytest.mark.slow
def test_pooled_means_and_variances_are_those_of_maximum_likelihood():
    errors, ratios, naive = [], [], []
    for seed in range(3):
        table = _table(seed)
        made = AEImputer(n_imputations=40, random_state=seed).fit_transform(table)
        columns = [one[:, 1] for one in made]
        means = np.array([column.mean() for column in columns])
        within = np.mean([column.var(ddof=1) / len(column) for column in columns])
        total = within + (1 + 1 / len(made)) * means.var(ddof=1)
        estimate, variance = _by_regression(table)
        errors.append((means.mean() - estimate) / np.sqrt(variance))
        ratios.append(total / variance)
        naive.append(within / variance)
    assert np.abs(errors).max() < 0.3
    assert 0.8 < np.mean(ratios) < 1.25
    assert np.mean(naive) < 0.75, "the gaps are too few for the test to tell anything"
