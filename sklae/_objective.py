"""All loss arithmetic: terms per row, and their weighted mean."""

from __future__ import annotations

import functools

import torch
from torch import nn

from sklae._module import Output
from sklae.penalties import Penalty

__all__ = ["Objective", "bound"]

#: What is reconstructed: encoded rows, or (encoded rows, 1 where observed).
Target = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


class Objective(nn.Module):
    """The loss of an autoencoder: the mean over rows of a weighted sum of terms in nats.

    Parameters
    ----------
    beta : float or None, default=None
        Weight of the KL divergence from the prior (arXiv 1312.6114; other values than 1:
        Higgins et al., ICLR 2017). None for a plain autoencoder, which has no such term.
    penalty : Penalty or None, default=None
        What else is added; carries its own weight.
    """

    def __init__(self, beta: float | None = None, penalty: Penalty | None = None):
        super().__init__()
        self.beta = beta
        self.penalty = penalty

    def terms(self, output: Output, target: Target) -> dict[str, torch.Tensor]:
        """Return each term by name, one value a row (batch statistics: one value).

        ``reconstruction`` is -log p(x | z), without constants that nothing learned changes.
        """
        x, observed = target if isinstance(target, tuple) else (target, None)
        terms = {"reconstruction": _reconstruction(output, x, observed)}
        if self.beta is not None:
            terms["kl"] = _kl(output)
        if self.penalty is not None:
            terms["penalty"] = self.penalty.term(output.z)
        return terms

    def loss(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the scalar that training minimises."""
        beta = 1.0 if self.beta is None else self.beta
        weighted = [beta * term if name == "kl" and beta != 1.0 else term for name, term in terms.items()]
        return functools.reduce(torch.add, weighted).mean()

    def forward(self, output: Output, target: Target) -> torch.Tensor:
        """Return the loss, as a PyTorch criterion does."""
        return self.loss(self.terms(output, target))


def bound(terms: dict[str, float]) -> float:
    """Return the negative evidence lower bound from the terms' means: every weight 1, no penalty."""
    return terms["reconstruction"] + terms.get("kl", 0.0)


def _reconstruction(output: Output, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
    likelihood = output.model.likelihood
    energy = likelihood.energy(output.params, x)
    if likelihood.learns_norm:
        energy = energy + likelihood.log_norm()
    weight = output.model.column_weight(observed)
    return (energy if weight is None else energy * weight).sum(-1)


def _kl(output: Output) -> torch.Tensor:
    prior = output.model.prior()
    closed_form = output.q.kl(prior)
    if closed_form is not None:
        return closed_form
    return output.q.log_prob(output.z) - prior.log_prob(output.z)
