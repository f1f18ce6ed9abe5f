"""Imputation of missing values."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoders.base import BaseAutoencoder
from sklae._imputation.account import Account
from sklae._imputation.container import Container, unmarked
from sklae._imputation.models import ImputationModels
from sklae._imputation.support import check_limits, find_constants
from sklae._tables.annotations import ArrayOrFrame, CategoricalFeatures, TableLike
from sklae._tables.sources import RowSource
from sklae._tables.table import read
from sklae._tables.validation import check_table
from sklae._tables.weights import RowWeights
from sklae._utils.atomic import atomic
from sklae._utils.compat import (
    Interval,
    MissingValues,
    StrOptions,
    available_if,
    check_feature_names_in,
    fit_context,
    validate_params,
    wrap_transformed,
)
from sklae._utils.estimator import Estimator
from sklae._utils.processes import agreed
from sklae._utils.random import random_state_for
from sklae._utils.tasks import fit_task
from sklae._utils.torch_settings import tensors_on_cpu
from sklae._utils.warnings import warn
from sklae.sources._taken import in_chunks, what_fits

__all__ = ["AEImputer"]


class AEImputer(TransformerMixin, Estimator):
    """Imputer: fills missing cells with what is expected there, given the row's other cells.

    By default no autoencoder does the work, but mixtures of normal distributions, fitted around the gaps by expectation
    maximisation: one normal, and several numbers of them, of the values and of their normal scores. How far each is
    believed, column by column, is learned from cells held out of the fit (stacking): `account_` says so. On tables of
    numbers and categories that is more accurate than the autoencoders that were tried, in a tenth of the time; where
    one is given, or asked for by ``"vae"``, it is one more of these models, believed as far as it helps. Takes
    categories and fills new rows.

    Parameters
    ----------
    autoencoder : VAETransformer, AutoencoderTransformer, "vae" or None, default=None
        None: no autoencoder. "vae": variational autoencoders of what the single normal misses, trained on rows of which
        further cells are hidden at random (Ivanov et al., ICLR 2019). A `VAETransformer`: fitted to the rows with their
        gaps, cells are filled by its conditional means, of categories probabilities, under self-normalised importance
        sampling (Mattei and Frellsen, MIWAE, ICML 2019). An `AutoencoderTransformer`: by its reconstruction; give it
        ``corruption="masking"``.
    missing_values : number, str, numpy.nan, None or pandas.NA, default=numpy.nan
        What stands for a missing value, beside NaN, None and NA, which always do.
    n_imputations : int, default=1
        How many filled tables `transform` returns; more than one are draws, as with ``sample_posterior``.
    sample_posterior : bool, default=False
        Whether to draw cells from their distribution given the row's other cells, instead of filling in what is
        expected: for multiple imputation.
    linear_start : bool, default=True
        Whether the mixtures of normals have a say. False: the autoencoder alone (with None, "vae").
    n_importance_samples : int, default=512
        Codes per row, for a `VAETransformer`.
    min_value, max_value : float, array-like of shape (n_features,) or None, default=None
        What no filled number is below, or above. None: no limit but those of the values that were seen, see Notes.
    categorical_features : "from_dtype" or array-like of str, int or bool, default="from_dtype"
        Which columns are categories: those of text and categories, and in addition the ones named here.
    add_indicator : bool, default=False
        Whether to append a column for each that had gaps in ``fit``: whether the cell was missing.
    keep_empty_features : bool, default=False
        Whether columns without a value in ``fit`` are kept, filled with 0 (categories stay missing), or dropped.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: which cells are held out and hidden, the autoencoder (unless it has one of its own), draws.
    verbose : int, default=0
        Whether to show bars of the models that are fitted and of the rows that are filled, and a line per epoch of
        autoencoders.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted autoencoders: the given one, or with "vae" the models of what the normal misses. Empty without,
        or if no column varies.
    autoencoder_ : estimator or None
        The first of them.
    account_ : Account
        What each model was found to bring, on held-out cells: ``print(imputer.account_)`` is a table of it, and so is
        its picture in a notebook. ``parts`` names the models, ``weights`` and ``errors`` are by column and model,
        ``n_cells``, ``error`` and ``linear_error`` by column; ``gain`` is for all. Only with ``linear_start``.
    indicator_ : sklearn.impute.MissingIndicator or None
        Of columns that had gaps; None without ``add_indicator``.
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
    fill several times (``n_imputations``) and pool. Each draw of a table is of one of the mixtures, chosen by how good
    its draws of held-out cells are (by their energy score), and fitted anew to rows that count more or less by chance
    (the Bayesian bootstrap). Draws are joint in a row, and then the nearest value that was seen of its column is taken.
    Such that are asked for after ``fit`` only are of models as they are. Autoencoders are not drawn from, but for a
    given one without ``linear_start``. A fitted imputer draws the same whenever it is asked, and of a row, the same
    wherever it stands (of an autoencoder it does not: there draws depend on the row's place).

    What is filled in is possible: numbers within the range of the column's values and as far beyond it again, never of
    a sign that no value has, and within ``min_value`` and ``max_value``. Columns of integers, such as pandas' Int64, or
    int64 with a number for ``missing_values``, are filled with integers; those that NumPy made floats because of a
    gap, with floats. Whole numbers that stand for levels are filled with one of them where ``categorical_features``
    names the column.

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
        "autoencoder": [BaseAutoencoder, StrOptions({"vae"}), None],
        "missing_values": [MissingValues()],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "sample_posterior": ["boolean"],
        "linear_start": ["boolean"],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "min_value": [Interval(Real, None, None, closed="neither"), "array-like", None],
        "max_value": [Interval(Real, None, None, closed="neither"), "array-like", None],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        autoencoder: BaseAutoencoder | Literal["vae"] | None = None,
        *,
        missing_values: float | str | None = np.nan,
        n_imputations: int = 1,
        sample_posterior: bool = False,
        linear_start: bool = True,
        n_importance_samples: int = 512,
        min_value: float | ArrayLike | None = None,
        max_value: float | ArrayLike | None = None,
        categorical_features: CategoricalFeatures = "from_dtype",
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.autoencoder = autoencoder
        self.missing_values = missing_values
        self.n_imputations = n_imputations
        self.sample_posterior = sample_posterior
        self.linear_start = linear_start
        self.n_importance_samples = n_importance_samples
        self.min_value = min_value
        self.max_value = max_value
        self.categorical_features = categorical_features
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ----------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: TableLike | RowSource, y: object = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Learn how columns go together.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows, with gaps or without.
        y : ignored
            Present for the API.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts, at or above 0; only ratios matter. None: all alike. A row of weight 0 is as good
            as absent; others count in scales, in each model's fit, and in the errors on cells held out by which models
            are chosen and weighed. Ranges, quantiles and what was seen of a column are those of all rows above 0.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            For bad input or parameters, before any work.
        DivergenceError, KeyboardInterrupt
            If the loss turns non-finite, or the fit was interrupted. The imputer is then as it was before the call.
        """
        n_parts = 2 * self.linear_start + (self.autoencoder is not None) + (self._n_draws() > 0)
        with atomic(self), tensors_on_cpu(), fit_task(self, max(n_parts, 1), X, y, sample_weight):
            self._check_parameters()
            X = what_fits(X, self)
            counts = RowWeights.read(sample_weight, X)
            X = counts.of(X)
            gapped = read(unmarked(X, self.missing_values))
            columns = Container.read_columns(X, gapped, self.categorical_features)
            encoded = columns.categories.encode(gapped)
            table = check_table(self, encoded, reset=True, min_samples=2).astype(np.float64)
            gaps = np.isnan(table)
            if gaps.all():
                raise ValueError("Got a table in which every value is missing; expected some. Check how it was read.")
            with_gaps, with_values = (np.flatnonzero(there.any(axis=0)) for there in (gaps, ~gaps))
            self._container = Container(columns, with_gaps, with_values)
            self.indicator_ = None
            if self.add_indicator:
                self._container.check_indicators()
                self.indicator_ = MissingIndicator(error_on_new=False).fit(table)
            self._tell_dropped()
            self._modelled, self._constants = find_constants(table, columns)
            self._least, self._most = check_limits(self.min_value, self.max_value, columns)
            self._models = self._fit_models(table[:, self._modelled], counts.weights) if len(self._modelled) else None
            self.estimators_: list[Any] = [] if self._models is None else self._models.autoencoders
            self.autoencoder_: Any = self.estimators_[0] if self.estimators_ else None
        return self

    def _fit_models(self, table: np.ndarray, weights: np.ndarray | None) -> ImputationModels:
        columns = self._container.shown(self._modelled)
        limits = self._least[self._modelled], self._most[self._modelled]
        random_state = random_state_for(agreed(self.random_state))
        models = ImputationModels(self, columns, table, limits, self._n_draws(), random_state, weights)
        if isinstance(self.autoencoder, BaseAutoencoder):
            names = getattr(self, "feature_names_in_", None)
            models.show_columns(columns, None if names is None else names[self._modelled])
        return models

    @property
    def account_(self) -> Account:
        """What each model was found to bring; only with ``linear_start``."""
        account: Account | None = getattr(getattr(self, "_models", None), "account", None)
        if account is None:
            raise AttributeError(
                "Got an imputer that is not fitted, has linear_start=False, or was fitted to columns that don't vary; "
                "there is no account of it."
            )
        return account

    def _check_parameters(self) -> None:
        model = self.autoencoder if isinstance(self.autoencoder, BaseAutoencoder) else None
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
        can_draw = self.linear_start or (model is not None and model.__sklae_parts__().has_density)
        if self._n_draws() and not can_draw:
            raise ValueError(
                f"Got draws to make without linear_start, from autoencoder={self.autoencoder!r}, which has no density; "
                "expected a VAETransformer whose posterior has one, or linear_start=True."
            )

    def _n_draws(self) -> int:
        return self.n_imputations if self.sample_posterior or self.n_imputations > 1 else 0

    def _tell_dropped(self) -> None:
        """Warn of columns that are left out, as scikit-learn's imputers do."""
        names = self._container.empty_names()
        if names and not self.keep_empty_features:
            told = f"Got columns without any observed value, {names[:5]}; they are left out. Pass "
            warn(f"{told}keep_empty_features=True to keep them, or drop them first.", cause=tuple(names))

    # -- filling ----------------------------------------------------------------------------------------

    @in_chunks
    def transform(self, X: TableLike | RowSource) -> ArrayOrFrame | tuple[ArrayOrFrame, ...]:
        """Fill missing cells.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows, with gaps or without.

        Returns
        -------
        filled : array or frame of shape (n_samples, n_features_out), or tuple of ``n_imputations`` of them
            An array in X's dtype, or a frame with the columns and the dtypes that were fitted, unless ``set_output``
            says otherwise. Observed cells are as they were (a column that fit saw integers in is one of floats where
            others stand in it); levels of categories that ``fit`` has not seen count as missing, with a warning.
        """
        check_is_fitted(self)
        gapped = unmarked(X, self.missing_values)
        encoded = self._container.columns.categories.encode(gapped, most_unknown=0.0)  # they are about to be filled
        table = check_table(self, encoded, reset=False)
        with tensors_on_cpu():
            tables = self._fill(table.astype(np.float64))
        settings = {"keep_empty": self.keep_empty_features, "add_indicator": self.add_indicator}
        finished = tuple(self._container.finish(filled, table, X, **settings) for filled in tables)
        # of several outputs scikit-learn wraps the first only
        return finished[0] if len(finished) == 1 else tuple(wrap_transformed(one, X, self) for one in finished)

    @available_if(lambda self: self._can_restore())
    def inverse_transform(self, X: TableLike) -> ArrayOrFrame:
        """Put gaps back where indicators say they were.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features_out)
            As `transform` gives it, with ``add_indicator``.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            With gaps; columns that were left out are empty.

        Raises
        ------
        ValueError
            For a table of another width.
        """
        check_is_fitted(self)
        return self._container.restore_gaps(X, keep_empty=self.keep_empty_features)

    def _can_restore(self) -> bool:
        if not self.add_indicator:
            raise AttributeError(
                "Got add_indicator=False, so that nothing says where gaps were; inverse_transform expects True. Set it "
                "before fit."
            )
        return True

    def _fill(self, table: np.ndarray) -> list[np.ndarray]:
        gaps = np.isnan(table)
        n_draws = self._n_draws()
        filled = [np.where(gaps, self._constants, table) for _ in range(max(n_draws, 1))]
        rows = np.flatnonzero(gaps[:, self._modelled].any(axis=1))
        if not len(rows):
            return filled
        assert self._models is not None
        where = np.ix_(rows, self._modelled)
        for one, values in zip(filled, self._models.fill(table[where], n_draws), strict=True):
            one[where] = np.where(np.isnan(one[where]), values, one[where])
        return filled

    # -- scikit-learn -----------------------------------------------------------------------------------

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            None: the names seen in `fit`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
            In the order of the columns.
        """
        check_is_fitted(self)
        given = check_feature_names_in(self, input_features)
        kept = given[self._container.kept(self.keep_empty_features)]
        return np.array([*kept, *(self._container.indicator_names(given) if self.add_indicator else ())], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "autoencoder_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
