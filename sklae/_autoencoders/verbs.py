"""The verbs of a fitted autoencoder: what users pass is validated, what they get is in their container."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from sklae._autoencoders.checks import check_count
from sklae._autoencoders.fitted_model import FittedModel
from sklae._tables.annotations import ArrayOrFrame, ConditionLike, TableLike
from sklae._tables.columns import Columns
from sklae._tables.conditions import read_condition
from sklae._tables.layout import Layout
from sklae._tables.sources import RowSource
from sklae._tables.validation import check_table
from sklae._tables.weights import RowWeights
from sklae._training.net import AutoencoderNet
from sklae._utils.compat import available_if
from sklae._utils.memory import check_fits
from sklae._utils.random import random_state_for
from sklae.sources._taken import in_chunks

__all__ = ["Verbs"]

_LARGE = 1e15


class Verbs(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The verbs that plain and variational autoencoders share."""

    net_: AutoencoderNet
    layout_: Layout
    n_components_: int

    # -- what subclasses say ----------------------------------------------------------------------------

    @property
    @abstractmethod
    def model_(self) -> FittedModel:
        """What was fitted, as one: answers for validated tables. It belongs to sklae's own parts."""

    @abstractmethod
    def _draw_codes(
        self, n_samples: int, condition: np.ndarray | None, random_state: np.random.RandomState
    ) -> np.ndarray | torch.Tensor:
        """Draw codes of new rows, (n_samples, n_components_)."""

    def _can_score(self) -> bool:
        """Return whether rows have scores; AttributeError with the reason otherwise."""
        return True

    @abstractmethod
    def _can_sample(self) -> bool:
        """Return whether there is something to draw codes from; AttributeError with the reason otherwise."""

    # -- public -----------------------------------------------------------------------------------------

    @in_chunks
    def transform(self, X: TableLike | RowSource) -> ArrayOrFrame:
        """Return the codes: the posterior means.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            NaN, None and the frame's own missing values mark gaps; levels that ``fit`` has not seen are gaps, too.

        Returns
        -------
        codes : ndarray or frame of shape (n_samples, n_components_)
            In X's dtype (float32 or float64; of mixed frames float64); the container follows ``set_output``.
        """
        return self.model_.codes(self._check_input(X))

    def inverse_transform(self, X: TableLike, condition: ConditionLike | None = None) -> ArrayOrFrame:
        """Decode codes to the expected rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, as `transform` gives them.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features``, one row per code or one for all; needed where there are any.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container and the columns that were fitted.

        Raises
        ------
        ValueError
            For codes of another width, and for a condition that is absent, unknown or not asked for.
        """
        codes = self._check_codes(X, [np.float64, np.float32])
        given = read_condition(condition, self.layout_.columns, len(codes))
        return self.layout_.wrap(self.model_.decode(codes, given), like=X)

    @in_chunks
    def reconstruct(self, X: TableLike | RowSource, condition: ConditionLike | None = None) -> ArrayOrFrame:
        """Encode and decode rows; missing values come back filled, but for those of conditions, which are not modelled.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with, one row per row of X or one for all. None: X's own.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container, the columns and the dtypes that were fitted: integers are rounded, categories
            have their most probable level.
        """
        table, model = self._check_input(X), self.model_
        if condition is None:
            return self.layout_.wrap(model.reconstruct(table), like=X)
        given = read_condition(condition, self.layout_.columns, len(table))
        return self.layout_.wrap(model.decode(model.codes(table), given), like=X)

    @in_chunks
    def score_samples(self, X: TableLike | RowSource) -> np.ndarray:
        """Return the log-density of each row in nats, in the user's units; the higher the better.

        Of what was observed: missing values, levels that ``fit`` has not seen, and columns that were constant in
        ``fit`` do not count.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            One for each row.
        """
        return self.model_.score(self._check_input(X))

    @available_if(lambda self: self._can_score())
    def score(self, X: TableLike | RowSource, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean of `score_samples`, in nats per row.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        y : ignored
            Present for the API.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts; None: all alike.

        Returns
        -------
        score : float
            In nats per row; the higher the better.
        """
        counts = RowWeights.read(sample_weight, X)
        return float(np.average(self.score_samples(counts.of(X)), weights=counts.weights))

    @available_if(lambda self: self._can_sample())
    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        condition: ConditionLike | None = None,
        noise: bool = True,
    ) -> ArrayOrFrame:
        """Draw new rows: codes from ``sample_from``, rows from the likelihood.

        Categories have levels that ``fit`` has seen, integers are whole. Numbers of the default likelihood are drawn
        from normal distributions, which know no bounds: an age may come out negative. For draws that keep to the ranges
        seen, and to values that repeat, fit with ``likelihood=Mixed("histogram")`` (of `sklae.likelihoods`).

        Parameters
        ----------
        n_samples : int, default=1
            How many, for each given condition.
        random_state : int, RandomState instance or None, default=None
            Where draws come from; None takes fresh entropy from the system.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features``; needed where there are any. For a `VAETransformer` that has none:
            what is known of the rows, any of the columns; the others are drawn given these.
        noise : bool, default=True
            Whether rows are drawn given their codes. False: each is what its code is expected to give, as
            `inverse_transform` has it: images without the speckle of independent pixels, but no draws of the model.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features), or (n_samples * n_conditions, n_features)
            In the units, the container, the columns, the dtypes and the levels that were fitted, without gaps but those
            of given conditions; draws of one condition follow each other.

        Warns
        -----
        UserWarning
            If what is known lies further outside the range of ``fit`` than that is wide: draws of the other columns
            then say little.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        check_fits(n_samples, self.n_features_in_ + self.n_components_, "n_samples")
        if condition is not None and not self.layout_.n_condition:
            return self.layout_.wrap(self._sample_given(n_samples, condition, random_state_for(random_state), noise))
        given = read_condition(condition, self.layout_.columns, None)
        if given is not None:
            given = np.repeat(given, n_samples, axis=0)
            n_samples = len(given)
        random_state = random_state_for(random_state)
        codes = self._draw_codes(n_samples, given, random_state)
        rows = self.model_.draw_rows(codes, given, random_state, noise=noise)
        return self.layout_.wrap(rows.astype(self.layout_.dtype, copy=False))

    def interpolate(
        self,
        a: TableLike,
        b: TableLike,
        n_steps: int = 10,
        *,
        method: Literal["linear", "spherical"] = "linear",
        condition: ConditionLike | None = None,
    ) -> ArrayOrFrame:
        """Decode what lies between the codes of two rows, or of pairs of rows.

        Parameters
        ----------
        a, b : array-like or frame of shape (n_pairs, n_features)
            Where to start and where to end, row by row.
        n_steps : int, default=10
            Rows per pair, its ends included.
        method : {"linear", "spherical"}, default="linear"
            A straight line, or a great circle with the length changing evenly: under a standard normal prior of many
            components lines lead through a region where there are hardly any codes (arXiv 1609.04468).
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with, one row per pair or one for all. None: those of the
            pairs, if both ends have the same.

        Returns
        -------
        rows : array or frame of shape (n_pairs * n_steps, n_features)
            Pair by pair.

        Raises
        ------
        ValueError
            For tables of unequal length, ends under different conditions, or an unknown method.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AutoencoderTransformer
        >>> X = load_wine().data
        >>> ae = AutoencoderTransformer(
        ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> ae.interpolate(X[:1], X[1:2], n_steps=5).shape
        (5, 13)
        """
        paths = {"linear": _line, "spherical": _great_circle}
        if method not in paths:
            raise ValueError(f"Got method={method!r}; expected one of {sorted(paths)}.")
        check_count("n_steps", n_steps, least=2)
        tables = [self._check_input(a), self._check_input(b)]
        if len(tables[0]) != len(tables[1]):
            raise ValueError(f"Got {len(tables[0])} rows in a and {len(tables[1])} in b; expected pairs.")
        columns = self.layout_.columns
        given = _common(columns, tables) if condition is None else read_condition(condition, columns, len(tables[0]))
        start, end = (self.model_.codes(table)[:, None, :] for table in tables)
        codes = paths[method](start, end, np.linspace(0.0, 1.0, n_steps)[:, None]).astype(start.dtype, copy=False)
        return self._decode_each(codes, given)

    def _sample_given(
        self, n_samples: int, condition: Any, random_state: np.random.RandomState, noise: bool
    ) -> np.ndarray:
        """Return rows drawn given some of their columns: for models that know how likely these are."""
        raise ValueError(
            "Got condition= for a model without conditions; expected None. Fit with condition_features=[...], or a "
            "VAETransformer, whose columns can be drawn given any others."
        )

    def _decode_each(self, codes: np.ndarray, condition: np.ndarray | None) -> Any:
        """Decode several codes of each row, (n_rows, n_codes, n_components_), with one condition a row."""
        n_codes = codes.shape[1]
        repeated = None if condition is None else np.repeat(condition, n_codes, axis=0)
        return self.layout_.wrap(self.model_.decode(codes.reshape(-1, self.n_components_), repeated))

    # -- input ------------------------------------------------------------------------------------------

    def _check_codes(self, Z: Any, dtype: Any) -> np.ndarray:
        check_is_fitted(self)
        codes = check_array(Z, dtype=dtype, input_name="codes")
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"Got codes with {codes.shape[1]} columns; expected {self.n_components_}, as transform gives them."
            )
        return codes

    def _check_input(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_table(self, self.layout_.columns.categories.encode(X), reset=False)


def _common(columns: Columns, tables: list[np.ndarray]) -> np.ndarray | None:
    """Return the conditions that rows at both ends of a path share."""
    first, second = (columns.conditioning(table) for table in tables)
    if not np.array_equal(first, second, equal_nan=True):
        raise ValueError(
            "Got a and b with different conditions; expected the same, or condition= for the rows between them."
        )
    return first if first.shape[1] else None


def _line(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (1.0 - share) * a + share * b


def _great_circle(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    # squares of the largest codes are not finite
    unit = np.maximum(np.abs(a).max(axis=-1, keepdims=True), np.abs(b).max(axis=-1, keepdims=True))
    unit = np.where(unit > _LARGE, unit, 1.0)
    return _arc(a / unit, b / unit, share) * unit


def _arc(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    lengths = [np.maximum(np.linalg.norm(end, axis=-1, keepdims=True), 1e-12) for end in (a, b)]
    cosine = np.clip(np.sum(a * b, axis=-1, keepdims=True) / (lengths[0] * lengths[1]), -1.0, 1.0)
    angle = np.arccos(cosine)
    # (almost) parallel or opposite codes, and one at the center, lie on no circle, or on many
    bent = (np.sin(angle) > 1e-6) & (np.minimum(*lengths) > 1e-12)
    sine = np.where(bent, np.sin(angle), 1.0)
    direction = (np.sin((1.0 - share) * angle) * a / lengths[0] + np.sin(share * angle) * b / lengths[1]) / sine
    return np.where(bent, direction * _line(lengths[0], lengths[1], share), _line(a, b, share))
