"""All loss arithmetic: terms per row, and their weighted mean."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from sklae._model.module import Autoencoder, Output
from sklae._model.rows import RowsGiven
from sklae._tables.layout import Layout, Rows
from sklae._utils.processes import whole_batch
from sklae.critics import Critic, Judged, RowsSeen
from sklae.divergences import Codes, Divergence, sampled_kl
from sklae.likelihoods import Likelihood
from sklae.penalties import CodedRows, Penalty
from sklae.schedules import WeightSchedule, value_at

__all__ = ["Objective", "weighted"]

# At weight 1 codes are kept from spreading, too, which costs up to 3 nats on digits of 8 x 8. At 0 a Vamp prior on
# binarised MNIST stays collapsed: 208 nats after 800 steps, against 146 at weight 1, and 168 at this one.
_ANCHOR = 0.1


class Objective(nn.Module):
    """The loss of an autoencoder: the mean over rows of a weighted sum of terms in nats.

    Parameters
    ----------
    divergence : Divergence or None, default=None
        What holds the codes to the prior. None for a plain autoencoder.
    beta : float or WeightSchedule, default=1.0
        Weight of the divergence (Higgins et al., ICLR 2017).
    penalty : Penalty or None, default=None
        What else is added; carries its own weight.
    n_rows : int, default=1
        Number of training rows.
    n_components : int, default=1
        Width of the code.
    critic : Critic or None, default=None
        What is trained to tell rows from what the model makes.
    likelihood : Likelihood or None, default=None
    layout : Layout or None, default=None
        What the critic sees of rows; needed where there is one.

    Attributes
    ----------
    epoch : float
        How many epochs have been trained; set from outside where a schedule needs it.
    """

    def __init__(
        self,
        divergence: Divergence | None = None,
        beta: float | WeightSchedule = 1.0,
        penalty: Penalty | None = None,
        n_rows: int = 1,
        n_components: int = 1,
        critic: Critic | None = None,
        likelihood: Likelihood | None = None,
        layout: Layout | None = None,
    ):
        super().__init__()
        self.divergence = None if divergence is None else divergence.build(n_components)
        self.critic = None
        if critic is not None and likelihood is not None and layout is not None:
            self.rows_seen = RowsSeen(likelihood.build(layout), layout)
            self.critic = critic.build(self.rows_seen.inputs)
        self.beta = beta
        self.penalty = None if penalty is None else penalty.build(n_components)
        self.n_rows = n_rows
        self.epoch = 0.0
        self._knows_names = False

    @property
    def opponents(self) -> list[Any]:
        """What is trained against the model."""
        return [part for part in (self.divergence, self.critic) if part is not None and part.is_opponent]

    @property
    def is_deterministic(self) -> bool:
        """Whether the penalty is a function of the codes alone; divergences hold codes that are drawn anyway."""
        return self.penalty is None or not self.penalty.draws

    @property
    def remembers(self) -> bool:
        """Whether the loss depends on earlier batches."""
        return self.penalty is not None and self.penalty.remembers

    @contextmanager
    def holding(self, model: Autoencoder, sample: Callable[[], Rows], generator: torch.Generator) -> Iterator[None]:
        """Let a penalty hold what it learns from training rows, for as long as there is training."""
        if self.penalty is None or not self.penalty.learns_from_rows:
            yield
            return
        try:
            self.penalty.begin(sample(), model.likelihood.inputs, generator)
            yield
        finally:
            self.penalty.end()

    @property
    def can_stack(self) -> bool:
        """Whether the loss of several models at once is a reconstruction error of each, and nothing else."""
        return self.divergence is None and self.critic is None and self.penalty is None

    def terms(self, output: Output, target: Rows, weight: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return each term by name, one value a row (batch statistics: one value), times how much the row counts.

        ``reconstruction`` is -log p(x | z), without constants that nothing learned changes.
        """
        x = target.x if output.target is None else output.target
        terms = {"reconstruction": _reconstruction(output.model, output.given, x, target.observed)}
        # a critic without a divergence has codes to draw for, too
        has_codes = self.divergence is not None or self.critic is not None
        codes = output.codes(self.n_rows, self.epoch)._replace(weight=weight) if has_codes else None
        if self.divergence is not None and codes is not None:
            if output.z.ndim > 2:
                terms = _importance_weighted(terms["reconstruction"], codes)
            else:
                held = self.divergence(codes)
                if self.training and not self._knows_names:
                    _check_names(self.divergence.divergence, set(held))
                    self._knows_names = True
                terms |= held
            if output.model.prior is not None and output.model.prior.floats:
                terms["anchor"] = _anchor(codes)
        if self.critic is not None and codes is not None:
            terms |= self.critic(self._judged(output, target, codes))
        if self.penalty is not None:
            terms["penalty"] = self.penalty(_coded(output, x, target.observed))
        return weighted(terms, weight)

    def codes_cut_off(self, output: Output) -> Codes:
        """Return a batch's codes, and the prior as it is now, cut off from the model: what its opponents see."""
        with torch.no_grad():
            codes = output.codes(self.n_rows, self.epoch)
        return codes._replace(z=codes.z.detach())

    def opponent_loss(
        self, opponent: Any, output: Output, target: Rows, codes: Codes, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return what an opponent minimises: a mean over rows, of codes that are cut off from the model."""
        seen = self._judged(output, target, codes) if opponent is self.critic else codes
        return weighted({"loss": opponent.opponent_loss(seen)}, weight)["loss"].mean()

    def _judged(self, output: Output, target: Rows, codes: Codes) -> Judged:
        """Return what a critic sees of rows, and of what the model makes of them."""
        return self.rows_seen.judged(output.model, output.given, target, codes)

    def loss(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the scalar that training minimises."""
        return _weigh(terms, self._weights("weights", value_at(self.beta, self.epoch))).mean()

    def bound(self, terms: dict[str, float]) -> float:
        """Return the negative bound from the terms' means: every weight 1, and nothing that is only in the loss."""
        of_divergence = () if self.divergence is None else self.divergence.divergence.bound_terms
        names = ("reconstruction", "tightening", *of_divergence)
        return sum(terms[name] for name in names if name in terms)

    def final_losses(self, terms: dict[str, Any]) -> Any:
        """Return the losses of rows (or their mean) that epochs are compared by.

        Weights are as they are once all schedules have ended.
        """
        beta = self.beta.final if isinstance(self.beta, WeightSchedule) else self.beta
        return _weigh(terms, self._weights("final_weights", beta))

    def _weights(self, kind: str, beta: float) -> dict[str, float]:
        """Return what the terms of divergence and critic weigh: their ``weights``, or ``final_weights``."""
        weights = {} if self.divergence is None else getattr(self.divergence.divergence, kind)(beta)
        return weights if self.critic is None else {**weights, **getattr(self.critic.critic, kind)()}

    def forward(self, output: Output, target: Rows) -> torch.Tensor:
        """Return the loss, as a PyTorch criterion does."""
        return self.loss(self.terms(output, target))


def weighted(terms: dict[str, torch.Tensor], weight: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Return terms of rows times the rows' weights; statistics of a batch are as they were.

    Weights have mean 1 over all rows, not in each batch: the mean over a batch of such products is an unbiased estimate
    of the weighted mean over all rows, whereas a batch's own weighted mean is a ratio, and is not.
    """
    if weight is None:
        return terms
    return {name: term * weight if term.ndim else term for name, term in terms.items()}


def _weigh(terms: dict[str, Any], weights: dict[str, float]) -> Any:
    """Return the weighted sum of terms; a weight of 1 is no operation."""
    weighted = [term if weights.get(name, 1.0) == 1.0 else weights[name] * term for name, term in terms.items()]
    return functools.reduce(operator.add, weighted)


def _check_names(divergence: Divergence, named: set[str]) -> None:
    """Refuse weights of terms that there are none of, and terms without a weight."""
    weights, watched = set(divergence.weights(1.0)), set(divergence.bound_terms)
    if weights != named or not watched <= named | set(divergence.final_weights(1.0)):
        raise ValueError(
            f"Got divergence={divergence!r} with terms {sorted(named)}, weights of {sorted(weights)} and bound_terms "
            f"{sorted(watched)}; expected a weight for each term, and bound_terms among them. Check the names."
        )


def _reconstruction(
    model: Autoencoder, given: RowsGiven, x: torch.Tensor, observed: torch.Tensor | None
) -> torch.Tensor:
    energy, balance = given.energy(x), model.likelihood.balance
    weight = model.column_weight(observed)
    if balance is not None:
        weight = balance if weight is None else weight * balance
    return (energy if weight is None else energy * weight).sum(-1)


def _coded(output: Output, x: torch.Tensor, observed: torch.Tensor | None) -> CodedRows:
    rows = Rows(x, observed, output.condition) if output.rows is None else output.rows
    reconstruction = partial(_reconstruction_of, output, x, observed)
    return CodedRows(output.z, output.q, rows, output.encode, reconstruction, output.generator)


def _reconstruction_of(output: Output, x: torch.Tensor, observed: torch.Tensor | None, z: torch.Tensor) -> torch.Tensor:
    """Return what rebuilding rows from other codes costs."""
    given = output.model.given(z, output.condition, output.generator)
    return _reconstruction(output.model, given, x, observed)


def _importance_weighted(reconstruction: torch.Tensor, codes: Codes) -> dict[str, torch.Tensor]:
    """Return the terms of the importance-weighted bound (arXiv 1509.00519) over the draws of each row.

    Their sum is the negative bound, ``tightening`` being its gain over the evidence lower bound.
    """
    kl = sampled_kl(codes.z, codes.log_q, codes.prior)
    log_weights = -(reconstruction + kl)  # (n_draws, n_samples)
    tightest = math.log(len(log_weights)) - log_weights.logsumexp(0)
    if codes.q.path_only:
        tightest = tightest.detach() + _doubly_reparameterized(log_weights, codes.z)
    terms = {"reconstruction": reconstruction.detach().mean(0), "kl": kl.detach().mean(0)}
    return {**terms, "tightening": tightest - terms["reconstruction"] - terms["kl"]}


def _anchor(codes: Codes) -> torch.Tensor:
    """Return how far the batch's codes are from mean 0 and variance 1, component by component, in nats.

    A learned prior follows the codes wherever they go: shift and scale them, and the prior and the decoder with them,
    and no bound changes. Left free, they may drift until the networks saturate.
    """
    # drawn anew where the gradient of the draws is weighed by importance
    z = whole_batch(codes.z if codes.z.ndim == 2 else codes.q.push(codes.noise[0]), codes.generator)
    mean, variance = z.mean(0), z.var(0, correction=0).clamp(min=1e-6)
    return 0.5 * _ANCHOR * (mean.square() + variance - 1.0 - variance.log()).sum()


def _doubly_reparameterized(log_weights: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Return zeros whose gradient is that of the negative bound, with less noise (arXiv 1810.04152).

    The encoder's goes through the codes alone, weighed by the squares of the normalised importance weights.
    """
    shares = log_weights.detach().softmax(0)
    if z.requires_grad:
        z.register_hook(lambda gradient: gradient * shares[..., None])
    surrogate = -(shares * log_weights).sum(0)
    return surrogate - surrogate.detach()
