"""Conditional models: columns of X that tell encoder, decoder and prior what kind of row it is."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import TRANSFORMERS, make_table, quick
from toys import ae, fingerprint, same, vae

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.likelihoods import Gaussian
from sklae.priors import Flow, GaussianMixture, VampPrior

N = 240
CODES = np.arange(N) % 2
GROUPS = np.array(["left", "right"], dtype=object)[CODES]
#: What the category adds to the columns.
SHIFT = np.array([8.0, -6.0, 0.0])
LATENT = np.random.RandomState(0).normal(size=(N, 1)) @ np.array([[1.0, 1.0, 1.0]])
DATA = LATENT + 0.3 * np.random.RandomState(1).normal(size=(N, 3)) + CODES[:, None] * SHIFT
ARRAY = np.column_stack([CODES, DATA])
NAMES = ["group", "a", "b", "c"]


def frame(library="pandas"):
    columns = {"group": GROUPS.tolist(), **dict(zip("abc", DATA.T, strict=True))}
    return pd.DataFrame(columns, index=[f"row {i}" for i in range(N)]) if library == "pandas" else pl.DataFrame(columns)


X = frame()
ROWS = X.iloc[:6]
#: Enough to learn where the groups are.
TRAINED = {"hidden_layer_sizes": (), "max_iter": 60, "learning_rate": "one_cycle", "learning_rate_init": 0.05}


@pytest.fixture(scope="module")
def trained():
    """A model of frames, conditioned on a text column.

    Variational: nothing keeps the codes of a plain autoencoder from telling the group once more.
    """
    return VAETransformer(1, condition_features="group", random_state=0, **TRAINED).fit(X)


def group_means():
    return X.groupby("group")[["a", "b", "c"]].mean()


# -- what the condition does ------------------------------------------------------------------------------


def test_encoder_decoder_and_mask_have_their_places():
    """Three levels and a number beside two modelled columns."""
    table = pd.DataFrame(make_table(30, 3), columns=["a", "b", "t"]).assign(g=list("uvw") * 10)
    for gap, n_inputs in ((False, 2 + 4), (True, 2 + 2 + 4)):
        if gap:
            table.loc[0, "a"] = np.nan
        module = vae(n_components=2, hidden_layer_sizes=(), condition_features=["g", "t"]).fit(table).net_.module_
        first = [next(m for m in part.modules() if isinstance(m, torch.nn.Linear)) for part in _halves(module)]
        assert [layer.in_features for layer in first] == [n_inputs, 2 + 4]


def _halves(module):
    return module.encoder, module.decoder


@pytest.mark.parametrize("make", [ae, vae])
def test_condition_reaches_codes_rows_and_scores(make):
    model = make(n_components=1, condition_features="group").fit(X)
    other = ROWS.assign(group=ROWS["group"].map({"left": "right", "right": "left"}))
    for verb in (model.transform, model.score_samples):
        assert np.all(verb(other) != verb(ROWS))
    codes = model.transform(ROWS)
    left, right = (model.inverse_transform(codes, condition=group)[["a", "b", "c"]] for group in ("left", "right"))
    assert np.all(left.to_numpy() != right.to_numpy())


def test_swapped_rows_land_in_the_other_group(trained):
    """Each row keeps its deviation from its group's mean, of standard deviation 1, and changes the mean."""
    to = X["group"].map({"left": "right", "right": "left"})
    swapped = trained.reconstruct(X, condition=to)
    assert swapped["group"].tolist() == to.tolist()
    means = group_means()
    np.testing.assert_allclose(swapped.groupby("group")[["a", "b", "c"]].mean(), means, atol=0.3)
    kept = swapped[["a", "b", "c"]].to_numpy() - means.loc[to].to_numpy()
    before = X[["a", "b", "c"]].to_numpy() - means.loc[X["group"]].to_numpy()
    assert np.corrcoef(kept.ravel(), before.ravel())[0, 1] > 0.9


