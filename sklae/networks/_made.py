"""Masked layers over a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae.networks._base import Inputs, Network, beside
from sklae.networks._in_turn import InTurnDecoder
from sklae.networks._mlp import ACTIVATIONS, MLP, Dropout

__all__ = ["MADE"]


class _Masked(nn.Linear):
    """A linear layer without the weights where a mask is 0."""

    mask: torch.Tensor

    def __init__(self, seen: torch.Tensor, sees: torch.Tensor, bias: bool = True):
        """Connect inputs to outputs that may see them: those of a degree no less than the input's."""
        super().__init__(len(seen), len(sees), bias)
        self.register_buffer("mask", (seen <= sees[:, None]).float())

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(input, self.weight * self.mask, self.bias)


class _MADEDecoder(InTurnDecoder):
    """Masked layers over the row, each with the code beside it.

    A unit's degree is how many of the first columns it may depend on, through units of no larger degree.
    """

    degrees: torch.Tensor

    def __init__(self, network: MADE, inputs: Inputs, n_outputs: int, hidden: Sequence[int]):
        d = inputs.n_columns
        super().__init__(type(network).__name__, inputs, n_outputs, torch.arange(d)[:, None], network.linear_path)
        self.activation = ACTIVATIONS[network.activation]()
        self.dropout = Dropout(network.dropout)
        # a column is seen by units whose degree counts it
        degrees = [torch.arange(d) + 1, *(torch.arange(width) * d // width for width in hidden)]
        of_outputs = torch.arange(n_outputs) % d  # until the likelihood is known
        self.layers = nn.ModuleList(_Masked(seen, sees) for seen, sees in pairwise(degrees))
        self.of_code = nn.ModuleList(nn.Linear(inputs.total, width, bias=False) for width in hidden)
        self.register_buffer("degrees", degrees[-1], persistent=False)
        self.last = _Masked(degrees[-1], of_outputs)
        # from codes and earlier columns straight to the outputs
        self.last_of_code = None if network.linear_path else nn.Linear(inputs.total, n_outputs, bias=False)
        self.earlier = _Masked(degrees[0], of_outputs, bias=False) if network.linear_path and hidden else None
        if self.earlier is not None:
            nn.init.zeros_(self.earlier.weight)
        self.n_activations = max(n_outputs, d, *hidden, 1)

    def tell_columns(self, column: torch.Tensor) -> None:
        column = column.to(self.last.mask.device)
        self.last.mask.copy_(self.degrees <= column[:, None])
        if self.earlier is not None:
            self.earlier.mask.copy_(torch.arange(self.n_columns, device=column.device) < column[:, None])

    def become_affine(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().become_affine(weight, bias)
        if self.earlier is not None:
            nn.init.zeros_(self.earlier.weight)

    def context(self, z: torch.Tensor, condition: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        code = beside(z, condition)
        last = self.start(code) if self.last_of_code is None else self.last_of_code(code)
        return (last, *(layer(code) for layer in self.of_code))

    def params(self, context: Any, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        last, *of_code = context
        h = x
        for layer, start in zip(self.layers, of_code, strict=True):
            h = self.dropout(self.activation(start + layer(h)), generator)
        params = last + self.last(h)
        return params if self.earlier is None else params + self.earlier(x)

    def params_at(
        self, context: Any, x: torch.Tensor, step: int, params: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        return self.params(context, x, generator)


class MADE(Network):
    """An autoregressive decoder of masked layers (arXiv 1502.03509): each column sees the code and those before.

    p(x | z) is the product of p(x_j | x_1, ..., x_j-1, z), in the order of the table. Scores take one pass through the
    network; expected rows and draws take one for each column, each given those before it, and `reconstruct` looks at
    the code alone. Of a category, later columns see its code as a number. In rows with gaps, what stands in for a gap
    is what later columns see. The encoder is that of `MLP`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 32)
        Widths of the encoder's hidden layers; the decoder's are the same, reversed. Of a decoder, a layer's units are
        shared out among the columns: let it be no narrower than the table.
    activation : str, default="silu"
        One of the keys of `sklae.networks.ACTIVATIONS`.
    dropout : float, default=0.0
        The share of each hidden layer's outputs dropped in training.
    linear_path : bool, default=True
        Whether an affine map is added in encoder and decoder, of the row's earlier columns, too. A model then starts as
        PCA or factor analysis.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import VAETransformer
    >>> from sklae.networks import MADE
    >>> X = (load_digits().data > 8).astype(float)
    >>> vae = VAETransformer(
    ...     4,
    ...     network=MADE((64,)),
    ...     likelihood="bernoulli",
    ...     max_iter=2,
    ...     n_iter_no_change=float("inf"),
    ... )
    >>> vae.fit(X).sample(3, random_state=0).shape
    (3, 64)
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "linear_path": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (64, 32),
        *,
        activation: str = "silu",
        dropout: float = 0.0,
        linear_path: bool = True,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.linear_path = linear_path

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the encoder of an `MLP`."""
        return self._mlp().encoder(inputs, n_outputs)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the masked layers."""
        return _MADEDecoder(self, inputs, n_outputs, self._mlp()._hidden()[::-1])

    def _mlp(self) -> MLP:
        return MLP(
            self.hidden_layer_sizes,
            activation=self.activation,
            dropout=self.dropout,
            linear_path=self.linear_path,
        )
