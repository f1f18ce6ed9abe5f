"""Rows of Parquet files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from sklae._tables.annotations import Frame
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
        If there is no such file, or no such column; if a file is no Parquet file, has other columns than the first, or
        columns of a type that does not go with its. Integers and decimals, or gaps and anything, go together.
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
    >>> VAETransformer(2, max_iter=2, n_iter_no_change=float("inf"), random_state=0).fit(
    ...     rows
    ... ).transform(rows).shape
    (178, 2)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        columns: Sequence[str] | None = None,
        *,
        chunk_size: int | None = None,
    ):
        needs("pyarrow", "Parquet files")
        import pyarrow.dataset

        self.path = path
        dataset = path if isinstance(path, pyarrow.dataset.Dataset) else _open(path)
        fragments = list(dataset.get_fragments())
        schema = _common_schema(fragments, dataset.schema)
        known = schema.names
        if wrong := [name for name in columns or () if name not in known]:
            raise ValueError(f"Got columns with {wrong[0]!r}, which is not there; expected names among {known[:20]}.")
        self.columns = known if columns is None else list(columns)
        self.chunk_size = chunk_rows(chunk_size, len(self.columns))
        self._schema = schema
        self._groups = [group for file in fragments for group in file.split_by_row_group()]
        self._starts = [0, *accumulate(sum(part.num_rows for part in group.row_groups) for group in self._groups)]

    def __repr__(self) -> str:
        return f"ParquetRows({self.path!r})"

    def __len__(self) -> int:
        return self._starts[-1]

    def chunks(self) -> Iterator[Frame]:
        for _, chunk in self.placed_chunks():
            yield chunk

    def placed_chunks(self, random_state: np.random.RandomState | None = None) -> Iterator[tuple[int, Frame]]:
        if random_state is None:
            for i in range(len(self._groups)):
                yield from self._read(i)
            return
        waiting = random_state.permutation(len(self._groups)).tolist()
        open_groups: list[Iterator[tuple[int, Frame]]] = []
        while waiting or open_groups:
            while waiting and len(open_groups) < _TOGETHER:
                open_groups.append(self._read(waiting.pop()))
            for group in list(open_groups):
                try:
                    yield next(group)
                except StopIteration:
                    open_groups.remove(group)

    def _read(self, i: int) -> Iterator[tuple[int, Frame]]:
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
    import pyarrow
    import pyarrow.dataset

    several = isinstance(path, (list, tuple))
    paths = [os.fspath(each) for each in (path if several else [path])]
    if not paths:
        raise ValueError("Got an empty list of files; expected at least one.")
    if missing := [each for each in paths if not os.path.exists(each)]:
        raise FileNotFoundError(f"Got path={missing[0]!r}, which is not there; expected a file or a folder.")
    try:
        return pyarrow.dataset.dataset(paths if several else paths[0], format="parquet", partitioning="hive")
    except (pyarrow.ArrowException, OSError) as error:
        raise _no_parquet(paths[0], error) from error


def _no_parquet(path: str, error: Exception) -> ValueError:
    text = str(error).splitlines()[0][:200]
    return ValueError(f"Got {path!r}, which can't be read as Parquet ({text}); expected Parquet files alone.")


def _common_schema(fragments: list[Any], first: Any) -> Any:
    """Return names and types that all files have, with the keys of partitions."""
    import pyarrow

    schemas = []
    for file in fragments:
        try:
            schemas.append(file.physical_schema)
        except (pyarrow.ArrowException, OSError) as error:
            raise _no_parquet(file.path, error) from error
    for file, schema in zip(fragments, schemas, strict=True):
        if len(set(schema.names)) < len(schema.names):
            twice = next(name for name in schema.names if schema.names.count(name) > 1)
            raise ValueError(f"Got column {twice!r} twice in {file.path!r}; expected unique names. Rename one.")
        if others := sorted(set(schema.names) ^ set(schemas[0].names)):
            raise ValueError(
                f"Got {file.path!r}, and {fragments[0].path!r} with other columns: {others[:5]} are in one of them "
                "only; expected the same. Write all files with the same columns."
            )
    if all(schema.equals(schemas[0]) for schema in schemas):
        return first
    fields = []
    for name in schemas[0].names:
        try:
            parts = [pyarrow.schema([schema.field(name)]) for schema in schemas]
            fields.append(pyarrow.unify_schemas(parts, promote_options="permissive").field(0))
        except pyarrow.ArrowException as error:
            types = list(dict.fromkeys(str(schema.field(name).type) for schema in schemas))
            raise ValueError(
                f"Got column {name!r} with types {types} in files of {os.path.dirname(fragments[0].path)!r}; expected "
                "one, or such as go together. Write it with one type."
            ) from error
    keys = [first.field(name) for name in first.names if name not in schemas[0].names]
    return pyarrow.schema([*fields, *keys], metadata=first.metadata)
