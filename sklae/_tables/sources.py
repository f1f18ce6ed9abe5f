"""Rows that are read in parts, however many there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np

from sklae._tables.annotations import ArrayOrFrame
from sklae._tables.frames import rows_of

__all__ = ["Picked", "RowSource", "regrouped", "rows_within"]


class RowSource(ABC):
    """What estimators take in place of a table: rows that are not all in memory at once.

    Subclass it for a storage of your own: say how many rows there are, and yield them in parts. `fit` reads them
    several times: kinds and levels, then scaling, then once an epoch, shuffled some hundred thousand at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.sources import RowSource
    >>> class Simulated(RowSource):
    ...     def __len__(self):
    ...         return 300
    ...
    ...     def chunks(self):
    ...         for seed in range(3):
    ...             yield np.random.RandomState(seed).normal(size=(100, 4))
    >>> ae = AutoencoderTransformer(
    ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... ).fit(Simulated())
    >>> ae.score_samples(Simulated()).shape
    (300,)
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def chunks(self) -> Iterator[ArrayOrFrame]:
        """Yield all rows as tables, frames or arrays with the same columns, in the same order every time."""

    def placed_chunks(self, random_state: np.random.RandomState | None = None) -> Iterator[tuple[int, ArrayOrFrame]]:
        """Yield all rows as tables, each with the position of its first row.

        Parameters
        ----------
        random_state : RandomState instance or None, default=None
            Where an order of the tables may be drawn from. None: their own, that of `chunks`. A source that can't
            read them in another order, as this default, yields them in their own.

        Yields
        ------
        start : int
            The position of the first row.
        chunk : array or frame
            A table of rows that follow each other.
        """
        start = 0
        for chunk in self.checked_chunks():
            yield start, chunk
            start += len(chunk)

    def checked_chunks(self) -> Iterator[ArrayOrFrame]:
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

    def take(self, positions: np.ndarray) -> list[ArrayOrFrame]:
        """Return the rows at these positions, which are sorted: as parts of chunks."""
        picked = Picked(positions)
        for start, chunk in self.placed_chunks():
            picked.see(start, chunk)
        return picked.parts


class Picked:
    """The rows at some positions of a stream of tables.

    Parameters
    ----------
    positions : ndarray of int
        Sorted.

    Attributes
    ----------
    parts : list of table
        The rows that were seen.
    """

    def __init__(self, positions: np.ndarray):
        self.positions = positions
        self.parts: list[ArrayOrFrame] = []

    def see(self, start: int, table: ArrayOrFrame) -> np.ndarray:
        """Keep the wanted rows of a table whose first row has this position; return which they are."""
        rows = rows_within(self.positions, start, len(table))
        if len(rows):
            self.parts.append(rows_of(table, rows, len(table)))
        return rows


def rows_within(positions: np.ndarray, start: int, n_rows: int) -> np.ndarray:
    """Return which rows of a table stand at sorted positions of a stream, by the position of its first row."""
    first, last = np.searchsorted(positions, [start, start + n_rows])
    return positions[first:last] - start


def regrouped(tables: Iterable[np.ndarray], n_rows: int) -> Iterator[np.ndarray]:
    """Yield the rows of arrays in arrays of so many rows (the last has the rest), whatever they came in."""
    waiting: list[np.ndarray] = []
    n_waiting = 0
    for table in tables:
        waiting.append(table)
        n_waiting += len(table)
        if n_waiting >= n_rows:
            joined = np.concatenate(waiting)
            n_full = n_waiting - n_waiting % n_rows
            for start in range(0, n_full, n_rows):
                yield joined[start : start + n_rows]
            waiting, n_waiting = [joined[n_full:]], n_waiting - n_full
    if n_waiting:
        yield np.concatenate(waiting)
