"""Divergences: what holds the codes of the rows to the prior."""

from sklae.divergences._base import Codes, Divergence, DivergenceModule, kl_term, sampled_kl
from sklae.divergences._kl import KL
from sklae.divergences._latent_critic import LatentCritic
from sklae.divergences._mmd import MMD
from sklae.divergences._total_correlation import TotalCorrelation

__all__ = [
    "DIVERGENCES",
    "KL",
    "MMD",
    "Codes",
    "Divergence",
    "DivergenceModule",
    "LatentCritic",
    "TotalCorrelation",
    "kl_term",
    "sampled_kl",
]

#: Name -> class. A new divergence is one class and one row here.
DIVERGENCES: dict[str, type[Divergence]] = {
    "kl": KL,
    "tc": TotalCorrelation,
    "mmd": MMD,
    "adversarial": LatentCritic,
}
