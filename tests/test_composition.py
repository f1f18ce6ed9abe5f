"""The estimators inside scikit-learn's own machinery: pipelines, searches, unions, clones, routing."""

import copy
import re

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_wine
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from support import ESTIMATORS, OWN, QUICK, TRANSFORMERS, make_table, quick

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._training.optimizers import SOLVERS
from sklae.corruptions import CORRUPTIONS, GaussianNoise, Masking
from sklae.likelihoods import LIKELIHOODS, Gaussian
from sklae.networks import ACTIVATIONS, MLP, NETWORKS, NORMALIZATIONS
from sklae.penalties import L1, PENALTIES
from sklae.posteriors import POSTERIORS
from sklae.priors import PRIORS
from sklae.schedules import LEARNING_RATES

X = make_table(60, 4)
Y = (X[:, 0] > np.median(X[:, 0])).astype(int)
NAMES = [f"column {i}" for i in range(4)]


def frame(library="pandas"):
    table = pd.DataFrame(X, columns=NAMES, index=[f"row {i}" for i in range(len(X))])
    return table if library == "pandas" else pl.DataFrame(X, schema=NAMES)


# -- pipelines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_pipeline_of_scaler_codes_and_classifier(cls):
    """Good enough to tell three wines apart: with codes in place of columns as with the columns themselves."""
    wine, y = load_wine(return_X_y=True)
    model = cls(4, **{**QUICK, "max_iter": 30, "learning_rate_init": 0.02})
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", model), ("clf", LogisticRegression())])
    assert cross_val_score(pipeline, wine, y, cv=3).mean() > 0.9
    pipeline.fit(wine, y)
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"{cls.__name__.lower()}{i}" for i in range(4)]
    assert pipeline[:-1].transform(wine).shape == (178, 4)
    assert pipeline[:-1].inverse_transform(pipeline[:-1].transform(wine)).shape == wine.shape


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_labels_of_a_pipeline_change_nothing(cls):
    codes = quick(cls).fit_transform(X)
    assert np.array_equal(quick(cls).fit_transform(X, Y), codes)
    assert np.array_equal(quick(cls).fit(X, Y[::-1]).transform(X), codes)


def test_detector_at_the_end_and_in_the_middle_of_a_pipeline():
    last = make_pipeline(StandardScaler(), quick(AEOutlierDetector, contamination=0.1)).fit(X)
    assert set(last.predict(X)) == {-1, 1}
    assert (last.predict(X) == -1).sum() == 6
    assert np.array_equal(last.decision_function(X), last.score_samples(X) - last[-1].offset_)
    middle = make_pipeline(quick(AEOutlierDetector), LogisticRegression()).fit(X, Y)
    assert middle[0].transform(X).shape == (60, 2)
    assert middle.score(X, Y) > 0.5


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_pipeline_with_a_cache(cls, tmp_path):
    steps = [("ae", quick(cls)), ("clf", LogisticRegression())]
    plain = Pipeline(steps).fit(X, Y).predict_proba(X)
    for _ in range(2):  # written, then read
        cached = Pipeline(clone(Pipeline(steps)).steps, memory=joblib.Memory(tmp_path, verbose=0)).fit(X, Y)
        assert np.array_equal(cached.predict_proba(X), plain)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_union_and_column_transformer(cls):
    codes = quick(cls, n_components=2).fit_transform(X[:, :3])
    by_column = ColumnTransformer([("ae", quick(cls, n_components=2), NAMES[:3]), ("rest", "passthrough", NAMES[3:])])
    result = by_column.set_output(transform="pandas").fit_transform(frame())
    name = cls.__name__.lower()
    assert result.columns.tolist() == [f"ae__{name}0", f"ae__{name}1", f"rest__{NAMES[3]}"]
    assert result.index.tolist() == frame().index.tolist()
    # to the bit, though frames are stored by column
    np.testing.assert_array_equal(result.iloc[:, :2], codes)

    union = FeatureUnion([("ae", quick(cls, n_components=2)), ("scaled", StandardScaler())])
    both = union.fit_transform(X[:, :3])
    np.testing.assert_array_equal(both, np.hstack([codes, StandardScaler().fit_transform(X[:, :3])]))


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(cls, library, kind):
    estimator = quick(cls).fit(frame(library))
    plain = estimator.transform(frame(library))
    assert isinstance(plain, np.ndarray)
    codes = estimator.set_output(transform=library).transform(frame(library))
    assert isinstance(codes, kind)
    assert list(codes.columns) == [f"{cls.__name__.lower()}{i}" for i in range(2)]
    np.testing.assert_array_equal(codes.to_numpy(), plain)
    if library == "pandas":
        assert codes.index.equals(frame().index)


