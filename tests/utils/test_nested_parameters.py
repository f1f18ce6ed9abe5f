"""``set_params`` reaches into parts that are named or left open, so that searches do."""

import re

import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import quick

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.corruptions import GaussianNoise
from sklae.likelihoods import Gaussian, Mixed
from sklae.priors import GaussianMixture, VampPrior

REACHED = {
    "named": (VAETransformer(prior="vamp"), {"prior__n_components": 3}, VAETransformer(prior=VampPrior(3))),
    "auto": (
        VAETransformer(),
        {"prior__n_components": 3},
        VAETransformer(prior=GaussianMixture(3, covariance_type="full")),
    ),
    "two at once": (
        AutoencoderTransformer(),
        {"corruption__scale": 0.1, "corruption": "gaussian_noise", "clip": 3.0},
        AutoencoderTransformer(corruption=GaussianNoise(0.1), clip=3.0),
    ),
    "deep": (
        VAETransformer(),
        {"likelihood__numeric__min_scale": 0.01},
        VAETransformer(likelihood=Mixed(Gaussian("per_row", min_scale=0.01))),
    ),
    "of a plain one": (
        AutoencoderTransformer(),
        {"likelihood__balance": False},
        AutoencoderTransformer(likelihood=Mixed(Gaussian(1.0))),
    ),
}


@pytest.mark.parametrize("name", REACHED)
def test_parts_come_into_being(name):
    model, given, wanted = REACHED[name]
    before = repr(model)
    assert repr(clone(model).set_params(**given)) == repr(wanted)
    assert repr(model) == before


REFUSED = {
    "nothing there": (
        VAETransformer(),
        {"corruption__scale": 0.1},
        "Got corruption__scale and corruption=None, which has no parameters; expected a part that has it. Set "
        "corruption to 'gaussian_noise', too.",
    ),
    "detector": (
        AEOutlierDetector(),
        {"autoencoder__n_components": 2},
        "Set autoencoder to AutoencoderTransformer() or VAETransformer(), too.",
    ),
    "imputer": (
        AEImputer("vae"),
        {"autoencoder__n_components": 2},
        "Got autoencoder__n_components and autoencoder='vae'",
    ),
    "no part": (AutoencoderTransformer(), {"max_iter__x": 1}, "Look at what max_iter may be."),
    "no parameter": (VAETransformer(prior="vamp"), {"prior__x": 1}, "Invalid parameter 'x' for estimator VampPrior()"),
    "nothing at all": (VAETransformer(), {"colour__x": 1}, "Invalid parameter 'colour' for estimator VAETransformer()"),
    "a list": (
        VAETransformer(likelihood=[("a", "gaussian", [0])]),
        {"likelihood__a": 1},
        "Look at what likelihood may be",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_there_is_refused_and_nothing_set(name):
    model, given, message = REFUSED[name]
    before = repr(model)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.set_params(**given)
    assert repr(model) == before


def test_searches_reach_into_defaults_of_pipelines():
    pipeline = make_pipeline(StandardScaler(), quick(VAETransformer, random_state=0))
    search = GridSearchCV(pipeline, {"vaetransformer__prior__n_components": [2, 3]}, cv=2).fit(load_wine().data)
    assert search.best_estimator_[-1].prior.n_components in (2, 3)


def test_reasons_stand_in_the_error_itself():
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit': Got learning_rate='one_cycle'"):
        AutoencoderTransformer(learning_rate="one_cycle").partial_fit(load_wine().data)
    with pytest.raises(AttributeError, match="has no attribute 'inverse_transform': Got add_indicator=False"):
        AEImputer().inverse_transform(load_wine().data)
