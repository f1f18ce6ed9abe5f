"""Sparsity by construction: the largest codes stay, the others are 0."""

from __future__ import annotations

from numbers import Integral, Real

import torch
from torch import nn
from torch.nn import functional

from sklae._utils.compat import Interval
from sklae.penalties._base import ActiveCodes, ActivePoint, CodedRows, Penalty, PenaltyModule
from sklae.posteriors import Posterior

__all__ = ["BatchTopK", "TopK"]

# Of the paper's average over batches; the first batches count alike.
_MEMORY = 100


class TopK(Penalty):
    """All but a row's largest codes are 0 (arXiv 1312.5663); for `AutoencoderTransformer` only.

    Codes are rectified, and of each row's the ``n_active`` largest stay. The term is there for units that are never
    among them, and which no other gradient reaches: what rows would cost, could they use these units as well (arXiv
    2406.04093). It is 0 as long as all units are in use, and on held-out rows.

    Parameters
    ----------
    n_active : int or float, default=0.1
        How many codes of a row may differ from 0; a float is a share of ``n_components``, and at least one.
    weight : float, default=1/32
        Weight of the term for units out of use. It remembers batches; ``solver="lbfgs"`` takes 0 only.
    n_idle : int, default=20
        After how many batches without any row a unit counts as out of use.

    Notes
    -----
    Of the units out of use those with the largest codes take part, up to half of all units. With an affine decoder and
    squared error the term is the paper's, but for the gradient of units in use, which here the decoder has, too.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.penalties import TopK
    >>> ae = AutoencoderTransformer(
    ...     20, penalty=TopK(3), max_iter=5, n_iter_no_change=float("inf"), random_state=0
    ... )
    >>> int((ae.fit_transform(load_wine().data) != 0).sum(axis=1).max())
    3
    """

    activates = True
    rectifies = True
    _parameter_constraints = {
        "n_active": [Interval(Integral, 1, None, closed="left"), Interval(Real, 0, 1, closed="neither")],
        "weight": [Interval(Real, 0, None, closed="left")],
        "n_idle": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, n_active: int | float = 0.1, *, weight: float = 1 / 32, n_idle: int = 20):
        self.n_active = n_active
        self.weight = weight
        self.n_idle = n_idle

    def check(self, posterior: Posterior) -> None:
        if not isinstance(posterior, ActivePoint):
            raise ValueError(
                f"Got penalty={self!r} with posterior={posterior!r}; expected a plain autoencoder, whose codes it can "
                "set to exactly 0. Use AutoencoderTransformer, or penalty='l1'."
            )

    def count(self, n_components: int) -> int:
        """Return how many codes of a row stay."""
        if not isinstance(self.n_active, Integral):
            return max(1, round(self.n_active * n_components))
        if self.n_active > n_components:
            raise ValueError(
                f"Got n_active={self.n_active} with n_components={n_components}; expected at most as many active codes "
                "as there are. Raise n_components, or pass a share, as 0.1."
            )
        return int(self.n_active)

    def build_activation(self, n_components: int) -> nn.Module:
        return _TopKActivation(self.count(n_components))

    def build(self, n_components: int) -> PenaltyModule:
        return _IdleUnits(self, n_components)


class BatchTopK(TopK):
    """All but a batch's largest codes are 0 (arXiv 2412.06410): rows with more to tell have more codes.

    In training the ``n_active`` times ``n_samples`` largest codes of a batch stay. In use those above a threshold, the
    average of the least that stayed, so that the code of a row does not depend on the others.

    Parameters
    ----------
    n_active : int or float, default=0.1
        How many codes of a row differ from 0 on average; a float is a share of ``n_components``, and at least one.
    weight : float, default=1/32
        Weight of the term for units out of use: see `TopK`.
    n_idle : int, default=20
        After how many batches without any row a unit counts as out of use.

    Examples
    --------
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.penalties import BatchTopK
    >>> AutoencoderTransformer(20, penalty=BatchTopK(3)).get_params()["penalty__n_active"]
    3
    """

    def build_activation(self, n_components: int) -> nn.Module:
        return _BatchTopKActivation(self.count(n_components))


class _TopKActivation(nn.Module):
    def __init__(self, n_active: int):
        super().__init__()
        self.n_active = n_active

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        values, units = h.topk(self.n_active, dim=-1)
        return torch.zeros_like(h).scatter(-1, units, values.relu())


class _BatchTopKActivation(nn.Module):
    mixes_rows = True
    threshold: torch.Tensor
    n_batches: torch.Tensor

    def __init__(self, n_active: int):
        super().__init__()
        self.n_active = n_active
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("n_batches", torch.zeros((), dtype=torch.int64))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        z = h.relu()
        if not self.training:
            # weights from before any batch was seen have no threshold: then each row keeps its own largest
            own = z.topk(self.n_active, dim=-1).values[..., -1:]
            least = torch.where(self.n_batches > 0, self.threshold, own)
            return torch.where(z >= least, z, 0.0)
        values, places = z.flatten().topk(self.n_active * len(z))
        self._remember(values.detach())
        return torch.zeros_like(z).flatten().scatter(0, places, values).view_as(z)

    def _remember(self, kept: torch.Tensor) -> None:
        positive = kept[kept > 0]
        if len(positive):
            self.n_batches += 1
            share = 1.0 / min(int(self.n_batches), _MEMORY)
            self.threshold += share * (positive.min() - self.threshold)


class _IdleUnits(PenaltyModule):
    """The term for units that are out of use, and for how many batches each has been."""

    idle: torch.Tensor

    def __init__(self, penalty: TopK, n_components: int):
        super().__init__(penalty)
        self.weight, self.n_idle = penalty.weight, penalty.n_idle
        self.remembers = penalty.weight > 0
        self.n_most = max(1, n_components // 2)
        self.register_buffer("idle", torch.zeros(n_components, dtype=torch.int64))

    def forward(self, coded: CodedRows) -> torch.Tensor:
        if not (self.training and isinstance(coded.q, ActiveCodes)):
            return coded.z.new_zeros(())
        in_use = (coded.z != 0).any(0)
        self.idle.add_(1).masked_fill_(in_use, 0)
        is_idle = self.idle >= self.n_idle
        n_idle = int(is_idle.sum())
        if not (n_idle and self.weight):
            return coded.z.new_zeros(())
        return self.weight * coded.reconstruction(coded.z.detach() + self._largest(coded.q.raw, is_idle, n_idle))

    def _largest(self, raw: torch.Tensor, is_idle: torch.Tensor, n_idle: int) -> torch.Tensor:
        """Return codes of idle units alone: positive even where they would be rectified, so that they can wake up."""
        values, units = raw.masked_fill(~is_idle, -torch.inf).topk(min(n_idle, self.n_most), dim=-1)
        return torch.zeros_like(raw).scatter(-1, units, functional.softplus(values))
