"""What all autoencoder estimators share: parameters, fit, and inference in chunks."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from sklae._checks import (
    check_callbacks,
    check_device,
    check_factory,
    check_module,
    check_support,
    explain_construction,
)
from sklae._compat import Interval, Options, StrOptions, fit_context
from sklae._component import choices, resolve
from sklae._layout import Layout, check_table
from sklae._module import Autoencoder
from sklae._objective import Objective
from sklae._threads import torch_settings
from sklae._training import SOLVERS, AutoencoderNet, Monitor, StepSchedule, make_dataset
from sklae.corruptions import CORRUPTIONS, Corruption
from sklae.exceptions import InterruptedFitWarning
from sklae.likelihoods import LIKELIHOODS, Likelihood
from sklae.networks import ACTIVATIONS, MLP, NETWORKS, Network
from sklae.penalties import PENALTIES, Penalty
from sklae.posteriors import Posterior
from sklae.priors import Prior
from sklae.schedules import LEARNING_RATES

__all__ = ["BaseAutoencoder", "random_state_for"]

_CHUNK_ELEMENTS = 2**18
_LARGEST_SEED = np.iinfo(np.int32).max


def random_state_for(random_state: Any) -> np.random.RandomState:
    """Return a generator for a ``random_state``; None takes entropy from the system, not NumPy's global state."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937())
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


