"""
A synthetic table
=================

A variational autoencoder of a table of people makes up as many others. Columns should be distributed as in the real
table, pairs of columns go together as there, and no made-up person be the copy of a real one: each is a check.
"""

# %%
# A table as it is
# ----------------
# Numbers, text and gaps. Census data of adults are read from the folder that ``SKLAE_DATA`` names; without it, the
# diagnoses of scikit-learn's breast cancer data stand in, in words, with a few measurements.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from sklae import VAETransformer
from sklae.likelihoods import Mixed
from sklae.metrics import (
    association_distances,
    classifier_two_sample_score,
    marginal_distances,
    near_copy_share,
    train_on_synthetic_score,
)
from sklae.plotting import SynthesisDisplay

path = Path(os.environ.get("SKLAE_DATA", "../shared/data"), "tables", "adult.csv")
if path.exists():
    columns = ["age", "workclass", "education_num", "marital_status", "sex", "capital_gain", "hours_per_week", "income"]
    table, label = pd.read_csv(path, usecols=columns).sample(6000, random_state=0), "income"
else:
    cancer = load_breast_cancer(as_frame=True)
    table, label = cancer.data.iloc[:, [0, 1, 4, 6, 8, 10]], "diagnosis"
    table = table.assign(diagnosis=cancer.target_names[cancer.target])
real, held_out = train_test_split(table, test_size=0.5, random_state=0)

# %%
# The model
# ---------
# ``Mixed("histogram")`` follows any distribution of numbers: ranges, exact zeros, values that repeat.
# ``sample_from="aggregate"`` draws codes from where the rows' codes are.
settings = {"likelihood": Mixed("histogram"), "sample_from": "aggregate", "max_iter": 30, "random_state": 0}
model = VAETransformer(8, **settings).fit(real)
made_up = model.sample(len(real), random_state=0)
print(made_up.head())

# %%
# Column by column
# ----------------
# Beside rows that the model has not seen. Distances are 0 for the same distribution, 1 for no overlap.
SynthesisDisplay.from_predictions(held_out, made_up)

# %%
# Pair by pair
# ------------
# Half of what is drawn is real.
numbers = list(table.select_dtypes("number"))[:3]
SynthesisDisplay.from_predictions(held_out, made_up, kind="pairs", features=[*numbers, label])

# %%
# All checks
# ----------
# Beside what other real rows reach. A classifier that tells made-up rows from real ones by a score well above one half
# finds something in all columns together that pictures of two don't show. Near copies are rows that lie as near to a
# real one as real ones hardly do; ``reference`` is their share among held-out rows. Were there many more, rows would
# have been learned by heart.
for name, rows in (("made up", made_up), ("real", real)):
    columns_apart = np.mean(list(marginal_distances(held_out, rows).values()))
    pairs_apart = np.mean(list(association_distances(held_out, rows).values()))
    told_apart = classifier_two_sample_score(held_out, rows, random_state=0)
    use = train_on_synthetic_score(rows, held_out, label, random_state=0)
    print(f"{name:8} columns {columns_apart:.3f} apart, pairs {pairs_apart:.3f}")
    print(f"{'':8} told from real rows {told_apart:.2f}, a model of {label} learned from them scores {use:.3f}")
print("near copies:", near_copy_share(real, made_up, holdout=held_out, random_state=0))
plt.show()
