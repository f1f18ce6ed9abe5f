"""Do generated digits look like real ones, and all of them: by prior, and beside a mixture of normals.

    python -m benchmarks.generative.generation [--seeds 2] [--figure FILE] [--quick]

MNIST, 10,000 training images; 2,000 test images against 2,000 generated ones. All are zeros and ones: models are fitted
to images that are binarised anew in every step, draw binary rows, and are compared with test images binarised once.
Density and coverage (arXiv 2002.09797, 5 neighbours), precision and recall (arXiv 1904.06991, 3 neighbours), in two
spaces: the first 50 principal components of the training images, and the last hidden layer (32 wide) of a classifier
fitted to their labels. Density and precision say whether generated images look real, coverage and recall whether all
kinds of real ones are there. Blurred images lie amid real ones, above all in the first space: a density far above 1 is
no praise, see *independent pixels*.

- *prior ...*: `VAETransformer(20, prior=...)`, the default network, Bernoulli, 40 epochs of batches of 100 with the
  one-cycle rate.
- *normal, aggregate*: the same as *normal*, but codes are drawn from a mixture of normals fitted to the training codes.
- *autoencoder, aggregate*: `AutoencoderTransformer(20, sample_from="aggregate")`.
- *PCA + mixture*: 50 principal components of the grey images and scikit-learn's `GaussianMixture(50)` on them; its
  draws, mapped back and cut to [0, 1], are the probabilities of pixels. The peer; the first space is its own.
- *training images*: what real images reach, being real. *independent pixels*: what each pixel's mean alone reaches.

Also printed: the log-likelihood of the test images (500 importance samples, nats), and the time of a fit. Means over
seeds (of the fit and of the draws), one thread. The figure has ten draws of each, side by side with real images.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier

from benchmarks.shared.data import Split, mnist
from benchmarks.shared.harness import measure, one_thread, print_table, versions
from sklae import AutoencoderTransformer, VAETransformer
from sklae.corruptions import Binarize
from sklae.metrics import density_coverage, precision_recall

PRIORS = ("normal", "gaussian_mixture", "vamp", "flow")
AGGREGATE, PLAIN, PEER, REAL, PIXELS = (
    "normal, aggregate",
    "autoencoder, aggregate",
    "PCA + mixture",
    "training images",
    "independent pixels",
)


class Size(NamedTuple):
    """How much is done."""

    n_train: int = 10_000
    n_test: int = 2_000
    n_epochs: int = 40
    n_scored: int = 500
    n_mixed: int = 50


QUICK = Size(n_train=400, n_test=200, n_epochs=2, n_scored=20, n_mixed=3)

#: What draws so many images with a seed.
Draw = Callable[[int, int], np.ndarray]


class Fitted(NamedTuple):
    """A generator of images."""

    draw: Draw
    log_likelihood: float | None = None
    seconds: float | None = None


# -- generators -----------------------------------------------------------------------------------------


def fit_all(data: Split, size: Size, seed: int) -> dict[str, Fitted]:
    """Fit every model and return what draws images."""
    found = {f"prior {prior}": _fit_vae(data, size, seed, prior=prior) for prior in PRIORS}
    found[AGGREGATE] = _fit_vae(data, size, seed, sample_from="aggregate")
    plain = AutoencoderTransformer(20, sample_from="aggregate", **_settings(size, seed))
    cost = measure(lambda: plain.fit(data.X_train))
    found[PLAIN] = Fitted(plain.sample, None, cost.cpu)
    found[PEER] = _fit_peer(data.X_train, size, seed)
    found[REAL] = Fitted(lambda n, seed: _binarized(data.X_train[:n], seed))
    mean = data.X_train.mean(axis=0)
    found[PIXELS] = Fitted(lambda n, seed: _binarized(np.tile(mean, (n, 1)), seed))
    return found


def _settings(size: Size, seed: int) -> dict[str, Any]:
    return {
        "likelihood": "bernoulli",
        "corruption": Binarize(),
        "learning_rate": "one_cycle",
        "learning_rate_init": 2e-3,
        "batch_size": 100,
        "max_iter": size.n_epochs,
        "early_stopping": False,
        "random_state": seed,
    }


def _fit_vae(data: Split, size: Size, seed: int, **parameters: Any) -> Fitted:
    vae = VAETransformer(20, **_settings(size, seed), **parameters)
    cost = measure(lambda: vae.fit(data.X_train))
    scores = vae.score_samples(_binarized(data.X_test[: size.n_scored], 0), n_importance_samples=500)
    return Fitted(vae.sample, float(scores.mean()), cost.cpu)


def _fit_peer(X: np.ndarray, size: Size, seed: int) -> Fitted:
    pca = PCA(50, random_state=seed)
    mixture = GaussianMixture(size.n_mixed, reg_covar=1e-3, random_state=seed)
    cost = measure(lambda: mixture.fit(pca.fit_transform(X.astype(np.float64))))

    def draw(n: int, seed: int) -> np.ndarray:
        mixture.random_state = seed
        return _binarized(np.clip(pca.inverse_transform(mixture.sample(n)[0]), 0.0, 1.0), seed)

    return Fitted(draw, None, cost.cpu)


def _binarized(grey: np.ndarray, seed: int) -> np.ndarray:
    return np.random.RandomState(seed).binomial(1, grey).astype(np.float32)


# -- spaces in which images are compared ----------------------------------------------------------------


def spaces(data: Split) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return what maps binary images to features: fitted to the training images, binarised."""
    X = _binarized(data.X_train, 0)
    pca = PCA(50, random_state=0).fit(X)
    classifier = MLPClassifier((128, 32), max_iter=30, random_state=0).fit(X, data.y_train)
    accuracy = classifier.score(_binarized(data.X_test, 0), data.y_test)
    return {
        "50 principal components": pca.transform,
        f"last hidden layer of a classifier ({accuracy:.1%} right)": lambda X: _hidden(classifier, X),
    }


