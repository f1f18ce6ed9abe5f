"""Do p-values hold what they promise: few small ones among normal rows, and few false discoveries?

    python -m benchmarks.outliers.p_values [--splits 200] [--fdr-splits 40] [--quick]

`AEOutlierDetector.p_values` are conformal: the share of calibration rows that are at least as strange as the new row.
Where these are held out of the fit, P(p <= t) is at most t for a new normal row, whatever the detector and the data,
but only on average over calibration sets: one detector in use does better or worse. So both parts are means over
splits. Where none are held out, the rows are those of training, each judged as if it had been left out: that promise
holds nearly, and `predict(fdr=)` is refused.

- *validity*: the normal rows of three ADBench tables; in each split 300 random rows to fit on, 200 to calibrate on
  (`X_val`), 200 new ones. The mean over splits of the share of new rows with p <= t, with its standard error; the goal
  is t + 3 standard errors. Once more with all 500 rows handed to `fit`, and `validation_fraction=0.4`; and with none
  held out, where all 500 both fit and calibrate.
- *false discoveries*: `predict(X, fdr=q)`, Benjamini and Hochberg's procedure on the p-values of all new rows. Fitted
  and calibrated on normal rows, new are other normal rows and outliers. The mean share of normal rows among the
  discoveries (0 where there are none) with its standard error, goal q + 3 standard errors, and how many of the outliers
  are discovered. What is expected is q times the share of normal rows among the new ones.

The peer is `IsolationForest.score_samples` made conformal in the same way by a few lines here: whatever the score, the
promise is kept; a better score discovers more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.ensemble import IsolationForest

from benchmarks.shared.data import adbench
from benchmarks.shared.harness import one_thread, print_table, versions
from sklae import AEOutlierDetector

LEVELS = (0.01, 0.05, 0.1, 0.2)
RATES = (0.05, 0.1, 0.2)
VALIDITY_TABLES = ("6_cardio", "22_magic.gamma", "32_shuttle")


class Size(NamedTuple):
    """Numbers of rows: to fit on, to calibrate on, new normal ones, new outliers."""

    n_fit: int
    n_calibration: int
    n_normal: int
    n_outliers: int = 0


VALIDITY_SIZE = Size(300, 200, 200)
FDR_SIZES = {
    "4_breastw": Size(150, 150, 140, 60),
    "25_musk": Size(1_000, 1_000, 540, 60),
    "32_shuttle": Size(1_000, 1_000, 540, 60),
}


class Parts(NamedTuple):
    """A split's rows."""

    fit: np.ndarray
    calibration: np.ndarray
    normal: np.ndarray
    outliers: np.ndarray


# -- contenders: seed and parts -> something fitted with p_values and, with held-out rows, predict ------


class Conformal:
    """The peer: p-values from any score that is high for normal rows."""

    def __init__(self, detector: Any):
        self.detector = detector

    def fit(self, X: np.ndarray, X_val: np.ndarray) -> Self:
        self.calibration_ = np.sort(self.detector.fit(X).score_samples(X_val))
        return self

    def p_values(self, X: np.ndarray) -> np.ndarray:
        n_as_strange = np.searchsorted(self.calibration_, self.detector.score_samples(X), side="right")
        return (1 + n_as_strange) / (1 + len(self.calibration_))

    def predict(self, X: np.ndarray, *, fdr: float) -> np.ndarray:
        return np.where(false_discovery_control(self.p_values(X)) <= fdr, -1, 1)


def fit_sklae(seed: int, parts: Parts) -> Any:
    return AEOutlierDetector(random_state=seed).fit(parts.fit, X_val=parts.calibration)


def fit_sklae_on_both(seed: int, parts: Parts) -> Any:
    X = np.concatenate([parts.fit, parts.calibration])
    share = len(parts.calibration) / len(X)
    return AEOutlierDetector(validation_fraction=share, random_state=seed).fit(X)


def fit_sklae_without(seed: int, parts: Parts) -> Any:
    return AEOutlierDetector(random_state=seed).fit(np.concatenate([parts.fit, parts.calibration]))


def fit_forest(seed: int, parts: Parts) -> Any:
    return Conformal(IsolationForest(random_state=seed)).fit(parts.fit, parts.calibration)


Fit = Callable[[int, Parts], Any]
WITH_HELD_OUT_ROWS: dict[str, Fit] = {
    "sklae, X_val": fit_sklae,
    "sklae, validation_fraction": fit_sklae_on_both,
    "IsolationForest, conformal": fit_forest,
}
CONTENDERS: dict[str, Fit] = {**WITH_HELD_OUT_ROWS, "sklae, none held out": fit_sklae_without}


