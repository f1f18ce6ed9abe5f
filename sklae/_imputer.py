"""Imputation of missing values."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from sklae._atomic import atomic
from sklae._base import BaseAutoencoder
from sklae._blend import Account, Blend
from sklae._columns import Columns
from sklae._compat import Interval, StrOptions, check_feature_names_in, fit_context
from sklae._conditional import ConditionalModel, GivenModel
from sklae._frames import append_columns, check_table, is_frame, is_gap, table_of, without
from sklae._linear_start import LinearStart, Space
from sklae._random import draw_seed, random_state_for

__all__ = ["AEImputer"]

# Cells to hold out: so many, but no more than this share of those observed, and no less than that one.
_HELD_OUT, _MOST_HELD_OUT, _LEAST_HELD_OUT = 2_000, 0.1, 0.03


class AEImputer(TransformerMixin, BaseEstimator):
    """Imputer: fills missing cells with what an autoencoder expects there, given the row's other cells.

    Starts from a multivariate normal distribution fitted around the gaps (by expectation maximisation, its covariances
    shrunk as far as held-out cells ask for). A variational autoencoder learns what that start misses, from rows of
    which further cells are hidden at random (Ivanov et al., ICLR 2019), and is believed, column by column, as far as it
    helps on the held-out cells: `account_` says how far that was. Takes categories and fills new rows.

    Parameters
    ----------
    autoencoder : VAETransformer, AutoencoderTransformer or None, default=None
        None: the model described above, with two hidden layers of 256 and at most 3,000 steps of 256 rows. A
        `VAETransformer`: fitted to the rows with their gaps, cells are filled by its conditional means, of categories
        probabilities, under self-normalised importance sampling (Mattei and Frellsen, MIWAE, ICML 2019). An
        `AutoencoderTransformer`: by its reconstruction; give it ``corruption="masking"``.
    missing_values : number, str, numpy.nan or None, default=numpy.nan
        What stands for a missing value, beside NaN and None, which always do.
    n_imputations : int, default=1
        How many filled tables `transform` returns; more than one are draws, as with ``sample_posterior``.
    sample_posterior : bool, default=False
        Whether to draw cells from their distribution given the row's other cells, instead of filling in what is
        expected: for multiple imputation.
    linear_start : bool, default=True
        Whether to start from, and fall back to, a normal distribution. False: the autoencoder alone.
    n_importance_samples : int, default=512
        Codes per row, for a `VAETransformer`.
    categorical_features : "from_dtype" or array-like of str, int or bool, default="from_dtype"
        Which columns are categories: those of text and categories, and in addition the ones named here.
    add_indicator : bool, default=False
        Whether to append a column for each that had gaps in ``fit``: whether the cell was missing.
    keep_empty_features : bool, default=False
        Whether columns without a value in ``fit`` are kept, filled with 0 (those of text stay missing), or dropped.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: which cells are held out and hidden, the autoencoder (unless it has one of its own), draws.
    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder: of what the start misses, given the start, where ``autoencoder`` is None.
    account_ : Account
        What the autoencoder was found to add, on held-out cells: ``print(imputer.account_)`` is a table of it.
        ``weight``, ``n_cells``, ``linear_error`` and ``error`` by column, ``kept`` and ``gain`` for all of them. Only
        with ``linear_start``.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where all are strings.

    See Also
    --------
    sklearn.impute.IterativeImputer : Models each column by all others, in turns.
    VAETransformer : Takes missing values as they are, if a filled table is not what is wanted.

    Notes
    -----
    Filled numbers are means, which vary less than true values do; where the spread matters, as in an estimate's error,
    fill several times (``n_imputations``) and pool. Draws are what is expected plus a draw of the start's residuals,
    joint in all cells of a row and scaled so that 90 % intervals hold 90 % of the held-out cells.

    Missing at random is assumed: that a cell is missing may depend on what was observed, not on its own value.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AEImputer
    >>> X = load_wine().data
    >>> gaps = np.random.RandomState(0).uniform(size=X.shape) < 0.2
    >>> imputer = AEImputer(random_state=0)
    >>> filled = imputer.fit_transform(np.where(gaps, np.nan, X))
    >>> error = np.sqrt((((filled - X) / X.std(axis=0))[gaps] ** 2).mean())
    >>> bool(error < 0.8)  # column means: 1.0
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [BaseAutoencoder, None],
        "missing_values": [Real, str, None],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "sample_posterior": ["boolean"],
        "linear_start": ["boolean"],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        missing_values: Any = np.nan,
        n_imputations: int = 1,
        sample_posterior: bool = False,
        linear_start: bool = True,
        n_importance_samples: int = 512,
        categorical_features: Any = "from_dtype",
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.autoencoder = autoencoder
        self.missing_values = missing_values
        self.n_imputations = n_imputations
        self.sample_posterior = sample_posterior
        self.linear_start = linear_start
        self.n_importance_samples = n_importance_samples
        self.categorical_features = categorical_features
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ----------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn how columns go together.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows, with gaps or without.
        y : ignored
            Present for the API.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For bad input or parameters, before any work.
        DivergenceError
            If the training loss turns non-finite. The imputer is then as it was before the call.
        """
        with atomic(self):
            self._check_parameters()
            X = self._without_sentinel(X)
            self._columns = Columns.fit(X, None, self.categorical_features)
            table = check_table(self, self._columns.categories.encode(X), reset=True, min_samples=2)
            self._dtype = table.dtype
            table = table.astype(np.float64)
            gaps = np.isnan(table)
            if gaps.all():
                raise ValueError("Got a table in which every value is missing; expected some. Check how it was read.")
            self._filled = np.flatnonzero(~gaps.all(axis=0))
            self._with_gaps = np.flatnonzero(gaps.any(axis=0))
            self._fit_models(table[:, self._filled])
        return self

    def _check_parameters(self) -> None:
        model = self.autoencoder
        if model is not None and model.condition_features is not None:
            raise ValueError(
                f"Got an autoencoder with condition_features={model.condition_features!r}; expected None. Every column "
                "is modelled, so that each may have gaps."
            )
        if self._draws() and not self.linear_start and not hasattr(model, "sample_posterior"):
            raise ValueError(
                "Got draws to make without linear_start, from no VAETransformer; expected one, or linear_start=True."
            )

    def _draws(self) -> bool:
        return self.sample_posterior or self.n_imputations > 1

    def _without_sentinel(self, X: Any) -> Any:
        if is_gap(self.missing_values):
            return X
        if is_frame(X):
            return without(X, self.missing_values)
        table = np.array(X)
        if table.dtype.kind not in "biuf" or isinstance(self.missing_values, str):
            return X
        return np.where(table == self.missing_values, np.nan, table)

    def _fit_models(self, table: np.ndarray) -> None:
        rng = random_state_for(self.random_state)
        columns = self._columns.select(self._filled)
        space = self._space = Space(columns, table)
        cells = space.of(table)
        held_out = self._hold_out(table, rng)
        hidden = held_out[:, space.cells.owner]
        visible, truth = np.where(hidden, np.nan, cells), np.where(hidden, cells, np.nan)
        start = LinearStart(space, joint=self.linear_start).fit(visible, rng, truth if held_out.any() else None)
        settings = {"random_state": draw_seed(rng), "verbose": self.verbose}
        if self.autoencoder is None:
            self._model: Any = ConditionalModel(space, columns, rng, settings)
        else:
            self._model = GivenModel(space, columns, clone(self.autoencoder), settings, self.n_importance_samples)
        self._model.fit(visible, start, truth)
        self.autoencoder_ = self._model.autoencoder
        self._blend = Blend(space.cells, columns.labels().astype(str).tolist())
        filled = start.fill(visible)
        if self.linear_start:
            self._blend.fit(truth, filled, self._model.expect(visible, filled), start.deviation(visible))
            self.account_: Account = self._blend.account
            self._start = start.fit(cells, rng)
        else:
            self._blend.weight = np.ones(len(space.cells.n_levels))
            self._start = start

    def _hold_out(self, table: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Return which observed cells to hold out: of each column fewer than half, and none of its first two values."""
        there = ~np.isnan(table)
        if not self.linear_start:
            return np.zeros_like(there)
        share = np.clip(_HELD_OUT / max(there.sum(), 1), _LEAST_HELD_OUT, _MOST_HELD_OUT)
        chosen = there & (rng.uniform(size=table.shape) < share) & (there.cumsum(axis=0) > 2)
        for j in np.flatnonzero(self._space.cells.is_coded | (table.shape[0] < 50)):
            # a column must keep two different values to be one that varies
            left = table[there[:, j] & ~chosen[:, j], j]
            if len(np.unique(left)) < min(2, len(np.unique(table[there[:, j], j]))):
                chosen[:, j] = False
        return chosen

    # -- filling ----------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Fill missing cells.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        filled : array or frame of shape (n_samples, n_features_out), or list of ``n_imputations`` of them
            In the container, the columns and the dtypes that were fitted, unless ``set_output`` says otherwise.
            Observed cells are as they were; levels of categories that ``fit`` has not seen count as missing.
        """
        check_is_fitted(self)
        X = self._without_sentinel(X)
        table = check_table(self, self._columns.categories.encode(X), reset=False).astype(np.float64)
        tables = self._fill(table[:, self._filled])
        finished = [self._finish(filled, table, X) for filled in tables]
        return finished if self.n_imputations > 1 else finished[0]

    def _fill(self, table: np.ndarray) -> list[np.ndarray]:
        gaps = np.isnan(table)
        rows = np.flatnonzero(gaps.any(axis=1))
        n_draws = self.n_imputations if self._draws() else 0
        filled = [table.copy() for _ in range(max(n_draws, 1))]
        if not len(rows):
            return filled
        cells = self._space.of(table[rows])
        start = self._start.fill(cells)
        expected = self._blend(start, self._model.expect(cells, start))
        for i, values in enumerate(self._draw(cells, expected, n_draws) if n_draws else [self._space.table(expected)]):
            filled[i][rows] = np.where(gaps[rows], values, table[rows])
        return filled

    def _draw(self, cells: np.ndarray, expected: np.ndarray, n_draws: int) -> list[np.ndarray]:
        rng = np.random.RandomState(self._model.seed)
        if not self.linear_start:
            return self._model.draw(cells, n_draws, rng)
        parts = self._space.cells
        scale = self._blend.spread[parts.owner]
        residuals = self._start.residuals(cells, n_draws, rng)
        return [
            self._space.table(
                np.where(parts.is_coded[parts.owner], _levels(parts, expected, rng), expected + scale * one)
            )
            for one in residuals
        ]

    def _finish(self, filled: np.ndarray, table: np.ndarray, X: Any) -> Any:
        """Put filled columns beside those that are empty and the indicators, into the fitted container."""
        columns, kept = self._columns, self._filled
        if self.keep_empty_features:
            kept, values = np.arange(len(columns.data)), np.zeros((len(filled), len(columns.data)))
            values[:, self._filled] = filled
            empty = np.setdiff1d(kept, self._filled)
            values[:, [i for i in empty if i in columns.categories.levels]] = np.nan
            filled = values
        filled = filled.astype(self._dtype, copy=False)
        shown = columns.select(kept)
        if columns.container is not None:
            filled = table_of(filled, shown.labels().tolist(), columns.container, like=X)
        filled = shown.categories.decode(filled)
        if not self.add_indicator:
            return filled
        missing = np.isnan(table[:, self._with_gaps])
        if columns.container is None:
            return np.hstack([filled, missing.astype(self._dtype)])
        return append_columns(filled, dict(zip(self._indicator_names(), missing.T, strict=True)))

    def _indicator_names(self) -> list[str]:
        return [f"missingindicator_{name}" for name in self._names()[self._with_gaps]]

    def _names(self) -> np.ndarray:
        names = self._columns.names
        return np.array([f"x{i}" for i in range(self.n_features_in_)] if names is None else names, dtype=object)

    # -- scikit-learn -----------------------------------------------------------------------------------

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            None: the names seen in `fit`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        given = check_feature_names_in(self, input_features)
        kept = np.arange(len(given)) if self.keep_empty_features else self._filled
        indicators = [f"missingindicator_{given[i]}" for i in self._with_gaps] if self.add_indicator else []
        return np.array([*given[kept], *indicators], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_blend")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _levels(cells: Any, expected: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Draw a level for each category, as indicators; numbers are left as they are."""
    out = expected.copy()
    for j in np.flatnonzero(cells.is_coded):
        part = slice(cells.first[j], cells.first[j] + cells.widths[j])
        chances = np.clip(expected[:, part], 1e-9, None).cumsum(axis=1)
        drawn = (rng.uniform(size=(len(out), 1)) * chances[:, -1:] > chances).sum(axis=1)
        out[:, part] = np.arange(cells.widths[j]) == drawn[:, None]
    return out
