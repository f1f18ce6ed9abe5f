"""Outlier detection by reconstruction."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin, clone
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoder import AutoencoderTransformer
from sklae._base import BaseAutoencoder, atomic
from sklae._compat import Interval, StrOptions, fit_context
from sklae._frames import check_table
from sklae._random import draw_seed

__all__ = ["AEOutlierDetector"]

# Residuals of a column count in units of at least this share of its standard deviation (of its magnitude,
# for a column that was constant in fit): else a column that is copied perfectly would decide alone.
_FLOOR = 1e-3
_CHUNK_ELEMENTS = 2**20


class AEOutlierDetector(ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin, BaseEstimator):
    """Outlier detector: finds the rows that an autoencoder reconstructs badly.

    The autoencoder learns how columns go together; a row's anomaly is the mean of its squared residuals, each over the
    mean square of its column's training residuals (Hawkins et al., DaWaK 2002). Needs no labels, takes gaps.

    Parameters
    ----------
    autoencoder : AutoencoderTransformer, VAETransformer or None, default=None
        The model to fit, cloned. None: 32 components behind 128 hidden units, inputs clipped to 3 standard
        deviations, trained for about 200 steps by AdamW, whatever the number of rows.
    contamination : "auto" or float, default="auto"
        The share of training rows to call outliers, in (0, 0.5]. "auto" takes the upper boxplot fence of the
        training rows' root mean squared residuals.
    random_state : int, RandomState instance or None, default=None
        Seeds the autoencoder, unless that has a ``random_state`` of its own.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.
    residual_scale_ : ndarray of shape (n_features,)
        Root mean square of each column's training residuals, in the user's units.
    offset_ : float
        The threshold on `score_samples`: below it are outliers.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where all are strings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AEOutlierDetector
    >>> X = load_wine().data
    >>> detector = AEOutlierDetector(random_state=0).fit(X)
    >>> detector.predict(np.vstack([X[0], 2 * X[0]]))
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [BaseAutoencoder, None],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "random_state": ["random_state"],
    }

    def __init__(self, autoencoder: Any = None, *, contamination: Any = "auto", random_state: Any = None):
        self.autoencoder = autoencoder
        self.contamination = contamination
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the autoencoder, the residuals' scales and the threshold.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Training rows; NaN marks a missing value.
        y : ignored
            Present for the API.

        Returns
        -------
        self : object
        """
        with atomic(self):
            columns = None if self.autoencoder is None else self.autoencoder._read_columns(X)
            coded = X if columns is None else columns.categories.encode(X)
            table = check_table(self, coded, reset=True, min_samples=2)
            autoencoder = _default_autoencoder(len(table)) if self.autoencoder is None else clone(self.autoencoder)
            if autoencoder.random_state is None:
                autoencoder.set_params(random_state=draw_seed(self.random_state))
            self.autoencoder_ = autoencoder.fit(X)
            self.residual_scale_ = self._fit_residual_scale(table)
            self.offset_ = self._fit_offset(self._score_table(table))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return minus the mean squared standardised residual of each row; the higher the more normal.

        Each residual is divided by `residual_scale_` of its column. Missing values do not count.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
        """
        return self._score_table(self._check_input(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return `score_samples` minus `offset_`: negative for outliers.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for inliers and -1 for outliers.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def transform(self, X: Any) -> Any:
        """Return the autoencoder's codes.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray or frame of shape (n_samples, n_components)
            In X's dtype; the container follows ``set_output``.
        """
        return self.autoencoder_._transform(self._check_input(X))

    def _check_input(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_table(self, self.autoencoder_.layout_.columns.categories.encode(X), reset=False)

    def _residuals(self, table: np.ndarray) -> np.ndarray:
        """Return modelled columns minus their reconstruction, in float64; NaN in gaps."""
        residuals = np.subtract(table, self.autoencoder_._reconstruct(table), dtype=np.float64)
        return self.autoencoder_.layout_.columns.modelled(residuals)

    def _fit_residual_scale(self, table: np.ndarray) -> np.ndarray:
        """Return the root mean square of each column's training residuals, never below the floor."""
        layout = self.autoencoder_.layout_
        total, count = np.zeros((2, layout.n_features))
        for rows in _batches(table):
            residuals = self._residuals(table[rows])
            total += np.nansum(residuals**2, axis=0)
            count += (~np.isnan(layout.columns.modelled(table[rows]))).sum(axis=0)
        spread = np.where(layout.varies, layout.deviation, np.maximum(np.abs(layout.mean), 1.0))
        return np.maximum(np.sqrt(total / count), _FLOOR * spread)

    def _score_table(self, table: np.ndarray) -> np.ndarray:
        scores = np.empty(len(table))
        for rows in _batches(table):
            gaps = np.isnan(self.autoencoder_.layout_.columns.modelled(table[rows]))
            with np.errstate(over="ignore"):
                squares = (self._residuals(table[rows]) / self.residual_scale_) ** 2
            squares[np.isnan(squares)] = np.inf  # so far out that the network overflowed
            squares[gaps] = 0.0
            # a row without any value is no outlier: nothing speaks against it
            scores[rows] = -squares.sum(axis=1) / np.maximum((~gaps).sum(axis=1), 1)
        return scores

    def _fit_offset(self, scores: np.ndarray) -> float:
        if self.contamination != "auto":
            return float(np.percentile(scores, 100.0 * self.contamination))
        return -_tukey_fence(-scores)

    @property
    def _n_features_out(self) -> int:
        return self.autoencoder_.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _batches(table: np.ndarray) -> Any:
    return gen_batches(len(table), max(1, _CHUNK_ELEMENTS // table.shape[1]))


def _tukey_fence(errors: np.ndarray) -> float:
    """Return the upper boxplot fence of mean squares, taken on their roots, which are less skewed."""
    lower, upper = np.percentile(np.sqrt(errors), [25, 75])
    return float((upper + 1.5 * (upper - lower)) ** 2)


def _default_autoencoder(n_samples: int) -> AutoencoderTransformer:
    """Return the detector's own autoencoder: wide and trained briefly, for a number of steps, not of epochs.

    Wide, mostly without a bottleneck: over 22 tables it finds more outliers than narrow codes do. The short training
    and the clipping keep it from learning the outliers among its rows: with clipping the average precision rises
    from .41 to .45 where training rows hold outliers, and stays at .65 where they don't.
    """
    batch_size = min(192, n_samples)
    n_steps_per_epoch = math.ceil(n_samples / batch_size)
    return AutoencoderTransformer(
        n_components=32,
        hidden_layer_sizes=(128,),
        clip=3.0,
        solver="adamw",
        learning_rate="one_cycle",
        learning_rate_init=3e-3,
        batch_size=batch_size,
        max_iter=max(1, 200 // n_steps_per_epoch),
    )
