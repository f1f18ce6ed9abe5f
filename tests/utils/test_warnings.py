"""Warnings point at the line of the user's program that caused them, whatever lies between."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer

X = np.random.RandomState(0).normal(size=(30, 3))
GAPS = np.where(X > 1.5, np.nan, X)
SHORT = {"n_components": 1, "hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
SHORT |= {"early_stopping": False, "learning_rate": "constant", "learning_rate_init": 1e-4}

CALLS = {
    "fit": VAETransformer(**SHORT),
    "pipeline": make_pipeline(AutoencoderTransformer(**SHORT)),
    "search": GridSearchCV(VAETransformer(**SHORT), {"beta": [1.0]}, cv=2),
    "detector": AEOutlierDetector(AutoencoderTransformer(**SHORT)),
    "ensemble": AEOutlierDetector(AutoencoderTransformer(**SHORT), n_estimators=2),
    "imputer": AEImputer(VAETransformer(**SHORT)),
}


@pytest.mark.parametrize("name", CALLS)
def test_warnings_point_at_the_users_line(name):
    estimator = clone(CALLS[name])
    line = inspect.currentframe().f_lineno + 2
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as caught:
        estimator.fit(GAPS)
    assert {(warning.filename, warning.lineno) for warning in caught} == {(__file__, line)}


def test_so_does_fit_transform():
    with pytest.warns(ConvergenceWarning) as caught:
        VAETransformer(**SHORT).fit_transform(X)
    assert caught[0].filename == __file__


def test_so_do_warnings_about_parameters():
    with pytest.warns(UserWarning, match="the network wins") as caught:
        AutoencoderTransformer(network="mlp", **SHORT).fit(X)
    assert {warning.filename for warning in caught} == {__file__}
