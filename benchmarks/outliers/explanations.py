"""Does an explanation name the cell that is wrong? One error is planted in each of some rows of six tables.

    python -m benchmarks.outliers.explanations [--rows 200] [--shap-rows 100] [--seeds 1] [--quick]

Six tables of numbers, at most 4,000 rows each: the default detector is fitted to 70 % of the rows. Of the others, up to
200 get one bad cell each:

- *shift*: a random column, moved up or down by 4 of its standard deviations.
- *swap*: a value that is usual in its column and contradicts the row's others. The column has a partner with a
  correlation beyond .5 (a table without one is left out). It gets its quantile at the mirror image 1 - q of the
  partner's place q (at q itself where the correlation is negative), at least .375 away from the median, between 2 % and
  98 %.

Printed is the share of the rows in which `explain` ranks the planted column first, for both methods; the goals for
`method="repair"` are .90 for shifts and .60 for swaps. *random* is what a guess reaches. `explain` promises that the
columns' contributions add up to `-score_samples`: the largest error of that sum over all rows, absolute and relative.

The peer is SHAP's `KernelExplainer` of `-score_samples`, 50 training rows as background, default settings, on 100 rows
(half shifts, half swaps) of two tables: who ranks the planted column first, how far both agree (Spearman's rank
correlation over columns, mean over rows; share of rows with the same first column), and seconds a row, CPU, one thread.
SHAP lives in a side environment (`side-requirements.txt`); without it that part is left out.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from benchmarks.shared.data import numbers
from benchmarks.shared.harness import one_thread, print_table, versions
from sklae import AEOutlierDetector

try:
    import shap
except ImportError:
    shap = None

BREAST_CANCER = "breast_cancer"
TABLES = (
    BREAST_CANCER,
    "wine_quality_white",
    "concrete",
    "california_housing",
    "letter_recognition",
    "air_quality",
)
SHAP_TABLES = (BREAST_CANCER, "concrete")
METHODS = ("repair", "additive")
GOALS = {"shift": 0.9, "swap": 0.6}
MAX_ROWS = 4_000
#: Least correlation of a partner; least distance from the median, and most, of a swapped value's place.
PARTNER, NEAREST, FARTHEST = 0.5, 0.375, 0.48


class Planted(NamedTuple):
    """Rows with one bad cell each, and in which column it is."""

    rows: np.ndarray
    columns: np.ndarray


class Found(NamedTuple):
    """What an explanation made of planted rows."""

    contributions: np.ndarray
    seconds_per_row: float


# -- planting: training rows, rows to spoil, generator -> rows with one bad cell each --------------------


def shift(X_train: np.ndarray, X: np.ndarray, rng: np.random.RandomState) -> Planted:
    columns = rng.randint(X.shape[1], size=len(X))
    rows = X.copy()
    rows[np.arange(len(X)), columns] += 4 * X_train.std(axis=0)[columns] * rng.choice([-1, 1], size=len(X))
    return Planted(rows, columns)


def swap(X_train: np.ndarray, X: np.ndarray, rng: np.random.RandomState) -> Planted | None:
    correlation = np.nan_to_num(np.corrcoef(X_train.T))
    np.fill_diagonal(correlation, 0.0)
    partner = np.abs(correlation).argmax(axis=0)
    with_partner = np.flatnonzero(np.abs(correlation).max(axis=0) > PARTNER)
    if len(with_partner) == 0:
        return None
    columns, rows = rng.choice(with_partner, size=len(X)), X.copy()
    for row, column in zip(rows, columns, strict=True):
        other = partner[column]
        away = (X_train[:, other] < row[other]).mean() - 0.5
        side = -np.copysign(1.0, away) * np.sign(correlation[column, other])
        row[column] = np.quantile(X_train[:, column], 0.5 + side * np.clip(abs(away), NEAREST, FARTHEST))
    return Planted(rows, columns)


PLANTS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.RandomState], Planted | None]] = {
    "shift": shift,
    "swap": swap,
}


# -- explaining -----------------------------------------------------------------------------------------


def fit(name: str, seed: int) -> tuple[AEOutlierDetector, np.ndarray, np.ndarray]:
    """Return the fitted detector, the rows it saw and the others."""
    frame = load_breast_cancer(as_frame=True).data if name == BREAST_CANCER else numbers(name, MAX_ROWS)
    X_train, X_test = train_test_split(frame.to_numpy(np.float64), test_size=0.3, random_state=seed)
    return AEOutlierDetector(random_state=seed).fit(X_train), X_train, X_test


def explain(detector: AEOutlierDetector, X: np.ndarray, method: str) -> Found:
    start = time.process_time()
    contributions = np.asarray(detector.explain(X, method=method), np.float64)
    return Found(contributions, (time.process_time() - start) / len(X))


def explain_with_shap(detector: AEOutlierDetector, background: np.ndarray, X: np.ndarray, seed: int) -> Found:
    start = time.process_time()
    np.random.seed(seed)  # KernelExplainer draws from the global generator
    explainer = shap.KernelExplainer(lambda Z: -detector.score_samples(Z), background)
    contributions = explainer.shap_values(X, silent=True)
    return Found(np.asarray(contributions, np.float64), (time.process_time() - start) / len(X))


def share_first(found: Found, planted: Planted) -> float:
    """Return the share of rows whose planted column has the largest contribution."""
    return float((found.contributions.argmax(axis=1) == planted.columns).mean())


# -- the two comparisons --------------------------------------------------------------------------------


def rank_planted(name: str, n_rows: int, seed: int) -> list[dict[str, Any]]:
    """Return one record for each way of planting and explaining."""
    detector, X_train, X_test = fit(name, seed)
    rng = np.random.RandomState(seed)
    records = []
    for kind, plant in PLANTS.items():
        planted = plant(X_train, X_test[rng.permutation(len(X_test))[:n_rows]], rng)
        if planted is None:
            continue
        scores = detector.score_samples(planted.rows)
        for method in METHODS:
            found = explain(detector, planted.rows, method)
            error = np.abs(found.contributions.sum(axis=1) + scores)
            records.append(
                {
                    "table": f"{name}, {len(X_train):,} x {X_train.shape[1]}",
                    "kind": kind,
                    "method": method,
                    "first": share_first(found, planted),
                    "random": 1 / X_train.shape[1],
                    "seconds": found.seconds_per_row,
                    "absolute": error.max(),
                    "relative": (error / np.maximum(np.abs(scores), np.finfo(float).tiny)).max(),
                }
            )
    return records


def print_ranks(records: pd.DataFrame, n_rows: int, n_seeds: int) -> None:
    first = records.pivot_table("first", "table", ["kind", "method"], sort=False)
    seconds = records.pivot_table("seconds", "table", "method")
    guess = records.groupby("table").random.first()
    columns = [(kind, method) for kind in GOALS for method in METHODS]
    rows = [
        [table, *(_share(first.loc[table].get(column)) for column in columns), f"{guess[table]:.3f}"]
        + [1e3 * float(seconds.loc[table, method]) for method in METHODS]
        + [""]
        for table in first.index
    ]
    means = [_share(first[column].mean()) for column in columns]
    rows.append(["mean", *means, f"{guess.mean():.3f}", *(1e3 * float(seconds[m].mean()) for m in METHODS), ""])
    header = ["table", *(f"{kind}, {method}" for kind, method in columns), "random"]
    title = f"share of rows whose planted column is ranked first, up to {n_rows} rows, {n_seeds} seed(s)"
    print_table(title, [*header, *(f"{method} CPU ms/row" for method in METHODS), ""], rows)
    for kind, goal in GOALS.items():
        values = first[kind, "repair"].dropna()
        below = [f"{table} {value:.3f}" for table, value in values.items() if value < goal]
        each = f"NOT on {'; '.join(below)}" if below else f"and on every table, {values.min():.3f} at least"
        mean = values.mean()
        print(f"{kind}, repair: goal {goal:g}: {'yes' if mean >= goal else 'NO'} in the mean, {mean:.3f}; {each}")
    for method, errors in records.groupby("method")[["absolute", "relative"]].max().iterrows():
        print(f"{method}: |sum + score_samples| at most {errors.absolute:.2g}, relative {errors.relative:.2g}")


def _share(value: float | None) -> str | None:
    return None if value is None or np.isnan(value) else f"{value:.3f}"


def compare_with_shap(name: str, n_rows: int, n_background: int, seed: int = 0) -> list[list[Any]]:
    """Return a row for each explanation of the same planted rows."""
    detector, X_train, X_test = fit(name, seed)
    rng = np.random.RandomState(seed)
    background = X_train[rng.permutation(len(X_train))[:n_background]]
    parts = np.array_split(X_test[rng.permutation(len(X_test))[:n_rows]], len(PLANTS))
    made = [plant(X_train, X, rng) for plant, X in zip(PLANTS.values(), parts, strict=True)]
    there = [planted for planted in made if planted is not None]
    planted = Planted(np.concatenate([p.rows for p in there]), np.concatenate([p.columns for p in there]))
    peer = explain_with_shap(detector, background, planted.rows, seed)
    rows = [[f"{name}: SHAP", _share(share_first(peer, planted)), "", "", 1e3 * peer.seconds_per_row, "1", ""]]
    for method in METHODS:
        found = explain(detector, planted.rows, method)
        pairs = zip(found.contributions, peer.contributions, strict=True)
        ranks = float(np.nanmean([spearmanr(ours, theirs).statistic for ours, theirs in pairs]))
        same = float((found.contributions.argmax(axis=1) == peer.contributions.argmax(axis=1)).mean())
        times = f"{peer.seconds_per_row / max(found.seconds_per_row, 1e-9):,.0f} times as fast"
        first = _share(share_first(found, planted))
        rows.append([f"{name}: {method}", first, _share(ranks), _share(same), 1e3 * found.seconds_per_row, times, ""])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200, help="rows of each table that get a bad cell")
    parser.add_argument("--shap-rows", type=int, default=100, help="rows that SHAP explains too")
    parser.add_argument("--seeds", type=int, default=1, help="number of splits, seeds 0, 1, ...")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    n_rows, n_shap, n_background, n_seeds = arguments.rows, arguments.shap_rows, 50, arguments.seeds
    if arguments.quick:
        n_rows, n_shap, n_background, n_seeds = 10, 4, 5, 1
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "shap")))
    warnings.filterwarnings("ignore", module="shap|scipy")
    with one_thread():
        records = [each for seed in range(n_seeds) for name in TABLES for each in rank_planted(name, n_rows, seed)]
        print_ranks(pd.DataFrame(records), n_rows, n_seeds)
        if shap is None:
            print("\nSHAP is not installed: its part is left out")
            return
        rows = [row for name in SHAP_TABLES for row in compare_with_shap(name, n_shap, n_background)]
    header = ["explanation", "first", "rank correlation", "same first", "CPU ms/row", "over SHAP", ""]
    print_table(f"beside KernelExplainer, {n_shap} rows, {n_background} rows as background", header, rows)


if __name__ == "__main__":
    main()
