"""The demonstration: what sklae is meant for, on tables that come with scikit-learn, beside what scikit-learn has."""

from __future__ import annotations

import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import SparseEfficiencyWarning
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes IterativeImputer importable
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.manifold import Isomap
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sklae
from sklae import plotting
from sklae._cli.comparisons import Comparison, Figure
from sklae._cli.demo_tables import TABLES, Slips, numbers_of, one_hot, with_gaps, with_slips
from sklae._cli.findings import Findings, finding_pictures, inspect, load_libraries, strangest_rows
from sklae._cli.report import Picture, Report, ResultTable
from sklae.exceptions import InterruptedFitWarning

__all__ = ["Demonstration"]

_N_COMPONENTS = 5
_GAPS = 0.2
_DIGIT_SHAPE = (8, 8)
_N_PRINTED = 5
# The table whose rows are listed, in its first draw.
_RANKED = "wine"


class Demonstration:
    """Fits, compares and tells.

    Parameters
    ----------
    say : callable
        Is given each result as text, as soon as it is there.
    contamination : "auto" or float, default="auto"
        Of the detector whose rows are listed.
    max_iter : int or "auto", default="auto"
        Most epochs of a variational autoencoder.
    n_draws : int, default=2
        How often slips are drawn anew.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        contamination: float | str = "auto",
        max_iter: int | str = "auto",
        n_draws: int = 2,
    ):
        self.say = say
        self.contamination = contamination
        self.max_iter = max_iter
        self.n_draws = n_draws

    def run(self) -> tuple[Report, Findings]:
        """Return the report, without pictures, and what was found in the table of wines."""
        load_libraries()
        with threadpool_limits(1):  # on matrices this small, more threads cost more than they save
            detection = self._compare_detectors()
            ranking = strangest_rows(self.found)
            told = f"Wine with gaps and slips: {self.found.verdict()} {self._slips_found()}"
            self.say(f"{textwrap.fill(told, 100)}\n\n{ranking.text(_N_PRINTED)}\n")
            self._say(detection)
            tables = [ranking, detection]
            for compare in (_compare_imputers, self._compare_densities, self._compare_maps):
                tables.append(compare())
                self._say(tables[-1])
        lead = [
            "Tables as they are, text and gaps included: what is strange in them and why, what belongs in the gaps, "
            "how probable rows are, and a map of them, beside what scikit-learn has.",
            f"In the table of wines, one cell in twenty is missing, and one row in twenty has a slip. "
            f"{self.found.verdict()} {self._slips_found()}",
        ]
        notes = [
            "All figures were measured in this run, on one core. Rows and slips are few: differences of hundredths "
            "are chance. Methods have their defaults, but for numbers of components and where it says so; sklae's were "
            "chosen on benchmarks among whose tables are those of wines and of breast cancer, too.",
            f"scores.csv is of the table of wines. {self.found.trust()}",
        ]
        return Report(f"sklae {sklae.__version__}: a demonstration", lead, tables, notes=notes), self.found

    def _slips_found(self) -> str:
        """Return how many slips are in rows that are called outliers, of each kind."""
        is_outlier = self.found.decision < 0
        n_found = int((is_outlier & self.slips.rows).sum())
        by_point = [int((self.slips.by_point & rows).sum()) for rows in (is_outlier, self.slips.rows)]
        n_slips = int(self.slips.rows.sum())
        return (
            f"{n_found} of the {n_slips} slips are among them: {by_point[0]} of {by_point[1]} decimal points one place "
            f"off, {n_found - by_point[0]} of {n_slips - by_point[1]} values of another row, which are usual ones in "
            "their column."
        )

    def _say(self, table: ResultTable) -> None:
        title, *lines = table.text().splitlines()
        notes = [_wrapped(note) for note in table.notes]
        self.say("\n".join([title, _wrapped(table.lead), "", *lines, *notes, ""]))

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures of the report, after `run`."""
        yield from finding_pictures(self.found, self.slips.rows)
        yield Picture.of(
            "latent_map.png",
            "Digits the model has not seen, as two numbers each. The colours are their classes, which it never saw "
            "either.",
            plotting.LatentSpaceDisplay.from_predictions(self.vae.transform(self.digits), self.classes),
        )
        yield Picture.of(
            "latent_grid.png",
            "The same map read backwards: a digit for each place of it, none of them in the table.",
            plotting.LatentGridDisplay.from_estimator(self.vae, shape=_DIGIT_SHAPE),
        )

    # -- slips ------------------------------------------------------------------------------------------

    def _compare_detectors(self) -> ResultTable:
        comparison = Comparison(
            "A slip, and where it is",
            f"Tables with text, 5 % gaps, and a slip in one row of twenty: by turns a decimal point one place off and "
            f"the value of another row. Means over {self.n_draws} draws. AUROC: a row with a slip is stranger than one "
            "without; cell found: in these rows the cell named first is the slip. scikit-learn's get means for "
            "gaps and a column for each level of text; the z-score is of numbers alone. The higher, the better.",
            [Figure("AUROC", 3), Figure("average precision", 3), Figure("cell found", 2)],
            "AEOutlierDetector",
            "it trains autoencoders, on the table and on folds of it, and learns four other kinds of evidence.",
            {
                "IsolationForest": "it looks at one column at a time, which is all it takes where a slip is far out in "
                "its own column.",
                "LocalOutlierFactor": "rows lie in groups of different density, which it allows for.",
                "largest z-score": "a decimal point that is one place off makes the most extreme cell of its column, "
                "and the most extreme cell of all is where it looks.",
            },
        )
        for name in TABLES:
            for draw in range(self.n_draws):
                self._judge(comparison, name, draw)
        return comparison.result()

    def _judge(self, comparison: Comparison, name: str, draw: int) -> None:
        slips = with_slips(name, draw)
        frame, is_strange = slips.frame, slips.rows
        beside = {"slip": slips.told}
        names = list(frame.columns)
        found = inspect(frame, names, contamination=self.contamination, beside=beside, random_state=draw)
        if name == _RANKED and draw == 0:
            self.found, self.slips = found, slips
        parts = found.detector.explain(frame[is_strange], method="repair").to_numpy()[:, : frame.shape[1]]
        values = [*_ranked(is_strange, -found.scores), _cells_found(slips, parts)]
        comparison.add(name, "AEOutlierDetector", values, found.seconds)
        coded = one_hot(frame)
        for model in (IsolationForest(random_state=draw), LocalOutlierFactor()):
            start = time.perf_counter()
            pipeline = make_pipeline(SimpleImputer(), StandardScaler(), model).fit(coded)
            seconds = time.perf_counter() - start
            if isinstance(model, LocalOutlierFactor):
                strangeness = -model.negative_outlier_factor_
            else:
                strangeness = -pipeline.score_samples(coded)
            comparison.add(name, type(model).__name__, [*_ranked(is_strange, strangeness), np.nan], seconds)
        start = time.perf_counter()
        numbers = numbers_of(frame)
        distances = np.abs(numbers - np.nanmean(numbers, axis=0)) / np.nanstd(numbers, axis=0)
        distances = np.nan_to_num(distances)
        seconds = time.perf_counter() - start
        values = [*_ranked(is_strange, distances.max(axis=1)), _cells_found(slips, distances[is_strange])]
        comparison.add(name, "largest z-score", values, seconds)

    # -- densities --------------------------------------------------------------------------------------

    def _compare_densities(self) -> ResultTable:
        comparison = Comparison(
            "How probable new rows are",
            "Mean log-density of a quarter of the rows, held out, in nats per row of the standardised table (a VAE's "
            f"is a lower bound); the higher, the better. {_N_COMPONENTS} components each; of mixtures, the number of "
            "normal distributions (1 to 5) and their kind that BIC takes.",
            [Figure("log-likelihood", 2)],
            "VAETransformer",
            "it trains a network step by step.",
            {
                "PCA": "noise of one size for all columns is nearly the truth there.",
                "FactorAnalysis": "the table is nearly linear, and a network has to learn from few rows that it is.",
                "GaussianMixture": "a few normal distributions with all their correlations fit rows that come in "
                "groups, and a VAE's figure is a lower bound.",
            },
        )
        for name in TABLES:
            X, y = TABLES[name][0](return_X_y=True)
            X_train, X_test = train_test_split(X, stratify=y, random_state=0)
            for model in (
                sklae.VAETransformer(_N_COMPONENTS, max_iter=self.max_iter, random_state=0),
                _mixture(StandardScaler().fit_transform(X_train)),
                FactorAnalysis(_N_COMPONENTS, svd_method="lapack"),
                PCA(_N_COMPONENTS),
            ):
                pipeline = make_pipeline(StandardScaler(), model)
                seconds = _fit(pipeline, X_train)
                comparison.add(name, type(model).__name__, [pipeline.score(X_test)], seconds)
        return comparison.result()

    # -- a map ------------------------------------------------------------------------------------------

    def _compare_maps(self) -> ResultTable:
        comparison = Comparison(
            "A map of digits",
            "8 x 8 pixels as two numbers: how many of a quarter of the digits, held out, five neighbours on the map "
            "tell right. The classes are not seen by the maps.",
            [Figure("accuracy", 3)],
            "VAETransformer",
            "it trains a network step by step.",
            {
                "PCA": "the classes differ along the directions in which the pixels vary most.",
                "Isomap": "it keeps neighbours together, which is what five neighbours ask for; it has no way back "
                "from the map to digits.",
            },
        )
        X, y = load_digits(return_X_y=True)
        X_train, self.digits, y_train, self.classes = train_test_split(X / 16.0, y, stratify=y, random_state=0)
        settings = {"likelihood": "bernoulli", "standardize": False}  # grey is a share of black
        self.vae = sklae.VAETransformer(2, **settings, max_iter=self.max_iter, random_state=0)
        for model in (self.vae, Isomap(n_components=2), PCA(2)):
            seconds = _fit(model, X_train)
            neighbors = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)
            accuracy = neighbors.score(model.transform(self.digits), self.classes)
            comparison.add("digits", type(model).__name__, [accuracy], seconds)
        return comparison.result()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="  ")


