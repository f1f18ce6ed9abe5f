"""What a variational autoencoder does with codes."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if

from sklae._autoencoders.checks import check_count
from sklae._autoencoders.verbs import Verbs
from sklae._model.module import Autoencoder
from sklae._tables.layout import Rows
from sklae._utils.compat import wrap_transformed
from sklae._utils.component import resolve
from sklae._utils.quasi_random import antithetic_draws, grouped_draws
from sklae._utils.random import torch_generator
from sklae._utils.torch_settings import torch_settings
from sklae.divergences import sampled_kl
from sklae.posteriors import POSTERIORS

__all__ = ["N_DRAWS", "LatentVerbs", "has_density", "shared_noise"]

#: How many draws per row stand in for an expectation over its posterior.
N_DRAWS = 64
# How many codes of a row are decoded at once.
_MOST_DRAWS = 256


def shared_noise(n_components: int, *, like: torch.Tensor) -> torch.Tensor:
    """Return the draws that all rows share, (N_DRAWS, 1, n_components), for `RowCodes.push`."""
    return antithetic_draws(N_DRAWS, n_components).to(like)[:, None, :]


def has_density(estimator: Any) -> bool:
    """Return whether rows have a density; AttributeError with the reason otherwise."""
    posterior = POSTERIORS.get(estimator.posterior) if isinstance(estimator.posterior, str) else estimator.posterior
    if posterior is not None and not posterior.has_density:
        raise AttributeError(
            f"Got posterior={estimator.posterior!r}, whose codes have no density, and hence no bound of the rows'; "
            "expected posterior='diagonal' for scores. It goes with divergence='mmd', too."
        )
    return True


class LatentVerbs(Verbs):
    """The verbs that need a distribution of each row's code."""

    posterior: Any

    def _can_score(self) -> bool:
        return has_density(self)

    def encode(self, X: Any) -> tuple[Any, Any]:
        """Return mean and standard deviation of each row's posterior.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        mean, std : ndarray or frame of shape (n_samples, n_components_)
            In X's dtype; the container follows ``set_output``. The standard deviation of a point posterior is 0.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import VAETransformer
        >>> X = load_wine().data
        >>> vae = VAETransformer(2, max_iter=2, n_iter_no_change=float("inf"), random_state=0).fit(X)
        >>> mean, std = vae.encode(X)
        >>> mean.shape, bool((std > 0).all())
        ((178, 2), True)
        """
        table = self._check_input(X)

        def moments(module: Autoencoder, rows: Rows) -> np.ndarray:
            q = module.encode(*rows)
            return torch.stack([q.mean, q.std], dim=1).cpu().numpy()

        both = self._map_rows(moments, table, out=np.empty((len(table), 2, self.n_components_), dtype=table.dtype))
        mean, std = (wrap_transformed(both[:, i], X, self) for i in range(2))
        return mean, std

    def sample_posterior(self, X: Any, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw codes of each row from its posterior.

        Parameters
        ----------
        X : array-like or frame of shape (n_rows, n_features)
        n_samples : int, default=1
            How many for each row.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        codes : ndarray of shape (n_samples, n_rows, n_components_)
        """
        check_count("n_samples", n_samples)
        return self._around(self._check_input(X), 1.0, n_samples, random_state)

    def _around(self, table: np.ndarray, scale: float, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw codes from the posteriors, their distances from the means multiplied by ``scale``."""
        generator = torch_generator(random_state)

        def draw(module: Autoencoder, rows: Rows) -> np.ndarray:
            q = module.encode(*rows)
            noise = torch.randn((n_samples, len(rows.x), self.n_components_), generator=generator, dtype=torch.float64)
            z = q.push(noise.to(rows.x))
            return torch.lerp(q.mean.expand_as(z), z, scale).movedim(0, 1).cpu().numpy()

        out = np.empty((len(table), n_samples, self.n_components_), dtype=table.dtype)
        return np.moveaxis(self._map_rows(draw, table, out=out, n_draws=n_samples), 1, 0)

    @available_if(has_density)
    def posterior_kl(self, X: Any) -> np.ndarray:
        """Return how far each row's posterior is from the prior, in nats, per component where that is defined.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        kl : ndarray of shape (n_samples, n_components_), or (n_samples, 1), float64
            One column, their sum, for posteriors or priors with dependent components.
        """
        table = self._check_input(X)
        width = self.n_components_ if self._splits_kl() else 1

        def divergence(module: Autoencoder, rows: Rows) -> np.ndarray:
            q = module.encode(*rows)
            prior = module.prior_codes(rows.condition)
            components = q.component_kl(prior) if width > 1 else None
            if components is not None:
                return components.cpu().numpy()
            kl = q.kl(prior)
            if kl is None:
                noise = shared_noise(self.n_components_, like=rows.x)
                kl = sampled_kl(q, prior, q.push(noise), noise).mean(0)
            return kl[:, None].cpu().numpy()

        return self._map_rows(divergence, table, out=np.empty((len(table), width)), n_draws=N_DRAWS)

    def _splits_kl(self) -> bool:
        """Whether the divergence from the prior is a sum over components."""
        module, _ = self._inference(np.dtype(np.float32))
        prior = module.prior
        return self.n_components_ > 1 and prior.factorizes and resolve(self.posterior, POSTERIORS).independent

    @available_if(has_density)
    def posterior_log_prob(self, Z: Any, X: Any) -> np.ndarray:
        """Return the log-density of codes under the posteriors of rows, for all pairs, in nats.

        Parameters
        ----------
        Z : array-like of shape (n_codes, n_components_)
        X : array-like or frame of shape (n_rows, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_codes, n_rows), float64
        """
        table = self._check_input(X)
        codes = torch.as_tensor(self._check_codes(Z, np.float64))

        def density(module: Autoencoder, rows: Rows) -> np.ndarray:
            z = codes.to(rows.x)[:, None, :].expand(-1, len(rows.x), -1)
            return module.encode(*rows).log_prob(z).T.cpu().numpy()

        # in chunks by pairs of a code and a row: nothing is decoded
        n_wide = 1 + codes.numel() // 256
        return self._map_rows(density, table, out=np.empty((len(table), len(codes))), n_draws=n_wide).T

    # -- given what was observed of a row ---------------------------------------------------------------

    def _weighted_codes(
        self, module: Autoencoder, rows: Rows, n_draws: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield codes of rows, (n, n_rows, n_components), and the logarithms of their importance weights."""
        q, prior = module.encode(*rows), module.prior_codes(rows.condition)
        for noise in grouped_draws(n_draws, self.n_components_, n_draws)[0].to(rows.x)[:, None, :].split(_MOST_DRAWS):
            z = q.push(noise)
            yield z, module.log_likelihood(z, rows) - sampled_kl(q, prior, z, noise)

    def _expect_observed(self, table: np.ndarray, n_draws: int) -> np.ndarray:
        """Return expected cells given what was observed of rows of a validated table, (n_rows, n_cells).

        By self-normalised importance sampling: codes from the posterior, weighed by how well they explain the row
        (Mattei and Frellsen, ICML 2019).
        """
        cells = self._cells

        def expect(module: Autoencoder, rows: Rows) -> np.ndarray:
            most = torch.full((len(rows.x),), -torch.inf, dtype=rows.x.dtype, device=rows.x.device)
            total, mean = torch.zeros_like(most), torch.zeros(len(rows.x), len(cells.owner)).to(rows.x)
            for z, log_weight in self._weighted_codes(module, rows, n_draws):
                expected = module.likelihood.expectation(module.decode(z, rows.condition))
                largest = torch.maximum(most, log_weight.max(0).values)
                earlier, weight = (most - largest).exp(), (log_weight - largest).exp()
                total = total * earlier + weight.sum(0)
                mean = mean * earlier[:, None] + (weight[..., None] * expected).sum(0)
                most = largest
            return self._decode_cells(mean / total[:, None])

        out = np.empty((len(table), len(cells.owner)))
        return self._map_rows(expect, table, out=out, n_draws=min(n_draws, _MOST_DRAWS))

    def _draw_observed(
        self, table: np.ndarray, n_samples: int, n_draws: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Draw rows given what was observed of them, (n_samples, n_rows, n_features): by importance resampling."""
        generator = torch_generator(random_state)

        def draw(module: Autoencoder, rows: Rows) -> np.ndarray:
            parts = list(self._weighted_codes(module, rows, n_draws))
            z, log_weight = torch.cat([z for z, _ in parts]), torch.cat([weight for _, weight in parts])
            chosen = torch.multinomial(log_weight.softmax(0).T, n_samples, replacement=True, generator=generator)
            picked = z.gather(0, chosen.T[..., None].expand(-1, -1, z.shape[-1]))
            drawn = module.likelihood.sample(module.decode(picked, rows.condition).flatten(0, 1), generator)
            values = self.layout_.decode(drawn.cpu().numpy()).reshape(n_samples, len(rows.x), -1)
            return np.moveaxis(values, 0, 1)

        out = np.empty((len(table), n_samples, self.layout_.n_features))
        return np.moveaxis(self._map_rows(draw, table, out=out, n_draws=n_draws), 1, 0)

    def prior_log_prob(self, Z: Any, condition: Any = None) -> np.ndarray:
        """Return the log-density of codes under the prior, in nats.

        Parameters
        ----------
        Z : array-like of shape (n_codes, n_components_)
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features``; needed where there are any.

        Returns
        -------
        log_prob : ndarray of shape (n_codes,), float64
        """
        codes = self._check_codes(Z, np.float64)
        given = self._read_condition(condition, len(codes))
        module, device = self._inference(np.dtype(np.float64))
        with torch_settings(n_threads=1, gradients=False):
            encoded = self._encode_condition(given, torch.float64)
            prior = module.prior_codes(None if encoded is None else encoded.to(device))
            return prior.log_prob(torch.as_tensor(codes, device=device)).cpu().numpy()

    # -- rows around a code -----------------------------------------------------------------------------

    def traverse(self, X: Any, component: int, values: Any = None, *, condition: Any = None) -> Any:
        """Decode rows' codes with one component set to a series of values: what it stands for.

        Parameters
        ----------
        X : array-like or frame of shape (n_rows, n_features)
        component : int
            Index of the component.
        values : array-like of shape (n_values,), default=None
            In units of the code. None: 7 values from -3 to 3, standard deviations of the standard normal prior.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with, one row per row of X or one for all. None: X's own.

        Returns
        -------
        rows : array or frame of shape (n_rows * n_values, n_features)
            Row by row.

        Raises
        ------
        ValueError
            For a component that is not there, or a condition that is unknown.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import VAETransformer
        >>> X = load_wine().data
        >>> vae = VAETransformer(2, max_iter=2, n_iter_no_change=float("inf"), random_state=0).fit(X)
        >>> vae.traverse(X[:2], 1, [-1.0, 0.0, 1.0]).shape
        (6, 13)
        """
        table = self._check_input(X)
        if not isinstance(component, Integral) or not -self.n_components_ <= component < self.n_components_:
            raise ValueError(f"Got component={component!r}; expected an integer below {self.n_components_}.")
        steps = np.linspace(-3.0, 3.0, 7) if values is None else np.asarray(values, dtype=np.float64).ravel()
        codes = np.repeat(self._transform(table)[:, None, :], len(steps), axis=1)
        codes[:, :, component] = steps
        return self._decode_each(codes, self._own_condition(table, condition))

    def vary(
        self,
        X: Any,
        scale: float = 1.0,
        n_samples: int = 1,
        random_state: Any = None,
        *,
        condition: Any = None,
    ) -> Any:
        """Decode codes drawn around those of the rows: variations of them.

        Parameters
        ----------
        X : array-like or frame of shape (n_rows, n_features)
        scale : float, default=1.0
            How far: the draws' distances from the posterior means are multiplied by it. 0: reconstructions.
        n_samples : int, default=1
            Variations of each row.
        random_state : int, RandomState instance or None, default=None
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with, one row per row of X or one for all. None: X's own.

        Returns
        -------
        rows : array or frame of shape (n_rows * n_samples, n_features)
            Row by row; expected rows of the codes drawn, without the likelihood's noise.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import VAETransformer
        >>> X = load_wine().data
        >>> vae = VAETransformer(2, max_iter=2, n_iter_no_change=float("inf"), random_state=0).fit(X)
        >>> vae.vary(X[:2], n_samples=5, random_state=0).shape
        (10, 13)
        """
        table = self._check_input(X)
        check_count("n_samples", n_samples)
        if not isinstance(scale, Real) or not 0 <= scale < np.inf:
            raise ValueError(f"Got scale={scale!r}; expected a finite number at or above 0.")
        codes = np.moveaxis(self._around(table, float(scale), n_samples, random_state), 0, 1)
        return self._decode_each(codes, self._own_condition(table, condition))
