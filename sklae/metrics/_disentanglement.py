"""Whether each component of the code stands for one known factor of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import train_test_split

from sklae.metrics._checks import check_count, check_rows, generator_for

__all__ = ["DCI", "dci", "mutual_information_gap"]


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness, in [0, 1], and the importances they are read from.

    Attributes
    ----------
    disentanglement : float
        Whether each component tells about one factor only.
    completeness : float
        Whether each factor is told by one component only.
    informativeness : float
        Whether the factors can be told from the codes at all.
    importances : ndarray of shape (n_components, n_factors)
        Of each component for predicting each factor; columns sum to 1.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importances: np.ndarray


def mutual_information_gap(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    n_bins: int = 20,
    discrete_factors: bool | Sequence[bool] | Literal["auto"] = "auto",
) -> float:
    """Return the mutual information gap: whether each factor is told by one component, and by no other.

    For each factor, the mutual information with the component that tells most about it minus that with the next, over
    the factor's entropy; then the mean (MIG; Chen et al., arXiv 1802.04942). Codes are cut into bins of equal width
    (Locatello et al., arXiv 1811.12359).

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Posterior means, as `transform` gives them.
    factors : array-like of shape (n_samples, n_factors)
        What is known about how each row came about: classes, or numbers.
    n_bins : int, default=20
        For the codes, and for continuous factors.
    discrete_factors : "auto", bool or array-like of bool of shape (n_factors,), default="auto"
        Which factors are classes; the others are cut into bins. "auto": those that are no numbers, and those whose
        numbers are all whole.

    Returns
    -------
    gap : float
        In [0, 1], the higher the better. Needs some hundred rows: with few, noise in two mutual informations looks
        like a gap.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.metrics import mutual_information_gap
    >>> rng = np.random.RandomState(0)
    >>> factors = rng.randint(5, size=(2000, 3))
    >>> round(
    ...     mutual_information_gap(factors[:, ::-1], factors), 2
    ... )  # each component is one factor
    1.0
    >>> round(mutual_information_gap(rng.normal(size=(2000, 3)), factors), 1)
    0.0
    """
    check_count(n_bins, "n_bins", least=2)
    codes = check_rows(codes, "codes", 2)
    labels = [
        factor if is_discrete else _binned(factor, n_bins)
        for factor, is_discrete in _factors(factors, discrete_factors, len(codes))
    ]
    bins = [_binned(component, n_bins) for component in codes.T]
    return float(np.mean([_gap(bins, label) for label in labels]))


def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    n_estimators: int = 100,
    test_size: float = 0.25,
    discrete_factors: bool | Sequence[bool] | Literal["auto"] = "auto",
    random_state: int | np.random.RandomState | None = None,
) -> DCI:
    """Return disentanglement, completeness and informativeness of codes.

    A random forest predicts each factor from the codes. Its importances say which component tells about which factor:
    disentanglement is high if each component matters for one factor only, completeness if one component only matters
    for each factor (1 minus the entropies, over their maxima; components weigh as they matter). Informativeness is how
    well the forests predict rows they were not fitted on (Eastwood and Williams, ICLR 2018).

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        Posterior means, as `transform` gives them; at least two components.
    factors : array-like of shape (n_samples, n_factors)
        What is known about how each row came about: classes, or numbers; at least two factors.
    n_estimators : int, default=100
        Trees per forest.
    test_size : float, default=0.25
        The share of rows that informativeness is measured on.
    discrete_factors : "auto", bool or array-like of bool of shape (n_factors,), default="auto"
        Which factors are classes; for these the forests classify, for the others they regress. "auto": those that are
        no numbers, and those whose numbers are all whole.
    random_state : int, RandomState instance or None, default=None
        Where draws come from; None takes fresh entropy from the system.

    Returns
    -------
    figures : DCI
        ``(disentanglement, completeness, informativeness, importances)``. Informativeness is the mean over factors of 1
        minus the error over that of the best constant guess: R² for numbers, the same of the error rate for classes;
        at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.metrics import dci
    >>> rng = np.random.RandomState(0)
    >>> factors = rng.uniform(size=(500, 2))
    >>> figures = dci(factors[:, ::-1], factors, n_estimators=10, random_state=0)
    >>> (
    ...     figures.disentanglement > 0.9,
    ...     figures.completeness > 0.9,
    ...     figures.informativeness > 0.9,
    ... )
    (True, True, True)
    """
    check_count(n_estimators, "n_estimators")
    codes = check_rows(codes, "codes", 4)
    columns = _factors(factors, discrete_factors, len(codes))
    for name, width in {"component": codes.shape[1], "factor": len(columns)}.items():
        if width < 2:
            raise ValueError(f"Got {width} {name}; expected at least 2. One alone can't be entangled: use an R² score.")
    rng = generator_for(random_state)
    fits = [
        _fit_forest(codes, factor, is_discrete, n_estimators, test_size, rng.randint(2**31 - 1))
        for factor, is_discrete in columns
    ]
    importances = np.column_stack([importance for importance, _ in fits])
    weights = importances.sum(axis=1) / importances.sum()
    return DCI(
        disentanglement=float(weights @ _concentration(importances.T)),
        completeness=float(_concentration(importances).mean()),
        informativeness=float(np.mean([score for _, score in fits])),
        importances=importances,
    )


def _factors(factors: Any, discrete: Any, n_samples: int) -> list[tuple[np.ndarray, bool]]:
    """Return the columns, as whole-numbered classes or as numbers, and which they are."""
    table = np.asarray(factors)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or len(table) != n_samples:
        raise ValueError(
            f"Got factors of shape {table.shape} for {n_samples} codes; expected ({n_samples}, n_factors). Pass "
            "one row of factors per code."
        )
    columns = list(table.T)
    flags = [_is_discrete(column) for column in columns] if _is_auto(discrete) else _flags(discrete, len(columns))
    pairs = []
    for place, (column, flag) in enumerate(zip(columns, flags, strict=True)):
        values = np.unique(column, return_inverse=True)[1] if flag else check_rows(column[:, None], "factors", 2)[:, 0]
        if values.min() == values.max():
            raise ValueError(f"Got factor {place} with one value only; expected one that varies. Leave it out.")
        pairs.append((values, flag))
    return pairs


def _is_auto(discrete: Any) -> bool:
    return isinstance(discrete, str) and discrete == "auto"


def _flags(discrete: Any, n_factors: int) -> list[bool]:
    flags = np.asarray(discrete)
    if flags.dtype != bool or flags.shape not in ((), (n_factors,)):
        raise ValueError(
            f"Got discrete_factors={discrete!r}; expected 'auto', a bool, or {n_factors} of them. Leave it at 'auto'."
        )
    return np.broadcast_to(flags, n_factors).tolist()


def _is_discrete(column: np.ndarray) -> bool:
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        return True
    return bool((numbers == np.floor(numbers)).all())


def _binned(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the number of the bin of each value; bins are of equal width between the least and the largest."""
    edges = np.histogram_bin_edges(values, n_bins)
    return np.digitize(values, edges[1:-1])


