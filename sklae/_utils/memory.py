"""Results that would not fit into memory, told before any work."""

from __future__ import annotations

import os

__all__ = ["check_fits"]

_BYTES_A_NUMBER = 8


def check_fits(n_rows: int, width: int, parameter: str) -> None:
    """Refuse to make a table of more numbers than there is memory for, where the system says how much there is.

    Raises
    ------
    ValueError
        That names the parameter.
    """
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return
    needed = n_rows * width * _BYTES_A_NUMBER
    if needed > there:
        raise ValueError(
            f"Got {parameter}={n_rows}, a table of {needed / 2**30:,.0f} GiB; expected one that fits into memory, of "
            f"{there / 2**30:,.0f} GiB. Ask for fewer at a time."
        )
