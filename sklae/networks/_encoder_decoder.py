"""One network's encoder before another's decoder."""

from __future__ import annotations

from torch import nn

from sklae.networks._base import Inputs, Network

__all__ = ["EncoderDecoder"]


class EncoderDecoder(Network):
    """The encoder of one network, the decoder of another: convolutions that read images for a `PixelCNN`.

    Parameters
    ----------
    encoder_network : Network
        Its encoder reads rows.
    decoder_network : Network
        Its decoder reads codes.

    Notes
    -----
    A model starts as PCA or factor analysis where both halves can: where both have a linear path.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import VAETransformer
    >>> from sklae.networks import Conv, EncoderDecoder, PixelCNN
    >>> X = (load_digits().data > 8).astype(float)
    >>> network = EncoderDecoder(
    ...     Conv((8, 8), channels=(8, 16)), PixelCNN((8, 8), receptive_field=3)
    ... )
    >>> vae = VAETransformer(
    ...     4,
    ...     network=network,
    ...     likelihood="bernoulli",
    ...     max_iter=2,
    ...     n_iter_no_change=float("inf"),
    ... )
    >>> vae.fit(X).transform(X).shape
    (1797, 4)
    """

    _parameter_constraints = {"encoder_network": [Network], "decoder_network": [Network]}

    def __init__(self, encoder_network: Network, decoder_network: Network):
        self.encoder_network = encoder_network
        self.decoder_network = decoder_network

    def encoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the encoder of the one."""
        return self.encoder_network.encoder(inputs, n_outputs)

    def decoder(self, inputs: Inputs, n_outputs: int) -> nn.Module:
        """Return the decoder of the other."""
        return self.decoder_network.decoder(inputs, n_outputs)

    def fitting_size(self, at_least: int) -> int:
        n_columns = at_least
        # one after the other until neither asks for more
        while (fitting := self.decoder_network.fitting_size(self.encoder_network.fitting_size(n_columns))) > n_columns:
            n_columns = fitting
        return n_columns
