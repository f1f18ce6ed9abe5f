"""
Two kinds of strange rows
=========================

Some rows are strange because their values are extreme. Others have ordinary values that do not go together: there a
detector that cuts one column at a time is lost. `AEOutlierDetector` finds both, says which cells are to blame, and how
sure it is. It never sees a label; here the labels are known, so that it can be checked.
"""

# %%
# The tables
# ----------
# 357 benign tumours, described by 30 measurements each. To one copy, 20 malignant tumours are added: most are simply
# larger. To another, 20 mixtures: each of their values is that of some benign tumour, drawn anew for every column.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from sklae import AEOutlierDetector
from sklae.plotting import ExplanationDisplay, OutlierScoreDisplay

data = load_breast_cancer(as_frame=True)
benign, malignant = data.data[data.target == 1], data.data[data.target == 0]
rng = np.random.default_rng(0)
mixtures = pd.DataFrame({name: rng.choice(benign[name], 20) for name in benign})

tables = {
    "malignant": pd.concat([benign, malignant.sample(20, random_state=0)], ignore_index=True),
    "mixtures": pd.concat([benign, mixtures], ignore_index=True),
}
is_benign = np.arange(len(benign) + 20) < len(benign)

# %%
# Who finds them?
# ---------------
# The area under the ROC curve is the chance that a strange row gets a lower score than a benign one.
contenders = (AEOutlierDetector(random_state=0), IsolationForest(random_state=0))
for name, X in tables.items():
    for model in contenders:
        area = roc_auc_score(is_benign, model.fit(X).score_samples(X))
        print(f"{name:10} {type(model).__name__:18} {area:.3f}")

# %%
# The threshold
# -------------
# Scores are minus the surprise of a row, in nats: about 2 is usual. By default the threshold is a boxplot's fence, and
# calls few rows outliers. It can be moved after the fit: here, to a share of the rows. Black marks are the mixtures,
# which the detector has not been told.
X, detector = tables["mixtures"], contenders[0]  # which was fitted to them last
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
OutlierScoreDisplay.from_estimator(detector, y=~is_benign, ax=axes[0])
detector.set_threshold(contamination=0.1)
OutlierScoreDisplay.from_estimator(detector, y=~is_benign, ax=axes[1])
axes[0].set_title('contamination="auto"')
axes[1].set_title("set_threshold(contamination=0.1)")

# %%
# Row by row, which shows where in the table they are: here, at its end.
OutlierScoreDisplay.from_estimator(detector, y=~is_benign, kind="rows")

# %%
# Which cells?
# ------------
# What each column adds to the surprise of the strangest row, with its value and the one that its other values make
# expected. It is a mixture: a radius of 7.7 and a perimeter of 104 are no single nucleus. ``method="additive"`` shares
# the surprise out among all cells; the default, "repair", blames those that have to change for the row to be usual,
# which suits rows with a few wrong cells.

# sphinx_gallery_thumbnail_number = 2
strangest = np.argmin(detector.training_scores_)
ExplanationDisplay.from_estimator(detector, X[strangest : strangest + 1], method="additive", max_features=8)

# %%
# How sure?
# ---------
# P-values compare new rows with benign ones that the fit has not seen. Of the rows that ``fdr=0.1`` selects, at most a
# tenth are false alarms, in the mean over many such tables. The Benjamini-Hochberg procedure takes the rows up to the
# last one whose p-value lies below the line.
shuffled = benign.sample(frac=1.0, random_state=0)
novelty = AEOutlierDetector(support_fraction=1.0, random_state=0).fit(shuffled[:150], X_val=shuffled[150:300])
X_new = pd.concat([shuffled[300:], malignant])
is_new_benign = np.arange(len(X_new)) < 57
selected = novelty.predict(X_new, fdr=0.1) == -1
print(f"{selected.sum()} of {len(X_new)} rows are selected, {(selected & is_new_benign).sum()} of them benign")

p_values = novelty.p_values(X_new)
order = np.argsort(p_values, kind="stable")
ranks = np.arange(1, len(order) + 1)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, chosen in (("malignant", ~is_new_benign[order]), ("benign", is_new_benign[order])):
    ax.plot(ranks[chosen], p_values[order][chosen], "o", markersize=4, label=name)
ax.plot(ranks, 0.1 * ranks / len(ranks), color="grey", linewidth=0.8, label="0.1 × rank / number of rows")
ax.axvline(selected.sum() + 0.5, color="grey", linestyle="--", label="selected: left of it")
ax.set(xlabel="rank", ylabel="p-value", yscale="log")
ax.legend(frameon=False)
plt.show()
