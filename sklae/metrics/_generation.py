"""How real generated rows look, and how much of the real ones they cover."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import BallTree
from sklearn.utils import gen_batches

from sklae.metrics._checks import check_count, check_rows

__all__ = ["DensityCoverage", "PrecisionRecall", "density_coverage", "precision_recall"]

_CHUNK_ROWS = 256


class DensityCoverage(NamedTuple):
    """Density, about 1 for rows of one distribution and possibly above, and coverage, in [0, 1].

    Attributes
    ----------
    density : float
        How many neighbourhoods of real rows a made one lies in, beside what real ones would.
    coverage : float
        The share of real rows with a made one in their neighbourhood.
    """

    density: float
    coverage: float


class PrecisionRecall(NamedTuple):
    """Precision and recall, both in [0, 1].

    Attributes
    ----------
    precision : float
        The share of made rows that lie in the neighbourhood of a real one.
    recall : float
        The share of real rows that lie in the neighbourhood of a made one.
    """

    precision: float
    recall: float


def density_coverage(real: ArrayLike, fake: ArrayLike, *, n_neighbors: int = 5) -> DensityCoverage:
    """Compare generated rows with real ones: how densely they lie among them, and how many they cover.

    Around each real row lies a ball that reaches to its k-th nearest real neighbour. Density is the mean number of
    balls that hold a generated row, over k; coverage is the share of balls that hold at least one (Naeem et al., arXiv
    2002.09797). Unlike `precision_recall` they are not misled by single outliers.

    Parameters
    ----------
    real : array-like of shape (n_real, n_features)
        Rows that the generator was not fitted on. Distances are Euclidean: scale columns first, or pass features of
        the rows, such as codes.
    fake : array-like of shape (n_fake, n_features)
        As many as ``real`` for the figures of the paper: coverage rises with their number.
    n_neighbors : int, default=5
        How many of the nearest rows make a neighbourhood.

    Returns
    -------
    figures : DensityCoverage
        ``(density, coverage)``. For two samples of one distribution of equal size, density is 1 on average and
        coverage ``1 - 0.5**n_neighbors`` nearly: 0.97 for 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.metrics import density_coverage
    >>> rng = np.random.RandomState(0)
    >>> real, fake = rng.normal(size=(2, 1000, 3))
    >>> density, coverage = density_coverage(real, fake)
    >>> round(density, 1), round(coverage, 2)
    (1.0, 0.97)
    """
    real, fake = _check_pair(real, fake, n_neighbors)
    counts = BallTree(fake).query_radius(real, _reaches(real, n_neighbors), count_only=True)
    return DensityCoverage(float(counts.sum() / (n_neighbors * len(fake))), float((counts > 0).mean()))


def precision_recall(real: ArrayLike, fake: ArrayLike, *, n_neighbors: int = 3) -> PrecisionRecall:
    """Compare generated rows with real ones: which share looks real, and which share of those could be generated.

    Each set is widened to the union of balls around its rows that reach to their k-th nearest neighbour in the set.
    Precision is the share of generated rows inside the real union, recall the share of real rows inside the generated
    one (Kynkaanniemi et al., arXiv 1904.06991). One far outlier makes a large ball: see `density_coverage`.

    Parameters
    ----------
    real : array-like of shape (n_real, n_features)
        Rows that the generator was not fitted on. Distances are Euclidean: scale columns first, or pass features of
        the rows, such as codes.
    fake : array-like of shape (n_fake, n_features)
        As many as ``real``, or the two figures do not compare.
    n_neighbors : int, default=3
        How many of the nearest rows make a neighbourhood.

    Returns
    -------
    figures : PrecisionRecall
        ``(precision, recall)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae.metrics import precision_recall
    >>> rng = np.random.RandomState(0)
    >>> real = rng.normal(size=(1000, 2)) + rng.choice(
    ...     [-10, 10], size=(1000, 1)
    ... )  # two clusters
    >>> precision, recall = precision_recall(real, real[real[:, 0] > 0])  # one of them
    >>> precision, round(recall, 1)
    (1.0, 0.5)
    """
    real, fake = _check_pair(real, fake, n_neighbors)
    return PrecisionRecall(_share_inside(fake, real, n_neighbors), _share_inside(real, fake, n_neighbors))


def _check_pair(real: ArrayLike, fake: ArrayLike, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    least = check_count(n_neighbors, "n_neighbors") + 1
    real, fake = check_rows(real, "real", least), check_rows(fake, "fake", least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"Got {real.shape[1]} columns in real and {fake.shape[1]} in fake; expected the same. Pass both in one "
            "space, raw or encoded."
        )
    return real, fake


def _reaches(X: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return the distance of each row to its k-th nearest neighbour; the nearest of all is the row itself."""
    return BallTree(X).query(X, k=n_neighbors + 1)[0][:, -1]


def _share_inside(X: np.ndarray, centres: np.ndarray, n_neighbors: int) -> float:
    """Return the share of X that lies in any ball around the centres."""
    tree, reaches = BallTree(X), _reaches(centres, n_neighbors)
    inside = np.zeros(len(X), dtype=bool)
    for part in gen_batches(len(centres), _CHUNK_ROWS):  # lists of indices, which may be as long as X
        inside[np.concatenate(tree.query_radius(centres[part], reaches[part]))] = True
    return float(inside.mean())
