"""What each model was found to bring."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

__all__ = ["Account"]


@dataclass(frozen=True, eq=False)
class Account:
    """What an imputer's models were found to bring, on cells held out of their fit.

    Weights are learned from the same cells, so ``error`` is a little too good, where cells are few.

    Attributes
    ----------
    names : list of str
        The columns.
    parts : list of str
        The models that have a say.
    weights : ndarray of shape (n_columns, n_parts)
        How far each is believed, 1 in the sum.
    n_cells : ndarray of shape (n_columns,)
        Number of cells held out.
    errors : ndarray of shape (n_columns, n_parts)
        What each would miss by alone: of numbers the root mean squared error, in standard deviations; of categories
        minus the mean log-probability of the true levels, in nats. NaN without cells.
    error : ndarray of shape (n_columns,)
        What they miss by together.
    linear_error : ndarray of shape (n_columns,)
        The same of a single normal distribution.
    """

    names: list[str]
    parts: list[str]
    weights: np.ndarray
    n_cells: np.ndarray
    errors: np.ndarray
    error: np.ndarray
    linear_error: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """The weight of all but the single normal, (n_columns,)."""
        return 1.0 - self.weights[:, self.parts.index(NORMAL)] if NORMAL in self.parts else np.ones(len(self.names))

    @property
    def kept(self) -> float:
        """The share of columns in which more than the single normal has a say."""
        return float(np.mean(self.weight > 0))

    @property
    def gain(self) -> float:
        """By which share errors fell below those of the single normal, on the average of columns."""
        there = self.linear_error > 0
        return float(np.mean(1.0 - self.error[there] / self.linear_error[there])) if there.any() else 0.0

    def _lines(self) -> tuple[str, list[str], list[list[str]]]:
        head = (
            f"{len(self.parts)} models have a say; on {int(self.n_cells.sum())} held-out cells errors are "
            f"{100 * self.gain:.1f} % below those of a single normal distribution."
        )
        header = ["column", "cells", "linear", "used", *self.parts]
        rows = []
        for i, name in enumerate(self.names):
            figures = [f"{self.linear_error[i]:.3f}", f"{self.error[i]:.3f}"]
            rows.append([name, str(int(self.n_cells[i])), *figures, *(f"{w:.2f}" for w in self.weights[i])])
        return head, header, rows

    def __str__(self) -> str:
        head, header, rows = self._lines()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(row, widths, strict=True)) for row in (header, *rows))
        ]
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        head, header, rows = self._lines()
        top = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return (
            f"<p>{escape(head)}</p><div style='overflow-x: auto'><table><thead><tr>{top}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )


#: What the single normal distribution of cells as they are is called.
NORMAL = "normal"
