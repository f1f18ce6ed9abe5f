"""The contract of a network."""

from __future__ import annotations

from abc import abstractmethod

from torch import nn

from sklae._utils.component import Component

__all__ = ["Network"]


class Network(Component):
    """A component that builds an encoder and a decoder.

    Both are modules with ``forward(h, generator=None)``: random draws (dropout) come from the generator
    that is handed along, never from torch's global one.
    """

    @abstractmethod
    def build_encoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return a module from (n_samples, n_inputs) to (n_samples, n_outputs)."""

    @abstractmethod
    def build_decoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        """Return a module from (n_samples, n_inputs) to (n_samples, n_outputs)."""
