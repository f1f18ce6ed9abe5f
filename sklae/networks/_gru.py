"""Gated recurrence along the steps of a sequence, or along columns."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from sklae._utils.compat import Interval
from sklae.networks._base import Inputs, Network, beside
from sklae.networks._linear_path import with_linear_path
from sklae.networks._mlp import Dropout
from sklae.networks._shapes import fitting_size
from sklae.networks._steps import ValueTokens, as_steps, head_of_steps, read_steps

__all__ = ["GRU"]


class _Direction(nn.Module):
    """States at each step, (n_samples, n_steps, n_hidden), from the first step on or from the last one back."""

    def __init__(self, n_inputs: int, n_hidden: int, backwards: bool):
        super().__init__()
        # cells, not nn.GRU: on CUDA that has no second derivatives, which penalties and critics ask for, and first ones
        # in training mode only
        self.cell = nn.GRUCell(n_inputs, n_hidden)
        self.order = -1 if backwards else 1

    def forward(self, steps: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        states = []
        for step in steps.unbind(1)[:: self.order]:
            state = self.cell(step, state)
            states.append(state)
        return torch.stack(states[:: self.order], dim=1)


class _Layers(nn.Module):
    """Layers one after the other: the states of the last at each step, those of both directions side by side."""

    def __init__(self, network: GRU, n_inputs: int, bidirectional: bool):
        super().__init__()
        ways = [False, True] if bidirectional else [False]
        self.n_inputs, self.n_layers, self.n_hidden = n_inputs, network.n_layers, network.hidden_size
        self.width = len(ways) * self.n_hidden
        widths = [n_inputs] + [self.width] * (self.n_layers - 1)
        self.layers: Any = nn.ModuleList(
            [nn.ModuleList([_Direction(width, self.n_hidden, backwards) for backwards in ways]) for width in widths]
        )
        self.drop = Dropout(network.dropout) if network.dropout else None

    def n_activations(self, n_steps: int) -> int:
        """Return how many numbers a row takes: what all steps are given, or their states, or the gates of one."""
        return max(n_steps * max(self.n_inputs, self.width), 3 * self.n_hidden)

    def forward(
        self, steps: torch.Tensor, starts: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Run from initial states, (n_samples, n_layers * n_hidden), or from zero."""
        if starts is None:
            starts = steps.new_zeros(steps.shape[0], self.n_layers * self.n_hidden)
        for layer, start in zip(self.layers, starts.chunk(self.n_layers, dim=-1), strict=True):
            steps = beside(*(direction(steps, start) for direction in layer))
            if self.drop is not None:
                steps = self.drop(steps, generator)
        return steps


class _StepValues(nn.Module):
    """The values of each step as they are, and which were observed."""

    def __init__(self, inputs: Inputs, n_steps: int):
        super().__init__()
        self.n_tokens, self.width = n_steps, (inputs.n_values + inputs.n_mask) // n_steps

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return as_steps(self.n_tokens, values, mask)


class _Encoder(nn.Module):
    """Layers, and a map of the states at all steps side by side; a condition shifts what is read at each step."""

    sees_parts = True

    def __init__(self, network: GRU, inputs: Inputs, steps: Any, n_outputs: int):
        super().__init__()
        self.steps, self.n_steps = steps, steps.n_tokens
        # beside each step: so it shifts every gate
        self.layers = _Layers(network, steps.width + inputs.n_condition, network.bidirectional)
        self.last = nn.Linear(self.n_steps * self.layers.width, n_outputs)
        self.n_activations = max(self.layers.n_activations(self.n_steps), n_outputs)

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        steps = self.steps(values, mask)
        if condition is not None:
            steps = beside(steps, condition[:, None].expand(-1, self.n_steps, -1))
        states = self.layers(steps, generator=generator)
        # scaled, so that a step of the optimizer moves many steps no further than it moves few
        return self.last(states.flatten(1) * self.n_steps**-0.5)


