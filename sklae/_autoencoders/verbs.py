"""What a fitted autoencoder does with rows and codes, in chunks and without state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from sklae._autoencoders.checks import check_count, check_support
from sklae._model.module import Autoencoder
from sklae._tables.conditions import read_condition
from sklae._tables.frames import check_table
from sklae._tables.indicators import Cells
from sklae._tables.layout import Layout, Rows
from sklae._training.net import AutoencoderNet
from sklae._utils.random import random_state_for, torch_generator
from sklae._utils.torch_settings import torch_settings

__all__ = ["Verbs"]

_CHUNK_ELEMENTS = 2**18


class Verbs(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The verbs that plain and variational autoencoders share."""

    net_: AutoencoderNet
    layout_: Layout
    n_components_: int
    n_features_in_: int

    # -- what subclasses say ----------------------------------------------------------------------------

    @abstractmethod
    def _score_chunk(self, module: Autoencoder, rows: Rows) -> torch.Tensor:
        """Return log-density per row, in encoded units, in nats."""

    @abstractmethod
    def _draw_codes(self, n_samples: int, condition: torch.Tensor | None, random_state: np.random.RandomState) -> Any:
        """Draw codes of new rows, an array or tensor of shape (n_samples, n_components_)."""

    def _draw_rows(self, module: Autoencoder, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw encoded rows, given the decoder's output."""
        return module.likelihood.sample(params, generator)

    def _can_score(self) -> bool:
        """Return whether rows have scores; AttributeError with the reason otherwise."""
        return True

    @abstractmethod
    def _can_sample(self) -> bool:
        """Return whether there is something to draw codes from; AttributeError with the reason otherwise."""

    # -- public -----------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
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
        return self._transform(self._check_input(X))

    def inverse_transform(self, X: Any, condition: Any = None) -> Any:
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
        return self.layout_.wrap(self._decode(codes, self._read_condition(condition, len(codes))), like=X)

    def reconstruct(self, X: Any, condition: Any = None) -> Any:
        """Encode and decode rows; missing values come back filled.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with, one row per row of X or one for all. None: X's own.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container, the columns and the dtypes that were fitted: integers are rounded, categories
            have their most probable level.
        """
        table = self._check_input(X)
        return self.layout_.wrap(self._reconstruct(table, condition), like=X)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-density of each row in nats, in the user's units; the higher the better.

        Of what was observed: missing values, levels that ``fit`` has not seen, and columns that were constant in
        ``fit`` do not count.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
        """
        return self._score_table(self._check_input(X), self._score_chunk)

    @available_if(lambda self: self._can_score())
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

    @available_if(lambda self: self._can_sample())
    def sample(self, n_samples: int = 1, random_state: Any = None, *, condition: Any = None) -> Any:
        """Draw new rows: codes from ``sample_from``, rows from the likelihood.

        Categories have levels that ``fit`` has seen, integers are whole. Numbers of the default likelihood are drawn
        from normal distributions, which know no bounds: an age may come out negative. For draws that keep to the ranges
        seen, and to values that repeat, fit with ``likelihood=Mixed("histogram")`` (of `sklae.likelihoods`).

        Parameters
        ----------
        n_samples : int, default=1
            How many, for each given condition.
        random_state : int, RandomState instance or None, default=None
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features``; needed where there are any.

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features), or (n_samples * n_conditions, n_features)
            In the units, the container, the columns, the dtypes and the levels that were fitted, without gaps; draws of
            one condition follow each other.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        given = self._read_condition(condition, None)
        if given is not None:
            given = np.repeat(given, n_samples, axis=0)
            n_samples = len(given)
        random_state = random_state_for(random_state)
        module, device = self._inference(np.dtype(np.float64))
        with torch_settings(n_threads=1, gradients=False):
            encoded = self._encode_condition(given, torch.float64)
            codes = torch.as_tensor(self._draw_codes(n_samples, encoded, random_state)).to(device)
            params = module.decode(codes, None if encoded is None else encoded.to(device)).cpu()
            rows = self._draw_rows(module, params, torch_generator(random_state)).numpy()
        rows = self.layout_.columns.join(self.layout_.decode(rows), given)
        return self.layout_.wrap(rows.astype(self.layout_.dtype, copy=False))

    def interpolate(self, a: Any, b: Any, n_steps: int = 10, *, method: str = "linear", condition: Any = None) -> Any:
        """Decode what lies between the codes of two rows, or of pairs of rows.

        Parameters
        ----------
        a, b : array-like or frame of shape (n_pairs, n_features)
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
        >>> ae = AutoencoderTransformer(2, max_iter=2, n_iter_no_change=float("inf"), random_state=0).fit(X)
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
        given = self._common_condition(tables) if condition is None else self._read_condition(condition, len(tables[0]))
        start, end = (self._transform(table)[:, None, :] for table in tables)
        codes = paths[method](start, end, np.linspace(0.0, 1.0, n_steps)[:, None]).astype(start.dtype, copy=False)
        return self._decode_each(codes, given)

    def _common_condition(self, tables: list[np.ndarray]) -> np.ndarray | None:
        """Return the conditions that rows at both ends of a path share."""
        first, second = (self.layout_.columns.conditioning(table) for table in tables)
        if not np.array_equal(first, second, equal_nan=True):
            raise ValueError(
                "Got a and b with different conditions; expected the same, or condition= for the rows between them."
            )
        return first if first.shape[1] else None

    # -- on validated tables ----------------------------------------------------------------------------

    def _transform(self, table: np.ndarray) -> np.ndarray:
        def encode(module: Autoencoder, rows: Rows) -> np.ndarray:
            return module.encode(*rows).mean.cpu().numpy()

        return self._map_rows(encode, table, out=np.empty((len(table), self.n_components_), dtype=table.dtype))

    def _reconstruct(self, table: np.ndarray, condition: Any = None) -> np.ndarray:
        """Encode and decode, with given conditions or the rows' own."""
        if condition is not None:
            return self._decode(self._transform(table), self._read_condition(condition, len(table)))

        def reconstruct(module: Autoencoder, rows: Rows) -> np.ndarray:
            mean = module.likelihood.mean(module.decode(module.encode(*rows).mean, rows.condition))
            return self.layout_.decode(mean.cpu().numpy())

        out = np.empty((len(table), self.layout_.n_features), dtype=table.dtype)
        data = self._map_rows(reconstruct, table, out=out)
        return self.layout_.columns.join(data, self._own_condition(table, None))

    # -- cells: numbers, and indicators of levels -------------------------------------------------------

    @property
    def _cells(self) -> Cells:
        """How the modelled columns fall into cells."""
        return Cells(self.net_.module_.likelihood.n_levels(self.layout_.n_features))

    def _decode_cells(self, expected: torch.Tensor) -> np.ndarray:
        """Return expected values with numbers in the user's units."""
        cells, layout = self._cells, self.layout_
        values = expected.cpu().numpy()
        if cells.only_numbers:
            return layout.decode(values)
        values = values.astype(np.float64)
        numbers = ~cells.is_coded
        values[:, cells.first[numbers]] = layout.select(np.flatnonzero(numbers)).decode(values[:, cells.first[numbers]])
        return values

    def _expect(self, table: np.ndarray) -> np.ndarray:
        """Encode and decode rows of a validated table to expected cells, (n_rows, n_cells), float64."""
        cells = self._cells

        def expect(module: Autoencoder, rows: Rows) -> np.ndarray:
            params = module.decode(module.encode(*rows).mean, rows.condition)
            return self._decode_cells(module.likelihood.expectation(params))

        return self._map_rows(expect, table, out=np.empty((len(table), len(cells.owner))))

    def _expect_given(self, table: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the cells expected under the rows' conditions alone, on the average of codes, shared by all rows."""
        cells = self._cells

        def expect(module: Autoencoder, rows: Rows) -> np.ndarray:
            z = torch.as_tensor(codes).to(rows.x)[:, None, :].expand(-1, len(rows.x), -1)
            return self._decode_cells(module.likelihood.expectation(module.decode(z, rows.condition)).mean(0))

        out = np.empty((len(table), len(cells.owner)))
        return self._map_rows(expect, table, out=out, n_draws=len(codes))

    # -- scores -----------------------------------------------------------------------------------------

    def _score_table(self, table: np.ndarray, score_chunk: Callable, n_draws: int = 1) -> np.ndarray:
        jacobian = torch.as_tensor(self.layout_.log_jacobian)

        def score(module: Autoencoder, rows: Rows) -> np.ndarray:
            check_support(rows, module.supports)
            module.likelihood.check(rows.x, rows.observed)
            weight = module.column_weight(rows.observed)
            jacobians = jacobian if weight is None else jacobian * weight.cpu()
            scores = score_chunk(module, rows).cpu() + jacobians.sum(-1)
            return scores.nan_to_num(nan=-torch.inf).numpy()  # so far out that the network overflowed

        return self._map_rows(score, table, out=np.empty(len(table)), n_draws=n_draws)

    def _decode_each(self, codes: np.ndarray, condition: np.ndarray | None) -> Any:
        """Decode several codes of each row, (n_rows, n_codes, n_components_), with one condition a row."""
        n_codes = codes.shape[1]
        repeated = None if condition is None else np.repeat(condition, n_codes, axis=0)
        return self.layout_.wrap(self._decode(codes.reshape(-1, self.n_components_), repeated))

    def _decode(self, codes: np.ndarray, condition: np.ndarray | None) -> np.ndarray:
        """Decode validated codes to rows of all columns in the user's units, in chunks."""
        out = np.empty((len(codes), self.layout_.n_features), dtype=codes.dtype)
        module, device = self._inference(codes.dtype)
        with torch_settings(n_threads=1, gradients=False):
            for rows in self._slices(len(codes)):
                z = torch.tensor(codes[rows], device=device)
                c = self._encode_condition(None if condition is None else condition[rows], z.dtype)
                mean = module.likelihood.mean(module.decode(z, None if c is None else c.to(device)))
                out[rows] = self.layout_.decode(mean.cpu().numpy())
        return self.layout_.columns.join(out, condition)

    # -- conditions -------------------------------------------------------------------------------------

    def _read_condition(self, condition: Any, n_rows: int | None) -> np.ndarray | None:
        """Return given conditions as numbers; refuse them where none are expected, and their absence where they are."""
        columns = self.layout_.columns
        if not len(columns.condition):
            if condition is not None:
                raise ValueError(
                    "Got condition= for a model without conditions; expected None. Fit with condition_features=[...]."
                )
            return None
        if condition is None:
            raise ValueError(
                f"Got no condition; expected values of {columns.condition_names()}, which condition this model. Pass "
                "condition=, a frame or a mapping with these columns."
            )
        return read_condition(condition, columns, n_rows)

    def _own_condition(self, table: np.ndarray, condition: Any) -> np.ndarray | None:
        """Return given conditions for the rows of a validated table, or their own."""
        if condition is not None:
            return self._read_condition(condition, len(table))
        columns = self.layout_.columns
        return columns.conditioning(table) if len(columns.condition) else None

    def _encode_condition(self, condition: np.ndarray | None, dtype: torch.dtype) -> torch.Tensor | None:
        return None if condition is None else torch.as_tensor(self.layout_.conditions.encode(condition), dtype=dtype)

    # -- chunks -----------------------------------------------------------------------------------------

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

    def _inference(self, dtype: np.dtype) -> tuple[Any, torch.device]:
        module = self.net_.inference_module(torch.float64 if dtype == np.float64 else torch.float32)
        return module, next(module.parameters()).device

    def _map_rows(self, function: Callable, X: np.ndarray, *, out: np.ndarray, n_draws: int = 1) -> np.ndarray:
        """Fill ``out`` with ``function(module, rows)`` of the encoded rows of X, in chunks."""
        module, device = self._inference(X.dtype)
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        with torch_settings(n_threads=1, gradients=False):
            for rows in self._slices(len(X), n_draws):
                out[rows] = function(module, self.layout_.encode(X[rows], dtype=dtype).to(device))
        return out

    def _slices(self, n_rows: int, n_draws: int = 1) -> Iterator[slice]:
        """Yield parts of about a quarter of a million activations: they stay in the cache."""
        step = max(1, _CHUNK_ELEMENTS // (max(self.n_features_in_, self.net_.module_.width, 64) * n_draws))
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))


def _line(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (1.0 - share) * a + share * b


def _great_circle(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    lengths = [np.maximum(np.linalg.norm(end, axis=-1, keepdims=True), 1e-12) for end in (a, b)]
    cosine = np.clip(np.sum(a * b, axis=-1, keepdims=True) / (lengths[0] * lengths[1]), -1.0, 1.0)
    angle = np.arccos(cosine)
    # (almost) parallel or opposite codes, and one at the center, lie on no circle, or on many
    bent = (np.sin(angle) > 1e-6) & (np.minimum(*lengths) > 1e-12)
    sine = np.where(bent, np.sin(angle), 1.0)
    direction = (np.sin((1.0 - share) * angle) * a / lengths[0] + np.sin(share * angle) * b / lengths[1]) / sine
    return np.where(bent, direction * _line(lengths[0], lengths[1], share), _line(a, b, share))
