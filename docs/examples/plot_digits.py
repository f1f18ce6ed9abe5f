"""
A map of digits, and new ones
=============================

A variational autoencoder with two components draws a map of handwritten digits. One with more makes up digits that
nobody wrote, walks from one to another, and varies one.
"""

# %%
# Two terms of a loss
# -------------------
# Images are rows of pixels, ink from 0 to 1, which the Bernoulli likelihood takes as probabilities. The loss has two
# terms: how badly pixels are rebuilt, and what the code tells of a digit beyond the prior, in nats (KL). The first
# falls because the second rises.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.plotting import (
    InterpolationDisplay,
    KLDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    image_grid,
)

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, y, shape = mnist["X_train"][:4000].reshape(-1, 784) / 255, mnist["y_train"][:4000], (28, 28)
else:  # the smaller digits of scikit-learn
    X, y, shape = load_digits().data / 16, load_digits().target, (8, 8)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)

settings = {"likelihood": "bernoulli", "prior": "normal", "batch_size": 128, "max_iter": 20, "random_state": 0}
flat = VAETransformer(2, learning_rate_init=3e-3, **settings).fit(X_train)
LossCurveDisplay.from_estimator(flat, terms="all")

# %%
# The map
# -------
# New digits on it, beside the map of principal components.
figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
LatentSpaceDisplay.from_estimator(flat, X_test, y_test, ax=axes[0])
LatentSpaceDisplay.from_predictions(PCA(2).fit(X_train).transform(X_test), y_test, ax=axes[1])
axes[0].set_title("VAETransformer(2)")
axes[1].set_title("PCA(2)")
axes[0].get_legend().remove()

# %%
# Decoded, place by place
# -----------------------
# `inverse_transform` decodes any point of the map. Between two kinds of digits there are pictures of neither.

# sphinx_gallery_thumbnail_number = 3
LatentGridDisplay.from_estimator(flat, X_train, shape=shape, limits=[(-2.2, 2.2), (-2.2, 2.2)], n_steps=18)

# %%
# More components
# ---------------
# Two numbers can't tell all of a digit. Of 16 each tells something: the bars are nats beyond the prior. Components that
# did not pay would be left out, and be grey.
vae = VAETransformer(16, learning_rate_init=3e-3, **settings).fit(X_train)
KLDisplay.from_estimator(vae, X_test)

# %%
ReconstructionDisplay.from_estimator(vae, X_test, shape=shape)

# %%
# To see 16 components on a page, t-SNE puts those together that are alike. It is a picture of neighbours: its distances
# and areas mean nothing.
LatentSpaceDisplay.from_estimator(vae, X_test, y_test, method="tsne", random_state=0, y_name="digit")

# %%
# New digits
# ----------
# `sample` draws codes from the prior and decodes them; ``noise=False`` shows the ink that is expected, not draws of ink
# or no ink. Some are none that one would write: digits lie in clusters, and the normal prior in one round hill, also
# where there are none. The example of priors goes on from here.
image_grid(vae.sample(40, random_state=0, noise=False), shape, n_columns=10)

# %%
# From one digit to another
# -------------------------
# A great circle keeps to the lengths that codes of many components have. In the middle are pictures, not two faded ones
# on top of each other.
first = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
starts, ends = X_test[first][[1, 3, 6, 7]], X_test[first][[4, 8, 0, 9]]
InterpolationDisplay.from_estimator(vae, starts, ends, n_steps=11, method="spherical", shape=shape)

# %%
# Variations
# ----------
# On the left three digits; to their right what is decoded from codes around theirs, twice as far off as the encoder's
# own doubts go.
varied = vae.vary(X_test[first][[2, 5, 8]], scale=2.0, n_samples=10, random_state=0).reshape(3, 10, -1)
lines = np.concatenate([X_test[first][[2, 5, 8], None], varied], axis=1)
image_grid(lines.reshape(-1, X.shape[1]), shape, n_columns=11)
plt.show()
