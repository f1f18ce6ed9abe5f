"""How fast does onnxruntime answer single rows, beside sklae itself, and how soon after a process starts?

    python -m benchmarks.speed.serving [--repeats 200] [--starts 5] [--quick]

Wine (178 x 13), default estimators, float32, one thread, one row at a time; rows are 1.1 times those that were fitted,
so that no detector knows them. *sklae* is the estimator's own method on an array of one row. Times are medians of
interleaved calls, in milliseconds, and it is checked that the answers are the same.

*Start to answer* is the wall time of a process, from its start to its end: it loads a model and answers one row. With
PyTorch, it unpickles the fitted estimator; without, onnxruntime reads the graph, and neither sklae nor PyTorch is
imported. *Interpreter* is a process that does nothing.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from sklearn.datasets import load_wine

from benchmarks.shared.harness import Goal, interleave, median, print_table, versions
from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae.onnx import to_onnx

SKLAE, SERVED = "sklae", "onnxruntime"
MOST_MS = 1.0

WITH_TORCH = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    estimator = pickle.load(file)
print(getattr(estimator, sys.argv[3])(np.load(sys.argv[2])[:1]))
"""
WITHOUT_TORCH = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
print(session.run(None, {"X": np.load(sys.argv[2])[:1]})[0])
assert "torch" not in sys.modules
"""


def fitted(X: np.ndarray, *, quick: bool) -> list[tuple[Any, str]]:
    """Return estimators, and the method asked of each."""
    few = {"max_iter": 2, "n_iter_no_change": np.inf} if quick else {}
    found = [
        (AutoencoderTransformer(random_state=0, **few), "transform"),
        (VAETransformer(random_state=0, **few), "score_samples"),
        (AEOutlierDetector(AutoencoderTransformer(**few) if quick else None, random_state=0), "decision_function"),
    ]
    return [(estimator.fit(X), method) for estimator, method in found]


def session_of(model: Any) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def single_rows(estimator: Any, method: str, model: Any, rows: np.ndarray, repeats: int) -> list[Any]:
    """Return a line of the table: times of one row, and how far answers are apart."""
    session, verb = session_of(model), getattr(estimator, method)
    own, served = verb(rows), session.run(None, {"X": rows})[0]
    apart = float(np.max(np.abs(own - served) / (1.0 + np.abs(own))))
    assert apart < 1e-4, f"{method}: {apart}"
    turn = iter(range(10**9))

    def one() -> np.ndarray:
        i = next(turn) % len(rows)
        return rows[i : i + 1]

    times = interleave({SKLAE: lambda: verb(one()), SERVED: lambda: session.run(None, {"X": one()})}, repeats)
    own_ms, served_ms = (1e3 * median(times[name]).wall for name in (SKLAE, SERVED))
    goal = Goal("1 ms", at_most=MOST_MS).verdict(served_ms, judged=True)
    return [f"{type(estimator).__name__}.{method}", own_ms, served_ms, own_ms / served_ms, f"{apart:.0e}", goal]


def starts(estimator: Any, method: str, model: Any, rows: np.ndarray, repeats: int) -> list[Any]:
    """Return a line of the table: wall seconds of processes that answer one row."""
    with tempfile.TemporaryDirectory() as folder:
        pickled, graph, table = (Path(folder) / name for name in ("model.pkl", "model.onnx", "rows.npy"))
        pickled.write_bytes(pickle.dumps(estimator))
        graph.write_bytes(model.SerializeToString())
        np.save(table, rows)
        commands = {
            "interpreter": ["-c", "pass"],
            SKLAE: ["-c", WITH_TORCH, str(pickled), str(table), method],
            SERVED: ["-c", WITHOUT_TORCH, str(graph), str(table)],
        }
        contenders = {name: partial(_start, command) for name, command in commands.items()}
        for function in contenders.values():
            function()  # warms up the file cache
        times = interleave(contenders, repeats)
    idle, own, served = (median(times[name]).wall for name in commands)
    return [f"{type(estimator).__name__}.{method}", idle, own, served, own / served]


def _start(command: list[str]) -> None:
    subprocess.run([sys.executable, *command], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="calls of one row")
    parser.add_argument("--starts", type=int, default=5, help="processes of each kind")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    n_calls, n_starts = (5, 1) if arguments.quick else (arguments.repeats, arguments.starts)
    print(versions(), f"onnxruntime {onnxruntime.__version__}")
    X = load_wine().data.astype(np.float32)
    rows = (1.1 * X).astype(np.float32)
    models = [(estimator, method, to_onnx(estimator, method)) for estimator, method in fitted(X, quick=arguments.quick)]
    header = ["", "sklae ms", "onnxruntime ms", "sklae / onnxruntime", "apart", "goal"]
    print_table("One row, one thread", header, [single_rows(*each, rows, n_calls) for each in models])
    header = ["", "interpreter s", "sklae s", "onnxruntime s", "sklae / onnxruntime"]
    print_table("Process start to answer", header, [starts(*each, rows, n_starts) for each in models[:1]])


if __name__ == "__main__":
    main()