def test_codes_do_not_tell_the_group(trained):
    """One component for two causes: the one that the condition does not explain."""
    codes = trained.transform(X)[:, 0]
    assert abs(np.corrcoef(codes, LATENT[:, 0])[0, 1]) > 0.9
    assert abs(np.corrcoef(codes, CODES)[0, 1]) < 0.3


def test_samples_follow_the_condition(trained):
    rows = trained.sample(500, random_state=0, condition=["right", "left"])
    assert rows["group"].tolist() == ["right"] * 500 + ["left"] * 500
    means = rows.groupby("group")[["a", "b", "c"]].mean()
    # five standard errors of means over draws of standard deviation about 1, and what training leaves
    np.testing.assert_allclose(means, group_means(), atol=0.4)
    # and within a group they are draws, in no order
    first = rows["a"].to_numpy()[:500]
    assert abs(first[:250].mean() - first[250:].mean()) < 5 * np.sqrt(2 / 250) * first.std()


def test_score_is_the_density_given_the_condition():
    """A linear model with one binary condition: factor analysis around two means."""
    settings = {**TRAINED, "max_iter": 150, "random_state": 0}
    model = VAETransformer(1, likelihood=Gaussian("per_feature"), condition_features=[0], **settings).fit(ARRAY)
    means = np.stack([DATA[group == CODES].mean(0) for group in (0, 1)])
    centred = DATA - means[CODES]
    exact = FactorAnalysis(1, tol=1e-8, max_iter=20_000, svd_method="lapack").fit(centred).score_samples(centred)
    # a maximum: training can only stay below it
    assert -0.05 < model.score(ARRAY) - exact.mean() < 1e-3
    assert np.corrcoef(model.score_samples(ARRAY), exact)[0, 1] > 0.98

    # of the model's own numbers to rounding: affine decoders make the bound a closed form
    codes = np.zeros((2, 1))
    origin = model.inverse_transform(codes, condition=[0, 1])[:, 1:]
    loadings = model.inverse_transform(codes + 1.0, condition=[0, 1])[:, 1:] - origin
    noise = np.exp(2 * _log_scale(model)) * model.layout_.scaling.scale**2
    covariance = loadings[0][:, None] @ loadings[0][None] + np.diag(noise)
    density = [multivariate_normal(origin[g], covariance).logpdf(row) for g, row in zip(CODES, DATA, strict=True)]
    tightest = model.score_samples(ARRAY, n_importance_samples=2_000)
    np.testing.assert_allclose(tightest, density, atol=0.05)


def _log_scale(model):
    """Return the logarithm of the likelihood's scales, from the density of a row at its mean."""
    module = model.net_.module_
    params = module.decode(torch.zeros(1, 1), torch.zeros(1, model.layout_.n_condition))
    at_mean = module.likelihood.log_prob(params, module.likelihood.mean(params))
    return -at_mean.detach().double().numpy()[0] - 0.5 * np.log(2 * np.pi)


# -- shapes and containers --------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("make", [ae, vae])
def test_frames_come_back_with_their_columns_dtypes_and_index(make, library):
    table = frame(library)
    model = make(n_components=1, condition_features="group", sample_from="aggregate").fit(table)
    pair = {"group": ["right", "left"]}
    frames = {
        "reconstruct": (model.reconstruct(table), N),
        "swapped": (model.reconstruct(table, condition="left"), N),
        "inverse": (model.inverse_transform(model.transform(table), condition=table), N),
        "sample": (model.sample(3, condition=pair, random_state=0), 6),
        "interpolate": (model.interpolate(table[:2], table[2:4], n_steps=5), 10),
    }
    for name, (rows, n_rows) in frames.items():
        assert type(rows) is type(table), name
        assert len(rows) == n_rows
        assert list(rows.columns) == NAMES
        assert rows["group"].dtype == table["group"].dtype
    assert frames["reconstruct"][0]["group"].to_list() == GROUPS.tolist()
    assert set(frames["swapped"][0]["group"].to_list()) == {"left"}
    assert frames["sample"][0]["group"].to_list() == ["right"] * 3 + ["left"] * 3
    assert frames["interpolate"][0]["group"].to_list() == ["left"] * 5 + ["right"] * 5
    if library == "pandas":
        assert frames["reconstruct"][0].index.equals(table.index)


