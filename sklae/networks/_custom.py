"""Users' own modules: built, tried out, and given a generator where they draw."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sklae._utils.random import generate
from sklae.networks._base import Network

__all__ = []


class _Foreign(nn.Module):
    """A user's module, which knows no generator."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.draws = _draws(module)

    def forward(self, h: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        if generator is None or not self.draws:
            return self.module(h)
        with generate(generator):
            return self.module(h)


def _draws(module: nn.Module) -> bool:
    """Whether a module may draw random numbers in training; unknown classes count as if they do."""
    return any(not _is_known(part) or _chance(part) > 0 for part in module.modules())


def _is_known(part: nn.Module) -> bool:
    return type(part).__module__.startswith(("torch.nn.modules.", "sklae."))


def _chance(part: nn.Module) -> float:
    if isinstance(part, nn.RReLU):
        return 1.0
    return float(getattr(part, "p", 0.0) or getattr(part, "dropout", 0.0) or 0.0) if _has_rate(part) else 0.0


def _has_rate(part: nn.Module) -> bool:
    return any(isinstance(getattr(part, name, None), (int, float)) for name in ("p", "dropout"))


def _build(
    role: str,
    factory: Callable[[int, int], nn.Module] | None,
    network: Network,
    n_inputs: int,
    n_outputs: int,
) -> nn.Module:
    """Build the encoder or decoder, by the user's factory if there is one."""
    if factory is None:
        build = network.build_encoder if role == "encoder" else network.build_decoder
        return build(n_inputs, n_outputs)
    call = f"{role}(n_inputs={n_inputs}, n_outputs={n_outputs})"
    try:
        module = factory(n_inputs, n_outputs)
    except TypeError as error:
        raise ValueError(
            f"Got {role}={factory!r}, which failed with {error}; expected a function or class of two arguments. It is "
            f"called as {call} and returns an nn.Module."
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"Got {role}= that returned {type(module).__name__}; expected an nn.Module. Pass a function or "
            f"class that is called as {call}."
        )
    return _Foreign(_try_out(module, call, n_inputs, n_outputs))


def _try_out(module: nn.Module, call: str, n_inputs: int, n_outputs: int) -> nn.Module:
    """Run two rows through a user's module: wrong shapes are refused before any work, lazy layers initialised."""
    remedy = f"Build the first and the last layer with the arguments of {call}."
    module.eval()
    try:
        with torch.no_grad():
            shape = tuple(module(torch.zeros(2, n_inputs)).shape)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"Got a module from {call} that fails on inputs of shape (2, {n_inputs}): {error}; expected it to "
            f"take them. {remedy}"
        ) from error
    if shape != (2, n_outputs):
        raise ValueError(
            f"Got a module from {call} whose output has shape {shape} for 2 rows; expected (2, {n_outputs}). {remedy}"
        )
    return module.train()
