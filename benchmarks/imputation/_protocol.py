"""What imputation is judged by: tables, removed cells and the figures; and those who fill, each by one interface."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.imputation._gaussian_em import GaussianEM
from benchmarks.shared.data import folder

__all__ = [
    "BAYESIAN_RIDGE",
    "GAUSSIAN",
    "MASKS",
    "MIXED",
    "NUMERIC",
    "SKLAE",
    "Encoded",
    "Figures",
    "Make",
    "Task",
    "breast_cancer",
    "fill",
    "gaussian_intervals",
    "judge",
    "make_task",
    "peers",
    "sklae",
    "sklae_intervals",
]

SKLAE, GAUSSIAN, BAYESIAN_RIDGE, MEAN = "sklae", "Gaussian EM", "BayesianRidge", "mean/mode"


class Imputer(Protocol):
    """Fills what is missing in a frame; it sees columns of numbers, and of text."""

    def fit(self, X: pd.DataFrame) -> Any: ...

    def transform(self, X: pd.DataFrame) -> Any: ...


#: Seed -> imputer.
Make = Callable[[int], Imputer]


# -- tables ---------------------------------------------------------------------------------------------


def _csv(name: str, drop: Iterable[str] = (), codes: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table; `codes` are categories that it writes as numbers."""
    frame = pd.read_csv(folder() / "tables" / f"{name}.csv").drop(columns=list(drop))
    for column in codes:
        frame[column] = frame[column].map(lambda code: f"code {code:g}", na_action="ignore").astype("str")
    return frame


def _california() -> pd.DataFrame:
    """Return the columns of scikit-learn's `fetch_california_housing`, which would have to be downloaded."""
    raw = _csv("california_housing", ("ocean_proximity",)).dropna()
    each = {
        "AveRooms": raw.total_rooms / raw.households,
        "AveBedrms": raw.total_bedrooms / raw.households,
        "AveOccup": raw.population / raw.households,
    }
    kept = raw[["median_income", "housing_median_age", "population", "latitude", "longitude"]]
    return kept.assign(**each)


HEART_CODES = ("sex", "cp", "fbs", "restecg", "exang", "slope", "thal")

NUMERIC: dict[str, Callable[[], pd.DataFrame]] = {
    "breast_cancer": lambda: load_breast_cancer(as_frame=True).data,
    "wine": lambda: load_wine(as_frame=True).data,
    "concrete": lambda: _csv("concrete"),
    "energy_efficiency": lambda: _csv("energy_efficiency"),
    "wine_quality_red": lambda: _csv("wine_quality_red"),
    "wine_quality_white": lambda: _csv("wine_quality_white"),
    "letter_recognition": lambda: _csv("letter_recognition", ("letter",)),
    "california": _california,
}
MIXED: dict[str, Callable[[], pd.DataFrame]] = {
    "penguins": lambda: _csv("penguins"),
    "heart_disease": lambda: _csv("heart_disease", codes=HEART_CODES),
    "german_credit": lambda: _csv("german_credit", codes=("class",)),
    "california_housing": lambda: _csv("california_housing"),
    "adult": lambda: _csv("adult", ("split",)),
}


# -- what is removed ------------------------------------------------------------------------------------


def _mcar(share: float) -> Callable[[pd.DataFrame, np.random.RandomState], np.ndarray]:
    """Remove every cell with the same probability."""
    return lambda frame, rng: rng.uniform(size=frame.shape) < share


