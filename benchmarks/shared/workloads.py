"""The fits that speed is measured on: data, architecture, and sklae's way to ask for them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.shared.harness import ALL_EPOCHS
from sklae import AutoencoderTransformer, VAETransformer
from sklae.likelihoods import Gaussian, Mixed
from sklae.networks import MLP

__all__ = ["LEARNING_RATE", "VAE", "WORKLOADS", "Workload", "stack"]

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A table and the network that is fitted to it.

    Attributes
    ----------
    name : str
    n_samples, n_features : int
    hidden : tuple of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    n_components : int
        Width of the code.
    batch_size, n_epochs : int
    bernoulli : bool
        Data in [0, 1] and the cross-entropy, instead of the squared error.
    variational : bool
    """

    name: str
    n_samples: int
    n_features: int
    hidden: tuple[int, ...]
    n_components: int
    batch_size: int
    n_epochs: int
    bernoulli: bool = False
    variational: bool = False

    def quick(self) -> Workload:
        """Return the same with next to no work, to see that everything runs."""
        return replace(self, n_samples=3 * self.batch_size + 8, n_epochs=2)

    @property
    def n_steps(self) -> int:
        """Number of optimizer steps."""
        return self.n_epochs * math.ceil(self.n_samples / self.batch_size)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        code = self.n_components
        encoder = [self.n_features, *self.hidden, code * (1 + self.variational)]
        decoder = [code, *reversed(self.hidden), self.n_features]
        return sum((n_in + 1) * n_out for widths in (encoder, decoder) for n_in, n_out in pairwise(widths))

    @property
    def flops_per_step(self) -> int:
        """Floating-point operations of a step: a multiply and an add, forwards once and backwards twice."""
        return 6 * self.n_parameters * self.batch_size

    def data(self) -> np.ndarray:
        """Return the table in float32, the same every time: a few factors and noise, standardised or in [0, 1]."""
        return _data(self.n_samples, self.n_features, self.bernoulli)

    def estimator(self, **parameters: Any) -> AutoencoderTransformer | VAETransformer:
        """Return sklae's estimator for this fit."""
        numbers = Mixed(Gaussian("per_feature")) if self.variational else "auto"
        settings = {
            "network": MLP(self.hidden, activation="relu", linear_path=False),
            "likelihood": "bernoulli" if self.bernoulli else numbers,
            "learning_rate_init": LEARNING_RATE,
            "batch_size": self.batch_size,
            "max_iter": self.n_epochs,
            "random_state": 0,
            **ALL_EPOCHS,
            **({"prior": "normal"} if self.variational else {}),
        }
        estimator = VAETransformer if self.variational else AutoencoderTransformer
        return estimator(self.n_components, **{**settings, **parameters})

    def module(self) -> nn.Module:
        """Return the network as a person writes it; its parameters come in sklae's order."""
        if self.variational:
            return VAE(self.n_features, self.hidden, self.n_components)
        return nn.Sequential(
            stack([self.n_features, *self.hidden, self.n_components]),
            stack([self.n_components, *reversed(self.hidden), self.n_features]),
        )


def stack(widths: list[int]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class VAE(nn.Module):
    """A variational autoencoder as a person writes it."""

    def __init__(self, n_features: int, hidden: tuple[int, ...], n_components: int):
        super().__init__()
        self.encoder = stack([n_features, *hidden, 2 * n_components])
        self.decoder = stack([n_components, *reversed(hidden), n_features])
        self.generator: torch.Generator | None = None  # torch's global one

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the decoder's output for a drawn code; mean and standard deviation of the code."""
        mean, raw_scale = self.encoder(x).chunk(2, -1)
        scale = functional.softplus(raw_scale.clamp(min=-20.0))  # as sklae does, to the bit
        noise = torch.empty_like(mean).normal_(generator=self.generator)
        return self.decoder(mean + scale * noise), mean, scale

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Return the decoder's output for the mean code."""
        return self.decoder(self.encoder(x).chunk(2, -1)[0])


@lru_cache(maxsize=1)
def _data(n_samples: int, n_features: int, unit_interval: bool) -> np.ndarray:
    rng = np.random.RandomState(0)
    factors = rng.standard_normal((n_samples, 5))
    X = factors @ rng.standard_normal((5, n_features)) + rng.standard_normal((n_samples, n_features))
    # what scaling sklae does inside then leaves the objective as it is for everybody
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return (1.0 / (1.0 + np.exp(-2.0 * X)) if unit_interval else X).astype(np.float32)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W1", 1_000, 10, (64,), 32, 32, 50),
        Workload("W2", 20_000, 30, (64, 32), 8, 256, 20),
        Workload("W3", 10_000, 784, (), 32, 256, 10, bernoulli=True),
        Workload("W3V", 10_000, 784, (512,), 2, 128, 3, bernoulli=True, variational=True),
        Workload("W4", 200_000, 50, (128, 64), 16, 1_024, 5),
    )
}
