"""What holds for every Display: where it draws, what it stores, what can be read."""

from __future__ import annotations

import inspect
import re
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import QUICK, make_table

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer, plotting

DIGITS, CLASSES = load_digits(return_X_y=True)
DIGITS, CLASSES = DIGITS[:120] / 16, CLASSES[:120]
VAE = {"prior": "normal", **QUICK}


def _frame() -> pd.DataFrame:
    numbers = make_table(80, 3)
    frame = pd.DataFrame(numbers, columns=["a rather long name of a column", "mass", "age"])
    frame["kind"] = np.where(numbers[:, 0] > numbers[:, 0].mean(), "large and bulky", "small")
    gappy = np.random.RandomState(1).uniform(size=frame.shape) < 0.1
    return frame.mask(gappy)


@pytest.fixture(scope="module")
def fitted():
    """Models of toy tables, fitted once."""
    frame = _frame()
    return SimpleNamespace(
        frame=frame,
        ae=AutoencoderTransformer(3, **QUICK).fit(DIGITS),
        vae=VAETransformer(3, **{**VAE, "early_stopping": True}).fit(DIGITS),
        of_frame=VAETransformer(2, **VAE).fit(frame),
        detector=AEOutlierDetector(AutoencoderTransformer(2, **QUICK), anomaly_score="mixture", cv=None).fit(frame),
        imputer=AEImputer(random_state=0).fit(frame),
    )


#: Every Display, made from a fitted estimator.
FROM_ESTIMATOR = {
    "ArchitectureDisplay": lambda on, **ax: plotting.ArchitectureDisplay.from_estimator(on.vae, **ax),
    "ExplanationDisplay": lambda on, **ax: plotting.ExplanationDisplay.from_estimator(
        on.detector, on.frame[:1], method="additive", **ax
    ),
    "ImputationDisplay": lambda on, **ax: plotting.ImputationDisplay.from_estimator(on.imputer, on.frame, **ax),
    "InterpolationDisplay": lambda on, **ax: plotting.InterpolationDisplay.from_estimator(
        on.vae, DIGITS[:2], DIGITS[2:4], shape=(8, 8), **ax
    ),
    "InterpolationDisplay of tables": lambda on, **ax: plotting.InterpolationDisplay.from_estimator(
        on.of_frame, on.frame[:2], on.frame[2:4], n_steps=4, **ax
    ),
    "KLDisplay": lambda on, **ax: plotting.KLDisplay.from_estimator(on.vae, DIGITS, **ax),
    "LatentGridDisplay": lambda on, **ax: plotting.LatentGridDisplay.from_estimator(
        on.vae, DIGITS, shape=(8, 8), n_steps=4, **ax
    ),
    "LatentGridDisplay of tables": lambda on, **ax: plotting.LatentGridDisplay.from_estimator(
        on.of_frame, feature="kind", n_steps=6, **ax
    ),
    "LatentSpaceDisplay": lambda on, **ax: plotting.LatentSpaceDisplay.from_estimator(on.vae, DIGITS, CLASSES, **ax),
    "LossCurveDisplay": lambda on, **ax: plotting.LossCurveDisplay.from_estimator(on.vae, **ax),
    "LossCurveDisplay of all": lambda on, **ax: plotting.LossCurveDisplay.from_estimator(
        {"ae": on.ae, "vae": on.vae}, terms="all", learning_rate=True, **ax
    ),
    "OutlierScoreDisplay": lambda on, **ax: plotting.OutlierScoreDisplay.from_estimator(on.detector, **ax),
    "OutlierScoreDisplay by row": lambda on, **ax: plotting.OutlierScoreDisplay.from_estimator(
        on.detector, on.frame, np.arange(80) < 2, kind="rows", **ax
    ),
    "ReconstructionDisplay": lambda on, **ax: plotting.ReconstructionDisplay.from_estimator(
        on.ae, DIGITS, corrupted=np.flip(DIGITS, 1), shape=(8, 8), **ax
    ),
    "ReconstructionDisplay of tables": lambda on, **ax: plotting.ReconstructionDisplay.from_estimator(
        on.of_frame, on.frame, n_samples=3, **ax
    ),
    "SynthesisDisplay": lambda on, **ax: plotting.SynthesisDisplay.from_estimator(
        on.of_frame, on.frame, random_state=0, **ax
    ),
    "SynthesisDisplay of pairs": lambda on, **ax: plotting.SynthesisDisplay.from_estimator(
        on.of_frame, on.frame, kind="pairs", random_state=0, **ax
    ),
    "TraversalDisplay": lambda on, **ax: plotting.TraversalDisplay.from_estimator(on.ae, DIGITS, shape=(8, 8), **ax),
    "TraversalDisplay of tables": lambda on, **ax: plotting.TraversalDisplay.from_estimator(
        on.of_frame, on.frame, **ax
    ),
}
OF_ANY_TRANSFORMER = {"ImputationDisplay", "LatentGridDisplay", "LatentSpaceDisplay", "TraversalDisplay"}
KINDS = sorted(name for name in plotting.__all__ if name.endswith("Display"))


