"""Penalties: what the training loss adds to keep codes in shape."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Real

import torch
from torch.nn import functional

from sklae._utils.compat import Interval
from sklae._utils.component import Component

__all__ = ["L1", "PENALTIES", "KLSparsity", "Penalty"]


class Penalty(Component):
    """A component that is its own term: ``term(z)`` in nats, per row or (batch statistics) a scalar."""

    @abstractmethod
    def term(self, z: torch.Tensor) -> torch.Tensor:
        """Return the penalty of codes z, of shape (n_samples,) or ().

        Parameters
        ----------
        z : Tensor of shape (n_samples, n_components)
        """


class L1(Penalty):
    """Sum of absolute code values: a sparse autoencoder.

    Parameters
    ----------
    weight : float, default=1e-3
        Nats per unit of code.

    Examples
    --------
    >>> import torch
    >>> from sklae.penalties import L1
    >>> L1(0.5).term(torch.tensor([[1.0, -2.0]]))
    tensor([1.5000])
    """

    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 1e-3):
        self.weight = weight

    def term(self, z: torch.Tensor) -> torch.Tensor:
        return self.weight * z.abs().sum(-1)


class KLSparsity(Penalty):
    """Keep each code unit active on a small share of the rows (Ng, CS294A lecture notes, 2011).

    A unit's activation is the logistic function of its code; its mean over the batch is held near
    ``rate`` by the Kullback-Leibler divergence between Bernoulli distributions.

    Parameters
    ----------
    rate : float, default=0.05
        The wanted mean activation.
    weight : float, default=1.0
        Weight of the divergence, summed over units.
    """

    _parameter_constraints = {
        "rate": [Interval(Real, 0, 1, closed="neither")],
        "weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, rate: float = 0.05, *, weight: float = 1.0):
        self.rate = rate
        self.weight = weight

    def term(self, z: torch.Tensor) -> torch.Tensor:
        # means of log-sigmoids would overflow nowhere, but the divergence needs the log of a mean
        log_n = torch.log(torch.tensor(float(len(z)), device=z.device, dtype=z.dtype))
        log_on = functional.logsigmoid(z).logsumexp(0) - log_n
        log_off = functional.logsigmoid(-z).logsumexp(0) - log_n
        on = torch.tensor(self.rate, device=z.device, dtype=z.dtype)
        divergence = on * (on.log() - log_on) + (1.0 - on) * (torch.log1p(-on) - log_off)
        return self.weight * divergence.sum()


#: Name -> class. A new penalty is one class and one row here.
PENALTIES: dict[str, type[Penalty]] = {"l1": L1, "kl_sparsity": KLSparsity}
