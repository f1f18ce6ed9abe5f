"""
Painting over what is hidden
============================

Half of each digit is hidden. A variational autoencoder rebuilds the picture from what is left to see, once as what is
expected there, and several times as what may have been there.
"""

# %%
# Gaps in pictures
# ----------------
# A hidden pixel is NaN, in training as in use: the encoder is told which pixels it sees, and losses leave the others
# out. ``corruption="masking"`` hides some more, so that the model learns to go by a part. Here all training pictures are
# whole but for that.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.corruptions import Masking
from sklae.plotting import ReconstructionDisplay, image_grid

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, shape = mnist["X_train"][:4000].reshape(-1, 784) / 255, (28, 28)
else:  # the smaller digits of scikit-learn
    X, shape = load_digits().data / 16, (8, 8)
train, test = train_test_split(X, test_size=0.2, random_state=0)
vae = VAETransformer(
    20,
    likelihood="gaussian",
    corruption=Masking(0.4),
    standardize=False,
    batch_size=128,
    learning_rate_init=3e-3,
    max_iter=25,
    random_state=0,
).fit(train)

# %%
# The lower half
# --------------
# `reconstruct` encodes what is there, and decodes the whole picture. Blurred is what can't be known from above.
hidden = test.reshape(-1, *shape).copy()
hidden[:, shape[0] // 2 :] = np.nan
hidden = hidden.reshape(test.shape)
ReconstructionDisplay.from_estimator(vae, test, corrupted=hidden, shape=shape)

# %%
# Against neighbours
# ------------------
# The mean of the five pictures that are most alike where it can be seen, and the mean of all pictures.
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
plt.show()
