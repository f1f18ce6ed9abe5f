"""What tests of ONNX models share: how rows are fed, and what answers are compared with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

NUMBERS = {1: np.float32, 11: np.float64}  # element types of ONNX
TEXT = 8


def fed(model: Any, table: Any) -> dict[str, np.ndarray]:
    """Return what a model is fed with rows: an array, or a frame of pandas."""
    found = {}
    for value in model.graph.input:
        element = value.type.tensor_type.elem_type
        if not hasattr(table, "columns"):
            found[value.name] = np.asarray(table, dtype=NUMBERS[element])
            continue
        column = table[value.name]
        if element == TEXT:
            found[value.name] = column.astype(object).where(column.notna(), "").to_numpy(dtype=object)[:, None]
        else:
            found[value.name] = column.to_numpy(dtype=NUMBERS[element], na_value=np.nan)[:, None]
    return found


def answers(model: Any, table: Any) -> dict[str, np.ndarray]:
    """Return what onnxruntime answers for all rows; of one row by itself it must be the same."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, fed(model, table)), strict=True))
    for i in (0, len(table) - 1):
        alone = session.run(None, fed(model, table[i : i + 1]))
        for name, value in zip(names, alone, strict=True):
            same(value, found[name][i : i + 1], scale_of(found[name][i : i + 1]), 1e-5, f"{name} of row {i}")
    return found


def scale_of(values: np.ndarray) -> np.ndarray:
    """Return what errors of each row are compared with: 1, or its largest number."""
    if values.dtype.kind not in "fiu":
        return np.ones(len(values))
    rows = np.abs(values.reshape(len(values), -1).astype(np.float64))
    return 1.0 + np.nanmax(np.where(np.isfinite(rows), rows, 0.0), axis=1)


def same(got: np.ndarray, expected: np.ndarray, scale: np.ndarray, tolerance: float, name: str) -> None:
    """Compare, in units of each row's scale."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, name
    if got.dtype.kind not in "fiu":
        assert (got == expected).all(), name
        return
    assert (np.isnan(got) == np.isnan(expected)).all(), name
    error = np.abs(got.astype(np.float64) - expected).reshape(len(got), -1) / scale[:, None]
    assert np.nanmax(error, initial=0.0) <= tolerance, f"{name}: off by {np.nanmax(error):.2g} of the scale"


def expected_of(estimator: Any, method: str, table: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what sklae answers, by outputs' names, and the scale of each row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unseen levels are told
        found = getattr(estimator, method)(table)
    if method == "encode":
        return {f"encode_{name}": (part, scale_of(part)) for name, part in zip(("mean", "std"), found, strict=True)}
    if method != "reconstruct" or not hasattr(found, "columns"):
        if method == "reconstruct":  # in units of the columns
            deviation = estimator.layout_.deviation
            size = np.where(deviation > 0, deviation, 1.0)
            return {method: (found, scale_of(found / size) * size.max())}
        return {method: (found, scale_of(found))}
    layout = estimator.layout_
    names = [found.columns[i] for i in layout.columns.data]
    numbers = found[[name for name in names if found[name].dtype.kind in "fiu"]].to_numpy(np.float64)
    # a row that is far out in one column is so in the others' sums, too
    unit = np.where(layout.deviation > 0, layout.deviation, 1.0)
    size = (
        scale_of(numbers / unit[[found[name].dtype.kind in "fiu" for name in names]])
        if numbers.size
        else np.ones(len(found))
    )
    return {f"reconstruct_{name}": (found[[name]].to_numpy(), size * max(1.0, unit[i])) for i, name in enumerate(names)}


def assert_serves(
    estimator: Any, methods: Sequence[str], table: Any, *, dtype: str = "float32", tolerance: float = 1e-5
) -> Any:
    """Convert an estimator, and compare what the graph answers with what sklae does; return the model."""
    from sklae.onnx import to_onnx

    model = to_onnx(estimator, list(methods), dtype=dtype)
    got = answers(model, table)
    for method in methods:
        for name, (expected, scale) in expected_of(estimator, method, table).items():
            same(got.pop(name), expected, scale, tolerance, name)
    assert not got
    return model