def _hidden(classifier: MLPClassifier, X: np.ndarray) -> np.ndarray:
    for weights, bias in list(zip(classifier.coefs_, classifier.intercepts_, strict=True))[:-1]:
        X = np.maximum(X @ weights + bias, 0.0)
    return X


# -- the run --------------------------------------------------------------------------------------------


def compare(real: np.ndarray, fake: np.ndarray) -> list[float]:
    return [*density_coverage(real, fake), *precision_recall(real, fake)]


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else float(np.mean(values))


def draw_figure(fitted: dict[str, Fitted], real: np.ndarray, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = {"real": real[:10], **{name: found.draw(10, 0) for name, found in fitted.items()}}
    figure, axes = plt.subplots(len(rows), 10, figsize=(8, 0.8 * len(rows)))
    for (name, images), line in zip(rows.items(), axes, strict=True):
        line[0].text(-0.2, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            axis.axis("off")
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)
    print(f"\nten draws of each in {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="number of fits of each, seeds 0, 1, ...")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="where to save a picture of draws")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    size, n_seeds = (QUICK, 1) if arguments.quick else (Size(), arguments.seeds)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of the classifier, which is good enough by then
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "zuko")))
    data = mnist(size.n_train, size.n_test)
    real = _binarized(data.X_test, 0)
    with one_thread():
        maps = spaces(data)
        _fit_vae(data, size._replace(n_epochs=1, n_scored=10), 0)  # warms up
        figures: dict[tuple[str, str], list[list[float]]] = {}
        costs: dict[str, list[Fitted]] = {}
        for seed in range(n_seeds):
            fitted = fit_all(data, size, seed)
            if seed == 0 and arguments.figure:
                draw_figure(fitted, real, arguments.figure)
            for name, found in fitted.items():
                costs.setdefault(name, []).append(found)
                images = found.draw(size.n_test, seed)
                for space, transform in maps.items():
                    figures.setdefault((space, name), []).append(compare(transform(real), transform(images)))
    for space in maps:
        header = [
            "drawn from",
            "density",
            "coverage",
            "precision",
            "recall",
            "log-likelihood",
            "fit CPU s",
            "coverage by seed",
        ]
        rows = [
            [
                name,
                *map(float, np.mean(figures[space, name], axis=0)),
                _mean([found.log_likelihood for found in costs[name]]),
                _mean([found.seconds for found in costs[name]]),
                " ".join(f"{found[1]:.3f}" for found in figures[space, name]),
            ]
            for name in costs
        ]
        print_table(f"{size.n_test:,} real and as many generated images, in the {space}", header, rows)
        print_best(space, figures, size.n_test)


def print_best(space: str, figures: dict[tuple[str, str], list[list[float]]], n_real: int) -> None:
    """Print which prior covers most, and whether the peer covers more."""
    coverage = {name: np.mean(found, axis=0)[1] for (where, name), found in figures.items() if where == space}
    ours = {name: value for name, value in coverage.items() if name not in (PEER, REAL, PIXELS)}
    best = max(ours, key=lambda name: ours[name])
    lead, error = ours[best] - coverage[PEER], np.sqrt(2 * coverage[PEER] * (1 - coverage[PEER]) / n_real)
    verdict = "level with" if abs(lead) < 2 * error else ("ahead of" if lead > 0 else "LOST to")
    print(f"best coverage: {best}, {ours[best]:.3f}; {verdict} {PEER}, {coverage[PEER]:.3f}")


if __name__ == "__main__":
    main()
