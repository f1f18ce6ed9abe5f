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

__all__ = ["REPORT_FILES", "Picture", "Report", "ResultTable"]

#: Names of what reports consist of: of a table's, and of the demonstration's.
REPORT_FILES = (
    *("report.html", "scores.csv", "score_histogram.png", "training_curve.png"),
    *("latent_map.png", "reconstructions.png", "generated_digits.png"),
)
_DPI = 130

_STYLE = """
:root { color-scheme: light; --ink: #1f2933; --soft: #52606d; --line: #e4e7eb; --accent: #33658a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; color: var(--accent); }
p { margin: .3rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); }
td { border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word; max-width: 40rem; }
th, td { padding: .4rem 1.5rem .4rem 0; }
tr > :last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
ul { list-style: none; margin: 0; padding: 0; }
.pictures { display: grid; gap: 1.75rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
figure { margin: .75rem 0 0; }
figure img { width: 100%; max-height: 26rem; object-fit: contain; object-position: left top; }
"""


@dataclass(frozen=True)
class ResultTable:
    """A table of results: a title, a line on how to read it, and rows of strings.

    Parameters
    ----------
    title, note : str
    header : sequence of str
    rows : list of sequences
        A cell is a string, or a list of strings (one per line in the page).
    """

    title: str
    note: str
    header: Sequence[str]
    rows: list[Sequence[str | list[str]]]

    def text(self, n_rows: int | None = None) -> str:
        """Return the table (its first rows only, if said) as aligned text, numbers to the right."""
        lines = [list(self.header)]
        for row in self.rows[:n_rows]:
            lines.extend(_lines_of(row))
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        to_right = [self._holds_numbers(column) for column in range(len(self.header))]
        aligned = (
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, to_right, strict=True)
            )
            for line in lines
        )
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in aligned)])

    def html(self) -> str:
        """Return the table as a section of the page."""
        classes = [' class="number"' if self._holds_numbers(column) else "" for column in range(len(self.header))]
        head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(self.header, classes, strict=True))
        body = "\n".join(
            "<tr>" + "".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(row, classes, strict=True)) + "</tr>"
            for row in self.rows
        )
        return (
            f'<h2>{escape(self.title)}</h2>\n<p class="soft">{escape(self.note)}</p>\n'
            f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
        )

    def _holds_numbers(self, column: int) -> bool:
        return bool(self.rows) and all(_is_number(row[column]) for row in self.rows)


def _is_number(cell: str | list[str]) -> bool:
    if isinstance(cell, list):
        return False
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def _lines_of(row: Sequence[str | list[str]]) -> Iterator[list[str]]:
    """Yield a row as lines of text: a cell that is a list goes on below."""
    cells = [cell if isinstance(cell, list) else [cell] for cell in row]
    for line in zip_longest(*cells, fillvalue=""):
        yield list(line)


def _cell(cell: str | list[str]) -> str:
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
    def of(cls, name: str, caption: str, ax: Any) -> Picture:
        """Take a picture of the figure that holds an Axes, and close the figure: pyplot would keep it."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        ax.figure.savefig(buffer, format="png", dpi=_DPI)
        plt.close(ax.figure)
        return cls(name, caption, buffer.getvalue())

    def html(self) -> str:
        """Return the picture as part of the page, its bytes included."""
        data = base64.b64encode(self.png).decode("ascii")
        caption = escape(self.caption)
        image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


@dataclass
class Report:
    """What a run found.

    Parameters
    ----------
    title : str
    summary : list of str
        Paragraphs at the top.
    tables : list of ResultTable
    pictures : list of Picture
    """

    title: str
    summary: list[str]
    tables: list[ResultTable] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

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
        summary = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in self.summary)
        tables = "\n".join(table.html() for table in self.tables)
        figures = "\n".join(picture.html() for picture in self.pictures)
        pictures = f'<h2>Pictures</h2>\n<div class="pictures">\n{figures}\n</div>' if figures else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{escape(self.title)}</h1>\n{summary}\n{tables}\n{pictures}\n</body>\n</html>\n"
        )
