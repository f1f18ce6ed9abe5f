"""How good are synthetic tables: sklae's VAE beside CTGAN's TVAE, a Gaussian copula and shuffled columns.

    python -m benchmarks.tables.synthesis [--seeds 1] [--tables NAME ...] [--only NAME ...] [--epochs N]
                                          [--csv FILE] [--quick]
    python -m benchmarks.tables.synthesis --peers FILE  take the peers' figures from a FILE that --csv has written

Three mixed tables as `pandas.read_csv` gives them, gaps and text and all: adult (without `split`), telco_churn (without
`customerID`) and california_housing. The label is a column like any other. A 70/30 split, `random_state=seed`; every
contender is fitted to the 70 % and draws as many rows, which are judged beside the 30 % that it has not seen:

- *prediction* (`train_on_synthetic_score`): gradient boosting fitted to synthetic rows predicts the label of real ones.
  AUROC of `income` and `Churn`, R2 of `median_house_value`. *real rows* tell what the training rows reach.
- *marginals*, *pairs* (means of `marginal_distances` and `association_distances`, lower is better): to the held-out
  rows. *real rows* tell by how much two real samples differ, *shuffled columns* what independent columns reach.
- *two-sample* (`classifier_two_sample_score`): how well boosting tells synthetic rows from held-out ones, .5 best.
- *copies*, *held out* (`near_copy_share`): synthetic rows that nearly copy a training row, and held-out rows that do.
  Copies well above held out are rows learnt by heart.
- seconds of fit and of drawing, wall and processor time, one thread. What TVAE's process takes to start is not counted.

- *sklae*: `VAETransformer(random_state=seed)`, the defaults, fitted to the table as it is.
- *sklae, aggregate*: the same with `sample_from="aggregate"`: codes from where those of the training rows are.
- *TVAE*: the package ctgan's, its defaults (300 epochs of batches of 500; `--epochs` changes the number). It has no
  missing values: a gap in text is a level, one in numbers the mean and a column that says so. It needs an environment
  with ctgan, whose interpreter the environment variable SKLAE_SIDE_PYTHON names; without it, its row is left out.

      python -m venv ../side && ../side/bin/pip install -c constraints.txt torch ctgan threadpoolctl
      SKLAE_SIDE_PYTHON=../side/bin/python python -m benchmarks.tables.synthesis

- *mixture of normals*: one of the mixtures that `AEImputer` fills gaps by, drawn from without anything given.
- *copula*: normal scores of ranks and their correlations, for numbers and categories alike.

Printed: means over seeds, and whether sklae, from the prior and from the aggregate, is at or above TVAE on two of three
tables, and faster. In quality it is if it is not behind in any of prediction, marginals, pairs and two-sample.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from benchmarks.shared.data import folder
from benchmarks.shared.harness import Cost, measure, one_thread, print_table, versions
from benchmarks.tables._synthesis_peers import TVAE_EPOCHS, Copula, Made, Shuffle, run_tvae, side_python, tvae_version
from sklae import AEImputer, VAETransformer
from sklae.metrics import (
    association_distances,
    classifier_two_sample_score,
    marginal_distances,
    near_copy_share,
    train_on_synthetic_score,
)

SKLAE, AGGREGATE = "sklae", "sklae, aggregate"
TVAE, MIXTURE, COPULA = "TVAE", "mixture of normals", "copula"
SHUFFLED, REAL = "shuffled columns", "real rows"


class Table(NamedTuple):
    """A table's label, the columns that are left out, and what its prediction is judged by."""

    label: str
    dropped: tuple[str, ...]
    score: str


TABLES = {
    "adult": Table("income", ("split",), "AUROC"),
    "telco_churn": Table("Churn", ("customerID",), "AUROC"),
    "california_housing": Table("median_house_value", (), "R2"),
}
#: What is judged, and whether more of it is better.
QUALITY = {"prediction": True, "marginals": False, "pairs": False, "two-sample": False}
SECONDS = ("fit wall", "fit CPU", "draw wall", "draw CPU")
QUICK_ROWS = 400
NOTHING = Cost(np.nan, np.nan)

#: Fits to rows with a seed and draws as many.
Contender = Callable[[pd.DataFrame, int], Made]
#: Figures by table, contender and seed.
Known = Mapping[tuple[str, str, int], dict[str, Any]]


# -- contenders -----------------------------------------------------------------------------------------


