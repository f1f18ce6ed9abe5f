"""How large are files of fitted estimators, and how fast are they written and read?

    python -m benchmarks.speed.files [--quick]

Beside pickle, joblib and skops: bytes over those of the model's parameters, and milliseconds, the least of five.
"""

from __future__ import annotations

import argparse
import io
import pickle
from collections.abc import Callable
from time import perf_counter
from typing import Any

import joblib
import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer, load_digits

import sklae
from benchmarks.shared.harness import one_thread, print_table, versions


def estimators(n_epochs: int) -> dict[str, tuple[Any, np.ndarray]]:
    X, digits = load_breast_cancer().data, load_digits().data / 16.0
    wide = np.tile(digits, (1, 12))  # as wide as MNIST
    quick = {"max_iter": n_epochs, "early_stopping": False, "random_state": 0}
    gappy = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
    detector = sklae.AEOutlierDetector(sklae.AutoencoderTransformer(4, **quick), random_state=0)
    return {
        "VAE of 768 pixels": (sklae.VAETransformer(2, hidden_layer_sizes=(512, 256), **quick), wide),
        "VAE of 30 columns": (sklae.VAETransformer(4, **quick), X),
        "detector of 30 columns": (detector, X),
        "imputer of 30 columns": (sklae.AEImputer(random_state=0), gappy),
    }


def in_memory(dump: Callable[[Any, io.BytesIO], Any], load: Callable[[io.BytesIO], Any]) -> tuple[Callable, Callable]:
    def write(estimator: Any) -> bytes:
        file = io.BytesIO()
        dump(estimator, file)
        return file.getvalue()

    return write, lambda content: load(io.BytesIO(content))


WAYS = {
    "sklae.save": in_memory(sklae.save, sklae.load),
    "sklae.save, with optimizer": in_memory(lambda e, file: sklae.save(e, file, optimizer=True), sklae.load),
    "pickle": (pickle.dumps, pickle.loads),
    "joblib": in_memory(joblib.dump, joblib.load),
    "skops": (skops.io.dumps, lambda content: skops.io.loads(content, trusted=sklae.trusted_types())),
}


def least(function: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        start = perf_counter()
        function()
        times.append(1e3 * (perf_counter() - start))
    return min(times)


def n_bytes(estimator: Any) -> int:
    """Return the bytes of a transformer's parameters and buffers; 0 for what has no single net."""
    net = getattr(estimator, "net_", None)
    return 0 if net is None else sum(each.nbytes for each in net.module_.state_dict().values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one epoch")
    arguments = parser.parse_args()
    print(versions())
    with one_thread():
        for name, (estimator, table) in estimators(1 if arguments.quick else 20).items():
            estimator.fit(table)
            weights, rows = n_bytes(estimator), []
            for way, (write, read) in WAYS.items():
                content = write(estimator)
                same = np.array_equal(read(content).transform(table), estimator.transform(table))
                times = least(lambda: write(estimator)), least(lambda: read(content))  # noqa: B023 - at once
                over = f"{len(content) / weights:.2f}" if weights else ""
                rows.append(
                    [way, f"{len(content):,}", over, *(f"{each:.1f}" for each in times), "yes" if same else "NO"]
                )
            print_table(name, ["way", "bytes", "over weights", "write, ms", "read, ms", "same numbers"], rows)


if __name__ == "__main__":
    main()
