"""What codes tell about rows, and how likely rows are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.pipeline import Pipeline

from sklae._tables.annotations import TableLike
from sklae.metrics._checks import check_count, fitted, generator_for

if TYPE_CHECKING:
    from sklae import AutoencoderTransformer, VAETransformer

__all__ = [
    "Estimate",
    "Rates",
    "active_units",
    "conditions_of",
    "kl_per_component",
    "marginal_kl",
    "mean_and_error",
    "mutual_information",
    "negative_log_likelihood",
    "rates",
]

_CHUNK_ELEMENTS = 2**21


class Estimate(NamedTuple):
    """A number with its standard error, both in nats; unpacks as ``value, error = ...``.

    Attributes
    ----------
    value : float
        The number.
    standard_error : float
        By how much it would scatter over samples of rows.
    """

    value: float
    standard_error: float


def active_units(
    estimator: AutoencoderTransformer | VAETransformer | Pipeline,
    X: TableLike,
    *,
    threshold: float = 0.01,
    return_variances: bool = False,
) -> int | tuple[int, np.ndarray]:
    """Count the components whose codes move from row to row.

    A component is active if the variance over rows of its posterior mean exceeds the threshold (Burda et al., arXiv
    1509.00519). A collapsed component has the prior as its posterior for every row: it does not move.

    Parameters
    ----------
    estimator : estimator
        Anything fitted that has `transform`. Where codes have no prior that sets their scale, as in a plain
        autoencoder, the threshold is yours to choose.
    X : array-like or frame of shape (n_samples, n_features)
        Rows with the columns that were fitted.
    threshold : float, default=0.01
        In squared units of the codes; the prior's variance is 1 by default.
    return_variances : bool, default=False
        Whether to return the variances too; ``variances > threshold`` is the mask of active components.

    Returns
    -------
    n_active : int
        How many components are active.
    variances : ndarray of shape (n_components,)
        Only if asked for.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.metrics import active_units
    >>> X = load_wine().data
    >>> vae = VAETransformer(2, learning_rate="one_cycle", max_iter=50, random_state=0).fit(X)
    >>> active_units(vae, X)
    2
    """
    estimator, X = fitted(estimator, X, "transform")
    variances = np.asarray(estimator.transform(X), dtype=np.float64).var(axis=0)
    n_active = int((variances > threshold).sum())
    return (n_active, variances) if return_variances else n_active


def kl_per_component(estimator: VAETransformer | Pipeline, X: TableLike) -> np.ndarray:
    """Return how many nats each component of the code tells about a row, on average.

    The mean over rows of KL(q(z|x) || p(z)), by component. Near 0 where the posterior of a component has collapsed.

    Parameters
    ----------
    estimator : VAETransformer
        A fitted one, or a pipeline that ends in it.
    X : array-like or frame of shape (n_samples, n_features)
        Rows to average over.

    Returns
    -------
    kl : ndarray of shape (n_components,) or (1,)
        In nats. One number, the total, where the prior or the posterior ties components together: then the KL
        does not divide among them.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.metrics import kl_per_component
    >>> X = load_wine().data
    >>> vae = VAETransformer(2, prior="normal", random_state=0).fit(X)
    >>> kl_per_component(vae, X).shape
    (2,)
    """
    estimator, X = fitted(estimator, X, "posterior_kl")
    return _kl(estimator, X).mean(axis=0)


def mutual_information(
    estimator: VAETransformer | Pipeline,
    X: TableLike,
    *,
    n_samples: int = 10,
    random_state: int | np.random.RandomState | None = None,
) -> Estimate:
    """Estimate the mutual information of rows and codes.

    With N rows, each as likely as any other, and a code drawn from the posterior of one: how much the code tells about
    which one it was. That is the mean over rows of KL(q(z|x) || q(z)), with q(z) the mixture of all N posteriors
    (Hoffman and Johnson, NIPS 2016 workshop on advances in approximate Bayesian inference). It never exceeds log N,
    which it reaches when the posteriors do not overlap: it is then a statement about N.

    Parameters
    ----------
    estimator : VAETransformer
        A fitted one, or a pipeline that ends in it.
    X : array-like or frame of shape (n_samples, n_features)
        At least two rows. The cost grows with the square of their number: a random thousand or two will do.
    n_samples : int, default=10
        Codes to draw for each row.
    random_state : int, RandomState instance or None, default=None
        Where draws come from; None takes fresh entropy from the system.

    Returns
    -------
    estimate : Estimate
        ``(value, standard_error)`` in nats; the error is over rows and draws.

    See Also
    --------
    marginal_kl : The rest of the rate.

    Notes
    -----
    The mean KL, the sum of `kl_per_component`, is ``mutual_information(...).value + marginal_kl(...).value`` for
    equal arguments and an integer ``random_state``, exactly: the known KL of each row steadies the estimate (a
    regression control variate).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.metrics import mutual_information
    >>> X = load_wine().data
    >>> vae = VAETransformer(2, learning_rate="one_cycle", max_iter=50, random_state=0).fit(X)
    >>> value, error = mutual_information(vae, X, random_state=0)
    >>> bool(0 < value < 5.2), error < 0.2
    (True, True)
    """
    return rates(estimator, X, n_samples, random_state).mutual_information


def marginal_kl(
    estimator: VAETransformer | Pipeline,
    X: TableLike,
    *,
    n_samples: int = 10,
    random_state: int | np.random.RandomState | None = None,
) -> Estimate:
    """Estimate the distance of the codes of all rows together from the prior.

    KL(q(z) || p(z)), with q(z) the mixture of the posteriors of the given rows (Hoffman and Johnson, NIPS 2016 workshop
    on advances in approximate Bayesian inference). What is large here makes samples from the prior unlike the data; a
    prior fitted to the codes would raise the score of these rows by as much.

    Parameters
    ----------
    estimator : VAETransformer
        A fitted one, or a pipeline that ends in it.
    X : array-like or frame of shape (n_samples, n_features)
        At least two rows. The cost grows with the square of their number: a random thousand or two will do.
    n_samples : int, default=10
        Codes to draw for each row.
    random_state : int, RandomState instance or None, default=None
        Where draws come from; None takes fresh entropy from the system.

    Returns
    -------
    estimate : Estimate
        ``(value, standard_error)`` in nats; the error is over rows and draws.

    See Also
    --------
    mutual_information : The rest of the rate.

    Notes
    -----
    With ``condition_features`` each code meets the prior of its own row's condition.

    Few rows with narrow posteriors make a mixture of spikes, which is far from any smooth prior however well that
    suits: the mean KL exceeds log N there, and this figure its value for many rows.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.metrics import kl_per_component, marginal_kl, mutual_information
    >>> X = load_wine().data
    >>> vae = VAETransformer(2, learning_rate="one_cycle", max_iter=50, random_state=0).fit(X)
    >>> parts = (
    ...     mutual_information(vae, X, random_state=0).value
    ...     + marginal_kl(vae, X, random_state=0).value
    ... )
    >>> bool(abs(parts - kl_per_component(vae, X).sum()) < 1e-6)
    True
    """
    return rates(estimator, X, n_samples, random_state).marginal_kl


def negative_log_likelihood(
    estimator: VAETransformer | Pipeline, X: TableLike, *, n_importance_samples: int = 1000
) -> Estimate:
    """Estimate minus the mean log-likelihood of rows by importance sampling.

    Tighter than minus ``estimator.score(X)``, which pays for the posterior's distance from the true one. With more
    samples it falls to the true value, for any posterior that covers it (Burda et al., arXiv 1509.00519).

    Parameters
    ----------
    estimator : VAETransformer
        A fitted one, or a pipeline that ends in it.
    X : array-like or frame of shape (n_samples, n_features)
        Rows that `fit` has not seen.
    n_importance_samples : int, default=1000
        Codes per row. Time is proportional to it.

    Returns
    -------
    estimate : Estimate
        ``(value, standard_error)`` in nats per row and the units of X; the error is over rows: what another table of
        as many rows would change.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.metrics import negative_log_likelihood
    >>> X = load_wine().data
    >>> vae = VAETransformer(2, learning_rate="one_cycle", max_iter=50, random_state=0).fit(
    ...     X[::2]
    ... )
    >>> nll, error = negative_log_likelihood(vae, X[1::2], n_importance_samples=200)
    >>> bool(nll < -vae.score(X[1::2]))
    True
    """
    check_count(n_importance_samples, "n_importance_samples")
    estimator, X = fitted(estimator, X, "posterior_kl", "score_samples")
    mean, error = mean_and_error(estimator.score_samples(X, n_importance_samples=n_importance_samples))
    return Estimate(-mean, error)


# -- the rate and its parts -----------------------------------------------------------------------------


class Rates(NamedTuple):
    """The mean KL and what it consists of."""

    mutual_information: Estimate
    marginal_kl: Estimate
    #: A lower bound, in expectation, of the marginal KL of infinitely many rows like these; nats.
    least_marginal_kl: float


def rates(estimator: Any, X: Any, n_samples: int, random_state: Any) -> Rates:
    """Divide the mean KL into mutual information and marginal KL."""
    check_count(n_samples, "n_samples")
    estimator, X = fitted(estimator, X, "posterior_kl", "posterior_log_prob", "sample_posterior", "prior_log_prob")
    kl = _kl(estimator, X).sum(axis=1)
    if len(kl) < 2:
        raise ValueError(f"Got {len(kl)} row; expected at least 2, of which a code could be. Pass more of them.")
    codes = np.asarray(estimator.sample_posterior(X, n_samples=n_samples, random_state=generator_for(random_state)))
    densities = _Densities.of(estimator, codes, X, conditions_of(estimator, X))
    told = densities.own - densities.mixture  # (n_samples, n_rows)
    noise = densities.own - densities.prior - kl  # of known mean 0, and akin to that of the line above
    told = told - np.clip(_slope(told, noise), 0.0, 1.0) * noise
    least = max(0.0, float(np.mean(densities.others - densities.prior)))
    per_row = told.mean(axis=0)
    return Rates(Estimate(*mean_and_error(per_row)), Estimate(*mean_and_error(kl - per_row)), least)


@dataclass(frozen=True)
class _Densities:
    """Log-densities of codes drawn from the posteriors of rows, each (n_samples, n_rows), in nats."""

    own: np.ndarray  # under the posterior they were drawn from
    mixture: np.ndarray  # under all posteriors together
    others: np.ndarray  # under all but their own: what another row's code would meet
    prior: np.ndarray

    @classmethod
    def of(cls, estimator: Any, codes: np.ndarray, X: Any, conditions: dict[str, Any]) -> _Densities:
        shape, n_rows = codes.shape[:2], codes.shape[1]
        prior = np.stack([np.asarray(estimator.prior_log_prob(draw, **conditions), dtype=np.float64) for draw in codes])
        flat = codes.reshape(-1, codes.shape[2])
        own, mixture, others = np.empty((3, len(flat)))
        for part in _slices(len(flat), n_rows):
            log_prob = np.asarray(estimator.posterior_log_prob(flat[part], X), dtype=np.float64)
            place = np.arange(len(log_prob)), np.arange(part.start, part.stop) % n_rows
            own[part] = log_prob[place]
            mixture[part] = logsumexp(log_prob, axis=1) - np.log(n_rows)
            log_prob[place] = -np.inf
            others[part] = logsumexp(log_prob, axis=1) - np.log(n_rows - 1)
        return cls(own.reshape(shape), mixture.reshape(shape), others.reshape(shape), prior)


def _slices(n_codes: int, n_rows: int) -> Iterator[slice]:
    """Yield parts of the codes whose densities under all rows fit in a few megabytes."""
    step = max(1, _CHUNK_ELEMENTS // n_rows)
    for start in range(0, n_codes, step):
        yield slice(start, min(start + step, n_codes))


def conditions_of(estimator: Any, X: Any) -> dict[str, Any]:
    """Return what `prior_log_prob` needs to know of the rows besides their codes: nothing, without conditions."""
    features = getattr(estimator, "condition_features", None)
    if features is None or not len(np.atleast_1d(features)):
        return {}
    if hasattr(X, "columns"):
        return {"condition": X}  # columns that do not condition are ignored
    table = np.asarray(X)
    names = list(getattr(estimator, "feature_names_in_", ()))
    places = [names.index(feature) if isinstance(feature, str) else feature for feature in np.atleast_1d(features)]
    return {"condition": table[:, np.sort(np.arange(table.shape[1])[places])]}


def _slope(values: np.ndarray, noise: np.ndarray) -> float:
    power = np.mean(noise**2)
    return float(np.mean((values - values.mean()) * noise) / power) if power > 0 else 0.0


def _kl(estimator: Any, X: Any) -> np.ndarray:
    return np.asarray(estimator.posterior_kl(X), dtype=np.float64)


def mean_and_error(values: Any) -> tuple[float, float]:
    """Return the mean over rows and its standard error; NaN for the error of one row or of infinite values."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return float(values.mean()), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
