"""What tutorials of outlier detection do: images of one digit, a made-up cloud, network attacks, failing machines.

    python -m benchmarks.outliers.tasks [--seeds 3] [--only NAME ...] [--quick]

- *digit 1, 4, 8*: fitted to 3,000 MNIST images of a digit (784 columns); 800 test images of it and 200 of others.
- *cloud, spread* and *cloud, shifted*: 1,000 rows of a correlated normal distribution of 10 columns, and 50 outliers:
  uniform over the box of the others, or of the same distribution but shifted by 3 standard deviations in two
  columns. Fitted to all 1,050 rows, unlabelled, which are also the rows that are scored: sklae recognises them, and
  judges each as if it had been left out.
- *NSL-KDD*: fitted to the 13,449 normal connections of the 20 % training file, 22,544 connections of the test file;
  numeric columns but for `difficulty` and those that are constant. Attacks are the outliers: more than half of the
  rows, unlike in most uses of a detector.
- *AI4I 2020*: five sensors of 10,000 machines, of which 3.4 % fail; stratified 70/30 split, fitted to all of the 70 %.
- *NSL-KDD, with text* and *AI4I 2020, with text*: the same connections with protocol (3 levels), service (66) and flag
  (11), the same machines with their type (3), as `read_csv` gives them. The columns that give the label away are left
  out: `difficulty`; the modes of failure; and what only identifies a machine. sklae takes the frame, peers its numbers
  standardised and its text one-hot; sklae on numbers alone and on one-hot columns beside. After it, which cells
  are to blame in an outlier or two.

One configuration for all: sklae's default, and `support_fraction=1.0` where the rows to fit on are clean; PyOD's
AutoEncoder, VAE, IForest and KNN (LOF for tables with text) with their defaults. `StandardScaler` on the training part
for every contender but sklae on frames, no labels in fit. Means over seeds, of the detectors and of all draws; CPU
seconds of fit and score, one thread. AUROC is .5 for a guess, average precision (AP) the share of outliers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.outliers._protocol import (
    CLEAN_SWITCH,
    SKLAE,
    Figures,
    Make,
    Task,
    anomalies,
    judge,
    peers,
    sklae,
    standardize,
    warm_up,
)
from benchmarks.shared.data import folder, practical
from benchmarks.shared.harness import one_thread, print_table, versions

PEERS = ("AutoEncoder", "VAE", "IForest", "KNN")
PEERS_WITH_TEXT = ("IForest", "KNN", "LOF")
SENSORS = [
    "Air temperature [K]",
    "Process temperature [K]",
    "Rotational speed [rpm]",
    "Torque [Nm]",
    "Tool wear [min]",
]


# -- tasks: seed and the most rows to fit on -> rows ----------------------------------------------------


def digit(wanted: int, seed: int, n_rows: int) -> Task:
    rng = np.random.RandomState(seed)
    images, labels = _mnist()
    train, test, others = (
        rng.permutation(np.flatnonzero(labels[part] == wanted if same else labels[part] != wanted))[:n]
        for part, same, n in (("train", True, n_rows), ("test", True, 800), ("test", False, 200))
    )
    X_test = images["test"][np.concatenate([test, others])] / 255.0
    return standardize(images["train"][train] / 255.0, X_test, np.repeat([0, 1], [len(test), len(others)]))


@cache
def _mnist() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    with np.load(folder() / "images" / "mnist.npz") as data:
        images = {part: data[f"X_{part}"].reshape(len(data[f"X_{part}"]), -1) for part in ("train", "test")}
        return images, {part: data[f"y_{part}"].astype(np.int64) for part in ("train", "test")}


def cloud(kind: str, seed: int, n_rows: int, n_columns: int = 10) -> Task:
    rng = np.random.RandomState(seed)
    mixing = rng.standard_normal((3, n_columns))

    def draw(n: int) -> np.ndarray:
        return rng.standard_normal((n, 3)) @ mixing + 0.5 * rng.standard_normal((n, n_columns))

    n_normal = min(1_000, n_rows)
    n_outliers = n_normal // 20
    X = draw(n_normal)
    if kind == "spread":
        strange = rng.uniform(X.min(axis=0), X.max(axis=0), (n_outliers, n_columns))
    else:
        strange = draw(n_outliers)
        columns = rng.choice(n_columns, 2, replace=False)
        strange[:, columns] += 3 * X.std(axis=0)[columns]
    X = np.concatenate([X, strange])
    return standardize(X, X, np.repeat([0, 1], [n_normal, n_outliers]))


def attacks(seed: int, n_rows: int) -> Task:
    task = attacks_with_text(seed, n_rows)
    numeric = task.X_train.select_dtypes("number").columns
    return standardize(_rows(task.X_train[numeric]), _rows(task.X_test[numeric]), task.y_test)


def attacks_with_text(seed: int, n_rows: int) -> Task:
    del seed  # the files are the split
    train, test = practical("nsl_kdd_train20"), practical("nsl_kdd_test")
    train = train[train.attack == "normal"]
    features = train.drop(columns=["attack", "difficulty"])
    columns = features.columns[features.nunique() > 1]
    return Task(train[columns][:n_rows], test[columns], (test.attack != "normal").to_numpy(np.int64))


def machines(seed: int, n_rows: int, *, with_text: bool = False) -> Task:
    frame = practical("ai4i2020")
    X, y = frame[["Type", *SENSORS] if with_text else SENSORS], frame["Machine failure"].to_numpy()
    X_train, X_test, _, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    return (
        Task(X_train[:n_rows], X_test, y_test)
        if with_text
        else standardize(_rows(X_train[:n_rows]), _rows(X_test), y_test)
    )


def _rows(frame: pd.DataFrame) -> np.ndarray:
    return frame.to_numpy(np.float64)


#: Name -> whether the rows to fit on are clean, the most of them, and what makes the task.
TASKS: dict[str, tuple[bool, int, Callable[[int, int], Task]]] = {
    "digit 1": (True, 3_000, lambda seed, n: digit(1, seed, n)),
    "digit 4": (True, 3_000, lambda seed, n: digit(4, seed, n)),
    "digit 8": (True, 3_000, lambda seed, n: digit(8, seed, n)),
    "cloud, spread": (False, 1_000, lambda seed, n: cloud("spread", seed, n)),
    "cloud, shifted": (False, 1_000, lambda seed, n: cloud("shifted", seed, n)),
    "NSL-KDD": (True, 20_000, attacks),
    "AI4I 2020": (False, 20_000, machines),
}
#: The same of tables with text, as frames.
TASKS_WITH_TEXT: dict[str, tuple[bool, int, Callable[[int, int], Task]]] = {
    "NSL-KDD, with text": (True, 20_000, attacks_with_text),
    "AI4I 2020, with text": (False, 20_000, partial(machines, with_text=True)),
}


# -- a frame as contenders take it ------------------------------------------------------------------------


def as_it_is(task: Task) -> Task:
    return task


def numbers_alone(task: Task) -> Task:
    columns = task.X_train.select_dtypes("number").columns
    return task._replace(X_train=task.X_train[columns], X_test=task.X_test[columns])


def one_hot(task: Task) -> Task:
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_column_selector(dtype_include="number")
    encoder = make_column_transformer((StandardScaler(), numbers), remainder=levels).fit(task.X_train)
    return task._replace(X_train=encoder.transform(task.X_train), X_test=encoder.transform(task.X_test))


#: What makes a contender, and the task as it takes it.
Contender = tuple[Make, Callable[[Task], Task]]


def contenders_with_text(*, clean: bool) -> dict[str, Contender]:
    best = sklae(support_fraction=1.0) if clean else sklae()
    found: dict[str, Contender] = {SKLAE: (sklae(), as_it_is)}
    if clean:
        found[CLEAN_SWITCH] = (best, as_it_is)
    found |= {"sklae, numbers alone": (best, numbers_alone), "sklae, one-hot": (best, one_hot)}
    return found | {f"{name}, one-hot": (make, one_hot) for name, make in peers(PEERS_WITH_TEXT).items()}


# -- running and printing -------------------------------------------------------------------------------


def compare(name: str, contenders: dict[str, Contender], n_seeds: int, *, quick: bool) -> None:
    clean, n_rows, make_task = (TASKS | TASKS_WITH_TEXT)[name]
    found: dict[str, list[Figures]] = {}
    for seed in range(n_seeds):
        task = make_task(seed, 200 if quick else n_rows)
        for contender, (make, view) in contenders.items():
            if clean or contender != CLEAN_SWITCH:
                found.setdefault(contender, []).append(judge(make, view(task), seed))
    n_fit, n_columns = task.X_train.shape
    title = (
        f"{name}: fitted to {n_fit:,} x {n_columns}, {'clean' if clean else 'contaminated'}; "
        f"{len(task.X_test):,} rows scored, {task.y_test.mean():.1%} of them outliers; {n_seeds} seed(s)"
    )
    print_table(title, ["detector", "AUROC", "± SD", "AP", "± SD", "CPU s", ""], [row(*each) for each in found.items()])
    print_verdict(found)
    if name in TASKS_WITH_TEXT:
        print_reasons(task, contenders[CLEAN_SWITCH if clean else SKLAE][0])


def print_reasons(task: Task, make: Make, n_looked_at: int = 200) -> None:
    """Print which cells are to blame in the strangest outlier, and in the first one with a level to blame."""
    detector = make(0).fit(task.X_train)
    outliers = task.X_test[task.y_test == 1]
    order = np.argsort(-anomalies(detector, outliers), kind="stable")[:: max(1, len(outliers) // n_looked_at)]
    terms, expected = detector.explain(outliers.iloc[order], return_expected=True)
    has_level = np.flatnonzero(~terms.idxmax(axis=1).isin(outliers.select_dtypes("number").columns))
    for place in dict.fromkeys([0, *has_level[:1].tolist()]):
        why = terms.iloc[place].sort_values(ascending=False)[:3]
        row = outliers.iloc[order[place]]
        cells = (
            f"{name} = {_short(row[name])}, expected {_short(expected[name].iloc[place])} ({part:.1f})"
            for name, part in why.items()
        )
        print(f"an outlier, anomaly {terms.iloc[place].sum():.1f}: {'; '.join(cells)}")


def _short(cell: float | str) -> str:
    return cell if isinstance(cell, str) else f"{cell:.4g}"


def row(name: str, found: list[Figures]) -> list[str | float | None]:
    failures = [each.failure for each in found if each.failure]
    cells: list[str | float | None] = [name]
    for values in ([each.auroc for each in found], [each.ap for each in found]):
        cells += [f"{np.mean(values):.3f}", f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else None]
    return [*cells, float(np.mean([each.cpu for each in found])), f"failed: {failures[0][:80]}" if failures else ""]


def print_verdict(found: dict[str, list[Figures]]) -> None:
    """Print which peers are not below sklae, by measure."""
    for measure in ("auroc", "ap"):
        mean = {name: float(np.mean([getattr(each, measure) for each in figures])) for name, figures in found.items()}
        for ours in (SKLAE, CLEAN_SWITCH):
            if ours in mean:
                rivals = {name: value for name, value in mean.items() if name not in (SKLAE, CLEAN_SWITCH)}
                if not rivals:
                    return
                ahead = [f"{name} by {value - mean[ours]:.3f}" for name, value in rivals.items() if value >= mean[ours]]
                print(f"{ours}, {measure.upper()}: {'NOT above ' + ', '.join(ahead) if ahead else 'above every peer'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of fits of each, seeds 0, 1, ...")
    names = [*TASKS, *TASKS_WITH_TEXT]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="only these tasks")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "pyod")))
    makes = {SKLAE: sklae(), CLEAN_SWITCH: sklae(support_fraction=1.0), **peers(PEERS)}
    of_numbers: dict[str, Contender] = {name: (make, as_it_is) for name, make in makes.items()}
    with one_thread():
        warm_up(makes.values())
        for name in arguments.only:
            with_text = name in TASKS_WITH_TEXT
            contenders = contenders_with_text(clean=TASKS_WITH_TEXT[name][0]) if with_text else of_numbers
            compare(name, contenders, 1 if arguments.quick else arguments.seeds, quick=arguments.quick)


if __name__ == "__main__":
    main()
