"""What tells genuine from made: layers that an adversary trains against a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from sklae.networks._base import Inputs, Network, call
from sklae.networks._custom import build

__all__ = ["Judge"]


class Judge(nn.Module):
    """Features of rows or codes, and one number made of them: the log-odds that they are genuine.

    Parameters
    ----------
    network : Network
        Its encoder makes the features.
    inputs : Inputs
    width : int
        How many features there are.
    gradient_penalty : float
        Weight of half the squared slope of the log-odds where things are genuine (R1, arXiv 1801.04406).
    """

    def __init__(self, network: Network, inputs: Inputs, width: int, gradient_penalty: float):
        super().__init__()
        self.body = build("encoder", network, None, inputs, width)
        self.head = nn.Linear(width, 1)
        self.gradient_penalty = gradient_penalty

    def forward(
        self, values: torch.Tensor, condition: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the log-odds, (n_samples,), and the features, (n_samples, width), of one variance in every row."""
        # without it features grow for as long as that helps to tell rows apart, and their distances with them
        features = functional.layer_norm(
            call(self.body, values, None, condition, generator), self.head.weight.shape[1:]
        )
        return self.head(functional.leaky_relu(features, 0.2))[..., 0], features

    def frozen(self, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the same, for gradients that go through what is judged alone."""
        parameters = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, parameters, args)

    def tell_apart(
        self,
        genuine: torch.Tensor,
        made: torch.Tensor,
        condition: torch.Tensor | None = None,
        condition_of_made: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the logistic loss of telling one from the other, a number, and the penalty of steep judgements."""
        genuine = genuine.detach().requires_grad_(self.gradient_penalty > 0)
        of_genuine, _ = self(genuine, condition, generator)
        of_made, _ = self(made, condition_of_made, generator)
        loss = functional.softplus(-of_genuine).mean() + functional.softplus(of_made).mean()
        if not self.gradient_penalty:
            return loss
        (slope,) = torch.autograd.grad(of_genuine.sum(), genuine, create_graph=True)
        return loss + 0.5 * self.gradient_penalty * slope.square().sum(-1).mean()
