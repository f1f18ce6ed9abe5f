"""
One component, one thing
========================

Some pictures differ by a few things only: here a disc moves from left to right, a little up and down, and is larger or
smaller. A beta-VAE pays more for what its code tells, and so tells it with few components: look whether each of them
does one thing.
"""

# %%
# Discs
# -----
# 2,000 pictures of 16 by 16 pixels, of which three numbers tell everything.
import matplotlib.pyplot as plt
import numpy as np

from sklae import VAETransformer
from sklae.plotting import KLDisplay, TraversalDisplay, image_grid

factors = np.random.default_rng(0).uniform([3.5, 6.5, 1.2], [12.5, 9.5, 3], size=(2000, 3))
across, down, radius = factors.T[:, :, None, None]
y, x = np.mgrid[:16, :16]
X = 1 / (1 + np.exp(3 * (np.hypot(x - across, y - down) - radius)))
X = X.reshape(len(X), -1)
image_grid(X[:20], (16, 16), n_columns=10)

# %%
# Nats by component
# -----------------
# Of six components three would do. ``beta`` weighs the KL term: with 1 the loss is the likelihood's bound, with more
# every nat in the code has to pay for itself several times.
settings = {"likelihood": "bernoulli", "prior": "normal", "batch_size": 128, "max_iter": 30, "random_state": 0}
models = {f"beta={beta:g}": VAETransformer(6, beta=beta, **settings).fit(X) for beta in (1.0, 4.0)}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    KLDisplay.from_estimator(model, X, ax=ax)
    ax.set_title(f"{name}: {ax.get_title()}", fontsize="medium")

# %%
# What each stands for
# --------------------
# A line is the same disc, with one component after the other set to a series of values.

# sphinx_gallery_thumbnail_number = 4
for name, model in models.items():
    display = TraversalDisplay.from_estimator(model, X, shape=(16, 16))
    display.ax_.set_title(name)

# %%
# Is it so?
# ---------
# How each component goes with each of the three numbers: absolute correlations, of the components that tell most. With
# more ``beta`` pictures are less sharp, and there is less of a mixture. That is no promise: nothing in the loss asks
# that a component be one of *these* things, and with another ``random_state`` some may be turned.
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    codes, error = model.transform(X), np.mean((model.reconstruct(X) - X) ** 2)
    most = np.argsort(-model.posterior_kl(X).mean(axis=0))[:3]
    together = np.abs(np.corrcoef(codes[:, most].T, factors.T)[:3, 3:])
    ax.imshow(together, cmap="Blues", vmin=0, vmax=1)
    for place, value in np.ndenumerate(together):
        ax.text(*place[::-1], f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
    ax.set_xticks(range(3), ["across", "down", "radius"])
    ax.set_yticks(range(3), [f"component {component}" for component in most])
    ax.set_title(f"{name}: squared error {error:.4f}", fontsize="medium")
plt.show()
