"""
One style, ten digits
=====================

A conditional variational autoencoder is told which digit it sees. Its code then holds what is left, the handwriting,
and can be decoded as any digit. Without the label, the code holds the digit too, and a prior has to say where the ten
kinds of codes lie.
"""

# %%
# Told the digit
# --------------
# The label is a column of the table like any other; ``condition_features`` names it, and ``categorical_features`` says
# that its numbers are names. All pixels are in one unit, ink: ``standardize=False`` leaves them so, where the default
# would make as much of a pixel at the border, nearly always white, as of one in the middle.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.metrics import density_coverage
from sklae.plotting import image_grid, latent_map

table = load_digits(as_frame=True).frame  # 64 columns of pixels, and "target"
table.iloc[:, :64] /= 16
train, test = train_test_split(table, random_state=0, stratify=table["target"])
settings = {
    "likelihood": "gaussian",
    "standardize": False,
    "learning_rate": "one_cycle",
    "learning_rate_init": 3e-3,
    "max_iter": 80,
    "random_state": 0,
}
label = {"condition_features": ["target"], "categorical_features": ["target"]}
conditional = VAETransformer(10, **label, **settings).fit(train)


def draw(rows, n_columns, ax):
    """Draw rows of pixels, in the grey of the originals."""
    pixels = np.asarray(rows)[:, :64]
    image_grid(pixels, (8, 8), n_columns=n_columns, limits=(0, 1), ax=ax)


# %%
# Digits to order
# ---------------
# `sample` draws as many rows for each condition as it is asked for: here eight of each digit, one kind a line.
# The grey specks are the likelihood's noise, of one size for all pixels.
ordered = conditional.sample(8, condition={"target": range(10)}, random_state=0)
figure, ax = plt.subplots(figsize=(4, 4.6), layout="constrained")
draw(ordered, 8, ax)

# %%
# The same hand
# -------------
# Each line starts with a digit that `fit` has not seen. To its right are all ten digits in its style:
# `reconstruct` encodes a row with its own label, and decodes it with another.
chosen = test.groupby("target").sample(1, random_state=3)
styles = [conditional.reconstruct(chosen, condition={"target": digit}) for digit in range(10)]
lines = np.stack([chosen, *styles], axis=1).reshape(-1, table.shape[1])

# sphinx_gallery_thumbnail_number = 2
figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
draw(lines, 11, ax)
ax.axvline(8, color="tab:blue", linewidth=1.5)
ax.set_xticks(9 * np.arange(11) + 3.5, ["seen", *range(10)])
ax.tick_params(length=0)

# %%
# From one to another
# -------------------
# Not told the label, a model has to keep the digit in its code. `interpolate` decodes what lies between two codes.
# A great circle keeps to the lengths that codes of many components have, where a straight line cuts through the middle.
pixels, digits = train.drop(columns="target"), train["target"]
vae = VAETransformer(8, **settings).fit(pixels)
unseen, kinds = test.drop(columns="target"), test["target"]
first = unseen.groupby(kinds).first()  # one row of each digit
starts, ends = first.loc[[1, 3, 6, 7]], first.loc[[4, 8, 0, 9]]
paths = vae.interpolate(starts, ends, 11, method="spherical")
figure, ax = plt.subplots(figsize=(6.5, 2.5), layout="constrained")
draw(paths, 11, ax)

# %%
# Maps under three priors
# -----------------------
# With two components the code is a map, and the prior a density on it: the lines are its levels, each a tenth of the
# one before. The normal prior presses ten clusters into one round hill. A mixture and a flow go where the codes are.
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, prior in zip(axes, ("normal", "gaussian_mixture", "flow"), strict=True):
    model = VAETransformer(2, prior=prior, **settings).fit(pixels)
    latent_map(model.transform(pixels), digits, ax=ax)
    ax.set_title(prior)
    if prior != "flow":  # one legend is enough
        ax.get_legend().remove()

    across, up = (np.linspace(*limits, 150) for limits in (ax.get_xlim(), ax.get_ylim()))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    density = model.prior_log_prob(grid.reshape(-1, 2)).reshape(150, 150)
    levels = density.max() - np.log(10) * np.arange(4.1, 0, -1)
    ax.contour(across, up, density, levels, colors="black", linewidths=0.7, linestyles="solid")

# %%
# New digits by prior
# -------------------
# `density_coverage` says whether samples lie where rows lie (density), and everywhere where they do (coverage); 1 is
# what other real rows would reach. ``sample_from="aggregate"`` leaves training as it is, and draws codes from a mixture
# that is fitted to them afterwards. Nats are held-out scores, which sampling has no part in.
samplers = {
    "normal prior": vae,
    "mixture prior": VAETransformer(8, prior="gaussian_mixture", **settings),
    "flow prior": VAETransformer(8, prior="flow", **settings),
    "normal prior, aggregate": VAETransformer(8, sample_from="aggregate", **settings),
}
figure, axes = plt.subplots(2, 2, figsize=(10, 3.6), layout="constrained")
for ax, (name, model) in zip(axes.flat, samplers.items(), strict=True):
    made_up = model.fit(pixels).sample(len(unseen), random_state=0)
    found = density_coverage(unseen, made_up)
    score = model.score(unseen)
    print(f"{name:24} {found.density:.2f} density {found.coverage:.2f} coverage {score:5.1f} nats")
    draw(made_up[:30], 10, ax)
    ax.set_title(name)
plt.show()
