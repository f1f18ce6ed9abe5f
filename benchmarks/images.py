"""What do networks and parts for images bring on MNIST, beside the dense default and classical peers?

    python -m benchmarks.images [--part NAME ...] [--figures FOLDER] [--quick]

5,000 training images of MNIST (grey, in [0, 1]), 1,000 test images, one thread. Each part prints one table:

- *networks*: held-out squared error of codes of 16 numbers: PCA, the dense network, `Conv`, after as many epochs.
- *denoising*: normal noise of deviation 0.5 on each pixel, and the mean squared error to the clean image of what is
  left by a median filter, Wiener's filter, non-local means (scikit-image, where it is installed), PCA (as many
  components as denoise training images best), a dense and a convolutional denoising autoencoder.
- *vlae*: images of 14 x 14 pixels, zeros and ones; codes of 8 numbers, a flow as the prior. Nats of held-out images by
  a factorised decoder and by `PixelCNN` with windows of 3, 5 and 7 pixels; the share of them that is in the code; the
  time of 100 draws.
- *sparse*: 64 codes, the share that is active (above 0; with `kl_sparsity` above 0.1), units that never are, errors.
- *map*: two codes; labels of test images from five neighbours among training images.
- *adversaries*: how far codes of 8 numbers are from the normal prior (MMD) without a critic, with the divergence MMD,
  and with `LatentCritic`; images drawn by a VAE without and with `DataCritic`: mean difference of neighbouring pixels,
  and Frechet's distance to test images in the last hidden layer of a classifier of labels.
- *pythae*: a convolutional VAE of binary images beside pythae's, of the same networks, after as many steps.
- *speed*: three epochs of 2,000 images beside the same module and objective in a loop written by hand.
- *beats*: half of ECG5000's beats to fit, half to judge, codes of 8 numbers; and abnormal beats by the error of a model
  of normal ones. Four times as many epochs, of batches of 32.

Settings of sklae were chosen on other training images (those of seed 1) than those reported on (seed 0).
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import linalg, ndimage, signal
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from benchmarks.generative.likelihood_mnist import log_likelihood, model_of_pythae, model_of_sklae
from benchmarks.shared.data import Split, folder, mnist
from benchmarks.shared.harness import ALL_EPOCHS, measure, one_thread, print_table, versions
from sklae import AutoencoderTransformer, VAETransformer
from sklae._tables.layout import Rows
from sklae.corruptions import GaussianNoise
from sklae.critics import DataCritic, LatentCritic
from sklae.divergences import MMD
from sklae.divergences._mmd import discrepancy
from sklae.likelihoods import Gaussian
from sklae.networks import GRU, Conv, Inputs, PixelCNN, Transformer
from sklae.priors import Flow

try:
    from skimage.restoration import denoise_nl_means
except ImportError:
    denoise_nl_means = None
try:
    from benchmarks.shared import pythae
except ImportError:
    pythae = None
try:
    from umap import UMAP
except ImportError:
    UMAP = None

SIDE = 28
NOISE = 0.5
N_TIMED = 3


class Run(NamedTuple):
    """What a part is given: images, how long to train, and where pictures go (None: nowhere)."""

    data: Split
    n_epochs: int
    figures: Path | None
    seed: int = 0

    def settings(self, **params: Any) -> dict[str, Any]:
        """Return the settings that all models share."""
        return {"standardize": False, "batch_size": 128, "max_iter": self.n_epochs, "random_state": 0, **params}


def error(found: np.ndarray, images: np.ndarray) -> float:
    return float(np.mean((found - images) ** 2))


def fitted(model: Any, X: np.ndarray) -> tuple[Any, float]:
    cost = measure(lambda: model.fit(X))
    return model, cost.cpu


# -- parts ------------------------------------------------------------------------------------------------


def networks(run: Run) -> None:
    train, test = run.data.X_train, run.data.X_test
    pca = PCA(16).fit(train)
    rows = [["PCA", f"{error(pca.inverse_transform(pca.transform(test)), test):.4f}", ""]]
    shown = [test[:10]]
    for name, network in {"dense": None, "Conv": Conv((SIDE, SIDE))}.items():
        model, seconds = fitted(AutoencoderTransformer(16, network=network, **run.settings()), train)
        shown.append(model.reconstruct(test[:10]))
        rows.append([name, f"{error(model.reconstruct(test), test):.4f}", f"{seconds:.0f}"])
    print_table("networks: held-out error at 16 numbers", ["model", "error", "fit CPU s"], rows)
    draw(run, "networks", shown)


def denoising(run: Run) -> None:
    train, test = run.data.X_train, run.data.X_test
    noisy = test + np.random.RandomState(0).normal(scale=NOISE, size=test.shape).astype(np.float32)
    pictures = noisy.reshape(-1, SIDE, SIDE)
    filters: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "median filter": lambda picture: ndimage.median_filter(picture, 3),
        "Wiener filter": lambda picture: signal.wiener(picture.astype(np.float64), 5, NOISE**2),
    }
    if denoise_nl_means is not None:
        filters["non-local means"] = lambda picture: denoise_nl_means(
            picture, patch_size=5, patch_distance=9, h=0.6 * NOISE, sigma=NOISE, fast_mode=True
        )
    found = {"noisy": noisy}
    for name, clean in filters.items():
        found[name] = np.stack([clean(picture) for picture in pictures]).reshape(len(test), -1)
    found["PCA"] = pca_denoised(train, noisy)
    seconds = {}
    for name, network in {"dense": None, "Conv": Conv((SIDE, SIDE))}.items():
        model = AutoencoderTransformer(64, network=network, corruption=GaussianNoise(NOISE), **run.settings())
        model, seconds[name] = fitted(model, train)
        found[name] = model.reconstruct(noisy)
    rows = [[name, f"{error(images, test):.4f}", f"{seconds.get(name, 0):.0f}"] for name, images in found.items()]
    print_table("denoising: error to the clean image", ["method", "error", "fit CPU s"], rows)
    draw(run, "denoising", [test[:10], noisy[:10], *(found[name][:10] for name in [*filters, "PCA", "dense", "Conv"])])


def pca_denoised(train: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Return noisy images as principal components of clean ones have them: as many as do best on training images."""
    half = len(train) // 2
    own = train[half:] + np.random.RandomState(1).normal(scale=NOISE, size=train[half:].shape)
    tried = {}
    for k in (8, 16, 32, 64, 128):
        pca = PCA(k, random_state=0).fit(train[:half])
        tried[k] = error(pca.inverse_transform(pca.transform(own)), train[half:])
    pca = PCA(min(tried, key=tried.get), random_state=0).fit(train)
    return pca.inverse_transform(pca.transform(noisy))


