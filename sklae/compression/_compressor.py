"""Compression of tables, as an estimator."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoders.base import BaseAutoencoder
from sklae._tables.exact import Parts, put_together, take_apart
from sklae._utils.atomic import atomic
from sklae._utils.compat import Interval, fit_context
from sklae._utils.component import NestedParameters
from sklae._utils.persistent import Persistent, tell_other_version, version
from sklae._utils.progress import progress, stage
from sklae._utils.random import random_state_for
from sklae.compression._blob import Blob, digest, pack_apart, unpack_apart
from sklae.compression._bounds import column_bounds
from sklae.compression._coder import require
from sklae.compression._fitting import fit_table
from sklae.compression._images import Raster
from sklae.compression._model import Coded, TableModel
from sklae.networks._shapes import read_shape

__all__ = ["Compressor"]


class Compressor(NestedParameters, Persistent, BaseEstimator):
    """Compresses tables."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [BaseAutoencoder, None],
        "image_shape": [list, tuple, None],
        "max_error": [Interval(Real, 0, None, closed="left"), str, Mapping],
        "chunk_rows": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(self, autoencoder: Any = None, *, max_error: Any = 0.0, image_shape: Any = None, chunk_rows: int = 16_384, verbose: int = 0, random_state: Any = None):
        self.autoencoder = autoencoder
        self.max_error = max_error
        self.image_shape = image_shape
        self.chunk_rows = chunk_rows
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn."""
        require()
        parts = take_apart(X)
        if not len(parts):
            raise ValueError("Got a table of 0 rows (0 sample(s)); expected at least 1.")
        bounds = column_bounds(self.max_error, parts)
        shape = self.image_shape
        raster = None if shape is None else Raster(read_shape(shape, len(bounds), "Compressor"))
        with atomic(self):
            with stage(self, "learned the model"):
                fitted = fit_table(parts, bounds, raster, self.autoencoder, random_state_for(self.random_state))
            content = fitted.content()
            # what others will read, no more
            self.model_ = TableModel.of_content(content, fitted.book and fitted.book.autoencoder)
            self.model_name_, self.model_bytes_ = digest(content), len(content)
            self.n_features_in_ = len(bounds)
            self.max_error_ = np.array(bounds)
        return self

    def compress(self, X: Any, *, include_model: bool = True) -> bytes:
        """Compress."""
        parts = self._parts(X)
        starts = range(0, len(parts), self.chunk_rows)
        chunks, n_rows = [], []
        for start in progress(starts, "compress", verbose=bool(self.verbose)):
            chunk = parts.rows(slice(start, start + self.chunk_rows))
            chunks.append(_encoded(self.model_, chunk))
            n_rows.append(len(chunk))
        model = self.model_.content() if include_model else b""
        return Blob(version(), self.model_name_, model, n_rows, chunks).content()

    def decompress(self, data: bytes, *, rows: slice | None = None) -> Any:
        """Decompress."""
        require()
        blob = Blob.of_content(data, whole=rows is None)
        tell_other_version("compressed table", blob.version)
        model = self._model_of(blob)
        starts = np.concatenate([[0], np.cumsum(blob.n_rows)]).astype(int).tolist()
        first, last, step = (rows or slice(None)).indices(starts[-1])
        if step != 1:
            raise ValueError(f"Got rows={rows!r}; expected a slice without a step.")
        parts = []
        for number, start in enumerate(starts[:-1]):
            part = slice(max(first - start, 0), max(last - start, 0))
            if part.start < blob.n_rows[number] and part.stop > part.start:
                parts.append(_decoded(model, blob.chunk(number), blob.n_rows[number]).rows(part))
        return put_together(Parts.joined(model.schema, parts))

    def score(self, X: Any, y: Any = None) -> float:
        """Score."""
        parts = self._parts(X)
        starts = range(0, len(parts), self.chunk_rows)
        bits = sum(self.model_.bits(parts.rows(slice(start, start + self.chunk_rows))) for start in starts)
        return -bits / len(parts)

    def _parts(self, X: Any) -> Parts:
        check_is_fitted(self)
        require()
        parts = take_apart(X)
        own, other = self.model_.schema, parts.schema
        if own == other:
            return parts
        raise ValueError("other schema")

    def _model_of(self, blob: Blob) -> TableModel:
        if blob.model:
            return TableModel.of_content(blob.model)
        name = getattr(self, "model_name_", None)
        if name != blob.model_name:
            raise ValueError("other model")
        return self.model_


def _encoded(model: TableModel, parts: Parts) -> bytes:
    """Return rows as bytes that were seen to come back as promised."""
    coded = model.encode(parts)
    content = struct.pack("<I", len(coded.symbols)) + coded.symbols + pack_apart(coded.apart)
    if not model.is_kept(parts, _decoded(model, content, len(parts))):
        raise RuntimeError("Got other cells back than went in; this is a fault of sklae's. Nothing was written.")
    return content


def _decoded(model: TableModel, content: bytes, n_rows: int) -> Parts:
    (n_symbols,) = struct.unpack_from("<I", content)
    apart = unpack_apart(content[4 + n_symbols :], model.n_columns + 1)
    return model.decode(Coded(content[4 : 4 + n_symbols], apart), n_rows)
