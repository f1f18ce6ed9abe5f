"""Which rows of 82 tables are outliers: sklae's detector beside four peers of scikit-learn and 14 of PyOD's.

    python -m benchmarks.outliers.detection [--seeds 3] [--tables NAME ...] [--csv FILE] [--quick]
    python -m benchmarks.outliers.detection --ablation  sklae's variants, no peers: what does each ingredient bring?
    python -m benchmarks.outliers.detection --times     how long do fit and scores take, over PyOD's AutoEncoder?
    python -m benchmarks.outliers.detection --large     567,498 rows, and 1,555 columns: seconds and memory

*A*: 22 tables of ADBench. *O*: 60 of ODDBench and OvRBench, of 8,000 rows at most. Of more than 6,000 rows a seeded,
stratified subsample of 6,000 that keeps at least 20 outliers (or all that there are). A stratified 70/30 split,
`random_state=seed`. Two settings: *contaminated*, fitted to all of the 70 %, and *clean*, fitted to the normal rows
among them; both score the same 30 %. Tables with more than 25 % outliers are left out of the contaminated setting,
which leaves 17 of A and 58 of O. No detector's fit sees a label, every contender gets the same `StandardScaler`, fitted
to the rows that it is fitted to, and one configuration goes for all tables. A failure counts as AUROC 0.5 and average
precision (AP) 0, and is listed; so does what takes more than 60 CPU seconds, as MCD does on the 1,555 columns of
InternetAds (it was not done after nine minutes).

- *sklae*: `AEOutlierDetector()`. *sklae, support_fraction=1.0*: the documented switch for clean training rows, and in
  that setting only.
- *peers of scikit-learn*: IsolationForest; the mean distance to the 5 nearest training rows; squared Mahalanobis
  distance by a Ledoit-Wolf covariance of the 75 % nearest rows, found in 5 rounds; `GaussianMixture(4,
  reg_covar=1e-3)`. Seeded by `random_state=seed` where they take one.
- *peers of PyOD*, where it is installed: its defaults, seeded likewise.

Printed: means over tables and seeds, A and O apart; paired Wilcoxon tests over all tables, of means over seeds, against
each peer; the means again over two halves of the tables; false alarms; every table. CPU seconds are those of fit and
score of one table, one thread; `--large` prints the peak memory of the whole process, of which importing PyTorch and
scikit-learn is about 500 MB, and what fit and scores added to it.

*False alarms* are the share of new normal rows (those of the 30 %, clean setting) that `predict` flags at
`contamination=0.05` and at "auto". With 5 % the goal is .05 in the mean; on a table of few rows it is off by chance.

`--ablation` compares the default with each kind of evidence alone, and with all but each; with `cv=None`, four
autoencoders, and other shares of trusted rows; and with distances to neighbours, no autoencoder at all. What each shows
is said in `_variants.py`.

How much of this is a test? The peers are taken as they come, nothing of theirs was chosen here; something of sklae's
was, on every other table of the sorted names of all 82: that half chooses, the other confirms. The tests over all
tables have the choosing half among theirs. Nor is the other half untouched: its tables of A were looked at, their
figures printed, while earlier versions of the detector were made, and a forerunner that joins three of the kinds of
evidence was first seen in its means over all of A and all of O. And two pairs of tables that share a source lie in both
halves: http and smtp, cardio and Cardiotocography. Differences of means below .01 are noise, see the p-values.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from benchmarks.outliers._baselines import baselines
from benchmarks.outliers._costs import compare_times, print_large
from benchmarks.outliers._protocol import (
    CLEAN_SWITCH,
    FALSE_ALARMS,
    SETTINGS,
    SKLAE,
    Make,
    judge,
    peers,
    prepare,
    settings_of,
    sklae,
    source,
    split_table,
    warm_up,
)
from benchmarks.outliers._variants import DEFAULT, variants
from benchmarks.shared.data import adbench_names, odbench_names
from benchmarks.shared.harness import one_thread, print_table, versions

SOURCES = {"A": "ADBench", "O": "ODDBench and OvRBench"}
HALVES = {"chosen": "the half that settings were chosen on", "confirmed": "the half that confirms"}
#: Halves are of all these tables.
N_TABLES = 82
QUICK = ("14_glass", "45_wine", "18_Ionosphere", "odd_IndiaAttackAnalysis", "ovr_batch-2690_part-2_i8510")
MEASURES = ("auroc", "ap")
TITLES = {"auroc": "AUROC", "ap": "AP"}
#: Setting and measure: the four columns that are judged.
COLUMNS = tuple((setting, measure) for setting in SETTINGS for measure in MEASURES)


# -- running --------------------------------------------------------------------------------------------


def run(contenders: Mapping[str, Make], tables: Sequence[str], n_seeds: int) -> pd.DataFrame:
    """Fit every contender to every table; one row each. The switch for clean rows is for these alone."""
    rows = []
    for seed in range(n_seeds):
        for table in tables:
            split = split_table(table, seed)
            for setting in settings_of(table):
                task, about = prepare(split, setting), {"table": table, "setting": setting, "seed": seed}
                for name, make in contenders.items():
                    if setting == "clean" or name != CLEAN_SWITCH:
                        rows.append({"contender": name, **about, **judge(make, task, seed)._asdict()})
    return pd.DataFrame(rows)


def by_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds: rows are contender and table, columns measure and setting; NaN where there is none."""
    figures = [*MEASURES, "cpu"]
    means = found.groupby(["contender", "table", "setting"])[figures].mean().unstack("setting")
    return means.reindex(columns=pd.MultiIndex.from_product([figures, SETTINGS]))


