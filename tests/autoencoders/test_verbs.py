"""What a fitted model does with rows and codes: paths, traversals, variations, posteriors, densities."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import NotFittedError
from support import LISTED, QUICK, TRANSFORMERS, global_generators, make_table, quick
from torch.distributions import Normal
from toys import ae, vae

from sklae import VAETransformer
from sklae._autoencoders import fitted_vae, inference, verbs
from sklae.likelihoods import Gaussian
from sklae.posteriors import IAF
from sklae.priors import VampPrior

X = make_table(37, 4)
X.setflags(write=False)
A, B = X[:3], X[3:6]
POSTERIORS = [name for name, part in LISTED["posterior"].items() if part.has_density and name != "product_of_experts"]


@pytest.fixture(scope="module", params=POSTERIORS)
def posterior(request):
    """A briefly trained model of each posterior."""
    return vae(n_components=2, posterior=request.param, max_iter=10, learning_rate_init=0.02).fit(X)


@pytest.fixture(scope="module")
def model():
    return vae(n_components=3, max_iter=10, learning_rate_init=0.02).fit(X)


# -- interpolate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["linear", "spherical"])
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_ends_of_a_path_are_reconstructions(cls, method):
    fitted = quick(cls).fit(X)
    rows = fitted.interpolate(A, B, n_steps=5, method=method)
    assert rows.shape == (15, 4)
    np.testing.assert_allclose(rows[::5], fitted.reconstruct(A), rtol=1e-9)
    np.testing.assert_allclose(rows[4::5], fitted.reconstruct(B), rtol=1e-9)


def test_linear_paths_are_straight(model):
    start, end = model.transform(A), model.transform(B)
    shares = np.linspace(0, 1, 4)[:, None]
    codes = np.concatenate([(1 - shares) * a + shares * b for a, b in zip(start, end, strict=True)])
    np.testing.assert_allclose(model.interpolate(A, B, n_steps=4), model.inverse_transform(codes), rtol=1e-9)


@pytest.mark.parametrize("n_components", [2, 7])
def test_great_circles_turn_evenly_and_keep_the_length(n_components):
    rng = np.random.RandomState(0)
    a, b = rng.normal(size=(2, 5, 1, n_components))
    a /= np.linalg.norm(a, axis=-1, keepdims=True) / 3.0
    b /= np.linalg.norm(b, axis=-1, keepdims=True) / 3.0
    path = verbs._great_circle(a, b, np.linspace(0, 1, 9)[:, None])
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 3.0, rtol=1e-12)
    cosines = (path[:, 1:] * path[:, :-1]).sum(-1) / 9.0
    np.testing.assert_allclose(cosines, np.repeat(cosines[:, :1], 8, axis=1), rtol=1e-9)
    # of unlike ends the length changes evenly
    lengths = np.linalg.norm(verbs._great_circle(a, 2.0 * b, np.linspace(0, 1, 9)[:, None]), axis=-1)
    np.testing.assert_allclose(lengths, np.tile(np.linspace(3.0, 6.0, 9), (5, 1)), rtol=1e-12)


@pytest.mark.parametrize(
    "end", [[2.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], ids=["along", "same", "opposite", "zero"]
)
def test_codes_on_no_circle_are_joined_by_a_line(end):
    share = np.linspace(0, 1, 5)[:, None]
    start, end = np.array([[1.0, 0.0]]), np.array([end])
    np.testing.assert_allclose(verbs._great_circle(start, end, share), verbs._line(start, end, share), atol=1e-12)


@pytest.mark.parametrize("size", [1e20, 1e200, 1e300])
def test_great_circles_of_enormous_codes_are_those_of_usual_ones_enlarged(size):
    a, b = np.random.RandomState(0).normal(size=(2, 5, 1, 3))
    share = np.linspace(0, 1, 5)[:, None]
    with np.errstate(all="raise"):
        path = verbs._great_circle(size * a, size * b, share)
    np.testing.assert_allclose(path / size, verbs._great_circle(a, b, share), rtol=1e-9)


def test_spherical_and_linear_paths_part(model):
    linear, spherical = (model.interpolate(A, B, n_steps=5, method=method) for method in ("linear", "spherical"))
    assert not np.allclose(linear.reshape(3, 5, 4)[:, 2], spherical.reshape(3, 5, 4)[:, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "curved"}, "Got method='curved'; expected one of"),
        ({"n_steps": 1}, "Got n_steps=1; expected an integer at or above 2"),
        ({"n_steps": 2.5}, r"Got n_steps=2\.5"),
        ({"b": X[:2]}, "Got 3 rows in a and 2 in b; expected pairs"),
        ({"b": X[:3, :2]}, "features, but"),
    ],
)
def test_wrong_paths_are_refused(arguments, message, model):
    with pytest.raises(ValueError, match=message):
        model.interpolate(**{"a": A, "b": B, **arguments})


# -- traverse and vary ------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [None, [-1.0, 0.5], np.array([2.0])], ids=repr)
@pytest.mark.parametrize("component", [0, 2, -1])
def test_a_traversal_changes_one_component(component, values, model):
    steps = np.linspace(-3, 3, 7) if values is None else np.asarray(values)
    codes = np.repeat(model.transform(A), len(steps), axis=0)
    codes[:, component] = np.tile(steps, 3)
    np.testing.assert_allclose(model.traverse(A, component, values), model.inverse_transform(codes), rtol=1e-12)


@pytest.mark.parametrize("component", [3, -4, 1.0, "0", None])
def test_traversals_of_no_component_are_refused(component, model):
    with pytest.raises(ValueError, match=r"Got component=.*; expected an integer below 3"):
        model.traverse(A, component)


def test_no_variation_is_the_reconstruction(posterior):
    np.testing.assert_allclose(
        posterior.vary(A, scale=0, n_samples=2, random_state=0),
        np.repeat(posterior.reconstruct(A), 2, axis=0),
        rtol=1e-9,
    )


def test_variations_are_decoded_draws_of_the_posterior(posterior):
    draws = posterior.sample_posterior(A, 4, random_state=3)
    rows = posterior.inverse_transform(np.moveaxis(draws, 0, 1).reshape(12, 2))
    np.testing.assert_allclose(posterior.vary(A, n_samples=4, random_state=3), rows, rtol=1e-9)
    # twice the scale is twice the way from the mean
    doubled = posterior.inverse_transform(
        (2 * np.moveaxis(draws, 0, 1) - posterior.transform(A)[:, None]).reshape(12, 2)
    )
    np.testing.assert_allclose(posterior.vary(A, 2, 4, random_state=3), doubled, rtol=1e-9)


@pytest.mark.parametrize("scale", [-0.1, np.nan, np.inf, "wide"])
def test_scales_below_zero_are_refused(scale, model):
    with pytest.raises(ValueError, match=r"Got scale=.*; expected a finite number at or above 0"):
        model.vary(A, scale)


# -- posteriors -------------------------------------------------------------------------------------------


def test_encode_gives_the_moments_of_the_draws(posterior):
    mean, std = posterior.encode(X)
    np.testing.assert_array_equal(mean, posterior.transform(X))
    assert std.shape == mean.shape
    assert np.all(std > 0)
    n = 20_000
    draws = posterior.sample_posterior(X, n, random_state=0)
    assert draws.shape == (n, 37, 2)
    # five standard errors, and the 64 draws that stand for the moments of a flow
    slack = 0.1 * std if posterior.posterior == "iaf" else 0.0
    assert np.all(np.abs(draws.mean(0) - mean) < 5 * std / np.sqrt(n) + slack)
    assert np.all(np.abs(draws.std(0) - std) < 5 * std / np.sqrt(2 * n) + slack)


def test_point_posteriors_are_points_and_have_no_density():
    point = vae(posterior="point", divergence="mmd").fit(X)
    mean, std = point.encode(X)
    np.testing.assert_array_equal(mean, point.transform(X))
    assert not std.any()
    np.testing.assert_array_equal(point.sample_posterior(X, 3), np.stack([mean] * 3))
    np.testing.assert_allclose(point.vary(A, 5.0), point.reconstruct(A), rtol=1e-9)
    for verb in ("score_samples", "score", "posterior_kl", "posterior_log_prob"):
        assert not hasattr(point, verb)
    assert point.prior_log_prob(mean).shape == (37,)


@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_encode_follows_set_output(library, kind):
    table = pd.DataFrame(X, columns=list("abcd"), index=[f"row {i}" for i in range(37)])
    table = table if library == "pandas" else pl.from_pandas(table)
    fitted = vae(n_components=2).fit(table).set_output(transform=library)
    for part in fitted.encode(table):
        assert isinstance(part, kind)
        assert list(part.columns) == ["vaetransformer0", "vaetransformer1"]
        if library == "pandas":
            assert part.index.equals(table.index)


@pytest.mark.parametrize("name", POSTERIORS)
@pytest.mark.parametrize("prior", LISTED["prior"])
def test_kl_is_that_of_draws(name, prior):
    """log q - log p over draws of the posterior, within five standard errors and that of the 64 shared draws."""
    part = VampPrior(5) if prior.startswith("vamp") else LISTED["prior"][prior]
    fitted = vae(n_components=2, posterior=name, prior=part).fit(X)
    kl = fitted.posterior_kl(A)
    splits = name == "diagonal" and prior == "normal"
    assert kl.shape == (3, 2 if splits else 1)
    assert kl.dtype == np.float64
    n = 4_000
    codes = fitted.sample_posterior(A, n, random_state=0)
    for row in range(3):
        z = codes[:, row]
        gaps = fitted.posterior_log_prob(z, A[[row]])[:, 0] - fitted.prior_log_prob(z)
        assert abs(gaps.mean() - kl[row].sum()) < 5 * gaps.std() / np.sqrt(n) + 0.15 * gaps.std() + 1e-6


def test_kl_is_that_of_training(model):
    """Of the same rows and weights, with the objective's own arithmetic."""
    module, objective = model.net_.module_, model.net_.criterion_
    rows = model.layout_.encode(X)
    with torch.no_grad():
        terms = objective.terms(module(rows.x, generator=torch.Generator().manual_seed(0)), rows)
    np.testing.assert_allclose(model.posterior_kl(X).sum(1), terms["kl"].numpy(), rtol=1e-4, atol=1e-5)


