"""How few bytes do images take, without loss and with, beside PNG, WebP, JPEG and PCA?

    python -m benchmarks.compression.images [--quick]

Without loss: bytes of new images; sklae's model is fitted to others, and its bytes are told apart. PNG (optimized) and
WebP (lossless, of the slowest method) get all images as one picture, so that no header counts more than once.

With loss: bits per pixel and PSNR (of the grey levels that there are) on new images. JPEG and WebP get one picture at
qualities from 1 to 95; PCA's scores are rounded to steps of a quarter of the smallest kept deviation and coded under
their own frequencies; sklae: codes of an autoencoder alone (``max_error=inf``) of several widths, and pixels within
bounds, without and with an autoencoder. Models (and PCA's components, as floats of 16 bits) are told apart, in bits per
pixel of the new images.

Settings were chosen on the first half of scikit-learn's digits; MNIST and the Frey faces confirm.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from itertools import chain
from typing import Any

import constriction
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from benchmarks.shared.data import folder
from benchmarks.shared.harness import one_thread, print_table, versions
from sklae import AutoencoderTransformer
from sklae.compression import Compressor
from sklae.networks import Conv


def images(name: str, *, quick: bool) -> tuple[np.ndarray, np.ndarray, tuple[int, int], int]:
    """Return images to fit to, new ones, their shape, and the brightest level."""
    if name == "digits":
        X = load_digits().data.astype(np.uint8)
        first, second, shape, brightest = X[:900], X[900:1780], (8, 8), 16
    elif name == "frey_faces":
        with np.load(folder() / "images" / "frey_faces.npz") as data:
            X = data["X"].reshape(-1, 560)
        first, second, shape, brightest = X[:1400], X[1400:1960], (28, 20), 255
    else:
        with np.load(folder() / "images" / "mnist.npz") as data:
            first, second = data["X_train"][:5_000].reshape(-1, 784), data["X_test"][:2_000].reshape(-1, 784)
        shape, brightest = (28, 28), 255
    return (first[:200], second[:80], shape, brightest) if quick else (first, second, shape, brightest)


def one_picture(X: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return all images side by side."""
    per_row = next(k for k in range(int(np.sqrt(len(X))), 0, -1) if len(X) % k == 0)
    grid = X.reshape(-1, per_row, *shape)
    return grid.transpose(0, 2, 1, 3).reshape(-1, per_row * shape[1])


def _as_file(picture: np.ndarray, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **settings)
    return file.getvalue()


def _psnr(X: np.ndarray, back: np.ndarray, brightest: int) -> float:
    error = ((X.astype(float) - back.astype(float)) ** 2).mean()
    return float(10.0 * np.log10(brightest**2 / error)) if error else float("inf")


def without_loss(name: str, *, quick: bool) -> list[list[Any]]:
    X, new, shape, _ = images(name, quick=quick)
    picture = one_picture(new, shape)
    png = len(_as_file(picture, "PNG", optimize=True))
    webp = len(_as_file(picture, "WEBP", lossless=True, quality=100, method=6))
    compressor = Compressor(image_shape=shape, random_state=0).fit(X)
    data = compressor.compress(new, include_model=False)
    assert (compressor.decompress(data) == new).all()
    own = len(data)
    return [[name, len(new), png, webp, own, compressor.model_bytes_, png / own, webp / own]]


def lossy_files(new: np.ndarray, shape: tuple[int, int], brightest: int) -> Iterator[list[Any]]:
    scale = 255 // brightest
    picture = one_picture(new, shape) * np.uint8(scale)
    for kind in ("JPEG", "WEBP"):
        for quality in (1, 5, 10, 20, 40, 60, 80, 95):
            content = _as_file(picture, kind, quality=quality)
            back = np.asarray(Image.open(io.BytesIO(content)).convert("L")) / scale
            before = picture / scale
            yield [kind, quality, 8 * len(content) / new.size, 0.0, _psnr(before, back, brightest)]


def lossy_pca(X: np.ndarray, new: np.ndarray, brightest: int) -> Iterator[list[Any]]:
    for n_components in (2, 4, 8, 16, 32, 64):
        if n_components >= min(X.shape):
            continue
        pca = PCA(n_components, random_state=0).fit(X)
        scores = pca.transform(new)
        step = np.sqrt(pca.explained_variance_[-1]) / 4.0
        ints = np.rint(scores / step).astype(np.int32)
        encoder = constriction.stream.queue.RangeEncoder()
        for column in ints.T:
            values, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
            if len(values) > 1:
                model = constriction.stream.model.Categorical(counts.astype(float), perfect=False)
                encoder.encode(codes.astype(np.int32), model)
        back = np.clip(np.rint(pca.inverse_transform(ints * step)), 0, brightest)
        bits = 8.0 * encoder.get_compressed().nbytes / new.size
        yield ["PCA", n_components, bits, 16.0 * pca.components_.size / new.size, _psnr(new, back, brightest)]


def lossy_own(
    X: np.ndarray, new: np.ndarray, shape: tuple[int, int], brightest: int, n_epochs: int
) -> Iterator[list[Any]]:
    def told(what: str, setting: Any, compressor: Compressor) -> list[Any]:
        data = compressor.fit(X).compress(new, include_model=False)
        back = compressor.decompress(data)
        pixels = new.size
        return [
            what,
            setting,
            8 * len(data) / pixels,
            8 * compressor.model_bytes_ / pixels,
            _psnr(new, back, brightest),
        ]

    plain = {"standardize": "global", "max_iter": n_epochs, "early_stopping": False, "random_state": 0}
    for n_components in (8, 32):
        dense = AutoencoderTransformer(n_components, hidden_layer_sizes=(256,), **plain)
        yield told("codes", n_components, Compressor(dense, max_error=np.inf, image_shape=shape, random_state=0))
    for share in (0.25, 0.06):
        error = round(share * brightest)
        if not error:
            continue
        yield told("pixels", error, Compressor(max_error=error, image_shape=shape, random_state=0))
        dense = AutoencoderTransformer(16, hidden_layer_sizes=(256,), **plain)
        yield told("codes and pixels", error, Compressor(dense, max_error=error, image_shape=shape, random_state=0))
    conv = AutoencoderTransformer(16, network=Conv(shape), **plain)
    yield told("codes, Conv", 16, Compressor(conv, max_error=np.inf, image_shape=shape, random_state=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", default=["digits", "mnist", "frey_faces"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(versions(("constriction", "numpy", "pillow", "scikit-learn", "torch")))
    with one_thread():
        rows = [row for name in options.images for row in without_loss(name, quick=options.quick)]
        header = ["images", "new", "PNG", "WebP", "sklae", "its model", "PNG / sklae", "WebP / sklae"]
        print_table("Without loss, bytes", header, rows)
        for name in options.images:
            X, new, shape, brightest = images(name, quick=options.quick)
            print(f"\nWith loss, {name}: by, setting, bits per pixel, of the model, PSNR in dB")
            n_epochs = 1 if options.quick else 30
            found = chain(
                lossy_files(new, shape, brightest),
                lossy_pca(X, new, brightest),
                lossy_own(X, new, shape, brightest, n_epochs),
            )
            for what, setting, *figures in found:
                print(f"{what:18}{setting:8}" + "".join(f"{figure:10.3f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
