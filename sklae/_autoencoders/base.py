"""What all autoencoder estimators share: parameters and fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from sklae._autoencoders.code_density import AGGREGATES, draw_codes
from sklae._autoencoders.parts import Parts
from sklae._autoencoders.training import Training
from sklae._autoencoders.training_rows import FitInput
from sklae._autoencoders.verbs import Verbs
from sklae._tables.annotations import TableLike
from sklae._tables.sources import RowSource
from sklae._tables.table import read
from sklae._tables.weights import RowWeights
from sklae._training.optimizers import SOLVERS
from sklae._utils.atomic import atomic
from sklae._utils.callers import called_by_user
from sklae._utils.compat import HasMethods, Interval, Options, StrOptions, available_if, fit_context
from sklae._utils.component import choices
from sklae._utils.estimator import Estimator
from sklae._utils.processes import current_job
from sklae._utils.torch_settings import tensors_on_cpu
from sklae._utils.warnings import warn
from sklae.corruptions import CORRUPTIONS, Corruption
from sklae.exceptions import InterruptedFitWarning
from sklae.likelihoods import LIKELIHOODS, Likelihood
from sklae.networks import ACTIVATIONS, NETWORKS, Network
from sklae.penalties import PENALTIES, Penalty
from sklae.schedules import LEARNING_RATES
from sklae.sources._taken import as_source, what_fits

__all__ = ["BaseAutoencoder"]


class BaseAutoencoder(Verbs, Estimator):
    """Everything but the verbs that differ between a plain and a variational autoencoder."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, 2**31, closed="left"), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "network": choices(NETWORKS, Network, None),
        "encoder": [callable, None],
        "decoder": [callable, None],
        "likelihood": choices({"auto": Likelihood, **LIKELIHOODS}, Likelihood, list),
        "condition_features": ["array-like", str, Integral, None],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like"],
        "sample_from": [StrOptions(set(AGGREGATES)), HasMethods(["fit", "sample", "get_params"]), None],
        "corruption": choices(CORRUPTIONS, Corruption, None),
        "penalty": choices(PENALTIES, Penalty, None),
        "standardize": [StrOptions({"auto", "global"}), "boolean"],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate": [StrOptions({"auto", *LEARNING_RATES})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def __sklae_parts__(self) -> Parts:
        """Return the parts that the parameters name, resolved; refuse what excludes each other."""

    # -- fitting ----------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: TableLike | RowSource,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        X_val: TableLike | None = None,
        X_clean: TableLike | None = None,
    ) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like, frame or source of rows, of shape (n_samples, n_features)
            Training rows. A frame of pandas or polars may have columns of numbers, booleans, categories and text, the
            last two of at most 255 levels; an array has numbers, float32 or float64 (others are converted). NaN, None
            and the frame's own missing values mark gaps. Rows that do not fit in memory come from `sklae.sources`, or
            from a lazy frame of polars or Dask.
        y : ignored
            Present for the API.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts, at or above 0; only ratios matter. None: all alike. A row of weight 0 is as good
            as absent; others count in the scaling, the linear start and the loss, also that of rows held out. What is
            computed of a batch as a whole (MMD, KL sparsity and the like) counts rows alike. Not with a
            source of rows.
        X_val : array-like or frame of shape (n_validation_samples, n_features), default=None
            Validation rows of one's own: their terms are in ``net_.history`` as ``valid_…``, and
            ``early_stopping`` watches them instead of a part of X.
        X_clean : array-like or frame of shape (n_samples, n_features), default=None
            What X should be mapped to, row by row, where X is a damaged version of it: trains a denoiser on
            given pairs. Sets the scaling.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            For bad input or parameters, before any work. Refused are columns of dates, of lists, of more levels, and of
            text that mostly differs from row to row (with what to do instead), columns without any value, names that
            occur twice, infinite values and sparse matrices.
        DivergenceError
            If the loss turns non-finite. The estimator is then as it was before the call.
        KeyboardInterrupt
            If the fit was interrupted before an epoch was complete, for the second time, or inside a search, a
            pipeline or another estimator. The estimator is then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs ran and the loss was still falling.
        InterruptedFitWarning
            If the fit was interrupted later than that, by a program that called it itself; the best weights so far
            stay.
        """
        keeps, training = called_by_user() and current_job() is None, Training(self, shown=(X, y, sample_weight))
        with atomic(self, training.undo), tensors_on_cpu():
            X, X_val = as_source(X), what_fits(X_val, self, "X_val")
            counts = RowWeights.read(sample_weight, X)
            X, X_clean = counts.of(X), counts.of(X_clean, "X_clean")
            given = FitInput(read(X), X_val, X_clean, weights=counts.weights)
            continues = self.warm_start and hasattr(self, "net_")
            interrupted = training.run(training.resume(given) if continues else training.start(given), keeps=keeps)
            try:
                training.fit_code_density(given.X, given.weights)
            except KeyboardInterrupt:
                if interrupted or not keeps:  # a second one always gets out
                    raise
                warn(
                    "The fit was interrupted after training; kept what was trained, without sample_from. To sample, "
                    "fit it again.",
                    InterruptedFitWarning,
                )
        return self

    def _can_continue(self) -> bool:
        """Return whether `partial_fit` makes sense; AttributeError with the reason otherwise."""
        if self.early_stopping is True:
            raise AttributeError(
                "Got early_stopping=True; partial_fit expects 'auto' or False. It has no rows to hold out."
            )
        if LEARNING_RATES.get(self.learning_rate) is not None:
            raise AttributeError(
                f"Got learning_rate={self.learning_rate!r}, which is planned over max_iter epochs; partial_fit expects "
                "'auto', 'constant' or 'adaptive'."
            )
        return True

    @available_if(_can_continue)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: TableLike,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        categories: Mapping[str | int, Sequence[object]] | None = None,
    ) -> Self:
        """Train for one epoch on the given rows, continuing from where the last call ended.

        The first call fixes the columns, their levels and their scaling: other levels are gaps later, with a warning.
        Levels that a dtype declares (categories of pandas, an Enum of polars) are known from the start. There is no
        ``partial_fit`` with early stopping or with a learning rate that is planned over ``max_iter`` epochs.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows to train on.
        y : ignored
            Present for the API.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts beside the others of this call, as in `fit`.
        categories : mapping of str or int to list, default=None
            Columns' names (or positions) and levels that may come later, as a classifier's ``classes``; read by the
            first call.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            For bad input or parameters, before any work.
        DivergenceError
            If the loss turns non-finite. The estimator is then as it was before the call.
        KeyboardInterrupt
            If it was interrupted. The estimator is then as it was before the call.

        Warns
        -----
        UserWarning
            For levels that the first call did not know.
        """
        training = Training(self, is_whole=False, shown=(X, y, sample_weight))
        with atomic(self, training.undo), tensors_on_cpu():
            self.__dict__.pop("code_density_", None)  # of codes as they were
            X = as_source(X)
            counts = RowWeights.read(sample_weight, X)
            given = FitInput(read(counts.of(X)), levels=categories or {}, weights=counts.weights)
            training.run(training.resume(given) if hasattr(self, "net_") else training.start(given))
        return self

    # -- sampling ---------------------------------------------------------------------------------------

    def _can_sample(self) -> bool:
        if self.sample_from is None:
            raise AttributeError(
                "Got sample_from=None, so that nothing says how codes are distributed; expected "
                "sample_from='aggregate'. Set it before fit."
            )
        return True

    def _draw_codes(
        self, n_samples: int, condition: np.ndarray | None, random_state: np.random.RandomState
    ) -> np.ndarray | torch.Tensor:
        if not hasattr(self, "code_density_"):
            raise ValueError(
                f"Got sample_from={self.sample_from!r} and a model that was trained by partial_fit, with another "
                "value, or by a fit that was interrupted; expected one trained by fit with this value. Fit it again."
            )
        return draw_codes(self.code_density_, n_samples, random_state)

    # -- scikit-learn -----------------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
