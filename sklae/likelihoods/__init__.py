"""Likelihoods: the distribution of a row given the decoder's output, one term per column."""

from sklae.likelihoods._base import ColumnDensity, Likelihood, Support
from sklae.likelihoods._blocks import BlockColumns, Blocks
from sklae.likelihoods._categorical import Categorical
from sklae.likelihoods._counts import NegativeBinomial, Poisson
from sklae.likelihoods._histogram import Histogram
from sklae.likelihoods._mixed import Mixed
from sklae.likelihoods._ordinal import Ordinal
from sklae.likelihoods._real import Gaussian, Laplace, LogNormal, StudentT
from sklae.likelihoods._table import LIKELIHOODS
from sklae.likelihoods._unit import Bernoulli, ContinuousBernoulli

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "BlockColumns",
    "Blocks",
    "Categorical",
    "ColumnDensity",
    "ContinuousBernoulli",
    "Gaussian",
    "Histogram",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "Mixed",
    "NegativeBinomial",
    "Ordinal",
    "Poisson",
    "StudentT",
    "Support",
]

# as users import it: scikit-learn's errors print where a class is from
Likelihood.__module__ = __name__
