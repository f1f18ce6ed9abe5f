"""``python -m sklae compress`` and ``decompress``: tables in files, compressed and back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklae._cli.files import read_table, read_text
from sklae._cli.words import Refusal, shown
from sklae._utils.files import written_aside

__all__ = ["VERBS", "add_arguments", "run_compression"]

#: What the first argument may be, and what is done then.
VERBS = ("compress", "decompress")
_WRITERS = {".csv": "to_csv", ".parquet": "to_parquet", ".pq": "to_parquet"}

_COMPRESS = """\
Write a table as few bytes as a model of its columns allows, itself included:
without loss, or with numbers no further off than --max-error says. Gaps,
categories, text and dates always come back as they are. Every row is decoded
again before OUT is written."""

_DECOMPRESS = """\
Write the table that became FILE, with the columns and dtypes that it had."""


def add_arguments(parser: argparse.ArgumentParser, verb: str, path: Callable[[str], Path]) -> None:
    """Say what may follow a verb."""
    compress = verb == "compress"
    parser.description = _COMPRESS if compress else _DECOMPRESS
    source = "a .csv, .tsv or .parquet file" if compress else "a file that compress wrote"
    parser.add_argument("table", type=path, metavar="TABLE" if compress else "FILE", help=source)
    target = "file to write" if compress else f"file to write: {', '.join(_WRITERS)}"
    parser.add_argument("out", type=path, metavar="OUT", help=target)
    if compress:
        parser.add_argument(
            "--max-error",
            type=_error,
            default=0.0,
            metavar="ERROR",
            help="how far numbers may be off: in their units, or a share of columns' ranges such as 1%% (default: 0)",
        )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")


def _error(text: str) -> float | str:
    try:
        return text if text.endswith("%") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"Got {text!r}; expected a number, or a share such as 1%") from None


def run_compression(verb: str, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Compress a table, or decompress one.

    Raises
    ------
    Refusal
        For what can't be read or written.
    """
    if options.out.exists() and not options.overwrite:
        raise Refusal(
            f"Got '{shown(options.out)}', which is there; expected a new file. Pass --overwrite to replace it."
        )
    if not options.out.absolute().parent.is_dir():
        raise Refusal(f"Got '{shown(options.out)}', in a folder that is not there; expected one that is. Make it.")
    try:
        (_compress if verb == "compress" else _decompress)(options, say)
    except (ImportError, ValueError, TypeError) as error:  # in the estimator's own words
        raise Refusal(str(error)) from error


def _compress(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    frame, remarks = read_table(options.table)
    for remark in remarks:
        say(remark)
    from sklae.compression import Compressor  # brings torch: refusals must not wait for it

    if options.table.suffix.lower() not in (".parquet", ".pq") and options.max_error == 0.0:
        frame, kept = _as_written(frame, read_text(options.table))
        if kept:
            say(f"kept as text, for as numbers they would be written otherwise: {', '.join(map(shown, kept[:5]))}")
    say(f"{shown(options.table.name)}: {len(frame):,} rows, {frame.shape[1]:,} columns")
    compressor = Compressor(max_error=options.max_error, verbose=1, random_state=0).fit(frame)
    data = compressor.compress(frame)
    with written_aside(options.out) as aside:
        aside.write_bytes(data)
    before = options.table.stat().st_size
    say(
        f"{shown(options.out.name)}: {len(data):,} bytes, the model {compressor.model_bytes_:,} of them; the table had "
        f"{before:,} ({before / len(data):.1f} times as many)"
    )


def _as_written(frame: Any, text: Any) -> tuple[Any, list[str]]:
    """Return a table whose cells are written as they were, and which of its columns are text for that alone."""
    kept = []
    for name, written in zip(frame.columns, text.columns, strict=True):
        read, cells = frame[name], text[written]
        if read.dtype.kind == "f" and (read.dropna() % 1 == 0).all() and (read.abs().dropna() < 2**53).all():
            whole = read.astype("Int64")
            if _is_written(whole, cells):
                frame = frame.assign(**{name: whole})
                continue
        if not _is_written(read, cells):
            frame = frame.assign(**{name: cells})
            if read.dtype.kind in "iufb":
                kept.append(str(name))
    return frame, kept


def _is_written(column: Any, cells: Any) -> bool:
    """Whether a column's values, written by pandas, are these cells."""
    return column.astype(object).map(str).where(column.notna(), "").tolist() == cells.tolist()


def _decompress(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    writer = _WRITERS.get(options.out.suffix.lower())
    if writer is None:
        raise Refusal(f"Got '{shown(options.out.name)}'; expected a file named {', '.join(_WRITERS)}.")
    if not options.table.is_file():
        raise Refusal(f"Got '{shown(options.table)}', which is no file; expected one that compress wrote.")
    from sklae.compression import Compressor

    table = Compressor(verbose=1).decompress(options.table.read_bytes())
    if not hasattr(table, writer):
        raise Refusal("Got a file that was not compressed from a frame of pandas; expected one that compress wrote.")
    with written_aside(options.out) as aside:
        getattr(table, writer)(aside, index=False)
    say(f"{shown(options.out.name)}: {len(table):,} rows, {table.shape[1]:,} columns")
