"""Does a bare grid search over priors and beta choose a model that holds on rows it never saw?

    python -m benchmarks.generative.search_priors [TABLE ...] [--rows 3000] [--quick]

    GridSearchCV(VAETransformer(), {"prior": ["normal", "gaussian_mixture", "vamp", "flow"], "beta": [0.5, 1.0, 2.0]})

as a person writes it, but for `random_state=0` and 3 folds, on two thirds of each table (numeric columns; a random
3,000 rows of those that are longer): white wine, California housing, letter recognition, adult. The last third is
scored by the best model and by the default one, with `score_samples` (the bound, what the search selects by) and with
500 importance samples (the log-likelihood, nearly). Differences are paired by row, with standard errors over rows.

The peers are scikit-learn's densities on the same rows, standardised, in the same units: `FactorAnalysis` with as many
components as the default model, and `GaussianMixture` with full covariances, of the size that BIC prefers among 1, 2,
5, 10, 20 and 40. They may win. Tables of whole numbers (letter, adult) have no density in the strict sense: there a
high figure says that a model put narrow peaks at the numbers, which is what the mixture is free to do.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.shared.data import Split, table
from benchmarks.shared.harness import measure, one_thread, print_table, versions
from sklae import VAETransformer

TABLES = ("wine_quality_white", "california_housing", "letter_recognition", "adult")
GRID = {"prior": ["normal", "gaussian_mixture", "vamp", "flow"], "beta": [0.5, 1.0, 2.0]}
_MIXED = (1, 2, 5, 10, 20, 40)


class Scores(NamedTuple):
    """Of the held-out rows: the bound and the log-likelihood."""

    bound: np.ndarray
    log_likelihood: np.ndarray


def search(data: Split, parameters: dict[str, Any]) -> GridSearchCV:
    return GridSearchCV(VAETransformer(random_state=0, **parameters), GRID, cv=3, error_score="raise").fit(data.X_train)


def judge(vae: VAETransformer, X: np.ndarray) -> Scores:
    return Scores(vae.score_samples(X), vae.score_samples(X, n_importance_samples=500))


def peers(data: Split, n_components: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield scikit-learn's densities: name, log-density of each held-out row in the units of the table."""
    log_scales = np.log(StandardScaler().fit(data.X_train).scale_).sum()
    analysis = make_pipeline(StandardScaler(), FactorAnalysis(n_components, random_state=0)).fit(data.X_train)
    yield "FactorAnalysis", analysis.score_samples(data.X_test) - log_scales
    scaled = StandardScaler().fit(data.X_train)
    X = scaled.transform(data.X_train)
    mixtures = [GaussianMixture(size, random_state=0).fit(X) for size in _MIXED if 10 * size <= len(X)]
    best = min(mixtures, key=lambda mixture: mixture.bic(X))
    yield f"GaussianMixture({best.n_components})", best.score_samples(scaled.transform(data.X_test)) - log_scales


def run(name: str, n_rows: int, parameters: dict[str, Any]) -> list[Any]:
    """Search on one table, print the grid and the held-out scores; return the row of the summary."""
    data = table(name, n_rows)
    found: list[GridSearchCV] = []
    cost = measure(lambda: found.append(search(data, parameters)))
    grid = found[0]
    default = VAETransformer(random_state=0, **parameters).fit(data.X_train)
    print_grid(name, data, grid)
    best, plain = judge(grid.best_estimator_, data.X_test), judge(default, data.X_test)
    rivals = dict(peers(data, default.n_components_))
    chosen = f"{grid.best_params_['prior']}, beta = {grid.best_params_['beta']:g}"
    gains = [_difference(a, b) for a, b in zip(best, plain, strict=True)]
    rival = max(rivals, key=lambda key: rivals[key].mean())
    lead = _difference(best.log_likelihood, rivals[rival])
    header = ["held-out rows", "bound", "log-likelihood", "best - this", "± SE", ""]
    rows: list[list[Any]] = [
        [f"best ({chosen})", _mean(best.bound), _mean(best.log_likelihood), None, None, ""],
        ["default (normal, beta = 1)", _mean(plain.bound), _mean(plain.log_likelihood), *gains[1], ""],
        *([key, None, _mean(scores), *_difference(best.log_likelihood, scores), ""] for key, scores in rivals.items()),
    ]
    print_table(f"{name}: {len(data.X_test):,} held-out rows, nats per row", header, rows)
    return [name, chosen, *gains[0], *gains[1], _verdict(*gains[1], "default"), *lead, cost.cpu, _verdict(*lead, rival)]


def print_grid(name: str, data: Split, grid: GridSearchCV) -> None:
    results = grid.cv_results_
    by_place = {
        (p["prior"], p["beta"]): (mean, time)
        for p, mean, time in zip(results["params"], results["mean_test_score"], results["mean_fit_time"], strict=True)
    }
    rows = [
        [
            prior,
            *(float(by_place[prior, beta][0]) for beta in GRID["beta"]),
            float(np.mean([by_place[prior, beta][1] for beta in GRID["beta"]])),
            "",
        ]
        for prior in GRID["prior"]
    ]
    n_rows, n_columns = data.X_train.shape
    title = f"{name}: {n_rows:,} rows of {n_columns} columns, mean score in 3 folds (bound, nats per row)"
    print_table(title, ["prior", *(f"beta = {beta:g}" for beta in GRID["beta"]), "fit s", ""], rows)


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    return float((a - b).mean()), float((a - b).std(ddof=1) / np.sqrt(len(a)))


def _verdict(difference: float, error: float, rival: str) -> str:
    if difference == 0.0:
        return f"the search chose the {rival}"
    if abs(difference) < 2.0 * error:
        return f"no better than {rival}"
    return f"better than {rival}" if difference > 0 else f"LOST to {rival}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; default: all")
    parser.add_argument("--rows", type=int, default=3_000, help="most rows of a table, both parts together")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # FactorAnalysis, at its default number of iterations
    warnings.filterwarnings("ignore", message="Maximum iterations")
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "zuko")))
    n_rows, parameters = (300, {"max_iter": 2}) if arguments.quick else (arguments.rows, {})
    with one_thread():
        summary = [run(name, n_rows, parameters) for name in arguments.tables or TABLES]
    header = [
        "table",
        "chosen",
        "bound gain",
        "± SE",
        "log-lik. gain",
        "± SE",
        "verdict",
        "lead",
        "± SE",
        "search CPU s",
        "peer",
    ]
    print_table("best of the search over the default, and over the better peer; nats per held-out row", header, summary)


if __name__ == "__main__":
    main()
