"""What images need of tables: one scale for all columns, and expected rows."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from support import QUICK

from sklae import AutoencoderTransformer, VAETransformer

PIXELS = (load_digits().data[:150] * 15).astype(np.uint8)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_a_global_scale_is_that_of_all_values(cls):
    model = cls(2, standardize="global", **QUICK).fit(PIXELS)
    varies, scaling = model.layout_.varies, model.layout_.scaling
    np.testing.assert_allclose(scaling.offset[varies], PIXELS.mean())
    np.testing.assert_allclose(scaling.fill[~varies], 0.0)  # what a constant is to the network
    np.testing.assert_allclose(scaling.scale[varies], PIXELS.std())
    assert np.isfinite(model.score_samples(PIXELS)).all()
    assert ((model.reconstruct(PIXELS) - PIXELS)[:, ~varies] == 0).all()


def test_a_global_scale_counts_what_was_observed():
    gappy = np.where(np.random.RandomState(0).uniform(size=PIXELS.shape) < 0.3, np.nan, PIXELS)
    scaling = AutoencoderTransformer(2, standardize="global", **QUICK).fit(gappy).layout_.scaling
    np.testing.assert_allclose(scaling.offset[scaling.varies], np.nanmean(gappy))
    np.testing.assert_allclose(scaling.scale[scaling.varies], np.nanstd(gappy))


def test_scores_stay_in_the_units_of_columns():
    settings = {**QUICK, "standardize": "global"}
    first, second = (VAETransformer(2, **settings).fit(PIXELS * unit) for unit in (1.0, 10.0))
    n_varying = first.layout_.varies.sum()
    np.testing.assert_allclose(second.score(PIXELS * 10.0), first.score(PIXELS) - n_varying * np.log(10.0), rtol=1e-4)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("n_gross", [1, 3])
def test_clipping_keeps_gross_cells_out_of_the_one_scale(cls, n_gross):
    ruined = PIXELS.astype(float)
    ruined[:n_gross, 20] = 1e9
    settings = {**QUICK, "standardize": "global", "clip": 3.0}
    model = cls(2, **settings).fit(ruined)
    rest = np.delete(PIXELS, 20, axis=1)
    scaling, varies = model.layout_.scaling, model.layout_.varies
    np.testing.assert_allclose(scaling.offset[varies], rest.mean())
    np.testing.assert_allclose(scaling.scale[varies], rest.std())
    low, high = (bound[20].item() for bound in model.layout_.clip_bounds)
    assert (low, high) == pytest.approx((-3.0, 3.0))
    clean = cls(2, **settings).fit(PIXELS)
    errors = [np.abs(each.reconstruct(PIXELS) - PIXELS).mean() for each in (model, clean)]
    assert errors[0] < 1.2 * errors[1]
    assert (model.score_samples(ruined)[:n_gross] < -1e5).all()  # as they are
    unclipped = cls(2, **{**settings, "clip": None}).fit(ruined)
    assert unclipped.layout_.scaling.scale[20] > 1e6


@pytest.mark.parametrize("n_rows", [5, 30, len(PIXELS)])
def test_clipping_changes_no_scale_without_gross_cells(n_rows):
    table = PIXELS[:n_rows]
    settings = {**QUICK, "standardize": "global"}
    plain, clipped = (AutoencoderTransformer(2, clip=clip, **settings).fit(table).layout_ for clip in (None, 3.0))
    for name, values in vars(plain.scaling).items():
        np.testing.assert_array_equal(values, getattr(clipped.scaling, name))


def test_a_likelihood_with_bounds_is_not_scaled():
    with pytest.raises(ValueError, match="standardize='global'"):
        VAETransformer(2, standardize="global", likelihood="bernoulli", **QUICK).fit(PIXELS > 100)


@pytest.mark.parametrize("likelihood", ["auto", "gaussian", "student_t", "laplace", "bernoulli", "poisson"])
def test_samples_without_noise_are_expected_rows(likelihood):
    table = PIXELS / 255.0 if likelihood == "bernoulli" else PIXELS.astype(float)
    vae = VAETransformer(2, likelihood=likelihood, prior="normal", **QUICK).fit(table)
    expected = vae.sample(7, random_state=3, noise=False)
    codes = vae.model_.draw_from_prior(7, None, np.random.RandomState(3))
    np.testing.assert_allclose(expected, vae.inverse_transform(codes.numpy()))
    assert not np.allclose(expected, vae.sample(7, random_state=3))


def test_clean_rows_are_routed_through_a_pipeline():
    noisy = PIXELS + np.random.RandomState(0).normal(scale=40, size=PIXELS.shape)
    with sklearn.config_context(enable_metadata_routing=True):
        ae = AutoencoderTransformer(2, **QUICK).set_fit_request(X_clean=True)
        routed = make_pipeline(FunctionTransformer(), ae).fit(noisy, X_clean=PIXELS)
    direct = AutoencoderTransformer(2, **QUICK).fit(noisy, X_clean=PIXELS)
    np.testing.assert_array_equal(routed[-1].transform(noisy), direct.transform(noisy))
