"""Pipelines around estimators of sklae's: converters for `skl2onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto
from skl2onnx import convert_sklearn, get_model_alias, update_registered_converter
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklae._tables.frames import is_frame
from sklae.onnx._graph import ML_OPSET, OPSET, graph_of, with_properties
from sklae.onnx._methods import CONVERTERS, answers_for, columns_of, find, methods_of
from sklae.onnx._table import TableInputs

__all__ = ["convert_pipeline", "register_converters"]

_ELEMENTS = {
    FloatTensorType: TensorProto.FLOAT,
    DoubleTensorType: TensorProto.DOUBLE,
    Int64TensorType: TensorProto.INT64,
    BooleanTensorType: TensorProto.BOOL,
    StringTensorType: TensorProto.STRING,
}
_TYPES = {element: kind for kind, element in _ELEMENTS.items()}


def register_converters() -> None:
    """Register all estimators; see `sklae.onnx.register_converters`."""
    for kind in CONVERTERS:
        update_registered_converter(
            kind, f"Sklae{kind.__name__}", _shape, _convert, parser=_parse, options={"method": None}
        )


def _methods(model: Any, options: dict[str, Any]) -> list[str]:
    asked = options.get("method")
    if asked is None and hasattr(model, "decision_function"):
        asked = ["predict", "decision_function"]
    return methods_of(model, asked)


def _dtype(inputs: Sequence[Any]) -> torch.dtype:
    """Return the precision of what is fed: that of the widest numbers."""
    return torch.float64 if any(isinstance(each.type, DoubleTensorType) for each in inputs) else torch.float32


def _parse(scope: Any, model: Any, inputs: Sequence[Any], custom_parsers: Any = None) -> Any:
    check_is_fitted(model)
    operator = scope.declare_local_operator(get_model_alias(type(model)), model)
    operator.inputs = list(inputs)
    answers = answers_for(model, _methods(model, scope.get_options(model, {"method": None})), _dtype(inputs))
    for output, (element, width) in zip(answers.outputs(), answers.shapes(), strict=True):
        kind = _TYPES[TensorProto.STRING if output.labels is not None else element]
        variable = scope.declare_local_variable(output.name, kind([None, width] if width else [None]))
        operator.outputs.append(variable)
    return operator.outputs


def _shape(operator: Any) -> None:
    """Keep the shapes that were declared: the number of rows is the inputs'."""
    rows = operator.inputs[0].get_first_dimension()
    for output in operator.outputs:
        output.type.shape[0] = rows


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, dtype = operator.raw_operator, _dtype(operator.inputs)
    answers = answers_for(model, _methods(model, container.get_options(model, {"method": None})), dtype)
    given = [(each.onnx_name, _ELEMENTS[type(each.type)], _width(each)) for each in operator.inputs]
    if len(given) == 1:
        given = [(given[0][0], given[0][1], answers.width)]
    found = sum(width for _, _, width in given)
    if found != answers.width:
        raise ValueError(f"Got {found} columns for {type(model).__name__}; expected {answers.width}, as in fit.")
    opset = container.target_opset_onnx
    if opset < OPSET:
        raise ValueError(f"Got target_opset={opset}; expected {OPSET} or later.")
    prefix = f"{scope.get_unique_variable_name('sklae')}/"
    names = [output.onnx_name for output in operator.outputs]
    nodes, constants, _ = graph_of(answers, given, prefix, opset, named=repr(model), names=names)
    for node in nodes:
        node.name = scope.get_unique_operator_name(f"{prefix}{node.op_type}")
    container.nodes.extend(nodes)
    container.initializers.extend(constants)
    container.node_domain_version_pair_sets.add(("", opset))
    if any(node.domain == "ai.onnx.ml" for node in nodes):
        container.node_domain_version_pair_sets.add(("ai.onnx.ml", ML_OPSET))


def _width(variable: Any) -> int:
    shape = variable.type.shape
    return shape[1] if len(shape) > 1 and shape[1] else 1


def convert_pipeline(pipeline: Any, method: str | Sequence[str] | None, X: Any, dtype: str) -> ModelProto:
    """Return a fitted pipeline as a model; see `to_onnx`."""
    check_is_fitted(pipeline)
    last = pipeline.steps[-1][1]
    options: dict[int, dict[str, Any]] = {}
    if find(last):
        options[id(last)] = {"method": methods_of(last, method)}
    elif method is not None:
        raise ValueError(
            f"Got method={method!r} for a pipeline that ends in {type(last).__name__}; expected None: what "
            "scikit-learn's own steps answer is up to skl2onnx."
        )
    elif is_classifier(last):
        options[id(last)] = {"zipmap": False}
    model = convert_sklearn(
        pipeline,
        name="pipeline",
        initial_types=_initial_types(pipeline, X, dtype),
        options=options,
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    with_properties(model, type(pipeline).__name__, options.get(id(last), {}).get("method", ()))
    onnx.checker.check_model(model, full_check=True)
    return model


def _initial_types(pipeline: Any, X: Any, dtype: str) -> list[tuple[str, Any]]:
    number = {"float32": FloatTensorType, "float64": DoubleTensorType}[dtype]
    first = pipeline.steps[0][1]
    if find(first):
        inputs = TableInputs.of(columns_of(first))
        if inputs.apart:
            return [
                (column.name, (StringTensorType if column.is_text else number)([None, 1])) for column in inputs.columns
            ]
    elif hasattr(pipeline, "feature_names_in_"):
        if not is_frame(X):
            raise ValueError(
                "Got no rows of a pipeline that was fitted to a frame; expected some, that tell text from numbers. "
                "Pass X=frame.head()."
            )
        names = [str(name) for name in X.columns]
        return [(name, _type_of(X[name], number)([None, 1])) for name in names]
    return [("X", number([None, pipeline.n_features_in_]))]


def _type_of(values: Any, number: Any) -> Any:
    kind = np.asarray(values).dtype.kind
    if kind in "biuf":
        return number
    numbers = all(isinstance(value, int | float | np.number) for value in np.asarray(values, dtype=object))
    return number if numbers else StringTensorType
