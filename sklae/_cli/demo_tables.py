"""Tables of the demonstration: scikit-learn's own, with their classes as text, gaps, and slips that were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

__all__ = ["TABLES", "Slips", "numbers_of", "one_hot", "with_gaps", "with_slips"]

#: Name -> loader and the name of the column of text, in which its classes are.
TABLES: dict[str, tuple[Callable[..., Any], str]] = {
    "wine": (load_wine, "cultivar"),
    "breast cancer": (load_breast_cancer, "finding"),
}
_SLIPS = 0.05


def _table(name: str) -> Any:
    load, text = TABLES[name]
    bunch = load(as_frame=True)
    return bunch.data.assign(**{text: np.asarray(bunch.target_names)[bunch.target]})


def with_gaps(name: str, share: float, draw: int) -> tuple[Any, Any]:
    """Return a table as it is, and with a share of its cells emptied at random."""
    whole = _table(name)
    return whole, whole.mask(np.random.default_rng(draw).random(whole.shape) < share)


@dataclass(frozen=True)
class Slips:
    """A table with slips: in one row of twenty one cell is wrong.

    Parameters
    ----------
    frame : pandas.DataFrame
    is_slip : ndarray of shape (n_rows, n_columns), bool
    by_point : ndarray of shape (n_rows,), bool
        Whether the decimal point of a number is one place off.
    told : list of str
        For each row what was done to it.
    """

    frame: Any
    is_slip: np.ndarray
    by_point: np.ndarray
    told: list[str]

    @property
    def rows(self) -> np.ndarray:
        """Which rows have a slip, (n_rows,)."""
        return np.asarray(self.is_slip.any(axis=1))


def with_slips(name: str, draw: int) -> Slips:
    """Make slips by turns: the decimal point of a number one place off, or the value of another row."""
    _, frame = with_gaps(name, _SLIPS, draw)
    rng = np.random.default_rng([draw, 1])
    is_slip, by_point, told = np.zeros(frame.shape, dtype=bool), np.zeros(len(frame), dtype=bool), [""] * len(frame)
    is_number = np.array([kind.kind in "iuf" for kind in frame.dtypes])
    for turn, row in enumerate(rng.permutation(len(frame))[: round(_SLIPS * len(frame))]):
        by_point[row] = turn % 2 == 0
        cells = frame.iloc[row]
        there = cells.notna().to_numpy()
        if by_point[row]:
            there = there & is_number & (cells != 0).to_numpy()  # 0 has no point to move
        column = int(rng.choice(np.flatnonzero(there)))
        was = frame.iat[row, column]
        if by_point[row]:
            wrong = was * rng.choice([0.1, 10.0])
        else:
            others = frame.iloc[:, column].dropna()
            wrong = rng.choice(others[others != was].to_numpy())
        frame.iat[row, column] = wrong
        is_slip[row, column] = True
        told[row] = f"{frame.columns[column]}, was {was if isinstance(was, str) else f'{was:.4g}'}"
    return Slips(frame, is_slip, by_point, told)


def one_hot(frame: Any, *, drop_first: bool = False) -> Any:
    """Return a frame of numbers, for what takes no text: a column for each level, gaps where the text has them.

    ``drop_first`` leaves one level out: linear models would find it in the others.
    """
    coded = frame.select_dtypes("number")
    for name in frame.columns.difference(coded.columns, sort=False):
        is_there = frame[name].notna()
        for level in np.sort(frame[name][is_there].unique())[drop_first:]:
            coded = coded.assign(**{f"{name}_{level}": (frame[name] == level).astype(float).where(is_there)})
    return coded


def numbers_of(frame: Any) -> Any:
    """Return the columns of numbers, as an array."""
    return frame.select_dtypes("number").to_numpy()
