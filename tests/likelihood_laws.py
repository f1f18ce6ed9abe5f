"""The laws of likelihoods: they register themselves with those in `laws.py`, where the rules are told."""

from __future__ import annotations

import copy
import itertools
import math
import operator
from typing import Any

import numpy as np
import torch
from laws import EXTREMES, N_DRAWS, law
from support import (
    assert_mean,
    assert_seeded,
    finite_gradients,
    into_support,
    make_layout,
    make_table,
    randomized,
    real_line,
    seeded,
)
from torch import nn

from sklae._tables.layout import Layout
from sklae.likelihoods import Support


def _columns(part: Any, n_features: int = 3) -> nn.Module:
    return randomized(part.build(make_layout(n_features, likelihood=part))).double()


def _params(density: Any, n_samples: int, n_features: int = 3) -> torch.Tensor:
    return torch.randn(n_samples, density.n_outputs(n_features), generator=seeded(1), dtype=torch.float64)


def _by_column(part: Any, n_features: int = 3) -> list[Any]:
    """Return the likelihood of each column: itself, or that of the column's block."""
    blocks = part.assign(make_layout(n_features, likelihood=part).columns)
    return [next(block for _, block, indices in blocks if column in indices) for column in range(n_features)]


def _into(part: Any, x: torch.Tensor) -> torch.Tensor:
    """Move (whole) numbers into the columns' supports."""
    supports = [block.support for block in _by_column(part)]
    lows = [max(support.low, 1e-30) if support.open_low else support.low for support in supports]
    return x.clamp(torch.tensor(lows), torch.tensor([support.high for support in supports]))


def _line(support: Support) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points on a support and their weights in an integral."""
    if math.isfinite(support.low) and math.isfinite(support.high):
        values = torch.linspace(support.low, support.high, 8_001, dtype=torch.float64)
        weights = torch.full_like(values, (support.high - support.low) / 8_000)
        weights[[0, -1]] /= 2
        return values, weights
    if math.isfinite(support.low):
        t = torch.linspace(-40.0, 40.0, 8_001, dtype=torch.float64)
        return support.low + t.exp(), t.exp() * (t[1] - t[0])
    return real_line()


def _between(edges: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points on the real line and their weights for a density that jumps at edges."""
    edges = edges[edges.isfinite()]
    share = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    inside = edges[:-1, None] + edges.diff()[:, None] * share
    angle = (torch.arange(2_000, dtype=torch.float64) + 0.5) * (math.pi / 4_000)
    outside = [edges[0] - angle.tan(), edges[-1] + angle.tan()]
    weights = [(edges.diff()[:, None] / 20).expand(-1, 20).flatten(), *2 * [math.pi / 4_000 / angle.cos().square()]]
    return torch.cat([inside.flatten(), *outside]), torch.cat(weights)


def _integers(density: Any, support: Support, column: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the integers of a support that the density knows as possible."""
    values = torch.arange(max(support.low, -10_000), min(support.high, 10_000) + 1, dtype=torch.float64)
    while len(values) and _is_refused(density, values, column):
        values = values[: len(values) // 2] if _is_refused(density, values[: len(values) // 2], column) else values[:-1]
    return values, torch.ones_like(values)


def _is_refused(density: Any, values: torch.Tensor, column: int) -> bool:
    x = torch.zeros(len(values), 3, dtype=torch.float64)
    x[:, column] = values
    try:
        density.check(x, None)
    except ValueError:
        return True
    return False


def _support_points(part: Any, density: Any, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where each column's density is to be summed, (n_points, 3), and the weights; padded with weights of 0."""
    found = []
    for column, block in enumerate(_by_column(part)):
        is_integer = bool((draws[:, column] == draws[:, column].round()).all())
        assert is_integer or not block.support.integer
        if is_integer:
            found.append(_integers(density, block.support, column))
        else:
            found.append(_between(density.edges[column]) if block.reads_grid else _line(block.support))
    length = max(len(values) for values, _ in found)
    values = [torch.cat([v, v[:1].expand(length - len(v))]) for v, _ in found]
    weights = [torch.cat([w, torch.zeros(length - len(w), dtype=w.dtype)]) for _, w in found]
    return torch.stack(values, dim=1), torch.stack(weights, dim=1)


@law("likelihood")
def each_column_sums_to_one(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 4)
    values, weights = _support_points(part, density, density.sample(params.repeat(50, 1), seeded()))
    for row in params:
        log_prob = density.log_prob(row.expand(len(values), -1), values)
        total = (weights * log_prob.exp()).sum(0)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-4)