@pytest.mark.parametrize(
    ("condition", "n_rows"),
    [
        (1, 3),
        ([1], 3),
        ([1, 0], 6),
        (np.array([[1.0], [0.0]]), 6),
        ({"0": [1, 0, 1]}, 9),
        (pd.DataFrame({"0": [0, 1]}), 6),
        (np.nan, 3),
    ],
)
def test_samples_of_one_condition_follow_each_other(condition, n_rows):
    model = vae(n_components=1, condition_features=[0], categorical_features=[0]).fit(ARRAY)
    rows = model.sample(3, random_state=0, condition=condition)
    assert rows.shape == (n_rows, 4)
    expected = np.ravel(condition["0"] if isinstance(condition, (dict, pd.DataFrame)) else condition)
    np.testing.assert_array_equal(rows[:, 0], np.repeat(expected, 3).astype(float))
    np.testing.assert_array_equal(rows, model.sample(3, random_state=0, condition=condition))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype):
    table = ARRAY.astype(dtype)
    model = vae(condition_features=[0], categorical_features=[0]).fit(table)
    for result in (
        model.transform(table),
        model.reconstruct(table),
        model.reconstruct(table, condition=1),
        model.sample(2, condition=1),
        model.interpolate(table[:2], table[2:4]),
        model.vary(table[:2]),
    ):
        assert result.dtype == dtype
    assert model.score_samples(table).dtype == np.float64


def test_rows_do_not_depend_on_where_the_condition_stands():
    """Only on what is in the columns: first or last, as text or as category."""
    last = frame()[["a", "b", "c", "group"]]
    as_category = last.astype({"group": "category"})
    first, *others = (vae(condition_features="group").fit(table) for table in (X, last, as_category))
    for model, table in zip(others, (last, as_category), strict=True):
        np.testing.assert_array_equal(model.transform(table), first.transform(X))
        np.testing.assert_array_equal(model.score_samples(table), first.score_samples(X))
    # the same numbers from arrays, where they are named categories
    array = vae(condition_features=[0], categorical_features=[0]).fit(ARRAY)
    np.testing.assert_array_equal(array.transform(ARRAY), first.transform(X))


# -- gaps and levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ae, vae])
def test_unseen_levels_of_rows_count_as_missing(make):
    model = make(condition_features="group").fit(X)
    unseen, missing = ROWS.assign(group="elsewhere"), ROWS.assign(group=None)
    np.testing.assert_array_equal(model.transform(unseen), model.transform(missing))
    assert not np.allclose(model.transform(unseen), model.transform(ROWS))
    assert model.reconstruct(unseen)["group"].isna().all()
    assert np.isfinite(model.score_samples(missing)).all()


@pytest.mark.parametrize("make", [ae, vae])
def test_gaps_in_conditions_do_not_mask_the_columns(make):
    """They are no gaps of what is modelled: no mask is seen, and every column counts."""
    table = ARRAY.copy()
    table[::5, 0] = np.nan
    for categorical in ([], [0]):
        model = make(condition_features=[0], categorical_features=categorical).fit(table)
        assert not model.net_.module_.sees_mask
        assert np.isfinite(model.score_samples(table)).all()
        np.testing.assert_array_equal(np.isnan(model.reconstruct(table)), np.isnan(table))


def test_an_array_in_place_of_the_frame_holds_levels():
    """As the frame would: codes are an inner matter, and refused."""
    model = vae(condition_features="group").fit(X)
    with pytest.warns(UserWarning, match="feature names"):
        rows = model.reconstruct(X.to_numpy())
    pd.testing.assert_series_equal(rows["group"], X["group"], check_index=False)
    with pytest.raises(ValueError, match=r"Got column 'group' with numbers, such as 0.0, where fit has seen text"):
        model.reconstruct(ARRAY)
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(model.transform(X.to_numpy()), model.transform(X))


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conditioned():
    return vae(n_components=2, condition_features="group").fit(X)


