"""Two samples of one column, drawn beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklae.plotting._axes import BLUE, ORANGE, tidy
from sklae.plotting._cells import shorten, shorten_names
from sklae.plotting._tables import ReadTables

__all__ = ["PANEL", "check_features", "draw_distributions"]

#: Inches of a panel.
PANEL = (2.6, 2.2)
_N_BINS = 24
_MOST_LEVELS = 8
# Numbers from here on are written with k, M, ...
_LARGE = 1e5
# What is seen of long tails: so much of all values.
_SEEN = (0.002, 0.998)


def draw_distributions(ax: Any, tables: ReadTables, column: int, parts: Sequence[np.ndarray], note: str) -> None:
    """Draw the distributions of two samples of a column: shares of levels, or densities of numbers.

    Parameters
    ----------
    ax : Axes
    tables : ReadTables
        Says what the column is.
    column : int
    parts : sequence of two ndarray
        Values or codes; NaN is left out.
    note : str
        Stands below the column's name.
    """
    parts = [part[~np.isnan(part)] for part in parts]
    together = np.concatenate(parts)
    levels = tables.levels.get(column)
    if levels:
        _draw_levels(ax, levels, parts)
    elif len(together):
        _draw_numbers(ax, together, parts)
    ax.set_title(f"{shorten_names(tables.names, 26)[column]}\n{note}", fontsize="small")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    tidy(ax)


def _draw_levels(ax: Any, levels: Sequence[str], parts: Sequence[np.ndarray]) -> None:
    counts = [np.bincount(part.astype(int), minlength=len(levels)) for part in parts]
    shares = [count / max(count.sum(), 1) for count in counts]
    order = np.argsort(-(shares[0] + shares[1]), kind="stable")
    kept = np.sort(order[:_MOST_LEVELS]) if len(levels) <= _MOST_LEVELS else order[: _MOST_LEVELS - 1]
    names = [shorten(levels[i], 10) for i in kept]
    heights = [share[kept].tolist() for share in shares]
    if len(kept) < len(levels):
        names.append(f"{len(levels) - len(kept)} others")
        heights = [[*height, max(0.0, 1.0 - sum(height))] for height in heights]
    places = np.arange(len(names))
    for number, (height, color) in enumerate(zip(heights, (BLUE, ORANGE), strict=True)):
        ax.bar(places + 0.4 * (number - 0.5), height, width=0.4, color=color)
    ax.set_xticks(places, names)
    if len(names) > 3 or max(map(len, names)) > 6:
        ax.tick_params(axis="x", rotation=40)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def _draw_numbers(ax: Any, together: np.ndarray, parts: Sequence[np.ndarray]) -> None:
    low, high = np.quantile(together, _SEEN)
    if low == high:
        low, high = together.min(), together.max()
    if low == high:
        low, high = low - 0.5, high + 0.5
    values = np.unique(together) if len(together) < 1e5 else together
    is_whole = bool((values == np.round(values)).all()) and high - low <= 2 * _N_BINS
    edges = np.arange(np.floor(low), np.ceil(high) + 2) - 0.5 if is_whole else np.linspace(low, high, _N_BINS + 1)
    for part, color in zip(parts, (BLUE, ORANGE), strict=True):
        if len(part):
            shares = np.full(len(part), 1.0 / len(part))
            settings = {"bins": edges, "weights": shares, "color": color}
            inside = np.clip(part, edges[0], edges[-1])  # tails count in the last bars
            ax.hist(inside, **settings, alpha=0.3)
            ax.hist(inside, **settings, histtype="step", linewidth=1.3)
    ax.locator_params(axis="x", nbins=4)
    if max(abs(edges[0]), abs(edges[-1])) >= _LARGE:
        from matplotlib.ticker import EngFormatter

        ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def check_features(tables: ReadTables, features: Any, ranked: Sequence[int], max_features: int) -> list[int]:
    """Return the positions of the columns that are named, or of the first of a ranking.

    Raises
    ------
    ValueError
        For a column that is not there, or none; for no columns at most.
    """
    if max_features < 1:
        raise ValueError(f"Got max_features={max_features!r}; expected 1 or more, or None.")
    if features is None:
        return list(ranked)[:max_features]
    names = tables.names
    named = [features] if isinstance(features, (str, int, np.integer)) else list(features)
    found = []
    for name in named:
        is_position = isinstance(name, (int, np.integer)) and -len(names) <= name < len(names)
        if not is_position and str(name) not in names:
            raise ValueError(
                f"Got features={features!r}, in which {name!r} is no column; expected positions or names among "
                f"{names[:20]}."
            )
        found.append(int(name) % len(names) if is_position else names.index(str(name)))
    if not found:
        raise ValueError(f"Got features={features!r}; expected at least one column, or None.")
    return found
