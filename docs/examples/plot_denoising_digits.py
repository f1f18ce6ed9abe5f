"""
Digits without the noise
========================

A denoising autoencoder sees damaged pictures and is asked for the clean ones. It learns which strokes there are, and
what is none it leaves out: new noise on new digits goes away, too.
"""

# %%
# Learning to undo
# ----------------
# ``corruption`` damages the rows anew in every epoch; the loss compares with the clean ones. A second model learns from
# the same pictures without damage.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import median_filter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer
from sklae.corruptions import GaussianNoise, SaltAndPepper
from sklae.plotting import ReconstructionDisplay, image_grid

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, shape = mnist["X_train"][:5000].reshape(-1, 784) / 255, (28, 28)
else:  # the smaller digits of scikit-learn
    X, shape = load_digits().data / 16, (8, 8)
train, test = train_test_split(X, test_size=0.2, random_state=0)
noisy = test + np.random.default_rng(0).normal(scale=0.5, size=test.shape)

settings = {"n_components": 32, "standardize": False, "max_iter": 20, "random_state": 0}
denoiser = AutoencoderTransformer(corruption=GaussianNoise(0.5), **settings).fit(train)
plain = AutoencoderTransformer(**settings).fit(train)

# %%
# New digits, new noise
# ---------------------
# The first line has not been seen by the fit, the second is all that the model gets.
ReconstructionDisplay.from_estimator(denoiser, test, corrupted=noisy, shape=shape)

# %%
# Against other ways
# ------------------
# The plain autoencoder can't but rebuild from strokes, and removes some noise by that alone. A median filter knows
# nothing of digits.
size = 3 if shape == (28, 28) else 2
filtered = median_filter(noisy.reshape(-1, *shape), size=(1, size, size)).reshape(test.shape)
ways = {
    "noisy": noisy,
    "median filter": filtered,
    "plain autoencoder": plain.reconstruct(noisy),
    "denoising autoencoder": denoiser.reconstruct(noisy),
}
for name, pictures in ways.items():
    print(f"{name:22} squared error {np.mean((pictures - test) ** 2):.4f}")
figure, axes = plt.subplots(2, 2, figsize=(9, 1.9), layout="constrained")
for ax, (name, pictures) in zip(axes.flat, ways.items(), strict=True):
    image_grid(pictures[:10], shape, n_columns=10, limits=(0, 1), ax=ax)
    ax.set_title(name)

# %%
# Another damage
# --------------
# A model undoes the damage it has learned from, and not any. Here a fifth of the pixels is lost to black and white: for
# that there is ``SaltAndPepper``.
rng = np.random.default_rng(1)
peppered = np.where(rng.random(test.shape) < 0.2, rng.integers(0, 2, test.shape), test)
other = AutoencoderTransformer(corruption=SaltAndPepper(0.2), **settings).fit(train)
for name, model in (("learned from normal noise", denoiser), ("learned from salt and pepper", other)):
    print(f"{name:29} squared error {np.mean((model.reconstruct(peppered) - test) ** 2):.4f}")
ReconstructionDisplay.from_estimator(other, test, corrupted=peppered, shape=shape)
plt.show()
