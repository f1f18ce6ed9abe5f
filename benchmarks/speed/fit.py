"""How long does `fit` take, over a hand-written loop that minimises the same objective?

    python -m benchmarks.speed.fit [W1 W2 W3 W3V W4] [--repeats 5] [--only NAME ...] [--quick]

Every contender gets the same float32 table, architecture, batch size, number of epochs, Adam at 1e-3, and one thread.
It is checked, outside the clock, that all have the same number of parameters, took the same number of steps, and
learned (those with the same objective: to about the same error of the training rows); and that sklae's parameters and
history are bit-equal to those of stock skorch over a hand-written module and loss, when that is fed the same batches
from the same initial weights.

- *hand-written loop*: one tensor, shuffled slices, `Adam(fused=True)`; the squared error (or the cross-entropy on
  logits) summed over features, then averaged over rows, as sklae does. The reference of the columns `/ hand`.
- *hand-written, one-call loss*: the same number from one call, `reduction="sum"` over the batch, which needs fewer
  operations than per-row sums.
- *hand-written, sigmoid + BCE*: how the Bernoulli loss is usually written.
- *sklae*: `fit`, with validation, scaling and history.
- *stock skorch*: `NeuralNet(...).fit(X, X)` with the same objective, as it comes; and with `optimizer__fused=True`.
- *PyOD*: `AutoEncoder` or `VAE` without dropout, batch normalisation and scaling. Its `fit` also scores the training
  rows: that is left out here, as nobody else does it. It drops the last, incomplete batch, has a ReLU on the code, and
  knows the squared error only.
- *MLPRegressor*: `fit(X, X)`; squared error only, and a ReLU on the code too.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.nn import functional

from benchmarks.shared.harness import Cost, Goal, interleave, median, one_thread, print_table, versions
from benchmarks.shared.workloads import LEARNING_RATE, WORKLOADS, Workload

try:
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.vae import VAE as PyODVAE
except ImportError:
    AutoEncoder = PyODVAE = None

HAND, ONE_CALL, SIGMOID = "hand-written loop", "hand-written, one-call loss", "hand-written, sigmoid + BCE"
SKLAE, SKORCH, FUSED, PYOD, MLP = "sklae", "stock skorch", "stock skorch, fused Adam", "PyOD", "MLPRegressor"

#: Workload -> contender -> what its time is held to.
GOALS = {
    "W1": {SKLAE: Goal(HAND, at_most=1.15), SKORCH: Goal(SKLAE, at_least=2.3), PYOD: Goal(SKLAE, at_least=1.0)},
    "W2": {SKLAE: Goal(HAND, at_most=1.05), SKORCH: Goal(SKLAE, at_least=3.5), PYOD: Goal(SKLAE, at_least=1.0)},
    "W3": {SKLAE: Goal(SIGMOID, at_most=0.50), PYOD: Goal(SKLAE, at_least=1.0)},
    "W3V": {SKLAE: Goal(SIGMOID, at_most=0.90), PYOD: Goal(SKLAE, at_least=1.0)},
    "W4": {SKLAE: Goal(HAND, at_most=1.05), SKORCH: Goal(SKLAE, at_least=2.9), PYOD: Goal(SKLAE, at_least=1.0)},
}


@dataclass
class Fit:
    """What a contender's fit gave, to be checked outside the clock."""

    n_parameters: Callable[[], int]
    n_steps: Callable[[], int]
    reconstruct: Callable[[np.ndarray], np.ndarray]


# -- losses: one value from the network's output and the rows -------------------------------------------


def per_row(workload: Workload) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return the objective as sklae writes it: summed per row, then averaged."""
    return _with_kl(workload, _cross_entropy if workload.bernoulli else _squared_error)


def one_call(workload: Workload) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return the same objective, not variational, with the sum over the batch taken at once."""
    if workload.bernoulli:
        return lambda output, x: functional.binary_cross_entropy_with_logits(output, x, reduction="sum") / len(x)
    return lambda output, x: functional.mse_loss(output, x, reduction="sum") * (0.5 / len(x))


