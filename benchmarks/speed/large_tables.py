"""How much memory and time does a table on disk take, beside the same kind of table in memory?

    python -m benchmarks.speed.large_tables [--rows 20000000] [--folder FOLDER]

Makes Parquet files of 30 columns (18 of numbers with gaps, 6 of integers, 6 of text) of so many rows, and of a million.
An `AutoencoderTransformer` is fitted for one epoch, its codes are written to Parquet, and rows are scored: with
`ParquetRows`, and the million rows from a frame, too, reading included; each in a process of its own. Prints seconds
per million rows, the largest resident memory, and the ratio of the two throughputs.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from benchmarks.shared.harness import versions
from sklae import AutoencoderTransformer
from sklae.sources import ParquetRows, to_parquet

_PART = 250_000
_IN_MEMORY = 1_000_000
_LEVELS = np.array([f"level {i:02d}" for i in range(12)])


def make_part(seed: int, n_rows: int) -> pa.Table:
    """Return rows whose columns depend on four hidden numbers."""
    rng = np.random.RandomState(seed)
    hidden = rng.normal(size=(n_rows, 4)).astype(np.float32)
    loadings = np.random.RandomState(0).normal(size=(4, 30)).astype(np.float32)
    noise = rng.normal(scale=0.5, size=(n_rows, 30)).astype(np.float32)
    columns = (hidden @ loadings + noise).T
    table = {}
    for i, column in enumerate(columns[:18]):
        numbers = np.round(column.astype(np.float64), 4)
        numbers[rng.uniform(size=n_rows) < 0.02] = np.nan
        table[f"number{i}"] = pa.array(numbers, from_pandas=True)
    for i, column in enumerate(columns[18:24]):
        table[f"integer{i}"] = pa.array(np.round(10 * column).astype(np.int32))
    for i, column in enumerate(columns[24:]):
        codes = np.clip(np.round(column + 6), 0, 11).astype(np.int32)
        table[f"text{i}"] = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(_LEVELS)).cast(pa.string())
    return pa.table(table)


def make_file(path: Path, n_rows: int) -> None:
    starts = range(0, n_rows, _PART)
    first = make_part(1, min(_PART, n_rows))
    with pyarrow.parquet.ParquetWriter(path, first.schema) as writer:
        for i, start in enumerate(starts):
            writer.write_table(make_part(i + 1, min(_PART, n_rows - start)))


def steps(read: Callable[[], Any], write: Callable[[Any, Any], Any]) -> dict[str, float]:
    """Return the seconds that fit, transform and score take."""
    model, seconds = AutoencoderTransformer(4, max_iter=1, early_stopping=False, random_state=0), {}

    def fit() -> None:
        model.fit(read())

    work = {"fit": fit, "transform": lambda: write(model, read()), "score": lambda: model.score(read())}
    for name, step in work.items():
        start = perf_counter()
        step()
        seconds[name] = perf_counter() - start
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, help="where files are made, and kept")
    parser.add_argument("--of", choices=["disk", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        measure(arguments.of, arguments.path)
        return
    print(versions())
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        throughput = {}
        for name, where, n_rows in (
            ("in memory", "memory", _IN_MEMORY),
            ("from disk", "disk", _IN_MEMORY),
            ("from disk", "disk", arguments.rows),
        ):
            path = folder / f"{n_rows}.parquet"
            if not path.exists():
                make_file(path, n_rows)
            command = [sys.executable, "-m", "benchmarks.speed.large_tables", "--of", where, "--path", str(path)]
            line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            *seconds, megabytes = map(float, line)
            throughput[where, n_rows] = n_rows / sum(seconds)
            each = ", ".join(
                f"{step} {1e6 * s / n_rows:.2f}" for step, s in zip(("fit", "transform", "score"), seconds, strict=True)
            )
            print(f"{n_rows:>12,} rows {name}: {each} s per million; at most {megabytes:,.0f} MB", flush=True)
        ratio = throughput["disk", arguments.rows] / throughput["memory", _IN_MEMORY]
        print(f"rows per second from disk over those in memory: {ratio:.2f}")


def measure(where: str, path: Path) -> None:
    """Print seconds of fit, transform and score, and the peak of resident memory in MB."""
    codes = path.with_suffix(".codes")
    if where == "disk":
        seconds = steps(lambda: ParquetRows(path), lambda model, rows: to_parquet(model.transform, rows, codes))
    else:
        seconds = steps(
            lambda: pd.read_parquet(path),
            lambda model, frame: pd.DataFrame(model.transform(frame), columns=list("abcd")).to_parquet(codes),
        )
    codes.unlink()
    print(*seconds.values(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
