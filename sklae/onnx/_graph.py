"""Modules as graphs, and what stands before and after them: text and its codes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx.inliner
import torch
from onnx import ModelProto, NodeProto, TensorProto, compose, helper, numpy_helper
from torch import nn

import sklae
from sklae.onnx._substitutes import WithinOnnx
from sklae.onnx._table import Column, Output, TableInputs

if TYPE_CHECKING:
    from sklae.onnx._answers import Answers

__all__ = ["ML_OPSET", "OPSET", "graph_of", "with_properties"]

#: Of ai.onnx: the first that has all that is needed, and the one that PyTorch translates to. Of ai.onnx.ml: for text.
OPSET, ML_OPSET = 18, 3


def graph_of(
    answers: Answers,
    given: Sequence[tuple[str, int, int]],
    prefix: str,
    opset: int,
    *,
    named: str,
    names: Sequence[str] | None = None,
) -> tuple[list[NodeProto], list[TensorProto], ModelProto]:
    """Return all that is between what is fed and what comes out.

    Parameters
    ----------
    answers : Answers
    given : sequence of (str, int, int)
        Names of the tensors that are fed, their element types, and how many columns each holds; together all columns,
        in their order.
    prefix : str
        Of all names between.
    opset : int
    named : str
        What errors call the estimator.
    names : sequence of str, default=None
        What outputs are called, where not by themselves.

    Returns
    -------
    nodes : list of NodeProto
    constants : list of TensorProto
    inner : ModelProto
        The module's own graph: types and shapes of its outputs.
    """
    table = f"{prefix}table"
    outputs = answers.outputs()
    if names is not None:
        outputs = [output._replace(name=name) for output, name in zip(outputs, names, strict=True)]
    first, constants = _front(answers.inputs, given, table, prefix)
    inner_outputs, last = _back(outputs, prefix)
    inner = _trace(answers, answers.example(), table, inner_outputs, opset, named)
    inner = compose.add_prefix(inner, prefix, rename_inputs=False, rename_outputs=False)
    if inner.functions:
        inner = onnx.inliner.inline_local_functions(inner)
    return [*first, *inner.graph.node, *last], [*constants, *inner.graph.initializer], inner


def with_properties(model: ModelProto, kind: str, methods: Sequence[str]) -> None:
    """Say in a model what it was made of, and by what."""
    model.producer_name, model.producer_version = "sklae", sklae.__version__
    properties = {"sklae_version": sklae.__version__, "torch_version": metadata.version("torch"), "class": kind}
    helper.set_model_props(model, {**properties, "method": ",".join(methods)})


def _trace(
    module: nn.Module, example: torch.Tensor, input_name: str, outputs: Sequence[Output], opset: int, named: str
) -> ModelProto:
    """Return a module of one tensor as a graph, for any number of rows.

    Raises
    ------
    ValueError
        If it has operations that ONNX has not, or that depend on values.
    """
    module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    rows = {0: torch.export.Dim.DYNAMIC}  # of a named one it wants proof that a single row is not special
    with torch.no_grad(), _quiet():
        with WithinOnnx():
            module(example)  # fills caches: within an export they would keep what is no tensor
            exported = _refusing(named, torch.export.export, module, (example,), dynamic_shapes=(rows,))
        program = _refusing(
            named,
            torch.onnx.export,
            exported,
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=[input_name],
            output_names=[output.name for output in outputs],
            verbose=False,
        )
    model = program.model_proto
    for part in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        del part.metadata_props[:]  # stack traces, with the paths of this machine
    del model.metadata_props[:]
    return model


def _refusing(named: str, function: Any, *args: Any, **settings: Any) -> Any:
    try:
        return function(*args, **settings)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = str(cause).strip().partition("\n")[0]
        raise ValueError(
            f"Got {named}, with a part that does not translate to ONNX ({type(cause).__name__}: {reason[:200]}); "
            "expected parts whose operations ONNX has. The guide on serving lists those that are known to work."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the export says on the way: none of it is for users."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.__trace", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _front(
    inputs: TableInputs, given: Sequence[tuple[str, int, int]], table: str, prefix: str
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Return nodes, and their constants, that make a float64 table of inputs, with codes for text, NaN for unknown.

    Parameters
    ----------
    inputs : TableInputs
    given, prefix
        As of `graph_of`.
    table : str
        What to call the result.
    """
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    parts: list[tuple[str, int]] = []
    columns = iter(inputs.columns)
    for name, element, width in given:
        own = [next(columns) for _ in range(width)]
        if not any(column.is_text for column in own):
            parts.append((name, element))
            continue
        for j, column in enumerate(own):
            text = name
            if width > 1:
                text, index = f"{prefix}{name}_{j}", f"{prefix}{name}_at_{j}"
                constants.append(numpy_helper.from_array(np.array([j]), index))
                nodes.append(helper.make_node("Gather", [name, index], [text], axis=1))
            nodes.append(_encode_text(column, text, f"{prefix}codes_{column.name}"))
            parts.append((f"{prefix}codes_{column.name}", TensorProto.FLOAT))
    kinds = {element for _, element in parts}
    if len(kinds) > 1:
        for name, element in parts:
            if element != TensorProto.DOUBLE:
                nodes.append(helper.make_node("Cast", [name], [f"{prefix}{name}_as_double"], to=TensorProto.DOUBLE))
        parts = [
            (name if element == TensorProto.DOUBLE else f"{prefix}{name}_as_double", TensorProto.DOUBLE)
            for name, element in parts
        ]
        kinds = {TensorProto.DOUBLE}
    joined = parts[0][0]
    if len(parts) > 1:
        joined = f"{prefix}joined"
        nodes.append(helper.make_node("Concat", [name for name, _ in parts], [joined], axis=1))
    last = helper.make_node("Identity", [joined], [table])
    if kinds != {TensorProto.DOUBLE}:
        last = helper.make_node("Cast", [joined], [table], to=TensorProto.DOUBLE)
    return [*nodes, last], constants


def _encode_text(column: Column, name: str, out: str) -> NodeProto:
    assert column.levels is not None
    codes = [float(code) for code in range(len(column.levels))]
    return helper.make_node(
        "LabelEncoder",
        [name],
        [out],
        domain="ai.onnx.ml",
        keys_strings=column.levels,
        values_floats=codes,
        default_float=float("nan"),
    )


def _back(outputs: Sequence[Output], prefix: str) -> tuple[list[Output], list[NodeProto]]:
    """Return how a module's outputs are called, and nodes that put text in place of codes."""
    inner, nodes = [], []
    for name, labels in outputs:
        inner.append(Output(name if labels is None else f"{prefix}codes_of_{name}"))
        if labels is not None:
            node = helper.make_node(
                "LabelEncoder",
                [inner[-1].name],
                [name],
                domain="ai.onnx.ml",
                keys_int64s=list(range(len(labels))),
                values_strings=labels,
                default_string="",
            )
            nodes.append(node)
    return inner, nodes
