"""Encoded rows as a dataset, and batches as slices of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from skorch.dataset import Dataset

from sklae._tables.layout import Rows

__all__ = ["Batches", "EncodedRows", "n_batches"]

# Up to here a permuted copy per epoch is cheaper than gathering each batch; past it memory counts.
_SMALL_ELEMENTS = 2**21


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
        there = {name: part for name, part in rows._asdict().items() if part is not None}
        x, observed = self.targets.x, self.targets.observed
        super().__init__(rows.x if len(there) == 1 else there, x if observed is None else (x, observed))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch; a last one of a single row joins the one before."""
    full, rest = divmod(n_samples, batch_size)
    return full + (rest > 1 or full == 0)


def _apply(function: Callable[[torch.Tensor], torch.Tensor], data: Any) -> Any:
    """Apply a function to a tensor, or to each one in a dict or tuple of tensors."""
    if isinstance(data, Mapping):
        return {key: function(value) for key, value in data.items()}
    if isinstance(data, (tuple, list)):
        return tuple(function(value) for value in data)
    return function(data)


class Batches:
    """Batches as slices of in-memory tensors: what a DataLoader does, without its per-row cost.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Its ``X`` and ``y`` are tensors, arrays, or dicts or tuples of these; ``y=None`` means X.
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
        target = dataset.X if dataset.y is None else dataset.y
        self.device = device
        inputs = self._tensors(dataset.X, device)
        self.data = (inputs, inputs if target is dataset.X else self._tensors(target, device))
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.n_rows = len(dataset)
        starts = list(range(0, self.n_rows, batch_size))
        if len(starts) > 1 and self.n_rows - starts[-1] == 1:
            del starts[-1]
        self.slices = [slice(*ends) for ends in zip(starts, [*starts[1:], self.n_rows], strict=True)]

    @staticmethod
    def _tensors(data: Any, device: Any) -> Any:
        def move(value: Any) -> torch.Tensor:
            return torch.as_tensor(value).to(device)

        return _apply(move, data)

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if not self.shuffle:
            yield from self._slices_of(self.data)
            return
        order = torch.randperm(self.n_rows, generator=self.generator).to(self.device)
        if self._n_elements() <= _SMALL_ELEMENTS:
            yield from self._slices_of(self._take(self.data, order))
        else:
            for rows in self.slices:
                yield self._take(self.data, order[rows])

    def _slices_of(self, data: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
        for rows in self.slices:
            yield self._take(data, rows)

    @staticmethod
    def _take(data: tuple[Any, Any], rows: slice | torch.Tensor) -> tuple[Any, Any]:
        """Take rows of inputs and target, once where they are the same tensors."""

        def take(value: torch.Tensor) -> torch.Tensor:
            return value[rows] if isinstance(rows, slice) else value.index_select(0, rows)

        inputs, target = data
        taken = _apply(take, inputs)
        return taken, taken if target is inputs else _apply(take, target)

    def _n_elements(self) -> int:
        inputs = self.data[0]
        tensors = inputs.values() if isinstance(inputs, Mapping) else [inputs]
        return sum(tensor.numel() for tensor in tensors)
