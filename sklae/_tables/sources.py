"""Rows that are read in parts, however many there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from sklae._tables.frames import rows_of
from sklae._utils.random import some_rows

__all__ = ["RowSource", "in_memory"]


class RowSource(ABC):
    """What `fit` takes in place of a table: rows that are not all in memory at once.

    They are read several times: kinds and levels, scaling and support, and then once an epoch. Rows are shuffled within
    chunks, so that chunks are best mixed already. Held-out rows are given apart, as ``X_val``.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def chunks(self) -> Iterator[Any]:
        """Yield all rows as tables, frames or arrays with the same columns, in the same order every time."""

    def checked_chunks(self) -> Iterator[Any]:
        """Yield the chunks that have rows; refuse another number of rows than was said."""
        n_rows = 0
        for chunk in self.chunks():
            n_rows += len(chunk)
            if len(chunk):
                yield chunk
        if n_rows != len(self):
            raise ValueError(
                f"Got {n_rows} rows from the chunks of {type(self).__name__} and a length of {len(self)}; expected the "
                "same. Yield all rows each time."
            )

    def sample(self, n_rows: int, random_state: np.random.RandomState) -> list[Any]:
        """Return at most so many rows, at random, in their order: as parts of chunks."""
        wanted, start, parts = some_rows(len(self), n_rows, random_state), 0, []
        for chunk in self.checked_chunks():
            stop = start + len(chunk)
            inside = wanted[(wanted >= start) & (wanted < stop)]
            if len(inside):
                parts.append(rows_of(chunk, inside - start, len(chunk)))
            start = stop
        return parts


def in_memory(X: Any, n_rows: int, random_state: np.random.RandomState) -> list[Any]:
    """Return a table as it is, of a source at most so many rows; as one part, or several."""
    return X.sample(n_rows, random_state) if isinstance(X, RowSource) else [X]
