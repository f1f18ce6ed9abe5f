"""What a graph answers, and the transformers' answers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import torch
from onnx import TensorProto
from torch import nn

from sklae._autoencoders.fitted_model import FittedModel
from sklae._autoencoders.inference import within_reach
from sklae._model.module import Autoencoder
from sklae._tables.columns import Columns
from sklae._tables.layout import Layout, Rows
from sklae.likelihoods import Support
from sklae.onnx._layout import LayoutModule, UserUnits
from sklae.onnx._table import CodesModule, Column, Output, TableInputs, TableOutputs
from sklae.posteriors import RowCodes

__all__ = ["Answers", "AutoencoderAnswers", "CodeAnswers", "VAEAnswers", "network_of"]

_ELEMENTS = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.bool: TensorProto.BOOL,
}


class Answers(nn.Module, ABC):
    """The answers of a fitted estimator for a table, as a module.

    Parameters
    ----------
    inputs : TableInputs
        What is fed.
    methods : sequence of str
        What to answer.
    dtype : torch.dtype
        float32 or float64, of what comes in and of what goes out.
    """

    #: Method -> name of what answers it here: called with what `see` returns.
    verbs: ClassVar[Mapping[str, str]]
    #: Methods that don't translate, and why.
    refused: ClassVar[Mapping[str, str]] = {}

    def __init__(self, inputs: TableInputs, methods: Sequence[str], dtype: torch.dtype):
        super().__init__()
        self.methods, self.dtype = list(methods), dtype
        self.inputs = inputs
        self.to_codes: nn.Module = CodesModule(inputs, dtype)

    @staticmethod
    def columns_of(estimator: Any) -> Columns:
        """Return the columns of the tables that an estimator reads."""
        return estimator.layout_.columns

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return len(self.inputs.columns)

    def example(self) -> torch.Tensor:
        """Return rows to trace by: as many as nothing else is likely to be, or the two would be taken for one."""
        return torch.zeros(211, self.width, dtype=torch.float64)

    def shapes(self) -> list[tuple[int, int]]:
        """Return element types (of ONNX) and widths of the outputs, 0 for one number a row."""
        with torch.no_grad():
            found = self(self.example())
        return [(_ELEMENTS[one.dtype], one.shape[1] if one.ndim > 1 else 0) for one in found]

    def outputs(self) -> list[Output]:
        """Return what comes out: by default one tensor a method."""
        return [output for method in self.methods for output in self.outputs_of(method)]

    def outputs_of(self, method: str) -> list[Output]:
        """Return what comes out for one method."""
        return [Output(method)]

    def forward(self, raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return all answers for rows of numbers, and codes of text, (n_samples, n_total), float64."""
        seen = self.see(self.to_codes(raw))
        found = []
        for method in self.methods:
            found += getattr(self, self.verbs[method])(seen)
        return tuple(found)

    @abstractmethod
    def see(self, table: torch.Tensor) -> Any:
        """Return what answers start from."""


def network_of(model: FittedModel, dtype: torch.dtype) -> Autoencoder:
    """Return a copy of a fitted model's module, for inference on the CPU."""
    return cast(Autoencoder, copy.deepcopy(model.net.inference_module(dtype)).cpu().to(dtype))


class _Seen(NamedTuple):
    """A table, its encoded rows, and the distributions of their codes."""

    table: torch.Tensor
    rows: Rows
    q: RowCodes


