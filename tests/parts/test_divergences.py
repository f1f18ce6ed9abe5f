"""What holds codes to the prior, and how tightly: divergences, capacity, free bits, importance weights, schedules."""

import math

import numpy as np
import pytest
import torch
from support import QUICK, make_table, seeded
from toys import ae, epochs, fingerprint, same, vae

from sklae import VAETransformer
from sklae._model.objective import Objective
from sklae.divergences import KL, MMD, Codes, TotalCorrelation
from sklae.divergences._mmd import _kernel, discrepancy
from sklae.likelihoods import Gaussian
from sklae.networks import MLP
from sklae.posteriors import Diagonal, DiagonalCodes, FullCovariance, PointCodes
from sklae.priors import StandardNormalCodes
from sklae.schedules import Cyclical, LinearWarmup

X = make_table(60, 5)
X.setflags(write=False)


def codes_of(mean, scale, *, n_rows=None, seed=1):
    """Return the codes drawn from normal posteriors."""
    q = DiagonalCodes(mean, scale)
    noise = q.draw_noise(seeded(seed))
    z, log_q = q.push_with_density(noise)
    return Codes(q, z, noise, StandardNormalCodes(mean.shape[1]), n_rows or len(mean), seeded(seed + 1), log_q)


def normal(n, k, seed=0):
    return torch.randn(n, k, generator=seeded(seed), dtype=torch.float64)


# -- total correlation ------------------------------------------------------------------------------------


def _total_correlation(codes, n_rows):
    """Return the estimate by loops, with the weights of arXiv 1802.04942, equation S6."""
    n, k = codes.z.shape
    values = []
    for i in range(n):
        joint, apart = 0.0, [0.0] * k
        for j in range(n):
            weight = 1 / n_rows if i == j else (n_rows - 1) / (n_rows * (n - 1))
            each = [
                math.exp(-0.5 * ((codes.z[i, c] - codes.q.mean[j, c]) / codes.q.scale[j, c]) ** 2)
                / (codes.q.scale[j, c] * math.sqrt(2 * math.pi))
                for c in range(k)
            ]
            joint += weight * math.prod(each)
            apart = [total + weight * part for total, part in zip(apart, each, strict=True)]
        values.append(math.log(joint) - sum(math.log(part) for part in apart))
    return values


@pytest.mark.parametrize("n_rows", [8, 100], ids=["full batch", "minibatch"])
def test_total_correlation_is_the_formula(n_rows):
    codes = codes_of(normal(8, 3), normal(8, 3, 1).exp(), n_rows=n_rows)
    term = TotalCorrelation().terms(codes)["total_correlation"]
    np.testing.assert_allclose(term, _total_correlation(codes, n_rows), rtol=1e-9)


def test_full_batches_weigh_all_rows_alike():
    """Then it is log q(z) - sum log q(z_c) of the mixture of all posteriors, as torch has it."""
    codes = codes_of(normal(50, 2), normal(50, 2, 1).exp())
    mixed = torch.distributions.Categorical(logits=torch.zeros(50))
    parts = torch.distributions.Normal(codes.q.mean, codes.q.scale)
    joint = torch.distributions.MixtureSameFamily(mixed, torch.distributions.Independent(parts, 1)).log_prob(codes.z)
    alone = [
        torch.distributions.MixtureSameFamily(
            mixed, torch.distributions.Normal(codes.q.mean[:, c], codes.q.scale[:, c])
        ).log_prob(codes.z[:, c])
        for c in range(2)
    ]
    torch.testing.assert_close(TotalCorrelation().terms(codes)["total_correlation"], joint - alone[0] - alone[1])


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_total_correlation_is_that_of_the_codes(correlation):
    """Of normal codes it is -log(1 - r^2) / 2; posteriors of a tenth make up the rest of the unit variance."""
    n, noise = 1_500, 0.3
    mean = normal(n, 2) * math.sqrt(1 - noise**2)
    mixing = torch.tensor([[1.0, correlation], [0.0, math.sqrt(1 - correlation**2)]], dtype=torch.float64)
    codes = codes_of(mean @ mixing, torch.full((n, 2), noise, dtype=torch.float64))
    r = correlation * (1 - noise**2)
    found = TotalCorrelation().terms(codes)["total_correlation"]
    # five standard errors, and the bias of 1,500 kernels
    assert float(found.mean()) == pytest.approx(-0.5 * math.log(1 - r**2), abs=5 * float(found.std()) / n**0.5 + 0.05)


