"""Files that are there as a whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["written_aside"]


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Give a path to write to, which becomes ``path`` when all is well; of a failed attempt nothing is left.

    Raises
    ------
    FileNotFoundError
        Before any work, if the folder is not there.
    """
    target = Path(path)
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"Got path={str(path)!r}, in a folder that is not there; expected one that is. Make it: "
            f"pathlib.Path({str(target.parent)!r}).mkdir(parents=True)."
        )
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield aside
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
