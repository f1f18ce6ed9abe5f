"""Maps of codes, and what codes decode to: positions, classes, densities, grids, and the rows between."""

from __future__ import annotations

import sys
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from support import QUICK, make_table

from sklae import AutoencoderTransformer, VAETransformer
from sklae.plotting import InterpolationDisplay, LatentGridDisplay, LatentSpaceDisplay, TraversalDisplay

DIGITS = load_digits().data[:100] / 16
CODES = np.random.RandomState(0).standard_normal((300, 5)) * [1, 3, 1, 2, 1]
SOLVER = {"prior": "normal", **QUICK}


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def of_digits():
    return AutoencoderTransformer(3, **QUICK).fit(DIGITS)


@pytest.fixture(scope="module")
def frame():
    numbers = make_table(60, 3)
    return pd.DataFrame(numbers, columns=["mass", "age", "size"]).assign(kind=np.where(numbers[:, 0] > 0, "a", "b"))


@pytest.fixture(scope="module")
def of_frame(frame):
    return VAETransformer(2, **SOLVER).fit(frame)


# -- maps -----------------------------------------------------------------------------------------------


def test_more_components_are_drawn_by_pca():
    display = LatentSpaceDisplay.from_predictions(CODES)
    np.testing.assert_allclose(np.abs(display.positions), np.abs(PCA(2).fit_transform(CODES)), rtol=1e-6)
    shares = PCA(2).fit(CODES).explained_variance_ratio_
    assert display.ax_.get_xlabel() == f"PCA 1 ({shares[0]:.0%} of variance)"


def test_named_components_are_drawn_as_they_are():
    display = LatentSpaceDisplay.from_predictions(CODES, method="components", components=(3, -1))
    np.testing.assert_array_equal(display.positions, CODES[:, [3, 4]])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("component 3", "component 4")


def test_other_methods_make_the_map(monkeypatch):
    assert LatentSpaceDisplay.from_predictions(CODES, method=PCA(3)).ax_.get_xlabel() == "PCA 1"
    few = LatentSpaceDisplay.from_predictions(CODES[:25], method="tsne", random_state=0)
    assert few.positions.shape == (25, 2)
    assert few.ax_.get_ylabel() == "t-SNE 2"
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"sklae\[umap\]"):
        LatentSpaceDisplay.from_predictions(CODES, method="umap")
    stand_in = ModuleType("umap")
    stand_in.UMAP = lambda n_components, random_state: PCA(n_components)
    monkeypatch.setitem(sys.modules, "umap", stand_in)
    assert LatentSpaceDisplay.from_predictions(CODES, method="umap").ax_.get_xlabel() == "UMAP 1"


@pytest.mark.slow
def test_umap_itself_makes_the_map():
    pytest.importorskip("umap")
    display = LatentSpaceDisplay.from_predictions(CODES, method="umap", random_state=0)
    assert display.positions.shape == (300, 2)


def test_tsne_leaves_global_seeds_alone(untouched_globals):
    LatentSpaceDisplay.from_predictions(CODES[:20], method="tsne")


def test_codes_far_out_are_tamed_and_counted():
    codes = np.vstack([CODES[:, :2], [[1e4, 0.0], [0.0, -1e6]]])
    display = LatentSpaceDisplay.from_predictions(codes)
    assert display.n_outside == 2
    assert display.ax_.get_title(loc="right") == "2 rows lie further out (x)"
    assert np.abs(display.ax_.get_xlim()).max() < 10
    assert np.abs(display.ax_.get_ylim()).max() < 20
    dots, edge = display.ax_.collections
    assert len(dots.get_offsets()) == 300
    assert edge.get_offsets()[0].tolist() == [CODES[:, 0].max(), 0.0]
    assert LatentSpaceDisplay.from_predictions(CODES[:, :2]).n_outside == 0


