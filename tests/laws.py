"""What holds for every part of a kind, listed or one's own.

A law is a function of one part; `test_laws.py` applies each to every part of its kind in `support.PARTS`.
Tolerances come from standard errors (five of them) or from the rule of integration.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from support import (
    assert_mean,
    assert_seeded,
    finite_gradients,
    make_layout,
    plane,
    randomized,
    real_line,
    seeded,
)
from torch import nn

from sklae._model.module import Autoencoder
from sklae._tables.layout import Layout, Rows
from sklae._utils.random import generate
from sklae.divergences import Codes
from sklae.likelihoods import Bernoulli, Gaussian
from sklae.networks import MLP, Inputs
from sklae.networks._base import call
from sklae.networks._custom import draws
from sklae.penalties import CodedRows, Penalty
from sklae.penalties._base import ActiveCodes
from sklae.posteriors import Diagonal, DiagonalCodes, Point, RowCodes
from sklae.priors import StandardNormalCodes

#: Kind -> laws.
LAWS: dict[str, list[Callable[[Any], None]]] = defaultdict(list)

#: Inputs beyond which nothing sane lies.
EXTREMES = torch.tensor([-1e4, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4])
N_DRAWS = 40_000


def law(kind: str) -> Callable:
    """Register a law for all parts of a kind."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        LAWS[kind].append(function)
        return function

    return register


# -- priors and posteriors ------------------------------------------------------------------------------


def _encode(x: torch.Tensor, observed: Any = None, condition: Any = None) -> DiagonalCodes:
    """Stand in for an encoder of three columns and up to three components."""
    return DiagonalCodes(0.7 * x, 0.5 + 0.3 * x.sigmoid())


def _prior(part: Any, n_components: int) -> Any:
    """Return the distribution that a prior starts with, on a table as wide as the code."""
    module = randomized(part.build(n_components, make_layout(n_components)))
    rows = Rows(torch.randn(80, n_components, generator=seeded(12)))
    module.start(rows, lambda: _encode(rows.x).rsample(seeded(13)).double(), seeded())
    return module.double()(_encode)


def _encoder_outputs(part: Any, n_components: int, values: torch.Tensor | None = None, n_samples: int = 1) -> Any:
    """Return what encoders might say: given values, drawn at random and as often as wanted, or normal draws."""
    n_outputs = part.n_outputs(n_components) * (2 if part.per_block else 1)
    if values is None:
        h = torch.randn(n_samples, n_outputs, generator=seeded(5), dtype=torch.float64)
    else:
        h = values[torch.randint(len(values), (n_samples, n_outputs), generator=seeded(5))]
    return torch.cat([h, h.new_ones(n_samples, 2)], dim=1) if part.per_block else h


def _codes(part: Any, n_samples: int, n_components: int) -> Any:
    """Return the posterior of some rows."""
    h = _encoder_outputs(part, n_components, n_samples=n_samples)
    return randomized(part.build(n_components)).double()(h)


