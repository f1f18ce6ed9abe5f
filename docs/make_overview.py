"""Draw docs/images/overview.png, the picture of the README: ``python docs/make_overview.py``."""

from pathlib import Path

import numpy as np
from make_pictures import write
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

from sklae import AEOutlierDetector, VAETransformer
from sklae.plotting import (
    LatentSpaceDisplay,
    LossCurveDisplay,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    image_grid,
)

TARGET = Path(__file__).parent / "images" / "overview.png"


def digit_vae(n_components: int, **settings) -> VAETransformer:
    """Return an untrained model of pixels, which share one unit."""
    return VAETransformer(
        n_components,
        standardize=False,
        prior="normal",
        learning_rate="one_cycle",
        learning_rate_init=3e-3,
        max_iter=60,
        random_state=0,
        **settings,
    )


def main() -> None:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, _, y_test = train_test_split(X / 16.0, y, stratify=y, random_state=0)
    flat = digit_vae(2, likelihood="bernoulli").fit(X_train)
    vae = digit_vae(16, likelihood="gaussian", early_stopping=True, n_iter_no_change=np.inf).fit(
        X_train
    )  # keeps the best epoch
    measurements = load_breast_cancer().data
    detector = AEOutlierDetector(random_state=0).fit(measurements)

    figure = Figure(figsize=(12.0, 4.2), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=[1.1, 1.25, 1.0])
    draw_map(left.subplots(), flat, X_test, y_test)
    draw_digits(middle, vae, X_test, y_test)
    draw_curves(right, vae, detector)
    write(figure, TARGET, dpi=100)


def draw_map(ax, vae, X, y) -> None:
    LatentSpaceDisplay.from_estimator(vae, X, y, ax=ax)
    ax.set_title("unseen digits as two numbers each")


def draw_digits(figure, vae, X, y) -> None:
    rebuilt, new = figure.subplots(2, 1, height_ratios=[17, 53])
    one_of_each = X[[int(np.argmax(y == digit)) for digit in range(10)]]
    ReconstructionDisplay.from_estimator(vae, one_of_each, shape=(8, 8), ax=rebuilt)
    rebuilt.set_title("unseen digits, rebuilt from 16 numbers")
    codes = np.random.RandomState(0).standard_normal((60, 16))
    image_grid(vae.inverse_transform(codes), (8, 8), n_columns=10, limits=(0, 1), ax=new)
    new.set_title("digits that never were")


def draw_curves(figure, vae, detector) -> None:
    curve, histogram = figure.subplots(2, 1)
    LossCurveDisplay.from_estimator(vae, ax=curve)
    curve.set_title("training")
    OutlierScoreDisplay.from_estimator(detector, ax=histogram)
    histogram.margins(y=0.9)  # room for the legend
    histogram.set_title("569 tumours: the strange ones")
    for ax in (curve, histogram):
        for text in ax.get_legend().get_texts():
            text.set_fontsize("small")


if __name__ == "__main__":
    main()
