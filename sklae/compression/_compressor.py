"""Compression of tables, as an estimator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoders.autoencoder import AutoencoderTransformer
from sklae._autoencoders.base import BaseAutoencoder
from sklae._autoencoders.vae import VAETransformer
from sklae._tables.annotations import ArrayOrFrame, TableLike
from sklae._tables.exact import Parts, put_together, take_apart
from sklae._utils.atomic import atomic
from sklae._utils.compat import Interval, available_if, fit_context
from sklae._utils.component import NestedParameters
from sklae._utils.persistent import Persistent, tell_other_version, version
from sklae._utils.progress import progress, stage
from sklae._utils.random import random_state_for
from sklae.compression._blob import Blob, digest
from sklae.compression._bounds import column_bounds
from sklae.compression._chunks import decode_chunk, encode_chunk
from sklae.compression._coder import require
from sklae.compression._fitting import fit_table
from sklae.compression._images import Raster
from sklae.compression._model import TableModel, as_numbers
from sklae.networks._shapes import read_shape

__all__ = ["Compressor"]


def _has_codes(compressor: Compressor) -> bool:
    if compressor.autoencoder is None:
        raise AttributeError("without an autoencoder there are no codes; pass one as autoencoder")
    return True


class Compressor(NestedParameters, Persistent, BaseEstimator):
    """Compresses tables and images: numbers within an error that is never exceeded, or everything without loss.

    `fit` learns how the columns of a table go together. Each column is written given those before it (and given the row
    before, where rows are in order): as what is left of a prediction, coded by a range coder under distributions that
    the leaves of a small decision tree hold. Per column the way that takes the fewest bits is chosen, the model's own
    bits counted. Everything that decoder and encoder must agree on is integers.

    With an ``autoencoder`` its rounded codes are written first, under a prior that is learned alike; what its decoder
    says of a row is then one more thing that columns are told from, and the center that errors are counted from.

    Parameters
    ----------
    autoencoder : AutoencoderTransformer, VAETransformer or None, default=None
        A clone is fitted, and its weights are rounded to 11 bits. Its decoder is part of the model, and counts: without
        loss it is kept only where all in all it saves bits. None: columns are told from each other alone, which on
        tables is hard to beat.
    max_error : float, str or mapping, default=0.0
        How far numbers may be from those that went in. 0.0: not at all. A number: in the columns' units. ``"1%"``: a
        share of each column's range in `fit` (of images, of that of all pixels). A mapping of columns, by name or
        position, to these: columns that are not named come back exactly. ``float("inf")``: no bound; with an
        autoencoder its word alone. Only columns of floats and integers are rounded, integers to integers; booleans,
        categories, text, dates and times, NaN and infinite values always come back as they are.
    image_shape : tuple of int or None, default=None
        If rows are images: (height, width), (n_channels, height, width) or (height, width, n_channels). All pixels
        share one model, and are told from those above and to the left.
    chunk_rows : int, default=16,384
        Rows that are coded together, and can be read without the others. Memory grows with it.
    verbose : int, default=0
        1 prints how long `fit` took, and shows the progress of chunks.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that trees are grown on, and seeds the autoencoder unless it has a ``random_state`` of its own.

    Attributes
    ----------
    model_bytes_ : int
        Size of the model, which `compress` puts beside the rows unless told otherwise.
    model_name_ : str
        Digest of the model, by which what was compressed without it knows it.
    max_error_ : ndarray of shape (n_features,)
        Largest error of each column, in its units; 0 for columns that are exact.
    autoencoder_ : estimator
        The fitted autoencoder, where there is one.
    uses_autoencoder_ : bool
        Whether rows are coded with its help.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, where all are strings.

    See Also
    --------
    rate_distortion_curve : Bits beside errors, for a plot.

    Notes
    -----
    Frames come back in their library, with columns, names, dtypes and levels; the index of a pandas frame is not kept:
    ``reset_index()`` makes columns of it. A float is written by its decimals where the column has few.

    With ``max_error`` above 0 the difference of two floats, as Python computes it, is at most that: every cell is
    checked, and those that would be further off are written as they are. Since ``0.4 - 0.3 > 0.1`` by a rounding error,
    a bound a hair above the last decimal (0.1000001) may take fewer bytes than one right at it.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae.compression import Compressor
    >>> X = load_wine().data
    >>> compressor = Compressor(random_state=0).fit(X)
    >>> data = compressor.compress(X)
    >>> len(data) < X.nbytes / 4
    True
    >>> bool((Compressor().decompress(data) == X).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [BaseAutoencoder, None],
        "max_error": [Real, str, Mapping],
        "image_shape": [list, tuple, None],
        "chunk_rows": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        autoencoder: AutoencoderTransformer | VAETransformer | None = None,
        *,
        max_error: float | str | Mapping[str, float | str] = 0.0,
        image_shape: tuple[int, ...] | None = None,
        chunk_rows: int = 16_384,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.autoencoder = autoencoder
        self.max_error = max_error
        self.image_shape = image_shape
        self.chunk_rows = chunk_rows
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: TableLike, y: object = None) -> Self:
        """Learn how to write rows like these.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), or frame of pandas, polars or pyarrow
            Rows to learn from: those to compress, or some like them.
        y : ignored
            Present for the API.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            For bad parameters, and for tables with cells that can't be written. The estimator is then as it was.
        ImportError
            Without constriction: ``pip install "sklae[compress]"``.
        """
        require()
        parts = take_apart(X)
        if not len(parts):
            raise ValueError("Got a table with 0 sample(s); expected a minimum of 1 row to learn from.")
        bounds = column_bounds(self.max_error, parts, pooled=self.image_shape is not None)
        raster = None
        if self.image_shape is not None:
            raster = Raster(read_shape(self.image_shape, len(bounds), "Compressor(image_shape=)"))
        with atomic(self):
            with stage(self, "the model"):
                fitted = fit_table(parts, bounds, raster, self.autoencoder, random_state_for(self.random_state))
            content = fitted.model.content()
            self.autoencoder_ = fitted.autoencoder
            self.uses_autoencoder_ = fitted.model.book is not None
            # what others will read, and no more
            self._model = TableModel.of_content(content, fitted.model.book and fitted.autoencoder)
            self._book = fitted.book
            self.model_name_, self.model_bytes_ = digest(content), len(content)
            self.max_error_ = np.array(bounds)
            self.n_features_in_ = len(bounds)
            names = parts.schema.get("names") or [f"s{name}" for name in parts.names]
            self.__dict__.pop("feature_names_in_", None)
            if parts.schema["library"] != "numpy" and all(name.startswith("s") for name in names):
                self.feature_names_in_ = np.array(parts.names, dtype=object)
        return self

    def compress(self, X: TableLike, *, include_model: bool = True) -> bytes:
        """Return rows as bytes.

        Parameters
        ----------
        X : array or frame of shape (n_samples, n_features)
            With the columns and dtypes that were fitted.
        include_model : bool, default=True
            Whether the model is in the bytes. Without, they can be read by this estimator alone, or by its copy: see
            `sklae.save`.

        Returns
        -------
        data : bytes
            The same for the same rows.

        Raises
        ------
        ValueError, TypeError
            For other columns or dtypes than those that were fitted.
        """
        parts = self._read(X)
        chunks, n_rows = [], []
        for chunk in progress(list(self._chunks(parts)), "compress", verbose=bool(self.verbose)):
            chunks.append(encode_chunk(self._model, chunk))
            n_rows.append(len(chunk))
        model = self._model.content() if include_model else b""
        return Blob(version(), self.model_name_, model, n_rows, chunks).content()

    def decompress(self, data: bytes, *, rows: slice | None = None) -> ArrayOrFrame:
        """Return the rows that became bytes.

        Parameters
        ----------
        data : bytes
            What `compress` returned; with the model in it, an estimator that was not fitted reads it, too.
        rows : slice or None, default=None
            Which rows; only their chunks are read. None: all.

        Returns
        -------
        X : array or frame of shape (n_samples, n_features)
            In the container, the columns and the dtypes that were fitted.

        Raises
        ------
        ValueError, TypeError
            For what is damaged, cut short, something else, or was compressed without the model by another estimator.
        """
        require()
        blob = Blob.of_content(data, whole=rows is None)
        tell_other_version("compressed table", blob.version)
        model = self._model_of(blob)
        starts = np.concatenate([[0], np.cumsum(blob.n_rows)]).astype(int).tolist()
        if rows is not None and not isinstance(rows, slice):
            raise TypeError(f"Got rows={rows!r}; expected a slice, such as slice(100, 200), or None for all.")
        first, last, step = (slice(None) if rows is None else rows).indices(starts[-1])
        if step != 1:
            raise ValueError(f"Got rows={rows!r}; expected a slice without a step. Take every so many rows afterwards.")
        wanted = [i for i, start in enumerate(starts[:-1]) if start < last and starts[i + 1] > first]
        parts = []
        for i in progress(wanted, "decompress", verbose=bool(self.verbose)):
            chunk = decode_chunk(model, blob.chunk(i), blob.n_rows[i])
            parts.append(chunk.rows(slice(max(first - starts[i], 0), last - starts[i])))
        return put_together(Parts.joined(model.schema, parts))

    def score(self, X: TableLike, y: object = None) -> float:
        """Return minus the bits that a row takes, on average, without the model: greater is better.

        It is the log2-likelihood that the model gives to rows as they are written (to their cells within
        ``max_error``), which `compress` comes up to within a few bytes a chunk.

        Parameters
        ----------
        X : array or frame of shape (n_samples, n_features)
            Rows with the columns and dtypes that were fitted.
        y : ignored
            Present for the API.

        Returns
        -------
        score : float
            In bits per row, negative.
        """
        parts = self._read(X)
        return -sum(self._model.bits(chunk) for chunk in self._chunks(parts)) / max(len(parts), 1)

    @available_if(_has_codes)
    def transform(self, X: TableLike) -> np.ndarray:
        """Return the rounded codes of rows, as integers: multiples of a step of each component.

        Parameters
        ----------
        X : array or frame of shape (n_samples, n_features)
            Rows with the columns and dtypes that were fitted.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), int64
            One row of them for each row.
        """
        parts = self._read(X)
        assert self._book is not None
        codes = [self._book.codes(as_numbers(self._model, chunk)) for chunk in self._chunks(parts)]
        return np.concatenate([np.stack([series.values for series in each], axis=1) for each in codes])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def _read(self, X: Any) -> Parts:
        """Return the parts of a table with the columns that were fitted."""
        check_is_fitted(self)
        require()
        parts = take_apart(X)
        own, other = self._model.schema, parts.schema
        if own == other:
            return parts
        if own["library"] != other["library"] or len(own["columns"]) != len(other["columns"]):
            shapes = [f"{len(each['columns'])} columns of {each['library']}" for each in (other, own)]
            raise ValueError(
                f"X has {len(other['columns'])} features, but Compressor is expecting {len(own['columns'])} features "
                f"as input. Got {shapes[0]}; expected {shapes[1]}, as fitted."
            )
        for fitted, given in zip(own["columns"], other["columns"], strict=True):
            if fitted != given:
                if fitted["name"] != given["name"] and given["name"] in {each["name"] for each in own["columns"]}:
                    raise ValueError(
                        f"Got column {given['name']!r} in the place of {fitted['name']!r}; expected columns in the "
                        "order of fit. Select them: X[list(compressor.feature_names_in_)]."
                    )
                if all(fitted[key] == given[key] for key in ("name", "kind")) and _told(fitted) == _told(given):
                    raise ValueError(
                        f"Got column {given['name']!r} with other levels, or others in another order, than fit has "
                        "seen; expected the same dtype. Cast it: X.astype(dtypes_of_fit), or fit to such rows."
                    )
                raise ValueError(
                    f"Got column {given['name']!r} of kind {given['kind']} and dtype {_told(given)}; expected "
                    f"{fitted['name']!r} of kind {fitted['kind']} and dtype {_told(fitted)}, as fitted. Cast it, or "
                    "fit to such rows."
                )
        raise ValueError(
            f"Got a table of dtype {other.get('dtype', 'another schema')}; expected "
            f"{own.get('dtype', 'the schema')}, as fitted. Cast it, or fit to such rows."
        )

    def _chunks(self, parts: Parts) -> Iterator[Parts]:
        for start in range(0, len(parts), self.chunk_rows):
            yield parts.rows(slice(start, start + self.chunk_rows))

    def _model_of(self, blob: Blob) -> TableModel:
        if blob.model:
            return TableModel.of_content(blob.model)
        own = getattr(self, "model_name_", None)
        if own != blob.model_name:
            has = "is not fitted" if own is None else f"has {own}"
            raise ValueError(
                f"Got a table that was compressed without its model, {blob.model_name}, and an estimator that {has}; "
                "expected the one that compressed it. Load that one, or compress with include_model=True."
            )
        return self._model


def _told(column: dict[str, Any]) -> Any:
    """Return the dtype of a column in words."""
    dtype = column.get("dtype", "of the array")
    return dtype.get("name", "category") if isinstance(dtype, dict) else dtype
