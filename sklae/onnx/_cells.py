"""Rows as cells, as `Cells` has them: numbers, and an indicator for each level."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sklae._tables.indicators import Cells
from sklae.onnx._layout import numbers

__all__ = ["CellsModule"]


class CellsModule(nn.Module):
    """What codes and cells of the same columns have to do with each other.

    Parameters
    ----------
    cells : Cells
    is_ordered : ndarray of shape (n_columns,), bool
        Which columns' levels are cumulated, where they are codes.
    """

    def __init__(self, cells: Cells, is_ordered: np.ndarray):
        super().__init__()
        self.cells = cells
        self.owner = torch.as_tensor(cells.owner)
        self.level = numbers(np.arange(len(cells.owner)) - cells.first[cells.owner])
        self.is_coded = torch.as_tensor(cells.is_coded[cells.owner])
        self.sums = numbers(cells.owner[:, None] == np.arange(len(cells.widths)))
        self.cumulated = (cells.is_coded & is_ordered).tolist()

    def expand(self, values: torch.Tensor) -> torch.Tensor:
        """Return the cells of rows, (n_rows, n_columns) -> (n_rows, n_cells); NaN in gaps."""
        if self.cells.only_numbers:
            return values
        repeated = values.index_select(-1, self.owner)
        indicators = torch.where(repeated.isnan(), torch.nan, (repeated == self.level).double())
        return torch.where(self.is_coded, indicators, repeated)

    def cumulate(self, cells: torch.Tensor) -> torch.Tensor:
        """Return ordered levels added up from the lowest on."""
        if not any(self.cumulated):
            return cells
        parts = zip(cells.split(self.cells.widths.tolist(), dim=-1), self.cumulated, strict=True)
        return torch.cat([part.cumsum(-1) if cumulated else part for part, cumulated in parts], dim=-1)

    def add_up(self, cells: torch.Tensor) -> torch.Tensor:
        """Return the sum of each column's cells, (n_rows, n_columns), NaN where one of them is."""
        if self.cells.only_numbers:
            return cells
        gaps = cells.isnan()
        found = torch.where(gaps, 0.0, cells) @ self.sums
        return torch.where(gaps.double() @ self.sums > 0, torch.nan, found)
