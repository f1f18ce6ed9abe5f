"""Priors: the distribution of codes before a row is seen."""

from sklae._codes.base import CodeDistribution
from sklae._codes.normal import StandardNormalCodes
from sklae.priors._base import Prior, PriorModule, StandardNormal
from sklae.priors._flows import Flow
from sklae.priors._mixtures import GaussianMixture
from sklae.priors._sampler import Sampler
from sklae.priors._vamp import VampPrior

__all__ = [
    "PRIORS",
    "CodeDistribution",
    "Flow",
    "GaussianMixture",
    "Prior",
    "PriorModule",
    "Sampler",
    "StandardNormal",
    "StandardNormalCodes",
    "VampPrior",
]

#: Name -> class. A new prior is one class and one row here.
PRIORS: dict[str, type[Prior]] = {
    "normal": StandardNormal,
    "gaussian_mixture": GaussianMixture,
    "vamp": VampPrior,
    "flow": Flow,
}
