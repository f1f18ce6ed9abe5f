"""Which columns of a table are modelled, which condition the model, and how the latter are encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklae._frames import Categories, columns_of, empty_like, is_frame, table_width

__all__ = ["Columns", "Conditions", "read_condition"]


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a fitted table, by their part in the model.

    Attributes
    ----------
    n_total : int
        Number of columns of the table.
    names : list of str or None
        Their names, for a frame.
    data, condition : ndarray of int
        Positions of the modelled and of the conditioning columns.
    categorical : ndarray of bool
        For each conditioning column, whether it holds categories.
    categories : Categories
        The levels of those that hold text.
    container : frame of no rows, or None
        What data-space verbs return: a frame like this one, or (None) an array.
    """

    n_total: int
    names: list[str] | None
    data: np.ndarray
    condition: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    categorical: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    categories: Categories = field(default_factory=Categories)
    container: Any = None

    @classmethod
    def of(cls, table: np.ndarray, source: Any = None) -> Columns:
        """Return the columns of a validated table, all modelled; ``source`` is what the user passed."""
        framed = is_frame(source)
        names = [str(name) for name in source.columns] if framed else None
        container = empty_like(source) if framed else None
        return cls(table.shape[1], names, np.arange(table.shape[1]), container=container)

    @classmethod
    def fit(cls, X: Any, condition_features: Any, categorical_features: Any) -> Columns:
        """Read the columns of a table whose cells have not been looked at yet, some of them conditions.

        Raises
        ------
        ValueError
            If the features named are not there, or leave nothing to model.
        """
        n_total = table_width(X)
        names = [str(name) for name in X.columns] if is_frame(X) else None
        container = None if names is None else empty_like(X)
        every = cls(n_total, names, np.arange(n_total), container=container)
        condition = every.find(condition_features, "condition_features")
        data = np.setdiff1d(np.arange(n_total), condition)
        if not len(data) or not len(condition):
            raise ValueError(
                f"Got condition_features={condition_features!r}, {len(condition)} of {n_total} columns; expected at "
                "least one, and at least one other column to model."
            )
        categories = Categories.fit(X, [names[i] for i in condition]) if names is not None else Categories()
        return dataclasses.replace(
            every,
            data=data,
            condition=condition,
            categorical=every._categorical(condition, categories, categorical_features),
            categories=categories,
        )

    def _categorical(self, condition: np.ndarray, categories: Categories, features: Any) -> np.ndarray:
        """Return which conditioning columns hold categories: those of text, and those the user names."""
        text = np.array([self.names is not None and self.names[i] in categories.levels for i in condition])
        if isinstance(features, str):
            return text
        chosen = self.find(features, "categorical_features")
        if len(np.setdiff1d(chosen, condition)):
            raise ValueError(
                f"Got categorical_features={features!r}, some of which are not among condition_features; expected only "
                "conditions. Encode modelled categories first, e.g. with OneHotEncoder."
            )
        return text | np.isin(condition, chosen)

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
        names = None if self.names is None else [self.names[i] for i in self.data[indices]]
        return Columns(len(indices), names, np.arange(len(indices)))

    def find(self, key: Any, parameter: str = "columns") -> np.ndarray:
        """Resolve names, positions in the table, a slice or a mask to sorted indices of modelled columns.

        Raises
        ------
        ValueError
            If a column is not there, is named twice, or is a condition.
        """
        positions = self._positions(key, parameter)
        unique = np.unique(positions)
        if len(unique) < len(positions):
            raise ValueError(f"Got {parameter}={key!r}, which names a column twice; expected each once.")
        if len(np.setdiff1d(unique, self.data)):
            raise ValueError(
                f"Got {parameter}={key!r}, among them condition_features; expected modelled columns only. Leave the "
                "conditions out."
            )
        return np.searchsorted(self.data, unique)

    def _positions(self, key: Any, parameter: str) -> np.ndarray:
        if isinstance(key, slice) and all(end is None or isinstance(end, int) for end in (key.start, key.stop)):
            return np.arange(self.n_total)[key]
        keys = [key] if isinstance(key, str) or np.ndim(key) == 0 else list(key)
        if len(keys) == self.n_total and all(isinstance(item, (bool, np.bool_)) for item in keys):
            return np.flatnonzero(keys)
        if all(isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)) for item in keys):
            wrong = [item for item in keys if not -self.n_total <= item < self.n_total]
            positions = np.array(keys, dtype=int) % max(self.n_total, 1)
        else:
            known = {name: position for position, name in enumerate(self.names or ())}
            wrong = [item for item in keys if item not in known]
            positions = np.array([known.get(item, 0) for item in keys], dtype=int)
        if wrong:
            there = f"positions below {self.n_total}" if self.names is None else f"names among {self.names[:20]}"
            raise ValueError(f"Got {parameter}={key!r}, in which {wrong[0]!r} is no column; expected {there}.")
        return positions


