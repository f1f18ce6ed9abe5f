"""Several processes that train one model: what passes between them, and which rows of a batch each one has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import torch
from torch import distributed

from sklae.exceptions import LostProcessError

__all__ = [
    "Job",
    "Part",
    "SharedGenerator",
    "agreed",
    "current_job",
    "fill",
    "is_grouped",
    "own_gpu",
    "part_of",
    "tells",
    "undivided",
    "whole_batch",
]

T = TypeVar("T")

# Of a thread: collective calls of several threads would mix.
_current: ContextVar[Job | None] = ContextVar("job", default=None)


class Part(NamedTuple):
    """The rows of a batch that a process has.

    Attributes
    ----------
    rows : slice
        Never empty: where there are more processes than rows, some look at the first one, which then has no share.
    n_rows : int
        Of the whole batch.
    share : float
        What their mean counts in that of the batch.
    """

    rows: slice
    n_rows: int
    share: float

    @property
    def n_own(self) -> int:
        """How many rows the process has."""
        return self.rows.stop - self.rows.start


class Job:
    """Processes that train one model together.

    Parameters
    ----------
    rank : int, default=0
        The number of this process, from 0.
    world_size : int, default=1
        How many there are.
    group : torch.distributed.ProcessGroup, default=None
        What they talk in; None: PyTorch's default one.
    """

    def __init__(self, rank: int = 0, world_size: int = 1, group: distributed.ProcessGroup | None = None):
        self.rank = rank
        self.world_size = world_size
        self._group = group

    def __repr__(self) -> str:
        return f"Job(rank={self.rank}, world_size={self.world_size})"

    @classmethod
    def of(cls, group: distributed.ProcessGroup | None = None) -> Job:
        """Return the job of a process group; None for PyTorch's default one."""
        return cls(distributed.get_rank(group), distributed.get_world_size(group), group)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make it the one that fits of this thread are part of."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def part(self, n_rows: int) -> Part:
        """Return this process's part of a batch."""
        start, stop = (n_rows * rank // self.world_size for rank in (self.rank, self.rank + 1))
        if start == stop:
            return Part(slice(0, 1), n_rows, 0.0)
        return Part(slice(start, stop), n_rows, (stop - start) / n_rows)

    def add_up(self, values: torch.Tensor) -> torch.Tensor:
        """Put the sum over all processes in place of the values."""
        with self._explained():
            distributed.all_reduce(values, group=self._group)
        return values

    def take_from_first(self, values: torch.Tensor) -> None:
        """Put the first process's values in place of these."""
        with self._explained():
            distributed.broadcast(values, group=self._group, group_src=0)

    def gather(self, value: T) -> list[T]:
        """Return a small object of each process."""
        found: list[Any] = [None] * self.world_size
        with self._explained():
            distributed.all_gather_object(found, value, group=self._group)
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise LostProcessError(
                f"Got no answer from another process in rank {self.rank} of {self.world_size}: one has failed, was "
                "killed, or does something else; expected all to call fit in the same order with the same arguments. "
                "Look for the first error among those of the other ranks, and start the job again."
            ) from error


def current_job() -> Job | None:
    """Return the job that fits of this thread are part of, if there is one of several processes."""
    return _current.get()


def is_grouped() -> bool:
    """Return whether PyTorch has a process group."""
    return distributed.is_available() and distributed.is_initialized()


def own_gpu(job: Job) -> int:
    """Return the number of the GPU that is this process's, on its machine."""
    return int(os.environ.get("LOCAL_RANK", job.rank))


def tells() -> bool:
    """Return whether this process is the one that tells of a fit: the first of those that fit together."""
    job = current_job()
    return job is None or job.rank == 0


def agreed(random_state: Any) -> Any:
    """Return a ``random_state`` that all processes have: in place of None a seed of the first one's."""
    job = current_job()
    if job is None or random_state is not None:
        return random_state
    return job.gather(int(torch.randint(2**31, (), generator=_from_system())))[0]


def _from_system() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


class SharedGenerator(torch.Generator):
    """A generator for a batch that processes share.

    What is drawn for rows is drawn for all of the batch, in all processes alike, and each takes what belongs to its
    own: so draws are those that one process would make.
    """

    job: Job
    part: Part | None = None

    @classmethod
    def of(cls, generator: torch.Generator, job: Job) -> SharedGenerator:
        """Return one that goes on where another generator is."""
        shared = cls(generator.device)
        shared.set_state(generator.get_state())
        shared.job = job
        return shared

    def plain(self) -> torch.Generator:
        """Return a generator of one process that goes on where this one is."""
        generator = torch.Generator(self.device)
        generator.set_state(self.get_state())
        return generator

    def divide(self, n_rows: int) -> Part:
        """Say how many rows the next batch has; return this process's part."""
        self.part = self.job.part(n_rows)
        return self.part


def part_of(generator: torch.Generator | None) -> Part | None:
    """Return the part of the batch that a generator draws for; None where that is all of it."""
    return generator.part if isinstance(generator, SharedGenerator) else None


@contextmanager
def undivided(generator: torch.Generator | None) -> Iterator[None]:
    """Let a generator draw for what are no rows of the batch."""
    if not isinstance(generator, SharedGenerator):
        yield
        return
    part, generator.part = generator.part, None
    try:
        yield
    finally:
        generator.part = part


def fill(
    empty: torch.Tensor,
    draw: Callable[[torch.Tensor], torch.Tensor],
    generator: torch.Generator | None,
    axis: int = 0,
) -> torch.Tensor:
    """Return a tensor filled with random numbers.

    Parameters
    ----------
    empty : Tensor
        With the rows that a process has of a batch along an axis, or several copies of them one after the other.
    draw : callable
        Fills a tensor in place, from the generator.
    generator : torch.Generator or None
    axis : int, default=0
        At or above 0.
    """
    part = part_of(generator)
    if part is None or empty.shape[axis] % part.n_own:
        return draw(empty)
    n_copies = empty.shape[axis] // part.n_own
    before, after = empty.shape[:axis], empty.shape[axis + 1 :]
    whole = draw(empty.new_empty(*before, n_copies * part.n_rows, *after)).unflatten(axis, (n_copies, part.n_rows))
    return whole.narrow(axis + 1, part.rows.start, part.n_own).flatten(axis, axis + 1)


def whole_batch(values: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Return the values of all rows of a batch, from those of a process's own, (n_own, ...).

    For statistics of a batch. Their gradient reaches the rows of all processes.
    """
    if part_of(generator) is None:
        return values
    return _WholeBatch.apply(values, generator)


class _WholeBatch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, generator: SharedGenerator) -> torch.Tensor:
        assert generator.part is not None
        ctx.job, ctx.part = generator.job, generator.part
        whole = values.new_zeros(ctx.part.n_rows, *values.shape[1:])
        if ctx.part.share:
            whole[ctx.part.rows] = values.detach()
        return ctx.job.add_up(whole)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        # each process has weighed its loss by its share, so that the sum is the gradient of the mean
        whole = ctx.job.add_up(gradient.clone(memory_format=torch.contiguous_format))
        own = whole[ctx.part.rows]
        return own if ctx.part.share else torch.zeros_like(own), None
