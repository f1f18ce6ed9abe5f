"""A layout as modules: from tables to encoded rows, and from encoded rows to the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sklae._autoencoders.inference import within_reach
from sklae._tables.bins import Grid
from sklae._tables.conditions import Conditions
from sklae._tables.indicators import Cells
from sklae._tables.layout import Layout, Rows

__all__ = ["CellUnits", "LayoutModule", "UserUnits", "numbers"]


def numbers(values: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Return constants of a graph, a copy."""
    return torch.tensor(np.asarray(values), dtype=dtype)


class LayoutModule(nn.Module):
    """Encodes tables as `Layout.encode` does: scaling and gaps in float64, whatever comes after.

    Parameters
    ----------
    layout : Layout
    dtype : torch.dtype
        Of the encoded rows.
    """

    def __init__(self, layout: Layout, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        scaling, columns = layout.scaling, layout.columns
        self.data = None if columns.n_columns == columns.n_total else torch.as_tensor(columns.data)
        self.offset, self.scale, self.fill = map(numbers, (scaling.offset, scaling.scale, scaling.fill))
        self.varies = None if scaling.varies.all() else torch.as_tensor(scaling.varies)
        self.condition = _ConditionModule(layout.conditions, columns.condition, dtype) if layout.n_condition else None

    def modelled(self, table: torch.Tensor) -> torch.Tensor:
        """Return the modelled columns of a table."""
        return table if self.data is None else table.index_select(-1, self.data)

    def forward(self, table: torch.Tensor) -> Rows:
        """Return encoded rows of a table of numbers and codes, (n_samples, n_total), float64, NaN in gaps."""
        values = (self.modelled(table) - self.offset) / self.scale
        if self.varies is not None:
            values = torch.where(self.varies, values, self.fill)
        gaps = values.isnan()
        x = within_reach(torch.where(gaps, self.fill, values).to(self.dtype))
        return Rows(x, (~gaps).to(self.dtype), None if self.condition is None else self.condition(table))


class _ConditionModule(nn.Module):
    """Encodes conditions as `Conditions.encode` does.

    Parameters
    ----------
    conditions : Conditions
    positions : ndarray of int
        Of the conditioning columns in the table.
    dtype : torch.dtype
    """

    def __init__(self, conditions: Conditions, positions: np.ndarray, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        self.positions = positions.tolist()
        self.levels = [None if levels is None else numbers(levels) for levels in conditions.levels]
        self.moments = list(zip(conditions.mean.tolist(), conditions.scale.tolist(), strict=True))

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        """Return the conditions of a table's rows, (n_samples, n_condition)."""
        parts = []
        for position, levels, (mean, scale) in zip(self.positions, self.levels, self.moments, strict=True):
            column = table[:, position : position + 1]
            if levels is not None:
                parts.append((column == levels).to(self.dtype))
            else:
                value = (column - mean) / scale
                parts.append(within_reach(torch.where(value.isnan(), 0.0, value).to(self.dtype)))
        return torch.cat(parts, dim=-1)


class UserUnits(nn.Module):
    """Decodes rows as `Layout.decode` does.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout):
        super().__init__()
        scaling = layout.scaling
        self.offset, self.scale, self.mean = map(numbers, (scaling.offset, scaling.scale, scaling.mean))
        self.varies = None if scaling.varies.all() else torch.as_tensor(scaling.varies)
        self.unit = _decimal_units(layout.grids)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return encoded values, (n_samples, n_features), in the user's units, float64."""
        values = x.double() * self.scale + self.offset
        if self.varies is not None:
            values = torch.where(self.varies, values, self.mean)
        if self.unit is None:
            return values
        decimals = (values * self.unit).round() / self.unit
        return torch.where((values - decimals).abs() < 1e-6 / self.unit, decimals, values)


def _decimal_units(grids: Sequence[Grid | None]) -> torch.Tensor | None:
    """Return how many units of a column's last decimal make 1, infinite where values are any; None if all are so."""
    decimals = [None if grid is None else grid.decimals for grid in grids]
    if all(each is None for each in decimals):
        return None
    return numbers([np.inf if each is None else 10.0**each for each in decimals])


class CellUnits(nn.Module):
    """Brings expected cells to the user's units, as `Inference.decode_cells` does.

    Parameters
    ----------
    layout : Layout
    cells : Cells
        Of the likelihood.
    """

    def __init__(self, layout: Layout, cells: Cells):
        super().__init__()
        is_number = ~cells.is_coded
        self.of_numbers = UserUnits(layout.select(np.flatnonzero(is_number))) if is_number.any() else None
        # where each cell is among numbers and, after these, all cells
        n_numbers = int(is_number.sum())
        place = n_numbers + np.arange(len(cells.owner))
        place[cells.first[is_number]] = np.arange(n_numbers)
        self.place = torch.as_tensor(place)
        self.first = torch.as_tensor(cells.first[is_number])

    def forward(self, expected: torch.Tensor) -> torch.Tensor:
        """Return cells, (n_samples, n_cells), with numbers in the user's units, float64."""
        expected = expected.double()
        if self.of_numbers is None:
            return expected
        own = self.of_numbers(expected.index_select(-1, self.first))
        return torch.cat([own, expected], dim=-1).index_select(-1, self.place)
