"""Steps of a net whose batches are shared by several processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import distributed, nn

from sklae._training.batches import Batch, Batches, EncodedRows
from sklae._training.state import clone_tensors, load_tensors, tensors_of
from sklae._utils.processes import Job, SharedGenerator, current_job, is_grouped, own_gpu, part_of
from sklae._utils.warnings import warn
from sklae.exceptions import SeparateModelsWarning

__all__ = ["OneProcess", "processes_for"]

# Terms of a row may differ by so much, relative to 1 plus their size, between a batch and a part of it.
_ROUNDING = 1e-3
# Sums over tables, relative to those of absolute values.
_SAME_TABLE = 1e-5


class OneProcess:
    """All rows of a batch are the process's own."""

    def begin(self, net: Any, dataset: Any, dataset_valid: Any) -> None:
        """Refuse what can't be shared, before the first step; make all processes alike."""

    def generator(self, generator: torch.Generator) -> torch.Generator:
        """Return a generator that draws for batches."""
        return generator

    def own(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the process's rows of a batch that a generator draws for."""
        return batch

    def backward(self, step: dict[str, Any], parameters: Iterable[nn.Parameter], generator: torch.Generator) -> None:
        """Compute the gradient of a step's loss."""
        step["loss"].backward()

    def average(self, step: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
        """Return the step with loss and terms of the whole batch."""
        return step


class DataParallel(OneProcess):
    """Each process has some rows of every batch; gradients, losses and terms are averaged over all.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job):
        self.job = job

    def begin(self, net: Any, dataset: Any, dataset_valid: Any) -> None:
        _refuse(net, self.job)
        self._check_alike(net, dataset, dataset_valid)
        for tensor in tensors_of(net.learners):  # machines differ in the rounding of what weights start from
            if tensor.is_floating_point():
                with torch.no_grad():
                    self.job.take_from_first(tensor)
        self._check_terms(net, dataset)

    def generator(self, generator: torch.Generator) -> torch.Generator:
        return SharedGenerator.of(generator, self.job)

    def own(self, batch: Batch, generator: torch.Generator) -> Batch:
        if not isinstance(generator, SharedGenerator):  # of what each process looks at for itself
            return batch
        return batch.take(generator.divide(batch.n_rows).rows)

    def backward(self, step: dict[str, Any], parameters: Iterable[nn.Parameter], generator: torch.Generator) -> None:
        (step["loss"] * _share(generator)).backward()
        learned = [parameter for parameter in parameters if parameter.grad is not None]
        found = self._add_up(step, generator, [parameter.grad for parameter in learned])
        for parameter, gradient in zip(learned, found, strict=True):
            parameter.grad = gradient

    def average(self, step: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
        self._add_up(step, generator, [])
        return step

    def _add_up(self, step: dict[str, Any], generator: torch.Generator, gradients: list[Any]) -> list[torch.Tensor]:
        """Average loss and terms, and add gradients up, in one message."""
        terms = step["terms"]
        means = torch.stack([step["loss"].detach(), *(term.detach().mean() for term in terms.values())])
        means = means * _share(generator) if _share(generator) else torch.zeros_like(means)
        parts = [means, *gradients]
        message = self.job.add_up(torch.cat([part.reshape(-1) for part in parts]))
        sums = [part.view_as(like) for part, like in zip(message.split([p.numel() for p in parts]), parts, strict=True)]
        step["loss"], *averages = sums[0].unbind()
        step["terms"] = dict(zip(terms, averages, strict=True))
        return sums[1:]

    # -- before the first step --------------------------------------------------------------------------

    def _check_alike(self, net: Any, dataset: Any, dataset_valid: Any) -> None:
        """Refuse processes that would train something else than the first one."""
        sums, sizes = _sums(net, dataset, dataset_valid)
        facts = {
            "number of rows": len(dataset),
            "number of validation rows": 0 if dataset_valid is None else len(dataset_valid),
            "network": [tuple(tensor.shape) for tensor in tensors_of(net.learners)],
            "max_iter": net.max_epochs,
            "learning_rate_init": net.lr,
            "batch_size": net.batch_size,
            "number of epochs trained": len(net.history),
            "columns": _columns_of(net.module__layout),
            "random_state": net.seeds,
            "state of random numbers": tuple(bytes(g.get_state().numpy()) for g in (net.noise_, net.shuffle_)),
        }
        first, *others = self.job.gather((facts, sums))
        for rank, (other, other_sums) in enumerate(others, start=1):
            differs = [name for name in facts if first[0][name] != other[name]]
            if not differs and _differ(first[1], other_sums, sizes):
                differs = ["table"]
            if differs:
                raise ValueError(
                    f"Got another {differs[0]} in rank {rank} than in rank 0; expected the same call of fit in all "
                    "ranks: each is given all rows, and takes its own of every batch. Read the whole table in each, "
                    "and set random_state to an integer."
                )

    def _check_terms(self, net: Any, dataset: Any) -> None:
        """Refuse a model whose loss is not a mean over rows: then parts of a batch don't add up to it."""
        batch = next(iter(net.get_iterator(dataset)))
        net._set_training(True)
        before = clone_tensors(net.learners)  # parts may remember what they have seen
        seeded = [torch.Generator(net.device).manual_seed(0) for _ in range(2)]
        with torch.no_grad():
            whole = net._step(batch, seeded[0], {})["terms"]
            generator = self.generator(seeded[1])
            own = net._step(batch, generator, {})["terms"]
        load_tensors(net.learners, before)
        part = part_of(generator)
        assert part is not None
        differs = [
            name for name, term in whole.items() if not _is_close(own[name], term[part.rows] if term.ndim else term)
        ]
        found = [name for names in self.job.gather(differs) for name in names]
        if found:
            raise ValueError(
                f"Got {_owner(net, found[0])} in a data-parallel fit, whose loss term {found[0]!r} of a row depends on "
                "other rows of the batch, or draws random numbers that are not sklae's; expected terms of single "
                "rows, which processes can share. Fit in one process, or choose another."
            )


def processes_for(net: Any) -> OneProcess:
    """Return how the batches of a net that is about to be trained are shared."""
    job = current_job()
    if job is not None:
        return DataParallel(job)
    _tell_separate()
    return OneProcess()


def _tell_separate() -> None:
    """Warn in one of several processes that nobody asked to train together."""
    size = distributed.get_world_size() if is_grouped() else int(os.environ.get("WORLD_SIZE", 1))
    rank = distributed.get_rank() if is_grouped() else int(os.environ.get("RANK", 0))
    if size > 1 and rank == 0:
        warn(
            f"Got a fit in one of {size} processes that were started together, outside of "
            "sklae.distributed.data_parallel(): each process trains a model of its own. To train one model in all of "
            "them, call fit inside `with sklae.distributed.data_parallel():`. If models of their own are meant, filter "
            "sklae.exceptions.SeparateModelsWarning.",
            SeparateModelsWarning,
        )


def _share(generator: torch.Generator) -> float:
    part = part_of(generator)
    assert part is not None
    return part.share


def _refuse(net: Any, job: Job) -> None:
    """Refuse by name what can't be shared."""
    if str(net.device).startswith("cuda") and own_gpu(job) >= torch.cuda.device_count():
        raise ValueError(
            f"Got device={net.device!r} in process {own_gpu(job)} of a machine with {torch.cuda.device_count()} GPUs, "
            "counted from 0; expected one for each process. Start fewer, by --nproc-per-node."
        )
    if net.iterator_train is not Batches or net.iterator_valid is not Batches:
        raise ValueError(
            "Got net_params with iterators of your own in a data-parallel fit; expected sklae's own batches, whose "
            "order all processes know. Leave them out."
        )
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in net.module_.modules()):
        raise ValueError(
            "Got batch normalization in a data-parallel fit, which averages over rows of the whole batch; expected "
            "none. Use normalization='layer'."
        )
    objective = net.criterion_
    mixing = [part for learner in net.learners for part in learner.modules() if getattr(part, "mixes_rows", False)]
    if mixing:
        raise ValueError(
            f"Got {type(mixing[0]).__name__.strip('_')} in a data-parallel fit, whose output for a row depends on the "
            "other rows of the batch; expected modules that look at single rows. Fit in one process, or choose another."
        )
    if objective.opponents:
        name = "critic" if objective.critic is not None else "divergence"
        raise ValueError(
            f"Got a {name} that is trained against the model in a data-parallel fit; expected none. Fit in one "
            "process, or use divergence='mmd'."
        )
    if objective.remembers:
        raise ValueError(
            f"Got penalty={objective.penalty.penalty!r} in a data-parallel fit, which remembers rows of earlier "
            "batches; expected one that doesn't. Fit in one process, or set its weight to 0."
        )


def _owner(net: Any, term: str) -> str:
    """Return the part of a model that a loss term is of."""
    objective = net.criterion_
    if term == "penalty":
        return f"penalty={objective.penalty.penalty!r}"
    if term == "reconstruction":
        return "a network or a likelihood"
    return f"divergence={objective.divergence.divergence!r}"


def _columns_of(layout: Any) -> tuple[Any, ...]:
    """Return what processes have to have in common of their columns, as values that compare."""
    columns, categories = layout.columns, layout.columns.categories
    levels = tuple((i, tuple(map(repr, known))) for i, known in sorted(categories.levels.items()))
    return columns.names, categories.kinds, levels, tuple(columns.condition.tolist()), str(layout.dtype)


def _is_close(own: torch.Tensor, whole: torch.Tensor) -> bool:
    return bool(((own - whole).abs() <= _ROUNDING * (1.0 + whole.abs())).all() or not whole.isfinite().all())


def _differ(sums: list[float], others: list[float], sizes: list[float]) -> bool:
    if len(sums) != len(others):  # one has gaps, or conditions
        return True
    return any(abs(a - b) > _SAME_TABLE * size for a, b, size in zip(sums, others, sizes, strict=True))


def _sums(net: Any, *datasets: Any) -> tuple[list[float], list[float]]:
    """Return sums over rows in memory, scales, and weights that were trained before, by place; and their sizes."""
    tensors = []
    for dataset in datasets:
        if isinstance(dataset, EncodedRows):
            tensors += [part for rows in (dataset.rows, dataset.targets) for part in rows if part is not None]
            tensors += [] if dataset.weight is None else [dataset.weight]
    scaling = net.module__layout.scaling
    tensors += [torch.from_numpy(scaling.mean), torch.from_numpy(scaling.deviation)]
    if len(net.history):
        tensors += [tensor.detach() for tensor in tensors_of(net.learners) if tensor.is_floating_point()]
    sums, sizes = [], []
    for tensor in tensors:
        flat = tensor.reshape(len(tensor), -1) if tensor.ndim else tensor.reshape(1, 1)
        down, across = (torch.linspace(1.0, 2.0, n, device=flat.device, dtype=flat.dtype) for n in flat.shape)
        sums.append(float(down @ flat @ across))
        sizes.append(float(down @ flat.abs() @ across))
    return sums, sizes
