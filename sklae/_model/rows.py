"""What a model says of rows, given their codes."""

from __future__ import annotations

import torch

from sklae.likelihoods import ColumnDensity

__all__ = ["RowsGiven"]


class RowsGiven:
    """The distribution of encoded rows given codes: the likelihood under the decoder's output.

    A decoder whose output depends on the row itself, as an autoregressive one's does, returns a class of its own with
    these methods (see `sklae.networks.Network`).

    Parameters
    ----------
    density : ColumnDensity
    params : Tensor of shape (..., n_samples, n_outputs)
        The decoder's output.
    """

    def __init__(self, density: ColumnDensity, params: torch.Tensor):
        self.density = density
        self.params = params

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        """Return -log p(x | z) per column, (..., n_samples, n_columns), less what nothing learned changes."""
        energy = self.density.energy(self.params, x)
        return energy + self.density.log_norm() if self.density.learns_norm else energy

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """Return log p(x | z) per column, (..., n_samples, n_columns), in nats."""
        return self.density.log_prob(self.params, x)

    @property
    def mean(self) -> torch.Tensor:
        """The expected rows, (..., n_samples, n_columns); of categories the code of the likeliest level."""
        return self.density.mean(self.params)

    def expectation(self) -> torch.Tensor:
        """Return the expected cells, (..., n_samples, n_cells): a number's mean, each level's probability."""
        return self.density.expectation(self.params)

    def sample(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one row for each code."""
        return self.density.sample(self.params, generator)