def sklae(train: pd.DataFrame, seed: int, **settings: Any) -> Made:
    return fit_and_draw(
        lambda: VAETransformer(random_state=seed, **settings).fit(train),
        lambda model: model.sample(len(train), random_state=seed),
    )


def simple(make: Callable[[], Any], train: pd.DataFrame, seed: int) -> Made:
    return fit_and_draw(lambda: make().fit(train, seed), lambda model: model.sample(len(train), seed))


def mixture(train: pd.DataFrame, seed: int) -> Made:
    """Draw rows of which nothing is known from what `AEImputer` fills gaps by."""
    return fit_and_draw(
        lambda: AEImputer(sample_posterior=True, random_state=seed).fit(train),
        lambda imputer: imputer.transform(train.mask(np.ones(train.shape, dtype=bool))),
    )


def tvae(python: str, n_epochs: int, train: pd.DataFrame, seed: int) -> Made:
    return run_tvae(python, train, len(train), seed, n_epochs)


def real(train: pd.DataFrame, seed: int) -> Made:
    return Made(train, NOTHING, NOTHING)


def fit_and_draw(fit: Callable[[], Any], draw: Callable[[Any], pd.DataFrame]) -> Made:
    found: list[Any] = []
    costs = [measure(lambda: found.append(fit())), measure(lambda: found.append(draw(found[0])))]
    return Made(found[1], *costs)


def contenders(n_epochs: int, known: Known, *, quick: bool) -> dict[str, Contender]:
    settings: dict[str, Any] = {"max_iter": 2} if quick else {}
    found: dict[str, Contender] = {
        SKLAE: partial(sklae, **settings),
        AGGREGATE: partial(sklae, sample_from="aggregate", **settings),
    }
    python = side_python()
    if TVAE in {contender for _, contender, _ in known}:
        found[TVAE] = partial(tvae, python or sys.executable, n_epochs)
    elif python is None:
        print("TVAE is left out: SKLAE_SIDE_PYTHON names no interpreter that has ctgan")
    else:
        print(f"ctgan {tvae_version(python)}, TVAE with {n_epochs} epochs")
        found[TVAE] = partial(tvae, python, n_epochs)
    return {**found, MIXTURE: mixture, COPULA: partial(simple, Copula), SHUFFLED: partial(simple, Shuffle), REAL: real}


# -- running --------------------------------------------------------------------------------------------


