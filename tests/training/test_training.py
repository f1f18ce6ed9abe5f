"""The engine: bit-equal to stock skorch, and users' skorch habits work."""

import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
)

from sklae import AutoencoderTransformer, VAETransformer
from sklae._model.module import Autoencoder
from sklae._model.objective import Objective
from sklae._tables.layout import Rows
from sklae._training.batches import Batches, EncodedRows
from sklae._training.optimizers import Adam, AdamW
from sklae._utils.random import generate
from sklae.corruptions import Masking
from sklae.exceptions import DivergenceError
from sklae.networks import MLP
from sklae.penalties import L1

X = scale(load_wine().data)
ESTIMATORS = [AutoencoderTransformer, VAETransformer]
QUICK = {
    "n_components": 3,
    "network": MLP((8,), linear_path=False),
    "batch_size": 32,
    "learning_rate": "constant",
    "learning_rate_init": 1e-3,
    "early_stopping": False,
    "random_state": 0,
}


def fit(estimator=AutoencoderTransformer, X_fit=X, *, max_iter=4, n_iter_no_change=np.inf, X_val=None, **params):
    model = estimator(max_iter=max_iter, n_iter_no_change=n_iter_no_change, **{**QUICK, **params})
    return model.fit(X_fit, X_val=X_val)


class StockNet(NeuralNet):
    """Stock skorch, told only where noise comes from."""

    noise = None

    def infer(self, x, **fit_params):
        return self.module_(x, generator=self.noise)

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return self.criterion_(y_pred, Rows(y_true))


