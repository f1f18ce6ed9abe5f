"""Adversaries: critics of codes and of rows, priors that are known by draws, and who is trained on what."""

import functools
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, GradientNormClipping
from support import assert_seeded, seeded
from toys import X, fingerprint, same, vae, with_gaps

from sklae import AutoencoderTransformer
from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae.critics import CRITICS, DataCritic, LatentCritic
from sklae.divergences import MMD, Codes
from sklae.likelihoods import Gaussian
from sklae.networks import MLP
from sklae.posteriors import Diagonal
from sklae.priors import Sampler, StandardNormalCodes

LOG_4 = np.log(4.0)
SETTINGS = {
    "latent": {"posterior": "point", "divergence": LatentCritic((8,))},
    "data": {"critic": DataCritic((8,), n_outputs=4)},
    "both": {"divergence": LatentCritic((8,)), "critic": DataCritic((8,), n_outputs=4)},
}
LOSSES = {"latent": ["opponent"], "data": ["critic"], "both": ["opponent", "critic"]}
TERMS = {"latent": ["adversarial"], "data": ["adversary", "similarity"], "both": ["adversarial", "adversary"]}


def ring(n_samples, generator):
    angle = 2.0 * torch.pi * torch.rand(n_samples, generator=generator)
    return 2.0 * torch.stack([angle.cos(), angle.sin()], dim=1)


def rings_of_three(n_samples, generator):
    return torch.rand(n_samples, 3, generator=generator)


def mixed_table(gaps=False):
    rng = np.random.RandomState(0)
    table = np.column_stack([X, rng.randint(3, size=len(X)), np.full(len(X), 7.0)])
    return with_gaps(table) if gaps else table


def codes_at(z):
    q = Diagonal().build(z.shape[1])(torch.cat([z, torch.zeros_like(z)], 1))
    return Codes(q, z, z, StandardNormalCodes(z.shape[1]), len(z), seeded(3), lambda: z.sum(-1))


def take_steps(parameters, loss, n_steps, learning_rate=5e-3):
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    losses = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


# -- a critic of codes --------------------------------------------------------------------------------------


def test_a_critic_learns_to_tell_codes_that_stay_where_they_are():
    torch.manual_seed(0)
    module = LatentCritic((16,), gradient_penalty=0.0).build(2)
    far = codes_at(torch.randn(200, 2, generator=seeded()) + 4.0)
    losses = take_steps(module.parameters(), lambda: module.opponent_loss(far), 200)
    assert losses[-1] < 0.2 < losses[0]
    near = LatentCritic((16,)).build(2)
    like = codes_at(torch.randn(2_000, 2, generator=seeded()))
    assert abs(take_steps(near.parameters(), lambda: near.opponent_loss(like), 200)[-1] - LOG_4) < 0.1


def test_codes_learn_to_pass_a_critic_that_stays_what_it_is():
    module = LatentCritic((16,), gradient_penalty=0.0).build(2)
    z = (torch.randn(200, 2, generator=seeded()) + 4.0).requires_grad_()
    take_steps(module.parameters(), lambda: module.opponent_loss(codes_at(z.detach())), 200)
    before = [parameter.clone() for parameter in module.parameters()]
    module.zero_grad()
    losses = take_steps([z], lambda: module(codes_at(z))["adversarial"].mean(), 200, 5e-2)
    assert losses[-1] < 0.3 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert all(
        torch.count_nonzero(parameter.grad) == 0 for parameter in module.parameters() if parameter.grad is not None
    )


def test_the_penalty_is_half_the_squared_slope_where_codes_are_genuine():
    module = LatentCritic((8,), gradient_penalty=3.0).build(2)
    drawn = torch.randn(50, 2, generator=seeded()).requires_grad_()
    made = torch.randn(50, 2, generator=seeded(1))
    with_penalty = module.judge.tell_apart(drawn, made)
    module.judge.gradient_penalty = 0.0
    slopes = torch.autograd.functional.jacobian(lambda z: module.judge(z)[0], drawn.detach())
    squares = slopes.square().sum((1, 2))  # rows don't depend on each other
    torch.testing.assert_close(with_penalty, module.judge.tell_apart(drawn, made) + 1.5 * squares.mean())


def test_validation_goes_by_the_discrepancy():
    codes = codes_at(torch.randn(60, 2, generator=seeded()))
    module = LatentCritic((8,), weight=3.0).build(2)
    assert set(module(codes)) == {"adversarial"}
    terms = module.eval()(codes)
    torch.testing.assert_close(terms["mmd"], MMD().terms(codes._replace(generator=seeded(3)))["mmd"])
    objective = Objective(LatentCritic((8,), weight=3.0), beta=2.0)
    held_out = {"reconstruction": 1.0, "adversarial": 100.0, "mmd": 0.5}
    assert objective.final_losses(held_out) == 1.0 + 6.0 * 0.5
    assert objective.bound(held_out) == 1.5


