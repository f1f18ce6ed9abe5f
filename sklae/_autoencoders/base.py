"""What all autoencoder estimators share: parameters, fit, and inference in chunks."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if

from sklae._autoencoders.checks import (
    check_callbacks,
    check_device,
    check_factory,
    check_module,
    check_sample_from,
    check_support,
    explain_construction,
)
from sklae._autoencoders.code_density import AGGREGATES, draw_codes, fit_code_density
from sklae._autoencoders.defaults import default_batch_size, default_hidden_layer_sizes, default_n_components
from sklae._autoencoders.verbs import Verbs
from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae._tables.columns import Columns
from sklae._tables.frames import check_table
from sklae._tables.layout import Layout
from sklae._training.batches import EncodedRows, n_batches
from sklae._training.callbacks import EpochClock, Monitor, StepSchedule
from sklae._training.net import SOLVERS, AutoencoderNet
from sklae._utils.atomic import atomic
from sklae._utils.compat import HasMethods, Interval, Options, StrOptions, fit_context
from sklae._utils.component import choices, resolve
from sklae._utils.random import draw_seed, random_state_for, some_rows, torch_generator
from sklae._utils.torch_settings import torch_settings
from sklae.corruptions import CORRUPTIONS, Corruption
from sklae.exceptions import InterruptedFitWarning
from sklae.likelihoods import LIKELIHOODS, Blocks, Likelihood
from sklae.networks import ACTIVATIONS, MLP, NETWORKS, Network
from sklae.penalties import PENALTIES, Penalty
from sklae.posteriors import Posterior
from sklae.priors import Prior
from sklae.schedules import LEARNING_RATES

__all__ = ["BaseAutoencoder"]

_NO_COLUMNS = np.empty(0, dtype=int)


class BaseAutoencoder(Verbs, BaseEstimator):
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
        "standardize": [StrOptions({"auto"}), "boolean"],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate": [StrOptions(set(LEARNING_RATES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # -- what subclasses say ----------------------------------------------------------------------------

    @abstractmethod
    def _auto_likelihood(self) -> Likelihood:
        """Return the likelihood that "auto" stands for."""

    @abstractmethod
    def _latent_parts(self) -> tuple[Posterior, Prior | None]:
        """Return posterior and prior."""

    def _objective_parts(self, posterior: Posterior) -> dict[str, Any]:
        """Return what holds the codes to the prior: arguments of `Objective`."""
        return {}

    def _n_draws(self) -> int:
        """Return how many codes per row training draws."""
        return 1

    # -- fitting ----------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, X_val: Any = None, X_clean: Any = None) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Training rows. A frame of pandas or polars may have columns of numbers, booleans, categories and text, the
            last two of at most 255 levels; an array has numbers, float32 or float64 (others are converted). NaN, None
            and the frame's own missing values mark gaps.
        y : ignored
            Present for the API.
        X_val : array-like or frame of shape (n_validation_samples, n_features), default=None
            Validation rows of one's own: their terms are in ``net_.history`` as ``valid_…``, and
            ``early_stopping`` watches them instead of a part of X.
        X_clean : array-like or frame of shape (n_samples, n_features), default=None
            What X should be mapped to, row by row, where X is a damaged version of it: trains a denoiser on
            given pairs. Sets the scaling.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For bad input or parameters, before any work. Refused are columns of dates, of lists, of more levels, and of
            text that mostly differs from row to row (with what to do instead), columns without any value, names that
            occur twice, infinite values and sparse matrices.
        DivergenceError
            If the loss turns non-finite. The estimator is then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs ran and the loss was still falling.
        """
        with atomic(self):
            if self.warm_start and hasattr(self, "net_"):
                self._train(*self._encode_for_training(X, X_val, X_clean, reset=False))
            else:
                self._fit_anew(X, X_val, X_clean)
            self._fit_code_density(X)
        return self

    def _can_continue(self) -> bool:
        """Return whether `partial_fit` makes sense; AttributeError with the reason otherwise."""
        if self.early_stopping:
            raise AttributeError("Got early_stopping=True; partial_fit expects False. It has no rows to hold out.")
        if LEARNING_RATES.get(self.learning_rate) is not None:
            raise AttributeError(
                f"Got learning_rate={self.learning_rate!r}, which is planned over max_iter epochs; partial_fit expects "
                "'constant' or 'adaptive'."
            )
        return True

    @available_if(_can_continue)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch on the given rows, continuing from where the last call ended.

        The first call fixes the columns, their levels and their scaling: other levels are gaps later. There is no
        ``partial_fit`` with early stopping or with a learning rate that is planned over ``max_iter`` epochs.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
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
            If the loss turns non-finite. The estimator is then as it was before the call.
        """
        with atomic(self):
            self.__dict__.pop("code_density_", None)  # of codes as they were
            if hasattr(self, "net_"):
                self._train(*self._encode_for_training(X, None, None, reset=False), epochs=1)
            else:
                self._fit_anew(X, None, None, epochs=1)
        return self

    def _fit_anew(self, X: Any, X_val: Any, X_clean: Any, epochs: int | None = None) -> None:
        self._train(*self._start(X, X_val, X_clean), epochs=epochs)

    def _start(
        self, X: Any, X_val: Any, X_clean: Any, max_rows: int | None = None, columns: Columns | None = None
    ) -> tuple[EncodedRows, EncodedRows | None]:
        """Do all that comes before training; return what to train on, at most ``max_rows`` random rows of X.

        ``columns`` have been read already from a table that X is a part of.
        """
        self.__dict__.pop("net_", None)
        check_sample_from(self.sample_from)
        self._draw_seeds()
        data, data_valid = self._encode_for_training(X, X_val, X_clean, reset=True, max_rows=max_rows, columns=columns)
        self.n_components_ = self.n_components or default_n_components(self.layout_.n_features)
        self.net_ = self._make_net(data)
        return data, data_valid

    def _start_like(self, twin: BaseAutoencoder, data: EncodedRows) -> None:
        """Do the same after an equal estimator that has started on these rows."""
        self._draw_seeds()
        for name in ("layout_", "n_components_", "n_features_in_", "feature_names_in_"):
            if hasattr(twin, name):
                setattr(self, name, getattr(twin, name))
        self.net_ = self._make_net(data)

    def _draw_seeds(self) -> None:
        seeds = random_state_for(self.random_state)
        self._seeds = tuple(draw_seed(seeds) for _ in range(4))

    def _fit_code_density(self, X: Any) -> None:
        """Fit what `sample` draws codes from, if it is not the prior."""
        self.__dict__.pop("code_density_", None)
        if self.sample_from in (None, "prior"):
            return
        codes = self._transform(self._check_input(X)).astype(np.float64)
        self.code_density_ = fit_code_density(self.sample_from, codes, np.random.RandomState(self._seeds[1]))

    def _can_sample(self) -> bool:
        if self.sample_from is None:
            raise AttributeError(
                "Got sample_from=None, so that nothing says how codes are distributed; expected "
                "sample_from='aggregate'. Set it before fit."
            )
        return True

    def _draw_codes(self, n_samples: int, condition: torch.Tensor | None, random_state: np.random.RandomState) -> Any:
        if not hasattr(self, "code_density_"):
            raise ValueError(
                f"Got sample_from={self.sample_from!r} and a model that was trained by partial_fit, or with another "
                "value; expected one trained by fit with this value. Fit it again."
            )
        return draw_codes(self.code_density_, n_samples, random_state)

    def _read_columns(self, X: Any) -> Columns:
        """Return the columns of a table to fit."""
        return Columns.fit(X, self.condition_features, self.categorical_features)

    def _encode_for_training(
        self,
        X: Any,
        X_val: Any,
        X_clean: Any,
        *,
        reset: bool,
        max_rows: int | None = None,
        columns: Columns | None = None,
    ) -> tuple[EncodedRows, EncodedRows | None]:
        """Validate and encode all tables of a fit; return training and validation datasets.

        Columns are learned from all training rows, of which at most ``max_rows`` are in the dataset.
        """
        if not reset:
            columns = self.layout_.columns
        elif columns is None:
            columns = self._read_columns(X if X_clean is None else X_clean)
        categories = columns.categories

        def read(table: Any, **settings: Any) -> np.ndarray:
            return check_table(self, categories.encode(table), **settings)

        table = read(X, reset=reset, min_samples=2)
        clean = None if X_clean is None else read(X_clean, reset=False, name="X_clean")
        if clean is not None and len(clean) != len(table):
            raise ValueError(
                f"Got {len(table)} rows in X and {len(clean)} in X_clean; expected pairs. Pass the same rows in the "
                "same order."
            )
        valid = None if X_val is None else read(X_val, reset=False, name="X_val")
        rows, rows_valid = self._split(len(table), has_validation=valid is not None)
        if reset:
            blocks = self._resolve_likelihood().assign(columns)
            columns = columns.treat_as_numbers(_in_blocks(blocks, lambda part: not part.discrete))
            _check_categories(blocks, columns)
            self.layout_ = Layout.fit(
                table if clean is None else clean,
                rows=rows,
                standardize=self._standardizes(blocks),
                columns=columns,
                clip=self.clip,
                clips=_each_column(blocks, lambda part: part.standardize),
                blocks=tuple((name, indices) for name, _, indices in blocks),
                has_grid=_each_column(blocks, lambda part: part.reads_grid),
            )
        data = self._dataset(table, clean, self._some_of(len(table), rows, max_rows))
        if valid is not None:
            return data, self._dataset(valid, None, None)
        return data, None if rows_valid is None else self._dataset(table, clean, rows_valid)

    def _dataset(self, table: np.ndarray, clean: np.ndarray | None, rows: np.ndarray | None) -> EncodedRows:
        inputs = self.layout_.encode(table, rows=rows)
        targets = inputs if clean is None else self.layout_.encode(clean, rows=rows)
        blocks = self._resolve_likelihood().assign(self.layout_.columns)
        check_support(targets, [(part.support, indices) for _, part, indices in blocks])
        bounds = self.layout_.clip_bounds
        if bounds is not None:
            targets.x.clamp_(*bounds)
        return EncodedRows(inputs, targets)

    def _split(self, n_samples: int, *, has_validation: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the rows to train on and those to validate on; None for all, and for none."""
        if not self.early_stopping or has_validation:
            return None, None
        n_valid = int(np.ceil(self.validation_fraction * n_samples))
        if n_valid < 1 or n_samples - n_valid < 2:
            raise ValueError(
                f"Got {n_samples} rows and validation_fraction={self.validation_fraction}; expected at least 2 rows to "
                "train on and 1 to validate on. Pass more rows, or X_val, or early_stopping=False."
            )
        order = np.random.RandomState(self._seeds[3]).permutation(n_samples)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])

    def _some_of(self, n_samples: int, rows: np.ndarray | None, max_rows: int | None) -> np.ndarray | None:
        """Return at most so many of the rows (None: of all), at random."""
        n_rows = n_samples if rows is None else len(rows)
        if max_rows is None or n_rows <= max_rows:
            return rows
        chosen = some_rows(n_rows, max_rows, np.random.RandomState(self._seeds[3]))
        return chosen if rows is None else rows[chosen]

    def _resolve_likelihood(self) -> Likelihood:
        if isinstance(self.likelihood, str) and self.likelihood == "auto":
            return self._auto_likelihood()
        return resolve(Blocks(self.likelihood) if isinstance(self.likelihood, list) else self.likelihood, LIKELIHOODS)

    def _standardizes(self, blocks: list[tuple[str, Likelihood, np.ndarray]]) -> np.ndarray:
        """Return for each modelled column whether it is centred and scaled."""
        for _, part, _ in blocks:
            if self.standardize is True and not part.standardize:
                raise ValueError(
                    f"Got standardize=True with {part!r}, whose data must lie in {part.support}; expected 'auto' or "
                    "False."
                )
        return _each_column(blocks, lambda part: part.standardize if self.standardize == "auto" else self.standardize)

    def _resolve_network(self) -> Network:
        if self.network is None:
            sizes = self.hidden_layer_sizes
            if sizes is None:
                sizes = default_hidden_layer_sizes(self.n_features_in_)
            return resolve(MLP(sizes, activation=self.activation), NETWORKS)
        if self.hidden_layer_sizes is not None:
            warnings.warn(
                f"Got network={self.network!r} and hidden_layer_sizes={self.hidden_layer_sizes!r}; the network wins. "
                "Set one of them only.",
                UserWarning,
                stacklevel=6,
            )
        return resolve(self.network, NETWORKS)

    def _make_net(self, data: EncodedRows) -> AutoencoderNet:
        """Return the skorch net, initialised: whatever a part refuses is refused here, before training."""
        n_samples = len(data)
        posterior, prior = self._latent_parts()
        parts = {
            "layout": self.layout_,
            "n_components": self.n_components_,
            "network": self._resolve_network(),
            "likelihood": self._resolve_likelihood(),
            "posterior": posterior,
            "prior": prior,
            "corruption": resolve(self.corruption, CORRUPTIONS),
            "encoder": check_factory(self.encoder, "encoder"),
            "decoder": check_factory(self.decoder, "decoder"),
            "n_draws": self._n_draws(),
        }
        objective = {"penalty": resolve(self.penalty, PENALTIES), **self._objective_parts(posterior)}
        schedules = Objective(**objective).schedules
        batch_size = n_samples if self.solver == "lbfgs" else self._batch_size(n_samples)
        settings = {
            "criterion": Objective,
            "criterion__n_rows": n_samples,
            **{f"criterion__{name}": part for name, part in objective.items()},
            "monitor": Monitor(
                validate=self.early_stopping,
                adaptive=self.learning_rate == "adaptive",
                settles=max((schedule.settles for schedule in schedules), default=0),
                **self._patience(),
            ),
            "seeds": self._seeds[:3],
            "lr": 1.0 if self.solver == "lbfgs" else self.learning_rate_init,
            "batch_size": batch_size,
            "max_epochs": self.max_iter,
            "train_split": None,
            "callbacks": self._callbacks(n_batches(n_samples, batch_size), has_schedules=bool(schedules)),
            "verbose": int(self.verbose),
            "device": check_device(self.device),
            **self._optimizer_settings(),
            **{f"module__{name}": part for name, part in parts.items()},
            **(self.net_params or {}),
        }
        with torch_settings(n_threads=1, gradients=True), explain_construction(self):
            net = AutoencoderNet(Autoencoder, **settings).initialize()
            check_module(net.module_, solver=self.solver, batch_size=batch_size)
            net.module_.likelihood.check(data.targets.x, data.targets.observed)
            if net.module_.prior is not None:
                net.module_.prior.start(data.rows.to(net.device), torch_generator(self._seeds[0]))
        return net

    def _callbacks(self, n_batches: int, *, has_schedules: bool) -> list[Any]:
        check_callbacks(self.callbacks)
        callbacks = list(copy.deepcopy(self.callbacks or ()))  # skorch changes them
        factor = LEARNING_RATES[self.learning_rate]
        if factor is not None:
            callbacks.append(("learning_rate", StepSchedule(factor, self.max_iter * n_batches)))
        if has_schedules:
            callbacks.append(("epoch_clock", EpochClock()))
        return callbacks

    def _patience(self) -> dict[str, float]:
        """Return how closely to watch the loss; a planned rate ends with its plan, or by validation."""
        planned = LEARNING_RATES[self.learning_rate] is not None
        patience = np.inf if planned and not self.early_stopping else self.n_iter_no_change
        return {"tol": self.tol * self.n_features_in_, "patience": patience}

    def _batch_size(self, n_samples: int) -> int:
        size = default_batch_size(n_samples) if self.batch_size == "auto" else self.batch_size
        return min(size, n_samples)

    def _optimizer_settings(self) -> dict[str, Any]:
        if "optimizer" in (self.net_params or {}):
            return {}
        optimizer, settings = SOLVERS[self.solver]
        if self.solver != "lbfgs":
            settings = {**settings, "weight_decay": self.weight_decay}
        elif self.weight_decay:
            raise ValueError(f"Got weight_decay={self.weight_decay} with solver='lbfgs', which has none; expected 0.")
        if check_device(self.device) == "mps":
            settings = {name: value for name, value in settings.items() if name != "fused"}
        return {"optimizer": optimizer, **{f"optimizer__{name}": value for name, value in settings.items()}}

    def _train(self, data: EncodedRows, data_valid: EncodedRows | None, epochs: int | None = None) -> None:
        self.net_.monitor.watch(validate=self.early_stopping, **self._patience())
        with torch_settings(n_threads=1, gradients=True):
            interrupted = self.net_.train(data, data_valid, epochs=epochs or self.max_iter)
        self._conclude(interrupted=interrupted, planned_epochs=epochs is None, stacklevel=6)

    def _conclude(self, *, interrupted: bool, planned_epochs: bool, stacklevel: int) -> None:
        """Publish what a training run left in the history, and warn of how it ended."""
        history = self.net_.history.to_list()
        self.n_iter_ = len(history)
        self.loss_curve_ = [epoch["train_loss"] for epoch in history]
        if any("valid_bound" in epoch for epoch in history):
            self.validation_scores_ = [-epoch["valid_bound"] for epoch in history if "valid_bound" in epoch]
        if interrupted:
            warnings.warn(
                f"Training was interrupted after {self.n_iter_} epochs; kept the best weights so far.",
                InterruptedFitWarning,
                stacklevel=stacklevel,
            )
        elif planned_epochs and self._should_have_converged():
            warnings.warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet. Raise "
                "max_iter or tol, or plan the rate over max_iter with learning_rate='one_cycle'.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _should_have_converged(self) -> bool:
        """Whether the run ended with its budget where it was meant to end with its loss."""
        planned = LEARNING_RATES[self.learning_rate] is not None or np.isinf(self.n_iter_no_change)
        used_up = len(self.net_.history) % self.max_iter == 0
        return used_up and not planned and not self.net_.monitor.converged_

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


