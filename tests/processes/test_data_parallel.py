"""One fit in several processes: the same as in one, or refused, or ended with a sentence."""

import os
import pickle
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from broken_fits import main as leave
from shared_fits import CASES, PLAIN, outcome, table
from skorch.callbacks import EpochScoring
from together import run_together
from torch import nn

import sklae
from sklae import AutoencoderTransformer, VAETransformer
from sklae.exceptions import LostProcessError, SeparateModelsWarning
from sklae.networks import MLP
from sklae.penalties import BatchTopK, TopK

FOLDER = Path(__file__).parent
QUICK = ["swap", "vae", "mmd", "vamp", "stops", "no_seed"]
SLOW = [name for name in CASES if name not in QUICK]
# The order of sums is enough to lead L-BFGS elsewhere on a flat loss: its weights differ, its losses hardly do.
AMPLIFIES = ["lbfgs"]


def _outcomes(names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with sklae.distributed.data_parallel():
            return {name: outcome(name) for name in names}


def _histories(found):
    return [[value for value in epoch.values()] for history in found["history"] for epoch in history]


def _assert_alike(first, second, *, tolerance):
    for a, b in zip(first["tensors"], second["tensors"], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def _check(found, names):
    for name in names:
        first, second = (each[name] for each in found)
        _assert_alike(first, second, tolerance=0)
        assert first["history"] == second["history"], name
        assert len(first["tensors"]) > 2
        if name == "no_seed":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone = outcome(name)
        if name not in AMPLIFIES:
            _assert_alike(first, alone, tolerance=1e-5)
        np.testing.assert_allclose(_histories(first), _histories(alone), rtol=0, atol=1e-4)
        assert [len(curve) for curve in first["curves"]] == [len(curve) for curve in alone["curves"]]


def test_one_process_fits_as_ever():
    alone = AutoencoderTransformer(2, **PLAIN).fit(table())
    with sklae.distributed.data_parallel() as job:
        inside = AutoencoderTransformer(2, **PLAIN).fit(table())
    assert (job.rank, job.world_size) == (0, 1)
    for a, b in zip(alone.net_.module_.parameters(), inside.net_.module_.parameters(), strict=True):
        assert torch.equal(a, b)


def test_two_processes_do_what_one_does():
    _check(run_together(_outcomes, QUICK), QUICK)


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_further_parts():
    _check(run_together(_outcomes, SLOW), SLOW)


@pytest.mark.slow
def test_four_processes_do_what_one_does():
    """The last batch has three rows, so that one process has none."""
    found = run_together(_outcomes, ["plain", "swap", "mmd", "vamp"], n_processes=4)
    for pair in pairwise(found):
        _check(pair, ["plain", "swap", "mmd", "vamp"])


class _Mixing(nn.Module):
    """A module of a user's own, that looks at other rows of a batch."""

    draws = False

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, h):
        return self.layer(h - h.mean(0) if self.training else h)


def _dropping(n_inputs, n_outputs):
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(n_inputs, n_outputs))


REFUSED = {
    "batch normalization": AutoencoderTransformer(2, network=MLP((8,), normalization="batch"), **PLAIN),
    "a critic": VAETransformer(2, critic="data", **PLAIN),
    "a divergence that is trained against": VAETransformer(2, divergence="adversarial", **PLAIN),
    "penalty=TopK": AutoencoderTransformer(4, penalty=TopK(2), **PLAIN),
    "BatchTopKActivation": AutoencoderTransformer(4, penalty=BatchTopK(2, weight=0), **PLAIN),
    "divergence=TotalCorrelation": VAETransformer(2, divergence="tc", beta=2.0, **PLAIN),
    "or draws random numbers that are not": AutoencoderTransformer(2, encoder=_dropping, **PLAIN),
    "a network or a likelihood": AutoencoderTransformer(2, encoder=_Mixing, **PLAIN),
    "iterators of your own": AutoencoderTransformer(
        2, **PLAIN, net_params={"iterator_train": torch.utils.data.DataLoader}
    ),
}


