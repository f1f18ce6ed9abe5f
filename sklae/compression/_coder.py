"""Symbols as bits and back, by the range coder of constriction, under probabilities that are integers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

__all__ = ["IntReader", "IntWriter", "Reader", "Tables", "Writer", "require"]

# The coder's words, and the widest uniform distribution it is asked for.
_WORD = np.dtype("<u4")
_WIDEST = 16
# Of integers in a model: those below are symbols of their own, of others the width is.
_N_PLAIN, _N_SYMBOLS = 24, 24 + 64


def require() -> Any:
    """Return the library.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import constriction
    except ImportError as error:
        raise ImportError(
            'Got no constriction; expected it to be installed, for entropy coding. pip install "sklae[compress]"'
        ) from error
    return constriction.stream


class Tables:
    """Distributions of symbols, one a context.

    Parameters
    ----------
    weights : ndarray of shape (n_contexts, n_symbols), int64
        Positive, each row's sum below 2**53: the coder's floats hold them exactly, on every machine.
    """

    def __init__(self, weights: np.ndarray):
        self.weights = weights
        self._made: dict[int, Any] = {}

    def model(self, context: int) -> Any:
        """Return the distribution of a context, as the coder takes it."""
        if context not in self._made:
            weights = self.weights[context].astype(np.float64)
            self._made[context] = require().model.Categorical(weights, perfect=False)
        return self._made[context]

    def bits(self, counts: np.ndarray) -> float:
        """Return what symbols cost that occur so often, (n_contexts, n_symbols), in bits."""
        total = self.weights.sum(axis=1, keepdims=True)
        return float((counts * (np.log2(total) - np.log2(self.weights))).sum())


def _groups(contexts: np.ndarray) -> tuple[np.ndarray, list[tuple[int, slice]]]:
    """Return an order of rows by context, and each context with its part of them."""
    order = np.argsort(contexts, kind="stable")
    if not len(order):
        return order, []
    found, starts = np.unique(contexts[order], return_index=True)
    stops = [*starts[1:].tolist(), len(contexts)]
    return order, [(int(c), slice(a, b)) for c, a, b in zip(found, starts.tolist(), stops, strict=True)]


class Writer:
    """Collects symbols."""

    def __init__(self) -> None:
        self._stream = require()
        self._coder = self._stream.queue.RangeEncoder()

    def symbols(self, symbols: np.ndarray, contexts: np.ndarray, tables: Tables) -> None:
        """Append symbols, each under the distribution of its context."""
        order, groups = _groups(contexts)
        symbols = symbols[order].astype(np.int32)
        for context, part in groups:
            self._coder.encode(symbols[part], tables.model(context))

    def uniform(self, values: np.ndarray, sizes: np.ndarray) -> None:
        """Append integers from 0 to less than a size, each at log2(size) bits."""
        order, groups = _groups(sizes)
        values = values[order]
        for size, part in groups:
            for shift, pieces in _pieces(size):
                piece = (values[part] >> shift) % pieces if shift or pieces < size else values[part]
                self._coder.encode(piece.astype(np.int32), self._stream.model.Uniform(pieces))

    def content(self) -> bytes:
        """Return all that was appended."""
        return self._coder.get_compressed().astype(_WORD).tobytes()


class Reader:
    """Gives symbols back, in the order in which they were appended.

    Parameters
    ----------
    content : bytes
    """

    def __init__(self, content: bytes):
        self._stream = require()
        self._coder = self._stream.queue.RangeDecoder(np.frombuffer(content, dtype=_WORD).astype(np.uint32))

    def symbols(self, contexts: np.ndarray, tables: Tables) -> np.ndarray:
        """Return the next symbols, as many as there are contexts."""
        order, groups = _groups(contexts)
        out = np.empty(len(contexts), dtype=np.int64)
        for context, part in groups:
            out[order[part]] = self._coder.decode(tables.model(context), part.stop - part.start)
        return out

    def uniform(self, sizes: np.ndarray) -> np.ndarray:
        """Return the next integers below sizes."""
        order, groups = _groups(sizes)
        out = np.zeros(len(sizes), dtype=np.int64)
        for size, part in groups:
            for shift, pieces in _pieces(size):
                piece = self._coder.decode(self._stream.model.Uniform(pieces), part.stop - part.start)
                out[order[part]] += piece.astype(np.int64) << shift
        return out


