"""A report: tables and pictures, as text and as one HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sklae._cli.style import STYLE

__all__ = ["REPORT_FILES", "Cell", "Picture", "Report", "ResultTable"]

#: Names of what reports consist of, those of earlier versions included: --overwrite replaces them, too.
REPORT_FILES = (
    *("report.html", "scores.csv", "score_histogram.png", "explanation.png"),
    *("latent_map.png", "latent_grid.png", "training_curve.png", "reconstructions.png", "generated_digits.png"),
)
#: Text, or lines of text.
Cell = str | list[str]

_DPI = 180
# Characters of a line beyond which reasons stand below their rows.
_WIDEST = 110
# Characters of a cell that has to be read in lines.
_LONG = 20


@dataclass(frozen=True)
class ResultTable:
    """A table of results: a title, a line on how to read it, and rows of strings.

    Parameters
    ----------
    title : str
    header : sequence of str
    rows : list of sequences of Cell
        A cell is a string, or a list of strings (one per line). A table with such lists in it has a line of its own for
        them where there is little room: in a terminal below the row, on narrow screens at the end of the row's card.
    lead : str, default=""
        What to know before.
    notes : sequence of str, default=()
        Paragraphs below it.
    best : frozenset of (int, int), default=frozenset()
        Row and column of the figures that no other is ahead of.
    """

    title: str
    header: Sequence[str]
    rows: list[Sequence[Cell]]
    lead: str = ""
    notes: Sequence[str] = ()
    best: frozenset[tuple[int, int]] = frozenset()

    def text(self, n_rows: int | None = None) -> str:
        """Return the table (its first rows only, if said) as aligned text, numbers to the right."""
        shown = self.rows[:n_rows]
        lists = {column for row in shown for column, cell in enumerate(row) if isinstance(cell, list)}
        lines = self._aligned([list(self.header), *(line for row in shown for line in _lines_of(row))])
        if lists and max(map(len, lines)) > _WIDEST:
            kept = [column for column in range(len(self.header)) if column not in lists]
            firsts = [[str(row[column]) for column in kept] for row in shown]
            head, *lines = self._aligned([[self.header[column] for column in kept], *firsts], kept)
            names = ", ".join(self.header[column] for column in sorted(lists))
            below = [[f"    {line}" for column in sorted(lists) for line in row[column]] for row in shown]
            body = [part for line, more in zip(lines, below, strict=True) for part in (line, *more)]
            lines = [f"{head}  {names}", *body]
        return "\n".join([self.title, *(f"  {line}" for line in lines)])

    def _aligned(self, lines: list[list[str]], columns: Sequence[int] | None = None) -> list[str]:
        columns = range(len(self.header)) if columns is None else columns
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        to_right = [self._holds_numbers(column) for column in columns]
        return [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, to_right, strict=True)
            ).rstrip()
            for line in lines
        ]

    def html(self) -> str:
        """Return the table as a section of the page: in a box that scrolls sideways, and says so where it does."""
        kinds = [self._kind(column) for column in range(len(self.header))]
        head = "".join(f"<th{_class(kind)}>{escape(name)}</th>" for name, kind in zip(self.header, kinds, strict=True))
        body = "\n".join(f"<tr>{self._row_html(i, kinds)}</tr>" for i in range(len(self.rows)))
        lead = f'<p class="soft">{escape(self.lead)}</p>\n' if self.lead else ""
        notes = "".join(f'<p class="soft">{escape(note)}</p>\n' for note in self.notes)
        is_ranking = "words" in kinds
        return (
            f"<h2>{escape(self.title)}</h2>\n{lead}"
            '<div class="wide">\n<p class="hint" aria-hidden="true">more columns: scroll sideways &rarr;</p>\n'
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(self.title)}">'
            f"<table{_class('cards' if is_ranking else '')}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n"
            f"</tbody></table></div>\n</div>\n{notes}"
        )

    def _row_html(self, i: int, kinds: Sequence[str]) -> str:
        cells = []
        for column, (name, cell, kind) in enumerate(zip(self.header, self.rows[i], kinds, strict=True)):
            marks = f"{kind} best".strip() if (i, column) in self.best else kind
            label = f' data-label="{escape(name)}"'  # what cards show before the cell
            cells.append(f"<td{_class(marks)}{label}>{_cell(cell)}</td>")
        return "".join(cells)

    def _kind(self, column: int) -> str:
        if any(isinstance(row[column], list) for row in self.rows):
            return "words"
        if self._holds_numbers(column):
            return "number"
        return "long" if any(len(row[column]) > _LONG for row in self.rows) else ""

    def _holds_numbers(self, column: int) -> bool:
        return any(map(_is_number, self._filled(column))) and all(map(_is_number, self._filled(column)))

    def _filled(self, column: int) -> list[Cell]:
        """Return the cells that aren't empty, or a dash, which stands for a figure that there is none of."""
        return [row[column] for row in self.rows if row[column] not in ("", "-")]


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, list):
        return False
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def _lines_of(row: Sequence[Cell]) -> Iterator[list[str]]:
    """Yield a row as lines of text: a cell that is a list goes on below."""
    cells = [cell if isinstance(cell, list) else [cell] for cell in row]
    for line in zip_longest(*cells, fillvalue=""):
        yield list(line)


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, list):
        return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in cell) + "</ul>"
    return escape(cell)


@dataclass(frozen=True)
class Picture:
    """A picture of the report: a PNG file and what it shows."""

    name: str
    caption: str
    png: bytes

    @classmethod
    def of(cls, name: str, caption: str, display: Any) -> Picture:
        """Take a picture of what a Display drew, and close its figure: pyplot would keep it."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        display.figure_.savefig(buffer, format="png", dpi=_DPI)
        plt.close(display.figure_)
        return cls(name, caption, buffer.getvalue())

    def html(self) -> str:
        """Return the picture as part of the page, its bytes included."""
        data = base64.b64encode(self.png).decode("ascii")
        caption = escape(self.caption)
        image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


@dataclass
class Report:
    """What a run found: the first picture and the first table come first, then the rest, then the small print.

    Parameters
    ----------
    title : str
    lead : list of str
        Paragraphs at the top: the result, in a sentence or two.
    tables : list of ResultTable
    pictures : list of Picture
    notes : list of str
        Paragraphs at the end.
    """

    title: str
    lead: list[str]
    tables: list[ResultTable] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write ``report.html``, which needs no other file, and the pictures beside it.

        Parameters
        ----------
        folder : Path
            An existing folder.
        """
        for picture in self.pictures:
            (folder / picture.name).write_bytes(picture.png)
        (folder / "report.html").write_text(self.html(), encoding="utf-8")

    def html(self) -> str:
        """Return the page."""
        lead = _paragraphs(self.lead)
        first = "\n".join(
            [picture.html() for picture in self.pictures[:1]] + [table.html() for table in self.tables[:1]]
        )
        others = "\n".join(picture.html() for picture in self.pictures[1:])
        pictures = f"<h2>Pictures</h2>\n{others}" if others else ""
        tables = "\n".join(table.html() for table in self.tables[1:])
        notes = f"<h2>About this run</h2>\n{_paragraphs(self.notes)}" if self.notes else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{escape(self.title)}</h1>\n{lead}\n{first}\n{tables}\n{pictures}\n{notes}\n</body>\n</html>\n"
        )


def _paragraphs(texts: Sequence[str]) -> str:
    return "\n".join(f"<p>{escape(text)}</p>" for text in texts)
