"""
Painting over what is hidden
============================

Half of each digit is hidden. A variational autoencoder rebuilds the picture from what is left to see, once as what is
expected there, and several times as what may have been there.
"""

# %%
# Gaps in pictures
# ----------------
# A hidden pixel is NaN, in training as in use: the encoder is told which pixels it sees. Here the training pictures are
# there as a whole, so that they can be learned from in pairs: one half of each, drawn by chance, and all of it as
# ``X_clean``. Where training pictures have gaps themselves, ``fit`` takes them alone, and losses leave the gaps out.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.plotting import ReconstructionDisplay, image_grid

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, shape = mnist["X_train"][:3000].reshape(-1, 784) / 255, (28, 28)
else:  # the smaller digits of scikit-learn
    X, shape = load_digits().data / 16, (8, 8)
train, test = train_test_split(X, test_size=0.2, random_state=0)


def half_of(pictures, sides):
    """Return a copy of the pictures, NaN in the upper, lower, left or right half (0 to 3) of each."""
    seen, middle = pictures.reshape(-1, *shape).copy(), shape[0] // 2
    halves = (np.s_[:middle], np.s_[middle:], np.s_[:, :middle], np.s_[:, middle:])
    for picture, side in zip(seen, sides, strict=True):
        picture[halves[side]] = np.nan
    return seen.reshape(pictures.shape)


known = half_of(train, np.random.default_rng(0).integers(0, 4, len(train)))
vae = VAETransformer(
    20, likelihood="gaussian", prior="normal", standardize=False, batch_size=64, max_iter=20, random_state=0
).fit(known, X_clean=train)

# %%
# The lower half
# --------------
# `reconstruct` encodes what is there, and decodes the whole picture. Blurred is what can't be known from above.
hidden = half_of(test, np.full(len(test), 1))
ReconstructionDisplay.from_estimator(vae, test, corrupted=hidden, shape=shape)

# %%
# Against neighbours
# ------------------
# The mean of all pictures, and of the five that are most alike where it can be seen. These five are closer than the
# model: small pictures have near twins among a few thousand. But they give one answer only.
gaps = np.isnan(hidden)
knn = KNNImputer(n_neighbors=5).fit(train)
ways = {
    "mean": np.where(gaps, train.mean(axis=0), test),
    "KNNImputer": knn.transform(hidden),
    "VAETransformer": vae.reconstruct(hidden),
}
for name, painted in ways.items():
    print(f"{name:14} squared error {np.mean((painted - test)[gaps] ** 2):.4f}")

# %%
# What may have been there
# ------------------------
# A mean is blurred where several answers are possible. `vary` draws codes from what the encoder thinks possible of a
# picture, and decodes each: a line is one answer. What was seen is kept.

# sphinx_gallery_thumbnail_number = 2
shown = slice(0, 10)
draws = np.asarray(vae.vary(hidden[shown], n_samples=4, random_state=0)).reshape(10, 4, -1).swapaxes(0, 1)
answers = np.where(gaps[shown], draws, test[shown])
lines = np.concatenate([hidden[shown][None], answers, test[shown][None]])
ax = image_grid(lines.reshape(-1, test.shape[1]), shape, n_columns=10, limits=(0, 1))
names = ["given", *(f"answer {i}" for i in range(1, 5)), "truth"]
ax.set_yticks((shape[0] + 1) * np.arange(len(lines)) + shape[0] / 2, names)
ax.tick_params(length=0)
plt.show()
