"""What each component tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import TableLike
from sklae.plotting._axes import BLUE, GREY, axes_or_new, tidy
from sklae.plotting._tables import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import VAETransformer

__all__ = ["KLDisplay"]


class KLDisplay:
    """How many nats each component of a code tells of a row: its mean KL divergence from the prior.

    It is best made by `from_estimator` or `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    kl : array-like of shape (n_components,)
        In nats, the mean over rows.
    threshold : float, default=0.05
        Components below it tell next to nothing, and are grey.
    divides : bool, default=True
        Whether these are components; False: one figure for all together, as posteriors or priors with dependent
        components have.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    bars_ : matplotlib.container.BarContainer
        The most telling component first.

    See Also
    --------
    sklae.metrics.diagnose : Says in words what is wrong where few components tell.

    Examples
    --------
    >>> from sklae.plotting import KLDisplay
    >>> display = KLDisplay.from_predictions([[0.0, 1.0, 2.0], [0.0, 2.0, 3.0]])
    >>> [label.get_text() for label in display.ax_.get_xticklabels()], display.ax_.get_title()
    (['2', '1', '0'], '4 nats in all; 2 of 3 components tell 0.05 or more')
    """

    def __init__(self, kl: ArrayLike, *, threshold: float = 0.05, divides: bool = True):
        self.kl = np.asarray(kl, dtype=np.float64)
        if self.kl.ndim != 1 or not len(self.kl) or not np.isfinite(self.kl).all():
            raise ValueError(f"Got kl of shape {self.kl.shape}; expected (n_components,), finite numbers, one or more.")
        self.threshold = threshold
        self.divides = divides

    @classmethod
    def from_estimator(
        cls,
        estimator: VAETransformer | Pipeline,
        X: TableLike,
        *,
        threshold: float = 0.05,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw what a fitted variational autoencoder's components tell of rows.

        Parameters
        ----------
        estimator : VAETransformer
            Fitted; or a pipeline that ends in one.
        X : array-like or frame of shape (n_samples, n_features)
            Rows with the columns that were fitted.
        threshold : float, default=0.05
            In nats; components below it are grey.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : KLDisplay
            The display itself, drawn.

        Raises
        ------
        TypeError
            For an estimator without ``posterior_kl``.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import VAETransformer
        >>> from sklae.plotting import KLDisplay
        >>> X = load_wine().data
        >>> vae = VAETransformer(
        ...     3, prior="normal", max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = KLDisplay.from_estimator(vae, X)
        >>> len(display.bars_)
        3
        """
        last, seen = last_step(estimator, X, "posterior_kl")
        kl = np.asarray(last.posterior_kl(seen), dtype=np.float64)
        display = cls(kl.mean(axis=0), threshold=threshold, divides=kl.shape[1] == last.n_components_)
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(cls, kl: ArrayLike, *, threshold: float = 0.05, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw given divergences.

        Parameters
        ----------
        kl : array-like of shape (n_samples, n_components)
            As ``posterior_kl`` gives them.
        threshold : float, default=0.05
            In nats; components below it are grey.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : KLDisplay
            The display itself, drawn.
        """
        return cls(np.mean(np.atleast_2d(kl), axis=0), threshold=threshold).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, max_components: int = 40, **kwargs: Any) -> Self:
        """Draw a bar for each component, the most telling first.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        max_components : int, default=40
            How many at most.
        **kwargs
            For ``ax.bar``.

        Returns
        -------
        self : object
            The display itself.
        """
        order = np.argsort(-self.kl, kind="stable")[:max_components]
        values = self.kl[order]
        self.ax_ = axes_or_new(ax, (float(np.clip(0.26 * len(order) + 1.5, 4.4, 11.0)), 3.2))
        self.figure_ = self.ax_.figure
        colors = [BLUE if value >= self.threshold else GREY for value in values]
        self.bars_ = self.ax_.bar(np.arange(len(order)), values, **{"color": colors, "width": 0.75, **kwargs})
        names = [str(i) for i in order] if self.divides else ["all together"]
        self.ax_.set_xticks(np.arange(len(order)), names, fontsize="small" if len(order) > 20 else None)
        self.ax_.set(xlabel="component", ylabel="KL from the prior (nats)")
        title = f"{self.kl.sum():.3g} nats in all"
        if self.divides:
            n_telling = int((self.kl >= self.threshold).sum())
            title += f"; {n_telling} of {len(self.kl)} components tell {self.threshold:g} or more"
        if len(order) < len(self.kl):
            title += f"; {len(order)} drawn"
        self.ax_.set_title(title, fontsize="medium")
        tidy(self.ax_)
        return self
