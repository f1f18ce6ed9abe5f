"""Loss curves and networks: what is drawn of training, and of what was trained."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from support import QUICK, make_table

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.networks import GRU, MADE, MLP, NETWORKS, Conv, PixelCNN, Transformer
from sklae.plotting import ArchitectureDisplay, LossCurveDisplay, summary
from sklae.schedules import LinearWarmup

X = make_table(60, 4)


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def vae():
    settings = {**QUICK, "max_iter": 4, "early_stopping": True, "learning_rate": "cosine"}
    return VAETransformer(2, **settings, prior="normal", beta=LinearWarmup(n_epochs=2)).fit(X)


@pytest.fixture(scope="module")
def ae():
    return AutoencoderTransformer(2, **QUICK).fit(X)


def test_every_term_has_a_panel_of_training_and_validation(vae):
    display = LossCurveDisplay.from_estimator(vae, terms="all", learning_rate=True)
    assert [ax.get_title() for ax in display.axes_] == ["loss", "reconstruction", "kl", "learning rate"]
    history = vae.net_.history
    for key in ("train_reconstruction", "valid_reconstruction", "train_kl", "valid_kl", "learning_rate"):
        np.testing.assert_array_equal(display.lines_["", key].get_ydata(), history[:, key])
    np.testing.assert_array_equal(display.lines_["", "valid_loss"].get_ydata(), history[:, "valid_final_loss"])
    assert {line.get_label() for line in display.axes_[2].lines} == {"training rows", "validation rows"}


def test_the_learning_rate_is_that_of_each_epochs_last_step(vae, ae):
    rates = np.array(vae.net_.history[:, "learning_rate"])
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert (np.diff(rates) < 0).all()
    assert ae.net_.history[:, "learning_rate"] == [ae.learning_rate_init] * 2


def test_nets_that_are_trained_together_record_it_too():
    detector = AEOutlierDetector(AutoencoderTransformer(2, **{**QUICK, "learning_rate": "cosine"}), n_estimators=2)
    histories = [one.net_.history[:, "learning_rate"] for one in detector.fit(X).estimators_]
    assert histories[0] == histories[1] == sorted(histories[0], reverse=True)


def test_several_models_can_be_told_apart(vae, ae):
    display = LossCurveDisplay.from_estimator({"small": ae, "large": vae})
    assert len(display.axes_) == 1
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[0] == "small"
    assert labels[1] in ("large", "large (kept: the start)")
    assert labels[2:4] == ["training rows", "validation rows"]
    lines = display.lines_
    assert lines["small", "train_loss"].get_color() != lines["large", "train_loss"].get_color()
    assert lines["large", "train_loss"].get_color() == lines["large", "valid_loss"].get_color()
    assert lines["large", "train_loss"].get_linestyle() != lines["large", "valid_loss"].get_linestyle()
    np.testing.assert_array_equal(lines["small", "train_loss"].get_ydata(), ae.loss_curve_)
    assert sorted(LossCurveDisplay.from_estimator([ae, vae]).histories) == ["model 0", "model 1"]


def test_the_legend_names_every_model_also_where_it_has_no_such_curve():
    """Names stand for colours and styles for kinds of rows, beside the curves and not over them."""
    histories = {f"m{i}": {"train_loss": [3.0, 2.0 - i / 9], "valid_loss": [3.0, 2.5]} for i in range(12)}
    histories["m0"]["train_kl"] = [1.0, 2.0]
    display = LossCurveDisplay(histories, best_epochs={"m0": 2, "m1": 0}).plot(terms=["kl", "loss"])
    assert display.axes_[0].get_legend() is None
    (legend,) = display.figure_.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:3] == ["m0", "m1 (kept: the start)", "m2"]
    assert labels[12:] == ["training rows", "validation rows", "best epoch"]
    looks = [(line.get_color(), line.get_marker()) for line in legend.get_lines()[:12]]
    drawn = [display.lines_[name, "train_loss"] for name in histories]
    assert looks == [(line.get_color(), line.get_marker()) for line in drawn]
    assert len(set(looks)) == 12
    assert [line.get_linestyle() for line in legend.get_lines()[12:14]] == ["-", "--"]
    given = plt.subplots()[1]
    assert len(LossCurveDisplay(histories).plot(given).ax_.get_legend().get_texts()) == 14


def test_unknown_terms_are_refused(vae, ae):
    with pytest.raises(ValueError, match=r"'kk' is not in the histories; expected some of \['kl', 'loss',"):
        LossCurveDisplay.from_estimator(vae, terms=["loss", "kk"])
    with pytest.raises(ValueError, match="at least one fitted"):
        LossCurveDisplay.from_estimator([])
    with pytest.raises(ValueError, match="histories without a rate"):
        LossCurveDisplay({"": {"train_loss": [2.0, 1.0]}}).plot(learning_rate=True)
    assert not plt.get_fignums()
    assert [ax.get_title() for ax in LossCurveDisplay.from_estimator(ae, terms="all").axes_] == [""]  # one term


def test_epochs_without_validation_rows_stay_empty(ae):
    again = AutoencoderTransformer(2, **{**QUICK, "warm_start": True}).fit(X)
    again.fit(X, X_val=X[:9])
    line = LossCurveDisplay.from_estimator(again).lines_["", "valid_loss"]
    assert np.isnan(line.get_ydata()).tolist() == [True, True, False, False]


# -- networks -------------------------------------------------------------------------------------------


def test_the_picture_has_every_parameter(vae):
    display = ArchitectureDisplay.from_estimator(vae)
    total = sum(weight.numel() for weight in vae.net_.module_.parameters())
    assert sum(layer.n_parameters for layer in display.layers) == display.n_parameters == total
    assert f"{total:,} parameters" in display.ax_.get_title()
    assert f"{total:,} parameters" in summary(vae)


def test_layers_have_their_shapes_and_stand_in_order():
    network = MLP((8, 5), linear_path=False)
    ae = AutoencoderTransformer(2, **{**QUICK, "hidden_layer_sizes": None}, network=network).fit(X)
    layers = ArchitectureDisplay.from_estimator(ae).layers
    found = [(layer.part, layer.shape) for layer in layers if layer.kind in ("", "Linear")]
    encoder, decoder = [("encoder", (n,)) for n in (8, 5, 2)], [("decoder", (n,)) for n in (5, 8, 4)]
    assert found == [("input", (4,)), *encoder, ("code", (2,)), *decoder]
    assert [layer.n_parameters for layer in layers if layer.kind == "Linear"] == [40, 45, 12, 15, 48, 36]


NETWORKS_OF_16 = {
    "conv": Conv((4, 4), channels=(4,), normalization="weight"),
    "gru": GRU((16,), hidden_size=4),
    "made": MADE((8,)),
    "mlp": MLP((8,), dropout=0.5, normalization="batch"),
    "pixel_cnn": PixelCNN((4, 4), channels=4),
    "transformer": Transformer(d_model=8, num_layers=1),
}


@pytest.mark.parametrize("name", NETWORKS_OF_16)
def test_any_network_is_summed_up(name):
    rows = (make_table(40, 16) > 0).astype(float)
    settings = {**QUICK, "hidden_layer_sizes": None, "max_iter": 1}
    ae = AutoencoderTransformer(2, **settings, network=NETWORKS_OF_16[name], likelihood="bernoulli").fit(rows)
    before = [weight.clone() for weight in ae.net_.module_.parameters()]
    display = ArchitectureDisplay.from_estimator(ae)
    assert sum(layer.n_parameters for layer in display.layers) == display.n_parameters
    assert all((a == b).all() for a, b in zip(before, ae.net_.module_.parameters(), strict=True))
    assert not any(layer._forward_hooks for layer in ae.net_.module_.modules())
    assert summary(ae).count("\n") > 8


def test_every_network_is_listed_here():
    assert set(NETWORKS) == set(NETWORKS_OF_16)


def test_conditions_and_gaps_are_inputs():
    rows = X.copy()
    rows[::3, 0] = np.nan
    vae = VAETransformer(2, **QUICK, prior="normal", condition_features=[3]).fit(rows)
    layers = ArchitectureDisplay.from_estimator(vae).layers
    assert layers[0].shape == (4,)
    assert [layer.shape for layer in layers if layer.part == "likelihood"] == [(3,)]
