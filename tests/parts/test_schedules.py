"""Learning-rate schedules: those of torch, and what an optimizer really gets."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from support import QUICK, make_table

from sklae import AutoencoderTransformer
from sklae.schedules import LEARNING_RATES, cosine, one_cycle

_N_STEPS = 2_000


def _rates_of_torch(make, n_steps=_N_STEPS):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


def test_one_cycle_is_that_of_torch():
    rates = _rates_of_torch(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=1.0, total_steps=_N_STEPS + 1, cycle_momentum=False
        )
    )
    ours = [one_cycle(step / _N_STEPS) for step in range(_N_STEPS)]
    np.testing.assert_allclose(ours, rates, rtol=0, atol=2e-3)
    assert (one_cycle(0.0), one_cycle(0.3), one_cycle(1.0)) == pytest.approx((1 / 25, 1.0, 1 / 25 / 1e4))


def test_cosine_is_that_of_torch():
    rates = _rates_of_torch(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _N_STEPS))
    np.testing.assert_allclose([cosine(step / _N_STEPS) for step in range(_N_STEPS)], rates, rtol=0, atol=1e-9)


class _Recorder(Callback):
    """Notes the rate of every training step; as a class attribute, since callbacks are copied."""

    rates: list[float] = []

    def on_grad_computed(self, net, named_parameters=None, X=None, y=None, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


def _recorded(**params):
    _Recorder.rates.clear()
    settings = {**QUICK, "max_iter": 7, "batch_size": 16, "callbacks": [_Recorder()], **params}
    AutoencoderTransformer(**settings).fit(make_table(100, 4))
    return np.array(_Recorder.rates)


@pytest.mark.parametrize("name", [name for name, schedule in LEARNING_RATES.items() if schedule is not None])
def test_every_step_gets_its_rate(name):
    """From the schedule's first factor to its last: 100 rows in batches of 16 are 7 steps, 7 epochs are 49."""
    rates = _recorded(learning_rate=name, learning_rate_init=0.02)
    planned = [0.02 * LEARNING_RATES[name](step / 48) for step in range(49)]
    np.testing.assert_allclose(rates, planned, rtol=1e-12)


def test_constant_rate_is_constant():
    assert set(_recorded(learning_rate="constant", learning_rate_init=0.02)) == {0.02}


def test_adaptive_rate_falls_by_five_where_the_loss_stalls():
    rates = _recorded(learning_rate="adaptive", learning_rate_init=0.02, tol=100.0, n_iter_no_change=2)
    # each patience of two epochs ends with the third that brings nothing; the first one always counts
    falls = np.unique(rates)[::-1]
    np.testing.assert_allclose(falls, 0.02 / 5.0 ** np.arange(len(falls)))
    assert len(falls) >= 2
