"""The variational autoencoder."""

from __future__ import annotations

from functools import cache
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch.quasirandom import SobolEngine

from sklae._base import BaseAutoencoder, random_state_for
from sklae._compat import Interval
from sklae._component import choices, resolve
from sklae._module import Autoencoder
from sklae.likelihoods import Gaussian, Likelihood
from sklae.posteriors import POSTERIORS, Posterior
from sklae.priors import PRIORS, Prior

__all__ = ["VAETransformer"]

_N_DRAWS = 64


@cache
def _antithetic_draws(n_components: int) -> torch.Tensor:
    """Return the standard normal draws that every score shares: Sobol points and their mirror images."""
    points = SobolEngine(n_components, scramble=True, seed=0).draw(_N_DRAWS // 2, dtype=torch.float64)
    half = torch.special.ndtri(points.clamp(1e-9, 1 - 1e-9))
    return torch.cat([half, -half])


class VAETransformer(BaseAutoencoder):
    """Variational autoencoder.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        "beta": [Interval(Real, 0, None, closed="left")],
        "posterior": choices(POSTERIORS, Posterior),
        "prior": choices(PRIORS, Prior),
    }
    _n_score_draws = _N_DRAWS

    def __init__(
        self,
        n_components: int | None = None,
        *,
        beta: float = 1.0,
        hidden_layer_sizes: Any = None,
        activation: str = "silu",
        network: Any = None,
        encoder: Any = None,
        decoder: Any = None,
        likelihood: Any = "auto",
        posterior: Any = "diagonal",
        prior: Any = "normal",
        corruption: Any = None,
        penalty: Any = None,
        standardize: Any = "auto",
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: Any = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        callbacks: Any = None,
        net_params: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.beta = beta
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.posterior = posterior
        self.prior = prior
        self.corruption = corruption
        self.penalty = penalty
        self.standardize = standardize
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw new rows: codes from the prior, rows from the likelihood.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        rows : array or frame of shape (n_samples, n_features)
            In the units, the container, the columns and the dtype that were fitted.
        """
        check_is_fitted(self)
        seed = int(random_state_for(random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        module, device = self._inference(np.dtype(np.float64))
        with torch.no_grad():
            codes = module.prior().sample(n_samples, generator)
            params = module.decode(codes.to(device)).cpu()
            rows = module.likelihood.sample(params, generator).numpy()
        return self.layout_.wrap(self.layout_.decode(rows).astype(self.layout_.dtype, copy=False))

    def _auto_likelihood(self) -> Likelihood:
        return Gaussian("shared")

    def _latent_parts(self) -> tuple[Posterior, Prior | None]:
        return resolve(self.posterior, POSTERIORS), resolve(self.prior, PRIORS)

    def _beta(self) -> float | None:
        return float(self.beta)

    def _score_chunk(self, module: Autoencoder, x: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        q = module.encode(x, observed)
        draws = _antithetic_draws(self.n_components_).to(x)
        z = q.push(draws[:, None, :])  # (n_draws, n_rows, n_components)
        params = module.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        log_prob = module.likelihood.log_prob(params, x)
        weight = module.column_weight(observed)
        expected = (log_prob if weight is None else log_prob * weight).sum(-1).mean(0)
        prior = module.prior()
        closed_form = q.kl(prior)
        kl = (q.log_prob(z) - prior.log_prob(z)).mean(0) if closed_form is None else closed_form
        return expected - kl
