"""The parts of an autoencoder, resolved: what names and instances in a constructor stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from sklae._autoencoders.checks import check_factory
from sklae._autoencoders.defaults import default_dropout, default_hidden_layer_sizes
from sklae._utils.component import resolve
from sklae._utils.warnings import warn
from sklae.corruptions import CORRUPTIONS, Corruption
from sklae.likelihoods import LIKELIHOODS, Blocks, Likelihood
from sklae.networks import MLP, NETWORKS, Network
from sklae.penalties import PENALTIES, Penalty
from sklae.posteriors import Posterior
from sklae.priors import Prior
from sklae.schedules import WeightSchedule

__all__ = ["Parts", "resolve_likelihood"]

Factory = Callable[[int, int], nn.Module]


def resolve_likelihood(given: Any, auto: Likelihood) -> Likelihood:
    """Return the likelihood that a constructor's parameter stands for."""
    if isinstance(given, str) and given == "auto":
        return auto
    return resolve(Blocks(given) if isinstance(given, list) else given, LIKELIHOODS)


@dataclass(frozen=True)
class Parts:
    """What an estimator's module and loss are made of, before any table is seen.

    ``estimator.__sklae_parts__()`` returns one.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its other parameters.
    likelihood, posterior, prior : Component
        ``prior`` is None for a plain autoencoder.
    objective : dict
        What holds the codes to the prior: arguments of `Objective`.
    n_draws : int
        How many codes per row training draws.
    """

    estimator: Any
    likelihood: Likelihood
    posterior: Posterior
    prior: Prior | None = None
    objective: dict[str, Any] = field(default_factory=dict)
    n_draws: int = 1

    @property
    def has_density(self) -> bool:
        """Whether rows have a density, and a bound of it."""
        return self.prior is not None and self.prior.has_density and self.posterior.has_density

    @property
    def schedules(self) -> list[WeightSchedule]:
        """What changes with the epoch."""
        beta, divergence = self.objective.get("beta"), self.objective.get("divergence")
        of_divergence = [] if divergence is None else divergence.schedules
        return [*([beta] if isinstance(beta, WeightSchedule) else []), *of_divergence]

    @property
    def corruption(self) -> Corruption | None:
        """What damages the inputs in training."""
        return resolve(self.estimator.corruption, CORRUPTIONS)

    @property
    def penalty(self) -> Penalty | None:
        """What else is added to the loss."""
        return resolve(self.estimator.penalty, PENALTIES)

    @property
    def factories(self) -> dict[str, Factory | None]:
        """The user's own encoder and decoder, in place of the network's."""
        return {role: check_factory(getattr(self.estimator, role), role) for role in ("encoder", "decoder")}

    def network(self, n_features: int, n_samples: int) -> Network:
        """Return what builds encoder and decoder for a table of so many columns and training rows."""
        given, sizes = self.estimator.network, self.estimator.hidden_layer_sizes
        if given is None:
            sizes = default_hidden_layer_sizes(n_features) if sizes is None else sizes
            dropout = 0.0 if self.prior is None else default_dropout(n_samples, n_features)
            return resolve(MLP(sizes, activation=self.estimator.activation, dropout=dropout), NETWORKS)
        if sizes is not None:
            warn(
                f"Got network={given!r} and hidden_layer_sizes={sizes!r}; the network wins. Set one of them only.",
            )
        return resolve(given, NETWORKS)
