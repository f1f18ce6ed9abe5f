"""
Heart beats
===========

A row may be a sequence: 140 readings of an electrocardiogram, one heart beat. An autoencoder of attention learns how
normal beats go; what it can't rebuild is another kind of beat.
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
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer
from sklae.networks import Transformer
from sklae.plotting import LossCurveDisplay

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
normal_train, normal_test = train_test_split(beats[is_normal], test_size=0.4, random_state=0)
test = np.concatenate([normal_test, beats[~is_normal]])
is_other = np.arange(len(test)) >= len(normal_test)

# %%
# Attention between pieces of a beat
# ----------------------------------
# ``Transformer((28, 5))`` reads a beat as 28 steps of five readings. ``standardize="global"`` keeps the scales of
# the readings as they are to each other. With so few beats it pays to stop early, as the dashed lines tell.
models = {
    "attention": AutoencoderTransformer(
        8, network=Transformer((28, 5)), standardize="global", batch_size=32, max_iter=40, random_state=0
    ),
    "dense": AutoencoderTransformer(8, standardize="global", batch_size=32, max_iter=40, random_state=0),
}
for model in models.values():
    model.fit(normal_train)
LossCurveDisplay.from_estimator(models)

# %%
# Which beats are none of these
# -----------------------------
# The area under the ROC curve is the chance that another kind of beat is rebuilt worse than a normal one. Attention
# relates any two pieces of a beat; with some two hundred beats to learn from that is no gain over dense layers, and
# hardly one over principal components.
pca = PCA(8).fit(normal_train)
rebuilt = {name: model.reconstruct(test) for name, model in models.items()}
rebuilt["PCA"] = pca.inverse_transform(pca.transform(test))
errors = {name: np.mean((beats - test) ** 2, axis=1) for name, beats in rebuilt.items()}
for name, error in errors.items():
    area = roc_auc_score(is_other, error)
    print(f"{name:10} squared error of normal beats {error[~is_other].mean():.4f}, area {area:.3f}")

# %%
# Seen and expected
# -----------------
# A usual beat, and the three that are rebuilt worst. Between the lines is what the model can't explain.

# sphinx_gallery_thumbnail_number = 2
error = errors["attention"]
usual = np.argsort(error[~is_other])[len(normal_test) // 2]
figure, axes = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained", sharey=True)
for ax, row in zip(axes, [usual, *np.argsort(-error)[:3]], strict=True):
    ax.plot(test[row], label="seen")
    ax.plot(rebuilt["attention"][row], label="rebuilt")
    ax.fill_between(np.arange(140), test[row], rebuilt["attention"][row], alpha=0.25)
    ax.set(title=f"{'another kind' if is_other[row] else 'normal'}: error {error[row]:.2f}", xlabel="reading")
axes[0].legend(frameon=False)
plt.show()
