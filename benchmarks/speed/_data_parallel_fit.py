"""One fit, shared by the processes of a job: writes what it took, and the weights, to ``OUT.RANK.npz``.

torchrun --nproc-per-node=2 -m benchmarks.speed._data_parallel_fit CASE OUT [--reversed] [--quick]
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import sklae
from benchmarks.shared.harness import ALL_EPOCHS
from sklae import AutoencoderTransformer
from sklae.networks import MLP


@dataclass(frozen=True)
class Case:
    """A table and a model."""

    n_rows: int
    n_columns: int
    hidden: tuple[int, ...]
    batch_size: int
    n_epochs: int = 3

    def quick(self) -> Case:
        """Return the same with next to no work."""
        return replace(self, n_rows=2 * self.batch_size, n_epochs=1)

    def make(self, **settings: Any) -> Any:
        """Return the estimator."""
        network = MLP(self.hidden, linear_path=False)
        parameters = {"network": network, "batch_size": self.batch_size, "max_iter": self.n_epochs, "shuffle": False}
        return AutoencoderTransformer(10, random_state=0, **{**parameters, **ALL_EPOCHS, **settings})

    def table(self) -> np.ndarray:
        """Return rows of a few factors, with noise."""
        rng = np.random.RandomState(0)
        factors = rng.normal(size=(self.n_rows, 10)) @ rng.normal(size=(10, self.n_columns))
        return (factors + rng.normal(size=factors.shape)).astype(np.float32)

    def reverse(self, X: np.ndarray) -> np.ndarray:
        """Return the rows of each batch in the reverse order: the same sums, otherwise rounded."""
        return np.concatenate([X[i : i + self.batch_size][::-1] for i in range(0, len(X), self.batch_size)])


CASES = {
    "small": Case(50_000, 30, (64, 32), 256),
    "medium": Case(50_000, 100, (256, 128), 1_024),
    "large": Case(10_000, 500, (1_024, 512), 1_024),
}


def main() -> None:
    """Fit, and write what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("out")
    parser.add_argument("--reversed", action="store_true")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    case = CASES[args.case].quick() if args.quick else CASES[args.case]
    X = case.reverse(case.table()) if args.reversed else case.table()
    warnings.simplefilter("ignore")
    with sklae.distributed.data_parallel() as job:
        case.make(max_iter=1).fit(X[: 2 * case.batch_size])  # what is imported and compiled once
        start = time.perf_counter()
        model = case.make().fit(X)
        wall = time.perf_counter() - start
    weights = [p.detach().numpy().ravel() for p in model.net_.module_.parameters()]
    np.savez(f"{args.out}.{job.rank}.npz", wall=wall, weights=np.concatenate(weights), world_size=job.world_size)


if __name__ == "__main__":
    main()