class StockBatches(Batches):
    """Pairs of tensors, as stock skorch knows how to count them."""

    def __iter__(self):
        return ((batch.rows.x, batch.target.x) for batch in super().__iter__())


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop"])
def test_parameters_and_history_are_those_of_stock_skorch(estimator, solver):
    of_kind = {"prior": "normal"} if estimator is VAETransformer else {}
    ours = fit(estimator, solver=solver, penalty=L1(1e-2), **of_kind)
    stock_optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    module_params = {k: v for k, v in vars(ours.net_).items() if k.startswith("module__")}
    optimizer_params = {k: v for k, v in vars(ours.net_).items() if k.startswith("optimizer__")}
    init, noise, shuffle = ours.net_.seeds
    stock = StockNet(
        Autoencoder,
        criterion=Objective,
        criterion__divergence=getattr(ours.net_, "criterion__divergence", None),
        criterion__penalty=ours.net_.criterion_.penalty.penalty,
        optimizer=stock_optimizers.get(solver, ours.net_.optimizer),
        lr=ours.learning_rate_init,
        batch_size=32,
        max_epochs=4,
        train_split=None,
        iterator_train=StockBatches,
        iterator_train__shuffle=True,
        iterator_train__generator=torch.Generator().manual_seed(shuffle),
        verbose=0,
        **module_params,
        **optimizer_params,
    )
    with generate(torch.Generator().manual_seed(init)):
        stock.initialize()
    stock.noise = torch.Generator().manual_seed(noise)
    x, observed, _ = ours.layout_.encode(X)
    stock.partial_fit(EncodedRows(Rows(x, observed)))
    for (name, a), (_, b) in zip(ours.net_.module_.named_parameters(), stock.module_.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    for epoch, stock_epoch in zip(ours.net_.history, stock.history, strict=True):
        for key in stock_epoch.keys() - {"batches", "dur"}:
            assert epoch[key] == stock_epoch[key], key
        for row, stock_row in zip(epoch["batches"], stock_epoch["batches"], strict=True):
            assert {key: row[key] for key in stock_row} == stock_row


@pytest.mark.parametrize(("ours", "theirs"), [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
def test_planned_steps_are_pytorchs_own(ours, theirs):
    modules = [torch.nn.Linear(3, 2) for _ in range(2)]
    modules[1].load_state_dict(modules[0].state_dict())
    optimizers = [
        optimizer([{"params": [m.weight], "lr": 0.1}, {"params": [m.bias]}], lr=0.01, weight_decay=0.1, fused=True)
        for optimizer, m in zip((ours, theirs), modules, strict=True)
    ]
    counts = []
    for step in range(12):
        x = torch.full((4, 3), float(step))
        for module, optimizer in zip(modules, optimizers, strict=True):
            optimizer.zero_grad()
            module(x).square().sum().backward()
            if step == 4:  # a state that went through a checkpoint
                optimizer.load_state_dict(optimizer.state_dict())
            if step == 6:  # a frozen parameter
                module.bias.grad = None
            if step == 8:  # a schedule
                optimizer.param_groups[0]["lr"] /= 2
            optimizer.step()
        if step == 9:
            optimizers[0].register_step_post_hook(lambda *_: counts.append(1))
        assert all(torch.equal(a, b) for a, b in zip(modules[0].parameters(), modules[1].parameters(), strict=True))
    assert len(counts) == 2


def test_the_history_has_every_term_by_name():
    vae = fit(VAETransformer, penalty="l1", X_val=X[:20])
    for prefix in ("train", "valid"):
        for name in ("loss", "reconstruction", "kl", "penalty"):
            assert len(vae.net_.history[:, f"{prefix}_{name}"]) == 4
    last = vae.net_.history[-1]
    parts = last["train_reconstruction"] + last["train_kl"] + last["train_penalty"]
    assert last["train_loss"] == pytest.approx(parts, rel=1e-5)
    assert vae.validation_scores_[-1] == pytest.approx(-last["valid_reconstruction"] - last["valid_kl"])


def test_the_loss_weighs_kl_by_beta_and_the_validation_bound_does_not():
    last = fit(VAETransformer, beta=3.0, X_val=X[:20]).net_.history[-1]
    assert last["train_loss"] == pytest.approx(last["train_reconstruction"] + 3 * last["train_kl"], rel=1e-5)
    assert last["valid_bound"] == pytest.approx(last["valid_reconstruction"] + last["valid_kl"], rel=1e-5)


class Recorder(Callback):
    """Counts the calls of every hook."""

    def initialize(self):
        self.calls_ = dict.fromkeys(["train", "epoch", "train_batch", "valid_batch", "grad"], 0)
        return self

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.calls_["train"] += 1

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.calls_["epoch"] += 1

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        assert kwargs["loss"].item() == net.history[-1, "batches", -1, f"{'train' if training else 'valid'}_loss"]
        self.calls_["train_batch" if training else "valid_batch"] += 1

    def on_grad_computed(self, net, named_parameters, X=None, y=None, training=None, **kwargs):
        assert all(parameter.grad is not None for _, parameter in named_parameters)
        self.calls_["grad"] += 1


def test_users_callbacks_hear_everything_and_are_not_changed():
    recorder = Recorder()
    ae = fit(callbacks=[recorder], X_val=X[:40])
    heard = dict(ae.net_.callbacks_)["Recorder"].calls_
    assert heard == {"train": 1, "epoch": 4, "train_batch": 4 * 6, "valid_batch": 4 * 2, "grad": 4 * 6}
    assert not hasattr(recorder, "calls_")


def test_skorchs_early_stopping_stops_quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = fit(callbacks=[EarlyStopping("train_loss", patience=1, threshold=0.9)], max_iter=50)
    assert ae.n_iter_ < 10


def test_skorchs_lr_scheduler_sets_the_rate():
    ae = fit(callbacks=[LRScheduler("StepLR", step_size=2, gamma=0.1)])
    assert ae.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-5)


def test_skorchs_checkpoint_loads_the_best_weights(tmp_path):
    checkpoint = Checkpoint(monitor="valid_loss_best", dirname=str(tmp_path), load_best=True, f_pickle=None)
    ae = fit(callbacks=[checkpoint], X_val=X[:40], learning_rate_init=0.3, max_iter=8)
    best = torch.load(tmp_path / "params.pt", weights_only=True)
    assert all(torch.equal(value, best[name]) for name, value in ae.net_.module_.state_dict().items())


def test_skorchs_gradient_clipping_bounds_the_step():
    norms = []

    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters, X=None, y=None, training=None, **kwargs):
            norms.append(sum(p.grad.norm() ** 2 for _, p in named_parameters).item() ** 0.5)

    fit(callbacks=[GradientNormClipping(1e-3), Norm()])
    assert max(norms) < 1.01e-3


def test_progress_bar_and_epoch_scoring_run(capsys):
    def error(net, x, y=None):
        return float(np.mean((net.predict(x) - x.numpy()) ** 2))

    scoring = EpochScoring(error, name="error", on_train=True, use_caching=False)
    ae = fit(callbacks=[ProgressBar(), scoring])
    errors = ae.net_.history[:, "error"]
    assert len(errors) == 4
    assert errors[-1] < errors[0]


def test_the_net_is_a_working_skorch_net(tmp_path):
    ae = fit()
    x, _, _ = ae.layout_.encode(X)
    expected = ae.layout_.decode(ae.net_.predict(x.numpy()))
    np.testing.assert_allclose(expected, ae.reconstruct(X), atol=1e-4)
    ae.net_.save_params(f_params=tmp_path / "w.pt", f_history=tmp_path / "h.json")
    before = ae.transform(X)
    with torch.no_grad():
        next(ae.net_.module_.parameters()).zero_()
    assert not np.allclose(ae.transform(X), before)
    ae.net_.load_params(f_params=tmp_path / "w.pt")
    np.testing.assert_array_equal(ae.transform(X), before)


def test_net_params_reach_the_net():
    ae = fit(net_params={"optimizer__amsgrad": True, "optimizer__param_groups": [("encoder*", {"lr": 0.5})]})
    assert ae.net_.optimizer_.param_groups[0]["amsgrad"]
    assert [group["lr"] for group in ae.net_.optimizer_.param_groups] == [0.5, 1e-3]
    other = fit(net_params={"optimizer": torch.optim.Adagrad})
    assert isinstance(other.net_.optimizer_, torch.optim.Adagrad)


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "lbfgs"])
def test_every_solver_learns(solver):
    ae = fit(solver=solver, max_iter=20)
    assert ae.loss_curve_[-1] < 0.9 * ae.loss_curve_[0]


