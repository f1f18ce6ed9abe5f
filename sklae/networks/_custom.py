"""Modules built and tried out before training, users' own ones too; what they say of themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from sklae._utils.random import generate
from sklae.networks._base import Inputs, Network, call

__all__ = ["build", "draws", "n_activations", "try_answer"]


def build(
    role: str, network: Network, factory: Callable[[int, int], nn.Module] | None, inputs: Inputs, n_outputs: int
) -> nn.Module:
    """Build the encoder or decoder, by the user's factory if there is one, and run two rows through it.

    Wrong shapes are refused before any work, and lazy layers initialised.
    """
    if factory is None:
        module = getattr(network, role)(inputs, n_outputs)
        if hasattr(module, "given"):  # tried out by `try_answer`, once there is a density
            return module
        if not _takes_generator(module):
            module = _Foreign(module)
        return _try_out(module, f"{network!r}.{role}({inputs!r}, n_outputs={n_outputs})", inputs, n_outputs)
    named = f"{role}(n_inputs={inputs.total}, n_outputs={n_outputs})"
    try:
        module = factory(inputs.total, n_outputs)
    except TypeError as error:
        raise ValueError(
            f"Got {role}={factory!r}, which failed with {error}; expected a function or class of two arguments. It is "
            f"called as {named} and returns an nn.Module."
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"Got {role}= that returned {type(module).__name__}; expected an nn.Module. Pass a function or "
            f"class that is called as {named}."
        )
    return _try_out(_Foreign(module), named, inputs, n_outputs)


def _takes_generator(module: nn.Module) -> bool:
    """Whether a network's module can be called as `Network` says; PyTorch's own containers can't."""
    n_arguments = 4 if getattr(module, "sees_parts", False) else 2
    try:
        inspect.signature(module.forward).bind(*[None] * n_arguments)
    except TypeError:
        return False
    return True


def _try_out(module: nn.Module, named: str, inputs: Inputs, n_outputs: int) -> nn.Module:
    remedy = f"Build the first and the last layer with the arguments of {named}."
    values = torch.zeros(2, inputs.n_values)
    mask, condition = (torch.zeros(2, n) if n else None for n in (inputs.n_mask, inputs.n_condition))
    module.eval()
    values.requires_grad_()
    try:
        with torch.enable_grad():
            out = call(module, values, mask, condition)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"Got a module from {named} that fails on inputs of shape (2, {inputs.total}): {error}; expected it to "
            f"take them. {remedy}"
        ) from error
    if not isinstance(out, torch.Tensor) or out.dtype != torch.float32:
        kind = f"a tensor of {out.dtype}" if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(
            f"Got a module from {named} that returned {kind} for 2 rows; expected a tensor of torch.float32, of shape "
            f"(2, {n_outputs}). Let its forward return the one tensor, as it comes out of the last layer."
        )
    shape = tuple(out.shape)
    if shape != (2, n_outputs):
        raise ValueError(
            f"Got a module from {named} whose output has shape {shape} for 2 rows; expected (2, {n_outputs}). {remedy}"
        )
    _check_gradient(module, named, out, values)
    return module.train()


def _check_gradient(module: nn.Module, named: str, out: torch.Tensor, values: torch.Tensor) -> None:
    """Refuse a module that can't be trained, or a decoder through which its encoder can't."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    remedy = "Leave out detach(), no_grad() and the like; to freeze layers on purpose call requires_grad_(False)."
    if learned and not _has_gradient(out, learned):
        raise ValueError(
            f"Got a module from {named} whose output has no gradient with respect to its own parameters; expected one "
            f"to train them by. {remedy}"
        )
    if named.startswith("decoder") and not _has_gradient(out, [values]):
        raise ValueError(
            f"Got a module from {named} through which no gradient reaches the codes, and so the encoder; expected one. "
            f"{remedy}"
        )


def _has_gradient(out: torch.Tensor, inputs: Sequence[torch.Tensor]) -> bool:
    """Return whether an output depends on any of its inputs in a way that can be learned by."""
    if not out.requires_grad:
        return False
    found = torch.autograd.grad(out.sum(), inputs, retain_graph=True, allow_unused=True)
    return any(each is not None for each in found)


class _Foreign(nn.Module):
    """A user's module, which knows no generator."""

    sees_parts = False

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.draws = draws(module)

    def forward(self, h: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        if generator is None or not self.draws:
            out = self.module(h)
        else:
            with generate(generator):
                out = self.module(h)
        if isinstance(out, torch.Tensor) and len(out) != len(h):  # tried out on few rows, it may drop some of many
            raise ValueError(
                f"Got {len(out)} rows for {len(h)} from {type(self.module).__name__}; expected one output a row. "
                "Keep the first dimension in its forward."
            )
        return out


def n_activations(module: nn.Module) -> int:
    """Return how many numbers a row takes at the widest place of a network's module."""
    said = getattr(module, "n_activations", None)
    if said is not None:
        return said
    return max((max(weight.shape) for weight in module.parameters() if weight.ndim > 1), default=0)


def draws(module: nn.Module) -> bool:
    """Return whether a module may draw random numbers in training; unknown classes count as if they do."""
    said = getattr(module, "draws", None)
    if isinstance(said, bool):
        return said
    return any(not _is_known(part) or _chance(part) > 0 for part in module.modules())


def _is_known(part: nn.Module) -> bool:
    return type(part).__module__.startswith(("torch.nn.modules.", "sklae."))


def _chance(part: Any) -> float:
    if isinstance(part, nn.RReLU):
        return 1.0
    return float(getattr(part, "p", 0.0) or getattr(part, "dropout", 0.0) or 0.0) if _has_rate(part) else 0.0


def _has_rate(part: nn.Module) -> bool:
    return any(isinstance(getattr(part, name, None), (int, float)) for name in ("p", "dropout"))


def try_answer(given: Any, named: str, x: torch.Tensor) -> None:
    """Refuse what a decoder answers for two rows, if it is no distribution of rows."""
    lacking = [
        name
        for name in ("energy", "log_prob", "mean", "expectation", "sample")
        if inspect.getattr_static(given, name, None) is None
    ]
    if lacking:
        raise ValueError(
            f"Got given(...) of {named} that returned {type(given).__name__}, which has no {', '.join(lacking)}; "
            "expected an object that answers as sklae's RowsGiven does: energy, log_prob, mean, expectation, sample."
        )
    generator = torch.Generator().manual_seed(0)
    found = {"energy": given.energy(x), "log_prob": given.log_prob(x), "mean": given.mean}
    found["sample"] = given.sample(generator)
    for name, value in found.items():
        if tuple(value.shape) != tuple(x.shape):
            raise ValueError(
                f"Got {name} of shape {tuple(value.shape)} from given(...) of {named} for rows of shape "
                f"{tuple(x.shape)}; expected the same: one number for each column."
            )
