"""The contract of a divergence, and the KL term."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from sklae._utils.component import Component
from sklae.posteriors import RowCodes
from sklae.priors import CodeDistribution
from sklae.schedules import WeightSchedule

if TYPE_CHECKING:
    from sklae.posteriors import Posterior

__all__ = ["Codes", "Divergence", "DivergenceModule", "Opponent", "kl_term", "sampled_kl"]


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
        What they are held to.
    n_rows : int
        Number of training rows, of which the batch is a part.
    generator : torch.Generator or None
        For draws of the divergence's own.
    log_q : callable
        ``log_q()`` is the log-density of the codes drawn under their posteriors (`RowCodes.path_log_prob`).
    epoch : float, default=0.0
        How many epochs have been trained.
    weight : Tensor of shape (n_samples,) or None, default=None
        How much each row counts, of mean 1 over all training rows; None: all alike.
    """

    q: RowCodes
    z: torch.Tensor
    noise: torch.Tensor
    prior: CodeDistribution
    n_rows: int
    generator: torch.Generator | None
    log_q: Callable[[], torch.Tensor]
    epoch: float = 0.0
    weight: torch.Tensor | None = None

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mean of rows' values, (n_samples, ...), each times its weight: as the loss takes it of terms."""
        return (values if self.weight is None else (values.T * self.weight).T).mean(0)

    def draw_from_prior(self) -> torch.Tensor:
        """Draw as many codes from the prior as there are rows."""
        generator = self.generator or torch.Generator(self.z.device).manual_seed(0)
        return self.prior.sample(len(self.z), generator).to(self.z)


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
    needs_density : bool
        Whether it asks the prior for densities of codes, not only for draws.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.divergences import Divergence, kl_term
    >>> class Centred(Divergence):
    ...     def terms(self, codes):
    ...         return {"kl": kl_term(codes), "centre": codes.q.mean.mean(0).square().sum()}
    ...
    ...     def weights(self, beta):
    ...         return {"kl": beta, "centre": 1.0}
    >>> vae = VAETransformer(2, divergence=Centred(), max_iter=2, random_state=0).fit(
    ...     load_wine().data
    ... )
    >>> "train_centre" in vae.net_.history[-1]
    True
    """

    least_beta: float = 0.0
    bound_terms: tuple[str, ...] = ("kl",)
    is_bound: bool = False
    needs_density: bool = True

    def check(self, posterior: Posterior) -> None:
        """Refuse a posterior that the divergence is not defined for."""
        if not posterior.has_density:
            raise ValueError(
                f"Got posterior={posterior!r} with divergence={self!r}, which is not defined for codes without a "
                "density; expected divergence='mmd' or 'adversarial', or a posterior that spreads its mass, as "
                "'diagonal'."
            )

    def terms(self, codes: Codes) -> dict[str, torch.Tensor]:
        """Return the terms in nats, by name: (n_samples,) each, or () for statistics of the batch."""
        raise NotImplementedError(f"{type(self).__name__} has neither terms() nor a build() that returns what has.")

    def weights(self, beta: float) -> dict[str, float]:
        """Return the terms' weights in the loss."""
        return {"kl": beta}

    def final_weights(self, beta: float) -> dict[str, float]:
        """Return what the terms weigh in the loss of validation rows that epochs are compared by.

        By default what they weigh in training. A term that a module makes in evaluation mode only has its weight here.
        """
        return self.weights(beta)

    @property
    def schedules(self) -> list[WeightSchedule]:
        """What changes with the epoch."""
        return []

    def build(self, n_components: int) -> DivergenceModule:
        """Return the module of the terms: a subclass where something is learned."""
        return DivergenceModule(self)


class Opponent(nn.Module):
    """What may be trained against the model: by an optimizer of its own, after each of its steps, on `opponent_loss`.

    Attributes
    ----------
    is_opponent : bool
        Whether it is, and not with the model.
    n_steps : int
        How many steps it takes for one of the model.
    learning_rate : float or None
        None: the model's.
    loss_name : str
        What its loss is called in the history.
    """

    is_opponent: bool = True
    n_steps: int = 1
    learning_rate: float | None = None
    loss_name: str = "opponent"

    def make_optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        """Return the optimizer of its parameters, given the model's rate."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate or learning_rate)


class DivergenceModule(Opponent):
    """The terms of a divergence. Its parameters, if it has any, are trained with the model's, unless ``is_opponent``.

    Parameters
    ----------
    divergence : Divergence
        Whose module it is.
    """

    is_opponent = False

    def __init__(self, divergence: Divergence):
        super().__init__()
        self.divergence = divergence

    def forward(self, codes: Codes) -> dict[str, torch.Tensor]:
        """Return the terms in nats, by name: (n_samples,) each, or () for statistics of the batch."""
        return self.divergence.terms(codes)

    def opponent_loss(self, codes: Codes) -> torch.Tensor:
        """Return what an opponent's parameters minimise, (n_samples,): of ``codes.z``, cut off from the model."""
        raise NotImplementedError(f"{type(self).__name__} says is_opponent=True and has no opponent_loss(codes).")


def kl_term(codes: Codes) -> torch.Tensor:
    """Return KL(q || prior) per row, closed where there is a closed form, else from the codes drawn.

    Parameters
    ----------
    codes : Codes
        The codes of a batch, and their prior.

    Returns
    -------
    kl : Tensor of shape (n_samples,), or (n_draws, n_samples)
        In nats.

    Examples
    --------
    >>> import torch
    >>> from sklae.divergences import Codes, kl_term
    >>> from sklae.posteriors import DiagonalCodes
    >>> from sklae.priors import StandardNormalCodes
    >>> q = DiagonalCodes(torch.ones(3, 2), torch.ones(3, 2))
    >>> noise = torch.zeros(3, 2)
    >>> codes = Codes(
    ...     q,
    ...     q.push(noise),
    ...     noise,
    ...     StandardNormalCodes(2),
    ...     3,
    ...     None,
    ...     lambda: q.log_prob(q.mean),
    ... )
    >>> kl_term(codes)
    tensor([1., 1., 1.])
    """
    closed_form = codes.q.kl(codes.prior) if codes.z.ndim == 2 else None
    return sampled_kl(codes.z, codes.log_q, codes.prior) if closed_form is None else closed_form


def sampled_kl(z: torch.Tensor, log_q: Callable[[], torch.Tensor], prior: CodeDistribution) -> torch.Tensor:
    """Return log q(z) - log p(z) of codes, as `RowCodes.push_with_density` gives them.

    Parameters
    ----------
    z : Tensor of shape (n_samples, n_components), or (n_draws, n_samples, n_components)
        The codes drawn.
    log_q : callable
        ``log_q()`` returns their log-density under their posteriors.
    prior : CodeDistribution
        What they are held to.

    Returns
    -------
    kl : Tensor of shape (n_samples,), or (n_draws, n_samples)
        In nats; its mean over draws is the divergence.

    Examples
    --------
    >>> import torch
    >>> from sklae.divergences import sampled_kl
    >>> from sklae.posteriors import DiagonalCodes
    >>> from sklae.priors import StandardNormalCodes
    >>> q = DiagonalCodes(torch.ones(3, 2), torch.ones(3, 2))
    >>> sampled_kl(q.mean, lambda: q.log_prob(q.mean), StandardNormalCodes(2))
    tensor([1., 1., 1.])
    """
    return log_q() - prior.log_prob(z)
