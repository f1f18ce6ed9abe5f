"""
Molecules by their fingerprints
===============================

A fingerprint says of 1,024 fragments which a molecule has. A variational autoencoder of these bits is a map of
molecules: new fingerprints can be drawn from it, and it can be searched for molecules with a property.

The data, ESOL (Delaney 2004), are read from the folder that ``SKLAE_DATA`` names. Without it, chains with a group at
either end stand in, with letters of their formulas as fragments and a rule of thumb as solubility.
"""

# %%
# Bits
# ----
# Bits are Bernoulli columns. Those that are set in fewer than ten molecules tell next to nothing: they are left out.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

from sklae import AutoencoderTransformer, VAETransformer
from sklae.plotting import LatentSpaceDisplay

folder = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "molecules")
if folder.exists():
    with np.load(folder / "esol_morgan1024.npz") as data:
        valid = data["valid"]
        bits = np.unpackbits(data["packed"], axis=1)[valid].astype(np.float32)
    table = pd.read_csv(folder / "esol.csv")[valid]
    smiles = table["smiles"].to_numpy()
    solubility = table["measured log solubility in mols per litre"].to_numpy()
else:
    chains = ["C" * n for n in range(1, 9)] + ["C" * n + "c1ccc(cc1)" for n in range(4)]
    ends = ["", "O", "N", "Cl", "F", "S", "C(=O)O", "C#N", "C=O", "OC"]
    starts = ["", "O", "N", "Cl", "F", "S", "OC(=O)", "N#C", "O=C", "CO"]
    smiles = np.array([start + chain + end for start in starts for chain in chains for end in ends])
    fragments = CountVectorizer(analyzer="char", ngram_range=(1, 5), binary=True, lowercase=False)
    bits = fragments.fit_transform(smiles).toarray().astype(np.float32)
    polar, carbons = ([sum(map(one.upper().count, letters)) for one in smiles] for letters in ("ON", "C"))
    solubility = 1.3 * np.array(polar) - 0.6 * np.array(carbons)
bits = bits[:, bits.sum(axis=0) >= 10]
train, test, y_train, y_test, names, _ = train_test_split(bits, solubility, smiles, test_size=0.25, random_state=0)

vae = VAETransformer(16, likelihood="bernoulli", max_iter=20, random_state=0)
vae.fit(train)
print(f"{train.shape[1]} bits, {vae.score(test):.1f} nats for a new molecule")
independent = train.mean(axis=0).clip(1e-3, 1 - 1e-3)
alone = (test * np.log(independent) + (1 - test) * np.log(1 - independent)).sum(axis=1).mean()
print(f"{alone:.1f} nats if bits were independent")

# %%
# A map
# -----
# The codes of new molecules, by the two directions in which they vary most. Nobody told the model of solubility, and it
# shows as a tendency only: a third of the variance is on the page.

# sphinx_gallery_thumbnail_number = 1
LatentSpaceDisplay.from_estimator(vae, test, y_test, y_name="log solubility")

# %%
# New fingerprints
# ----------------
# Drawn fingerprints have about as many bits as real ones. A fingerprint is no molecule, but the nearest known one is,
# by the share of bits in common (Tanimoto's).
drawn = vae.sample(1_000, random_state=0)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
edges = np.arange(0, 60, 3)
ax.hist([test.sum(axis=1), drawn.sum(axis=1)], edges, density=True, label=["molecules", "drawn"])
ax.set(xlabel="bits that are set", ylabel="share")
ax.legend(frameon=False)

known = NearestNeighbors(n_neighbors=1, metric="jaccard").fit(train.astype(bool))
distance, nearest = known.kneighbors(drawn[:5].astype(bool))
for far, which in zip(distance[:, 0], nearest[:, 0], strict=True):
    print(f"{1 - far:.2f} in common with {names[which]}")

# %%
# A property
# ----------
# Codes feed a regression like any features: the model is a step of a pipeline. Where codes need no density, those of a
# plain autoencoder hold more: on so few molecules about as much as principal components do.
folds = KFold(3, shuffle=True, random_state=0)
ridge = RidgeCV(np.logspace(-3, 3, 7))
plain = AutoencoderTransformer(16, likelihood="bernoulli", max_iter=20, random_state=0)
for step in (plain, clone(vae), PCA(16)):
    scores = cross_val_score(make_pipeline(step, ridge), bits, solubility, cv=folds)
    print(f"R2 of solubility from 16 codes of {type(step).__name__}: {scores.mean():.2f}")

# %%
# And the way back: from a molecule along the slope of the regression, to codes of more soluble ones. What is expected
# of a code far from those that were fitted is a promise; the nearest known molecule says how much of it is kept: here
# next to nothing, which is what so few molecules can teach.
codes = plain.fit_transform(train)
model = ridge.fit(codes, y_train)
start = codes[[np.argsort(y_train)[len(y_train) // 2]]]
steps = np.linspace(0, 4, 5)[:, None] * model.coef_ / np.linalg.norm(model.coef_)
path = plain.inverse_transform(start + steps)
distance, nearest = known.kneighbors(path > 0.5)
for score, which in zip(model.predict(start + steps), nearest[:, 0], strict=True):
    print(f"expected {score:5.2f}, nearest molecule {y_train[which]:5.2f}: {names[which]}")
plt.show()
