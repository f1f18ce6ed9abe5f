"""Sparsity by a term of the loss: small codes, rarely active codes."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import nn
from torch.nn import functional

from sklae._utils.compat import Interval, StrOptions
from sklae._utils.processes import whole_batch
from sklae.penalties._base import ActiveCodes, CodedRows, Penalty, PenaltyModule

__all__ = ["L1", "KLSparsity"]

_OF_RECTIFIED_CODES, _OF_DRAWN_CODES = 0.1, 1e-3
# A code that never gets past this is no unit of measurement.
_LEAST_SIZE = 1e-6


class L1(Penalty):
    """Sum of absolute code values: a sparse autoencoder.

    Codes of `AutoencoderTransformer` are rectified, so that they are never negative and many are exactly 0. They are
    measured in units of their own root mean square over the batch: else they would shrink, all of them, and the
    decoder's weights grow. Drawn codes of a `VAETransformer` are pulled towards 0.

    Parameters
    ----------
    weight : float or "auto", default="auto"
        Nats per unit of code. "auto": 0.1 for `AutoencoderTransformer`, 1e-3 for `VAETransformer`.

    Examples
    --------
    >>> import torch
    >>> from sklae.penalties import L1
    >>> L1(0.5).term(torch.tensor([[1.0, -2.0]]))
    tensor([1.5000])
    """

    activates = True
    rectifies = True
    _parameter_constraints = {"weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})]}

    def __init__(self, weight: float | str = "auto"):
        self.weight = weight

    def term(self, z: torch.Tensor) -> torch.Tensor:
        return self._weight(_OF_DRAWN_CODES) * z.abs().sum(-1)

    def relative_term(self, z: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        """Return the penalty of codes in units of the size that those of the batch have."""
        size = batch.square().mean(0).sqrt().clamp(min=_LEAST_SIZE)
        return self._weight(_OF_RECTIFIED_CODES) * (z / size).abs().sum(-1)

    def _weight(self, default: float) -> float:
        return default if isinstance(self.weight, str) else self.weight

    def build_activation(self, n_components: int) -> nn.Module:
        return nn.ReLU()

    def build(self, n_components: int) -> PenaltyModule:
        return _L1Module(self)


class _L1Module(PenaltyModule):
    penalty: L1

    def forward(self, coded: CodedRows) -> torch.Tensor:
        if not isinstance(coded.q, ActiveCodes):
            return self.penalty.term(coded.z)
        return self.penalty.relative_term(coded.z, whole_batch(coded.z, coded.generator))


class KLSparsity(Penalty):
    """Keep each code unit active on a small share of the rows (Ng, CS294A lecture notes, 2011).

    A unit's activation is the logistic function of what the encoder says; its mean over the batch is held near
    ``rate`` by the Kullback-Leibler divergence between Bernoulli distributions. The codes of `AutoencoderTransformer`
    are these activations, in (0, 1). Of a `VAETransformer` they are what it is the logistic function of.

    Parameters
    ----------
    rate : float, default=0.05
        The wanted mean activation.
    weight : float, default=1.0
        Weight of the divergence, summed over units.

    Examples
    --------
    >>> import torch
    >>> from sklae.penalties import KLSparsity
    >>> KLSparsity(0.5).term(torch.zeros(4, 3))
    tensor(0.)
    """

    activates = True
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

    def build_activation(self, n_components: int) -> nn.Module:
        return _Logistic(self.shift)

    @property
    def shift(self) -> float:
        """What has the wanted rate as its logistic function."""
        return math.log(self.rate / (1.0 - self.rate))

    def build(self, n_components: int) -> PenaltyModule:
        return _KLSparsityModule(self)


class _Logistic(nn.Module):
    """The logistic function, moved so that an encoder that says 0 is at the wanted rate."""

    def __init__(self, shift: float):
        super().__init__()
        self.shift = shift

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(h + self.shift)


class _KLSparsityModule(PenaltyModule):
    penalty: KLSparsity

    def forward(self, coded: CodedRows) -> torch.Tensor:
        q = coded.q
        z = q.raw + self.penalty.shift if isinstance(q, ActiveCodes) else coded.z
        return self.penalty.term(whole_batch(z, coded.generator))
