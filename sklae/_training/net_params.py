"""Settings of the net by skorch's own names: which ones work, and where the others are set."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

__all__ = ["check_callback_names", "check_net_params"]

# skorch's name -> where the estimator, or what else it plans by it, has it.
_OWN_NAMES = {
    "module": "network=, or encoder= and decoder=",
    "criterion": "likelihood=, penalty= and the other parts",
    "max_epochs": "max_iter=",
    "batch_size": "batch_size=",
    "lr": "learning_rate_init=",
    "callbacks": "callbacks=, beside which a planned learning rate and schedules stay",
    "train_split": "early_stopping= and validation_fraction=, or fit(X, X_val=...)",
    "dataset": "what fit is given: rows are encoded before",
    "device": "device=",
    "verbose": "verbose=",
    "warm_start": "warm_start=",
    "monitor": "tol= and n_iter_no_change=",
    "seeds": "random_state=",
    "iterator_train__batch_size": "batch_size=",
    "iterator_train__shuffle": "shuffle=",
    "iterator_valid__batch_size": "batch_size=, by which batches to validate on go",
}
# Of these the settings are the estimator's, too.
_BUILT = ("module", "criterion", "dataset")
_ITERATORS = ("iterator_train", "iterator_valid")


def check_net_params(net_params: Mapping[str, Any] | None) -> None:
    """Refuse what would have no effect, or belongs to the estimator."""
    given = net_params or {}
    for name in filter(lambda name: isinstance(name, str), given):
        prefix, _, setting = name.partition("__")
        if prefix in _ITERATORS and setting and prefix in given:
            _check_argument(name, given[prefix], setting)
        elif name in _OWN_NAMES or prefix in _BUILT:
            raise ValueError(
                f"Got net_params with {name!r}; expected settings that are not the estimator's own. Set it by "
                f"{_OWN_NAMES[name if name in _OWN_NAMES else prefix]}."
            )
        elif prefix in _ITERATORS and setting:
            raise ValueError(
                f"Got net_params with {name!r}; expected an iterator of your own beside it, as in "
                f"{{'{prefix}': torch.utils.data.DataLoader, {name!r}: ...}}. sklae's has no {setting!r}."
            )
        elif name.endswith("_") or name == "history":
            raise ValueError(f"Got net_params with {name!r}; expected settings of the net: this one training sets.")
        elif prefix == "compile" and setting and not given.get("compile"):
            raise ValueError(f"Got net_params with {name!r} and no 'compile'; expected both. Add 'compile': True.")


def check_callback_names(net_params: Mapping[str, Any] | None, net: Any) -> None:
    """Refuse settings of callbacks that an initialised net doesn't have."""
    known = {name for name, _ in net.callbacks_}
    for name, value in (net_params or {}).items():
        prefix, _, rest = name.partition("__")
        if prefix == "callbacks" and value is not None and rest.partition("__")[0] not in known:
            raise ValueError(f"Got net_params with {name!r}; expected 'callbacks__' and one of {sorted(known)}.")


def _check_argument(name: str, iterator: Any, setting: str) -> None:
    """Refuse what is no argument of an iterator."""
    parameters = inspect.signature(iterator).parameters.values()
    known = [each.name for each in parameters]
    if setting not in known and not any(each.kind is each.VAR_KEYWORD for each in parameters):
        raise ValueError(f"Got net_params with {name!r}; expected an argument of {iterator!r}, one of {known}.")
