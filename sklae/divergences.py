"""Divergences: what holds the codes of the rows to the prior."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from sklae._utils.compat import Interval
from sklae._utils.component import Component, choices
from sklae.posteriors import RowCodes
from sklae.priors import CodeDistribution
from sklae.schedules import WEIGHTS, WeightSchedule, value_at, weight_of

if TYPE_CHECKING:
    from sklae.posteriors import Posterior

__all__ = ["DIVERGENCES", "KL", "MMD", "Codes", "Divergence", "DivergenceModule", "TotalCorrelation"]


class Codes(NamedTuple):
    """The codes of a batch, and what they are held to.

    Attributes
    ----------
    q : RowCodes
        Their posteriors.
    z : Tensor of shape (n_samples, n_components), or (n_draws, n_samples, n_components)
        The codes drawn.
    noise : Tensor
        What they were pushed from.
    prior : CodeDistribution
    n_rows : int
        Number of training rows, of which the batch is a part.
    generator : torch.Generator or None
        For draws of the divergence's own.
    log_q : callable
        ``log_q()`` is the log-density of the codes drawn under their posteriors (`RowCodes.path_log_prob`).
    epoch : float, default=0.0
        How many epochs have been trained.
    """

    q: RowCodes
    z: torch.Tensor
    noise: torch.Tensor
    prior: CodeDistribution
    n_rows: int
    generator: torch.Generator | None
    log_q: Callable[[], torch.Tensor]
    epoch: float = 0.0


class Divergence(Component):
    """A component that adds terms to the loss.

    Attributes
    ----------
    least_beta : float
        The smallest ``beta`` it is defined for, once a schedule has settled.
    bound_terms : tuple of str
        The terms that, added to the reconstruction at weight 1, make what validation watches: with the KL divergence
        the negative evidence lower bound.
    is_bound : bool
        Whether at ``beta=1`` the loss is the negative evidence lower bound, which draws of a row can tighten.
    """

    least_beta: float = 0.0
    bound_terms: tuple[str, ...] = ("kl",)
    is_bound: bool = False

    def check(self, posterior: Posterior) -> None:
        """Refuse a posterior that the divergence is not defined for."""
        if not posterior.has_density:
            raise ValueError(
                f"Got posterior={posterior!r} with divergence={self!r}, which is not defined for codes without a "
                "density; expected divergence='mmd', or a posterior that spreads its mass, as 'diagonal'."
            )

    def terms(self, codes: Codes) -> dict[str, torch.Tensor]:
        """Return the terms in nats, by name: (n_samples,) each, or () for statistics of the batch."""
        raise NotImplementedError(f"{type(self).__name__} has neither terms() nor a build() that returns what has.")

    def weights(self, beta: float) -> dict[str, float]:
        """Return the terms' weights in the loss."""
        return {"kl": beta}

    @property
    def schedules(self) -> list[WeightSchedule]:
        """What changes with the epoch."""
        return []

    def build(self, n_components: int) -> DivergenceModule:
        """Return the module of the terms: a subclass where something is learned."""
        return DivergenceModule(self)


class DivergenceModule(nn.Module):
    """The terms of a divergence. Its parameters, if it has any, are trained with the model's.

    Parameters
    ----------
    divergence : Divergence

    Attributes
    ----------
    is_opponent : bool
        Whether its parameters are trained against the model instead: by an optimizer of their own, after each of its
        steps, on `opponent_loss`.
    """

    is_opponent: bool = False

    def __init__(self, divergence: Divergence):
        super().__init__()
        self.divergence = divergence

    def forward(self, codes: Codes) -> dict[str, torch.Tensor]:
        """Return the terms in nats, by name: (n_samples,) each, or () for statistics of the batch."""
        return self.divergence.terms(codes)

    def opponent_loss(self, codes: Codes) -> torch.Tensor:
        """Return what an opponent's parameters minimise, (n_samples,): of ``codes.z``, cut off from the model."""
        raise NotImplementedError(f"{type(self).__name__} says is_opponent=True and has no opponent_loss(codes).")

    def make_optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        """Return the optimizer of an opponent's parameters."""
        return torch.optim.Adam(self.parameters(), lr=learning_rate)


def kl_term(codes: Codes) -> torch.Tensor:
    """Return KL(q || prior) per row, closed where there is a closed form, else from the codes drawn."""
    closed_form = codes.q.kl(codes.prior) if codes.z.ndim == 2 else None
    return sampled_kl(codes.z, codes.log_q, codes.prior) if closed_form is None else closed_form


