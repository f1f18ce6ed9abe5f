"""
What the code need not say
==========================

A decoder that sees the pixels before each pixel finds textures by itself; the code is left with what can't be seen from
nearby. With a flow as prior this is the variational lossy autoencoder. The wider the decoder's window, the less is in
the code, and the better the density.
"""

# %%
# Windows of a decoder
# --------------------
# Digits in black and white. ``PixelCNN`` sees, to the left and above, half as many pixels as its receptive field is
# wide. All models have eight components.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.networks import PixelCNN
from sklae.plotting import image_grid
from sklae.priors import Flow

X = (load_digits().data > 7).astype(np.float32)
train, test = train_test_split(X, test_size=200, random_state=0)
windows = {"pixels alone": None}
windows |= {f"window of {size}": PixelCNN((8, 8), 16, n_layers=1, receptive_field=size) for size in (3, 7)}

models = {}
for name, network in windows.items():
    model = VAETransformer(8, network=network, prior=Flow(1), likelihood="bernoulli", max_iter=15, random_state=0)
    models[name] = model.fit(train)

# %%
# Nats in the code, and of a picture
# ----------------------------------
# What the code says of a digit beyond the prior, and the log-likelihood of new digits.
told = [model.posterior_kl(test).sum(axis=1).mean() for model in models.values()]
scores = [model.score(test) for model in models.values()]
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained", sharey=True)
axes[0].barh(list(models), told)
axes[0].set(xlabel="nats in the code")
axes[1].plot(scores, list(models), "o")
axes[1].set(xlabel="log-likelihood of a new digit (nats)")
axes[1].locator_params(axis="x", nbins=4)
axes[0].invert_yaxis()
for row in zip(models, told, scores, strict=True):
    print("{:13} {:4.1f} nats in the code, {:6.2f} nats of a digit".format(*row))

# %%
# What is left of a digit
# -----------------------
# On top new digits, below them what each model expects of their codes, and of a draw around their codes. Shapes stay,
# details change; the wider the window, the more changes.
shown = test[:16]
lines = {"digit": shown}
for name, model in models.items():
    lines[f"{name}: expected"] = model.vary(shown, scale=0.0)
    lines[f"{name}: around it"] = model.vary(shown, scale=1.0, random_state=0)
ax = image_grid(np.concatenate(list(lines.values())), (8, 8), n_columns=16)
ax.set_yticks(9 * np.arange(len(lines)) + 3.5, list(lines))
ax.tick_params(length=0)
plt.show()
