"""The project's own fuzz: no table, setting or new row gets a silent wrong answer, or an error that says nothing."""

import warnings

import numpy as np
import pytest
import torch

from benchmarks.robustness._case import run_case
from benchmarks.robustness._verdicts import Watch
from benchmarks.robustness.fuzz import FAULTS
from sklae import AutoencoderTransformer

# of another seed than the benchmark's default, so that these are further cases
SEED = 1
QUICK = range(12)
SLOW = range(12, 62)


@pytest.mark.parametrize("number", [*QUICK, *(pytest.param(i, marks=pytest.mark.slow) for i in SLOW)])
def test_no_case_is_silent_or_opaque(number):
    case = run_case(SEED, number)
    faults = [finding for finding in case.findings if finding.kind in FAULTS]
    assert not faults, f"python -m benchmarks.robustness.fuzz --seed {SEED} --only {number}"


def test_a_case_depends_on_seed_and_number_alone():
    first, again, other = (run_case(SEED, number) for number in (3, 3, 4))
    assert repr(first.spec) == repr(again.spec)
    assert repr(first.spec) != repr(other.spec)
    assert [(f.verb, f.kind, f.signature) for f in first.findings] == [
        (f.verb, f.kind, f.signature) for f in again.findings
    ]


def _fill(table):
    table[:] = 0.0


PLANTED = {
    "opaque": [lambda X: [][1], lambda X: np.ones(2) + np.ones(3), lambda X: torch.ones(2, 3) @ torch.ones(2, 3)],
    "silent wrong": [_fill, lambda X: np.random.uniform(), lambda X: torch.rand(1)],
    "noisy": [lambda X: [warnings.warn(f"row {i}", stacklevel=1) for i in range(9)], lambda X: X / 0.0],
    "refused": [AutoencoderTransformer().transform, AutoencoderTransformer(max_iter=0).fit],
    "fine": [lambda X: X],
}


@pytest.mark.parametrize(("kind", "function"), [(kind, each) for kind, every in PLANTED.items() for each in every])
def test_faults_that_were_planted_are_found(kind, function):
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    try:
        watch = Watch()
        watch.call("verb", function, np.ones((3, 2)))
    finally:
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
    assert watch.worst == kind


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
def test_what_is_not_finite_is_found(value):
    watch = Watch()
    watch.finite("verb", np.array([[1.0, value]], dtype=object))
    assert watch.worst == "silent NaN or inf"
