"""Penalties: restated in NumPy, and at work. What holds for all of them is in `laws.py`."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from support import QUICK, assert_mean, make_table, seeded
from torch import nn

from sklae import AutoencoderTransformer, VAETransformer
from sklae._model.objective import Objective
from sklae._tables.layout import Rows
from sklae.penalties import L1, BatchTopK, CodedRows, Contractive, KLSparsity, Neighbors, TopK
from sklae.penalties._base import ActiveCodes
from sklae.penalties._neighbors import fuzzy_neighbors, fuzzy_weights
from sklae.posteriors import PointCodes

Z = 2.0 * torch.randn(30, 4, generator=seeded(), dtype=torch.float64)


def _kl_sparsity(z, rate, weight):
    active = expit(z).mean(axis=0)
    return weight * np.sum(rate * np.log(rate / active) + (1 - rate) * np.log((1 - rate) / (1 - active)))


@pytest.mark.parametrize(
    ("penalty", "restated"),
    [
        (L1(0.3), lambda z: 0.3 * np.abs(z).sum(axis=1)),
        (KLSparsity(0.05, weight=2.0), lambda z: _kl_sparsity(z, 0.05, 2.0)),
        (KLSparsity(0.7), lambda z: _kl_sparsity(z, 0.7, 1.0)),
    ],
    ids=["l1", "kl_sparsity", "kl_sparsity_of_common_units"],
)
def test_term_is_the_formula(penalty, restated):
    np.testing.assert_allclose(penalty.term(Z).numpy(), restated(Z.numpy()), rtol=1e-12)


def test_kl_sparsity_is_zero_at_its_rate():
    z = torch.full((7, 3), float(np.log(0.2 / 0.8)), dtype=torch.float64)
    assert float(KLSparsity(0.2).term(z)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("penalty", ["l1", "kl_sparsity"])
def test_term_is_in_the_history_and_in_the_loss(estimator, penalty):
    row = estimator(penalty=penalty, **QUICK).fit(make_table(60, 4)).net_.history[-1]
    terms = {name: row[f"train_{name}"] for name in ("reconstruction", "kl", "penalty") if f"train_{name}" in row}
    assert terms["penalty"] > 0
    assert row["train_loss"] == pytest.approx(sum(terms.values()), rel=1e-5)


def test_penalties_shape_the_codes():
    X = make_table(200, 4)
    settings = {"hidden_layer_sizes": (), "max_iter": 100, "learning_rate_init": 0.01, "random_state": 0}
    settings["n_iter_no_change"] = np.inf
    sparse = AutoencoderTransformer(6, penalty=L1(0.3), **settings).fit_transform(X)
    rare = AutoencoderTransformer(3, penalty=KLSparsity(0.1, weight=10.0), **settings).fit_transform(X)
    assert np.all(sparse >= 0)
    assert np.mean(sparse == 0) > 0.5
    assert np.all((rare > 0) & (rare < 1))
    np.testing.assert_allclose(rare.mean(axis=0), 0.1, atol=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", [TopK(2), BatchTopK(2), "l1"])
def test_zeros_are_exact_also_with_more_codes_than_columns(penalty, dtype):
    X = make_table(80, 4).astype(dtype)
    codes = AutoencoderTransformer(9, penalty=penalty, **QUICK).fit_transform(X)
    assert codes.dtype == dtype
    assert np.mean(codes == 0) > 0.3
    if penalty == "l1":
        assert np.all(np.any(codes > 0, axis=0)), "a code that no row has"
    if type(penalty) is TopK:
        assert np.all((codes != 0).sum(axis=1) <= 2)


@pytest.mark.parametrize("penalty", ["l1", "top_k"])
def test_rectified_codes_start_as_principal_components(penalty):
    X = make_table(80, 4)
    penalty = TopK(2) if penalty == "top_k" else penalty  # of two components one of the two signs is active
    started = AutoencoderTransformer(4, penalty=penalty, learning_rate_init=1e-9, max_iter=1, random_state=0).fit(X)
    expected = PCA(2).fit(StandardScaler().fit_transform(X))
    codes = started.transform(X)
    scores = np.abs(expected.transform(StandardScaler().fit_transform(X)))
    np.testing.assert_allclose(codes[:, ::2] + codes[:, 1::2], scores, atol=1e-3)


def test_rows_have_their_codes_whatever_the_batch():
    X = make_table(80, 4)
    ae = AutoencoderTransformer(9, penalty=BatchTopK(2), **QUICK).fit(X)
    np.testing.assert_allclose(ae.transform(X[3:4]), ae.transform(X)[3:4], rtol=1e-10)
    assert ae.net_.module_.posterior.activation.threshold > 0


def test_batch_top_k_keeps_the_largest_of_the_batch():
    activation = BatchTopK(2).build_activation(4).train()
    h = torch.tensor([[5.0, 4.0, 3.0, 1.0], [0.5, 0.2, 2.0, -9.0]])
    assert torch.equal(activation(h), torch.tensor([[5.0, 4.0, 3.0, 0.0], [0.0, 0.0, 2.0, 0.0]]))
    assert activation.eval().threshold == 2.0
    assert torch.equal(activation(h[1:]), torch.tensor([[0.0, 0.0, 2.0, 0.0]]))


def test_units_out_of_use_are_asked_for_what_is_left():
    """The term is the error of rows with live codes as they are and idle ones beside them."""
    module = TopK(1, weight=1.0, n_idle=2).build(4)
    raw = torch.tensor([[3.0, 1.0, 0.0, -2.0]]).requires_grad_()
    z = torch.tensor([[3.0, 0.0, 0.0, 0.0]])
    coded = CodedRows(z, ActiveCodes(z, raw), Rows(z), None, lambda codes: codes.sum(-1), seeded())
    assert float(module(coded)) == 0.0
    assert module(coded).item() == pytest.approx(3.0 + np.log1p(np.exp(1.0)) + np.log(2.0))
    assert float(module.eval()(coded)) == 0.0
    module.train()(coded).sum().backward()
    assert torch.equal(raw.grad != 0, torch.tensor([[False, True, True, False]]))


@pytest.mark.parametrize("penalty", ["top_k", BatchTopK(2)])
def test_codes_that_are_distributions_have_no_largest(penalty):
    with pytest.raises(ValueError, match=r"Got penalty=.*TopK.*expected a plain autoencoder.*Use AutoencoderTrans"):
        VAETransformer(penalty=penalty, **QUICK).fit(make_table(60, 4))


def test_more_active_codes_than_codes_are_refused():
    with pytest.raises(ValueError, match="Got n_active=5 with n_components=3; expected at most"):
        AutoencoderTransformer(3, penalty=TopK(5), **QUICK).fit(make_table(60, 4))


# -- contraction ----------------------------------------------------------------------------------------


def _slopes(n_projections):
    """Return the term of a small net, on rows with a gap, and its encoder's exact one."""
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()
    x = torch.randn(6, 3, generator=seeded(1), dtype=torch.float64)
    observed = torch.ones_like(x).index_fill(1, torch.tensor([2]), 0.0)
    with torch.no_grad():
        for number, weight in enumerate(net.parameters()):
            weight.normal_(generator=seeded(number))
    coded = CodedRows(
        net(x), PointCodes(net(x)), Rows(x, observed), lambda rows: PointCodes(net(rows.x)), None, seeded()
    )
    exact = torch.stack([torch.autograd.functional.jacobian(net, row)[:, :2].square().sum() for row in x])
    return Contractive(1.0, n_projections=n_projections).build(4), coded, exact


