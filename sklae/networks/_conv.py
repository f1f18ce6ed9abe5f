"""Convolutional encoder and decoder, for images and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from sklae._utils.compat import Interval, StrOptions
from sklae.networks._base import Inputs, Network, beside
from sklae.networks._linear_path import with_linear_path
from sklae.networks._mlp import ACTIVATIONS, Dropout, run_layers
from sklae.networks._shapes import ImageShape, fitting_size, read_shape

__all__ = ["Conv"]

Size = tuple[int, int]
# Of a pixel: densities of more numbers, as those of levels, have them in another order.
_MOST_PARAMS = 2


class _WeightNormConv(nn.Conv2d):
    """A convolution whose filters are learned as direction and length."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.length = nn.Parameter(self.weight.detach().flatten(1).norm(dim=1)[:, None, None, None])

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        direction = nn.functional.normalize(self.weight.flatten(1), dim=1).view_as(self.weight)
        return self._conv_forward(input, self.length * direction, self.bias)


def _batch_norm(n_channels: int) -> nn.Module:
    return nn.BatchNorm2d(n_channels)


def _layer_norm(n_channels: int) -> nn.Module:
    return nn.GroupNorm(1, n_channels)


#: Name -> what follows a convolution.
_NORMALIZATIONS = {"batch": _batch_norm, "layer": _layer_norm}


