"""
Learning rates, and normalisation
=================================

How fast to learn, and when to slow down: the schedules of ``learning_rate``, side by side. And what normalising layers
does to a network that starts at random.
"""

# %%
# Schedules
# ---------
# The same model, for 30 epochs each. "cosine" and "one_cycle" are planned to end with the budget; "constant" never
# slows down, and its loss keeps shaking. ("adaptive" divides the rate where the loss stalls: not in so few epochs.)
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import AutoencoderTransformer
from sklae.networks import MLP
from sklae.plotting import LossCurveDisplay

train, test = train_test_split(load_digits().data / 16, random_state=0)
settings = {
    "n_components": 8,
    "standardize": False,
    "max_iter": 30,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}


def report(models):
    """Fit models, and print how well new digits are rebuilt."""
    for name, model in models.items():
        error = np.mean((model.fit(train).reconstruct(test) - test) ** 2)
        print(f"{name:12} squared error of new digits {error:.4f}")


schedules = {
    name: AutoencoderTransformer(learning_rate=name, learning_rate_init=1e-2, **settings)
    for name in ("constant", "cosine", "one_cycle")
}
report(schedules)
LossCurveDisplay.from_estimator(schedules, learning_rate=True)

# %%
# Too fast, too slow
# ------------------
# Of one schedule, rates a factor of ten apart. The default, 6e-3, is in the middle.
rates = {f"{rate:g}": AutoencoderTransformer(learning_rate_init=rate, **settings) for rate in (6e-4, 6e-3, 6e-2)}
report(rates)
LossCurveDisplay.from_estimator(rates)

# %%
# Normalised layers
# -----------------
# Five hidden layers, which start at random: ``linear_path=False`` leaves out the path by which the default network
# starts as principal components. Deep stacks are slow to get going; layers whose outputs are normalised are quicker;
# normalised weights are no help here.
sizes = (64, 64, 64, 64, 64)
layers = {
    str(kind).lower(): AutoencoderTransformer(
        network=MLP(sizes, normalization=kind, linear_path=False), learning_rate_init=2e-3, **settings
    )
    for kind in (None, "batch", "layer", "weight")
}
report(layers)
LossCurveDisplay.from_estimator(layers)
plt.show()