def vlae(run: Run) -> None:
    """Variational lossy autoencoders (arXiv 1611.02731)."""
    train, test = (halved(X) for X in (run.data.X_train, run.data.X_test))
    found = {"dense": None} | {f"PixelCNN, window {w}": PixelCNN((14, 14), receptive_field=w) for w in (3, 5, 7)}
    rows, shown = [], []
    for name, network in found.items():
        params = run.settings(network=network, likelihood="bernoulli", prior=Flow())
        model, seconds = fitted(VAETransformer(8, **params), train)
        drawing = measure(lambda model=model: model.sample(100, random_state=0))
        nats, kl = model.score(test), model.posterior_kl(test).sum(1).mean()
        shown.append(model.reconstruct(test[:10]))
        rows.append([name, f"{nats:.2f}", f"{kl:.2f}", f"{seconds:.0f}", f"{drawing.wall:.2f}"])
    print_table("vlae: nats of held-out images", ["decoder", "log p", "in the code", "fit CPU s", "100 draws s"], rows)
    draw(run, "vlae", [test[:10], *shown])


def halved(X: np.ndarray) -> np.ndarray:
    """Return images of half the side, zeros and ones."""
    pictures = X.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    return (pictures > 0.5).reshape(len(X), -1).astype(np.float32)


def sparse(run: Run) -> None:
    train, test = run.data.X_train, run.data.X_test
    rows = []
    for name in (None, "l1", "kl_sparsity", "top_k", "batch_top_k"):
        model, seconds = fitted(AutoencoderTransformer(64, penalty=name, **run.settings()), train)
        codes = model.transform(test)
        active = (np.abs(codes) > 0.1 if name == "kl_sparsity" else codes != 0).mean()
        unused = int((codes == 0).all(axis=0).sum())
        rows.append(
            [name or "none", f"{active:.3f}", unused, f"{error(model.reconstruct(test), test):.4f}", f"{seconds:.0f}"]
        )
    print_table("sparse: 64 codes", ["penalty", "share active", "unused", "error", "fit CPU s"], rows)


def maps(run: Run) -> None:
    data, rows = run.data, []
    found = {"PCA": PCA(2), "dense": AutoencoderTransformer(2, **run.settings())}
    found["neighbors"] = AutoencoderTransformer(2, penalty="neighbors", **run.settings(batch_size="auto", max_iter=100))
    if UMAP is not None:
        found["UMAP"] = UMAP(n_components=2, random_state=0, n_jobs=1)
    for name, model in found.items():
        model, seconds = fitted(model, data.X_train)
        judge = KNeighborsClassifier(5).fit(model.transform(data.X_train), data.y_train)
        right = judge.score(model.transform(data.X_test), data.y_test)
        rebuilt = ""
        if name != "UMAP":
            codes = model.transform(data.X_test)
            rebuilt = f"{error(model.inverse_transform(codes), data.X_test):.4f}"
        rows.append([name, f"{right:.3f}", rebuilt, f"{seconds:.0f}"])
    print_table("map: labels from neighbours in two dimensions", ["method", "accuracy", "error", "fit CPU s"], rows)


