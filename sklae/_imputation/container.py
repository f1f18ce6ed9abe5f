"""What an imputer is given and gives back: markers of gaps, columns to keep, indicators, the user's container."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae._tables.columns import Columns
from sklae._tables.frames import (
    append_columns,
    columns_at,
    dtypes_of,
    is_frame,
    is_gap,
    kinds_of,
    table_of,
    take_cells,
    without,
)
from sklae._tables.table import frame_of

__all__ = ["Container", "unmarked"]


def unmarked(X: Any, missing_values: Any) -> Any:
    """Return a table with gaps in place of what stands for them."""
    return X if is_gap(missing_values) else without(X, missing_values)


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
        filled = take_cells(filled, X, ~gaps[:, kept])
        if not add_indicator:
            return filled
        return append_columns(filled, dict(zip(self.indicator_names(self._names()), missing.T, strict=True)))

    def indicator_names(self, names: np.ndarray) -> list[str]:
        """Return the names of the indicators, given those of all columns."""
        return [f"missingindicator_{name}" for name in names[self.with_gaps]]

    def _names(self) -> np.ndarray:
        names = self.columns.names
        return np.array([f"x{i}" for i in range(self.columns.n_total)] if names is None else names, dtype=object)