def test_contraction_is_the_jacobian():
    module, coded, exact = _slopes(4)
    assert not module.draws
    torch.testing.assert_close(module(coded), exact)
    module, coded, exact = _slopes(2)
    assert module.draws
    assert_mean(torch.stack([module(coded).detach() for _ in range(2_000)]), exact)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_contraction_lowers_slopes(estimator):
    X = make_table(200, 4)
    X[::7, 1] = np.nan
    settings = {"max_iter": 30, "n_iter_no_change": np.inf, "random_state": 0, "condition_features": [3]}
    curve = estimator(2, penalty=Contractive(10.0), **settings).fit(X).net_.history[:, "train_penalty"]
    assert curve[-1] < 0.5 * curve[0]


# -- neighbours -----------------------------------------------------------------------------------------


def test_fuzzy_weights_by_hand():
    """Of points on a line, at 0, 1, 3 and 7, with two neighbours and with three."""
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    distances = NearestNeighbors(n_neighbors=3).fit(points).kneighbors()[0]
    weights = fuzzy_weights(distances)
    np.testing.assert_allclose(weights.sum(axis=1), np.log2(3), rtol=1e-6)
    np.testing.assert_array_equal(weights[:, 0], 1.0)
    scale = 2.0 / -np.log(weights[0, 1])  # of the first point: distances 1, 3, 7
    np.testing.assert_allclose(weights[0, 2], np.exp(-6.0 / scale), rtol=1e-6)
    graph = fuzzy_neighbors(points, 3).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    a, b = weights[0, 2], weights[3, 2]  # the ends, each the other's farthest
    np.testing.assert_allclose(graph[0, 3], a + b - a * b, rtol=1e-6)


