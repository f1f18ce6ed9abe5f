"""Do codes of tables with categories and gaps, straight from a file, hold what a classifier needs?

    python -m benchmarks.tables.classification [TABLE ...] [--width 8] [--seeds 3] [--rows 6000] [--quick]

Each table goes from `pandas.read_csv` into

    Pipeline([("ae", VAETransformer(n_components=WIDTH)), ("clf", LogisticRegression())])

with nothing in between: text, gaps and scales as they are in the file. Columns of free text and identifiers are not
read (`usecols`): sklae refuses them, and the line it refuses them with is printed. Beside it, on the same columns and
at equal width, skrub's `TableVectorizer`, imputed by means, standardised, then PCA; and the same without PCA, with all
columns, which is what there is to know. Random splits into 70 % of the rows to fit to and 30 % to judge by; of more
rows than `--rows` a random subset. Accuracy and, for two classes, the area under the ROC curve, means over seeds.

Then titanic and telco_churn with all their columns, through the two lines that the refusal asks for:

    make_pipeline(TableVectorizer(low_cardinality="passthrough"), VAETransformer(n_components=WIDTH), ...)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import TableVectorizer

from benchmarks.shared.data import folder
from benchmarks.shared.harness import measure, one_thread, print_table, versions
from sklae import VAETransformer

#: Table -> (its label, columns that are not read: free text, identifiers, what gives the label away).
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "adult": ("income", ("split",)),
    "titanic": ("survived", ("name", "ticket", "cabin")),
    "telco_churn": ("Churn", ("customerID",)),
    "german_credit": ("class", ()),
    "heart_disease": ("target", ()),
    "horse_colic": (
        "outcome",
        ("hospital_number", "surgical_lesion", "lesion_1", "lesion_2", "lesion_3", "cp_data"),
    ),
}
WITH_TEXT = ("titanic", "telco_churn")
OURS, THEIRS, EVERYTHING, NOTHING = "sklae VAE", "TableVectorizer + PCA", "all columns", "the largest class"
#: Called with a width and a seed.
Make = Callable[[int, int], Pipeline]


def classifier() -> Pipeline:
    """Return what reads codes; the same for all."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _vae(width: int, seed: int, **settings: Any) -> Pipeline:
    return Pipeline([("ae", VAETransformer(n_components=width, random_state=seed, **settings)), ("clf", classifier())])


def _numbers(*further: Any) -> Pipeline:
    return make_pipeline(TableVectorizer(), SimpleImputer(), StandardScaler(), *further, classifier())


def contenders(*, quick: bool = False) -> dict[str, Make]:
    settings = {"max_iter": 1} if quick else {}
    return {
        OURS: partial(_vae, **settings),
        THEIRS: lambda width, seed: _numbers(PCA(width, random_state=seed)),
        EVERYTHING: lambda width, seed: _numbers(),
        NOTHING: lambda width, seed: make_pipeline(DummyClassifier()),
    }


def with_remedy(*, quick: bool = False) -> dict[str, Make]:
    """Return those that take free text."""
    settings = {"max_iter": 1} if quick else {}
    first = TableVectorizer(low_cardinality="passthrough")
    those = contenders(quick=quick)
    ours = {OURS: lambda width, seed: make_pipeline(first, *_vae(width, seed, **settings).named_steps.values())}
    return {**ours, THEIRS: those[THEIRS], EVERYTHING: those[EVERYTHING]}


def read(name: str, *, every_column: bool = False) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table from its file, and its labels; rows without one are left out."""
    label, left_out = TABLES[name]
    skipped = () if every_column else left_out
    frame = pd.read_csv(folder() / "tables" / f"{name}.csv", usecols=lambda column: column not in skipped)
    frame = frame.dropna(subset=[label])
    y = frame.pop(label).to_numpy()
    return frame, y > 0 if name == "heart_disease" else y


class Figures(NamedTuple):
    """What a pipeline reaches on new rows, and what its fit took."""

    accuracy: float
    auroc: float
    cpu: float


def judge(make: Make, X: pd.DataFrame, y: np.ndarray, width: int, seed: int, n_rows: int) -> Figures:
    """Fit to some rows, judge by others."""
    chosen = np.random.RandomState(seed).permutation(len(X))[:n_rows]
    X, y = X.iloc[chosen], y[chosen]
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
    pipeline = make(width, seed)
    cost = measure(lambda: pipeline.fit(X_train, y_train))
    chances = pipeline.predict_proba(X_test)
    two = len(pipeline.classes_) == 2
    auroc = roc_auc_score(y_test, chances[:, 1]) if two else np.nan
    return Figures(float(pipeline.score(X_test, y_test)), float(auroc), cost.cpu)


def compare(title: str, names: list[str], those: dict[str, Make], *, every_column: bool, **settings: Any) -> None:
    n_seeds = settings.pop("n_seeds")
    rows = []
    for name in names:
        X, y = read(name, every_column=every_column)
        for contender, make in those.items():
            found = [judge(make, X, y, seed=seed, **settings) for seed in range(n_seeds)]
            accuracy, auroc, cpu = np.mean(found, axis=0)
            shown = "" if np.isnan(auroc) else f"{auroc:.3f}"
            rows.append([f"{name}, {X.shape[1]} columns", contender, f"{accuracy:.3f}", shown, cpu])
    print_table(title, ["table", "contender", "accuracy", "AUROC", "fit, CPU s"], rows)


def print_refusals(names: list[str]) -> None:
    for name in names:
        X, _ = read(name, every_column=True)
        try:
            VAETransformer(max_iter=1).fit(X)
        except ValueError as refusal:
            print(f"\n{name}, all columns: {refusal}")


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="only these tables")
    parser.add_argument("--width", type=int, default=8, help="number of codes, and of principal components")
    parser.add_argument("--seeds", type=int, default=3, help="number of splits, seeds 0, 1, ...")
    parser.add_argument("--rows", type=int, default=6000, help="at most so many of a table")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    unknown = set(arguments.tables) - set(TABLES)
    if unknown:
        parser.error(f"Got {sorted(unknown)}; expected some of {list(TABLES)}.")
    names = arguments.tables or list(TABLES)
    settings = {
        "width": arguments.width,
        "n_seeds": 1 if arguments.quick else arguments.seeds,
        "n_rows": 300 if arguments.quick else arguments.rows,
    }
    with_text = [name for name in names if name in WITH_TEXT]
    print(versions(("numpy", "pandas", "scikit-learn", "skrub", "torch")))
    with one_thread():
        title = f"straight from read_csv, {arguments.width} codes, means over {settings['n_seeds']} seed(s)"
        compare(title, names, contenders(quick=arguments.quick), every_column=False, **settings)
        if with_text:
            print_refusals(with_text)
            compare(
                "free text and all, by the remedy",
                with_text,
                with_remedy(quick=arguments.quick),
                every_column=True,
                **settings,
            )


if __name__ == "__main__":
    main()