DECODING = {
    "inverse_transform": lambda model: model.inverse_transform(model.transform(ROWS)),
    "sample": lambda model: model.sample(2),
    "prior_log_prob": lambda model: model.prior_log_prob(np.zeros((2, 2))),
}


@pytest.mark.parametrize("verb", DECODING)
def test_decoding_needs_a_condition(verb, conditioned):
    with pytest.raises(ValueError, match=r"Got no condition; expected values of \['group'\]"):
        DECODING[verb](conditioned)


def test_ends_of_a_path_share_their_condition_or_are_given_one(conditioned):
    a, b = X.iloc[[0]], X.iloc[[1]]
    with pytest.raises(ValueError, match=r"different conditions; expected the same, or condition="):
        conditioned.interpolate(a, b)
    assert set(conditioned.interpolate(a, b, condition="left")["group"]) == {"left"}
    missing = a.assign(group=None)
    assert conditioned.interpolate(missing, missing)["group"].isna().all()


VERBS = {
    "inverse_transform": lambda model, rows, c: model.inverse_transform(model.transform(rows), condition=c),
    "reconstruct": lambda model, rows, c: model.reconstruct(rows, condition=c),
    "sample": lambda model, rows, c: model.sample(2, condition=c),
    "interpolate": lambda model, rows, c: model.interpolate(rows, rows, condition=c),
    "traverse": lambda model, rows, c: model.traverse(rows, 0, condition=c),
    "vary": lambda model, rows, c: model.vary(rows, condition=c),
    "prior_log_prob": lambda model, rows, c: model.prior_log_prob(np.zeros((6, 2)), condition=c),
}


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_conditions_are_refused_by_every_verb(verb, conditioned):
    with pytest.raises(ValueError, match="Got condition group='up', which fit has not seen"):
        VERBS[verb](conditioned, ROWS, "up")
    with pytest.raises(ValueError, match=r"Got a condition without \['group'\]"):
        VERBS[verb](conditioned, ROWS, {"colour": "left"})
    if verb != "sample":
        with pytest.raises(ValueError, match="Got 2 conditions for 6 rows"):
            VERBS[verb](conditioned, ROWS, ["left", "right"])


@pytest.mark.parametrize("verb", VERBS)
def test_models_without_conditions_take_none(verb):
    with pytest.raises(ValueError, match=re.escape("Got condition= for a model without conditions")):
        VERBS[verb](vae(n_components=2).fit(ARRAY), ARRAY[:6], "left")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (X[["a", "group", "b", "c"]], "must be in the same order"),
        (X[["a", "b", "c"]], "now missing"),
        (X.assign(d=0.0), "unseen at fit time"),
    ],
)
def test_tables_of_other_columns_are_refused(table, message, conditioned):
    for verb in (conditioned.transform, conditioned.reconstruct, conditioned.score_samples):
        with pytest.raises(ValueError, match=message):
            verb(table)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_text_under_a_likelihood_of_numbers_is_refused(cls):
    with pytest.raises(ValueError, match=r"Got columns of categories, \['group'\], with the likelihood Gaussian\(\)"):
        quick(cls, condition_features="a", likelihood="gaussian").fit(X)


@pytest.mark.parametrize("prior", [GaussianMixture(2, conditional=True), Flow(conditional=True)], ids=repr)
def test_conditional_priors_need_conditions(prior):
    with pytest.raises(ValueError, match="for a model without conditions; expected condition_features"):
        vae(prior=prior).fit(X[["a", "b", "c"]])


