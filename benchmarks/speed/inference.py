"""What do `score_samples` and `transform` cost, in time and memory, over a hand-written loop in chunks?

    python -m benchmarks.speed.inference [--repeats 5] [--quick]

W5: 200,000 x 50 through the network of W4 (50-128-64-16-64-128-50), float32 and float64 input, one thread. *score* is
the reconstruction log-likelihood of every row, *transform* its code. Memory is the peak above the input, of a first
call on the whole table after one on a few rows, in a process of its own; the result counts, and is also shown.

- *hand-written loop*: bare modules over chunks of 2,048 rows into an array made before, in the input's precision.
- *sklae*: `AutoencoderTransformer.score_samples` and `transform`, with validation and scaling.
- *stock skorch*: `NeuralNet.predict`, of the network for the score (its squared error is then taken in place), of the
  encoder alone for the codes.
- *PyOD*: `AutoEncoder.decision_function`, in batches of 1,024. It computes in float32 whatever the input.
- *MLPRegressor*: `predict`, and the squared error in place.

The hand-written loop and skorch get sklae's weights, and it is checked that their results are sklae's. The last two
have a ReLU on the code, and no way to get at it.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet

from benchmarks.shared.harness import Goal, interleave, median, one_thread, peak_memory, print_table, versions
from benchmarks.shared.workloads import WORKLOADS, Workload
from sklae import AutoencoderTransformer

try:
    from pyod.models.auto_encoder import AutoEncoder
except ImportError:
    AutoEncoder = None

HAND, SKLAE, SKORCH, PYOD, MLP = "hand-written loop", "sklae", "stock skorch", "PyOD", "MLPRegressor"
CHUNK = 2_048
FEW_ROWS = 4_096
TIME_GOAL = Goal(HAND, at_most=1.3)
MEMORY_GOAL_MB = 30.0

#: What is called on the rows.
Call = Callable[[np.ndarray], np.ndarray]


# -- contenders: task, estimator, a few rows -> function of the rows ------------------------------------


def by_hand(task: str, estimator: AutoencoderTransformer, rows: np.ndarray) -> Call:
    module = _module(estimator, rows.dtype)
    return partial(_score_by_hand, module) if task == "score" else partial(_transform_by_hand, module[0])


@torch.inference_mode()
def _score_by_hand(module: torch.nn.Module, X: np.ndarray) -> np.ndarray:
    data = torch.from_numpy(X)
    scores = torch.empty(len(X), dtype=torch.float64)
    constant = 0.5 * X.shape[1] * math.log(2.0 * math.pi)
    for start in range(0, len(X), CHUNK):
        x = data[start : start + CHUNK]
        scores[start : start + CHUNK] = -0.5 * (module(x) - x).square().sum(-1) - constant
    return scores.numpy()


@torch.inference_mode()
def _transform_by_hand(encoder: torch.nn.Module, X: np.ndarray) -> np.ndarray:
    data = torch.from_numpy(X)
    codes = torch.empty((len(X), encoder[-1].out_features), dtype=data.dtype)
    for start in range(0, len(X), CHUNK):
        codes[start : start + CHUNK] = encoder(data[start : start + CHUNK])
    return codes.numpy()


def with_sklae(task: str, estimator: AutoencoderTransformer, rows: np.ndarray) -> Call:
    return estimator.score_samples if task == "score" else estimator.transform


def with_skorch(task: str, estimator: AutoencoderTransformer, rows: np.ndarray) -> Call:
    module = _module(estimator, rows.dtype)
    net = NeuralNet(
        module if task == "score" else module[0],
        criterion=torch.nn.MSELoss,
        batch_size=WORKLOADS["W4"].batch_size,
        train_split=None,
        verbose=0,
    ).initialize()
    return partial(_score_of, net.predict) if task == "score" else net.predict


def with_pyod(task: str, estimator: AutoencoderTransformer, rows: np.ndarray) -> Call | None:
    if task != "score" or AutoEncoder is None:
        return None
    detector = AutoEncoder(
        hidden_neuron_list=[*estimator.hidden_layer_sizes, estimator.n_components],
        epoch_num=1,
        batch_size=WORKLOADS["W4"].batch_size,
        preprocessing=False,
        batch_norm=False,
        dropout_rate=0.0,
        device=torch.device("cpu"),
        verbose=0,
    )
    return detector.fit(rows).decision_function


def with_mlp_regressor(task: str, estimator: AutoencoderTransformer, rows: np.ndarray) -> Call | None:
    if task != "score":
        return None
    hidden = tuple(estimator.hidden_layer_sizes)
    mlp = MLPRegressor(hidden_layer_sizes=(*hidden, estimator.n_components, *hidden[::-1]), max_iter=1)
    return partial(_score_of, mlp.fit(rows, rows).predict)


def _score_of(predict: Call, X: np.ndarray) -> np.ndarray:
    error = predict(X)
    error -= X
    return -0.5 * np.einsum("ij,ij->i", error, error) - 0.5 * X.shape[1] * math.log(2.0 * math.pi)


def _module(estimator: AutoencoderTransformer, dtype: np.dtype) -> torch.nn.Module:
    """Return a hand-written network with the estimator's weights."""
    module = WORKLOADS["W4"].module()
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), estimator.net_.module_.parameters(), strict=True):
            parameter.copy_(value)
    return module.to(torch.float64 if dtype == np.float64 else torch.float32).eval()


