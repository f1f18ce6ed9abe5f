"""The demonstration: what sklae does on small tables that come with scikit-learn, beside what scikit-learn has."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import VarianceThreshold
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sklae
from sklae import plotting
from sklae._cli.findings import Findings, inspect, strangest_rows
from sklae._cli.report import Picture, Report, ResultTable
from sklae.exceptions import InterruptedFitWarning

__all__ = ["demo_pictures", "run_demo"]

# Name -> loader and the class that plays the outliers.
_TABLES: dict[str, tuple[Callable[..., Any], int]] = {
    "breast cancer": (load_breast_cancer, 0),
    "wine": (load_wine, 0),
    "digits": (load_digits, 0),
}
_OUTLIER_SHARE = 0.05
# Of the other classes' rows, the share that detectors are fitted to.
_KNOWN_SHARE = 0.7
# Name -> number of components, for every model, and the least variance of a column that stays: some pixels of the
# digits are dark in a picture or two, and would decide the comparison alone.
_DENSITIES = {"breast cancer": (5, 0.0), "wine": (5, 0.0), "digits": (16, 0.1)}
_DIGIT_SHAPE = (8, 8)
_GENERATED = 40


def run_demo(
    say: Callable[[str], None], *, contamination: float | str = "auto", max_iter: int | str = "auto", n_draws: int = 3
) -> tuple[Report, Findings]:
    """Fit, compare and tell.

    Parameters
    ----------
    say : callable
        Is given each result as text, as soon as it is there.
    contamination : "auto" or float, default="auto"
        Of the detector whose rows are listed.
    max_iter : int or "auto", default="auto"
        Most epochs of a variational autoencoder.
    n_draws : int, default=3
        How often the outliers of a table are drawn anew.

    Returns
    -------
    report : Report
        Without pictures.
    findings : Findings
        Of the first table, in its first draw.
    """
    with threadpool_limits(1):  # on matrices this small, more threads cost more than they save
        detection = _compare_detectors(n_draws)
        say(detection.text() + "\n")
        densities = _compare_densities(max_iter)
        say(densities.text() + "\n")
    X, is_outlier, rows = _with_rare_class("breast cancer", draw=0)
    beside = {"class": np.where(is_outlier, "malignant", "benign").tolist()}
    found = inspect(X, load_breast_cancer().feature_names, contamination=contamination, rows=rows, beside=beside)
    strangest = strangest_rows(found)
    told = found.told()
    say("\n".join([f"Breast cancer: {told[0]}", *told[1:], "", strangest.text(5)]))
    summary = [
        "Autoencoders as scikit-learn estimators, on tables that come with scikit-learn, beside what scikit-learn has. "
        "Nothing was tuned to these tables.",
        f"The strangest rows and scores.csv are of the breast cancer table with few malignant rows. {told[0]}",
        *told[1:],
    ]
    return Report(f"sklae {sklae.__version__}: a demonstration", summary, [detection, densities, strangest]), found


# -- outliers -------------------------------------------------------------------------------------------


def _with_rare_class(name: str, draw: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return a table in which one class is rare, whether each row is of it, and the rows' numbers."""
    load, rare = _TABLES[name]
    X, y = load(return_X_y=True)
    common = np.flatnonzero(y != rare)
    n_outliers = round(len(common) * _OUTLIER_SHARE / (1.0 - _OUTLIER_SHARE))
    drawn = np.random.RandomState(draw).choice(np.flatnonzero(y == rare), n_outliers, replace=False)
    rows = np.sort(np.concatenate([common, drawn]))
    return X[rows], y[rows] == rare, rows.tolist()


