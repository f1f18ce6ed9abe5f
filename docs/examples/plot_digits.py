"""
A map of digits, and new ones
=============================

A variational autoencoder with two components draws a map of 1,797 handwritten digits, and makes up
digits that nobody wrote.
"""

# %%
# The map
# -------
# Pixels are 0 to 16; scaled to [0, 1] they are shares of ink, which the Bernoulli likelihood takes as probabilities.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.plotting import image_grid, latent_map, reconstructions

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
vae = VAETransformer(
    n_components=2,
    likelihood="bernoulli",
    prior="normal",
    learning_rate="one_cycle",
    learning_rate_init=3e-3,
    max_iter=80,
    random_state=0,
).fit(X_train)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
latent_map(vae.transform(X_test), y_test, ax=axes[0])
latent_map(PCA(2).fit(X_train).transform(X_test), y_test, ax=axes[1])
axes[0].set_title("VAETransformer(2)")
axes[1].set_title("PCA(2)")

# %%
# Rebuilt from two numbers each
# -----------------------------
chosen = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
rebuilt = vae.reconstruct(X_test[chosen])
figure, ax = plt.subplots(figsize=(9, 2), layout="constrained")
reconstructions(X_test[chosen], rebuilt, (8, 8), ax=ax)

# %%
# A walk over the map
# -------------------
# `inverse_transform` decodes any point of the map. The walk is even in probability: its steps are quantiles
# of the prior, a standard normal distribution.

# sphinx_gallery_thumbnail_number = 3
from scipy.stats import norm

steps = norm.ppf(np.linspace(0.03, 0.97, 14))
grid = np.array([[across, down] for down in steps[::-1] for across in steps])
figure, ax = plt.subplots(figsize=(6, 6), layout="constrained")
image_grid(vae.inverse_transform(grid), (8, 8), n_columns=len(steps), ax=ax)

# %%
# New digits
# ----------
# Draw codes from the prior, and decode them. (`vae.sample(20)` does both, and also draws every pixel from the
# likelihood, here as ink or no ink.)
codes = np.random.default_rng(0).normal(size=(20, 2))
figure, ax = plt.subplots(figsize=(9, 1.6), layout="constrained")
image_grid(vae.inverse_transform(codes), (8, 8), n_columns=10, ax=ax)
plt.show()
