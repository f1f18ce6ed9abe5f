"""A likelihood for each block of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from sklae._linear.factors import LinearModel, Noise
from sklae._tables.annotations import FeaturesLike
from sklae._utils.compat import BaseComposition
from sklae._utils.component import resolve
from sklae.likelihoods._base import ColumnDensity, Likelihood, LinearStart
from sklae.likelihoods._table import LIKELIHOODS

if TYPE_CHECKING:
    from sklae._tables.columns import Columns
    from sklae._tables.layout import Layout

__all__ = ["BlockColumns", "Blocks"]


class _StartByBlocks(LinearStart):
    """The inputs of all densities, block by block, as those of one."""

    densities: Sequence[ColumnDensity]
    columns: list[np.ndarray]
    widths: list[int]
    outputs: list[int]
    block_n_inputs: list[int]

    def input_columns(self, n_columns: int) -> np.ndarray:
        own = [density.input_columns(n) for density, n in zip(self.densities, self.widths, strict=True)]
        return np.concatenate([block[columns] for block, columns in zip(self.columns, own, strict=True)])

    def noise(self, n_columns: int) -> Noise:
        parts = [density.noise(n) for density, n in zip(self.densities, self.widths, strict=True)]
        n_groups = np.cumsum([0, *(part.group.max(initial=-1) + 1 for part in parts)])
        group = np.concatenate([part.group + first for part, first in zip(parts, n_groups[:-1], strict=True)])
        variance, least = (np.concatenate([getattr(part, name) for part in parts]) for name in ("variance", "least"))
        return Noise(group, variance, least)

    def start(self, linear: LinearModel) -> tuple[np.ndarray, np.ndarray] | None:
        ends = np.cumsum([0, *self.block_n_inputs])
        found = [
            density.start(linear.select(slice(first, last)))
            for density, first, last in zip(self.densities, ends, ends[1:], strict=False)
        ]
        if all(part is None for part in found):
            return None
        k = linear.decoder.shape[1]
        flat = [(np.zeros((n, k)), np.zeros(n)) for n in self.outputs]  # of what is left to training
        weights, biases = zip(*(own or empty for own, empty in zip(found, flat, strict=True)), strict=True)
        return np.concatenate(weights), np.concatenate(biases)


class BlockColumns(_StartByBlocks, ColumnDensity):
    """Densities side by side: the decoder's outputs and the encoder's inputs are ordered by blocks.

    Parameters
    ----------
    densities : list of ColumnDensity
        What each block's likelihood built.
    columns : list of ndarray of int
        The columns of each: together all there are, each once.
    """

    zeros: torch.Tensor
    every: torch.Tensor | None
    order: torch.Tensor | None
    cells: torch.Tensor | None

    def __init__(self, densities: Sequence[ColumnDensity], columns: Sequence[np.ndarray]):
        super().__init__()
        self.densities = nn.ModuleList(densities)  # type: ignore[assignment]  # a sequence, says torch at run time
        self.learns_norm = any(density.learns_norm for density in densities)
        self.columns = list(columns)
        self.widths = [len(block) for block in columns]
        every = np.concatenate(columns)
        self.outputs = [density.n_outputs(n) for density, n in zip(densities, self.widths, strict=True)]
        self.block_n_inputs = [density.n_inputs(n) for density, n in zip(densities, self.widths, strict=True)]
        # what puts blocks of columns in the table's order, and back; None where they are already
        in_order = bool((every == np.arange(len(every))).all())
        self.register_buffer("every", None if in_order else torch.as_tensor(every), persistent=False)
        self.register_buffer("order", None if in_order else torch.as_tensor(np.argsort(every)), persistent=False)
        levels = np.concatenate([density.n_levels(n) for density, n in zip(densities, self.widths, strict=True)])
        cells = np.argsort(np.repeat(every, np.maximum(levels, 1)), kind="stable")
        self.register_buffer("cells", None if in_order else torch.as_tensor(cells), persistent=False)
        self.levels = levels[np.argsort(every)]
        limits = [
            torch.full((n,), torch.inf) if density.limit is None else density.limit.float()
            for density, n in zip(densities, self.widths, strict=True)
        ]
        limit = None if all(density.limit is None for density in densities) else self._join(limits)
        self.register_buffer("limit", limit, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(every), dtype=torch.float32), persistent=False)

    def n_outputs(self, n_columns: int) -> int:
        return sum(self.outputs)

    def n_inputs(self, n_columns: int) -> int:
        return sum(self.block_n_inputs)

    def _split(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the columns of each block."""
        return (x if self.every is None else x.index_select(-1, self.every)).split(self.widths, -1)

    def _join(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the blocks' columns in the table's order."""
        joined = torch.cat(list(parts), -1)
        return joined if self.order is None else joined.index_select(-1, self.order)

    def _with_params(self, params: torch.Tensor) -> Iterator[tuple[ColumnDensity, torch.Tensor]]:
        return zip(self.densities, params.split(self.outputs, -1), strict=True)

    def _encoded(
        self, x: torch.Tensor, observed: torch.Tensor | None
    ) -> Iterator[tuple[ColumnDensity, torch.Tensor, torch.Tensor | None]]:
        told = [None] * len(self.widths) if observed is None else self._split(observed)
        return zip(self.densities, self._split(x), told, strict=True)

    def block_inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> list[torch.Tensor]:
        """Return what the encoder sees of each block, (n_samples, n_inputs of the block)."""
        return [density.inputs(values, told) for density, values, told in self._encoded(x, observed)]

    def inputs(self, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        return torch.cat(self.block_inputs(x, observed), -1)

    def check(self, x: torch.Tensor, observed: torch.Tensor | None) -> None:
        for density, values, told in self._encoded(x, observed):
            density.check(values, told)

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        blocks = zip(self._with_params(params), self._split(x), strict=True)
        return self._join([density.energy(part, values) for (density, part), values in blocks])

    def log_norm(self) -> torch.Tensor:
        zeros = self.zeros.split(self.widths)
        return self._join([zero + density.log_norm() for density, zero in zip(self.densities, zeros, strict=True)])

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return self._join([density.mean(part) for density, part in self._with_params(params)])

    def expectation(self, params: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([density.expectation(part) for density, part in self._with_params(params)], -1)
        return joined if self.cells is None else joined.index_select(-1, self.cells)

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return self._join([density.sample(part, generator) for density, part in self._with_params(params)])


class Blocks(BaseComposition, Likelihood):
    """A likelihood for each block of columns, as `ColumnTransformer` has a transformer for each.

    Parameters
    ----------
    blocks : list of (name, likelihood, columns)
        ``likelihood`` is an instance or its name, ``columns`` a name, a position, a list of either, a slice or a
        boolean mask. Together the blocks hold every modelled column once. One that selects no column is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklae import VAETransformer
    >>> from sklae.likelihoods import Blocks, Gaussian
    >>> rng = np.random.RandomState(0)
    >>> X = np.column_stack([rng.normal(size=(100, 3)), rng.poisson(4.0, size=(100, 2))])
    >>> blocks = Blocks(
    ...     [
    ...         ("sensors", Gaussian("per_feature"), [0, 1, 2]),
    ...         ("visits", "poisson", slice(3, 5)),
    ...     ]
    ... )
    >>> vae = VAETransformer(2, likelihood=blocks, max_iter=2, n_iter_no_change=float("inf"))
    >>> vae.set_params(likelihood__sensors__min_scale=0.1).fit_transform(X).shape
    (100, 2)
    """

    _parameter_constraints = {"blocks": [list, tuple]}

    def __init__(self, blocks: Sequence[tuple[str, str | Likelihood, FeaturesLike]] = ()):
        self.blocks = blocks

    # what scikit-learn's own compositions keep beside their list: its pairs of name and part, for nested parameters

    @property
    def _parts(self) -> Any:
        try:
            return [(name, part) for name, part, _ in self.blocks]
        except (TypeError, ValueError):  # refused later, when there is someone to tell
            return self.blocks

    @_parts.setter
    def _parts(self, parts: list[tuple[str, Any]]) -> None:
        pairs = zip(parts, self.blocks, strict=True)
        self.blocks = [(name, part, columns) for (name, part), (_, _, columns) in pairs]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; of each block, by its name, the likelihood and its parameters."""
        return self._get_params("_parts", deep=deep)

    def set_params(self, **params: Any) -> Blocks:
        """Set ``blocks``, a block's likelihood by the block's name, or a parameter of one (``name__parameter``)."""
        if "blocks" in params:
            self.blocks = params.pop("blocks")
        self._set_params("_parts", **params)
        return self

    def assign(self, columns: Columns) -> list[tuple[str, Likelihood, np.ndarray]]:
        """Return the blocks, resolved.

        Raises
        ------
        ValueError
            If names repeat, a likelihood is none, or columns are in several blocks or in none.
        """
        self._check_names()
        found = [
            (name, _resolve(name, part), columns.find(key, f"columns of block {name!r}"))
            for name, part, key in self.blocks
        ]
        _check_cover({name: indices for name, _, indices in found}, columns)
        return [block for block in found if len(block[2])]

    def leaves(self, columns: Columns) -> list[tuple[Likelihood, np.ndarray]]:
        return [
            (leaf, indices[own])
            for _, part, indices in self.assign(columns)
            for leaf, own in part.leaves(columns.select(indices))
        ]

    def _check_names(self) -> None:
        blocks = self.blocks
        if not blocks or not all(isinstance(block, (tuple, list)) and len(block) == 3 for block in blocks):
            raise ValueError(
                f"Got blocks {blocks!r}; expected a list of (name, likelihood, columns). As in "
                "[('numbers', 'gaussian', ['height', 'weight']), ('kind', 'categorical', ['species'])]."
            )
        names = [block[0] for block in blocks]
        taken = [name for name in names if not isinstance(name, str) or "__" in name or name == "blocks"]
        if taken:
            raise ValueError(
                f"Got {taken[0]!r} as the name of a block; expected text without '__', and not 'blocks', so that it "
                "can name parameters. Choose another."
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Got blocks of the same name: {twice}; expected unique names. Rename one.")

    def build(self, layout: Layout) -> ColumnDensity:
        blocks = self.assign(layout.columns)
        densities = [part.build(layout.select(indices)) for _, part, indices in blocks]
        return BlockColumns(densities, [indices for _, _, indices in blocks])


def _resolve(name: str, part: Any) -> Likelihood:
    known = isinstance(part, Likelihood) and not isinstance(part, Blocks)
    if not known and not (isinstance(part, str) and part in LIKELIHOODS):
        raise ValueError(
            f"Got {part!r} as the likelihood of block {name!r}; expected one of {sorted(LIKELIHOODS)}, or an instance "
            "of a sklae.likelihoods.Likelihood other than Blocks. Check its spelling."
        )
    return resolve(part, LIKELIHOODS)


def _check_cover(blocks: dict[str, np.ndarray], columns: Columns) -> None:
    """Refuse columns that are in several blocks, or in none."""
    count = np.zeros(columns.n_columns, dtype=int)
    for indices in blocks.values():
        count[indices] += 1
    labels = np.asarray(columns.labels(), dtype=object)
    if (count > 1).any():
        shared = np.flatnonzero(count > 1)
        among = [name for name, indices in blocks.items() if np.isin(shared, indices).any()]
        raise ValueError(
            f"Got columns {_some(labels[shared])} in several blocks, {among}; expected each column in one. Take them "
            "out of the others."
        )
    if (count == 0).any():
        raise ValueError(
            f"Got no block for columns {_some(labels[count == 0])}; expected each column in one. Add a block for them, "
            "or drop them from the table."
        )


def _some(labels: np.ndarray, n: int = 5) -> str:
    more = f" and {len(labels) - n} more" if len(labels) > n else ""
    return f"{labels[:n].tolist()}{more}"
