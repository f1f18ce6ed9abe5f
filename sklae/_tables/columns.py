"""Which columns of a table are modelled, which condition the model, and how the latter are encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from sklae._tables.categories import Categories, CategoriesReader
from sklae._tables.frames import empty_like
from sklae._tables.schema import PlainContainer
from sklae._tables.table import Table, frame_of, read
from sklae._tables.validation import check_numbers, table_width

__all__ = ["Columns"]

_NONE = np.empty(0, dtype=int)


@dataclass(frozen=True, eq=False)
class Columns(PlainContainer):
    """The columns of a fitted table, by their part in the model.

    Attributes
    ----------
    n_total : int
        Number of columns of the table.
    names : list of str or None
        Their names, for a frame.
    data, condition : ndarray of int
        Positions of the modelled and of the conditioning columns.
    categories : Categories
        What all of the table's columns hold, and the levels of those whose values are codes.
    container : frame of no rows, or None
        What data-space verbs return: a frame like this one, or (None) an array.
    """

    n_total: int
    names: list[str] | None
    data: np.ndarray
    condition: np.ndarray
    categories: Categories
    container: Any = None

    @classmethod
    def fit(cls, X: Any, condition_features: Any = None, categorical_features: Any = "from_dtype") -> Columns:
        """Read the columns of a table whose cells have not been looked at yet, some of them conditions.

        Raises
        ------
        ValueError
            If the features named are not there, or leave nothing to model, and for columns that are neither numbers
            nor categories.
        """
        return cls.learn([X], condition_features, categorical_features)

    @classmethod
    def learn(
        cls,
        chunks: Iterable[Any],
        condition_features: Any,
        categorical_features: Any,
        levels: Mapping[Any, Sequence[Any]] | None = None,
    ) -> Columns:
        """Read the same from parts of a table, one after the other.

        With ``levels`` there is more to come: those are levels, by columns, and those that dtypes declare, too.
        """
        chunks = iter(chunks)
        X = read(next(chunks, ()))
        n_total = table_width(frame_of(X))
        names = list(X.names) if isinstance(X, Table) else None
        container = None if names is None else empty_like(X.frame)
        every = cls(n_total, names, np.arange(n_total), _NONE, Categories(("numeric",) * n_total), container)
        data, condition = every.data, every.condition
        if condition_features is not None:
            condition = every.find(condition_features, "condition_features")
            data = np.setdiff1d(np.arange(n_total), condition)
            if not len(data) or not len(condition):
                raise ValueError(
                    f"Got condition_features={condition_features!r}, {len(condition)} of {n_total} columns; expected "
                    "at least one, and at least one other column to model."
                )
        named = _NONE
        if not isinstance(categorical_features, str):
            named = every.find(categorical_features, "categorical_features")
        reader = CategoriesReader(n_total, named.tolist(), condition.tolist(), keeps_declared=levels is not None)
        for chunk in chain([X], chunks):
            reader.update(chunk)
        for name, known in (levels or {}).items():
            reader.declare(int(every.find(name, "categories")[0]), known)
        return dataclasses.replace(every, data=data, condition=condition, categories=reader.finish())

    def read(self, X: Any) -> np.ndarray:
        """Return another table with these columns as numbers and codes, (n_samples, n_total), float64.

        NaN stands for gaps and for levels that were not fitted.
        """
        return np.asarray(check_numbers(self.categories.encode(X)), dtype=np.float64)

    def treat_as_numbers(self, indices: np.ndarray) -> Columns:
        """Return the same with booleans among these modelled columns taken for the numbers 0 and 1."""
        return dataclasses.replace(self, categories=self.categories.treat_as_numbers(self.data[indices].tolist()))

    @property
    def kinds(self) -> list[str]:
        """What the modelled columns hold: "numeric", "integer", "binary", "categorical" or "ordered"."""
        return [self.categories.kinds[i] for i in self.data]

    def n_levels(self) -> np.ndarray:
        """Return how many levels each of the modelled columns has; 0 for numbers."""
        return np.array([len(self.categories.levels.get(int(i), ())) for i in self.data], dtype=int)

    @property
    def n_columns(self) -> int:
        """Number of modelled columns."""
        return len(self.data)

    def labels(self) -> np.ndarray:
        """Return names (or positions) of the modelled columns, for errors."""
        every = np.arange(self.n_total) if self.names is None else np.array(self.names, dtype=object)
        return every[self.data]

    def condition_names(self) -> list[str]:
        """Return names (or positions, as text) of the conditioning columns."""
        return [str(i) if self.names is None else self.names[i] for i in self.condition]

    def modelled(self, table: np.ndarray) -> np.ndarray:
        """Return the modelled columns of a validated table, without a copy where all are."""
        return table if len(self.data) == self.n_total else table[:, self.data]

    def conditioning(self, table: np.ndarray) -> np.ndarray:
        """Return the conditioning columns of a validated table."""
        return table[:, self.condition]

    def join(self, data: np.ndarray, condition: np.ndarray | None) -> np.ndarray:
        """Return rows of all columns, from those of the modelled and of the conditioning ones."""
        if condition is None:
            return data
        table = np.empty((len(data), self.n_total), dtype=data.dtype)
        table[:, self.data] = data
        table[:, self.condition] = condition
        return table

    def select(self, indices: np.ndarray) -> Columns:
        """Return some of the modelled columns."""
        chosen = self.data[indices].tolist()
        names = None if self.names is None else [self.names[i] for i in chosen]
        return Columns(len(indices), names, np.arange(len(indices)), _NONE, self.categories.select(chosen))

    def of_codes(self) -> Columns:
        """Return the same for tables that hold codes already."""
        return dataclasses.replace(self, categories=self.categories.of_codes(), container=None)

    def find(self, key: Any, parameter: str = "columns") -> np.ndarray:
        """Resolve names, positions in the table, a slice or a mask to sorted indices of modelled columns.

        Raises
        ------
        ValueError
            If a column is not there, is named twice, or is a condition.
        """
        positions = _positions(self, key, parameter)
        unique = np.unique(positions)
        if len(unique) < len(positions):
            raise ValueError(f"Got {parameter}={key!r}, which names a column twice; expected each once.")
        if len(np.setdiff1d(unique, self.data)):
            raise ValueError(
                f"Got {parameter}={key!r}, among them condition_features; expected modelled columns only. Leave the "
                "conditions out."
            )
        return np.searchsorted(self.data, unique)


def _positions(columns: Columns, key: Any, parameter: str) -> np.ndarray:
    if isinstance(key, slice) and all(end is None or isinstance(end, int) for end in (key.start, key.stop)):
        return np.arange(columns.n_total)[key]
    keys = [key] if isinstance(key, str) or np.ndim(key) == 0 else list(key)
    if len(keys) == columns.n_total and all(isinstance(item, (bool, np.bool_)) for item in keys):
        return np.flatnonzero(keys)
    if all(isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)) for item in keys):
        wrong = [item for item in keys if not -columns.n_total <= item < columns.n_total]
        positions = np.array(keys, dtype=int) % max(columns.n_total, 1)
    else:
        known = {name: position for position, name in enumerate(columns.names or ())}
        wrong = [item for item in keys if item not in known]
        positions = np.array([known.get(item, 0) for item in keys], dtype=int)
    if wrong:
        there = f"positions below {columns.n_total}" if columns.names is None else f"names among {columns.names[:20]}"
        raise ValueError(f"Got {parameter}={key!r}, in which {wrong[0]!r} is no column; expected {there}.")
    return positions