pytestmark = pytest.mark.usefixtures("closed_figures")


def _axes(display) -> list[Axes]:
    return getattr(display, "axes_", [display.ax_])


def test_every_display_is_listed_here():
    assert sorted({name.split()[0] for name in FROM_ESTIMATOR}) == KINDS


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_draws_on_a_figure_that_pyplot_knows_and_cuts_nothing_off(name, fitted):
    display = FROM_ESTIMATOR[name](fitted)
    figure = display.figure_
    assert figure is plt.gcf()
    assert len(plt.get_fignums()) == 1
    assert all(ax.figure is figure for ax in _axes(display))
    assert _axes(display)[0] is display.ax_
    figure.canvas.draw()
    drawn, page = figure.get_tightbbox(), figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) > -0.03
    assert drawn.x1 < page[0] + 0.03
    assert drawn.y1 < page[1] + 0.03


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_draws_on_given_axes(name, fitted):
    figure = Figure(figsize=(9, 9), layout="constrained")
    given = figure.subplots()
    display = FROM_ESTIMATOR[name](fitted, ax=given)
    assert display.figure_ is figure
    assert plt.get_fignums() == []
    if len(_axes(display)) == 1:
        assert display.ax_ is given
    else:  # its place is divided
        assert all(ax.figure is figure for ax in display.axes_)
    assert display.plot() is display  # again, from what is stored
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("name", ["ImputationDisplay", "TraversalDisplay of tables"])
def test_draws_on_one_axes_for_each_panel(name, fitted):
    n_panels = len(FROM_ESTIMATOR[name](fitted).axes_)
    beside = Figure().subplots(1, n_panels)
    display = FROM_ESTIMATOR[name](fitted, ax=beside)
    assert display.axes_ == list(beside)
    with pytest.raises(ValueError, match=rf"Got 1 Axes for {n_panels} panels"):
        display.plot(ax=[beside[0]])


def test_axes_that_stand_anywhere_are_divided_too(fitted):
    figure = Figure()
    display = FROM_ESTIMATOR["ImputationDisplay"](fitted, ax=figure.add_axes((0.1, 0.1, 0.8, 0.8)))
    assert len(display.axes_) == 4
    figure.draw_without_rendering()
    places = [ax.get_window_extent().bounds for ax in display.axes_]
    assert len({(round(left), round(low)) for left, low, _, _ in places}) == 4


@pytest.mark.parametrize("name", ["KLDisplay", "TraversalDisplay"])
@pytest.mark.parametrize(("letters", "background"), [("black", 1.0), ("white", 0.0)])
def test_a_transparent_figure_gets_a_background_that_letters_are_read_on(name, letters, background, fitted):
    with plt.rc_context({"figure.facecolor": "none", "text.color": letters}):
        figure = FROM_ESTIMATOR[name](fitted).figure_
    assert figure.patch.get_facecolor() == (background, background, background, 1.0)


