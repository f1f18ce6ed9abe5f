"""
Heart beats
===========

A row may be a sequence: 140 readings of an electrocardiogram, one heart beat. An autoencoder of attention rebuilds
beats from eight numbers each. Look how well, and at the map of these numbers.
"""

# %%
# Beats as rows
# -------------
# ECG5000 is read from the folder that ``SKLAE_DATA`` names. Without it, made-up beats stand in: a sum of bumps, each
# of them somewhat early or late, high or low, and in other beats one of them the wrong way round.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer
from sklae.networks import Transformer
from sklae.plotting import LatentSpaceDisplay, LossCurveDisplay

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "practical", "ecg5000_train.csv")
if path.exists():
    table = pd.read_csv(path)
    beats, is_normal = table.drop(columns="class").to_numpy(), table["class"].to_numpy() == 1
else:
    rng = np.random.default_rng(0)
    is_normal = rng.random(500) < 0.6
    at = np.array([20, 60, 66, 72, 110]) + rng.normal(scale=3, size=(500, 5))
    high = np.array([0.6, -0.8, 4.0, -1.5, 1.0]) * rng.normal(1, 0.15, size=(500, 5))
    high[:, 4] *= np.where(is_normal, 1, -1)
    wide = np.array([8, 3, 3, 3, 12])[:, None]
    bumps = high[..., None] * np.exp(-0.5 * ((np.arange(140) - at[..., None]) / wide) ** 2)
    beats = bumps.sum(axis=1) + rng.normal(scale=0.1, size=(500, 140))
train, test, _, is_normal = train_test_split(beats, is_normal, test_size=0.5, random_state=0)

# %%
# Attention between pieces of a beat
# ----------------------------------
# ``Transformer((28, 5))`` reads a beat as 28 steps of five readings. ``standardize="global"`` keeps the scales of the
# readings as they are to each other. Both models begin as principal components. With so few beats to hold out, early
# stopping would leave them there.
settings = {"standardize": "global", "batch_size": 32, "max_iter": 60, "early_stopping": False, "random_state": 0}
attention = AutoencoderTransformer(8, network=Transformer((28, 5)), **settings).fit(train)
dense = AutoencoderTransformer(8, **settings).fit(train)
LossCurveDisplay.from_estimator({"attention": attention, "dense": dense})

# %%
# New beats, rebuilt
# ------------------
# Attention relates any two pieces of a beat. With as few beats as here that is no gain over dense layers, which are
# quicker, too; both are ahead of principal components.
pca = PCA(8).fit(train)
rebuilt = {"attention": attention.reconstruct(test), "dense": dense.reconstruct(test)}
rebuilt["PCA"] = pca.inverse_transform(pca.transform(test))
for name, beats in rebuilt.items():
    print(f"{name:10} squared error {np.mean((beats - test) ** 2):.4f}")

# %%
# A beat of middling error, and the three that are rebuilt worst.

# sphinx_gallery_thumbnail_number = 2
error = np.mean((rebuilt["attention"] - test) ** 2, axis=1)
order = np.argsort(error)
figure, axes = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained", sharey=True)
for ax, row in zip(axes, order[[len(order) // 2, -1, -2, -3]], strict=True):
    ax.plot(test[row], label="seen")
    ax.plot(rebuilt["attention"][row], label="rebuilt")
    ax.fill_between(np.arange(140), test[row], rebuilt["attention"][row], alpha=0.25)
    ax.set(title=f"{'normal' if is_normal[row] else 'another kind'}: error {error[row]:.2f}", xlabel="reading")
axes[0].legend(frameon=False)

# %%
# Kinds of beats
# --------------
# Nobody told the model of kinds. On this map of the codes they lie apart for the most part.
LatentSpaceDisplay.from_estimator(attention, test, np.where(is_normal, "normal", "another kind"), y_name="beat")
plt.show()