def _pieces(size: int) -> list[tuple[int, int]]:
    """Return shifts and sizes of the parts that an integer below ``size`` is written in: the lowest come first."""
    found, shift = [], 0
    while size > 1 << _WIDEST:
        found.append((shift, 1 << _WIDEST))
        size = -(-size >> _WIDEST)
        shift += _WIDEST
    return [*found, (shift, size)] if size > 1 else found


class _Adaptive:
    """Distributions that learn from each symbol, one for each name of what is written."""

    def __init__(self) -> None:
        self._stream = require()
        start = 2.0 ** -np.minimum(np.arange(_N_SYMBOLS) / 4.0, 8.0)
        self._counts: dict[str, np.ndarray] = defaultdict(lambda: np.round(start * 256.0))

    def model(self, name: str) -> Any:
        return self._stream.model.Categorical(self._counts[name], perfect=False)

    def learn(self, name: str, symbol: int) -> None:
        counts = self._counts[name]
        counts[symbol] += 256.0
        if counts.sum() > 2.0**20:
            counts //= 2.0
            counts += 1.0


class IntWriter:
    """Writes arrays of integers of a model, small ones in few bits."""

    def __init__(self) -> None:
        self._adaptive = _Adaptive()
        self._stream = require()
        self._coder = self._stream.queue.RangeEncoder()

    def ints(self, name: str, values: Any) -> None:
        """Append integers of at most 63 bits; ``name`` says what is alike."""
        values = np.asarray(values, dtype=np.int64).ravel()
        for value in ((values << 1) ^ (values >> 63)).tolist():
            symbol, bits = value, 0
            if value >= _N_PLAIN:
                bits = value.bit_length() - 1
                symbol = _N_PLAIN + bits - 4
            self._coder.encode(symbol, self._adaptive.model(name))
            self._adaptive.learn(name, symbol)
            for shift in range(0, bits, _WIDEST):
                width = min(_WIDEST, bits - shift)
                piece = (value >> shift) & ((1 << width) - 1)
                self._coder.encode(piece, self._stream.model.Uniform(1 << width))

    def counted(self, name: str, values: Any) -> None:
        """Append integers, and before them how many there are."""
        self.ints(f"number of {name}", [len(values)])
        self.ints(name, values)

    def content(self) -> bytes:
        """Return all that was appended."""
        return self._coder.get_compressed().astype(_WORD).tobytes()


class IntReader:
    """Gives integers of a model back.

    Parameters
    ----------
    content : bytes
    """

    def __init__(self, content: bytes):
        self._adaptive = _Adaptive()
        self._stream = require()
        self._coder = self._stream.queue.RangeDecoder(np.frombuffer(content, dtype=_WORD).astype(np.uint32))

    def ints(self, name: str, n_values: int) -> np.ndarray:
        """Return the next integers."""
        out = []
        for _ in range(n_values):
            value = self._coder.decode(self._adaptive.model(name))
            self._adaptive.learn(name, value)
            if value >= _N_PLAIN:
                bits = value - _N_PLAIN + 4
                value = 1 << bits
                for shift in range(0, bits, _WIDEST):
                    width = min(_WIDEST, bits - shift)
                    value += self._coder.decode(self._stream.model.Uniform(1 << width)) << shift
            out.append((value >> 1) ^ -(value & 1))
        return np.array(out, dtype=np.int64)

    def one(self, name: str) -> int:
        """Return the next integer."""
        return int(self.ints(name, 1)[0])

    def counted(self, name: str) -> np.ndarray:
        """Return the next integers, as many as were said to follow."""
        return self.ints(name, self.one(f"number of {name}"))
