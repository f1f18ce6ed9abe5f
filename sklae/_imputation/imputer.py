"""Imputation of missing values."""

from __future__ import annotations

import dataclasses
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoders.base import BaseAutoencoder
from sklae._imputation.blending import Account, Blend
from sklae._imputation.conditional_vae import Average, ConditionalModel, GivenModel, numbers_for
from sklae._imputation.gaussian_start import LinearStart
from sklae._tables.columns import Columns
from sklae._tables.frames import (
    append_columns,
    columns_at,
    dtypes_of,
    is_frame,
    is_gap,
    kinds_of,
    table_of,
    take_columns,
    without,
)
from sklae._tables.indicators import Space
from sklae._tables.validation import check_table
from sklae._utils.atomic import atomic
from sklae._utils.compat import (
    Interval,
    MissingValues,
    StrOptions,
    check_feature_names_in,
    fit_context,
    validate_params,
    wrap_transformed,
)
from sklae._utils.random import draw_seed, random_state_for

__all__ = ["AEImputer"]

# Cells that a model does not see: so many, but no more than this share of those observed, and no less than that one.
_HELD_OUT, _MOST_HELD_OUT, _LEAST_HELD_OUT = 1_000, 0.1, 0.03


class AEImputer(TransformerMixin, BaseEstimator):
    """Imputer: fills missing cells with what an autoencoder expects there, given the row's other cells.

    Starts from a multivariate normal distribution fitted around the gaps (by expectation maximisation, its covariances
    shrunk as far as held-out cells ask for). Variational autoencoders learn what that start misses, from rows of
    which further cells are hidden at random (Ivanov et al., ICLR 2019), and are believed, column by column, as far as
    they help on the held-out cells: `account_` says how far that was. Takes categories and fills new rows.

    Parameters
    ----------
    autoencoder : VAETransformer, AutoencoderTransformer or None, default=None
        None: the model described above, or rather the average of several: three with two hidden layers of 128, from
        20,000 values on two of 256, each trained for at most 3,000 steps of 256 rows. A `VAETransformer`: fitted to the
        rows with their gaps, cells are filled by its conditional means, of categories probabilities, under
        self-normalised importance sampling (Mattei and Frellsen, MIWAE, ICML 2019). An `AutoencoderTransformer`: by its
        reconstruction; give it ``corruption="masking"``.
    missing_values : number, str, numpy.nan, None or pandas.NA, default=numpy.nan
        What stands for a missing value, beside NaN, None and NA, which always do.
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
        Whether columns without a value in ``fit`` are kept, filled with 0 (categories stay missing), or dropped.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: which cells are held out and hidden, the autoencoder (unless it has one of its own), draws.
    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted autoencoder; where ``autoencoder`` is None, models of what the start misses, given the start.
        Empty if no column varies.
    autoencoder_ : estimator or None
        The first of them.
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
    joint in all cells of a row and scaled so that 90 % intervals hold 90 % of the held-out cells. A fitted imputer
    draws the same whenever it is asked.

    Columns of integers, such as pandas' Int64, or int64 with a number for ``missing_values``, are filled with integers;
    those that NumPy made floats because of a gap, with floats.

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
        "missing_values": [MissingValues()],
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
            self.__dict__.pop("account_", None)
            self._columns = self._read_columns(X)
            X = self._without_sentinel(X)
            table = check_table(self, self._columns.categories.encode(X), reset=True, min_samples=2).astype(np.float64)
            gaps = np.isnan(table)
            if gaps.all():
                raise ValueError("Got a table in which every value is missing; expected some. Check how it was read.")
            self._filled = np.flatnonzero(~gaps.all(axis=0))
            self._with_gaps = np.flatnonzero(gaps.any(axis=0))
            self._check_indicators()
            self._modelled, self._constants = self._find_constants(table)
            self.autoencoder_: Any = None
            self.estimators_: list[Any] = []
            if len(self._modelled):
                self._fit_models(table[:, self._modelled])
        return self

    def _check_parameters(self) -> None:
        model = self.autoencoder
        if model is not None and model.condition_features is not None:
            raise ValueError(
                f"Got an autoencoder with condition_features={model.condition_features!r}; expected None. Every column "
                "is modelled, so that each may have gaps."
            )
        if model is not None:
            validate_params(model)
            if not isinstance(model.categorical_features, str):
                raise ValueError(
                    f"Got an autoencoder with categorical_features={model.categorical_features!r}; expected "
                    "'from_dtype'. Say it to the imputer: AEImputer(autoencoder, categorical_features=...)."
                )
        if self._draws() and not self.linear_start and not hasattr(model, "posterior_kl"):
            raise ValueError(
                f"Got draws to make without linear_start, from {model!r}, which has no density; expected a "
                "VAETransformer whose posterior has one, or linear_start=True."
            )

    def _draws(self) -> bool:
        return self.sample_posterior or self.n_imputations > 1

    def _check_indicators(self) -> None:
        if not self.add_indicator:
            return
        container = self._columns.container
        if container is not None and not all(isinstance(name, str) for name in container.columns):
            raise ValueError(
                "Got column names that are no text and add_indicator=True, whose names are; expected text. Rename "
                "them: X.columns = X.columns.astype(str)."
            )
        taken = sorted({*self._names()} & {*self._indicator_names()})
        if taken:
            raise ValueError(
                f"Got columns {taken[:5]} and add_indicator=True, whose columns are called the same; expected other "
                "names. Rename or drop them."
            )

    def _read_columns(self, X: Any) -> Columns:
        """Return what columns hold, as if what stands for gaps were gaps; integers stay integers."""
        gapped = self._without_sentinel(X)
        columns = Columns.fit(gapped, None, self.categorical_features)
        if gapped is X or not is_frame(X):
            return columns
        before = zip(columns.categories.kinds, kinds_of(X), strict=True)
        kinds = tuple("integer" if (now, was) == ("numeric", "integer") else now for now, was in before)
        categories = dataclasses.replace(columns.categories, kinds=kinds, dtypes=tuple(dtypes_of(X)))
        return dataclasses.replace(columns, categories=categories)

    def _without_sentinel(self, X: Any) -> Any:
        return X if is_gap(self.missing_values) else without(X, self.missing_values)

    def _find_constants(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which columns to model, and what to fill those with that don't vary (NaN: nothing)."""
        low, high = np.fmin.reduce(table), np.fmax.reduce(table)
        is_number = ~np.isin(np.arange(table.shape[1]), list(self._columns.categories.levels))
        constants = np.where(low == high, low, np.where(is_number & np.isnan(low), 0.0, np.nan))
        # constant pixels belong to their image; constant categories have too few levels for a likelihood
        modelled = (low < high) | (is_number & (low == high))
        return np.flatnonzero(modelled & (low < high).any()), constants

    def _fit_models(self, table: np.ndarray) -> None:
        rng = random_state_for(self.random_state)
        columns = self._shown(self._modelled)
        space = self._space = Space(columns, table)
        cells = space.of(table)
        start = self._start = LinearStart(space, joint=self.linear_start)
        models: list[Any] = []
        found = [(cells[:0],) * 4]
        n_models, hidden_width = (1, 0) if self.autoencoder is not None else numbers_for((~np.isnan(table)).sum())
        parts = self._held_out_parts(table, n_models, rng)
        if np.any(parts):
            start.choose(*self._apart(cells, np.any(parts, axis=0)), rng)
        for held_out in parts:
            visible, truth = self._apart(cells, held_out)
            start.fit(visible, rng)
            model = self._make_model(columns, hidden_width, rng)
            seen = np.where(held_out, np.nan, table)
            models.append(model.fit(seen, start, truth if held_out.any() else None))
            rows = held_out.any(axis=1)
            if rows.any():
                filled = start.fill(visible[rows])
                found.append((truth[rows], filled, model.expect(seen[rows], filled), start.deviation(visible[rows])))
        self._model = Average(models)
        self.estimators_ = [model.autoencoder for model in models]
        self.autoencoder_ = self.estimators_[0]
        if self.autoencoder is not None:
            self._show_columns(columns)
        self._blend = Blend(space.cells, columns.labels().astype(str).tolist())
        if self.linear_start:
            self._blend.fit(*map(np.concatenate, zip(*found, strict=True)))
            self.account_: Account = self._blend.account
            start.fit(cells, rng)
        self._seed = draw_seed(rng)

    def _apart(self, cells: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cells without those of the columns held out, and these alone."""
        hidden = held_out[:, self._space.cells.owner]
        return np.where(hidden, np.nan, cells), np.where(hidden, cells, np.nan)

    def _make_model(
        self, columns: Columns, hidden_width: int, rng: np.random.RandomState
    ) -> ConditionalModel | GivenModel:
        settings = {"random_state": draw_seed(rng), "verbose": self.verbose}
        if self.autoencoder is None:
            return ConditionalModel(self._space, columns, hidden_width, rng, settings)
        return GivenModel(self._space, columns, clone(self.autoencoder), settings, self.n_importance_samples)

    def _show_columns(self, columns: Columns) -> None:
        """Let the fitted autoencoder, which knows codes only, take tables as they are."""
        model = self.autoencoder_
        numbers = np.flatnonzero(model.layout_.columns.n_levels() == 0)
        model.layout_ = dataclasses.replace(model.layout_, columns=columns.treat_as_numbers(numbers))
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = self.feature_names_in_[self._modelled]

    def _held_out_parts(self, table: np.ndarray, n_parts: int, rng: np.random.RandomState) -> list[np.ndarray]:
        """Return which observed cells each model is not to see, of each column few enough that the rest varies."""
        there = ~np.isnan(table)
        if not self.linear_start:
            return [np.zeros_like(there)]
        share = np.clip(_HELD_OUT / max(there.sum(), 1), _LEAST_HELD_OUT, _MOST_HELD_OUT)
        number = np.floor(rng.uniform(size=table.shape) / share)  # no cell is held out twice
        chosen = there & (number < n_parts) & (there.cumsum(axis=0) > 2)
        left = np.where(chosen, np.nan, table)
        chosen &= np.fmin.reduce(left) < np.fmax.reduce(left)
        return [chosen & (number == i) for i in range(n_parts)]

    # -- filling ----------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Fill missing cells.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        filled : array or frame of shape (n_samples, n_features_out), or tuple of ``n_imputations`` of them
            An array in X's dtype, or a frame with the columns and the dtypes that were fitted, unless ``set_output``
            says otherwise. Observed cells are as they were; levels of categories that ``fit`` has not seen count as
            missing.
        """
        check_is_fitted(self)
        X = self._without_sentinel(X)
        table = check_table(self, self._columns.categories.encode(X), reset=False)
        tables = self._fill(table.astype(np.float64))
        finished = tuple(self._finish(filled, table, X) for filled in tables)
        if self.n_imputations == 1:
            return finished[0]
        # of several outputs scikit-learn wraps the first only
        return tuple(wrap_transformed(one, X, self) for one in finished)

    def _fill(self, table: np.ndarray) -> list[np.ndarray]:
        gaps = np.isnan(table)
        n_draws = self.n_imputations if self._draws() else 0
        filled = [np.where(gaps, self._constants, table) for _ in range(max(n_draws, 1))]
        rows = np.flatnonzero(gaps[:, self._modelled].any(axis=1))
        if not len(rows):
            return filled
        where = np.ix_(rows, self._modelled)
        seen = table[where]
        start = self._start.fill(self._space.of(seen))
        expected = self._blend(start, self._model.expect(seen, start))
        for i, values in enumerate(self._draw(seen, expected, n_draws) if n_draws else [self._space.table(expected)]):
            part = filled[i][where]
            filled[i][where] = np.where(np.isnan(part), values, part)
        return filled

    def _draw(self, seen: np.ndarray, expected: np.ndarray, n_draws: int) -> list[np.ndarray]:
        rng = np.random.RandomState(self._seed)
        if not self.linear_start:
            return self._model.draw(seen, n_draws, rng)
        parts = self._space.cells
        scale = self._blend.spread[parts.owner]
        residuals = self._start.residuals(self._space.of(seen), n_draws, rng)
        return [
            self._space.table(
                np.where(parts.is_coded[parts.owner], _levels(parts, expected, rng), expected + scale * one)
            )
            for one in residuals
        ]

    def _shown(self, positions: np.ndarray) -> Columns:
        """Return some of the columns, with a container of their own."""
        container = self._columns.container
        if container is not None:
            container = columns_at(container, positions)
        return dataclasses.replace(self._columns.select(positions), container=container)

    def _finish(self, filled: np.ndarray, table: np.ndarray, X: Any) -> Any:
        """Put the columns to keep, and the indicators, into the fitted container."""
        gaps = np.isnan(table)
        kept = np.arange(table.shape[1]) if self.keep_empty_features else self._filled
        filled = filled[:, kept].astype(table.dtype, copy=False)
        missing = gaps[:, self._with_gaps]
        shown = self._shown(kept)
        if shown.container is None:
            filled = shown.categories.decode(filled)
            return np.hstack([filled, missing.astype(table.dtype)]) if self.add_indicator else filled
        names = list(shown.container.columns)
        filled = shown.categories.decode(table_of(filled, names, shown.container, like=X))
        # as they were: the largest integers, for one, are no floats
        filled = take_columns(filled, X, [names[i] for i in np.flatnonzero(~gaps[:, kept].any(axis=0))])
        if not self.add_indicator:
            return filled
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
        return hasattr(self, "autoencoder_")

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