def _ranked(is_strange: np.ndarray, strangeness: np.ndarray) -> tuple[float, float]:
    return roc_auc_score(is_strange, strangeness), average_precision_score(is_strange, strangeness)


def _cells_found(slips: Slips, parts: np.ndarray) -> float:
    """Return in which share of the rows with a slip the largest part (of the first columns, maybe) is the slip's."""
    return float(slips.is_slip[slips.rows, np.argmax(parts, axis=1)].mean())


def _fit(model: Any, X: np.ndarray) -> float:
    """Fit, and return the seconds."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        # the number of epochs is the default's; that Isomap bridges parts of its graph is its way, and only slower
        for each in (ConvergenceWarning, SparseEfficiencyWarning):
            warnings.simplefilter("ignore", each)
        warnings.filterwarnings("ignore", "The number of connected components", UserWarning)
        warnings.simplefilter("error", InterruptedFitWarning)  # one of those, but it ends the demonstration
        model.fit(X)
    return time.perf_counter() - start


def _mixture(X: np.ndarray) -> GaussianMixture:
    settings = [(n, kind) for n in range(1, 6) for kind in ("full", "diag")]
    mixtures = [GaussianMixture(n, covariance_type=kind, random_state=0) for n, kind in settings]
    return min(mixtures, key=lambda mixture: mixture.fit(X).bic(X))


# -- gaps -----------------------------------------------------------------------------------------------


def _compare_imputers() -> ResultTable:
    comparison = Comparison(
        "What belongs in the gaps",
        "A fifth of the cells is emptied, and filled. Error: root mean square of the numbers, in standard deviations "
        "of their columns (the lower, the better). Text right: the share of the text. scikit-learn's get "
        "standardised numbers and a column for each level of text but one; the largest is the level.",
        [Figure("error", 3, lower_is_better=True), Figure("text right", 2)],
        "AEImputer",
        "it fits mixtures of normal distributions of several kinds, and tries on held-out cells how far to believe "
        "each.",
        {
            "KNNImputer": "rows come in groups of like ones, and a level or a value is that of the group.",
            "IterativeImputer": "a linear regression on all other columns is nearly the truth there.",
            "SimpleImputer": "the other columns say little, and a mean can't be misled by them.",
        },
    )
    for name in TABLES:
        whole, gappy = with_gaps(name, _GAPS, draw=0)
        start = time.perf_counter()
        filled = sklae.AEImputer(random_state=0).fit_transform(gappy)
        comparison.add(name, "AEImputer", _errors(whole, gappy, filled), time.perf_counter() - start)
        for imputer in (KNNImputer(), IterativeImputer(random_state=0), SimpleImputer()):
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # its own default number of rounds
                filled = _filled_one_hot(imputer, gappy)
            comparison.add(name, type(imputer).__name__, _errors(whole, gappy, filled), time.perf_counter() - start)
    return comparison.result()


def _filled_one_hot(imputer: Any, gappy: Any) -> Any:
    """Fill with an imputer of numbers, and return a frame with text again."""
    coded, scaler = one_hot(gappy, drop_first=True), StandardScaler()
    numbers = scaler.inverse_transform(imputer.fit_transform(scaler.fit_transform(coded)))
    filled = gappy.copy()
    for name in gappy.columns:
        if name in coded.columns:
            filled[name] = numbers[:, coded.columns.get_loc(name)]
        else:
            levels = np.sort(gappy[name].dropna().unique())
            shares = numbers[:, [coded.columns.get_loc(f"{name}_{level}") for level in levels[1:]]]
            shares = np.column_stack([1.0 - shares.sum(axis=1), shares])  # what is left is the first level's
            filled[name] = levels[shares.argmax(axis=1)]
    return filled


def _errors(whole: Any, gappy: Any, filled: Any) -> list[float]:
    """Return the error of the numbers, and the share of text that is right."""
    truth, is_gap = numbers_of(whole), np.isnan(numbers_of(gappy))
    scaled = (numbers_of(filled) - truth) / truth.std(axis=0)
    text = whole.columns.difference(whole.select_dtypes("number").columns)
    right = (filled[text].to_numpy() == whole[text].to_numpy())[gappy[text].isna().to_numpy()]
    return [float(np.sqrt(np.mean(scaled[is_gap] ** 2))), float(right.mean())]
