"""Codes that hardly move where rows do."""

from __future__ import annotations

from numbers import Integral, Real

import torch

from sklae._utils.compat import Interval
from sklae._utils.processes import fill
from sklae.penalties._base import CodedRows, Penalty, PenaltyModule

__all__ = ["Contractive"]


class Contractive(Penalty):
    """The squared norm of the encoder's derivatives: a contractive autoencoder (Rifai et al., ICML 2011).

    Per row, the squared Frobenius norm of the Jacobian of its code (of a `VAETransformer`, of its posterior's mean) by
    what was observed of its numbers, in encoded units: standard deviations, where columns are standardised. Categories
    have no derivatives.

    Parameters
    ----------
    weight : float, default=0.1
        Nats per unit of the squared norm.
    n_projections : int, default=2
        In how many random directions of the code derivatives are taken, in each step anew: an unbiased estimate
        (Hutchinson, 1990). Exact where codes have no more components than this. A step takes two further passes through
        the encoder for each.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.penalties import Contractive
    >>> ae = AutoencoderTransformer(
    ...     2, penalty=Contractive(1.0), max_iter=5, n_iter_no_change=float("inf")
    ... )
    >>> ae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    _parameter_constraints = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "n_projections": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, weight: float = 0.1, *, n_projections: int = 2):
        self.weight = weight
        self.n_projections = n_projections

    def build(self, n_components: int) -> PenaltyModule:
        return _ContractiveModule(self, n_components)


class _ContractiveModule(PenaltyModule):
    def __init__(self, penalty: Contractive, n_components: int):
        super().__init__(penalty)
        self.weight, self.n_projections = penalty.weight, penalty.n_projections
        self.draws = n_components > penalty.n_projections

    def forward(self, coded: CodedRows) -> torch.Tensor:
        trains = torch.is_grad_enabled()
        with torch.enable_grad():  # derivatives are wanted of held-out rows, too
            x = coded.rows.x.detach().requires_grad_()
            z = coded.encode(coded.rows._replace(x=x)).mean
            squares = [self._square(direction, z, x, coded, trains) for direction in self._directions(z, coded)]
        return self.weight * torch.stack(squares).sum(0)

    def _directions(self, z: torch.Tensor, coded: CodedRows) -> torch.Tensor:
        """Return directions whose outer products add up to the identity, on average or exactly."""
        n_components = z.shape[-1]
        if not self.draws:
            return torch.eye(n_components).to(z)
        empty, generator = z.new_empty(self.n_projections, *z.shape), coded.generator
        signs = fill(empty, lambda chance: chance.bernoulli_(0.5, generator=generator), generator, axis=1)
        return (2.0 * signs - 1.0) / self.n_projections**0.5

    @staticmethod
    def _square(
        direction: torch.Tensor, z: torch.Tensor, x: torch.Tensor, coded: CodedRows, trains: bool
    ) -> torch.Tensor:
        (slope,) = torch.autograd.grad(
            (direction * z).sum(), x, create_graph=trains, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        observed = coded.rows.observed
        return (slope if observed is None else slope * observed).square().sum(-1)
