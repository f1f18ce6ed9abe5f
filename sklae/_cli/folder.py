"""The folder of a report: looked at before any work, filled in one go after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sklae._cli.report import REPORT_FILES
from sklae._cli.words import Refusal, listed, shown

__all__ = ["ReportFolder"]

_SCRATCH = ".sklae-"


@dataclass(frozen=True)
class ReportFolder:
    """Where a report is written.

    Parameters
    ----------
    path : Path
        It, or its parents, may be missing.
    overwrite : bool, default=False
        Whether an earlier report may be replaced. Other files stay in any case.
    table : Path or None, default=None
        A file that is read, and never replaced.
    """

    path: Path
    overwrite: bool = False
    table: Path | None = None

    def check(self) -> None:
        """Refuse a folder that can't be written, and one in which something would be lost.

        Raises
        ------
        Refusal
        """
        got, place = f"Got --out {shown(self.path)}", _nearest(self.path)
        if not place.is_dir():
            what = "a file" if place.exists() else "a link to nothing"
            raise Refusal(f"{got}, but {shown(place)} is {what}; expected a folder. Choose another --out.")
        try:
            with TemporaryDirectory(dir=place, prefix=_SCRATCH):
                pass
        except OSError as error:
            raise Refusal(
                f"{got}, but {shown(place)} is not writable ({error.strerror}). Choose another --out."
            ) from error
        there = self._there()
        for path in there:
            if self.table is not None and self.table.exists() and path.exists() and path.samefile(self.table):
                raise Refusal(
                    f"{got}, where {path.name} would replace the table itself; expected another folder. Choose another "
                    "--out."
                )
            if path.is_dir():
                raise Refusal(f"{got}, where {path.name} is a folder; expected none. Choose another --out.")
        if there and not self.overwrite:
            raise Refusal(
                f"{got}, where a report is already ({listed([path.name for path in there])}); expected a folder "
                "without. Add --overwrite to replace it, or choose another --out."
            )

    def fill(self, write: Callable[[Path], None]) -> list[str]:
        """Write files aside, and move them into place when all are there: of a failed attempt nothing is left.

        Parameters
        ----------
        write : callable
            Is given a folder to write to.

        Returns
        -------
        names : list of str
            Of the files written.
        """
        try:
            with TemporaryDirectory(dir=_nearest(self.path), prefix=_SCRATCH) as scratch:
                new, old = Path(scratch, "new"), Path(scratch, "old")
                new.mkdir()
                old.mkdir()
                write(new)
                names = sorted(path.name for path in new.iterdir())
                self.check()  # meanwhile, others may have written there
                if self.path.exists():
                    leaving = [(path, old / path.name) for path in self._there()]
                    _move([*leaving, *((new / name, self.path / name) for name in names)])
                else:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    new.rename(self.path)
        except OSError as error:
            raise Refusal(
                f"Got an error while the report was written to {shown(self.path)}, where nothing has changed: {error}. "
                "Make room there, or choose another --out."
            ) from error
        return names

    def _there(self) -> list[Path]:
        """Return which files of a report exist, links to nothing included."""
        return [path for path in (self.path / name for name in REPORT_FILES) if os.path.lexists(path)]


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    for each in (path.absolute(), *path.absolute().parents):
        try:
            each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return each
    return Path(path.anchor)


def _move(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Move all files, or none."""
    try:
        for source, target in pairs:
            os.replace(source, target)
    except BaseException:  # Ctrl-C included
        for source, target in reversed(pairs):
            if os.path.lexists(target) and not os.path.lexists(source):
                os.replace(target, source)
        raise
