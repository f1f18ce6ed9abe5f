"""Codes to decode: those of given rows, or of rows that a model draws itself."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["MIDDLE", "codes_of", "decode"]

# Rows that say where codes lie, where none are given.
_N_DRAWN = 500
#: The quantiles between which components are varied.
MIDDLE = (0.02, 0.98)


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
