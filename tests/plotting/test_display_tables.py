"""Displays of tables and scores: every row is counted, every cell is the one it should be."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from support import QUICK, make_table

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.metrics import association_distances, marginal_distances
from sklae.plotting import (
    ExplanationDisplay,
    ImputationDisplay,
    InterpolationDisplay,
    KLDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    SynthesisDisplay,
)

X = make_table(60, 3)


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def frame():
    kinds = np.array(["ox", "cow", "calf"])[np.arange(60) % 3]
    return pd.DataFrame(X, columns=["mass", "age", "size"]).assign(kind=kinds, born=np.arange(60) % 2 == 0)


@pytest.fixture(scope="module")
def detector(frame):
    return AEOutlierDetector(AutoencoderTransformer(2, **QUICK), anomaly_score="mixture").fit(frame)


def _texts(labels) -> list[str]:
    return [label.get_text() for label in labels]


# -- scores ---------------------------------------------------------------------------------------------


def test_scores_of_training_rows_come_from_the_detector_alone(detector, frame):
    display = OutlierScoreDisplay.from_estimator(detector)
    np.testing.assert_array_equal(display.scores, detector.training_scores_)
    np.testing.assert_array_equal(display.labels, detector.labels_)
    np.testing.assert_allclose(detector.training_scores_, detector.score_samples(frame))
    assert display.line_.get_xdata()[0] == -detector.offset_
    counts = [sum(bar.get_height() for bar in bars) for bars in display.ax_.containers]
    assert counts == [(detector.labels_ == 1).sum(), (detector.labels_ == -1).sum()]


def test_the_threshold_is_that_of_now(detector):
    before = detector.offset_
    try:
        detector.set_threshold(contamination=0.25)
        display = OutlierScoreDisplay.from_estimator(detector)
        assert "outliers: 15 rows" in _texts(display.ax_.get_legend().get_texts())
    finally:
        detector.offset_ = before


def test_a_row_is_a_dot_in_its_place(detector):
    display = OutlierScoreDisplay.from_estimator(detector, kind="rows")
    places = np.concatenate([dots.get_offsets()[:, 0] for dots in display.ax_.collections])
    assert sorted(places) == list(range(60))
    assert display.line_.get_ydata()[0] == -detector.offset_


@pytest.mark.parametrize("kind", ["histogram", "rows"])
@pytest.mark.parametrize("y", [[1, 0, 0, 1], [-1, 1, 1, -1], [True, False, False, True]])
def test_known_outliers_are_marked_and_counted(y, kind):
    display = OutlierScoreDisplay.from_predictions([-9.0, -1.0, -2.0, -3.0], -5.0, y, kind=kind)
    assert display.y.tolist() == [True, False, False, True]
    assert "known outliers: 1 of 2 found" in _texts(display.ax_.get_legend().get_texts())


@pytest.mark.parametrize("y", [[1, 2, 0, 1], [1, 0], [[1], [0], [0], [1]]])
def test_other_labels_are_refused(y):
    with pytest.raises(ValueError, match="one label a row"):
        OutlierScoreDisplay.from_predictions([-9.0, -1.0, -2.0, -3.0], -5.0, y)
    with pytest.raises(ValueError, match=r"Got kind='bars'; expected one of \['histogram', 'rows'\]"):
        OutlierScoreDisplay.from_predictions([-1.0], -5.0, kind="bars")


def test_other_libraries_detectors_are_drawn_too():
    forest = IsolationForest(n_estimators=5, random_state=0).fit(X)
    display = OutlierScoreDisplay.from_estimator(forest, X)
    np.testing.assert_array_equal(display.labels, forest.predict(X))
    with pytest.raises(TypeError, match="keeps no scores of training rows"):
        OutlierScoreDisplay.from_estimator(forest)


# -- reasons --------------------------------------------------------------------------------------------


def test_reasons_are_ranked_beside_what_was_expected(detector, frame):
    row = frame[:1].assign(age=40.0)
    why, expected = detector.explain(row, return_expected=True)
    display = ExplanationDisplay.from_estimator(detector, row, max_features=2)
    ranked = why.iloc[0].sort_values(ascending=False)
    labels = _texts(display.ax_.get_yticklabels())
    assert labels[0] == f"{ranked.index[0]} = 40 (expected {expected['age'][0]:.3g})"
    assert labels[2] == "3 other columns"
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths, [*ranked[:2], ranked[2:].sum()])
    assert sum(widths) == pytest.approx(-detector.score_samples(row)[0])
    assert any("kind = ox (expected " in label for label in _texts(display.plot().ax_.get_yticklabels()))
    with pytest.raises(ValueError, match=r"expected a single row. Pass X\[i : i \+ 1\]"):
        ExplanationDisplay.from_estimator(detector, frame)


# -- filled gaps ----------------------------------------------------------------------------------------


def _gappy(frame: pd.DataFrame) -> pd.DataFrame:
    gappy = frame.copy()
    gappy.loc[::4, "kind"] = None
    gappy.loc[:9, "age"] = np.nan
    return gappy


def test_filled_cells_stand_beside_observed_ones(frame):
    gappy = _gappy(frame)
    imputer = AEImputer(random_state=0).fit(gappy)
    display = ImputationDisplay.from_estimator(imputer, gappy)
    assert [ax.get_title() for ax in display.axes_] == ["kind\n15 of 60 filled", "age\n10 of 60 filled"]
    heights = [[bar.get_height() for bar in bars] for bars in display.axes_[0].containers]
    levels = _texts(display.axes_[0].get_xticklabels())
    filled = imputer.transform(gappy)["kind"]
    for shares, rows in zip(heights, (gappy["kind"].dropna(), filled[gappy["kind"].isna()]), strict=True):
        np.testing.assert_allclose(shares, [(rows == level).mean() for level in levels])
    assert _texts(display.figure_.legends[0].get_texts()) == ["observed", "filled in"]


def test_filled_tables_may_come_in_other_shapes(frame):
    gappy = _gappy(frame)
    filled = frame.assign(was_missing=False)
    assert len(ImputationDisplay.from_predictions(gappy, (filled, filled)).axes_) == 2
    numbers = np.where(np.arange(60)[:, None] % [2, 3, 7] == 1, -1.0, X)
    imputer = SimpleImputer(missing_values=-1.0).fit(numbers)
    display = ImputationDisplay.from_estimator(imputer, numbers, features=[1, "x2"])
    assert [ax.get_title().split("\n")[0] for ax in display.axes_] == ["x1", "x2"]
    empty = np.column_stack([np.full(60, np.nan), np.where(np.isin(np.arange(60)[:, None] % 4, [0, 1]), np.nan, X)])
    dropped = ImputationDisplay.from_predictions(empty, np.nan_to_num(empty[:, 1:]))
    assert sorted(ax.get_title()[:2] for ax in dropped.axes_) == ["x1", "x2", "x3"]
    mixed = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", "y", None]})
    full = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})
    assert len(ImputationDisplay(mixed, full).plot().axes_) == 2


def test_what_has_no_gaps_or_no_such_column_is_refused():
    with pytest.raises(ValueError, match="without gaps"):
        ImputationDisplay.from_predictions(X, X)
    gappy = X.copy()
    gappy[::7, 1] = np.nan
    with pytest.raises(ValueError, match="'x9' is no column"):
        ImputationDisplay.from_predictions(gappy, X, features="x9")
    with pytest.raises(ValueError, match="expected the same rows"):
        ImputationDisplay.from_predictions(gappy, X[:5])
    assert not plt.get_fignums()


# -- synthetic rows -------------------------------------------------------------------------------------


def test_columns_that_differ_most_come_first_with_their_distance(frame):
    synthetic = frame.assign(age=frame["age"] + 1.0, kind="ox")
    display = SynthesisDisplay.from_predictions(frame, synthetic, max_features=3)
    distances = marginal_distances(frame, synthetic)
    assert display.distances == distances
    ranked = sorted(distances, key=lambda name: -distances[name])[:3]
    assert [ax.get_title() for ax in display.axes_] == [f"{name}\n{distances[name]:.2f} apart" for name in ranked]
    assert _texts(display.figure_.legends[0].get_texts()) == ["real: 60 rows", "synthetic: 60 rows"]


def test_pairs_have_the_distance_of_their_association(frame):
    synthetic = frame.assign(age=-frame["age"])
    display = SynthesisDisplay.from_predictions(frame, synthetic, kind="pairs", features=["mass", "age", "kind"])
    distances = association_distances(frame, synthetic)
    assert display.ax_.get_title() == f"association {distances['mass', 'age']:.2f} apart"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("mass", "age")
    (dots,) = display.ax_.collections
    assert len(dots.get_offsets()) == 120
    assert _texts(display.axes_[1].get_yticklabels()) == ["calf", "cow", "ox"]
    with pytest.raises(ValueError, match="two or more"):
        display.plot(kind="pairs", features="age")


@pytest.mark.filterwarnings("ignore:Got 60 of 60 values")
def test_levels_that_only_one_table_has_are_drawn(frame):
    display = SynthesisDisplay.from_predictions(frame, frame.assign(kind="bull"), features="kind")
    assert "bull" in _texts(display.ax_.get_xticklabels())
    assert display.ax_.containers[1][_texts(display.ax_.get_xticklabels()).index("bull")].get_height() == 1.0


def test_long_tails_do_not_flatten_the_rest():
    tailed = np.append(np.random.RandomState(0).standard_normal(999), 1e9)[:, None]
    display = SynthesisDisplay.from_predictions(tailed, tailed)
    assert display.ax_.get_xlim()[1] < 100


# -- reconstructed rows ---------------------------------------------------------------------------------


def test_a_table_is_written_out_and_shaded_where_it_is_off(frame):
    rows, corrupted = frame[:2], frame[:2].assign(age=[np.nan, 0.5])
    rebuilt = rows.assign(age=rows["age"] + 2.0, kind=["ox", "bull"])
    display = ReconstructionDisplay.from_predictions(rows, rebuilt, corrupted=corrupted)
    names = ["original", "corrupted", "reconstructed"]
    assert _texts(display.ax_.get_yticklabels()) == names * 2
    assert _texts(display.ax_.get_xticklabels()) == list(frame.columns)
    cells = {text.get_position(): text.get_text() for text in display.ax_.texts}
    assert (cells[3, 0], cells[3, 3], cells[3, 5]) == ("ox", "cow", "bull")
    assert cells[1, 1] == "-"
    shades = display.ax_.images[0].get_array()
    np.testing.assert_allclose(shades[[2, 5], 1], 2.0 / rows["age"].std(ddof=0))
    assert shades[5, 3] == 1.5  # another level
    assert not np.any(shades[[0, 3]])


def test_rows_of_an_estimator_are_measured_by_what_it_was_fitted_to(frame):
    vae = VAETransformer(2, **QUICK, prior="normal").fit(frame)
    display = ReconstructionDisplay.from_estimator(vae, frame, n_samples=3)
    off = (vae.reconstruct(frame[:3])["mass"] - frame["mass"][:3]) / frame["mass"].std(ddof=0)
    np.testing.assert_allclose(display.ax_.images[0].get_array()[1::2, 0], off, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="Got n_samples=0"):
        ReconstructionDisplay.from_estimator(vae, frame, n_samples=0)


def test_more_pictures_than_a_line_holds_go_on_below():
    pictures = np.random.RandomState(0).uniform(size=(5, 6))
    display = ReconstructionDisplay.from_predictions(pictures, pictures / 2, corrupted=1 - pictures, shape=(2, 3))
    assert _texts(display.ax_.get_yticklabels()) == ["original", "corrupted", "reconstructed"]
    display.plot(n_columns=3)
    assert _texts(display.ax_.get_yticklabels()) == ["original", "corrupted", "reconstructed"] * 2
    mosaic = display.ax_.images[0].get_array()
    np.testing.assert_array_equal(mosaic[15:17, 4:7], pictures[4].reshape(2, 3) / 2)
    assert mosaic.mask[9:, 8:].all()  # no sixth picture
    with pytest.raises(ValueError, match=r"corrupted of shape \(4, 6\)"):
        ReconstructionDisplay(pictures, pictures, corrupted=pictures[:4])


# -- components -----------------------------------------------------------------------------------------


def test_components_are_ranked_by_what_they_tell():
    display = KLDisplay.from_predictions([[0.0, 2.0, 0.5], [0.02, 4.0, 0.5]])
    assert [bar.get_height() for bar in display.bars_] == [3.0, 0.5, 0.01]
    assert _texts(display.ax_.get_xticklabels()) == ["1", "2", "0"]
    assert display.ax_.get_title() == "3.51 nats in all; 2 of 3 components tell 0.05 or more"
    assert display.bars_[2].get_facecolor() != display.bars_[0].get_facecolor()
    assert "; 2 drawn" in display.plot(max_components=2).ax_.get_title()


def test_a_divergence_that_does_not_divide_is_one_bar():
    vae = VAETransformer(2, **QUICK, prior="vamp").fit(X)
    display = KLDisplay.from_estimator(vae, X)
    assert _texts(display.ax_.get_xticklabels()) == ["all together"]
    assert display.kl[0] == pytest.approx(vae.posterior_kl(X).mean())


# -- names as they are, and too much of everything ----------------------------------------------------------


def test_dollar_signs_are_text():
    """Between two of them matplotlib reads mathematics, of which these are none."""
    names = [r"$\alpha_$", "price ($)", "$^$"]
    table = pd.DataFrame(X, columns=names).assign(**{r"$\kind_$": np.array([r"$\x_$", "y$"])[np.arange(60) % 2]})
    gappy = table.mask(np.add.outer(np.arange(60), np.arange(4)) % 5 == 0)
    vae = VAETransformer(2, **QUICK).fit(table)
    detector = AEOutlierDetector(AutoencoderTransformer(2, **QUICK), anomaly_score="mixture").fit(table)
    displays = [
        ReconstructionDisplay.from_estimator(vae, table[:3]),
        InterpolationDisplay.from_estimator(vae, table[:1], table[-1:]),
        LatentGridDisplay.from_estimator(vae, table, feature=r"$\kind_$"),
        LatentSpaceDisplay.from_estimator(vae, table, table[r"$\kind_$"], y_name=r"$\kind_$"),
        ExplanationDisplay.from_estimator(detector, table[:1]),
        ImputationDisplay.from_estimator(AEImputer(vae).fit(gappy), gappy),
        SynthesisDisplay.from_estimator(vae, table),
        SynthesisDisplay.from_estimator(vae, table, kind="pairs"),
    ]
    for display in displays:
        display.figure_.canvas.draw()


def test_pictures_that_nobody_could_read_are_refused(frame):
    ae = AutoencoderTransformer(2, **QUICK).fit(frame)
    with pytest.raises(ValueError, match=r"Got 30 pairs of rows; expected at most 24.*a\[:8\]"):
        InterpolationDisplay.from_estimator(ae, frame[:30], frame[30:])
    with pytest.raises(ValueError, match="Got max_features=0; expected 1 or more"):
        SynthesisDisplay.from_predictions(frame, frame, max_features=0)


def test_codes_that_are_text_are_refused():
    with pytest.raises(ValueError, match=r"Got codes that are no numbers: .*'red'"):
        LatentSpaceDisplay.from_predictions(np.array([["red", "1"], ["blue", "2"]]))


@pytest.mark.parametrize("codes", [[[0, 1], [np.inf, 2]], [[np.nan, 1], [0, 2]], np.empty((0, 2))])
def test_rows_without_a_place_are_refused(codes):
    with pytest.raises(ValueError, match=r"rows with a place on the map; expected all, and one or more"):
        LatentSpaceDisplay.from_predictions(codes)


def test_a_grid_of_one_place_is_refused(frame):
    ae = AutoencoderTransformer(2, **QUICK).fit(frame)
    with pytest.raises(ValueError, match=r"Got n_steps=1; expected 2 or more"):
        LatentGridDisplay.from_estimator(ae, frame, feature="mass", n_steps=1)
    with pytest.raises(ValueError, match=r"Got codes of 1 rows that do not vary.*limits="):
        LatentGridDisplay.from_estimator(ae, frame[:1], feature="mass")


def test_polar_axes_keep_their_frame():
    ax = plt.figure().add_subplot(projection="polar")
    assert LatentSpaceDisplay.from_predictions(X[:, :2], ax=ax).ax_ is ax