# -- splits ---------------------------------------------------------------------------------------------


def split(table: str, size: Size, n_splits: int) -> Iterator[tuple[int, Parts]]:
    X, y = adbench(table)
    normal, outliers = X[y == 0], X[y == 1]
    ends = np.cumsum(size[:3])
    for seed in range(n_splits):
        rng = np.random.RandomState(seed)
        drawn = normal[rng.choice(len(normal), ends[-1], replace=False)]
        strange = outliers[rng.choice(len(outliers), size.n_outliers, replace=False)]
        yield seed, Parts(*np.split(drawn, ends[:2]), strange)


def error(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over splits."""
    return values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(values.shape[1:])


# -- the two questions ----------------------------------------------------------------------------------


def check_validity(table: str, size: Size, n_splits: int) -> None:
    rows = []
    for name, fit in CONTENDERS.items():
        start = time.process_time()
        shares = np.array([share_below(fit(seed, parts), parts) for seed, parts in split(table, size, n_splits)])
        seconds = (time.process_time() - start) / n_splits
        found, errors = shares.mean(axis=0), error(shares)
        too_many = [f"{t:g}" for t, share, e in zip(LEVELS, found, errors, strict=True) if share > t + 3 * e]
        cells = [f"{share:.4f} ± {e:.4f}" for share, e in zip(found, errors, strict=True)]
        rows.append([name, *cells, seconds, f"NO, at {', '.join(too_many)}" if too_many else "yes"])
    title = (
        f"{table}: P(p <= t) among {size.n_normal} new normal rows, {size.n_fit} rows to fit and {size.n_calibration} "
        f"to calibrate on, means over {n_splits} splits ± standard errors"
    )
    print_table(title, ["p-values", *(f"t = {t:g}" for t in LEVELS), "CPU s a split", "at most t + 3 errors?"], rows)


def share_below(detector: Any, parts: Parts) -> list[float]:
    """Return the shares of new normal rows whose p-value is at most each level."""
    p_values = detector.p_values(parts.normal)
    return [float((p_values <= t).mean()) for t in LEVELS]


def count_false_discoveries(table: str, size: Size, n_splits: int) -> None:
    rows = []
    for name, fit in WITH_HELD_OUT_ROWS.items():
        found: dict[float, list[tuple[float, float]]] = {q: [] for q in RATES}
        for seed, parts in split(table, size, n_splits):
            detector = fit(seed, parts)
            for q in RATES:
                found[q].append(judge_discoveries(detector, parts, q))
        for q, pairs in found.items():
            values = np.array(pairs)
            (fdp, power), (fdp_error, power_error) = values.mean(axis=0), error(values)
            kept = "yes" if fdp <= q + 3 * fdp_error else "NO"
            rows.append([name, q, f"{fdp:.3f} ± {fdp_error:.3f}", f"{power:.3f} ± {power_error:.3f}", kept])
    title = (
        f"{table}: predict(X, fdr=q) on {size.n_normal} normal rows and {size.n_outliers} outliers, {size.n_fit} rows "
        f"to fit and {size.n_calibration} to calibrate on, means over {n_splits} splits ± standard errors; expected: "
        f"{size.n_normal / (size.n_normal + size.n_outliers):.2f} q"
    )
    header = ["p-values", "q", "false share of discoveries", "outliers discovered", "at most q + 3 errors?"]
    print_table(title, header, rows)


def judge_discoveries(detector: Any, parts: Parts, q: float) -> tuple[float, float]:
    """Return which share of the discoveries is normal, and which share of the outliers is discovered."""
    discovered = detector.predict(np.concatenate([parts.normal, parts.outliers]), fdr=q) == -1
    n_false = int(discovered[: len(parts.normal)].sum())
    n_true = int(discovered.sum()) - n_false
    return n_false / max(1, n_false + n_true), n_true / len(parts.outliers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=200, help="number of splits of the first part")
    parser.add_argument("--fdr-splits", type=int, default=40, help="number of splits of the second part")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    n_splits, n_fdr_splits = (2, 2) if arguments.quick else (arguments.splits, arguments.fdr_splits)
    print(versions(("numpy", "scipy", "scikit-learn", "torch", "skorch")))
    with one_thread():
        for seed, parts in split(VALIDITY_TABLES[0], VALIDITY_SIZE, 1):  # warms up
            for fit in CONTENDERS.values():
                fit(seed, parts)
        for table in VALIDITY_TABLES:
            check_validity(table, VALIDITY_SIZE, n_splits)
        for table, size in FDR_SIZES.items():
            count_false_discoveries(table, size, n_fdr_splits)


if __name__ == "__main__":
    main()
