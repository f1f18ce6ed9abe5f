"""Self-attention between the steps of a sequence, or between columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae.networks._base import Inputs, Network, beside
from sklae.networks._linear_path import with_linear_path
from sklae.networks._mlp import ACTIVATIONS, Dropout
from sklae.networks._shapes import fitting_size
from sklae.networks._steps import ValueTokens, as_steps, head_of_steps, read_steps

__all__ = ["Transformer"]

# Of sinusoidal positions (arXiv 1706.03762): the longest wave is this many times the shortest.
_LONGEST = 10_000.0
# Of pairs of tokens, held at once where nothing is differentiated.
_MOST_SCORES = 2**20


class _Block(nn.Module):
    """Attention and a small network for each token, both beside the token itself; norms come first (2002.04745)."""

    def __init__(self, network: Transformer):
        super().__init__()
        width, hidden = network.d_model, network.dim_feedforward
        self.nhead = network.nhead
        self.norm1 = nn.LayerNorm(width)
        # no biases: that of keys shifts all scores alike, and has no gradient
        self.attend_to = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, hidden)
        self.activation = ACTIVATIONS[network.activation]()
        self.out = nn.Linear(hidden, width)
        self.drop = Dropout(network.dropout) if network.dropout else None

    def forward(self, tokens: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        tokens = tokens + self._dropped(self._attention(self.norm1(tokens)), generator)
        return tokens + self._dropped(self.out(self.activation(self.hidden(self.norm2(tokens)))), generator)

    def _attention(self, tokens: torch.Tensor) -> torch.Tensor:
        queries, keys, values = self.attend_to(tokens).unflatten(-1, (3, self.nhead, -1)).permute(2, 0, 3, 1, 4)
        # by hand: the fused kernels have no second derivatives, which penalties and critics ask for
        n_at_once = queries.shape[2]
        # without gradients scores are not kept, so that a few queries can come at a time; a graph is for any rows
        if not torch.is_grad_enabled() and not torch.compiler.is_exporting():
            n_at_once = max(1, _MOST_SCORES // (queries.shape[:2].numel() * n_at_once))
        parts = [_attend(part, keys, values) for part in queries.split(n_at_once, dim=2)]
        heads = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        return self.attended(heads.transpose(1, 2).flatten(2))

    def _dropped(self, branch: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        return branch if self.drop is None else self.drop(branch, generator)


def _attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    return scores.softmax(-1) @ values


class _Blocks(nn.Module):
    """Attention blocks one after the other, and a norm after the last."""

    def __init__(self, network: Transformer):
        super().__init__()
        self.blocks = nn.ModuleList([_Block(network) for _ in range(network.num_layers)])
        self.norm = nn.LayerNorm(network.d_model)

    def forward(self, tokens: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        for block in self.blocks:
            tokens = block(tokens, generator)
        return self.norm(tokens)


class _Positions(nn.Module):
    """Adds to each token where it stands."""

    positions: torch.Tensor

    def __init__(self, kind: str, n_tokens: int, width: int):
        super().__init__()
        if kind == "learned":
            self.positions = nn.Parameter(nn.init.normal_(torch.empty(n_tokens, width), std=math.sqrt(0.5)))
        else:
            self.register_buffer("positions", _waves(n_tokens, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + self.positions


def _waves(n_tokens: int, width: int) -> torch.Tensor:
    """Return sines and cosines of the place, from short waves to long ones."""
    rates = _LONGEST ** -torch.linspace(0.0, 1.0, -(-width // 2), dtype=torch.float64)
    angles = torch.arange(n_tokens, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width].float()


class _StepTokens(nn.Module):
    """A token for each step of a sequence, all made by one map of its values and of which were observed."""

    def __init__(self, network: Transformer, inputs: Inputs, n_steps: int):
        super().__init__()
        self.n_tokens = n_steps
        self.embed = nn.Linear((inputs.n_values + inputs.n_mask) // n_steps, network.d_model)
        self.positions = _Positions(network.positions, n_steps, network.d_model)

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return self.positions(self.embed(as_steps(self.n_tokens, values, mask)))


class _Encoder(nn.Module):
    """Tokens, blocks, and a map of all tokens side by side; a condition shifts every token."""

    sees_parts = True

    def __init__(self, network: Transformer, tokens: Any, inputs: Inputs, n_outputs: int):
        super().__init__()
        self.tokens = tokens
        self.of_condition = nn.Linear(inputs.n_condition, network.d_model) if inputs.n_condition else None
        self.blocks = _Blocks(network)
        self.last = nn.Linear(tokens.n_tokens * network.d_model, n_outputs)
        self.n_activations = _n_activations(network, tokens.n_tokens)

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        tokens = self.tokens(values, mask)
        if self.of_condition is not None:
            tokens = tokens + self.of_condition(condition)[:, None]
        # scaled, so that a step of the optimizer moves many tokens no further than it moves few
        return self.last(self.blocks(tokens, generator).flatten(1) * self.tokens.n_tokens**-0.5)


class _Decoder(nn.Module):
    """Tokens from a code and conditions, blocks, and the outputs of each token."""

    sees_parts = True

    def __init__(self, network: Transformer, inputs: Inputs, n_tokens: int, positions: Any, head: nn.Module):
        super().__init__()
        self.n_tokens = n_tokens
        self.to_tokens = nn.Linear(inputs.total, n_tokens * network.d_model)
        self.positions = positions
        self.blocks = _Blocks(network)
        self.last = head
        self.n_activations = _n_activations(network, n_tokens)

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        tokens = self.to_tokens(beside(values, condition)).unflatten(-1, (self.n_tokens, -1))
        return self.last(self.blocks(self.positions(tokens), generator))


def _n_activations(network: Transformer, n_tokens: int) -> int:
    """Return how many numbers a row takes: a score for each pair of tokens, or a hidden layer for each token."""
    return n_tokens * max(n_tokens * network.nhead, 3 * network.d_model, network.dim_feedforward)


class Transformer(Network):
    """Self-attention between the steps of a sequence, or between columns.

    Rows stay flat, (n_samples, n_features): `shape` says how they are sequences. All steps share one map to their
    tokens and one from them; without a shape, each column has maps of its own, as in the FT-Transformer (Gorishniy et
    al., arXiv 2106.11959). The blocks are those of Vaswani et al. (arXiv 1706.03762), with layer normalisation before
    each branch (Xiong et al., arXiv 2002.04745). Which values were observed is read beside them, a condition shifts all
    tokens.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (n_steps, n_channels), step after step as `numpy.reshape` has it, or (n_steps,). One of them may be -1. Several
        steps can be taken as one: (28, 5) reads 140 values five by five, at a fraction of the time. None: every column
        is a token.
    d_model : int, default=32
        Width of a token; a multiple of `nhead`.
    nhead : int, default=4
        Attention heads.
    num_layers : int, default=2
        Blocks in the encoder, and as many in the decoder.
    dim_feedforward : int, default=64
        Width of the hidden layer in each block.
    dropout : float, default=0.0
        The share dropped in training of what each branch adds.
    activation : str, default="gelu"
        In each block; one of the keys of `sklae.networks.ACTIVATIONS`.
    positions : {"learned", "sinusoidal"}, default="learned"
        What tells steps apart. Columns differ by their own maps.
    linear_path : bool, default=True
        Whether an affine map of all values and conditions is added in encoder and decoder. A model then starts as PCA
        or factor analysis, and attention learns what that misses.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.networks import Transformer
    >>> rng = np.random.RandomState(0)
    >>> X = np.sin(
    ...     np.linspace(0, 6, 40) + rng.uniform(0, 3, size=(100, 1))
    ... ) + 0.1 * rng.normal(size=(100, 40))
    >>> network = Transformer((10, 4), d_model=16, num_layers=1)
    >>> ae = AutoencoderTransformer(2, network=network, max_iter=2, random_state=0).fit(X)
    >>> ae.reconstruct(X).shape
    (100, 40)
    """

    _parameter_constraints = {
        "shape": ["array-like", None],
        "d_model": [Interval(Integral, 1, None, closed="left")],
        "nhead": [Interval(Integral, 1, None, closed="left")],
        "num_layers": [Interval(Integral, 1, None, closed="left")],
        "dim_feedforward": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "positions": [StrOptions({"learned", "sinusoidal"})],
        "linear_path": ["boolean"],
    }

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        *,
        d_model: int = 32,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int = 64,
        dropout: float = 0.0,
        activation: str = "gelu",
        positions: str = "learned",
        linear_path: bool = True,
    ):
        self.shape = shape
        self.d_model = d_model
        self.nhead = nhead
        self.num_layers = num_layers
        self.dim_feedforward = dim_feedforward
        self.dropout = dropout
        self.activation = activation
        self.positions = positions
        self.linear_path = linear_path

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return attention from values to posterior parameters."""
        self._check_heads()
        if self.shape is None:
            tokens: nn.Module = ValueTokens(inputs, self.d_model)
        else:
            tokens = _StepTokens(self, inputs, read_steps(self.shape, inputs, inputs.n_values, type(self).__name__)[0])
        return with_linear_path(_Encoder(self, tokens, inputs, n_outputs), inputs, n_outputs, wanted=self.linear_path)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return attention from codes to likelihood parameters."""
        self._check_heads()
        n_tokens, head = head_of_steps(self.shape, inputs, n_outputs, self.d_model, type(self).__name__)
        told_apart = self.shape is None  # by their own maps
        positions = nn.Identity() if told_apart else _Positions(self.positions, n_tokens, self.d_model)
        stack = _Decoder(self, inputs, n_tokens, positions, head)
        return with_linear_path(stack, inputs, n_outputs, wanted=self.linear_path)

    def fitting_size(self, at_least: int) -> int:
        return at_least if self.shape is None else fitting_size(self.shape, at_least)

    def _check_heads(self) -> None:
        if self.d_model % self.nhead:
            raise ValueError(
                f"Got d_model={self.d_model} and nhead={self.nhead}; expected a multiple, of which each head takes its "
                "share. Change one of them."
            )
