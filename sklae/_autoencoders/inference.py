"""A trained net over a layout, run on rows in chunks and without state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sklae._model.module import Autoencoder
from sklae._tables.indicators import Cells
from sklae._tables.layout import Layout, Rows
from sklae._training.net import AutoencoderNet
from sklae._utils.torch_settings import torch_settings

__all__ = ["Inference", "check_answer", "within_reach"]

_CHUNK_ELEMENTS = 2**18
# Values further out than so many units of their column, and codes, count as if they were no further: squares and sums
# of them are finite numbers.
_FARTHEST = {torch.float32: 1e12, torch.float64: 1e100}
# Of a row whose draws are more than a chunk: 16 MiB in float64.
_MOST_ELEMENTS = 2**21


def within_reach(values: torch.Tensor) -> torch.Tensor:
    """Return encoded values or codes, those too far out for their precision at the end of what it can do."""
    farthest = _FARTHEST[values.dtype]
    return values.clamp(-farthest, farthest)


def check_answer(out: np.ndarray, *, finite: bool = False) -> np.ndarray:
    """Refuse to answer with NaN, or with what is not finite."""
    is_wrong = ~np.isfinite(out) if finite else np.isnan(out)
    if is_wrong.any():
        wrong = np.flatnonzero(is_wrong.reshape(len(out), -1).any(axis=1))
        raise ValueError(
            f"Got {'infinite values' if finite and not np.isnan(out).any() else 'NaN'} from the model for {len(wrong)} "
            f"rows, first row {wrong[0]}; expected finite numbers. Look for extreme values in these rows, or, with "
            "modules of your own, at what they return in evaluation mode."
        )
    return out


class Inference:
    """Runs the module of a net on encoded rows, and brings what it says back to the user's units.

    Parameters
    ----------
    layout : Layout
    net : AutoencoderNet

    Attributes
    ----------
    cells : Cells
        How the modelled columns fall into cells.
    """

    def __init__(self, layout: Layout, net: AutoencoderNet):
        self.layout = layout
        self.net = net

    @property
    def n_components(self) -> int:
        """Width of the code."""
        return self.net.module_.n_components

    @cached_property
    def cells(self) -> Cells:
        return Cells(self.net.module_.likelihood.n_levels(self.layout.n_features))

    def empty_cells(self, table: np.ndarray) -> np.ndarray:
        """Return an array for the cells of so many rows."""
        return np.empty((len(table), len(self.cells.owner)))

    def decode_cells(self, expected: torch.Tensor) -> np.ndarray:
        """Return expected values with numbers in the user's units."""
        cells, layout = self.cells, self.layout
        values = expected.cpu().numpy()
        if cells.only_numbers:
            return layout.decode(values)
        values = values.astype(np.float64)
        numbers = ~cells.is_coded
        values[:, cells.first[numbers]] = layout.select(np.flatnonzero(numbers)).decode(values[:, cells.first[numbers]])
        return values

    def log_jacobians(self, module: Autoencoder, rows: Rows) -> torch.Tensor:
        """Return what turns log-densities of encoded cells into such in the user's units, 0 where nothing counts."""
        jacobian = torch.as_tensor(self.layout.log_jacobian)
        weight = module.column_weight(rows.observed)
        return jacobian if weight is None else jacobian * weight.cpu()

    def encode_condition(
        self, condition: np.ndarray | None, dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor | None:
        """Return conditions, as read, as the module takes them."""
        if condition is None:
            return None
        return within_reach(torch.tensor(self.layout.conditions.encode(condition), dtype=dtype)).to(device)

    def inference_module(self, dtype: np.dtype) -> tuple[Any, torch.device]:
        """Return the module for float32 or float64 input, and its device."""
        module = self.net.inference_module(torch.float64 if dtype == np.float64 else torch.float32)
        return module, next(module.parameters()).device

    def map_rows(self, function: Callable, table: np.ndarray, *, out: np.ndarray, n_draws: int = 1) -> np.ndarray:
        """Fill ``out`` with ``function(module, rows)`` of the encoded rows of a table, in chunks."""
        module, device = self.inference_module(table.dtype)
        dtype = torch.float64 if table.dtype == np.float64 else torch.float32
        with torch_settings(n_threads=1, gradients=False):
            for rows in self.chunks(len(table), n_draws):
                encoded = self.layout.encode(table[rows], dtype=dtype)
                seen = encoded._replace(
                    x=within_reach(encoded.x),
                    condition=None if encoded.condition is None else within_reach(encoded.condition),
                )
                out[rows] = function(module, seen.to(device))
        return check_answer(out)

    def chunks(self, n_rows: int, n_draws: int = 1) -> Iterator[slice]:
        """Yield parts of about a quarter of a million activations: they stay in the cache."""
        step = max(1, _CHUNK_ELEMENTS // (self._width * n_draws))
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))

    def mean_over_draws(self, function: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor) -> torch.Tensor:
        """Return the mean of ``function(z)`` over draws of rows' codes, its first axis, a few at a time."""
        total = torch.stack([function(part).sum(0) for part in z.split(self.draws_at_once)]).sum(0)
        return total / len(z)

    @property
    def draws_at_once(self) -> int:
        """How many codes of a row may be decoded at once."""
        return max(1, _MOST_ELEMENTS // self._width)

    @property
    def _width(self) -> int:
        return max(self.layout.columns.n_total, self.net.module_.width, 64)
