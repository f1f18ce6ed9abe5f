"""Where pictures are drawn, and in which colours: the one place that asks for matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "COLORS", "GREY", "MARKERS", "ORANGE", "add_legend", "axes_grid", "axes_or_new", "ink", "tidy"]

# Chosen by M. A. Petroff to be told apart by the colour-blind, too (arXiv 2107.02270).
COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
# Once colours are used up.
MARKERS = "s^Dv*Ph"
# These, too; and they are seen on white and on black.
BLUE, ORANGE, GREY = "#3b76a8", "#d95f02", "#7a7a7a"

# pyplot counts its figures without one: two threads could be given the same figure
_ONE_AT_A_TIME = Lock()
_LIGHT = 0.5
# Inches of an entry of a legend.
_ROOM = 2.2


def axes_or_new(ax: Axes | None, size: tuple[float, float], layout: str = "constrained") -> Any:
    """Return ``ax``, or the Axes of a new figure of ``size`` inches if it is None.

    Pixels that are squares want the ``layout`` "compressed": the constrained one measures labels beside Axes of another
    width than they get, and cuts them.

    The figure is pyplot's, as those of scikit-learn's displays are: a notebook shows it when its cell ends,
    ``plt.show()`` in a script. Without a display, matplotlib itself falls back to a backend that needs none.

    Raises
    ------
    ImportError
        If matplotlib is missing, naming the extra that brings it.
    """
    return ax if ax is not None else _new_figure(1, 1, size, layout)[0, 0]


def axes_grid(ax: Any, n_panels: int, n_columns: int, panel_size: tuple[float, float]) -> list[Any]:
    """Return Axes of ``n_panels`` panels: given ones, parts of one that is given, or those of a new figure.

    Parameters
    ----------
    ax : Axes, sequence of Axes or None
        One is emptied, and its place divided among the panels, as scikit-learn's `PartialDependenceDisplay` does;
        a sequence has one for each panel.
    n_panels, n_columns : int
    panel_size : tuple of two float
        Of each panel of a new figure, in inches.

    Raises
    ------
    ValueError
        For a sequence of another length.
    """
    n_columns = max(1, min(n_columns, n_panels))
    n_lines = -(-n_panels // n_columns)
    if ax is None:
        width, height = panel_size
        axes = list(_new_figure(n_lines, n_columns, (width * n_columns, height * n_lines)).flat)
        for spare in axes[n_panels:]:
            spare.remove()
        return axes[:n_panels]
    if isinstance(ax, (Sequence, np.ndarray)):
        given = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(given) != n_panels:
            raise ValueError(
                f"Got {len(given)} Axes for {n_panels} panels; expected as many, a single one to divide, or None. Pass "
                f"plt.subplots(1, {n_panels})[1], say."
            )
        return given
    if n_panels == 1:
        return [ax]
    ax.set_axis_off()
    places = ax.get_subplotspec()
    if places is not None:
        grid = places.subgridspec(n_lines, n_columns)
        return [ax.figure.add_subplot(grid[divmod(i, n_columns)]) for i in range(n_panels)]
    # Axes that stand where the user put them
    cells = [divmod(i, n_columns) for i in range(n_panels)]
    gap, wide, high = 0.25, 1.0 / n_columns, 1.0 / n_lines
    return [ax.inset_axes((j * wide, 1.0 - (i + 1) * high, wide * (1 - gap), high * (1 - gap))) for i, j in cells]


def add_legend(axes: Sequence[Any], handles: Sequence[Any], *, is_own: bool) -> None:
    """Say what the colours of several panels mean: below them in a figure of one's own, else in the first panel."""
    if is_own:
        figure = axes[0].figure
        n_columns = len(handles) if figure.get_size_inches()[0] > _ROOM * len(handles) else 1
        figure.legend(handles=handles, loc="outside lower center", ncols=n_columns, frameon=False)
    else:
        axes[0].legend(handles=handles, frameon=False, fontsize="small")


def ink(ax: Any) -> Any:
    """Return the colour of the letters, which is light in dark styles."""
    return ax.xaxis.label.get_color()


def tidy(ax: Any) -> None:
    """Leave out the frame's upper and right line."""
    for side in {"top", "right"} & set(ax.spines):  # polar Axes have others
        ax.spines[side].set_visible(False)


def _new_figure(n_lines: int, n_columns: int, size: tuple[float, float], layout: str = "constrained") -> np.ndarray:
    try:
        import matplotlib.pyplot as plt
        from matplotlib.colors import to_rgb, to_rgba
    except ImportError as error:
        raise ImportError('matplotlib is missing; pictures need it. Run: pip install "sklae[plot]"') from error
    with _ONE_AT_A_TIME:
        figure, axes = plt.subplots(n_lines, n_columns, figsize=size, layout=layout, squeeze=False)
        if float(to_rgba(figure.patch.get_facecolor())[3]) < 1.0:
            # a transparent figure on a notebook of the other shade would hide its letters
            is_light = float(np.mean(to_rgb(plt.rcParams["text.color"]))) > _LIGHT
            figure.patch.set_facecolor("black" if is_light else "white")
    return axes
