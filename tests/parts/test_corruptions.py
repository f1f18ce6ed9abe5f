"""Corruptions: what each one does to the values. What holds for all of them is in `laws.py`."""

import numpy as np
import pytest
import torch
from support import QUICK, make_layout, make_table, seeded

from sklae import AutoencoderTransformer
from sklae._tables.layout import Layout
from sklae.corruptions import GaussianNoise, Masking, SaltAndPepper, Swap

LAYOUT = make_layout(3)
X = torch.empty(5_000, 3).uniform_(-1.4, 1.4, generator=seeded())


@pytest.mark.parametrize("scale", [0.0, 0.3, 2.0])
def test_noise_is_normal_and_of_its_scale(scale):
    damaged, _ = GaussianNoise(scale).build(LAYOUT)(X, seeded(1))
    noise = (damaged - X).double()
    n = noise.numel()
    assert float(noise.mean()) == pytest.approx(0.0, abs=5 * scale / n**0.5 + 1e-6)
    assert float(noise.std()) == pytest.approx(scale, abs=5 * scale / (2 * n) ** 0.5 + 1e-6)
    # the fourth moment of a normal distribution is 3, of standard error sqrt(96 / n)
    assert scale == 0 or float((noise / scale).pow(4).mean()) == pytest.approx(3.0, abs=5 * (96 / n) ** 0.5)


def test_salt_and_pepper_are_the_extremes_of_the_column():
    damaged, _ = SaltAndPepper(0.4).build(LAYOUT)(X, seeded(1))
    for column in range(3):
        changed = damaged[:, column][damaged[:, column] != X[:, column]].double()
        extremes = torch.as_tensor([LAYOUT.minimum[column], LAYOUT.maximum[column]], dtype=torch.float32)
        assert set(changed.tolist()) == set(extremes.tolist())
        salt = float((changed == extremes[1]).double().mean())
        assert salt == pytest.approx(0.5, abs=5 * 0.5 / len(changed) ** 0.5)


@pytest.mark.parametrize("standardize", [True, False])
def test_masked_values_become_the_mean_of_the_column(standardize):
    table = make_table(100, 3)
    layout = Layout.fit(table, rows=None, standardize=standardize)
    damaged, kept = Masking(1.0).build(layout)(X, seeded(1))
    np.testing.assert_allclose(layout.decode(damaged[:2].double().numpy()), np.tile(table.mean(0), (2, 1)), rtol=1e-5)
    assert torch.all(kept == 0)


def test_swapped_values_come_from_other_rows_of_the_column():
    x = X + 10.0 * torch.arange(3)
    damaged, _ = Swap(0.5).build(LAYOUT)(x, seeded(1))
    for column in range(3):
        assert torch.all(torch.isin(damaged[:, column], x[:, column]))
    changed = (damaged != x).double()
    # rows lose values one by one, not whole: columns are chosen independently
    assert abs(float(torch.corrcoef(changed.T)[0, 1])) < 5 / len(x) ** 0.5


def test_target_of_training_is_clean():
    """A model that sees nothing of its rows learns to answer with the mean of the clean ones."""
    table = make_table(200, 3)
    ae = AutoencoderTransformer(
        2, corruption=Masking(1.0), hidden_layer_sizes=(), max_iter=150, early_stopping=False, random_state=0
    ).fit(table)
    # half the variance of standardised columns: what the clean rows leave around their mean
    assert ae.loss_curve_[-1] == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("name", ["gaussian_noise", "masking", "salt_and_pepper", "swap"])
def test_name_is_the_default_instance(name):
    table = make_table(60, 4)
    classes = {"gaussian_noise": GaussianNoise, "masking": Masking, "salt_and_pepper": SaltAndPepper, "swap": Swap}
    by_name, by_instance = (
        AutoencoderTransformer(corruption=corruption, **QUICK).fit(table) for corruption in (name, classes[name]())
    )
    assert by_name.loss_curve_ == by_instance.loss_curve_
    assert by_name.loss_curve_ != AutoencoderTransformer(**QUICK).fit(table).loss_curve_