def test_neighbors_in_several_copies_and_alone():
    for points in (np.zeros((5, 2)), np.zeros((2, 2))):
        assert np.isfinite(fuzzy_neighbors(points, 15).data).all()
    X = make_table(60, 4)
    ae = AutoencoderTransformer(2, penalty="neighbors", random_state=0)
    assert np.isfinite(ae.partial_fit(X).partial_fit(X[:2]).transform(X)).all()


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_neighbors_are_kept_in_training_only(estimator):
    X = make_table(120, 4)
    X[::7, 1] = np.nan
    part = Neighbors(max_samples=50, n_pairs=64)
    first, again = (estimator(2, penalty=part, condition_features=[3], **QUICK).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    module = first.net_.criterion_.penalty
    assert module.pairs is None
    assert not module.state_dict()
    module.begin(Rows(torch.zeros(3, 2)), lambda x, observed: x, seeded())
    assert module.pairs is not None
    assert pickle.loads(pickle.dumps(module)).pairs is None


def test_neighbors_of_a_failed_fit_are_forgotten():
    module = Neighbors().build(2)
    objective = Objective()
    objective.penalty = module
    rows = Rows(torch.randn(20, 2, generator=seeded()))
    model = SimpleNamespace(likelihood=SimpleNamespace(inputs=lambda x, observed: x))
    held = objective.holding(model, lambda: rows, seeded())
    held.__enter__()
    assert module.pairs is not None
    assert not held.__exit__(RuntimeError, RuntimeError(), None)
    assert module.pairs is None


def test_neighbors_make_a_map_of_classes():
    X, y = load_digits(return_X_y=True)
    settings = {"standardize": False, "max_iter": 60, "n_iter_no_change": np.inf, "random_state": 0}
    right = {}
    for penalty in (None, Neighbors(n_pairs=256)):
        codes = AutoencoderTransformer(2, penalty=penalty, **settings).fit(X[:600] / 16).transform(X / 16)
        right[penalty is None] = KNeighborsClassifier(5).fit(codes[:600], y[:600]).score(codes[600:], y[600:])
    assert right[False] > right[True] + 0.05


def test_a_search_along_lines_takes_no_penalty_that_draws():
    with pytest.raises(ValueError, match="Got solver='lbfgs' for a model that draws noise"):
        AutoencoderTransformer(2, penalty="neighbors", solver="lbfgs").fit(make_table(60, 4))


@pytest.mark.parametrize("posterior", ["point", "diagonal"])
def test_top_k_names_the_posterior_that_it_is_not_for(posterior):
    model = VAETransformer(4, penalty="top_k", posterior=posterior, divergence="mmd", **QUICK)
    with pytest.raises(ValueError, match=r"Got penalty=TopK\(\) with posterior=\w+\(\).*Use AutoencoderTransformer"):
        model.fit(make_table(60, 6))


@pytest.mark.parametrize("penalty", [TopK(2), BatchTopK(2)])
def test_a_search_along_lines_takes_no_term_that_remembers(penalty):
    settings = {"solver": "lbfgs", "max_iter": 5, "learning_rate": "constant", "early_stopping": False}
    model = AutoencoderTransformer(4, penalty=penalty, random_state=0, **settings)
    X = make_table(60, 6)
    with pytest.raises(
        ValueError, match=r"Got solver='lbfgs' with a penalty that remembers.*Use solver='adam'.*weight=0"
    ):
        model.fit(X)
    model.set_params(penalty__weight=0.0).fit(X)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    row = Rows(*model.layout_.encode(X))
    module, objective = model.net_.module_.train(), model.net_.criterion_.train()
    losses = [objective(module(*row, generator=seeded()), row).item() for _ in range(30)]
    assert len(set(losses)) == 1


def test_codes_of_the_kept_start_do_not_depend_on_other_rows():
    """Weights from before any batch have no threshold yet."""
    noise = np.random.RandomState(0).normal(size=(150, 6))
    ae = AutoencoderTransformer(4, penalty="batch_top_k", random_state=0).fit(noise)
    assert ae.best_iter_ == 0
    np.testing.assert_allclose(ae.transform(noise[:1]), ae.transform(noise)[:1], atol=1e-6)