@pytest.mark.parametrize(
    "noisy",
    [(VAETransformer, {}), (AutoencoderTransformer, {"corruption": "swap"}),
     (AutoencoderTransformer, {"network": MLP((8,), dropout=0.1)})],
)  # fmt: skip
def test_lbfgs_refuses_a_noisy_loss(noisy):
    estimator, params = noisy
    with pytest.raises(ValueError, match=r"Got solver='lbfgs'.*Use solver='adam'"):
        fit(estimator, solver="lbfgs", **params)


@pytest.mark.parametrize("learning_rate", ["cosine", "one_cycle"])
def test_planned_rates_run_their_course(learning_rate):
    rates = []

    class Rate(Callback):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = fit(learning_rate=learning_rate, n_iter_no_change=1, max_iter=10, callbacks=[Rate()])
    assert ae.n_iter_ == 10
    assert len(rates) == 60
    assert max(rates) == pytest.approx(1e-3, rel=1e-2)
    assert rates[-1] < 1e-8
    assert not hasattr(ae, "partial_fit")


def test_an_adaptive_rate_falls_until_training_ends():
    ae = fit(learning_rate="adaptive", n_iter_no_change=1, tol=1e9, max_iter=100)
    assert ae.net_.optimizer_.param_groups[0]["lr"] < 1e-6
    assert ae.n_iter_ < 30


