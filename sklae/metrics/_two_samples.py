"""Whether two tables are samples of one distribution: all columns at once."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils import gen_batches

from sklae._tables.annotations import CategoricalFeatures, TableLike
from sklae.metrics._checks import check_count, generator_for
from sklae.metrics._table_pairs import UNKNOWN, read_pair

__all__ = ["classifier_two_sample_score", "energy_distance"]

_CHUNK_ROWS = 256
_N_FOLDS = 5
# Of trees: the fewest rows in a leaf, of small tables fewer; and the most levels of a category.
_LEAST_LEAF, _MOST_LEVELS = 20, 253


def energy_distance(
    real: TableLike,
    synthetic: TableLike,
    *,
    sample_size: int | None = 5000,
    categorical_features: CategoricalFeatures = "from_dtype",
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Return the energy distance between two tables: 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo, 2013).

    It is 0 if and only if the tables have one and the same distribution, all columns jointly. Distances between rows
    are Euclidean: numbers in standard deviations of the real table, where a missing one counts as the mean and has a
    column that says so; a category is an indicator for each of its levels, divided by the square root of 2, so that two
    levels lie 1 apart. Missing values and levels that the real table has not are levels.

    Parameters
    ----------
    real : frame or array-like of shape (n_real, n_features)
        NaN or None marks a missing value.
    synthetic : frame or array-like of shape (n_synthetic, n_features)
        The same columns in the same order.
    sample_size : int or None, default=5000
        Of each table so many random rows are compared; None: all of them.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans.
    random_state : int, RandomState or None, default=None
        Chooses the rows.

    Returns
    -------
    distance : float
        At least 0. Two samples of one distribution differ, too: held-out rows in the place of ``synthetic`` tell by how
        much.

    References
    ----------
    G. J. Szekely and M. L. Rizzo, Energy statistics: a class of statistics based on distances, Journal of Statistical
    Planning and Inference 143:1249, 2013.

    Examples
    --------
    >>> from sklae.metrics import energy_distance
    >>> energy_distance([[0.0], [2.0]], [[0.0], [2.0]])
    0.0
    >>> energy_distance([[0.0], [2.0]], [[2.0], [4.0]])  # two standard deviations apart
    2.0
    """
    if sample_size is not None:
        check_count(sample_size, "sample_size")
    (ours, theirs), is_category, _ = read_pair({"real": real, "synthetic": synthetic}, categorical_features)
    rng = generator_for(random_state)
    # both have a column for gaps, or neither
    gappy = np.isnan(np.vstack([ours, theirs])).any(axis=0)
    a, b = (_points(_some(table, sample_size, rng), ours, is_category, gappy) for table in (ours, theirs))
    distance = 2.0 * _mean_distance(a, b) - _mean_distance(a, a) - _mean_distance(b, b)
    if not np.isfinite(distance):
        raise ValueError(
            "Got numbers so large that distances overflow; expected such below about 1e150 standard deviations. Check "
            "the largest ones, or take their logarithms."
        )
    return max(0.0, distance)


def classifier_two_sample_score(
    real: TableLike,
    synthetic: TableLike,
    *,
    estimator: BaseEstimator | None = None,
    categorical_features: CategoricalFeatures = "from_dtype",
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Return how well a classifier tells real from synthetic rows: a classifier two-sample test.

    The area under the ROC curve, by cross-validation in five parts, of a classifier that was fitted to rows of both
    tables. Of the larger table as many random rows are taken as the smaller one has.

    Parameters
    ----------
    real : frame or array-like of shape (n_real, n_features)
        NaN or None marks a missing value. No row of it should be, filled or otherwise changed, in ``synthetic``: the
        classifier would know it again. Judge an imputer by other rows than those that were filled.
    synthetic : frame or array-like of shape (n_synthetic, n_features)
        The same columns in the same order.
    estimator : classifier with ``predict_proba``, default=None
        A clone of it is fitted to numbers and codes of levels, NaN where missing. None: scikit-learn's histogram
        gradient boosting, which sees what columns say together; a linear classifier does not, and takes shuffled
        columns for real ones.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans.
    random_state : int, RandomState or None, default=None
        Of the rows, the parts and the default estimator.

    Returns
    -------
    score : float
        .5: real and synthetic rows can't be told apart; 1: all of them can. Below .5 by chance only.

    References
    ----------
    D. Lopez-Paz and M. Oquab, Revisiting classifier two-sample tests, ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklae.metrics import classifier_two_sample_score
    >>> X = load_iris().data
    >>> shuffled = np.random.default_rng(0).permuted(X[1::2], axis=0)
    >>> bool(classifier_two_sample_score(X[::2], shuffled, random_state=0) > 0.7)
    True
    """
    (ours, theirs), is_category, _ = read_pair({"real": real, "synthetic": synthetic}, categorical_features)
    rng = generator_for(random_state)
    n_rows = min(len(ours), len(theirs))
    if n_rows < _N_FOLDS:
        raise ValueError(f"Got a table of {n_rows} rows; expected at least {_N_FOLDS}. Pass more of them.")
    rows = np.concatenate([_some(ours, n_rows, rng), _some(theirs, n_rows, rng)])
    is_real = np.repeat([1, 0], n_rows)
    seed = int(rng.randint(2**31 - 1))
    if estimator is None:
        # codes below 0 count as missing: unknown levels are one more
        rows = np.where(is_category & (rows == UNKNOWN), np.nan_to_num(ours).max(axis=0) + 1.0, rows)
        there = ~np.isnan(rows).all(axis=0)
        rows, few = rows[:, there], (is_category & (np.nan_to_num(ours).max(axis=0) < _MOST_LEVELS))[there]
        estimator = HistGradientBoostingClassifier(
            categorical_features=few,
            early_stopping=False,
            min_samples_leaf=min(_LEAST_LEAF, max(1, n_rows // _N_FOLDS)),
            random_state=seed,
        )
    parts = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed)
    chances = cross_val_predict(clone(estimator), rows, is_real, cv=parts, method="predict_proba")
    return float(roc_auc_score(is_real, chances[:, 1]))


def _some(table: np.ndarray, n_rows: int | None, rng: np.random.RandomState) -> np.ndarray:
    return table if n_rows is None or len(table) <= n_rows else table[rng.permutation(len(table))[:n_rows]]


def _points(table: np.ndarray, real: np.ndarray, is_category: np.ndarray, gappy: np.ndarray) -> np.ndarray:
    """Return rows as points: numbers in standard deviations of the real ones, and indicators."""
    parts = []
    for own, known, category, has_gaps in zip(table.T, real.T, is_category, gappy, strict=True):
        gaps = np.isnan(own)[:, None]
        if category:
            levels = np.arange(UNKNOWN, max(np.nan_to_num(known).max(initial=0.0), 0.0) + 1)
            parts.append(np.hstack([own[:, None] == levels, gaps]) / np.sqrt(2.0))
            continue
        there = known[~np.isnan(known)]
        mean, deviation = (there.mean(), there.std()) if len(there) else (0.0, 1.0)
        numbers = (own[:, None] - mean) / (deviation if deviation > 0 else 1.0)
        parts.append(np.where(gaps, 0.0, numbers))
        if has_gaps:
            parts.append(gaps.astype(np.float64))
    return np.hstack(parts)


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    total = sum(float(cdist(a[part], b).sum()) for part in gen_batches(len(a), _CHUNK_ROWS))
    return total / (len(a) * len(b))
