"""What a net learns from its rows before the first step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from sklae._model.start import can_start_as_linear, draw_codes, start_as_linear
from sklae._tables.layout import Rows
from sklae._training.net import AutoencoderNet

__all__ = ["start_from_rows"]


def start_from_rows(net: AutoencoderNet, sample: Callable[[], list[Rows]], weights: np.ndarray | None = None) -> None:
    """Set weights of an initialised net where its parts can: to those of a linear model; and what its prior learns.

    Parameters
    ----------
    net : AutoencoderNet
    sample : callable
        Returns training rows, in one part or several; called only where they are needed.
    weights : ndarray or None, default=None
        How much each of them counts; None: all alike.
    """
    model, generator = net.module_, torch.Generator().manual_seed(net.seeds[0])
    starts_prior = model.prior is not None and model.prior.starts_from_rows
    if not (can_start_as_linear(model) or starts_prior):
        return
    parts = sample()
    net.started_ = start_as_linear(model, parts, np.random.RandomState(net.seeds[0] % 2**32), weights)
    if not starts_prior:
        return
    names = {name for name, _ in model.named_parameters()}
    model.prior.start(parts[0].to(net.device), partial(draw_codes, model, parts, generator, weights), generator)
    if {name for name, _ in model.named_parameters()} != names:
        model.to(net.device)
        net.initialize_optimizer()
