"""What a variational autoencoder does with codes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklae._autoencoders.checks import check_count
from sklae._autoencoders.code_weights import draw_given_known, score_known
from sklae._autoencoders.fitted_vae import FittedVAE
from sklae._autoencoders.verbs import Verbs
from sklae._tables.annotations import ArrayOrFrame, ConditionLike, FeaturesLike, TableLike
from sklae._tables.conditions import own_condition, read_condition, read_known
from sklae._tables.layout import Layout
from sklae._tables.sources import RowSource
from sklae._utils.compat import available_if, wrap_transformed
from sklae._utils.warnings import warn
from sklae.posteriors import POSTERIORS
from sklae.sources._taken import in_chunks

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
        check_is_fitted(self)
        return FittedVAE(self.layout_, self.net_)

    def _can_score(self) -> bool:
        return has_density(self)

    @available_if(has_density)
    @in_chunks
    def score_samples(
        self,
        X: TableLike | RowSource,
        n_importance_samples: int | None = None,
        *,
        given: FeaturesLike | None = None,
    ) -> np.ndarray:
        """Return a lower bound of the log-density of each row in nats, in the user's units; the higher the better.

        At ``beta=1``, of what was observed: the density of a row with gaps is that of its other cells, whatever stands
        in the gaps. Levels that ``fit`` has not seen count as gaps, and columns that were constant in ``fit`` do not
        count. Rows with different gaps have scores of different columns. With conditions: of the other columns, given
        these.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        n_importance_samples : int, default=None
            How many draws of a row's code the importance-weighted bound (arXiv 1509.00519), with gaps that of MIWAE
            (arXiv 1812.02633), is made of: it rises with them to the model's log-density of what was observed. None: of
            64 draws that all rows share (antithetic Sobol points with exact second moments). Of another number, the
            mean over groups of so many, 512 in all. 1: the evidence lower bound, from the 64 draws and, where it has
            one, the closed form of the KL term. The Monte-Carlo error is about the relative standard deviation of the
            importance weights over the root of their number, and 0 where the posterior is exact.
        given : list of str or int, slice or mask, default=None
            Columns that count as known: the score is the log-density of the others, given these. That is a difference,
            hence no bound. Both log-densities are found by adaptive importance sampling; the first as
            ``n_importance_samples`` says, where it is given.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            One for each row.
        """
        table = self._check_input(X)
        if n_importance_samples is not None:
            check_count("n_importance_samples", n_importance_samples)
        if given is None:
            return self._bound(table, n_importance_samples)
        columns = self.layout_.columns
        known = table.copy()
        known[:, np.delete(columns.data, columns.find(given, "given"))] = np.nan
        # both by the same means: of unusual rows a bound may be loose by more than the difference is
        if n_importance_samples is None:
            return score_known(self.model_, table) - score_known(self.model_, known)
        return self._bound(table, n_importance_samples) - score_known(self.model_, known)

    def _bound(self, table: np.ndarray, n_importance_samples: int | None) -> np.ndarray:
        if n_importance_samples == 1:
            return self.model_.score(table)
        return self.model_.importance_weighted(table, n_importance_samples)

    def encode(self, X: TableLike) -> tuple[ArrayOrFrame, ArrayOrFrame]:
        """Return mean and standard deviation of each row's posterior.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        mean, std : ndarray or frame of shape (n_samples, n_components_)
            In X's dtype; the container follows ``set_output``. The standard deviation of a point posterior is 0.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import VAETransformer
        >>> X = load_wine().data
        >>> vae = VAETransformer(
        ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> mean, std = vae.encode(X)
        >>> mean.shape, bool((std > 0).all())
        ((178, 2), True)
        """
        mean, std = (wrap_transformed(part, X, self) for part in self.model_.moments(self._check_input(X)))
        return mean, std

    def sample_posterior(
        self, X: TableLike, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> np.ndarray:
        """Draw codes of each row from its posterior.

        Parameters
        ----------
        X : array-like or frame of shape (n_rows, n_features)
            Rows with the columns that were fitted.
        n_samples : int, default=1
            How many for each row.
        random_state : int, RandomState instance or None, default=None
            Where draws come from; None takes fresh entropy from the system.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_rows, n_components_)
            Of each draw one for each row.
        """
        check_count("n_samples", n_samples)
        return np.moveaxis(self.model_.draw_codes(self._check_input(X), n_samples, random_state), 1, 0)

    @available_if(has_density)
    def posterior_kl(self, X: TableLike) -> np.ndarray:
        """Return how far each row's posterior is from the prior, in nats, per component where that is defined.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        kl : ndarray of shape (n_samples, n_components_), or (n_samples, 1), float64
            One column, their sum, for posteriors or priors with dependent components.
        """
        return self.model_.posterior_kl(self._check_input(X))

    @available_if(has_density)
    def posterior_log_prob(self, Z: ArrayLike, X: TableLike) -> np.ndarray:
        """Return the log-density of codes under the posteriors of rows, for all pairs, in nats.

        Parameters
        ----------
        Z : array-like of shape (n_codes, n_components_)
            Codes, as `transform` gives them.
        X : array-like or frame of shape (n_rows, n_features)
            Rows with the columns that were fitted.

        Returns
        -------
        log_prob : ndarray of shape (n_codes, n_rows), float64
            In nats.
        """
        table = self._check_input(X)
        return self.model_.posterior_log_prob(self._check_codes(Z, np.float64), table)

    def prior_log_prob(self, Z: ArrayLike, condition: ConditionLike | None = None) -> np.ndarray:
        """Return the log-density of codes under the prior, in nats.

        Parameters
        ----------
        Z : array-like of shape (n_codes, n_components_)
            Codes, as `transform` gives them.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features``; needed where there are any.

        Returns
        -------
        log_prob : ndarray of shape (n_codes,), float64
            In nats.
        """
        codes = self._check_codes(Z, np.float64)
        return self.model_.prior_log_prob(codes, read_condition(condition, self.layout_.columns, len(codes)))

    # -- rows around a code -----------------------------------------------------------------------------

    def traverse(
        self,
        X: TableLike,
        component: int,
        values: ArrayLike | None = None,
        *,
        condition: ConditionLike | None = None,
    ) -> ArrayOrFrame:
        """Decode rows' codes with one component set to a series of values: what it stands for.

        Parameters
        ----------
        X : array-like or frame of shape (n_rows, n_features)
            Rows with the columns that were fitted.
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
        >>> vae = VAETransformer(
        ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
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
        X: TableLike,
        scale: float = 1.0,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        condition: ConditionLike | None = None,
    ) -> ArrayOrFrame:
        """Decode codes drawn around those of the rows: variations of them.

        Parameters
        ----------
        X : array-like or frame of shape (n_rows, n_features)
            Rows with the columns that were fitted.
        scale : float, default=1.0
            How far: the draws' distances from the posterior means are multiplied by it. 0: reconstructions.
        n_samples : int, default=1
            Variations of each row.
        random_state : int, RandomState instance or None, default=None
            Where draws come from; None takes fresh entropy from the system.
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
        >>> vae = VAETransformer(
        ...     2, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> vae.vary(X[:2], n_samples=5, random_state=0).shape
        (10, 13)
        """
        table = self._check_input(X)
        check_count("n_samples", n_samples)
        if not isinstance(scale, Real) or not 0 <= scale < np.inf:
            raise ValueError(f"Got scale={scale!r}; expected a finite number at or above 0.")
        codes = self.model_.draw_codes(table, n_samples, random_state, float(scale))
        return self._decode_each(codes, self._condition_of(table, condition))

    def _sample_given(
        self, n_samples: int, condition: Any, random_state: np.random.RandomState, noise: bool
    ) -> np.ndarray:
        has_density(self)
        if not noise:
            raise ValueError(
                "Got noise=False with a condition= of modelled columns; expected noise=True. For what is expected of "
                "the other columns, call reconstruct with rows that have gaps."
            )
        known = read_known(condition, self.layout_.columns)
        _tell_far(known, self.layout_)
        drawn = draw_given_known(self.model_, known, n_samples, random_state)
        rows = np.where(np.isnan(known), drawn, known)
        return np.moveaxis(rows, 0, 1).reshape(-1, known.shape[1]).astype(self.layout_.dtype, copy=False)

    def _condition_of(self, table: np.ndarray, condition: Any) -> np.ndarray | None:
        """Return given conditions for the rows of a validated table, or their own."""
        columns = self.layout_.columns
        return own_condition(table, columns) if condition is None else read_condition(condition, columns, len(table))


def _tell_far(known: np.ndarray, layout: Layout) -> None:
    """Warn of known values further outside what fit has seen than that range is wide."""
    low, high = layout.scaling.seen_range()
    outside = np.fmax(low - known, known - high)
    far = np.flatnonzero((outside > high - low).any(axis=0) & layout.varies)
    if len(far):
        j = int(far[0])
        value = known[np.nanargmax(outside[:, j]), j]
        warn(
            f"Got condition {layout.columns.labels()[j]}={value:g}, far outside of what fit has seen, {low[j]:g} to "
            f"{high[j]:g}; expected values there or near. Draws of the other columns say little.",
            cause=layout.columns.labels()[j],
        )