@contextmanager
def atomic(estimator: BaseEstimator) -> Iterator[None]:
    """Leave the estimator as it was if anything goes wrong."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class BaseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Everything but the verbs that differ between a plain and a variational autoencoder."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, 2**31, closed="left"), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "network": choices(NETWORKS, Network, None),
        "encoder": [callable, None],
        "decoder": [callable, None],
        "likelihood": choices({"auto": Likelihood, **LIKELIHOODS}, Likelihood),
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

    net_: AutoencoderNet

    # -- what subclasses say ----------------------------------------------------------------------------

    @abstractmethod
    def _auto_likelihood(self) -> Likelihood:
        """Return the likelihood that "auto" stands for."""

    @abstractmethod
    def _latent_parts(self) -> tuple[Posterior, Prior | None]:
        """Return posterior and prior."""

    @abstractmethod
    def _beta(self) -> float | None:
        """Return the weight of the KL term, or None where there is none."""

    @abstractmethod
    def _score_chunk(self, module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        """Return log-density per row, in encoded units, in nats."""

    # -- fitting ----------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, X_val: Any = None, X_clean: Any = None) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Training rows, float32 or float64 (others are converted); NaN marks a missing value.
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
            For bad input or parameters, before any work.
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

        The first call fixes the columns and their scaling. There is no ``partial_fit`` with early stopping or
        with a learning rate that is planned over ``max_iter`` epochs.

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
            if hasattr(self, "net_"):
                self._train(*self._encode_for_training(X, None, None, reset=False), epochs=1)
            else:
                self._fit_anew(X, None, None, epochs=1)
        return self

    def _fit_anew(self, X: Any, X_val: Any, X_clean: Any, epochs: int | None = None) -> None:
        if hasattr(self, "net_"):
            del self.net_
        seeds = random_state_for(self.random_state)
        self._seeds = tuple(int(seed) for seed in seeds.randint(_LARGEST_SEED, size=4))
        data, data_valid = self._encode_for_training(X, X_val, X_clean, reset=True)
        self.n_components_ = self.n_components or default_n_components(self.n_features_in_)
        self.net_ = self._make_net(len(data))
        self._train(data, data_valid, epochs=epochs)

    def _encode_for_training(self, X: Any, X_val: Any, X_clean: Any, *, reset: bool) -> tuple[Any, Any]:
        """Validate and encode all tables of a fit; return training and validation datasets."""
        table = check_table(self, X, reset=reset, min_samples=2)
        clean = None if X_clean is None else check_table(self, X_clean, reset=False, name="X_clean")
        if clean is not None and len(clean) != len(table):
            raise ValueError(
                f"Got {len(table)} rows in X and {len(clean)} in X_clean; expected pairs. Pass the same rows in the "
                "same order."
            )
        valid = None if X_val is None else check_table(self, X_val, reset=False, name="X_val")
        rows, rows_valid = self._split(len(table), has_validation=valid is not None)
        if reset:
            likelihood = self._resolve_likelihood()
            self.layout_ = Layout.fit(
                table if clean is None else clean,
                rows=rows,
                standardize=self._standardizes(likelihood),
                source=X if X_clean is None else X_clean,
                clip=self.clip,
            )
        data = self._dataset(table, clean, rows)
        if valid is not None:
            return data, self._dataset(valid, None, None)
        return data, None if rows_valid is None else self._dataset(table, clean, rows_valid)

    def _dataset(self, table: np.ndarray, clean: np.ndarray | None, rows: np.ndarray | None) -> Any:
        x, observed = self.layout_.encode(table, rows=rows)
        target, known = (x, observed) if clean is None else self.layout_.encode(clean, rows=rows)
        check_support(target, known, self._resolve_likelihood().support)
        if self.layout_.clip_bounds is not None:
            target.clamp_(*self.layout_.clip_bounds)
        return make_dataset(x, observed, None if clean is None else (target if known is None else (target, known)))

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

    def _resolve_likelihood(self) -> Likelihood:
        if isinstance(self.likelihood, str) and self.likelihood == "auto":
            return self._auto_likelihood()
        return resolve(self.likelihood, LIKELIHOODS)

    def _standardizes(self, likelihood: Likelihood) -> bool:
        if self.standardize == "auto":
            return likelihood.standardize
        if self.standardize and not likelihood.standardize:
            raise ValueError(
                f"Got standardize=True with {likelihood!r}, whose data must lie in {list(likelihood.support)}; "
                "expected 'auto' or False."
            )
        return bool(self.standardize)

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

    def _make_net(self, n_samples: int) -> AutoencoderNet:
        """Return the skorch net, initialised: whatever a part refuses is refused here, before training."""
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
        }
        batch_size = n_samples if self.solver == "lbfgs" else self._batch_size(n_samples)
        check_callbacks(self.callbacks)
        callbacks = list(copy.deepcopy(self.callbacks or ()))  # skorch changes them
        factor = LEARNING_RATES[self.learning_rate]
        if factor is not None:
            callbacks.append(("learning_rate", StepSchedule(factor, self.max_iter * _n_batches(n_samples, batch_size))))
        settings = {
            "criterion": Objective,
            "criterion__beta": self._beta(),
            "criterion__penalty": resolve(self.penalty, PENALTIES),
            "monitor": Monitor(
                tol=self.tol * self.n_features_in_,
                patience=self._patience(),
                validate=self.early_stopping,
                adaptive=self.learning_rate == "adaptive",
            ),
            "seeds": self._seeds[:3],
            "lr": 1.0 if self.solver == "lbfgs" else self.learning_rate_init,
            "batch_size": batch_size,
            "max_epochs": self.max_iter,
            "train_split": None,
            "callbacks": callbacks,
            "verbose": int(self.verbose),
            "device": check_device(self.device),
            **self._optimizer_settings(),
            **{f"module__{name}": part for name, part in parts.items()},
            **(self.net_params or {}),
        }
        with torch_settings(n_threads=1, gradients=True), explain_construction(self):
            net = AutoencoderNet(Autoencoder, **settings).initialize()
        check_module(net.module_, solver=self.solver, batch_size=batch_size)
        return net

    def _patience(self) -> float:
        """Return the epochs without improvement to wait for; a planned rate ends with its plan, or by validation."""
        planned = LEARNING_RATES[self.learning_rate] is not None
        return np.inf if planned and not self.early_stopping else self.n_iter_no_change

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

    def _train(self, data: Any, data_valid: Any, epochs: int | None = None) -> None:
        self.net_.monitor.watch(
            validate=self.early_stopping, tol=self.tol * self.n_features_in_, patience=self._patience()
        )
        with torch_settings(n_threads=1, gradients=True):
            interrupted = self.net_.train(data, data_valid, epochs=epochs or self.max_iter)
        history = self.net_.history
        self.n_iter_ = len(history)
        self.loss_curve_ = [epoch["train_loss"] for epoch in history.to_list()]
        if data_valid is not None:
            self.validation_scores_ = [-epoch["valid_bound"] for epoch in history.to_list() if "valid_bound" in epoch]
        if interrupted:
            warnings.warn(
                f"Training was interrupted after {self.n_iter_} epochs; kept the best weights so far.",
                InterruptedFitWarning,
                stacklevel=5,
            )
        elif epochs is None and self._should_have_converged():
            warnings.warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet. Raise "
                "max_iter or tol, or plan the rate over max_iter with learning_rate='one_cycle'.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _should_have_converged(self) -> bool:
        """Whether the run ended with its budget where it was meant to end with its loss."""
        planned = LEARNING_RATES[self.learning_rate] is not None or np.isinf(self.n_iter_no_change)
        used_up = len(self.net_.history) % self.max_iter == 0
        return used_up and not planned and not self.net_.monitor.converged_

    # -- inference --------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Return the codes: the posterior means.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            NaN marks a missing value.

        Returns
        -------
        codes : ndarray or frame of shape (n_samples, n_components_)
            In X's dtype (float32 or float64); the container follows ``set_output``.
        """
        return self._transform(self._check_input(X))

    def _transform(self, table: np.ndarray) -> np.ndarray:
        """Return the codes of a validated table."""

        def encode(module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> np.ndarray:
            return module.encode(x, observed).mean.cpu().numpy()

        return self._map_rows(encode, table, out=np.empty((len(table), self.n_components_), dtype=table.dtype))

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes to the expected rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, as `transform` gives them.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container and the columns that were fitted.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float64, np.float32], input_name="codes")
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"Got codes with {codes.shape[1]} columns; expected {self.n_components_}, as transform gives them."
            )
        return self.layout_.wrap(self._decode(codes), like=X)

    def reconstruct(self, X: Any) -> Any:
        """Encode and decode rows; missing values come back filled.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container and the columns that were fitted.
        """
        return self.layout_.wrap(self._reconstruct(self._check_input(X)), like=X)

    def _reconstruct(self, table: np.ndarray) -> np.ndarray:
        """Encode and decode a validated table."""

        def reconstruct(module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> np.ndarray:
            mean = module.likelihood.mean(module.decode(module.encode(x, observed).mean))
            return self.layout_.decode(mean.cpu().numpy())

        return self._map_rows(reconstruct, table, out=np.empty_like(table, order="C"))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-density of each row in nats, in the user's units; the higher the better.

        Of what was observed: missing values and columns that were constant in ``fit`` do not count.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
        """
        table = self._check_input(X)
        jacobian = torch.as_tensor(self.layout_.log_jacobian)

        def score(module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> np.ndarray:
            check_support(x, observed, module.support)
            weight = module.column_weight(observed)
            jacobians = jacobian if weight is None else jacobian * weight.cpu()
            scores = self._score_chunk(module, x, observed).cpu() + jacobians.sum(-1)
            return scores.nan_to_num(nan=-torch.inf).numpy()  # so far out that the network overflowed

        return self._map_rows(score, table, out=np.empty(len(table)), n_draws=self._n_score_draws)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`, in nats per row.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
        y : ignored
            Present for the API.

        Returns
        -------
        score : float
        """
        return float(np.mean(self.score_samples(X)))

    #: How many codes per row `score_samples` decodes.
    _n_score_draws: ClassVar[int] = 1

    def _check_input(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_table(self, X, reset=False)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        """Decode validated codes to rows in the user's units, in chunks."""
        out = np.empty((len(codes), self.n_features_in_), dtype=codes.dtype)
        module, device = self._inference(codes.dtype)
        with torch_settings(n_threads=1, gradients=False):
            for rows in self._slices(len(codes)):
                z = torch.tensor(codes[rows], device=device)
                out[rows] = self.layout_.decode(module.likelihood.mean(module.decode(z)).cpu().numpy())
        return out

    def _inference(self, dtype: np.dtype) -> tuple[Any, torch.device]:
        module = self.net_.inference_module(torch.float64 if dtype == np.float64 else torch.float32)
        return module, next(module.parameters()).device

    def _map_rows(self, function: Callable, X: np.ndarray, *, out: np.ndarray, n_draws: int = 1) -> np.ndarray:
        """Fill ``out`` with ``function(module, x, observed)`` of the encoded rows of X, in chunks."""
        module, device = self._inference(X.dtype)
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        with torch_settings(n_threads=1, gradients=False):
            for rows in self._slices(len(X), n_draws):
                x, observed = self.layout_.encode(X[rows], dtype=dtype)
                out[rows] = function(module, x.to(device), None if observed is None else observed.to(device))
        return out

    def _slices(self, n_rows: int, n_draws: int = 1) -> Iterator[slice]:
        """Yield parts of about a quarter of a million activations: they stay in the cache."""
        width = max(self.n_features_in_, *(max(p.shape) for p in self.net_.module_.parameters() if p.ndim > 1), 64)
        step = max(1, _CHUNK_ELEMENTS // (width * n_draws))
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))

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


def default_n_components(n_features: int) -> int:
    """Return the width of the code for ``n_components=None``."""
    return max(1, min(32, (n_features + 1) // 2))


def default_hidden_layer_sizes(n_features: int) -> tuple[int, ...]:
    """Return the widths for ``hidden_layer_sizes=None``."""
    return (128, 64) if n_features <= 128 else (256, 128)


def default_batch_size(n_samples: int) -> int:
    """Return the batch size for ``batch_size="auto"``."""
    return int(np.clip(2 ** round(np.log2(n_samples / 20)), 32, 1024))


def _n_batches(n_samples: int, batch_size: int) -> int:
    full, rest = divmod(n_samples, batch_size)
    return full + (rest > 1 or full == 0)
