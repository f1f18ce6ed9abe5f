"""Every private or version-dependent import of scikit-learn, in one place."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._available_if import _AvailableIfDescriptor
from sklearn.utils._param_validation import HasMethods, MissingValues, Options, RealNotInt, StrOptions
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._set_output import _get_adapter_from_container as container_adapter
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback._callback_support import callback_management_context as callback_lifetime
except ImportError:  # before scikit-learn 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """Nothing: there are no callbacks."""

    callback_lifetime = None

__all__ = [
    "BaseComposition",
    "CallbackSupport",
    "HasMethods",
    "Interval",
    "MissingValues",
    "Options",
    "RealNotInt",
    "StrOptions",
    "available_if",
    "callback_lifetime",
    "check_feature_names_in",
    "check_sample_weight",
    "container_adapter",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_params",
    "wrap_transformed",
]


class _AvailableIf(_AvailableIfDescriptor):
    """Says in the error itself why there is no such attribute."""

    def _check(self, obj, owner):
        try:
            super()._check(obj, owner)
        except AttributeError as error:
            if error.__cause__ is None:
                raise
            raise AttributeError(f"{error}: {error.__cause__}") from error.__cause__


def available_if(check):
    """Return a decorator as scikit-learn's, for methods that are there only if ``check`` returns True.

    Its AttributeError ends with the message of what ``check`` raised.
    """
    return lambda function: _AvailableIf(function, check, attribute_name=function.__name__)


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
