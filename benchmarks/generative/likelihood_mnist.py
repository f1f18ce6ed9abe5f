"""How likely are held-out digits under sklae's models, and under pythae's of the same size after as many steps?

    python -m benchmarks.generative.likelihood_mnist [--only NAME ...] [--seeds 1] [--quick]

MNIST, 10,000 training images, binarised anew in every step with the grey values as probabilities; 1,000 test images,
binarised once. Pixels that are blank in all training images are left out for everybody. Networks
n-200-200-20-200-200-n with tanh, Adam at 1e-3, 30 epochs in batches of 100, that is 3,000 steps, constant rate, no
early stopping; one thread. Small on purpose: published figures (arXiv 1509.00519: 86.8 nats at k = 1) take 60,000
images and an accelerator, and are not what is compared here.

Negative log-likelihoods of both sides come from one function, below: importance sampling with 500 draws a row from the
model's own posterior. It knows a model as three functions: codes with their log q, logits of codes, log prior.
Differences are paired by test image, and their standard errors are over images: what another seed would change is seen
with `--seeds 3`, which averages over fits.

- *VAE*, *IWAE, k = 5*: the same model twice. pythae squashes to probabilities and takes the cross-entropy of these,
  sklae that of logits; pythae's gradient is the plain importance-weighted one, sklae's the doubly reparameterized one
  (arXiv 1810.04152).
- *IWAE, k = 50*: sklae only, for the order k = 1 < 5 < 50.
- *VampPrior, 50*: pythae's pseudo-inputs start at random, with equal weights throughout; sklae's start at training
  rows, and their weights are learned. Such a prior can follow a posterior that says nothing; hence a second time with
  beta rising from 0 to 1 over 10 epochs, in both.
- *IAF*: two transformations by masked networks of three times 128 in both. pythae's do not see the image, sklae's
  do, through 16 more outputs of the encoder.

Times are of one fit each (the mean over seeds), and of `fit` only. pythae's loop is its own, see `shared/pythae.py`.
Runs in the side environment (`side-requirements.txt`); without pythae its rows are left out.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from benchmarks.shared.data import Split, inked, mnist
from benchmarks.shared.harness import ALL_EPOCHS, Cost, measure, one_thread, print_table, versions
from sklae import VAETransformer
from sklae.corruptions import Binarize
from sklae.networks import MLP
from sklae.posteriors import IAF
from sklae.priors import VampPrior
from sklae.schedules import LinearWarmup

try:
    from benchmarks.shared import pythae
except ImportError:
    pythae = None

HIDDEN, N_COMPONENTS, LEARNING_RATE, BATCH_SIZE = (200, 200), 20, 1e-3, 100
SKLAE, PYTHAE = "sklae", "pythae"
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)

#: Model -> what it takes in sklae.
SKLAE_MODELS: dict[str, dict[str, Any]] = {
    "VAE": {},
    "IWAE, k = 5": {"n_importance_samples": 5},
    "IWAE, k = 50": {"n_importance_samples": 50},
    "VampPrior, 50": {"prior": VampPrior(50)},
    "VampPrior, 50, warm-up": {"prior": VampPrior(50), "beta": LinearWarmup(n_epochs=10)},
    "IAF": {"posterior": IAF(2, hidden_layer_sizes=(128, 128, 128))},
}
#: Model -> its name in pythae, and its settings.
PYTHAE_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "VAE": ("VAE", {}),
    "IWAE, k = 5": ("IWAE", {"number_samples": 5}),
    "VampPrior, 50": ("VAMP", {"number_components": 50}),
    "VampPrior, 50, warm-up": ("VAMP", {"number_components": 50, "linear_scheduling_steps": 10}),
    "IAF": ("VAE_IAF", {"n_made_blocks": 2, "n_hidden_in_made": 3, "hidden_size": 128}),
}


class Size(NamedTuple):
    """How much is done."""

    n_train: int = 10_000
    n_test: int = 1_000
    n_epochs: int = 30
    n_draws: int = 500


QUICK = Size(n_train=300, n_test=50, n_epochs=2, n_draws=50)


# -- the common estimate --------------------------------------------------------------------------------


class Model(NamedTuple):
    """What importance sampling needs to know of a fitted model.

    Attributes
    ----------
    draw : callable
        (rows, number of draws) -> codes (n_draws, n_rows, n_components), and their log q (n_draws, n_rows).
    logits : callable
        Codes (n, n_components) -> log-odds of the pixels (n, n_pixels).
    log_prior : callable
        Codes (n, n_components) -> log p (n,).
    """

    draw: Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]
    logits: Callable[[torch.Tensor], torch.Tensor]
    log_prior: Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def log_likelihood(model: Model, X: np.ndarray, n_draws: int, rows_at_once: int = 20) -> np.ndarray:
    """Return the estimated log-likelihood of each row, in nats."""
    torch.manual_seed(0)  # for those that draw from the global generator
    parts = [_log_likelihood(model, x, n_draws) for x in torch.from_numpy(X).split(rows_at_once)]
    return torch.cat(parts).double().numpy()


def _log_likelihood(model: Model, x: torch.Tensor, n_draws: int) -> torch.Tensor:
    z, log_q = model.draw(x, n_draws)
    flat = z.flatten(0, 1)
    logits = model.logits(flat).unflatten(0, z.shape[:2])
    log_p = -functional.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    log_weights = log_p + model.log_prior(flat).unflatten(0, z.shape[:2]) - log_q
    return torch.logsumexp(log_weights, dim=0) - math.log(n_draws)


def _log_normal(z: torch.Tensor, mean: Any = 0.0, log_scale: Any = 0.0) -> torch.Tensor:
    log_scale = torch.as_tensor(log_scale)
    return -(0.5 * ((z - mean) * (-log_scale).exp()).square() + log_scale + _HALF_LOG_2PI).sum(-1)


# -- sklae ----------------------------------------------------------------------------------------------


def fit_sklae(name: str, X: np.ndarray, n_epochs: int, seed: int) -> VAETransformer:
    return VAETransformer(
        N_COMPONENTS,
        network=MLP(HIDDEN, activation="tanh", linear_path=False),  # pythae's
        likelihood="bernoulli",
        corruption=Binarize(),
        learning_rate_init=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        max_iter=n_epochs,
        random_state=seed,
        **{"prior": "normal", **ALL_EPOCHS, **SKLAE_MODELS[name]},
    ).fit(X)


def model_of_sklae(estimator: VAETransformer) -> Model:
    module = estimator.net_.module_.eval()
    generator = torch.Generator().manual_seed(0)

    def draw(x: torch.Tensor, n_draws: int) -> tuple[torch.Tensor, torch.Tensor]:
        q = module.encode(x)
        noise = q.draw_noise(generator, n_draws)
        z, log_q = q.push_with_density(noise)  # which knows the way z came: no flow is inverted
        return z, log_q()

    return Model(draw, module.decode, lambda z: module.prior_codes(generator=generator).log_prob(z))


# -- pythae ---------------------------------------------------------------------------------------------


def fit_pythae(name: str, X: np.ndarray, n_epochs: int, seed: int) -> torch.nn.Module:
    kind, settings = PYTHAE_MODELS[name]
    model = pythae.build(
        kind, X.shape[1], HIDDEN, N_COMPONENTS, activation="tanh", bernoulli=True, seed=seed, **settings
    )
    return pythae.train(
        model,
        X,
        n_epochs=n_epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        binarize=True,
        seed=seed,
    )


def model_of_pythae(model: torch.nn.Module) -> Model:
    def draw(x: torch.Tensor, n_draws: int) -> tuple[torch.Tensor, torch.Tensor]:
        output = model.encoder(x)
        mean, log_scale = output.embedding, 0.5 * output.log_covariance
        z = mean + log_scale.exp() * torch.randn(n_draws, *mean.shape)
        log_q = _log_normal(z, mean, log_scale)
        if not hasattr(model, "iaf_flow"):
            return z, log_q
        pushed = model.iaf_flow.inverse(z.flatten(0, 1))
        return pushed.out.view_as(z), log_q - pushed.log_abs_det_jac.view_as(log_q)

    def log_prior(z: torch.Tensor) -> torch.Tensor:
        if not hasattr(model, "pseudo_inputs"):
            return _log_normal(z)
        return model._log_p_z(z) - z.shape[-1] * _HALF_LOG_2PI  # which it leaves out

    return Model(draw, model.decoder.net, log_prior)


# -- the run --------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """Log-likelihoods of the test rows, mean over seeds, and what a fit took."""

    scores: np.ndarray
    cost: Cost


_SIDES: dict[str, tuple[Callable, Callable]] = {
    SKLAE: (fit_sklae, model_of_sklae),
    PYTHAE: (fit_pythae, model_of_pythae),
}


def contend(side: str, name: str, data: Split, size: Size, n_seeds: int) -> Result:
    """Fit with every seed and judge by the test rows."""
    fit, model_of = _SIDES[side]
    scores, costs = [], []
    for seed in range(n_seeds):
        fitted: list[Any] = []
        call = partial(fit, name, data.X_train, size.n_epochs, seed)
        try:
            costs.append(measure(lambda call=call, fitted=fitted: fitted.append(call())))
        except ArithmeticError as error:  # pythae's word for a loss that is no number
            print(f"{side}, {name}, seed {seed}: {error}")
            return Result(np.full(len(data.X_test), np.nan), Cost(np.nan, np.nan))
        scores.append(log_likelihood(model_of(fitted[0]), data.X_test, size.n_draws))
    cost = Cost(float(np.mean([c.wall for c in costs])), float(np.mean([c.cpu for c in costs])))
    return Result(np.mean(scores, axis=0), cost)


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def row(side: str, name: str, results: dict[tuple[str, str], Result]) -> list[Any]:
    result = results[side, name]
    nll, error = _mean_and_error(-result.scores)
    cells: list[Any] = [name, side, nll, error, None, None, result.cost.wall, result.cost.cpu, None, ""]
    peer = results.get((PYTHAE, name))
    if side == SKLAE and peer is not None:
        cells[4], cells[5] = _mean_and_error(peer.scores - result.scores)
        cells[8] = peer.cost.cpu / result.cost.cpu
        cells[9] = _verdict(cells[4], cells[5])
    return cells


def _verdict(difference: float, error: float) -> str:
    if not math.isfinite(difference):
        return "pythae's fit gave no finite likelihood"
    if abs(difference) < 2.0 * error:
        return "no difference"
    return "sklae is better" if difference < 0 else "pythae is better"


def print_order(results: dict[tuple[str, str], Result]) -> None:
    """Print whether more importance samples in training made held-out rows likelier."""
    names = ["VAE", "IWAE, k = 5", "IWAE, k = 50"]
    if any((SKLAE, name) not in results for name in names):
        return
    print("\nsklae, gain in log-likelihood from more importance samples in training, paired by image:")
    for fewer, more in pairwise(names):
        gain, error = _mean_and_error(results[SKLAE, more].scores - results[SKLAE, fewer].scores)
        print(f"  {fewer} -> {more}: {gain:+.2f} ± {error:.2f} nats{'' if gain > 2 * error else ': NOT a gain'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="models, by a part of their name")
    parser.add_argument("--seeds", type=int, default=1, help="number of fits of each, seeds 0, 1, ...")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else Size()
    print(versions(("numpy", "scikit-learn", "torch", "skorch", "zuko", "pythae")))
    if pythae is None:
        print("pythae is not installed: its rows are left out")
    data = inked(mnist(size.n_train, size.n_test))
    data = data._replace(X_test=np.random.RandomState(0).binomial(1, data.X_test).astype(np.float32))
    names = [n for n in SKLAE_MODELS if not arguments.only or any(word in n for word in arguments.only)]
    results: dict[tuple[str, str], Result] = {}
    with one_thread():
        for side in (SKLAE, PYTHAE) if pythae is not None else (SKLAE,):
            _SIDES[side][0]("VAE", data.X_train[:200], 1, 0)  # warms up
        for name in names:
            for side in (SKLAE, PYTHAE):
                if side == SKLAE or (pythae is not None and name in PYTHAE_MODELS):
                    results[side, name] = contend(side, name, data, size, arguments.seeds)
    header = ["model", "by", "NLL", "± SE", "- pythae", "± SE", "fit wall s", "CPU s", "pythae / sklae", "verdict"]
    title = (
        f"MNIST, {size.n_train:,} training and {size.n_test:,} test images, {data.X_train.shape[1]} pixels, "
        f"{size.n_epochs} epochs of batches of {BATCH_SIZE}, {arguments.seeds} seed(s); nats"
    )
    print_table(title, header, [row(side, name, results) for side, name in results])
    print_order(results)


if __name__ == "__main__":
    main()
