"""Which rows of 22 tables are outliers: sklae's detector beside 14 of PyOD's.

    python -m benchmarks.outliers.detection [--seeds 3] [--tables NAME ...] [--csv FILE] [--quick]
    python -m benchmarks.outliers.detection --ablation  sklae's variants, no peers: what does each ingredient bring?
    python -m benchmarks.outliers.detection --times     how long do fit and scores take, over PyOD's AutoEncoder?
    python -m benchmarks.outliers.detection --large     567,498 rows, and 1,555 columns: seconds and memory

ADBench's tables. Of more than 6,000 rows a seeded, stratified subsample of 6,000 that keeps at least 20 outliers (or
all that there are). A stratified 70/30 split, `random_state=seed`. Two settings: *contaminated*, fitted to all of the
70 %, and *clean*, fitted to the normal rows among them; both score the same 30 %. No detector's fit sees a label, every
contender gets the same `StandardScaler`, fitted to the rows that it is fitted to, and one configuration goes for all
tables. A failure counts as AUROC 0.5 and average precision (AP) 0, and is listed; so does what takes more than 60 CPU
seconds, as MCD does on the 1,555 columns of InternetAds (it was not done after nine minutes).

- *sklae*: `AEOutlierDetector()`. *sklae, support_fraction=1.0*: the documented switch for clean training rows.
- *peers*: PyOD's defaults, seeded by `random_state=seed` where they take one.

Printed: means over tables and seeds; paired Wilcoxon tests over tables, of means over seeds; the means again over two
halves of the tables; every table. Tables that share a source lie in the same half. CPU seconds are those of fit and
score of one table, one thread; `--large` prints the peak memory of the whole process, of which importing PyTorch and
scikit-learn is about 500 MB, and what fit and scores added to it.

How much of this is a test? The peers are PyOD as it comes, nothing of theirs was chosen here; something of sklae's was.
Its ingredients were looked at on all 22 tables while it was prototyped, and the figures of half B were printed beside
those of half A (for seeds 0 to 2, too); its settings were chosen on half A. Half B confirms them, but isn't untouched.
The tables come in families and are few: differences of means below .01 are noise, see the p-values.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from scipy.stats import wilcoxon

from benchmarks.outliers._costs import compare_times, print_large
from benchmarks.outliers._protocol import (
    CLEAN_SWITCH,
    SETTINGS,
    SKLAE,
    Make,
    judge,
    peers,
    prepare,
    sklae,
    split_adbench,
    warm_up,
)
from benchmarks.outliers._variants import DEFAULT, variants
from benchmarks.shared.data import adbench_names
from benchmarks.shared.harness import one_thread, print_table, versions

HALF_A = (
    "1_ALOI",
    "6_cardio",
    "7_Cardiotocography",
    "14_glass",
    "17_InternetAds",
    "20_letter",
    "24_mnist",
    "26_optdigits",
    "32_shuttle",
    "40_vowels",
    "45_wine",
)
QUICK = ("14_glass", "45_wine")
MEASURES = ("auroc", "ap")
TITLES = {"auroc": "AUROC", "ap": "AP"}
#: Setting and measure: the four columns that are judged.
COLUMNS = tuple((setting, measure) for setting in SETTINGS for measure in MEASURES)
RIVALS = ("IForest", "KNN", "GMM", "AutoEncoder")


# -- running --------------------------------------------------------------------------------------------


def run(contenders: Mapping[str, Make], tables: Sequence[str], n_seeds: int) -> pd.DataFrame:
    """Fit every contender to every table; one row each."""
    rows = []
    for seed in range(n_seeds):
        for table in tables:
            split = split_adbench(table, seed)
            for setting in SETTINGS:
                task = prepare(split, setting)
                for name, make in contenders.items():
                    found = judge(make, task, seed)
                    rows.append(
                        {"contender": name, "table": table, "setting": setting, "seed": seed, **found._asdict()}
                    )
    return pd.DataFrame(rows)


def by_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds: rows are contender and table, columns measure and setting."""
    return found.groupby(["contender", "table", "setting"])[[*MEASURES, "cpu"]].mean().unstack("setting")


