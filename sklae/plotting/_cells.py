"""Rows that are no pictures: their cells, written out and shaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklae.plotting._axes import axes_or_new

__all__ = ["MOST_OF_A_NAME", "OTHER_LEVEL", "cell_size", "draw_cells", "plain", "shorten", "shorten_names"]

#: Letters of a column's name beside its row.
MOST_OF_A_NAME = 28

#: What another level is shaded like, in standard deviations.
OTHER_LEVEL = 1.5

# Inches of a cell whose text is written, and of one that is only shaded.
_WRITTEN, _SHADED = (0.9, 0.28), (0.26, 0.2)
_LEAST_HEIGHT = 2.4  # of the colour bar's label
_MOST_WRITTEN, _MOST_LETTERS, _MOST_LABELS = 16, 12, 60
# Shades end at so many standard deviations; letters on the darker ones are white.
_REACH, _DARK = 3.0, 0.55


def cell_size(shape: tuple[int, int]) -> tuple[float, float]:
    """Return inches for a table of so many rows and columns."""
    wide, high = _WRITTEN if shape[1] <= _MOST_WRITTEN else _SHADED
    margin = 1.2 if shape[1] <= _MOST_WRITTEN else 2.2  # names that stand upright
    return min(1.6 + wide * shape[1], 16.0), float(np.clip(margin + high * shape[0], _LEAST_HEIGHT, 14.0))


def draw_cells(
    texts: Sequence[Sequence[str]],
    shades: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    meaning: str,
    ax: Any = None,
) -> Any:
    """Draw a table, whose cells are shaded by how far off they are; return the Axes.

    Parameters
    ----------
    texts : sequence of n_rows sequences of n_columns str
        Left out where there are too many columns to read them.
    shades : ndarray of shape (n_rows, n_columns)
        In standard deviations; NaN is left white.
    row_labels, column_labels : sequence of str
    meaning : str
        What the shades show, for the colour bar.
    ax : Axes or None, default=None
    """
    ax = axes_or_new(ax, cell_size(shades.shape))
    image = ax.imshow(shades, cmap="PuOr_r", vmin=-_REACH, vmax=_REACH, aspect="auto", interpolation="nearest")
    ax.set_facecolor("white")
    n_rows, n_columns = shades.shape
    if n_columns <= _MOST_WRITTEN and n_rows <= _MOST_LABELS:
        for i, j in np.ndindex(n_rows, n_columns):
            is_dark = abs(np.nan_to_num(shades[i, j])) > _DARK * _REACH
            color = "white" if is_dark else "black"
            ax.text(j, i, shorten(texts[i][j]), ha="center", va="center", fontsize="small", color=color)
    told = np.arange(0, n_columns, -(-n_columns // _MOST_LABELS))
    short_labels = shorten_names(column_labels, 18)
    ax.set_xticks(told, [short_labels[j] for j in told])
    if n_columns > 1 and max(len(str(label)) for label in column_labels) > 8:
        ax.tick_params(axis="x", rotation=90 if n_columns > _MOST_WRITTEN else 30)
        for label in ax.get_xticklabels():
            if n_columns <= _MOST_WRITTEN:
                label.set(ha="right", rotation_mode="anchor")
    ax.set_yticks(np.arange(n_rows), shorten_names(row_labels, MOST_OF_A_NAME))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9, pad=0.02, extend="both")
    bar.set_label(meaning)
    bar.outline.set_visible(False)
    return ax


def shorten(text: str, most: int = _MOST_LETTERS) -> str:
    """Return a text that fits a cell."""
    text = str(text)
    return plain(text if len(text) <= most else text[: most - 1] + "…")


def plain(text: str) -> str:
    """Return what matplotlib writes as the text is: between dollar signs it would read mathematics, or fail to."""
    return text.replace("$", r"\$")


def shorten_names(names: Sequence[str], most: int) -> list[str]:
    """Return names of at most so many letters, as `plain` text, that differ where the names do.

    Of such as begin alike, the words they share are left out, or else their ends are kept.
    """
    names = [str(name) for name in names]
    if not names:
        return []
    ends = min(names), max(names)
    n_shared = next((i for i, (one, other) in enumerate(zip(*ends, strict=False)) if one != other), len(ends[0]))
    shared = ends[0][:n_shared]
    shared = shared[: 1 + max(shared.rfind(mark) for mark in " _.-")]
    ways = (
        [shorten(name, most) for name in names],
        [shorten(f"…{name[len(shared) :]}", most) for name in names],
    )
    for way in ways:
        if len(set(way)) == len(set(names)):
            return way
    tail = most // 2
    return [plain(name if len(name) <= most else f"{name[: most - tail - 1]}…{name[-tail:]}") for name in names]
