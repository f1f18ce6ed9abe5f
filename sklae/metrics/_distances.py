"""Distances by column and by pair of columns: dicts that show themselves as tables in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["ColumnDistances", "PairDistances"]

_MOST_COLUMNS = 30
# Shades of a cell by its distance, which letters can be read on, be the notebook light or dark.
_SHADE = "rgba(217, 95, 2, {:.2f})"


class ColumnDistances(dict[str, float]):
    """Distance of each column, in [0, 1]: a dict, which a notebook shows as a table, the largest first.

    Examples
    --------
    >>> from sklae.metrics import ColumnDistances
    >>> ColumnDistances(ash=0.25)
    {'ash': 0.25}
    """

    def _repr_html_(self) -> str:
        ranked = sorted(self.items(), key=lambda pair: -pair[1])
        rows = [_row([_head(name), _cell(value)]) for name, value in ranked]
        return _table([_row([_head("column"), _head("distance")])], rows)


class PairDistances(dict[tuple[str, str], float]):
    """Distance of each pair of columns, in [0, 1]: a dict, which a notebook shows as a matrix.

    Of more than 30 columns, those are shown whose pairs are farthest apart.

    Examples
    --------
    >>> from sklae.metrics import PairDistances
    >>> PairDistances({("ash", "hue"): 0.25})
    {('ash', 'hue'): 0.25}
    """

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for pair in self for name in pair))
        shown, note = names, ""
        if len(names) > _MOST_COLUMNS:
            farthest = {name: max(value for pair, value in self.items() if name in pair) for name in names}
            kept = set(sorted(names, key=lambda name: -farthest[name])[:_MOST_COLUMNS])
            shown = [name for name in names if name in kept]
            note = f"<p>{_MOST_COLUMNS} of {len(names)} columns, those farthest apart</p>"
        rows = [_row([_head(one), *(self._between(one, other) for other in shown)]) for one in shown]
        return note + _table([_row([_head(""), *map(_head, shown)])], rows)

    def _between(self, one: str, other: str) -> str:
        value = self.get((one, other), self.get((other, one)))
        return "<td></td>" if value is None else _cell(value)


def _head(text: str) -> str:
    return f"<th style='text-align:left'>{escape(str(text))}</th>"


def _cell(value: float) -> str:
    return f"<td style='text-align:right; background:{_SHADE.format(0.8 * min(max(value, 0.0), 1.0))}'>{value:.2f}</td>"


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _table(head: Iterable[str], body: Iterable[str]) -> str:
    table = f"<table><thead>{''.join(head)}</thead><tbody>{''.join(body)}</tbody></table>"
    return f"<div style='overflow-x:auto'>{table}</div>"