@law("likelihood")
def mean_is_that_of_samples(part: Any) -> None:
    """Where values are levels, it is the most probable one."""
    density = _columns(part)
    row = _params(density, 1)
    draws = density.sample(row.expand(N_DRAWS, -1), seeded())
    discrete = torch.tensor([block.discrete for block in _by_column(part)])
    mean = density.mean(row)
    if not discrete.all():
        assert_mean(draws[:, ~discrete], mean[0, ~discrete])
    values, weights = _support_points(part, density, draws)
    log_prob = density.log_prob(row.expand(len(values), -1), values) + weights.log()
    assert torch.all((log_prob.amax(0) == density.log_prob(row, mean)[0])[discrete])


@law("likelihood")
def samples_follow_the_density(part: Any) -> None:
    """Compare expectations of two bounded functions: they exist however heavy the tails."""
    density = _columns(part)
    row = _params(density, 1)
    draws = density.sample(row.expand(N_DRAWS, -1), seeded())
    values, weights = _support_points(part, density, draws)
    mass = weights * density.log_prob(row.expand(len(values), -1), values).exp()
    center = density.mean(row)
    for function in (torch.sigmoid, lambda x: (-0.5 * (x - center).square()).exp()):
        assert_mean(function(draws), (mass * function(values)).sum(0))


@law("likelihood")
def energy_and_norm_make_the_density(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 20)
    x = density.sample(params, seeded())
    torch.testing.assert_close(density.energy(params, x) + density.log_norm(), -density.log_prob(params, x))
    learned = list(density.parameters())
    of_norm, of_energy = (_reached(term, learned) for term in (density.log_norm(), density.energy(params, x)))
    assert density.learns_norm == any(of_norm), "log_norm would be missing from the loss, or cost time in it"
    assert all(map(operator.or_, of_norm, of_energy)), "parameters that nothing depends on"


def _reached(term: Any, parameters: list[nn.Parameter]) -> list[bool]:
    """Return for each parameter whether a term depends on it."""
    if not parameters or not getattr(term, "requires_grad", False):
        return [False] * len(parameters)
    gradients = torch.autograd.grad(term.sum(), parameters, allow_unused=True)
    return [gradient is not None for gradient in gradients]


@law("likelihood")
def columns_do_not_mix(part: Any) -> None:
    """A column's term depends on its own value and its own parameters: what makes gaps and explanations sums."""
    density = _columns(part)
    params = _params(density, 5).requires_grad_()
    x = density.sample(params.detach(), seeded()).requires_grad_()
    used: list[int] = []
    for column in range(3):
        term = density.log_prob(params, x)[:, column].sum()
        by_x, by_params = torch.autograd.grad(term, (x, params), allow_unused=True)
        assert by_x is None or torch.all(by_x[:, torch.arange(3) != column] == 0)
        used += by_params.any(0).nonzero().flatten().tolist()
    assert sorted(used) == list(range(density.n_outputs(3))), "parameters are shared between columns, or idle"


@law("likelihood")
def a_value_moves_its_own_term_only(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 40)
    x, other = (density.sample(params, seeded(seed)) for seed in (0, 1))
    for column in range(3):
        moved = x.clone()
        moved[:, column] = other[:, column]
        same = density.log_prob(params, moved) == density.log_prob(params, x)
        assert same[:, torch.arange(3) != column].all()
        assert not same[:, column].all()


