"""
A first autoencoder
===================

An autoencoder squeezes 784 pixels into a code of 16 numbers, and rebuilds the picture from these. Look at the waist of
the network, at the loss of pictures it has not learned from, and at what is left of them.

Images of MNIST are read from the folder that ``SKLAE_DATA`` names. Without it, the smaller digits of scikit-learn
stand in for them.
"""

# %%
# Images as rows
# --------------
# All pixels are in one unit, ink from 0 to 1: ``standardize=False`` leaves them so. The loss is that of a normal
# distribution, squared errors up to a constant.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer
from sklae.plotting import ArchitectureDisplay, LossCurveDisplay, ReconstructionDisplay, summary

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, shape = mnist["X_train"][:6000].reshape(-1, 784) / 255, (28, 28)
else:
    X, shape = load_digits().data / 16, (8, 8)
train, test = train_test_split(X, test_size=0.2, random_state=0)

ae = AutoencoderTransformer(16, standardize=False, max_iter=20, random_state=0)
codes = ae.fit(train).transform(test)
rebuilt = ae.inverse_transform(codes)
print(f"{test.shape} -> {codes.shape} -> {rebuilt.shape}")

# %%
# The network
# -----------
# Each bar is a layer, as wide as it gives numbers. Beside the layers runs a linear path, by which training starts as
# principal components, and can only become better than these. ``print(summary(ae))`` says the same in text.
ArchitectureDisplay.from_estimator(ae)

# %%
print(summary(ae))

# %%
# The training curve
# ------------------
# A tenth of the rows is held out: their loss says when to stop, and which weights to keep.
LossCurveDisplay.from_estimator(ae)

# %%
# Before and after
# ----------------
# Pictures that the fit has not seen. Beside principal components, as many as the code has numbers, strokes are cleaner,
# and the error is smaller.

# sphinx_gallery_thumbnail_number = 3
pca = PCA(16).fit(train)
linear = pca.inverse_transform(pca.transform(test))
for name, pictures in (("PCA", linear), ("AutoencoderTransformer", rebuilt)):
    print(f"{name:22} squared error {np.mean((pictures - test) ** 2):.4f}")
figure, axes = plt.subplots(2, 1, figsize=(8, 4.2), layout="constrained")
for ax, (name, pictures) in zip(axes, (("autoencoder", rebuilt), ("PCA", linear)), strict=True):
    ReconstructionDisplay.from_predictions(test[:10], pictures[:10], shape=shape, ax=ax)
    ax.set_title(name)
plt.show()
