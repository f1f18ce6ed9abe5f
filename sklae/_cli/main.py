"""``python -m sklae [TABLE]``: find the strange rows of a table, or show on small tables what sklae does."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import sklae
from sklae import plotting
from sklae._cli.findings import Findings, inspect, strangest_rows, write_scores
from sklae._cli.report import Picture, Report
from sklae._tables.columns import Columns

_N_PRINTED = 5
_N_LISTED = 20
# A long table is trained on for an epoch or two, which make no curve.
_LEAST_EPOCHS = 5
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}

_DESCRIPTION = """\
Find the strange rows of a table, and say which cells make them strange.

Without TABLE: a demonstration on tables that come with scikit-learn (needs no
network): outlier detection beside IsolationForest, held-out likelihood beside
PCA and FactorAnalysis, and pictures of a variational autoencoder at work."""

_EPILOG = """\
Numbers, text and other categories are taken as they are, gaps too; columns of
dates, of free text and of names are left out, and named. DIR gets report.html
(to read), scores.csv (a line per row of the table: its number, counted from 0,
score, decision, outlier or not, p-value, and why it is strange) and the
pictures.

examples:
  python -m sklae
  python -m sklae sensors.csv --drop id --contamination 0.02 --out sensors-report"""


class _Refusal(Exception):  # noqa: N818 - not a failure of the program
    """Something the user can mend: told in one line, exit status 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refusal(f"{message}. Run with --help for the options.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        The arguments; None means those of the process.

    Returns
    -------
    status : int
        0, or 2 if the input was refused.
    """
    try:
        options = _parse(argv)
        _check_writable(options.out)
        if options.table is None:
            demonstrate(options.out, options.contamination)
        else:
            _run_table(options.table, options.out, options.contamination, options.drop)
    except (_Refusal, OSError) as error:
        sys.stderr.write(f"sklae: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _say(text: str = "") -> None:
    """Write a line; a terminal that lacks a character of a column's name shows a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()


# -- arguments ------------------------------------------------------------------------------------------


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m sklae",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", nargs="?", type=Path, metavar="TABLE", help="a .csv, .tsv or .parquet file")
    parser.add_argument(
        "--contamination",
        type=_contamination,
        default="auto",
        metavar="SHARE",
        help="share of outliers among the rows, above 0 and up to 0.5; 'auto' (default) reads it from the scores",
    )
    parser.add_argument(
        "--drop", action="append", default=[], metavar="COLUMN", help="leave this column out; may be repeated"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("sklae-report"), metavar="DIR", help="folder to write (default: sklae-report)"
    )
    parser.add_argument("--version", action="version", version=f"sklae {sklae.__version__}")
    options = parser.parse_args(argv)
    if options.drop and options.table is None:
        parser.error("Got --drop without TABLE; expected a table to drop the column from")
    return options


