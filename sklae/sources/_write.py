"""What estimators say of rows, written as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from sklae._tables.annotations import ArrayOrFrame, Frame, TableLike
from sklae._tables.frames import is_frame
from sklae._tables.sources import RowSource
from sklae._utils.files import written_aside
from sklae._utils.progress import progress
from sklae._utils.warnings import told_once
from sklae.sources._base import needs
from sklae.sources._taken import as_source

__all__ = ["to_parquet"]


def to_parquet(
    verb: Callable[[Frame], ArrayOrFrame], rows: RowSource | TableLike, path: str | os.PathLike, *, verbose: int = 0
) -> int:
    """Write what a verb says of each row of a source to a Parquet file, piece by piece.

    Parameters
    ----------
    verb : callable
        Takes a table and returns an array or a frame with as many rows: ``estimator.transform``,
        ``detector.predict``, ``imputer.transform``, ``pipeline.transform`` and the like.
    rows : RowSource, or lazy frame of polars or Dask
        What the verb is asked about, chunk by chunk.
    path : str or path
        Where to. A file that is there is replaced when the new one is whole.
    verbose : int, default=0
        Whether to show a bar.

    Returns
    -------
    n_rows : int
        How many rows were written. Columns have the names of a frame's; of an array those of the estimator's
        `get_feature_names_out`, or that of the verb.

    Raises
    ------
    TypeError, ValueError
        For rows that are no source, and where the verb returns another number of rows.
    FileNotFoundError
        If the folder is not there; before any work.
    ImportError
        Without pyarrow (``pip install 'sklae[tables]'``).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, pandas as pd
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.sources import ChunkedRows, to_parquet
    >>> X = np.random.RandomState(0).normal(size=(200, 4))
    >>> ae = AutoencoderTransformer(
    ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... ).fit(X)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "codes.parquet")
    >>> to_parquet(ae.transform, ChunkedRows(lambda: np.split(X, 4)), path)
    200
    >>> pd.read_parquet(path).columns.tolist()
    ['autoencodertransformer0', 'autoencodertransformer1']
    """
    needs("pyarrow", "a Parquet file to write")
    import pyarrow.parquet

    if not callable(verb):
        raise TypeError(f"Got verb={verb!r}; expected a function of a table, such as estimator.transform.")
    if os.path.isdir(path):
        raise ValueError(f"Got path={os.fspath(path)!r}, which is a folder; expected a file to write.")
    source = as_source(rows)
    if not isinstance(source, RowSource):
        raise TypeError(
            f"Got a {type(rows).__name__}; expected a source of rows, or a lazy frame. Of a table in memory: "
            "pandas.DataFrame(...).to_parquet(path)."
        )
    writer, n_rows = None, 0
    with written_aside(path) as aside, told_once():
        try:
            for chunk in progress(source.checked_chunks(), "rows", verbose=bool(verbose), total=len(source)):
                answer = verb(chunk)
                if (n_answers := len(answer) if hasattr(answer, "__len__") else 0) != len(chunk):
                    raise ValueError(
                        f"Got {n_answers} rows from the verb for {len(chunk)}; expected one each. Several "
                        "imputations are written one by one."
                    )
                table = _arrow_table(answer, verb)
                if writer is None:
                    writer = pyarrow.parquet.ParquetWriter(aside, table.schema)
                writer.write_table(table.cast(writer.schema))
                n_rows += len(chunk)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise ValueError(f"Got {type(source).__name__} without rows; expected at least one.")
    return n_rows


def _arrow_table(answer: Any, verb: Callable[[Any], Any]) -> Any:
    import pyarrow

    if is_frame(answer):
        return answer.to_arrow() if hasattr(answer, "to_arrow") else pyarrow.Table.from_pandas(answer)
    columns = np.asarray(answer)
    if columns.ndim == 1:
        columns = columns[:, None]
    return pyarrow.table(dict(zip(_names(verb, columns.shape[1]), columns.T, strict=True)))


def _names(verb: Callable[[Any], Any], n_columns: int) -> list[str]:
    name = getattr(verb, "__name__", "value")
    if n_columns == 1 and name != "transform":
        return [name]
    names_of = getattr(getattr(verb, "__self__", None), "get_feature_names_out", None)
    if name == "transform" and names_of is not None and len(names := names_of()) == n_columns:
        return [str(each) for each in names]
    return [f"{name}{i}" for i in range(n_columns)]
