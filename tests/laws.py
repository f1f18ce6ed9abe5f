"""What holds for every part of a kind, listed or one's own.

A law is a function of one part; `test_laws.py` applies each to every part of its kind in `support.PARTS`.
Tolerances come from standard errors (five of them) or from the rule of integration.
"""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support import assert_mean, assert_seeded, finite_gradients, make_layout, plane, randomized, real_line, seeded
from torch import nn

from sklae._module import Autoencoder, generate
from sklae.likelihoods import Gaussian
from sklae.networks import MLP
from sklae.posteriors import Point

#: Kind -> laws.
LAWS: dict[str, list[Callable[[Any], None]]] = defaultdict(list)

_EXTREMES = torch.tensor([-1e4, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4])
_N_DRAWS = 40_000


def law(kind: str) -> Callable:
    """Register a law for all parts of a kind."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        LAWS[kind].append(function)
        return function

    return register


# -- likelihoods ----------------------------------------------------------------------------------------


def _columns(part: Any, n_features: int = 3) -> nn.Module:
    return randomized(part.build(make_layout(n_features, standardize=part.standardize))).double()


def _params(density: Any, n_samples: int, n_features: int = 3) -> torch.Tensor:
    return torch.randn(n_samples, n_features * density.n_params, generator=seeded(1), dtype=torch.float64)


def _support_points(part: Any, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where a column's density is to be summed, and the weights: every integer, or a fine grid."""
    low, high = part.support
    if bool((draws == draws.round()).all()):
        values = torch.arange(max(low, -10_000), min(high, 10_000) + 1, dtype=torch.float64)
        return values, torch.ones_like(values)
    if math.isfinite(low) and math.isfinite(high):
        values = torch.linspace(low, high, 8_001, dtype=torch.float64)
        weights = torch.full_like(values, (high - low) / 8_000)
        weights[[0, -1]] /= 2
        return values, weights
    values, weights = real_line()
    return values, weights * ((values >= low) & (values <= high))


@law("likelihood")
def each_column_sums_to_one(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 4)
    values, weights = _support_points(part, density.sample(params, seeded()))
    for row in params:
        log_prob = density.log_prob(row.expand(len(values), -1), values[:, None].expand(-1, 3))
        total = (weights[:, None] * log_prob.exp()).sum(0)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-4)


@law("likelihood")
def mean_is_that_of_samples(part: Any) -> None:
    density = _columns(part)
    row = _params(density, 1)
    draws = density.sample(row.expand(_N_DRAWS, -1), seeded())
    assert_mean(draws, density.mean(row)[0])


@law("likelihood")
def samples_follow_the_density(part: Any) -> None:
    """Compare expectations of two bounded functions: they exist however heavy the tails."""
    density = _columns(part)
    row = _params(density, 1)
    draws = density.sample(row.expand(_N_DRAWS, -1), seeded())
    values, weights = _support_points(part, draws)
    grid = values[:, None].expand(-1, 3)
    mass = weights[:, None] * density.log_prob(row.expand(len(values), -1), grid).exp()
    center = density.mean(row)
    for function in (torch.sigmoid, lambda x: (-0.5 * (x - center).square()).exp()):
        assert_mean(function(draws), (mass * function(grid)).sum(0))


@law("likelihood")
def energy_and_norm_make_the_density(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 20)
    x = density.sample(params, seeded())
    torch.testing.assert_close(density.energy(params, x) + density.log_norm(), -density.log_prob(params, x))
    learned = any(p.requires_grad for p in density.parameters())
    assert density.learns_norm == learned, "log_norm would be missing from the loss, or cost time in it"


@law("likelihood")
def columns_do_not_mix(part: Any) -> None:
    """A column's term depends on its own value and its own parameters: what makes gaps and explanations sums."""
    density = _columns(part)
    params = _params(density, 5).requires_grad_()
    x = density.sample(params.detach(), seeded()).requires_grad_()
    used: list[int] = []
    for column in range(3):
        by_x, by_params = torch.autograd.grad(density.log_prob(params, x)[:, column].sum(), (x, params))
        assert torch.all(by_x[:, torch.arange(3) != column] == 0)
        used += by_params.any(0).nonzero().flatten().tolist()
    assert sorted(used) == list(range(3 * density.n_params)), "parameters are shared between columns, or idle"


@law("likelihood")
def one_row_serves_many_params(part: Any) -> None:
    """Several codes per row are scored against the same x."""
    density = _columns(part)
    params = _params(density, 12).unflatten(0, (3, 4))
    x = density.sample(params[0], seeded())
    each = torch.stack([density.log_prob(p, x) for p in params])
    torch.testing.assert_close(density.log_prob(params, x), each)


