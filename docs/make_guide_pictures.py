"""Draw the pictures of the guide's pages: ``python docs/make_guide_pictures.py [page ...]``.

Each function is called as its page is, and draws what that page is about, from data and models like those of its code.
Pages whose code draws pictures are drawn by ``make_pictures.py``.
"""

from __future__ import annotations

import lzma
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from guide_diagrams import BLUE, DIAGRAMS, GREY, ORANGE
from make_pictures import HERE, write
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_score, train_test_split

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.compression import Compressor
from sklae.corruptions import GaussianNoise
from sklae.likelihoods import Mixed
from sklae.networks import Conv, Transformer
from sklae.plotting import (
    KLDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    SynthesisDisplay,
    image_grid,
)
from sklae.priors import GaussianMixture as MixturePrior

QUICK = {"learning_rate": "one_cycle", "random_state": 0}


def panels(n: int, size: tuple[float, float] = (6.0, 2.6), **settings):
    """Return Axes beside each other, without the frames' upper and right lines."""
    _, axes = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False, **settings)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return axes[0] if n > 1 else axes[0, 0]


def bars(names, values, label: str, notes) -> None:
    """Draw bars from the top to the bottom, each with its figure."""
    ax = panels(1, (6.0, 0.6 + 0.42 * len(names)))
    colors = [ORANGE if name.startswith(("sklae", "VAE")) else BLUE for name in names]
    drawn = ax.barh(names, values, color=colors, height=0.65)
    ax.bar_label(drawn, notes, padding=4)
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(label)


