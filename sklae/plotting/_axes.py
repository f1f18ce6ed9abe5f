"""Where pictures are drawn: the one place that asks for matplotlib."""

from __future__ import annotations

from threading import Lock
from typing import Any

__all__ = ["BLUE", "GREY", "ORANGE", "axes_or_new"]

BLUE, ORANGE, GREY = "#33658a", "#d95f02", "#666666"

# pyplot counts its figures without one: two threads could be given the same figure
_ONE_AT_A_TIME = Lock()


def axes_or_new(ax: Any, size: tuple[float, float]) -> Any:
    """Return ``ax``, or the Axes of a new figure of ``size`` inches if it is None.

    The figure is pyplot's, as those of scikit-learn's displays are: a notebook shows it when its cell ends,
    ``plt.show()`` in a script. Without a display, matplotlib itself falls back to a backend that needs none.

    Raises
    ------
    ImportError
        If matplotlib is missing, naming the extra that brings it.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('matplotlib is missing; pictures need it. Run: pip install "sklae[plot]"') from error
    with _ONE_AT_A_TIME:
        return plt.subplots(figsize=size, layout="constrained")[1]
