"""Is a default ever worse than its linear counterpart, and how much better is it?

    python -m benchmarks.linear [--seeds 3] [--only TABLE ...] [--part autoencoder density] [--quick]

Tables of numbers, standardised by the training part, 70 % of the rows to train on. Nine were looked at while defaults
were chosen (`CHOSEN_ON`), nine were not before this script was written (`CONFIRMED_ON`); results come for both.

*Autoencoder*: mean squared error of held-out rows over that of PCA, for codes of 2, 5, 10 and the default number of
components where a table has more columns.

*Density*: mean log-density of held-out rows in nats, of the default `VAETransformer` as `score` gives it (a lower
bound), `FactorAnalysis` (the number of factors by 3-fold cross-validation), scikit-learn's `GaussianMixture` (of 1 to
12 full covariances, by BIC), a kernel density (bandwidth by 3-fold cross-validation), and a mixture of factor analysers
in closed form (of each of a mixture's components, by BIC).

Beside either, the default of version 0.1 with its parameters spelled out ("before"), fitted in turn with today's: the
ratio of their processor times is printed. One thread.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from sklearn import datasets
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from benchmarks.shared import data
from benchmarks.shared.harness import measure, one_thread, print_table, versions
from sklae import AutoencoderTransformer, VAETransformer
from sklae._linear.factors import LinearModel, Noise, factor_analysis
from sklae.likelihoods import Gaussian, Mixed
from sklae.networks import MLP

CHOSEN_ON = ["wine", "diabetes", "breast_cancer", "digits", "concrete"]
CHOSEN_ON += ["wine_quality_white", "california_housing", "letter_recognition", "adult"]
CONFIRMED_ON = ["banknote", "wine_quality_red", "air_quality", "energy_efficiency", "yacht"]
CONFIRMED_ON += ["29_Pima", "40_vowels", "22_magic.gamma", "6_cardio"]
MOST_ROWS = {"california_housing": 3_000, "letter_recognition": 3_000, "adult": 3_000}
MOST_ROWS |= {"air_quality": 3_000, "22_magic.gamma": 3_000}
#: Columns that are labels.
LABELS = {"california_housing": "median_house_value", "wine_quality_white": "quality", "wine_quality_red": "quality"}
LABELS |= {"banknote": "class"}
SIZES = (1, 2, 3, 5, 8, 12)
KS = (2, 5, 10)


# -- tables -----------------------------------------------------------------------------------------------


def raw(name: str) -> np.ndarray:
    if hasattr(datasets, f"load_{name}"):
        return getattr(datasets, f"load_{name}")().data
    if name[0].isdigit():
        return data.adbench(name)[0]
    frame = data.numbers(name)
    return frame.drop(columns=[LABELS[name]] if LABELS.get(name) in frame else []).to_numpy()


def split(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows, standardised by the former."""
    X = raw(name)
    X = X[np.random.RandomState(seed).permutation(len(X))[: MOST_ROWS.get(name, 6_000)]]
    train, test = np.split(X, [round(0.7 * len(X))])
    varies = train.std(axis=0) > 1e-9
    mean, std = train[:, varies].mean(axis=0), train[:, varies].std(axis=0)
    return (train[:, varies] - mean) / std, (test[:, varies] - mean) / std


# -- models -----------------------------------------------------------------------------------------------


def before(kind: type, n_features: int, **params: Any) -> Any:
    """Return an estimator with the defaults of version 0.1."""
    sizes = (128, 64) if n_features <= 128 else (256, 128)
    settings = {"learning_rate": "constant", "learning_rate_init": 1e-3, "max_iter": 200, "n_iter_no_change": 10}
    if kind is VAETransformer:
        settings |= {"prior": "normal", "likelihood": Mixed(Gaussian("per_feature"))}
    return kind(network=MLP(sizes, linear_path=False), early_stopping=False, **settings, **params)


