"""Optimizers: Adam and AdamW whose fused step does its bookkeeping once, and an LBFGS that survives pickling.

On small networks PyTorch spends several times longer on collecting and grouping the tensors of a step than
in the fused kernel. The state, the hooks and every bit of the result are those of PyTorch's own classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer

__all__ = ["LBFGS", "SOLVERS", "Adam", "AdamW", "Solver", "clip_gradients"]


class _Plan:
    """The tensors of one parameter group's step, collected once."""

    def __init__(self, group: dict[str, Any], state: Any):
        self.parameters = list(group["params"])
        states = [state[parameter] for parameter in self.parameters]
        self.averages = [s["exp_avg"] for s in states]
        self.squares = [s["exp_avg_sq"] for s in states]
        self.steps = [s["step"] for s in states]
        self.kernel = torch._fused_adamw_ if group.get("decoupled_weight_decay") else torch._fused_adam_

    def run(self, group: dict[str, Any], gradients: list[Any]) -> None:
        torch._foreach_add_(self.steps, 1)
        beta1, beta2 = group["betas"]
        self.kernel(
            self.parameters,
            gradients,
            self.averages,
            self.squares,
            [],
            self.steps,
            amsgrad=False,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


class _PlannedStep(torch.optim.Optimizer):
    """Mix-in: `step` by plan where nothing unusual is asked for, else PyTorch's own."""

    _plans: list[_Plan] | None = None

    def step(self, closure: Callable | None = None) -> Any:
        """Take one optimizer step, as `torch.optim.Adam.step` does."""
        gradients = [[parameter.grad for parameter in group["params"]] for group in self.param_groups]
        if self._plans is None or closure is not None or self._has_hooks() or not _complete(gradients):
            result = super().step(closure)
            self._plans = self._make_plans()
            return result
        with torch.no_grad():
            for plan, group, grads in zip(self._plans, self.param_groups, gradients, strict=True):
                plan.run(group, grads)
        return None

    # PyTorch wraps the step of a class that lacks this mark, to profile it and to call hooks;
    # the inherited step, taken where there are hooks, is wrapped
    step.hooked = True  # type: ignore[attr-defined]

    def _make_plans(self) -> list[_Plan] | None:
        """Return one plan per group, or None where the plain kernel call would not do the same."""
        usual = all(
            group["fused"]
            and not (group["amsgrad"] or group["maximize"] or group["capturable"] or group["differentiable"])
            and isinstance(group["lr"], float)
            and all(p.device.type == "cpu" and "step" in self.state[p] for p in group["params"])
            and len({p.dtype for p in group["params"]}) == 1
            for group in self.param_groups
        )
        return [_Plan(group, self.state) for group in self.param_groups] if usual else None

    def _has_hooks(self) -> bool:
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or torch_optimizer._global_optimizer_pre_hooks
            or torch_optimizer._global_optimizer_post_hooks
        )

    def load_state_dict(self, state_dict: Any) -> None:
        """Load a state, as PyTorch does."""
        super().load_state_dict(state_dict)
        self._plans = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, as PyTorch does."""
        super().add_param_group(param_group)
        self._plans = None


def _complete(gradients: list[list[Any]]) -> bool:
    return not any(gradient is None for group in gradients for gradient in group)


class Adam(_PlannedStep, torch.optim.Adam):
    """`torch.optim.Adam` with a planned fused step."""


class AdamW(_PlannedStep, torch.optim.AdamW):
    """`torch.optim.AdamW` with a planned fused step."""


class LBFGS(torch.optim.LBFGS):
    """`torch.optim.LBFGS` that can go on after unpickling, and that ends where nothing is to be gained.

    PyTorch's forgets its list of parameters, and fails in its line search where the loss is flat to the last bit.
    """

    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one step, as `torch.optim.LBFGS.step` does."""
        try:
            return super().step(closure)
        except ZeroDivisionError:  # of a step of length 0; the parameters are as they were before it
            return closure()

    step.hooked = True  # type: ignore[attr-defined]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]
        self._numel_cache = None


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float) -> None:
    """Shorten the gradient of all parameters together to a norm, where it is longer; one that is not finite stays."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    with torch.no_grad():
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (max_norm / norm).clamp(max=1.0))


@dataclass(frozen=True)
class Solver:
    """What is true of an optimizer.

    Attributes
    ----------
    optimizer : type
    settings : dict
        Its arguments.
    full_batch : bool
        Whether a step looks at all rows, several times: then the loss must be a function of the weights alone.
    learning_rate : float or None
        A rate of its own, in place of the user's.
    takes_weight_decay : bool
    """

    optimizer: type[torch.optim.Optimizer]
    settings: Mapping[str, Any] = field(default_factory=dict)
    full_batch: bool = False
    learning_rate: float | None = None
    takes_weight_decay: bool = True


#: Name -> solver. A new one is one row here.
SOLVERS: dict[str, Solver] = {
    "adam": Solver(Adam, {"fused": True}),
    "adamw": Solver(AdamW, {"fused": True}),
    "sgd": Solver(torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
    "rmsprop": Solver(torch.optim.RMSprop),
    "lbfgs": Solver(
        LBFGS, {"line_search_fn": "strong_wolfe"}, full_batch=True, learning_rate=1.0, takes_weight_decay=False
    ),
}