def test_a_single_component_has_one_column():
    assert vae(n_components=1).fit(X).posterior_kl(X).shape == (37, 1)


def test_posterior_density_is_the_normal_one(model):
    mean, std = model.encode(X)
    z = np.random.RandomState(0).normal(size=(5, 3))
    normal = Normal(torch.as_tensor(mean), torch.as_tensor(std))
    expected = normal.log_prob(torch.as_tensor(z)[:, None]).sum(-1)
    assert expected.shape == (5, 37)
    np.testing.assert_allclose(model.posterior_log_prob(z, X), expected, rtol=1e-9)
    expected = Normal(0.0, 1.0).log_prob(torch.as_tensor(z)).sum(-1)
    np.testing.assert_allclose(model.prior_log_prob(z), expected, rtol=1e-9)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_codes_of_another_width_are_refused(width, model):
    codes = np.zeros((2, width))
    for call in (model.inverse_transform, model.prior_log_prob, lambda z: model.posterior_log_prob(z, X)):
        with pytest.raises(ValueError, match=f"Got codes with {width} columns; expected 3"):
            call(codes)


def test_densities_of_codes_integrate_to_one(posterior):
    """For every posterior, on a grid around the row's code."""
    mean, std = posterior.encode(A)
    line = np.linspace(-9, 9, 181)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    for row in range(3):
        z = mean[row] + std[row] * grid
        mass = np.exp(posterior.posterior_log_prob(z, A[[row]])[:, 0]).sum() * 0.01 * std[row].prod()
        assert mass == pytest.approx(1.0, abs=0.02)


