"""Whether rows of a synthetic table are copies of real ones."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import gen_batches

from sklae._tables.annotations import CategoricalFeatures, TableLike
from sklae.metrics._checks import check_count, generator_for
from sklae.metrics._table_pairs import UNKNOWN, read_pair

__all__ = ["NearCopies", "near_copy_share"]

_CHUNK_ROWS = 256


class NearCopies(NamedTuple):
    """The share of synthetic rows that nearly copy a training row, and that of real rows which do; both in [0, 1].

    Attributes
    ----------
    share : float
        Of synthetic rows, how many nearly copy a training row.
    reference : float
        Of real rows that were not trained on, how many do.
    """

    share: float
    reference: float


def near_copy_share(
    train: TableLike,
    synthetic: TableLike,
    *,
    holdout: TableLike | None = None,
    quantile: float = 0.01,
    sample_size: int | None = 5000,
    categorical_features: CategoricalFeatures = "from_dtype",
    random_state: int | np.random.RandomState | None = None,
) -> NearCopies:
    """Return how many synthetic rows lie as near to a training row as hardly any two real rows lie to each other.

    A generator that has learnt rows by heart gives them away. The distance between two rows is a sum over columns: of
    numbers the difference, in units of the range from the 5 % to the 95 % quantile of the training rows (where that is
    0, of their standard deviation); of other columns 0 for the same level and 1 for two. A missing number counts as the
    median, and 1 more beside a number that is there. A row is a near copy if its distance to the nearest training row
    is at most the ``quantile`` of the distances between training rows and their nearest fellows. An exact copy always
    is one: where a table repeats itself, so many held-out rows are near copies, too, and the reference tells.

    Parameters
    ----------
    train : frame or array-like of shape (n_train, n_features)
        The rows that the generator was fitted to.
    synthetic : frame or array-like of shape (n_synthetic, n_features)
        The same columns in the same order.
    holdout : frame or array-like of shape (n_holdout, n_features), default=None
        Real rows that the generator was not fitted to, for the reference.
    quantile : float in (0, 1), default=0.01
        The share of training rows whose nearest fellow counts as near.
    sample_size : int or None, default=5000
        Of each table so many random rows are judged; None: all of them. Neighbours are searched among all training
        rows.
    categorical_features : "from_dtype" or list of names or positions, default="from_dtype"
        Which columns of numbers hold categories, beside those of text, of categories and of booleans.
    random_state : int, RandomState or None, default=None
        Of the choice of these rows.

    Returns
    -------
    figures : NearCopies
        ``(share, reference)``. The reference is the share of near copies among ``holdout``, or, without it, among the
        training rows themselves, beside all others; then it is ``quantile``, unless rows repeat themselves. A share
        well above the reference says that rows were copied.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.metrics import near_copy_share
    >>> train, holdout, fresh = np.random.RandomState(0).normal(size=(3, 1000, 4))
    >>> near_copy_share(train, fresh, holdout=holdout, quantile=0.05)
    NearCopies(share=0.048, reference=0.042)
    >>> near_copy_share(train, train[:100] + 1e-3, holdout=holdout, quantile=0.05)
    NearCopies(share=1.0, reference=0.042)
    """
    _check_share(quantile)
    named = {"train": train, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    (known, made, *held_out), is_category, _ = read_pair(named, categorical_features)
    if len(known) < 2:
        raise ValueError("Got 1 row in train; expected at least 2. Pass all rows that the generator was fitted to.")
    n_most = None if sample_size is None else check_count(sample_size, "sample_size")
    generator = generator_for(random_state)
    space = _Space.fit(known, is_category)
    fellows = _chosen(len(known), n_most, generator)
    between = space.nearest(known[fellows], itself=fellows)
    # a distance that occurs, and its ties, whatever the rounding: rows of whole numbers have many
    reach = np.quantile(between, quantile, method="inverted_cdf") * (1.0 + 1e-9)
    shares = [
        float((space.nearest(table[_chosen(len(table), n_most, generator)]) <= reach).mean())
        for table in (made, *held_out)
    ]
    return NearCopies(shares[0], shares[1] if held_out else float((between <= reach).mean()))


def _check_share(quantile: Any) -> None:
    if not isinstance(quantile, Real) or isinstance(quantile, bool) or not 0 < float(quantile) < 1:
        raise ValueError(f"Got quantile={quantile!r}; expected a number between 0 and 1. Pass quantile=0.01, say.")


class _Space(NamedTuple):
    """Training rows, and what the distance to them is measured in."""

    numbers: np.ndarray
    levels: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    is_category: np.ndarray

    @classmethod
    def fit(cls, table: np.ndarray, is_category: np.ndarray) -> _Space:
        numbers = [column[~np.isnan(column)] for column in table[:, ~is_category].T]
        centre = np.array([np.median(column) if len(column) else 0.0 for column in numbers])
        scale = np.array([_spread(column) for column in numbers])
        empty = cls(np.empty((0, 0)), np.empty((0, 0)), centre, scale, is_category)
        return cls(*empty.place(table), centre, scale, is_category)

    def place(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers in units of their spread, and levels: gaps among numbers are two more, there or not."""
        numbers = table[:, ~self.is_category]
        gaps = np.isnan(numbers)
        levels = np.nan_to_num(table[:, self.is_category], nan=UNKNOWN - 1)
        return np.where(gaps, 0.0, (numbers - self.centre) / self.scale), np.hstack([levels, gaps.astype(np.float64)])

    def nearest(self, table: np.ndarray, itself: np.ndarray | None = None) -> np.ndarray:
        """Return each row's distance to the nearest training row, other than the one that it is itself."""
        numbers, levels = self.place(table)
        found = np.empty(len(table))
        for part in gen_batches(len(table), _CHUNK_ROWS):
            distances = cdist(levels[part], self.levels, "hamming") * levels.shape[1]
            if numbers.shape[1]:
                distances += cdist(numbers[part], self.numbers, "cityblock")
            if itself is not None:
                distances[np.arange(len(distances)), itself[part]] = np.inf
            found[part] = distances.min(axis=1)
        return found


def _spread(values: np.ndarray) -> float:
    """Return the range of most values, or their standard deviation, where most are the same."""
    if not len(values):
        return 1.0
    low, high = np.quantile(values, [0.05, 0.95])
    return float((high - low) or values.std() or 1.0)


def _chosen(n_rows: int, n_most: int | None, generator: np.random.RandomState) -> np.ndarray:
    """Return the positions of so many random rows at most."""
    if n_most is None or n_rows <= n_most:
        return np.arange(n_rows)
    return np.sort(generator.choice(n_rows, n_most, replace=False))
