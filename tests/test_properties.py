"""Properties over many tables: shapes, dtypes, scales, offsets, gaps, constant columns, parameters."""

import math
import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, example, given, note, settings
from hypothesis import strategies as st
from toys import ae, detector, inner, outputs, vae

from sklae import AEOutlierDetector
from sklae._tables.layout import Layout
from sklae._training.net import AutoencoderNet
from sklae.corruptions import CORRUPTIONS
from sklae.exceptions import DivergenceError
from sklae.likelihoods import Gaussian
from sklae.networks import MLP
from sklae.penalties import PENALTIES

few = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,  # a build fails for what a change did, not by chance
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

FLOATS = (np.float32, np.float64)


@st.composite
def tables(draw, dtypes=(*FLOATS, np.int64, np.int8), max_exponent=30, gaps=True):
    """Columns of any scale and offset, some constant, some values missing."""
    n_samples, n_features = draw(st.integers(2, 40)), draw(st.integers(1, 8))
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    per_column = lambda strategy: np.array(draw(st.lists(strategy, min_size=n_features, max_size=n_features)))  # noqa: E731
    table = rng.normal(size=(n_samples, n_features))
    table[:, per_column(st.sampled_from([False, False, False, True]))] = 1.0
    if np.dtype(dtype).kind == "i":
        return np.round(table * draw(st.sampled_from([1, 10, 40]))).clip(-128, 127).astype(dtype)
    limit = min(max_exponent, 30 if dtype is np.float32 else max_exponent)
    table *= 10.0 ** per_column(st.integers(-limit, limit))
    table += per_column(st.sampled_from([0.0, 0.0, 1.0, -1e6, 1e12]))
    if gaps:
        table[rng.uniform(size=table.shape) < draw(st.sampled_from([0.0, 0.0, 0.2, 0.7]))] = np.nan
    return table.astype(dtype)


@st.composite
def parameters(draw):
    """Settings of an autoencoder that are valid, if not wise."""
    params = {
        "n_components": draw(st.sampled_from([None, 1, 3, 20])),
        "batch_size": draw(st.sampled_from(["auto", 2, 7, 1000])),
        "likelihood": draw(st.sampled_from(["auto", Gaussian("shared"), Gaussian("per_feature"), Gaussian(0.1)])),
        "corruption": draw(st.sampled_from([None, *CORRUPTIONS])),
        "penalty": draw(st.sampled_from([None, *PENALTIES])),
        "standardize": draw(st.sampled_from(["auto", True, False])),
        "early_stopping": draw(st.booleans()),
        "learning_rate": draw(st.sampled_from(["constant", "adaptive", "cosine", "one_cycle"])),
        "max_iter": 2,
    }
    normalization = draw(st.sampled_from([None, None, "batch", "layer", "weight"]))
    if normalization:
        return {**params, "network": MLP((5,), normalization=normalization, dropout=draw(st.sampled_from([0.0, 0.4])))}
    return {**params, "hidden_layer_sizes": draw(st.sampled_from([(), (3,), (8, 4), 5]))}


def fit_or_refuse(estimator, table):
    """Return the fitted estimator, or None if it refused before training (or diverged on raw numbers)."""
    with mock.patch.object(AutoencoderNet, "train", autospec=True, side_effect=AutoencoderNet.train) as train:
        try:
            return estimator.fit(table)
        except (ValueError, TypeError) as refusal:
            message, diverged = str(refusal), isinstance(refusal, DivergenceError)
    note(message)
    # encoded numbers are harmless
    assert not train.called or (diverged and getattr(estimator, "autoencoder", estimator).standardize is False)
    assert "Got" in message
    return None