def sampled_kl(z: torch.Tensor, log_q: Callable[[], torch.Tensor], prior: CodeDistribution) -> torch.Tensor:
    """Return log q(z) - log p(z) of codes, as `RowCodes.push_with_density` gives them."""
    return log_q() - prior.log_prob(z)


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

    def __init__(self, free_bits: float = 0.0, *, capacity: Any = None):
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
            terms["free_bits"] = components.mean(0).clamp(min=free).sum() - kl.mean()
        if self.capacity is not None:
            mean = kl.mean()
            terms["capacity"] = (mean - value_at(self.capacity, codes.epoch)).abs() - mean
        return terms


class TotalCorrelation(Divergence):
    """The KL divergence, with ``beta`` weighing only how far the components depend on each other (arXiv 1802.04942).

    The KL divergence splits into mutual information, total correlation of the aggregate posterior, and component-wise
    divergence; ``beta`` multiplies the second alone. Its value is estimated within each batch by the paper's minibatch
    stratified sampling. Needs the diagonal posterior and beta at or above 1; where a schedule starts below, total
    correlation is free until it reaches 1.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> VAETransformer(divergence="tc", beta=6.0).divergence
    'tc'
    """

    least_beta = 1.0

    def check(self, posterior: Posterior) -> None:
        super().check(posterior)
        if not posterior.independent:
            raise ValueError(
                f"Got posterior={posterior!r} with divergence={self!r}; expected 'diagonal', whose components have "
                "densities of their own."
            )

    def terms(self, codes: Codes) -> dict[str, torch.Tensor]:
        return {"kl": kl_term(codes), "total_correlation": self._total_correlation(codes)}

    def weights(self, beta: float) -> dict[str, float]:
        return {"kl": 1.0, "total_correlation": max(0.0, beta - 1.0)}

    def _total_correlation(self, codes: Codes) -> torch.Tensor:
        n = len(codes.z)
        pairs = codes.q.component_log_prob(codes.z[:, None, :])  # log q(z_i | x_j): (n, n, n_components)
        log_weights = _stratified_log_weights(n, max(codes.n_rows, n)).to(pairs)
        joint = torch.logsumexp(log_weights + pairs.sum(-1), dim=1)
        apart = torch.logsumexp(log_weights[..., None] + pairs, dim=1).sum(-1)
        return joint - apart


def _stratified_log_weights(n: int, n_rows: int) -> torch.Tensor:
    """Return the log weights of rows j in the estimate of q(z_i), (n, n): 1/n_rows for i itself, the rest even."""
    if n == 1:
        return torch.zeros(1, 1)
    weights = torch.full((n, n), (n_rows - 1) / (n_rows * (n - 1)), dtype=torch.float64)
    weights.fill_diagonal_(1.0 / n_rows)
    return weights.log()


class MMD(Divergence):
    """Maximum mean discrepancy between the batch's codes and the prior's: Wasserstein autoencoder (arXiv 1711.01558).

    Codes of single rows stay free; only all together they resemble the prior. The only divergence for point posteriors.

    Parameters
    ----------
    weight : float, default=10.0
        What ``beta`` is multiplied by: the discrepancy itself is between 0 and about 1.

    Notes
    -----
    Inverse multiquadric kernels of seven widths around that of the prior. The unbiased estimate, which may fall
    below 0.

    Examples
    --------
    >>> from sklae import VAETransformer
    >>> from sklae.divergences import MMD
    >>> VAETransformer(posterior="point", divergence=MMD(50.0)).get_params()["divergence__weight"]
    50.0
    """

    bound_terms = ("mmd",)
    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 10.0):
        self.weight = weight

    def check(self, posterior: Posterior) -> None:
        return None

    def terms(self, codes: Codes) -> dict[str, torch.Tensor]:
        z = codes.z
        generator = codes.generator or torch.Generator(z.device).manual_seed(0)
        drawn = codes.prior.sample(len(z), generator).to(z)
        return {"mmd": self.weight * _discrepancy(z, drawn)}

    def weights(self, beta: float) -> dict[str, float]:
        return {"mmd": beta}


_WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _discrepancy(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the unbiased squared discrepancy of two samples of one size, with kernels between 0 and 1."""
    n = len(a)
    if n < 2:
        return a.sum() * 0.0
    # the kernel of a row with itself is 1
    alike = _kernel(a, a).sum() + _kernel(b, b).sum() - 2.0 * n
    return alike / (n * (n - 1)) - 2.0 * _kernel(a, b).mean()


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the mean of inverse multiquadric kernels of several widths, for all pairs of rows."""
    squares = a.square().sum(-1)[:, None] + b.square().sum(-1)
    distances = torch.addmm(squares, a, b.T, alpha=-2.0).clamp(min=0.0) / (2.0 * a.shape[1])
    kernels = [(1.0 + distances / width).reciprocal() for width in _WIDTHS]
    return functools.reduce(torch.add, kernels) / len(_WIDTHS)


#: Name -> class. A new divergence is one class and one row here.
DIVERGENCES: dict[str, type[Divergence]] = {"kl": KL, "tc": TotalCorrelation, "mmd": MMD}
