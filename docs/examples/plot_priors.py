"""
Where codes lie: priors
=======================

Codes of ten kinds of digits lie in clusters. The usual prior, one round hill, does not know. A mixture, a VampPrior and
a flow are learned along with the model, and go where the codes are. New digits are drawn from the prior: look which of
them could be real.
"""

# %%
# Maps under four priors
# ----------------------
# With two components the code is a map, and the prior a density on it: the lines are its levels, each a tenth of the
# one before. The normal prior presses ten clusters into one round hill.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.metrics import density_coverage
from sklae.plotting import LatentSpaceDisplay, image_grid
from sklae.priors import Flow, GaussianMixture, VampPrior

X, y = load_digits(return_X_y=True)
train, test, y_train, _ = train_test_split(X / 16, y, random_state=0, stratify=y)
priors = {"normal": "normal", "mixture": GaussianMixture(10), "VampPrior": VampPrior(50), "flow": Flow()}
settings = {
    "likelihood": "gaussian",
    "standardize": False,
    "learning_rate": "one_cycle",
    "learning_rate_init": 3e-3,
    "max_iter": 25,
    "random_state": 0,
}
figure, axes = plt.subplots(2, 2, figsize=(9, 7.6), layout="constrained")
for ax, (name, prior) in zip(axes.flat, priors.items(), strict=True):
    model = VAETransformer(2, prior=prior, **settings).fit(train)
    LatentSpaceDisplay.from_estimator(model, train, y_train, ax=ax, s=5)
    ax.set_title(name)
    if ax is not axes[0, 1]:  # one legend is enough
        ax.get_legend().remove()

    across, up = (np.linspace(*limits, 150) for limits in (ax.get_xlim(), ax.get_ylim()))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    density = model.prior_log_prob(grid.reshape(-1, 2)).reshape(150, 150)
    levels = density.max() - np.log(10) * np.arange(4.1, 0, -1)
    ax.contour(across, up, density, levels, colors="black", linewidths=0.7, linestyles="solid")

# %%
# New digits by prior
# -------------------
# Of eight components. `density_coverage` says whether samples lie where rows lie (density), and everywhere where they
# do (coverage); 1 is what other real rows would reach. ``sample_from="aggregate"`` leaves training as it is, and draws
# codes from a mixture that is fitted to them afterwards. Nats are held-out scores, which sampling has no part in.
samplers = {name: VAETransformer(8, prior=prior, **settings) for name, prior in priors.items()}
samplers["normal, aggregate"] = VAETransformer(8, prior="normal", sample_from="aggregate", **settings)
figure, axes = plt.subplots(3, 2, figsize=(10, 5.2), layout="constrained")
figure.get_layout_engine().set(wspace=0.08)
for ax, (name, model) in zip(axes.flat, samplers.items(), strict=False):
    made_up = model.fit(train).sample(len(test), random_state=0, noise=False)
    found = density_coverage(test, model.sample(len(test), random_state=0))
    print(f"{name:18} {found.density:.2f} density {found.coverage:.2f} coverage {model.score(test):5.1f} nats")
    image_grid(made_up[:30], (8, 8), n_columns=10, limits=(0, 1), ax=ax)
    ax.set_title(name)
image_grid(test[:30], (8, 8), n_columns=10, limits=(0, 1), ax=axes[-1, -1])
axes[-1, -1].set_title("real")
plt.show()