@pytest.mark.parametrize("beta", [0.5, LinearWarmup(0.9)])
def test_beta_below_one_is_refused_for_the_total_correlation(beta):
    with pytest.raises(ValueError, match="expected at least 1"):
        VAETransformer(divergence="tc", beta=beta, **QUICK).fit(make_table(40, 3))


def test_beta_weighs_the_total_correlation_alone():
    assert TotalCorrelation().weights(0.4)["total_correlation"] == 0.0  # in a warm-up
    assert TotalCorrelation().weights(1.0) == {"kl": 1.0, "total_correlation": 0.0}
    assert TotalCorrelation().weights(6.0) == {"kl": 1.0, "total_correlation": 5.0}
    # so that at 1 it is the plain model
    plain, tc = (vae(divergence=name).fit(X) for name in ("kl", "tc"))
    np.testing.assert_allclose(tc.transform(X), plain.transform(X), rtol=1e-3, atol=1e-4)


def test_beta_lowers_the_total_correlation():
    """By more than its scatter from epoch to epoch."""
    table = make_table(200, 6)
    settings = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.01, "batch_size": 50}
    found = [
        VAETransformer(3, divergence="tc", beta=beta, **{**QUICK, **settings})
        .fit(table)
        .net_.history[-10:, "train_total_correlation"]
        for beta in (1.0, 20.0)
    ]
    assert np.mean(found[1]) < np.mean(found[0]) - 0.05


# -- maximum mean discrepancy -----------------------------------------------------------------------------


def test_discrepancy_is_the_unbiased_estimate():
    a, b = normal(7, 3), normal(7, 3, 1) + 1.0
    distances = torch.cdist(torch.cat([a, b]), torch.cat([a, b])).square()
    kernel = sum(6.0 * w / (6.0 * w + distances) for w in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)) / 7
    apart = ~torch.eye(7, dtype=torch.bool)
    expected = kernel[:7, :7][apart].mean() + kernel[7:, 7:][apart].mean() - 2 * kernel[:7, 7:].mean()
    torch.testing.assert_close(discrepancy(a, b), expected)
    assert float(_kernel(a, a).diagonal().min()) == pytest.approx(1.0)


def test_discrepancy_of_equals_is_zero_on_average():
    draws = torch.stack([discrepancy(normal(40, 2, 2 * i), normal(40, 2, 2 * i + 1)) for i in range(300)])
    assert abs(float(draws.mean())) < 5 * float(draws.std()) / math.sqrt(300)
    assert draws.min() < 0, "a biased estimate would never be"
    assert float(discrepancy(normal(40, 2), normal(40, 2, 1) + 2.0)) > 10 * float(draws.std())


