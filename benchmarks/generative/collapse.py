"""Data on which the plain VAE collapses: do free bits, warm-up and cycles bring the code back, and is it any good?

    python -m benchmarks.generative.collapse [--seeds 3] [--quick]

4,000 rows of 35 binary columns, in 5 blocks. A block has 3 hidden fair bits and shows all their 7 parities, each
flipped with probability 0.05. Any two columns are uncorrelated, and fair: nothing linear is to be found. Only three or
more together tell something, by as much as 6.9 nats a row in all (the best possible log-likelihood is about -17.3, that
of independent columns -24.3).

That is where a VAE collapses without having to. A component that has just begun to tell about one column gains at most
what it costs: information about a single fair bit is paid for in full by the KL term, and the noise of the code takes
some of it. The gain comes only when a component is joined by others of its block. At the start the code says nothing,
and around there a code that says something costs as much as it brings. To learn the code first and to pay later leads
away from there: by not charging the first nats of a component (`free_bits`), or by raising beta from 0, once
(`LinearWarmup`) or several times (`Cyclical`).

Network 35-128-64-15-64-128-35, batches of 128, Adam at 1e-3, 60 epochs for all, one thread, seeds 0, 1, 2; and the
plain VAE with five times as many epochs: how far patience alone gets it. Columns, on 1,000 new rows: components whose
mean code moves (variance above 0.01, as `sklae.metrics.active_units` counts), components with a KL above 0.1 nats, the
rate (all of the KL), what of it is mutual information of rows and codes (at most log 1,000 = 6.9 here), the bound and
the log-likelihood (500 importance samples); means over seeds, and the spread of the last. `free_bits` above what a
component has to tell are filled with noise, which the bound pays for: see rate against mutual information.

Then the words of `sklae.metrics.diagnose` on the plain VAE, and on what it recommends.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from benchmarks.shared.harness import ALL_EPOCHS, measure, one_thread, print_table, versions
from sklae import VAETransformer
from sklae.metrics import active_units, diagnose, kl_per_component, mutual_information
from sklae.networks import MLP
from sklae.schedules import Cyclical, LinearWarmup

N_BITS, N_BLOCKS, FLIPPED = 3, 5, 0.05
BATCH_SIZE = 128
#: All words of a block: the bits, (8, 3), times which of them each parity counts, (3, 7).
WORDS = (
    np.array(list(itertools.product((0, 1), repeat=N_BITS)))
    @ np.array([mask for mask in itertools.product((0, 1), repeat=N_BITS) if any(mask)]).T
) % 2


class Size(NamedTuple):
    """How much is done."""

    n_train: int = 4_000
    n_test: int = 1_000
    n_epochs: int = 60
    patience: int = 5


QUICK = Size(n_train=500, n_test=100, n_epochs=6, patience=2)


def rows(n: int, seed: int) -> np.ndarray:
    rng = np.random.RandomState(seed)
    X = np.hstack([WORDS[rng.randint(len(WORDS), size=n)] for _ in range(N_BLOCKS)])
    return np.where(rng.uniform(size=X.shape) < FLIPPED, 1 - X, X).astype(np.float64)


def true_log_likelihood(X: np.ndarray) -> np.ndarray:
    """Return the log-probability of each row under what made them."""
    n_flipped = (X.reshape(len(X), N_BLOCKS, 1, -1) != WORDS).sum(axis=-1)
    log_p = n_flipped * np.log(FLIPPED) + (WORDS.shape[1] - n_flipped) * np.log1p(-FLIPPED)
    return (logsumexp(log_p, axis=-1) - np.log(len(WORDS))).sum(axis=1)


def models(n_epochs: int, patience: int) -> dict[str, dict[str, Any]]:
    """Return what is compared: name -> parameters."""
    third = max(1, n_epochs // 3)
    sixth = max(1, n_epochs // 6)
    return {
        "plain": {},
        f"plain, {patience * n_epochs} epochs": {"max_iter": patience * n_epochs},
        "free_bits=0.1": {"free_bits": 0.1},
        "free_bits=0.5": {"free_bits": 0.5},
        f"LinearWarmup(n_epochs={third})": {"beta": LinearWarmup(n_epochs=third)},
        f"LinearWarmup(n_epochs={2 * third})": {"beta": LinearWarmup(n_epochs=2 * third)},
        f"Cyclical(n_epochs={sixth})": {"beta": Cyclical(n_epochs=sixth)},
    }


def fit(parameters: dict[str, Any], X: np.ndarray, n_epochs: int, seed: int) -> VAETransformer:
    settings = {
        "likelihood": "bernoulli",
        "batch_size": BATCH_SIZE,
        "network": MLP((128, 64), linear_path=False),
        "learning_rate_init": 1e-3,
        "prior": "normal",
        "max_iter": n_epochs,
        "random_state": seed,
        **ALL_EPOCHS,
    }
    return VAETransformer(N_BITS * N_BLOCKS, **{**settings, **parameters}).fit(X)


class Figures(NamedTuple):
    """Of one fit."""

    n_active: int
    n_telling: int
    rate: float
    information: float
    bound: float
    log_likelihood: float
    seconds: float


def examine(vae: VAETransformer, X: np.ndarray, seconds: float) -> Figures:
    kl = kl_per_component(vae, X)
    return Figures(
        active_units(vae, X),
        int((kl > 0.1).sum()),
        float(kl.sum()),
        mutual_information(vae, X, random_state=0).value,
        vae.score(X),
        float(vae.score_samples(X, n_importance_samples=500).mean()),
        seconds,
    )


def row(name: str, found: list[Figures]) -> list[Any]:
    spread = float(np.std([figures.log_likelihood for figures in found], ddof=1)) if len(found) > 1 else None
    *shown, seconds = map(float, np.mean(found, axis=0))
    return [name, *shown, spread, seconds, ""]


def say(name: str, vae: VAETransformer, X: np.ndarray) -> None:
    print(f"\n-- diagnose, {name}\n{diagnose(vae, X, random_state=0)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of fits of each, seeds 0, 1, ...")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Maximum iterations")
    size, n_seeds = (QUICK, 1) if arguments.quick else (Size(), arguments.seeds)
    print(versions(("numpy", "scikit-learn", "torch", "skorch")))
    X, new = rows(size.n_train, 0), rows(size.n_test, 1)
    contenders = models(size.n_epochs, size.patience)
    found: dict[str, list[Figures]] = {name: [] for name in contenders}
    first: dict[str, VAETransformer] = {}
    with one_thread():
        fit({}, X, 1, 0)  # warms up
        for seed in range(n_seeds):
            for name, parameters in contenders.items():
                fitted: list[VAETransformer] = []
                cost = measure(lambda p=parameters, s=seed, f=fitted: f.append(fit(p, X, size.n_epochs, s)))
                first.setdefault(name, fitted[0])
                found[name].append(examine(fitted[0], new, cost.cpu))
    header = [
        "model",
        "active",
        "> 0.1 nats",
        "rate",
        "information",
        "bound",
        "log-likelihood",
        "± SD",
        "fit CPU s",
        "",
    ]
    independent = [*[None] * 5, -X.shape[1] * float(np.log(2)), None, None, ""]
    truth = [*[None] * 5, float(true_log_likelihood(new).mean()), None, None, ""]
    title = (
        f"{size.n_train:,} rows of {X.shape[1]} columns, {N_BITS * N_BLOCKS} components, {size.n_epochs} epochs, "
        f"{n_seeds} seed(s); means over {size.n_test:,} new rows, nats"
    )
    results = [row(name, figures) for name, figures in found.items()]
    print_table(title, header, [*results, ["independent columns", *independent], ["what made the rows", *truth]])
    print_verdicts(found)
    for name in ("plain", "free_bits=0.1", "free_bits=0.5", list(contenders)[5]):
        say(name, first[name], new)


def print_verdicts(found: dict[str, list[Figures]]) -> None:
    """Print for each remedy whether it woke components, and what bound and log-likelihood had of it."""
    plain = np.mean(found["plain"], axis=0)
    print()
    for name, figures in found.items():
        if name == "plain":
            continue
        gain = Figures(*(np.mean(figures, axis=0) - plain))
        word = "no worse" if gain.bound > -0.05 and gain.log_likelihood > -0.05 else "WORSE"
        print(
            f"{name}: {gain.n_telling:+.1f} components above 0.1 nats, bound {gain.bound:+.2f}, "
            f"log-likelihood {gain.log_likelihood:+.2f}: {word} than plain"
        )


if __name__ == "__main__":
    main()
