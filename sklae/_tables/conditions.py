"""Conditions: how they are encoded, and how they are read where they are given apart from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklae._tables.categories import CODED
from sklae._tables.columns import Columns
from sklae._tables.frames import columns_of, is_frame
from sklae._tables.scaling import Moments
from sklae._tables.table import unmasked

__all__ = ["Conditions", "ConditionsReader", "own_condition", "read_condition", "read_known"]


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

    @property
    def width(self) -> int:
        """Number of values that encode a row's conditions."""
        return sum(1 if levels is None else len(levels) for levels in self.levels)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Encode conditioning columns, (n_samples, n_conditions) -> (n_samples, width)."""
        values = values.astype(np.float64)
        parts = [
            np.nan_to_num((column - mean) / scale)[:, None] if levels is None else (column[:, None] == levels)
            for column, levels, mean, scale in zip(values.T, self.levels, self.mean, self.scale, strict=True)
        ]
        return np.concatenate(parts, axis=1)


class ConditionsReader:
    """Learns how conditions are encoded, chunk by chunk.

    Parameters
    ----------
    columns : Columns
    """

    def __init__(self, columns: Columns):
        self.columns = columns
        self.is_category = [columns.categories.kinds[i] in CODED for i in columns.condition]
        self.levels: list[np.ndarray] = [np.empty(0) for _ in self.is_category]
        self.moments = Moments(len(self.is_category))

    def update(self, table: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take in rows of a validated table, each as often as its weight says."""
        values = self.columns.conditioning(table).astype(np.float64)
        if not values.shape[1]:
            return
        gaps = np.isnan(values)
        for i, column in enumerate(values.T):
            if self.is_category[i]:
                self.levels[i] = np.union1d(self.levels[i], column[~gaps[:, i]])
        times = 1.0 if weights is None else weights[:, None]
        count = np.sum(~gaps * times, axis=0)
        mean = (np.where(gaps, 0.0, values) * times).sum(0) / np.where(count > 0, count, 1.0)
        self.moments.merge(count, mean, (np.where(gaps, 0.0, (values - mean) ** 2) * times).sum(0))

    def finish(self) -> Conditions:
        """Return how conditions are encoded."""
        deviation = self.moments.deviation()
        levels = [known if coded else None for known, coded in zip(self.levels, self.is_category, strict=True)]
        return Conditions(tuple(levels), self.moments.mean, np.where(deviation > 0, deviation, 1.0))


def own_condition(table: np.ndarray, columns: Columns) -> np.ndarray | None:
    """Return the conditions of the rows of a validated table; None for a model without conditions."""
    return columns.conditioning(table) if len(columns.condition) else None


def read_condition(condition: Any, columns: Columns, n_rows: int | None) -> np.ndarray | None:
    """Return given conditions as numbers and codes, (n_rows, n_conditions); None for a model without conditions.

    Parameters
    ----------
    condition : frame, mapping, array-like or scalar
        A frame or a mapping with the conditioning columns (others are ignored); an array of those columns in the
        table's order; or, for a single one, its values.
    columns : Columns
    n_rows : int or None
        How many rows it is for: a single condition serves all of them. None: as many as given.

    Raises
    ------
    ValueError
        If they are needed and not given, or given and not asked for, columns are absent, values unknown, or the number
        of rows is another.
    """
    names = columns.condition_names()
    if not names:
        if condition is not None:
            raise ValueError(
                "Got condition= for a model without conditions; expected None. Fit with condition_features=[...]."
            )
        return None
    if condition is None:
        raise ValueError(
            f"Got no condition; expected values of {names}, which condition this model. Pass condition=, a frame or a "
            "mapping with these columns."
        )
    values = _condition_values(unmasked(condition), names)
    if len({len(column) for column in values}) != 1:
        raise ValueError("Got conditions of unequal lengths; expected one value per row for each of them.")
    table = np.column_stack(
        [
            _read_values(columns, position, name, column)
            for name, column, position in zip(names, values, columns.condition.tolist(), strict=True)
        ]
    )
    if n_rows is not None and len(table) == 1:
        table = np.repeat(table, n_rows, axis=0)
    if n_rows is not None and len(table) != n_rows:
        raise ValueError(f"Got {len(table)} conditions for {n_rows} rows; expected one for each row, or a single one.")
    return table


def read_known(known: Any, columns: Columns) -> np.ndarray:
    """Return rows of which some columns are known, as numbers and codes, (n_rows, n_columns); NaN where they are not.

    Parameters
    ----------
    known : frame, mapping or array-like
        A frame or a mapping with some of the columns, by name; or an array of all columns, with NaN or None.
    columns : Columns
        Of a model without conditions.

    Raises
    ------
    ValueError
        If a column is unknown, or a value, or the shape is another.
    """
    names = columns.labels().astype(str).tolist()
    if is_frame(known):
        known = columns_of(known, [str(name) for name in known.columns])
    if isinstance(known, Mapping):
        given = {str(name): _as_list(values) for name, values in known.items()}
        unknown = [name for name in given if name not in names]
        if unknown or not given:
            raise ValueError(f"Got condition= of {list(given)[:20]}; expected some of the columns, {names[:20]}.")
    else:
        array = np.atleast_2d(np.asarray(unmasked(known), dtype=object))
        if array.ndim != 2 or array.shape[1] != len(names):
            raise ValueError(
                f"Got condition= for a model without conditions, of shape {np.shape(known)}; expected rows of all "
                f"{len(names)} columns, NaN where nothing is known, or a mapping of some columns' names to values."
            )
        given = dict(zip(names, array.T.tolist(), strict=True))
    if len({len(values) for values in given.values()}) != 1:
        raise ValueError("Got condition= of unequal lengths; expected one value per row in each column.")
    out = np.full((len(next(iter(given.values()))), len(names)), np.nan)
    for name, values in given.items():
        out[:, names.index(name)] = _read_values(columns, names.index(name), name, values)
    return out


def _read_values(columns: Columns, position: int, name: str, values: list[Any]) -> np.ndarray:
    if position in columns.categories.levels:
        return columns.categories.codes(position, values, strict=True)
    return _numbers(name, values)


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
    values = unmasked(values)
    return list(values) if len(getattr(values, "shape", ())) == 1 else [values]


def _numbers(name: str, values: list[Any]) -> np.ndarray:
    try:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Got condition {name}={values[0]!r}; expected numbers, as in fit.") from error
    if np.isinf(numbers).any():
        wrong = numbers[np.isinf(numbers)][0]
        raise ValueError(f"Got condition {name}={wrong:g}; expected finite numbers.")
    return numbers
