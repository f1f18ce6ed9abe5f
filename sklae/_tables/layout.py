"""The columns of a table: what they are, how they become tensors, how they come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from sklae._tables.bins import Grid
from sklae._tables.columns import Columns
from sklae._tables.conditions import Conditions
from sklae._tables.frames import wrap
from sklae._tables.scaling import _Moments

__all__ = ["Layout", "Rows"]

_CHUNK_ELEMENTS = 2**20


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

    def take(self, index: slice | torch.Tensor) -> Rows:
        """Return some of the rows, by a slice or by positions."""
        if isinstance(index, slice):
            return Rows(*(None if part is None else part[index] for part in self))  # type: ignore[arg-type]
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
    mean, deviation : ndarray of shape (n_features,), float64
        Of the values seen in ``fit``, in the user's units.
    offset, scale : ndarray of shape (n_features,), float64
        Encoded value = (value - offset) / scale.
    varies : ndarray of shape (n_features,), bool
        False for columns that were constant in ``fit``; they leave the density.
    minimum, maximum : ndarray of shape (n_features,), float64
        The range seen in ``fit``, encoded; that of validation rows included.
    fill : ndarray of shape (n_features,), float64
        The encoded value that stands in for a missing one: the column's mean.
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
    mean: np.ndarray
    deviation: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    varies: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    fill: np.ndarray
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
        standardize: bool | np.ndarray,
        columns: Columns | None = None,
        clip: float | None = None,
        clips: np.ndarray | None = None,
        blocks: tuple[tuple[str, np.ndarray], ...] | None = None,
        has_grid: bool | np.ndarray = True,
    ) -> Layout:
        """Read the scaling from the given rows of X (all of them for None), in bounded memory.

        ``standardize`` is one answer for all modelled columns, or one for each, and so is ``has_grid``: whether a
        column of numbers gets a `Grid`. Levels of categories are those of ``columns``, whether the rows have them all
        or not.
        """
        columns = Columns.of(X) if columns is None else columns
        moments = _Moments(columns.n_columns)
        for chunk, _ in _chunks(X, rows):
            moments.update(columns.modelled(chunk))
        if rows is not None:  # levels that only validation rows have are levels all the same
            for chunk, _ in _chunks(X, None):
                moments.update_range(columns.modelled(chunk))
        n_levels = columns.n_levels()
        moments.high = np.where(n_levels > 0, np.maximum(moments.high, n_levels - 1.0), moments.high)
        mean, deviation = moments.mean, moments.deviation()
        moments.check(columns.labels())
        varies = moments.varies()
        if not varies.any():
            raise ValueError(
                f"Got {len(mean)} columns that are all constant (or vary by less than about 1e-150); expected at least "
                "one that varies. There is nothing to learn from this table."
            )
        scales = np.broadcast_to(standardize, mean.shape)
        scale = np.where(varies & scales, deviation, 1.0)
        offset = np.where(scales, mean, 0.0)
        fill = (mean - offset) / scale
        return cls(
            columns=columns,
            conditions=Conditions.fit(X if rows is None else X[rows], columns),
            dtype=X.dtype,
            mean=mean,
            deviation=deviation,
            offset=offset,
            scale=scale,
            varies=varies,
            minimum=np.where(varies, (moments.low - offset) / scale, fill),
            maximum=np.where(varies, (moments.high - offset) / scale, fill),
            fill=fill,
            frequencies=tuple(_shares(X, rows, i, n) for i, n in zip(columns.data.tolist(), n_levels, strict=True)),
            has_missing=bool((moments.count < moments.n_rows)[varies].any()),
            clip=clip,
            clips=np.ones(len(mean), dtype=bool) if clips is None else clips,
            blocks=(("x", np.arange(len(mean))),) if blocks is None else blocks,
            grids=tuple(
                Grid.fit(X[:, i] if rows is None else X[rows, i]) if wanted else None
                for i, wanted in zip(columns.data, (n_levels == 0) & has_grid, strict=True)
            ),
        )

    def select(self, indices: np.ndarray) -> Layout:
        """Return the layout of some of the modelled columns, as one block, without conditions."""
        arrays = ("mean", "deviation", "offset", "scale", "varies", "minimum", "maximum", "fill", "clips")
        return dataclasses.replace(
            self,
            columns=self.columns.select(indices),
            conditions=Conditions.none(),
            blocks=(("x", np.arange(len(indices))),),
            frequencies=tuple(self.frequencies[i] for i in indices),
            grids=tuple(self.grids[i] for i in indices),
            **{name: getattr(self, name)[indices] for name in arrays},
        )

    @property
    def n_features(self) -> int:
        """Number of modelled columns."""
        return len(self.offset)

    @property
    def n_condition(self) -> int:
        """Number of values that encode a row's conditions."""
        return self.conditions.width

    @property
    def log_jacobian(self) -> np.ndarray:
        """Per column, what turns a log-density of encoded values into one in the user's units (nats)."""
        return -np.log(self.scale)

    @property
    def clip_bounds(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The least and largest encoded values after clipping, per column, float32; None for no clipping."""
        if self.clip is None:
            return None
        reach = np.where(self.clips, self.clip * self.deviation / self.scale, np.inf)
        low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in (self.fill - reach, self.fill + reach))
        return low, high

    def encode(self, X: np.ndarray, *, rows: np.ndarray | None = None, dtype: torch.dtype = torch.float32) -> Rows:
        """Encode rows of a validated table."""
        n_rows = len(X) if rows is None else len(rows)
        x = torch.empty((n_rows, self.n_features), dtype=dtype)
        observed = torch.ones_like(x) if self.has_missing else None
        condition = torch.empty((n_rows, self.n_condition), dtype=dtype) if self.n_condition else None
        for chunk, place in _chunks(X, rows):
            values = np.subtract(self.columns.modelled(chunk), self.offset, dtype=np.float64)
            values /= self.scale
            if not self.varies.all():  # what does not vary says nothing, nor does a gap in it
                values[:, ~self.varies] = self.fill[~self.varies]
            gaps = np.isnan(values)
            if gaps.any():
                values[gaps] = np.broadcast_to(self.fill, values.shape)[gaps]
                if observed is None:
                    observed = torch.ones_like(x)
                observed.numpy()[place] = ~gaps
            with np.errstate(over="ignore"):  # values past float32 only where nothing was scaled: the loss will say
                x.numpy()[place] = values
            if condition is not None:
                condition.numpy()[place] = self.conditions.encode(self.columns.conditioning(chunk))
        return Rows(x, observed, condition)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return encoded values to the user's units, columns constant in ``fit`` to their constant."""
        values = values * self.scale + self.offset
        if not self.varies.all():
            values[:, ~self.varies] = self.mean[~self.varies]
        for i, grid in enumerate(self.grids):
            if grid is not None:
                values[:, i] = grid.snap(values[:, i])
        return values

    def wrap(self, values: np.ndarray, *, like: Any = None) -> Any:
        """Put decoded rows (all columns of the table) into the container and the dtypes fitted, levels for codes."""
        return self.columns.categories.decode(wrap(values, self.columns.container, like=like))


def _chunks(X: np.ndarray, rows: np.ndarray | None) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield parts of X (or of the given rows) of about a million elements, and their places."""
    n_rows = len(X) if rows is None else len(rows)
    step = max(1, _CHUNK_ELEMENTS // X.shape[1])
    for start in range(0, n_rows, step):
        place = slice(start, min(start + step, n_rows))
        yield (X[place] if rows is None else X[rows[place]]), place


def _shares(X: np.ndarray, rows: np.ndarray | None, position: int, n_levels: int) -> np.ndarray:
    """Return the shares of a column's levels among its values."""
    if not n_levels:
        return np.empty(0)
    codes = X[:, position] if rows is None else X[rows, position]
    counts = np.bincount(codes[~np.isnan(codes)].astype(np.int64), minlength=n_levels)
    return counts / max(counts.sum(), 1)
