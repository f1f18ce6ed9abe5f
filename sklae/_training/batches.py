"""Encoded rows as a dataset, and batches as slices of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.dataset import Dataset

from sklae._tables.layout import Rows
from sklae._tables.sources import RowSource, rows_within
from sklae._utils.ahead import ahead

__all__ = [
    "MOST_SAMPLED",
    "Batch",
    "Batches",
    "EncodedRows",
    "SeenBatch",
    "StreamedRows",
    "as_rows",
    "n_batches",
]

# Up to here a permuted copy per epoch is cheaper than gathering each batch; past it memory counts.
_SMALL_ELEMENTS = 2**21
#: Of a source, what is learned before the first step is learned from so many rows.
MOST_SAMPLED = 10_000
# Rows of a source that take no more numbers than this are read once and kept.
_MOST_KEPT = 2**22
# So many numbers of a source's rows are shuffled together: 32 MB.
_TOGETHER_ELEMENTS = 2**23


class Batch(NamedTuple):
    """Rows to train on.

    Attributes
    ----------
    rows : Rows
        The inputs.
    target : Rows
        What to reconstruct; the inputs themselves, or others.
    weight : Tensor of shape (n_rows,) or None
        How much each row counts, of mean 1 over the dataset; None: all alike.
    """

    rows: Rows
    target: Rows
    weight: torch.Tensor | None = None

    @classmethod
    def of(cls, inputs: Any, target: Any = None) -> Batch:
        """Return a batch of what skorch's datasets hold: tensors, arrays, dicts or tuples of these."""
        rows = as_rows(inputs)
        return cls(rows, rows if target is None or target is inputs else as_rows(target))

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.rows.x)

    def to(self, device: Any) -> Batch:
        """Return the batch on a device."""
        rows = self.rows.to(device)
        weight = None if self.weight is None else self.weight.to(device)
        return Batch(rows, rows if self.target is self.rows else self.target.to(device), weight)

    def take(self, index: slice | torch.Tensor) -> Batch:
        """Return some of the rows, taken once where inputs and target are the same tensors."""
        rows = self.rows.take(index)
        weight = None if self.weight is None else self.weight[index]
        return Batch(rows, rows if self.target is self.rows else self.target.take(index), weight)


class SeenBatch(tuple):
    """A batch as callbacks see it: skorch's pair of inputs and targets, with ``rows`` and ``target`` as attributes.

    Inputs are a tensor, or a dict of tensors where rows have gaps or conditions; targets are a tensor, encoded values
    with what stands in for gaps.
    """

    rows: Rows
    target: Rows

    def __new__(cls, batch: Batch) -> SeenBatch:
        seen = super().__new__(cls, (as_inputs(batch.rows), batch.target.x))
        seen.rows, seen.target = batch.rows, batch.target
        return seen

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.rows.x)


def as_inputs(rows: Rows) -> Any:
    """Return rows as PyTorch's own DataLoader can collate them: a tensor, or a dict of several."""
    there = {name: part for name, part in rows._asdict().items() if part is not None}
    return rows.x if len(there) == 1 else there


def as_rows(data: Any) -> Rows:
    """Return rows of what skorch's datasets hold."""
    if isinstance(data, Rows):
        return data
    if isinstance(data, Mapping):
        return Rows(**{name: torch.as_tensor(part) for name, part in data.items()})
    parts = data if isinstance(data, (tuple, list)) else (data,)
    return Rows(*(torch.as_tensor(part) for part in parts))


class EncodedRows(Dataset):
    """A skorch dataset of encoded rows and what to reconstruct.

    Parameters
    ----------
    rows : Rows
        The inputs.
    targets : Rows or None, default=None
        What to reconstruct. None: the inputs themselves.
    weight : Tensor of shape (n_rows,) or None, default=None
        How much each row counts, beside the others. None: all alike.
    """

    def __init__(self, rows: Rows, targets: Rows | None = None, weight: torch.Tensor | None = None):
        self.rows = rows
        self.targets = rows if targets is None else targets
        self.weight = None if weight is None else weight / weight.mean()
        self._moved: tuple[Any, Batch] | None = None
        super().__init__(as_inputs(rows), self.targets.x)

    def __getitem__(self, i: Any) -> Any:
        """Return a row as PyTorch's own DataLoader asks for it: with what was observed of its target."""
        inputs, x = super().__getitem__(i)
        observed = self.targets.observed
        return inputs, x if observed is None else (x, observed[i])

    @property
    def _whole(self) -> Batch:
        return Batch(self.rows, self.targets, self.weight)

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, device: Any = "cpu"
    ) -> Iterator[Batch]:
        """Yield all rows in batches, shuffled where there is a generator."""
        yield from _in_slices(self._on(device), batch_size, generator)

    def _on(self, device: Any) -> Batch:
        """Return all rows on a device, where they stay for further epochs."""
        if self._moved is None or self._moved[0] != device:
            self._moved = device, self._whole.to(device)
        return self._moved[1]

    def sample(self) -> Rows:
        """Return rows for what is learned from some of them before the first step: here, all."""
        return self.targets

    def head(self, n_rows: int) -> EncodedRows:
        """Return the first rows."""
        return EncodedRows(*self._whole.take(slice(n_rows)))

    def repeated(self, n_copies: int) -> EncodedRows:
        """Return all rows, so many times one after the other."""
        if n_copies == 1:
            return self
        return EncodedRows(*self._whole.take(torch.arange(self._whole.n_rows).repeat(n_copies)))

    def check(self, likelihood: Any) -> None:
        """Let a built likelihood refuse what it is not defined for."""
        likelihood.check(self.targets.x, self.targets.observed)