class _Decoder(nn.Module):
    """Initial states and an input at each step from a code and conditions, layers, and the outputs of each step."""

    sees_parts = True

    def __init__(self, network: GRU, inputs: Inputs, n_steps: int, head: nn.Module, n_outputs: int):
        super().__init__()
        self.n_steps, width = n_steps, network.hidden_size
        self.to_starts = nn.Linear(inputs.total, network.n_layers * width)
        self.to_steps = nn.Linear(inputs.total, n_steps * width)
        self.layers = _Layers(network, width, bidirectional=False)
        self.last = head
        self.n_activations = max(self.layers.n_activations(n_steps), n_outputs)

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        code = beside(values, condition)
        steps = self.to_steps(code).unflatten(-1, (self.n_steps, -1))
        # within (-1, 1), as all states are
        return self.last(self.layers(steps, self.to_starts(code).tanh(), generator))


class GRU(Network):
    """Gated recurrent units (Cho et al., arXiv 1406.1078) along the steps of a sequence, or along columns.

    Rows stay flat, (n_samples, n_features): `shape` says how they are sequences. The encoder reads each step beside
    which of its values were observed and beside conditions, and the states at all steps give the code. In the decoder
    code and conditions give the initial states and an input at each step, and all steps share one map from states to
    outputs; without a shape, each column has maps of its own.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (n_steps, n_channels), step after step as `numpy.reshape` has it, or (n_steps,). One of them may be -1. Several
        steps can be taken as one: (28, 5) reads 140 values five by five, at a fraction of the time. None: every column
        is a step.
    hidden_size : int, default=64
        Width of the states, in each direction.
    n_layers : int, default=1
        Layers of units in the encoder, and as many in the decoder.
    bidirectional : bool, default=True
        Whether the encoder also reads from the last step back to the first; the decoder writes forwards.
    dropout : float, default=0.0
        The share of each layer's states dropped in training, for what reads them; the next step sees them all.
    linear_path : bool, default=True
        Whether an affine map of all values and conditions is added in encoder and decoder. A model then starts as PCA
        or factor analysis, and recurrence learns what that misses; without it, it starts at random.

    Notes
    -----
    Steps are taken one after the other: time grows with their number, memory too, and neither with its square.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.networks import GRU
    >>> rng = np.random.RandomState(0)
    >>> X = np.sin(
    ...     np.linspace(0, 6, 40) + rng.uniform(0, 3, size=(100, 1))
    ... ) + 0.1 * rng.normal(size=(100, 40))
    >>> ae = AutoencoderTransformer(
    ...     2, network=GRU((10, 4), 16), max_iter=2, random_state=0
    ... ).fit(X)
    >>> ae.reconstruct(X).shape
    (100, 40)
    """

    _parameter_constraints = {
        "shape": ["array-like", None],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "linear_path": ["boolean"],
    }

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        hidden_size: int = 64,
        *,
        n_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        linear_path: bool = True,
    ):
        self.shape = shape
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.linear_path = linear_path

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the recurrence from values to posterior parameters."""
        if self.shape is None:
            steps: nn.Module = ValueTokens(inputs, self.hidden_size)
        else:
            n_steps, _ = read_steps(self.shape, inputs, inputs.n_values, type(self).__name__)
            steps = _StepValues(inputs, n_steps)
        return with_linear_path(_Encoder(self, inputs, steps, n_outputs), inputs, n_outputs, wanted=self.linear_path)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the recurrence from codes to likelihood parameters."""
        n_steps, head = head_of_steps(self.shape, inputs, n_outputs, self.hidden_size, type(self).__name__)
        stack = _Decoder(self, inputs, n_steps, head, n_outputs)
        return with_linear_path(stack, inputs, n_outputs, wanted=self.linear_path)

    def fitting_size(self, at_least: int) -> int:
        return at_least if self.shape is None else fitting_size(self.shape, at_least)
