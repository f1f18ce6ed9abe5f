"""Which method fills missing cells of new rows best: sklae's imputer beside five peers, on 13 tables.

    python -m benchmarks.imputation.filling [--seeds 3] [--rows 4000] [--only TABLE ...] [--masks MASK ...] [--csv FILE]
    python -m benchmarks.imputation.filling --peers FILE     keep peers' figures in FILE: trees take most of the time
    python -m benchmarks.imputation.filling --contenders sklae "Gaussian EM"     only these
    python -m benchmarks.imputation.filling --breast-cancer  in-sample, as others have published it
    python -m benchmarks.imputation.filling --coverage       do intervals from 50 draws hold what they promise?

Of more rows than `--rows` a seeded random subset. Cells are removed; then 70 % of the rows are there to fit on, 30 %
are new. Contenders see the former and the latter with their gaps, and fill the latter. Numeric columns are standardised
by the observed cells of the training rows. A gap of the table's own stays one and is never scored; so does a category
that no training row shows. scikit-learn's wine, breast cancer and California housing are its features, the other tables
all of their columns (letter recognition without the letter, Adult without its split), codes of categories as text.

- *MCAR20, MCAR50*: every cell is removed with probability .2, or .5.
- *MAR30*: a random half of the columns (rounded down) loses cells, the other half none. With z the columns of the
  latter (categories as indicators; standardised; a gap of the table's own is 0) a cell of row i and column j of the
  former is removed with probability expit(b_j + w_j'z_i / s_j): w_j is standard normal, s_j the standard deviation of
  w_j'z over rows, and b_j makes the mean of the probabilities .3. Whatever decides is thus observed, but for the
  table's own gaps.

Contenders get the same rows, masks and scales, and one configuration goes for all tables:

- *sklae*: `AEImputer()`, frames as they are. Left out while sklae has none.
- *mean/mode*, *KNN*: `SimpleImputer()`, `KNNImputer()`; categories as indicators, of which the largest decides.
- *BayesianRidge*: `IterativeImputer()`. *ExtraTrees*: the same with 50 trees and 5 rounds, not 10, for they take long.
  On tables with categories the same scheme with a classifier for those (`LogisticRegression()`, 50 trees).
- *Gaussian EM*: maximum likelihood with full covariance, `_gaussian_em.py`; categories as with KNN. It stops as
  `GaussianMixture` does, at a gain of .001 nats per row. On small tables with many gaps stopping earlier helps it: at
  .01 breast cancer's RMSE is .47 instead of .56 and wine's .79 instead of .84 (MCAR50, seed 0); elsewhere, where
  it was tried, .01 makes no difference above .012, either way.

Printed: the root mean squared error (RMSE) of the removed numeric cells of the new rows, in standard deviations, and
the share of the removed categorical cells that got the right level, both means over seeds; mean ranks over tables;
sklae over Gaussian EM; seconds of fit and transform together, one thread. `--csv` has the mean squared error (MSE),
too. Who fails is listed and counts as mean/mode. One cell far out can make up most of a table's RMSE (California
housing has such): ranks and ratios of single tables are no more certain than that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.imputation._protocol import (
    BAYESIAN_RIDGE,
    GAUSSIAN,
    MASKS,
    MIXED,
    NUMERIC,
    SKLAE,
    Figures,
    Make,
    breast_cancer,
    gaussian_intervals,
    judge,
    make_task,
    peers,
    sklae,
    sklae_intervals,
)
from benchmarks.shared.harness import one_thread, print_table, versions

#: The most that sklae's RMSE may be over Gaussian EM's, on tables of numbers.
AT_MOST = 1.01
#: What Gaussian EM reaches on breast cancer, in-sample: mean squared error.
IN_SAMPLE = 0.231
COVERAGE = (0.87, 0.93)
QUICK = ("wine", "penguins")
#: Contender, table, mask, seed, rows.
Key = tuple[str, str, str, int, int]


# -- running --------------------------------------------------------------------------------------------


class Kept:
    """The peers' figures in a file: read from it where they are there, added where not."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.figures = self._read()
        if self.figures:
            print(f"read {len(self.figures)} of the peers' figures from {file}, not measured now: {self.measured_with}")

    def find(self, key: Key) -> Figures | None:
        return self.figures.get(key)

    def add(self, key: Key, figures: Figures) -> None:
        if self.file is None or key[0] == SKLAE:
            return
        self.figures = {**self._read(), **self.figures, key: figures}  # another run may have added some
        rows = [{**dict(zip(_KEYS, k, strict=True)), **_plain(f)} for k, f in self.figures.items()]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"measured_with": versions(_PACKAGES), "figures": rows}, indent=0))
        new.replace(self.file)

    def _read(self) -> dict[Key, Figures]:
        if self.file is None or not self.file.exists():
            return {}
        content = json.loads(self.file.read_text())
        self.measured_with = content["measured_with"]
        return {tuple(row.pop(name) for name in _KEYS): _figures(row) for row in content["figures"]}