class StreamedRows(Dataset):
    """Rows of a source, encoded as they are read.

    Parameters
    ----------
    source : RowSource
    encode : callable
        Table -> Rows.
    some : Rows
        Some of the rows, at random, for what is learned before the first step.
    left_out : ndarray of int
        Positions of rows that are not trained on, sorted.
    is_checked : bool
        Whether a likelihood is known to take all of them.
    """

    def __init__(
        self, source: RowSource, encode: Callable[[Any], Rows], some: Rows, *, left_out: np.ndarray, is_checked: bool
    ):
        self.source = source
        self.encode = encode
        self.some = some
        self.left_out = left_out
        self.is_checked = is_checked
        super().__init__(source, length=len(source) - len(left_out))

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, device: Any = "cpu"
    ) -> Iterator[Batch]:
        """Yield all rows in batches; where there is a generator, shuffled in groups of as many as fit in memory.

        All of them, if they fit: then in the order in which rows in memory would come.
        """
        n_left, n_together = n_batches(len(self), batch_size), batch_size
        order = None
        if generator is not None:
            n_together = max(batch_size, _TOGETHER_ELEMENTS // self._n_elements)
            if n_together < len(self):
                order = np.random.RandomState(int(torch.randint(2**31, (), generator=generator)))
        waiting: list[Rows] = []
        n_waiting = n_read = 0
        for rows in self._pieces(order):
            waiting.append(rows)
            n_waiting, n_read = n_waiting + len(rows.x), n_read + len(rows.x)
            is_last = n_read == len(self)
            if n_waiting < n_together and not is_last:
                continue
            whole = Batch.of(Rows.concatenate(waiting).to(device))
            if generator is not None:
                whole = whole.take(torch.randperm(n_waiting, generator=generator).to(device))
            start = 0
            while n_left > 1 and n_waiting - start >= batch_size:
                yield whole.take(slice(start, start + batch_size))
                start, n_left = start + batch_size, n_left - 1
            rest = whole.take(slice(start, None))
            if is_last:
                yield rest
                return
            waiting, n_waiting = [rest.rows], n_waiting - start

    def _pieces(self, order: np.random.RandomState | None) -> Iterator[Rows]:
        """Yield the rows to train on, as they come."""
        for start, table in ahead(self.source.placed_chunks(order)):
            rows = self.encode(table)
            left_out = rows_within(self.left_out, start, len(rows.x))
            if len(left_out):
                rows = rows.take(torch.from_numpy(np.delete(np.arange(len(rows.x)), left_out)))
            if len(rows.x):
                yield rows

    @property
    def _n_elements(self) -> int:
        """Numbers that a row takes."""
        return sum(part.shape[1] for part in self.some if part is not None)

    def kept(self) -> StreamedRows | EncodedRows:
        """Return the same rows in memory, where they are few."""
        if len(self) * self._n_elements > _MOST_KEPT:
            return self
        return EncodedRows(Rows.concatenate(list(self._pieces(None))))

    def sample(self) -> Rows:
        """Return rows for what is learned from some of them before the first step."""
        return self.some

    def head(self, n_rows: int) -> EncodedRows:
        """Return some of the rows, at most so many."""
        return EncodedRows(self.some.take(slice(n_rows)))

    def check(self, likelihood: Any) -> None:
        """Let a built likelihood refuse what it is not defined for."""
        if self.is_checked:
            return
        for rows in self._pieces(None):
            likelihood.check(rows.x, rows.observed)


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch; a last one of a single row joins the one before."""
    full, rest = divmod(n_samples, batch_size)
    return full + (rest > 1 or full == 0)


def _in_slices(whole: Batch, batch_size: int, generator: torch.Generator | None) -> Iterator[Batch]:
    """Yield slices of rows in memory; a last one of a single row joins the one before."""
    n_rows = whole.n_rows
    starts = list(range(0, n_rows, batch_size))
    if len(starts) > 1 and n_rows - starts[-1] == 1:
        del starts[-1]
    slices = [slice(*ends) for ends in zip(starts, [*starts[1:], n_rows], strict=True)]
    if generator is None:
        yield from map(whole.take, slices)
        return
    order = torch.randperm(n_rows, generator=generator).to(whole.rows.x.device)
    if sum(part.numel() for part in whole.rows if part is not None) <= _SMALL_ELEMENTS:
        yield from map(whole.take(order).take, slices)
    else:
        for rows in slices:
            yield whole.take(order[rows])


class Batches:
    """Batches as slices of in-memory tensors: what a DataLoader does, without its per-row cost.

    Parameters
    ----------
    dataset : EncodedRows, StreamedRows, or another skorch.dataset.Dataset
        The last one's ``X`` and ``y`` are tensors, arrays, or dicts or tuples of these; ``y=None`` means X.
    batch_size : int
    shuffle : bool, default=False
    generator : torch.Generator or None, default=None
        Where the order of the rows comes from.
    device : str or torch.device, default="cpu"

    Notes
    -----
    A last batch of a single row joins the one before: batch statistics of one row are undefined.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        device: Any = "cpu",
    ):
        self.dataset = dataset if hasattr(dataset, "batches") else EncodedRows(*Batch.of(dataset.X, dataset.y))
        self.batch_size = batch_size
        self.generator = generator if shuffle else None
        self.device = device

    def __len__(self) -> int:
        return n_batches(len(self.dataset), self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.dataset.batches(self.batch_size, self.generator, self.device)