def test_running_out_of_epochs_warns_where_training_was_meant_to_converge():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(4\) reached"):
        fit(n_iter_no_change=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(n_iter_no_change=2, tol=1e9, max_iter=50).n_iter_ < 10


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_early_stopping_ends_with_the_best_weights(estimator):
    model = fit(estimator, early_stopping=True, n_iter_no_change=3, learning_rate_init=0.05, max_iter=100)
    best = int(np.argmax(model.validation_scores_))
    assert best < model.n_iter_ - 1 < 99
    again = fit(estimator, early_stopping=True, n_iter_no_change=np.inf, learning_rate_init=0.05, max_iter=best + 1)
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(value, again.net_.module_.state_dict()[name]), name


def test_early_stopping_can_watch_rows_of_ones_own():
    model = fit(early_stopping=True, X_val=X[:30], n_iter_no_change=3, learning_rate_init=0.05, max_iter=100)
    held_in = -np.mean(0.5 * np.sum((X[:30] - model.reconstruct(X[:30])) ** 2, axis=1))
    assert max(model.validation_scores_) == pytest.approx(held_in, rel=1e-4)


def test_validation_rows_change_no_weight():
    with_rows, without = fit(VAETransformer, X_val=X[:30]), fit(VAETransformer)
    np.testing.assert_array_equal(with_rows.transform(X), without.transform(X))


def test_masking_learns_from_the_clean_target():
    ae = fit(corruption=Masking(0.5), max_iter=150)
    hidden = X.copy()
    hidden[:, 0] = np.nan
    error = np.mean((ae.reconstruct(hidden)[:, 0] - X[:, 0]) ** 2)
    assert error < 0.75  # the column's variance is 1


def test_batches_are_slices_without_a_single_row_at_the_end():
    x = torch.arange(33.0)[:, None]
    sizes = [batch.n_rows for batch in Batches(EncodedRows(Rows(x)), 8)]
    assert sizes == [8, 8, 8, 9]
    assert [batch.n_rows for batch in Batches(EncodedRows(Rows(x[:1])), 8)] == [1]


@pytest.mark.parametrize("n_columns", [1, 2**17], ids=["copied", "gathered"])
def test_shuffled_batches_hold_every_row_once(n_columns):
    x = torch.arange(33.0)[:, None].expand(-1, n_columns)
    batches = Batches(EncodedRows(Rows(x)), 8, shuffle=True, generator=torch.Generator().manual_seed(0))
    first, second = (torch.cat([batch.rows.x[:, 0] for batch in batches]) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, x[:, 0])


def test_verbose_tells_of_epochs(capsys):
    fit(verbose=0)
    assert capsys.readouterr() == ("", "")
    fit(VAETransformer, verbose=1)
    out, told = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"training: 100%\S* 4/4 \[.*epoch/s, loss=\S+, reconstruction=\S+, kl=\S+\]\n", told)
    fit(verbose=2)
    assert len(capsys.readouterr().out.strip().splitlines()) == 2 + 4


def test_a_bar_is_drawn_over_itself_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    model = fit(VAETransformer, verbose=1)
    told = capsys.readouterr().err
    assert "\r" in told
    assert "4/4" in told
    assert pickle.loads(pickle.dumps(model)).n_iter_ == 4


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("name", ["progress", "bar"])
def test_a_callback_may_have_any_name(name, verbose):
    assert fit(callbacks=[(name, Callback())], verbose=verbose).n_iter_ == 4


def test_a_fit_that_fails_leaves_no_bar_open(capsys):
    with pytest.raises(DivergenceError):
        fit(verbose=1, learning_rate_init=1e30)
    assert capsys.readouterr().err.endswith("\n")


def test_device_auto_picks_one_that_works():
    assert fit(device="auto").net_.device in ("cpu", "cuda", "mps")


