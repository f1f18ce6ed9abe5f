"""scikit-learn's own checks, all of them, on the estimators and on instances with every listed part."""

import inspect
import warnings
from functools import partial
from unittest import SkipTest

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator
from support import ESTIMATORS, LISTED, OWN, QUICK, TRANSFORMERS, estimator_for
from toys import hurry

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._training.optimizers import SOLVERS
from sklae.critics import DataCritic
from sklae.schedules import LEARNING_RATES

# Checks that scikit-learn defines, does not yield for these estimators, and that apply to them.
FURTHER = (
    "check_dataframe_column_names_consistency",
    "check_estimators_partial_fit_n_features",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    # yielded for detectors or transformers only; here for all
    "check_non_transformer_estimators_n_iter",
    "check_transformer_n_iter",
    "check_readonly_memmap_input",
)

# Checks that don't apply, by the reason.
NOT_APPLICABLE = {
    "no check by itself: called by others, or the driver": {
        "check_estimator",
        "check_estimators_data_not_an_array",  # run by check_classifier_data_not_an_array
        "check_outlier_corruption",  # run by check_outliers_train
    },
    "sparse matrices are refused": {"check_sample_weight_equivalence_on_sparse_data"},
    "no classifier": {
        "check_class_weight_balanced_classifiers",
        "check_class_weight_balanced_linear_classifier",
        "check_class_weight_classifiers",
        "check_classifier_multioutput",
        "check_classifier_not_supporting_multiclass",
        "check_classifiers_classes",
        "check_classifiers_multilabel_output_format_decision_function",
        "check_classifiers_multilabel_output_format_predict",
        "check_classifiers_multilabel_output_format_predict_proba",
        "check_classifiers_multilabel_representation_invariance",
        "check_classifiers_one_label",
        "check_classifiers_one_label_sample_weights",
        "check_classifiers_predictions",
        "check_classifiers_regression_target",
        "check_classifiers_train",
        "check_decision_proba_consistency",
        "check_sparsify_coefficients",
    },
    "no regressor": {
        "check_regressor_data_not_an_array",
        "check_regressor_multioutput",
        "check_regressors_int",
        "check_regressors_no_decision_function",
        "check_regressors_train",
    },
    "no clusterer": {"check_clusterer_compute_labels_predict", "check_clustering"},
    "y is ignored": {"check_requires_y_none", "check_supervised_y_2d", "check_supervised_y_no_nan"},
    "NaN is accepted": {"check_estimators_nan_inf"},
    "negative values are accepted": {"check_fit_non_negative"},
    "rows are no pairwise distances": {"check_nonsquare_error"},
    "fit is required": {"check_transformers_unfitted_stateless"},
    "array API inputs are not declared; recent versions of scikit-learn yield the first one for NumPy's": {
        "check_array_api_input",
        "check_array_api_input_and_values",
        "check_array_api_mixed_inputs",
        "check_array_api_same_namespace",
    },
}

# Checks that may fail, by estimator and reason: what users pass on as `expected_failed_checks`. The others pass all.
_EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"
EXPECTED_FAILURES = {
    "VAETransformer": {_EQUIVALENCE: "repeated rows make other batches and draws: of the same loss another path down"},
    "AEOutlierDetector": {_EQUIVALENCE: "it sets cv to a list of splits, and the detector takes a number of folds"},
}

# Instances for the checks one by one: what users meet first.
DEFAULTS = {cls.__name__: cls() for cls in (*ESTIMATORS, AEImputer)}


# What a part needs beside it.
BLOCKS = [("first", "gaussian", slice(0, 1)), ("rest", "gaussian", slice(1, None))]
NEEDS = {
    "point": {"divergence": "mmd"},
    "product_of_experts": {"likelihood": BLOCKS},
    "block_masking": {"likelihood": BLOCKS},
    "tc": {"beta": 4.0},
}

