"""Total correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sklae.divergences._base import Codes, Divergence, kl_term

if TYPE_CHECKING:
    from sklae.posteriors import Posterior

__all__ = ["TotalCorrelation"]


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