def test_marks_are_seen_in_a_dark_style(fitted):
    with plt.style.context("dark_background"):
        rows = FROM_ESTIMATOR["OutlierScoreDisplay by row"](fitted)
        codes = np.vstack([np.eye(60)[:, :2], [[500.0, 0.0]]])
        far = plotting.LatentSpaceDisplay.from_predictions(codes)
    assert rows.ax_.collections[-1].get_edgecolor()[0].tolist() == [1.0] * 4
    assert far.ax_.collections[-1].get_facecolor()[0].tolist() == [1.0] * 4


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_a_missing_matplotlib_names_the_extra(name, fitted, monkeypatch):
    for module in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"sklae\[plot\]"):
        FROM_ESTIMATOR[name](fitted)


@pytest.mark.parametrize("kind", [getattr(plotting, name) for name in KINDS])
def test_follows_the_convention(kind):
    """Arguments are stored under their names, and `plot` and the makers take ``ax``."""
    stored = [name for name in inspect.signature(kind).parameters]
    attributes = set(re.findall(r"self\.(\w+)", inspect.getsource(kind.__init__)))
    assert set(stored) <= attributes
    makers = [kind.plot, kind.from_estimator, *([kind.from_predictions] if hasattr(kind, "from_predictions") else [])]
    for maker in makers:
        assert inspect.signature(maker).parameters["ax"].default is None
        assert inspect.signature(maker).return_annotation == "Self"


@pytest.mark.parametrize("kind", [getattr(plotting, name) for name in KINDS])
def test_refuses_what_is_not_fitted_or_has_not_the_verb(kind):
    rows = {"InterpolationDisplay": (DIGITS[:1], DIGITS[:1]), "LossCurveDisplay": (), "ArchitectureDisplay": ()}
    args = rows.get(kind.__name__, (DIGITS,))
    unfitted = {"OutlierScoreDisplay": AEOutlierDetector(), "ExplanationDisplay": AEOutlierDetector()}
    unfitted |= {"ImputationDisplay": AEImputer()}
    with pytest.raises((NotFittedError, TypeError), match=r"not fitted|has no"):
        kind.from_estimator(unfitted.get(kind.__name__, VAETransformer()), *args)
    if kind.__name__ not in OF_ANY_TRANSFORMER:
        with pytest.raises(TypeError, match="Got StandardScaler, which has no"):
            kind.from_estimator(StandardScaler().fit(DIGITS), *args)
    assert not plt.get_fignums()


def test_a_pipeline_is_drawn_as_its_last_step_sees_rows(fitted):
    scaler = StandardScaler().fit(DIGITS)
    pipeline = make_pipeline(scaler, AutoencoderTransformer(2, **QUICK)).fit(DIGITS)
    display = plotting.ReconstructionDisplay.from_estimator(pipeline, DIGITS, shape=(8, 8), n_samples=4)
    np.testing.assert_allclose(display.original, scaler.transform(DIGITS[:4]))
    codes = plotting.LatentSpaceDisplay.from_estimator(pipeline, DIGITS).positions
    np.testing.assert_allclose(codes, pipeline.transform(DIGITS))


def test_what_cannot_be_drawn_is_told_in_words():
    with pytest.raises(ValueError, match="Got 1 scores that are NaN"):
        plotting.OutlierScoreDisplay.from_predictions([-1.0, -2.0, np.nan], -1.5)
    with pytest.raises(NotFittedError):
        plotting.OutlierScoreDisplay.from_estimator(AEOutlierDetector())
    with pytest.raises(ValueError, match="Got 1 row to lay out"):
        plotting.LatentSpaceDisplay.from_predictions(np.ones((1, 3)))


def test_long_names_leave_room_for_the_picture():
    long = "how satisfied are you with the opening hours of your nearest branch"
    display = plotting.ExplanationDisplay([2.0, 1.0], [long, "b"], ["1", "2"], ["3", "x" * 90])
    labels = [label.get_text() for label in display.plot().ax_.get_yticklabels()]
    assert labels[0].startswith("how satisfied are you with ")
    assert max(map(len, labels)) < 80
