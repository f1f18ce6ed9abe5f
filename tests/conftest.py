"""Settings and fixtures that every test module shares."""

import os

# read by scipy when it is first imported; without it scikit-learn skips its array API checks
os.environ["SCIPY_ARRAY_API"] = "1"
# the workers of pytest-xdist fill the cores by themselves
os.environ.setdefault("OMP_NUM_THREADS", "1")
# no test opens a window
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

pytest.register_assert_rewrite("laws", "likelihood_laws", "support")

from support import global_generators  # noqa: E402


@pytest.fixture
def untouched_globals():
    """Fail a test that reads or writes the global generators of NumPy or torch."""
    before = global_generators()
    yield
    assert global_generators() == before
