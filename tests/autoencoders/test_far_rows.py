"""Rows and codes far out, and modules that overflow: finite numbers, or a refusal; never NaN."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from toys import X, ae, vae

from sklae.networks import ACTIVATIONS

VERBS = ("transform", "reconstruct", "score_samples", "posterior_kl", "sample_posterior", "encode", "vary")
OF_CODES = ("inverse_transform", "prior_log_prob")
# of real numbers, of logarithms and of counts
TABLES = {"auto": X, "student_t": X, "log_normal": np.exp(X), "histogram": X}
_FITTED = {}


def _fitted(make, activation, likelihood):
    key = make, activation, likelihood
    if key not in _FITTED:
        model = make(activation=activation, likelihood=likelihood, max_iter=1, hidden_layer_sizes=(8,))
        _FITTED[key] = model.fit(TABLES[likelihood])
    return _FITTED[key]


@given(
    st.sampled_from([ae, vae]),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.sampled_from(sorted(TABLES)),
    st.sampled_from([np.float32, np.float64]),
    st.floats(6, 308.2),
    st.sampled_from([1.0, -1.0]),
    st.sampled_from([[0], [1, 3], [0, 1, 2, 3]]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_far_rows_and_codes_are_answered_in_finite_numbers(make, activation, likelihood, dtype, power, sign, columns):
    model = _fitted(make, activation, likelihood)
    largest = float(np.finfo(dtype).max)
    far = (1.0 if likelihood == "log_normal" else sign) * min(10.0**power, largest)
    rows, codes = TABLES[likelihood][:4].astype(dtype), np.full((2, model.n_components_), sign * abs(far), dtype=dtype)
    rows[1, columns] = far
    for verb in (*VERBS, *OF_CODES):
        if not hasattr(model, verb):
            continue
        try:
            found = getattr(model, verb)(codes if verb in OF_CODES else rows)
        except ValueError as error:
            if "from the model" not in str(error) or likelihood != "log_normal":
                raise
            continue
        assert all(np.isfinite(part).all() for part in (found if isinstance(found, tuple) else (found,))), verb


@pytest.mark.parametrize("make", [ae, vae])
def test_scores_fall_with_the_distance_and_stay_finite(make):
    model, rows = make().fit(X), np.repeat(X[:1], 4, axis=0)
    rows[:, 0] = [1e3, 1e10, 1e50, 1e90]
    scores = model.score_samples(rows)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()
    assert scores[-1] < -1e100


class OnlyInTraining(nn.Module):
    """NaN in evaluation mode, once it is trained."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)
        self.trained = False

    def forward(self, h):
        self.trained |= self.training
        return self.layer(h) * (float("nan") if self.trained and not self.training else 1.0)


@pytest.mark.parametrize("make", [ae, vae])
@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_nan_in_evaluation_is_told_by_fit(make, role):
    model = make(**{role: OnlyInTraining}, hidden_layer_sizes=None, max_iter=1)
    with pytest.warns(ConvergenceWarning, match=f"no finite loss of {len(X)} of {len(X)} training rows"):
        model.fit(X)


@pytest.mark.filterwarnings("ignore:Got no finite loss")
@pytest.mark.parametrize("make", [ae, vae])
@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_nan_in_evaluation_is_refused_by_every_verb(make, role):
    model = make(**{role: OnlyInTraining}, hidden_layer_sizes=None, max_iter=1).fit(X)
    wrong = ("reconstruct", "score_samples") if role == "decoder" else VERBS
    for verb in wrong:
        if hasattr(model, verb):
            with pytest.raises(ValueError, match=r"Got NaN from the model for .* rows.*evaluation mode"):
                getattr(model, verb)(X)
    if role == "decoder":
        with pytest.raises(ValueError, match="Got NaN from the model"):
            model.inverse_transform(model.transform(X))
