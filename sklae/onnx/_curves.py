"""Tables of values that are looked up and interpolated, several at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from sklae._outliers.tails import LARGE, Tail
from sklae.onnx._layout import numbers

__all__ = ["Curves", "Tails", "n_at_or_below"]


def n_at_or_below(values: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Return how many of some sorted numbers, (..., n), lie at or below each value, (...)."""
    return (limits <= values.unsqueeze(-1)).sum(-1)


class Curves(nn.Module):
    """Lines through points, as `numpy.interp` draws them: one for each column.

    Parameters
    ----------
    curves : sequence of (ndarray, ndarray)
        Distinct places in order, and the heights there.
    """

    def __init__(self, curves: Sequence[tuple[np.ndarray, np.ndarray]]):
        super().__init__()
        sizes = np.array([len(places) for places, _ in curves])
        places, heights = np.full((2, len(curves), sizes.max()), np.inf)
        for i, (x, y) in enumerate(curves):
            places[i, : len(x)], heights[i] = x, np.append(y, np.full(sizes.max() - len(y), y[-1]))
        self.places, self.heights = numbers(places), numbers(heights.ravel())
        self.flat = numbers(places.ravel())
        self.lowest = numbers([x[0] for x, _ in curves])
        self.highest = numbers([x[-1] for x, _ in curves])
        self.first = torch.as_tensor(np.arange(len(curves)) * sizes.max())
        self.last = torch.as_tensor(sizes - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return heights at places, (n_samples, n_curves)."""
        x = x.clamp(self.lowest, self.highest)
        left = torch.minimum((n_at_or_below(x, self.places) - 1).clamp(min=0), self.last)
        right = torch.minimum(left + 1, self.last)
        x0, x1 = self._at(self.flat, left), self._at(self.flat, right)
        y0, y1 = self._at(self.heights, left), self._at(self.heights, right)
        width = torch.where(left < right, x1 - x0, 1.0)
        return y0 + (y1 - y0) / width * (x - x0)

    def _at(self, table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return table.index_select(0, (index + self.first).flatten()).view(index.shape)


class Tails(nn.Module):
    """Surprises by tails, one for each column, as `Tail` says them.

    Parameters
    ----------
    tails : sequence of Tail
        All of positive values, or none.
    """

    def __init__(self, tails: Sequence[Tail]):
        super().__init__()
        self.inside = Curves([(tail.knots, tail.surprise) for tail in tails])
        self.smallest, self.least = numbers([t.knots[0] for t in tails]), numbers([t.surprise[0] for t in tails])
        self.start, self.level, self.excess = (
            numbers([getattr(tail, name) for tail in tails]) for name in ("start", "level", "excess")
        )
        floors = [tail.floor for tail in tails if tail.floor is not None]
        assert len(floors) in (0, len(tails))
        self.floor = numbers(floors) if floors else None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the surprise of values, (n_samples, n_tails), in nats."""
        x = values if self.floor is None else torch.maximum(values, self.floor).log()
        below = self.least * (x - self.smallest).clamp(max=0.0).exp()
        beyond = (x - self.start) / self.excess
        bent = LARGE * (1.0 + (beyond.clamp(min=LARGE) / LARGE).log())
        beyond = self.level + torch.where(beyond > LARGE, bent, beyond)
        return torch.where(x > self.start, beyond, torch.where(x < self.smallest, below, self.inside(x)))
