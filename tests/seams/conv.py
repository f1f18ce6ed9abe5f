"""A convolutional network: a part of the tests' own."""

from math import isqrt, prod

import torch
from torch import nn

from sklae.networks import Network


class _Encoder(nn.Module):
    sees_parts = True

    def __init__(self, shape, channels, inputs, n_outputs):
        super().__init__()
        self.shape, (n_colors, height, width) = shape, shape
        each, rest = divmod(inputs.n_values, prod(shape))
        self.project = nn.Linear(inputs.n_values, prod(shape)) if rest else nn.Identity()  # kinds of several widths
        self.n_values_each = 1 if rest else each
        n_channels = n_colors * (self.n_values_each + (inputs.n_mask > 0))
        self.convolve = nn.Conv2d(n_channels, channels, 3, stride=2, padding=1)
        self.bias = nn.Linear(inputs.n_condition, channels) if inputs.n_condition else None
        self.out = nn.Linear(channels * -(-height // 2) * -(-width // 2), n_outputs)
        self.n_activations = max(n_channels, channels) * height * width

    def forward(self, values, mask, condition, generator=None):
        image = self.project(values).view(len(values), *self.shape, self.n_values_each).movedim(-1, 2).flatten(1, 2)
        h = self.convolve(image if mask is None else torch.cat([image, mask.view(len(mask), *self.shape)], dim=1))
        return self.out(torch.relu(h if self.bias is None else h + self.bias(condition)[..., None, None]).flatten(1))


class _Decoder(nn.Module):
    sees_parts = True

    def __init__(self, shape, channels, inputs, n_outputs):
        super().__init__()
        self.planes = channels, *shape[1:]
        self.start = nn.Linear(inputs.n_values + inputs.n_condition, prod(self.planes))
        each, rest = divmod(n_outputs, prod(shape[1:]))
        self.convolve = nn.Conv2d(channels, channels if rest else each, 3, padding=1)
        self.out = nn.Linear(prod(self.planes), n_outputs) if rest else nn.Identity()
        self.n_activations = max(channels, each) * prod(shape[1:])

    def forward(self, z, mask, condition, generator=None):
        h = self.start(z if condition is None else torch.cat([z, condition], dim=-1))
        return self.out(self.convolve(torch.relu(h.view(-1, *self.planes))).flatten(1))


class Conv(Network):
    def __init__(self, shape=None, channels=4):
        self.shape = shape
        self.channels = channels

    def _resolve(self, n_columns):
        shape = self.shape or (1, isqrt(n_columns), isqrt(n_columns))
        if prod(shape) != n_columns:
            raise ValueError(f"Got {n_columns} columns; expected {prod(shape)}, as {self} takes them.")
        return shape

    def encoder(self, inputs, n_outputs):
        return _Encoder(self._resolve(inputs.n_columns), self.channels, inputs, n_outputs)

    def decoder(self, inputs, n_outputs):
        return _Decoder(self._resolve(inputs.n_columns), self.channels, inputs, n_outputs)

    def fitting_size(self, at_least):
        return prod(self.shape) if self.shape else (isqrt(at_least - 1) + 1) ** 2
