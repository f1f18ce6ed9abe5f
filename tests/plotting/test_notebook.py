"""A notebook shows every picture."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import sklae
from sklae import plotting

SETUP = """
import numpy as np
import sklae
from sklearn.datasets import load_wine
from sklae.plotting import *

X, y = load_wine(return_X_y=True, as_frame=True)
X = X.iloc[:, :4]
quick = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}
vae = sklae.VAETransformer(2, prior="normal", **quick).fit(X)
detector = sklae.AEOutlierDetector(vae, anomaly_score="mixture", cv=None, random_state=0).fit(X)
gappy = X.mask(np.random.RandomState(0).uniform(size=X.shape) < 0.1)
imputer = sklae.AEImputer(random_state=0).fit(gappy)
"""
#: Name -> the cell that draws it.
CELLS = {
    "ArchitectureDisplay": "ArchitectureDisplay.from_estimator(vae)",
    "ExplanationDisplay": "ExplanationDisplay.from_estimator(detector, X[:1], method='additive')",
    "ImputationDisplay": "ImputationDisplay.from_estimator(imputer, gappy)",
    "InterpolationDisplay": "InterpolationDisplay.from_estimator(vae, X[:1], X[-1:], n_steps=3)",
    "KLDisplay": "KLDisplay.from_estimator(vae, X)",
    "LatentGridDisplay": "LatentGridDisplay.from_estimator(vae, X, shape=(2, 2), n_steps=3)",
    "LatentSpaceDisplay": "LatentSpaceDisplay.from_estimator(vae, X, y)",
    "LossCurveDisplay": "LossCurveDisplay.from_estimator(vae)",
    "OutlierScoreDisplay": "OutlierScoreDisplay.from_estimator(detector)",
    "ReconstructionDisplay": "ReconstructionDisplay.from_estimator(vae, X, shape=(2, 2))",
    "SynthesisDisplay": "SynthesisDisplay.from_estimator(vae, X, features='ash', random_state=0)",
    "TraversalDisplay": "TraversalDisplay.from_estimator(vae, X, shape=(2, 2))",
    "image_grid": "image_grid(X[:6], (2, 2))",
    "latent_map": "latent_map(vae.transform(X), y)",
    "reconstructions": "reconstructions(X[:6], vae.reconstruct(X[:6]), (2, 2))",
    "score_histogram": "score_histogram(detector.score_samples(X), detector.offset_)",
    "training_curve": "training_curve(vae)",
}
TABLES = ["sklae.metrics.marginal_distances(X, gappy)", "sklae.metrics.association_distances(X, gappy)"]
TABLES += ["imputer.account_"]


def test_every_picture_has_a_cell():
    assert sorted(CELLS) == sorted(set(plotting.__all__) - {"Layer", "summary"})


def test_a_notebook_shows_every_picture_and_table(tmp_path, monkeypatch):
    """In a kernel of this interpreter that knows nothing of the user's own kernels and settings."""
    kernel = tmp_path / "kernels" / "this" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "this", "language": "python"}), encoding="utf-8")
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(sklae.__file__).parents[1]), prepend=os.pathsep)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel chooses its own
    sources = [SETUP, *CELLS.values(), *TABLES]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=120, kernel_name="this").execute()
    _, *drawn = notebook.cells
    for cell in drawn[: len(CELLS)]:
        (picture,) = (output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {}))
        assert base64.b64decode(picture).startswith(b"\x89PNG"), cell.source
    for cell in drawn[len(CELLS) :]:
        (output,) = cell.outputs
        assert "<table" in output.data["text/html"]
