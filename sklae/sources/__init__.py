"""Sources of rows: tables that are larger than memory, given to estimators in place of a table.

`ParquetRows`, `CSVRows`, `ChunkedRows` of an iterator, and lazy frames of polars and Dask, which are taken as they are.
`fit`, `partial_fit`, `transform`, `score_samples` and `predict` take them; `to_parquet` writes what a verb says of
each row, piece by piece. A source of your own subclasses `RowSource`.
"""

from __future__ import annotations

from sklae._tables.sources import RowSource
from sklae.sources._chunked import ChunkedRows
from sklae.sources._csv import CSVRows
from sklae.sources._lazy import LazyRows
from sklae.sources._parquet import ParquetRows
from sklae.sources._write import to_parquet

__all__ = ["CSVRows", "ChunkedRows", "LazyRows", "ParquetRows", "RowSource", "to_parquet"]