class AutoencoderAnswers(Answers):
    """Of an `AutoencoderTransformer`.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted.
    methods, dtype
        As of `Answers`.
    """

    verbs: ClassVar[Mapping[str, str]] = {
        "transform": "codes",
        "reconstruct": "rebuilt",
        "score_samples": "scores",
    }

    def __init__(self, estimator: Any, methods: Sequence[str], dtype: torch.dtype):
        layout: Layout = estimator.layout_
        super().__init__(TableInputs.of(layout.columns), methods, dtype)
        self.model: FittedModel = estimator.model_
        self.network = network_of(self.model, dtype)
        self.layout = LayoutModule(layout, dtype)
        self.units = UserUnits(layout)
        self.leaving = TableOutputs(layout.columns, self.inputs, dtype)

    def outputs_of(self, method: str) -> list[Output]:
        return self.leaving.outputs(method) if method == "reconstruct" else super().outputs_of(method)

    def see(self, table: torch.Tensor) -> _Seen:
        rows = self.layout(table)
        return _Seen(table, rows, self.network.encode(*rows))

    def codes(self, seen: _Seen) -> tuple[torch.Tensor, ...]:
        """Return posterior means."""
        return (seen.q.mean,)

    def rebuilt(self, seen: _Seen) -> tuple[torch.Tensor, ...]:
        """Return the expected rows."""
        mean = self.network.given(seen.q.mean, seen.rows.condition).mean
        return self.leaving(self.units(mean), seen.table)

    def scores(self, seen: _Seen) -> tuple[torch.Tensor, ...]:
        """Return log-densities in the user's units, NaN for rows outside the likelihood's support."""
        rows, network = seen.rows, self.network
        scores = self.model.log_density(network, rows) + self.model.log_jacobians(network, rows).sum(-1)
        outside = [_is_outside(support, rows, torch.as_tensor(own)) for support, own in network.supports]
        limit = network.likelihood.limit
        if limit is not None and rows.observed is not None:
            outside.append((rows.x > limit) & (rows.observed > 0))
        for refused in outside:
            if refused is not None:
                scores = torch.where(refused.any(-1), torch.nan, scores)
        return (scores.to(self.dtype),)


def _is_outside(support: Support, rows: Rows, columns: torch.Tensor) -> torch.Tensor | None:
    """Return which values a likelihood is not defined on; None if it is on all."""
    if not support.is_bounded:
        return None
    assert rows.observed is not None
    x = rows.x.index_select(-1, columns)
    wrong = (x < support.low) | (x > support.high)
    if support.open_low:
        wrong = wrong | (x == support.low)
    if support.integer:
        wrong = wrong | (x != x.round())
    return wrong & (rows.observed.index_select(-1, columns) > 0)


class VAEAnswers(AutoencoderAnswers):
    """Of a `VAETransformer`."""

    verbs: ClassVar[Mapping[str, str]] = {**AutoencoderAnswers.verbs, "encode": "moments"}

    def outputs_of(self, method: str) -> list[Output]:
        if method == "encode":
            return [Output("encode_mean"), Output("encode_std")]
        return super().outputs_of(method)

    def moments(self, seen: _Seen) -> tuple[torch.Tensor, ...]:
        """Return means and standard deviations of posteriors."""
        return seen.q.mean, seen.q.std


class CodeAnswers(Answers):
    """Of an autoencoder for codes: the expected rows. Conditions stand beside the codes, as in tables.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted.
    methods, dtype
        As of `Answers`.
    """

    verbs: ClassVar[Mapping[str, str]] = {"inverse_transform": "decoded"}

    def __init__(self, estimator: Any, methods: Sequence[str], dtype: torch.dtype):
        layout: Layout = estimator.layout_
        if layout.n_condition:
            raise ValueError(
                "Got method='inverse_transform' of a model with condition_features; expected one without. Use "
                "'reconstruct', which reads the rows' own conditions."
            )
        codes = TableInputs([Column(f"x{i}", None) for i in range(estimator.n_components_)], apart=False)
        super().__init__(codes, methods, dtype)
        self.network = network_of(estimator.model_, dtype)
        self.units = UserUnits(layout)
        self.leaving = TableOutputs(layout.columns, TableInputs.of(layout.columns), dtype)
        self.to_codes = nn.Identity()

    def outputs_of(self, method: str) -> list[Output]:
        return self.leaving.outputs(method)

    def see(self, table: torch.Tensor) -> torch.Tensor:
        return within_reach(table.to(self.dtype))

    def decoded(self, codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the expected rows of codes."""
        return self.leaving(self.units(self.network.given(codes).mean))
