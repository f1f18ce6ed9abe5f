"""Functions that draw: what is drawn, and on which Axes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import QUICK, make_table

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer, plotting
from sklae.networks import MLP

X = make_table(60, 4)
PIXELS = np.random.RandomState(0).uniform(size=(7, 6))


def _scores() -> np.ndarray:
    return -np.random.RandomState(0).chisquare(3, size=200)


#: Every function with arguments it accepts. A new one is tested the moment it is listed.
DRAWINGS = {
    "image_grid": lambda ax=None: plotting.image_grid(PIXELS, (2, 3), ax=ax),
    "latent_map": lambda ax=None: plotting.latent_map(X, np.arange(60) % 3, ax=ax),
    "reconstructions": lambda ax=None: plotting.reconstructions(PIXELS, PIXELS, (2, 3), ax=ax),
    "score_histogram": lambda ax=None: plotting.score_histogram(_scores(), -8.0, ax=ax),
    "training_curve": lambda ax=None: plotting.training_curve(AutoencoderTransformer(2, **QUICK).fit(X), ax=ax),
}


pytestmark = pytest.mark.usefixtures("closed_figures")


def _png(ax) -> bytes:
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png")
    return buffer.getvalue()


def test_every_function_is_drawn_here():
    others = {"Layer", "summary"}  # no pictures
    assert sorted(DRAWINGS) == sorted(name for name in plotting.__all__ if "Display" not in name and name not in others)


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_on_the_given_axes_or_on_new_ones(name):
    given = Figure().subplots()
    assert DRAWINGS[name](ax=given) is given
    assert plt.get_fignums() == []
    own = DRAWINGS[name]()
    assert own.figure is plt.gcf()
    assert plt.get_fignums() == [own.figure.number]
    assert _png(own).startswith(b"\x89PNG")
    assert len(_png(own)) > 500


@pytest.mark.parametrize("name", DRAWINGS)
def test_same_picture_in_threads(name):
    alone = _png(DRAWINGS[name]())
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: _png(DRAWINGS[name]()), range(3))) == {alone}


@pytest.mark.parametrize("name", DRAWINGS)
def test_missing_matplotlib_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklae\[plot\]"):
        DRAWINGS[name]()


def test_matplotlib_is_loaded_with_the_first_picture_and_needs_no_display():
    program = (
        "import sys; from sklae import plotting; assert 'matplotlib' not in sys.modules; "
        "plotting.image_grid([[0, 1]], (1, 2)).figure.savefig(sys.stdout.buffer, format='png')"
    )
    unseen = {"DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"}
    environment = {name: value for name, value in os.environ.items() if name not in unseen}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "estimator",
    [
        VAETransformer(2, **QUICK),
        AEOutlierDetector(AutoencoderTransformer(2, **QUICK)),
        make_pipeline(StandardScaler(), VAETransformer(2, **QUICK)),
    ],
)
def test_training_curve_finds_the_autoencoder(estimator):
    line = plotting.training_curve(estimator.fit(X)).lines[0]
    assert line.get_xdata().tolist() == [1, 2]


def test_training_curve_shows_validation_and_its_best_epoch():
    settings = {**QUICK, "max_iter": 6, "early_stopping": True, "hidden_layer_sizes": None}
    vae = VAETransformer(2, **settings, network=MLP((8,), linear_path=False), prior="normal").fit(X)
    assert vae.best_iter_ > 0
    train, valid, best = plotting.training_curve(vae).lines
    np.testing.assert_array_equal(train.get_ydata(), vae.loss_curve_)
    np.testing.assert_array_equal(valid.get_ydata(), -np.array(vae.validation_scores_))
    assert best.get_ydata()[0] == min(valid.get_ydata())


def test_training_curve_says_where_the_start_was_kept():
    vae = VAETransformer(2, **{**QUICK, "max_iter": 3, "early_stopping": True, "learning_rate_init": 1.0}).fit(X)
    assert vae.best_iter_ == 0
    _, valid = plotting.training_curve(vae).lines
    assert valid.get_label() == "validation rows (kept: the start)"


def test_training_curve_leaves_a_steep_start_out_of_sight():
    vae = VAETransformer(2, **QUICK).fit(X)
    vae.loss_curve_ = [1e6, *np.linspace(10, 5, 39)]
    low, high = plotting.training_curve(vae).get_ylim()
    assert low < 5
    assert 10 < high < 20


def test_training_curve_refuses_what_has_none():
    with pytest.raises(TypeError, match="no loss_curve_"):
        plotting.training_curve(StandardScaler().fit(X))


@pytest.mark.parametrize(("sign", "scale"), [(-1.0, "log"), (1.0, "linear")])
def test_score_histogram_counts_every_row_on_its_side(sign, scale):
    scores = sign * -_scores()
    threshold = np.quantile(scores, 0.1)
    ax = plotting.score_histogram(scores, threshold)
    assert ax.get_xscale() == scale
    normal, outliers = (sum(patch.get_height() for patch in bars) for bars in ax.containers)
    assert (normal, outliers) == (180, 20)
    assert "outliers: 20 rows" in [text.get_text() for text in ax.get_legend().get_texts()]
    line, marks = ax.lines
    assert line.get_xdata()[0] == pytest.approx(abs(threshold))
    assert len(marks.get_xdata()) == 20
    edges = [bar.get_x() for bar in ax.containers[0]]
    assert np.isclose(edges, abs(threshold)).any()  # no bar lies on both sides


@pytest.mark.parametrize("scores", [[0.0, 0.0, -1.0], [0.0, 0.0], [-2.0, -2.0], [-1.0, -3.0, -np.inf], [2.0, 2.0]])
@pytest.mark.parametrize("threshold", [-1.5, -2.0, -50.0, 1.0])
def test_score_histogram_of_ties_zeros_and_infinities_loses_no_row(scores, threshold):
    ax = plotting.score_histogram(scores, threshold)
    assert sum(patch.get_height() for bars in ax.containers for patch in bars) == len(scores)


def test_latent_map_gives_each_class_a_colour():
    labels = np.array(["b", "a", "c"])[np.arange(60) % 3]
    ax = plotting.latent_map(X, labels)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    assert [len(dots.get_offsets()) for dots in ax.collections] == [20, 20, 20]
    assert len({tuple(dots.get_facecolor()[0]) for dots in ax.collections}) == 3


def test_latent_map_of_quantities_has_a_colour_bar():
    ax = plotting.latent_map(X, np.linspace(0, 1, 60))
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2


def test_latent_map_without_labels():
    np.testing.assert_allclose(plotting.latent_map(X).collections[0].get_offsets(), X[:, :2])


def test_latent_map_refuses_one_component_and_unequal_lengths():
    with pytest.raises(ValueError, match="n_components=2"):
        plotting.latent_map(X[:, :1])
    with pytest.raises(ValueError, match="one label per row"):
        plotting.latent_map(X, [0, 1])


def test_image_grid_puts_pictures_in_reading_order():
    mosaic = plotting.image_grid(PIXELS, (2, 3), n_columns=4).images[0].get_array()
    assert mosaic.shape == (5, 15)
    np.testing.assert_array_equal(mosaic[:2, 4:7], PIXELS[1].reshape(2, 3))
    np.testing.assert_array_equal(mosaic[3:, :3], PIXELS[4].reshape(2, 3))
    assert mosaic.mask[2].all()  # the gap between the lines
    assert mosaic.mask[3:, 12:].all()  # no eighth picture


def test_reconstructions_share_the_scale_of_the_originals():
    ax = plotting.reconstructions(PIXELS, 2 * PIXELS, (2, 3))
    assert ax.images[0].get_clim() == (PIXELS.min(), PIXELS.max())
    np.testing.assert_array_equal(ax.images[0].get_array()[3:, :3], 2 * PIXELS[0].reshape(2, 3))


def test_pictures_refuse_rows_of_another_size():
    with pytest.raises(ValueError, match=r"expected \(n_samples, 9\)"):
        plotting.image_grid(PIXELS, (3, 3))
    with pytest.raises(ValueError, match="before and after"):
        plotting.reconstructions(PIXELS, PIXELS[:3], (2, 3))


@pytest.mark.parametrize(
    ("rows", "shape", "settings", "message"),
    [
        (PIXELS, (3, 3), {}, r"Got rows of shape \(7, 6\); expected \(n_samples, 9\)"),
        (PIXELS[0], (2, 3), {}, r"Got rows of shape \(6,\); expected \(n_samples, 6\)"),
        (PIXELS.reshape(7, 2, 3), (2, 3), {}, r"Got rows of shape \(7, 2, 3\)"),
        (PIXELS[:0], (2, 3), {}, "expected at least one picture"),
        (PIXELS, (2, 3, 2), {}, r"Got shape=\(2, 3, 2\); expected.*with 3 channels.*draw one"),
        (PIXELS, (6,), {}, r"Got shape=\(6,\); expected \(height, width\)"),
        (PIXELS, 6, {}, "Got shape=6; expected"),
        (PIXELS, (-1, 3), {}, "positive integers"),
        (PIXELS, (2.0, 3.0), {}, "positive integers"),
        (PIXELS, (2, 3), {"n_columns": 0}, "Got n_columns=0; expected an integer at or above 1"),
        (PIXELS, (2, 3), {"n_columns": -2}, "Got n_columns=-2"),
        (PIXELS, (2, 3), {"n_columns": 2.5}, "Got n_columns=2.5"),
        (PIXELS, (2, 3), {"limits": (1, 0)}, "the smaller first"),
        (PIXELS, (2, 3), {"limits": (0, np.nan)}, "two finite numbers"),
        (PIXELS, (2, 3), {"limits": (0, 1, 2)}, "two finite numbers"),
        (np.full((2, 6), np.nan), (2, 3), {}, "without a single value.*Pass limits"),
        (np.where(PIXELS > 0.9, np.inf, PIXELS), (2, 3), {}, "Got infinite values in"),
    ],
)
def test_image_grid_refuses_before_drawing(rows, shape, settings, message):
    with pytest.raises(ValueError, match=message):
        plotting.image_grid(rows, shape, **settings)
    assert not plt.get_fignums()


@pytest.mark.parametrize("originals", [PIXELS[:0], np.full((2, 6), np.nan)])
def test_reconstructions_refuse_what_has_no_scale(originals):
    with pytest.raises(ValueError, match=r"expected at least one picture|without a single value"):
        plotting.reconstructions(originals, originals, (2, 3))


@pytest.mark.parametrize(
    ("shape", "pixel"),
    [
        ((3, 2, 3), lambda row: row.reshape(3, 2, 3).transpose(1, 2, 0)),
        ((3, 3, 2), lambda row: row.reshape(3, 3, 2).transpose(1, 2, 0)),
        ((2, 3, 3), lambda row: row.reshape(2, 3, 3)),
        ((1, 6, 3), lambda row: row.reshape(6, 3)),
        ((3, 6, 1), lambda row: row.reshape(3, 6)),
    ],
)
def test_channels_lie_at_the_end_that_may_be_colours(shape, pixel):
    row = np.random.RandomState(0).uniform(size=18)
    drawn = plotting.image_grid([row], shape, limits=(0, 1)).images[0].get_array()
    np.testing.assert_allclose(drawn, pixel(row))


@pytest.mark.filterwarnings("error")
def test_gaps_are_drawn_as_nothing():
    holed = PIXELS.copy()
    holed[:, 1] = np.nan
    mosaic = plotting.reconstructions(holed, PIXELS, (2, 3)).images[0].get_array()
    assert mosaic.mask[0, 1]
    assert not mosaic.mask[3:5, :3].any()
    row = np.random.RandomState(0).uniform(size=18)
    row[7] = np.nan  # one channel of a pixel
    pixels = plotting.image_grid([row], (2, 3, 3)).images[0].get_array()
    np.testing.assert_array_equal(pixels[0, 2], 1.0)
    blank = np.full((2, 6), np.nan)
    assert plotting.image_grid(blank, (2, 3), limits=(0, 1)).images[0].get_array().mask.all()
