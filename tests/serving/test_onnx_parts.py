"""Every part of a model translates and answers as sklae does, or is refused: the slow half of the tests of ONNX."""

from __future__ import annotations

import numpy as np
import pytest
from served import assert_serves
from support import PARTS, QUICK, TRANSFORMERS, into_support, make_table

from sklae import AutoencoderTransformer, VAETransformer
from sklae.likelihoods import Bernoulli, Likelihood, NegativeBinomial

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow

METHODS = ("transform", "reconstruct", "score_samples")


def _rows(table: np.ndarray) -> np.ndarray:
    """Return rows as they were fitted, with gaps, and without any value."""
    rows = table[:7].copy()
    rows[1, 0] = rows[2, 1:] = rows[3] = np.nan
    return rows


def _fitted(kind, n_columns=4, **params):
    settings = {key: value for key, value in QUICK.items() if key != "hidden_layer_sizes" or "network" not in params}
    table = make_table(60, n_columns).astype(np.float32)
    if isinstance(params.get("likelihood"), Likelihood):
        table = into_support(table, params["likelihood"])
    table[::5, 1] = np.nan
    return kind(2, **{**settings, **params}).fit(table), table


@pytest.mark.parametrize("kind", TRANSFORMERS)
@pytest.mark.parametrize("name", PARTS["likelihood"])
def test_likelihoods(kind, name):
    likelihood = PARTS["likelihood"][name]
    estimator, table = _fitted(kind, 3, likelihood=likelihood)
    rows = _rows(table)
    if all(not part.support.is_bounded for part, _ in likelihood.leaves(estimator.layout_.columns)):
        rows[4, 1] = 1e12
    # in differences of logarithms of gamma functions float32 loses digits, in sklae; in the graph they are in float64
    is_count = any(isinstance(part, NegativeBinomial) for part, _ in likelihood.leaves(estimator.layout_.columns))
    assert_serves(estimator, METHODS, rows, tolerance=2e-5 if is_count else 1e-5)


@pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family in ("prior", "posterior", "network", "penalty") for name in PARTS[family]],
)
def test_other_parts(family, name):
    part = PARTS[family][name]
    kind = VAETransformer if family in ("prior", "posterior") else AutoencoderTransformer
    more = {}
    if getattr(part, "per_block", False):
        more["likelihood"] = [("a", "gaussian", [0, 1]), ("b", "gaussian", [2, 3])]
    if not getattr(part, "has_density", True):
        more["divergence"] = "mmd"
    if name == "pixel_cnn":
        more["likelihood"] = Bernoulli()
    estimator, table = _fitted(kind, **{family: part}, **more)
    methods = METHODS if "divergence" not in more else METHODS[:2]
    assert_serves(estimator, methods, _rows(table))