@pytest.mark.parametrize("cls", TRANSFORMERS)
@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_data_space_verbs_return_the_container_that_was_fitted(cls, library, kind):
    estimator = quick(cls).fit(frame(library))
    rows = [estimator.reconstruct(frame(library)), estimator.inverse_transform(estimator.transform(frame(library)))]
    if cls is VAETransformer:
        rows.append(estimator.sample(5, random_state=0))
    for table in rows:
        assert isinstance(table, kind)
        assert list(table.columns) == NAMES


# -- searches -------------------------------------------------------------------------------------------


def _grid(cls):
    """Return a grid over sizes, a weight or a corruption, a part, and a part's parameter."""
    grid = [
        {"n_components": [1, 3], "hidden_layer_sizes": [(), (6,)]},
        {"likelihood": [Gaussian("per_feature"), "gaussian"]},
        {"likelihood": [Gaussian("shared")], "likelihood__min_scale": [1e-3, 0.5]},
    ]
    return [*grid, {"beta": [0.5, 4.0]} if cls is VAETransformer else {"corruption": ["masking", GaussianNoise(0.1)]}]


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_grid_search_without_a_scorer(cls):
    search = GridSearchCV(quick(cls), _grid(cls), cv=2, error_score="raise").fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # ten candidates, two of them the same: a likelihood by name and by instance
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 9, "a parameter had no effect"
    best = clone(quick(cls)).set_params(**search.best_params_).fit(X)
    assert search.score(X) == pytest.approx(best.score(X), rel=1e-12)


def test_two_processes_find_what_one_finds():
    """One test for all: starting the processes takes longer than the fits."""
    of_detector = make_scorer(lambda truth, scores: float(np.mean(scores)), response_method="decision_function")
    for cls in ESTIMATORS:
        settings = {"cv": 2, "scoring": of_detector if cls is AEOutlierDetector else None, "error_score": "raise"}
        grid = {"autoencoder__n_components": [1, 3]} if cls is AEOutlierDetector else _grid(cls)
        one, two = (GridSearchCV(quick(cls), grid, n_jobs=n_jobs, **settings).fit(X, Y) for n_jobs in (1, 2))
        np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
        assert np.array_equal(one.best_estimator_.transform(X), two.best_estimator_.transform(X))


def test_grid_search_selects_by_held_out_likelihood():
    """Two latent dimensions in four columns: one is too few, and the search says so."""
    rng = np.random.RandomState(0)
    table = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(300, 4))
    vae = VAETransformer(**{**QUICK, "hidden_layer_sizes": (), "max_iter": 30, "learning_rate_init": 0.05})
    search = GridSearchCV(vae, {"n_components": [1, 2]}, cv=2).fit(table)
    assert search.best_params_ == {"n_components": 2}
    one, two = search.cv_results_["mean_test_score"]
    assert two - one > 0.5


def test_parts_parameters_are_searched_inside_a_pipeline():
    pipeline = Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("ae", AutoencoderTransformer(corruption=Masking(), **QUICK)),
            ("clf", LogisticRegression()),
        ]
    )
    grid = {"ae__corruption__fraction": [0.0, 0.9], "ae__likelihood": ["gaussian", "bernoulli"], "clf__C": [1.0]}
    # half the folds' rows lie outside the other half's range, and scalers don't clip by themselves
    pipeline.set_params(scale__clip=True)
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y)
    assert set(search.best_params_) == set(grid)
    assert search.best_estimator_["ae"].corruption.fraction == search.best_params_["ae__corruption__fraction"]


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_halving_search_over_epochs(cls):
    search = HalvingGridSearchCV(
        quick(cls), {"n_components": [1, 2, 3]}, resource="max_iter", max_resources=9, min_resources=3, cv=2
    ).fit(X)
    assert search.n_resources_ == [3, 9]
    assert search.best_estimator_.n_iter_ == 9


