"""Tables as numbers and codes of levels, and their cells as text."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklae._tables.columns import Columns
from sklae._tables.frames import as_cells, is_frame, is_gap, values_of

__all__ = [
    "GAP",
    "ReadTables",
    "autoencoder_of",
    "cell_texts",
    "column_names",
    "first_rows",
    "gaps_of",
    "generator_for",
    "last_step",
    "numbers_of",
    "quote",
    "read_tables",
    "scale_of",
    "shape_of",
    "short",
]

#: What a missing cell is written as.
GAP = "-"


class ReadTables(NamedTuple):
    """Tables of the same columns.

    Attributes
    ----------
    names : list of str
        "x0", "x1", ... of an array.
    levels : dict of int to list of str
        Of the columns of categories.
    values : list of ndarray of shape (n_rows, n_columns), float64
        Each table's numbers, and codes of levels; NaN for gaps.
    """

    names: list[str]
    levels: dict[int, list[str]]
    values: list[np.ndarray]

    def text(self, column: int, value: float) -> str:
        """Return a cell as text."""
        if np.isnan(value):
            return GAP
        levels = self.levels.get(column)
        return levels[round(value)] if levels else quote(value)

    def spreads(self) -> np.ndarray:
        """Return the standard deviation of each column of the first table, (n_columns,); 1 where there is none."""
        values = self.values[0]
        there = ~np.isnan(values)
        count = np.maximum(there.sum(axis=0), 1)
        center = np.where(there, values, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(there, values - center, 0.0) ** 2).sum(axis=0) / count)
        return np.where(spread > 0, spread, 1.0)


def read_tables(*tables: Any, categorical_features: Any = "from_dtype") -> ReadTables:
    """Read tables of the same columns; the first says which are categories, and all, which levels there are."""
    read = [Columns.fit(table, None, categorical_features) for table in tables]
    values = [np.array(columns.read(table)) for columns, table in zip(read, tables, strict=True)]
    levels: dict[int, list[str]] = {}
    for j in read[0].categories.levels:
        texts = [_as_texts(columns, table[:, j], j) for columns, table in zip(read, values, strict=True)]
        own = [str(level) for level in read[0].categories.levels[j]]
        others = {text for found in texts[1:] for text in found if text != GAP} - set(own)
        levels[j] = [*own, *sorted(others)]
        codes = {GAP: np.nan, **{level: float(code) for code, level in enumerate(levels[j])}}
        for table, found in zip(values, texts, strict=True):
            table[:, j] = [codes[text] for text in found]
    return ReadTables(column_names(tables[0]), levels, values)


def _as_texts(columns: Columns, values: np.ndarray, position: int) -> list[str]:
    """Return a column as texts: its levels, or its numbers where it has none."""
    levels = columns.categories.levels.get(position)
    names = None if levels is None else [str(level) for level in levels]
    return [
        GAP if np.isnan(value) else quote(value) if names is None else names[round(value)] for value in values.tolist()
    ]


def shape_of(table: Any) -> tuple[int, ...]:
    """Return the shape of an array, a frame or nested lists."""
    return np.shape(table)


def first_rows(table: Any, n_rows: int) -> Any:
    """Return the first rows of an array or a frame."""
    return table[:n_rows]


def column_names(X: Any) -> list[str]:
    """Return the names of a table's columns; "x0", "x1", ... of an array."""
    return [str(name) for name in X.columns] if is_frame(X) else [f"x{i}" for i in range(np.shape(X)[1])]


def gaps_of(X: Any, missing_values: Any = np.nan) -> np.ndarray:
    """Return which cells of a table are missing, (n_rows, n_columns): None, NaN, NA, and a marker of one's own."""
    if not is_frame(X) and np.asarray(X).dtype.kind in "biuf":
        values = np.asarray(X)
        return np.isnan(values) | (values == missing_values) if values.dtype.kind == "f" else values == missing_values
    columns = [values_of(X, i) for i in range(len(X.columns))] if is_frame(X) else list(as_cells(X).T)
    has_marker = not is_gap(missing_values)
    gaps = [[is_gap(value) or (has_marker and value == missing_values) for value in column] for column in columns]
    return np.array(gaps, dtype=bool).T


def cell_texts(X: Any) -> list[list[str]]:
    """Return the cells of a (short) table as text, row by row."""
    return [[_cell_text(value) for value in row] for row in _cells_of(X)]


def numbers_of(X: Any) -> list[list[float]]:
    """Return the numbers of a (short) table, row by row; NaN for gaps and what are no numbers."""
    return [[float(value) if _is_number(value) else np.nan for value in row] for row in _cells_of(X)]


def _cells_of(X: Any) -> list[tuple]:
    columns = [values_of(X, i) for i in range(len(X.columns))] if is_frame(X) else list(as_cells(X).T)
    return list(zip(*columns, strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) and not is_gap(value)


def _cell_text(value: Any) -> str:
    if is_gap(value):
        return GAP
    return quote(float(value)) if _is_number(value) else str(value)


def quote(value: float) -> str:
    """Return a number in few digits."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1e3 or abs(value) >= 1e6 else f"{value:.0f}"


def short(value: float) -> str:
    """Return a code's component in two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.3g}"


def scale_of(model: Any) -> np.ndarray | None:
    """Return the standard deviations of the columns that a model was fitted to, 1 where there is none."""
    layout = getattr(model, "layout_", None)
    if layout is None:
        return None
    scale = np.ones(layout.columns.n_total)
    scale[layout.columns.data] = np.where(layout.deviation > 0, layout.deviation, 1.0)
    return scale


def last_step(estimator: Any, X: Any, *verbs: str) -> tuple[Any, Any]:
    """Return the fitted estimator that has the verbs, and X as it sees it: a pipeline's earlier steps are applied.

    Raises
    ------
    TypeError
        If a verb is missing.
    sklearn.exceptions.NotFittedError
    """
    last = estimator
    if hasattr(last, "best_estimator_"):
        last = estimator = last.best_estimator_
    if isinstance(estimator, Pipeline):
        last = estimator[-1]
    _check_verbs(last, [verb for verb in verbs if not verb.endswith("_")])
    check_is_fitted(last)
    _check_verbs(last, verbs)
    if last is not estimator and len(estimator) > 1 and X is not None:
        X = estimator[:-1].transform(X)
    return last, X


def autoencoder_of(estimator: Any, attribute: str) -> Any:
    """Return the fitted autoencoder inside a search, a pipeline, a detector or an imputer, which has the attribute.

    Raises
    ------
    TypeError
        If there is none that has it.
    sklearn.exceptions.NotFittedError
    """
    last, _ = last_step(estimator, None)
    model = getattr(last, "autoencoder_", last)
    if not hasattr(model, attribute):
        raise TypeError(
            f"Got {type(last).__name__}, which has no {attribute}; expected an autoencoder of sklae, a detector or an "
            "imputer that holds one, or a pipeline that ends in one of these."
        )
    return model


def _check_verbs(estimator: Any, verbs: Sequence[str]) -> None:
    missing = [verb for verb in verbs if not hasattr(estimator, verb)]
    if missing:
        raise TypeError(
            f"Got {type(estimator).__name__}, which has no {missing[0]}; expected a fitted estimator that has, or a "
            "pipeline that ends in one."
        )


def generator_for(random_state: Any) -> np.random.RandomState:
    """Return a generator for a ``random_state``; None takes entropy from the system, not NumPy's global state."""
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(np.random.MT19937() if random_state is None else random_state)
