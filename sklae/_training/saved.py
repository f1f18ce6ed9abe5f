"""What a file keeps of a net."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from skorch.history import History

__all__ = ["NOT_KEPT", "Saved"]

#: Attributes that are made again when asked for, or are of a run that is going on.
NOT_KEPT = ("_float64", "_listeners", "_valid_noise", "_interrupts", "_processes", "_n_epochs", "_task")
_OF_TRAINING = ("optimizer_", "opponent_optimizers_", "callbacks_", "virtual_params_")


class Saved(NeuralNet):
    """The part of a net that says what is kept of it."""

    device: Any

    def saved_state(self, *, keeps_optimizer: bool) -> dict[str, Any]:
        """Return the net's own attributes, and what its optimizers remember.

        Without that, callbacks and optimizers begin anew where the net is trained on, and epochs lack their batches.
        """
        state = {key: value for key, value in self.__dict__.items() if key not in (*NOT_KEPT, *_OF_TRAINING)}
        state["history_"] = self.history.to_list()
        if not keeps_optimizer:
            return {**state, "history_": [{**epoch, "batches": []} for epoch in state["history_"]]}
        optimizers = [each.state_dict() for each in self.optimizers] if hasattr(self, "optimizer_") else []
        return {**state, "callbacks_": self.callbacks_, "optimizers": optimizers}

    def load_saved_state(self, state: dict[str, Any]) -> None:
        """Become the net of which that was kept."""
        optimizers = state.pop("optimizers", None)
        self.__dict__.update(state, history_=History(state["history_"]), virtual_params_={})
        if str(self.device).startswith("cuda") and not torch.cuda.is_available():
            self.device = "cpu"
        for learner in self.learners:
            learner.to(self.device)
        self.initialize_optimizer()
        if optimizers is None:
            self.initialize_callbacks()
        for optimizer, remembered in zip(self.optimizers, optimizers or (), strict=False):
            optimizer.load_state_dict(remembered)