def _contamination(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        share = float(text)
    except ValueError:
        share = np.nan
    if not 0.0 < share <= 0.5:
        raise argparse.ArgumentTypeError(f"Got {text!r}; expected 'auto' or a number above 0 and up to 0.5")
    return share


def _check_writable(out: Path) -> None:
    """Refuse a folder that cannot be written, before any work."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise _Refusal(f"Got --out {out}, but {place} is a file; expected a folder. Choose another --out.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _Refusal(f"Got --out {out}, but {place} is not writable. Choose another --out.")


# -- the demonstration ----------------------------------------------------------------------------------


def demonstrate(
    out: Path, contamination: float | str = "auto", *, max_iter: int | str = "auto", n_draws: int = 3
) -> None:
    """Run the demonstration and write its report.

    Parameters
    ----------
    out : Path
        The folder to write.
    contamination : "auto" or float, default="auto"
    max_iter : int or "auto", default="auto"
        Most epochs of a variational autoencoder.
    n_draws : int, default=3
        How often the outliers of a table are drawn.
    """
    if find_spec("pandas") is None:
        raise _Refusal('The demonstration needs pandas. Run: pip install "sklae[plot,tables]"')
    from sklae._cli.demo import demo_pictures, run_demo  # brings torch: --help and refusals must not wait for it

    report, found = run_demo(_say, contamination=contamination, max_iter=max_iter, n_draws=n_draws)
    _add_pictures(report, lambda: demo_pictures(found, max_iter=max_iter))
    _write(report, found, out)


# -- the user's table -----------------------------------------------------------------------------------


def _run_table(path: Path, out: Path, contamination: float | str, drop: Sequence[str]) -> None:
    frame, remarks = _usable_part(_read(path), drop)
    size = _size(frame)
    _say(f"{path.name}: {size}")
    for remark in remarks:
        _say(remark)
    try:
        found = inspect(frame, list(frame.columns), contamination=contamination)
    except ValueError as error:  # what the estimator refuses, in its own words
        raise _Refusal(str(error)) from error
    strangest = strangest_rows(found)
    told = found.told()
    _say("\n".join([*told, "", strangest.text(_N_PRINTED)]))
    report = Report(f"Strange rows of {path.name}", [f"{size}.", *remarks, *told], [strangest])
    _add_pictures(report, lambda: _detector_pictures(found))
    _write(report, found, out)


def _read(path: Path) -> Any:
    """Read a table as a pandas frame."""
    kind = _SUFFIXES.get(path.suffix.lower())
    if not path.is_file():
        raise _Refusal(f"Got {str(path)!r}, which is no file; expected a table. Check the path.")
    if kind is None:
        raise _Refusal(f"Got {path.name!r}; expected a file named {', '.join(_SUFFIXES)}. Save the table as CSV.")
    try:
        import pandas as pd

        if kind == "parquet":
            frame = pd.read_parquet(path)
        else:  # low_memory reads a column in parts, and warns where their types differ
            frame = pd.read_csv(path, low_memory=False, **_csv_dialect(path))
    except ImportError as error:
        raise _Refusal(f'Reading {path.name} needs pandas and pyarrow. Run: pip install "sklae[tables]"') from error
    except ValueError as error:  # parsers' and decoders' errors; pyarrow's too
        if path.stat().st_size > 0:
            raise _Refusal(f"Got {path.name}, which is not readable as {kind} in UTF-8: {error}") from error
        raise _Refusal(f"Got {path.name}, an empty file; expected a table with a line of column names.") from error
    if len(frame) < 2:
        raise _Refusal(f"Got {path.name}, a table of {len(frame)} rows; expected at least 2. Nothing to compare.")
    return frame


def _csv_dialect(path: Path) -> dict[str, str]:
    """Guess separator and decimal mark from the first two lines."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header, first = file.readline(), file.readline()
    separator = max(",;\t|", key=header.count)
    return {"sep": separator, "decimal": "," if separator != "," and "," in first and "." not in first else "."}


def _usable_part(frame: Any, drop: Sequence[str]) -> tuple[Any, list[str]]:
    """Return the columns of a frame that a detector takes, and remarks on what was left out."""
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    unknown = [name for name in drop if name not in frame.columns]
    if unknown:
        raise _Refusal(f"Got --drop {unknown[0]!r}; expected one of the columns: {_listed(frame.columns)}.")
    frame = frame.drop(columns=list(drop))
    empty = frame.isna().all().to_numpy(dtype=bool)
    wrong = np.array([not _is_usable(frame.iloc[:, [i]]) for i in range(frame.shape[1])], dtype=bool) & ~empty
    left_out = {"as they are neither numbers nor categories": wrong, "as every value is missing": empty}
    remarks = [f"Left out, {why}: {_listed(frame.columns[left])}." for why, left in left_out.items() if left.any()]
    usable = frame.loc[:, ~wrong & ~empty]
    _check_usable(usable, remarks)
    return usable, remarks


def _is_usable(column: Any) -> bool:
    """Return whether a frame of a single column holds numbers or categories."""
    try:
        Columns.fit(column)
    except ValueError:
        return False
    return True


def _size(frame: Any) -> str:
    n_numeric = frame.select_dtypes("number").shape[1]
    n_others = frame.shape[1] - n_numeric
    categories = f" and {n_others} of categories" if n_others else ""
    return f"{len(frame):,} rows, {n_numeric} numeric columns{categories}"


def _listed(names: Sequence[str]) -> str:
    """Return names, as many as a line can hold."""
    more = f" and {len(names) - _N_LISTED} more" if len(names) > _N_LISTED else ""
    return ", ".join(names[:_N_LISTED]) + more


def _check_usable(frame: Any, remarks: Sequence[str]) -> None:
    if not frame.shape[1]:
        raise _Refusal(f"Got a table without usable columns; expected numbers or categories. {' '.join(remarks)}")
    numbers = frame.select_dtypes("number")
    is_infinite = np.isinf(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any(axis=0)
    if is_infinite.any():
        raise _Refusal(
            f"Got infinite values in {_listed(numbers.columns[is_infinite])}; expected numbers or gaps. Empty those "
            "cells, or use --drop."
        )
    if (frame.nunique() <= 1).all():
        raise _Refusal(
            f"Got a constant table: one value in each of {frame.shape[1]} columns; expected one that varies."
        )


# -- pictures and files --------------------------------------------------------------------------------


def _detector_pictures(found: Findings) -> Iterator[Picture]:
    yield Picture.of(
        "score_histogram.png",
        "How surprising the rows are, in nats; right of the threshold are the outliers.",
        plotting.score_histogram(found.scores, found.detector.offset_),
    )
    if len(found.detector.autoencoder_.loss_curve_) >= _LEAST_EPOCHS:
        yield Picture.of(
            "training_curve.png",
            "The loss of the autoencoder over its epochs.",
            plotting.training_curve(found.detector),
        )


def _add_pictures(report: Report, draw: Callable[[], Iterator[Picture]]) -> None:
    """Draw, or say why not: a report without pictures is better than none."""
    try:
        report.pictures.extend(draw())
    except ImportError as error:
        _say(f"\nNo pictures: {error}")


def _write(report: Report, found: Findings, out: Path) -> None:
    """Write everything aside first, so that no half-written folder is ever seen."""
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".sklae-") as scratch:
        report.write(Path(scratch))
        write_scores(Path(scratch, "scores.csv"), found)
        out.mkdir(exist_ok=True)
        written = sorted(path.name for path in Path(scratch).iterdir())
        for name in written:
            os.replace(Path(scratch, name), out / name)
    _say(f"\nWritten to {out}: {', '.join(written)}")
