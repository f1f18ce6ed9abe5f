"""What sklae's detector takes, beside PyOD's: `detection.py --times` and `--large`.

Run as a module, it measures one fit in a process of its own:

    python -m benchmarks.outliers._costs CONTENDER TABLE N_ROWS
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import psutil
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.outliers._protocol import (
    SKLAE,
    Make,
    Task,
    anomalies,
    judge,
    load,
    peers,
    prepare,
    settings_of,
    sklae,
    split_table,
    warm_up,
)
from benchmarks.shared.data import adbench
from benchmarks.shared.harness import interleave, measure, median, one_thread, peak_memory, print_table

__all__ = ["compare_times", "print_large"]

PYOD = "AutoEncoder"
LARGE = {"16_http": ("GMM", "IForest", PYOD), "17_InternetAds": ("GMM", "IForest", PYOD)}
N_REPEATS, MIN_ROWS = 3, 1_000


# -- time of fit and scores, table by table -------------------------------------------------------------


def compare_times(tables: Sequence[str], *, quick: bool) -> None:
    """Print medians of the CPU seconds of fit and score, in turns, of every table of more than 1,000 rows."""
    contenders: dict[str, Make] = {SKLAE: sklae(), **peers([PYOD])}
    chosen = [table for table in tables if quick or len(load(table)[0]) > MIN_ROWS]
    with one_thread():
        warm_up(contenders.values())
        rows = [_time(contenders, table, setting) for table in chosen for setting in settings_of(table)]
    title = f"fit and score, CPU seconds, one thread, medians of {N_REPEATS} in turns"
    print_table(title, ["table", "setting", "rows", "columns", *contenders, f"/ {PYOD}", ""], rows)
    if PYOD in contenders:
        slower = [f"{row[0]} {row[1]}" for row in rows if row[-1]]
        print(f"sklae is slower on {len(slower)} of {len(rows)}: {', '.join(slower) or 'none'}")


def _time(contenders: dict[str, Make], table: str, setting: str) -> list[Any]:
    task = prepare(split_table(table, 0), setting)
    costs = interleave({name: partial(judge, make, task, 0) for name, make in contenders.items()}, N_REPEATS)
    seconds = {name: median(found).cpu for name, found in costs.items()}
    ratio = seconds[SKLAE] / seconds[PYOD] if PYOD in seconds else None
    slower = "SLOWER" if ratio is not None and ratio > 1.0 else ""
    return [table, setting, *task.X_train.shape, *seconds.values(), ratio, slower]


# -- seconds and memory of the largest tables -----------------------------------------------------------


def print_large(*, quick: bool) -> None:
    """Print what a fit to all rows and their scores take, each in a process of its own."""
    for table, names in LARGE.items():
        X, _ = adbench(table)
        n_rows = min(1_000, len(X)) if quick else len(X)
        rows = [_row(name, table, n_rows) for name in (SKLAE, *peers(names))]
        title = f"{table}: fitted to all {n_rows:,} rows, unlabelled, and scoring them; {X.shape[1]} columns"
        header = ["detector", "fit s", "fit CPU s", "score s", "score CPU s", "AUROC", "AP", "peak MB", "added MB", ""]
        print_table(title, header, rows)


def _row(name: str, table: str, n_rows: int) -> list[Any]:
    """Return what a fit in a fresh process took."""
    done = subprocess.run([sys.executable, "-m", __name__, name, table, str(n_rows)], capture_output=True, text=True)
    if done.returncode != 0:
        return [name, *[None] * 8, f"failed: {(done.stderr.strip() or 'killed').splitlines()[-1][:100]}"]
    return [name, *json.loads(done.stdout.splitlines()[-1]), ""]


def measure_large(name: str, table: str, n_rows: int) -> list[float | None]:
    """Return seconds, wall and CPU, of fit and of score, AUROC, AP, and megabytes: at the peak, and added by both."""
    make = sklae() if name == SKLAE else peers([name])[name]
    X, y = adbench(table)
    chosen = np.sort(np.random.RandomState(0).permutation(len(X))[:n_rows])
    X, y = StandardScaler().fit_transform(X[chosen]), y[chosen]
    few = X[: min(len(X), 200)]
    judge(make, Task(few, few, np.arange(len(few)) % 2), 0)  # what libraries do once
    detector, scores = make(0), []
    before = psutil.Process().memory_info().rss

    def run() -> list[Any]:
        return [measure(lambda: detector.fit(X)), measure(lambda: scores.append(anomalies(detector, X)))]

    costs, peak = peak_memory(run)
    memory = [None, None] if peak is None else [(before + peak) / 1e6, peak / 1e6]
    quality = [roc_auc_score(y, scores[0]), average_precision_score(y, scores[0])] if y.any() else [None, None]
    return [*(seconds for cost in costs for seconds in (cost.wall, cost.cpu)), *quality, *memory]


if __name__ == "__main__":
    contender, large_table, n = sys.argv[1:]
    with one_thread():
        print(json.dumps(measure_large(contender, large_table, int(n))))
