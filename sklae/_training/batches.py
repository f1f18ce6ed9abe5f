"""Encoded rows as a dataset, and batches as slices of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.dataset import Dataset

from sklae._tables.layout import Rows
from sklae._tables.sources import RowSource

__all__ = ["Batch", "Batches", "EncodedRows", "SeenBatch", "StreamedRows", "as_rows", "n_batches"]

# Up to here a permuted copy per epoch is cheaper than gathering each batch; past it memory counts.
_SMALL_ELEMENTS = 2**21
# Of a source, what is learned before the first step is learned from so many rows.
_MOST_SAMPLED = 10_000


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
    """

    def __init__(self, source: RowSource, encode: Callable[[Any], Rows]):
        self.source = source
        self.encode = encode
        super().__init__(source, length=len(source))

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, device: Any = "cpu"
    ) -> Iterator[Batch]:
        """Yield all rows in batches, shuffled within each chunk where there is a generator."""
        left, waiting = n_batches(len(self), batch_size), None
        for table in self.source.checked_chunks():
            rows = self.encode(table)
            if generator is not None:
                rows = rows.take(torch.randperm(len(rows.x), generator=generator))
            waiting = rows if waiting is None else Rows.concatenate([waiting, rows])
            while left > 1 and len(waiting.x) >= batch_size:
                yield Batch.of(waiting.take(slice(batch_size)).to(device))
                waiting, left = waiting.take(slice(batch_size, None)), left - 1
        if waiting is not None:
            yield Batch.of(waiting.to(device))

    def sample(self) -> Rows:
        """Return rows for what is learned from some of them before the first step."""
        parts = self.source.sample(_MOST_SAMPLED, np.random.RandomState(0))
        return Rows.concatenate([self.encode(part) for part in parts])

    def check(self, likelihood: Any) -> None:
        """Let a built likelihood refuse what it is not defined for."""
        for table in self.source.checked_chunks():
            rows = self.encode(table)
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
