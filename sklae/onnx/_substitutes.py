"""Operations that ONNX lacks, or that `torch.onnx` gets wrong, by those that it has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["WithinOnnx", "solve_lower"]

# Lanczos' series for g = 7, n = 9 (Godfrey's coefficients): good to 1e-15.
_G = 7.0
_LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)


def _searchsorted(sorted_sequence: torch.Tensor, values: torch.Tensor, *, right: bool = False) -> torch.Tensor:
    edges, values = sorted_sequence.unsqueeze(-2), values.unsqueeze(-1)
    return (edges <= values if right else edges < values).sum(-1)


def _hypot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = a.abs(), b.abs()
    larger = torch.maximum(a, b)
    ratio = torch.minimum(a, b) / larger.clamp(min=torch.finfo(larger.dtype).tiny)
    return larger * (1.0 + ratio.square()).sqrt()


def _logaddexp(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    # torch.onnx adds exponentials, which underflow
    return torch.maximum(a, b) + torch.exp(-(a - b).abs()).log1p()


def _logsigmoid(x: torch.Tensor) -> torch.Tensor:
    # of torch.onnx the sigmoid underflows
    return x.clamp(max=0.0) - torch.exp(-x.abs()).log1p()


def _expm1(x: torch.Tensor) -> torch.Tensor:
    # torch.onnx subtracts 1, which is most of it where x is small
    series = x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0))))
    return torch.where(x.abs() < 1e-2, series, x.exp() - 1.0)


def _lgamma(x: torch.Tensor) -> torch.Tensor:
    """Return log gamma of numbers above 0: in float64, for it is what differences are taken of."""
    y = x.double() - 1.0
    series = _LANCZOS[0] + torch.zeros_like(y)
    for i, coefficient in enumerate(_LANCZOS[1:], start=1):
        series = series + coefficient / (y + i)
    t = y + (_G + 0.5)
    return ((y + 0.5) * t.log() - t + 0.5 * math.log(2.0 * math.pi) + series.log()).to(x.dtype)


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor, **settings: Any) -> torch.Tensor:
    # torch.onnx drops the reduction
    assert settings["reduction"] == "none"
    return -logits.log_softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)


def _take(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return table.flatten().index_select(0, index.flatten()).view(index.shape)


def solve_lower(factor: torch.Tensor, right: torch.Tensor, *, upper: bool) -> torch.Tensor:
    """Return the solution of lower triangular systems, (..., n, m), by forward substitution."""
    assert not upper
    rows: list[torch.Tensor] = []
    for i in range(factor.shape[-1]):
        rest = right[..., i, :]
        for j, known in enumerate(rows):
            rest = rest - factor[..., i, j, None] * known
        rows.append(rest / factor[..., i, i, None])
    return torch.stack(rows, dim=-2)


_SUBSTITUTES: dict[Any, Callable[..., torch.Tensor]] = {
    torch.searchsorted: _searchsorted,
    torch.hypot: _hypot,
    torch.logaddexp: _logaddexp,
    torch.expm1: _expm1,
    torch.Tensor.expm1: _expm1,
    functional.logsigmoid: _logsigmoid,
    torch.lgamma: _lgamma,
    torch.Tensor.lgamma: _lgamma,
    torch.Tensor.take: _take,
    torch.linalg.solve_triangular: solve_lower,
    functional.cross_entropy: _cross_entropy,
}


# torch.onnx makes float32 of a number beside a tensor, whatever the tensor's precision.
_TAKE_NUMBERS = {"add", "clamp", "div", "mul", "rsub", "sub", "where", "__rdiv__", "__rsub__", "__rtruediv__"}


def _in_double(value: Any) -> Any:
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else value


class WithinOnnx(TorchFunctionMode):
    """Within it, PyTorch computes with what ONNX has."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _TAKE_NUMBERS and any(
            isinstance(arg, torch.Tensor) and arg.dtype == torch.float64 for arg in args
        ):
            args, kwargs = tuple(map(_in_double, args)), {name: _in_double(value) for name, value in kwargs.items()}
        if func not in _SUBSTITUTES:
            return func(*args, **kwargs)
        with self:
            return _SUBSTITUTES[func](*args, **kwargs)