def sigmoid_bce(workload: Workload) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return the Bernoulli objective as it is usually written."""
    return _with_kl(
        workload,
        lambda output, x: functional.binary_cross_entropy(output.sigmoid(), x, reduction="none").sum(-1),
    )


def _squared_error(output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return 0.5 * (output - x).square().sum(-1)


def _cross_entropy(output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)


def _with_kl(workload: Workload, reconstruction: Callable) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return the mean over rows, for a variational network with the divergence from the standard normal."""
    if not workload.variational:
        return lambda output, x: reconstruction(output, x).mean()

    def loss(output: tuple[torch.Tensor, ...], x: torch.Tensor) -> torch.Tensor:
        params, mean, scale = output
        kl = (0.5 * (mean.square() + scale.square() - 1.0) - scale.log()).sum(-1)
        return (reconstruction(params, x) + kl).mean()

    return loss


# -- contenders: functions that fit once ----------------------------------------------------------------


def fit_by_hand(workload: Workload, X: np.ndarray, loss: Callable) -> Fit:
    module = workload.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, fused=True)
    data = torch.from_numpy(X)
    losses = []
    for _ in range(workload.n_epochs):
        for x in data[torch.randperm(len(data))].split(workload.batch_size):
            optimizer.zero_grad()
            value = loss(module(x), x)
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return _fit_of(workload, module, optimizer)


def fit_sklae(workload: Workload, X: np.ndarray) -> Fit:
    estimator = workload.estimator().fit(X)
    return Fit(
        lambda: _n_parameters(estimator.net_.module_),
        lambda: _n_steps(estimator.net_.optimizer_),
        estimator.reconstruct,
    )


class _Criterion(torch.nn.Module):
    """A loss function as the criterion of a skorch net."""

    def __init__(self, function: Callable):
        super().__init__()
        self.function = function

    def forward(self, output: Any, x: torch.Tensor) -> torch.Tensor:
        return self.function(output, x)


def _skorch(workload: Workload, **settings: Any) -> NeuralNet:
    return NeuralNet(
        settings.pop("module", workload.module),
        criterion=_Criterion,
        criterion__function=per_row(workload),
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=workload.batch_size,
        max_epochs=workload.n_epochs,
        train_split=None,
        verbose=0,
        **settings,
    )


def fit_skorch(workload: Workload, X: np.ndarray, **settings: Any) -> Fit:
    net = _skorch(workload, iterator_train__shuffle=True, **settings).fit(X, X)
    return _fit_of(workload, net.module_, net.optimizer_)


def fit_pyod(workload: Workload, X: np.ndarray) -> Fit:
    detector = _pyod(workload).fit(X)
    model = detector.model
    forward = (lambda x: model.decode(model.encode(x)[0])) if workload.variational else model
    return Fit(
        lambda: _n_parameters(model),
        lambda: _n_steps(detector.optimizer),
        lambda X: forward(torch.from_numpy(X)).numpy(),
    )


def _pyod(workload: Workload) -> Any:
    hidden = list(workload.hidden)
    settings = {
        "epoch_num": workload.n_epochs,
        "batch_size": workload.batch_size,
        "lr": LEARNING_RATE,
        "preprocessing": False,  # the table is standardised
        "optimizer_params": {},
        "batch_norm": False,
        "dropout_rate": 0.0,
        "device": torch.device("cpu"),
        "random_state": 0,
        "verbose": 0,
    }
    if not workload.variational:
        return _without_scoring(AutoEncoder)(hidden_neuron_list=[*hidden, workload.n_components], **settings)
    return _without_scoring(PyODVAE)(
        encoder_neuron_list=hidden,
        decoder_neuron_list=hidden[::-1],
        latent_dim=workload.n_components,
        capacity=1e9,  # its default, 0, cuts the divergence off
        beta=1.0 / workload.n_features,  # its squared error is a mean over features
        **settings,
    )


def _without_scoring(detector: type) -> type:
    """Return a PyOD class whose `fit` trains only."""
    return type(detector.__name__, (detector,), {"decision_function": lambda self, X: np.arange(len(X), dtype=float)})


