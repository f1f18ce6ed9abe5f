"""Codes to decode: those of given rows, or of rows that a model draws itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklae._tables.frames import is_frame
from sklae.plotting._cells import shorten
from sklae.plotting._tables import cell_texts

__all__ = ["MIDDLE", "codes_of", "condition_for", "condition_text", "decode", "pictures_in"]

# Rows that say where codes lie, where none are given.
_N_DRAWN = 500
#: The quantiles between which components are varied.
MIDDLE = (0.02, 0.98)


def condition_for(model: Any, rows: Any, condition: Any) -> Any:
    """Return the given condition; or if there is none, that of the rows, for a model that needs one."""
    layout = _layout_with_conditions(model)
    if condition is not None or rows is None or layout is None:
        return condition
    return rows if is_frame(rows) else np.asarray(rows)[:, layout.columns.condition]


def condition_text(model: Any, rows: Any) -> str:
    """Return the conditions of the first of some rows as text, "" for a model without."""
    layout = _layout_with_conditions(model)
    if layout is None:
        return ""
    cells = cell_texts(rows[:1])[0]
    places = zip(layout.columns.condition_names(), layout.columns.condition, strict=True)
    return ", ".join(f"{shorten(name)} = {shorten(cells[place])}" for name, place in places)


def pictures_in(model: Any, rows: Any, shape: Any) -> Any:
    """Return rows, those that are pictures without the columns of conditions, which are no pixels."""
    layout = _layout_with_conditions(model)
    if shape is None or rows is None or layout is None:
        return rows
    return np.asarray(rows)[:, layout.columns.data]


def codes_of(model: Any, X: Any, condition: Any) -> np.ndarray:
    """Return codes of rows, or of rows that the model draws."""
    if X is None:
        given = {} if condition is None else {"condition": condition}
        X = model.sample(_N_DRAWN, random_state=0, **given)
    codes = np.asarray(model.transform(X))
    if not len(codes):
        raise ValueError("Got X without rows; expected at least one. Pass rows, or None.")
    return codes


def decode(model: Any, codes: np.ndarray, condition: Any) -> Any:
    return model.inverse_transform(codes) if condition is None else model.inverse_transform(codes, condition)


def _layout_with_conditions(model: Any) -> Any:
    layout = getattr(model, "layout_", None)
    return layout if layout is not None and layout.n_condition else None
