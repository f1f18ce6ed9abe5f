"""
Outliers among tumours
======================

`AEOutlierDetector` never sees a label. Here the labels are known, so that its order can be checked: 357
benign tumours, and 20 malignant ones among them, described by 30 measurements each.
"""

# %%
# The table
# ---------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from sklae import AEOutlierDetector
from sklae.plotting import score_histogram, training_curve

data = load_breast_cancer(as_frame=True)
benign = data.data[data.target == 1]
malignant = data.data[data.target == 0].sample(20, random_state=0)
X = data.data.loc[benign.index.union(malignant.index)]
is_malignant = X.index.isin(malignant.index)

# %%
# Fit, and look
# -------------
# There is nothing to scale and nothing to set. Scores are negative; their magnitude is the mean squared
# residual of a row, each in units of its column's root mean square: 1 on average, and less for most rows.
detector = AEOutlierDetector(random_state=0).fit(X)
scores = detector.score_samples(X)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
training_curve(detector, ax=axes[0])
score_histogram(scores, detector.offset_, ax=axes[1])

# %%
# Does it rank the malignant ones first? The area under the ROC curve is the chance that a malignant row gets
# a lower score than a benign one; `IsolationForest` beside it.
forest = IsolationForest(random_state=0).fit(X)
for model in (detector, forest):
    area = roc_auc_score(~is_malignant, model.score_samples(X))
    print(f"{type(model).__name__:18} {area:.3f}")

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
