"""The model of a table: how cells become integers, and how columns of these are coded given one another."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sklae._tables.exact import Parts
from sklae.compression._cells import KeyCells, NumberCells, cells_of_plain
from sklae.compression._codebook import CodeBook
from sklae.compression._coder import IntReader, IntWriter, Reader, Writer
from sklae.compression._columns import ColumnModel
from sklae.compression._images import Raster
from sklae.compression._known import Known, Series
from sklae.compression._packing import pack, unpack
from sklae.networks._shapes import ImageShape

__all__ = ["Cells", "Coded", "Decoded", "TableModel", "as_numbers", "is_centered", "is_modelled"]

Cells = NumberCells | KeyCells
# That an autoencoder takes.
_MOST_LEVELS = 255


class Coded(NamedTuple):
    """Rows as bytes.

    Attributes
    ----------
    symbols : bytes
    apart : list of bytes
        Of each column what is kept as it is; last of all what decoders have to agree on.
    """

    symbols: bytes
    apart: list[bytes]


class Decoded(NamedTuple):
    """What a decoder says of rows.

    Attributes
    ----------
    ints : ndarray of shape (n_rows, n_columns), int64
        In multiples of the code book's units.
    agreed : bytes
    """

    ints: np.ndarray
    agreed: bytes


@dataclass(frozen=True, eq=False)
class TableModel:
    """How rows of a table are coded.

    Columns are known by their places: those of the table come first, then the components of codes, then the decoded
    columns.

    Attributes
    ----------
    schema : dict
        Of `sklae._tables.exact.Parts`.
    cells : list of (NumberCells or KeyCells)
        One a column; one for all, of images.
    columns : list of ColumnModel
        Alike, in the order of the table, in which they are coded.
    raster : Raster or None
        Of images.
    book : CodeBook or None
    components : list of ColumnModel
        Of codes: their prior.
    centered : bool
        Whether numbers are coded as what they are more than the decoder says.
    """

    schema: dict[str, Any]
    cells: list[Cells]
    columns: list[ColumnModel]
    raster: Raster | None
    book: CodeBook | None
    components: list[ColumnModel]
    centered: bool

    @property
    def n_columns(self) -> int:
        return len(self.schema["columns"])

    def cells_at(self, place: int) -> Cells:
        """Return the cells of a column."""
        return self.cells[0 if self.raster else place]

    def around(self, place: int, known: Known) -> Known:
        """Return what a column is told from."""
        if self.raster is None:
            return known
        decoded = None if self.book is None else self.n_columns + len(self.book.ranges)
        return self.raster.around(place, decoded).of(known)

    def column_at(self, place: int) -> ColumnModel:
        """Return the model of a column."""
        return self.columns[0 if self.raster else place]

    def center(self, decoded: Decoded | None, place: int) -> np.ndarray | None:
        """Return what a column's numbers are coded from."""
        cells = self.cells_at(place)
        if decoded is None or self.book is None or not self.centered or not is_centered(cells):
            return None
        return decoded.ints[:, place] * self.book.units[place]

    def encode(self, parts: Parts) -> Coded:
        """Return rows as bytes."""
        to, known = Writer(), Known(len(parts))
        decoded = self.known_codes(parts, known)
        for place, column in enumerate(self.components, self.n_columns):
            column.encode(known.series(place), known, to)
        apart = []
        for place, series in self.series(parts, known, decoded):
            self.column_at(place).encode(series, self.around(place, known), to)
            apart.append(self.cells_at(place).apart(parts.values[place], series))
        return Coded(to.content(), [*apart, decoded.agreed if decoded else b""])

    def known_codes(self, parts: Parts, known: Known) -> Decoded | None:
        """Put the codes of rows in their places, and what the decoder says of them; None where there are none."""
        if self.book is None:
            return None
        codes = self.book.codes(as_numbers(self, parts))
        for place, (series, of_range) in enumerate(zip(codes, self.book.ranges, strict=True), self.n_columns):
            known.add(place, series, of_range.typical, of_range.low)
        return self._decode_codes(codes, None, known)

    def series(self, parts: Parts, known: Known, decoded: Decoded | None) -> Iterator[tuple[int, Series]]:
        """Yield columns as integers; each is known when the next is asked for."""
        for place in range(self.n_columns):
            cells = self.cells_at(place)
            series = cells.encode(parts.values[place], parts.missing[place], self.center(decoded, place))  # type: ignore[arg-type]
            yield place, series
            known.add(place, series, cells.range.typical, cells.range.low)

    def _decode_codes(self, codes: list[Series], agreed: bytes | None, known: Known) -> Decoded:
        assert self.book is not None
        decoded = Decoded(*self.book.decode(codes, agreed))
        first = self.n_columns + len(codes)
        status = np.full(known.n_rows, Series.PRESENT, dtype=np.uint8)
        for i in range(self.n_columns):
            known.add(first + i, Series(np.ascontiguousarray(decoded.ints[:, i]), status), 0, 0)
        return decoded

    def decode(self, coded: Coded, n_rows: int) -> Parts:
        """Return the rows that became such bytes."""
        source, known = Reader(coded.symbols), Known(n_rows)
        decoded, codes = None, []
        for place, column in enumerate(self.components, self.n_columns):
            codes.append(column.decode(known, source))
            known.add(place, codes[-1], column.range.typical, column.range.low)
        if self.book is not None:
            decoded = self._decode_codes(codes, coded.apart[-1], known)
        values, missing = [], []
        for place in range(self.n_columns):
            cells = self.cells_at(place)
            series = self.column_at(place).decode(self.around(place, known), source)
            known.add(place, series, cells.range.typical, cells.range.low)
            restored = cells.restore(series, coded.apart[place], self.center(decoded, place))  # type: ignore[arg-type]
            values.append(restored[0])
            missing.append(restored[1])
        return Parts(self.schema, values, missing)

    def bits(self, parts: Parts) -> float:
        """Return -log2 p of rows and their codes, and the bits of cells that are kept apart."""
        known, total = Known(len(parts)), 0.0
        decoded = self.known_codes(parts, known)
        for place, column in enumerate(self.components, self.n_columns):
            total += column.bits(known.series(place), known)
        for place, series in self.series(parts, known, decoded):
            total += self.column_at(place).bits(series, self.around(place, known))
            total += 8.0 * len(self.cells_at(place).apart(parts.values[place], series))
        return total

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self.content(), "autoencoder": None if self.book is None else self.book.autoencoder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(vars(TableModel.of_content(**state)))

    def content(self) -> bytes:
        """Return the model as bytes."""
        plain = {
            "schema": self.schema,
            "cells": [cells.plain() for cells in self.cells],
            "raster": None if self.raster is None else list(self.raster.shape),
            "centered": self.centered,
        }
        text = json.dumps(plain, separators=(",", ":")).encode()
        parts = [pack(text)]
        parts.append(b"" if self.book is None else self.book.content())
        to = IntWriter()
        for column in (*self.components, *self.columns):
            column.write(to)
        return struct.pack("<II", *map(len, parts)) + b"".join(parts) + to.content()

    @classmethod
    def of_content(cls, content: bytes, autoencoder: Any = None) -> TableModel:
        """Return the model of bytes; with the autoencoder whose code book is in it, it can encode, too."""
        n_text, n_book = struct.unpack_from("<II", content)
        text, book, rest = (
            content[8 : 8 + n_text],
            content[8 + n_text : 8 + n_text + n_book],
            content[8 + n_text + n_book :],
        )
        plain = json.loads(unpack(text))
        cells = [cells_of_plain(each) for each in plain["cells"]]
        source = IntReader(rest)
        codes = CodeBook.of_content(book, autoencoder) if book else None
        ranges = codes.ranges if codes else []
        components = [ColumnModel.read(source, each) for each in ranges]
        columns = [ColumnModel.read(source, each.range) for each in cells]
        raster = None if plain["raster"] is None else Raster(ImageShape(*plain["raster"]))
        return cls(plain["schema"], cells, columns, raster, codes, components, plain["centered"])


def is_centered(cells: Cells) -> bool:
    """Return whether cells are numbers that may be coded from a center."""
    return isinstance(cells, NumberCells) and cells.bound > 0.0


def is_modelled(cells: Cells) -> bool:
    """Return whether an autoencoder is shown a column: not one without variety, nor one of very many levels."""
    width = cells.range.width
    if not cells.range.is_number:
        return 0 < width < _MOST_LEVELS
    return width > 0 or is_centered(cells)


def as_numbers(model: TableModel, parts: Parts) -> np.ndarray:
    """Return rows as an autoencoder takes them, float32: numbers, and codes of levels; NaN for what is neither."""
    out = np.empty((len(parts), model.n_columns), dtype=np.float32)
    for i, (values, missing) in enumerate(zip(parts.values, parts.missing, strict=True)):
        cells = model.cells_at(i)
        if not is_modelled(cells):
            out[:, i] = 0.0
            continue
        if isinstance(cells, KeyCells):
            series = cells.encode(values, None)
            out[:, i] = np.where(series.is_present, series.values, np.nan)
            continue
        with np.errstate(over="ignore"):
            out[:, i] = values
        out[~np.isfinite(out[:, i]), i] = np.nan
        if missing is not None:
            out[missing, i] = np.nan
    return out