@pytest.mark.parametrize("given", [{"means": [[0.0]]}, {"scales": 1.0}, {"weights": "uniform"}], ids=str)
def test_conditional_mixtures_learn_everything(given):
    with pytest.raises(ValueError, match=r"Got conditional=True with given"):
        vae(prior=GaussianMixture(1, conditional=True, **given), condition_features="group").fit(X)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_categories_that_are_no_columns_are_refused(cls):
    with pytest.raises(ValueError, match=r"Got categorical_features=\[4\], in which 4 is no column"):
        quick(cls, categorical_features=[4], condition_features=[0]).fit(ARRAY)


# -- priors -----------------------------------------------------------------------------------------------


class _Blind(torch.nn.Module):
    """A decoder that sees the code alone, so that only the prior can follow the condition."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.straight = torch.nn.Linear(1, n_outputs)

    def forward(self, h):
        return self.straight(h[:, :1])


@pytest.mark.parametrize(
    "prior",
    [GaussianMixture(1, conditional=True), GaussianMixture(3, conditional=True), Flow(2, conditional=True)],
    ids=repr,
)
def test_conditional_priors_follow_the_condition(prior):
    settings = {**TRAINED, "max_iter": 40}
    model = VAETransformer(1, prior=prior, decoder=_Blind, condition_features="group", random_state=0, **settings)
    model.fit(X)
    rows = model.sample(400, random_state=0, condition=["left", "right"])
    np.testing.assert_allclose(rows.groupby("group")[["a", "b"]].mean(), group_means()[["a", "b"]], atol=0.8)
    # each condition has a density of its own
    z = np.linspace(-30, 30, 6_001)[:, None]
    left, right = (np.exp(model.prior_log_prob(z, condition=group)) for group in ("left", "right"))
    for density in (left, right):
        assert density.sum() * 0.01 == pytest.approx(1.0, abs=1e-3)
    assert np.minimum(left, right).sum() * 0.01 < 0.2, "the densities overlap"
    # and rows are scored by that of their own
    swapped = X.assign(group=X["group"].map({"left": "right", "right": "left"}))
    assert model.score(X) > model.score(swapped) + 1.0


def test_pseudo_inputs_have_conditions():
    model = vae(prior=VampPrior(5), condition_features="group").fit(X)
    assert model.net_.module_.prior.condition.shape == (5, 2)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.sample(2, condition="left").shape == (2, 4)


# -- scikit-learn and training ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ae, vae])
def test_clones_pickles_and_refits_are_the_same(make):
    model = make(condition_features=["group"], sample_from="aggregate").fit(X)
    expected = {**_prints(model), "sample": model.sample(4, random_state=0, condition="left").to_numpy()[:, 1:]}
    copied = pickle.loads(pickle.dumps(model))
    again = clone(model).fit(X)
    assert clone(model).condition_features == ["group"]
    for other in (copied, again):
        found = {**_prints(other), "sample": other.sample(4, random_state=0, condition="left").to_numpy()[:, 1:]}
        assert same({k: v.astype(float) for k, v in found.items()}, {k: v.astype(float) for k, v in expected.items()})
        assert other.reconstruct(X)["group"].tolist() == GROUPS.tolist()


def _prints(model):
    return {
        "codes": model.transform(X),
        "rows": model.reconstruct(X)[["a", "b", "c"]].to_numpy(),
        "scores": model.score_samples(X),
    }


@pytest.mark.parametrize("make", [ae, vae])
@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output_and_names(make, library, kind):
    model = make(condition_features="group").fit(frame(library)).set_output(transform=library)
    codes = model.transform(frame(library))
    assert isinstance(codes, kind)
    assert codes.shape == (N, model.n_components_)
    assert list(codes.columns) == list(model.get_feature_names_out())
    assert model.feature_names_in_.tolist() == NAMES
    assert model.n_features_in_ == 4
    assert model.layout_.n_features == 3


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_search_over_what_conditions(cls):
    grid = {"condition_features": [None, [0]], "n_components": [1, 2]}
    search = GridSearchCV(quick(cls), grid, cv=3, error_score="raise").fit(ARRAY)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    search = GridSearchCV(quick(cls, condition_features="group"), {"n_components": [1, 2]}, cv=3, error_score="raise")
    # a level that a fold has not seen is missing there
    rare = X.assign(group=["rare", *GROUPS[1:]])
    assert np.isfinite(search.fit(rare).cv_results_["mean_test_score"]).all()


def test_pipelines_hand_conditions_on_as_columns():
    pipeline = make_pipeline(StandardScaler(), vae(n_components=1, condition_features=[0])).fit(ARRAY)
    assert pipeline.transform(ARRAY).shape == (N, 1)
    kept = StandardScaler().set_output(transform="pandas")
    named = make_pipeline(kept, vae(n_components=1, condition_features="group")).fit(X.assign(group=CODES))
    # to rounding: the scaler sums a frame in another order
    np.testing.assert_allclose(named.transform(X.assign(group=CODES)), pipeline.transform(ARRAY), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [ae, vae])
def test_partial_fits_and_warm_starts_continue(make):
    params = {"condition_features": "group", "random_state": 0}
    whole = make(max_iter=4, **params).fit(X)
    halves = make(max_iter=2, warm_start=True, **params)
    halves = pickle.loads(pickle.dumps(halves.fit(X))).fit(X)
    steps = make(**params)
    for _ in range(4):
        steps.partial_fit(X)
    assert same(_prints(halves), _prints(whole))
    assert same(_prints(steps), _prints(whole))
    # later rows may bring levels that the first call has not seen: they are missing
    steps.partial_fit(X.assign(group="new"))
    assert np.isfinite(steps.score_samples(X)).all()
    assert steps.layout_.n_condition == 2


@pytest.mark.parametrize("make", [ae, vae])
def test_validation_and_clean_rows_are_read_alike(make):
    model = make(condition_features="group", early_stopping=True, max_iter=4).fit(X)
    assert len(model.validation_scores_) == 4
    own = make(condition_features="group", max_iter=4).fit(X, X_val=X)
    assert np.isfinite(own.validation_scores_).all()
    noisy = X.assign(**{name: X[name] + 0.1 for name in "abc"})
    paired = make(condition_features="group").fit(noisy, X_clean=X)
    np.testing.assert_allclose(paired.layout_.mean, DATA.mean(0), atol=1e-12)
    with pytest.raises(ValueError, match=r"In X_val: (?s:.*)now missing"):
        make(condition_features="group").fit(X, X_val=X[["a", "b", "c"]])


def test_validation_scores_use_the_conditions_of_their_rows():
    fitted = vae(n_components=1, condition_features="group", max_iter=20, learning_rate_init=0.02)
    right = fitted.fit(X, X_val=X).validation_scores_[-1]
    wrong = X.assign(group=X["group"].map({"left": "right", "right": "left"}))
    assert fitted.fit(X, X_val=wrong).validation_scores_[-1] < right - 0.5


def test_detector_scores_rows_within_their_group():
    """A row of one group is an outlier in the other: only a conditional autoencoder can tell."""
    inner = AutoencoderTransformer(1, condition_features="group", **{**TRAINED, "max_iter": 40})
    detector = AEOutlierDetector(inner, random_state=0).fit(X)
    assert detector.residual_scale_.shape == (3,)
    swapped = ROWS.assign(group=ROWS["group"].map({"left": "right", "right": "left"}))
    assert np.all(detector.predict(ROWS) == 1)
    assert np.all(detector.predict(swapped) == -1)
    assert np.isfinite(detector.score_samples(ROWS.assign(group=None))).all()
    np.testing.assert_array_equal(detector.transform(X), detector.autoencoder_.transform(X))
    copied = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(copied.decision_function(X), detector.decision_function(X))


def test_training_with_conditions_is_reproducible_and_leaves_generators_alone():
    model = vae(condition_features=[0], prior=GaussianMixture(2, conditional=True))
    before = np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()
    one, other = (fingerprint(clone(model).fit(ARRAY), ARRAY) for _ in range(2))
    assert same(one, other)
    assert (np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()) == before
