"""Codes of rows of which some columns are known, weighed: by adaptive importance sampling."""

from __future__ import annotations

import math

import numpy as np
import torch

from sklae._autoencoders.fitted_model import FittedModel
from sklae._codes.base import CodeDistribution
from sklae._codes.normal import FullCovarianceCodes, StandardNormalCodes
from sklae._model.module import Autoencoder
from sklae._tables.layout import Rows
from sklae._utils.quasi_random import antithetic_draws
from sklae._utils.random import torch_generator

__all__ = ["draw_given_known", "draw_rows", "score_known", "weigh_codes"]

# Codes of each stage, and how many are left of all.
_N_DRAWS, _N_STAGES = 256, 3
N_CODES = 2 * _N_DRAWS
# Normal proposals are so much wider than the weighted codes; and at least so many count, for each component.
_WIDER, _LEAST_COUNT = 1.3, 4
_LEAST_VARIANCE = 1e-6
_HALVINGS = 12


def weigh_codes(module: Autoencoder, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes of rows, (n_codes, n_rows, n_components), and the logarithms of their weights, (n_codes, n_rows).

    Their weighted distribution is that of the code given what was observed of a row. The encoder's word for it is but
    one proposal: of a row with gaps it knows little if it was trained on rows without. Half of the codes are drawn from
    it and from the prior, the others from normal distributions with the weighted moments of codes so far (Bugallo et
    al., Adaptive importance sampling, IEEE Signal Processing Magazine 34:60, 2017). All rows share their noise, so
    that a row's codes are a function of the row alone.
    """
    prior = module.prior_codes(rows.condition)
    first = _First(module, rows, prior)
    z = first.draw(_N_DRAWS)
    log_joint = _log_joint(module, rows, prior, z)
    log_first = first.log_prob(z)
    known = [(z, log_joint, log_first)]
    noise = antithetic_draws(_N_DRAWS, z.shape[-1]).to(z)[:, None, :]
    log_weight = log_joint - log_first
    for _ in range(_N_STAGES):
        proposal = _normal_like(z, log_weight)
        z = proposal.push(noise)
        log_joint = _log_joint(module, rows, prior, z)
        log_weight = log_joint - proposal.log_prob(z)
    known.append((z, log_joint, first.log_prob(z)))
    codes, joint, log_first = (torch.cat(parts) for parts in zip(*known, strict=True))
    log_mixed = torch.logaddexp(log_first, proposal.log_prob(codes)) - math.log(2.0)
    return codes, joint - log_mixed


def draw_given_known(
    model: FittedModel, table: np.ndarray, n_samples: int, random_state: np.random.RandomState
) -> np.ndarray:
    """Draw rows given what is known of them, (n_samples, n_rows, n_features), whether gaps were fitted or not."""
    generator = torch_generator(random_state)

    def draw(module: Autoencoder, rows: Rows) -> np.ndarray:
        return draw_rows(model, module, rows, *weigh_codes(module, rows), n_samples, generator)

    out = np.empty((len(table), n_samples, model.layout.n_features))
    return np.moveaxis(model.map_rows(draw, table, out=out, n_draws=N_CODES), 1, 0)


def score_known(model: FittedModel, table: np.ndarray) -> np.ndarray:
    """Return the log-density of what is known of rows, (n_rows,), in nats, whether gaps were fitted or not."""

    def density(module: Autoencoder, rows: Rows) -> torch.Tensor:
        _, log_weight = weigh_codes(module, rows)
        return log_weight.logsumexp(0) - math.log(len(log_weight))

    return model.score_by(density, table, N_CODES)


def draw_rows(
    model: FittedModel,
    module: Autoencoder,
    rows: Rows,
    z: torch.Tensor,
    log_weight: torch.Tensor,
    n_samples: int,
    generator: torch.Generator,
) -> np.ndarray:
    """Draw codes by their weights, and rows of them, (n_rows, n_samples, n_features)."""
    chosen = torch.multinomial(log_weight.softmax(0).T, n_samples, replacement=True, generator=generator)
    picked = z.gather(0, chosen.T[..., None].expand(-1, -1, z.shape[-1]))
    condition = None if rows.condition is None else rows.condition.repeat(n_samples, 1)
    drawn = module.given(picked.flatten(0, 1), condition).sample(generator)
    values = model.layout.decode(drawn.cpu().numpy()).reshape(n_samples, len(rows.x), -1)
    return np.moveaxis(values, 0, 1)


class _First:
    """Half the encoder's distribution of a row's code, half one that all rows share."""

    def __init__(self, module: Autoencoder, rows: Rows, prior: CodeDistribution):
        self.posterior = module.encode(*rows)
        self.shared = StandardNormalCodes(module.n_components) if rows.condition is not None else prior

    def draw(self, n_draws: int) -> torch.Tensor:
        mean = self.posterior.mean
        generator = torch.Generator().manual_seed(0)
        shared = self.shared.sample(n_draws // 2, generator).to(mean)
        noise = antithetic_draws(n_draws // 2, mean.shape[-1]).to(mean)[:, None, :]
        return torch.cat([self.posterior.push(noise), shared[:, None, :].expand(-1, *mean.shape)])

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(self.posterior.log_prob(z), self.shared.log_prob(z)) - math.log(2.0)


def _log_joint(module: Autoencoder, rows: Rows, prior: CodeDistribution, z: torch.Tensor) -> torch.Tensor:
    return module.log_likelihood(z, rows) + prior.log_prob(z)


def _normal_like(z: torch.Tensor, log_weight: torch.Tensor) -> FullCovarianceCodes:
    """Return normal distributions with the moments of weighted codes; where few count, weights are made more alike."""
    width = z.shape[-1]
    enough = min(_LEAST_COUNT * (width + 1), len(z) // 2)
    power = torch.ones_like(log_weight[0])
    for _ in range(_HALVINGS):
        weight = (power * log_weight).softmax(0)
        power = torch.where(weight.square().sum(0).reciprocal() < enough, 0.5 * power, power)
    weight = (power * log_weight).softmax(0)
    mean = torch.einsum("dn,dnk->nk", weight, z)
    centered = z - mean
    covariance = _WIDER * torch.einsum("dn,dnk,dnl->nkl", weight, centered, centered)
    covariance.diagonal(dim1=-2, dim2=-1).add_(_LEAST_VARIANCE)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    spread = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(_LEAST_VARIANCE).sqrt()
    factor = torch.where(failed[:, None, None] > 0, torch.diag_embed(spread), factor)
    return FullCovarianceCodes(mean, factor)