# -- printing -------------------------------------------------------------------------------------------


def print_means(title: str, found: pd.DataFrame) -> None:
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


def three(value: float) -> str:
    return f"{value:.3f}"


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
        for name in names if setting == "clean" else names[:1]:
            ours, theirs = means.loc[name][measure, setting], rivals[measure, setting].sort_values(ascending=False)
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
            difference = (figures.loc[ours] - figures.loc[rival])[measure, setting].to_numpy()
            p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
            won, lost = int((difference > 0).sum()), int((difference < 0).sum())
            rows.append([rival, setting, TITLES[measure], f"{difference.mean():+.3f}", won, lost, p, ""])
    title = f"{ours} minus ..., over tables (means over seeds), Wilcoxon's signed ranks"
    print_table(title, ["rival", "setting", "measure", "mean difference", "won", "lost", "p", ""], rows)


def print_halves(found: pd.DataFrame) -> None:
    chosen = found.table.isin(HALF_A)
    for title, half in {"half A, settings were chosen on it": chosen, "half B, confirmation": ~chosen}.items():
        if half.any():
            print_means(f"{title}: means over {found[half].table.nunique()} tables", found[half])
            if SKLAE in found.contender.values:
                print_verdicts(found[half], (SKLAE, CLEAN_SWITCH))


def print_tables(found: pd.DataFrame, ours: Sequence[str]) -> None:
    """Print what sklae and the peer that is best on average reach on each table."""
    figures = by_table(found)
    for setting in SETTINGS:
        rivals = figures.drop([SKLAE, CLEAN_SWITCH], errors="ignore").groupby("contender").mean()
        best = {measure: str(rivals[measure, setting].idxmax()) for measure in MEASURES}
        columns = [(name, measure) for measure in MEASURES for name in [*ours, best[measure]]]
        rows = [
            [table, *(three(figures.loc[name, table][measure, setting]) for name, measure in columns), half(table)]
            for table in found.table.unique()
        ]
        header = [f"{TITLES[measure]} {name.removeprefix(SKLAE + ', ')}" for name, measure in columns]
        print_table(f"{setting}: each table", ["table", *header, "half"], rows)


def half(table: str) -> str:
    return "A" if table in HALF_A else "B"


# -- the questions --------------------------------------------------------------------------------------


def compare_peers(tables: Sequence[str], n_seeds: int) -> pd.DataFrame:
    contenders = {SKLAE: sklae(), CLEAN_SWITCH: sklae(support_fraction=1.0), **peers()}
    warm_up(contenders.values())
    found = run(contenders, tables, n_seeds)
    print_means(f"means over {len(tables)} tables and {n_seeds} seed(s)", found)
    print_failures(found)
    print_verdicts(found, (SKLAE, CLEAN_SWITCH))
    present = [name for name in RIVALS if name in contenders]
    print_tests(found, SKLAE, present)
    print_halves(found)
    print_tables(found, (SKLAE, CLEAN_SWITCH))
    return found


def compare_variants(tables: Sequence[str], n_seeds: int) -> pd.DataFrame:
    contenders = variants()
    warm_up(contenders.values())
    found = run(contenders, tables, n_seeds)
    print_means(f"variants: means over {len(tables)} tables and {n_seeds} seed(s)", found)
    print_failures(found)
    print_tests(found, DEFAULT, [name for name in contenders if name != DEFAULT])
    print_halves(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of splits, seeds 0, 1, ...")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="only these, such as 6_cardio")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where to save the figures of every fit")
    question = parser.add_mutually_exclusive_group()
    question.add_argument("--ablation", action="store_true", help="sklae's variants instead of peers")
    question.add_argument("--times", action="store_true", help="CPU seconds beside PyOD's AutoEncoder")
    question.add_argument("--large", action="store_true", help="seconds and memory on the longest and the widest table")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    n_seeds = 1 if arguments.quick else arguments.seeds
    tables = arguments.tables or (QUICK if arguments.quick else adbench_names())
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