def all_names() -> list[str]:
    """Return the names of all tables that are there: A, then O."""
    return [*adbench_names(), *odbench_names()]


def halves() -> dict[str, str]:
    """Return the half of each table; nothing where tables are missing, for then the halves would be others."""
    names = sorted(all_names())
    return {name: list(HALVES)[place % 2] for place, name in enumerate(names)} if len(names) == N_TABLES else {}


# -- printing -------------------------------------------------------------------------------------------


def print_means(title: str, found: pd.DataFrame) -> None:
    n_contaminated = found[found.setting == "contaminated"].table.nunique()
    title += (
        f": means over {found.table.nunique()} tables ({n_contaminated} contaminated), {found.seed.nunique()} seed(s)"
    )
    means = by_table(found).groupby("contender").mean().sort_values(("auroc", "contaminated"), ascending=False)
    n_failed = found[found.failure != ""].groupby("contender").size()
    notes = {name: f"{n} failed" for name, n in n_failed.items()}
    rows = []
    for name, row in means.iterrows():
        figures = [three(row[measure, setting]) for setting, measure in COLUMNS]
        rows.append([name, *figures, three(row["cpu"].mean()), notes.get(name, "")])
    print_table(title, ["detector", *map(heading, COLUMNS), "CPU s", ""], rows)


def heading(column: tuple[str, str]) -> str:
    setting, measure = column
    return f"{setting} {TITLES[measure]}"


def three(value: float) -> str | None:
    return None if np.isnan(value) else f"{value:.3f}"


def print_failures(found: pd.DataFrame) -> None:
    """Print each detector's failures on each table, the seeds together."""
    failed = found[found.failure != ""]
    for (name, table, setting), each in failed.groupby(["contender", "table", "setting"]):
        seeds = ", ".join(map(str, each.seed))
        print(f"failed: {name}, {table}, {setting}, seed {seeds}: {each.failure.iloc[0][:150]}")


def print_verdicts(found: pd.DataFrame, names: Sequence[str]) -> None:
    """Print for each column whether sklae's mean lies above those of all peers, and who does not lie below."""
    means = by_table(found).groupby("contender").mean()
    rivals = means.drop([SKLAE, CLEAN_SWITCH], errors="ignore")
    print()
    for setting, measure in COLUMNS:
        for name in names:
            ours, theirs = means.loc[name][measure, setting], rivals[measure, setting].sort_values(ascending=False)
            if np.isnan(ours):
                continue
            ahead = [f"{peer} by {value - ours:.3f}" for peer, value in theirs.items() if value >= ours]
            best = f"best is {theirs.index[0]}, {theirs.iloc[0]:.3f}, {ours - theirs.iloc[0]:+.3f}"
            verdict = f"NO, not below: {', '.join(ahead)}" if ahead else f"above every peer ({best})"
            print(f"{heading((setting, measure))}: {name}, {ours:.3f}: {verdict}")


def print_tests(found: pd.DataFrame, ours: str, rivals: Sequence[str]) -> None:
    """Print paired tests over tables; two-sided, no correction for there being many."""
    figures = by_table(found)
    rows = []
    for rival in rivals:
        for setting, measure in COLUMNS:
            difference = (figures.loc[ours] - figures.loc[rival])[measure, setting].dropna().to_numpy()
            if len(difference) == 0:
                continue
            p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
            won, lost = int((difference > 0).sum()), int((difference < 0).sum())
            rows.append([rival, setting, TITLES[measure], f"{difference.mean():+.3f}", won, lost, p, ""])
    title = f"{ours} minus ..., over tables (means over seeds), Wilcoxon's signed ranks"
    print_table(title, ["rival", "setting", "measure", "mean difference", "won", "lost", "p", ""], rows)


