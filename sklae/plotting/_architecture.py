"""The network inside a fitted estimator: its layers, what they give, and how many parameters they have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from sklae.plotting._axes import BLUE, GREY, ORANGE, axes_or_new
from sklae.plotting._cells import shorten
from sklae.plotting._layers import Layer, layers_of, n_parameters_of
from sklae.plotting._tables import autoencoder_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["ArchitectureDisplay", "summary"]

_COLORS = {"encoder": BLUE, "decoder": BLUE, "posterior": ORANGE, "prior": ORANGE, "code": ORANGE}
_ROW = 0.27  # inches
_MOST_LETTERS = 36
# From left to right: parts, layers, the middle of the bars, shapes, parameters; the widest bar.
_PART, _LAYER, _MIDDLE, _SHAPE, _COUNT, _WIDEST = 0.0, 0.13, 0.62, 0.89, 1.0, 0.3


class ArchitectureDisplay:
    """The network as a picture: a bar for each layer, as wide as it gives numbers (on a logarithmic scale).

    It is best made by `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    layers : sequence of Layer
        In the order in which a row passes them.
    n_parameters : int
        Of all, each counted once.
    title : str, default=""
        What is written above it, before the number of parameters.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    bars_ : matplotlib.container.BarContainer
        One for each layer that is drawn: such without parameters stand beside the one before.

    See Also
    --------
    summary : The same as text.

    Examples
    --------
    >>> from sklae.plotting import ArchitectureDisplay, Layer
    >>> layers = [
    ...     Layer("encoder", "0", "Linear", (8,), 40),
    ...     Layer("encoder", "1", "SiLU", (8,), 0),
    ... ]
    >>> display = ArchitectureDisplay(layers, 40).plot()
    >>> len(display.bars_)
    1
    """

    def __init__(self, layers: Sequence[Layer], n_parameters: int, title: str = ""):
        self.layers = list(layers)
        self.n_parameters = n_parameters
        self.title = title

    @classmethod
    def from_estimator(cls, estimator: BaseEstimator, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, an outlier detector or an imputer that holds one, or a pipeline that ends in one.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For ``ax.barh``.

        Returns
        -------
        display : ArchitectureDisplay
            The display itself, drawn.

        Raises
        ------
        TypeError
            For an estimator without a network.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklae import AutoencoderTransformer
        >>> from sklae.plotting import ArchitectureDisplay
        >>> ae = AutoencoderTransformer(
        ...     2, hidden_layer_sizes=(8,), max_iter=2, n_iter_no_change=float("inf")
        ... )
        >>> display = ArchitectureDisplay.from_estimator(ae.fit(load_wine().data))
        >>> [layer.part for layer in display.layers if layer.n_parameters]
        ['encoder', 'encoder', 'encoder', 'decoder', 'decoder', 'decoder']
        """
        model = autoencoder_of(estimator, "net_")
        return cls(layers_of(model), n_parameters_of(model), _title(model)).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the layers from the top to the bottom.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For ``ax.barh``.

        Returns
        -------
        self : object
            The display itself.
        """
        groups = _merged(self.layers)
        self.ax_ = ax = axes_or_new(ax, (7.6, 0.9 + _ROW * len(groups)))
        self.figure_ = ax.figure
        most = max((math.log1p(math.prod(group[0].shape or ())) for group in groups), default=1.0)
        widths = [_WIDEST * math.log1p(math.prod(group[0].shape or (0,))) / most for group in groups]
        colors = [_COLORS.get(group[0].part, GREY) for group in groups]
        lefts = [_MIDDLE - width / 2 for width in widths]
        look = {"left": lefts, "height": 0.72, "color": colors, **kwargs}
        self.bars_ = ax.barh(range(len(groups)), widths, **look)
        before = ""
        for place, (group, color) in enumerate(zip(groups, colors, strict=True)):
            first = group[0]
            if first.part != before:
                ax.text(_PART, place, first.part, va="center", color=color, weight="bold")
                if place:
                    ax.axhline(place - 0.5, color=GREY, linewidth=0.4)
            before = first.part
            ax.text(_LAYER, place, _label(group), va="center")
            ax.text(_SHAPE, place, _shape_text(first.shape), va="center", ha="right")
            n_parameters = sum(layer.n_parameters for layer in group)
            ax.text(_COUNT, place, f"{n_parameters:,}" if n_parameters else "", va="center", ha="right")
        for x, name in ((_SHAPE, "output"), (_COUNT, "parameters")):
            ax.text(x, -0.85, name, va="center", ha="right", color=GREY, fontsize="small")
        ax.set(xlim=(0, 1), ylim=(len(groups) - 0.4, -1.2))
        ax.set_axis_off()
        ax.set_title(f"{self.title}{', ' * bool(self.title)}{self.n_parameters:,} parameters", fontsize="medium")
        return self


def summary(estimator: BaseEstimator) -> str:
    """Return the layers of a fitted estimator's network as text: what each gives for a row, and its parameters.

    Parameters
    ----------
    estimator : estimator
        A fitted autoencoder, an outlier detector or an imputer that holds one, or a pipeline that ends in one.

    Returns
    -------
    text : str
        To ``print``.

    Raises
    ------
    TypeError
        For an estimator without a network.

    See Also
    --------
    ArchitectureDisplay : The same as a picture.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.networks import MLP
    >>> from sklae.plotting import summary
    >>> network = MLP((8,), linear_path=False)
    >>> ae = AutoencoderTransformer(
    ...     2, network=network, max_iter=2, n_iter_no_change=float("inf"), random_state=0
    ... )
    >>> print(summary(ae.fit(load_wine().data)))
    AutoencoderTransformer: 13 columns, 2 components, 271 parameters
    <BLANKLINE>
    part        layer                output  parameters
    input                                13
    encoder     0  Linear                 8         112
    encoder     1  SiLU                   8           0
    encoder     2  Linear                 2          18
    code                                  2
    decoder     0  Linear                 8          24
    decoder     1  SiLU                   8           0
    decoder     2  Linear                13         117
    likelihood  GaussianColumns          13           0
    """
    model = autoencoder_of(estimator, "net_")
    rows = [("part", "layer", "output", "parameters")]
    for layer in layers_of(model):
        count = "" if layer.part in ("input", "code") else f"{layer.n_parameters:,}"
        rows.append((layer.part, f"{layer.name}  {layer.kind}".strip(), _shape_text(layer.shape), count))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    ]
    return "\n".join([f"{_title(model)}, {n_parameters_of(model):,} parameters", "", *lines])


def _title(model: Any) -> str:
    return f"{type(model).__name__}: {model.layout_.n_features} columns, {model.n_components_} components"


def _merged(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Return layers in groups: those without parameters go with the one before, if they give as much."""
    groups: list[list[Layer]] = []
    for layer in layers:
        before = groups[-1][-1] if groups else None
        is_like = before is not None and before.part == layer.part and before.shape == layer.shape
        if is_like and layer.kind and not layer.n_parameters and layer.name:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def _label(group: Sequence[Layer]) -> str:
    kinds = ", ".join(layer.kind for layer in group)
    return shorten(f"{group[0].name}  {kinds}".strip(), _MOST_LETTERS)


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape)) if shape else ""
