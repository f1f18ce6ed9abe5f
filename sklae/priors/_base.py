"""What all priors share, and the standard normal one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from sklae._codes.base import CodeDistribution, RowCodes
from sklae._codes.normal import StandardNormalCodes
from sklae._utils.component import Component

if TYPE_CHECKING:
    from sklae._tables.layout import Layout, Rows

__all__ = ["Prior", "PriorModule", "StandardNormal", "check_conditional"]


class PriorModule(nn.Module):
    """What a prior builds.

    Attributes
    ----------
    factorizes : bool
        Whether its components are independent and standard normal, so that a KL divergence is a sum over them.
    floats : bool
        Whether it follows the codes wherever they go, so that training has to hold them in place.
    width : int
        How many numbers the density of one code takes.
    """

    factorizes: bool = False
    floats: bool = False
    width: int = 0

    def __init__(self) -> None:
        super().__init__()

    @property
    def starts_from_rows(self) -> bool:
        """Whether `start` does anything: rows are looked up for it only then."""
        return type(self).start is not PriorModule.start

    def start(self, rows: Rows, draw_codes: Callable[[], torch.Tensor], generator: torch.Generator) -> None:
        """Set learned numbers, or make them, from the training rows, before the first step; by default nothing is.

        Parameters
        ----------
        rows : Rows
            The training rows, encoded.
        draw_codes : callable
            Draws a code for each row from its posterior, as it is at the start, (n_rows, n_components), float64.
        generator : torch.Generator
            Where draws come from.
        """
        return None

    @abstractmethod
    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
        """Return the distribution of codes.

        Parameters
        ----------
        encode : callable
            ``encode(x, observed, condition)`` gives the posteriors of encoded rows, for priors made of these.
        condition : Tensor of shape (n_samples, n_condition) or None
            Encoded conditions of the rows that the codes belong to.

        Returns
        -------
        prior : CodeDistribution
            Of codes of so many rows.
        """


class Prior(Component):
    """A component that builds a `PriorModule`.

    Attributes
    ----------
    has_density : bool
        Whether codes have a density under it; without one it is for divergences that go by draws alone.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.priors import CodeDistribution, Prior, PriorModule
    >>> class WideCodes(CodeDistribution):
    ...     def log_prob(self, z):
    ...         return torch.distributions.Normal(0.0, 2.0).log_prob(z).sum(-1)
    ...
    ...     def sample(self, n_samples, generator):
    ...         return 2 * torch.randn(n_samples, 2, generator=generator, dtype=torch.float64)
    >>> class WideModule(PriorModule):
    ...     def forward(self, encode, condition=None):
    ...         return WideCodes()
    >>> class Wide(Prior):
    ...     def build(self, n_components, layout):
    ...         return WideModule()
    >>> vae = VAETransformer(2, prior=Wide(), max_iter=2, random_state=0).fit(
    ...     load_wine().data
    ... )
    >>> vae.sample(3, random_state=0).shape
    (3, 13)
    """

    has_density: bool = True

    def check(self) -> None:
        """Refuse settings that nothing can be built from, before any table is read."""
        return None

    @abstractmethod
    def build(self, n_components: int, layout: Layout) -> PriorModule:
        """Return the module for codes of this width.

        Raises
        ------
        ValueError
            If the prior does not suit these columns.
        """


class _StandardNormalModule(PriorModule):
    factorizes = True

    def __init__(self, n_components: int):
        super().__init__()
        self.distribution = StandardNormalCodes(n_components)

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
        return self.distribution


class StandardNormal(Prior):
    """The standard normal prior (arXiv 1312.6114).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> vae = VAETransformer(2, prior="normal", max_iter=2, random_state=0).fit(
    ...     load_wine().data
    ... )
    >>> bool(np.isclose(vae.prior_log_prob([[0.0, 0.0]])[0], -np.log(2 * np.pi)))
    True
    """

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        return _StandardNormalModule(n_components)


def check_conditional(prior: Prior, layout: Layout) -> None:
    """Refuse a prior that depends on conditions where there are none."""
    if not layout.n_condition:
        raise ValueError(
            f"Got {prior!r} for a model without conditions; expected condition_features. Name them, or leave "
            "conditional=False."
        )