def _refusals():
    """Return what was said of each, and that the job goes on."""
    said = []
    with sklae.distributed.data_parallel() as job:
        for estimator in REFUSED.values():
            try:
                estimator.fit(table())
            except ValueError as error:
                said.append(str(error))
            else:
                said.append("nothing")
            assert not hasattr(estimator, "net_")
        for change in (
            {},
            {"random_state": job.rank},
            {"batch_size": 20 + job.rank},
            {"hidden_layer_sizes": (8 + job.rank,)},
        ):
            X = table() if change else table(100 + job.rank)
            try:
                AutoencoderTransformer(2, **{**PLAIN, **change}).fit(X)
            except ValueError as error:
                said.append(str(error))
        X = table()
        X[:, 0] += job.rank * np.arange(len(X))  # one process has other values
        try:
            AutoencoderTransformer(2, **PLAIN, standardize=False).fit(X)
        except ValueError as error:
            said.append(str(error))
        levels = ["p", "q"] if job.rank else ["yes", "yet"]
        for other in (
            table() * (1 + job.rank),  # encoded alike
            pd.DataFrame(table(), columns=[f"{name}{job.rank}" for name in "abcdef"]),
            pd.DataFrame({"a": table()[:, 0], "b": np.take(levels, np.arange(203) % 2)}),
            table().astype(np.float32 if job.rank else np.float64),
        ):
            try:
                AutoencoderTransformer(2, **PLAIN).fit(other)
            except ValueError as error:
                said.append(str(error))
        said.append(AutoencoderTransformer(2, **PLAIN).fit(table()).n_iter_)
    return said


def test_what_cannot_be_shared_is_refused_in_all_ranks_and_the_job_goes_on():
    first, second = run_together(_refusals)
    assert first == second
    for expected, said in zip(REFUSED, first, strict=False):
        assert expected in said
    *differ, n_epochs = first[len(REFUSED) :]
    names = ["number of rows", "random_state", "batch_size", "network", "table", "table", *["columns"] * 3]
    for name, said in zip(names, differ, strict=True):
        assert f"Got another {name} in rank 1 than in rank 0" in said
    assert n_epochs == 3


def _continued():
    with sklae.distributed.data_parallel():
        ae = VAETransformer(2, **{**PLAIN, "warm_start": True}).fit(table()).fit(table())
        streamed = AutoencoderTransformer(2, corruption="masking", **{**PLAIN, "max_iter": "auto"})
        for _ in range(3):
            streamed.partial_fit(table())
    copy = pickle.loads(pickle.dumps(ae))
    return [p.detach().numpy() for net in (copy.net_, streamed.net_) for p in net.module_.parameters()]


def test_training_is_continued_together():
    """Also of a model that one process had begun."""
    first, second = run_together(_continued)
    ae = VAETransformer(2, **{**PLAIN, "warm_start": True}).fit(table()).fit(table())
    streamed = AutoencoderTransformer(2, corruption="masking", **{**PLAIN, "max_iter": "auto"})
    for _ in range(3):
        streamed.partial_fit(table())
    alone = [p.detach().numpy() for net in (ae.net_, streamed.net_) for p in net.module_.parameters()]
    for a, b, c in zip(first, second, alone, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=0, atol=1e-5)


def _watched():
    """Return what a callback of batches sees, and who tells of the fit."""
    scoring = EpochScoring(_mean_error, on_train=True, name="error")
    ae = AutoencoderTransformer(2, callbacks=[("error", scoring)], **{**PLAIN, "verbose": 2, "max_iter": 2})
    with warnings.catch_warnings(record=True) as told, sklae.distributed.data_parallel():
        warnings.simplefilter("always")
        ae.set_params(n_iter_no_change=5).fit(table())
    return ae.net_.history[:, "error"], len(told), [name for name, _ in ae.net_.callbacks_]