CONTENDERS: dict[str, Callable[[str, AutoencoderTransformer, np.ndarray], Call | None]] = {
    HAND: by_hand,
    SKLAE: with_sklae,
    SKORCH: with_skorch,
    PYOD: with_pyod,
    MLP: with_mlp_regressor,
}


# -- measuring ------------------------------------------------------------------------------------------


def table(quick: bool, dtype: str) -> np.ndarray:
    return _workload(quick).data().astype(dtype)


def _workload(quick: bool) -> Workload:
    return replace(WORKLOADS["W4"], n_samples=8_192) if quick else WORKLOADS["W4"]


def fitted(quick: bool) -> AutoencoderTransformer:
    """Return sklae's estimator after one epoch over the table in float32."""
    workload = replace(_workload(quick), n_epochs=1)
    return workload.estimator().fit(workload.data())


def memory(name: str, task: str, dtype: str, quick: bool) -> tuple[int | None, int]:
    """Return the bytes at the peak above the input, and those of the result. Runs in a process of its own."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    with one_thread():
        X = table(quick, dtype)
        call = CONTENDERS[name](task, fitted(quick), X[:FEW_ROWS])
        assert call is not None
        call(X[:FEW_ROWS])
        result, peak = peak_memory(lambda: call(X))
    return peak, result.nbytes


def memories(names: list[str], task: str, dtype: str, quick: bool) -> dict[str, tuple[int | None, int]]:
    found = {}
    for name in names:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[name] = pool.submit(memory, name, task, dtype, quick).result()
    return found


def check_same_result(calls: dict[str, Call], X: np.ndarray) -> None:
    """Check that the contenders with sklae's weights give what sklae gives, and that the others give numbers."""
    expected = calls[SKLAE](X)
    for name, call in calls.items():
        result = call(X)
        assert len(result) == len(X), name
        assert np.isfinite(result).all(), name
        if name in (HAND, SKORCH):  # up to sklae's scaling: the table is standardised up to rounding
            np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3, err_msg=name)


def run(task: str, dtype: str, repeats: int, estimator: AutoencoderTransformer, *, quick: bool) -> None:
    X = table(quick, dtype)
    made = {name: make(task, estimator, X[:FEW_ROWS]) for name, make in CONTENDERS.items()}
    calls = {name: call for name, call in made.items() if call is not None}
    check_same_result(calls, X)  # also warms up
    found = interleave({name: partial(call, X) for name, call in calls.items()}, repeats)
    costs = {name: median(each) for name, each in found.items()}
    peaks = memories(list(calls), task, dtype, quick)
    rows: list[list[Any]] = []
    for name, cost in costs.items():
        assert quick or cost.cpu < 1.2 * cost.wall, f"{name} took more than one core"
        ratio = cost.wall / costs[HAND].wall
        peak, result = (None if size is None else size / 1e6 for size in peaks[name])
        goal = _verdict(ratio, peak, judged=not quick) if name == SKLAE else ""
        rows.append([name, cost.wall, cost.cpu, cost.cpu / costs[HAND].cpu, ratio, peak, result, goal])
    header = ["contender", "wall s", "CPU s", "CPU / hand", "/ hand", "peak MB", "of it result", "goal"]
    print_table(f"W5 {task}, {dtype}: {X.shape[0]:,} x {X.shape[1]}, input {X.nbytes / 1e6:.0f} MB", header, rows)


def _verdict(ratio: float, peak: float | None, *, judged: bool) -> str:
    text = f"{TIME_GOAL.verdict(ratio, judged=judged)}; < {MEMORY_GOAL_MB:g} MB"
    if peak is None or not judged:
        return text
    return f"{text}: {'yes' if peak < MEMORY_GOAL_MB else 'NO'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # MLPRegressor: one epoch is enough here
    print(versions())
    print(f"medians of {arguments.repeats} interleaved repeats, one thread; '/ hand' is a ratio of wall time")
    if AutoEncoder is None:
        print("PyOD is not installed: its rows are left out")
    with one_thread():
        estimator = fitted(arguments.quick)
        for task in ("score", "transform"):
            for dtype in ("float32", "float64"):
                run(task, dtype, arguments.repeats, estimator, quick=arguments.quick)


if __name__ == "__main__":
    main()
