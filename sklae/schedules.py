"""Schedules: of the learning rate, as functions of the share of steps done; of weights, as functions of the epoch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from sklae._utils.compat import Interval
from sklae._utils.component import Component, resolve

__all__ = ["LEARNING_RATES", "WEIGHTS", "Cyclical", "LinearWarmup", "WeightSchedule", "cosine", "one_cycle"]


def _anneal(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))


def cosine(progress: float) -> float:
    """Return the factor of a half cosine from 1 to 0 (arXiv 1608.03983, without restarts).

    Parameters
    ----------
    progress : float
        The share of the steps done, in [0, 1].

    Returns
    -------
    factor : float
        What the first learning rate is multiplied by, in [0, 1].

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

    Returns
    -------
    factor : float
        What the first learning rate is multiplied by, in [0, 1].

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


class WeightSchedule(Component):
    """A component whose value depends on how many epochs have been trained, over all fits that continued each other.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.schedules import WeightSchedule
    >>> class Halfway(WeightSchedule):
    ...     def __init__(self, final=1.0, n_epochs=10):
    ...         self.final = final
    ...         self.n_epochs = n_epochs
    ...
    ...     def value(self, epoch):
    ...         return self.final if epoch >= self.n_epochs else self.final / 2
    ...
    ...     @property
    ...     def settles(self):
    ...         return self.n_epochs
    >>> VAETransformer(beta=Halfway(4.0)).beta.value(3)
    2.0
    """

    final: float

    @abstractmethod
    def value(self, epoch: float) -> float:
        """Return the value after so many epochs; between whole numbers, within an epoch."""

    @property
    @abstractmethod
    def settles(self) -> float:
        """The epoch from which on the value stays `final`: before it, a loss does not compare with the one before."""


class LinearWarmup(WeightSchedule):
    """From ``start`` to ``final`` in a straight line, then constant (arXiv 1511.06349, 1602.02282).

    Parameters
    ----------
    final : float, default=1.0
        Where it ends.
    start : float, default=0.0
        Where it begins.
    n_epochs : int, default=20
        How long it takes.

    Examples
    --------
    >>> from sklae.schedules import LinearWarmup
    >>> schedule = LinearWarmup(final=2.0, n_epochs=10)
    >>> schedule.value(0), schedule.value(5), schedule.value(30)
    (0.0, 1.0, 2.0)
    """

    _parameter_constraints = {
        "final": [Interval(Real, 0, None, closed="left")],
        "start": [Interval(Real, 0, None, closed="left")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, final: float = 1.0, *, start: float = 0.0, n_epochs: int = 20):
        self.final = final
        self.start = start
        self.n_epochs = n_epochs

    def value(self, epoch: float) -> float:
        return self.start + (self.final - self.start) * min(1.0, epoch / self.n_epochs)

    @property
    def settles(self) -> float:
        return self.n_epochs


class Cyclical(WeightSchedule):
    """Several linear warm-ups one after the other, then constant (arXiv 1903.10145).

    Parameters
    ----------
    final : float, default=1.0
        Where it ends.
    start : float, default=0.0
        Where it begins.
    n_epochs : int, default=20
        Length of a cycle.
    n_cycles : int, default=4
        How many there are.
    rising : float, default=0.5
        The share of a cycle in which the value rises; for the rest it is `final`.

    Examples
    --------
    >>> from sklae.schedules import Cyclical
    >>> schedule = Cyclical(n_epochs=10)
    >>> [schedule.value(epoch) for epoch in (0, 2.5, 5, 9, 10, 45)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 1.0]
    """

    _parameter_constraints = {
        "final": [Interval(Real, 0, None, closed="left")],
        "start": [Interval(Real, 0, None, closed="left")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "n_cycles": [Interval(Integral, 1, None, closed="left")],
        "rising": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        final: float = 1.0,
        *,
        start: float = 0.0,
        n_epochs: int = 20,
        n_cycles: int = 4,
        rising: float = 0.5,
    ):
        self.final = final
        self.start = start
        self.n_epochs = n_epochs
        self.n_cycles = n_cycles
        self.rising = rising

    def value(self, epoch: float) -> float:
        if epoch >= self.settles:
            return self.final
        progress = (epoch % self.n_epochs) / self.n_epochs
        return self.start + (self.final - self.start) * min(1.0, progress / self.rising)

    @property
    def settles(self) -> float:
        return self.n_epochs * self.n_cycles


#: Name -> class. A new schedule of a weight is one class and one row here.
WEIGHTS: dict[str, type[WeightSchedule]] = {"linear_warmup": LinearWarmup, "cyclical": Cyclical}


def weight_of(value: Any) -> float | WeightSchedule:
    """Return a weight, or its schedule, from what a constructor takes for one."""
    return resolve(value, WEIGHTS) if isinstance(value, (str, WeightSchedule)) else float(value)


def value_at(weight: float | WeightSchedule, epoch: float) -> float:
    """Return a weight as it is after so many epochs."""
    return weight.value(epoch) if isinstance(weight, WeightSchedule) else weight
