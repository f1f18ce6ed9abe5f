"""Convolutions that see earlier pixels only."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae.networks._base import Inputs, Network, beside
from sklae.networks._in_turn import InTurnDecoder
from sklae.networks._mlp import ACTIVATIONS, MLP
from sklae.networks._shapes import ImageShape, fitting_size, read_shape

__all__ = ["PixelCNN"]


class _PixelDecoder(InTurnDecoder):
    """The same small network for each pixel, over a window of earlier ones and feature maps of the code."""

    window: torch.Tensor
    place: torch.Tensor
    order: torch.Tensor

    def __init__(self, network: PixelCNN, inputs: Inputs, n_outputs: int, shape: ImageShape):
        d, width = inputs.n_columns, network.channels
        columns = shape.unflatten(torch.arange(d)[None])[0]
        steps = columns.flatten(1).T.contiguous()
        super().__init__(type(network).__name__, inputs, n_outputs, steps, network.linear_path)
        self.n_pixels = len(steps)
        place = torch.cat([steps + first for first in range(0, n_outputs, d)], 1)
        self.register_buffer("window", _earlier(columns, network.receptive_field), persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("order", place.flatten().argsort(), persistent=False)
        self.activation = ACTIVATIONS[network.activation]()
        self.of_window = nn.Linear(self.window.shape[1], width)
        self.of_code = nn.Linear(inputs.n_values, width * self.n_pixels)
        self.of_condition = nn.Linear(inputs.n_condition, width) if inputs.n_condition else None
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(network.n_layers))
        self.last = nn.Linear(width, place.shape[1])
        self.n_activations = self.n_pixels * max(width, self.window.shape[1], place.shape[1])

    def tell_columns(self, column: torch.Tensor) -> None:
        if not torch.equal(column, torch.arange(self.n_outputs) % self.n_columns):
            raise ValueError(
                f"Got a likelihood whose {self.n_outputs} parameters differ among the {self.n_columns} pixels of "
                f"{self.name}; expected as many for each, those of all pixels after each other. Choose one likelihood "
                "for all columns, or network='made', which takes any."
            )

    def context(self, z: torch.Tensor, condition: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        maps = self.of_code(z).unflatten(-1, (self.n_pixels, -1))
        if self.of_condition is not None:
            maps = maps + self.of_condition(condition)[..., None, :]
        linear = self.start(beside(z, condition))
        return (maps,) if self.linear is None else (maps, linear)  # type: ignore[return-value]

    def params(self, context: Any, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        maps, *linear = context
        params = self._of(maps, nn.functional.pad(x, (0, 1))[..., self.window]).flatten(-2)[..., self.order]
        return params + linear[0] if linear else params

    def params_at(
        self, context: Any, x: torch.Tensor, step: int, params: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        maps, *linear = context
        seen = nn.functional.pad(x, (0, 1))[..., self.window[step]]
        place, outputs = self.place[step], self._of(maps[..., step, :], seen)
        params[..., place] = outputs + linear[0][..., place] if linear else outputs
        return params

    def _of(self, maps: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Return the outputs for pixels, from feature maps and windows at their places."""
        h = maps + self.of_window(seen)
        for layer in self.layers:
            h = h + layer(self.activation(h))
        return self.last(self.activation(h))


def _earlier(columns: torch.Tensor, width: int) -> torch.Tensor:
    """Return the columns of each pixel's window, (n_pixels, n_seen), past the last one what lies beyond the border.

    Parameters
    ----------
    columns : Tensor of shape (n_channels, height, width)
        Which column each value of an image is.
    width : int
    """
    _, n_rows, n_across = columns.shape
    reach = width // 2
    padded = nn.functional.pad(columns, (reach, reach, reach, 0), value=columns.numel())
    above = [(i, j) for i in range(reach) for j in range(width)]
    seen = [padded[:, i : i + n_rows, j : j + n_across] for i, j in [*above, *((reach, j) for j in range(reach))]]
    return torch.cat(seen).flatten(1).T.contiguous()


class PixelCNN(Network):
    """An autoregressive decoder of images (arXiv 1601.06759): each pixel depends on the code and on pixels before it.

    Pixels come row by row. Each sees those before it in a window around it, through one masked convolution and layers
    of single pixels after it: no more and no less than the window, without blind spot. A small window leaves what
    images are of to the code, and takes textures off it (arXiv 1611.02731). The channels of a pixel are independent
    given the code and earlier pixels. Scores take one pass; expected rows and draws take one for each pixel, of the
    pixel alone, and `reconstruct` looks at the code alone. In rows with gaps, what stands in for a gap is what later
    pixels see. The encoder is that of `MLP`;
    `EncoderDecoder` puts another in its place.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (height, width), (n_channels, height, width) or (height, width, n_channels), as in `Conv`. One of them
        may be -1: what is left. None: a square grey image.
    channels : int, default=32
        Feature maps of each layer.
    n_layers : int, default=2
        Residual layers after the convolution, each of a pixel by itself.
    receptive_field : int, default=5
        Width of the window, in pixels, from 3 on; odd. A pixel sees half of it to either side and above.
    hidden_layer_sizes : int or sequence of int, default=(64, 32)
        Widths of the encoder's hidden layers.
    activation : str, default="silu"
        One of the keys of `sklae.networks.ACTIVATIONS`.
    linear_path : bool, default=True
        Whether an affine map is added in encoder and decoder. A model then starts as PCA or factor analysis.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import VAETransformer
    >>> from sklae.networks import PixelCNN
    >>> X = (load_digits().data > 8).astype(float)
    >>> network = PixelCNN((8, 8), receptive_field=3)
    >>> vae = VAETransformer(
    ...     4,
    ...     network=network,
    ...     likelihood="bernoulli",
    ...     max_iter=2,
    ...     n_iter_no_change=float("inf"),
    ... )
    >>> vae.fit(X).sample(3, random_state=0).shape
    (3, 64)
    """

    _parameter_constraints = {
        "shape": ["array-like", None],
        "channels": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "receptive_field": [Interval(Integral, 3, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "linear_path": ["boolean"],
    }

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        channels: int = 32,
        *,
        n_layers: int = 2,
        receptive_field: int = 5,
        hidden_layer_sizes: int | Sequence[int] = (64, 32),
        activation: str = "silu",
        linear_path: bool = True,
    ):
        self.shape = shape
        self.channels = channels
        self.n_layers = n_layers
        self.receptive_field = receptive_field
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.linear_path = linear_path

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the encoder of an `MLP`."""
        self._shape(inputs)
        mlp = MLP(self.hidden_layer_sizes, activation=self.activation, linear_path=self.linear_path)
        return mlp.encoder(inputs, n_outputs)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the layers over windows of earlier pixels."""
        shape = self._shape(inputs)
        if n_outputs % shape.size:
            raise ValueError(
                f"Got a likelihood with {n_outputs} parameters for the {shape.size} pixels of {type(self).__name__}; "
                "expected as many for each pixel. Choose one likelihood for all columns, or network='made', which "
                "takes any."
            )
        return _PixelDecoder(self, inputs, n_outputs, shape)

    def fitting_size(self, at_least: int) -> int:
        return fitting_size(self.shape, at_least)

    def _shape(self, inputs: Inputs) -> ImageShape:
        if self.receptive_field % 2 == 0:
            raise ValueError(
                f"Got receptive_field={self.receptive_field}; expected an odd number, so that a window has a center. "
                f"Pass {self.receptive_field + 1}."
            )
        return read_shape(self.shape, inputs.n_columns, type(self).__name__)
