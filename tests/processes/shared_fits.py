"""A script for torchrun: fits of several kinds, each shared by all processes, and what came of them.

``torchrun --nproc-per-node=2 shared_fits.py FOLDER NAME ...`` writes ``FOLDER/RANK.pickle``.
"""

import pickle
import sys
from pathlib import Path

import numpy as np

import sklae
import sklae._training.batches as batches
from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.networks import MLP
from sklae.penalties import Contractive
from sklae.priors import VampPrior
from sklae.sources import ChunkedRows

EPOCHS = {"max_iter": 3, "n_iter_no_change": np.inf, "random_state": 0}
PLAIN = {**EPOCHS, "early_stopping": False, "learning_rate": "constant", "hidden_layer_sizes": (8,), "batch_size": 50}
STOPS = {**PLAIN, "early_stopping": True, "max_iter": 60, "n_iter_no_change": 2, "tol": 0.01}
# a model that starts as PCA has hardly anything to learn
FROM_SCRATCH = MLP((8,), linear_path=False)


def table(n_rows=203, gaps=False):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(n_rows, 6))
    if gaps:
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X


def _weights(n_rows=203):
    return {"sample_weight": np.random.RandomState(1).uniform(0.5, 2.0, size=n_rows)}


# Name -> what makes the estimator, and what it is fitted to. The last batch has 3 rows, and 1 of them is rank 0's.
CASES = {
    "plain": (lambda: AutoencoderTransformer(2, **PLAIN), {}),
    "defaults": (lambda: AutoencoderTransformer(2, network=FROM_SCRATCH, **EPOCHS), {}),
    "lbfgs": (lambda: AutoencoderTransformer(2, **{**PLAIN, "solver": "lbfgs"}), {}),
    "masking": (lambda: AutoencoderTransformer(2, corruption="masking", **PLAIN), {"gaps": True}),
    "swap": (lambda: AutoencoderTransformer(2, corruption="swap", **PLAIN), {"weights": True}),
    "dropout": (lambda: AutoencoderTransformer(2, network=MLP((8,), dropout=0.3), **PLAIN), {}),
    "l1": (lambda: AutoencoderTransformer(4, penalty="l1", **PLAIN), {}),
    "kl_sparsity": (lambda: AutoencoderTransformer(4, penalty="kl_sparsity", **PLAIN), {}),
    "contractive": (lambda: AutoencoderTransformer(4, penalty=Contractive(n_projections=2), **PLAIN), {}),
    "neighbors": (lambda: AutoencoderTransformer(2, penalty="neighbors", **PLAIN), {}),
    "vae": (lambda: VAETransformer(2, network=FROM_SCRATCH, **EPOCHS), {"gaps": True}),
    "importance": (
        lambda: VAETransformer(2, n_importance_samples=4, network=MLP((8,), dropout=0.1), **PLAIN),
        {},
    ),
    "mmd": (lambda: VAETransformer(2, posterior="point", divergence="mmd", **PLAIN), {}),
    "gaussian_mixture": (lambda: VAETransformer(2, prior="gaussian_mixture", **PLAIN), {}),
    "vamp": (lambda: VAETransformer(2, prior=VampPrior(7), network=MLP((8,), dropout=0.2), **PLAIN), {}),
    "conditions": (lambda: VAETransformer(2, condition_features=[0], corruption="gaussian_noise", **PLAIN), {}),
    "no_seed": (lambda: VAETransformer(2, **{**PLAIN, "random_state": None}), {}),
    "stops": (lambda: AutoencoderTransformer(2, network=FROM_SCRATCH, **STOPS), {}),
    "source": (lambda: VAETransformer(2, network=FROM_SCRATCH, **STOPS), {"gaps": True, "chunks": 5}),
    "detector": (lambda: AEOutlierDetector(n_estimators=2, random_state=0), {}),
    "imputer": (lambda: AEImputer(VAETransformer(2, network=FROM_SCRATCH, **PLAIN), random_state=0), {"gaps": True}),
}


def nets_of(estimator):
    members = getattr(estimator, "estimators_", [estimator])
    return [member.net_ for member in members]


def outcome(name):
    """Return weights, history and stop of one of the fits."""
    make, given = CASES[name]
    weights = _weights() if given.get("weights") else {}
    X = table(gaps=given.get("gaps", False))
    if "chunks" in given:
        batches._MOST_KEPT = 0  # read anew in each epoch
        estimator = make().fit(ChunkedRows(lambda: np.array_split(X, given["chunks"])))
    else:
        estimator = make().fit(X, **weights)
    nets = nets_of(estimator)
    history = [
        [{k: v for k, v in epoch.items() if k not in ("dur", "batches")} for epoch in net.history] for net in nets
    ]
    tensors = [value.numpy() for net in nets for module in net.learners for value in module.state_dict().values()]
    return {"tensors": tensors, "history": history, "curves": [net.history[:, "train_loss"] for net in nets]}


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    with sklae.distributed.data_parallel() as job:
        found = {name: outcome(name) for name in names}
    (Path(folder) / f"{job.rank}.pickle").write_bytes(pickle.dumps(found))
