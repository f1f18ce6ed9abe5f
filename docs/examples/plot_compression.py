"""
Digits in few bytes
===================

An autoencoder's promise to compress, kept in bytes: codes that are rounded and coded, and pixels told from them and
from their neighbours, beside JPEG, WebP, PNG and PCA. Needs ``pip install "sklae[compress]" pillow``.
"""

# %%
# Digits to learn from, and new ones
# ----------------------------------
# Pixels have 17 levels. Other formats get all new digits as one picture, so that no header counts more than once.
import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklae import AutoencoderTransformer
from sklae.compression import Compressor, rate_distortion_curve

digits = load_digits().data.astype(np.uint8)
train, new = digits[:1200], digits[1200:1780]
shape, n_pixels = (8, 8), new.size
picture = new.reshape(20, 29, 8, 8).transpose(0, 2, 1, 3).reshape(160, 232) * np.uint8(15)


def file_of(kind, **settings):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **settings)
    return file


def psnr(squared_error):
    return 10 * np.log10(16**2 / np.maximum(squared_error, 1e-9))


# %%
# Without loss
# ------------
# One model of all pixels, of about a kilobyte: a small tree that asks for the pixels above and to the left.
compressor = Compressor(image_shape=shape, random_state=0).fit(train)
data = compressor.compress(new)
print(f"sklae: {len(data)} bytes, of which {compressor.model_bytes_} are the model")
for kind, settings in {"PNG": {"optimize": True}, "WEBP": {"lossless": True, "quality": 100, "method": 6}}.items():
    print(f"{kind}: {file_of(kind, **settings).tell()} bytes")

# %%
# With loss
# ---------
# Codes alone (``max_error=inf``), and codes with pixels that are off by at most so many levels. The decoder's bytes
# come on top, once for all digits: dashed.
curves = {}
for kind in ("JPEG", "WEBP"):
    points = []
    for quality in (1, 5, 10, 20, 40, 60):
        file = file_of(kind, quality=quality)
        back = np.asarray(Image.open(file).convert("L"))
        points.append((8 * file.tell() / n_pixels, psnr((((back - picture.astype(float)) / 15) ** 2).mean())))
    curves[kind] = np.array(points).T

points = []
for n_components in (2, 4, 8, 16, 32):
    pca = PCA(n_components).fit(train)
    codes = pca.transform(new)
    step = np.sqrt(pca.explained_variance_[-1]) / 4
    ints = np.rint(codes / step)
    counts = [np.unique(column, return_counts=True)[1] for column in ints.T]
    bits = -sum((each * np.log2(each / len(new))).sum() for each in counts)
    points.append((bits / n_pixels, psnr(((pca.inverse_transform(ints * step) - new) ** 2).mean())))
curves["PCA"] = np.array(points).T

ae = AutoencoderTransformer(
    8, hidden_layer_sizes=(64,), standardize="global", max_iter=60, early_stopping=False, random_state=0
)
errors = [float("inf"), 4.0, 2.0, 1.0]
curve = rate_distortion_curve(Compressor(ae, image_shape=shape, random_state=0), train, errors, X_test=new)
curves["sklae"] = np.array([curve.bits_per_row / 64, psnr(curve.mean_squared_error)])

# %%
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, (rate, quality) in curves.items():
    ax.plot(rate, quality, "o-", label=name, lw=2.5 if name == "sklae" else 1.2)
counted = curves["sklae"][0] + curve.model_bits / n_pixels
ax.plot(counted, curves["sklae"][1], "o--", color=ax.lines[-1].get_color(), lw=1, label="sklae, its model counted")
ax.set(xlabel="bits per pixel", ylabel="PSNR in dB", xlim=(0, None), title="580 new digits")
ax.legend()
plt.show()