@law("likelihood")
def one_row_serves_many_params(part: Any) -> None:
    """Several codes per row are scored against the same x."""
    density = _columns(part)
    params = _params(density, 12).unflatten(0, (3, 4))
    x = density.sample(params[0], seeded())
    each = torch.stack([density.log_prob(p, x) for p in params])
    torch.testing.assert_close(density.log_prob(params, x), each)
    torch.testing.assert_close(density.mean(params), torch.stack([density.mean(p) for p in params]))
    assert density.sample(params, seeded()).shape == (3, 4, 3)


@law("likelihood")
def gradients_are_finite_far_out(part: Any) -> None:
    density = randomized(part.build(make_layout(likelihood=part)))
    pairs = torch.tensor(list(itertools.product(EXTREMES.tolist(), repeat=2)))
    params = pairs[:, :1].repeat(1, density.n_outputs(3)).requires_grad_()
    x = _into(part, pairs[:, 1:].repeat(1, 3))
    loss = density.energy(params, x) + density.log_norm()
    assert finite_gradients(loss, params, *density.parameters())
    for values in (density.mean(params), density.sample(params, seeded())):
        assert values.isfinite().all()


@law("likelihood")
def single_precision_suffices(part: Any) -> None:
    """For training: terms agree with those in float64."""
    density = randomized(part.build(make_layout(likelihood=part)))
    exact = copy.deepcopy(density).double()
    params = _params(exact, 200)
    x = exact.sample(params, seeded())
    for value in (density.log_norm(), density.energy(params.float(), x.float()), density.inputs(x.float(), None)):
        assert not isinstance(value, torch.Tensor) or value.dtype == torch.float32
    terms = density.log_prob(params.float(), x.float()).double()
    torch.testing.assert_close(terms, exact.log_prob(params, x.float().double()), rtol=1e-4, atol=2e-3)


@law("likelihood")
def encoder_sees_what_is_said(part: Any) -> None:
    """As many numbers as announced, of moderate size, and finite whatever a corruption made of the rows."""
    layout = make_layout(likelihood=part)
    density = part.build(layout)
    x = layout.encode(into_support(make_table(200, 3), part)).x
    density.check(x, None)
    seen = density.inputs(x, None)
    assert seen.shape == (200, density.n_inputs(3))
    assert seen.abs().mean() < 3
    assert torch.all(seen.std(0) > 0)
    assert density.inputs(EXTREMES[:, None].repeat(1, 3), None).isfinite().all()
    assert torch.equal(density.inputs(x, torch.ones_like(x)), seen)


@law("likelihood")
def gaps_and_constant_columns_have_finite_terms(part: Any) -> None:
    """They are multiplied by zero."""
    X = into_support(make_table(50, 3), part)
    X[:, 1] = X[0, 1]
    X[:10, 0] = np.nan
    layout = Layout.fit(X, rows=None, standardize=_standardized(part))
    density = part.build(layout)
    rows = layout.encode(X)
    params = torch.zeros(50, density.n_outputs(3), requires_grad=True)
    density.check(rows.x, rows.observed)
    assert density.inputs(rows.x, rows.observed).isfinite().all()
    assert finite_gradients(density.energy(params, rows.x) + density.log_norm(), params, *density.parameters())


def _standardized(part: Any) -> np.ndarray:
    return np.array([block.standardize for block in _by_column(part)])


@law("likelihood")
def samples_lie_in_the_support(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 500)
    x = density.sample(params, seeded())
    assert x.shape == (500, 3)
    assert x.dtype == params.dtype
    for column, block in enumerate(_by_column(part)):
        block.support.check(x[:, column])
        assert len(x[:, column].unique()) > 1
    density.check(x, None)
    assert density.log_prob(params, x).isfinite().all()


@law("likelihood")
def draws_come_from_the_generator(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 50)
    assert_seeded(lambda generator: density.sample(params, generator))
