"""Are filled tables like complete ones: do a classifier and the energy distance tell them apart?

    python -m benchmarks.imputation.draws --pooled 300      do pooled regression coefficients hold what they promise?
    python -m benchmarks.imputation.draws [--seeds 2] [--rows 4000] [--only TABLE ...] [--masks MASK ...] [--csv FILE]

The tables, masks and new rows of `filling.py`. Errors reward means, which vary less than true values do; here whole
rows are judged. New rows are split in two halves: filled rows of the one are compared with complete rows of the other,
and the other way round, so that no row is compared with itself. Cells that the table itself lacks stay gaps in both.

- *AUC* (`classifier_two_sample_score`): gradient boosting, five parts; .5 is best. Noise: about .02 for 1,200 rows.
- *energy* (`energy_distance`) times 1,000, 0 is best.
- *nothing removed* says what complete rows in the place of filled ones get.

Contenders: draws and means of `AEImputer`, draws and means of the Gaussian EM (conditional normal, joint within a row),
means of KNN, and miceforest's draws where it is installed (a side environment with pandas 2 and lightgbm 4.5: with
newer ones it fails or fills wrongly).
Its models of new rows are those of the training rows' last round (`impute_new_data`). Who fails is listed, and last.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from benchmarks.imputation._protocol import MASKS, MIXED, NUMERIC, Encoded, Make, Task, fill, make_task, peers
from benchmarks.shared.harness import one_thread, print_table, versions
from sklae import AEImputer
from sklae._linear.gaps import GappyRows
from sklae._linear.normal import Normal
from sklae.metrics import classifier_two_sample_score, energy_distance

QUICK = ("wine", "penguins")


class NormalDraws:
    """A normal distribution by EM, and a joint draw of each row's gaps."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.RandomState(seed)

    def fit(self, X: np.ndarray) -> NormalDraws:
        self.normal = Normal.fit(X)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        rows, out = GappyRows(X), X.copy()
        for block in rows.blocks(rows.missing.any(axis=1)):
            given = self.normal.given(rows, block)
            drawn = self.normal.mean + given.draw(self.rng.standard_normal(given.deviations.shape))
            out[block.rows] = np.where(rows.missing[block.rows], drawn, X[block.rows])
        return out


class Miceforest:
    """Chained trees with predictive mean matching; one of its tables."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: pd.DataFrame) -> Miceforest:
        import miceforest

        self.columns = X.columns
        self.kernel = miceforest.ImputationKernel(
            self._read(X), num_datasets=1, random_state=self.seed, save_all_iterations_data=True
        )
        self.kernel.mice(5)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        made = self.kernel.impute_new_data(self._read(X), random_state=self.seed).complete_data(0)
        return made.set_axis(self.columns, axis=1).astype(X.dtypes)

    @staticmethod
    def _read(X: pd.DataFrame) -> pd.DataFrame:
        X = X.set_axis([f"x{i}" for i in range(X.shape[1])], axis=1).reset_index(drop=True)
        return X.assign(
            **{name: X[name].astype("category") for name in X if not pd.api.types.is_numeric_dtype(X[name])}
        )


def contenders() -> dict[str, Callable[[int], Any]]:
    found: dict[str, Callable[[int], Any]] = {
        "sklae, draws": lambda seed: AEImputer(sample_posterior=True, random_state=seed),
        "sklae, means": lambda seed: AEImputer(random_state=seed),
        "Gaussian EM, draws": lambda seed: Encoded(NormalDraws(seed)),
        "Gaussian EM, means": peers()["Gaussian EM"],
        "KNN": peers()["KNN"],
    }
    try:
        import miceforest  # noqa: F401
    except ImportError:
        print("miceforest is not installed: left out")
        return found
    return {**found, "miceforest, draws": Miceforest}


def compare(task: Task, made: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Return the AUC and the energy distance, means over both ways to take halves."""
    truth = task.truth
    gaps = (truth.isna()).to_numpy()
    made = made[truth.columns].astype(truth.dtypes).mask(gaps)
    half = np.random.RandomState(seed).permutation(len(truth)) % 2 == 0
    pairs = [(truth[part].reset_index(drop=True), made[~part].reset_index(drop=True)) for part in (half, ~half)]
    scores = [classifier_two_sample_score(a, b, random_state=seed) for a, b in pairs]
    return float(np.mean(scores)), float(np.mean([energy_distance(a, b, random_state=seed) for a, b in pairs]))


