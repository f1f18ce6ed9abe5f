"""Tables from files. Refuses those whose rows have more or fewer cells than there are columns."""

from __future__ import annotations

import csv
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sklae._cli.words import Refusal, shown

__all__ = ["read_table", "read_text"]

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_SEPARATORS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")
# Names that are numbers, and those that no column is called by, as it may be by a year.
_VALUE = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?")
_FRACTION = re.compile(r"^[-+]|[.,]\d")
_MOST_NAMED_SO = 0.5


def read_table(path: Path) -> tuple[Any, list[str]]:
    """Read a table.

    Parameters
    ----------
    path : Path

    Returns
    -------
    frame : pandas.DataFrame
    remarks : list of str
        What of the file is not in it.

    Raises
    ------
    Refusal
        If there is no such table, or if it can't be told which column a cell is in.
    """
    kind, name = _SUFFIXES.get(path.suffix.lower()), shown(path.name)
    if not path.is_file():
        raise Refusal(f"Got '{shown(path)}', which is no file; expected a table. Check the path.")
    if kind is None:
        raise Refusal(f"Got '{name}'; expected a file named {', '.join(_SUFFIXES)}. Save the table as CSV.")
    try:
        frame, remarks = _read_parquet(path) if kind == "parquet" else _read_csv(path)
    except ImportError as error:
        raise Refusal(f'Reading {name} needs pandas and pyarrow. Run: pip install "sklae[tables]"') from error
    except (ValueError, csv.Error) as error:  # parsers' and decoders' errors; pyarrow's too
        raise Refusal(
            f"Got {name}, which is not readable as {kind} in UTF-8: {error}. Save it again as {kind}, in UTF-8."
        ) from error
    if len(frame) < 2:
        n_rows = "1 row" if len(frame) == 1 else "0 rows"
        raise Refusal(f"Got {name}, a table of {n_rows}; expected at least 2. Nothing to compare.")
    return frame, remarks


def _read_parquet(path: Path) -> tuple[Any, list[str]]:
    import pandas as pd

    frame = pd.read_parquet(path)
    if not isinstance(frame.index, pd.RangeIndex):  # what pandas keeps apart is in the file all the same
        frame = frame.reset_index(allow_duplicates=True)
    return frame, []


def _read_csv(path: Path) -> tuple[Any, list[str]]:
    import pandas as pd

    with _cells_of_any_size():
        form = _Form.of(path)
        remarks = [*form.remark_on_names(), *form.check(path)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of empty cells at the ends of rows: said above
        # low_memory reads a column in parts, and warns where their types differ
        frame = pd.read_csv(path, sep=form.separator, decimal=form.decimal, index_col=False, low_memory=False)
    return frame, remarks


def read_text(path: Path) -> Any:
    """Return the cells of a CSV file as they are written, a frame of text."""
    import pandas as pd

    with _cells_of_any_size():
        separator = _Form.of(path).separator
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, na_filter=False, index_col=False)


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Let the csv module read cells of more than 128 KB, as pandas does."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line and the cells of each record of a CSV file; lines of nothing are none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        line = 1
        for cells in reader:
            if cells and (len(cells) > 1 or not cells[0].isspace()):
                yield line, cells
            line = reader.line_num + 1


@dataclass(frozen=True)
class _Form:
    """How a CSV file is written.

    Attributes
    ----------
    separator, decimal : str
    names : list of str
        Of the columns, as they are written.
    """

    separator: str
    decimal: str
    names: list[str]

    @classmethod
    def of(cls, path: Path) -> _Form:
        """Guess separator and decimal mark from the line of column names and the first row."""
        heads = {each: [cells for _, cells in islice(_records(path, each), 2)] for each in _SEPARATORS}
        separator = max(_SEPARATORS, key=lambda each: len(heads[each][0]) if heads[each] else 0)
        if not heads[separator]:
            raise Refusal(f"Got {shown(path.name)}, an empty file; expected a table with a line of column names.")
        names, *first = heads[separator]
        has_commas = separator != "," and any(_DECIMAL_COMMA.fullmatch(cell) for row in first for cell in row)
        return cls(separator, "," if has_commas else ".", names)

    def remark_on_names(self) -> list[str]:
        """Say so where the line of column names looks like a row."""
        names = [name.strip() for name in self.names if name.strip()]
        values = [name for name in names if _VALUE.fullmatch(name)]
        if len(values) <= _MOST_NAMED_SO * len(names) or not any(_FRACTION.search(name) for name in values):
            return []
        return [
            f"Took the first line for the names of the columns, though it looks like a row: {', '.join(values[:3])}. "
            "Put a line of names before it, if there is none."
        ]

    def check(self, path: Path) -> list[str]:
        """Refuse rows with a cell too many or too few, and say what is left out where all end in empty ones."""
        n_columns = len(self.names)
        counts: Counter[int] = Counter()
        first: dict[tuple[int, bool], tuple[int, int]] = {}  # cells, whether one beyond the columns is filled -> row
        for number, (line, cells) in enumerate(islice(_records(path, self.separator), 1, None)):
            counts[len(cells)] += 1
            first.setdefault((len(cells), any(cell.strip() for cell in cells[n_columns:])), (number, line))
        if len(counts) <= 1:
            width = next(iter(counts), n_columns)
            if width <= n_columns and not any(name.strip() for name in self.names[width:]):
                return []  # a column without name and cells, if any, is told as an empty one
            if width > n_columns and (width, True) not in first:
                n_empty = width - n_columns
                ends = "a last column without a name" if n_empty == 1 else f"the last {n_empty} columns, without names"
                return [f"Left out, as every value is missing: {ends}."]
        expected = n_columns if n_columns in counts or len(counts) == 1 else counts.most_common(1)[0][0]
        odd = [(len(counts) == 1 and not filled, *row, width) for (width, filled), row in first.items()]
        _, number, line, width = min(each for each in odd if each[-1] != expected)
        raise Refusal(
            f"Got {shown(path.name)}, whose row {number} (line {line} of the file, rows counted from 0) has "
            f"{width} cell{'s' * (width != 1)}; expected {expected}, "
            f"{'one for each column name' if expected == n_columns else 'as most rows have'}. "
            "Mend that line: a separator or a quotation mark is missing there, or too many."
        )
