"""Do components find the factors that images were drawn from: VAE, beta-VAE and beta-TCVAE over five seeds.

    python -m benchmarks.representation.disentangling [--betas 2 4 8 16] [--seeds 5] [--figure FILE] [--quick]

3,456 grey images of 16 x 16 pixels, drawn here: all combinations of a shape (square, ellipse, cross), 12 places across,
12 down and 8 sizes, each with smooth edges. Four factors, six components. The mutual information gap
(`sklae.metrics.mutual_information_gap`, arXiv 1802.04942) of the posterior means is 1 where each factor is told by one
component and by no other. The same network (256-128-64-6 and back), Bernoulli likelihood, batches of 128, Adam at 1e-3
and 100 epochs for all, seeds 0 to 4; one thread.

- *VAE*: `beta=1`.
- *beta-VAE*: the KL term weighs more, which also costs information about the rows.
- *beta-TCVAE*: `divergence="tc"`, where only the components' dependence weighs more.

Columns: the mean gap, its standard deviation over seeds, the gaps by factor, the active units, the mean reconstruction
error (cross-entropy in nats above the images' own entropy) that the gap is paid for with, and the mean time of a fit.
The last lines say whether the order of arXiv 1802.04942 held: at equal beta, in how many seeds, and between each
model's best beta. Without labels nobody knows the best one: read them beside the whole table.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.shared.harness import ALL_EPOCHS, measure, one_thread, print_table, versions
from sklae import VAETransformer
from sklae.metrics import active_units, mutual_information_gap
from sklae.networks import MLP

SIDE, N_COMPONENTS, HIDDEN = 16, 6, (128, 64)
FACTORS = ("shape", "x", "y", "size")
SHAPES = ("square", "ellipse", "cross")


class Size(NamedTuple):
    """How much is done."""

    n_places: int = 12
    n_sizes: int = 8
    n_epochs: int = 100


QUICK = Size(n_places=4, n_sizes=3, n_epochs=3)


# -- images ---------------------------------------------------------------------------------------------


def images(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Return all images, (n, SIDE * SIDE), and the numbers of their factors' values, (n, 4)."""
    counts = (len(SHAPES), size.n_places, size.n_places, size.n_sizes)
    factors = np.array(list(itertools.product(*map(range, counts))))
    middle, reach = 0.5 * (SIDE - 1), 0.2 * SIDE
    places = np.linspace(middle - reach, middle + reach, size.n_places)
    radii = np.linspace(0.11, 0.26, size.n_sizes) * SIDE
    rows = [_draw(SHAPES[s], places[i], places[j], radii[k]) for s, i, j, k in factors]
    return np.asarray(rows, dtype=np.float32), factors


def _draw(shape: str, x: float, y: float, radius: float) -> np.ndarray:
    """Return an image whose edges fall from 1 to 0 over a pixel."""
    v, u = np.mgrid[:SIDE, :SIDE].astype(float)
    u, v = np.abs(u - x), np.abs(v - y)
    inside = {
        "square": radius - np.maximum(u, v),
        "ellipse": radius * (1.0 - np.hypot(u / (1.3 * radius), v / (0.75 * radius))),
        "cross": np.maximum(
            np.minimum(1.3 * radius - u, 0.4 * radius - v), np.minimum(1.3 * radius - v, 0.4 * radius - u)
        ),
    }
    return np.clip(inside[shape] + 0.5, 0.0, 1.0).ravel()


# -- models ---------------------------------------------------------------------------------------------


def models(betas: list[float]) -> dict[str, dict[str, Any]]:
    """Return what is compared: name -> parameters."""
    found: dict[str, dict[str, Any]] = {"VAE": {}}
    for beta in betas:
        if beta != 1:
            found[f"beta-VAE, beta = {beta:g}"] = {"beta": beta}
            found[f"beta-TCVAE, beta = {beta:g}"] = {"beta": beta, "divergence": "tc"}
    return found


class Figures(NamedTuple):
    """Of one fit."""

    gap: float
    by_factor: list[float]
    n_active: int
    error: float
    seconds: float


