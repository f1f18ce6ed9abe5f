"""The columns of a table: what they are, how they become tensors, how they come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from sklae._tables.bins import Grid, GridReader
from sklae._tables.columns import Columns
from sklae._tables.conditions import Conditions, ConditionsReader
from sklae._tables.frames import wrap
from sklae._tables.scaling import Moments, Scaling

__all__ = ["Layout", "LayoutReader", "Rows", "rows_per_chunk"]

_CHUNK_ELEMENTS = 2**20
# Encoded values count as no further out than this: a network's sums over larger ones would not be finite.
_FARTHEST = {torch.float32: 1e30, torch.float64: 1e300}


class Rows(NamedTuple):
    """Encoded rows.

    Attributes
    ----------
    x : Tensor of shape (n_rows, n_columns)
        A fresh tensor; gaps hold `Layout.fill`, columns constant in ``fit`` their constant.
    observed : Tensor of the same shape, or None
        1 where a value was observed and in columns constant in ``fit``, 0 in gaps. None if there is no gap.
    condition : Tensor of shape (n_rows, n_condition), or None
        None if nothing conditions the model.
    """

    x: torch.Tensor
    observed: torch.Tensor | None = None
    condition: torch.Tensor | None = None

    def to(self, device: Any) -> Rows:
        """Return the rows on a device."""
        return Rows(*(None if part is None else part.to(device) for part in self))  # type: ignore[arg-type]

    @staticmethod
    def concatenate(parts: Sequence[Rows]) -> Rows:
        """Return rows of the same columns below each other."""
        observed = None
        if any(part.observed is not None for part in parts):
            observed = torch.cat(
                [torch.ones_like(part.x) if part.observed is None else part.observed for part in parts]
            )
        conditions = [part.condition for part in parts if part.condition is not None]
        return Rows(torch.cat([part.x for part in parts]), observed, torch.cat(conditions) if conditions else None)

    def take(self, index: slice | torch.Tensor) -> Rows:
        """Return some of the rows, by a slice or by positions."""
        if isinstance(index, slice):
            observed = None if self.observed is None else self.observed[index]
            return Rows(self.x[index], observed, None if self.condition is None else self.condition[index])
        return Rows(*(None if part is None else part.index_select(0, index) for part in self))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Layout:
    """The modelled columns of a fitted table and their scaling, made once in ``fit``.

    Attributes
    ----------
    columns : Columns
        Which of the table's columns are modelled, which condition the model.
    conditions : Conditions
        How the latter are encoded.
    dtype : numpy.dtype
        float32 or float64, as fitted.
    scaling : Scaling
        Means and spreads of the modelled columns; its arrays ``mean``, ``deviation``, ``varies``, ``minimum``,
        ``maximum`` and ``fill`` are attributes of the layout, too.
    frequencies : tuple of ndarray
        Of each column of categories the shares of its levels in ``fit``; empty for numbers.
    has_missing : bool
        Whether ``fit`` saw gaps in columns that vary.
    clip : float or None
        How many standard deviations from their mean training targets and encoder inputs may lie.
    clips : ndarray of shape (n_features,), bool
        Which columns ``clip`` is for: counts, categories and shares mean something as they are.
    blocks : tuple of (str, ndarray)
        Names and columns of the likelihood's blocks.
    grids : tuple of Grid or None
        Where the values of each column of numbers lie; None for others, and where no likelihood asks.
    """

    columns: Columns
    conditions: Conditions
    dtype: np.dtype
    scaling: Scaling
    frequencies: tuple[np.ndarray, ...]
    has_missing: bool
    clip: float | None
    clips: np.ndarray
    blocks: tuple[tuple[str, np.ndarray], ...]
    grids: tuple[Grid | None, ...]

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        *,
        rows: np.ndarray | None,
        columns: Columns | None = None,
        weights: np.ndarray | None = None,
        **settings: Any,
    ) -> Layout:
        """Learn from the given rows of X (all of them for None); further settings are those of `LayoutReader`."""
        return LayoutReader(Columns.fit(X) if columns is None else columns, **settings).read(X, rows, weights)

    def select(self, indices: np.ndarray) -> Layout:
        """Return the layout of some of the modelled columns, as one block, without conditions."""
        return dataclasses.replace(
            self,
            columns=self.columns.select(indices),
            conditions=Conditions.none(),
            scaling=self.scaling.select(indices),
            frequencies=tuple(self.frequencies[i] for i in indices),
            clips=self.clips[indices],
            blocks=(("x", np.arange(len(indices))),),
            grids=tuple(self.grids[i] for i in indices),
        )

    @property
    def n_features(self) -> int:
        """Number of modelled columns."""
        return self.columns.n_columns

    @property
    def mean(self) -> np.ndarray:
        """Means of the values seen in ``fit``, in the user's units."""
        return self.scaling.mean

    @property
    def deviation(self) -> np.ndarray:
        """Their standard deviations."""
        return self.scaling.deviation

    @property
    def varies(self) -> np.ndarray:
        """Which columns varied in ``fit``."""
        return self.scaling.varies

    @property
    def minimum(self) -> np.ndarray:
        """The least encoded values seen in ``fit``."""
        return self.scaling.minimum

    @property
    def maximum(self) -> np.ndarray:
        """The largest encoded values seen in ``fit``."""
        return self.scaling.maximum

    @property
    def fill(self) -> np.ndarray:
        """The encoded values that stand in for missing ones."""
        return self.scaling.fill

    @property
    def n_condition(self) -> int:
        """Number of values that encode a row's conditions."""
        return self.conditions.width

    @property
    def log_jacobian(self) -> np.ndarray:
        """Per column, what turns a log-density of encoded values into one in the user's units (nats)."""
        return -np.log(self.scaling.scale)

    @property
    def clip_bounds(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The least and largest encoded values after clipping, per column, float32; None for no clipping."""
        if self.clip is None:
            return None
        reach = np.where(self.clips, self.clip * self.scaling.deviation / self.scaling.scale, np.inf)
        low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in (self.fill - reach, self.fill + reach))
        return low, high

    def encode(self, X: np.ndarray, *, rows: np.ndarray | None = None, dtype: torch.dtype = torch.float32) -> Rows:
        """Encode rows of a validated table."""
        n_rows = len(X) if rows is None else len(rows)
        x = torch.empty((n_rows, self.n_features), dtype=dtype)
        observed = torch.ones_like(x) if self.has_missing else None
        condition = torch.empty((n_rows, self.n_condition), dtype=dtype) if self.n_condition else None
        for chunk, place in _chunks(X, rows):
            values = self.scaling.encode(self.columns.modelled(chunk))
            gaps = np.isnan(values)
            if gaps.any():
                values[gaps] = np.broadcast_to(self.fill, values.shape)[gaps]
                if observed is None:
                    observed = torch.ones_like(x)
                observed.numpy()[place] = ~gaps
            x.numpy()[place] = _within(values, dtype)
            if condition is not None:
                condition.numpy()[place] = _within(self.conditions.encode(self.columns.conditioning(chunk)), dtype)
        return Rows(x, observed, condition)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return encoded values to the user's units, columns constant in ``fit`` to their constant."""
        values = self.scaling.decode(values)
        for i, grid in enumerate(self.grids):
            if grid is not None:
                values[:, i] = grid.snap(values[:, i])
        return values

    def wrap(self, values: np.ndarray, *, like: Any = None) -> Any:
        """Put decoded rows (all columns of the table) into the container and the dtypes fitted, levels for codes."""
        return self.columns.categories.decode(wrap(values, self.columns.container, like=like))


def _within(values: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Return encoded values, those that are so far out that networks would overflow as far out as they may be."""
    farthest = _FARTHEST[dtype]
    return np.clip(values.astype(np.float64, copy=False), -farthest, farthest)


class LayoutReader:
    """Learns a layout chunk by chunk.

    Parameters
    ----------
    columns : Columns
        Levels of categories are theirs, whether the rows have them all or not.
    standardize, has_grid : bool, or ndarray of shape (n_columns,)
        Whether modelled columns are centred and scaled, and whether those of numbers get a `Grid`.
    together : bool, default=False
        Whether they are so by one mean and one scale for all.
    clip, clips, blocks
        As `Layout` holds them.
    is_piece : bool, default=False
        Whether other rows will come, in which categories vary that have one level here.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        standardize: bool | np.ndarray,
        together: bool = False,
        clip: float | None = None,
        clips: np.ndarray | None = None,
        blocks: tuple[tuple[str, np.ndarray], ...] | None = None,
        has_grid: bool | np.ndarray = True,
        is_piece: bool = False,
    ):
        width = columns.n_columns
        self.columns = columns
        self.standardize = standardize
        self.together = together
        self.clip = clip
        self.clips = np.ones(width, dtype=bool) if clips is None else clips
        self.blocks = (("x", np.arange(width)),) if blocks is None else blocks
        self.n_levels = columns.n_levels()
        self.has_grid = (self.n_levels == 0) & has_grid
        self.is_open = (self.n_levels > 1) & is_piece  # of several levels one was seen, perhaps
        self.dtype: np.dtype | None = None
        self.moments = Moments(width)
        self.conditions = ConditionsReader(columns)
        self.counts = [np.zeros(n) for n in self.n_levels]
        self.grids: dict[int, GridReader] = {}

    def read(self, X: np.ndarray, rows: np.ndarray | None = None, weights: np.ndarray | None = None) -> Layout:
        """Return the layout of the given rows of a table (all of them for None), in bounded memory.

        ``weights`` say how often each of these rows counts.
        """
        for chunk, place in _chunks(X, rows):
            self.update(chunk, None if weights is None else weights[place])
        if rows is not None:  # levels and ranges that only validation rows have
            for chunk, _ in _chunks(X, None):
                self.update_range(chunk)
        return self.finish()

    def update(self, table: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take in rows of a validated table, each as often as its weight says."""
        self.conditions.update(table, weights)
        if self.dtype is None:
            self.dtype = table.dtype
            self.grids = {int(i): GridReader(table.dtype) for i in np.flatnonzero(self.has_grid)}
        values = self.columns.modelled(table)
        self.moments.update(values, weights)
        for i in np.flatnonzero(self.n_levels).tolist():
            codes = values[:, i]
            there = ~np.isnan(codes)
            times = None if weights is None else weights[there]
            self.counts[i] += np.bincount(codes[there].astype(np.int64), times, minlength=self.n_levels[i])
        for i, grid in self.grids.items():
            grid.update(values[:, i], weights)

    def update_range(self, table: np.ndarray) -> None:
        """Take in only how far rows reach."""
        self.moments.update_range(self.columns.modelled(table))

    def finish(self) -> Layout:
        """Return the layout of what was taken in."""
        moments, n_levels = self.moments, self.n_levels
        moments.high = np.where(n_levels > 0, np.maximum(moments.high, n_levels - 1.0), moments.high)
        moments.low = np.where(self.is_open, 0.0, moments.low)
        scaling = moments.finish(
            self.columns.labels(), self.standardize, together=self.together, clip=self.clip, is_open=self.is_open
        )
        assert self.dtype is not None
        return Layout(
            columns=self.columns,
            conditions=self.conditions.finish(),
            dtype=self.dtype,
            scaling=scaling,
            frequencies=tuple(count / (count.sum() or 1.0) for count in self.counts),
            has_missing=bool(moments.has_gaps[scaling.varies].any()),
            clip=self.clip,
            clips=self.clips,
            blocks=self.blocks,
            grids=tuple(self.grids[i].finish() if i in self.grids else None for i in range(len(n_levels))),
        )


def rows_per_chunk(n_columns: int) -> int:
    """Return how many rows are worked on at a time."""
    return max(1, _CHUNK_ELEMENTS // n_columns)


def _chunks(X: np.ndarray, rows: np.ndarray | None) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield parts of X (or of the given rows) of about a million elements, and their places."""
    n_rows = len(X) if rows is None else len(rows)
    step = rows_per_chunk(X.shape[1])
    for start in range(0, n_rows, step):
        place = slice(start, min(start + step, n_rows))
        yield (X[place] if rows is None else X[rows[place]]), place
