"""Learning-rate schedules, as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["LEARNING_RATES", "cosine", "one_cycle"]


def _anneal(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))


def cosine(progress: float) -> float:
    """Return the factor of a half cosine from 1 to 0 (arXiv 1608.03983, without restarts).

    Parameters
    ----------
    progress : float
        The share of the steps done, in [0, 1].

    Examples
    --------
    >>> from sklae.schedules import cosine
    >>> cosine(0.0), round(cosine(0.5), 3), cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    return _anneal(1.0, 0.0, progress)


def one_cycle(progress: float) -> float:
    """Return the factor of a warm-up from 1/25 to 1 over the first 30 %, then a fall to 4e-6.

    The shape and defaults of `torch.optim.lr_scheduler.OneCycleLR` (arXiv 1708.07120).

    Parameters
    ----------
    progress : float
        The share of the steps done, in [0, 1].

    Examples
    --------
    >>> from sklae.schedules import one_cycle
    >>> round(one_cycle(0.0), 3), one_cycle(0.3)
    (0.04, 1.0)
    """
    if progress <= 0.3:
        return _anneal(1 / 25, 1.0, progress / 0.3)
    return _anneal(1.0, 4e-6, (progress - 0.3) / 0.7)


#: Name -> function of the share of steps done; None for rates that follow the loss, not the step.
LEARNING_RATES: dict[str, Callable[[float], float] | None] = {
    "constant": None,
    "adaptive": None,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
