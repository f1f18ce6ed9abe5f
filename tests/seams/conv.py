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
        self.n_values_each = 1 if rest else each  # kinds of several widths
        self.project = nn.Linear(inputs.n_values, prod(shape)) if rest else nn.Identity()
        n_channels = n_colors * (self.n_values_each + (inputs.n_mask > 0)) + inputs.n_condition
        self.convolve = nn.Conv2d(n_channels, channels, 3, stride=2, padding=1)
        self.out = nn.Linear(channels * -(-height // 2) * -(-width // 2), n_outputs)
        self.n_activations = max(n_channels, channels) * height * width

    def forward(self, values, mask, condition, generator=None):
        planes = [self.project(values).view(len(values), *self.shape, self.n_values_each).movedim(-1, 2).flatten(1, 2)]
        planes += [] if mask is None else [mask.view(len(mask), *self.shape)]
        planes += [] if condition is None else [condition[..., None, None].expand(-1, -1, *self.shape[1:])]
        return self.out(torch.relu(self.convolve(torch.cat(planes, dim=1))).flatten(1))


class _Decoder(nn.Module):
    def __init__(self, shape, channels, inputs, n_outputs):
        super().__init__()
        self.planes = channels, *shape[1:]
        self.start = nn.Linear(inputs.total, prod(self.planes))
        each, rest = divmod(n_outputs, prod(shape[1:]))
        self.convolve = nn.Conv2d(channels, channels if rest else each, 3, padding=1)
        self.out = nn.Linear(prod(self.planes), n_outputs) if rest else nn.Identity()
        self.n_activations = max(channels, each) * prod(shape[1:])

    def forward(self, z, generator=None):
        return self.out(self.convolve(torch.relu(self.start(z).view(-1, *self.planes))).flatten(1))


class Conv(Network):
    def __init__(self, shape=None, channels=4):
        self.shape, self.channels = shape, channels

    def encoder(self, inputs, n_outputs, cls=_Encoder):
        shape = self.shape or (1, isqrt(inputs.n_columns), isqrt(inputs.n_columns))
        if prod(shape) != inputs.n_columns:
            raise ValueError(f"Got {inputs.n_columns} columns; expected {prod(shape)}, as {self} takes them.")
        return cls(shape, self.channels, inputs, n_outputs)

    def decoder(self, inputs, n_outputs):
        return self.encoder(inputs, n_outputs, _Decoder)

    def fitting_size(self, at_least):
        return prod(self.shape) if self.shape else (isqrt(at_least - 1) + 1) ** 2