# -- scores -----------------------------------------------------------------------------------------------


def test_importance_weighted_scores_rise_to_the_density():
    """A linear decoder and a crude encoder: the bound is loose, the density known."""
    table = make_table(300, 4)
    settings = {**QUICK, "hidden_layer_sizes": (), "max_iter": 40, "learning_rate_init": 0.03}
    fitted = VAETransformer(2, likelihood=Gaussian("per_feature"), **settings).fit(table)
    module = fitted.net_.module_
    with torch.no_grad():  # away from the best encoder
        for parameter in module.encoder.parameters():
            parameter.mul_(0.5)
    fitted.net_._float64 = None
    exact = _exact_density(fitted, table)
    bounds = np.stack([fitted.score_samples(table, k) for k in (1, 10, 100, 3_000)])
    means = bounds.mean(1)
    assert means[0] < exact.mean() - 0.3, "the encoder is not crude enough for a test"
    assert np.all(np.diff(means) > 0)
    assert means[-1] == pytest.approx(exact.mean(), abs=0.02)
    # rows far out, of which hardly a draw tells anything, take more of them
    assert np.quantile(np.abs(bounds[-1] - exact), 0.9) < 0.15


def _exact_density(fitted, table):
    """Return the log-density of a model with an affine decoder."""
    origin = fitted.inverse_transform(np.zeros((1, 2)))
    loadings = fitted.inverse_transform(np.eye(2)) - origin
    module = fitted.net_.module_.double()
    with torch.no_grad():
        params = module.decode(torch.zeros(1, 2, dtype=torch.float64))
        at_mean = module.likelihood.log_prob(params, module.likelihood.mean(params)).numpy()[0]
    module.float()
    scales = np.exp(-at_mean - 0.5 * np.log(2 * np.pi)) * fitted.layout_.scaling.scale
    exact = FactorAnalysis(2)
    exact.mean_, exact.components_, exact.noise_variance_ = origin[0], loadings, scales**2
    exact.n_features_in_ = 4
    return exact.score_samples(table)