@dataclass(frozen=True, eq=False)
class Conditions:
    """How conditioning columns become numbers: categories one-hot, numbers standardised; a gap is all zeros.

    Attributes
    ----------
    levels : tuple of ndarray or None
        For each column its categories (codes, where they are text), or None for a number.
    mean, scale : ndarray of float
        Of each column; of use where it is a number.
    """

    levels: tuple[np.ndarray | None, ...]
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def none(cls) -> Conditions:
        """Return those of a model without conditions."""
        return cls((), np.empty(0), np.empty(0))

    @classmethod
    def fit(cls, table: np.ndarray, columns: Columns) -> Conditions:
        """Learn levels, means and spreads."""
        values = columns.conditioning(table).astype(np.float64)
        if not values.shape[1]:
            return cls.none()
        levels = tuple(
            np.unique(column[~np.isnan(column)]) if categorical else None
            for column, categorical in zip(values.T, columns.categorical, strict=True)
        )
        gaps = np.isnan(values)
        count = np.maximum((~gaps).sum(0), 1)
        mean = np.where(gaps, 0.0, values).sum(0) / count
        deviation = np.sqrt(np.where(gaps, 0.0, (values - mean) ** 2).sum(0) / count)
        return cls(levels, mean, np.where(deviation > 0, deviation, 1.0))

    @property
    def width(self) -> int:
        """Number of values that encode a row's conditions."""
        return sum(1 if levels is None else len(levels) for levels in self.levels)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Encode conditioning columns, (n_samples, n_conditions) -> (n_samples, width)."""
        values = values.astype(np.float64)
        parts = [
            np.nan_to_num((column - mean) / scale)[:, None] if levels is None else _matches(column, levels)
            for column, levels, mean, scale in zip(values.T, self.levels, self.mean, self.scale, strict=True)
        ]
        return np.concatenate(parts, axis=1)


def _matches(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return which values are which level, (n_values, n_levels), whatever the width of either's floats."""
    rounded = levels.astype(np.float32)
    if len(np.unique(rounded)) < len(levels):  # only float64 tells them apart
        return values[:, None] == levels
    return values.astype(np.float32)[:, None] == rounded


def read_condition(condition: Any, columns: Columns, conditions: Conditions, n_rows: int | None) -> np.ndarray:
    """Return given conditions as numbers and codes, (n_rows, n_conditions).

    Parameters
    ----------
    condition : frame, mapping, array-like or scalar
        A frame or a mapping with the conditioning columns (others are ignored); an array of those columns in the
        table's order; or, for a single one, its values.
    columns : Columns
    conditions : Conditions
    n_rows : int or None
        How many rows it is for: a single condition serves all of them. None: as many as given.

    Raises
    ------
    ValueError
        If columns are absent, values unknown, or the number of rows is another.
    """
    names = columns.condition_names()
    values = _condition_values(condition, names)
    if len({len(column) for column in values}) != 1:
        raise ValueError("Got conditions of unequal lengths; expected one value per row for each of them.")
    table = np.column_stack(
        [
            columns.categories.codes(name, column, strict=True)
            if name in columns.categories.levels
            else _numbers(name, column, levels)
            for name, column, levels in zip(names, values, conditions.levels, strict=True)
        ]
    )
    if n_rows is not None and len(table) == 1:
        table = np.repeat(table, n_rows, axis=0)
    if n_rows is not None and len(table) != n_rows:
        raise ValueError(f"Got {len(table)} conditions for {n_rows} rows; expected one for each row, or a single one.")
    return table


def _condition_values(condition: Any, names: list[str]) -> list[list[Any]]:
    """Return the values of each conditioning column."""
    if is_frame(condition):
        condition = columns_of(condition, names)
    if isinstance(condition, Mapping):
        condition = {str(name): values for name, values in condition.items()}
        absent = [name for name in names if name not in condition]
        if absent:
            raise ValueError(f"Got a condition without {absent[:5]}; expected values for all of {names}.")
        return [_as_list(condition[name]) for name in names]
    array = np.asarray(condition, dtype=object)
    if array.ndim < 2:
        array = array.reshape(-1, 1) if len(names) == 1 else array.reshape(1, -1)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ValueError(
            f"Got a condition of shape {np.shape(condition)}; expected {len(names)} columns, {names}. Pass a frame or "
            "a mapping with these names."
        )
    return [list(column) for column in array.T]


def _as_list(values: Any) -> list[Any]:
    if isinstance(values, Sequence) and not isinstance(values, (str, bytes)):
        return list(values)
    # arrays and series, of any library; what has no axis is one value
    return list(values) if len(getattr(values, "shape", ())) == 1 else [values]


def _numbers(name: str, values: list[Any], levels: np.ndarray | None) -> np.ndarray:
    try:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Got condition {name}={values[0]!r}; expected numbers, as in fit.") from error
    known = np.isnan(numbers) | (True if levels is None else _matches(numbers, levels).any(axis=1))
    if np.isinf(numbers).any() or not known.all():
        wrong = numbers[np.isinf(numbers) | ~known][0]
        expected = "finite numbers" if levels is None else f"one of {levels[:20].tolist()}"
        raise ValueError(f"Got condition {name}={wrong:g}, which fit has not seen; expected {expected}.")
    return numbers
