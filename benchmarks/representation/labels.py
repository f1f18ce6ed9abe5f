"""How much of the labels is in the codes: two probes, beside PCA, FactorAnalysis, NMF and UMAP.

    python -m benchmarks.representation.labels [TABLE ...] [--seeds 1] [--quick]

Every method is fitted to the rows without labels, at its own defaults but for the width k of the code, and maps new
rows. A `LogisticRegression` on the standardised codes and a `KNeighborsClassifier(10)` on the codes as they come are
then fitted to the labels of the training rows. Accuracies on the test rows.

| table | rows (fit, test) | columns | k |
|---|---|---|---|
| MNIST | 5,000, 2,000 | 784 grey pixels in [0, 1] | 2, 8, 32 |
| letter recognition | 6,000, 3,000 | 16 whole numbers | 2, 8 |
| adult | 6,000, 3,000 | 6 numeric, 76 % of one class | 2, 4 |

(Wider codes than a table has columns are left out: PCA and FactorAnalysis have none.) sklae gets the tables as they
are, with `likelihood="bernoulli"` for pixels; the others get pixels as they are and standardised tables, NMF tables
scaled to [0, 1]. *all columns* are the probes without any method. UMAP needs umap-learn (`side-requirements.txt`).

"LOST" stands where the best method of others is ahead of the best of sklae's two by more than two standard errors (of
the paired difference over test rows), "ahead" where it is behind by as much. One thread; time is of `fit` alone.
`--seeds 3` averages over the fits of three seeds.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import NMF, PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from benchmarks.shared.data import Split, mnist, table
from benchmarks.shared.harness import measure, one_thread, print_table, versions
from sklae import AutoencoderTransformer, VAETransformer

try:
    from umap import UMAP
except ImportError:
    UMAP = None

RAW = "all columns"
OURS = ("sklae VAE", "sklae autoencoder")


class Table(NamedTuple):
    """A table, the widths of codes to try, and whether it holds pixels."""

    data: Callable[[bool], Split]
    widths: tuple[int, ...]
    pixels: bool = False


TABLES = {
    "mnist": Table(lambda quick: mnist(*((300, 100) if quick else (5_000, 2_000))), (2, 8, 32), pixels=True),
    "letter_recognition": Table(lambda quick: table("letter_recognition", 600 if quick else 9_000), (2, 8)),
    "adult": Table(lambda quick: table("adult", 600 if quick else 9_000), (2, 4)),
}
PROBES: dict[str, Callable[[], Any]] = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)),
    "kNN": lambda: KNeighborsClassifier(10),
}


def methods(k: int, pixels: bool, seed: int, quick: bool) -> dict[str, Any]:
    """Return what is compared: name -> transformer."""
    scale, unit = (
        (FunctionTransformer(), FunctionTransformer()) if pixels else (StandardScaler(), MinMaxScaler(clip=True))
    )
    ours = {"random_state": seed, "likelihood": "bernoulli" if pixels else "auto", **({"max_iter": 2} if quick else {})}
    found = {
        OURS[0]: VAETransformer(k, **ours),
        OURS[1]: AutoencoderTransformer(k, **ours),
        "PCA": make_pipeline(scale, PCA(k, random_state=seed)),
        "FactorAnalysis": make_pipeline(scale, FactorAnalysis(k, random_state=seed)),
        "NMF": make_pipeline(unit, NMF(k, random_state=seed)),
    }
    if UMAP is not None:
        found["UMAP"] = make_pipeline(scale, UMAP(n_components=k, random_state=seed, n_jobs=1))
    return found


class Result(NamedTuple):
    """Of one method: by probe, which test rows were right (mean over seeds), and the time of a fit."""

    right: dict[str, np.ndarray]
    seconds: float | None = None


def probe(codes: Split) -> dict[str, np.ndarray]:
    return {
        name: (make().fit(codes.X_train, codes.y_train).predict(codes.X_test) == codes.y_test).astype(float)
        for name, make in PROBES.items()
    }


def examine(method: Any, data: Split) -> Result:
    cost = measure(lambda: method.fit(data.X_train))
    codes = data._replace(X_train=method.transform(data.X_train), X_test=method.transform(data.X_test))
    return Result(probe(codes), cost.cpu)


def run(name: str, n_seeds: int, *, quick: bool) -> list[str]:
    """Print a table for each width of the code, and return the verdicts."""
    entry = TABLES[name]
    data = entry.data(quick)
    raw = Result(probe(data))
    few = data._replace(X_train=data.X_train[:200], y_train=data.y_train[:200])
    for transformer in methods(2, entry.pixels, 0, quick=True).values():
        examine(transformer, few)  # warms up: UMAP compiles for half a minute
    verdicts = []
    for k in entry.widths[: 1 if quick else None]:
        found: dict[str, list[Result]] = {}
        for seed in range(n_seeds):
            for method, transformer in methods(k, entry.pixels, seed, quick).items():
                found.setdefault(method, []).append(examine(transformer, data))
        results = {method: _mean(fits) for method, fits in found.items()}
        title = f"{name}, k = {k}: {len(data.X_train):,} rows to fit, {len(data.X_test):,} to judge; accuracy"
        rows = [_row(method, result) for method, result in {**results, RAW: raw}.items()]
        print_table(title, ["method", *PROBES, "fit CPU s", ""], rows)
        for kind in PROBES:
            verdict = _verdict(kind, results)
            print(verdict)
            verdicts.append(f"{name}, k = {k}, {verdict}")
    return verdicts


def _mean(fits: list[Result]) -> Result:
    right = {kind: np.mean([fit.right[kind] for fit in fits], axis=0) for kind in PROBES}
    return Result(right, float(np.mean([fit.seconds for fit in fits])))


def _row(name: str, result: Result) -> list[Any]:
    return [name, *(f"{result.right[kind].mean():.3f}" for kind in PROBES), result.seconds, ""]


def _verdict(kind: str, results: dict[str, Result]) -> str:
    def best(names: list[str]) -> str:
        return max(names, key=lambda name: results[name].right[kind].mean())

    ours, other = best(list(OURS)), best([name for name in results if name not in OURS])
    gains = results[ours].right[kind] - results[other].right[kind]
    gain, error = gains.mean(), gains.std(ddof=1) / np.sqrt(len(gains))
    word = "no difference" if abs(gain) < 2 * error else ("ahead" if gain > 0 else "LOST")
    return f"{kind}: {word}, {ours} - {other} = {gain:+.3f} ± {error:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; default: all")
    parser.add_argument("--seeds", type=int, default=1, help="number of fits of each, seeds 0, 1, ...")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # NMF, FactorAnalysis: their defaults are measured
    warnings.filterwarnings("ignore", message="Maximum iterations")
    warnings.filterwarnings("ignore", module="umap")
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "umap-learn")))
    if UMAP is None:
        print("umap-learn is not installed: its rows are left out")
    verdicts: list[str] = []
    with one_thread():
        for name in arguments.tables or TABLES:
            verdicts += run(name, arguments.seeds, quick=arguments.quick)
    print("\nin short")
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