def beats(run: Run) -> None:
    """Heart beats of ECG5000 (140 steps): codes of 8 numbers, and abnormal beats by reconstruction error."""
    frame = pd.read_csv(folder() / "practical" / "ecg5000_train.csv")
    label = next(name for name in frame.columns if frame[name].nunique() < 10)
    X, y = frame.drop(columns=label).to_numpy(np.float32), frame[label].to_numpy()
    half = np.random.RandomState(run.seed).permutation(len(X)) < len(X) // 2
    train, test = (X[half], X[~half]) if run.seed == 0 else (X[~half], X[half])
    y_train, y_test = (y[half], y[~half]) if run.seed == 0 else (y[~half], y[half])
    normal = train[y_train == pd.Series(y).mode()[0]]
    rows = []
    found: dict[str, Any] = {"PCA": PCA(8)}
    tried = {"dense": None, "Conv": Conv((140,)), "Transformer": Transformer((28, 5))}
    tried["GRU"] = GRU((28, 5), linear_path=False)
    for name, network in tried.items():
        params = run.settings(batch_size=32, max_iter=4 * run.n_epochs, standardize="global")
        found[name] = AutoencoderTransformer(8, network=network, **params)
    for name, model in found.items():
        model, seconds = fitted(model, train)
        least = error(model.inverse_transform(model.transform(test)), test)
        model.fit(normal)
        surprise = np.mean((model.inverse_transform(model.transform(test)) - test) ** 2, axis=1)
        auc = roc_auc_score(y_test != pd.Series(y).mode()[0], surprise)
        rows.append([name, f"{least:.4f}", f"{auc:.3f}", f"{seconds:.0f}"])
    print_table("beats: error, and AUROC of abnormal ones", ["model", "error", "AUROC", "fit CPU s"], rows)


def adversaries(run: Run) -> None:
    """The latent critic's codes beside those of other models; the critic of rows beside a plain VAE."""
    train, test = run.data.X_train, run.data.X_test
    points = {"posterior": "point", "likelihood": Gaussian(1.0), "prior": "normal"}
    held: dict[str, Any] = {
        "autoencoder": AutoencoderTransformer(8, **run.settings(likelihood=Gaussian(1.0))),
        "MMD": VAETransformer(8, divergence=MMD(100.0), **run.settings(**points)),
        "LatentCritic": VAETransformer(8, divergence=LatentCritic(), **run.settings(**points)),
    }
    rows = []
    drawn = torch.randn(len(test), 8, generator=torch.Generator().manual_seed(0))
    for name, model in held.items():
        model, seconds = fitted(model, train)
        codes = torch.as_tensor(model.transform(test))
        rows.append(
            [
                name,
                f"{float(discrepancy(codes, drawn)):.4f}",
                f"{error(model.reconstruct(test), test):.4f}",
                f"{seconds:.0f}",
            ]
        )
    print_table("adversaries: codes of 8 numbers", ["model", "MMD to the prior", "error", "fit CPU s"], rows)
    judge = MLPClassifier((64, 32), max_iter=20, random_state=0).fit(train, run.data.y_train)
    shown, rows = [test[:10]], [["images", f"{sharpness(test):.3f}", "", ""]]
    for name, critic in {"VAE": None, "VAE-GAN": DataCritic()}.items():
        params = run.settings(critic=critic, likelihood="gaussian", prior="normal")
        model, seconds = fitted(VAETransformer(16, **params), train)
        made = model.sample(len(test), random_state=0, noise=False)
        shown.append(made[:10])
        rows.append([name, f"{sharpness(made):.3f}", f"{frechet(judge, test, made):.2f}", f"{seconds:.0f}"])
    print_table("adversaries: drawn images", ["", "sharpness", "Frechet distance of features", "fit CPU s"], rows)
    draw(run, "adversaries", shown)


