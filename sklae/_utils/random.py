"""Generators from a ``random_state``; the global ones of NumPy and torch are never used."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from sklearn.utils.random import sample_without_replacement
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["RowUniforms", "draw_seed", "generate", "random_state_for", "resampled", "some_rows", "torch_generator"]

_LARGEST_SEED = np.iinfo(np.int32).max
# A permutation of more rows than this takes more memory than some of them are worth.
_MOST_PERMUTED = 2**20


def random_state_for(random_state: Any) -> np.random.RandomState:
    """Return a generator for a ``random_state``; None takes entropy from the system, not NumPy's global state."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937())
    if isinstance(random_state, np.random.RandomState):
        return random_state
    if isinstance(random_state, (np.random.Generator, bool, np.bool_)):
        is_generator = isinstance(random_state, np.random.Generator)
        remedy = "an integer drawn from it: int(rng.integers(2**31))" if is_generator else "0, or another integer"
        raise ValueError(
            f"Got random_state={random_state!r}; expected an integer, a RandomState or None, as scikit-learn has it. "
            f"Pass {remedy}."
        )
    return np.random.RandomState(random_state)


def draw_seed(random_state: Any) -> int:
    """Draw an integer seed."""
    return int(random_state_for(random_state).randint(_LARGEST_SEED))


def torch_generator(random_state: Any, device: Any = "cpu") -> torch.Generator:
    """Return a torch generator seeded from a ``random_state``."""
    return torch.Generator(device).manual_seed(draw_seed(random_state))


def some_rows(n_rows: int, n_wanted: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return positions of rows, all or so many at random, in order."""
    if n_wanted >= n_rows:
        return np.arange(n_rows)
    if n_rows > _MOST_PERMUTED:
        return np.sort(sample_without_replacement(n_rows, n_wanted, random_state=random_state))
    return np.sort(random_state.permutation(n_rows)[:n_wanted])


def resampled(weights: np.ndarray, n_wanted: int, offset: float) -> np.ndarray:
    """Return positions of rows, in order, each as often as its share of the weights says, to within one.

    For what takes no weights. ``offset``, in (0, 1), says where the first one lies (systematic sampling).
    """
    ends = np.cumsum(weights)
    found = np.searchsorted(ends, (offset + np.arange(n_wanted)) * (ends[-1] / n_wanted), side="right")
    return np.minimum(found, len(weights) - 1)


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


class RowUniforms:
    """Random numbers that a row has of itself, wherever it stands: from a seed and what the row holds.

    Rows that hold the same are told apart by how many of them came before.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns), float64
    seed : int
    stream : int
        Rows have other numbers in each.
    """

    def __init__(self, table: np.ndarray, seed: int, stream: int):
        key = np.full(len(table), _mixed(np.uint64(seed)) + np.uint64(stream), dtype=np.uint64)
        key = _mixed(key)
        # -0.0 is 0.0, and there is one NaN
        bits = np.where(np.isnan(table), np.nan, table + 0.0).view(np.uint64)
        for column in bits.T:
            key = _mixed(key ^ column)
        self._key = _mixed(key ^ _occurrence(key))
        self._n_drawn = 0

    def take(self, rows: np.ndarray | slice) -> RowUniforms:
        """Return those of some of the rows, which go on from here."""
        part = object.__new__(RowUniforms)
        part._key, part._n_drawn = self._key[rows], self._n_drawn
        return part

    def draw(self, n_numbers: int) -> np.ndarray:
        """Draw uniform numbers in (0, 1), (n_rows, n_numbers)."""
        counter = np.arange(self._n_drawn + 1, self._n_drawn + n_numbers + 1, dtype=np.uint64)
        self._n_drawn += n_numbers
        bits = _mixed(self._key[:, None] + counter * _GOLDEN)
        return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, n_numbers: int) -> np.ndarray:
        """Draw standard normal numbers, (n_rows, n_numbers)."""
        return ndtri(self.draw(n_numbers))


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(bits: Any) -> Any:
    """Return 64 bits that each depend on all of those given (SplitMix64: Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        bits = bits + _GOLDEN
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))


def _occurrence(keys: np.ndarray) -> np.ndarray:
    """Return how many equal keys came before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(keys) else np.zeros(0, dtype=bool)
    start = np.flatnonzero(first)
    out = np.empty(len(keys), dtype=np.uint64)
    out[order] = np.arange(len(keys)) - start[first.cumsum() - 1]
    return out
