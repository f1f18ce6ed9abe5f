"""
Convolutions
============

Pictures are rows of pixels, and ``network=Conv(shape)`` is told which pixels are neighbours. The same estimators, plain
and variational, then rebuild new pictures better than with dense layers, and take longer.
"""

# %%
# The network
# -----------
# Each stage halves the picture and has more channels; the decoder mirrors it. Convolutions start at random, and not as
# principal components: they want more steps than dense layers, so batches are small.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer, VAETransformer
from sklae.networks import Conv
from sklae.plotting import ArchitectureDisplay, LossCurveDisplay, ReconstructionDisplay, image_grid

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, shape = mnist["X_train"][:2200].reshape(-1, 784) / 255, (28, 28)
else:  # the smaller digits of scikit-learn
    X, shape = load_digits().data / 16, (8, 8)
train, test = train_test_split(X, test_size=0.2, random_state=0)

settings = {"standardize": False, "batch_size": 32, "max_iter": 12, "random_state": 0}
network = Conv(shape, channels=(8, 16))
conv = AutoencoderTransformer(16, network=network, **settings).fit(train)
ArchitectureDisplay.from_estimator(conv)

# %%
# Against dense layers
# --------------------
# As many numbers in the code, as many epochs. Loss curves of several models share one picture.
dense = AutoencoderTransformer(16, **settings).fit(train)
for name, ae in (("dense", dense), ("convolutions", conv)):
    print(f"{name:12} squared error {np.mean((ae.reconstruct(test) - test) ** 2):.4f}")
LossCurveDisplay.from_estimator({"dense": dense, "convolutions": conv})

# %%
# New pictures, rebuilt
# ---------------------

# sphinx_gallery_thumbnail_number = 3
ReconstructionDisplay.from_estimator(conv, test, shape=shape)

# %%
# A variational one
# -----------------
# The network goes into `VAETransformer` as it is. Its draws are new digits: ``noise=False`` shows the expected picture
# of each code, without the noise of every pixel. After so few epochs on so few pictures many are none.
vae = VAETransformer(8, network=network, likelihood="gaussian", prior="normal", **settings).fit(train)
image_grid(vae.sample(30, random_state=0, noise=False), shape, n_columns=10, limits=(0, 1))
plt.show()
