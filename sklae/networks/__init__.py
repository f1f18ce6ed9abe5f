"""Networks: what maps rows to codes and codes to rows."""

from sklae.networks._base import Inputs, Network
from sklae.networks._conv import Conv
from sklae.networks._encoder_decoder import EncoderDecoder
from sklae.networks._gru import GRU
from sklae.networks._made import MADE
from sklae.networks._mlp import ACTIVATIONS, MLP, NORMALIZATIONS, Dropout
from sklae.networks._pixel_cnn import PixelCNN
from sklae.networks._transformer import Transformer

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "MADE",
    "MLP",
    "NETWORKS",
    "NORMALIZATIONS",
    "Conv",
    "Dropout",
    "EncoderDecoder",
    "Inputs",
    "Network",
    "PixelCNN",
    "Transformer",
]

#: Name -> class. A new network is one class and one row here.
NETWORKS: dict[str, type[Network]] = {
    "mlp": MLP,
    "conv": Conv,
    "transformer": Transformer,
    "gru": GRU,
    "made": MADE,
    "pixel_cnn": PixelCNN,
}
