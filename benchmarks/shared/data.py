"""Public data sets from a folder beside the repository, or wherever SKLAE_DATA points."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

__all__ = [
    "Split",
    "adbench",
    "adbench_names",
    "folder",
    "inked",
    "mnist",
    "numbers",
    "odbench",
    "odbench_names",
    "practical",
    "table",
]

#: Table -> (the column that is its label, columns that are no numbers to be fitted on).
_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "adult": ("income", ("split",)),
    "california_housing": ("median_house_value", ("ocean_proximity",)),
    "letter_recognition": ("letter", ()),
    "wine_quality_red": ("quality", ()),
    "wine_quality_white": ("quality", ()),
}


class Split(NamedTuple):
    """Rows to fit on and rows to judge by, with their labels."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


def folder() -> Path:
    """Return the folder of the data sets."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    found = Path(os.environ.get("SKLAE_DATA", beside))
    if not found.is_dir():
        raise SystemExit(f"No data in {found}. Point the environment variable SKLAE_DATA to their folder.")
    return found


def mnist(n_train: int, n_test: int, seed: int = 0) -> Split:
    """Return random training and test images, (n, 784), grey in [0, 1], float32."""
    rng = np.random.RandomState(seed)
    with np.load(folder() / "images" / "mnist.npz") as data:
        rows = {"train": rng.permutation(60_000)[:n_train], "test": rng.permutation(10_000)[:n_test]}
        X = {part: data[f"X_{part}"][rows[part]].reshape(len(rows[part]), -1) for part in rows}
        y = {part: data[f"y_{part}"][rows[part]].astype(np.int64) for part in rows}
    grey = {part: X[part].astype(np.float32) / 255.0 for part in X}
    return Split(grey["train"], grey["test"], y["train"], y["test"])


def inked(data: Split) -> Split:
    """Leave out the pixels that are blank in all training images: sklae counts no constant columns, peers do."""
    there = data.X_train.max(axis=0) > 0
    return data._replace(X_train=data.X_train[:, there], X_test=data.X_test[:, there])


def table(name: str, n_rows: int | None = None, test_size: float = 1 / 3, seed: int = 0) -> Split:
    """Return the numeric columns of a table, split at random; rows with a missing value are left out.

    Parameters
    ----------
    name : str
    n_rows : int or None, default=None
        Of more rows a random subset of so many.
    test_size : float, default=1/3
    seed : int, default=0
        Of the subset and the split.
    """
    label, others = _TABLES[name]
    frame = pd.read_csv(folder() / "tables" / f"{name}.csv")
    features = frame.drop(columns=[label, *others]).select_dtypes("number").dropna()
    y = frame.loc[features.index, label].to_numpy()
    X = features.to_numpy(dtype=np.float64)
    chosen = np.random.RandomState(seed).permutation(len(X))[:n_rows]
    return Split(*train_test_split(X[chosen], y[chosen], test_size=test_size, random_state=seed))


def numbers(name: str, n_rows: int | None = None, seed: int = 0) -> pd.DataFrame:
    """Return all numeric columns of a table, its label among them; rows with a missing value are left out.

    Parameters
    ----------
    name : str
    n_rows : int or None, default=None
        Of more rows a random subset of so many.
    seed : int, default=0
        Of the subset.
    """
    mostly_missing = {"air_quality": ["NMHC(GT)"]}
    frame = pd.read_csv(folder() / "tables" / f"{name}.csv").drop(columns=mostly_missing.get(name, []))
    frame = frame.select_dtypes("number").dropna().astype(np.float64)
    return frame.iloc[np.random.RandomState(seed).permutation(len(frame))[:n_rows]].reset_index(drop=True)


def adbench_names() -> list[str]:
    """Return the names of ADBench's tables that are there, by their numbers."""
    names = [path.stem for path in (folder() / "adbench").glob("*.npz")]
    return sorted(names, key=lambda name: int(name.split("_")[0]))


def adbench(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of one of ADBench's tables in float64, and 1 for each that is an outlier."""
    return _labelled("adbench", name)


def odbench_names() -> list[str]:
    """Return the names of the tables of ODDBench and OvRBench that are there, in order."""
    return sorted(path.stem for path in (folder() / "odbench").glob("*.npz"))


def odbench(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a table of ODDBench or OvRBench in float64, and 1 for each that is an outlier."""
    return _labelled("odbench", name)


def _labelled(collection: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder() / collection / f"{name}.npz") as data:
        return data["X"].astype(np.float64), data["y"].astype(np.int64)


def practical(name: str) -> pd.DataFrame:
    """Return a table of those that tutorials use."""
    return pd.read_csv(folder() / "practical" / f"{name}.csv")
