"""Displays of models with conditions, of coloured pictures, and of tables that are hard to draw."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from support import QUICK, make_table

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.plotting import (
    ExplanationDisplay,
    InterpolationDisplay,
    LatentGridDisplay,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    SynthesisDisplay,
    TraversalDisplay,
)

DIGITS = load_digits(as_frame=True).frame[:90]
VAE = {"prior": "normal", **QUICK}
LONG = "measurement of the surface at the angle number {} (angstrom)"

pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def conditional():
    label = {"condition_features": ["target"], "categorical_features": ["target"]}
    return VAETransformer(3, **label, likelihood="gaussian", **VAE).fit(DIGITS)


@pytest.fixture(scope="module")
def customers():
    numbers = make_table(60, 3)
    return pd.DataFrame(numbers, columns=["mass", "age", "size"]).assign(kind=np.where(numbers[:, 0] > 0, "a", "b"))


@pytest.fixture(scope="module")
def of_customers(customers):
    return VAETransformer(2, condition_features=["kind"], **VAE).fit(customers)


#: Displays that decode, from a model and rows.
DECODING = {
    "grid": lambda model, X, **given: LatentGridDisplay.from_estimator(model, X, n_steps=3, **given),
    "traversal": lambda model, X, **given: TraversalDisplay.from_estimator(model, X, **given),
    "traversal of a row": lambda model, X, **given: TraversalDisplay.from_estimator(model, X[:1], **given),
    "interpolation": lambda model, X, **given: InterpolationDisplay.from_estimator(model, X[:1], X[10:11], **given),
    "reconstruction": lambda model, X, **given: ReconstructionDisplay.from_estimator(model, X, **given),
}


@pytest.mark.parametrize("name", DECODING)
def test_pictures_are_decoded_under_their_own_condition(name, conditional):
    """The label is no pixel, and it need not be said again."""
    display = DECODING[name](conditional, DIGITS, shape=(8, 8))
    as_seven = DECODING[name](conditional, DIGITS, shape=(8, 8), condition={"target": 7})
    rows = [getattr(each, "rows", getattr(each, "reconstructed", None)) for each in (display, as_seven)]
    assert np.shape(rows[0])[1] == 64
    assert not np.allclose(*rows)
    own = DECODING[name](conditional, DIGITS, shape=(8, 8), condition=DIGITS[:1] if name != "reconstruction" else None)
    rows[1] = getattr(own, "rows", getattr(own, "reconstructed", None))
    if "of a row" not in name:  # whose other codes are drawn
        np.testing.assert_allclose(*rows, rtol=1e-5)


def test_arrays_have_conditions_too():
    rows = DIGITS.to_numpy()
    vae = VAETransformer(2, condition_features=[64], **VAE).fit(rows)
    assert LatentGridDisplay.from_estimator(vae, rows, shape=(8, 8), n_steps=2).title == "64 = 0"
    assert len(TraversalDisplay.from_estimator(vae, rows, shape=(8, 8)).components) == 2


def test_a_grid_says_under_which_condition(of_customers, customers):
    display = LatentGridDisplay.from_estimator(of_customers, customers, feature="age", n_steps=3)
    assert display.ax_.get_title() == f"kind = {customers['kind'][0]}"
    with pytest.raises(ValueError, match="Got no condition; expected values of"):
        LatentGridDisplay.from_estimator(of_customers, feature="age")


def test_synthetic_rows_have_the_conditions_of_real_ones(of_customers, customers):
    display = SynthesisDisplay.from_estimator(of_customers, customers, random_state=0)
    assert display.distances["kind"] == 0.0
    few = SynthesisDisplay.from_estimator(of_customers, customers, n_samples=7, random_state=0)
    many = SynthesisDisplay.from_estimator(of_customers, customers, n_samples=70, random_state=0)
    assert (len(few.synthetic), len(many.synthetic)) == (7, 70)
    one = SynthesisDisplay.from_estimator(of_customers, customers, condition="a", random_state=0)
    assert set(one.synthetic["kind"]) == {"a"}


@pytest.mark.parametrize("name", DECODING)
def test_pictures_may_have_colours(name):
    rows = np.random.RandomState(0).uniform(size=(40, 48))
    ae = VAETransformer(2, standardize=False, **VAE).fit(rows)
    mosaic = DECODING[name](ae, rows, shape=(4, 4, 3)).ax_.images[0].get_array()
    assert mosaic.shape[2] == 3
    assert (np.asarray(mosaic).min(), np.asarray(mosaic).max()) >= (0.0, 0.0)


@pytest.mark.parametrize("dpi", [60, 80])
def test_labels_beside_pictures_are_whole(dpi):
    rows = np.random.RandomState(0).uniform(size=(7 * 8, 64))
    display = TraversalDisplay(rows, np.arange(7) / 3, range(8, 16), shape=(8, 8)).plot()
    page = io.BytesIO()
    display.figure_.savefig(page, dpi=dpi)
    page.seek(0)
    border = plt.imread(page)[..., :3]
    assert border[:, 0].min() > 0.9  # nothing is drawn at the edge
    assert border[:, -1].min() > 0.9


# -- tables that are hard to draw -----------------------------------------------------------------------


def test_names_that_begin_alike_stay_apart():
    names = [LONG.format(i) for i in range(3)]
    rows = pd.DataFrame(make_table(20, 3), columns=names)
    cells = ReconstructionDisplay.from_predictions(rows[:2], rows[:2] + 0.1)
    assert len({label.get_text() for label in cells.ax_.get_xticklabels()}) == 3
    panels = SynthesisDisplay.from_predictions(rows, rows)
    assert len({ax.get_title() for ax in panels.axes_}) == 3
    bars = ExplanationDisplay([3.0, 2.0, 1.0], names).plot()
    assert len({label.get_text() for label in bars.ax_.get_yticklabels()}) == 3


def test_the_legend_of_one_column_fits():
    rows = make_table(30, 1)
    figure = SynthesisDisplay.from_predictions(rows, rows[:20]).figure_
    figure.canvas.draw()
    drawn = figure.legends[0].get_window_extent()
    assert drawn.x0 >= 0
    assert drawn.x1 <= figure.bbox.width


def test_synthetic_values_far_out_leave_room_for_the_rest():
    real = np.random.RandomState(0).uniform(size=(200, 2))
    synthetic = np.vstack([real, [[1e4, 0.5]]])
    display = SynthesisDisplay.from_predictions(real, synthetic, kind="pairs")
    assert display.ax_.get_title().endswith("apart, 1 at the edge")
    assert np.abs(display.ax_.get_xlim()).max() < 3


def test_explanations_say_how_far_cells_are_off():
    rows = pd.DataFrame(make_table(80, 3), columns=["a", "b", "c"]).assign(kind=list("xyxz") * 20)
    ae = AutoencoderTransformer(2, **QUICK)
    detector = AEOutlierDetector(ae, anomaly_score="mixture", cv=None).fit(rows)
    odd = rows[:1].assign(b=40.0)
    display = ExplanationDisplay.from_estimator(detector, odd)
    _, expected = detector.explain(odd, return_expected=True)
    assert display.offs[1] == pytest.approx((40.0 - expected["b"].iloc[0]) / rows["b"].std(ddof=0), rel=1e-5)
    assert np.isnan(display.offs[3])
    assert f" {display.offs[1]:+.1f}" in [text.get_text() for text in display.ax_.texts]


def test_rows_that_are_strange_as_a_whole_are_said_to_be():
    offs = [0.5, np.nan, -3.0]
    alike = ExplanationDisplay([1.0, 1.0, 1.0], ["a", "b", "c"], offs=offs).plot()
    assert alike.ax_.get_title(loc="right").startswith("no column stands out")
    assert [label.get_text() for label in alike.ax_.get_yticklabels()] == ["c", "a", "b"]  # the furthest off first
    single = ExplanationDisplay([9.0, 1.0, 1.0], ["a", "b", "c"]).plot()
    assert single.ax_.get_title(loc="right") == ""


def test_marks_of_many_rows_are_seen_in_the_legend():
    scores = -np.random.RandomState(0).chisquare(4, 100_000)
    display = OutlierScoreDisplay.from_predictions(scores, -15.0, kind="rows")
    marks = display.ax_.get_legend().legend_handles[:2]
    assert min(mark.get_sizes()[0] for mark in marks) > 10