@pytest.mark.parametrize("make", [ae, vae, detector])
@few
@given(table=tables(), params=parameters())
def test_a_fit_is_refused_or_sound(make, table, params):
    estimator = fit_or_refuse(make(**params), table)
    if estimator is None:
        return
    dtype = table.dtype if table.dtype in FLOATS else np.dtype(np.float64)
    autoencoder = inner(estimator)
    found = outputs(estimator, table)
    assert found["transform"].shape == (len(table), autoencoder.n_components_)
    assert found["transform"].dtype == dtype
    assert found["score_samples"].shape == (len(table),)
    rows = {"reconstruct": autoencoder.reconstruct(table), "decoded": autoencoder.inverse_transform(found["transform"])}
    if hasattr(autoencoder, "sample"):
        rows["sample"] = autoencoder.sample(len(table), random_state=0)
    for verb, values in rows.items():
        assert (values.shape, values.dtype) == (table.shape, dtype), verb
    for verb, values in {**found, **rows}.items():
        assert np.isfinite(values).all(), verb


@few
@given(table=tables(dtypes=FLOATS, gaps=False), params=parameters(), n_rows=st.integers(1, 5))
def test_new_rows_of_any_size_never_give_nan(table, params, n_rows):
    estimator = fit_or_refuse(ae(**params), table)
    assume(estimator is not None)
    rng = np.random.RandomState(n_rows)
    rows = (rng.normal(size=(n_rows, table.shape[1])) * 10.0 ** rng.randint(-30, 31)).astype(table.dtype)
    rows[0, 0] = np.nan
    with np.errstate(over="ignore"):
        scores = estimator.score_samples(rows)
    assert not np.isnan(scores).any()
    if table.dtype == np.float64:  # float32 may overflow: it says so by an infinite score
        assert np.isfinite(estimator.transform(rows)).all()
        assert np.isfinite(estimator.reconstruct(rows)).all()


# -- the layout ---------------------------------------------------------------------------------------------


def layout_of(table, standardize):
    try:
        return Layout.fit(table, rows=None, standardize=standardize)
    except ValueError as error:
        note(str(error))
        assume(False)


@few
@given(table=tables(dtypes=FLOATS, max_exponent=100), standardize=st.booleans())
def test_decoding_undoes_encoding(table, standardize):
    layout = layout_of(table, standardize)
    x, observed, _ = layout.encode(table, dtype=torch.float64)
    assert bool(x.isfinite().all())
    decoded = layout.decode(x.numpy())
    gaps = np.isnan(table)
    left_out = gaps & layout.varies  # what does not vary says nothing, there or not
    assert (observed is None) == (not left_out.any())
    if observed is not None:
        assert np.array_equal(observed.numpy() == 0, left_out)
    mean = np.broadcast_to(layout.mean, table.shape)
    wanted = np.where(gaps, mean, table.astype(np.float64))
    # within rounding of the larger of the column's spread and its level, both of which enter, and of the table's own
    # dtype: to it decimals are undone, and means of constants known
    tolerance = 1e-14 * (np.abs(layout.mean) + np.nanmax(np.abs(wanted), axis=0))
    assert (np.abs(decoded - wanted) <= tolerance + 8 * np.finfo(table.dtype).eps * np.abs(mean)).all()


@few
@given(table=tables(dtypes=FLOATS, max_exponent=100))
def test_encoded_columns_are_of_unit_size(table):
    layout = layout_of(table, True)
    x, observed, _ = layout.encode(table, dtype=torch.float64)
    weight = torch.ones_like(x) if observed is None else observed
    varies = layout.varies
    n = weight.sum(0)
    mean = ((x * weight).sum(0) / n).numpy()[varies]
    size = ((x.square() * weight).sum(0) / n).sqrt().numpy()[varies]
    precision = np.abs(layout.mean / layout.scaling.scale)[varies] * 1e-15 * len(table)  # of the values themselves
    assert (np.abs(mean) <= 1e-6 + precision).all()
    assert (np.abs(size - 1.0) <= 1e-6 + precision).all()
    assert (np.abs(layout.minimum) <= math.sqrt(len(table)) * (1 + precision.max(initial=0.0)) + 1e-6)[varies].all()
    assert (layout.log_jacobian[varies] == -np.log(layout.deviation[varies])).all()
    assert (layout.log_jacobian[~varies] == 0.0).all()


