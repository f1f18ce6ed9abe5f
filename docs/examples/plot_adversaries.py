"""
Adversaries
===========

Two models that learn by being found out. The adversarial autoencoder has its codes judged, and they come to lie as a
prior says, here on a ring. The VAE-GAN has its pictures judged, and they come out a little sharper.
"""

# %%
# Codes on a ring
# ---------------
# Any prior will do that can be drawn from: ``LatentCritic`` is shown draws of it and codes, and learns to tell which
# is which, while the encoder learns to deceive it. Nothing else says where a code should lie.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from sklae import VAETransformer
from sklae.critics import DataCritic, LatentCritic
from sklae.plotting import LatentSpaceDisplay, LossCurveDisplay, image_grid
from sklae.priors import Sampler

digits = load_digits()
X = digits.data / 16


def ring(n_samples, generator):
    """Return points of a circle, with a little noise."""
    angle = 2 * torch.pi * torch.rand(n_samples, generator=generator)
    noise = 0.1 * torch.randn(n_samples, 2, generator=generator)
    return 2 * torch.stack([angle.cos(), angle.sin()], dim=1) + noise


settings = {"likelihood": "gaussian", "standardize": False, "random_state": 0}
adversarial = VAETransformer(
    2,
    posterior="point",
    divergence=LatentCritic(),
    prior=Sampler(ring),
    max_iter=30,
    learning_rate_init=3e-3,
    **settings,
).fit(X)
# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
LatentSpaceDisplay.from_estimator(adversarial, X, digits.target, ax=axes[0])
angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
walk = adversarial.inverse_transform(2 * np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32))
image_grid(walk, (8, 8), n_columns=8, limits=(0, 1), ax=axes[1])
axes[1].set_title("once around the ring")

# %%
# Pictures that are judged
# ------------------------
# A picture that is expected given a code is a mean, and means of strokes are blurred. ``DataCritic`` learns to tell
# what the decoder makes from real pictures; the decoder learns to pass. Here the critic is let loose somewhat, and
# heard more, than by default: there are few pictures and few steps to learn from.
settings |= {"prior": "normal", "batch_size": 64, "max_iter": 25}
critic = DataCritic(gradient_penalty=0.1, adversary=30.0)
models = {"VAE": VAETransformer(8, **settings), "VAE-GAN": VAETransformer(8, critic=critic, **settings)}


def sharpness(pictures):
    """Return how much neighbouring pixels differ, where there is ink."""
    pictures = pictures.reshape(-1, 8, 8)
    return np.abs(np.diff(pictures, axis=2)).sum() / pictures.sum()


pictures = {name: model.fit(X).sample(500, random_state=0, noise=False) for name, model in models.items()}
figure, axes = plt.subplots(1, 3, figsize=(11, 2.7), layout="constrained")
figure.get_layout_engine().set(wspace=0.06)
for ax, (name, drawn) in zip(axes, {"real": X[:500], **pictures}.items(), strict=True):
    image_grid(drawn[:40], (8, 8), n_columns=8, limits=(0, 1), ax=ax)
    ax.set_title(f"{name}: sharpness {sharpness(drawn):.2f}")

# %%
# What it costs
# -------------
# A game has no loss that falls and is done. The critic's is log 4 = 1.39 where it can't tell; while it can, the decoder
# is told what to change. The gain is small here, and sharper is not more likely: that is what the plain model learns.
LossCurveDisplay.from_estimator(models["VAE-GAN"], terms=["reconstruction", "adversary", "critic"])
plt.show()
