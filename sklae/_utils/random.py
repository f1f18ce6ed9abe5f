"""Generators from a ``random_state``; the global ones of NumPy and torch are never used."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["draw_seed", "generate", "random_state_for", "some_rows", "torch_generator"]

_LARGEST_SEED = np.iinfo(np.int32).max


def random_state_for(random_state: Any) -> np.random.RandomState:
    """Return a generator for a ``random_state``; None takes entropy from the system, not NumPy's global state."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937())
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def draw_seed(random_state: Any) -> int:
    """Draw an integer seed."""
    return int(random_state_for(random_state).randint(_LARGEST_SEED))


def torch_generator(random_state: Any, device: Any = "cpu") -> torch.Generator:
    """Return a torch generator seeded from a ``random_state``."""
    return torch.Generator(device).manual_seed(draw_seed(random_state))


def some_rows(n_rows: int, n_wanted: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return positions of rows, all or so many at random, in order."""
    return np.arange(n_rows) if n_wanted >= n_rows else np.sort(random_state.permutation(n_rows)[:n_wanted])


_aten = torch.ops.aten
# What modules make their parameters from, in torch's default dtype unless told otherwise.
_FLOAT_FACTORIES = {
    _aten.empty.memory_format,
    _aten.ones.default,
    _aten.rand.default,
    _aten.randn.default,
    _aten.zeros.default,
}
# Draws whose plain form takes no generator, and the form that does.
_WITH_GENERATOR = {
    _aten.rand.default: _aten.rand.generator,
    _aten.randn.default: _aten.randn.generator,
    _aten.rand_like.default: _aten.rand_like.generator,
    _aten.randn_like.default: _aten.randn_like.generator,
    _aten.randperm.default: _aten.randperm.generator,
    _aten.randint.default: _aten.randint.generator,
    _aten.randint.low: _aten.randint.low_generator,
    _aten.randint_like.default: _aten.randint_like.generator,
    _aten.randint_like.low_dtype: _aten.randint_like.low_generator_dtype,
}


def _dropout_p(func: Any, args: Any, kwargs: dict[str, Any]) -> float | None:
    """Return the dropout of an attention kernel, None of anything else: without dropout it draws nothing."""
    for position, argument in enumerate(func._schema.arguments):
        if argument.name == "dropout_p":
            return args[position] if position < len(args) else kwargs.get("dropout_p", argument.default_value)
    return None


class generate(TorchDispatchMode):  # noqa: N801 - used as a context manager, like torch.no_grad
    """Make every random draw of this thread's torch calls come from one generator.

    For code that has no generator argument: the constructors of modules, and modules of users. Costs
    about 100 microseconds a step, so sklae's own modules hand their generator along instead.

    Parameters
    ----------
    generator : torch.Generator

    Examples
    --------
    >>> import torch
    >>> from sklae._utils.random import generate
    >>> with generate(torch.Generator().manual_seed(0)):
    ...     a = torch.nn.Linear(2, 2)
    >>> with generate(torch.Generator().manual_seed(0)):
    ...     b = torch.nn.Linear(2, 2)
    >>> torch.equal(a.weight, b.weight)
    True
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _FLOAT_FACTORIES:
            kwargs.setdefault("dtype", torch.float32)  # whatever torch's default dtype is
        if torch.Tag.nondeterministic_seeded not in func.tags or _dropout_p(func, args, kwargs) == 0.0:
            return func(*args, **kwargs)
        if func is _aten.native_dropout.default:
            return self._dropout(*args, **kwargs)
        func = _WITH_GENERATOR.get(func, func)
        if not any(argument.name == "generator" for argument in func._schema.arguments):
            remedy = "Use another way to draw them."
            if _dropout_p(func, args, kwargs) is not None:
                remedy = "Build attention with dropout=0.0, and put nn.Dropout, which takes one, behind it."
            raise RuntimeError(
                f"Got a module that draws random numbers by {func}, which takes no generator; sklae needs one to "
                f"make fits reproducible. {remedy}"
            )
        return func(*args, **{**kwargs, "generator": kwargs.get("generator") or self.generator})

    def _dropout(self, x: torch.Tensor, p: float, train: bool | None) -> tuple[torch.Tensor, torch.Tensor]:
        if not train:
            return x.clone(), torch.ones_like(x, dtype=torch.bool)
        keep = torch.empty_like(x).bernoulli_(1.0 - p, generator=self.generator)
        return x * keep / (1.0 - p), keep.bool()