def print_apart(found: pd.DataFrame, group: pd.Series, titles: Mapping[str, str], ours: Sequence[str]) -> None:
    """Print means, and verdicts on ours if there are any, for each group of tables."""
    for name, title in titles.items():
        part = found[group == name]
        if len(part):
            print_means(f"{name}, {title}", part)
            if ours:
                print_verdicts(part, ours)


def print_false_alarms(found: pd.DataFrame) -> None:
    """Print which share of new normal rows sklae's detectors flag, clean setting: over tables, of means over seeds."""
    clean = found[found.setting == "clean"]
    shares = clean.groupby(["contender", "table"], sort=False)[list(FALSE_ALARMS)].mean().dropna()
    rows = []
    for name, each in shares.groupby(level="contender", sort=False):
        for figure, contamination in FALSE_ALARMS.items():
            share = each[figure].droplevel("contender")
            extremes = f"{share.idxmin()}, {share.idxmax()}"
            rows.append([name, contamination, *map(three, (share.mean(), share.min(), share.max())), extremes])
    title = f"false alarms: share of new normal rows flagged, clean setting, over {clean.table.nunique()} tables"
    print_table(title, ["detector", "contamination", "mean", "least", "most", "where"], rows)


def print_tables(found: pd.DataFrame, ours: Sequence[str]) -> None:
    """Print what sklae and the peer that is best on average reach on each table, and in which half it lies."""
    figures, half = by_table(found), halves()
    for setting in SETTINGS:
        there = found[found.setting == setting]
        if there.empty:
            continue
        rivals = figures.drop([SKLAE, CLEAN_SWITCH], errors="ignore").groupby("contender").mean()
        best = {measure: str(rivals[measure, setting].idxmax()) for measure in MEASURES}
        shown = [name for name in ours if name in there.contender.values]
        columns = [(name, measure) for measure in MEASURES for name in [*shown, best[measure]]]
        rows = []
        for table in there.table.unique():
            cells = (three(figures.loc[name, table][measure, setting]) for name, measure in columns)
            rows.append([table, *cells, half.get(table, "")])
        header = [f"{TITLES[measure]} {name.removeprefix(SKLAE + ', ')}" for name, measure in columns]
        print_table(f"{setting}: each table", ["table", *header, "half"], rows)


# -- the questions --------------------------------------------------------------------------------------


def compare_peers(tables: Sequence[str], n_seeds: int) -> pd.DataFrame:
    rivals = {**baselines(), **peers()}
    contenders = {SKLAE: sklae(), CLEAN_SWITCH: sklae(support_fraction=1.0), **rivals}
    warm_up(contenders.values())
    found, ours = run(contenders, tables, n_seeds), (SKLAE, CLEAN_SWITCH)
    print_apart(found, found.table.map(source), SOURCES, ours)
    print_failures(found)
    for name in ours:
        print_tests(found, name, list(rivals))
    print_apart(found, found.table.map(halves()), HALVES, ours)
    print_false_alarms(found)
    print_tables(found, ours)
    return found


def compare_variants(tables: Sequence[str], n_seeds: int) -> pd.DataFrame:
    contenders = variants()
    warm_up(contenders.values())
    found = run(contenders, tables, n_seeds)
    print_apart(found, found.table.map(source), SOURCES, ())
    print_failures(found)
    print_tests(found, DEFAULT, [name for name in contenders if name != DEFAULT])
    print_apart(found, found.table.map(halves()), HALVES, ())
    print_false_alarms(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of splits, seeds 0, 1, ...")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="only these, such as 6_cardio or ovr_wilt")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where to save the figures of every fit")
    question = parser.add_mutually_exclusive_group()
    question.add_argument("--ablation", action="store_true", help="sklae's variants instead of peers")
    question.add_argument("--times", action="store_true", help="CPU seconds beside PyOD's AutoEncoder")
    question.add_argument("--large", action="store_true", help="seconds and memory on the longest and the widest table")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    n_seeds = 1 if arguments.quick else arguments.seeds
    tables = arguments.tables or (QUICK if arguments.quick else all_names())
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "pyod")))
    if arguments.large:
        print_large(quick=arguments.quick)
    elif arguments.times:
        compare_times(tables, quick=arguments.quick)
    else:
        compare = compare_variants if arguments.ablation else compare_peers
        with one_thread():
            found = compare(tables, n_seeds)
        if arguments.csv:
            found.to_csv(arguments.csv, index=False)


if __name__ == "__main__":
    main()
