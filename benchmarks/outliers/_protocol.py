"""What the benchmarks of outlier detection share: a protocol, PyOD's detectors, how well a score finds outliers."""

from __future__ import annotations

import contextlib
import importlib
import io
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.shared.data import Split, adbench, odbench
from sklae import AEOutlierDetector

__all__ = [
    "CLEAN_SWITCH",
    "FALSE_ALARMS",
    "LIMIT",
    "PEERS",
    "SETTINGS",
    "SKLAE",
    "Figures",
    "Make",
    "Task",
    "anomalies",
    "judge",
    "load",
    "peers",
    "prepare",
    "settings_of",
    "sklae",
    "source",
    "split_table",
    "standardize",
    "warm_up",
]

SKLAE, CLEAN_SWITCH = "sklae", "sklae, support_fraction=1.0"
SETTINGS = ("contaminated", "clean")
#: CPU seconds after which fit and score count as failed.
LIMIT = 60.0
#: Of a table with a larger share of outliers there is no contaminated setting.
MOST_OUTLIERS = 0.25
#: Figure -> the contamination at which normal rows are counted that sklae flags.
FALSE_ALARMS: dict[str, Any] = {"flagged_at_5": 0.05, "flagged_auto": "auto"}

#: Name -> module of PyOD; those of deep models print.
PEERS = {
    "IForest": "iforest",
    "GMM": "gmm",
    "VAE": "vae",
    "INNE": "inne",
    "MCD": "mcd",
    "HBOS": "hbos",
    "COPOD": "copod",
    "CBLOF": "cblof",
    "OCSVM": "ocsvm",
    "AutoEncoder": "auto_encoder",
    "ECOD": "ecod",
    "KNN": "knn",
    "LOF": "lof",
    "PCA": "pca",
}

#: What makes an unfitted detector from a seed.
Make = Callable[[int], Any]


class Task(NamedTuple):
    """Rows to fit on, without labels, and rows to score, arrays or frames; 1 is an outlier."""

    X_train: Any
    X_test: Any
    y_test: np.ndarray


class Figures(NamedTuple):
    """How well a score finds the outliers, what fit and score took, and how many normal rows sklae flags."""

    auroc: float
    ap: float
    cpu: float
    failure: str = ""
    flagged_at_5: float = np.nan
    flagged_auto: float = np.nan


# -- tables ---------------------------------------------------------------------------------------------


def source(name: str) -> str:
    """Return whose table it is: A for ADBench, O for ODDBench and OvRBench."""
    return "O" if name.startswith(("odd_", "ovr_")) else "A"


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a table, and 1 for each that is an outlier."""
    return odbench(name) if source(name) == "O" else adbench(name)


def settings_of(name: str) -> tuple[str, ...]:
    """Return the settings of a table: not contaminated where too many rows are outliers."""
    _, y = load(name)
    return SETTINGS if y.mean() <= MOST_OUTLIERS else ("clean",)


def split_table(name: str, seed: int, n_rows: int = 6_000) -> Split:
    """Return 70 % and 30 % of a table, stratified; of more than `n_rows` rows a stratified subsample of so many."""
    X, y = load(name)
    if len(X) > n_rows:
        chosen = _subsample(y, n_rows, np.random.RandomState(seed))
        X, y = X[chosen], y[chosen]
    return Split(*train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed))


def _subsample(y: np.ndarray, n_rows: int, rng: np.random.RandomState) -> np.ndarray:
    """Return the places of a stratified subsample that keeps 20 outliers, or all where there are fewer."""
    outliers, normal = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    n_outliers = max(round(n_rows * len(outliers) / len(y)), min(20, len(outliers)))
    chosen = [rng.choice(outliers, n_outliers, replace=False), rng.choice(normal, n_rows - n_outliers, replace=False)]
    return np.sort(np.concatenate(chosen))


def prepare(split: Split, setting: str) -> Task:
    """Leave the outliers out of the training part, or not, and standardise by what is left."""
    X = split.X_train[split.y_train == 0] if setting == "clean" else split.X_train
    return standardize(X, split.X_test, split.y_test)


def standardize(X_train: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> Task:
    scaler = StandardScaler().fit(X_train)
    return Task(scaler.transform(X_train), scaler.transform(X_test), y_test)


# -- detectors ------------------------------------------------------------------------------------------


def sklae(**parameters: Any) -> Make:
    """Return what makes sklae's detector, of default parameters but for these."""
    return lambda seed: AEOutlierDetector(**{"random_state": seed, **parameters})


def peers(names: Iterable[str] = PEERS) -> dict[str, Make]:
    """Return what makes each of PyOD's detectors, with default parameters; none of what is not installed."""
    found: dict[str, Make] = {}
    for name in names:
        try:
            with _silence():
                module = importlib.import_module(f"pyod.models.{PEERS[name]}")
        except ImportError as error:
            print(f"PyOD's {name} is left out: {error}")
        else:
            found[name] = partial(_make_peer, getattr(module, name))
    return found


def _make_peer(cls: type, seed: int) -> Any:
    detector = cls()
    settings = {"random_state": seed, "verbose": 0}
    return detector.set_params(**{name: settings[name] for name in settings if name in detector.get_params()})


def anomalies(detector: Any, X: np.ndarray) -> np.ndarray:
    """Return a score that is high for outliers: scikit-learn's signs and PyOD's differ."""
    return -detector.score_samples(X) if isinstance(detector, OutlierMixin) else detector.decision_function(X)


def judge(make: Make, task: Task, seed: int) -> Figures:
    """Fit and score. What fails has ranked nothing: AUROC 0.5, average precision 0."""
    detector = make(seed)  # what can't be made is a mistake here, not a failure
    start = time.process_time()
    try:
        with _silence(), _limit(LIMIT):
            found = anomalies(detector.fit(task.X_train), task.X_test)
        cpu = time.process_time() - start
        found = np.clip(np.asarray(found, np.float64), -1e300, 1e300)  # no infinities; what is NaN fails below
        figures = Figures(roc_auc_score(task.y_test, found), average_precision_score(task.y_test, found), cpu)
        return figures._replace(**_false_alarms(detector, found[task.y_test == 0]))
    except Exception as error:  # whatever a contender raises is its result
        return Figures(0.5, 0.0, time.process_time() - start, f"{type(error).__name__}: {error}".split("\n")[0])


def _false_alarms(detector: Any, found: np.ndarray) -> dict[str, Any]:
    """Return which share of normal rows, given their anomalies, sklae's detector flags at each contamination."""
    if not isinstance(detector, AEOutlierDetector):
        return {}
    offsets = {name: detector.set_threshold(contamination=share).offset_ for name, share in FALSE_ALARMS.items()}
    return {name: float((-found < offset).mean()) for name, offset in offsets.items()}


def warm_up(contenders: Iterable[Make]) -> None:
    """Fit each on a few rows, that none pays for what a library does once."""
    X = np.random.RandomState(0).standard_normal((100, 4))
    for make in contenders:
        judge(make, Task(X, X, np.arange(100) % 2), 0)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise an error once the processor has been busy for so long; on Windows let it be."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds:g} CPU seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