def customers(n_rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.normal(45, 12, n_rows).round()
    spent = (np.exp(rng.normal(2 + age / 30, 0.5)) * (rng.random(n_rows) < 0.7)).round(2)
    plan = np.where(age + rng.normal(0, 10, n_rows) > 52, "family", "basic")
    member = age + rng.normal(0, 9, n_rows) > 45
    table = pd.DataFrame({"age": age.astype(int), "spent": spent, "plan": plan, "member": member})
    return table.assign(plan=table["plan"].mask(rng.random(n_rows) < 0.1))


# -- pages ----------------------------------------------------------------------------------------------


def compression() -> None:
    rng = np.random.default_rng(0)
    size = rng.gamma(3.0, 20.0, 3000).round(1)
    rent = (400 + 9 * size + rng.normal(0, 40, 3000)).round(2)
    flats = pd.DataFrame({"size": size, "rent": rent, "rooms": (size // 25 + 1).astype(int)})
    flats["kind"] = pd.Categorical(np.where(size > 90, "house", "flat"))
    text = flats.to_csv(index=False).encode()
    sizes = {
        "CSV": len(text),
        "CSV, xz": len(lzma.compress(text, preset=9)),
        "sklae, exact": len(Compressor(random_state=0).fit(flats).compress(flats)),
        "sklae, rent within 1 %": len(Compressor(max_error={"rent": "1%"}, random_state=0).fit(flats).compress(flats)),
    }
    per_row = [number / len(flats) for number in sizes.values()]
    bars(list(sizes), per_row, "bytes a row, the model counted", [f"{value:.1f}" for value in per_row])


def conditions() -> None:
    table = load_digits(as_frame=True).frame
    table.iloc[:, :64] /= 16
    label = {"condition_features": ["target"], "categorical_features": ["target"]}
    settings = {"likelihood": "gaussian", "standardize": False, "learning_rate_init": 3e-3, "max_iter": 80}
    vae = VAETransformer(10, **label, **settings, **QUICK).fit(table[:1500])
    chosen = table[1500:].groupby("target").head(1).sort_values("target").iloc[[1, 4, 7, 9]]
    styles = [vae.reconstruct(chosen, condition={"target": digit}) for digit in range(10)]
    lines = np.stack([chosen, *styles], axis=1).reshape(-1, table.shape[1])[:, :64]
    _, ax = plt.subplots(figsize=(6.0, 2.6), layout="compressed")
    image_grid(lines, (8, 8), n_columns=11, limits=(0, 1), ax=ax)
    ax.axvline(8, color=BLUE, linewidth=1.5)
    ax.set_xticks(9 * np.arange(11) + 3.5, ["seen", *map(str, range(10))])
    ax.tick_params(length=0)


def diagnosing() -> None:
    X_train, X_test = train_test_split(load_digits().data, random_state=0)
    models = {
        "as it should be": VAETransformer(10, prior="normal", random_state=0).fit(X_train),
        "collapsed: beta=50": VAETransformer(10, prior="normal", beta=50.0, random_state=0).fit(X_train),
    }
    axes = panels(2, (6.4, 2.7), sharey=True)
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        display = KLDisplay.from_estimator(model, X_test, ax=ax)
        ax.set_title(f"{name}\n{display.kl.sum():.1f} nats in all", fontsize="medium")
    axes[1].set_ylabel("")


def generative() -> None:
    X, y = load_digits(return_X_y=True)
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    means = 4 * np.column_stack([np.cos(angles), np.sin(angles)])
    circle = MixturePrior(10, means=means, scales=0.5, weights="uniform")
    axes = panels(2, (6.6, 3.0))
    for ax, (name, prior) in zip(axes, {"normal": "normal", "ten given clusters": circle}.items(), strict=True):
        vae = VAETransformer(2, prior=prior, standardize="global", max_iter=40, **QUICK).fit(X)
        LatentSpaceDisplay.from_estimator(vae, X, y, ax=ax, y_name="digit")
        ax.set_title(f"prior: {name}\n", fontsize="medium", loc="left")  # a line is left for rows far out
    axes[0].get_legend().remove()


def images() -> None:
    X = load_digits().data / 16
    noisy = (X + np.random.RandomState(0).normal(0, 0.3, X.shape)).clip(0, 1)
    network = Conv((8, 8), channels=(16, 32))
    settings = {"corruption": GaussianNoise(0.3), "standardize": False, "batch_size": 64}
    ae = AutoencoderTransformer(16, network=network, max_iter=40, **settings, **QUICK).fit(X[:1400])
    ReconstructionDisplay.from_estimator(ae, X[1400:], corrupted=noisy[1400:], shape=(8, 8))


def imputation() -> None:
    iris = load_iris(as_frame=True)
    flowers = iris.data.assign(species=iris.target_names[iris.target])
    gaps = np.random.default_rng(0).random(flowers.shape) < 0.2
    filled = AEImputer(random_state=0).fit_transform(flowers.mask(gaps))
    ax, name = panels(1, (4.6, 3.3)), "petal length (cm)"
    hidden, observed = gaps[:, 2], flowers[name][~gaps[:, 2]]
    ax.axline((1, 1), slope=1, color=GREY, linewidth=0.8)
    ax.axhline(observed.mean(), color=BLUE, linestyle="--", label="the column's mean")
    ax.plot(flowers[name][hidden], filled[name][hidden], "o", color=ORANGE, markersize=5, label="AEImputer")
    ax.set(xlabel=f"hidden {name}", ylabel="filled in")
    ax.legend(frameon=False)


def likelihoods() -> None:
    rng = np.random.default_rng(0)
    age = rng.normal(45, 12, 1000)
    table = pd.DataFrame({"age": age, "visits": rng.poisson(np.exp(age / 40)).astype(float)})
    axes, edges = panels(2, (6.4, 2.6), sharey=True), np.arange(-4, 14) - 0.5
    for ax, name in zip(axes, ["gaussian", "negative_binomial"], strict=True):
        blocks = [("age", "gaussian", ["age"]), ("visits", name, ["visits"])]
        drawn = VAETransformer(2, likelihood=blocks, max_iter=40, **QUICK).fit(table).sample(1000, random_state=0)
        ax.hist(table["visits"], edges, color=BLUE, alpha=0.5, label="real")
        ax.hist(drawn["visits"], edges, color=ORANGE, histtype="step", linewidth=1.6, label="drawn")
        n_odd = int(((drawn["visits"] < 0) | (drawn["visits"] % 1 != 0)).sum())
        ax.set_title(f'"{name}": {n_odd:,} of 1,000\ndraws are no counts', fontsize="medium")
        ax.set_xlabel("visits")
    axes[0].set_ylabel("rows")
    axes[1].legend(frameon=False)


def missing_values() -> None:
    X = load_wine(as_frame=True).data
    gappy = X.mask(np.random.default_rng(0).random(X.shape) < 0.2)
    vae = VAETransformer(4, corruption="masking", max_iter=60, **QUICK).fit(gappy)
    tables = {"gaps are dark": gappy, "reconstruct fills them": gappy.fillna(vae.reconstruct(gappy)), "the truth": X}
    axes = panels(3, (6.4, 2.3))
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        shown = ((table - X.mean()) / X.std())[::9]
        ax.imshow(shown, cmap="PuOr_r", vmin=-3, vmax=3, aspect="auto", interpolation="nearest")
        ax.set(xticks=[], yticks=[], xlabel="columns")
        ax.set_title(name, fontsize="medium")
        ax.set_facecolor("#555555")
    axes[0].set_ylabel("rows")


def outliers() -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    table = pd.concat([X[y == 1], X[y == 0][:20]], ignore_index=True)
    detector = AEOutlierDetector(random_state=0).fit(table)
    OutlierScoreDisplay.from_estimator(detector, table, np.arange(len(table)) >= (y == 1).sum())


def reproducibility() -> None:
    X, settings = load_wine().data, {"max_iter": 30, "early_stopping": False, "learning_rate": "one_cycle"}
    curves = [VAETransformer(2, random_state=seed, **settings).fit(X).loss_curve_ for seed in (0, 0, 1)]
    ax, epochs = panels(1, (5.4, 2.7)), np.arange(1, 31)
    ax.plot(epochs, curves[0], color=BLUE, linewidth=5, alpha=0.35, label="random_state=0")
    ax.plot(epochs, curves[1], color=BLUE, linewidth=1.2, label="random_state=0, again")
    ax.plot(epochs, curves[2], color=ORANGE, linewidth=1.2, label="random_state=1")
    ax.set(xlabel="epoch", ylabel="loss (nats per row)")
    ax.legend(frameon=False)


def scores() -> None:
    X = load_wine().data[:, :6]
    contenders = [PCA(2), FactorAnalysis(2), GaussianMixture(2, random_state=0), VAETransformer(2, random_state=0)]
    means = [cross_val_score(contender, X, cv=3).mean() for contender in contenders]
    least = np.floor(min(means) - 0.5)
    names = [type(contender).__name__ for contender in contenders]
    ax = panels(1, (6.0, 2.2))
    ax.hlines(names, least, means, color=GREY, linewidth=0.8)
    ax.scatter(means, names, color=[BLUE, BLUE, BLUE, ORANGE], s=45, zorder=3)
    for name, mean in zip(names, means, strict=True):
        ax.annotate(f"{mean:.2f}", (mean, name), (8, 0), textcoords="offset points", va="center")
    ax.set(xlabel="held-out log-likelihood, nats per row: the higher, the better", xlim=(least, max(means) + 0.8))
    ax.margins(y=0.2)
    ax.invert_yaxis()


def sequences() -> None:
    rng, time = np.random.RandomState(0), np.linspace(0, 1, 40)
    pitch, phase = rng.uniform(1, 3, size=(300, 1)), rng.uniform(0, 2 * np.pi, size=(300, 1))
    X = np.sin(2 * np.pi * pitch * time + phase) + 0.1 * rng.normal(size=(300, 40))
    network = Transformer((10, 4), d_model=16, num_layers=1)
    settings = {"standardize": "global", "max_iter": 60, "random_state": 0}
    ae = AutoencoderTransformer(3, network=network, **settings).fit(X[:297])
    axes = panels(3, (6.4, 2.1), sharey=True)
    for ax, seen, rebuilt in zip(axes, X[297:], ae.reconstruct(X[297:]), strict=True):
        ax.plot(seen, ".", color=BLUE, label="seen")
        ax.plot(rebuilt, color=ORANGE, label="rebuilt from 3 numbers")
        ax.set_xlabel("step")
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)


def synthesis() -> None:
    train, test = train_test_split(customers(800), random_state=0)
    settings = {"likelihood": Mixed("histogram"), "sample_from": "aggregate", "max_iter": 40}
    synthesiser = VAETransformer(4, **settings, **QUICK).fit(train)
    SynthesisDisplay.from_estimator(synthesiser, test, n_samples=600, random_state=0)


def tables() -> None:
    table = customers(500)
    vae = VAETransformer(2, max_iter=40, **QUICK).fit(table)
    ReconstructionDisplay.from_estimator(vae, table, n_samples=4)


def training() -> None:
    X_train, _ = train_test_split(load_digits().data / 16, random_state=0)
    vae = VAETransformer(16, likelihood="bernoulli", prior="normal", max_iter=80, random_state=0)
    LossCurveDisplay.from_estimator(vae.set_params(early_stopping=True).fit(X_train), learning_rate=True)


DRAWN = (compression, conditions, diagnosing, generative, images, imputation, likelihoods, missing_values, outliers)
DRAWN += (reproducibility, scores, sequences, synthesis, tables, training)
PAGES = {page.__name__: page for page in (*DRAWN, *DIAGRAMS)}


def main() -> None:
    """Draw the pages that are named, or all of them."""
    for name in sys.argv[1:] or PAGES:
        PAGES[name]()
        write(plt.gcf(), HERE / "images" / "guide" / f"{name}.png", dpi=100)
        plt.close("all")


if __name__ == "__main__":
    main()
