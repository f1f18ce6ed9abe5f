"""What the sources have in common: how many rows a chunk has, and frames of what Arrow reads."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from sklae._tables.frames import is_frame

__all__ = ["as_table", "chunk_rows", "needs"]

# A chunk has at most so many rows, and takes at most so many cells.
_MOST_ROWS, _MOST_CELLS = 2**16, 2**22


def chunk_rows(chunk_size: int | None, n_columns: int) -> int:
    """Return how many rows of a table of this width to read at a time; None: what fits well in memory."""
    if chunk_size is None:
        return max(1, min(_MOST_ROWS, _MOST_CELLS // max(n_columns, 1)))
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, (int, np.integer)) or chunk_size < 1:
        raise ValueError(f"Got chunk_size={chunk_size!r}; expected an integer of at least 1, or None.")
    return int(chunk_size)


def needs(library: str, what: str) -> None:
    """Refuse what needs a library that is not installed."""
    if find_spec(library) is None:
        raise ImportError(f"Got {what}, and no {library}; expected it to be installed: pip install 'sklae[tables]'.")


def as_table(chunk: Any) -> Any:
    """Return a table or a record batch of Arrow as a frame of pandas, or of polars without it; others as they are."""
    if is_frame(chunk) or not hasattr(chunk, "to_pandas"):
        return chunk
    if find_spec("pandas") is not None:
        return chunk.to_pandas()
    import polars as pl

    return pl.from_arrow(chunk)
