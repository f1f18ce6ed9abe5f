"""
One component, one thing
========================

Some pictures differ by a few things only: here an ellipse moves from left to right and up and down, and is larger or
smaller. A beta-VAE is asked to use its code sparingly, and so to give each of these a component of its own.
"""

# %%
# Ellipses
# --------
# 3,000 pictures of 16 by 16 pixels, of which three numbers tell everything.
import matplotlib.pyplot as plt
import numpy as np

from sklae import VAETransformer
from sklae.metrics import mutual_information_gap
from sklae.plotting import KLDisplay, TraversalDisplay, image_grid

rng = np.random.default_rng(0)
across, down, size = factors = rng.uniform([4, 4, 1.5], [12, 12, 3.5], size=(3000, 3)).T[:, :, None, None]
y, x = np.mgrid[:16, :16]
distance = np.hypot((x - across) / 1.4, y - down)
X = (1 / (1 + np.exp(3 * (distance - size)))).reshape(3000, -1)
factors = factors.reshape(3, -1).T
image_grid(X[:20], (16, 16), n_columns=10)
