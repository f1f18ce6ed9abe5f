"""Rows of Parquet files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from sklae._tables.sources import RowSource
from sklae.sources._base import as_table, chunk_rows, needs

__all__ = ["ParquetRows"]

# Row groups that are read in turn when rows are shuffled, so that neighbours come from different places.
_TOGETHER = 4


class ParquetRows(RowSource):
    """The rows of a Parquet file, of several, or of a folder of them.

    When an estimator shuffles, row groups are read in random order, four at a time in turn; rows are then shuffled
    within some hundred thousand.

    Parameters
    ----------
    path : str, path, list of these, or pyarrow.dataset.Dataset
        A file, a folder (of partitions, too: their keys are columns), or several files with the same columns.
    columns : list of str, default=None
        Which columns to read, in this order. None: all.
    chunk_size : int, default=None
        How many rows to read at a time. None: 65,536, of more than 64 columns fewer.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or no such column.
    ImportError
        Without pyarrow (``pip install 'sklae[tables]'``).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.sources import ParquetRows
    >>> path = pathlib.Path(tempfile.mkdtemp(), "wine.parquet")
    >>> load_wine(as_frame=True).data.to_parquet(path)
    >>> rows = ParquetRows(path)
    >>> len(rows)
    178
    >>> VAETransformer(2, max_iter=2, n_iter_no_change=float("inf"), random_state=0).fit(rows).transform(rows).shape
    (178, 2)
    """

    def __init__(self, path: Any, columns: Sequence[str] | None = None, *, chunk_size: int | None = None):
        needs("pyarrow", "Parquet files")
        import pyarrow.dataset

        self.path = path
        dataset = path if isinstance(path, pyarrow.dataset.Dataset) else _open(path)
        known = dataset.schema.names
        if wrong := [name for name in columns or () if name not in known]:
            raise ValueError(f"Got columns with {wrong[0]!r}, which is not there; expected names among {known[:20]}.")
        self.columns = known if columns is None else list(columns)
        self.chunk_size = chunk_rows(chunk_size, len(self.columns))
        self._schema = dataset.schema
        self._groups = [group for file in dataset.get_fragments() for group in file.split_by_row_group()]
        self._starts = [0, *accumulate(sum(part.num_rows for part in group.row_groups) for group in self._groups)]

    def __repr__(self) -> str:
        return f"ParquetRows({self.path!r})"

    def __len__(self) -> int:
        return self._starts[-1]

    def chunks(self) -> Iterator[Any]:
        for _, chunk in self.placed_chunks():
            yield chunk

    def placed_chunks(self, random_state: np.random.RandomState | None = None) -> Iterator[tuple[int, Any]]:
        if random_state is None:
            for i in range(len(self._groups)):
                yield from self._read(i)
            return
        waiting = random_state.permutation(len(self._groups)).tolist()
        open_groups: list[Iterator[tuple[int, Any]]] = []
        while waiting or open_groups:
            while waiting and len(open_groups) < _TOGETHER:
                open_groups.append(self._read(waiting.pop()))
            for group in list(open_groups):
                try:
                    yield next(group)
                except StopIteration:
                    open_groups.remove(group)

    def _read(self, i: int) -> Iterator[tuple[int, Any]]:
        """Yield a row group's rows, with their positions."""
        import pyarrow.dataset

        start = self._starts[i]
        # pages are read as they are needed: a row group may be a good part of a large file
        lean = pyarrow.dataset.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        batches = self._groups[i].to_batches(
            schema=self._schema,
            columns=self.columns,
            batch_size=self.chunk_size,
            batch_readahead=0,
            fragment_readahead=0,
            fragment_scan_options=lean,
            use_threads=False,
        )
        for batch in batches:
            if batch.num_rows:
                yield start, as_table(batch)
                start += batch.num_rows
        if start != self._starts[i + 1]:
            raise ValueError(
                f"Got {start - self._starts[i]} rows from row group {i} of {self.path!r}, and "
                f"{self._starts[i + 1] - self._starts[i]} when it was opened; expected as many. Don't write to files "
                "that are being read."
            )


def _open(path: Any) -> Any:
    import pyarrow.dataset

    several = isinstance(path, (list, tuple))
    paths = [os.fspath(each) for each in (path if several else [path])]
    if missing := [each for each in paths if not os.path.exists(each)]:
        raise FileNotFoundError(f"Got path={missing[0]!r}, which is not there; expected a file or a folder.")
    return pyarrow.dataset.dataset(paths if several else paths[0], format="parquet", partitioning="hive")
