"""Gaps: a missing value changes nothing but its own term."""

import math

import numpy as np
import pytest
import torch
from support import QUICK, TRANSFORMERS, make_layout, make_table, quick, seeded
from torch import nn

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae._tables.layout import Rows
from sklae._utils.random import generate
from sklae.divergences import KL
from sklae.likelihoods import ColumnDensity, Gaussian, Likelihood
from sklae.networks import MLP
from sklae.posteriors import Diagonal
from sklae.priors import StandardNormal

X = make_table(60, 5)
GAPS = np.random.RandomState(0).uniform(size=X.shape) < 0.2
X_GAPS = np.where(GAPS, np.nan, X)
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

#: Fitted on gaps: the encoder sees a mask; fitted without: a gap becomes the column's mean.
FITTED_ON = {"gaps": X_GAPS, "no gaps": X}


@pytest.mark.parametrize("fitted_on", FITTED_ON)
def test_plain_score_is_that_of_the_observed_part(fitted_on):
    """Restated from what `reconstruct` says of the same rows: a normal density of scale one, of observed values."""
    table = FITTED_ON[fitted_on]
    ae = AutoencoderTransformer(2, **QUICK).fit(table)
    scale = np.nanstd(table, axis=0)
    standard = (X - ae.reconstruct(X_GAPS)) / scale
    terms = -(0.5 * standard**2 + _HALF_LOG_2PI + np.log(scale))
    np.testing.assert_allclose(ae.score_samples(X_GAPS), np.where(GAPS, 0, terms).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("fitted_on", FITTED_ON)
def test_detector_score_is_that_of_the_observed_part(fitted_on):
    detector = quick(AEOutlierDetector, anomaly_score="reconstruction", cv=None).fit(FITTED_ON[fitted_on])
    standard = (X - detector.autoencoder_.reconstruct(X_GAPS)) / detector.residual_scale_
    expected = -np.where(GAPS, 0, standard**2).sum(axis=1) / (~GAPS).sum(axis=1)
    np.testing.assert_allclose(detector.score_samples(X_GAPS), expected, rtol=1e-6)


class _StandardColumns(ColumnDensity):
    def energy(self, params, x):
        return 0.5 * x.square() + 0.0 * params

    def log_norm(self):
        return _HALF_LOG_2PI

    def mean(self, params):
        return params

    def sample(self, params, generator):
        return torch.empty_like(params).normal_(generator=generator)


class Standard(Likelihood):
    """Standard normal columns, whatever the decoder says: leaves a score that can be computed by hand."""

    def build(self, layout):
        return _StandardColumns()


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_gap_takes_away_the_term_of_its_column(cls):
    """Where the encoder sees the mean in place of a gap, the rest of the score is the same."""
    estimator = cls(2, likelihood=Standard(), **QUICK).fit(X)
    filled = np.where(GAPS, X.mean(axis=0), X)
    np.testing.assert_allclose(estimator.transform(X_GAPS), estimator.transform(filled), rtol=1e-9, atol=1e-12)
    of_the_mean = -_HALF_LOG_2PI - np.log(X.std(axis=0))  # log-density of a column at its mean
    without = estimator.score_samples(filled) - (GAPS * of_the_mean).sum(axis=1)
    np.testing.assert_allclose(estimator.score_samples(X_GAPS), without, rtol=1e-9)


def _model(layout):
    with generate(seeded()):
        return Autoencoder(layout, 2, MLP((6,)), Gaussian("shared"), Diagonal(), prior=StandardNormal())


def test_loss_and_gradient_see_observed_values_only():
    model = _model(make_layout(4))
    x = torch.randn(30, 4, generator=seeded(1))
    observed = (torch.rand(30, 4, generator=seeded(2)) < 0.7).float()
    output = model(x, observed, generator=seeded(3))
    output.given.params.retain_grad()
    objective = Objective(KL())
    terms = objective.terms(output, Rows(x, observed))
    objective.loss(terms).backward()
    assert torch.all(output.given.params.grad[observed == 0] == 0)
    assert torch.all(output.given.params.grad[observed == 1] != 0)

    by_column = -model.likelihood.log_prob(output.given.params, x)
    torch.testing.assert_close(terms["reconstruction"], torch.where(observed > 0, by_column, 0.0).sum(1))
    elsewhere = torch.where(observed > 0, x, 1e3)
    assert torch.equal(objective.terms(output, Rows(elsewhere, observed))["reconstruction"], terms["reconstruction"])


def test_complete_rows_lose_nothing_to_the_mask():
    """The path without a mask gives what the path with a mask of ones gives."""
    model = _model(make_layout(4))
    x = torch.randn(30, 4, generator=seeded(1))
    output = model(x, generator=seeded(3))
    plain, masked = (Objective(KL()).terms(output, target) for target in (Rows(x), Rows(x, torch.ones_like(x))))
    for name in ("reconstruction", "kl"):
        torch.testing.assert_close(plain[name], masked[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer(2, **QUICK), VAETransformer(2, **QUICK)], ids=repr)
def test_mask_enters_the_encoder_only_if_fit_saw_gaps(estimator):
    for table, n_inputs in ((X, 5), (X_GAPS, 10)):
        encoder = estimator.fit(table).net_.module_.encoder
        assert next(part for part in encoder.modules() if isinstance(part, nn.Linear)).in_features == n_inputs


@pytest.mark.parametrize("fitted_on", FITTED_ON)
@pytest.mark.parametrize("cls", [*TRANSFORMERS, AEOutlierDetector])
def test_gaps_come_back_filled_and_rows_of_gaps_score(cls, fitted_on):
    estimator = quick(cls).fit(FITTED_ON[fitted_on])
    rows = np.vstack([X_GAPS, np.full(5, np.nan)])
    assert np.isfinite(estimator.transform(rows)).all()
    assert np.isfinite(estimator.score_samples(rows)).all()
    if cls is not AEOutlierDetector:
        assert np.isfinite(estimator.reconstruct(rows)).all()
