"""How good a synthetic table is beside the real one: column by column, pair by pair, for a model, and for privacy."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score

from sklae._tables.annotations import CategoricalFeatures, TableLike
from sklae.metrics._checks import generator_for
from sklae.metrics._distances import ColumnDistances, PairDistances
from sklae.metrics._table_pairs import UNKNOWN, position_of, read_pair, split_target

__all__ = ["association_distances", "marginal_distances", "train_on_synthetic_score"]


def marginal_distances(
    real: TableLike, synthetic: TableLike, *, categorical_features: CategoricalFeatures = "from_dtype"
) -> ColumnDistances:
    """Compare the distribution of each column of a synthetic table with that in the real one.

    Numbers are compared by the statistic of Kolmogorov and Smirnov, the largest difference between the two cumulative
    distributions; where values are missing, the distance is that of the observed ones or the difference between the
    shares of missing ones, whichever is larger. Categories, text and booleans are compared by total variation, the
    largest difference between the probabilities of a set of levels; missing values are a level, and a level that the
    real table has not differs from all of its own.

    Parameters
    ----------
    real : frame or array-like of shape (n_real, n_features)
        NaN or None marks a missing value.
    synthetic : frame or array-like of shape (n_synthetic, n_features)
        The same columns in the same order.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans.

    Returns
    -------
    distances : ColumnDistances
        A dict, which a notebook shows as a table.
        Column name ("x0", "x1", ... for an array) to distance: 0 for one and the same distribution, 1 for no overlap.
        Two samples of one distribution differ, too: held-out rows in the place of ``synthetic`` tell by how much.

    See Also
    --------
    association_distances : The same for pairs of columns.

    Examples
    --------
    >>> from sklae.metrics import marginal_distances
    >>> real = [[1.0, 0], [2.0, 0], [3.0, 1], [4.0, 1]]
    >>> synthetic = [[3.0, 0], [4.0, 0], [5.0, 0], [6.0, 1]]
    >>> marginal_distances(real, synthetic)
    {'x0': 0.5, 'x1': 0.25}
    """
    (ours, theirs), is_category, names = read_pair({"real": real, "synthetic": synthetic}, categorical_features)
    return ColumnDistances(
        (name, _total_variation(a, b) if category else _number_distance(a, b))
        for name, a, b, category in zip(names, ours.T, theirs.T, is_category, strict=True)
    )


def association_distances(
    real: TableLike, synthetic: TableLike, *, categorical_features: CategoricalFeatures = "from_dtype"
) -> PairDistances:
    """Compare how the columns of a synthetic table go together, pair by pair, with how they do in the real one.

    Two columns of numbers: half the difference between Spearman's rank correlations, over rows that have both. Others:
    total variation between the two-way tables, where numbers are cut at the deciles of the real table and missing
    values are a level.

    Parameters
    ----------
    real : frame or array-like of shape (n_real, n_features)
        NaN or None marks a missing value.
    synthetic : frame or array-like of shape (n_synthetic, n_features)
        The same columns in the same order.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans.

    Returns
    -------
    distances : PairDistances
        A dict, which a notebook shows as a matrix.
        Pair of column names ("x0", "x1", ... for an array) to distance, in [0, 1]. A two-way table of many cells
        differs between two samples of one distribution: held-out rows in the place of ``synthetic`` tell by how much.

    See Also
    --------
    marginal_distances : The same for single columns.

    Examples
    --------
    >>> from sklae.metrics import association_distances
    >>> real = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]
    >>> association_distances(
    ...     real, [[1.0, 30.0], [2.0, 20.0], [3.0, 10.0]]
    ... )  # the other way round
    {('x0', 'x1'): 1.0}
    """
    (ours, theirs), is_category, names = read_pair({"real": real, "synthetic": synthetic}, categorical_features)
    ranks = [rankdata(table, axis=0, nan_policy="omit") for table in (ours, theirs)]
    levels = [_levelled(table, ours, is_category) for table in (ours, theirs)]
    found = PairDistances()
    for i, j in combinations(range(len(names)), 2):
        if is_category[i] or is_category[j]:
            found[names[i], names[j]] = _total_variation(*(_crossed(table[:, i], table[:, j]) for table in levels))
        else:
            one, other = (_correlation(table[:, i], table[:, j]) for table in ranks)
            found[names[i], names[j]] = abs(one - other) / 2
    return found


def train_on_synthetic_score(
    synthetic: TableLike,
    real: TableLike,
    target: str | int,
    *,
    estimator: BaseEstimator | None = None,
    categorical_features: CategoricalFeatures = "from_dtype",
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Fit a predictor of one column to a synthetic table, and return how well it predicts that of real rows.

    Parameters
    ----------
    synthetic : frame or array-like of shape (n_synthetic, n_features)
        Rows to fit to, the target among their columns. Rows that the generator was fitted to, in their place, tell
        what a perfect generator would reach.
    real : frame or array-like of shape (n_real, n_features)
        Rows to judge by, which the generator was not fitted to; the same columns in the same order.
    target : str or int
        Name or position of the column to predict.
    estimator : classifier with ``predict_proba``, or regressor, default=None
        A clone of it is fitted to numbers and codes of levels (0, 1, ..., and -1 for a level that ``real`` has not),
        NaN where missing. None: scikit-learn's histogram gradient boosting, which is told what the categories are.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans. The kind of the
        target decides what is predicted.
    random_state : int, RandomState or None, default=None
        Of the default estimator.

    Returns
    -------
    score : float
        Area under the ROC curve for a target of two levels; for more, each against the rest, weighted by their shares
        among the real rows. R2 for a target of numbers; where those of the real rows are but two, they are levels, and
        each synthetic one counts as the nearer of them. Rows without a target are left out.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklae.metrics import train_on_synthetic_score
    >>> table = load_breast_cancer(as_frame=True).frame
    >>> score = train_on_synthetic_score(
    ...     table[::2], table[1::2], "target", random_state=0
    ... )  # real rows, here
    >>> round(score, 2)
    0.99
    """
    # levels are read from the real rows: what only the generator knows can't be asked for
    (judges, rows), is_category, names = read_pair({"real": real, "synthetic": synthetic}, categorical_features)
    column = position_of(target, names)
    X_test, y_test = split_target(judges, column, "real")
    X, y = split_target(rows, column, "synthetic")
    values = np.unique(y_test)
    if len(values) < 2:
        raise ValueError(
            f"Got real rows with a single value of {names[column]!r}; expected two or more. Pass more of them."
        )
    has_levels = is_category[column] or len(values) == 2
    if has_levels and not is_category[column]:
        y = values[(np.abs(y - values[0]) > np.abs(y - values[1])).astype(int)]
    if estimator is None:
        estimator = (HistGradientBoostingClassifier if has_levels else HistGradientBoostingRegressor)(
            categorical_features=np.delete(is_category, column),
            early_stopping=False,  # its split by levels refuses one that was generated a single time
            random_state=generator_for(random_state).randint(2**31 - 1),
        )
    if not has_levels:
        return float(r2_score(y_test, clone(estimator).fit(X, y).predict(X_test)))
    return _area(estimator, X, y, X_test, y_test)


