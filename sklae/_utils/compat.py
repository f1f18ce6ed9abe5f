"""Every private or version-dependent import of scikit-learn, in one place."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import HasMethods, MissingValues, Options, RealNotInt, StrOptions
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._set_output import _get_adapter_from_container as container_adapter
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

__all__ = [
    "BaseComposition",
    "HasMethods",
    "Interval",
    "MissingValues",
    "Options",
    "RealNotInt",
    "StrOptions",
    "check_feature_names_in",
    "container_adapter",
    "fit_context",
    "safe_indexing",
    "validate_params",
    "wrap_transformed",
]


class Interval(_Interval):
    """Numbers in a range; to scikit-learn's own, ``True`` is 1."""

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


def validate_params(estimator):
    """Check the constructor parameters of a scikit-learn object against its declared constraints."""
    estimator._validate_params()


def wrap_transformed(values, X, estimator):
    """Return what ``transform`` would make of an array of codes: the container follows ``set_output``."""
    return _wrap_data_with_container("transform", values, X, estimator)
