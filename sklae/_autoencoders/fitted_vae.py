"""What a fitted variational model says of rows: bounds, divergences, and draws given what was observed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from sklae._autoencoders.code_weights import draw_rows
from sklae._autoencoders.fitted_model import FittedModel
from sklae._autoencoders.inference import check_answer, within_reach
from sklae._model.module import Autoencoder
from sklae._tables.layout import Rows
from sklae._utils.quasi_random import antithetic_draws, grouped_draws
from sklae._utils.random import torch_generator
from sklae._utils.torch_settings import torch_settings
from sklae.divergences import sampled_kl

__all__ = ["N_DRAWS", "FittedVAE", "terms_of_bound"]

#: How many draws per row stand in for an expectation over its posterior.
N_DRAWS = 64
# Of importance-weighted bounds: draws are shared by all rows, so that a bound of few is the mean of several.
_LEAST_DRAWS = 512
# How many codes of a row are decoded at once.
_MOST_DRAWS = 256


class FittedVAE(FittedModel):
    """A layout and a trained net whose rows have distributions of codes."""

    # -- codes ------------------------------------------------------------------------------------------

    def moments(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations of posteriors, each (n_rows, n_components), in the table's dtype."""

        def moments(module: Autoencoder, rows: Rows) -> np.ndarray:
            q = module.encode(*rows)
            return torch.stack([q.mean, q.std], dim=1).cpu().numpy()

        both = self.map_rows(moments, table, out=np.empty((len(table), 2, self.n_components), dtype=table.dtype))
        return both[:, 0], both[:, 1]

    def draw_codes(
        self, table: np.ndarray, n_samples: int, random_state: np.random.RandomState | int | None, scale: float = 1.0
    ) -> np.ndarray:
        """Draw codes from posteriors, (n_rows, n_samples, n_components), ``scale`` times as far from their means."""
        generator = torch_generator(random_state)

        def draw(module: Autoencoder, rows: Rows) -> np.ndarray:
            q = module.encode(*rows)
            noise = torch.randn((n_samples, len(rows.x), self.n_components), generator=generator, dtype=torch.float64)
            z = q.push(noise.to(rows.x))
            return torch.lerp(q.mean.expand_as(z), z, scale).movedim(0, 1).cpu().numpy()

        out = np.empty((len(table), n_samples, self.n_components), dtype=table.dtype)
        return self.map_rows(draw, table, out=out, n_draws=n_samples)

    def draw_from_prior(
        self, n_samples: int, condition: np.ndarray | None, random_state: np.random.RandomState
    ) -> torch.Tensor:
        """Draw codes from the prior, (n_samples, n_components), float64."""
        module, device = self.inference_module(np.dtype(np.float64))
        with torch_settings(n_threads=1, gradients=False):
            prior = module.prior_codes(self.encode_condition(condition, torch.float64, device))
            return prior.sample(n_samples, torch_generator(random_state, device))

    def posterior_kl(self, table: np.ndarray) -> np.ndarray:
        """Return KL(posterior || prior), (n_rows, n_components), or (n_rows, 1) where it is no sum of components."""
        width = self.n_components if self._splits_kl else 1

        def divergence(module: Autoencoder, rows: Rows) -> np.ndarray:
            q = module.encode(*rows)
            prior = module.prior_codes(rows.condition)
            components = q.component_kl(prior) if width > 1 else None
            if components is not None:
                return _finite(components)
            kl = q.kl(prior)
            if kl is None:
                noise = _shared_noise(rows, self.n_components)
                kl = sampled_kl(*q.push_with_density(noise), prior).mean(0)
            return _finite(kl[:, None])

        return self.map_rows(divergence, table, out=np.empty((len(table), width)), n_draws=N_DRAWS)

    @property
    def _splits_kl(self) -> bool:
        """Whether the divergence from the prior is a sum over components."""
        module = self.net.module_
        return self.n_components > 1 and module.prior.factorizes and module.has_independent_codes

    def posterior_log_prob(self, codes: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Return log-densities of codes under the posteriors of rows, (n_codes, n_rows)."""
        given = within_reach(torch.from_numpy(codes))

        def density(module: Autoencoder, rows: Rows) -> np.ndarray:
            z = given.to(rows.x)[:, None, :].expand(-1, len(rows.x), -1)
            return _finite(module.encode(*rows).log_prob(z).T)

        # in chunks by pairs of a code and a row: nothing is decoded
        n_wide = 1 + given.numel() // 256
        return self.map_rows(density, table, out=np.empty((len(table), len(codes))), n_draws=n_wide).T

    def prior_log_prob(self, codes: np.ndarray, condition: np.ndarray | None) -> np.ndarray:
        """Return log-densities of codes under the prior, (n_codes,)."""
        module, device = self.inference_module(np.dtype(np.float64))
        with torch_settings(n_threads=1, gradients=False):
            prior = module.prior_codes(self.encode_condition(condition, torch.float64, device))
            density = prior.log_prob(within_reach(torch.tensor(codes)).to(device))
            return check_answer(_finite(density))

    # -- bounds -----------------------------------------------------------------------------------------

    def score(self, table: np.ndarray) -> np.ndarray:
        """Return the evidence lower bound of rows, (n_rows,), in nats."""

        def bound(module: Autoencoder, rows: Rows) -> torch.Tensor:
            z, kl = self._draws_and_kl(module, rows)
            return self.mean_over_draws(lambda part: module.log_likelihood(part, rows), z) - kl

        return self.score_by(bound, table, N_DRAWS)

    def bound_terms(self, table: np.ndarray) -> np.ndarray:
        """Return what the bound of each row is the sum of: a term a modelled column, and minus the KL term."""

        def terms(module: Autoencoder, rows: Rows) -> np.ndarray:
            return terms_of_bound(self, module, rows).numpy()

        out = np.empty((len(table), self.layout.n_features + 1))
        return self.map_rows(terms, table, out=out, n_draws=N_DRAWS)

    def importance_weighted(self, table: np.ndarray, n_draws: int | None) -> np.ndarray:
        """Return the importance-weighted bound of rows (arXiv 1509.00519), (n_rows,), in nats.

        Of few draws, it is the mean over groups of them; None: of the draws that `score` takes, for little more time.
        """
        if n_draws is None:
            return self.score_by(self.log_density, table, N_DRAWS)
        groups = grouped_draws(n_draws, self.n_components, _LEAST_DRAWS)
        return self.score_by(partial(_weighted_bound, self, groups=groups), table, min(n_draws, _MOST_DRAWS))

    def log_density(self, module: Autoencoder, rows: Rows) -> torch.Tensor:
        return _weighted_bound(self, module, rows, antithetic_draws(N_DRAWS, self.n_components)[None])

    def _draws_and_kl(self, module: Autoencoder, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Return draws of each row's codes, and how far their distribution is from the prior, in nats."""
        q = module.encode(*rows)
        noise = _shared_noise(rows, self.n_components)
        z, log_q = q.push_with_density(noise)
        prior = module.prior_codes(rows.condition)
        closed_form = q.kl(prior)
        return z, sampled_kl(z, log_q, prior).mean(0) if closed_form is None else closed_form

    def _weighted(
        self, module: Autoencoder, rows: Rows, draws: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield codes of rows, (n, n_rows, n_components), and the logarithms of their importance weights."""
        q, prior = module.encode(*rows), module.prior_codes(rows.condition)
        for noise in draws.to(rows.x)[:, None, :].split(min(_MOST_DRAWS, self.draws_at_once)):
            z, log_q = q.push_with_density(noise)
            yield z, module.log_likelihood(z, rows) - sampled_kl(z, log_q, prior)

    # -- given what was observed of a row ---------------------------------------------------------------

    def expect_given_observed(self, table: np.ndarray, n_draws: int) -> np.ndarray:
        """Return the cells expected given what was observed of rows, (n_rows, n_cells), float64.

        By self-normalised importance sampling: codes from the posterior, weighed by how well they explain the row
        (Mattei and Frellsen, ICML 2019).
        """
        if not self.net.module_.has_density:
            return self.expect(table)
        n_cells = len(self.cells.owner)

        def expect(module: Autoencoder, rows: Rows) -> np.ndarray:
            most = torch.full((len(rows.x),), -torch.inf, dtype=rows.x.dtype, device=rows.x.device)
            total, mean = torch.zeros_like(most), torch.zeros(len(rows.x), n_cells).to(rows.x)
            for z, log_weight in self._weighted(module, rows, grouped_draws(n_draws, self.n_components, n_draws)[0]):
                expected = module.given(z, rows.condition).expectation()
                largest = torch.maximum(most, log_weight.max(0).values)
                earlier, weight = (most - largest).exp(), (log_weight - largest).exp()
                total = total * earlier + weight.sum(0)
                mean = mean * earlier[:, None] + (weight[..., None] * expected).sum(0)
                most = largest
            return self.decode_cells(mean / total[:, None])

        return self.map_rows(expect, table, out=self.empty_cells(table), n_draws=min(n_draws, _MOST_DRAWS))

    def draw_given_observed(
        self, table: np.ndarray, n_samples: int, n_draws: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Draw rows given what was observed of them, (n_samples, n_rows, n_features): by importance resampling."""
        generator = torch_generator(random_state)

        def draw(module: Autoencoder, rows: Rows) -> np.ndarray:
            parts = list(self._weighted(module, rows, grouped_draws(n_draws, self.n_components, n_draws)[0]))
            z, log_weight = torch.cat([z for z, _ in parts]), torch.cat([weight for _, weight in parts])
            return draw_rows(self, module, rows, z, log_weight, n_samples, generator)

        out = np.empty((len(table), n_samples, self.layout.n_features))
        return np.moveaxis(self.map_rows(draw, table, out=out, n_draws=n_draws), 1, 0)


def _shared_noise(rows: Rows, n_components: int) -> torch.Tensor:
    """Return the draws that all rows share, (N_DRAWS, 1, n_components)."""
    return antithetic_draws(N_DRAWS, n_components).to(rows.x)[:, None, :]


def terms_of_bound(model: FittedVAE, module: Autoencoder, rows: Rows) -> torch.Tensor:
    """Return the terms of encoded rows' bounds, (n_rows, n_columns + 1), float64, on the CPU: `bound_terms`."""
    z, kl = model._draws_and_kl(module, rows)
    told = model.mean_over_draws(lambda part: module.column_log_likelihood(part, rows), z)
    columns = told.cpu().double() + model.log_jacobians(module, rows)
    return torch.cat([columns, -kl[:, None].cpu().double()], dim=-1)


def _weighted_bound(model: FittedVAE, module: Autoencoder, rows: Rows, groups: torch.Tensor) -> torch.Tensor:
    """Return the importance-weighted bound of encoded rows, the mean over groups of draws, (n_rows,)."""
    parts = [log_weight for _, log_weight in model._weighted(module, rows, groups.flatten(0, 1))]
    return torch.cat(parts).unflatten(0, groups.shape[:2]).logsumexp(1).mean(0) - np.log(groups.shape[1])


def _finite(nats: torch.Tensor) -> np.ndarray:
    """Return nats as an array; so far out that they overflowed, the largest number."""
    return nats.nan_to_num(nan=torch.nan).cpu().numpy()
