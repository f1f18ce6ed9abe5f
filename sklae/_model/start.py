"""Where training starts: a linear model of the rows, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch

from sklae._linear.factors import LinearModel, Noise, choose_rank, factor_analysis, principal_components
from sklae._linear.normal import Normal
from sklae._model.module import Autoencoder
from sklae._tables.layout import Rows
from sklae._utils.random import resampled, some_rows
from sklae.networks._base import beside

__all__ = ["can_start_as_linear", "draw_codes", "start_as_linear"]

_CHUNK_ELEMENTS = 2**17
# Around gaps, expectation maximisation costs rows by inputs cubed: so much of it, and not for more inputs than this.
_MOST_AROUND_GAPS, _BUDGET, _LEAST_ROWS = 200, 4e8, 1_000
# Up to so many inputs, and to so many rows for each, components are left out that are learned by heart; of more inputs
# where there are fewer rows than inputs, as long as that is found in seconds.
_MOST_INPUTS, _ROWS_PER_INPUT, _MOST_WIDE_INPUTS = 100, 50, 1_000
# Of a covariance's change: of many inputs, whose rounds cost most, fewer rounds will do for a start.
_CLOSER, _CLOSE, _WIDE = 1e-4, 1e-2, 30
_CODES_AT_ONCE = 4_096
# Of the variance of an indicator of a level.
_LEAST_NOISE_OF_LEVELS = 0.7
# Inputs that vary by less than this are constant, but for rounding.
_LEAST_VARIANCE = 1e-9


def can_start_as_linear(model: Autoencoder) -> bool:
    """Return whether networks and posterior can; the likelihood says so when it is asked to."""
    if model.per_block or not hasattr(model.posterior, "outputs_for"):
        return False
    return all(getattr(network, "can_become_affine", False) for network in model.networks)


def draw_codes(
    model: Autoencoder, parts: Sequence[Rows], generator: torch.Generator, weights: np.ndarray | None = None
) -> torch.Tensor:
    """Draw as many codes as there are rows, (n_rows, n_components), float64: of each row as many as it counts."""
    device = next(model.parameters()).device
    codes = []
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for rows in parts:
            for first in range(0, len(rows.x), _CODES_AT_ONCE):
                q = model.encode(*rows.take(slice(first, first + _CODES_AT_ONCE)).to(device))
                codes.append(q.push(torch.randn(q.mean.shape, generator=generator).to(device)).double())
    model.train(was_training)
    drawn = torch.cat(codes)
    if weights is None:
        return drawn
    offset = torch.rand((), generator=generator, dtype=torch.float64).item()
    return drawn[torch.as_tensor(resampled(weights, len(drawn), offset), device=drawn.device)]


def start_as_linear(
    model: Autoencoder,
    parts: Sequence[Rows],
    random_state: np.random.RandomState,
    weights: np.ndarray | None = None,
) -> bool:
    """Make a model the linear one of rows, in one part or several, and return whether that can be.

    A plain autoencoder becomes PCA, with codes of variance 1 (or, rectified, one for each sign of half as many
    components); a variational one factor analysis, whose bound is its
    likelihood. Both are fitted to what the encoder is given of rows: numbers, and indicators of levels; of numbers to
    what a linear regression on conditions leaves. Which values were observed has no weight at first. It takes networks,
    a posterior and a likelihood that can start so; the model is left as it is where one can't. ``weights`` say how much
    each row counts, of mean 1.
    """
    if not can_start_as_linear(model):
        return False
    mean, covariance = _moments(model, parts, random_state, weights)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        return False  # values past what the encoder can take: the first loss will say so
    linear = _fit_linear(model, parts, mean, covariance, random_state, weights)
    affine = model.likelihood.start(linear)
    if affine is None:
        return False
    model.decoder.become_affine(*map(torch.as_tensor, affine))
    cast(Any, model.encoder).become_affine(*_encoder_start(model, linear))
    return True


def _encoder_start(model: Autoencoder, linear: LinearModel) -> tuple[torch.Tensor, torch.Tensor]:
    std, posterior = torch.as_tensor(linear.std), cast(Any, model.posterior)
    start = partial(posterior.outputs_for, std=std, n_outputs=model.n_encoder_outputs)  # affine in means
    bias = start(torch.as_tensor(-linear.weights @ linear.mean))
    return (start(torch.as_tensor(linear.encoder.T)) - start(torch.zeros_like(std))).T, bias


def _fit_linear(
    model: Autoencoder,
    parts: Sequence[Rows],
    mean: np.ndarray,
    covariance: np.ndarray,
    random_state: np.random.RandomState,
    weights: np.ndarray | None,
) -> LinearModel:
    density, n_columns = model.likelihood, parts[0].x.shape[1]
    n_levels, column = density.n_levels(n_columns), density.input_columns(n_columns)
    regression = _regression(covariance, n_levels[column] == 0)
    n_inputs, noise = len(column), density.noise(n_columns)
    mean_condition, mean = mean[n_inputs:], mean[:n_inputs]
    # of numbers what the regression leaves
    left = np.hstack([np.eye(n_inputs), -regression])
    covariance = left @ covariance @ left.T
    # a level is no number: told exactly, it would cost more than it is worth
    share = np.where(n_levels[column] > 0, _LEAST_NOISE_OF_LEVELS, 0.0)
    noise = noise._replace(least=np.maximum(noise.least, share * np.diag(covariance)))
    if model.prior is None:
        unit = _units(n_levels, column, np.diag(covariance))
        linear = _components(model, mean, covariance, unit, random_state)
    else:
        rank = _choose_rank(model, parts, left, noise, random_state, weights)
        linear = factor_analysis(mean, covariance, model.n_components, noise, rank=rank)
    return linear.given(regression, mean_condition) if len(mean_condition) else linear


def _components(
    model: Autoencoder, mean: np.ndarray, covariance: np.ndarray, unit: np.ndarray, random_state: np.random.RandomState
) -> LinearModel:
    """Return principal components; half as many where codes are rectified, one code for each sign."""
    if not getattr(model.posterior, "rectifies", False):
        return principal_components(mean, covariance, model.n_components, unit)
    linear = principal_components(mean, covariance, (model.n_components + 1) // 2, unit)
    return linear.rectified(model.n_components, random_state)


def _regression(covariance: np.ndarray, is_number: np.ndarray) -> np.ndarray:
    """Return what is expected of inputs (of those that are numbers) given conditions, (n_inputs, n_condition)."""
    n_inputs = len(is_number)
    of_conditions = np.linalg.pinv(covariance[n_inputs:, n_inputs:], rcond=1e-9, hermitian=True)
    slopes = covariance[:n_inputs, n_inputs:] @ of_conditions
    return slopes * is_number[:, None]


def _choose_rank(
    model: Autoencoder,
    parts: Sequence[Rows],
    left: np.ndarray,
    noise: Noise,
    random_state: np.random.RandomState,
    weights: np.ndarray | None,
) -> int:
    """Return how many components start with loadings: of many rows all, of few those that are not learned by heart."""
    width, n_rows = len(noise.group), sum(len(rows.x) for rows in parts)
    most_rows = _ROWS_PER_INPUT * width if width <= _MOST_INPUTS else width if width <= _MOST_WIDE_INPUTS else 0
    if _have_gaps(parts) or n_rows > most_rows:
        return model.n_components
    values = np.concatenate(list(_inputs(model, parts))) @ left.T
    return choose_rank(values, min(model.n_components, width), noise, random_state, weights)


def _units(n_levels: np.ndarray, column: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return what errors of inputs are measured in: a category's, together, in the deviation of all its levels."""
    total = np.bincount(column, variance, minlength=len(n_levels))
    return np.sqrt(np.where((n_levels > 0) & (total > 0), total, 1.0))[column]


