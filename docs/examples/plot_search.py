"""
Choosing the number of components
=================================

Two ways, for two ends: by held-out likelihood, and by what the codes are good for.
"""

# %%
# By held-out likelihood
# ----------------------
# The score of a `VAETransformer` is a lower bound of the log-likelihood, in nats per row, so a bare search
# selects by it. `PCA` and `FactorAnalysis` have a log-likelihood too, of the same columns in the same units:
# the curves share an axis. The table is that of the digits, without the pixels at the border that are nearly
# always white; every second digit is enough.
import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sklae import AutoencoderTransformer, VAETransformer

X = load_digits().data
X = X[::2, X.std(axis=0) > 0.5]
widths = [2, 8, 16]
schedule = {"learning_rate": "one_cycle", "learning_rate_init": 3e-3, "max_iter": 20}
vae = VAETransformer(**schedule, random_state=0)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for contender in (vae, FactorAnalysis(tol=0.1), PCA()):
    name = type(contender).__name__
    search = GridSearchCV(contender, {"n_components": widths}, cv=3).fit(X)
    ax.plot(widths, search.cv_results_["mean_test_score"], marker="o", label=name)
    print(f"{name:14} {search.best_params_} {search.best_score_:.1f} nats")
ax.set(xlabel="n_components", ylabel="held-out log-likelihood, nats per row", xticks=widths)
ax.legend()

# %%
# By what comes after
# -------------------
# A plain autoencoder always rebuilds better with more components, so its own score can't choose. A classifier
# at the end of the pipeline can; parts are searched by their parameters' names.
X, y = load_wine(return_X_y=True)
ae = AutoencoderTransformer(**schedule, random_state=0)
grid = {
    "autoencodertransformer__n_components": [1, 2, 4],
    "autoencodertransformer__corruption": [None, "gaussian_noise"],
}
search = GridSearchCV(make_pipeline(ae, LogisticRegression()), grid, cv=3).fit(X, y)
print(f"accuracy {search.best_score_:.3f} with {search.best_params_}")

# %%
# By a search that learns
# -----------------------
# A grid tries everything. Optuna looks where it went well before; any of its kind can ask `cross_val_score`, and
# parameters go in by ``set_params``. It is no part of sklae's requirements.
try:
    import optuna
except ImportError:
    print("pip install optuna, to run this part")
else:
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def nats(trial):
        """Return the held-out likelihood of a model that the trial proposes."""
        trial_vae = clone(vae).set_params(
            n_components=trial.suggest_int("n_components", 1, 6),
            learning_rate_init=trial.suggest_float("learning_rate_init", 1e-3, 1e-2, log=True),
        )
        return cross_val_score(trial_vae, X, cv=3).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(nats, n_trials=10)
    print(f"{study.best_value:.1f} nats with {study.best_params}")
plt.show()
