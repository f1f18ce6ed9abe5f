"""Densities of codes, fitted after training: how rows are drawn from any autoencoder."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import has_fit_parameter

from sklae._tables.layout import Layout
from sklae._training.plain import plain, with_tensors
from sklae._utils.random import draw_seed, generate, resampled, torch_generator
from sklae._utils.torch_settings import torch_settings
from sklae.priors import Flow

__all__ = ["AGGREGATES", "MOST_CODES", "draw_codes", "fit_code_density"]

#: A density is fitted to no more codes than this.
MOST_CODES = 10_000


def fit_code_density(
    sample_from: Any, codes: np.ndarray, random_state: np.random.RandomState, weights: np.ndarray | None = None
) -> Any:
    """Fit a density to codes.

    Parameters
    ----------
    sample_from : str or estimator
        A key of `AGGREGATES`, or anything with ``fit`` and ``sample``, which is cloned.
    codes : ndarray of shape (n_samples, n_components)
        At most 10,000 of them are used.
    random_state : RandomState
    weights : ndarray of shape (n_samples,) or None, default=None
        How much each code counts. Densities whose ``fit`` takes no ``sample_weight`` get codes as often as they count.
    """
    takes_weights = not isinstance(sample_from, str) and has_fit_parameter(sample_from, "sample_weight")
    if weights is not None and not takes_weights:
        codes = codes[resampled(weights, min(len(codes), MOST_CODES), random_state.uniform())]
    elif len(codes) > MOST_CODES:
        chosen = random_state.permutation(len(codes))[:MOST_CODES]
        codes, weights = codes[chosen], None if weights is None else weights[chosen]
    if isinstance(sample_from, str):
        return AGGREGATES[sample_from](codes, random_state)
    density = clone(sample_from)
    # left to itself, None means NumPy's global generator
    unset = [name for name, value in density.get_params().items() if _is_seed(name) and value is None]
    density.set_params(**{name: draw_seed(random_state) for name in unset})
    return density.fit(codes, sample_weight=weights) if takes_weights and weights is not None else density.fit(codes)


def _is_seed(name: str) -> bool:
    return name == "random_state" or name.endswith("__random_state")


def draw_codes(density: Any, n_samples: int, random_state: np.random.RandomState) -> np.ndarray:
    """Draw codes from a fitted density, whether it takes a ``random_state`` in ``sample`` or in its constructor."""
    if "random_state" in inspect.signature(density.sample).parameters:
        drawn = density.sample(n_samples, random_state=random_state)
    else:
        density = copy.copy(density)
        if "random_state" in density.get_params():
            density.set_params(random_state=random_state)
        drawn = density.sample(n_samples)
    drawn = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
    # scikit-learn's mixtures give their draws component by component: the first rows would be all of a kind
    return drawn[random_state.permutation(len(drawn))]


def _mixture(codes: np.ndarray, random_state: np.random.RandomState) -> GaussianMixture:
    """Fit Gaussian mixtures of several sizes, and return the one that BIC prefers."""
    different = np.unique(np.round(codes / max(1e-6, np.abs(codes).max()), 6), axis=0)  # up to rounding
    most = min(len(codes) // (5 * codes.shape[1]), len(different))
    sizes = [size for size in (1, 3, 10, 30) if size <= max(most, 1)]
    floor = 1e-6 * max(1e-6, codes.var())
    with config_context(array_api_dispatch=False):  # which refuses the default way to start
        fitted = [GaussianMixture(size, reg_covar=floor, random_state=random_state).fit(codes) for size in sizes]
    return min(fitted, key=lambda mixture: mixture.bic(codes))


class _FlowDensity:
    """A normalizing flow fitted to standardised codes by maximum likelihood."""

    # of few codes fewer steps: they are learned by heart anyway
    _LEAST_STEPS, _MOST_STEPS, _STEPS_A_CODE = 100, 1_000, 4
    _BATCH_SIZE = 256

    def __init__(self, codes: np.ndarray, random_state: np.random.RandomState):
        self.mean = codes.mean(0)
        self.scale = np.maximum(codes.std(0), 1e-6)
        standard = torch.as_tensor((codes - self.mean) / self.scale, dtype=torch.float32)
        generator = torch_generator(random_state)
        layout = Layout.fit(np.asarray(codes, dtype=np.float64), rows=None, standardize=True, has_grid=False)
        with torch_settings(n_threads=1, gradients=True):
            with generate(generator):
                # splines: affine maps leave a third of the draws between two clusters, and some far outside
                self.module = Flow(2, univariate="spline").build(codes.shape[1], layout)
            self._fit(standard, generator)

    def __getstate__(self) -> dict[str, Any]:
        return plain(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(with_tensors(state))

    def _fit(self, codes: torch.Tensor, generator: torch.Generator) -> None:
        optimizer = torch.optim.Adam(self.module.parameters(), lr=3e-3)
        n_steps = int(np.clip(self._STEPS_A_CODE * len(codes), self._LEAST_STEPS, self._MOST_STEPS))
        batch_size = min(self._BATCH_SIZE, 2 * len(codes))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=n_steps)
        for _ in range(n_steps):
            rows = torch.randint(len(codes), (batch_size,), generator=generator)
            optimizer.zero_grad()
            (-self.module(None).log_prob(codes[rows]).mean()).backward()
            optimizer.step()
            schedule.step()
        self.module.requires_grad_(False).eval()

    def sample(self, n_samples: int, random_state: Any = None) -> np.ndarray:
        """Draw codes."""
        drawn = self.module(None).sample(n_samples, torch_generator(random_state))
        return drawn.double().numpy() * self.scale + self.mean


#: Name -> function that fits a density to codes.
AGGREGATES: dict[str, Callable[[np.ndarray, np.random.RandomState], Any]] = {
    "aggregate": _mixture,
    "flow": _FlowDensity,
}
