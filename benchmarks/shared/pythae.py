"""pythae's models and its training loop, for a fair race: import only where pythae is installed.

Networks are handed in, as wide and deep as sklae's. The loop is pythae's `BaseTrainer` (its `DataLoader`, one row a
time, and Adam as it comes) without what nobody else does: progress bars, log lines, files, evaluation rows, schedulers.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pythae import models
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback
from torch import nn

__all__ = ["build", "train"]

logging.disable(logging.INFO)  # its loggers print to the console whatever their level is set to

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU}


def _stack(widths: list[int], activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class _Encoder(BaseEncoder):
    def __init__(self, net: nn.Module, variational: bool):
        super().__init__()
        self.net = net
        self.variational = variational

    def forward(self, x: torch.Tensor) -> ModelOutput:
        if not self.variational:
            return ModelOutput(embedding=self.net(x))
        mean, log_variance = self.net(x).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class _Decoder(BaseDecoder):
    def __init__(self, net: nn.Module, bernoulli: bool):
        super().__init__()
        self.net = net
        self.bernoulli = bernoulli

    def forward(self, z: torch.Tensor) -> ModelOutput:
        h = self.net(z)
        return ModelOutput(reconstruction=h.sigmoid() if self.bernoulli else h)  # it takes probabilities, not logits


def build(
    name: str,
    n_features: int,
    hidden: tuple[int, ...],
    n_components: int,
    *,
    activation: str = "relu",
    bernoulli: bool = False,
    seed: int = 0,
    networks: tuple[nn.Module, nn.Module] | None = None,
    **settings: Any,
) -> nn.Module:
    """Return an untrained model of this name, such as "VAE" or "VAMP"; settings go to its config.

    ``networks`` are encoder and decoder in place of fully connected ones.
    """
    torch.manual_seed(seed)
    config_class = getattr(models, f"{name}_Config" if "_" in name else f"{name}Config")
    loss = {} if name == "WAE_MMD" else {"reconstruction_loss": "bce" if bernoulli else "mse"}
    config = config_class(input_dim=(n_features,), latent_dim=n_components, **loss, **settings)
    variational = name not in ("AE", "WAE_MMD")
    encoder, decoder = networks or (
        _stack([n_features, *hidden, n_components * (1 + variational)], activation),
        _stack([n_components, *reversed(hidden), n_features], activation),
    )
    return getattr(models, name)(config, encoder=_Encoder(encoder, variational), decoder=_Decoder(decoder, bernoulli))


class _Trainer(BaseTrainer):
    """pythae's loop, silent and without files."""

    binarize = False

    def _setup_callbacks(self) -> None:
        self.callback_handler = CallbackHandler(callbacks=[TrainingCallback()], model=self.model)

    def _set_output_dir(self) -> None:
        self.training_dir = ""

    def save_model(self, model: Any, dir_path: str) -> None:
        return None

    def _set_inputs_to_device(self, inputs: Any) -> Any:
        inputs = super()._set_inputs_to_device(inputs)
        if self.binarize:  # a whole batch at once, which costs pythae less than row by row in its data set
            inputs["data"] = torch.bernoulli(inputs["data"])
        return inputs


def train(
    model: nn.Module,
    X: np.ndarray,
    *,
    n_epochs: int,
    batch_size: int,
    learning_rate: float = 1e-3,
    binarize: bool = False,
    seed: int = 0,
) -> nn.Module:
    """Train for all epochs and return the model as the last step left it."""
    config = BaseTrainerConfig(
        output_dir="",
        num_epochs=n_epochs,
        per_device_train_batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        no_cuda=True,
    )
    trainer_class = type("_Trainer", (_Trainer,), {"binarize": binarize})
    data = BaseDataset(torch.from_numpy(X), torch.zeros(len(X)))
    trainer = trainer_class(model, data, training_config=config)
    trainer.train()
    return trainer.model.eval()