# Parameters of a variational autoencoder that are no parts.
VARIATIONAL = [
    ("capacity", "linear_warmup", "linear_warmup"),
    ("free_bits", "some", 0.1),
    ("n_importance_samples", "3", 3),
    ("sample_from", "aggregate", "aggregate"),
    ("critic", "data", DataCritic((8,), n_outputs=4)),
]


# Modes of the detector, around a variational autoencoder and with few folds.
DETECTORS = {
    "folds": {"cv": "auto"},
    "reconstruction": {"anomaly_score": "reconstruction"},
    "neighbors": {"anomaly_score": "neighbors"},
    "elbo": {"anomaly_score": "elbo"},
    "joined": {"anomaly_score": ["elbo", "neighbors", "reconstruction"]},
    "all trusted": {"support_fraction": 1.0},
    "some trusted": {"support_fraction": 0.75},
    "three autoencoders": {"n_estimators": 3},
    "few rows": {"max_samples": 0.5},
    "held-out rows": {"validation_fraction": 0.25},
    "share of outliers": {"contamination": 0.1},
}

# Modes of the imputer.
IMPUTERS = {
    "vae": {},
    "vae without a start": {"linear_start": False},
    "plain": {"autoencoder": AutoencoderTransformer(corruption="masking", **QUICK)},
    "plain without a start": {"autoencoder": AutoencoderTransformer(**QUICK), "linear_start": False},
    "draws": {"sample_posterior": True},
    "draws without a start": {"sample_posterior": True, "linear_start": False},
    "default without a start": {"autoencoder": None, "linear_start": False, "random_state": 0},
    "indicator": {"add_indicator": True},
    "empty columns": {"keep_empty_features": True},
    "indicator, empty columns": {"add_indicator": True, "keep_empty_features": True},
}


def _with_parts():
    """Return an instance with each listed part (and each part of one's own), by its name."""
    found = {}
    for cls in TRANSFORMERS:
        settings = [
            (kind, name, part)
            for kinds in (LISTED, OWN)
            for kind in kinds
            if kind in cls._parameter_constraints
            for name, part in kinds[kind].items()
            if name != "binarize"  # of rows in [0, 1]: test_corruptions
            if cls is AutoencoderTransformer or not name.endswith("top_k")  # refused: test_penalties
        ]
        settings += [("solver", name, name) for name in SOLVERS if name != "lbfgs" or cls is AutoencoderTransformer]
        settings += [("learning_rate", name, name) for name in LEARNING_RATES]
        settings += [("early_stopping", "true", True)]
        settings += VARIATIONAL if cls is VAETransformer else [("sample_from", "aggregate", "aggregate")]
        for parameter, name, value in settings:
            params = {**QUICK, parameter: value, **NEEDS.get(name, {})}
            if parameter == "network":
                del params["hidden_layer_sizes"]
            if value == "lbfgs":
                params["net_params"] = {"optimizer__max_iter": 4}  # of 20 evaluations or more a step
            found[f"{cls.__name__}-{parameter}-{name}"] = estimator_for(cls, value)(**params)
        found[f"AEOutlierDetector-{cls.__name__}"] = AEOutlierDetector(cls(**QUICK))
        found[f"AEOutlierDetector-{cls.__name__}-cosine"] = AEOutlierDetector(
            cls(**{**QUICK, "learning_rate": "cosine"})
        )
    for name, params in DETECTORS.items():
        found[f"AEOutlierDetector-{name}"] = AEOutlierDetector(VAETransformer(**QUICK), **{"cv": 2, **params})
    for name, params in IMPUTERS.items():
        found[f"AEImputer-{name}"] = AEImputer(**{"autoencoder": VAETransformer(**QUICK), **params})
    return found


WITH_PARTS = _with_parts()
# Of each kind of part one; the others with `-m slow`.
KINDS = {tuple(name.split("-")[:2]): name for name in reversed(WITH_PARTS)}
# Modes of the detector that differ little from those that are always checked.
SLOW = {
    *(f"AEOutlierDetector-{name}" for name in DETECTORS if name != "neighbors"),
    *(f"AEOutlierDetector-{cls.__name__}{rate}" for cls in TRANSFORMERS for rate in ("", "-cosine")),
    *(f"AEImputer-{name}" for name in IMPUTERS if name != "vae"),
}
# Of these the autoencoder's are not, since what reads them is the same; or the first is the default.
SLOW_OF_VAES = (
    *("network", "likelihood", "corruption", "penalty", "solver", "learning_rate", "early_stopping"),
    *("prior", "posterior", "divergence", "beta", "capacity", "free_bits", "n_importance_samples"),
)


