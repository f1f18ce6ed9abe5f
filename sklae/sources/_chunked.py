"""Rows of an iterator that can be made again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from numbers import Integral

import numpy as np

from sklae._tables.annotations import Frame, TableLike
from sklae._tables.frames import is_frame
from sklae._tables.sources import RowSource
from sklae.sources._base import as_table

__all__ = ["ChunkedRows"]


class ChunkedRows(RowSource):
    """The rows of tables that a function yields one after the other.

    Parameters
    ----------
    make : callable
        Called without arguments, returns an iterable of tables with the same columns: arrays, frames of pandas or
        polars, tables or record batches of Arrow. It is called once for each reading, so that it has to begin anew
        every time; a generator object would be used up by the first.
    n_rows : int, default=None
        How many rows there are in all. None: counted by one reading.

    Raises
    ------
    TypeError
        If ``make`` can't be called.

    Examples
    --------
    Record batches of Arrow:

    >>> import numpy as np, pyarrow as pa
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.sources import ChunkedRows
    >>> table = pa.table({name: np.random.RandomState(0).normal(size=200) for name in "abc"})
    >>> rows = ChunkedRows(lambda: table.to_batches(max_chunksize=50))
    >>> ae = AutoencoderTransformer(
    ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... ).fit(rows)
    >>> ae.score_samples(rows).shape
    (200,)
    """

    def __init__(self, make: Callable[[], Iterable[TableLike]], n_rows: int | None = None):
        if not callable(make):
            raise TypeError(
                f"Got a {type(make).__name__}; expected a function that returns an iterable of tables, since rows are "
                "read several times. Pass lambda: ..., or the generator function itself, not what it returns."
            )
        if n_rows is not None and (isinstance(n_rows, bool) or not isinstance(n_rows, Integral) or n_rows < 0):
            raise ValueError(f"Got n_rows={n_rows!r}; expected an integer of at least 0, or None.")
        self.make = make
        self.n_rows = n_rows

    def __len__(self) -> int:
        return self._n_counted if self.n_rows is None else self.n_rows

    @cached_property
    def _n_counted(self) -> int:
        return sum(len(chunk) for chunk in self.chunks())

    def chunks(self) -> Iterator[Frame]:
        tables = self.make()
        if is_frame(tables) or isinstance(tables, np.ndarray) or not isinstance(tables, Iterable):
            raise TypeError(
                f"Got a function that returns a {type(tables).__name__}; expected one that returns an iterable of "
                "tables. Return a list of them, or yield them one by one."
            )
        yield from map(as_table, tables)