def test_draws_come_from_the_generator():
    module = LatentCritic((8,)).build(2)
    codes = codes_at(torch.randn(60, 2, generator=seeded()))
    assert_seeded(lambda generator: module.opponent_loss(codes._replace(generator=generator)).detach())


def test_codes_are_drawn_to_what_a_sampler_draws():
    settings = {"posterior": "point", "likelihood": Gaussian(1.0), "max_iter": 150, "learning_rate_init": 1e-2}
    table = np.random.RandomState(0).normal(size=(300, 4))
    fitted = vae(divergence=LatentCritic(weight=20.0), prior=Sampler(ring), batch_size=64, **{**settings}).fit(table)
    radius = np.linalg.norm(fitted.transform(table), axis=1)
    assert np.median(np.abs(radius - 2.0)) < 0.2
    assert fitted.sample(5, random_state=0).shape == (5, 4)
    codes = fitted.model_.draw_from_prior(50, None, np.random.RandomState(0))
    torch.testing.assert_close(codes.norm(dim=1), torch.full((50,), 2.0, dtype=torch.float64))


# -- a prior that is known by its draws ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "which has no density, with divergence=KL.*expected divergence='adversarial'"),
        ({"divergence": "tc"}, "which has no density"),
        (
            {"divergence": "mmd", "prior": Sampler(rings_of_three)},
            r"shape \(2, 3\).*expected finite ones of shape \(2, 2\)",
        ),
        ({"divergence": "mmd", "prior": Sampler(3)}, "'function' parameter"),
        (
            {"divergence": "mmd", "prior": Sampler(lambda n: torch.zeros(n, 2))},
            r"takes \(n\) \(too many positional.*expected one that can be called as function\(n_samples, generator\)",
        ),
        ({"divergence": "mmd", "prior": Sampler(lambda n, generator, z: z)}, r"takes \(n, generator, z\)"),
    ],
)
def test_a_sampler_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        vae(**{"prior": Sampler(ring), **params}).fit(X)


@pytest.mark.parametrize(
    "function", [functools.partial(ring), lambda *args: ring(*args), lambda n, g, scale=2.0: scale * ring(n, g), max]
)
def test_a_sampler_takes_what_can_be_called(function):
    Sampler(function).check()  # of built-ins without a signature nothing is known


def test_a_sampler_has_no_scores():
    fitted = vae(prior=Sampler(ring), divergence="mmd").fit(X)
    assert not hasattr(fitted, "score_samples")
    assert not hasattr(fitted, "score")
    with pytest.raises(AttributeError) as refused:
        fitted.score_samples(X)
    assert "under which codes have no density" in str(refused.value.__cause__)
    with pytest.raises(TypeError, match="can only be drawn from"):
        fitted.model_.prior_log_prob(np.zeros((1, 2)), None)
    assert np.isfinite(pickle.loads(pickle.dumps(fitted)).sample(3)).all()


# -- a critic of rows ---------------------------------------------------------------------------------------


def judged_of(model, table, z=None):
    net = model.net_
    rows = model.layout_.encode(table) if z is None else z
    output = net.module_(*rows, generator=seeded(5))
    codes = output.codes(len(table))
    return net.criterion_, output, rows, codes


@pytest.mark.parametrize("gaps", [False, True])
def test_a_critic_sees_cells_without_gaps(gaps):
    table = mixed_table(gaps)
    model = vae(critic="data", categorical_features=[4]).fit(table)
    objective, output, rows, codes = judged_of(model, table)
    judged = objective._judged(output, rows, codes)
    assert judged.genuine.shape == judged.made.shape == (len(table), 4 + 1 + 3)
    numbers, levels, constant = judged.genuine[:, :4], judged.genuine[:, 5:], judged.genuine[:, 4]
    assert not constant.any()
    assert not judged.made[:, 4].any()
    there = torch.as_tensor(~np.isnan(table))
    torch.testing.assert_close(numbers[there[:, :4]], rows.x[:, :4][there[:, :4]])
    torch.testing.assert_close(numbers[~there[:, :4]], judged.made[:, :4][~there[:, :4]])
    hot = torch.as_tensor(np.eye(3)[np.nan_to_num(table[:, 4]).astype(int)], dtype=torch.float32)
    torch.testing.assert_close(levels[there[:, 4]], hot[there[:, 4]])
    torch.testing.assert_close(judged.made[:, 5:].sum(1), torch.ones(len(table)))