# -- distributions --------------------------------------------------------------------------------------


def _number_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance of two columns of numbers, gaps among them."""
    missing = abs(float(np.isnan(a).mean() - np.isnan(b).mean()))
    a, b = np.sort(a[~np.isnan(a)]), np.sort(b[~np.isnan(b)])
    if not len(a) or not len(b):
        return missing
    steps = np.concatenate([a, b])
    below = [np.searchsorted(values, steps, side="right") / len(values) for values in (a, b)]
    return max(missing, float(np.abs(below[0] - below[1]).max()))


def _total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Return half the sum of differences between the shares of values, among which NaN is one."""
    _, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    n_levels = codes.max() + 1
    shares = [np.bincount(part, minlength=n_levels) / len(part) for part in np.split(codes, [len(a)])]
    return min(1.0, float(np.abs(shares[0] - shares[1]).sum() / 2))  # rounding goes beyond


def _levelled(table: np.ndarray, real: np.ndarray, is_category: np.ndarray) -> np.ndarray:
    """Return categories as they are, and numbers as the tenths of the real ones that they lie in."""
    levels = table.copy()
    for i in np.flatnonzero(~is_category):
        observed = real[~np.isnan(real[:, i]), i]
        if len(observed):
            cuts = np.unique(np.quantile(observed, np.linspace(0.1, 0.9, 9)))
            levels[:, i] = np.where(np.isnan(table[:, i]), np.nan, np.searchsorted(cuts, table[:, i]))
    return levels


def _crossed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return one value per pair of levels; both are whole numbers from `UNKNOWN` on, and NaN stands for itself."""
    return (np.nan_to_num(a, nan=UNKNOWN - 1) - UNKNOWN + 1) * 2.0**26 + np.nan_to_num(b, nan=UNKNOWN - 1)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation over rows that have both; 0 where a column does not vary."""
    there = ~(np.isnan(a) | np.isnan(b))
    if there.sum() < 2:
        return 0.0
    a, b = a[there] - a[there].mean(), b[there] - b[there].mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


# -- prediction -----------------------------------------------------------------------------------------


def _area(estimator: Any, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> float:
    """Return the area under the ROC curve of each level against the rest, weighted by their shares in y_test."""
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"Got {type(estimator).__name__}, which has no predict_proba, for a target of levels; expected a "
            "classifier that has. Or leave estimator=None."
        )
    levels, counts = np.unique(y_test, return_counts=True)
    chances = np.zeros((len(X_test), len(levels)))  # a level that was never generated is never foreseen
    if len(np.unique(y)) > 1:
        model = clone(estimator).fit(X, y)
        known = np.isin(model.classes_, levels)
        chances[:, np.searchsorted(levels, model.classes_[known])] = model.predict_proba(X_test)[:, known]
    areas = [roc_auc_score(y_test == level, chance) for level, chance in zip(levels, chances.T, strict=True)]
    return float(np.average(areas, weights=counts))
