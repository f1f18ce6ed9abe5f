"""
Sparse codes
============

A plain autoencoder describes each digit by all components of its code. A sparse one has more components than it needs,
and uses a few for each digit: each then stands for something that can be looked at, such as a piece of a stroke.
"""

# %%
# Three ways to be sparse
# -----------------------
# ``"l1"`` makes codes cost what they are large. ``TopK(8)`` keeps the eight largest of each row and sets the others to
# zero. Beside them a plain autoencoder, of as many components.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer
from sklae.networks import MLP
from sklae.penalties import TopK
from sklae.plotting import image_grid

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "images", "mnist.npz")
if path.exists():
    with np.load(path) as mnist:
        X, shape = mnist["X_train"][:4000].reshape(-1, 784) / 255, (28, 28)
else:  # the smaller digits of scikit-learn
    X, shape = load_digits().data / 16, (8, 8)
train, test = train_test_split(X, test_size=0.2, random_state=0)

models = {"plain": None, "l1": "l1", "top k": TopK(8)}
for name, penalty in models.items():
    ae = AutoencoderTransformer(64, penalty=penalty, network=MLP(()), standardize=False, max_iter=40, random_state=0)
    models[name] = ae.fit(train)
    codes = ae.transform(test)
    error = np.mean((ae.reconstruct(test) - test) ** 2)
    print(f"{name:6} squared error {error:.4f}, {np.mean(codes != 0):4.0%} of the codes are not zero")

# %%
# Sparseness has its price: of as many components, plain ones rebuild best. It is paid for codes that can be read.

# %%
# What a component stands for
# ---------------------------
# The networks are single layers here, so that what a component adds to a picture is the same whatever the others are: a
# filter. Those of the plain autoencoder, as of PCA, are spread over the whole picture, and cancel each other. Those of
# top k are strokes, or all of a digit; l1, with its many codes that are not zero, is halfway.
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for ax, (name, ae) in zip(axes, models.items(), strict=True):
    codes = ae.transform(train)
    used = np.argsort(-codes.std(axis=0))[:36]
    step = np.diag(codes.std(axis=0))[used]
    filters = ae.inverse_transform(step) - ae.inverse_transform(np.zeros_like(step))
    reach = np.abs(filters).max(axis=1, keepdims=True)
    image_grid(filters / np.where(reach > 0, reach, 1), shape, limits=(-1, 1), ax=ax)
    ax.set_title(name)

# %%
# How many are in use
# -------------------
# The codes of 200 new digits, a line each, in units of the largest.
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained", sharey=True)
for ax, (name, ae) in zip(axes, models.items(), strict=True):
    codes = np.abs(ae.transform(test[:200]))
    ax.imshow(codes / codes.max(), cmap="gray_r", aspect="auto", interpolation="nearest", vmax=0.5)
    ax.set(title=name, xlabel="component")
axes[0].set_ylabel("digit")
plt.show()
