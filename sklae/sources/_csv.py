"""Rows of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from sklae._tables.annotations import Frame
from sklae._tables.sources import RowSource
from sklae.sources._base import chunk_rows, needs

__all__ = ["CSVRows"]


class CSVRows(RowSource):
    """The rows of a CSV file, read by pandas in parts.

    The file is read once to count its rows and to find a dtype of each column that all of its values have: a column of
    numbers with some text is text throughout, as it would not be if each part were read by itself.

    Parameters
    ----------
    path : str or path
        The file.
    chunk_size : int, default=None
        How many rows to read at a time. None: 65,536, of more than 64 columns fewer.
    **read_csv : object
        Settings of `pandas.read_csv`: ``sep``, ``dtype``, ``usecols``, ``na_values`` and the like.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or for settings that have no meaning here.
    ImportError
        Without pandas (``pip install 'sklae[tables]'``).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.sources import CSVRows
    >>> path = pathlib.Path(tempfile.mkdtemp(), "wine.csv")
    >>> load_wine(as_frame=True).data.to_csv(path, index=False)
    >>> rows = CSVRows(path, chunk_size=50)
    >>> ae = AutoencoderTransformer(
    ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... ).fit(rows)
    >>> ae.transform(rows).shape
    (178, 2)
    """

    def __init__(self, path: str | os.PathLike[str], *, chunk_size: int | None = None, **read_csv: Any):
        needs("pandas", "a CSV file")
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                f"Got path of type {type(path).__name__}; expected the path of one CSV file. Of several: "
                "ChunkedRows(lambda: map(pandas.read_csv, paths))."
            )
        if not os.path.isfile(path):
            raise FileNotFoundError(f"Got path={os.fspath(path)!r}, which is not there; expected a CSV file.")
        if own := {"chunksize", "iterator", "nrows", "low_memory"} & read_csv.keys():
            raise ValueError(f"Got {sorted(own)[0]}=; expected chunk_size= in its place.")
        self.path = path
        self._given_size = chunk_size
        chunk_rows(chunk_size, 1)
        self._settings = read_csv

    def __repr__(self) -> str:
        return f"CSVRows({self.path!r})"

    def __len__(self) -> int:
        return self._read_once[0]

    def chunks(self) -> Iterator[Frame]:
        yield from self._read({**self._read_once[1], **self._given_dtypes()})

    def _given_dtypes(self) -> dict[Any, Any]:
        given = self._settings.get("dtype") or {}
        return dict(given) if hasattr(given, "keys") else dict.fromkeys(self._read_once[1], given)

    @cached_property
    def _read_once(self) -> tuple[int, dict[Any, Any]]:
        """How many rows there are, and a dtype for each column."""
        n_rows, columns = 0, dict[Any, _Column]()
        for chunk in self._read(self._settings.get("dtype")):
            for name in chunk.columns:
                columns.setdefault(name, _Column()).update(chunk[name])
            n_rows += len(chunk)
        dtypes = {name: column.dtype() for name, column in columns.items()}
        return n_rows, {name: dtype for name, dtype in dtypes.items() if dtype is not None}

    def _read(self, dtype: Any) -> Iterator[Any]:
        import pandas as pd

        settings = {key: value for key, value in self._settings.items() if key != "dtype"}
        width = pd.read_csv(self.path, **settings, nrows=0).shape[1]
        with pd.read_csv(
            self.path, **settings, dtype=dtype, chunksize=chunk_rows(self._given_size, width), low_memory=False
        ) as file:
            yield from file


class _Column:
    """Learns a dtype that all values of a column have, part by part."""

    def __init__(self) -> None:
        self.found = set[Any]()
        self.has_gaps = False

    def update(self, series: Any) -> None:
        import pandas as pd

        gaps = series.isna()
        self.has_gaps |= bool(gaps.any())
        if gaps.all():
            return
        if series.dtype.kind == "O":
            are_flags = pd.api.types.infer_dtype(series, skipna=True) == "boolean"
            self.found.add(np.dtype(bool) if are_flags else _text_dtype())
        else:
            self.found.add(series.dtype)

    def dtype(self) -> Any:
        """Return what to tell pandas; None: what it finds by itself."""
        kinds = {dtype.kind for dtype in self.found}
        if not kinds or kinds == {"M"}:
            return None
        if kinds <= set("iuf"):
            numbers = np.result_type(*self.found)
            return np.float64 if self.has_gaps and numbers.kind != "f" else numbers
        if kinds == {"b"}:
            return "boolean" if self.has_gaps else bool
        return next(iter(self.found)) if len(self.found) == 1 else _text_dtype()


def _text_dtype() -> Any:
    """Return what this version of pandas reads text as."""
    import pandas as pd

    return pd.Series(["text"]).dtype