@pytest.mark.parametrize("n_importance_samples", [None, 20])
def test_scores_depend_on_the_row_alone(n_importance_samples, posterior, monkeypatch):
    scores = posterior.score_samples(X, n_importance_samples)
    assert scores.shape == (37,)
    assert scores.dtype == np.float64
    alone = np.concatenate([posterior.score_samples(X[[i]], n_importance_samples) for i in range(37)])
    np.testing.assert_allclose(scores, alone, rtol=1e-9)
    np.testing.assert_array_equal(scores, posterior.score_samples(X, n_importance_samples))
    monkeypatch.setattr(inference, "_CHUNK_ELEMENTS", 2**12)
    np.testing.assert_allclose(posterior.score_samples(X, n_importance_samples), scores, rtol=1e-9)


def test_many_draws_are_those_of_their_parts(model, monkeypatch):
    whole = model.score_samples(X, 600)
    monkeypatch.setattr(fitted_vae, "_MOST_DRAWS", 7)
    np.testing.assert_allclose(model.score_samples(X, 600), whole, rtol=1e-9)


@pytest.mark.parametrize("n_importance_samples", [0, -1, 2.0, "many"])
def test_wrong_numbers_of_draws_are_refused(n_importance_samples, model):
    with pytest.raises(ValueError, match=r"Got n_importance_samples=.*; expected an integer at or above 1"):
        model.score_samples(X, n_importance_samples)


def test_scores_are_densities_in_the_users_units():
    """A column in other units shifts every log-density by the logarithm of the factor."""
    factor = np.array([1.0, 1000.0, 1.0, 0.01])
    plain, scaled = (vae(n_components=2).fit(table).score_samples(table, 30) for table in (X, X * factor))
    np.testing.assert_allclose(scaled, plain - np.log(factor).sum(), atol=1e-3)


# -- all of them ------------------------------------------------------------------------------------------

