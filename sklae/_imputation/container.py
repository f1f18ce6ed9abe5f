"""What an imputer is given and gives back: markers of gaps, columns to keep, indicators, the user's container."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae._tables.columns import Columns
from sklae._tables.frame_cells import append_columns, arranged, blank, take_cells, without
from sklae._tables.frames import (
    columns_at,
    dtypes_of,
    is_frame,
    is_gap,
    kinds_of,
    refuse_odd_frames,
    table_of,
    values_of,
)
from sklae._tables.table import frame_of, unmasked

__all__ = ["Container", "unmarked"]


def unmarked(X: Any, missing_values: Any) -> Any:
    """Return a table with gaps in place of what stands for them.

    Raises
    ------
    ValueError
        If text is to stand for gaps in a table that has none.
    """
    refuse_odd_frames(X)
    X = unmasked(X)
    if is_gap(missing_values):
        return X
    kinds = kinds_of(X) if is_frame(X) else ["numeric"] if getattr(X, "dtype", np.dtype(object)).kind in "biuf" else []
    if isinstance(missing_values, str) and kinds and set(kinds) <= {"numeric", "integer", "binary"}:
        raise ValueError(
            f"Got missing_values={missing_values!r}, which is text, and a table of numbers; expected what stands for a "
            "gap in it. Pass a number."
        )
    return without(X, missing_values)


@dataclass(frozen=True, eq=False)
class Container:
    """The columns of a fitted table, as they are given back.

    Attributes
    ----------
    columns : Columns
    with_gaps : ndarray of int
        Columns that had gaps in ``fit``.
    with_values : ndarray of int
        Columns that had values.
    """

    columns: Columns
    with_gaps: np.ndarray
    with_values: np.ndarray

    @staticmethod
    def read_columns(X: Any, gapped: Any, categorical_features: Any) -> Columns:
        """Return what columns hold; integers stay integers where a number stood for gaps.

        ``gapped`` is X with gaps in place of what stands for them, as it was read.
        """
        columns = Columns.fit(gapped, None, categorical_features)
        if frame_of(gapped) is X or not is_frame(X):
            return columns
        before = zip(columns.categories.kinds, kinds_of(X), strict=True)
        kinds = tuple("integer" if (now, was) == ("numeric", "integer") else now for now, was in before)
        categories = dataclasses.replace(columns.categories, kinds=kinds, dtypes=tuple(dtypes_of(X)))
        return dataclasses.replace(columns, categories=categories)

    def check_indicators(self) -> None:
        """Refuse indicators whose names can't be given."""
        container = self.columns.container
        if container is not None and not all(isinstance(name, str) for name in container.columns):
            raise ValueError(
                "Got column names that are no text and add_indicator=True, whose names are; expected text. Rename "
                "them: X.columns = X.columns.astype(str)."
            )
        taken = sorted({*self._names()} & {*self.indicator_names(self._names())})
        if taken:
            raise ValueError(
                f"Got columns {taken[:5]} and add_indicator=True, whose columns are called the same; expected other "
                "names. Rename or drop them."
            )

    def shown(self, positions: np.ndarray) -> Columns:
        """Return some of the columns, with a container of their own."""
        container = self.columns.container
        if container is not None:
            container = columns_at(container, positions)
        return dataclasses.replace(self.columns.select(positions), container=container)

    def kept(self, keep_empty: bool) -> np.ndarray:
        """Return the columns to give back: all, or those that had values."""
        return np.arange(self.columns.n_total) if keep_empty else self.with_values

    def finish(self, filled: np.ndarray, table: np.ndarray, X: Any, *, keep_empty: bool, add_indicator: bool) -> Any:
        """Put the columns to keep, and indicators of gaps after them, into the fitted container."""
        gaps, kept = np.isnan(table), self.kept(keep_empty)
        filled = filled[:, kept].astype(table.dtype, copy=False)
        missing = gaps[:, self.with_gaps]
        shown = self.shown(kept)
        if shown.container is None:
            filled = shown.categories.decode(filled)
            return np.hstack([filled, missing.astype(table.dtype)]) if add_indicator else filled
        names = list(shown.container.columns)
        filled = shown.categories.decode(table_of(filled, names, shown.container, like=X))
        # as they were: the largest integers, for one, are no floats
        source, own = X, ~gaps[:, kept]
        if type(X) is not type(filled):
            source = table_of(table[:, kept], names, shown.container, like=X)
            own = own & ~np.isin(np.arange(len(kept)), list(shown.categories.levels))  # which are codes in the table
        filled = take_cells(filled, source, own)
        if not add_indicator:
            return filled
        return append_columns(filled, dict(zip(self.indicator_names(self._names()), missing.T, strict=True)))

    def restore_gaps(self, filled: Any, *, keep_empty: bool) -> Any:
        """Return a filled table with indicators as it was before: with gaps, and with the columns that were dropped."""
        kept, n_indicators = self.kept(keep_empty), len(self.with_gaps)
        width = len(kept) + n_indicators
        if len(np.shape(filled)) != 2 or np.shape(filled)[1] != width:
            raise ValueError(
                f"Got a table of shape {np.shape(filled)}; expected {width} columns, as transform gives them: "
                f"{len(kept)} filled ones and {n_indicators} indicators."
            )
        if not is_frame(filled):
            values = np.asarray(filled)
            out = np.full((len(values), self.columns.n_total), np.nan, dtype=values.dtype)
            out[:, kept] = values[:, : len(kept)]
            gaps = np.zeros(out.shape, dtype=bool)
            gaps[:, self.with_gaps] = values[:, len(kept) :]
            return np.where(gaps, np.nan, out)
        where = {int(position): place for place, position in enumerate(kept)}
        masks = {
            where[i]: np.array(values_of(filled, len(kept) + j), dtype=bool)
            for j, i in enumerate(self.with_gaps.tolist())
            if i in where
        }
        shown = blank(columns_at(filled, np.arange(len(kept))), masks)
        return arranged(shown, list(self.columns.container.columns))

    def indicator_names(self, names: np.ndarray) -> list[str]:
        """Return the names of the indicators, given those of all columns."""
        return [f"missingindicator_{name}" for name in names[self.with_gaps]]

    def empty_names(self) -> list[str]:
        """Return the names of columns that had no value."""
        return np.delete(self._names(), self.with_values).tolist()

    def _names(self) -> np.ndarray:
        names = self.columns.names
        return np.array([f"x{i}" for i in range(self.columns.n_total)] if names is None else names, dtype=object)
