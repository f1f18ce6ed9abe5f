"""The simplest densities of the same rows: what an autoencoder has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array

from sklae.likelihoods import LIKELIHOODS
from sklae.metrics._information import conditions_of, mean_and_error

__all__ = ["INDEPENDENT", "Comparison", "IncomparableError", "compare"]

INDEPENDENT = "independent normal columns"


class IncomparableError(ValueError):
    """The rows, or the model's likelihood, are such that no comparison means anything; the message says why."""


class Comparison(NamedTuple):
    """A baseline's mean log-density, and by how much the model's is higher; nats per row."""

    score: float
    difference: float
    standard_error: float

    @property
    def verdict(self) -> int:
        """1 if the model is better by more than two standard errors, -1 if it is worse by as much, else 0."""
        # so put that a difference of minus infinity, whose error is NaN, is a loss
        return 0 if abs(self.difference) <= 2.0 * self.standard_error else int(np.sign(self.difference))


def compare(estimator: Any, X: Any, X_train: Any, log_likelihood: np.ndarray, seed: int) -> dict[str, Comparison]:
    """Compare the log-likelihood of each row with the baselines'.

    They are fitted on ``X_train``; or, where there is none, on each half of X to score the other.
    """
    _check_likelihood(estimator, X)
    rows = _table(X)
    reference = None if X_train is None else _table(X_train)
    counted = _counted_columns(estimator, rows if reference is None else reference)
    rows = rows[:, counted]
    if reference is None:
        halves = KFold(2, shuffle=True, random_state=seed).split(rows)
        pairs = [(rows[half], place) for half, place in halves]
    else:
        pairs = [(reference[:, counted], np.arange(len(rows)))]
    width = np.shape(estimator.transform(X[:1]))[1]
    found = {}
    for name, fit in _BASELINES.items():
        scores = np.empty(len(rows))
        for known, place in pairs:
            scores[place] = _scores(fit, width, known, rows[place])
        found[name] = Comparison(float(scores.mean()), *mean_and_error(log_likelihood - scores))
    return found


def _check_likelihood(estimator: Any, X: Any) -> None:
    given = getattr(estimator, "likelihood", "auto")
    likelihoods = [block[1] for block in given] if isinstance(given, list | tuple) else [given]
    others = [part for part in likelihoods if not _is_density(part)]
    if others:
        name = others[0] if isinstance(others[0], str) else type(others[0]).__name__
        raise IncomparableError(f"the likelihood {name!r} is no density of real numbers, as theirs are")
    if conditions_of(estimator, X):
        raise IncomparableError("the model's density is conditional, theirs are not")
    kinds = [str(dtype).lower() for dtype in getattr(X, "dtypes", ())] if hasattr(X, "columns") else []
    if not all(kind.startswith(("float", "int", "uint")) for kind in kinds):
        raise IncomparableError("some columns are no numbers")


def _is_density(likelihood: Any) -> bool:
    if isinstance(likelihood, str):
        return likelihood == "auto" or LIKELIHOODS[likelihood].is_density
    return getattr(likelihood, "is_density", False)


def _table(X: Any) -> np.ndarray:
    table = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=4)
    if np.isnan(table).any():
        raise IncomparableError("they do not take missing values")
    return table


def _counted_columns(estimator: Any, reference: np.ndarray) -> np.ndarray:
    """Return which columns are in the model's density: those that varied in its `fit`."""
    varies = getattr(getattr(estimator, "layout_", None), "varies", None)
    if varies is None or np.shape(varies) != reference.shape[1:]:
        return np.ptp(reference, axis=0) > 0
    return np.asarray(varies, dtype=bool)


def _fit_independent(n_components: int, X: np.ndarray) -> Any:
    return GaussianMixture(1, covariance_type="diag", random_state=0).fit(X)


def _fit_probabilistic_pca(n_components: int, X: np.ndarray) -> Any:
    return PCA(n_components, random_state=0).fit(X)


def _fit_factor_analysis(n_components: int, X: np.ndarray) -> Any:
    """Fit to 1e-6 nats per row, on a few rows of the same covariance: scikit-learn decomposes all in every step."""
    n_features = X.shape[1]
    if len(X) > 2 * n_features:
        half = np.sqrt(n_features / len(X)) * np.linalg.qr(X - X.mean(axis=0), mode="r")
        X = X.mean(axis=0) + np.vstack([half, -half])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return FactorAnalysis(n_components, tol=1e-6 * len(X), random_state=0).fit(X)


#: Name -> fits the model with so many components.
_BASELINES: dict[str, Callable[[int, np.ndarray], Any]] = {
    INDEPENDENT: _fit_independent,
    "probabilistic PCA": _fit_probabilistic_pca,
    "factor analysis": _fit_factor_analysis,
}


def _scores(
    fit: Callable[[int, np.ndarray], Any], n_components: int, known: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Fit on the known rows, standardised, and return the log-density of others in their own units."""
    if not np.all(np.ptp(known, axis=0) > 0):
        raise IncomparableError("some columns are constant in the rows they could be fitted on; pass X_train")
    scaler = StandardScaler().fit(known)
    model = fit(max(1, min(n_components, known.shape[1] - 1, len(known) - 1)), scaler.transform(known))
    return model.score_samples(scaler.transform(rows)) - np.log(scaler.scale_).sum()
