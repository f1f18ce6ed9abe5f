"""Rows of frames that have yet to be computed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from sklae._tables.annotations import Frame, LazyFrame
from sklae._tables.sources import RowSource
from sklae.sources._base import chunk_rows

__all__ = ["LazyRows"]


class LazyRows(RowSource):
    """The rows of a lazy frame of polars, or of a frame of Dask.

    Estimators take such frames as they are; make the source yourself to say ``chunk_size``.

    Parameters
    ----------
    frame : polars.LazyFrame or dask.dataframe.DataFrame
        It is computed anew for each reading: what took long to compute is better written to Parquet first. Of Dask a
        partition at a time, in random order where an estimator shuffles, by whatever scheduler there is.
    chunk_size : int, default=None
        How many rows to read of polars at a time. None: 65,536, of more than 64 columns fewer.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> from sklae import AutoencoderTransformer
    >>> frame = pl.LazyFrame(
    ...     {name: np.random.RandomState(0).normal(size=200) for name in "abc"}
    ... )
    >>> ae = AutoencoderTransformer(
    ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... )
    >>> ae.fit(frame.filter(pl.col("a") > 0)).score_samples(frame).shape
    (200,)
    """

    def __init__(self, frame: LazyFrame, *, chunk_size: int | None = None):
        if not is_lazy(frame):
            raise TypeError(
                f"Got a {type(frame).__name__}; expected a LazyFrame of polars or a DataFrame of Dask. Tables in "
                "memory are passed as they are."
            )
        chunk_rows(chunk_size, 1)
        self.frame = frame
        self._given_size = chunk_size

    def __len__(self) -> int:
        return self._n_rows if self._is_polars else sum(self._partition_sizes)

    @property
    def _is_polars(self) -> bool:
        return hasattr(self.frame, "collect")

    @cached_property
    def _n_rows(self) -> int:
        import polars as pl

        return int(self._collected(self.frame.select(pl.len())).item())

    def _collected(self, frame: Any) -> Any:
        """Return a lazy frame's rows, computed in parts where polars can."""
        return frame.collect(engine="streaming") if hasattr(frame, "collect_batches") else frame.collect()

    @cached_property
    def _partition_sizes(self) -> list[int]:
        return [int(size) for size in self.frame.map_partitions(len).compute()]

    def chunks(self) -> Iterator[Frame]:
        if not self._is_polars:
            for i in range(self.frame.npartitions):
                yield self.frame.partitions[i].compute()
            return
        size = chunk_rows(self._given_size, len(self.frame.collect_schema()))
        if hasattr(self.frame, "collect_batches"):
            yield from self.frame.collect_batches(chunk_size=size, maintain_order=True)
            return
        for start in range(0, len(self), size):
            yield self._collected(self.frame.slice(start, size))

    def placed_chunks(self, random_state: np.random.RandomState | None = None) -> Iterator[tuple[int, Frame]]:
        if random_state is None or self._is_polars:
            yield from super().placed_chunks()
            return
        starts = np.cumsum([0, *self._partition_sizes])
        for i in random_state.permutation(self.frame.npartitions).tolist():
            if self._partition_sizes[i]:
                yield int(starts[i]), self.frame.partitions[i].compute()


def is_lazy(X: Any) -> bool:
    """Whether X is a frame whose rows have yet to be computed: of polars, or of Dask."""
    is_polars = hasattr(X, "collect") and hasattr(X, "collect_schema")
    return is_polars or all(hasattr(X, name) for name in ("compute", "map_partitions", "npartitions"))