def test_many_rows_are_drawn_as_densities():
    rng = np.random.RandomState(0)
    codes = rng.standard_normal((100_000, 2))
    display = LatentSpaceDisplay.from_predictions(codes)
    (hexagons,) = display.ax_.collections
    assert hexagons.get_array().sum() == 100_000
    assert display.colorbar_.ax.get_ylabel() == "rows"
    classes = np.where(codes[:, 0] > 0, "right", "left")
    display.y = classes
    display.plot()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["left", "right"]
    hexagons = next(each for each in display.ax_.collections if len(each.get_offsets()) > 100)
    centers, colors = hexagons.get_offsets(), hexagons.get_facecolor()
    left, right = (colors[side] for side in (centers[:, 0] < -0.2, centers[:, 0] > 0.2))
    assert {to_hex(color) for color in left} == {"#3f90da"}
    assert {to_hex(color) for color in right} == {"#ffa90e"}
    assert colors[:, 3].max() == 1.0  # where most rows are
    assert colors[:, 3].min() < 0.5
    means = LatentSpaceDisplay(codes, codes[:, 0]).plot(y_name="x")
    assert means.colorbar_.ax.get_ylabel() == "mean of x"
    (hexagons,) = means.ax_.collections
    assert np.corrcoef(hexagons.get_offsets()[:, 0], hexagons.get_array())[0, 1] > 0.99


def test_codes_that_are_all_alike_are_drawn():
    for kind in ("scatter", "hexbin"):
        display = LatentSpaceDisplay.from_predictions(np.ones((30, 2)), kind=kind)
        assert display.n_outside == 0
        display.figure_.draw_without_rendering()


def test_colours_of_many_classes_come_with_other_marks():
    display = LatentSpaceDisplay(CODES[:, :2], np.arange(300) % 14).plot()
    looks = {(tuple(dots.get_facecolor()[0]), len(dots.get_paths()[0].vertices)) for dots in display.ax_.collections}
    assert len(looks) == 14


def _named(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["b", None, "a"], ["a", "b", "missing"]),
        ([10.0, np.nan, 2.0], ["2", "10", "missing"]),
        ([10, pd.NA, 2], ["2", "10", "missing"]),
        ([True, None, False], ["False", "True", "missing"]),
        ([True, True, False], ["False", "True"]),
    ],
)
def test_labels_may_be_missing(values, names):
    for kind in ("scatter", "hexbin"):
        labels = np.array(values, dtype=object)[np.arange(300) % 3]
        display = LatentSpaceDisplay(CODES[:, :2], labels).plot(y_name="kind", kind=kind)
        assert _named(display) == names
        assert display.ax_.get_legend().get_title().get_text() == "kind"
    display.plot(kind="scatter")
    assert sum(len(dots.get_offsets()) for dots in display.ax_.collections) == 300


def test_many_classes_leave_some_without_a_colour_of_their_own():
    labels = np.where(np.arange(300) < 30, np.arange(300), np.arange(300) % 18).astype(str)
    names = _named(LatentSpaceDisplay(CODES[:, :2], labels).plot())
    assert len(names) == 21
    assert names[-1] == "10 others"


def test_quantities_may_be_missing_and_dates():
    positions = CODES[:, :2]
    weights = np.where(np.arange(300) % 3, np.arange(300.0), np.nan)
    display = LatentSpaceDisplay(positions, weights).plot(y_name="weight")
    assert _named(display) == ["missing"]
    assert sum(len(dots.get_offsets()) for dots in display.ax_.collections) == 300
    hexagons = LatentSpaceDisplay(positions, weights).plot(kind="hexbin", y_name="weight")
    assert hexagons.colorbar_.ax.get_ylabel() == "mean of weight (100 rows without)"
    days = pd.date_range("2024-01-01", periods=300, tz="UTC")
    for labels in (days, days.tz_localize(None), [None, *days[1:]]):
        display = LatentSpaceDisplay(positions, labels).plot()
        display.figure_.draw_without_rendering()
        ticks = [text.get_text() for text in display.colorbar_.ax.get_yticklabels()]
        assert {"2024", "Jul"} & set(ticks)


@pytest.mark.parametrize(
    ("codes", "settings", "message"),
    [
        (CODES[:, :1], {}, "n_components=2"),
        (CODES, {"method": "pda"}, r"Got method='pda'; expected 'auto', one of"),
        (CODES, {"method": "components", "components": (0, 5)}, "two integers below 5"),
        (CODES, {"kind": "dots"}, "Got kind='dots'"),
        (CODES, {"y": [1, 2]}, "one label per row"),
    ],
)
def test_maps_refuse_before_drawing(codes, settings, message):
    with pytest.raises(ValueError, match=message):
        LatentSpaceDisplay.from_predictions(codes, **settings)
    assert not plt.get_fignums()


# -- decoded codes --------------------------------------------------------------------------------------


