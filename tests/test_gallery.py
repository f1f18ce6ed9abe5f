"""Examples of the gallery run as they stand; those that take longest are run when the pages are built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parents[1].glob("docs/examples/plot_*.py"))
SHORTEST = ("plot_imputation", "plot_streaming", "plot_traversals")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=() if path.stem in SHORTEST else pytest.mark.slow) for path in EXAMPLES],
)
def test_an_example_runs_without_files(path, tmp_path):
    pytest.importorskip("matplotlib")
    environment = {**os.environ, "MPLBACKEND": "Agg", "SKLAE_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, path], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_shortest_are_there():
    assert set(SHORTEST) <= {path.stem for path in EXAMPLES}
