"""One fit in several processes, on one machine or many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib import import_module

import torch
from torch import distributed

from sklae._utils.processes import Job, current_job, is_grouped, own_gpu

__all__ = ["Job", "data_parallel"]


@contextmanager
def data_parallel(*, timeout: float = 600.0) -> Iterator[Job]:
    """Let the processes of a job train one model together: a context manager.

    Every ``fit`` inside it, of an estimator or of what is made of some, is one for all processes. Each is given the
    same rows and takes its own of every batch; gradients are averaged over all. The result is that of one process with
    the same batches, to rounding, and the same in all: weights, history, early stopping.

    Processes are started by ``torchrun``, or another launcher that sets its environment variables, or are those of
    PyTorch's default process group, if there is one. A script that is started without a launcher is one process, and
    fits as ever.

    Parameters
    ----------
    timeout : float, default=600.0
        Seconds that a process waits for another one.

    Yields
    ------
    job : Job
        Which process this is, ``job.rank``, of how many, ``job.world_size``.

    Raises
    ------
    RuntimeError
        If a launcher was told to start several processes, and started one.
    LostProcessError
        In ``fit``, if another process failed, was killed, or does something else.
    ValueError
        In ``fit``, for what can't be shared, and for other rows or parameters in one of the processes.

    Notes
    -----
    Synchronous data parallelism by all-reduce (Li et al., VLDB 2020, arXiv 2006.15704), by gloo for CPUs and NCCL for
    GPUs; with ``device="cuda"`` a process uses the GPU of its number on the machine. Where ``random_state`` is None,
    seeds are the first process's.

    Refused are batch normalization, critics and ``divergence="adversarial"``, penalties that remember batches, terms of
    a row that depend on other rows of its batch (``divergence="tc"``), and modules of your own that draw random
    numbers. The statistics of a batch that MMD, sparsity and learned priors need are those of the whole batch.

    Examples
    --------
    A script, ``train.py``, for ``torchrun --nproc-per-node=2 train.py``; or, as one process, ``python train.py``:

    >>> from sklearn.datasets import load_wine
    >>> import sklae
    >>> from sklae import VAETransformer
    >>> vae = VAETransformer(2, max_iter=5, n_iter_no_change=float("inf"), random_state=0)
    >>> with sklae.distributed.data_parallel() as job:
    ...     vae = vae.fit(load_wine().data)
    >>> job.world_size, vae.n_iter_
    (1, 5)
    """
    with ExitStack() as stack:
        job = current_job()
        if job is None:
            job = stack.enter_context(_started(timeout))
            if job.world_size > 1:
                stack.enter_context(job.entered())
                if own_gpu(job) < torch.cuda.device_count():
                    stack.enter_context(torch.cuda.device(own_gpu(job)))
        yield job


@contextmanager
def _started(timeout: float) -> Iterator[Job]:
    """Make a process group of its own, where there are several processes."""
    has_group = is_grouped()
    if not has_group and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        _check_launcher()
        yield Job()
        return
    group, patience = None, timedelta(seconds=timeout)
    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if has_group:
        group = distributed.new_group(timeout=patience, backend=backends)
    else:
        # imported later, with the first optimizer, it holds on to the group: then others would not see this process go
        import_module("torch._dynamo")
        distributed.init_process_group(backends, timeout=patience)
    try:
        yield Job.of(group)
    finally:
        distributed.destroy_process_group(group)


def _check_launcher() -> None:
    """Refuse to be the only process where a launcher was asked for more."""
    # Accelerate's launcher for CPUs says where they would meet, and starts one all the same
    if "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        raise RuntimeError(
            "Got a single process from `accelerate launch`, which was told of several and starts no others for CPUs; "
            "expected all of them. Start the script by `torchrun --nproc-per-node=2 script.py`, or under MPI make an "
            "accelerate.PartialState(cpu=True) first."
        )