def _mar(share: float) -> Callable[[pd.DataFrame, np.random.RandomState], np.ndarray]:
    """Remove cells of one half of the columns, by what stands in the other half, which is kept whole."""

    def removed(frame: pd.DataFrame, rng: np.random.RandomState) -> np.ndarray:
        order = rng.permutation(frame.shape[1])
        emptied, kept = np.split(order, [frame.shape[1] // 2])
        numbers = _Indicators().fit(frame.iloc[:, kept]).encode(frame.iloc[:, kept])
        numbers = np.nan_to_num(StandardScaler().fit_transform(numbers))  # a gap of the table's own counts as the mean
        gone = np.zeros(frame.shape, dtype=bool)
        for column in emptied:
            score = numbers @ rng.standard_normal(numbers.shape[1])
            score = score / score.std()
            level = brentq(lambda level, score=score: expit(score + level).mean() - share, -20, 20)
            gone[:, column] = rng.uniform(size=len(frame)) < expit(score + level)
        return gone

    return removed


MASKS: dict[str, Callable[[pd.DataFrame, np.random.RandomState], np.ndarray]] = {
    "MCAR20": _mcar(0.2),
    "MCAR50": _mcar(0.5),
    "MAR30": _mar(0.3),
}


class Task(NamedTuple):
    """Rows to fit on, new rows with gaps, and what stood in them; numbers are standardised."""

    train: pd.DataFrame
    new: pd.DataFrame
    truth: pd.DataFrame
    removed: np.ndarray


def make_task(table: str, mask: str, seed: int, n_rows: int) -> Task:
    """Choose rows, split them, remove cells, standardise."""
    frame = {**NUMERIC, **MIXED}[table]()
    rng = np.random.RandomState(seed)
    frame = frame.iloc[rng.permutation(len(frame))[:n_rows]].reset_index(drop=True)
    frame = frame.astype(dict.fromkeys(_numeric(frame), np.float64))
    removed = MASKS[mask](frame, rng) & frame.notna().to_numpy()
    rows, new_rows = train_test_split(np.arange(len(frame)), test_size=0.3, random_state=seed)
    frame = _scaled(frame, by=frame.mask(removed).iloc[rows])
    gapped = frame.mask(removed)
    truth = _known(frame.iloc[new_rows], gapped.iloc[rows])
    # a level that no training row shows cannot be handed in, nor guessed
    return Task(
        gapped.iloc[rows].reset_index(drop=True),
        truth.mask(removed[new_rows]).reset_index(drop=True),
        truth.reset_index(drop=True),
        removed[new_rows] & truth.notna().to_numpy(),
    )


def breast_cancer() -> Task:
    """Return the table of which others have published in-sample figures: every row is both old and new."""
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    cells = np.random.RandomState(1234).choice(X.size, X.size // 2, replace=False)
    removed = np.zeros(X.shape, dtype=bool)
    removed.flat[cells] = True
    truth = pd.DataFrame(X, columns=load_breast_cancer().feature_names)
    return Task(truth.mask(removed), truth.mask(removed), truth, removed)


def _numeric(frame: pd.DataFrame) -> list[str]:
    return list(frame.select_dtypes("number").columns)


def _scaled(frame: pd.DataFrame, by: pd.DataFrame) -> pd.DataFrame:
    columns = _numeric(frame)
    spread = by[columns].std(ddof=0).replace(0.0, 1.0)
    return frame.assign(**((frame[columns] - by[columns].mean()) / spread))


def _known(frame: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Make a gap of every category that the training rows do not show."""
    text = frame.columns.difference(_numeric(frame))
    return frame.assign(**{name: frame[name].where(frame[name].isin(train[name].dropna())) for name in text})


# -- figures --------------------------------------------------------------------------------------------


class Figures(NamedTuple):
    """How well the removed cells of the new rows were filled; nan where none was of that kind."""

    mse: float
    rmse: float
    mae: float
    accuracy: float
    cpu: float
    wall: float
    failure: str


def judge(make: Make, task: Task, seed: int) -> Figures:
    """Fit to the training rows, fill the new ones, compare. Whoever fails fills in means and modes."""
    failure = ""
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        filled = fill(make(seed), task)
    except Exception as error:  # a peer may raise anything: it is counted, not fatal
        failure, filled = f"{type(error).__name__}: {error}", fill(peers()[MEAN](seed), task)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    errors = _errors(filled, task)
    mse = float(np.mean(errors**2)) if errors.size else np.nan
    mae = float(np.mean(np.abs(errors))) if errors.size else np.nan
    return Figures(mse, float(np.sqrt(mse)), mae, _accuracy(filled, task), cpu, wall, failure)


def fill(imputer: Imputer, task: Task) -> pd.DataFrame:
    """Return the new rows, filled; raise if anything was left out or touched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of IterativeImputer, almost always
        imputer.fit(task.train)
        filled = imputer.transform(task.new)
    if not isinstance(filled, pd.DataFrame):
        filled = pd.DataFrame(filled, columns=task.new.columns)
    numbers, given = _numeric(task.new), task.new.notna()
    filled = filled.astype(dict.fromkeys(numbers, np.float64)).reset_index(drop=True)
    if filled[task.new.columns].isna().to_numpy().any():
        raise ValueError("Gaps were left.")
    for name in task.new:
        kept, got = task.new.loc[given[name], name], filled.loc[given[name], name]
        if not (np.allclose(kept, got, atol=1e-4) if name in numbers else (kept == got).all()):
            raise ValueError(f"Observed cells of {name!r} were changed.")
    return filled


def _errors(filled: pd.DataFrame, task: Task) -> np.ndarray:
    """Return the errors of the removed numeric cells, one after another."""
    numbers = _numeric(task.truth)
    removed = task.removed[:, task.truth.columns.isin(numbers)]
    return (filled[numbers] - task.truth[numbers]).to_numpy()[removed]


def _accuracy(filled: pd.DataFrame, task: Task) -> float:
    """Return the share of the removed categorical cells that got the right level."""
    text = ~task.truth.columns.isin(_numeric(task.truth))
    removed = task.removed[:, text]
    right = (filled[task.truth.columns].loc[:, text] == task.truth.loc[:, text]).to_numpy()
    return float(right[removed].mean()) if removed.any() else np.nan


def _covered(low: np.ndarray, high: np.ndarray, task: Task) -> float:
    """Return the share of the removed numeric cells that lie between their limits."""
    numbers = _numeric(task.truth)
    removed = task.removed[:, task.truth.columns.isin(numbers)]
    truth = task.truth[numbers].to_numpy()
    return float(((low <= truth) & (truth <= high))[removed].mean())


def sklae_intervals(task: Task, seed: int, n_imputations: int) -> float:
    """Return how many of the removed numeric cells lie between the 5 % and the 95 % quantile of their draws."""
    from sklae import AEImputer

    imputer = AEImputer(n_imputations=n_imputations, sample_posterior=True, random_state=seed)
    imputations = imputer.fit(task.train).transform(task.new)
    numbers = _numeric(task.new)
    frames = [pd.DataFrame(each, columns=task.new.columns)[numbers] for each in imputations]
    draws = np.stack([frame.to_numpy(dtype=np.float64) for frame in frames])
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return _covered(low, high, task)


def gaussian_intervals(task: Task) -> float:
    """Return the same for the central 90 % of the conditional normal distribution."""
    imputer = Encoded(GaussianEM()).fit(task.train)
    mean, variance = imputer.inner.conditional(imputer.indicators.encode(task.new))
    own = imputer.indicators.numeric
    half = 1.6449 * np.sqrt(variance[:, own])
    return _covered(mean[:, own] - half, mean[:, own] + half, task)


# -- contenders -----------------------------------------------------------------------------------------


class _Indicators:
    """Categories as one column for each level, nan where missing; the largest of the filled ones decides."""

    def fit(self, frame: pd.DataFrame) -> _Indicators:
        numbers = _numeric(frame)
        self.levels = {name: [] if name in numbers else sorted(frame[name].dropna().unique()) for name in frame}
        widths = [len(levels) or 1 for levels in self.levels.values()]
        ends = np.cumsum(widths)
        self.places = {name: np.arange(e - w, e) for name, w, e in zip(frame, widths, ends, strict=True)}
        self.numeric = np.array([self.places[name][0] for name in numbers], dtype=int)
        return self

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        columns = []
        for name, levels in self.levels.items():
            values = frame[name].to_numpy(dtype=object if levels else np.float64)[:, None]
            gap = frame[name].isna().to_numpy()[:, None]
            columns.append(np.where(gap, np.nan, values == np.array(levels, dtype=object)) if levels else values)
        return np.hstack(columns)

    def decode(self, X: np.ndarray, like: pd.DataFrame) -> pd.DataFrame:
        filled = like.copy()
        for name, levels in self.levels.items():
            own = X[:, self.places[name]]
            guess = np.array(levels, dtype=object)[own.argmax(axis=1)] if levels else own[:, 0]
            filled[name] = like[name].where(like[name].notna(), pd.Series(guess, like.index, dtype=like[name].dtype))
        return filled


class Encoded:
    """An imputer of numbers, made to take frames; categories as indicators, scaled as they are (0 and 1)."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def fit(self, X: pd.DataFrame) -> Encoded:
        self.indicators = _Indicators().fit(X)
        self.inner.fit(self.indicators.encode(X))
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return self.indicators.decode(self.inner.transform(self.indicators.encode(X)), X)


class Chained:
    """Every column in turn, given all others: what `IterativeImputer` does, for tables with categories.

    Among indicators it fails: each is one minus its siblings, all of them missing together, so that the first guess
    stays. Here a classifier fills a category at once; the others' categories enter as indicators. With trees that is
    missForest (Stekhoven and Buehlmann, 2012), but rounds are counted, and new rows pass through the models of all.
    """

    def __init__(self, regressor: Any, classifier: Any, max_iter: int) -> None:
        self.regressor = regressor
        self.classifier = classifier
        self.max_iter = max_iter

    def fit(self, X: pd.DataFrame) -> Chained:
        self.start = Encoded(SimpleImputer()).fit(X)
        self.models = []
        filled, levels = self.start.transform(X), self.start.indicators.levels
        for _ in range(self.max_iter):
            for name in X.isna().sum().sort_values(kind="stable").index:
                gap = X[name].isna()
                model = clone(self.classifier if len(levels[name]) > 1 else self.regressor)
                if len(levels[name]) != 1:  # else there is nothing to choose
                    model.fit(self._others(filled[~gap], name), X.loc[~gap, name])
                    self.models.append((name, model))
                    self._refill(filled, name, model, gap)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        filled = self.start.transform(X)
        for name, model in self.models:
            self._refill(filled, name, model, X[name].isna())
        return filled

    def _others(self, filled: pd.DataFrame, name: str) -> np.ndarray:
        indicators = self.start.indicators
        return np.delete(indicators.encode(filled), indicators.places[name], axis=1)

    def _refill(self, filled: pd.DataFrame, name: str, model: Any, gap: pd.Series) -> None:
        if gap.any():
            filled.loc[gap, name] = model.predict(self._others(filled[gap], name))


class InTurn:
    """`IterativeImputer` with the regressor; on tables with categories `Chained`, with the classifier for them."""

    def __init__(self, regressor: Any, classifier: Any, max_iter: int, random_state: int) -> None:
        self.chained = Chained(regressor, classifier, max_iter)
        inner = IterativeImputer(regressor, max_iter=max_iter, keep_empty_features=True, random_state=random_state)
        self.numeric = Encoded(inner)

    def fit(self, X: pd.DataFrame) -> InTurn:
        self.chosen = (self.chained if len(_numeric(X)) < X.shape[1] else self.numeric).fit(X)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return self.chosen.transform(X)


def _linear(seed: int, max_iter: int) -> InTurn:
    return InTurn(BayesianRidge(), LogisticRegression(), max_iter, seed)


def _trees(seed: int, n_estimators: int, max_iter: int) -> InTurn:
    settings = {"n_estimators": n_estimators, "random_state": seed}
    return InTurn(ExtraTreesRegressor(**settings), ExtraTreesClassifier(**settings), max_iter, seed)


def peers(*, quick: bool = False) -> dict[str, Make]:
    """Return those who need neither sklae nor PyTorch, the most expensive last."""
    trees = {"n_estimators": 5, "max_iter": 1} if quick else {"n_estimators": 50, "max_iter": 5}
    return {
        MEAN: lambda seed: Encoded(SimpleImputer(keep_empty_features=True)),
        "KNN": lambda seed: Encoded(KNNImputer(keep_empty_features=True)),
        BAYESIAN_RIDGE: lambda seed: _linear(seed, max_iter=10),
        GAUSSIAN: lambda seed: Encoded(GaussianEM()),
        "ExtraTrees": lambda seed: _trees(seed, **trees),
    }


def sklae() -> Mapping[str, Make]:
    """Return sklae's imputer, or nobody while there is none."""
    try:
        from sklae import AEImputer
    except ImportError:
        return {}
    return {SKLAE: lambda seed: AEImputer(random_state=seed)}
