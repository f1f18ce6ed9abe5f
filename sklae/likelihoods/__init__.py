"""Likelihoods: the distribution of a row given the decoder's output, one term per column."""

from sklae.likelihoods._base import ColumnDensity, Likelihood, Support
from sklae.likelihoods._blocks import BlockColumns, Blocks
from sklae.likelihoods._mixed import Mixed
from sklae.likelihoods._table import *  # noqa: F403 - the classes listed there
from sklae.likelihoods._table import LIKELIHOODS

__all__ = ["LIKELIHOODS", "BlockColumns", "Blocks", "ColumnDensity", "Likelihood", "Mixed", "Support"]
__all__ += [likelihood.__name__ for likelihood in LIKELIHOODS.values()]

# as users import it: scikit-learn's errors print where a class is from
Likelihood.__module__ = __name__
