"""Settings by skorch's names work, or are refused by name before any work."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochTimer
from torch.utils.data import DataLoader
from toys import X, ae, vae

REFUSED = {
    "max_epochs": (1, "max_iter="),
    "batch_size": (8, "batch_size="),
    "lr": (0.1, "learning_rate_init="),
    "callbacks": ([], "callbacks=, beside which a planned learning rate"),
    "train_split": (None, "early_stopping="),
    "dataset": (object, "what fit is given"),
    "dataset__length": (3, "what fit is given"),
    "device": ("cpu", "device="),
    "verbose": (1, "verbose="),
    "warm_start": (True, "warm_start="),
    "seeds": ((1, 2, 3), "random_state="),
    "monitor": (None, "tol="),
    "iterator_train__shuffle": (False, "shuffle="),
    "iterator_train__batch_size": (8, "batch_size="),
    "iterator_train__drop_last": (True, "DataLoader"),
    "iterator_train__no_such_thing": (1, "DataLoader"),
    "iterator_valid__batch_size": (8, "batch_size="),
    "iterator_valid__no_such_thing": (8, "DataLoader"),
    "compile__dynamic": (True, "'compile': True"),
    "callbacks__no_such_thing__patience": (1, "one of .*'epoch_timer'"),
    "history": ([], "this one training sets"),
    "initialized_": (True, "this one training sets"),
    "no_such_thing": (1, "Check their names"),
    "optimizer__no_such_thing": (1, "Check their names"),
    "module": (torch.nn.Linear, "network="),
    "module__n_components": (3, "encoder= and decoder="),
    "criterion": (torch.nn.MSELoss, "likelihood="),
    "criterion__beta": (3.0, "the other parts"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("make", [ae, vae])
def test_what_would_do_nothing_is_refused(make, name):
    value, remedy = REFUSED[name]
    model = make(net_params={name: value})
    before = dict(vars(model))
    with pytest.raises(ValueError, match=rf"(?s)Got net_params.*{name.split('__')[-1]}.*expected.*{remedy}"):
        model.fit(X)
    assert vars(model) == before


WORKING = {
    "an option of the optimizer": {"optimizer__amsgrad": True},
    "an optimizer": {"optimizer": torch.optim.Adagrad},
    "the norm of gradients": {"max_grad_norm": 1e-3},
    "a loader": {"iterator_train": DataLoader, "iterator_train__drop_last": True},
}


@pytest.mark.parametrize("name", WORKING)
def test_what_works_has_an_effect(name):
    assert not np.array_equal(ae(net_params=WORKING[name]).fit(X).transform(X), ae().fit(X).transform(X))


def test_a_setting_of_a_callback_reaches_it():
    model = ae(callbacks=[("clock", EpochTimer())], net_params={"callbacks__clock": None}).fit(X)
    assert "clock" not in dict(model.net_.callbacks_)


def test_a_setting_that_a_loader_lacks_is_refused():
    with pytest.raises(ValueError, match=r"'iterator_train__no_such_thing'; expected an argument of .*'drop_last'"):
        ae(net_params={"iterator_train": DataLoader, "iterator_train__no_such_thing": 1}).fit(X)


@pytest.mark.parametrize("make", [ae, vae])
def test_without_shuffling_rows_keep_their_order(make):
    model = make(shuffle=False, batch_size=8, max_iter=1).fit(X)
    batches = model.net_.get_iterator(model.net_.get_dataset(torch.arange(20.0)[:, None]), training=True)
    assert torch.equal(torch.cat([batch.rows.x for batch in batches]), torch.arange(20.0)[:, None])
    assert not np.array_equal(model.transform(X), make(batch_size=8, max_iter=1).fit(X).transform(X))
    assert np.array_equal(model.transform(X), make(shuffle=False, batch_size=8, max_iter=1).fit(X).transform(X))


def test_momentum_is_the_optimizers():
    settings = {"solver": "sgd", "learning_rate_init": 1e-2}
    plain = ae(net_params={"optimizer__momentum": 0.0, "optimizer__nesterov": False}, **settings).fit(X)
    assert plain.net_.optimizer_.param_groups[0]["momentum"] == 0.0
    assert not np.array_equal(plain.transform(X), ae(**settings).fit(X).transform(X))
