"""Every private or version-dependent import of scikit-learn, in one place."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils._set_output import _get_adapter_from_container as container_adapter

__all__ = ["Interval", "Options", "StrOptions", "container_adapter", "fit_context", "validate_params"]


def validate_params(estimator):
    """Check the constructor parameters of a scikit-learn object against its declared constraints."""
    estimator._validate_params()