_KEYS = ("contender", "table", "mask", "seed", "rows")
_PACKAGES = ("numpy", "pandas", "scikit-learn", "torch")


def _plain(figures: Figures) -> dict[str, Any]:
    """Return what JSON can hold, which has no nan."""
    return {name: None if value != value else value for name, value in figures._asdict().items()}


def _figures(row: Mapping[str, Any]) -> Figures:
    return Figures(**{name: np.nan if value is None else value for name, value in row.items()})


def run(
    contenders: Mapping[str, Make], tables: Sequence[str], masks: Sequence[str], n_seeds: int, n_rows: int, kept: Kept
) -> pd.DataFrame:
    """Let every contender fill every table; one row each."""
    rows = []
    for table in tables:
        for seed in range(n_seeds):
            for mask in masks:
                task = make_task(table, mask, seed, n_rows)
                for name, make in contenders.items():
                    key = (name, table, mask, seed, n_rows)
                    figures = kept.find(key)
                    if figures is None:
                        figures = judge(make, task, seed)
                        kept.add(key, figures)
                    rows.append({**dict(zip(_KEYS, key, strict=True)), **figures._asdict()})
            print(f"{table}, seed {seed}: done", file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def warm_up(contenders: Mapping[str, Make]) -> None:
    """Fill a small table with each: the first pays for imports."""
    task = make_task("wine", "MCAR20", 0, 40)
    for make in contenders.values():
        judge(make, task, 0)


# -- printing -------------------------------------------------------------------------------------------


def by_table(found: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return means over seeds: rows are table and mask, columns contenders, all in the order they were measured."""
    means = found.pivot_table(measure, ["table", "mask"], "contender", "mean", sort=False)
    return means[[name for name in found.contender.unique() if name in means]]


def three(value: float) -> str:
    return f"{value:.3f}"


def print_figures(title: str, figures: pd.DataFrame, best: str) -> None:
    """Print who reaches what; `best` is "min" or "max"."""
    if figures.empty:
        return
    winner = figures.idxmin(axis=1) if best == "min" else figures.idxmax(axis=1)
    rows = [[f"{table}, {mask}", *map(three, row), winner[table, mask]] for (table, mask), row in figures.iterrows()]
    print_table(title, ["table, mask", *figures.columns, "best"], rows)


def print_ranks(title: str, figures: pd.DataFrame, *, ascending: bool) -> None:
    if figures.empty:
        return
    ranks = figures.rank(axis=1, ascending=ascending)
    means = ranks.groupby(level="mask", sort=False).mean().T
    overall = ranks.mean()
    rows = [[name, *map(three, means.loc[name]), three(overall[name]), ""] for name in overall.sort_values().index]
    print_table(title, ["contender", *means.columns, "all", ""], rows)


def print_ratios(figures: pd.DataFrame, measure: str) -> None:
    """Print sklae over Gaussian EM, table by table; tables of numbers are judged."""
    if not {SKLAE, GAUSSIAN} <= set(figures):
        return
    ratios = (figures[SKLAE] / figures[GAUSSIAN]).unstack("mask", sort=False)
    rows = []
    for table, row in ratios.iterrows():
        verdict = f"<= {AT_MOST}: {yes(row.max() <= AT_MOST)}" if table in NUMERIC else "mixed, not judged"
        rows.append([table, *map(three, row), three(row.max()), verdict])
    rows.append(["geometric mean", *map(three, np.exp(np.log(ratios).mean())), "", ""])
    rows.append(["of all", three(float(np.exp(np.nanmean(np.log(ratios))))), *[""] * len(ratios.columns), ""])
    print_table(f"{measure} of {SKLAE} over {GAUSSIAN}", ["table", *ratios.columns, "worst", "goal"], rows)


def print_seconds(found: pd.DataFrame, measure: str) -> None:
    """Print what fit and transform took; `measure` is "cpu" or "wall"."""
    seconds = found.pivot_table(measure, "table", "contender", "mean", sort=False)
    seconds = seconds[list(found.contender.unique())]
    both = {SKLAE, BAYESIAN_RIDGE} <= set(seconds)
    rows = [
        [table, *row, f"{row[SKLAE] / row[BAYESIAN_RIDGE]:.1f} x {BAYESIAN_RIDGE}" if both else ""]
        for table, row in seconds.iterrows()
    ]
    header = ["table", *seconds.columns, SKLAE if both else ""]
    print_table(f"seconds of fit and transform, {measure} time, means over masks and seeds", header, rows)


def print_failures(found: pd.DataFrame) -> None:
    """Print each contender's failures on each table, the seeds together."""
    for (name, table, mask), each in found[found.failure != ""].groupby(["contender", "table", "mask"]):
        seeds = ", ".join(map(str, each.seed))
        print(f"failed: {name}, {table}, {mask}, seed {seeds}: {each.failure.iloc[0][:150]}")


def yes(met: bool) -> str:
    return "yes" if met else "NO"


# -- the questions --------------------------------------------------------------------------------------


def compare(found: pd.DataFrame, n_seeds: int) -> None:
    rmse, mae, accuracy = (by_table(found, measure) for measure in ("rmse", "mae", "accuracy"))
    print_figures(f"RMSE of the removed numeric cells of new rows, means over {n_seeds} seed(s)", rmse, "min")
    print_figures(f"accuracy of the removed categorical cells, means over {n_seeds} seed(s)", accuracy, "max")
    print_ranks("mean ranks by RMSE", rmse, ascending=True)
    print_ranks("mean ranks by mean absolute error", mae, ascending=True)
    print_ranks("mean ranks by RMSE, tables of numbers only", rmse[rmse.index.isin(NUMERIC, level=0)], ascending=True)
    print_ranks("mean ranks by accuracy", accuracy, ascending=False)
    print_ratios(rmse, "RMSE")
    print_ratios(mae, "mean absolute error")
    for measure in ("cpu", "wall"):
        print_seconds(found, measure)
    print_failures(found)


def compare_in_sample(contenders: Mapping[str, Make], n_seeds: int) -> None:
    """Print the mean squared error of scikit-learn's breast cancer, 50 % removed, all rows fitted to and filled."""
    task, rows = breast_cancer(), []
    for name, make in contenders.items():
        each = [judge(make, task, seed) for seed in range(n_seeds)]
        mse, seconds = (float(np.mean([getattr(one, field) for one in each])) for field in ("mse", "wall"))
        failed = next((one.failure for one in each if one.failure), "")
        verdict = f"<= {IN_SAMPLE}: {yes(mse <= IN_SAMPLE)}" if name == SKLAE else ""
        rows.append([name, three(mse), seconds, verdict or failed])
    title = f"breast cancer, 50 % removed, in-sample MSE (mean over {n_seeds} seed(s) of the imputer)"
    print_table(title, ["contender", "MSE", "seconds", "goal"], rows)


def compare_coverage(
    tables: Sequence[str], masks: Sequence[str], n_seeds: int, n_rows: int, n_imputations: int, ours: bool
) -> None:
    """Print how many of the removed cells lie in their intervals of 90 %."""
    low, high = COVERAGE
    rows = []
    for table in tables:
        for mask in masks:
            tasks = [make_task(table, mask, seed, n_rows) for seed in range(n_seeds)]
            rival = three(float(np.mean([gaussian_intervals(task) for task in tasks])))
            own, verdict = None, ""
            if ours:
                share = float(np.mean([sklae_intervals(task, seed, n_imputations) for seed, task in enumerate(tasks)]))
                own, verdict = three(share), f"{low} to {high}: {yes(low <= share <= high)}"
            rows.append([f"{table}, {mask}", own, rival, verdict])
    title = f"removed numeric cells within their 90 % intervals, {n_imputations} imputations, {n_seeds} seed(s)"
    print_table(title, ["table, mask", SKLAE, f"{GAUSSIAN}, conditional normal", "goal"], rows)


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of splits and masks, seeds 0, 1, ...")
    parser.add_argument("--rows", type=int, default=4000, help="at most so many of a table, training and new")
    parser.add_argument("--only", nargs="+", metavar="TABLE", choices=[*NUMERIC, *MIXED], help="only these tables")
    parser.add_argument("--masks", nargs="+", metavar="MASK", choices=list(MASKS), default=list(MASKS))
    parser.add_argument("--contenders", nargs="+", metavar="NAME", choices=[SKLAE, *peers()], help="only these")
    parser.add_argument("--peers", type=Path, metavar="FILE", help="where the peers' figures are kept (JSON)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where to save the figures of every fit")
    question = parser.add_mutually_exclusive_group()
    question.add_argument("--breast-cancer", action="store_true", help="in-sample, beside a published figure")
    question.add_argument("--coverage", action="store_true", help="of intervals from multiple imputation")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    if arguments.quick and arguments.peers:
        parser.error("--quick measures nothing worth keeping: leave out --peers.")
    n_seeds, n_rows = (1, 200) if arguments.quick else (arguments.seeds, arguments.rows)
    tables = arguments.only or (QUICK if arguments.quick else [*NUMERIC, *MIXED])
    everyone = {**sklae(), **peers(quick=arguments.quick)}
    contenders = {name: everyone[name] for name in arguments.contenders or everyone if name in everyone}
    print(versions(_PACKAGES))
    if SKLAE not in everyone:
        print("sklae has no AEImputer: left out")
    with one_thread():
        if arguments.coverage:
            n_imputations = 5 if arguments.quick else 50
            compare_coverage(tables, arguments.masks, n_seeds, n_rows, n_imputations, SKLAE in contenders)
        elif arguments.breast_cancer:
            compare_in_sample(contenders, n_seeds)
        else:
            kept = Kept(arguments.peers)
            warm_up(contenders)
            found = run(contenders, tables, arguments.masks, n_seeds, n_rows, kept)
            compare(found, n_seeds)
            if arguments.csv:
                found.to_csv(arguments.csv, index=False)


if __name__ == "__main__":
    main()