def _with_new_class(name: str, draw: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of all classes but one to fit to, new rows of these and all of that one, and which these are."""
    load, new = _TABLES[name]
    X, y = load(return_X_y=True)
    others = np.random.RandomState(draw).permutation(np.flatnonzero(y != new))
    known, judged = np.split(others, [round(_KNOWN_SHARE * len(others))])
    judged = np.concatenate([judged, np.flatnonzero(y == new)])
    return X[known], X[judged], y[judged] == new


def _compare_detectors(n_draws: int) -> ResultTable:
    lines: list[Sequence[str | list[str]]] = []
    for name in _TABLES:
        draws = [_with_new_class(name, draw) for draw in range(n_draws)]
        size = " x ".join(str(length) for length in draws[0][0].shape)
        for detector in (sklae.AEOutlierDetector, IsolationForest):
            results = [_detection(detector(random_state=draw), *rows) for draw, rows in enumerate(draws)]
            auroc, precision, seconds = np.mean(results, axis=0)
            lines.append([name, size, detector.__name__, f"{auroc:.3f}", f"{precision:.3f}", f"{seconds:.2f}"])
    note = (
        "One class of each table (malignant, the first wine, the digit 0) is kept from the fit, and then to be told "
        f"from new rows of the others. Means over {n_draws} draws. The higher, the better, but for the seconds of a "
        "fit. A class that is only rare need not be strange: thinned out among the others, the 0s are the plainest "
        "digits of all, and no detector's outliers."
    )
    header = ["table", "size", "detector", "AUROC", "average precision", "seconds"]
    return ResultTable("Novelty detection", note, header, lines)


def _detection(
    detector: Any, known: np.ndarray, judged: np.ndarray, is_outlier: np.ndarray
) -> tuple[float, float, float]:
    start = time.perf_counter()
    pipeline = Pipeline([("scale", StandardScaler()), ("detector", detector)]).fit(known)
    seconds = time.perf_counter() - start
    strangeness = -pipeline.score_samples(judged)
    return roc_auc_score(is_outlier, strangeness), average_precision_score(is_outlier, strangeness), seconds


# -- densities ------------------------------------------------------------------------------------------


def _density_models(n_components: int, max_iter: int | str) -> dict[str, Any]:
    return {
        "PCA": PCA(n_components),
        "FactorAnalysis": FactorAnalysis(n_components, svd_method="lapack"),
        "VAETransformer": sklae.VAETransformer(n_components, max_iter=max_iter, random_state=0),
    }


def _compare_densities(max_iter: int | str) -> ResultTable:
    lines: list[Sequence[str | list[str]]] = []
    for name, (n_components, least_variance) in _DENSITIES.items():
        X, y = _TABLES[name][0](return_X_y=True)
        X_train, X_test = train_test_split(X, stratify=y, random_state=0)
        columns = VarianceThreshold(least_variance)
        for title, model in _density_models(n_components, max_iter).items():
            pipeline = Pipeline([("columns", columns), ("scale", StandardScaler()), ("model", model)])
            score, seconds = _density(pipeline, X_train, X_test)
            lines.append([name, title, str(n_components), f"{score:.2f}", f"{seconds:.2f}"])
    note = (
        "Mean log-density of a quarter of the rows, held out, in nats per row of the standardised table (a VAE's is "
        "a lower bound); the higher, the better. PCA has one noise level for all columns, FactorAnalysis one for each, "
        "VAETransformer one for each that depends on the row."
    )
    header = ["table", "model", "components", "log-likelihood", "seconds"]
    return ResultTable("Held-out likelihood", note, header, lines)


def _density(pipeline: Pipeline, X_train: np.ndarray, X_test: np.ndarray) -> tuple[float, float]:
    start = time.perf_counter()
    with warnings.catch_warnings():  # the number of epochs is what a demonstration can spend
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("error", InterruptedFitWarning)  # one of those, but it ends the demonstration
        pipeline.fit(X_train)
    seconds = time.perf_counter() - start
    return pipeline.score(X_test), seconds


# -- pictures -------------------------------------------------------------------------------------------


def demo_pictures(found: Findings, *, max_iter: int | str = "auto") -> Iterator[Picture]:
    """Yield the pictures of the report, fitting what they show.

    Parameters
    ----------
    found : Findings
    max_iter : int or "auto", default="auto"
        Epochs of a variational autoencoder.

    Yields
    ------
    picture : Picture
    """
    yield Picture.of(
        "score_histogram.png",
        "Breast cancer: how surprising the rows are, in nats. Right of the threshold are the outliers.",
        plotting.score_histogram(found.scores, found.detector.offset_),
    )
    X, y = load_digits(return_X_y=True)
    X_train, X_test, _, y_test = train_test_split(X / 16.0, y, stratify=y, random_state=0)
    flat = _digit_vae(2, max_iter, likelihood="bernoulli").fit(X_train)
    yield Picture.of(
        "latent_map.png",
        "Digits the model has not seen, as two numbers each. The colours are their classes, which it never saw either.",
        plotting.latent_map(flat.transform(X_test), y_test),
    )
    # of a prior that random numbers are codes of; the whole plan is run, the best epoch kept
    wide = _digit_vae(16, max_iter, prior="normal", n_iter_no_change=np.inf).fit(X_train)
    yield from _image_pictures(wide, X_test, y_test)


def _digit_vae(n_components: int, max_iter: int | str, **settings: Any) -> Any:
    return sklae.VAETransformer(
        n_components,
        standardize=False,  # pixels share one unit
        max_iter=max_iter,
        random_state=0,
        **settings,
    )


def _image_pictures(vae: Any, X: np.ndarray, y: np.ndarray) -> Iterator[Picture]:
    one_of_each = X[[int(np.argmax(y == digit)) for digit in range(10)]]
    yield Picture.of(
        "reconstructions.png",
        "Digits the model has not seen, over what is left of them after 16 numbers.",
        plotting.reconstructions(one_of_each, vae.reconstruct(one_of_each), _DIGIT_SHAPE),
    )
    codes = np.random.RandomState(0).standard_normal((_GENERATED, vae.n_components_))
    yield Picture.of(
        "generated_digits.png",
        "Digits that never were: random codes, decoded. Not selected.",
        plotting.image_grid(vae.inverse_transform(codes), _DIGIT_SHAPE, n_columns=10, limits=(0, 1)),
    )
    yield Picture.of(
        "training_curve.png",
        "The loss of that model over its epochs, on the rows it learns from and on those kept aside to choose one.",
        plotting.training_curve(vae),
    )
