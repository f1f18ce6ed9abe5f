"""The KL divergence, with what it charges less for."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import torch

from sklae._utils.compat import Interval
from sklae._utils.component import choices
from sklae.divergences._base import Codes, Divergence, DivergenceModule, kl_term
from sklae.schedules import WEIGHTS, WeightSchedule, value_at, weight_of

if TYPE_CHECKING:
    from sklae.posteriors import Posterior

__all__ = ["KL"]


class KL(Divergence):
    """Kullback-Leibler divergence from the prior: with ``beta=1`` the loss is the negative evidence lower bound.

    Parameters
    ----------
    free_bits : float, default=0.0
        Nats per component, averaged over the batch, that are not charged for (arXiv 1606.04934).
    capacity : float, str, WeightSchedule or None, default=None
        Nats per row that the term is pulled to, from either side (arXiv 1804.03599). Excludes ``free_bits``.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.divergences import KL
    >>> VAETransformer(divergence=KL(free_bits=0.1)).get_params()["divergence__free_bits"]
    0.1
    """

    _parameter_constraints = {
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "capacity": choices(WEIGHTS, WeightSchedule, Interval(Real, 0, None, closed="left"), None),
    }

    def __init__(self, free_bits: float = 0.0, *, capacity: float | str | WeightSchedule | None = None):
        self.free_bits = free_bits
        self.capacity = capacity

    @property
    def is_bound(self) -> bool:  # type: ignore[override]
        """Whether nothing but the divergence is charged for."""
        return not self.free_bits and self.capacity is None

    def check(self, posterior: Posterior) -> None:
        super().check(posterior)
        if self.free_bits and self.capacity is not None:
            raise ValueError(
                f"Got free_bits={self.free_bits} and capacity={self.capacity!r}; expected one of them. Both say how "
                "many nats the KL term may hold."
            )

    @property
    def schedules(self) -> list[WeightSchedule]:
        capacity = None if self.capacity is None else weight_of(self.capacity)
        return [capacity] if isinstance(capacity, WeightSchedule) else []

    def weights(self, beta: float) -> dict[str, float]:
        allowance = {"free_bits": beta} if self.free_bits else {} if self.capacity is None else {"capacity": beta}
        return {"kl": beta, **allowance}

    def build(self, n_components: int) -> DivergenceModule:
        return _KLModule(self)


class _KLModule(DivergenceModule):
    """The KL term, and what free bits and capacity add to its mean; the term itself stays what it is."""

    def __init__(self, divergence: KL):
        super().__init__(divergence)
        self.free_bits = float(divergence.free_bits)
        self.capacity = None if divergence.capacity is None else weight_of(divergence.capacity)

    def forward(self, codes: Codes) -> dict[str, torch.Tensor]:
        kl = kl_term(codes)
        terms = {"kl": kl}
        if self.free_bits:
            components, free = codes.q.component_kl(codes.prior), self.free_bits
            if components is None:  # not split by component: the allowance holds for their sum
                components, free = kl[:, None], free * codes.z.shape[-1]
            terms["free_bits"] = codes.mean(components).clamp(min=free).sum() - codes.mean(kl)
        if self.capacity is not None:
            mean = codes.mean(kl)
            terms["capacity"] = (mean - value_at(self.capacity, codes.epoch)).abs() - mean
        return terms
