"""Rows before and after an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklae._tables.annotations import ConditionLike, TableLike
from sklae.plotting._cells import OTHER_LEVEL, draw_cells
from sklae.plotting._codes import pictures_in
from sklae.plotting._images import picture_lines
from sklae.plotting._tables import ReadTables, first_rows, last_step, read_tables, scale_of, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

    from sklae import AutoencoderTransformer, VAETransformer

__all__ = ["ReconstructionDisplay", "reconstructions"]

_NAMES = ("original", "corrupted", "reconstructed")


class ReconstructionDisplay:
    """Rows, what was made of them, and their reconstructions: as pictures, or as a table.

    It is best made by `from_estimator` or `from_predictions`. Parameters are stored as attributes.

    Parameters
    ----------
    original, reconstructed : array-like or frame of shape (n_samples, n_features)
        The same rows, before and after ``reconstruct``.
    corrupted : array-like or frame of shape (n_samples, n_features) or None, default=None
        What was reconstructed, where that is not the original.
    shape : tuple of two or three int or None, default=None
        Of pictures, as `image_grid` takes it; None for tables.
    scale : array-like of shape (n_features,) or None, default=None
        Of tables: what a column's differences are measured in. None: its standard deviation among the originals.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    reconstructions : The same for pictures, as a function.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from sklae.plotting import ReconstructionDisplay
    >>> X = load_wine(as_frame=True).data.iloc[:, :3]
    >>> pca = PCA(2).set_output(transform="pandas").fit(X)
    >>> display = ReconstructionDisplay.from_predictions(
    ...     X[:2], pca.inverse_transform(pca.transform(X[:2]))
    ... )
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['original', 'reconstructed', 'original', 'reconstructed']
    """

    def __init__(
        self,
        original: TableLike,
        reconstructed: TableLike,
        *,
        corrupted: TableLike | None = None,
        shape: Sequence[int] | None = None,
        scale: ArrayLike | None = None,
    ):
        shapes = [shape_of(table) for table in (original, corrupted, reconstructed) if table is not None]
        if len(set(shapes)) > 1:
            raise ValueError(
                f"Got originals of shape {shapes[0]} and reconstructed of shape {shapes[-1]}"
                f"{f', corrupted of shape {shapes[1]}' if len(shapes) > 2 else ''}; "
                "expected the same rows before and after reconstruct."
            )
        self.original = original
        self.reconstructed = reconstructed
        self.corrupted = corrupted
        self.shape = shape
        self.scale = None if scale is None else np.asarray(scale, dtype=np.float64)

    @classmethod
    def from_estimator(
        cls,
        estimator: AutoencoderTransformer | VAETransformer | Pipeline,
        X: TableLike,
        *,
        corrupted: TableLike | None = None,
        shape: Sequence[int] | None = None,
        n_samples: int = 10,
        condition: ConditionLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw rows beside what a fitted autoencoder makes of them.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, or a pipeline that ends in one: rows are then as its last step sees them.
        X : array-like or frame of shape (n_samples, n_features)
            The first rows are drawn.
        corrupted : array-like or frame of shape (n_samples, n_features), default=None
            What to reconstruct in place of X: noisy rows, or rows with gaps.
        shape : tuple of two or three int, default=None
            Of rows that are pictures: height and width, and channels as `image_grid` takes them. None: a table.
        n_samples : int, default=10
            How many rows to draw at most.
        condition : frame, mapping, array-like or scalar, default=None
            Values of the ``condition_features`` to decode with. None: the rows' own.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself, drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklae import AutoencoderTransformer
        >>> from sklae.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> ae = AutoencoderTransformer(
        ...     8, max_iter=2, n_iter_no_change=float("inf"), random_state=0
        ... ).fit(X)
        >>> display = ReconstructionDisplay.from_estimator(ae, X, shape=(8, 8))
        >>> display.ax_.images[0].get_array().shape  # two lines of ten, one pixel apart
        (17, 89)
        """
        if not isinstance(n_samples, int) or n_samples < 1:
            raise ValueError(f"Got n_samples={n_samples!r}; expected a whole number, 1 or more.")
        last, seen = last_step(estimator, first_rows(X, n_samples), "reconstruct")
        damaged = None if corrupted is None else last_step(estimator, first_rows(corrupted, n_samples))[1]
        given = {} if condition is None else {"condition": condition}
        rebuilt = last.reconstruct(seen if damaged is None else damaged, **given)
        seen, damaged, rebuilt = (pictures_in(last, rows, shape) for rows in (seen, damaged, rebuilt))
        return cls(seen, rebuilt, corrupted=damaged, shape=shape, scale=scale_of(last)).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        original: TableLike,
        reconstructed: TableLike,
        *,
        corrupted: TableLike | None = None,
        shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given rows beside given reconstructions.

        Parameters
        ----------
        original, reconstructed : array-like or frame of shape (n_samples, n_features)
            Rows before and after.
        corrupted : array-like or frame of shape (n_samples, n_features), default=None
            What was reconstructed, where that is not the original.
        shape : tuple of two or three int, default=None
            Of rows that are pictures. None: a table.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself, drawn.
        """
        return cls(original, reconstructed, corrupted=corrupted, shape=shape).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, n_columns: int = 10, limits: tuple[float, float] | None = None) -> Self:
        """Draw the rows.

        Pictures are drawn in lines below each other. Of a table the cells are written out, three (or two) lines for
        each row, and shaded where they differ from the original: numbers
        in units of ``scale``, other levels as much as one and a half of these.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        n_columns : int, default=10
            Of pictures: how many lie in a line.
        limits : tuple of two float or None, default=None
            Of pictures: the values drawn in white and in black. None: those of the originals.

        Returns
        -------
        self : object
            The display itself.
        """
        tables = (self.original, self.corrupted, self.reconstructed)
        shown = {name: table for name, table in zip(_NAMES, tables, strict=True) if table is not None}
        if self.shape is None:
            self.ax_ = _draw_table(shown, self.scale, ax)
        else:
            pictures = {name: np.asarray(table, dtype=np.float64) for name, table in shown.items()}
            self.ax_ = _draw_pictures(pictures, self.shape, n_columns, limits, ax)
        self.figure_ = self.ax_.figure
        return self


def _draw_pictures(shown: dict[str, np.ndarray], shape: Sequence[int], n_columns: int, limits: Any, ax: Any) -> Any:
    """Draw pictures, line below line, in blocks of ``n_columns``."""
    n_rows = len(shown["original"])
    n_columns = max(1, min(n_columns, n_rows))
    lines, labels = [], []
    for start in range(0, n_rows, n_columns):
        for name, rows in shown.items():
            part = rows[start : start + n_columns]
            blank = np.full((n_columns - len(part), *part.shape[1:]), np.nan)
            lines.append(np.concatenate([part, blank]))
            labels.append(name)
    if not lines:
        lines, labels = [shown["original"]], ["original"]
    if limits is None:
        limits = _limits_of(shown["original"])
    return picture_lines(np.concatenate(lines), shape, labels, limits=limits, ax=ax)


def _limits_of(rows: np.ndarray) -> tuple[float, float] | None:
    """Return the extremes of all originals; None where there are none, to be refused as such."""
    there = rows[np.isfinite(rows)]
    return (float(there.min()), float(there.max())) if there.size else None


def _draw_table(shown: dict[str, Any], scale: np.ndarray | None, ax: Any) -> Any:
    tables = read_tables(*shown.values())
    spreads = tables.spreads() if scale is None else scale
    texts, shades, labels = [], [], []
    for row in range(len(tables.values[0])):
        for name, values in zip(shown, tables.values, strict=True):
            texts.append([tables.text(j, value) for j, value in enumerate(values[row])])
            shades.append(_offs(tables, values[row] - tables.values[0][row], spreads))
            labels.append(name)
    ax = draw_cells(
        texts, np.array(shades), labels, tables.names, meaning="off the original\n(standard deviations)", ax=ax
    )
    for row in range(1, len(tables.values[0])):
        ax.axhline(row * len(shown) - 0.5, color="black", linewidth=0.8)
    return ax


def _offs(tables: ReadTables, differences: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """Return by how much cells are off, in standard deviations; another level counts as one and a half."""
    return np.array(
        [
            OTHER_LEVEL * float(difference != 0)
            if j in tables.levels and not np.isnan(difference)
            else difference / spreads[j]
            for j, difference in enumerate(differences)
        ]
    )


def reconstructions(
    originals: ArrayLike, reconstructed: ArrayLike, shape: Sequence[int], *, ax: Axes | None = None
) -> Axes:
    """Draw pictures in one line and their reconstructions in the line below.

    Parameters
    ----------
    originals, reconstructed : array-like of shape (n_samples, height * width)
        The same rows, before and after ``reconstruct``. The originals set the scale of grey.
    shape : tuple of two or three int
        Height and width, and channels as `image_grid` takes them.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The Axes drawn on.

    See Also
    --------
    ReconstructionDisplay : What draws it: from an estimator, with corrupted rows between, of tables, too.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklae.plotting import reconstructions
    >>> X = load_digits().data
    >>> pca = PCA(8).fit(X)
    >>> ax = reconstructions(X[:10], pca.inverse_transform(pca.transform(X[:10])), (8, 8))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['original', 'reconstructed']
    """
    originals, reconstructed = np.asarray(originals), np.asarray(reconstructed)
    display = ReconstructionDisplay(originals, reconstructed, shape=shape)
    return display.plot(ax, n_columns=len(originals)).ax_