VERBS = {
    "interpolate": lambda m, rows: m.interpolate(rows[:3], rows[3:6]),
    "traverse": lambda m, rows: m.traverse(rows[:3], 0),
    "vary": lambda m, rows: m.vary(rows, 1.0, 2, random_state=0),
    "mean": lambda m, rows: m.encode(rows)[0],
    "std": lambda m, rows: m.encode(rows)[1],
    "sample_posterior": lambda m, rows: m.sample_posterior(rows, 2, random_state=0),
    "posterior_kl": lambda m, rows: m.posterior_kl(rows),
    "posterior_log_prob": lambda m, rows: m.posterior_log_prob(np.zeros((2, 2)), rows),
    "prior_log_prob": lambda m, rows: m.prior_log_prob(np.zeros((2, 2))),
    "importance": lambda m, rows: m.score_samples(rows, 5),
    "sample": lambda m, rows: m.sample(4, random_state=0),
}
#: What comes in double precision whatever goes in.
DENSITIES = {"posterior_kl", "posterior_log_prob", "prior_log_prob", "importance"}
DATA_SPACE = {"interpolate", "traverse", "vary", "sample"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_in_are_dtypes_out(verb, dtype):
    table = X.astype(dtype)
    result = VERBS[verb](vae(n_components=2).fit(table), table)
    assert result.dtype == (np.float64 if verb in DENSITIES else dtype)


@pytest.mark.parametrize("verb", VERBS)
def test_single_and_double_precision_agree(verb, posterior):
    low = VERBS[verb](posterior, X.astype(np.float32))
    np.testing.assert_allclose(low, VERBS[verb](posterior, X), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_leave_no_trace(verb, posterior):
    """Neither in the estimator nor in the generators, and the second answer is the first."""
    generators, before = global_generators(), pickle.dumps(posterior)
    first = VERBS[verb](posterior, X)
    np.testing.assert_array_equal(VERBS[verb](posterior, X), first)
    assert global_generators() == generators
    assert len(pickle.dumps(posterior)) == len(before)


@pytest.mark.parametrize("verb", ["vary", "sample_posterior", "sample"])
def test_numbers_of_draws_are_positive_integers(verb, model):
    arguments = () if verb == "sample" else (A,)
    for wrong in (-1, 0, 2.0, "two"):
        with pytest.raises(ValueError, match=f"Got n_samples={wrong!r}; expected an integer"):
            getattr(model, verb)(*arguments, n_samples=wrong)


@pytest.mark.parametrize("verb", ["vary", "sample_posterior", "sample"])
def test_seeds_are_used(verb, model):
    arguments = () if verb == "sample" else (A,)

    def draw(seed):
        return getattr(model, verb)(*arguments, n_samples=3, random_state=seed)

    np.testing.assert_array_equal(draw(1), draw(1))
    np.testing.assert_array_equal(draw(np.random.RandomState(1)), draw(np.random.RandomState(1)))
    assert not np.allclose(draw(1), draw(2))
    assert not np.allclose(draw(None), draw(None))
    rng = np.random.RandomState(0)
    assert not np.allclose(draw(rng), draw(rng)), "the generator was not advanced"


@pytest.mark.parametrize("verb", sorted(DATA_SPACE))
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_in_frames_out(verb, library):
    table = pd.DataFrame(X, columns=list("abcd"), index=[f"row {i}" for i in range(37)])
    table = table if library == "pandas" else pl.from_pandas(table)
    rows = VERBS[verb](vae(n_components=2).fit(table), table)
    assert type(rows) is type(table)
    assert list(rows.columns) == list("abcd")
    np.testing.assert_array_equal(rows.to_numpy(), VERBS[verb](vae(n_components=2).fit(X), X))


def test_gaps_are_taken_by_every_verb():
    table = X.copy()
    table[::3, 1] = np.nan
    fitted = vae(n_components=2).fit(table)
    for verb, call in VERBS.items():
        assert np.isfinite(call(fitted, table)).all(), verb


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"interpolate", "sample"}))
def test_plain_autoencoders_lack_what_needs_a_posterior(verb):
    with pytest.raises((AttributeError, TypeError)):
        VERBS[verb](ae(n_components=2).fit(X), X)


def test_the_moments_of_a_flow_are_cached_nowhere():
    """Two rows' posteriors asked for in turn: the pushed draws that one remembers are not the other's."""
    fitted = vae(n_components=2, posterior=IAF(1)).fit(X)
    module = fitted.net_.module_
    rows = fitted.layout_.encode(X)
    with torch.no_grad():
        q, p = module.encode(rows.x[:4]), module.encode(rows.x[4:8])
        noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
        z, other = q.push(noise), p.push(noise)
        torch.testing.assert_close(q.path_log_prob(z, noise), q.log_prob(z), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(p.path_log_prob(other, noise), p.log_prob(other), rtol=1e-4, atol=1e-4)


# -- rows that are far out ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [ae, vae])
def test_the_largest_number_has_finite_codes_rows_and_scores(make, dtype):
    fitted = make(n_components=2).fit(0.01 * X)
    rows = X[:2].astype(dtype)
    rows[0, 1] = np.finfo(dtype).max
    for verb in ("transform", "reconstruct", "score_samples"):
        assert np.isfinite(getattr(fitted, verb)(rows)).all(), verb
    usual = fitted.score_samples(X[:2])
    assert fitted.score_samples(rows)[0] < usual[0]
    assert fitted.score_samples(rows)[1] == pytest.approx(usual[1], rel=1e-3)


@pytest.mark.parametrize("posterior", ["diagonal", "full_covariance"])
def test_the_largest_number_has_finite_divergences_and_densities(posterior):
    fitted = vae(n_components=2, posterior=posterior).fit(0.01 * X)
    rows = X[:2].copy()
    rows[0, 1] = np.finfo(np.float64).max
    assert np.isfinite(fitted.posterior_kl(rows)).all()
    assert np.isfinite(fitted.posterior_log_prob(np.zeros((3, 2)), rows)).all()
    assert np.isfinite(fitted.prior_log_prob(np.full((1, 2), 1e300))).all()


@pytest.mark.parametrize("verb", ["transform", "encode", "sample_posterior", "posterior_kl", "score_samples"])
def test_verbs_of_what_is_not_fitted_say_so(verb):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(VAETransformer(), verb)(X)
