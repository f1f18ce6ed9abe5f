"""An adversarial autoencoder's critic of codes (arXiv 1511.05644): a part of the tests' own."""

import torch
from torch import nn

from sklae.divergences import Divergence, DivergenceModule


class _Critic(DivergenceModule):
    is_opponent = True

    def __init__(self, divergence, n_components):
        super().__init__(divergence)
        self.judge = nn.Sequential(nn.Linear(n_components, divergence.width), nn.ReLU(), nn.Linear(divergence.width, 1))

    def forward(self, codes):
        """The less the critic takes codes for draws of the prior, the more."""
        return {"adversarial": nn.functional.softplus(-self.judge(codes.z)[..., 0])}

    def opponent_loss(self, codes):
        drawn = codes.prior.sample(len(codes.z), codes.generator).to(codes.z)
        real, made = self.judge(drawn)[..., 0], self.judge(codes.z)[..., 0]
        return nn.functional.softplus(-real) + nn.functional.softplus(made)

    def make_optimizer(self, learning_rate):
        return torch.optim.RMSprop(self.parameters(), lr=self.divergence.learning_rate or learning_rate)


class LatentCritic(Divergence):
    bound_terms = ()

    def __init__(self, width=16, learning_rate=None):
        self.width = width
        self.learning_rate = learning_rate

    def check(self, posterior):
        """Every posterior will do."""

    def weights(self, beta):
        return {"adversarial": beta}

    def build(self, n_components):
        return _Critic(self, n_components)