@law("likelihood")
def gradients_are_finite_far_out(part: Any) -> None:
    density = randomized(part.build(make_layout(standardize=part.standardize)))
    pairs = torch.tensor(list(itertools.product(_EXTREMES.tolist(), repeat=2)))
    params = pairs[:, :1].repeat(1, 3 * density.n_params).requires_grad_()
    x = pairs[:, 1:].clamp(*part.support).repeat(1, 3)
    loss = density.energy(params, x) + density.log_norm()
    assert finite_gradients(loss, params, *density.parameters())


@law("likelihood")
def samples_lie_in_the_support(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 500)
    x = density.sample(params, seeded())
    low, high = part.support
    assert x.shape == (500, 3)
    assert x.dtype == params.dtype
    assert low <= x.min()
    assert x.max() <= high
    assert density.log_prob(params, x).isfinite().all()
    assert len(x.unique()) > 1


@law("likelihood")
def draws_come_from_the_generator(part: Any) -> None:
    density = _columns(part)
    params = _params(density, 50)
    assert_seeded(lambda generator: density.sample(params, generator))


# -- priors and posteriors ------------------------------------------------------------------------------


def _prior(part: Any, n_components: int) -> Any:
    return randomized(part.build(n_components)).double()()


def _codes(part: Any, n_samples: int, n_components: int, seed: int = 5) -> Any:
    """Return the posterior of some rows."""
    h = torch.randn(n_samples, part.n_outputs(n_components), generator=seeded(seed), dtype=torch.float64)
    return randomized(part.build(n_components)).double()(h)


