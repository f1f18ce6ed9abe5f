"""Fitted estimators as ONNX models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import torch
from onnx import ModelProto, TensorProto, helper
from sklearn.utils.validation import check_is_fitted

from sklae.onnx._answers import Answers
from sklae.onnx._graph import ML_OPSET, OPSET, graph_of, with_properties
from sklae.onnx._methods import answers_for, methods_of

__all__ = ["convert"]

_DTYPES = {"float32": (torch.float32, TensorProto.FLOAT), "float64": (torch.float64, TensorProto.DOUBLE)}
_PREFIX = "sklae/"


def convert(estimator: Any, method: str | Sequence[str] | None, dtype: str, opset: int = OPSET) -> ModelProto:
    """Return a fitted estimator of sklae's as a model."""
    check_is_fitted(estimator)
    if dtype not in _DTYPES:
        raise ValueError(f"Got dtype={dtype!r}; expected one of {sorted(_DTYPES)}.")
    kind, element = _DTYPES[dtype]
    methods = methods_of(estimator, method)
    answers = answers_for(estimator, methods, kind)
    given = _given(answers, element)
    taken = {name for name, _, _ in given}
    prefix = _PREFIX
    while any(name.startswith(prefix) for name in taken):
        prefix += "/"
    clash = sorted({output.name for output in answers.outputs()} & taken)
    if clash:
        raise ValueError(
            f"Got a table with a column {clash[0]!r}, which an output of the graph is called, too; expected another "
            "name. Rename the column before fit."
        )
    nodes, constants, inner = graph_of(answers, given, prefix, opset, named=repr(estimator))
    values = {value.name: value for value in inner.graph.output}
    outputs = [values[output.name] if output.labels is None else _text(output.name) for output in answers.outputs()]
    inputs = [_input(answers, name, kind_of, width) for name, kind_of, width in given]
    graph = helper.make_graph(nodes, f"{type(estimator).__name__}.{'+'.join(methods)}", inputs, outputs, constants)
    graph.value_info.extend(value for value in inner.graph.value_info)
    domains = {node.domain for node in nodes}
    opsets = [helper.make_opsetid("", opset)]
    if "ai.onnx.ml" in domains:
        opsets.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    model = helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=min(onnx.IR_VERSION, inner.ir_version),
    )
    with_properties(model, type(estimator).__name__, methods)
    onnx.checker.check_model(model, full_check=True)
    return model


def _given(answers: Answers, element: int) -> list[tuple[str, int, int]]:
    """Return names, element types and widths of what is fed."""
    if not answers.inputs.apart:
        return [("X", element, answers.width)]
    return [(column.name, TensorProto.STRING if column.is_text else element, 1) for column in answers.inputs.columns]


def _input(answers: Answers, name: str, element: int, width: int) -> Any:
    return helper.make_tensor_value_info(name, element, ["n_samples", width])


def _text(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.STRING, ["n_samples", 1])
