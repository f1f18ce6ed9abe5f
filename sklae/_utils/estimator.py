"""What sklae's estimators are, beside their verbs."""

from sklearn.base import BaseEstimator

from sklae._utils.component import NestedParameters
from sklae._utils.documented import Documented
from sklae._utils.persistent import Persistent
from sklae._utils.tasks import TakesCallbacks

__all__ = ["Estimator"]


class Estimator(NestedParameters, Persistent, Documented, TakesCallbacks, BaseEstimator):
    """Base class of estimators: searches reach into parts, pickles say who wrote them, callbacks hear of fits."""