def _have_gaps(parts: Sequence[Rows]) -> bool:
    return any(rows.observed is not None and not bool(rows.observed.all()) for rows in parts)


def _moments(
    model: Autoencoder, parts: Sequence[Rows], random_state: np.random.RandomState, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the encoder's inputs and, after them, conditions; around gaps by likelihood."""
    if _have_gaps(parts):
        mean, covariance = _moments_around_gaps(model, parts, random_state, weights)
    else:
        mean, covariance = _plain_moments(model, parts, weights)
    constant = np.diag(covariance) <= _LEAST_VARIANCE
    covariance[constant], covariance[:, constant] = 0.0, 0.0
    return mean, covariance


def _moments_around_gaps(
    model: Autoencoder, parts: Sequence[Rows], random_state: np.random.RandomState, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    width = model.likelihood.n_inputs(parts[0].x.shape[1])
    n_most = int(np.clip(_BUDGET / width**3, _LEAST_ROWS, 10 * _LEAST_ROWS))
    values = np.concatenate(list(_inputs(model, parts)))
    chosen = some_rows(len(values), n_most, random_state)
    values, weights = values[chosen], None if weights is None else weights[chosen]
    there = ~np.isnan(values)
    if weights is None:
        mean = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    else:
        seen = weights @ there
        mean = weights @ np.where(there, values, 0.0) / np.where(seen > 0, seen, 1.0)
    filled = np.where(there, values, mean)
    covariance = np.cov(filled.T, bias=True, aweights=weights).reshape(len(mean), len(mean))
    varies = np.diag(covariance) > _LEAST_VARIANCE
    if width <= _MOST_AROUND_GAPS and varies.any():
        scale = (filled.std(axis=0) if weights is None else np.sqrt(np.diag(covariance)))[varies]
        tol = _CLOSE if width > _WIDE else _CLOSER
        normal = Normal.fit((values[:, varies] - mean[varies]) / scale, tol=tol, weights=weights)
        mean[varies] += scale * normal.mean
        covariance[np.ix_(varies, varies)] = scale[:, None] * normal.covariance * scale
    return mean, covariance


def _plain_moments(
    model: Autoencoder, parts: Sequence[Rows], weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    total: np.ndarray | float = 0.0
    products: np.ndarray | float = 0.0
    origin, n_rows = None, 0
    for values in _inputs(model, parts):
        origin = values.mean(axis=0) if origin is None else origin
        moved = values - origin
        times = moved if weights is None else moved * weights[n_rows : n_rows + len(values), None]
        n_rows += len(values)
        total, products = total + times.sum(axis=0), products + times.T @ moved
    n_counted = n_rows if weights is None else weights.sum()
    shift = np.asarray(total) / n_counted
    assert origin is not None
    return origin + shift, np.asarray(products) / n_counted - np.outer(shift, shift)


def _inputs(model: Autoencoder, parts: Sequence[Rows]) -> Iterator[np.ndarray]:
    """Yield what the encoder is given of rows, and their conditions, side by side, float64; NaN in gaps."""
    density, n_columns = model.likelihood, parts[0].x.shape[1]
    column = torch.as_tensor(density.input_columns(n_columns))
    step = max(1, _CHUNK_ELEMENTS // max(len(column), 1))
    for rows in parts:
        for first in range(0, len(rows.x), step):
            part = rows.take(slice(first, first + step))
            x = part.x if model.clip_low is None else torch.clamp(part.x, model.clip_low, model.clip_high)
            values = density.inputs(x, part.observed).double()
            if part.observed is not None:
                values = values.masked_fill(part.observed.index_select(-1, column) == 0, torch.nan)
            yield beside(values, None if part.condition is None else part.condition.double()).numpy()
