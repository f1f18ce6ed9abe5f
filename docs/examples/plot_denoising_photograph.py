"""
A photograph, mended patch by patch
===================================

One picture is enough to learn from: cut into patches of 8 by 8 pixels, a photograph is a table of many thousand rows.
A denoising autoencoder of patches removes noise from the other half of the picture, which it has not seen.
"""

# %%
# Half a picture
# --------------
# A Chinese temple, at half its size. The left half is learned from, and noise is added to the right one.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from sklae import AutoencoderTransformer
from sklae.corruptions import GaussianNoise

china = load_sample_image("china.jpg")[::2, ::2] / 255
middle = china.shape[1] // 2
left, right = china[:, :middle], china[:, middle:]
noise = 0.15
noisy = right + np.random.default_rng(0).normal(scale=noise, size=right.shape)

# %%
# Patches as rows
# ---------------
# 8 x 8 pixels of 3 colours are 192 columns. A patch's own mean is taken off: what is learned is texture and edges,
# at any brightness. Each pixel lies in up to 64 patches that overlap: the mean of what these make of it is the picture.
size = (8, 8)


def patches_of(picture, **settings):
    """Return patches as rows without their means, and the means."""
    rows = extract_patches_2d(picture, size, **settings).reshape(-1, 64, 3)
    means = rows.mean(axis=1, keepdims=True)
    return (rows - means).reshape(len(rows), -1), means


def mended(model, picture):
    """Return the picture, each of its patches rebuilt, and the mean taken where they overlap."""
    rows, means = patches_of(picture)
    return reconstruct_from_patches_2d((model(rows).reshape(-1, 64, 3) + means).reshape(-1, *size, 3), picture.shape)


train, _ = patches_of(left, max_patches=20_000, random_state=0)
denoiser = AutoencoderTransformer(
    64, corruption=GaussianNoise(noise), standardize=False, max_iter=20, random_state=0
).fit(train)
pca = PCA(32).fit(train)

# %%
# What is left of the noise
# -------------------------
# The signal-to-noise ratio (PSNR) is in decibels; ten more are a tenth of the squared error. Principal components are
# 32 here: more let more of the noise through. The network has seen noise, and may have more. Leaves are blurred by
# both: what noise hides is gone.
pictures = {
    "original": right,
    "noisy": noisy,
    "PCA of patches": mended(lambda rows: pca.inverse_transform(pca.transform(rows)), noisy),
    "denoising autoencoder": mended(denoiser.reconstruct, noisy),
}
figure, axes = plt.subplots(1, 4, figsize=(12, 4.5), layout="constrained")
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture.clip(0, 1))
    ax.set_axis_off()
    error = np.mean((picture - right) ** 2)
    ax.set_title(name if error == 0 else f"{name}\n{-10 * np.log10(error):.1f} dB")
plt.show()
