"""What a fit trains on: tables, validated, learned from and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from sklae._autoencoders.checks import check_iterators, check_support
from sklae._autoencoders.defaults import default_n_held_out
from sklae._tables.columns import Columns
from sklae._tables.layout import Layout, LayoutReader, Rows, rows_per_chunk
from sklae._tables.sources import Picked, RowSource, regrouped
from sklae._tables.validation import check_table
from sklae._tables.weights import weights_of
from sklae._training.batches import MOST_SAMPLED, EncodedRows, StreamedRows
from sklae._utils.ahead import ahead
from sklae._utils.progress import progress
from sklae._utils.random import some_rows
from sklae._utils.warnings import told_once
from sklae.likelihoods import Likelihood

__all__ = ["FitInput", "RowReader", "SourceReader", "TrainingRows", "read_columns", "reader_for"]

_NO_COLUMNS = _NO_ROWS = np.empty(0, dtype=int)

T = TypeVar("T")

#: Likelihoods of single kinds of columns, and the columns of each.
Leaves = list[tuple[Likelihood, np.ndarray]]


class FitInput(NamedTuple):
    """What ``fit`` was given.

    Attributes
    ----------
    X : array-like, Table or RowSource
    X_val, X_clean : array-like, frame or None
        Validation rows, and what the rows of X are damaged versions of.
    columns : Columns or None
        Read already, from a table that X is a part of.
    max_rows : int or None
        Train on at most so many random rows of X. Columns and their scales are learned from all.
    levels : mapping or None
        Of a piece of a stream: what levels of columns there are, whether they occur in it or not.
    weights : ndarray of shape (n_samples,) or None
        How much each row of X counts, above 0 and of mean 1; None: all alike.
    """

    X: Any
    X_val: Any = None
    X_clean: Any = None
    columns: Columns | None = None
    max_rows: int | None = None
    levels: Mapping[Any, Sequence[Any]] | None = None
    weights: np.ndarray | None = None

    @property
    def is_piece(self) -> bool:
        """Whether there is more to come, so that levels may occur later."""
        return self.levels is not None

    @property
    def told(self) -> dict[str, Any]:
        """How many unknown levels `Categories.encode` tells of: of a piece of a stream any."""
        return {"most_unknown": 0.0} if self.is_piece else {}


class TrainingRows(NamedTuple):
    """Encoded rows to train and to validate on, and the layout that encoded them.

    Attributes
    ----------
    layout : Layout
    train : EncodedRows or StreamedRows
    valid : EncodedRows or None
    held_out : bool
        Whether rows to validate on were taken from those to train on.
    weights : ndarray or None
        How much each row of `sample` counts; None: all alike.
    """

    layout: Layout
    train: EncodedRows | StreamedRows
    valid: EncodedRows | None
    held_out: bool = False
    weights: np.ndarray | None = None

    def sample(self) -> list[Rows]:
        """Return rows for what is learned from them before the first step, those held out after the others."""
        held_out = [self.valid.sample()] if self.held_out and self.valid is not None else []
        return [self.train.sample(), *held_out]


def read_columns(estimator: Any, chunks: Iterable[Any], levels: Mapping[Any, Sequence[Any]] | None = None) -> Columns:
    """Return the columns of a table that the estimator is to be fitted to, from its parts."""
    return Columns.learn(chunks, estimator.condition_features, estimator.categorical_features, levels)


class RowReader:
    """Validates and encodes the tables of a fit.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Whose parameters say how, and which learns names and number of columns.
    likelihood : Likelihood
    seed : int
        For the choice of rows to hold out, or to train on.
    holds_out : bool
        Whether rows are held out where none are given to validate on.
    """

    def __init__(self, estimator: Any, likelihood: Likelihood, seed: int, *, holds_out: bool):
        self.estimator = estimator
        self.likelihood = likelihood
        self.seed = seed
        self.holds_out = holds_out

    def read(self, given: FitInput, layout: Layout | None = None) -> TrainingRows:
        """Return what to train on, in a given layout or in one that is learned from all training rows."""
        if given.weights is not None:
            check_iterators(self.estimator.net_params)
        columns = given.columns if layout is None else layout.columns
        if columns is None:
            first = given.X if given.X_clean is None else given.X_clean
            columns = read_columns(self.estimator, [first], given.levels)

        def check(table: Any, **settings: Any) -> np.ndarray:
            return check_table(self.estimator, columns.categories.encode(table, **given.told), **settings)

        table = check(given.X, reset=layout is None, min_samples=2 if layout is None else 1)
        clean = None if given.X_clean is None else check(given.X_clean, reset=False, name="X_clean")
        if clean is not None and len(clean) != len(table):
            raise ValueError(
                f"Got {len(table)} rows in X and {len(clean)} in X_clean; expected pairs. Pass the same rows in the "
                "same order."
            )
        valid = None if given.X_val is None else check(given.X_val, reset=False, name="X_val")
        if valid is not None and clean is not None:
            raise ValueError(
                "Got X_clean and X_val; expected one of them, since validation rows have no clean version to compare "
                "with. Leave X_val out: early_stopping='auto' and True hold pairs out."
            )
        if valid is not None and np.isnan(valid).all():
            raise ValueError(
                "Got X_val without a single value; expected rows that a loss can be taken of. Leave it out, or hold "
                "rows of X out by early_stopping=True."
            )
        rows_valid = self.held_out(len(table), has_validation=valid is not None)
        rows = None if rows_valid is None else np.delete(np.arange(len(table)), rows_valid)
        if layout is None:
            reader = self.reader(columns, is_piece=given.is_piece)
            layout = reader.read(table if clean is None else clean, weights=given.weights)
        encode = RowEncoder(layout, self.likelihood)
        rows = self._some_of(len(table), rows, given.max_rows)
        weights = weights_of(rows, given.weights)
        train = encode(table, clean, rows, weights)
        if valid is not None:
            return TrainingRows(layout, train, encode(valid), weights=weights)
        if rows_valid is None:
            return TrainingRows(layout, train, None, weights=weights)
        held_out = weights_of(rows_valid, given.weights)
        everything = None if weights is None or held_out is None else np.concatenate([weights, held_out])
        valid_rows = encode(table, clean, rows_valid, held_out)
        return TrainingRows(layout, train, valid_rows, held_out=True, weights=everything)

    def reader(self, columns: Columns, *, is_piece: bool = False) -> LayoutReader:
        """Return what learns a layout of these columns from the rows it is shown, or from the first of more."""
        blocks, leaves = self.likelihood.assign(columns), self.likelihood.leaves(columns)
        columns = columns.treat_as_numbers(_where(leaves, lambda part: not part.discrete))
        _check_categories(leaves, columns)
        return LayoutReader(
            columns,
            standardize=self._standardizes(leaves),
            together=self.estimator.standardize == "global",
            clip=self.estimator.clip,
            clips=_each_column(leaves, lambda part: part.standardize),
            blocks=tuple((name, indices) for name, _, indices in blocks),
            has_grid=_each_column(leaves, lambda part: part.reads_grid),
            is_piece=is_piece,
        )

    def _standardizes(self, leaves: Leaves) -> np.ndarray:
        """Return for each modelled column whether it is centred and scaled."""
        given = self.estimator.standardize
        for part, _ in leaves:
            if given is True and not part.standardize:
                raise ValueError(
                    f"Got standardize={given!r} with {part!r}, whose data must lie in {part.support}; expected 'auto' "
                    "or False."
                )
        scaled = _each_column(leaves, lambda part: part.standardize if isinstance(given, str) else given)
        if given == "global" and not scaled.any():
            raise ValueError(
                f"Got standardize='global' with {leaves[0][0]!r}, whose data must lie in {leaves[0][0].support}; "
                "expected 'auto' or False."
            )
        return scaled

    def held_out(self, n_samples: int, *, has_validation: bool) -> np.ndarray | None:
        """Return which rows to validate on, sorted; None for none."""
        if not self.holds_out or has_validation:
            return None
        fraction = self.estimator.validation_fraction
        is_auto = isinstance(fraction, str)
        n_valid = default_n_held_out(n_samples) if is_auto else int(np.ceil(fraction * n_samples))
        if is_auto and n_valid < 1 and self.estimator.early_stopping == "auto":
            return None  # of four rows or fewer
        if n_valid < 1 or n_samples - n_valid < 2:
            raise ValueError(
                f"Got {n_samples} rows and validation_fraction={fraction}; expected at least 2 rows to "
                "train on and 1 to validate on. Pass more rows, or X_val, or early_stopping=False."
            )
        return some_rows(n_samples, n_valid, np.random.RandomState(self.seed))

    def _some_of(self, n_samples: int, rows: np.ndarray | None, max_rows: int | None) -> np.ndarray | None:
        """Return at most so many of the rows (None: of all), at random."""
        n_rows = n_samples if rows is None else len(rows)
        if max_rows is None or n_rows <= max_rows:
            return rows
        chosen = some_rows(n_rows, max_rows, np.random.RandomState(self.seed))
        return chosen if rows is None else rows[chosen]


class SourceReader:
    """Learns from a source chunk by chunk; what it reads is encoded as training goes. Parameters as of `RowReader`."""

    def __init__(self, estimator: Any, likelihood: Likelihood, seed: int, *, holds_out: bool):
        self.estimator = estimator
        self.likelihood = likelihood
        self.seed = seed
        self.rows = RowReader(estimator, likelihood, seed, holds_out=holds_out)

    def read(self, given: FitInput, layout: Layout | None = None) -> TrainingRows:
        """Return what to train on, in a given layout or in one that is learned from all rows to train on."""
        source: RowSource = given.X
        if given.X_clean is not None:
            raise ValueError("Got a source of rows and X_clean; expected one of them. Damage rows by corruption=.")
        if len(source) < 2:
            raise ValueError(f"Got a source of {len(source)} rows; expected at least 2.")
        held_out = self.rows.held_out(len(source), has_validation=given.X_val is not None)
        left_out = _NO_ROWS if held_out is None else held_out
        picked = Picked(left_out)
        sample = Picked(some_rows(len(source) - len(left_out), MOST_SAMPLED, np.random.RandomState(self.seed)))
        if layout is None:
            columns = read_columns(
                self.estimator, self._told(source.checked_chunks(), "kinds and levels", source), given.levels
            )
            reader = self.rows.reader(columns, is_piece=given.is_piece)
            tables = self._told(self._tables(source, columns, picked, sample, resets=True), "scales and gaps", source)
            for table in regrouped(tables, rows_per_chunk(columns.n_total)):  # so that sums are those of a table
                reader.update(table)
            learned = reader.finish()
        else:
            learned = layout
            for _ in self._tables(source, layout.columns, picked, sample, **given.told):
                pass  # refused and told of before any work
        encode = RowEncoder(learned, self.likelihood)

        def encode_chunk(chunk: Any) -> Rows:
            return encode(self._check(chunk, learned.columns, most_unknown=None)).targets  # was told already

        train = StreamedRows(
            source,
            encode_chunk,
            encode(np.concatenate(sample.parts)).targets,
            left_out=left_out,
            is_checked=layout is None and not encode.refuses,
        )
        valid = np.concatenate(picked.parts) if len(left_out) else None
        if given.X_val is not None:
            valid = self._check(given.X_val, learned.columns, name="X_val")
        encoded = None if valid is None else encode(valid)
        return TrainingRows(learned, train.kept(), encoded, held_out=bool(len(left_out)))

    def _told(self, parts: Iterator[T], task: str, source: RowSource) -> Iterable[T]:
        return progress(parts, task, verbose=bool(self.estimator.verbose), total=len(source))

    def _tables(
        self,
        source: RowSource,
        columns: Columns,
        held_out: Picked,
        sample: Picked,
        *,
        resets: bool = False,
        **told: Any,
    ) -> Iterator[np.ndarray]:
        """Yield the validated rows; pick those held out on the way, and a sample of the others."""
        n_before = 0
        with told_once():
            for start, chunk in ahead(source.placed_chunks()):
                table = self._check(chunk, columns, reset=resets and start == 0, **told)
                others = np.delete(table, held_out.see(start, table), axis=0)
                sample.see(n_before, others)
                n_before += len(others)
                yield table

    def _check(self, table: Any, columns: Columns, *, reset: bool = False, name: str = "X", **told: Any) -> np.ndarray:
        return check_table(self.estimator, columns.categories.encode(table, **told), reset=reset, name=name)


class RowEncoder:
    """Encodes validated tables to be trained on; refuses values that no likelihood takes.

    Parameters
    ----------
    layout : Layout
    likelihood : Likelihood
    """

    def __init__(self, layout: Layout, likelihood: Likelihood):
        self.layout = layout
        self.supports = [(part.support, indices) for part, indices in likelihood.leaves(layout.columns)]

    @property
    def refuses(self) -> bool:
        """Whether there are numbers that a likelihood does not take; codes of levels it takes."""
        is_number = self.layout.columns.n_levels() == 0
        return any(support.is_bounded and is_number[indices].any() for support, indices in self.supports)

    def __call__(
        self,
        table: np.ndarray,
        clean: np.ndarray | None = None,
        rows: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> EncodedRows:
        """Return rows of a table (all for None), what they are damaged versions of, and how much each counts."""
        inputs = self.layout.encode(table, rows=rows)
        targets = inputs if clean is None else self.layout.encode(clean, rows=rows)
        check_support(targets, self.supports)
        bounds = self.layout.clip_bounds
        if bounds is not None:
            targets.x.clamp_(*bounds)
        weight = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
        return EncodedRows(inputs, targets, weight)


def reader_for(X: Any) -> type[RowReader] | type[SourceReader]:
    """Return what reads a table, or a source of rows."""
    return SourceReader if isinstance(X, RowSource) else RowReader


def _where(leaves: Leaves, chosen: Callable[[Likelihood], bool]) -> np.ndarray:
    """Return the columns whose likelihood is chosen."""
    return np.concatenate([_NO_COLUMNS, *(indices for part, indices in leaves if chosen(part))])


def _check_categories(leaves: Leaves, columns: Columns) -> None:
    """Refuse categories under a likelihood of numbers."""
    levels = columns.n_levels()
    for part, indices in leaves:
        wrong = indices[levels[indices] > 0]
        if len(wrong) and not part.discrete:
            names = columns.labels()[wrong[:5]].tolist()
            raise ValueError(
                f"Got columns of categories, {names}, with the likelihood {part!r}, which is one of numbers; expected "
                "likelihood='auto', or a list of blocks that has these under 'categorical'. Or encode them first, "
                "with OneHotEncoder."
            )


def _each_column(leaves: Leaves, answer: Callable[[Likelihood], bool]) -> np.ndarray:
    """Return for each modelled column what is true of its likelihood."""
    answers = np.empty(sum(len(indices) for _, indices in leaves), dtype=bool)
    for part, indices in leaves:
        answers[indices] = answer(part)
    return answers