def test_clipping_keeps_gross_values_out_of_training_but_not_out_of_scores():
    gross = np.vstack([X, np.full((1, X.shape[1]), 1e3)])
    ae = fit(X_fit=gross, clip=3.0, standardize=False)
    far = 3.0 * gross.std(axis=0) + gross.mean(axis=0)
    rebuilt = ae.reconstruct(gross[-1:])
    np.testing.assert_allclose(rebuilt, ae.reconstruct(far[None]), rtol=1e-5)
    assert ae.score_samples(gross)[-1] < -1e5
    assert ae.net_.history[0, "train_loss"] < 0.1 * fit(X_fit=gross, standardize=False).net_.history[0, "train_loss"]


def test_a_warm_start_listens_to_changed_patience():
    ae = fit(warm_start=True)
    ae.set_params(n_iter_no_change=1, tol=1e9, max_iter=50).fit(X)
    assert ae.n_iter_ < 10


def test_going_on_takes_the_parts_that_were_fitted():
    """Whatever was set since: parameters of parts are for the next fit from the start."""
    model = fit(VAETransformer)
    before = len(model.net_.history)
    model.set_params(prior="no such prior", likelihood="no such likelihood").partial_fit(X)
    assert len(model.net_.history) == before + 1


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_stream_may_end_with_a_row(n_rows):
    model = AutoencoderTransformer(2, learning_rate="constant", random_state=0).partial_fit(X[:50])
    before = model.transform(X)
    model.partial_fit(X[50 : 50 + n_rows])
    assert model.n_iter_ == 2
    assert np.isfinite(model.transform(X)).all()
    assert not np.array_equal(model.transform(X), before)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"network": MLP((8,), normalization="batch")}, "batches of one row with batch normalization.*pass more rows"),
        ({"penalty": "neighbors"}, "Got 1 row to find neighbors for; expected at least 2. Pass more rows"),
    ],
)
def test_what_needs_two_rows_says_so(settings, reason):
    model = AutoencoderTransformer(2, learning_rate="constant", random_state=0, **settings).partial_fit(X[:50])
    before = model.transform(X)
    with pytest.raises(ValueError, match=reason):
        model.partial_fit(X[50:51])
    assert np.array_equal(model.transform(X), before)
    assert model.n_iter_ == 1


@pytest.mark.parametrize("verb", ["partial_fit", "fit"])
def test_a_trimmed_net_cannot_go_on(verb):
    model = fit(warm_start=True)
    model.net_.trim_for_prediction()
    before = model.transform(X)
    with pytest.raises(ValueError, match=r"net_ that was trimmed.*expected a whole one.*Fit anew"):
        getattr(model, verb)(X)
    assert np.array_equal(model.transform(X), before)
    assert model.set_params(warm_start=False).fit(X).n_iter_ == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_components": 2**30}, "n_components=1073741824"),
        ({"network": MLP((10**7, 10**7))}, r"network=MLP\(hidden_layer_sizes=\(10000000, 10000000\)"),
    ],
)
def test_nets_out_of_memory_name_their_sizes(settings, words):
    with pytest.raises(ValueError, match=rf"Got .*{words}.*no network can be built;.*Lower"):
        fit(**{"network": None, **settings})


@pytest.mark.parametrize("error", [MemoryError("all gone"), RuntimeError("[enforce fail at alloc_cpu.cpp:127] no")])
def test_so_does_training_out_of_memory(error, monkeypatch):
    def strike(*args, **kwargs):
        raise error

    monkeypatch.setattr(Adam, "step", strike)
    with pytest.raises(
        MemoryError, match=r"Got n_components=3 .*a model of 2[\d,]+ parameters.*expected.*batch_size"
    ) as told:
        fit()
    assert str(error) not in str(told.value)


def test_rows_go_to_a_device_once():
    """Epochs of batches are views of the same rows there."""
    rows = EncodedRows(Rows(torch.ones(6, 2), None, None))
    epochs = [[batch.rows.x._base for batch in rows.batches(3, device="meta")] for _ in range(2)]
    assert all(whole is epochs[0][0] for epoch in epochs for whole in epoch)