def examine(parameters: dict[str, Any], X: np.ndarray, factors: np.ndarray, n_epochs: int, seed: int) -> Figures:
    vae = VAETransformer(
        N_COMPONENTS,
        network=MLP(HIDDEN, activation="relu", linear_path=False),
        likelihood="bernoulli",
        batch_size=128,
        max_iter=n_epochs,
        learning_rate_init=1e-3,
        random_state=seed,
        **{"prior": "normal", **ALL_EPOCHS, **parameters},
    )
    cost = measure(lambda: vae.fit(X))
    codes = vae.transform(X)
    gaps = [mutual_information_gap(codes, factor) for factor in factors.T]
    return Figures(float(np.mean(gaps)), gaps, active_units(vae, X), _error(X, vae.reconstruct(X)), cost.cpu)


def _error(X: np.ndarray, reconstructed: np.ndarray) -> float:
    """Return the mean cross-entropy per row above what the grey values themselves would have."""
    x, p = (np.clip(values, 1e-6, 1 - 1e-6).astype(np.float64) for values in (X, reconstructed))
    return float((X * np.log(x / p) + (1 - X) * np.log((1 - x) / (1 - p))).sum(axis=1).mean())


# -- the run --------------------------------------------------------------------------------------------


def row(name: str, found: list[Figures]) -> list[Any]:
    gaps = [figures.gap for figures in found]
    by_factor = np.mean([figures.by_factor for figures in found], axis=0)
    return [
        name,
        float(np.mean(gaps)),
        float(np.std(gaps, ddof=1)) if len(gaps) > 1 else None,
        *map(float, by_factor),
        float(np.mean([figures.n_active for figures in found])),
        float(np.mean([figures.error for figures in found])),
        float(np.mean([figures.seconds for figures in found])),
        " ".join(f"{gap:.2f}" for gap in gaps),
    ]


def print_orders(betas: list[float], results: dict[str, list[Figures]]) -> None:
    plain = [figures.gap for figures in results["VAE"]]
    for beta in betas:
        if beta == 1:
            continue
        total, correlation = (
            [figures.gap for figures in results[f"{kind}, beta = {beta:g}"]] for kind in ("beta-VAE", "beta-TCVAE")
        )
        held = sum(tc > b > p for tc, b, p in zip(correlation, total, plain, strict=True))
        means = [float(np.mean(gaps)) for gaps in (correlation, total, plain)]
        verdict = "yes" if means == sorted(means, reverse=True) else "NO"
        print(f"beta = {beta:g}: beta-TCVAE > beta-VAE > VAE in the mean: {verdict}; in {held} of {len(plain)} seeds")
    best = []
    for kind in ("beta-TCVAE", "beta-VAE", "VAE"):
        gaps = {name: np.mean([f.gap for f in found]) for name, found in results.items() if name.startswith(kind)}
        best += sorted(((gap, name) for name, gap in gaps.items()), reverse=True)[:1]
    print("best of each: " + " > ".join(f"{name} {gap:.2f}" for gap, name in sorted(best, reverse=True)))


def draw_figure(X: np.ndarray, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    chosen = np.random.RandomState(0).choice(len(X), 40, replace=False)
    figure, axes = plt.subplots(4, 10, figsize=(10, 4))
    for axis, image in zip(axes.flat, X[chosen], strict=True):
        axis.imshow(image.reshape(SIDE, SIDE), cmap="gray_r", vmin=0, vmax=1)
        axis.axis("off")
    figure.savefig(path, dpi=100, bbox_inches="tight")
    print(f"images in {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--betas", type=float, nargs="+", default=[2.0, 4.0, 8.0, 16.0])
    parser.add_argument("--seeds", type=int, default=5, help="number of fits of each, seeds 0, 1, ...")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="where to save a picture of some images")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    size, n_seeds = (QUICK, 2) if arguments.quick else (Size(), arguments.seeds)
    print(versions(("numpy", "scikit-learn", "torch", "skorch")))
    X, factors = images(size)
    if arguments.figure:
        draw_figure(X, arguments.figure)
    contenders = models(arguments.betas)
    results: dict[str, list[Figures]] = {name: [] for name in contenders}
    with one_thread():
        examine({}, X, factors, 1, 0)  # warms up
        for seed in range(n_seeds):
            for name, parameters in contenders.items():
                results[name].append(examine(parameters, X, factors, size.n_epochs, seed))
    header = ["model", "MIG", "SD", *FACTORS, "active", "error", "fit CPU s", "by seed"]
    title = f"{len(X):,} images of {SIDE} x {SIDE}, {N_COMPONENTS} components, {size.n_epochs} epochs, {n_seeds} seeds"
    print_table(title, header, [row(name, found) for name, found in results.items()])
    print_orders(arguments.betas, results)


if __name__ == "__main__":
    main()