# -- units --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ae, vae])
@few
@given(table=tables(dtypes=[np.float64], max_exponent=3), params=parameters(), data=st.data())
def test_scores_follow_the_units(make, table, params, data):
    """Powers of two change no bit of the standardised values: densities shift by the sum of logs, codes not at all."""
    exponents = data.draw(st.lists(st.integers(-60, 60), min_size=table.shape[1], max_size=table.shape[1]))
    params["standardize"] = True
    one = fit_or_refuse(make(**params), table)
    assume(one is not None)
    rescaled = np.ldexp(table, exponents)
    other = make(**params).fit(rescaled)
    varies = one.layout_.varies
    assert np.array_equal(other.layout_.varies, varies)
    assert np.array_equal(one.transform(table), other.transform(rescaled))
    counts = ~np.isnan(table) & varies
    shift = (counts * np.array(exponents) * math.log(2.0)).sum(1)
    np.testing.assert_allclose(other.score_samples(rescaled), one.score_samples(table) - shift, rtol=1e-9, atol=1e-9)
    wanted = np.ldexp(one.reconstruct(table), exponents)
    assert np.array_equal(other.reconstruct(rescaled)[:, varies], wanted[:, varies])


@few
@given(table=tables(dtypes=[np.float64], max_exponent=3, gaps=False), exponent=st.integers(-60, 60))
def test_a_detector_does_not_know_the_units(table, exponent):
    one = fit_or_refuse(detector(), table)
    assume(one is not None and one.autoencoder_.layout_.varies.all())  # a constant has no scale of its own
    other = detector().fit(np.ldexp(table, exponent))
    assert np.array_equal(one.score_samples(table), other.score_samples(np.ldexp(table, exponent)))
    assert one.offset_ == other.offset_


# -- order and company --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ae, vae, detector])
@few
@given(table=tables(), params=parameters(), data=st.data())
def test_rows_are_scored_alone(make, table, params, data):
    estimator = fit_or_refuse(make(**params), table)
    assume(estimator is not None)
    some = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), min_size=1, max_size=5)))
    table = table.astype(np.float64)
    whole, part = outputs(estimator, table), outputs(estimator, table[some])
    for verb in set(whole) - {"predict"}:
        scale = np.abs(whole[verb]).max(axis=0, initial=1e-300)
        assert (np.abs(part[verb] - whole[verb][some]) <= 1e-11 * scale).all(), verb


@few
@given(table=tables(), fraction=st.sampled_from(["auto", 0.75, 1.0]), data=st.data())
def test_joined_scores_are_numbers_add_up_and_are_said_of_rows_alone(table, fraction, data):
    joined = AEOutlierDetector(ae(random_state=None), support_fraction=fraction, random_state=0)
    estimator = fit_or_refuse(joined, table)
    assume(estimator is not None)
    scores = estimator.score_samples(table)
    assert not np.isnan(scores).any()
    assert (scores <= 0).all()
    some = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), min_size=1, max_size=5)))
    np.testing.assert_allclose(estimator.score_samples(table[some]), scores[some], rtol=1e-5, atol=1e-5)
    for method in ("additive", "repair"):
        contributions = estimator.explain(table[some], method=method).to_numpy()
        np.testing.assert_allclose(contributions.sum(axis=1), -estimator.score_samples(table[some]), rtol=1e-9)
        assert (contributions >= 0).all()
        assert (contributions[np.isnan(table[some])] == 0).all()


@few
@given(table=tables(), params=parameters(), seed=st.integers(0, 2**31 - 1))
@example(table=np.array([[0.0], [1.0]]), params={}, seed=0)
def test_a_refit_gives_the_same_bits(table, params, seed):
    found = []
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            estimator = fit_or_refuse(vae(**params, random_state=seed), table)
        assume(estimator is not None)
        found.append({**outputs(estimator, table), "sample": estimator.sample(3, random_state=seed)})
    assert all(np.array_equal(found[0][verb], found[1][verb]) for verb in found[0])
