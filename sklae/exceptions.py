"""Errors and warnings of sklae, each a subclass of one that scikit-learn users already catch."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "DivergenceError",
    "InconsistentVersionWarning",
    "InterruptedFitWarning",
    "LostProcessError",
    "SeparateModelsWarning",
]


class DivergenceError(ValueError):
    """The training loss turned infinite or NaN; the estimator is left as it was before the call.

    A ``ValueError``, as `MLPRegressor` raises when its weights turn non-finite.
    """


class InconsistentVersionWarning(UserWarning):
    """A pickle was written by another version of sklae."""


class InterruptedFitWarning(ConvergenceWarning):
    """A fit was interrupted by the user; the best weights so far were kept."""


class LostProcessError(RuntimeError):
    """Another process of a data-parallel fit failed, was killed, or did something else."""


class SeparateModelsWarning(UserWarning):
    """Several processes were started together, and each trains a model of its own."""