def _mean_error(net, X, y):
    return float(np.abs(net.predict(X) - np.asarray(y)).mean())


def test_callbacks_see_whole_batches_and_one_process_tells():
    (first, told, callbacks), (second, silent, others) = run_together(_watched)
    assert first == second
    assert (told, silent) == (1, 0)
    assert "print_log" in callbacks
    assert "print_log" not in others


def _separate():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        AutoencoderTransformer(2, **PLAIN).fit(table())
    return [(each.category, str(each.message)) for each in told]


def test_processes_that_train_models_of_their_own_are_told():
    first, second = run_together(_separate)
    assert second == []  # one tells
    ((category, message),) = first
    assert category is SeparateModelsWarning
    assert "with sklae.distributed.data_parallel():" in message


def _in_a_group_of_the_users():
    torch.distributed.init_process_group("gloo")
    with sklae.distributed.data_parallel() as job, sklae.distributed.data_parallel() as same:
        assert same is job
        curve = AutoencoderTransformer(2, **PLAIN).fit(table()).loss_curve_
    value = torch.ones(1)
    torch.distributed.all_reduce(value)  # it is still there
    return curve, value.item()


def test_a_process_group_that_is_there_is_used_and_kept():
    first, second = run_together(_in_a_group_of_the_users)
    assert first == second
    assert first[1] == 2.0


def _fits_in_rank_0_only():
    with sklae.distributed.data_parallel(timeout=30) as job:
        if job.rank == 0:
            AutoencoderTransformer(2, **PLAIN).fit(table())


def test_a_process_that_waits_for_nobody_says_so():
    start = time.perf_counter()
    first, second = run_together(_fits_in_rank_0_only)
    assert isinstance(first, LostProcessError)
    assert "Got no answer from another process in rank 0 of 2" in str(first)
    assert second is None
    assert time.perf_counter() - start < 25


def test_a_process_that_is_killed_is_missed():
    """Midway in training; and the estimator that is left is as it was."""
    start = time.perf_counter()
    first, second = run_together(leave, "killed")
    assert isinstance(first, LostProcessError)
    assert second is None
    assert time.perf_counter() - start < 25


def test_a_launcher_that_starts_one_process_of_several_is_told(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with (
        pytest.raises(RuntimeError, match=r"single process from `accelerate launch`.*torchrun"),
        sklae.distributed.data_parallel(),
    ):
        pass


# -- under the launchers themselves ---------------------------------------------------------------------


def _launch(*command, timeout=150):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


def _torchrun(script, *args):
    return _launch("torch.distributed.run", "--nproc-per-node=2", str(FOLDER / script), *args)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "raises", "stuck", "goes_on"])
def test_a_process_that_leaves_ends_the_job(how):
    start = time.perf_counter()
    done = _torchrun("broken_fits.py", how)
    assert done.returncode == 1
    assert time.perf_counter() - start < 55  # "stuck" and "goes_on" would sleep for longer
    assert "LostProcessError: Got no answer from another process in rank 0 of 2" in done.stderr
    assert ("OSError: the disk of rank 1 is full" in done.stderr) == (how == "raises")
    assert ("exitcode  : -9" in done.stderr) == (how == "killed")


@pytest.mark.slow
def test_torchrun_does_what_one_process_does(tmp_path):
    names = ["defaults", "vae", "stops"]
    done = _torchrun("shared_fits.py", str(tmp_path), *names)
    assert done.returncode == 0, done.stderr
    _check([pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in (0, 1)], names)


@pytest.mark.slow
def test_accelerate_that_starts_one_process_is_told(tmp_path):
    pytest.importorskip("accelerate")
    command = ("accelerate.commands.launch", "--cpu", "--num_processes", "2", str(FOLDER / "shared_fits.py"))
    done = _launch(*command, str(tmp_path), "plain")
    assert done.returncode == 1
    assert "Got a single process from `accelerate launch`" in done.stderr
