"""Where pictures are drawn: the one place that asks for matplotlib."""

from __future__ import annotations

from typing import Any

__all__ = ["BLUE", "GREY", "ORANGE", "axes_or_new"]

BLUE, ORANGE, GREY = "#33658a", "#d95f02", "#666666"


def axes_or_new(ax: Any, size: tuple[float, float]) -> Any:
    """Return ``ax``, or the Axes of a new figure of ``size`` inches if it is None.

    The figure is made without pyplot: it belongs to its caller, not to a global list, and needs no backend.

    Raises
    ------
    ImportError
        If matplotlib is missing, naming the extra that brings it.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('matplotlib is missing; pictures need it. Run: pip install "sklae[plot]"') from error
    return Figure(figsize=size, layout="constrained").subplots()