def test_who_learns_from_what():
    """The encoder from similarity alone, the decoder from both, the critic from neither."""
    model = vae(critic=DataCritic((8,), n_outputs=4)).fit(X)
    objective, output, rows, codes = judged_of(model, X)
    module = model.net_.module_
    for name, reaches in (("similarity", True), ("adversary", False)):
        model.net_.module_.zero_grad()
        terms = objective.critic(objective._judged(output, rows, codes))
        terms[name].sum().backward(retain_graph=True)
        of_encoder = [p.grad for p in module.encoder.parameters() if p.grad is not None]
        assert any(bool(g.any()) for g in of_encoder) == reaches
        assert any(bool(p.grad.any()) for p in module.decoder.parameters() if p.grad is not None)
        assert all(p.grad is None or not p.grad.any() for p in objective.critic.parameters())


def test_a_critic_learns_to_tell_rows_from_what_a_model_makes():
    model = vae(critic=DataCritic((16,), n_outputs=8, gradient_penalty=0.0), max_iter=1).fit(X)
    objective, output, rows, _ = judged_of(model, X)
    before = [p.clone() for p in model.net_.module_.parameters()]
    critic, codes = objective.critic, objective.codes_cut_off(output)
    losses = take_steps(critic.parameters(), lambda: objective.opponent_loss(critic, output, rows, codes), 300)
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:20])
    assert all(torch.equal(a, b) for a, b in zip(before, model.net_.module_.parameters(), strict=True))
    held = [p.clone() for p in critic.parameters()]
    z = torch.randn(len(X), 2, generator=seeded())

    def deceive():
        codes = output.codes(len(X))._replace(z=z)
        judged = objective.rows_seen.judged(model.net_.module_, model.net_.module_.given(z), rows, codes)
        return critic(judged)["adversary"].mean()

    losses = take_steps(model.net_.module_.decoder.parameters(), deceive, 100)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert all(torch.equal(a, b) for a, b in zip(held, critic.parameters(), strict=True))


def test_a_network_of_ones_own_makes_the_features():
    network = MLP((5,), linear_path=False)
    model = vae(critic=DataCritic(network=network, n_outputs=3)).fit(X)
    assert model.net_.criterion_.critic.judge.body[0].out_features == 5


def test_reconstruction_weighs_what_the_critic_says():
    assert Objective().loss({"reconstruction": torch.tensor([3.0])}) == 3.0
    model = vae(critic=DataCritic((8,), reconstruction=0.5, similarity=2.0, adversary=4.0)).fit(X)
    terms = {name: torch.tensor([1.0]) for name in ("reconstruction", "kl", "similarity", "adversary")}
    assert model.net_.criterion_.loss(terms) == 0.5 + 1.0 + 2.0 + 4.0
    assert model.net_.criterion_.final_losses(terms) == 2.0  # nothing that moves with the critic


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"critic": "rows"}, "'critic' parameter"),
        ({"critic": DataCritic(n_outputs=1)}, "'n_outputs' parameter"),
        ({"critic": "data", "n_importance_samples": 3}, "penalty=None and critic=None"),
        ({"divergence": LatentCritic(n_steps=0)}, "'n_steps' parameter"),
    ],
)
def test_a_critic_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        vae(**params).fit(X)


def test_a_plain_autoencoder_has_no_critic():
    assert "critic" not in AutoencoderTransformer().get_params()
    assert set(CRITICS) == {"data"}


# -- training -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SETTINGS)
def test_losses_are_in_the_history_under_their_names(kind):
    history = vae(**SETTINGS[kind]).fit(X).net_.history
    for name in (*LOSSES[kind], *TERMS[kind]):
        assert np.isfinite(history[:, f"train_{name}"]).all()


@pytest.mark.parametrize("kind", SETTINGS)
def test_k_epochs_and_k_more_are_2k_epochs_of_critics_too(kind):
    whole = vae(**SETTINGS[kind], max_iter=4).fit(X)
    halves = pickle.loads(pickle.dumps(vae(**SETTINGS[kind], max_iter=2, warm_start=True).fit(X))).fit(X)
    assert same(weights_of(whole), weights_of(halves))
    parts = vae(**SETTINGS[kind])
    for _ in range(4):
        parts.partial_fit(X)
    assert same(weights_of(whole), weights_of(parts))


def weights_of(model):
    return {
        f"{i}.{n}": p.detach().numpy() for i, each in enumerate(model.net_.learners) for n, p in each.named_parameters()
    }