def test_detector_in_searches_with_a_scorer():
    digits, labels = load_digits(return_X_y=True)
    chosen = np.isin(labels, [0, 1])
    table, y = digits[chosen][:200], np.where(labels[chosen][:200] == 0, 1, -1)
    # trained on zeros alone by the scorer's choice of threshold: any ranking metric of decision_function will do
    search = GridSearchCV(
        AEOutlierDetector(AutoencoderTransformer(**QUICK), cv=2),
        {"autoencoder__n_components": [1, 8], "contamination": [0.1, 0.4]},
        scoring="roc_auc",
        cv=2,
        error_score="raise",
    ).fit(table, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    # the threshold does not change a ranking; the codes do
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]
    by_label = RandomizedSearchCV(
        quick(AEOutlierDetector),
        {"contamination": [0.05, 0.3]},
        n_iter=2,
        scoring=make_scorer(lambda truth, labels: (labels == -1).mean()),
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(table, y)
    assert by_label.best_params_ == {"contamination": 0.3}


def test_detector_has_no_score_of_its_own():
    assert not hasattr(quick(AEOutlierDetector), "score")
    with pytest.raises(TypeError, match="scor"):
        GridSearchCV(quick(AEOutlierDetector), {"contamination": [0.1]}, cv=2).fit(X)


def test_codes_feed_other_estimators():
    pipeline = make_pipeline(quick(VAETransformer, n_components=3), SelectFromModel(LogisticRegression()))
    assert pipeline.fit_transform(X, Y).shape[1] in (1, 2, 3)


# -- clones ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_clone_copies_parameters_and_nothing_else(cls):
    parts = {"penalty": L1(0.5), "corruption": Masking(0.3), "likelihood": Gaussian("per_feature")}
    model = VAETransformer if cls is AEOutlierDetector else cls
    estimator = model(**parts, **QUICK)
    estimator = AEOutlierDetector(estimator, random_state=3) if cls is AEOutlierDetector else estimator
    again = clone(estimator.fit(X))
    assert repr(again) == repr(estimator)
    assert set(vars(again)) == set(estimator.get_params(deep=False))
    inner = again.autoencoder if cls is AEOutlierDetector else again
    assert inner.penalty is not parts["penalty"]
    assert inner.get_params()["corruption__fraction"] == 0.3


# -- parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OWN)
def test_parts_of_ones_own_are_nested_estimators(kind):
    part = OWN[kind]["own"]
    vae = VAETransformer(**{kind: part})
    assert vae.get_params()[kind] is part
    for name, value in part.get_params().items():
        assert vae.get_params()[f"{kind}__{name}"] == value
        vae.set_params(**{f"{kind}__{name}": value})
    assert repr(part) in repr(vae)


def test_the_callers_part_is_never_changed():
    part = Gaussian("shared")
    before = copy.deepcopy(vars(part))
    VAETransformer(likelihood=part, **QUICK).fit(X)
    assert vars(part) == before


TABLES = {
    "likelihood": ["auto", *LIKELIHOODS],
    "prior": PRIORS,
    "posterior": POSTERIORS,
    "corruption": CORRUPTIONS,
    "penalty": PENALTIES,
    "network": NETWORKS,
    "activation": ACTIVATIONS,
    "solver": SOLVERS,
    "learning_rate": LEARNING_RATES,
}


@pytest.mark.parametrize("parameter", TABLES)
def test_misspelt_names_are_answered_with_the_valid_ones(parameter):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of VAETransformer.*Got 'misspelt' instead") as error:
        VAETransformer(**{parameter: "misspelt"}).fit(X)
    assert all(f"'{name}'" in str(error.value) for name in TABLES[parameter])


def test_misspelt_normalization_is_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="'normalization' parameter of MLP") as error:
        VAETransformer(network=MLP(normalization="misspelt")).fit(X)
    assert all(f"'{name}'" in str(error.value) for name in NORMALIZATIONS)


@pytest.mark.parametrize("kind", OWN)
def test_part_of_another_kind_is_refused(kind):
    other = OWN["penalty" if kind != "penalty" else "prior"]["own"]
    with pytest.raises(ValueError, match=f"'{kind}' parameter of VAETransformer"):
        VAETransformer(**{kind: other}).fit(X)


# -- display and routing --------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_diagram(cls):
    pipeline = make_pipeline(StandardScaler(), quick(cls))
    for part in (pipeline, pipeline.fit(X)):
        html = part._repr_html_()
        assert cls.__name__ in html
        assert "max_iter" in html
    assert re.search(r"fitted", html)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_validation_rows_pass_through_the_steps_before(cls):
    """transform_input: the user hands raw validation rows, and the step gets them scaled."""
    estimator = quick(cls, early_stopping=True).set_fit_request(X_val=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", estimator)], transform_input=["X_val"])
    pipeline.fit(X[:40], X_val=X[40:])
    scaler = StandardScaler().fit(X[:40])
    direct = quick(cls, early_stopping=True).fit(scaler.transform(X[:40]), X_val=scaler.transform(X[40:]))
    assert pipeline["ae"].validation_scores_ == direct.validation_scores_
    assert pipeline["ae"].validation_scores_ != pipeline.fit(X[:40], X_val=X[:5])["ae"].validation_scores_


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_clean_rows_are_split_with_the_noisy_ones(cls):
    """A search that is asked to route X_clean hands each fold its own rows."""
    estimator = quick(cls).set_fit_request(X_clean=True)
    noisy = X + np.random.RandomState(0).normal(size=X.shape)
    search = GridSearchCV(estimator, {"n_components": [1, 2]}, cv=2, error_score="raise").fit(noisy, X_clean=X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.usefixtures("routing")
def test_rows_that_nobody_asked_for_are_refused():
    pipeline = make_pipeline(StandardScaler(), quick(VAETransformer))
    with pytest.raises(ValueError, match="X_val"):
        pipeline.fit(X, X_val=X)