class _Settings:
    """How layers are made, from a network's parameters."""

    def __init__(self, network: Conv, sizes: list[Size]):
        self.network = network
        # an axis of one pixel has no neighbours to look at
        height, width = (network.kernel_size if axis > 1 else 1 for axis in sizes[0])
        self.kernel: Size = (height, width)
        self.padding: Size = (height // 2, width // 2)

    def conv(self, n_in: int, n_out: int, stride: Size = (1, 1)) -> nn.Module:
        kind = _WeightNormConv if self.network.normalization == "weight" else nn.Conv2d
        return kind(n_in, n_out, self.kernel, stride, self.padding)

    def after(self, n_channels: int) -> list[nn.Module]:
        """Return what follows a convolution within a network."""
        network = self.network
        normalize = _NORMALIZATIONS.get(network.normalization or "")
        layers = [] if normalize is None else [normalize(n_channels)]
        layers.append(ACTIVATIONS[network.activation]())
        if network.dropout:
            layers.append(Dropout(network.dropout))
        if network.residual:
            layers.append(_Residual(self, n_channels))
        return layers


class _Residual(nn.Module):
    """Two convolutions, added to what they are given (arXiv 1512.03385)."""

    def __init__(self, settings: _Settings, n_channels: int):
        super().__init__()
        activation = ACTIVATIONS[settings.network.activation]
        self.inner = nn.Sequential(
            activation(), settings.conv(n_channels, n_channels), activation(), settings.conv(n_channels, n_channels)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.inner(images)


class _Resize(nn.Module):
    """Repeat pixels up to a size."""

    def __init__(self, size: Size):
        super().__init__()
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(images, size=self.size)


class _Pool(nn.Module):
    """Take the largest of four pixels, or of two along an axis of one."""

    def __init__(self, stride: Size):
        super().__init__()
        self.stride = stride

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(images, self.stride, ceil_mode=True)


class _Transposed(nn.ConvTranspose2d):
    """A transposed convolution up to a size."""

    def __init__(self, n_in: int, n_out: int, settings: _Settings, before: Size, size: Size):
        kernel, padding = settings.kernel, settings.padding
        stride = _steps(before, size)
        reached = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(before, stride, padding, kernel, strict=True)]
        super().__init__(n_in, n_out, kernel, stride, padding, (size[0] - reached[0], size[1] - reached[1]))


def _steps(small: Size, large: Size) -> Size:
    """Return how many pixels of the larger image a pixel of the smaller stands for, by axis."""
    return 1 + (small[0] < large[0]), 1 + (small[1] < large[1])


class _Encoder(nn.Module):
    """Convolutions of values, and of which were observed; conditions shift what the first one finds."""

    sees_parts = True

    def __init__(self, network: Conv, inputs: Inputs, shape: ImageShape, sizes: list[Size], n_outputs: int):
        super().__init__()
        self.shape = shape
        settings = _Settings(network, sizes)
        widths = [shape.n_channels * (1 + bool(inputs.n_mask)), *network.channels]
        stages = [
            self._stage(network, settings, n_in, n_out, before, size)
            for (n_in, n_out), (before, size) in zip(pairwise(widths), pairwise(sizes), strict=True)
        ]
        self.first = stages[0][0]
        self.layers = nn.ModuleList([layer for stage in stages for layer in stage][1:])
        n_condition = inputs.n_condition
        self.of_condition = nn.Linear(n_condition, widths[1]) if n_condition else None
        n_flat = widths[-1] * _n_pixels(sizes[-1])
        self.head, self.last = _dense(network, n_flat + n_condition, network.hidden_layer_sizes, n_outputs)
        found = sizes[1:] if network.downsampling == "stride" else sizes
        self.n_activations = max(
            widths[0] * _n_pixels(sizes[0]),
            *(width * _n_pixels(size) for width, size in zip(widths[1:], found, strict=False)),
            n_flat + n_condition,
        )

    @staticmethod
    def _stage(network: Conv, settings: _Settings, n_in: int, n_out: int, before: Size, size: Size) -> list[nn.Module]:
        stride = _steps(size, before)
        if network.downsampling == "stride":
            return [settings.conv(n_in, n_out, stride), *settings.after(n_out)]
        return [settings.conv(n_in, n_out), *settings.after(n_out), _Pool(stride)]

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        images = self.shape.unflatten(values)
        if mask is not None:
            images = torch.cat([images, self.shape.unflatten(mask)], 1)
        h = self.first(images.contiguous(memory_format=torch.channels_last))
        if self.of_condition is not None:
            h = h + self.of_condition(condition)[..., None, None]
        h = run_layers(self.layers, h, generator).flatten(1)
        return self.last(run_layers(self.head, beside(h, condition), generator))


class _Decoder(nn.Module):
    """Layers from a code and conditions to a small image of many channels, and convolutions from there."""

    sees_parts = True

    def __init__(self, network: Conv, inputs: Inputs, shape: ImageShape, sizes: list[Size], n_outputs: int):
        super().__init__()
        self.shape = shape
        settings = _Settings(network, sizes)
        widths = list(reversed(network.channels))
        self.small = (widths[0], *sizes[-1])
        n_small = widths[0] * _n_pixels(sizes[-1])
        hidden = list(reversed(network.hidden_layer_sizes))
        self.head, self.to_small = _dense(network, inputs.total, hidden, n_small)
        n_pixels = _n_pixels(sizes[0])
        layers: list[nn.Module] = settings.after(widths[0])
        grows = list(pairwise(reversed(sizes)))
        for (n_in, n_out), (before, size) in zip(pairwise([*widths, widths[-1]]), grows, strict=True):
            if network.upsampling == "resize":
                layers += [_Resize(size), settings.conv(n_in, n_out)]
            else:
                layers.append(_Transposed(n_in, n_out, settings, before, size))
            layers += settings.after(n_out)
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(widths[-1], n_outputs // n_pixels, settings.kernel, 1, settings.padding)
        # resized images still have the channels of the stage before
        self.n_activations = max(
            n_outputs, n_small, *(width * _n_pixels(size) for width, size in zip(network.channels, sizes, strict=False))
        )

    def forward(
        self,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        h = self.to_small(run_layers(self.head, beside(values, condition), generator))
        images = h.view(-1, *self.small).contiguous(memory_format=torch.channels_last)
        return self.shape.flatten(self.last(run_layers(self.layers, images, generator)))


def _dense(network: Conv, n_inputs: int, hidden: Sequence[int], n_outputs: int) -> tuple[nn.ModuleList, nn.Linear]:
    """Return fully connected layers, and the last of them."""
    layers: list[nn.Module] = []
    widths = [n_inputs, *hidden]
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[network.activation]()]
    return nn.ModuleList(layers), nn.Linear(widths[-1], n_outputs)


def _n_pixels(size: Size) -> int:
    return size[0] * size[1]


class Conv(Network):
    """Convolutions that halve the image once for each number of channels; the decoder mirrors the encoder.

    Rows stay flat, (n_samples, n_features): `shape` says how they are images. Which pixels were observed is a further
    channel, a condition shifts the channels.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (height, width), (n_channels, height, width) or (height, width, n_channels), of which channels are the shorter
        end, and the first if both are equal: (3, 3, 3) is channels first, and (2, 9, 3) has 2 channels. Images of fewer
        pixels than channels to a side need their columns reordered. (n_steps,) for a sequence. One of them may
        be -1: what is left, as in `numpy.reshape`. None: a square grey image; other numbers of columns are refused.
    channels : sequence of int, default=(32, 64)
        Channels after each halving.
    kernel_size : int, default=3
        Height and width of the filters, in pixels; odd.
    downsampling : {"stride", "max_pool"}, default="stride"
        What halves the image: convolutions that skip every other pixel, or the largest of each four.
    upsampling : {"resize", "transpose"}, default="resize"
        What doubles it in the decoder: repeated pixels before a convolution, which leaves no checkerboards (Odena et
        al., Distill 2016), or transposed convolutions.
    residual : bool, default=False
        Whether a residual block (arXiv 1512.03385) follows each stage.
    hidden_layer_sizes : sequence of int, default=()
        Fully connected layers between the smallest image and the code.
    activation : str, default="silu"
        One of the keys of `sklae.networks.ACTIVATIONS`.
    dropout : float, default=0.0
        The share of each convolution's outputs dropped in training.
    normalization : {"batch", "layer", "weight"} or None, default=None
        Of each convolution: batch normalisation, layer normalisation over all channels and pixels, or weight
        normalisation of the filters.
    linear_path : bool, default=False
        Whether an affine map of all pixels is added in encoder and decoder. A model then starts as PCA or factor
        analysis, and convolutions learn what that misses; without it, it starts at random. For few images: from some
        thousand on convolutions alone are ahead.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.networks import Conv
    >>> X = load_digits().data
    >>> network = Conv((8, 8), channels=(8, 16))
    >>> ae = AutoencoderTransformer(
    ...     4, network=network, standardize="global", max_iter=2, random_state=0
    ... ).fit(X)
    >>> ae.reconstruct(X).shape
    (1797, 64)
    """

    _parameter_constraints = {
        "shape": ["array-like", None],
        "channels": ["array-like"],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "downsampling": [StrOptions({"stride", "max_pool"})],
        "upsampling": [StrOptions({"resize", "transpose"})],
        "residual": ["boolean"],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions({*_NORMALIZATIONS, "weight"}), None],
        "linear_path": ["boolean"],
    }

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        channels: Sequence[int] = (32, 64),
        *,
        kernel_size: int = 3,
        downsampling: str = "stride",
        upsampling: str = "resize",
        residual: bool = False,
        hidden_layer_sizes: Sequence[int] = (),
        activation: str = "silu",
        dropout: float = 0.0,
        normalization: str | None = None,
        linear_path: bool = False,
    ):
        self.shape = shape
        self.channels = channels
        self.kernel_size = kernel_size
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.residual = residual
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.linear_path = linear_path

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the convolutions from images to posterior parameters."""
        shape = self._shape(inputs, inputs.n_values, most=1)
        stack = _Encoder(self, inputs, shape, self._sizes(shape), n_outputs)
        return with_linear_path(stack, inputs, n_outputs, wanted=self.linear_path)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the convolutions from codes to likelihood parameters."""
        shape = self._shape(inputs, n_outputs, most=_MOST_PARAMS)
        stack = _Decoder(self, inputs, shape, self._sizes(shape), n_outputs)
        return with_linear_path(stack, inputs, n_outputs, wanted=self.linear_path)

    def fitting_size(self, at_least: int) -> int:
        return fitting_size(self.shape, at_least)

    def _shape(self, inputs: Inputs, n_numbers: int, most: int) -> ImageShape:
        """Return the shape of rows, of which the likelihood tells or is told so many numbers, evenly."""
        _check_sizes("channels", self.channels, least=1)
        _check_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"Got kernel_size={self.kernel_size}; expected an odd number, so that filters have a center."
            )
        shape = read_shape(self.shape, inputs.n_columns, type(self).__name__)
        if n_numbers not in [n * shape.size for n in range(1, most + 1)]:
            raise ValueError(
                f"Got a likelihood with {n_numbers} numbers for rows of {shape.size}; {type(self).__name__} expected "
                f"{' or '.join(map(str, range(1, most + 1)))} for each pixel. Choose one likelihood of numbers for all "
                "columns, as 'gaussian' or 'bernoulli'."
            )
        return shape

    def _sizes(self, shape: ImageShape) -> list[Size]:
        """Return heights and widths of the image, from the whole one to the smallest."""
        sizes = [(shape.height, shape.width)]
        for _ in self.channels:
            height, width = sizes[-1]
            sizes.append((-(-height // 2), -(-width // 2)))
        return sizes


def _check_sizes(name: str, given: Sequence[int], least: int = 0) -> None:
    valid = all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in given)
    if len(given) < least or not valid:
        raise ValueError(f"Got {name}={given!r}; expected {'at least one' if least else 'a sequence of'} positive int.")
