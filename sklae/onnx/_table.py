"""Tables at both ends of a graph: what users feed, and what they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from sklae._tables.columns import Columns
from sklae._tables.held import integer_range
from sklae.onnx._layout import numbers

__all__ = ["CodesModule", "Column", "Output", "TableInputs", "TableOutputs"]

# The largest float64 that int64 holds.
_MOST_INTEGER = 2.0**63 - 1024.0


class Output(NamedTuple):
    """An output of a graph.

    Attributes
    ----------
    name : str
    labels : list of str or None
        Where it is text: what its codes 0, 1, ... stand for.
    """

    name: str
    labels: list[str] | None = None


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    name : str
    levels : list or None
        Of a category.
    """

    name: str
    levels: list[Any] | None

    @property
    def is_text(self) -> bool:
        """Whether its levels are text."""
        return self.levels is not None and all(isinstance(level, str) for level in self.levels)


@dataclass(frozen=True)
class TableInputs:
    """What a graph is fed.

    Attributes
    ----------
    columns : list of Column
    apart : bool
        Whether each column is an input of its own, of shape (n_samples, 1): those of frames are, and where some hold
        text. Else there is one matrix.
    """

    columns: list[Column]
    apart: bool

    @classmethod
    def of(cls, columns: Columns) -> TableInputs:
        """Return the inputs for tables with these columns.

        Raises
        ------
        ValueError
            For columns of categories that are neither text nor numbers.
        """
        names = columns.names or [f"x{i}" for i in range(columns.n_total)]
        found = [Column(name, columns.categories.levels.get(i)) for i, name in enumerate(names)]
        for column in found:
            if column.levels is not None and not column.is_text and not _are_numbers(column.levels):
                kinds = sorted({type(level).__name__ for level in column.levels})
                raise ValueError(
                    f"Got column {column.name!r}, whose levels are of type {', '.join(kinds)}; expected text, or "
                    "numbers and booleans: an ONNX tensor holds no others. Convert the column before fit."
                )
        return cls(found, columns.names is not None or any(column.is_text for column in found))


def _are_numbers(levels: Sequence[Any]) -> bool:
    return all(isinstance(level, Real) for level in levels)


class CodesModule(nn.Module):
    """Puts codes in place of levels that are numbers, as `Categories.encode` does; text is coded before.

    Parameters
    ----------
    inputs : TableInputs
    dtype : torch.dtype
        Of what is fed.
    """

    def __init__(self, inputs: TableInputs, dtype: torch.dtype):
        super().__init__()
        self.levels = [
            None if column.levels is None or column.is_text else _known_numbers(column, dtype)
            for column in inputs.columns
        ]
        self.changes = any(levels is not None for levels in self.levels)

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the table, (n_samples, n_total), float64."""
        if not self.changes:
            return raw
        parts = [
            column if levels is None else _codes(column, levels)
            for column, levels in zip(raw.split(1, dim=-1), self.levels, strict=True)
        ]
        return torch.cat(parts, dim=-1)


def _known_numbers(column: Column, dtype: torch.dtype) -> torch.Tensor:
    """Return levels in the precision that values are compared in."""
    levels = np.array(column.levels, dtype=np.float64)
    with np.errstate(over="ignore"):
        single = levels.astype(np.float32)
    differ = len(np.unique(single)) == len(levels)
    if dtype == torch.float32 and not differ:
        raise ValueError(
            f"Got column {column.name!r} with levels that are equal in float32; expected different ones. Pass "
            "dtype='float64'."
        )
    are_floats = all(isinstance(level, float) for level in column.levels or ())
    return torch.as_tensor(single if differ and (are_floats or dtype == torch.float32) else levels)


def _codes(column: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    is_level = column.to(levels.dtype) == levels
    code = is_level.to(torch.int64).argmax(-1, keepdim=True).double()
    return torch.where(is_level.any(-1, keepdim=True), code, torch.nan)


class TableOutputs(nn.Module):
    """Puts levels and dtypes back, as `Layout.wrap` does, in the form that tables are fed in.

    Parameters
    ----------
    columns : Columns
    inputs : TableInputs
    dtype : torch.dtype
        Of numbers.
    """

    def __init__(self, columns: Columns, inputs: TableInputs, dtype: torch.dtype):
        super().__init__()
        self.columns, self.inputs, self.dtype = columns, inputs, dtype
        self.levels = [
            None if column.levels is None or column.is_text else numbers(column.levels) for column in inputs.columns
        ]
        every = np.concatenate([columns.data, columns.condition])
        self.order = None if (np.diff(every) > 0).all() else torch.as_tensor(np.argsort(every))
        self.condition = torch.as_tensor(columns.condition)

    def outputs(self, method: str) -> list[Output]:
        """Return names and levels of the outputs."""
        if not self.inputs.apart:
            return [Output(method)]
        own = [self.inputs.columns[i] for i in self.columns.data]
        return [Output(f"{method}_{column.name}", column.levels if column.is_text else None) for column in own]

    def forward(self, data: torch.Tensor, table: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Return what users get of decoded rows: one matrix with the table's own conditions, or a column each.

        Parameters
        ----------
        data : Tensor of shape (n_samples, n_features), float64
            Modelled columns, codes for categories.
        table : Tensor of shape (n_samples, n_total), float64, or None
            Where conditions are looked up, if there are any.
        """
        if self.inputs.apart:
            return tuple(
                self._column(i, column)
                for i, column in zip(self.columns.data.tolist(), data.split(1, dim=-1), strict=True)
            )
        if len(self.columns.condition):
            assert table is not None
            data = torch.cat([data, table.index_select(-1, self.condition)], dim=-1)
        if self.order is not None:
            data = data.index_select(-1, self.order)
        if any(levels is not None for levels in self.levels):
            parts = zip(data.split(1, dim=-1), self.levels, strict=True)
            data = torch.cat([part if levels is None else _decode(part, levels) for part, levels in parts], dim=-1)
        return (data.to(self.dtype),)

    def _column(self, i: int, values: torch.Tensor) -> torch.Tensor:
        categories = self.columns.categories
        levels = self.levels[i]
        if categories.kinds[i] == "integer":
            low, high = integer_range(categories.dtypes[i])
            return values.round().clamp(float(low), min(float(high), _MOST_INTEGER)).to(torch.int64)
        if levels is not None:
            found = _decode(values, levels)
            known = categories.levels[i]
            if all(isinstance(level, bool) for level in known):
                return found > 0.5
            return found.to(torch.int64 if all(isinstance(level, int) for level in known) else self.dtype)
        if self.inputs.columns[i].is_text:
            return torch.where(values.isnan(), -1.0, values).to(torch.int64)
        return values.to(self.dtype)


def _decode(codes: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Return the levels of codes, NaN for NaN."""
    gaps = codes.isnan()
    place = torch.where(gaps, 0.0, codes).to(torch.int64)
    return torch.where(gaps, torch.nan, levels.index_select(0, place.flatten()).view(codes.shape))
