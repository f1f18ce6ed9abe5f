"""What a variational autoencoder does with codes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from sklae._autoencoders.checks import check_count
from sklae._autoencoders.fitted_vae import FittedVAE
from sklae._autoencoders.verbs import Verbs
from sklae._tables.conditions import own_condition, read_condition
from sklae._utils.compat import wrap_transformed
from sklae.posteriors import POSTERIORS

__all__ = ["LatentVerbs", "has_density"]


def has_density(estimator: Any) -> bool:
    """Return whether rows have a density; AttributeError with the reason otherwise."""
    posterior = POSTERIORS.get(estimator.posterior) if isinstance(estimator.posterior, str) else estimator.posterior
    if posterior is not None and not posterior.has_density:
        raise AttributeError(
            f"Got posterior={estimator.posterior!r}, whose codes have no density, and hence no bound of the rows'; "
            "expected posterior='diagonal' for scores. It goes with divergence='mmd', too."
        )
    if not getattr(estimator.prior, "has_density", True):
        raise AttributeError(
            f"Got prior={estimator.prior!r}, under which codes have no density, and hence no bound of the rows'; "
            "expected prior='normal', or another with a density, for scores."
        )
    return True


class LatentVerbs(Verbs):
    """The verbs that need a distribution of each row's code."""

    posterior: Any

    @property
    def model_(self) -> FittedVAE:
        """What was fitted, as one: answers for validated tables. It belongs to sklae's own parts."""
        return FittedVAE(self.layout_, self.net_)

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
        mean, std = (wrap_transformed(part, X, self) for part in self.model_.moments(self._check_input(X)))
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
        return np.moveaxis(self.model_.draw_codes(self._check_input(X), n_samples, random_state), 1, 0)

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
        return self.model_.posterior_kl(self._check_input(X))

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
        return self.model_.posterior_log_prob(self._check_codes(Z, np.float64), table)

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
        return self.model_.prior_log_prob(codes, read_condition(condition, self.layout_.columns, len(codes)))

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
        codes = np.repeat(self.model_.codes(table)[:, None, :], len(steps), axis=1)
        codes[:, :, component] = steps
        return self._decode_each(codes, self._condition_of(table, condition))

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
        codes = self.model_.draw_codes(table, n_samples, random_state, float(scale))
        return self._decode_each(codes, self._condition_of(table, condition))

    def _condition_of(self, table: np.ndarray, condition: Any) -> np.ndarray | None:
        """Return given conditions for the rows of a validated table, or their own."""
        columns = self.layout_.columns
        return own_condition(table, columns) if condition is None else read_condition(condition, columns, len(table))