def _in_blocks(blocks: list[tuple[str, Likelihood, np.ndarray]], chosen: Callable[[Likelihood], bool]) -> np.ndarray:
    """Return the columns of those blocks whose likelihood is chosen."""
    return np.concatenate([_NO_COLUMNS, *(indices for _, part, indices in blocks if chosen(part))])


def _check_categories(blocks: list[tuple[str, Likelihood, np.ndarray]], columns: Columns) -> None:
    """Refuse categories under a likelihood of numbers."""
    levels = columns.n_levels()
    for _, part, indices in blocks:
        wrong = indices[levels[indices] > 0]
        if len(wrong) and not part.discrete:
            names = columns.labels()[wrong[:5]].tolist()
            raise ValueError(
                f"Got columns of categories, {names}, with the likelihood {part!r}, which is one of numbers; expected "
                "likelihood='auto', or a list of blocks that has these under 'categorical'. Or encode them first, "
                "with OneHotEncoder."
            )


def _each_column(blocks: list[tuple[str, Likelihood, np.ndarray]], answer: Callable[[Likelihood], bool]) -> np.ndarray:
    """Return for each modelled column what is true of its likelihood."""
    answers = np.empty(sum(len(indices) for _, _, indices in blocks), dtype=bool)
    for _, part, indices in blocks:
        answers[indices] = answer(part)
    return answers