@torch.no_grad()
def _moments(log_prob: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return mass, mean and mean square of a density of one component, by integration."""
    z, weights = real_line()
    mass = weights * log_prob(z[:, None]).exp()
    return torch.stack([mass.sum(), (mass * z).sum(), (mass * z.square()).sum()])


@law("prior")
def prior_integrates_to_one(part: Any) -> None:
    assert float(_moments(_prior(part, 1).log_prob)[0]) == pytest.approx(1.0, abs=1e-4)
    points, weight = plane()
    assert float((_prior(part, 2).log_prob(points).detach().exp() * weight).sum()) == pytest.approx(1.0, abs=2e-2)


@law("prior")
def prior_samples_have_its_moments(part: Any) -> None:
    distribution = _prior(part, 1)
    _, mean, square = _moments(distribution.log_prob)
    draws = distribution.sample(N_DRAWS, seeded())[:, 0]
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
    z = torch.cartesian_prod(EXTREMES, EXTREMES).requires_grad_()
    module = part.build(2, make_layout(2))
    assert finite_gradients(module(_encode).log_prob(z), z, *(p for p in module.parameters() if p.requires_grad))


@law("prior")
def prior_draws_come_from_the_generator(part: Any) -> None:
    distribution = _prior(part, 2)
    assert_seeded(lambda generator: distribution.sample(10, generator))


@law("posterior")
def posterior_integrates_to_one(part: Any) -> None:
    q = _codes(part, 1, 1)
    assert float(_moments(q.log_prob)[0]) == pytest.approx(1.0, abs=1e-4)
    points, weight = plane()
    assert float((_codes(part, 1, 2).log_prob(points).detach().exp() * weight).sum()) == pytest.approx(1.0, abs=2e-2)


@law("posterior")
def posterior_samples_have_its_moments(part: Any) -> None:
    q = _codes(part, 1, 1)
    _, mean, square = _moments(q.log_prob)
    assert float(q.mean.detach()) == pytest.approx(float(mean), abs=1e-3)
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
    h = _encoder_outputs(part, 2, EXTREMES, n_samples=2_000).requires_grad_()
    module = part.build(2)
    noise = module(h).draw_noise(seeded())
    assert finite_gradients(module(h).push(noise), h)
    q = module(h)
    assert finite_gradients(q.path_log_prob(q.push(noise), noise), h)


@law("posterior")
def density_of_a_draw_is_that_of_its_code(part: Any) -> None:
    q = _codes(part, 6, 3)
    noise = q.draw_noise(seeded(2), n_draws=4)
    z = q.push(noise)
    assert z.shape == (4, 6, 3)
    torch.testing.assert_close(q.path_log_prob(z, noise), q.log_prob(z))


@law("posterior")
def gradient_goes_the_way_it_says(part: Any) -> None:
    """What sticks the landing gives the encoder its gradient through the codes alone: none where they are fixed."""
    h = _encoder_outputs(part, 3, n_samples=6).requires_grad_()
    q = part.build(3).double()(h)
    noise = q.draw_noise(seeded(2))
    z = q.push(noise).detach()
    path = q.path_log_prob(z, noise)
    assert q.path_only == (not path.requires_grad)


@law("posterior")
def selected_rows_are_those_rows(part: Any) -> None:
    q = _codes(part, 6, 3)
    if type(q).select is RowCodes.select:
        return  # a part of one's own may do without
    z = torch.randn(6, 3, generator=seeded(3), dtype=torch.float64)
    rows = torch.tensor([4, 1])
    torch.testing.assert_close(q.select(rows).log_prob(z[rows]), q.log_prob(z)[rows])


@law("posterior")
def components_add_up_where_they_are_independent(part: Any) -> None:
    q = _codes(part, 6, 3)
    z = q.push(q.draw_noise(seeded(2)))
    if not part.independent:
        with pytest.raises(TypeError, match="of their own"):
            q.component_log_prob(z)
        return
    torch.testing.assert_close(q.component_log_prob(z).sum(-1), q.log_prob(z))


@law("posterior")
def std_is_that_of_draws(part: Any) -> None:
    q = _codes(part, 1, 3)
    draws = q.push(torch.randn(N_DRAWS, 1, 3, generator=seeded(6), dtype=torch.float64))
    torch.testing.assert_close(q.std, draws.std(0), rtol=0.05, atol=1e-6)


@law("posterior")
def every_output_of_the_encoder_is_trained(part: Any) -> None:
    h = _encoder_outputs(part, 3, n_samples=8).float().requires_grad_()
    z = part.build(3)(h).rsample(seeded())
    (gradient,) = torch.autograd.grad(z.square().sum(), h)
    outputs = part.n_outputs(3)
    assert torch.all(gradient[:, :outputs].abs().sum(0) != 0)


def closed_form_kl_is_that_of_samples(posterior: Any, prior: Any) -> bool:
    """Compare where there is a closed form; return whether there is."""
    q, p = _codes(posterior, 1, 3), _prior(prior, 3)
    closed_form = q.kl(p)
    if closed_form is None:
        return False
    z = q.push(torch.randn(N_DRAWS, 1, 3, generator=seeded(6), dtype=torch.float64))
    assert_mean(q.log_prob(z) - p.log_prob(z), closed_form)
    assert torch.all(closed_form >= 0)
    h = _encoder_outputs(posterior, 2, EXTREMES, n_samples=2_000).requires_grad_()
    assert finite_gradients(posterior.build(2)(h).kl(_prior(prior, 2)), h)
    components = q.component_kl(p)
    if components is not None:
        torch.testing.assert_close(components.sum(-1), closed_form)
    return True


# -- divergences ----------------------------------------------------------------------------------------


def _held(q: RowCodes, n_rows: int = 1_000) -> Codes:
    noise = q.draw_noise(seeded(2))
    z, log_q = q.push_with_density(noise)
    return Codes(q, z, noise, StandardNormalCodes(q.mean.shape[-1]), n_rows, seeded(3), log_q)


def _total(part: Any, q: RowCodes, beta: float = 1.0) -> torch.Tensor:
    weights = part.weights(beta)
    terms = part.build(2).to(q.mean.dtype)(_held(q))
    assert terms.keys() == weights.keys()
    return torch.stack([weights[name] * term.mean() for name, term in terms.items()]).sum()


@law("divergence")
def codes_far_from_the_prior_cost_more(part: Any) -> None:
    q = _codes(Diagonal(), 200, 3)
    near = DiagonalCodes(0.0 * q.mean, torch.ones_like(q.mean))
    far = DiagonalCodes(4.0 + q.mean, 0.1 * q.scale)
    if part.build(3).is_opponent:
        return  # it has yet to learn what is far
    assert abs(float(_total(part, near))) < 0.1 * float(_total(part, far))


@law("divergence")
def divergence_is_finite_far_out(part: Any) -> None:
    h = _encoder_outputs(Diagonal(), 2, EXTREMES, n_samples=300).requires_grad_()
    assert finite_gradients(_total(part, Diagonal().build(2)(h), beta=4.0), h)


@law("divergence")
def divergence_names_what_is_watched(part: Any) -> None:
    assert set(part.bound_terms) <= set(part.build(3).double().eval()(_held(_codes(Diagonal(), 20, 3))))


# -- corruptions ----------------------------------------------------------------------------------------


def _unit_layout() -> Layout:
    """Return the layout of four columns in [0, 1], in two blocks."""
    blocks = (("first", np.array([0, 1])), ("second", np.array([2, 3])))
    return replace(make_layout(4, likelihood=Bernoulli()), blocks=blocks)


def _corruption(part: Any) -> tuple[nn.Module, torch.Tensor]:
    """Return the module and rows whose values are all different."""
    return part.build(_unit_layout()).train(), torch.empty(2_000, 4).uniform_(generator=seeded(7))


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
    if part.redraws_target:
        return  # draws have no gradient
    extreme = (1e4 * x).requires_grad_()
    damaged, _ = module(extreme, seeded())
    assert finite_gradients(damaged, extreme)
    assert damaged.dtype == x.dtype
    assert damaged.shape == x.shape


def _model(part: Any) -> tuple[Autoencoder, torch.Tensor, list[torch.Tensor]]:
    """Return a plain autoencoder with the corruption, some rows, and a list of what its encoder gets."""
    with generate(seeded()):
        network = MLP((4,), linear_path=False)  # its encoder takes values and mask side by side
        model = Autoencoder(_unit_layout(), 2, network, Gaussian(1.0), Point(), corruption=part)
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    return model, torch.empty(50, 4).uniform_(generator=seeded(8)), seen


@law("corruption")
def losses_are_of_damaged_rows_and_nothing_else_is(part: Any) -> None:
    """In training, and where held-out rows decide; codes and reconstructions take no generator."""
    model, x, seen = _model(part)
    model.train()(x, generator=seeded())
    model.eval()(x, generator=seeded())
    model.train()(x)
    model.eval()(x)
    in_training, held_out, *clean = (h[:, :4] for h in seen)
    assert not torch.equal(in_training, x)
    assert torch.equal(in_training, held_out)
    assert all(torch.equal(h, x) for h in clean)


@law("corruption")
def target_is_what_the_corruption_says(part: Any) -> None:
    model, x, seen = _model(part)
    target = model.train()(x, generator=seeded()).target
    assert (target is not None) == part.redraws_target
    if target is not None:
        assert torch.equal(target, seen[0])


@law("corruption")
def masking_tells_the_encoder(part: Any) -> None:
    model, x, seen = _model(part)
    model.train()(x, generator=seeded())
    _, kept = model.corruption(x, seeded())
    assert (kept is not None) == part.masks == model.sees_mask
    if part.masks:
        damaged, told = seen[0][:, :4], seen[0][:, 4:8]
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
    told = seen[0][:, 4:8]
    assert torch.all(told[observed == 0] == 0)


# -- penalties ------------------------------------------------------------------------------------------


def _stand_in(rows: Rows) -> ActiveCodes:
    """Stand in for the encoder of a plain autoencoder."""
    z = 2.0 * rows.x.sin()
    return ActiveCodes(z, z)


def _penalty_term(part: Any, z: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """Return the term in training, after so many batches that a unit that is never active is out of use."""
    module = part.build(z.shape[1])
    generator, rows = seeded() if generator is None else generator, Rows(z)
    reconstruction = partial(_distance, z)
    coded = CodedRows(z, ActiveCodes(z, z + 0.1), rows, _stand_in, reconstruction, generator)
    module.begin(Rows(torch.randn(30, z.shape[1], generator=seeded(), dtype=z.dtype)), _inputs, generator)
    for _ in range(getattr(part, "n_idle", 1)):
        term = module(coded)
    module.end()
    return term


def _inputs(x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
    return x


def _distance(z: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (z - other).square().sum(-1)


def _some_codes() -> torch.Tensor:
    z = torch.randn(40, 3, generator=seeded(), dtype=torch.float64)
    z[:, 2] = 0.0  # a unit out of use
    return z


@law("penalty")
def penalty_is_not_negative(part: Any) -> None:
    for scale in (0.0, 0.1, 1.0, 30.0):
        term = _penalty_term(part, scale * _some_codes())
        assert term.shape in ((40,), ())
        assert torch.all(term >= -1e-12)


@law("penalty")
def weight_scales_the_penalty(part: Any) -> None:
    zero, one, three = (
        _penalty_term(clone(part).set_params(weight=weight), _some_codes()) for weight in (0.0, 1.0, 3.0)
    )
    assert torch.all(zero == 0)
    assert torch.any(one > 0)
    torch.testing.assert_close(three, 3 * one)


@law("penalty")
def penalty_is_finite_far_out(part: Any) -> None:
    for z in (torch.cartesian_prod(EXTREMES, EXTREMES), EXTREMES[:1].expand(5, 2), EXTREMES[-1:].expand(5, 2)):
        z = z.clone().requires_grad_()
        term = _penalty_term(part, z)
        assert term.isfinite().all()
        if term.requires_grad and type(part).build is Penalty.build:  # others need not be of the codes
            assert finite_gradients(term, z)


@law("penalty")
def penalty_draws_come_from_the_generator(part: Any) -> None:
    terms = [_penalty_term(part, _some_codes(), seeded(4)) for _ in range(2)]
    assert torch.equal(*terms)


@law("penalty")
def penalty_takes_one_row_or_none(part: Any) -> None:
    for n_rows in (0, 1):
        if n_rows or type(part).build is not Penalty.build:
            z = torch.zeros(n_rows, 3)
            module = part.build(3).eval()
            term = module(CodedRows(z, ActiveCodes(z, z), Rows(z), _stand_in, partial(_distance, z), seeded()))
            assert term.shape in ((n_rows,), ())


# -- networks -------------------------------------------------------------------------------------------


def _networks(part: Any) -> list[tuple[nn.Module, Callable, int]]:
    """Return encoder and decoder, for the least table from six columns on, how to run each, and the outputs wanted."""
    size = part.fitting_size(6)
    wanted = [("encoder", Inputs(size, size, 3, size), 4), ("decoder", Inputs(2, 0, 3, size), size)]
    found = []
    for role, inputs, n_outputs in wanted:
        with generate(seeded()):
            module = getattr(part, role)(inputs, n_outputs)
        rows = [torch.randn(10, n, generator=seeded(10 + i)) if n else None for i, n in enumerate(inputs[:3])]
        if not hasattr(module, "given"):  # whose output is no function of the code alone
            found.append((module, _runner(rows), n_outputs))
    return found


def _runner(rows: list[torch.Tensor | None]) -> Callable:
    def run(module: nn.Module, generator: torch.Generator | None = None, n: int = 10, **to: Any) -> torch.Tensor:
        values, mask, condition = (None if part is None else part[:n].to(**to) for part in rows)
        return call(module, values, mask, condition, generator)

    return run


@law("network")
def shapes_are_as_asked(part: Any) -> None:
    for module, run, n_outputs in _networks(part):
        assert run(module, seeded()).shape == (10, n_outputs)
        assert run(module.eval(), n=1).shape == (1, n_outputs)


@law("network")
def network_draws_come_from_generators(part: Any) -> None:
    """Initial weights from the one at construction, dropout from the one that is handed along."""

    def draw(generator: torch.Generator) -> torch.Tensor:
        size = part.fitting_size(6)
        with generate(generator):
            module = part.encoder(Inputs(size, 0, 0, size), 4)
        return call(module, torch.randn(10, size, generator=seeded(10)), None, None, generator)

    assert_seeded(draw)


@law("network")
def a_part_knows_whether_it_draws(part: Any) -> None:
    for module, run, _ in _networks(part):
        once, twice = (run(module, seeded(seed)) for seed in (0, 1))
        assert draws(module) or torch.equal(once, twice)


@law("network")
def inference_is_deterministic(part: Any) -> None:
    for module, run, _ in _networks(part):
        module.eval()
        assert torch.equal(run(module), run(module, seeded()))
        # no row depends on its neighbours
        torch.testing.assert_close(run(module)[:3], run(module, n=3), rtol=1e-5, atol=1e-6)


@law("network")
def one_step_trains_every_layer(part: Any) -> None:
    for module, run, _ in _networks(part):
        before = copy.deepcopy(list(module.parameters()))
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        generator = seeded()
        for _ in range(3):  # a step may leave a unit's weights alone: one that is off on all rows
            optimizer.zero_grad()
            run(module, generator).square().mean().backward()
            optimizer.step()
        assert all(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
        assert all(parameter.isfinite().all() for parameter in module.parameters())


@law("network")
def copies_are_the_same(part: Any) -> None:
    for module, run, _ in _networks(part):
        run(module, seeded())  # batch statistics are state, too
        module.eval()
        expected = run(module)
        assert torch.equal(run(copy.deepcopy(module)), expected)
        assert torch.equal(run(pickle.loads(pickle.dumps(module))), expected)
        assert run(copy.deepcopy(module).double(), dtype=torch.float64).dtype == torch.float64


# -- schedules of weights -------------------------------------------------------------------------------


@law("beta")
def weights_settle_at_their_end(part: Any) -> None:
    values = np.array([part.value(epoch) for epoch in np.linspace(0, 2 * part.settles, 1_001)])
    assert values.min() >= 0
    assert values.max() <= part.final
    assert values[0] < part.final
    assert all(part.value(epoch) == part.final for epoch in (part.settles, part.settles + 0.5, 10 * part.settles))


# -- schedules ------------------------------------------------------------------------------------------


@law("schedule")
def factors_glide_between_zero_and_one(schedule: Any) -> None:
    factors = np.array([schedule(progress) for progress in np.linspace(0, 1, 1_001)])
    assert factors.min() >= 0
    assert factors.max() == pytest.approx(1.0)
    assert factors[0] > 0.01, "the first epoch would be wasted"
    assert factors[-1] < 1e-3, "it would not settle"
    assert np.abs(np.diff(factors)).max() < 0.01