def factor_analysis_by_cv(X: np.ndarray) -> Any:
    most = min(X.shape[1] - 1, 16)
    grid = {"n_components": list(range(1, most + 1))}
    model = FactorAnalysis(svd_method="lapack", tol=1e-3, max_iter=2_000)
    return GridSearchCV(model, grid, cv=3).fit(X).best_estimator_


def mixture(X: np.ndarray) -> GaussianMixture:
    fitted = [GaussianMixture(size, reg_covar=1e-3, random_state=0).fit(X) for size in SIZES if size <= len(X)]
    return min(fitted, key=lambda model: model.bic(X))


def kernel_density(X: np.ndarray) -> Any:
    return GridSearchCV(KernelDensity(), {"bandwidth": np.logspace(-1.5, 0.3, 10)}, cv=3).fit(X).best_estimator_


class FactorAnalysers:
    """A mixture of factor analysers: those of a Gaussian mixture's components, in closed form."""

    def __init__(self, X: np.ndarray):
        tried = [self._fit(X, size, k) for size in SIZES for k in sorted({2, (X.shape[1] + 1) // 2})]
        self.weights, self.models, _ = min(tried, key=lambda model: model[2])

    @staticmethod
    def _fit(X: np.ndarray, size: int, k: int) -> tuple[np.ndarray, list[LinearModel], float]:
        width = X.shape[1]
        noise = Noise(np.arange(width), np.full(width, np.nan), np.full(width, 1e-3))
        shares = GaussianMixture(size, reg_covar=1e-3, random_state=0).fit(X).predict_proba(X)
        models = []
        for share in shares.T:
            mean = np.average(X, axis=0, weights=share + 1e-12)
            covariance = np.cov(X.T, aweights=share + 1e-12, bias=True).reshape(width, width) + 1e-3 * np.eye(width)
            models.append(factor_analysis(mean, covariance, k, noise))
        weights = shares.mean(axis=0)
        n_numbers = size * (1 + 2 * width + width * k - k * (k - 1) / 2)
        likelihood = _mixed(weights, models, X).sum()
        return weights, models, n_numbers * np.log(len(X)) - 2 * likelihood

    def score(self, X: np.ndarray) -> float:
        return float(_mixed(self.weights, self.models, X).mean())


def _mixed(weights: np.ndarray, models: Sequence[LinearModel], X: np.ndarray) -> np.ndarray:
    logs = np.stack([model.log_likelihood(X) for model in models], axis=1)
    return logsumexp(logs + np.log(weights + 1e-300), axis=1)


# -- comparisons ------------------------------------------------------------------------------------------


def timed(make: Callable[[], Any], X: np.ndarray) -> tuple[Any, float]:
    found = []
    cost = measure(lambda: found.append(make().fit(X)))
    return found[0], cost.cpu


def compare_autoencoders(name: str, seed: int, quick: bool) -> list[dict[str, Any]]:
    """Return a row for each number of components."""
    train, test = split(name, seed)
    width, brief = train.shape[1], {"max_iter": 2} if quick else {}
    rows = []
    for k in [*(k for k in KS if k < width), None]:
        n_components = (width + 1) // 2 if k is None else k
        pca = PCA(min(n_components, width)).fit(train)
        least = np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2)
        today, now = timed(lambda n=n_components: AutoencoderTransformer(n, random_state=seed, **brief), train)
        was, then = timed(
            lambda n=n_components: before(AutoencoderTransformer, width, n_components=n, random_state=seed), train
        )
        errors = [np.mean((model.reconstruct(test) - test) ** 2) for model in (today, was)]
        rows.append({"table": name, "seed": seed, "k": "default" if k is None else str(k), "ratio": errors[0] / least,
                     "before": errors[1] / least, "time": now / then, "kept": today.best_iter_ > 0})  # fmt: skip
    return rows


def compare_densities(name: str, seed: int, quick: bool) -> dict[str, Any]:
    train, test = split(name, seed)
    brief = {"max_iter": 2} if quick else {}
    vae, now = timed(lambda: VAETransformer(random_state=seed, **brief), train)
    was, then = timed(lambda: before(VAETransformer, train.shape[1], random_state=seed), train)
    scores = {
        "sklae": vae.score(test),
        "before": was.score(test),
        "FactorAnalysis": factor_analysis_by_cv(train).score(test),
        "GaussianMixture": mixture(train).score(test),
        "KernelDensity": kernel_density(train).score(test) / len(test),
        "factor analysers": FactorAnalysers(train).score(test),
    }
    return {"table": name, "seed": seed, **scores, "time": now / then}


def geometric_mean(values: Any) -> float:
    return float(np.exp(np.mean(np.log(values))))


def parts(results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the results on the tables of either kind, and all, with titles."""
    for title, names in (("chosen on", CHOSEN_ON), ("confirmed on", CONFIRMED_ON), ("all", CHOSEN_ON + CONFIRMED_ON)):
        part = results[results.table.isin(names)]
        if len(part):
            yield title, part


def times(part: pd.DataFrame) -> str:
    by_table = part.groupby("table").time.agg(geometric_mean)
    return (
        f"time over before {geometric_mean(part.time):.2f} in the geometric mean, at most {by_table.max():.2f} on a "
        f"table ({by_table.idxmax()}), {part.time.max():.2f} in a cell"
    )


def tell_autoencoders(results: pd.DataFrame) -> None:
    means = results.pivot_table(index="table", columns="k", values="ratio", aggfunc=geometric_mean, sort=False)
    lines = [[name, *("" if np.isnan(x) else f"{x:.3f}" for x in row)] for name, row in means.T.items()]
    print_table("Error of held-out rows over PCA's (geometric means over seeds)", ["table", *means.columns], lines)
    for title, part in parts(results):
        now, was = part.ratio, part.before
        print(
            f"{title}: {len(part)} cells, {(now < 1.0005).mean():.1%} at or below PCA (before "
            f"{(was < 1.0005).mean():.1%}), largest {now.max():.3f} ({was.max():.3f}), geometric mean "
            f"{geometric_mean(now):.3f} ({geometric_mean(was):.3f}); {times(part)}"
        )


def tell_densities(results: pd.DataFrame) -> None:
    peers = ["before", "FactorAnalysis", "GaussianMixture", "KernelDensity", "factor analysers"]
    columns = ["sklae", *peers, "time"]
    means = results.groupby("table", sort=False)[columns].mean()
    lines = [[name, *(f"{row[column]:.2f}" for column in columns)] for name, row in means.iterrows()]
    print_table("Nats per held-out row (means over seeds)", ["table", *columns], lines)
    for title, part in parts(results):
        mean = part.groupby("table")[columns].mean()
        print(f"{title}: {times(part)}. At or above")
        for peer in peers:
            cells, tables = (part.sklae >= part[peer]).mean(), (mean.sklae >= mean[peer]).sum()
            least = (part.sklae - part[peer]).min()
            print(f"    {peer}: in {cells:.1%} of cells, on {tables} of {len(mean)} tables; at the worst {least:+.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=CHOSEN_ON + CONFIRMED_ON, metavar="TABLE")
    parser.add_argument("--part", nargs="*", default=["autoencoder", "density"], choices=["autoencoder", "density"])
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(versions())
    seeds, names = range(1 if arguments.quick else arguments.seeds), arguments.only[: 2 if arguments.quick else None]
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers that have not converged, and the default of before
        VAETransformer(max_iter=2).fit(split(names[0], 0)[0])  # the first fit of a process sets torch up
        if "autoencoder" in arguments.part:
            cells = [
                row for name in names for seed in seeds for row in compare_autoencoders(name, seed, arguments.quick)
            ]
            tell_autoencoders(pd.DataFrame(cells))
        if "density" in arguments.part:
            tell_densities(
                pd.DataFrame([compare_densities(name, seed, arguments.quick) for name in names for seed in seeds])
            )


if __name__ == "__main__":
    main()
