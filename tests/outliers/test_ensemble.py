"""Members: trained together they are what they would be alone, and each has a seed of its own."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring
from support import make_table
from toys import ae, fingerprint, raise_at, same, vae, with_gaps

from sklae import AEOutlierDetector
from sklae._outliers.ensemble import fit_members, seed_members
from sklae._training.stacked import can_train_together
from sklae.exceptions import DivergenceError
from sklae.networks import MLP

TABLE = make_table(60, 4)
PLANNED = {"learning_rate": "one_cycle", "n_iter_no_change": 10, "max_iter": 4}


def members(model, n=3):
    found = [clone(model) for _ in range(n)]
    seed_members(found, np.random.RandomState(0))
    return found


def assert_alike(together, alone, table=TABLE):
    """Matrix products in stacks round otherwise: alike, not equal."""
    assert together.n_iter_ == alone.n_iter_
    np.testing.assert_allclose(together.loss_curve_, alone.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(together.reconstruct(table), alone.reconstruct(table), rtol=1e-4, atol=1e-4)


TOGETHER = {
    "planned rate": ae(**PLANNED),
    "endless patience": ae(max_iter=3),
    "adamw, clipped": ae(solver="adamw", weight_decay=0.1, clip=2.0, **PLANNED),
    "sgd": ae(solver="sgd", learning_rate_init=1e-3, **PLANNED),
    "rmsprop": ae(solver="rmsprop", **PLANNED),
    "deep": ae(network=MLP((8, 6), activation="mish"), **PLANNED),
    "affine": ae(hidden_layer_sizes=(), **PLANNED),
    "bernoulli": ae(likelihood="bernoulli", **PLANNED),
    "one batch": ae(batch_size=60, **PLANNED),
    "a last batch of one row": ae(batch_size=59, **PLANNED),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("name", TOGETHER)
def test_a_member_is_what_it_would_be_alone(name, gaps):
    table = 1 / (1 + np.exp(-TABLE / 10)) if name == "bernoulli" else TABLE
    table = with_gaps(table) if gaps else table
    together = members(TOGETHER[name])
    fit_members(together, table)
    assert can_train_together([member.net_ for member in together])
    for member, alone in zip(together, members(TOGETHER[name]), strict=True):
        assert_alike(member, alone.fit(table), table)


def test_a_member_trains_on_as_it_would_alone():
    """The optimizer's averages are its own, too."""
    model = ae(max_iter=3, learning_rate="constant", solver="adamw")
    together = members(model)
    fit_members(together, TABLE)
    for member, alone in zip(together, members(model), strict=True):
        alone.fit(TABLE)
        for one in (member, alone):
            one.partial_fit(TABLE).partial_fit(TABLE)
        assert_alike(member, alone)
        assert [len(row["batches"]) for row in member.net_.history] == [
            len(row["batches"]) for row in alone.net_.history
        ]
        assert set(member.net_.history[-1]) == set(alone.net_.history[-1])


class Watch(Callback):
    """Looks into every step."""

    def on_grad_computed(self, net, named_parameters, X=None, y=None, training=False, **kwargs):
        list(named_parameters)


ALONE = {
    "variational": vae(),
    "patience": ae(n_iter_no_change=2, max_iter=4),
    "early stopping": ae(early_stopping=True),
    "noise": ae(corruption="gaussian_noise", **PLANNED),
    "dropout": ae(network=MLP((6,), dropout=0.2), **PLANNED),
    "batch norm": ae(network=MLP((6,), normalization="batch"), **PLANNED),
    "layer norm": ae(network=MLP((6,), normalization="layer"), **PLANNED),
    "weight norm": ae(network=MLP((6,), normalization="weight"), **PLANNED),
    "penalty": ae(penalty="kl_sparsity", **PLANNED),
    "learned scale": ae(likelihood="gaussian", **PLANNED),
    "own modules": ae(encoder=torch.nn.Linear, decoder=torch.nn.Linear, **PLANNED),
    "callback": ae(callbacks=[Watch()], **PLANNED),
    "scoring": ae(callbacks=[EpochScoring(lambda net, X, y=None: 0.0, name="zero", on_train=True)], **PLANNED),
    "net_params": ae(net_params={"optimizer__amsgrad": True}, **PLANNED),
    "lbfgs": ae(solver="lbfgs", net_params={"optimizer__max_iter": 4}),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_a_batched_pass_would_change_is_trained_one_by_one(name):
    found = members(ALONE[name], 2)
    fit_members(found, TABLE)
    for member, alone in zip(found, members(ALONE[name], 2), strict=True):
        if not ALONE[name].early_stopping:  # which holds out the same rows for all
            assert same(fingerprint(member, TABLE), fingerprint(alone.fit(TABLE), TABLE))


def test_members_differ_and_come_from_the_seed():
    few = {"n_estimators": 2, "cv": None}
    one, again, other = (AEOutlierDetector(random_state=seed, **few).fit(TABLE) for seed in (0, 0, 1))
    codes = [[member.transform(TABLE) for member in detector.estimators_] for detector in (one, again, other)]
    assert all(np.array_equal(a, b) for a, b in zip(codes[0], codes[1], strict=True))
    assert not np.allclose(codes[0][0], codes[0][1])
    assert not np.allclose(codes[0][0], codes[2][0])
    own = AEOutlierDetector(ae(random_state=5, **PLANNED), random_state=1, **few).fit(TABLE)
    assert not np.allclose(*(member.transform(TABLE) for member in own.estimators_))


def test_the_ensemble_rebuilds_with_the_mean_of_its_members():
    detector = AEOutlierDetector(n_estimators=3, anomaly_score="reconstruction", cv=None, random_state=0).fit(TABLE)
    assert len(detector.estimators_) == 3
    assert detector.autoencoder_ is detector.estimators_[0]
    rebuilt = np.mean([member.reconstruct(TABLE) for member in detector.estimators_], axis=0)
    wanted = -(((TABLE - rebuilt) / detector.residual_scale_) ** 2).mean(1)
    np.testing.assert_allclose(detector.score_samples(TABLE), wanted, rtol=1e-9)


def test_a_limit_on_rows_is_for_training_alone():
    table = np.column_stack([TABLE, np.arange(60.0) == 7])  # a column that most samples of rows find constant
    model = ae(batch_size=5, **PLANNED)
    fit_members([model], table, max_rows=10)
    assert sum(row["train_batch_size"] for row in model.net_.history[0, "batches"]) == 10
    assert model.layout_.varies.all()
    np.testing.assert_allclose(model.layout_.mean, table.mean(0))


# -- nothing is half done ----------------------------------------------------------------------------------


def test_divergence_raises_and_leaves_the_detector_as_it_was():
    wild = ae(solver="sgd", learning_rate_init=1e6, **PLANNED)
    with pytest.raises(DivergenceError, match="non-finite"):
        fit_members(members(wild), TABLE)
    detector = AEOutlierDetector(ae(**PLANNED), random_state=0).fit(TABLE)
    scores = detector.score_samples(TABLE)
    with pytest.raises(DivergenceError):
        detector.set_params(autoencoder=wild).fit(TABLE)
    assert np.array_equal(detector.score_samples(TABLE), scores)


def test_a_callback_of_ones_own_still_interrupts():
    with pytest.raises(KeyboardInterrupt):
        fit_members(members(ae(callbacks=[raise_at(2, KeyboardInterrupt)], **PLANNED), 2), TABLE)
