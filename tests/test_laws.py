"""The laws, applied to every part; and that no family of parts goes without laws."""

import importlib
import itertools
import pkgutil
from collections.abc import Mapping

import likelihood_laws  # noqa: F401 - its laws register themselves
import pytest
from laws import LAWS, closed_form_kl_is_that_of_samples
from sklearn.base import clone
from support import PARTS

import sklae
from sklae.schedules import LEARNING_RATES

SCHEDULES = {name: schedule for name, schedule in LEARNING_RATES.items() if schedule is not None}
SUBJECTS = {**PARTS, "schedule": SCHEDULES}

# Tables whose entries are tested through another kind or module.
ELSEWHERE = {
    "ACTIVATIONS",  # as networks
    "NORMALIZATIONS",  # as networks
    "SOLVERS",  # test_common, test_training
    "LEARNING_RATES",  # as schedules
    "WEIGHTS",  # as beta
    "AGGREGATES",  # test_code_density
    "CRITICS",  # test_critics, test_common
    "EVIDENCE",  # test_scores, test_common
    "EXPLANATIONS",  # test_detector
    "BUILTINS",  # test_saving
    "CONVERTERS",  # test_onnx, test_onnx_parts
    "EVIDENCE_MODULES",  # test_onnx
    "FORMS",  # test_coding
    "TABLES",  # of the demonstration: test_main, test_report
}


@pytest.mark.parametrize(
    ("law", "subject"),
    [
        pytest.param(law, subject, id=f"{kind}-{name}-{law.__name__}")
        for kind, subjects in SUBJECTS.items()
        for name, subject in subjects.items()
        for law in LAWS[kind]
    ],
)
def test_law(law, subject):
    law(subject if callable(subject) else clone(subject))


@pytest.mark.parametrize(("posterior", "prior"), list(itertools.product(PARTS["posterior"], PARTS["prior"])))
def test_kl(posterior, prior):
    has_closed_form = closed_form_kl_is_that_of_samples(PARTS["posterior"][posterior], PARTS["prior"][prior])
    assert has_closed_form or (posterior, prior) != ("diagonal", "normal")


def test_every_kind_has_laws():
    assert set(LAWS) == set(SUBJECTS)


def test_every_table_is_tested():
    """A new family of parts needs laws: add it to `support.LISTED`, or say where it is tested."""
    modules = [info.name for info in pkgutil.walk_packages(sklae.__path__, "sklae.") if "__main__" not in info.name]
    tables = {
        name
        for module in map(importlib.import_module, modules)
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, Mapping)
    }
    named_after_kinds = {"LIKELIHOODS", "PRIORS", "POSTERIORS", "CORRUPTIONS", "PENALTIES", "NETWORKS", "DIVERGENCES"}
    assert tables == named_after_kinds | ELSEWHERE
