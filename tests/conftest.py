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


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command line on a frame, or on text; return status, what was said, and the folder."""
    from sklae._cli.main import main

    def run_on(table, *options, name="table.csv"):
        path = tmp_path / name
        if isinstance(table, str):
            path.write_text(table, encoding="utf-8")
        elif name.endswith("parquet"):
            table.to_parquet(path)
        elif table is not None:
            table.to_csv(path, index=False)
        out = tmp_path / "report"
        status = main([str(path), "--out", str(out), *options])
        return status, capsys.readouterr(), out

    return run_on


@pytest.fixture
def closed_figures():
    """Figures that pyplot knows are closed, those that doctests and others left before among them."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")
    yield
    plt.close("all")