@pytest.mark.parametrize("kind", SETTINGS)
def test_an_optimizer_each_and_no_parameter_in_two(kind):
    net = vae(**SETTINGS[kind]).fit(X).net_
    groups = [{id(p) for group in each.param_groups for p in group["params"]} for each in net.optimizers]
    assert len(groups) == 1 + len(LOSSES[kind])
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert all(net.criterion_.opponents)


@pytest.mark.parametrize("part", [LatentCritic((8,)), DataCritic((8,))])
def test_steps_and_rates_of_its_own(part):
    name = "divergence" if isinstance(part, LatentCritic) else "critic"
    counted = []

    class Counting(torch.optim.SGD):
        def step(self, closure=None):
            counted.append(1)
            return super().step(closure)

    model = vae(**{name: clone(part).set_params(n_steps=3, learning_rate_init=0.5)}, max_iter=1).fit(X)
    assert model.net_.optimizers[1].param_groups[0]["lr"] == 0.5
    assert vae(**{name: part}, max_iter=1).fit(X).net_.optimizers[1].param_groups[0]["lr"] == model.learning_rate_init
    model.net_.opponent_optimizers_ = [Counting(model.net_.criterion_.opponents[0].parameters(), lr=0.1)]
    model.partial_fit(X)
    assert len(counted) == 3 * (len(X) // 8)  # a last row alone joins the batch before


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_same_seed_is_the_same_model(kind):
    first, again = (fingerprint(vae(**SETTINGS[kind]).fit(X)) for _ in range(2))
    assert same(first, again)


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("batch_size", [1, len(X) - 1])
def test_batches_of_one_row(kind, batch_size):
    assert np.isfinite(vae(**SETTINGS[kind], batch_size=batch_size, max_iter=1).fit(with_gaps(X)).transform(X)).all()


@pytest.mark.parametrize("likelihood", ["poisson", "categorical", "bernoulli", "histogram", "ordinal", "log_normal"])
def test_a_critic_of_rows_of_any_likelihood(likelihood):
    table = np.random.RandomState(0).randint(2, size=(41, 3)).astype(float) + (likelihood == "log_normal")
    model = vae(critic=DataCritic((8,)), likelihood=likelihood, condition_features=[2]).fit(table)
    assert np.isfinite(model.net_.history[:, "train_critic"]).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_asks_the_prior_once_for_the_model_and_once_for_its_opponents(name, monkeypatch):
    n_asked = []
    ask = Autoencoder.prior_codes
    monkeypatch.setattr(
        Autoencoder, "prior_codes", lambda *args: [n_asked.append(torch.is_grad_enabled()), ask(*args)][1]
    )
    model = vae(max_iter=1, batch_size=len(X), prior="gaussian_mixture", **SETTINGS[name])
    model.partial_fit(X)
    assert n_asked[-2:] == [True, False]
    before = len(n_asked)
    model.partial_fit(X)
    assert len(n_asked) - before == 2


class GradientNorms(Callback):
    """Remembers how long the gradients are that optimizers step by, and what other callbacks are shown."""

    def __init__(self):
        self.of_model, self.of_opponents, self.shown = [], [], set()

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        watched = [(net.optimizer_, self.of_model), *((each, self.of_opponents) for each in net.opponent_optimizers_)]
        self.hooks = [
            optimizer.register_step_pre_hook(lambda optimizer, *_, norms=norms: norms.append(_norm(optimizer)))
            for optimizer, norms in watched
        ]
        self.against = {id(each) for opponent in net.criterion_.opponents for each in opponent.parameters()}

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.shown |= {id(parameter) for _, parameter in named_parameters}

    def on_train_end(self, net, X=None, y=None, **kwargs):
        for hook in self.hooks:
            hook.remove()


def _norm(optimizer):
    gradients = [each.grad for group in optimizer.param_groups for each in group["params"] if each.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item()


STEEP = {
    "latent": {"posterior": "point", "divergence": LatentCritic((8,), gradient_penalty=1e6)},
    "data": {"critic": DataCritic((8,), n_outputs=4, gradient_penalty=1e6)},
}


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize(("learning_rate", "most"), [("auto", 1.0), ("constant", 1e-3), ("constant", None)])
def test_gradients_of_the_model_alone_are_shortened(name, learning_rate, most):
    norms = GradientNorms()
    callbacks = [norms] if learning_rate == "auto" or most is None else [norms, GradientNormClipping(most)]
    vae(learning_rate=learning_rate, learning_rate_init=1e-3, callbacks=callbacks, **STEEP[name]).fit(10.0 * X)
    assert min(norms.of_opponents) > 1.0
    assert norms.shown
    assert not norms.shown & norms.against
    if most is not None:
        assert max(norms.of_model) <= most * (1 + 1e-5)
