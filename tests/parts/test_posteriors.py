"""Posteriors: known densities, and the one that has none. What holds for all variational ones is in `laws.py`."""

import torch
from support import seeded
from torch.distributions import Normal, kl_divergence

from sklae.posteriors import Diagonal, Point
from sklae.priors import StandardNormalCodes

H = torch.randn(20, 6, generator=seeded(), dtype=torch.float64)
Z = torch.randn(20, 3, generator=seeded(1), dtype=torch.float64)


def test_diagonal_is_the_normal_density():
    q = Diagonal().build(3)(H)
    normal = Normal(q.mean, q.scale)
    torch.testing.assert_close(q.log_prob(Z), normal.log_prob(Z).sum(-1))
    torch.testing.assert_close(q.kl(StandardNormalCodes(3)), kl_divergence(normal, Normal(0.0, 1.0)).sum(-1))


def test_diagonal_reads_means_first():
    q = Diagonal().build(3)(H)
    assert torch.equal(q.mean, H[:, :3])
    assert torch.all(q.scale > 0)
    order = H[:, 3:].flatten().argsort()
    assert torch.all(q.scale.flatten()[order].diff() > 0)


def test_point_has_one_code_and_no_density():
    point = Point()
    assert point.n_outputs(3) == 3
    q = point.build(3)(Z)
    assert torch.equal(q.rsample(seeded()), Z)
    assert torch.equal(q.push(torch.randn(5, 20, 3)), Z.expand(5, -1, -1))
    assert q.kl(StandardNormalCodes(3)) is None