def _moments(log_prob: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return mass, mean and mean square of a density of one component, by integration."""
    z, weights = real_line()
    mass = weights * log_prob(z[:, None]).exp()
    return torch.stack([mass.sum(), (mass * z).sum(), (mass * z.square()).sum()])


@law("prior")
def prior_integrates_to_one(part: Any) -> None:
    assert float(_moments(_prior(part, 1).log_prob)[0]) == pytest.approx(1.0, abs=1e-4)
    points, weight = plane()
    assert float((_prior(part, 2).log_prob(points).exp() * weight).sum()) == pytest.approx(1.0, abs=2e-2)


@law("prior")
def prior_samples_have_its_moments(part: Any) -> None:
    distribution = _prior(part, 1)
    _, mean, square = _moments(distribution.log_prob)
    draws = distribution.sample(_N_DRAWS, seeded())[:, 0]
    assert_mean(torch.stack([draws, draws.square()], dim=1), torch.stack([mean, square]))


@law("prior")
def prior_samples_score_finite(part: Any) -> None:
    distribution = _prior(part, 3)
    z = distribution.sample(100, seeded())
    assert z.shape == (100, 3)
    log_prob = distribution.log_prob(z)
    assert log_prob.shape == (100,)
    assert log_prob.isfinite().all()


@law("prior")
def prior_gradients_are_finite_far_out(part: Any) -> None:
    z = torch.cartesian_prod(_EXTREMES, _EXTREMES).requires_grad_()
    assert finite_gradients(part.build(2)().log_prob(z), z)


@law("prior")
def prior_draws_come_from_the_generator(part: Any) -> None:
    distribution = _prior(part, 2)
    assert_seeded(lambda generator: distribution.sample(10, generator))


@law("posterior")
def posterior_integrates_to_one(part: Any) -> None:
    q = _codes(part, 1, 1)
    assert float(_moments(q.log_prob)[0]) == pytest.approx(1.0, abs=1e-4)
    points, weight = plane()
    assert float((_codes(part, 1, 2).log_prob(points).exp() * weight).sum()) == pytest.approx(1.0, abs=2e-2)


@law("posterior")
def posterior_samples_have_its_moments(part: Any) -> None:
    q = _codes(part, 1, 1)
    _, mean, square = _moments(q.log_prob)
    assert float(q.mean) == pytest.approx(float(mean), abs=1e-3)
    generator = seeded()
    draws = torch.cat([q.rsample(generator) for _ in range(4_000)])[:, 0]
    assert_mean(torch.stack([draws, draws.square()], dim=1), torch.stack([mean, square]))


@law("posterior")
def pushed_noise_is_a_sample(part: Any) -> None:
    q = _codes(part, 6, 2)
    noise = torch.empty_like(q.mean).normal_(generator=seeded(2))
    torch.testing.assert_close(q.push(noise), q.rsample(seeded(2)))
    many = torch.randn(5, 1, 2, generator=seeded(3), dtype=torch.float64)
    each = torch.stack([q.push(draw.expand(6, 2)) for draw in many])
    torch.testing.assert_close(q.push(many), each)


@law("posterior")
def posterior_draws_come_from_the_generator(part: Any) -> None:
    assert_seeded(_codes(part, 6, 2).rsample)


@law("posterior")
def posterior_is_finite_far_out(part: Any) -> None:
    n_outputs = part.n_outputs(1)
    h = torch.tensor(list(itertools.product(_EXTREMES.tolist(), repeat=n_outputs))).requires_grad_()
    q = part.build(1)(h)
    z = q.rsample(seeded())
    assert finite_gradients(z, h)
    assert finite_gradients(part.build(1)(h).log_prob(z.detach()), h)


@law("posterior")
def every_output_of_the_encoder_is_trained(part: Any) -> None:
    h = torch.randn(8, part.n_outputs(3), generator=seeded(4), requires_grad=True)
    z = part.build(3)(h).rsample(seeded())
    (gradient,) = torch.autograd.grad(z.square().sum(), h)
    assert torch.all(gradient != 0)


def closed_form_kl_is_that_of_samples(posterior: Any, prior: Any) -> bool:
    """Compare where there is a closed form; return whether there is."""
    q, p = _codes(posterior, 1, 3), _prior(prior, 3)
    closed_form = q.kl(p)
    if closed_form is None:
        return False
    z = q.push(torch.randn(_N_DRAWS, 1, 3, generator=seeded(6), dtype=torch.float64))
    assert_mean(q.log_prob(z) - p.log_prob(z), closed_form)
    assert torch.all(closed_form >= 0)
    h = torch.tensor(list(itertools.product(_EXTREMES.tolist(), repeat=posterior.n_outputs(1)))).requires_grad_()
    assert finite_gradients(posterior.build(1)(h).kl(prior.build(1)()), h)
    return True


# -- corruptions ----------------------------------------------------------------------------------------


def _corruption(part: Any) -> tuple[nn.Module, torch.Tensor]:
    """Return the module and rows whose values are all different."""
    layout = make_layout(4)
    x = torch.empty(2_000, 4).uniform_(-1.4, 1.4, generator=seeded(7))
    return part.build(layout).train(), x


@law("corruption")
def damage_comes_from_the_generator(part: Any) -> None:
    module, x = _corruption(part)
    clean = x.clone()
    assert_seeded(lambda generator: module(x, generator)[0])
    assert torch.equal(x, clean), "the target was damaged too"
    if part.masks:
        assert_seeded(lambda generator: module(x, generator)[1])


@law("corruption")
def share_of_changed_values_is_the_fraction(part: Any) -> None:
    if not hasattr(part, "fraction"):
        return
    for fraction in (0.0, 0.2, 0.7, 1.0):
        module, x = _corruption(clone(part).set_params(fraction=fraction))
        damaged, _ = module(x, seeded())
        share = float((damaged != x).double().mean())
        # a value may be swapped for itself: one in 2,000
        assert share == pytest.approx(fraction, abs=5 * math.sqrt(fraction * (1 - fraction) / x.numel()) + 2e-3)


@law("corruption")
def damage_passes_gradients(part: Any) -> None:
    module, x = _corruption(part)
    extreme = (1e4 * x).requires_grad_()
    damaged, _ = module(extreme, seeded())
    assert finite_gradients(damaged, extreme)
    assert damaged.dtype == x.dtype
    assert damaged.shape == x.shape


def _model(part: Any) -> tuple[Autoencoder, torch.Tensor, list[torch.Tensor]]:
    """Return a plain autoencoder with the corruption, some rows, and a list of what its encoder gets."""
    with generate(seeded()):
        model = Autoencoder(make_layout(4), 2, MLP((4,)), Gaussian(1.0), Point(), corruption=part)
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    return model, torch.randn(50, 4, generator=seeded(8)), seen


@law("corruption")
def only_training_corrupts(part: Any) -> None:
    model, x, seen = _model(part)
    model.train()(x, generator=seeded())
    model.train()(x)
    model.eval()(x, generator=seeded())
    damaged, *clean = (h[:, :4] for h in seen)
    assert not torch.equal(damaged, x)
    assert all(torch.equal(h, x) for h in clean)


@law("corruption")
def masking_tells_the_encoder(part: Any) -> None:
    model, x, seen = _model(part)
    model.train()(x, generator=seeded())
    _, kept = model.corruption(x, seeded())
    assert (kept is not None) == part.masks == model.sees_mask
    if part.masks:
        damaged, told = seen[0].chunk(2, dim=1)
        assert torch.equal(told, kept)
        assert torch.equal(damaged[kept == 1], x[kept == 1])
        assert not torch.any(damaged[kept == 0] == x[kept == 0])
        assert 0 < kept.mean() < 1


@law("corruption")
def a_gap_stays_a_gap(part: Any) -> None:
    """What corruption keeps of a missing value is still marked as missing, and no term of the loss."""
    model, x, seen = _model(part)
    if not part.masks:
        return
    observed = (torch.rand(50, 4, generator=seeded(9)) < 0.8).float()
    model.train()(x, observed, generator=seeded())
    told = seen[0].chunk(2, dim=1)[1]
    assert torch.all(told[observed == 0] == 0)


# -- penalties ------------------------------------------------------------------------------------------


@law("penalty")
def penalty_is_not_negative(part: Any) -> None:
    for scale in (0.0, 0.1, 1.0, 30.0):
        term = part.term(scale * torch.randn(40, 3, generator=seeded(), dtype=torch.float64))
        assert term.shape in ((40,), ())
        assert torch.all(term >= -1e-12)


@law("penalty")
def weight_scales_the_penalty(part: Any) -> None:
    z = torch.randn(40, 3, generator=seeded(), dtype=torch.float64)
    zero, one, three = (clone(part).set_params(weight=weight).term(z) for weight in (0.0, 1.0, 3.0))
    assert torch.all(zero == 0)
    assert torch.any(one > 0)
    torch.testing.assert_close(three, 3 * one)


@law("penalty")
def penalty_is_finite_far_out(part: Any) -> None:
    for z in (torch.cartesian_prod(_EXTREMES, _EXTREMES), _EXTREMES[:1].expand(5, 2), _EXTREMES[-1:].expand(5, 2)):
        z = z.clone().requires_grad_()
        assert finite_gradients(part.term(z), z)


# -- networks -------------------------------------------------------------------------------------------


def _networks(part: Any) -> tuple[nn.Module, nn.Module]:
    with generate(seeded()):
        return part.build_encoder(6, 4), part.build_decoder(2, 6)


_INPUTS = torch.randn(10, 6, generator=seeded(10))
_CODES = torch.randn(10, 2, generator=seeded(11))


@law("network")
def shapes_are_as_asked(part: Any) -> None:
    encoder, decoder = _networks(part)
    assert encoder(_INPUTS, seeded()).shape == (10, 4)
    assert decoder(_CODES, seeded()).shape == (10, 6)
    assert encoder.eval()(_INPUTS[:1]).shape == (1, 4)
    assert decoder.eval()(_CODES[:1]).shape == (1, 6)


@law("network")
def network_draws_come_from_generators(part: Any) -> None:
    """Initial weights from the one at construction, dropout from the one that is handed along."""

    def draw(generator: torch.Generator) -> torch.Tensor:
        with generate(generator):
            encoder = part.build_encoder(6, 4)
        return encoder(_INPUTS, generator)

    assert_seeded(draw)


@law("network")
def inference_is_deterministic(part: Any) -> None:
    for module, inputs in zip(_networks(part), (_INPUTS, _CODES), strict=True):
        module.eval()
        assert torch.equal(module(inputs), module(inputs, seeded()))
        # no row depends on its neighbours
        torch.testing.assert_close(module(inputs)[:3], module(inputs[:3]), rtol=1e-5, atol=1e-6)


@law("network")
def one_step_trains_every_layer(part: Any) -> None:
    for module, inputs in zip(_networks(part), (_INPUTS, _CODES), strict=True):
        before = copy.deepcopy(list(module.parameters()))
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        generator = seeded()
        for _ in range(3):  # a step may leave a unit's weights alone: one that is off on all rows
            optimizer.zero_grad()
            module(inputs, generator).square().mean().backward()
            optimizer.step()
        assert all(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
        assert all(parameter.isfinite().all() for parameter in module.parameters())


@law("network")
def copies_are_the_same(part: Any) -> None:
    for module, inputs in zip(_networks(part), (_INPUTS, _CODES), strict=True):
        module(inputs, seeded())  # batch statistics are state, too
        module.eval()
        expected = module(inputs)
        assert torch.equal(copy.deepcopy(module)(inputs), expected)
        assert torch.equal(pickle.loads(pickle.dumps(module))(inputs), expected)
        assert copy.deepcopy(module).double()(inputs.double()).dtype == torch.float64


# -- schedules ------------------------------------------------------------------------------------------


@law("schedule")
def factors_glide_between_zero_and_one(schedule: Any) -> None:
    factors = np.array([schedule(progress) for progress in np.linspace(0, 1, 1_001)])
    assert factors.min() >= 0
    assert factors.max() == pytest.approx(1.0)
    assert factors[0] > 0.01, "the first epoch would be wasted"
    assert factors[-1] < 1e-3, "it would not settle"
    assert np.abs(np.diff(factors)).max() < 0.01
