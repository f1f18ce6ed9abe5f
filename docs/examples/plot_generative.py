"""
One style, ten digits
=====================

A conditional variational autoencoder is told which digit it sees. Its code then holds what is left, the handwriting,
and can be decoded as any digit.
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
from sklae.plotting import image_grid

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
plt.show()