def split(name: str, seed: int, *, quick: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_csv(folder() / "tables" / f"{name}.csv").drop(columns=list(TABLES[name].dropped))
    if quick:
        table = table.sample(QUICK_ROWS, random_state=seed)
    train, test = train_test_split(table, test_size=0.3, random_state=seed)
    return train.reset_index(drop=True), test.reset_index(drop=True)


def judge(name: str, made: Made, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return all figures of one contender; the training rows themselves are no copies of themselves."""
    copies = (np.nan, np.nan)
    if made.rows is not train:
        copies = near_copy_share(train, made.rows, holdout=test, random_state=seed)
    label = TABLES[name].label
    return {
        "prediction": train_on_synthetic_score(made.rows, test, label, random_state=seed),
        "marginals": float(np.mean(list(marginal_distances(test, made.rows).values()))),
        "pairs": float(np.mean(list(association_distances(test, made.rows).values()))),
        "two-sample": classifier_two_sample_score(test, made.rows, random_state=seed),
        "copies": copies[0],
        "held out": copies[1],
        **dict(zip(SECONDS, (made.fit.wall, made.fit.cpu, made.sample.wall, made.sample.cpu), strict=True)),
    }


def kept(file: Path | None) -> Known:
    """Return the peers' figures in a file."""
    if file is None:
        return {}
    found = pd.read_csv(file)
    found = found[~found.contender.isin([SKLAE, AGGREGATE])]
    print(f"read {len(found)} of the peers' figures from {file}, not measured now")
    return {(row["table"], row["contender"], row["seed"]): row for row in found.to_dict("records")}


def run(
    entered: Mapping[str, Contender],
    tables: Sequence[str],
    n_seeds: int,
    known: Known,
    *,
    quick: bool,
) -> pd.DataFrame:
    """Fit every contender to every table, but for what is known; one row each."""
    rows = []
    if {SKLAE, AGGREGATE} & set(entered):  # the first fit loads libraries, which isn't counted for TVAE either
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            sklae(split(tables[0], 0, quick=True)[0], 0, max_iter=2)
    for name in tables:
        for seed in range(n_seeds):
            train, test = split(name, seed, quick=quick)
            for contender, make in entered.items():
                figures = known.get((name, contender, seed)) or judge(name, make(train, seed), train, test, seed)
                rows.append({"table": name, "contender": contender, "seed": seed, **figures})
        print_figures(name, pd.DataFrame(rows).query("table == @name"), len(train))
    return pd.DataFrame(rows)


# -- printing -------------------------------------------------------------------------------------------


def means(found: pd.DataFrame) -> pd.DataFrame:
    return found.drop(columns="seed").groupby(["table", "contender"], sort=False).mean()


def print_figures(name: str, found: pd.DataFrame, n_rows: int) -> None:
    average = means(found).loc[name]
    shown = [*QUALITY, "copies", "held out", *SECONDS]
    header = [TABLES[name].score if column == "prediction" else column for column in shown]
    rows = [[contender, *(text(column, row[column]) for column in shown), ""] for contender, row in average.iterrows()]
    n_seeds = found.seed.nunique()
    print_table(f"{name}: {n_rows:,} training rows, {n_seeds} seed(s)", ["contender", *header, ""], rows)


def text(column: str, value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.2f}" if column in SECONDS else f"{value:.4f}" if column in QUALITY else f"{value:.3f}"


def print_verdicts(found: pd.DataFrame) -> None:
    """Print for each table and over all of them how sklae stands beside TVAE."""
    ours = [name for name in (SKLAE, AGGREGATE) if name in set(found.contender)]
    if not ours or TVAE not in set(found.contender):
        print("\nno verdict: it takes both sklae and TVAE")
        return
    for contender in ours:
        print(f"\n{contender}")
        print_verdict(means(found), list(found.table.unique()), contender)


def print_verdict(average: pd.DataFrame, tables: Sequence[str], contender: str) -> None:
    level, faster = 0, 0
    for name in tables:
        ours, theirs = average.loc[name, contender], average.loc[name, TVAE]
        behind = [
            f"{figure} by {abs(ours[figure] - theirs[figure]):.4f}"
            for figure, more_is_better in QUALITY.items()
            if (ours[figure] < theirs[figure]) == more_is_better and ours[figure] != theirs[figure]
        ]
        times = {
            kind: (ours[f"fit {kind}"] + ours[f"draw {kind}"], theirs[f"fit {kind}"] + theirs[f"draw {kind}"])
            for kind in ("wall", "CPU")
        }
        level += not behind
        faster += all(one < other for one, other in times.values())
        quality = f"NO, behind in {', '.join(behind)}" if behind else "yes"
        speed = ", ".join(f"{kind} {one / other:.2f}" for kind, (one, other) in times.items())
        print(f"{name}: at or above TVAE in quality: {quality}; time over TVAE's: {speed}")
    needed = max(1, len(tables) * 2 // 3)
    print(f"goal, quality at or above TVAE on {needed} of {len(tables)} tables: {yes(level >= needed)} ({level})")
    print(f"goal, faster than TVAE on all of them: {yes(faster == len(tables))} ({faster})")


def yes(met: bool) -> str:
    return "yes" if met else "NO"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="number of splits, seeds 0, 1, ...")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES), help="only these")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these contenders, such as sklae")
    parser.add_argument("--epochs", type=int, default=TVAE_EPOCHS, help="of TVAE")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where to save the figures of every fit")
    parser.add_argument("--peers", type=Path, metavar="FILE", help="the peers' figures, as --csv has written them")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # what other processes inherit
    print(versions(("numpy", "pandas", "scikit-learn", "torch", "skorch")))
    known = kept(arguments.peers)
    entered = contenders(2 if arguments.quick else arguments.epochs, known, quick=arguments.quick)
    unknown = set(arguments.only or ()) - set(entered)
    if unknown:
        parser.error(f"no contender {sorted(unknown)} among {list(entered)}")
    entered = {name: make for name, make in entered.items() if not arguments.only or name in arguments.only}
    with one_thread(), warnings.catch_warnings():
        if arguments.quick:
            warnings.simplefilter("ignore", ConvergenceWarning)
        n_seeds = 1 if arguments.quick else arguments.seeds
        found = run(entered, arguments.tables, n_seeds, known, quick=arguments.quick)
    print_verdicts(found)
    if arguments.csv:
        found.to_csv(arguments.csv, index=False)


if __name__ == "__main__":
    main()