def test_a_grid_is_what_its_codes_decode_to(of_digits):
    limits = [(-1.0, 1.0), (0.0, 2.0)]
    display = LatentGridDisplay.from_estimator(of_digits, DIGITS, shape=(8, 8), n_steps=3, limits=limits)
    third = np.median(of_digits.transform(DIGITS)[:, 2])
    top_left, bottom_right = of_digits.inverse_transform([[-1.0, 2.0, third], [1.0, 0.0, third]])
    mosaic = display.ax_.images[0].get_array()
    np.testing.assert_allclose(mosaic[:8, :8], top_left.reshape(8, 8), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mosaic[-8:, -8:], bottom_right.reshape(8, 8), rtol=1e-4, atol=1e-6)
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["2", "", "0"]
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["-1", "-0.5", "0", "0.5", "1"]
    swapped = LatentGridDisplay.from_estimator(of_digits, DIGITS, shape=(8, 8), components=(2, 1), n_steps=2)
    assert swapped.ax_.get_xlabel() == "component 2"


def test_a_grid_of_a_table_shows_a_column(of_frame, frame):
    numbers = LatentGridDisplay.from_estimator(of_frame, frame, feature="age", n_steps=5)
    image = numbers.ax_.images[0].get_array()
    np.testing.assert_array_equal(image, np.asarray(numbers.rows["age"]).reshape(5, 5))
    kinds = LatentGridDisplay.from_estimator(of_frame, feature=3, n_steps=5)
    ticks = kinds.figure_.axes[1].get_yticklabels()
    assert {text.get_text() for text in ticks} <= {"a", "b"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected one of them"),
        ({"shape": (2, 2), "feature": "age"}, "expected one of them"),
        ({"feature": "wage"}, "is no column"),
    ],
)
def test_grids_refuse_what_cant_be_drawn(settings, message, of_frame, frame):
    with pytest.raises(ValueError, match=message):
        LatentGridDisplay.from_estimator(of_frame, frame, n_steps=3, **settings)


def test_a_traversal_sets_one_component_after_the_other(of_digits):
    display = TraversalDisplay.from_estimator(of_digits, DIGITS, components=[2, 0], values=[-1, 0, 4], shape=(8, 8))
    code = of_digits.transform(DIGITS[:1])
    code[0, 2] = 4.0
    np.testing.assert_allclose(display.rows[2], of_digits.inverse_transform(code)[0], rtol=1e-4, atol=1e-6)
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["component 2", "component 0"]
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["-1", "0", "4"]
    most = int(of_digits.transform(DIGITS).std(axis=0).argmax())
    assert TraversalDisplay.from_estimator(of_digits, DIGITS, shape=(8, 8)).components[0] == most
    with pytest.raises(TypeError, match="Got PCA, which has no sample"):  # to say how far its components reach
        TraversalDisplay.from_estimator(PCA(2).fit(DIGITS), DIGITS[:1], shape=(8, 8))
    with pytest.raises(ValueError, match="at least one row"):
        TraversalDisplay.from_estimator(of_digits, DIGITS[:0], shape=(8, 8))
    with pytest.raises(ValueError, match="integers below 3"):
        TraversalDisplay.from_estimator(of_digits, DIGITS, components=[3], shape=(8, 8))


def test_a_traversal_of_a_table_writes_cells(of_frame, frame):
    display = TraversalDisplay.from_estimator(of_frame, frame, values=[-2, 0, 2])
    assert [ax.get_title() for ax in display.axes_] == [f"component {i}" for i in display.components]
    ax, decoded = display.ax_, display.rows.iloc[:3]
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert sorted(names) == sorted(frame.columns)
    row = names.index("age")
    cells = [text for text in ax.texts if text.get_position()[1] == row]
    assert [float(text.get_text()) for text in cells] == pytest.approx(decoded["age"].tolist(), rel=1e-2, abs=1e-2)
    change = (decoded["age"] - decoded["age"].iloc[1]) / frame["age"].std(ddof=0)
    np.testing.assert_allclose(ax.images[0].get_array()[row], change, rtol=1e-4, atol=1e-4)


def test_an_interpolation_is_the_estimators(of_digits):
    display = InterpolationDisplay.from_estimator(of_digits, DIGITS[:2], DIGITS[2:4], n_steps=5, shape=(8, 8))
    np.testing.assert_array_equal(display.rows, of_digits.interpolate(DIGITS[:2], DIGITS[2:4], 5))
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["a", "0.25", "0.5", "0.75", "b"]
    with pytest.raises(ValueError, match="all of each pair"):
        InterpolationDisplay(DIGITS[:5], 2)
