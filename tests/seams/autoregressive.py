"""A decoder whose output for a column depends on the columns before it: a part of the tests' own."""

import torch
from torch import nn

from sklae.networks import MLP


class _RowsGiven:
    def __init__(self, decoder, density, start):
        self.decoder, self.density, self.start = decoder, density, start

    def params_of(self, x):
        return self.decoder.finish(self.start, x)

    def log_prob(self, x):
        return self.density.log_prob(self.params_of(x), x)

    def energy(self, x):
        return -self.log_prob(x)

    def _in_turn(self, choose):
        x = self.start.new_zeros(*self.start.shape[:-1], self.decoder.n_columns)
        for j in range(self.decoder.n_columns):
            x[..., j] = choose(self.params_of(x))[..., j]
        return x

    @property
    def mean(self):
        return self._in_turn(self.density.mean)

    def expectation(self):
        return self.density.expectation(self.params_of(self.mean))

    def sample(self, generator):
        return self._in_turn(lambda params: self.density.sample(params, generator))


class _Decoder(nn.Module):
    def __init__(self, inputs, n_outputs):
        super().__init__()
        self.n_columns = n = inputs.n_columns
        self.start = nn.Linear(inputs.n_values + inputs.n_condition, n)
        self.earlier, self.out = nn.Linear(n, n, bias=False), nn.Linear(n, n_outputs)
        self.register_buffer("before", torch.ones(n, n).tril(-1))  # a unit sees the columns before its own
        self.register_buffer("up_to", torch.ones(n, n).tril().repeat(n_outputs // n, 1))

    def finish(self, start, x):
        h = torch.tanh(start + nn.functional.linear(x, self.earlier.weight * self.before))
        return nn.functional.linear(h, self.out.weight * self.up_to, self.out.bias)

    def given(self, z, condition, density, generator=None):
        c = () if condition is None else (condition.expand(*z.shape[:-1], -1),)
        return _RowsGiven(self, density, self.start(torch.cat([z, *c], dim=-1)))


class Autoregressive(MLP):
    def decoder(self, inputs, n_outputs):
        return _Decoder(inputs, n_outputs)
