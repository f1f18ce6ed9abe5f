"""The plain autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sklae._base import BaseAutoencoder
from sklae._module import Autoencoder
from sklae.likelihoods import Gaussian, Likelihood
from sklae.posteriors import Point, Posterior
from sklae.priors import Prior

__all__ = ["AutoencoderTransformer"]


class AutoencoderTransformer(BaseAutoencoder):
    """Autoencoder: nonlinear dimensionality reduction that reconstructs.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        hidden_layer_sizes: Any = None,
        activation: str = "silu",
        network: Any = None,
        encoder: Any = None,
        decoder: Any = None,
        likelihood: Any = "auto",
        corruption: Any = None,
        penalty: Any = None,
        standardize: Any = "auto",
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: Any = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        callbacks: Any = None,
        net_params: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalty = penalty
        self.standardize = standardize
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _auto_likelihood(self) -> Likelihood:
        return Gaussian(1.0)  # squared error

    def _latent_parts(self) -> tuple[Posterior, Prior | None]:
        return Point(), None

    def _beta(self) -> float | None:
        return None

    def _score_chunk(self, module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        params = module.decode(module.encode(x, observed).mean)
        log_prob = module.likelihood.log_prob(params, x)
        weight = module.column_weight(observed)
        return (log_prob if weight is None else log_prob * weight).sum(-1)
