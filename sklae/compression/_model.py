"""The model of a table: how cells become integers, and how columns of these are coded given one another."""

from __future__ import annotations

import json
import lzma
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae._tables.exact import Parts
from sklae.compression._cells import KeyCells, NumberCells, cells_of_plain, fit_cells
from sklae.compression._coder import IntReader, IntWriter, Reader, Writer
from sklae.compression._columns import ColumnModel, fit_column
from sklae.compression._known import Feature, Known, Range, Series
from sklae.compression._prediction import Prediction, fit_prediction
from sklae.compression._screening import Screen

__all__ = ["TableModel", "fit_table"]

Cells = NumberCells | KeyCells
# Rows that predictions are fitted to, features that a tree chooses from, and candidates for a sum's terms.
_MOST_ROWS, _N_FEATURES, _N_TERMS = 20_000, 12, 16
# Correlation of a column with its last value from which on differences are tried.
_IN_ORDER = 0.3
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


@dataclass(frozen=True, eq=False)
class TableModel:
    """How rows of a table are coded.

    Attributes
    ----------
    schema : dict
        Of `sklae._tables.exact.Parts`.
    cells : list of (NumberCells or KeyCells)
    columns : list of ColumnModel
        In the order of the table, in which they are coded.
    """

    schema: dict[str, Any]
    cells: list[Cells]
    columns: list[ColumnModel]

    def encode(self, parts: Parts) -> tuple[bytes, list[bytes]]:
        """Return the symbols of rows, and for each column what is kept apart."""
        known, to, apart = Known(len(parts)), Writer(), []
        for place, (cells, column) in enumerate(zip(self.cells, self.columns, strict=True)):
            series = cells.encode(parts.values[place], parts.missing[place])
            column.encode(series, known, to)
            known.add(place, series, column.range.typical, column.range.low)
            apart.append(cells.apart(parts.values[place], series))
        return to.content(), apart

    def decode(self, content: bytes, apart: list[bytes], n_rows: int) -> Parts:
        """Return the rows that became such symbols."""
        known, source = Known(n_rows), Reader(content)
        values, missing = [], []
        for place, (cells, column) in enumerate(zip(self.cells, self.columns, strict=True)):
            series = column.decode(known, source)
            known.add(place, series, column.range.typical, column.range.low)
            restored = cells.restore(series, apart[place])
            values.append(restored[0])
            missing.append(restored[1])
        return Parts(self.schema, values, missing)

    def bits(self, parts: Parts) -> float:
        """Return -log2 p of rows, and the bits of cells that are kept apart."""
        known, total = Known(len(parts)), 0.0
        for place, (cells, column) in enumerate(zip(self.cells, self.columns, strict=True)):
            series = cells.encode(parts.values[place], parts.missing[place])
            total += column.bits(series, known) + 8.0 * len(cells.apart(parts.values[place], series))
            known.add(place, series, column.range.typical, column.range.low)
        return total

    def is_kept(self, parts: Parts, back: Parts) -> bool:
        """Return whether all cells came back as promised."""
        return all(
            cells.is_kept(parts.values[i], parts.missing[i], back.values[i], back.missing[i])
            for i, cells in enumerate(self.cells)
        )

    def __getstate__(self) -> bytes:
        return self.content()

    def __setstate__(self, state: bytes) -> None:
        vars(self).update(vars(TableModel.of_content(state)))

    def content(self) -> bytes:
        """Return the model as bytes."""
        plain = json.dumps(
            {"schema": self.schema, "cells": [cells.plain() for cells in self.cells]}, separators=(",", ":")
        )
        text = lzma.compress(plain.encode(), lzma.FORMAT_RAW, filters=_FILTERS)
        to = IntWriter()
        for column in self.columns:
            column.write(to)
        return struct.pack("<I", len(text)) + text + to.content()

    @classmethod
    def of_content(cls, content: bytes) -> TableModel:
        """Return the model of bytes."""
        (n_text,) = struct.unpack_from("<I", content)
        plain = json.loads(lzma.decompress(content[4 : 4 + n_text], lzma.FORMAT_RAW, filters=_FILTERS))
        source = IntReader(content[4 + n_text :])
        cells = [cells_of_plain(each) for each in plain["cells"]]
        return cls(plain["schema"], cells, [ColumnModel.read(source, each.range) for each in cells])


def fit_table(parts: Parts, bounds: list[float], rng: np.random.RandomState) -> TableModel:
    """Return the model of a table that takes the fewest bits, column by column.

    Parameters
    ----------
    parts : Parts
    bounds : list of float
        Largest errors of the columns.
    rng : RandomState
    """
    n_rows = len(parts)
    rows = np.arange(n_rows) if n_rows <= _MOST_ROWS else np.sort(rng.choice(n_rows, _MOST_ROWS, replace=False))
    known, screen = Known(n_rows), Screen(rows)
    every, columns = [], []
    for place, (values, missing, bound) in enumerate(zip(parts.values, parts.missing, bounds, strict=True)):
        cells = fit_cells(parts.schema["columns"][place]["kind"], values, missing, bound)
        series = cells.encode(values, missing)
        column, _ = _fit_one(series, known, cells.range, screen, rows, rng)
        every.append(cells)
        columns.append(column)
        known.add(place, series, cells.range.typical, cells.range.low)
        screen.add(Feature(place, False), known, is_number=cells.range.is_number)
        if cells.range.is_number and _is_in_order(series):
            screen.add(Feature(place, True), known, is_number=True)
    return TableModel(parts.schema, every, columns)


def _fit_one(
    series: Series, known: Known, of_range: Range, screen: Screen, rows: np.ndarray, rng: np.random.RandomState
) -> tuple[ColumnModel, float]:
    """Return the best model of one column, and its bits."""
    predictions = [Prediction()]
    in_order = of_range.is_number and _is_in_order(series)
    filled = np.where(series.is_present, series.values, of_range.typical)
    if of_range.is_number:
        terms = screen.correlated(filled, _N_TERMS, steps=False)
        fitted = fit_prediction(series, known, terms, rows, from_last=False, typical=of_range.typical)
        predictions += [fitted] if fitted else []
    if in_order:
        predictions.append(Prediction(from_last=True))
        terms = screen.correlated(np.diff(filled, prepend=filled[:1]), _N_TERMS, steps=True)
        fitted = fit_prediction(series, known, terms, rows, from_last=True, typical=of_range.typical)
        predictions += [fitted] if fitted else []
    marked = np.where(series.is_present, series.values, of_range.low - 1)
    features = screen.telling(marked, _N_FEATURES, steps=in_order)
    return fit_column(series, known, of_range, features, predictions, rng)


def _is_in_order(series: Series) -> bool:
    """Return whether rows are like those before them."""
    values = series.values[series.is_present].astype(np.float64)
    if len(values) < 64:
        return False
    deviation = values.std()
    if deviation == 0.0:
        return False
    values = (values - values.mean()) / deviation
    return float((values[1:] * values[:-1]).mean()) > _IN_ORDER


