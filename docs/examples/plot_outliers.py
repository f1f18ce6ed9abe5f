"""
Two kinds of strange rows
=========================

Some rows are strange because their values are extreme. Others have ordinary values that do not go together: there
`AEOutlierDetector` is at its best, while a detector that cuts one column at a time is at its best with the first kind.
Neither sees a label; here the labels are known, so that both can be checked.
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
from sklae.plotting import score_histogram, training_curve

data = load_breast_cancer(as_frame=True)
benign = data.data[data.target == 1]
malignant = data.data[data.target == 0].sample(20, random_state=0)
rng = np.random.default_rng(0)
mixtures = pd.DataFrame({name: rng.choice(benign[name], 20) for name in benign})

tables = {
    "malignant": pd.concat([benign, malignant], ignore_index=True),
    "mixtures": pd.concat([benign, mixtures], ignore_index=True),
}
is_benign = np.arange(len(benign) + 20) < len(benign)

# %%
# Who finds them?
# ---------------
# The area under the ROC curve is the chance that a strange row gets a lower score than a benign one.
for name, X in tables.items():
    for model in (AEOutlierDetector(random_state=0), IsolationForest(random_state=0)):
        area = roc_auc_score(is_benign, model.fit(X).score_samples(X))
        print(f"{name:10} {type(model).__name__:18} {area:.3f}")

# %%
# Look
# ----
# There is nothing to scale and nothing to set. Scores are negative; their magnitude is the mean squared residual of a
# row, each in units of its column's root mean square: 1 on average, and less for most rows.
X = tables["mixtures"]
detector = AEOutlierDetector(random_state=0).fit(X)
scores = detector.score_samples(X)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
training_curve(detector, ax=axes[0])
score_histogram(scores, detector.offset_, ax=axes[1])

# %%
# Which columns?
# --------------
# The strangest row against what the autoencoder makes of it, column by column, in units of the column's usual residual.
row = X.iloc[[np.argmin(scores)]]
residuals = (row - detector.autoencoder_.reconstruct(row)).iloc[0] / detector.residual_scale_
worst = residuals.abs().sort_values().index[-8:]

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.barh(worst, residuals[worst])
ax.axvline(0, color="grey", linewidth=0.8)
ax.set(title=f"row {row.index[0]}", xlabel="residual / usual residual of the column")
plt.show()
