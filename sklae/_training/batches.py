"""Encoded rows as a dataset, and batches as slices of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from skorch.dataset import Dataset

from sklae._tables.layout import Rows

__all__ = ["Batch", "Batches", "EncodedRows", "n_batches"]

# Up to here a permuted copy per epoch is cheaper than gathering each batch; past it memory counts.
_SMALL_ELEMENTS = 2**21


class Batch(NamedTuple):
    """Rows to train on.

    Attributes
    ----------
    rows : Rows
        The inputs.
    target : Rows
        What to reconstruct; the inputs themselves, or others.
    """

    rows: Rows
    target: Rows

    @classmethod
    def of(cls, inputs: Any, target: Any = None) -> Batch:
        """Return a batch of what skorch's datasets hold: tensors, arrays, dicts or tuples of these."""
        rows = _as_rows(inputs)
        return cls(rows, rows if target is None or target is inputs else _as_rows(target))

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.rows.x)

    def to(self, device: Any) -> Batch:
        """Return the batch on a device."""
        rows = self.rows.to(device)
        return Batch(rows, rows if self.target is self.rows else self.target.to(device))

    def take(self, index: slice | torch.Tensor) -> Batch:
        """Return some of the rows, taken once where inputs and target are the same tensors."""
        rows = self.rows.take(index)
        return Batch(rows, rows if self.target is self.rows else self.target.take(index))


def _as_rows(data: Any) -> Rows:
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
    """

    def __init__(self, rows: Rows, targets: Rows | None = None):
        self.rows = rows
        self.targets = rows if targets is None else targets
        # as PyTorch's own DataLoader can collate it
        there = {name: part for name, part in rows._asdict().items() if part is not None}
        x, observed = self.targets.x, self.targets.observed
        super().__init__(rows.x if len(there) == 1 else there, x if observed is None else (x, observed))

    @property
    def batch(self) -> Batch:
        """All rows as one batch."""
        return Batch(self.rows, self.targets)


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch; a last one of a single row joins the one before."""
    full, rest = divmod(n_samples, batch_size)
    return full + (rest > 1 or full == 0)


class Batches:
    """Batches as slices of in-memory tensors: what a DataLoader does, without its per-row cost.

    Parameters
    ----------
    dataset : EncodedRows, or another skorch.dataset.Dataset
        Whose ``X`` and ``y`` are tensors, arrays, or dicts or tuples of these; ``y=None`` means X.
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
        dataset: Dataset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        device: Any = "cpu",
    ):
        whole = dataset.batch if isinstance(dataset, EncodedRows) else Batch.of(dataset.X, dataset.y)
        self.whole = whole.to(device)
        self.device = device
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.n_rows = len(dataset)
        starts = list(range(0, self.n_rows, batch_size))
        if len(starts) > 1 and self.n_rows - starts[-1] == 1:
            del starts[-1]
        self.slices = [slice(*ends) for ends in zip(starts, [*starts[1:], self.n_rows], strict=True)]

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Batch]:
        if not self.shuffle:
            yield from map(self.whole.take, self.slices)
            return
        order = torch.randperm(self.n_rows, generator=self.generator).to(self.device)
        if sum(part.numel() for part in self.whole.rows if part is not None) <= _SMALL_ELEMENTS:
            yield from map(self.whole.take(order).take, self.slices)
        else:
            for rows in self.slices:
                yield self.whole.take(order[rows])
