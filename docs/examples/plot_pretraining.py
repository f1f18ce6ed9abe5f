"""
Few labels, many rows
=====================

Labels are dear, rows are not. An autoencoder is trained on all rows, without labels; a classifier then learns from its
codes, and a few labels. It pays where codes are learned for it: look at the left of the picture.
"""

# %%
# Codes from all rows
# -------------------
# Encoders see some 1,000 digits, the classifier the labels of a few. One autoencoder learns to fill in hidden pixels.
# The other keeps neighbours together: ``penalty="neighbors"`` looks up which pictures are alike. Beside them are pixels
# as they are, and principal components, which are learned without labels, too.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklae import AutoencoderTransformer
from sklae.corruptions import Masking

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.4, random_state=0, stratify=y)
settings = {"standardize": False, "random_state": 0}
encoders = {
    "pixels": FunctionTransformer(),
    "PCA": PCA(16),
    "denoising": AutoencoderTransformer(16, corruption=Masking(0.3), max_iter=60, **settings),
    "neighbours": AutoencoderTransformer(16, penalty="neighbors", max_iter=60, **settings),
}
features = {name: (encoder.fit_transform(X_train), encoder.transform(X_test)) for name, encoder in encoders.items()}

# %%
# A classifier of few labels
# --------------------------
# Ten draws of the digits that are labelled, the same for all; lines are means, bands one standard deviation to both
# sides. Ten labels, one of each digit, are enough for codes that keep neighbours together. Those of the denoising model
# are no better than principal components, and with some hundred labels pixels do as well.

# sphinx_gallery_thumbnail_number = 1
numbers = [10, 20, 50, 100, 300]
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, (codes, new_codes) in features.items():
    scores = np.empty((10, len(numbers)))
    for column, n_labels in enumerate(numbers):
        draws = StratifiedShuffleSplit(10, train_size=n_labels, random_state=0).split(codes, y_train)
        for row, (labelled, _) in enumerate(draws):
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            scores[row, column] = classifier.fit(codes[labelled], y_train[labelled]).score(new_codes, y_test)
    mean, spread = scores.mean(axis=0), scores.std(axis=0)
    ax.plot(numbers, mean, marker="o", label=name)
    ax.fill_between(numbers, mean - spread, mean + spread, alpha=0.15, linewidth=0)
    print(f"{name:12}", *(f"{n:3} labels {score:.2f}" for n, score in zip(numbers, mean, strict=True)), sep="  ")
ax.set(xscale="log", xlabel="labelled digits", ylabel="accuracy on new digits")
ax.set_xticks(numbers, numbers)
ax.set_xticks([], minor=True)
ax.legend(frameon=False)
plt.show()