def fit_mlp_regressor(workload: Workload, X: np.ndarray) -> Fit:
    mlp = MLPRegressor(
        hidden_layer_sizes=(*workload.hidden, workload.n_components, *reversed(workload.hidden)),
        alpha=0.0,
        batch_size=workload.batch_size,
        learning_rate_init=LEARNING_RATE,
        max_iter=workload.n_epochs,
        tol=0.0,
        n_iter_no_change=workload.n_epochs + 1,
        random_state=0,
    ).fit(X, X)
    return Fit(lambda: sum(w.size for w in mlp.coefs_ + mlp.intercepts_), lambda: mlp._optimizer.t, mlp.predict)


def _fit_of(workload: Workload, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Fit:
    forward = module.reconstruct if workload.variational else module

    def reconstruct(X: np.ndarray) -> np.ndarray:
        output = forward(torch.from_numpy(X))
        return (output.sigmoid() if workload.bernoulli else output).numpy()

    return Fit(lambda: _n_parameters(module), lambda: _n_steps(optimizer), reconstruct)


def _n_parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _n_steps(optimizer: torch.optim.Optimizer) -> int:
    return int(next(iter(optimizer.state.values()))["step"])


def contenders(workload: Workload) -> dict[str, Callable[[], Fit]]:
    """Return every contender that can do this fit, the reference first."""
    X = workload.data()
    found = {
        HAND: lambda: fit_by_hand(workload, X, per_row(workload)),
        SKLAE: lambda: fit_sklae(workload, X),
        SKORCH: lambda: fit_skorch(workload, X),
        FUSED: lambda: fit_skorch(workload, X, optimizer__fused=True),
    }
    if workload.bernoulli:
        found[SIGMOID] = lambda: fit_by_hand(workload, X, sigmoid_bce(workload))
    if not workload.variational:  # elsewhere the terms are needed per row
        found[ONE_CALL] = lambda: fit_by_hand(workload, X, one_call(workload))
        found[MLP] = lambda: fit_mlp_regressor(workload, X)
    if AutoEncoder is not None:
        found[PYOD] = lambda: fit_pyod(workload, X)
    order = (HAND, ONE_CALL, SIGMOID, SKLAE, SKORCH, FUSED, PYOD, MLP)
    return {name: found[name] for name in order if name in found}


# -- checks, outside the clock --------------------------------------------------------------------------


def check_same_work(workload: Workload, fits: dict[str, Fit], *, judge_errors: bool) -> dict[str, float]:
    """Check that all contenders did the same work; return the mean squared errors of the training rows."""
    X = workload.data()
    with torch.no_grad():
        errors = {name: float(np.square(fit.reconstruct(X) - X).mean(dtype=np.float64)) for name, fit in fits.items()}
    for name, fit in fits.items():
        steps = workload.n_epochs * (workload.n_samples // workload.batch_size) if name == PYOD else workload.n_steps
        assert fit.n_parameters() == workload.n_parameters, (name, fit.n_parameters(), workload.n_parameters)
        assert fit.n_steps() == steps, (name, fit.n_steps(), steps)
        assert np.isfinite(errors[name]), (name, errors[name])
        if judge_errors:
            _check_error(name, errors, of_column_means=float(X.var(axis=0).mean()))
    return errors


def _check_error(name: str, errors: dict[str, float], of_column_means: float) -> None:
    """Find a contender that did not train; weights start elsewhere, so that errors differ somewhat."""
    assert errors[name] < of_column_means, (name, errors[name], of_column_means)
    if name not in (PYOD, MLP):  # which minimise something else, or start from other distributions of weights
        assert 1 / 1.5 < errors[name] / errors[HAND] < 1.5, (name, errors[name], errors[HAND])


class _Recorder(Callback):
    """Keeps the initial weights, the state of the noise and all batches."""

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.weights = [p.detach().clone() for p in net.module_.parameters()]
        self.noise = net.noise_.get_state()
        self.batches: list[torch.Tensor] = []

    def on_batch_begin(self, net: NeuralNet, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        self.batches.append(batch.rows.x.clone())


class _Replay:
    """An iterator for skorch that gives the recorded batches again, epoch after epoch."""

    def __init__(self, dataset: Any, batch_size: int, batches: list[torch.Tensor]):
        self.n_batches = -(-len(dataset) // batch_size)
        self.batches = iter(batches)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(self.n_batches):
            x = next(self.batches)
            yield x, x


def check_bits(workload: Workload) -> bool:
    """Whether parameters and history equal those of stock skorch, fed the same batches from the same start."""
    workload = replace(workload, n_epochs=2)
    X = workload.data()
    net = workload.estimator(callbacks=[("recorder", _Recorder())]).fit(X).net_
    record = dict(net.callbacks_)["recorder"]
    module = workload.module()
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), record.weights, strict=True):
            parameter.copy_(value)
    if workload.variational:
        module.generator = torch.Generator()
        module.generator.set_state(record.noise)
    stock = _skorch(
        workload,
        module=module,
        optimizer__fused=True,
        iterator_train=_Replay,
        iterator_train__batches=record.batches,
    )
    return _same_bits(net, stock.fit(X, X))


def _same_bits(net: NeuralNet, stock: NeuralNet) -> bool:
    weights = zip(net.module_.parameters(), stock.module_.parameters(), strict=True)
    return (
        all(torch.equal(a, b) for a, b in weights)
        and net.history[:, "train_loss"] == stock.history[:, "train_loss"]
        and net.history[:, "batches", :, "train_loss"] == stock.history[:, "batches", :, "train_loss"]
    )


# -- the run --------------------------------------------------------------------------------------------


def run(workload: Workload, repeats: int, only: list[str], *, quick: bool) -> None:
    torch.manual_seed(0)  # for the weights of those that draw from the global generator
    functions = contenders(workload)
    if only:
        functions = {n: f for n, f in functions.items() if n in (HAND, SIGMOID) or any(word in n for word in only)}
    errors = check_same_work(workload, {n: f() for n, f in functions.items()}, judge_errors=not quick)  # also warms up
    costs = {name: median(found) for name, found in interleave(functions, repeats).items()}
    for name, cost in costs.items():
        assert quick or cost.cpu < 1.2 * cost.wall, f"{name} took more than one core"
    references = [name for name in (HAND, SIGMOID, SKLAE) if name in costs]
    header = ["contender", "wall s", "CPU s", "CPU / hand", *(f"/ {_short(n)}" for n in references), "MSE", "goal"]
    rows = [
        [
            name,
            cost.wall,
            cost.cpu,
            cost.cpu / costs[HAND].cpu,
            *(cost.wall / costs[reference].wall for reference in references),
            errors[name],
            _goal(workload, name, costs, judged=not quick),
        ]
        for name, cost in costs.items()
    ]
    print_table(_title(workload), header, rows)
    print(f"bits equal to stock skorch on the same batches: {'yes' if check_bits(workload) else 'NO'}")


def _title(workload: Workload) -> str:
    widths = [workload.n_features, *workload.hidden, workload.n_components]
    kind = "VAE" if workload.variational else "autoencoder"
    loss = "Bernoulli" if workload.bernoulli else "squared error"
    return (
        f"{workload.name}: {workload.n_samples:,} rows, {kind} {'-'.join(map(str, widths))}-..., {loss}, "
        f"{workload.n_parameters:,} parameters, {workload.n_steps:,} steps of {workload.batch_size}"
    )


def _short(name: str) -> str:
    return {HAND: "hand", SIGMOID: "sigmoid"}.get(name, name)


def _goal(workload: Workload, name: str, costs: dict[str, Cost], *, judged: bool) -> str:
    goal = GOALS[workload.name].get(name)
    if goal is None or goal.over not in costs:
        return ""
    return goal.verdict(costs[name].wall / costs[goal.over].wall, judged=judged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="contenders, by a part of their name")
    parser.add_argument("--quick", action="store_true", help="next to no work: to see that everything runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # MLPRegressor: all epochs are meant to run
    print(versions())
    print(f"medians of {arguments.repeats} interleaved repeats, one thread; columns '/' are ratios of wall time")
    if AutoEncoder is None:
        print("PyOD is not installed: its rows are left out")
    with one_thread():
        for name in arguments.workloads or WORKLOADS:
            workload = WORKLOADS[name].quick() if arguments.quick else WORKLOADS[name]
            run(workload, arguments.repeats, arguments.only, quick=arguments.quick)


if __name__ == "__main__":
    main()
