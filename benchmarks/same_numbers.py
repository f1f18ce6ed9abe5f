"""Are all numbers, bit for bit, what they were before a change of structure?

    python -m benchmarks.same_numbers record FILE.npz [-k WORD]
    python -m benchmarks.same_numbers compare FILE.npz [-k WORD]

`record` fits a small model for every part of every family, mostly for three epochs, and keeps what it learned (weights
and losses) and what every verb says. `compare` does it anew, prints a line for each configuration that differs, and
ends with exit status 1 if one does. A refusal is a result as well: its type is kept. Only public names are used, so
that files can be moved about in between. Bits are those of one machine and one set of versions: record and compare on
the same. With `-k`, only configurations with the word in their name.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.mixture import BayesianGaussianMixture
from torch import nn

from benchmarks.shared.harness import one_thread
from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer, metrics
from sklae.corruptions import CORRUPTIONS, BlockMasking, GaussianNoise, Masking
from sklae.divergences import DIVERGENCES, MMD
from sklae.likelihoods import LIKELIHOODS, Blocks, Gaussian, Histogram, Mixed, NegativeBinomial, StudentT
from sklae.networks import ACTIVATIONS, MLP, NETWORKS, NORMALIZATIONS
from sklae.penalties import PENALTIES, KLSparsity
from sklae.posteriors import IAF, POSTERIORS
from sklae.priors import PRIORS, Flow, GaussianMixture, VampPrior
from sklae.schedules import LEARNING_RATES, WEIGHTS, Cyclical, LinearWarmup

Arrays = dict[str, np.ndarray]
Verb = Callable[..., Any]

RNG = np.random.RandomState(0)
_rows = RNG.permutation(178)[:150]
WINE, CLASSES = load_wine().data[_rows, :8], load_wine().target[_rows]
GAPS = np.where(RNG.uniform(size=WINE.shape) < 0.15, np.nan, WINE)
NOISY = WINE + RNG.normal(size=WINE.shape) * 0.3 * WINE.std(axis=0)
UNIT = load_digits().data[:150, 18:30] / 16.0
CODES = RNG.randint(0, 4, size=(150, 5)).astype(float)
COUNTS = RNG.poisson(3.0, size=(150, 5)).astype(float)
LABELLED, FACTORS = np.column_stack([WINE, CLASSES]), np.column_stack([CLASSES, WINE[:, 0] > 13.0])
#: Likelihood -> rows in its support; the others take wine, all positive numbers.
SUPPORT = {"bernoulli": np.round(UNIT), "continuous_bernoulli": UNIT, "categorical": CODES, "ordinal": CODES}
SUPPORT |= {"poisson": COUNTS, "negative_binomial": COUNTS}


def _mixed_frame() -> pd.DataFrame:
    """Return numbers, integers, booleans, categories, ordered ones and text; with gaps."""
    frame = pd.DataFrame({"alcohol": WINE[:, 0], "ash": WINE[:, 2], "proline": WINE[:, 4].astype(int)})
    frame["visits"] = COUNTS[:, 0].astype(int)
    frame["sweet"] = WINE[:, 1] > 2.0
    frame["cellar"] = pd.Categorical.from_codes(np.where(CODES[:, 0] == 3, 2, CODES[:, 0]).astype(int), list("cab"))
    frame["grade"] = pd.Categorical.from_codes(CLASSES, ["low", "middle", "high"], ordered=True)
    frame["place"] = np.array(["north", "south", "east", "west"], dtype=object)[CODES[:, 1].astype(int)]
    for column in ("alcohol", "cellar", "grade", "place"):
        frame.loc[RNG.uniform(size=len(frame)) < 0.1, column] = None
    return frame


MIXED = _mixed_frame()
NUMBERS = pd.DataFrame(GAPS, columns=[f"f{i}" for i in range(GAPS.shape[1])])
BLOCKS = [("first", "gaussian", slice(0, 4)), ("second", Gaussian("per_feature"), slice(4, 8))]


def dropout_encoder(n_inputs: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_inputs, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, n_outputs))


def batch_norm_decoder(n_inputs: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_inputs, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, n_outputs))


class FifthLowest:
    def eval(self, scores: np.ndarray) -> np.ndarray:
        self.thresh_ = np.quantile(scores, 0.8)
        return (scores > self.thresh_).astype(int)


#: Asked about all rows, of the estimators that have them.
ROW_VERBS = ("transform", "reconstruct", "score_samples", "score", "encode", "posterior_kl")
ROW_VERBS += ("decision_function", "predict", "p_values")
#: "verb", or "verb what", of the estimators that have the verb -> function of model, rows, and keywords for conditions.
VERBS: dict[str, Verb] = {
    "get_feature_names_out": lambda m, X, **c: m.get_feature_names_out(),
    "transform few": lambda m, X, **c: [m.transform(X[:1]), pickle.loads(pickle.dumps(m)).transform(X[:9])],
    "inverse_transform": lambda m, X, **c: m.inverse_transform(m.transform(X[:9]), **c),
    "reconstruct given": lambda m, X, **c: m.reconstruct(X[:9], **c),
    "sample": lambda m, X, **c: m.sample(20, random_state=0, **c),
    "sample unconditional": lambda m, X, **c: m.sample(2, random_state=0),
    "interpolate": lambda m, X, **c: m.interpolate(X[:3], X[3:6], 4, **c),
    "interpolate spherical": lambda m, X, **c: m.interpolate(X[:3], X[3:6], 4, method="spherical", **c),
    "sample_posterior": lambda m, X, **c: m.sample_posterior(X[:9], 3, random_state=0),
    "posterior_log_prob": lambda m, X, **c: m.posterior_log_prob(m.transform(X[:9]), X[:5]),
    "prior_log_prob": lambda m, X, **c: m.prior_log_prob(m.transform(X[:9]), **c),
    "traverse": lambda m, X, **c: m.traverse(X[:3], 1, [-1.0, 0.0, 2.0], **c),
    "vary": lambda m, X, **c: m.vary(X[:3], 0.5, 3, random_state=0, **c),
    "posterior_kl bound": lambda m, X, **c: m.score_samples(X[:30], n_importance_samples=20),
    "posterior_kl diagnose": lambda m, X, **c: metrics.diagnose(m, X[:60], X, n_importance_samples=50, random_state=0),
    "posterior_kl active": lambda m, X, **c: [metrics.active_units(m, X), metrics.kl_per_component(m, X)],
    "posterior_kl marginal": lambda m, X, **c: metrics.marginal_kl(m, X, random_state=0),
    "posterior_kl information": lambda m, X, **c: metrics.mutual_information(m, X, random_state=0),
    "posterior_kl nll": lambda m, X, **c: metrics.negative_log_likelihood(m, X[:30], n_importance_samples=50),
    "explain": lambda m, X: [m.explain(X[:20], method=how, return_expected=True) for how in ("repair", "additive")],
    "predict learned": lambda m, X: [m.offset_, m.residual_scale_, m.left_out_, m.support_fraction_],
    "p_values used": lambda m, X: [m.predict(X, fdr=0.2), m.n_calibration_, m.min_p_value_],
    "set_threshold": lambda m, X: [m.set_threshold(contamination=share).predict(X) for share in (0.1, "auto")],
    "set_threshold score": lambda m, X: m.set_threshold(score=-2.0).predict(X),
    "set_threshold labels": lambda m, X: [m.set_threshold(X, CLASSES == 2, cost=c).offset_ for c in (None, (1.0, 5.0))],
    "set_threshold alarms": lambda m, X: m.set_threshold(X, false_alarm_rate=0.1).offset_,
    "set_threshold held_out": lambda m, X: m.set_threshold(false_alarm_rate=0.1).offset_,
}
#: Figures of real rows, of what a model makes of them, and of its codes.
FIGURES: dict[str, Verb] = {
    "marginal_distances": lambda X, made, Z: metrics.marginal_distances(X, made),
    "association_distances": lambda X, made, Z: list(metrics.association_distances(X, made).values()),
    "near_copy_share": lambda X, made, Z: metrics.near_copy_share(X[:100], made, holdout=X[100:], random_state=0),
    "density_coverage": lambda X, made, Z: metrics.density_coverage(X, made),
    "precision_recall": lambda X, made, Z: metrics.precision_recall(X, made),
    "train_on_synthetic": lambda X, made, Z: metrics.train_on_synthetic_score(made, X, "grade", random_state=0),
    "mutual_information_gap": lambda X, made, Z: metrics.mutual_information_gap(Z, FACTORS),
    "dci": lambda X, made, Z: metrics.dci(Z, FACTORS, n_estimators=10, random_state=0),
}


@dataclasses.dataclass
class Case:
    """An estimator, what it is fitted to and asked about, and how."""

    estimator: Any
    X: Any
    fit: dict[str, Any] = dataclasses.field(default_factory=dict)
    condition: Any = None
    times: int = 1
    by: str = "fit"
    figures: bool = False


SMALL = {"n_components": 3, "hidden_layer_sizes": (16, 8), "max_iter": 3, "random_state": 0}


def case(kind: type, defaults: dict[str, Any], X: Any = WINE, how: dict[str, Any] | None = None, **params: Any) -> Case:
    return Case(kind(**{**defaults, **params}), X, **(how or {}))


vae, ae = partial(case, VAETransformer, SMALL), partial(case, AutoencoderTransformer, SMALL)
detector, imputer = partial(case, AEOutlierDetector, {"random_state": 0}), partial(case, AEImputer, {"random_state": 0})
BOTH = {"vae": vae, "ae": ae}
#: What a part needs beside it.
PARTNERS: dict[str, dict[str, Any]] = {name: {"likelihood": BLOCKS} for name in ("product_of_experts", "block_masking")}
PARTNERS |= {"binarize": {"likelihood": "bernoulli", "X": UNIT}, "point": {"divergence": "mmd"}}
PARTNERS |= {"sgd": {"learning_rate_init": 1e-4}}
#: Parameter -> names it takes; of both autoencoders, and of the variational one alone.
PARTS = {"corruption": CORRUPTIONS, "penalty": PENALTIES, "network": NETWORKS, "activation": ACTIVATIONS}
PARTS |= {"learning_rate": LEARNING_RATES, "solver": ("adam", "adamw", "sgd", "rmsprop", "lbfgs")}
VARIATIONAL = {"prior": PRIORS, "posterior": POSTERIORS, "divergence": DIVERGENCES}
VARIATIONAL |= {"beta": WEIGHTS, "capacity": WEIGHTS}


def parts() -> Iterator[tuple[str, Case]]:
    """Yield every part that has a name, alone."""
    for kind, make in BOTH.items():
        for name in LIKELIHOODS:
            yield f"{kind} likelihood {name}", make(SUPPORT.get(name, WINE), likelihood=name)
        for family, names in (PARTS | (VARIATIONAL if kind == "vae" else {})).items():
            for name in names:
                if kind == "vae" and name in ("top_k", "batch_top_k"):
                    continue  # of codes that are no distributions
                yield f"{kind} {family} {name}", make(**{family: name, **PARTNERS.get(name, {})})
        for name in NORMALIZATIONS:
            yield f"{kind} normalization {name}", make(network=MLP((12,), dropout=0.1, normalization=name))


def settings() -> Iterator[tuple[str, Case]]:
    """Yield settings of parts and of autoencoders."""
    real = [Gaussian("per_feature", min_scale=0.1), Gaussian(1.0), StudentT("per_feature", "per_feature")]
    for i, part in enumerate((*real, StudentT(4.0, 1.0), Histogram(4), Blocks(BLOCKS))):
        yield f"vae likelihood {type(part).__name__} {i}", vae(likelihood=part)
    yield "vae likelihood negative_binomial shared", vae(COUNTS, likelihood=NegativeBinomial("shared"))
    fixed = GaussianMixture(3, means=np.eye(3), scales=0.5, weights=[0.5, 0.3, 0.2])
    flow = Flow(2, hidden_layer_sizes=(8,), univariate="spline")
    for i, part in enumerate((fixed, GaussianMixture(4, weights="uniform"), VampPrior(10, learned=False), flow)):
        yield f"vae prior {type(part).__name__} {i}", vae(prior=part)
    yield "vae posterior iaf one", vae(posterior=IAF(1, hidden_layer_sizes=(8,), n_context=4), prior="vamp")
    yield "vae full_covariance flow", vae(posterior="full_covariance", prior="flow")
    yield "vae point mixture mmd", vae(posterior="point", prior="gaussian_mixture", divergence=MMD(3.0))
    yield "vae tc beta", vae(divergence="tc", beta=LinearWarmup(4.0, start=1.0, n_epochs=2))
    yield "vae capacity beta cyclical", vae(capacity=5.0, beta=Cyclical(2.0, n_epochs=3, n_cycles=2))
    yield "vae free_bits", vae(free_bits=0.2)
    for name in POSTERIORS:
        yield f"vae importance {name}", vae(n_importance_samples=5, posterior=name, **PARTNERS.get(name, {}))
    yield "vae sample_from flow", vae(sample_from="flow")
    yield "vae importance vamp gaps", vae(GAPS, n_importance_samples=4, prior="vamp")
    validated = {"fit": {"X_val": GAPS[:40]}}
    for name, make in BOTH.items():
        for source in ("aggregate", BayesianGaussianMixture(random_state=0)):
            yield f"{name} sample_from {source}", make(sample_from=source)
        yield f"{name} defaults", make(how={"figures": True}, n_components=None, hidden_layer_sizes=None)
        yield f"{name} gaps", make(GAPS)
        yield f"{name} float32", make(WINE.astype(np.float32))
        yield f"{name} float32 gaps clip", make(GAPS.astype(np.float32), clip=2.0)
        yield f"{name} early_stopping", make(early_stopping=True, validation_fraction=0.2)
        yield f"{name} X_val", make(how=validated)
        yield f"{name} X_val early_stopping", make(how=validated, early_stopping=True, n_iter_no_change=1)
        yield f"{name} X_clean", make(NOISY, {"fit": {"X_clean": WINE}})
        yield f"{name} X_clean masking", make(NOISY, {"fit": {"X_clean": WINE}}, corruption=Masking(0.3))
        yield f"{name} warm_start", make(how={"times": 2}, warm_start=True)
        yield f"{name} partial_fit", make(how={"times": 3, "by": "partial_fit"})
        yield f"{name} standardize off", make(UNIT, standardize=False)
        yield f"{name} own modules", make(encoder=dropout_encoder, decoder=batch_norm_decoder)
        yield f"{name} own modules gaps", make(GAPS, encoder=dropout_encoder, decoder=batch_norm_decoder)
        yield f"{name} amsgrad batch_size", make(net_params={"optimizer__amsgrad": True}, batch_size=20)
        yield f"{name} affine", make(hidden_layer_sizes=())
        yield f"{name} codes", make(LABELLED, categorical_features=[8])
        yield f"{name} pandas output", Case(make().estimator.set_output(transform="pandas"), NUMBERS)
    yield "ae kl_sparsity noise", ae(penalty=KLSparsity(0.1, weight=0.5), corruption=GaussianNoise(0.2))
    yield "vae experts gaps", vae(GAPS, likelihood=BLOCKS, posterior="product_of_experts", corruption=BlockMasking())


def tables() -> Iterator[tuple[str, Case]]:
    """Yield conditions, and frames of all kinds of columns."""
    given = {"how": {"condition": 1}, "condition_features": [8]}
    for name, make in BOTH.items():
        yield f"{name} mixed auto", make(MIXED, {"figures": True})
        yield f"{name} mixed histogram", make(MIXED, {"figures": True}, likelihood=Mixed("histogram"))
        counts = Mixed("student_t", ordered="categorical", count_features="visits", balance=True)
        yield f"{name} mixed counts balance", make(MIXED, likelihood=counts)
        yield f"{name} mixed swap", make(MIXED, corruption="swap")
        yield f"{name} condition number", make(LABELLED, **given)
        yield f"{name} condition category", make(LABELLED, **given, categorical_features=[8])
        yield f"{name} condition mixed", make(MIXED, {"condition": "high"}, condition_features="grade")
        several = {"cellar": "a", "sweet": True}
        yield f"{name} condition several", make(MIXED, {"condition": several}, condition_features=list(several))
    for prior in (GaussianMixture(3, conditional=True), Flow(1, hidden_layer_sizes=(8,), conditional=True), "vamp"):
        name = prior if isinstance(prior, str) else type(prior).__name__
        yield f"vae condition prior {name}", vae(LABELLED, **given, categorical_features=[8], prior=prior)
    blocks = [("numbers", "student_t", ["alcohol", "ash", "proline"]), ("visits", "poisson", ["visits"])]
    blocks += [("levels", "categorical", ["sweet", "cellar", "place"]), ("grade", "ordinal", ["grade"])]
    yield "vae mixed blocks experts", vae(MIXED, likelihood=blocks, posterior="product_of_experts")
    yield "vae mixed importance", vae(MIXED, n_importance_samples=5)


def applications() -> Iterator[tuple[str, Case]]:
    """Yield detectors and imputers."""
    plain = ae().estimator
    for score in ("combined", "reconstruction", "neighbors", "elbo", ["elbo", "neighbors"]):
        for name, X in (("numbers", WINE), ("mixed", MIXED)):
            yield f"detector {name} {score}", detector(X, anomaly_score=score)
    for name, make in {**BOTH, "iaf": partial(vae, posterior="iaf")}.items():
        yield f"detector ensemble {name}", detector(autoencoder=make(random_state=None).estimator, n_estimators=3)
    for name, params in {
        "ensemble": {"n_estimators": 3},
        "ensemble elbo gaps": {"X": GAPS, "n_estimators": 2, "anomaly_score": ["elbo", "reconstruction"]},
        "ensemble mixed": {"X": MIXED, "n_estimators": 3},
        "support": {"autoencoder": plain, "support_fraction": 0.8},
        "support all": {"autoencoder": plain, "support_fraction": 1.0},
        "max_samples number": {"max_samples": 60},
        "max_samples share": {"max_samples": 0.5},
        "contamination": {"autoencoder": plain, "contamination": 0.1},
        "thresholder": {"autoencoder": plain, "contamination": FifthLowest()},
        "held out gaps": {"X": GAPS, "validation_fraction": 0.3},
        "held out mixed": {"X": MIXED, "validation_fraction": 0.3},
        "X_val": {"how": {"fit": {"X_val": NOISY}}},
        "condition": {"X": MIXED, "autoencoder": vae(condition_features="grade").estimator},
    }.items():
        yield f"detector {name}", detector(**params)
    yield "imputer numbers", imputer(GAPS)
    yield "imputer frame draws", imputer(NUMBERS, n_imputations=3)
    yield "imputer mixed", imputer(MIXED)
    yield "imputer mixed draws", imputer(MIXED, n_imputations=2, add_indicator=True)
    empty, marked = np.column_stack([GAPS, np.full(150, np.nan)]), np.nan_to_num(GAPS, nan=-1.0)
    yield "imputer empty", imputer(empty, keep_empty_features=True, autoencoder=plain)
    yield "imputer marker", imputer(marked, missing_values=-1.0, add_indicator=True, autoencoder=plain)
    for start in (True, False):
        for data, X in (("numbers", GAPS), ("mixed", MIXED)):
            own = partial(imputer, X, linear_start=start, n_importance_samples=50)
            yield f"imputer vae {data} {start}", own(autoencoder=vae().estimator)
            yield f"imputer vae draws {data} {start}", own(autoencoder=vae().estimator, sample_posterior=True)
            yield f"imputer ae {data} {start}", own(autoencoder=ae(corruption="masking").estimator)


CONFIGURATIONS: dict[str, Case] = dict(chain(parts(), settings(), tables(), applications()))


def flat(name: str, value: Any) -> Arrays:
    """Return whatever a verb returns as arrays without objects, by name."""
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, pd.DataFrame):
        value = {f"{column}:{value[column].dtype}": value[column].to_numpy() for column in value}
    if isinstance(value, Mapping):
        return {key: array for k, part in value.items() for key, array in flat(f"{name}.{k}", part).items()}
    if isinstance(value, (list, tuple)):
        return {key: array for i, part in enumerate(value) for key, array in flat(f"{name}.{i}", part).items()}
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return {name: array.astype(str) if array.dtype == object else array}


def tell(name: str, verb: Verb, *arguments: Any, **keywords: Any) -> Arrays:
    """Return what a verb says, or the type of its refusal."""
    try:
        return flat(name, verb(*arguments, **keywords))
    except Exception as error:
        return {name: np.asarray(f"refused: {type(error).__name__}")}


def learned(model: Any) -> Any:
    """Return weights and losses."""
    if not hasattr(model, "net_"):
        return [learned(member) for member in model.estimators_]
    history = [{k: v for k, v in row.items() if k.startswith(("train_", "valid_"))} for row in model.net_.history]
    return {"weights": dict(model.net_.module_.state_dict()), "losses": history}


def fit(case: Case) -> Any:
    for _ in range(case.times):
        getattr(case.estimator, case.by)(case.X, **case.fit)
    return learned(case.estimator)


def record(case: Case) -> Arrays:
    """Fit, and ask everything."""
    torch.manual_seed(0)
    model, found = case.estimator, tell("learned", fit, case)
    if "learned" in found:  # a refusal
        return found
    given = {} if case.condition is None else {"condition": case.condition}
    for name in ROW_VERBS:
        if hasattr(type(model), name):
            found |= tell(name, lambda name=name: getattr(model, name)(case.X))
    for name, verb in VERBS.items():
        if hasattr(type(model), name.split()[0]):
            found |= tell(name, verb, model, case.X, **given)
    if hasattr(model, "account_"):
        found |= tell("account", lambda: [model.account_, model.account_.kept, model.account_.gain])
    for name, figure in FIGURES.items() if case.figures else ():
        found |= tell(name, figure, case.X, model.reconstruct(case.X), model.transform(case.X))
    return found


def difference(old: np.ndarray | None, new: np.ndarray | None) -> str:
    """Return how two arrays differ, "" if in no bit."""
    if old is None or new is None:
        return "new" if old is None else "gone"
    if old.dtype != new.dtype or old.shape != new.shape:
        return f"{old.dtype}{old.shape} -> {new.dtype}{new.shape}"
    if old.tobytes() == new.tobytes():
        return ""
    return f"{np.nanmax(np.abs(old.astype(float) - new)):.3g}" if old.dtype.kind in "fiu" else "values differ"


def compare(old: Arrays, new: Arrays) -> bool:
    """Print what differs, a line a configuration; return whether nothing does."""
    apart: dict[str, list[str]] = {}
    for key in {**old, **new}:
        if how := difference(old.get(key), new.get(key)):
            name, array = key.split("|", 1)
            apart.setdefault(name, []).append(f"{array} ({how})")
    for name, arrays in apart.items():
        print(f"{name}: {len(arrays)} differ: {', '.join(arrays)}")
    return not apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("file", metavar="FILE.npz")
    parser.add_argument("-k", dest="word", default="", help="only configurations with this word in their name")
    arguments = parser.parse_args()
    start = time.perf_counter()
    cases = {name: case for name, case in CONFIGURATIONS.items() if arguments.word in name}
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {f"{name}|{key}": array for name, case in cases.items() for key, array in record(case).items()}
    count = f"{len(cases)} configurations, {len(found)} arrays"
    if arguments.action == "record":
        np.savez_compressed(arguments.file, **found)
        print(f"{count}: recorded in {time.perf_counter() - start:.0f} s")
        return
    with np.load(arguments.file) as file:
        before = {key: file[key] for key in file.files if arguments.word in key.split("|")[0]}
    if not compare(before, found):
        sys.exit(1)
    print(f"{count}: all equal")


if __name__ == "__main__":
    main()
