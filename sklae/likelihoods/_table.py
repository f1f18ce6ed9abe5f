"""The likelihoods that have a name."""

from __future__ import annotations

from sklae.likelihoods._base import Likelihood
from sklae.likelihoods._categorical import Categorical
from sklae.likelihoods._counts import NegativeBinomial, Poisson
from sklae.likelihoods._histogram import Histogram
from sklae.likelihoods._log_normal import LogNormal
from sklae.likelihoods._ordinal import Ordinal
from sklae.likelihoods._real import Gaussian, Laplace
from sklae.likelihoods._student import StudentT
from sklae.likelihoods._unit import Bernoulli, ContinuousBernoulli

#: Name -> class. A new likelihood is one file and one row here: the package exports what is listed.
LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "student_t": StudentT,
    "laplace": Laplace,
    "log_normal": LogNormal,
    "histogram": Histogram,
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "categorical": Categorical,
    "ordinal": Ordinal,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}