def beside_pythae(run: Run) -> None:
    """A convolutional VAE beside pythae's, of the same networks, after as many steps: the middle 20 x 20 pixels."""
    if pythae is None:
        print("pythae is not installed: left out")
        return
    network, k, n_pixels = Conv((20, 20), (16, 32)), 16, 400
    train, test = (
        (X.reshape(-1, SIDE, SIDE)[:, 4:24, 4:24] > 0.5).reshape(len(X), -1).astype(np.float32)
        for X in (run.data.X_train, run.data.X_test)
    )
    model = VAETransformer(k, network=network, likelihood="bernoulli", prior="normal", learning_rate_init=1e-3,
                           **{**run.settings(standardize="auto"), **ALL_EPOCHS})  # fmt: skip
    model, seconds = fitted(model, train)
    torch.manual_seed(0)
    networks = (
        network.encoder(Inputs(n_pixels, 0, 0, n_pixels), 2 * k),
        network.decoder(Inputs(k, 0, 0, n_pixels), n_pixels),
    )
    peer = pythae.build("VAE", n_pixels, (), k, bernoulli=True, networks=networks)
    cost = measure(lambda: pythae.train(peer, train, n_epochs=run.n_epochs, batch_size=128, learning_rate=1e-3))
    rows = []
    for name, as_model, time in (
        ("sklae", model_of_sklae(model), seconds),
        ("pythae", model_of_pythae(peer), cost.cpu),
    ):
        nats = -log_likelihood(as_model, test, 200)
        rows.append([name, f"{nats.mean():.2f}", f"{nats.std() / np.sqrt(len(nats)):.2f}", f"{time:.0f}"])
    print_table("pythae: negative log-likelihood, nats", ["", "NLL", "SE", "fit CPU s"], rows)


def speed(run: Run) -> None:
    """Fits beside a loop written by hand, of the same module and objective, in turns."""
    train, rows = run.data.X_train[:2_000], []
    for name, network in {"Conv": Conv((SIDE, SIDE)), "Transformer": Transformer((SIDE, SIDE))}.items():
        model = AutoencoderTransformer(16, **{**run.settings(network=network), **ALL_EPOCHS, "max_iter": N_TIMED})
        net = model.fit(train).net_
        by_hand = partial(loop, net.module_, net.criterion_, torch.as_tensor(train))
        costs = [(measure(partial(model.fit, train)).cpu, measure(by_hand).cpu) for _ in range(5)]
        ours, theirs = (min(found) for found in zip(*costs, strict=True))
        rows.append([name, f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}"])
    print_table(f"speed: {N_TIMED} epochs, least of 5, CPU s", ["network", "sklae", "loop by hand", "ratio"], rows)


def loop(module: Any, objective: Any, x: torch.Tensor) -> None:
    """Train for some epochs, in batches of 128."""
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(N_TIMED):
        for batch in x[torch.randperm(len(x), generator=generator)].split(128):
            optimizer.zero_grad()
            loss = objective(module(batch, generator=generator), Rows(batch))
            loss.backward()
            optimizer.step()


def sharpness(images: np.ndarray) -> float:
    """Return the mean absolute difference of neighbouring pixels."""
    pictures = images.reshape(-1, SIDE, SIDE)
    return float(np.mean([np.abs(np.diff(pictures, axis=axis)).mean() for axis in (1, 2)]))


def frechet(judge: MLPClassifier, images: np.ndarray, made: np.ndarray) -> float:
    """Return Frechet's distance between normal distributions of the last hidden layer of a classifier of labels."""
    features = []
    for X in (images, made):
        for weights, bias in zip(judge.coefs_[:-1], judge.intercepts_[:-1], strict=True):
            X = np.maximum(X @ weights + bias, 0.0)
        features.append(X)
    means, covariances = [f.mean(0) for f in features], [np.cov(f.T) for f in features]
    alive = [c + 1e-6 * np.eye(len(c)) for c in covariances]  # units that are off on all images
    root = linalg.sqrtm(alive[0] @ alive[1])
    return float(np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2.0 * root.real))


PARTS: dict[str, Callable[[Run], None]] = {
    "networks": networks,
    "denoising": denoising,
    "vlae": vlae,
    "sparse": sparse,
    "map": maps,
    "beats": beats,
    "adversaries": adversaries,
    "speed": speed,
    "pythae": beside_pythae,
}


def draw(run: Run, name: str, lines: list[np.ndarray]) -> None:
    """Draw images, a line of each kind."""
    if run.figures is None:
        return
    from sklae.plotting import image_grid

    run.figures.mkdir(parents=True, exist_ok=True)
    side = math.isqrt(lines[0].shape[1])
    ax = image_grid(np.concatenate(lines), (side, side), n_columns=len(lines[0]), limits=(0.0, 1.0))
    ax.figure.savefig(run.figures / f"{name}.png", dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--figures", type=Path, default=None, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(versions())
    data = mnist(*((300, 100) if arguments.quick else (5_000, 1_000)), seed=arguments.seed)
    run = Run(data, 1 if arguments.quick else arguments.epochs, arguments.figures, arguments.seed)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name in arguments.part:
            PARTS[name](run)


if __name__ == "__main__":
    main()
