"""What distributions of codes answer: those of priors, and those of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import torch

from sklae._utils.processes import fill
from sklae._utils.quasi_random import antithetic_draws

__all__ = ["CodeDistribution", "RowCodes"]


class CodeDistribution:
    """A distribution over codes; with conditions, one for each row."""

    @abstractmethod
    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log p(z) per row, in nats.

        Parameters
        ----------
        z : Tensor of shape (..., n_samples, n_components)
            Codes, a row each.

        Returns
        -------
        log_prob : Tensor of shape (..., n_samples)
            In nats.
        """

    @abstractmethod
    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        """Draw codes of shape (n_samples, n_components); with conditions, one for each row."""


class RowCodes:
    """A distribution of codes per row, with `mean` of shape (n_samples, n_components).

    Attributes
    ----------
    path_only : bool
        Whether the gradient of `path_log_prob` goes through the codes alone.
    """

    mean: torch.Tensor
    path_only: bool = False

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation of each component, (n_samples, n_components)."""
        draws = antithetic_draws(64, self.mean.shape[-1]).to(self.mean)
        return (self.push(draws[:, None, :]) - self.mean).square().mean(0).sqrt()

    def draw_noise(self, generator: torch.Generator, n_draws: int = 1) -> torch.Tensor:
        """Draw what `push` takes: (n_samples, n_components), or with several draws one more leading axis."""
        shape = self.mean.shape if n_draws == 1 else (n_draws, *self.mean.shape)
        empty = self.mean.new_empty(shape)
        return fill(empty, lambda noise: noise.normal_(generator=generator), generator, axis=len(shape) - 2)

    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one code per row, differentiably."""
        return self.push(self.draw_noise(generator))

    @abstractmethod
    def push(self, noise: torch.Tensor) -> torch.Tensor:
        """Turn standard normal draws, broadcastable to (..., n_samples, n_components), into codes."""

    def push_with_density(self, noise: torch.Tensor) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
        """Return z = push(noise), and a function that returns what `path_log_prob` does of it, when asked."""
        z = self.push(noise)
        return z, lambda: self.path_log_prob(z, noise)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z) per row, in nats; posteriors that have no density don't override this."""
        raise TypeError(f"Got {type(self).__name__}, which has no density; expected a posterior that spreads its mass.")

    def component_log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z_j) of each component, (..., n_samples, n_components), in nats."""
        raise TypeError(f"Got {type(self).__name__}, whose components have no densities of their own.")

    def path_log_prob(self, z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return log q(z) of z = push(noise).

        With `path_only` its gradient goes through z alone: the rest has mean zero and only adds noise (arXiv
        1703.09194).
        """
        return self.log_prob(z)

    def kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        """Return KL(q || prior) per row in nats, or None where there is no closed form."""
        components = self.component_kl(prior)
        return None if components is None else components.sum(-1)

    def component_kl(self, prior: CodeDistribution) -> torch.Tensor | None:
        """Return the same per component, (n_samples, n_components), or None where components are not independent."""
        return None

    def select(self, rows: torch.Tensor) -> Self:
        """Return the distributions of some rows."""
        raise TypeError(f"Got {type(self).__name__}, whose rows can't be selected; expected a posterior that can.")
