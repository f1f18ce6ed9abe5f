"""Convolutional networks. What holds for all networks is in `laws.py`."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from support import seeded

from sklae import AutoencoderTransformer, VAETransformer
from sklae._utils.random import generate
from sklae.networks import Conv, Inputs
from sklae.networks._base import call
from sklae.networks._shapes import read_shape

X = load_digits().data[:200]
BRIEF = {
    "n_components": 3,
    "standardize": "global",
    "max_iter": 2,
    "early_stopping": False,
    "learning_rate": "constant",
    "random_state": 0,
}


def built(role, network, inputs, n_outputs):
    with generate(seeded()):
        return getattr(network, role)(inputs, n_outputs).double().eval()


@pytest.mark.parametrize(
    ("shape", "n_columns", "axes", "channels_last"),
    [
        (None, 49, (1, 7, 7), False),
        ((140,), 140, (1, 140, 1), False),
        ((6, 5), 30, (1, 6, 5), False),
        ((3, 4, 5), 60, (3, 4, 5), False),
        ((4, 5, 3), 60, (3, 4, 5), True),
        ((3, 8, 3), 72, (3, 8, 3), False),
        ((3, 3, 3), 27, (3, 3, 3), False),  # of equal ends the first
        ((2, 9, 3), 54, (2, 9, 3), False),  # of ends that both may be channels the shorter
        ((3, 9, 2), 54, (2, 3, 9), True),
        ((3, 9, -1), 54, (2, 3, 9), True),
        ((-1, 5), 30, (1, 6, 5), False),
        ((4, -1, 3), 60, (3, 4, 5), True),
    ],
)
def test_shapes_are_read_as_numpy_would(shape, n_columns, axes, channels_last):
    read = read_shape(shape, n_columns, "Conv")
    assert (tuple(read[:3]), read.channels_last) == (axes, channels_last)
    rows = torch.arange(2.0 * n_columns).view(2, -1)
    images = read.unflatten(rows)
    assert images.shape == (2, *axes)
    assert torch.equal(read.flatten(images), rows)
    both = read.flatten(torch.cat([images, -images], 1))  # two numbers a pixel: set after set
    assert torch.equal(both, torch.cat([rows, -rows], 1))


@pytest.mark.parametrize("shape", [None, (7, 7), (0, 50), (-1, -1), (2.0, 25), (-1, 49), (1, 1, 1, 50), ()])
def test_other_columns_are_refused_with_shapes_that_fit(shape):
    with pytest.raises(ValueError, match=r"expected|needs") as refused:
        AutoencoderTransformer(network=Conv(shape), **BRIEF).fit(X[:, :50])
    assert shape is not None or "(5, 10)" in str(refused.value)


@pytest.mark.parametrize(
    "wrong", [{"channels": ()}, {"channels": (0,)}, {"kernel_size": 4}, {"hidden_layer_sizes": (2.5,)}]
)
def test_sizes_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AutoencoderTransformer(network=Conv((8, 8), **wrong), **BRIEF).fit(X)


def test_categories_are_refused():
    levels = np.random.RandomState(0).randint(0, 3, size=(40, 16)).astype(float)
    with pytest.raises(ValueError, match="for each pixel"):
        VAETransformer(network=Conv((4, 4)), **{**BRIEF, "likelihood": "categorical", "standardize": "auto"}).fit(
            levels
        )


@pytest.mark.parametrize("upsampling", ["resize", "transpose"])
@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
@pytest.mark.parametrize("shape", [(8, 8), (7, 5), (3, 6, 7), (5, 9, 2), (13,), (1, 3), (1, 1)], ids=str)
def test_any_size_goes_in_and_comes_out(shape, downsampling, upsampling):
    n = int(np.prod(shape))
    network = Conv(shape, (4, 6, 8), downsampling=downsampling, upsampling=upsampling)
    encoder = built("encoder", network, Inputs(n, n, 2, n), 3)
    decoder = built("decoder", network, Inputs(3, 0, 2, n), 2 * n)
    rows, condition = torch.randn(5, n, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    codes = call(encoder, rows, torch.ones_like(rows), condition)
    assert codes.shape == (5, 3)
    assert call(decoder, codes, None, condition).shape == (5, 2 * n)


def test_a_shifted_image_gives_shifted_channels():
    """By as many pixels as one of the smallest image stands for, away from the border."""
    encoder = built("encoder", Conv((24, 24), (3, 4)), Inputs(576, 0, 0, 576), 2)
    image = torch.zeros(1, 24, 24, dtype=torch.float64)
    image[:, 8:12, 8:12] = torch.randn(4, 4, generator=seeded(), dtype=torch.float64)
    shifted = image.roll((4, 4), (1, 2))

    def channels(images):
        h = encoder.first(images[:, None])
        for layer in encoder.layers:
            h = layer(h)
        return h

    torch.testing.assert_close(channels(image)[..., 1:4, 1:4], channels(shifted)[..., 2:5, 2:5])


def test_what_was_observed_and_conditions_count():
    encoder = built("encoder", Conv((4, 4)), Inputs(16, 16, 2, 16), 3)
    decoder = built("decoder", Conv((4, 4)), Inputs(3, 0, 2, 16), 16)
    rows, mask, condition = torch.zeros(4, 16).double(), torch.ones(4, 16).double(), torch.zeros(4, 2).double()
    mask[1, 5], condition[2, 0] = 0.0, 1.0
    codes = call(encoder, rows, mask, condition)
    assert not torch.allclose(codes[0], codes[1])
    assert not torch.allclose(codes[0], codes[2])
    torch.testing.assert_close(codes[0], codes[3])
    expected = call(decoder, codes[:1].expand(4, -1), None, condition)
    assert not torch.allclose(expected[0], expected[2])


def test_with_a_linear_path_it_starts_as_pca():
    ae = AutoencoderTransformer(network=Conv((8, 8), (4,), linear_path=True), **{**BRIEF, "learning_rate_init": 1e-12})
    pca = PCA(3).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(ae.fit(X).reconstruct(X), expected, atol=1e-3 * X.std())


def test_gaps_and_conditions_from_end_to_end():
    gappy = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
    table = np.column_stack([gappy, load_digits().target[:200]])
    vae = VAETransformer(network=Conv((8, 8), (4,)), condition_features=[64], **BRIEF).fit(table)
    assert np.isfinite(vae.score_samples(table)).all()
    drawn = vae.sample(2, random_state=0, condition=[[3], [5]], noise=False)
    assert drawn.shape == (4, 65)
    assert list(drawn[:, 64]) == [3, 3, 5, 5]


@pytest.mark.parametrize("network", [Conv((16, 16), (32, 64)), Conv((16, 16), (8,), upsampling="transpose")])
def test_chunks_know_how_wide_it_is(network):
    n_seen = []
    encoder = built("encoder", network, Inputs(256, 0, 0, 256), 3)
    decoder = built("decoder", network, Inputs(3, 0, 0, 256), 512)
    for module in (encoder, decoder):
        for layer in module.modules():
            layer.register_forward_hook(lambda _, inputs, output: n_seen.append(output[0].numel()))
        n_seen.clear()
        call(module, torch.randn(1, 256 if module is encoder else 3, dtype=torch.float64), None, None)
        assert max(n_seen) <= module.n_activations <= 2 * max(n_seen)
