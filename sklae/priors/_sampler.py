"""A prior that is known by its draws alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike

from sklae._codes.base import CodeDistribution, RowCodes
from sklae.priors._base import Prior, PriorModule

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = ["Sampler"]


class _SampledCodes(CodeDistribution):
    def __init__(self, function: Callable[[int, torch.Generator], ArrayLike], n_components: int):
        self.function = function
        self.n_components = n_components

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        raise TypeError(
            f"Got a density asked of Sampler({self.function!r}), which can only be drawn from; expected a prior with a "
            "density, as 'normal' or 'gaussian_mixture'."
        )

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        drawn = torch.as_tensor(self.function(n_samples, generator))
        if tuple(drawn.shape) != (n_samples, self.n_components) or not bool(drawn.isfinite().all()):
            raise ValueError(
                f"Got draws of shape {tuple(drawn.shape)} from Sampler({self.function!r}); expected finite ones of "
                f"shape ({n_samples}, {self.n_components}): function(n_samples, generator) returns that many codes of "
                "n_components numbers each."
            )
        return drawn.to(generator.device, torch.float64)


class _SamplerModule(PriorModule):
    def __init__(self, function: Callable[[int, torch.Generator], ArrayLike], n_components: int):
        super().__init__()
        self.distribution = _SampledCodes(function, n_components)

    def forward(self, encode: Callable[..., RowCodes], condition: torch.Tensor | None = None) -> CodeDistribution:
        return self.distribution


class Sampler(Prior):
    """Whatever a function draws codes from: a swiss roll, a ring, rows of another table.

    Nothing says how dense it is, so that it goes with divergences that look at draws alone, as ``"adversarial"`` and
    ``"mmd"``, and the model has no scores. `sample` of the model draws from it.

    Parameters
    ----------
    function : callable
        ``function(n_samples, generator)`` returns codes of shape (n_samples, n_components), drawn with a
        `torch.Generator`. To be pickled with the model, it has to live in an importable file.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.priors import Sampler
    >>> def ring(n_samples, generator):
    ...     angle = 2 * torch.pi * torch.rand(n_samples, generator=generator)
    ...     return torch.stack([angle.cos(), angle.sin()], dim=1)
    >>> settings = {
    ...     "posterior": "point",
    ...     "divergence": "adversarial",
    ...     "max_iter": 2,
    ...     "random_state": 0,
    ... }
    >>> vae = VAETransformer(2, prior=Sampler(ring), **settings).fit(load_wine().data)
    >>> vae.sample(3, random_state=0).shape
    (3, 13)
    """

    has_density = False
    _parameter_constraints = {"function": [callable]}

    def __init__(self, function: Callable[[int, torch.Generator], ArrayLike]):
        self.function = function

    def check(self) -> None:
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # of some that are written in C
            return
        try:
            signature.bind(2, None)
        except TypeError as error:
            raise ValueError(
                f"Got Sampler({self.function!r}), whose function takes {signature} ({error}); expected one that can be "
                "called as function(n_samples, generator). Give it these two, and draw with the generator, so that "
                "random_state has its say."
            ) from error

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        module = _SamplerModule(self.function, n_components)
        module.distribution.sample(2, torch.Generator().manual_seed(0))
        return module