def _is_slow(name):
    if name.startswith(("AEOutlierDetector", "AEImputer")):
        return name in SLOW
    return name not in KINDS.values() or name.startswith(tuple(f"VAETransformer-{kind}-" for kind in SLOW_OF_VAES))


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    hurry(monkeypatch)


def _name(check):
    while isinstance(check, partial):
        check = check.func
    return check.__name__


def _run(check, estimator):
    """Run a check; one that skips itself has not been passed."""
    with warnings.catch_warnings():
        # the set_output checks pass arrays to what they fitted on frames
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names", UserWarning)
        try:
            check(estimator)
        except SkipTest as skip:
            pytest.fail(f"{_name(check)} was skipped: {skip}")


def _yielded():
    for name, estimator in DEFAULTS.items():
        seen = {}
        for instance, check in estimator_checks_generator(estimator):
            seen[_name(check)] = number = seen.get(_name(check), 0) + 1
            reason = EXPECTED_FAILURES.get(name, {}).get(_name(check))
            marks = [pytest.mark.xfail(reason=reason, strict=False)] if reason else []
            yield pytest.param(instance, check, id=f"{name}-{_name(check)}-{number}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(_yielded()))
def test_check_of_default_instance(estimator, check):
    _run(check, estimator)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if _is_slow(name) else []) for name in WITH_PARTS]
)
def test_all_checks_with_part(name):
    failed = {}
    for estimator, check in estimator_checks_generator(WITH_PARTS[name]):
        if _name(check).startswith("check_sample_weight"):  # weights are read in one place, whatever the part
            continue
        try:
            _run(check, estimator)
        except (Exception, pytest.fail.Exception) as error:
            failed[_name(check)] = error
    if failed:
        raise AssertionError(f"{name} fails {sorted(failed)}") from next(iter(failed.values()))


QUICK_INSTANCES = {
    **{cls.__name__: cls(**QUICK) for cls in TRANSFORMERS},
    "AEOutlierDetector": AEOutlierDetector(AutoencoderTransformer(**QUICK), cv=2),
    "AEOutlierDetector-VAE": AEOutlierDetector(VAETransformer(**QUICK), cv=2),
    "AEImputer": AEImputer(VAETransformer(**QUICK)),
    "AEImputer-plain": AEImputer(AutoencoderTransformer(**QUICK), linear_start=False),
    "AEImputer-indicator": AEImputer(VAETransformer(**QUICK), add_indicator=True, keep_empty_features=True),
}


@pytest.mark.parametrize("name", [name for name in FURTHER if hasattr(estimator_checks, name)])
@pytest.mark.parametrize(
    "estimator",
    [pytest.param(name, marks=[pytest.mark.slow] if "-" in name else []) for name in QUICK_INSTANCES],
)
def test_check_that_is_not_yielded(estimator, name):
    check = partial(getattr(estimator_checks, name), estimator.partition("-")[0])
    _run(check, clone(QUICK_INSTANCES[estimator]))


def test_no_check_is_forgotten():
    """Every check of the installed scikit-learn is yielded, run here, or known not to apply."""
    defined = {
        name
        for name, function in vars(estimator_checks).items()
        if name.startswith("check_")
        and inspect.isfunction(function)
        and function.__module__ == estimator_checks.__name__
    }
    yielded = {_name(check) for estimator in DEFAULTS.values() for _, check in estimator_checks_generator(estimator)}
    excused = set().union(*NOT_APPLICABLE.values())
    assert defined - yielded - set(FURTHER) - excused == set()
    assert excused & (yielded | set(FURTHER)) <= {"check_array_api_input"}
