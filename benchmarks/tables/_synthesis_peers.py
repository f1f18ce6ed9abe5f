"""Peers that make up rows: CTGAN's TVAE, in an environment of its own, a Gaussian copula, and shuffled columns.

`synthesis.py` runs this module to fit TVAE, with the Python that has ctgan.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmarks.shared.harness import Cost, measure, one_thread

__all__ = ["TVAE_EPOCHS", "Copula", "Made", "Shuffle", "run_tvae", "side_python", "tvae_version"]

TVAE_EPOCHS = 300  # ctgan's own default

_GAP = "(missing)"
_HAS_GAP = " (is missing)"


class Made(NamedTuple):
    """Synthetic rows, and what they took."""

    rows: pd.DataFrame
    fit: Cost
    sample: Cost


# -- simple ones ----------------------------------------------------------------------------------------


class Copula:
    """A Gaussian copula: normal scores of ranks, their correlations, and each column's own values for ranks again.

    A gap ranks below all numbers; categories rank by frequency. Ties are ranked at random, which spreads a level
    evenly over its share of the ranks.
    """

    def fit(self, table: pd.DataFrame, seed: int) -> Copula:
        rng = np.random.RandomState(seed)
        n = len(table)
        orders = [np.lexsort((rng.random_sample(n), _rank_keys(column))) for _, column in table.items()]
        scores = np.empty(table.shape)
        for i, order in enumerate(orders):
            scores[order, i] = norm.ppf((np.arange(n) + 0.5) / n)
        self.correlation_ = np.corrcoef(scores, rowvar=False)
        self.sorted_ = [table[name].iloc[order] for name, order in zip(table.columns, orders, strict=True)]
        return self

    def sample(self, n_samples: int, seed: int) -> pd.DataFrame:
        rng = np.random.RandomState(seed)
        scores = rng.multivariate_normal(np.zeros(len(self.sorted_)), self.correlation_, n_samples)
        n = len(self.sorted_[0])
        places = np.minimum((norm.cdf(scores) * n).astype(int), n - 1)
        picked = [column.iloc[place] for column, place in zip(self.sorted_, places.T, strict=True)]
        return pd.concat([column.reset_index(drop=True) for column in picked], axis=1)


class Shuffle:
    """Columns that know nothing of each other."""

    def fit(self, table: pd.DataFrame, seed: int) -> Shuffle:
        self.table_ = table
        return self

    def sample(self, n_samples: int, seed: int) -> pd.DataFrame:
        rng = np.random.RandomState(seed)
        picked = {name: column.iloc[rng.randint(len(column), size=n_samples)] for name, column in self.table_.items()}
        return pd.DataFrame({name: column.reset_index(drop=True) for name, column in picked.items()})


def _rank_keys(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column):
        return column.fillna(-np.inf).to_numpy(dtype=float)
    column = column.astype(object).fillna(_GAP)
    return column.map({level: -i for i, level in enumerate(column.value_counts().index)}).to_numpy(dtype=float)


# -- TVAE -----------------------------------------------------------------------------------------------


def side_python() -> str | None:
    """Return the interpreter that has ctgan, as SKLAE_SIDE_PYTHON names it, or None."""
    python = os.environ.get("SKLAE_SIDE_PYTHON")
    return python if python and tvae_version(python) else None


def tvae_version(python: str) -> str:
    """Return ctgan's version, "" where it isn't installed."""
    ask = "import importlib.metadata as m; print(m.version('ctgan'))"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def run_tvae(python: str, table: pd.DataFrame, n_samples: int, seed: int, n_epochs: int) -> Made:
    """Fit TVAE in another process and return its rows; what the process takes to start is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        told, discrete = _with_gaps_told(table)
        told.to_pickle(Path(folder, "train.pkl"))
        job = {"n_samples": n_samples, "seed": seed, "n_epochs": n_epochs, "discrete": discrete}
        Path(folder, "job.json").write_text(json.dumps(job))
        done = subprocess.run([python, "-m", __name__, folder], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"TVAE failed: {done.stderr[-2000:]}")
        fit, sample = (Cost(**cost) for cost in json.loads(Path(folder, "costs.json").read_text()))
        rows = pd.read_pickle(Path(folder, "rows.pkl"))
    return Made(_with_gaps_back(rows, table), fit, sample)


def _with_gaps_told(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a table without gaps, and its discrete columns: TVAE knows no missing values.

    Text becomes plain objects, which any version of pandas reads, with or without pyarrow.
    """
    table, discrete = table.copy(), []
    table.columns = table.columns.astype(object)
    for name in list(table.columns):
        if not pd.api.types.is_numeric_dtype(table[name]):
            table[name] = table[name].astype(object).fillna(_GAP).astype(object)
            discrete.append(name)
            continue
        if table[name].nunique() == 2 and not table[name].isna().any():
            discrete.append(name)
        if table[name].isna().any():
            table[name + _HAS_GAP] = table[name].isna().map({True: "yes", False: "no"}).astype(object)
            table[name] = table[name].fillna(table[name].mean())
            discrete.append(name + _HAS_GAP)
    return table, discrete


def _with_gaps_back(rows: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    for name in like.columns:
        if name + _HAS_GAP in rows:
            rows.loc[rows.pop(name + _HAS_GAP) == "yes", name] = np.nan
        elif not pd.api.types.is_numeric_dtype(like[name]):
            rows[name] = rows[name].where(rows[name] != _GAP, None)
        rows[name] = rows[name].astype(like[name].dtype)
    return rows[list(like.columns)]


def _fit_tvae(folder: Path) -> None:
    """Do the job in the folder."""
    from ctgan import TVAE

    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    table = pd.read_pickle(folder / "train.pkl")
    model = TVAE(epochs=job["n_epochs"], enable_gpu=False)
    model.set_random_state(job["seed"])
    drawn: list[pd.DataFrame] = []
    with one_thread():
        costs = [
            measure(lambda: model.fit(table, job["discrete"])),
            measure(lambda: drawn.append(model.sample(job["n_samples"]))),
        ]
    drawn[0].to_pickle(folder / "rows.pkl")
    (folder / "costs.json").write_text(json.dumps([vars(cost) for cost in costs]))


if __name__ == "__main__":
    _fit_tvae(Path(sys.argv[1]))