def pooled(n_tables: int, n_imputations: int) -> None:
    """Print how often 95 % intervals of coefficients hold the true ones (pooled: Barnard and Rubin, 1999)."""
    truth = np.array([1.0, -0.5, 0.8])
    rows = []
    for name, share in (("20 % removed", 0.2), ("40 % removed", 0.4)):
        held, width, n_whole = np.zeros(3), np.zeros(3), np.zeros(3)
        for seed in range(n_tables):
            rng = np.random.RandomState(seed)
            x = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.6], [0.6, 1.0]], size=200)
            table = np.column_stack([x, truth[0] + x @ truth[1:] + rng.normal(size=200)])
            estimate, error, freedom = _regression(table)
            n_whole += np.abs(estimate - truth) <= t.ppf(0.975, freedom) * error
            gaps = rng.uniform(size=table.shape) < share
            imputer = AEImputer(n_imputations=n_imputations, random_state=seed)
            made = imputer.fit_transform(np.where(gaps, np.nan, table))
            found = [_regression(one) for one in made]
            estimates = np.array([one for one, _, _ in found])
            within, between = np.mean([each**2 for _, each, _ in found], axis=0), estimates.var(axis=0, ddof=1)
            total = within + (1 + 1 / n_imputations) * between
            missing = (1 + 1 / n_imputations) * between / total
            old, seen = (n_imputations - 1) / missing**2, (freedom + 1) / (freedom + 3) * freedom * (1 - missing)
            half = t.ppf(0.975, old * seen / (old + seen)) * np.sqrt(total)
            held += np.abs(estimates.mean(axis=0) - truth) <= half
            width += 2 * half
        rows.append([name, *(f"{value:.3f}" for value in (*held / n_tables, *n_whole / n_tables, *width / n_tables))])
    names = [f"{kind}, b{i}" for kind in ("pooled", "nothing removed", "width") for i in range(3)]
    print_table(f"share of {n_tables} tables of 200 rows whose 95 % interval holds the true value", ["", *names], rows)


def _regression(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return coefficients, their standard errors, and degrees of freedom."""
    x, y = np.column_stack([np.ones(len(table)), table[:, :-1]]), table[:, -1]
    inverse = np.linalg.inv(x.T @ x)
    estimate = inverse @ x.T @ y
    freedom = len(table) - x.shape[1]
    variance = ((y - x @ estimate) ** 2).sum() / freedom
    return estimate, np.sqrt(variance * np.diag(inverse)), float(freedom)


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--seeds", type=int, default=2, help="number of splits and masks, seeds 0, 1, ...")
    parser.add_argument("--rows", type=int, default=4000, help="at most so many of a table, training and new")
    parser.add_argument("--only", nargs="+", metavar="TABLE", choices=[*NUMERIC, *MIXED], help="only these tables")
    parser.add_argument("--masks", nargs="+", metavar="MASK", choices=list(MASKS), default=list(MASKS))
    parser.add_argument("--csv", metavar="FILE", help="write every figure there, table by table")
    parser.add_argument("--pooled", type=int, metavar="N", help="instead: do pooled 95 %% intervals hold, in N tables?")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    n_seeds, n_rows = (1, 200) if arguments.quick else (arguments.seeds, arguments.rows)
    tables = arguments.only or (QUICK if arguments.quick else [*NUMERIC, *MIXED])
    if arguments.pooled:
        with one_thread():
            pooled(arguments.pooled, n_imputations=20)
        return
    print(versions(("numpy", "pandas", "scikit-learn", "miceforest")))
    everyone, rows = contenders(), []
    with one_thread():
        for table in tables:
            for mask in arguments.masks:
                for seed in range(n_seeds):
                    task = make_task(table, mask, seed, n_rows)
                    row = {"table": table, "mask": mask}
                    rows.append({**row, "contender": "nothing removed", **_figures(task, task.truth, seed, 0.0)})
                    for name, make in everyone.items():
                        rows.append({**row, "contender": name, **_judge(task, make, seed)})
            print(f"{table}: done", file=sys.stderr, flush=True)
            if arguments.csv:
                pd.DataFrame(rows).to_csv(arguments.csv, index=False)
    report(pd.DataFrame(rows))


def _judge(task: Task, make: Make, seed: int) -> dict[str, float]:
    """Return a contender's figures; of one that fails there are none."""
    start = time.process_time()
    try:
        made = fill(make(seed), task)
    except Exception as error:
        print(f"failed: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr, flush=True)
        return dict.fromkeys(("AUC", "energy", "CPU s"), np.nan)
    return _figures(task, made, seed, time.process_time() - start)


def _figures(task: Task, made: pd.DataFrame, seed: int, cpu: float) -> dict[str, float]:
    auc, energy = compare(task, made, seed)
    return {"AUC": auc, "energy": 1000.0 * energy, "CPU s": cpu}


def report(found: pd.DataFrame) -> None:
    for measure_, best in (("AUC", "the nearer to .5, the better"), ("energy", "times 1,000")):
        figures = found.pivot_table(measure_, ["table", "mask"], "contender", "mean", sort=False)
        rows = [[f"{table}, {mask}", *(f"{value:.3f}" for value in row)] for (table, mask), row in figures.iterrows()]
        rows.append(["mean", *(f"{value:.3f}" for value in figures.mean())])
        ranks = figures.drop(columns="nothing removed").rank(axis=1, na_option="bottom").mean()
        ranks = ranks.reindex(figures.columns)
        rows.append(["mean rank", *("" if np.isnan(rank) else f"{rank:.2f}" for rank in ranks)])
        print_table(f"{measure_} of filled and complete rows ({best})", ["table, mask", *figures.columns], rows)
    seconds = found.pivot_table("CPU s", "contender", aggfunc="median", sort=False)["CPU s"]
    print_table("CPU seconds of fit and transform, medians", ["contender", "s"], [[n, s] for n, s in seconds.items()])


if __name__ == "__main__":
    main()