def _gap(bins: list[np.ndarray], factor: np.ndarray) -> float:
    told = sorted(mutual_info_score(component, factor) for component in bins)
    second = told[-2] if len(told) > 1 else 0.0
    return (told[-1] - second) / mutual_info_score(factor, factor)  # its own entropy


def _fit_forest(
    codes: np.ndarray, factor: np.ndarray, is_discrete: bool, n_estimators: int, test_size: float, seed: int
) -> tuple[np.ndarray, float]:
    """Return the importance of each component, and how much better than a constant guess the forest does."""
    train, test, known, hidden = train_test_split(codes, factor, test_size=test_size, random_state=seed)
    # all components at every split: a random choice among them would send some of the importance to the wrong ones
    forest = (RandomForestClassifier if is_discrete else RandomForestRegressor)(
        n_estimators, max_features=1.0, random_state=seed
    ).fit(train, known)
    guess = forest.predict(test)
    if is_discrete:
        error, least = np.mean(guess != hidden), 1.0 - np.bincount(hidden).max() / len(hidden)
    else:
        error, least = np.mean((guess - hidden) ** 2), hidden.var()
    importances = forest.feature_importances_
    if not importances.any():  # the codes, or the factor's training rows, are constant: nothing is told by anything
        importances = np.full(len(importances), 1.0 / len(importances))
    return importances, max(0.0, 1.0 - float(error / least)) if least > 0 else float(error == 0)


def _concentration(importances: np.ndarray) -> np.ndarray:
    """Return, per column, 1 if all importance lies in one row, 0 if it is spread evenly."""
    totals = importances.sum(axis=0)
    shares = importances / np.where(totals > 0, totals, 1.0)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return 1.0 + (shares * logs).sum(axis=0) / np.log(len(shares))
