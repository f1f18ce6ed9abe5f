"""The state of estimators in pickles: which version wrote it, and equal for equal estimators."""

from __future__ import annotations

import pickle
import sys
from typing import Any

from sklae._utils.warnings import warn
from sklae.exceptions import InconsistentVersionWarning

__all__ = ["OF_CALLBACKS", "Persistent", "tell_other_version", "version"]

_VERSION = "_sklae_version"
#: Attributes by which scikit-learn's callbacks are told of fits.
OF_CALLBACKS = ("_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx")


def version() -> str:
    """Return the version of sklae that is running."""
    return sys.modules["sklae"].__version__


def tell_other_version(what: str, written: str) -> None:
    """Warn of what another version wrote."""
    if written != version():
        warn(
            f"Got a {what} that sklae {written} wrote, read by {version()}; expected the same version. It may not "
            f"work, or answer otherwise: install sklae=={written}, or fit it anew.",
            InconsistentVersionWarning,
        )


class Persistent:
    """Estimators whose pickles, and joblib's hashes, are equal before and after a pickle, and say who wrote them."""

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        # callbacks may hold the estimator itself; the state may be the estimator's own dict
        told = {name: value for name, value in state.items() if name in OF_CALLBACKS}
        own = {name: value for name, value in state.items() if name not in OF_CALLBACKS}
        return {**_settled(own), **told, _VERSION: version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        written = state.pop(_VERSION, None)
        if written is not None:
            tell_other_version(f"pickle of {type(self).__name__}", written)
        super().__setstate__(state)  # type: ignore[misc]


def _settled(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as pickles give it back: strides of empty arrays, say, and caches of frames change but once."""
    try:
        return pickle.loads(pickle.dumps(state))
    except (pickle.PicklingError, AttributeError, TypeError):  # a lambda's: for cloudpickle, which has its own ways
        return state
