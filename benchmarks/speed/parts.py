"""What does each part cost, over the standard VAE: priors, posteriors, divergences, likelihoods, importance samples?

    python -m benchmarks.speed.parts [FAMILY ...] [--repeats 5] [--quick]

Families: priors, posteriors, divergences, samples, likelihoods, pythae. The table is W2's: 20,000 x 30, a VAE
30-64-32-8-32-64-30 with ReLU, batches of 256, Adam at 1e-3; `fit` runs 5 epochs, that is 395 steps, `score_samples`
and `transform` see 5,000 rows. Each part is put in place of the standard VAE's (prior "normal", posterior "diagonal",
divergence "kl", one sample, likelihood "auto", that is Gaussian with a learned scale per column), all else being equal.
Likelihoods of other data get the same table squashed to (0, 1), rounded to counts or to four classes, or made positive.
"fit / standard" is the ratio of medians of wall time over the standard VAE, which runs with each family; what a fit
costs before its first step is part of it. One thread, contenders in turns.

*pythae*: its models of the same size, as many steps, with the squared error at a fixed scale (it has no other for
numbers), beside sklae's with `likelihood=Gaussian(1.0)`. "pythae / sklae" above 1 means that sklae is faster. pythae's
loop is its own, see `shared/pythae.py`; it runs in the side environment (`side-requirements.txt`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.shared.harness import Cost, interleave, median, one_thread, print_table, versions
from benchmarks.shared.workloads import LEARNING_RATE, WORKLOADS, Workload
from sklae import VAETransformer
from sklae.likelihoods import LIKELIHOODS, Gaussian
from sklae.posteriors import IAF
from sklae.priors import Flow, GaussianMixture, VampPrior

try:
    from benchmarks.shared import pythae
except ImportError:
    pythae = None

STANDARD = "standard VAE"

#: Family -> part -> parameters of the estimator.
FAMILIES: dict[str, dict[str, dict[str, Any]]] = {
    "priors": {
        "gaussian_mixture (10)": {"prior": "gaussian_mixture"},
        "GaussianMixture(50)": {"prior": GaussianMixture(50)},
        "vamp (50)": {"prior": "vamp"},
        "VampPrior(500)": {"prior": VampPrior(500)},
        "flow (3 affine)": {"prior": "flow"},
        "Flow(3, univariate='spline')": {"prior": Flow(3, univariate="spline")},
    },
    "posteriors": {
        "full_covariance": {"posterior": "full_covariance"},
        "iaf (2)": {"posterior": "iaf"},
        "IAF(4)": {"posterior": IAF(4)},
    },
    "divergences": {
        "tc, beta = 4": {"divergence": "tc", "beta": 4.0},
        "mmd": {"divergence": "mmd"},
        "mmd, posterior point": {"divergence": "mmd", "posterior": "point"},
        "kl, free_bits = 0.1": {"free_bits": 0.1},
        "kl, capacity = 5": {"capacity": 5.0},
        "kl, beta = LinearWarmup()": {"beta": "linear_warmup"},
    },
    "samples": {
        "n_importance_samples = 5": {"n_importance_samples": 5},
        "n_importance_samples = 50": {"n_importance_samples": 50},
    },
    "likelihoods": {name: {"likelihood": name} for name in LIKELIHOODS},
}

#: pythae's model -> its settings, and sklae's parameters for the same.
PYTHAE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "VAE": ({}, {}),
    "BetaTCVAE": ({"beta": 4.0}, {"divergence": "tc", "beta": 4.0}),
    "IWAE": ({"number_samples": 5}, {"n_importance_samples": 5}),
    "VAMP": ({"number_components": 50}, {"prior": VampPrior(50)}),
    "VAE_IAF": (
        {"n_made_blocks": 2, "n_hidden_in_made": 1, "hidden_size": 64},
        {"posterior": IAF(2, hidden_layer_sizes=(64,))},
    ),
    "WAE_MMD": ({}, {"divergence": "mmd", "posterior": "point"}),
}


def _classes(X: np.ndarray) -> np.ndarray:
    return np.digitize(X, [-0.7, 0.0, 0.7]).astype(X.dtype)


#: Likelihood -> what makes data for it of a standardised table; nothing for data on the whole line.
_SUITED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bernoulli": lambda X: 1.0 / (1.0 + np.exp(-2.0 * X)),
    "continuous_bernoulli": lambda X: 1.0 / (1.0 + np.exp(-2.0 * X)),
    "poisson": lambda X: np.round(np.exp(X + 1.0)),
    "negative_binomial": lambda X: np.round(np.exp(X + 1.0)),
    "log_normal": np.exp,
    "lognormal": np.exp,
    "categorical": _classes,
}


def estimator(workload: Workload, parameters: Mapping[str, Any]) -> VAETransformer:
    return workload.estimator(random_state=0, **parameters)


def run_family(family: str, workload: Workload, n_scored: int, repeats: int) -> None:
    """Time fits, scores and transforms in turns, and print their ratios."""
    table = workload.data()
    parts: dict[str, dict[str, Any]] = {STANDARD: {}, **FAMILIES[family]}
    fits: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, parameters in parts.items():
        X = _SUITED.get(str(parameters.get("likelihood")), np.asarray)(table).astype(np.float32)
        fitted = estimator(workload, parameters).fit(X)  # warms up, too
        fits["fit", name] = partial(lambda make, X: make().fit(X), partial(estimator, workload, parameters), X)
        if hasattr(fitted, "score_samples"):
            fits["score", name] = partial(fitted.score_samples, X[:n_scored])
        fits["transform", name] = partial(fitted.transform, X[:n_scored])
    costs = {key: median(found) for key, found in interleave(fits, repeats).items()}
    verbs = ("fit", "score", "transform")
    header = ["part", "fit s", "CPU s", "fit / standard", "score s", "/ standard", "transform s", "/ standard", ""]
    print_table(f"{family}: {workload.n_samples:,} rows", header, [_row(name, verbs, costs) for name in parts])


def _row(name: str, verbs: tuple[str, ...], costs: Mapping[tuple[str, str], Cost]) -> list[Any]:
    cells: list[Any] = [name]
    for verb in verbs:
        cost = costs.get((verb, name))
        if cost is None:  # codes without a density
            cells += [None, None]
            continue
        cells += [cost.wall, *([cost.cpu] if verb == "fit" else []), cost.wall / costs[verb, STANDARD].wall]
    return [*cells, ""]


def run_pythae(workload: Workload, repeats: int) -> None:
    """Time pythae's models and sklae's of the same kind in turns."""
    X = workload.data()
    fits: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, (settings, parameters) in PYTHAE.items():
        fits["sklae", name] = partial(_fit_sklae, workload, X, parameters)
        fits["pythae", name] = partial(_fit_pythae, workload, X, name, settings)
    for function in fits.values():
        function()  # warms up
    costs = {key: median(found) for key, found in interleave(fits, repeats).items()}
    rows = [
        [
            name,
            *(value for side in ("sklae", "pythae") for value in (costs[side, name].wall, costs[side, name].cpu)),
            (ratio := costs["pythae", name].wall / costs["sklae", name].wall),
            costs["pythae", name].cpu / costs["sklae", name].cpu,
            "LOST" if ratio < 1 else "",
        ]
        for name in PYTHAE
    ]
    header = ["pythae's name", "sklae s", "CPU s", "pythae s", "CPU s", "pythae / sklae", "CPU", ""]
    print_table(f"fit: {workload.n_samples:,} rows, {workload.n_steps:,} steps", header, rows)


def _fit_sklae(workload: Workload, X: np.ndarray, parameters: dict[str, Any]) -> None:
    estimator(workload, {"likelihood": Gaussian(1.0), **parameters}).fit(X)


def _fit_pythae(workload: Workload, X: np.ndarray, name: str, settings: dict[str, Any]) -> None:
    model = pythae.build(name, workload.n_features, workload.hidden, workload.n_components, **settings)
    pythae.train(model, X, n_epochs=workload.n_epochs, batch_size=workload.batch_size, learning_rate=LEARNING_RATE)


def main() -> None:
    families = [*FAMILIES, "pythae"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(families)}; default: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    workload = replace(WORKLOADS["W2"], name="W2V", n_epochs=5, variational=True)
    n_scored, repeats = (50, 1) if arguments.quick else (5_000, arguments.repeats)
    workload = workload.quick() if arguments.quick else workload
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "zuko", "pythae")))
    print(f"medians of {repeats} interleaved repeats, one thread; columns '/' are ratios of wall time")
    with one_thread():
        for family in arguments.families or families:
            if family != "pythae":
                run_family(family, workload, n_scored, repeats)
            elif pythae is not None:
                run_pythae(workload, repeats)
            else:
                print("\npythae is not installed: its table is left out")


if __name__ == "__main__":
    main()
