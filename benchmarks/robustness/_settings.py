"""Random settings of the four estimators, among the documented ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.robustness._tables import Spec, pick
from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.corruptions import CORRUPTIONS
from sklae.divergences import KL
from sklae.likelihoods import LIKELIHOODS, Gaussian, Mixed, StudentT
from sklae.networks import ACTIVATIONS, GRU, MADE, MLP, Conv, PixelCNN, Transformer
from sklae.penalties import BatchTopK, TopK
from sklae.priors import Flow, GaussianMixture, VampPrior
from sklae.schedules import Cyclical, LinearWarmup

__all__ = ["draw_estimator"]

Params = dict[str, Any]


def draw_estimator(rng: np.random.Generator, spec: Spec) -> Any:
    """Return an estimator that a table of this shape takes a moment to fit, most of the time one that suits it."""
    make = pick(rng, (_autoencoder, _vae, _vae, _detector, _imputer))
    return make(rng, spec)


def _maybe(rng: np.random.Generator, params: Params, chance: float, **values: Any) -> None:
    """Set parameters now and then: a tuple is of choices."""
    for name, value in values.items():
        if rng.random() < chance:
            params[name] = pick(rng, value) if isinstance(value, tuple) else value


def _shared(rng: np.random.Generator, spec: Spec) -> Params:
    n_columns = len(spec.columns)
    params: Params = {
        "n_components": pick(rng, (1, 2, 2, 3, None, 7)),
        "hidden_layer_sizes": pick(rng, ((8,), (8,), (), None, 4)),
        "max_iter": pick(rng, (1, 2, 3)),
        "random_state": int(rng.integers(100)),
    }
    _maybe(rng, params, 0.3, likelihood=_likelihoods(rng, spec))
    _maybe(
        rng,
        params,
        0.1,
        activation=tuple(ACTIVATIONS),
        corruption=tuple(CORRUPTIONS),
        standardize=("global", True, False),
        clip=(3.0, 1.0, 1e-3),
        solver=("adamw", "sgd", "rmsprop", "lbfgs"),
        learning_rate=("constant", "adaptive", "cosine", "one_cycle"),
        learning_rate_init=(1e-5, 0.1, 1e6),
        weight_decay=(0.1,),
        batch_size=(1, 2, 7, 1000),
        n_iter_no_change=(1, np.inf),
        early_stopping=(True, False),
        validation_fraction=(0.5, 0.01, 0.99),
        warm_start=True,
        tol=(0.0, 10.0),
    )
    if rng.random() < 0.15:
        params["network"] = pick(rng, _networks(n_columns))
        del params["hidden_layer_sizes"]
    if n_columns > 1 and rng.random() < 0.12:
        params["condition_features"] = _some_columns(rng, spec)
    if rng.random() < 0.1:
        params["categorical_features"] = _some_columns(rng, spec)
    return params


def _likelihoods(rng: np.random.Generator, spec: Spec) -> tuple[Any, ...]:
    known = spec.numbers()
    known = known[np.isfinite(known)]
    suitable: list[Any] = ["auto", Mixed("histogram"), Mixed("student_t"), Mixed("laplace"), Mixed(balance=True)]
    if all(column.kind in ("number", "integer") for column in spec.columns) and len(known):
        suitable += ["gaussian", "student_t", "laplace", "histogram", Gaussian("per_row"), StudentT(scale="per_row")]
        if (known > 0).all():
            suitable += ["log_normal"]
        if (known >= 0).all() and (known <= 1).all():
            suitable += ["bernoulli", "continuous_bernoulli"] * 2
        if (known >= 0).all() and (known == np.round(known)).all():
            suitable += ["poisson", "negative_binomial", "categorical", "ordinal"]
    return (*(suitable * 4), *LIKELIHOODS)


def _networks(n_columns: int) -> tuple[Any, ...]:
    shape = (n_columns, 1)
    return (
        MLP((6,), dropout=0.2, normalization="batch"),
        MLP((6,), normalization="layer", linear_path=False),
        "made",
        MADE((8,)),
        GRU(shape, 4),
        Transformer(shape, d_model=8, nhead=2, num_layers=1, dim_feedforward=8),
        Conv(shape, (4,)),
        PixelCNN(shape, 4, n_layers=1, hidden_layer_sizes=(8,)),
    )


def _some_columns(rng: np.random.Generator, spec: Spec) -> list[Any]:
    n_columns = len(spec.columns)
    chosen = np.sort(rng.permutation(n_columns)[: int(rng.integers(1, max(2, min(3, n_columns))))]).tolist()
    names = [spec.columns[i].name for i in chosen]
    if spec.is_frame and all(isinstance(name, str) for name in names) and rng.random() < 0.7:
        return names
    return chosen


def _autoencoder(rng: np.random.Generator, spec: Spec) -> Any:
    params = _shared(rng, spec)
    _maybe(rng, params, 0.2, penalty=("l1", "kl_sparsity", "contractive", "neighbors", TopK(1), BatchTopK(1), "top_k"))
    _maybe(rng, params, 0.25, sample_from=("aggregate", "aggregate", "flow"))
    return AutoencoderTransformer(**params)


def _vae(rng: np.random.Generator, spec: Spec) -> Any:
    params = _shared(rng, spec)
    _maybe(
        rng,
        params,
        0.15,
        prior=(
            "normal",
            "gaussian_mixture",
            "vamp",
            "flow",
            GaussianMixture("auto", covariance_type="full"),
            VampPrior(3),
            Flow(2, hidden_layer_sizes=(8,)),
            Flow(1, hidden_layer_sizes=(8,), conditional=True),
            GaussianMixture(3, conditional=True),
        ),
        posterior=("full_covariance", "iaf", "point"),
        penalty=("l1", "kl_sparsity", "contractive", "neighbors"),
        sample_from=("aggregate", "flow"),
    )
    _maybe(
        rng,
        params,
        0.07,
        divergence=("tc", "mmd", "adversarial", KL(0.1)),
        beta=(0.0, 4.0, LinearWarmup(n_epochs=2), Cyclical(n_epochs=2), "linear_warmup"),
        capacity=(5.0,),
        free_bits=(0.1,),
        critic=("data",),
        n_importance_samples=(5,),
    )
    if params.get("posterior") == "point" and rng.random() < 0.8:
        params["divergence"] = pick(rng, ("mmd", "adversarial"))
    if len(spec.columns) > 1 and rng.random() < 0.04:
        params["likelihood"], params["posterior"] = _blocks(spec), "product_of_experts"
    return VAETransformer(**params)


def _blocks(spec: Spec) -> list[Any]:
    half = len(spec.columns) // 2
    every = list(range(len(spec.columns)))
    return [("first", Mixed(), every[:half]), ("second", Mixed(), every[half:])]


def _detector(rng: np.random.Generator, spec: Spec) -> Any:
    params: Params = {"random_state": int(rng.integers(100))}
    if rng.random() < 0.7:
        params["autoencoder"] = pick(rng, (_autoencoder, _vae))(rng, spec)
    evidence = ("neighbors", "mixture", "robust_covariance", "columns", "reconstruction", "elbo")
    _maybe(
        rng,
        params,
        0.3,
        anomaly_score=("combined", *evidence, ["neighbors", "columns"], ["mixture", "reconstruction", "elbo"]),
    )
    _maybe(
        rng,
        params,
        0.2,
        n_estimators=(2, 3),
        support_fraction=(0.6, 1.0, 0.9),
        cv=(None, 2, 3, 50),
        max_samples=(2, 10, 0.5, 1000),
        contamination=(0.1, 0.5, 1e-3),
        validation_fraction=(0.3, 0.9),
    )
    return AEOutlierDetector(**params)


def _imputer(rng: np.random.Generator, spec: Spec) -> Any:
    params: Params = {"random_state": int(rng.integers(100))}
    is_small = spec.n_rows <= 20 and len(spec.columns) <= 4
    if rng.random() < 0.3:
        params["autoencoder"] = "vae" if is_small else pick(rng, (_autoencoder, _vae))(rng, spec)
    _maybe(
        rng,
        params,
        0.2,
        missing_values=(-1, 0, "nan", "", 5, 3.25, None),
        n_imputations=(2, 3),
        sample_posterior=True,
        n_importance_samples=(1, 16),
        min_value=(-1.0, 0.0, 1e9),
        max_value=(0.5, 100.0),
        add_indicator=True,
        keep_empty_features=True,
        categorical_features=[0],
    )
    if "autoencoder" in params:
        _maybe(rng, params, 0.3, linear_start=False)
    return AEImputer(**params)
