"""How a training run ended: what its history says of rows it was too short, or too fast, for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

__all__ = ["TrainingEnd"]

# A run whose rate was planned went on too briefly if its last part brought more than this share of all progress.
_LAST_PART, _MOST_PROGRESS = 0.2, 0.1
# It ended above its beginning if by more than this, in nats a row and feature, and after so many epochs.
_CLEARLY_WORSE, _LEAST_EPOCHS = 0.05, 5


@dataclass(frozen=True)
class TrainingEnd:
    """The end of a run.

    Parameters
    ----------
    history : list of dict
        Of its epochs.
    monitor : Monitor
    n_epochs : int
        How many epochs it had at most.
    n_features : int
    first_loss : float
        The mean training loss before the first step; infinity where it is not known.
    """

    history: list[dict[str, Any]]
    monitor: Any
    n_epochs: int
    n_features: int
    first_loss: float

    def problem(self, estimator: Any, *, plans_rate: bool) -> str:
        """Return what to tell the user, with a remedy; nothing if all went well."""
        last_loss = self.history[-1]["train_loss"]
        if self._ended_worse(last_loss) and not (self.monitor.validate and _has_default_rate(estimator)):
            kept = f" Kept the weights of epoch {self.monitor.best_epoch_}." if self.monitor.validate else ""
            return (
                f"Training ended above where it began: its loss went from {self.first_loss:.4g} to {last_loss:.4g} "
                f"nats a row.{kept} Lower learning_rate_init, which is {estimator.learning_rate_init:g}."
            )
        if not self._is_used_up() or self.monitor.converged_:
            return ""
        if plans_rate and self.monitor.validate:
            return self._too_brief() if self._was_still_improving() or self._is_too_short_to_tell() else ""
        if plans_rate or np.isinf(self.monitor.patience):
            return ""
        return self._too_brief() + " Or plan the rate over max_iter with learning_rate='one_cycle'."

    def _ended_worse(self, last_loss: float) -> bool:
        return len(self.history) >= _LEAST_EPOCHS and last_loss > self.first_loss + _CLEARLY_WORSE * self.n_features

    def _is_used_up(self) -> bool:
        return len(self.history) >= self.n_epochs

    def _was_still_improving(self) -> bool:
        losses = [self.monitor.first_loss_, *(epoch["valid_final_loss"] for epoch in self.history)]
        watched = np.minimum.accumulate([loss for loss in losses if math.isfinite(loss)])
        before = watched[round((1.0 - _LAST_PART) * (len(watched) - 1))]
        return watched[0] - watched[-1] > 0 and before - watched[-1] > _MOST_PROGRESS * (watched[0] - watched[-1])

    def _is_too_short_to_tell(self) -> bool:
        """Whether something was gained in fewer epochs than would have to pass without a gain."""
        return self.monitor.best_epoch_ > 0 and self.n_epochs < self.monitor.patience < math.inf

    def _too_brief(self) -> str:
        return (
            f"Maximum iterations ({self.n_epochs}) reached and the optimization hasn't converged yet. Raise max_iter "
            "or tol."
        )


def _has_default_rate(estimator: Any) -> bool:
    """Whether nothing is to be changed: the rate is the default, and the best weights were kept."""
    default = signature(type(estimator)).parameters["learning_rate_init"].default
    return estimator.learning_rate_init == default