def test_codes_of_a_wasserstein_autoencoder_resemble_the_prior():
    """Those of a plain one lie where they like; both are points."""
    table = make_table(300, 5)
    table[::3] += 6.0 * table.std(0)  # a second cluster
    settings = {**QUICK, "hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.01, "batch_size": 100}
    free = {**settings, "network": MLP((16,), linear_path=False), "hidden_layer_sizes": None}
    plain = ae(n_components=2, **free).fit(table)
    held = VAETransformer(2, posterior="point", divergence="mmd", beta=10.0, likelihood=Gaussian(1.0), **settings)
    drawn = normal(300, 2, 5)
    discrepancies = [
        float(discrepancy(torch.as_tensor(model.transform(table)), drawn)) for model in (plain, held.fit(table))
    ]
    assert discrepancies[1] < 0.01 < 0.03 < discrepancies[0]
    np.testing.assert_allclose(held.transform(table).std(0), 1.0, atol=0.3)
    # which is worth little without the rows
    residual = ((held.reconstruct(table) - table) / table.std(0)).var()
    assert residual < 0.5
    assert held.sample(5, random_state=0).shape == (5, 5)


def test_mmd_takes_every_posterior_and_its_weight():
    for posterior in ("point", "diagonal", "full_covariance", "iaf"):
        fitted = vae(posterior=posterior, divergence="mmd").fit(X)
        assert np.isfinite(fitted.loss_curve_).all()
        assert "train_mmd" in fitted.net_.history[-1]
        assert "train_kl" not in fitted.net_.history[-1]
    q = PointCodes(normal(20, 2) + 3.0)
    codes = Codes(q, q.mean, 0.0 * q.mean, StandardNormalCodes(2), 20, seeded(), log_q=None)
    one, five = (MMD(weight).terms(codes._replace(generator=seeded()))["mmd"] for weight in (1.0, 5.0))
    torch.testing.assert_close(five, 5.0 * one)


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"posterior": "point"}, "not defined for codes without a density; expected divergence='mmd'"),
        ({"posterior": "point", "divergence": "tc"}, "not defined for codes without a density"),
        ({"posterior": "full_covariance", "divergence": "tc"}, "expected 'diagonal', whose components"),
        ({"posterior": FullCovariance(), "divergence": TotalCorrelation()}, "expected 'diagonal'"),
        ({"posterior": "iaf", "divergence": "tc"}, "expected 'diagonal'"),
        ({"free_bits": 0.1, "capacity": 3.0}, "Got free_bits=0.1 and capacity=3.0; expected one of them"),
        ({"free_bits": 0.1, "divergence": "mmd"}, "expected divergence='kl', whose term they change"),
        ({"capacity": 1.0, "divergence": "tc"}, "expected divergence='kl'"),
        ({"n_importance_samples": 5, "beta": 2.0}, "Got n_importance_samples=5.*expected divergence='kl', beta=1.0"),
        ({"n_importance_samples": 5, "beta": LinearWarmup()}, "Got n_importance_samples=5"),
        ({"n_importance_samples": 5, "free_bits": 0.1}, "Got n_importance_samples=5"),
        ({"n_importance_samples": 5, "capacity": 0.0}, "Got n_importance_samples=5"),
        ({"n_importance_samples": 5, "divergence": "mmd"}, "Got n_importance_samples=5"),
        ({"n_importance_samples": 5, "penalty": "l1"}, "Got n_importance_samples=5"),
        ({"beta": -1.0}, "'beta' parameter"),
        ({"beta": "warmup"}, "'beta' parameter.*linear_warmup"),
        ({"divergence": "wasserstein"}, "'divergence' parameter"),
        ({"divergence": MMD(-1.0)}, "'weight' parameter"),
        ({"beta": LinearWarmup(n_epochs=0)}, "'n_epochs' parameter"),
        ({"beta": Cyclical(rising=0.0)}, "'rising' parameter"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_before_training(params, message):
    fitted = vae().fit(X)
    weights = fingerprint(fitted, X)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fitted.set_params(**params).fit(X)
    assert fitted.n_iter_ == 3
    fresh = vae(**params, max_iter=10**9)  # which would never end
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fresh.fit(X)
    assert not hasattr(fresh, "net_")
    fitted.set_params(**{name: vae().get_params()[name] for name in params})
    assert same(fingerprint(fitted, X), weights)


# -- free bits and capacity -------------------------------------------------------------------------------


class _Output:
    """What a forward pass of given posteriors would give."""

    def __init__(self, codes):
        self.z, self._codes = codes.z, codes

    def codes(self, n_rows, epoch=0.0):
        return self._codes


def _adjusted(codes, *, beta=1.0, **settings):
    objective = Objective(KL(**settings), beta, n_rows=len(codes.z))
    terms = objective.divergence(codes)
    return terms, {"kl": terms.pop("kl")}, objective


def test_free_bits_charge_what_lies_above_the_allowance():
    """Two components of 0.5 and 0.02 nats (means), 0.1 of each free: 0.1 for the second, all of the first."""
    mean = torch.tensor([[1.0, 0.2], [1.0, -0.2]], dtype=torch.float64)
    codes = codes_of(mean, torch.ones_like(mean))
    adjustments, terms, objective = _adjusted(codes, free_bits=0.1, beta=3.0)
    assert float(terms["kl"].mean()) == pytest.approx(0.52)
    assert float(adjustments["free_bits"]) == pytest.approx(0.6 - 0.52)
    # in the loss with the weight of the term they belong to
    loss = objective.loss({"reconstruction": torch.zeros(2), **terms, **adjustments})
    assert float(loss) == pytest.approx(3.0 * 0.6)


def test_free_bits_are_meant_per_component_also_of_joint_posteriors():
    h = torch.cat([normal(4, 2), torch.zeros(4, 3)], dim=1)
    q = FullCovariance().build(2)(h)
    noise = q.draw_noise(seeded())
    z, log_q = q.push_with_density(noise)
    codes = Codes(q, z, noise, StandardNormalCodes(2), 4, seeded(), log_q)
    adjustments, terms, _ = _adjusted(codes, free_bits=50.0)
    assert float(adjustments["free_bits"] + terms["kl"].mean()) == pytest.approx(100.0)


@pytest.mark.parametrize(("capacity", "expected"), [(0.5, 0.02), (0.52, 0.0), (1.0, 0.48)])
def test_capacity_is_the_distance_from_the_value(capacity, expected):
    mean = torch.tensor([[1.0, 0.2], [1.0, -0.2]], dtype=torch.float64)
    adjustments, terms, _ = _adjusted(codes_of(mean, torch.ones_like(mean)), capacity=capacity)
    assert float(adjustments["capacity"] + terms["kl"].mean()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("capacity", [0.5, 4.0, LinearWarmup(2.0, n_epochs=30)], ids=str)
def test_capacity_pulls_the_kl_to_its_value(capacity):
    """From above and from below; a large weight leaves a tenth of a nat."""
    settings = {**QUICK, "max_iter": 80, "learning_rate_init": 0.01, "batch_size": 60}
    fitted = VAETransformer(2, beta=30.0, capacity=capacity, **settings).fit(X)
    target = capacity.final if isinstance(capacity, LinearWarmup) else capacity
    assert np.mean(fitted.net_.history[-10:, "train_kl"]) == pytest.approx(target, abs=0.15)


def test_free_bits_keep_components_alive():
    """A table of noise has nothing to tell: without an allowance the KL term goes to zero."""
    table = np.random.RandomState(0).normal(size=(200, 4))
    settings = {**QUICK, "max_iter": 40, "learning_rate_init": 0.02, "likelihood": "gaussian"}
    kl = [VAETransformer(2, free_bits=bits, **settings).fit(table).posterior_kl(table).mean(0) for bits in (0.0, 0.5)]
    assert kl[0].max() < 0.4
    assert kl[1].min() > 0.4


def test_bound_counts_neither_weights_nor_adjustments():
    objective = Objective(KL(free_bits=1.0), beta=5.0)
    assert objective.bound({"reconstruction": 2.0, "kl": 3.0, "free_bits": 7.0, "penalty": 11.0}) == 5.0
    assert Objective(MMD()).bound({"reconstruction": 2.0, "mmd": 3.0}) == 5.0
    assert Objective().bound({"reconstruction": 2.0, "penalty": 3.0}) == 2.0


def test_importance_weights_tighten_the_bound_of_training():
    """Sums of the terms, on the same rows: more draws, a higher bound."""
    bounds = []
    for n in (1, 5, 50):
        fitted = vae(n_components=2, n_importance_samples=n, max_iter=30, learning_rate_init=0.01).fit(X)
        names = ("train_reconstruction", "train_kl", *(["train_tightening"] if n > 1 else []))
        terms = {name: np.mean(fitted.net_.history[-5:, name]) for name in names}
        assert n == 1 or terms["train_tightening"] < 0
        assert sum(terms.values()) == pytest.approx(np.mean(fitted.loss_curve_[-5:]), rel=1e-4)
        bounds.append(fitted.score_samples(X, 200).mean())
    assert np.isfinite(bounds).all()


# -- schedules --------------------------------------------------------------------------------------------


def test_values_within_cycles():
    schedule = Cyclical(2.0, start=0.5, n_epochs=8, n_cycles=2, rising=0.25)
    expected = {0: 0.5, 1: 1.25, 2: 2.0, 7.9: 2.0, 8: 0.5, 9: 1.25, 16: 2.0, 17: 2.0}
    assert {epoch: schedule.value(epoch) for epoch in expected} == pytest.approx(expected)
    falling = LinearWarmup(1.0, start=5.0, n_epochs=4)
    assert [falling.value(epoch) for epoch in (0, 1, 4, 9)] == [5.0, 4.0, 1.0, 1.0]


def test_history_shows_the_warm_up():
    """The loss is the reconstruction and the weight of the epoch times the KL term; one batch, so at whole epochs."""
    fitted = vae(beta=LinearWarmup(2.0, n_epochs=4), max_iter=6, batch_size=60).fit(X)
    rows = fitted.net_.history.to_list()
    weights = [(row["train_loss"] - row["train_reconstruction"]) / row["train_kl"] for row in rows]
    np.testing.assert_allclose(weights, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0], atol=1e-3)


def test_weights_rise_within_epochs():
    """Four batches an epoch: of the first epoch the weights 0, 1/16, 2/16, 3/16 are 3/32 on average."""
    fitted = vae(beta=LinearWarmup(n_epochs=4), max_iter=2, batch_size=15, learning_rate_init=1e-9).fit(X)
    row = fitted.net_.history.to_list()[0]
    assert (row["train_loss"] - row["train_reconstruction"]) / row["train_kl"] == pytest.approx(3 / 32, rel=0.2)


SCHEDULES = {
    "warm-up": {"beta": LinearWarmup(n_epochs=5)},
    "cycles": {"beta": Cyclical(n_epochs=2, n_cycles=2)},
    "by name": {"beta": "linear_warmup"},
    "capacity": {"beta": 5.0, "capacity": LinearWarmup(3.0, n_epochs=5)},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_k_epochs_and_k_epochs_are_2k_epochs(name):
    settings = SCHEDULES[name]
    whole = fingerprint(vae(max_iter=6, **settings).fit(X), X)
    warm = vae(max_iter=3, warm_start=True, **settings).fit(X).fit(X)
    assert same(fingerprint(warm, X), whole)
    assert same(fingerprint(epochs(vae(**settings), 6, X), X), whole)
    constant = vae(max_iter=6, **{key: getattr(value, "final", 1.0) for key, value in settings.items()}).fit(X)
    assert not same(fingerprint(constant, X), whole)


@pytest.mark.parametrize("make", [LinearWarmup(n_epochs=12), Cyclical(n_epochs=4, n_cycles=3)], ids=str)
def test_training_does_not_end_while_weights_change(make):
    """A tolerance that nothing meets: patience starts to run where the weights settle."""
    fitted = vae(beta=make, max_iter=40, tol=1e6, n_iter_no_change=3).fit(X)
    assert fitted.n_iter_ == 12 + 3 + 1
    assert vae(max_iter=40, tol=1e6, n_iter_no_change=3).fit(X).n_iter_ == 1 + 3 + 1


def test_an_adaptive_rate_waits_for_the_weights():
    settings = {"learning_rate": "adaptive", "tol": 1e6, "n_iter_no_change": 1}
    fitted = vae(beta=LinearWarmup(n_epochs=10), max_iter=10, **settings).fit(X)
    assert fitted.net_.optimizer_.param_groups[0]["lr"] == fitted.learning_rate_init


def test_validation_watches_the_bound_whatever_the_weight():
    """Of a warm-up that hardly starts the loss is the reconstruction; the score of the rows held out is not."""
    fitted = vae(beta=LinearWarmup(n_epochs=10**6), max_iter=8, learning_rate_init=0.01).fit(X, X_val=X)
    rows = fitted.net_.history.to_list()
    for row, score in zip(rows, fitted.validation_scores_, strict=True):
        assert row["train_loss"] == pytest.approx(row["train_reconstruction"], rel=1e-3)
        assert -score == pytest.approx(row["valid_reconstruction"] + row["valid_kl"], rel=1e-6)


@pytest.mark.parametrize("beta", [LinearWarmup(n_epochs=12), Cyclical(n_epochs=4, n_cycles=3)], ids=str)
def test_early_stopping_waits_for_the_weights_too(beta):
    fitted = vae(beta=beta, early_stopping=True, max_iter=40, tol=1e6, n_iter_no_change=3).fit(X)
    assert fitted.n_iter_ >= 12 + 3
    assert fitted.n_iter_ <= 12 + 3 + 1


def test_early_stopping_keeps_the_best_bound_of_an_annealed_model():
    """Not the lowest loss, which is that of the first epochs, where nothing is charged for the code."""
    table = make_table(200, 5)
    settings = {"early_stopping": True, "n_iter_no_change": 5, "max_iter": 60, "learning_rate_init": 0.02}
    fitted = vae(n_components=3, beta=LinearWarmup(n_epochs=15), **settings).fit(table)
    best = int(np.argmax(fitted.validation_scores_))
    assert best > 3
    plain = vae(n_components=3, **settings).fit(table)
    assert fitted.score(table) > plain.score(table) - 0.3


def test_scores_are_at_a_weight_of_one():
    """Models trained at any weight are compared by the same bound: reconstruction less the whole KL term."""
    fitted = vae(n_components=2, beta=LinearWarmup(8.0, n_epochs=3), max_iter=5).fit(X)
    fitted.net_.module_.train(False)
    before = fitted.score_samples(X)
    fitted.net_.criterion_.beta = 0.0
    np.testing.assert_array_equal(fitted.score_samples(X), before)
    mean, std = fitted.encode(X)
    kl = (0.5 * (mean**2 + std**2 - 1) - np.log(std)).sum(1)
    np.testing.assert_allclose(fitted.posterior_kl(X).sum(1), kl, rtol=1e-6)


def test_diagonal_is_the_default_of_every_divergence():
    """A name, a class's default and an instance are the same."""
    for name, part in {"kl": KL(), "tc": TotalCorrelation(), "mmd": MMD()}.items():
        by_name, by_part = (vae(divergence=value, posterior=Diagonal()).fit(X) for value in (name, part))
        assert by_name.loss_curve_ == by_part.loss_curve_
