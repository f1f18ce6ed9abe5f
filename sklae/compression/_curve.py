"""Bits beside errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from sklae._tables.annotations import TableLike
from sklae._tables.exact import Parts, take_apart
from sklae.compression._compressor import Compressor

__all__ = ["RateDistortion", "rate_distortion_curve"]


@dataclass(frozen=True, eq=False)
class RateDistortion:
    """What a compressor takes at several largest errors.

    Attributes
    ----------
    max_error : list
        As they were given.
    bits_per_row : ndarray of shape (n_errors,)
        Of what `Compressor.compress` returns without the model.
    model_bits : ndarray of shape (n_errors,)
        Of the model, once for all rows.
    mean_squared_error : ndarray of shape (n_errors,)
        Over all cells of columns of numbers that are there and finite, in squared units of the table.
    """

    max_error: list[float | str | Mapping[str, float | str]]
    bits_per_row: np.ndarray
    model_bits: np.ndarray
    mean_squared_error: np.ndarray


def rate_distortion_curve(
    compressor: Compressor,
    X: TableLike,
    max_errors: Sequence[float | str | Mapping[str, float | str]],
    *,
    X_test: TableLike | None = None,
) -> RateDistortion:
    """Fit clones of a compressor at several largest errors, and measure bits and errors.

    Parameters
    ----------
    compressor : Compressor
        Its own ``max_error`` does not matter.
    X : array or frame of shape (n_samples, n_features)
        Rows to fit to.
    max_errors : sequence
        Values of ``max_error``.
    X_test : array or frame of shape (n_test_samples, n_features) or None, default=None
        Rows to measure on. None: those of X.

    Returns
    -------
    curve : RateDistortion
        Errors and bits, one of each for each of ``max_errors``.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae.compression import Compressor, rate_distortion_curve
    >>> X = load_wine().data
    >>> curve = rate_distortion_curve(Compressor(random_state=0), X, ["1%", "10%"])
    >>> bool(curve.bits_per_row[0] > curve.bits_per_row[1])
    True
    """
    test = X if X_test is None else X_test
    before = take_apart(test)
    bits, model_bits, errors = [], [], []
    for max_error in max_errors:
        fitted = clone(compressor).set_params(max_error=max_error).fit(X)
        data = fitted.compress(test, include_model=False)
        bits.append(8.0 * len(data) / len(before))
        model_bits.append(8.0 * fitted.model_bytes_)
        errors.append(_mean_squared_error(before, take_apart(fitted.decompress(data))))
    return RateDistortion(list(max_errors), np.array(bits), np.array(model_bits), np.array(errors))


def _mean_squared_error(before: Parts, after: Parts) -> float:
    total, n_cells = 0.0, 0
    for column, one, other in zip(before.schema["columns"], before.values, after.values, strict=True):
        if column["kind"] in ("float", "integer"):
            apart = one.astype(np.float64) - other.astype(np.float64)
            there = np.isfinite(apart)
            total += float((apart[there] ** 2).sum())
            n_cells += int(there.sum())
    return total / max(n_cells, 1)
