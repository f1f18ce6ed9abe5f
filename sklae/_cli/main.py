"""``python -m sklae [TABLE]``: find the strange rows of a table, compress one, or show what sklae does."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import sklae
from sklae._cli.columns import Usable
from sklae._cli.compression import VERBS, add_arguments, run_compression
from sklae._cli.files import read_table
from sklae._cli.findings import Findings, finding_pictures, inspect, load_libraries, strangest_rows, write_scores
from sklae._cli.folder import ReportFolder
from sklae._cli.report import Picture, Report
from sklae._cli.words import Refusal, shown
from sklae.exceptions import InterruptedFitWarning

_N_PRINTED = 5
# Characters of a line about an error.
_LONGEST_LINE = 3_000
_REFUSED, _INTERRUPTED = 2, 130

_DESCRIPTION = """\
Find the strange rows of a table, and say which cells make them strange.

Without TABLE: a demonstration on tables that come with scikit-learn (needs no
network): slips in tables with text and gaps found, and gaps filled, beside
scikit-learn's detectors and imputers; densities beside mixtures and factor
analysis; a map of digits beside Isomap and PCA. Where those are ahead, it says
so, and why."""

_EPILOG = """\
Numbers, text and other categories are taken as they are, gaps too. Left out,
and named, are columns of dates and of free text; those that number or name the
rows (0, 1, 2, ...; numbers called id; text that differs from row to row) are
shown beside them. DIR gets report.html (to read), scores.csv (a line per row of
the table: its number, counted from 0, what names it, score, decision, outlier
or not, p-value, and why it is strange) and the pictures: all of them, or, if
something fails, nothing.

exit status: 0; 2 if the input was refused, or a file can't be read or written;
130 if interrupted.

examples:
  python -m sklae
  python -m sklae sensors.csv --drop site --contamination 0.02 --out sensors-report

Tables are compressed by `python -m sklae compress TABLE OUT`, and read again by
`python -m sklae decompress OUT TABLE`; each has a --help of its own."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message}. Run with --help for the options.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        The arguments; None means those of the process.

    Returns
    -------
    status : int
        0; 2 if the input was refused, or a file can't be read or written; 130 if interrupted.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InterruptedFitWarning)  # a report of a fit cut short would say nothing of it
            warnings.showwarning = _warn
            arguments = list(sys.argv[1:] if argv is None else argv)
            verb = arguments[0] if arguments else ""
            if verb in VERBS:
                run_compression(verb, _parse_verb(verb, arguments[1:]), _say)
            else:
                _run(_parse(arguments))
    except (Refusal, OSError) as error:
        _complain(error)
        return _REFUSED
    except (KeyboardInterrupt, InterruptedFitWarning):
        _complain("Interrupted.")
        return _INTERRUPTED
    return 0


def _run(options: argparse.Namespace) -> None:
    folder = ReportFolder(options.out, options.overwrite, options.table)
    folder.check()
    if options.table is None:
        demonstrate(folder, options.contamination)
    else:
        _report_on(options.table, folder, options.contamination, options.drop, options.keep)


def _say(text: str = "") -> None:
    """Write a line; a terminal that lacks a character of a column's name shows a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as behind `| head`: the report is written all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(about: object) -> None:
    """Write what went wrong, in a line."""
    sys.stderr.write(f"sklae: {shown(' '.join(str(about).split()), _LONGEST_LINE)}\n")


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Write a warning, which the user of a command can't trace to a line of a program."""
    _complain(message)


# -- arguments ------------------------------------------------------------------------------------------


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m sklae",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", nargs="?", type=_path, metavar="TABLE", help="a .csv, .tsv or .parquet file")
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
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="model this column although it numbers or names the rows; may be repeated",
    )
    parser.add_argument(
        "--out", type=_path, default=Path("sklae-report"), metavar="DIR", help="folder to write (default: sklae-report)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the report that is in DIR already; other files there stay"
    )
    parser.add_argument("--version", action="version", version=f"sklae {sklae.__version__}")
    options = parser.parse_args(argv)
    for name in ("drop", "keep"):
        if getattr(options, name) and options.table is None:
            parser.error(f"Got --{name} without TABLE; expected the table that has the column")
    return options


def _parse_verb(verb: str, arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"python -m sklae {verb}", formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, verb, _path)
    return parser.parse_args(arguments)


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"Got {text!r}; expected a path, '.' for the folder this runs in")
    return Path(text)


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


# -- the demonstration ----------------------------------------------------------------------------------


def demonstrate(
    folder: ReportFolder, contamination: float | str = "auto", *, max_iter: int | str = "auto", n_draws: int = 2
) -> None:
    """Run the demonstration and write its report.

    Parameters
    ----------
    folder : ReportFolder
    contamination : "auto" or float, default="auto"
    max_iter : int or "auto", default="auto"
        Most epochs of a variational autoencoder.
    n_draws : int, default=2
        How often slips are drawn.
    """
    if find_spec("pandas") is None:
        raise Refusal('The demonstration needs pandas. Run: pip install "sklae[plot,tables]"')
    from sklae._cli.demo import Demonstration  # brings torch: --help and refusals must not wait for it

    demonstration = Demonstration(_say, contamination=contamination, max_iter=max_iter, n_draws=n_draws)
    report, found = demonstration.run()
    _add_pictures(report, demonstration.pictures)
    _write(report, found, folder)


# -- the user's table -----------------------------------------------------------------------------------


def _report_on(
    path: Path, folder: ReportFolder, contamination: float | str, drop: Sequence[str], keep: Sequence[str]
) -> None:
    frame, remarks = read_table(path)
    table, name = Usable.of(frame, drop, keep), shown(path.name)
    remarks = [*remarks, *table.remarks]
    _say(f"{name}: {table.size()}")
    for remark in remarks:
        _say(remark)
    load_libraries()
    try:
        found = inspect(table.frame, list(table.frame.columns), contamination=contamination, beside=table.beside)
    except ValueError as error:  # what the estimator refuses, in its own words
        raise Refusal(str(error)) from error
    strangest = strangest_rows(found)
    _say("\n".join([found.verdict(), found.trust(), *found.significance(), "", strangest.text(_N_PRINTED)]))
    report = Report(f"Strange rows of {name}", [found.verdict()], [strangest])
    report.notes += [f"{name}: {table.size()}.", *remarks, found.trust(), "scores.csv has all rows."]
    _add_pictures(report, lambda: finding_pictures(found))
    _write(report, found, folder)


# -- pictures and files --------------------------------------------------------------------------------


def _add_pictures(report: Report, draw: Callable[[], Iterator[Picture]]) -> None:
    """Draw, or say why not: a report without pictures is better than none."""
    try:
        report.pictures.extend(draw())
    except ImportError as error:
        _say(f"\nNo pictures: {error}")


def _write(report: Report, found: Findings, folder: ReportFolder) -> None:
    def write(path: Path) -> None:
        report.write(path)
        write_scores(path / "scores.csv", found)

    written = folder.fill(write)
    _say(f"\nWritten to {shown(folder.path)}: {', '.join(written)}")
