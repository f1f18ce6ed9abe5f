"""How training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae.plotting._axes import BLUE, COLORS, MARKERS, ORANGE, axes_grid, ink, tidy
from sklae.plotting._tables import autoencoder_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["LossCurveDisplay", "training_curve"]

_PREFIXES = ("train_", "valid_")
# Of an epoch's record, what is no term of the loss.
_NO_TERMS = {"loss", "loss_best", "batch_count", "final_loss", "bound"}
_RATE = "learning_rate"


class LossCurveDisplay:
    """The loss by epoch: of one model or of several, as a whole or term by term.

    It is best made by `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    histories : mapping of str to mapping of str to array-like of shape (n_epochs,)
        Name of a model -> what was recorded of each epoch: "train_loss" and "valid_loss", terms as "train_kl" and
        "valid_kl", in nats per row, and "learning_rate". NaN stands for epochs without. A single model's name may
        be "".
    best_epochs : mapping of str to int or None, default=None
        Name -> the epoch whose weights were kept by validation; 0 for those of the start.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        One for each term, and one for the learning rate.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure
    lines_ : dict of (str, str) to matplotlib.lines.Line2D
        Name and what it shows, as in ``histories`` -> the curve.

    See Also
    --------
    training_curve : The same for one model, as a function.

    Examples
    --------
    >>> from sklae.plotting import LossCurveDisplay
    >>> slow = {"train_loss": [5.0, 4.0, 3.5], "valid_loss": [5.2, 4.4, 4.1]}
    >>> fast = {"train_loss": [5.0, 3.0, 2.0], "valid_loss": [5.2, 3.5, 3.7]}
    >>> display = LossCurveDisplay({"slow": slow, "fast": fast}).plot()
    >>> display.lines_["fast", "valid_loss"].get_label()
    'fast: validation'
    """

    def __init__(
        self, histories: Mapping[str, Mapping[str, ArrayLike]], *, best_epochs: Mapping[str, int] | None = None
    ):
        self.histories = {
            name: {key: np.asarray(values, dtype=np.float64) for key, values in history.items()}
            for name, history in histories.items()
        }
        self.best_epochs = dict(best_epochs or {})

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator | Sequence[BaseEstimator] | Mapping[str, BaseEstimator],
        *,
        terms: str | Sequence[str] = "loss",
        learning_rate: bool = False,
        ax: Axes | Sequence[Axes] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw what a fitted estimator's history holds.

        Parameters
        ----------
        estimator : estimator, or mapping of str to estimator, or list of estimators
            A fitted autoencoder, an outlier detector or an imputer that holds one, or a pipeline or a search that ends
            in one. Several are drawn in the same Axes, by their names, or "model 0", "model 1", ... of a list.
        terms : str or sequence of str, default="loss"
            A panel for each: "loss", or the name of a term, as "reconstruction" and "kl". "all": the loss and
            every term that is in a history.
        learning_rate : bool, default=False
            Whether to add a panel of the learning rate, as it was in the last step of each epoch.
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For ``ax.plot``.

        Returns
        -------
        display : LossCurveDisplay
            The display itself, drawn.

        Raises
        ------
        TypeError
            For an estimator that has no loss_curve_.
        ValueError
            For a term that no history has; the message lists those there are.

        Notes
        -----
        "valid_loss" is the loss that early stopping watches: terms weighed as at the end of all schedules.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklae import VAETransformer
        >>> from sklae.plotting import LossCurveDisplay
        >>> vae = VAETransformer(2, max_iter=5, n_iter_no_change=float("inf"), random_state=0)
        >>> display = LossCurveDisplay.from_estimator(vae.fit(load_iris().data), terms="all")
        >>> [ax.get_title() for ax in display.axes_]
        ['loss', 'reconstruction', 'kl']
        """
        models = {name: autoencoder_of(one, "loss_curve_") for name, one in _by_name(estimator).items()}
        best = {name: model.best_iter_ for name, model in models.items() if hasattr(model, "best_iter_")}
        display = cls({name: _history(model) for name, model in models.items()}, best_epochs=best)
        return display.plot(ax, terms=terms, learning_rate=learning_rate, **kwargs)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        terms: str | Sequence[str] = "loss",
        learning_rate: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each panel, one to divide among them, or None for a new figure.
        terms : str or sequence of str, default="loss"
            As in `from_estimator`.
        learning_rate : bool, default=False
            Whether to add a panel of the learning rate.
        **kwargs
            For ``ax.plot``.

        Returns
        -------
        self : object
            The display itself.
        """
        panels = self._panels(terms, learning_rate)
        is_beside = ax is None and len(panels) == 1 and len(self.histories) > 2  # many names would cover the curves
        width = 4.4 if len(panels) > 1 else 6.0 + is_beside * (1.0 + 0.08 * max(map(len, self.histories)))
        self.axes_ = axes_grid(ax, len(panels), 2 if len(panels) == 4 else 3, (width, 3.6 if len(panels) == 1 else 3.0))
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_: dict[tuple[str, str], Any] = {}
        for panel, keys in zip(self.axes_, panels.values(), strict=True):
            for number, name in enumerate(self.histories):
                self._draw(panel, name, number, keys, kwargs)
            tidy(panel)
            panel.set(xlabel="epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
        for panel, title in zip(self.axes_, panels, strict=True):
            if title == _RATE:
                panel.set(ylabel="learning rate", ylim=(0.0, None))
                continue
            curves = [line.get_ydata() for line in panel.lines if len(line.get_ydata()) > 1]
            if curves:
                panel.set_ylim(*_settled_range(curves))
            panel.set_ylabel(f"{'loss' if title == 'loss' else title} (nats per row)")
        if len(panels) > 1:
            for panel, title in zip(self.axes_, panels, strict=True):
                panel.set_title(title.replace("_", " "))
        self._add_legend("outside right upper" if is_beside else "outside lower center" if ax is None else None)
        return self

    def _panels(self, terms: str | Sequence[str], learning_rate: bool) -> dict[str, list[str]]:
        """Return title -> keys of the histories."""
        known: dict[str, list[str]] = {}
        for history in self.histories.values():
            for key in history:
                prefix, term = key[:6], key[6:]
                if prefix in _PREFIXES and key not in known.setdefault(term, []):
                    known[term].append(key)
        # a single term is the loss itself
        others = [term for term in known if term != "loss"]
        if isinstance(terms, str):
            wanted = ["loss", *(others if len(others) > 1 else ())] if terms == "all" else [terms]
        else:
            wanted = list(terms)
        unknown = [term for term in wanted if term not in known]
        if unknown or not wanted:
            raise ValueError(
                f"Got terms={terms!r}, {'of which ' + repr(unknown[0]) + ' is' if unknown else 'which are'} not in the "
                f"histories; expected some of {sorted(known)}, or 'all'."
            )
        panels = {term: sorted(known[term]) for term in wanted}
        if learning_rate:
            if not any(_RATE in history for history in self.histories.values()):
                raise ValueError(
                    "Got learning_rate=True and histories without a rate, as models have that an earlier version "
                    "trained; expected learning_rate=False. Fit the model again to see it."
                )
            panels[_RATE] = [_RATE]
        return panels

    def _add_legend(self, place: str | None) -> None:
        """Say what colours are, and what lines: of several models the names, and below them the styles that all share.

        Each name stands for itself, also where the panel with the legend has no curve of that model.
        """
        if len(self.histories) == 1:
            self.ax_.legend(frameon=False)
            return
        from matplotlib.lines import Line2D

        handles, plain = [], ink(self.ax_)
        for number, name in enumerate(self.histories):
            kept = " (kept: the start)" * (self.best_epochs.get(name) == 0)
            handles.append(Line2D([], [], **_look(number), label=f"{name}{kept}"))
        drawn = {key[:6] for _, key in self.lines_}
        if "valid_" in drawn:
            handles += [Line2D([], [], color=plain, label="training rows")] * ("train_" in drawn)
            handles.append(Line2D([], [], color=plain, linestyle="--", label="validation rows"))
            if any(self.best_epochs.values()):
                handles.append(Line2D([], [], color=plain, marker="o", linestyle="", label="best epoch"))
        if place is None or (len(self.axes_) == 1 and len(self.histories) <= 2):
            self.ax_.legend(handles=handles, frameon=False)
        else:
            n_columns = 1 if "right" in place else min(len(handles), 2 * len(self.axes_))
            self.figure_.legend(handles=handles, loc=place, ncols=n_columns, frameon=False)

    def _draw(self, ax: Any, name: str, number: int, keys: Sequence[str], style: Mapping[str, Any]) -> None:
        is_single = len(self.histories) == 1
        history = self.histories[name]
        for key in keys:
            if key not in history or np.isnan(history[key]).all():
                continue
            is_validation = key.startswith("valid_")
            look: dict[str, Any] = {**_look(number), "linestyle": "--" if is_validation else "-"}
            label = f"{name}: {'validation' if is_validation else 'training'}"
            if is_single:
                look = {"color": ORANGE if is_validation else BLUE}
                label = "validation rows" if is_validation else "training rows"
            values = history[key]
            best = self.best_epochs.get(name) if key == "valid_loss" else None
            if best == 0 and is_single:
                label += " (kept: the start)"
            epochs = np.arange(1, len(values) + 1)
            (line,) = ax.plot(epochs, values, **{**look, "label": label, **style})
            self.lines_[name, key] = line
            if best:
                mark = {"color": line.get_color(), "label": f"best epoch: {best}" if is_single else "_"}
                ax.plot(best, values[best - 1], "o", **mark)


def _look(number: int) -> dict[str, Any]:
    """Return the colour of a model's curves; once these are used up, their marks, too."""
    round_of = number // len(COLORS)
    marks = {"marker": MARKERS[(round_of - 1) % len(MARKERS)], "markersize": 4} if round_of else {}
    return {"color": COLORS[number % len(COLORS)], **marks}


def training_curve(estimator: BaseEstimator, ax: Axes | None = None) -> Axes:
    """Draw the loss of every epoch, and that of the validation rows where there were any.

    Parameters
    ----------
    estimator : estimator
        A fitted autoencoder, an outlier detector that holds one, or a pipeline that ends in either.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The Axes drawn on.

    See Also
    --------
    LossCurveDisplay : What draws it: several models, terms, the learning rate.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklae import VAETransformer
    >>> from sklae.plotting import training_curve
    >>> vae = VAETransformer(2, max_iter=5, n_iter_no_change=float("inf"), random_state=0)
    >>> ax = training_curve(vae.fit(load_iris().data))
    >>> ax.get_xlabel()
    'epoch'
    """
    return LossCurveDisplay.from_estimator(estimator, ax=ax).ax_


def _by_name(estimator: Any) -> dict[str, Any]:
    """Return estimators by their names; a single one has none."""
    if isinstance(estimator, Mapping):
        models = {str(name): one for name, one in estimator.items()}
    elif isinstance(estimator, (list, tuple)):
        models = {f"model {i}": one for i, one in enumerate(estimator)}
    else:
        models = {"": estimator}
    if not models:
        raise ValueError(f"Got {estimator!r}; expected at least one fitted estimator.")
    return models


def _history(model: Any) -> dict[str, np.ndarray]:
    """Return what was recorded of each epoch; NaN where an epoch has no such record."""
    epochs = model.net_.history.to_list()
    keys = dict.fromkeys(key for epoch in epochs for key in epoch if key[:6] in _PREFIXES and key[6:] not in _NO_TERMS)
    found = {key: np.array([epoch.get(key, np.nan) for epoch in epochs], dtype=np.float64) for key in keys}
    found = {"train_loss": np.asarray(model.loss_curve_, dtype=np.float64), **found}
    if any("valid_final_loss" in epoch for epoch in epochs):
        found["valid_loss"] = np.array([epoch.get("valid_final_loss", np.nan) for epoch in epochs])
    rates = np.array([epoch.get(_RATE, np.nan) for epoch in epochs])
    return found if np.isnan(rates).all() else {**found, _RATE: rates}


def _settled_range(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return limits that leave the steep start out of sight, where it would flatten the rest."""
    low = min(float(np.nanmin(curve)) for curve in curves)
    high = max(float(np.nanmax(curve)) for curve in curves)
    settled = max(float(np.nanmax(curve[len(curve) // 20 :])) for curve in curves)
    top = min(high, settled + 0.5 * (settled - low))
    margin = 0.05 * (top - low) or 1.0
    return low - margin, top + margin
