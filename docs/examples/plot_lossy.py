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
train, test = train_test_split(X, test_size=0.25, random_state=0)
windows = {"pixels alone": None, "window of 3": PixelCNN((8, 8), receptive_field=3)}
windows["window of 7"] = PixelCNN((8, 8), receptive_field=7)

models = {}
for name, network in windows.items():
    model = VAETransformer(8, network=network, prior=Flow(), likelihood="bernoulli", max_iter=40, random_state=0)
    models[name] = model.fit(train)

# %%
# Nats in the code, and of a picture
# ----------------------------------
# What the code says of a digit beyond the prior, and the log-likelihood of new digits.
told = [model.posterior_kl(test).sum(axis=1).mean() for model in models.values()]
scores = [model.score(test) for model in models.values()]
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
axes[0].barh(list(models), told)
axes[0].set(xlabel="nats in the code")
axes[1].plot(scores, list(models), "o")
axes[1].set(xlabel="log-likelihood of a new digit (nats)", yticks=[])
for ax in axes:
    ax.invert_yaxis()
for row in zip(models, told, scores, strict=True):
    print("{:13} {:4.1f} nats in the code, {:6.2f} nats of a digit".format(*row))

# %%
# What is left of a digit
# -----------------------
# From the same codes' distance: on top digits, below what each model decodes from their codes, two draws each. The less
# is in the code, the freer the decoder is: shapes stay, details change, and with the widest window more than details.
shown = test[:12]
figure, axes = plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    draws = [model.vary(shown, scale=0.0), model.vary(shown, scale=1.0, random_state=0)]
    image_grid(np.concatenate([shown, *draws]), (8, 8), n_columns=12, ax=ax)
    ax.set_title(name)
plt.show()
