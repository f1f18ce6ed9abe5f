"""Figures of several methods on several tables, the same for all: who is ahead, and why sklae isn't where it isn't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sklae._cli.report import Cell, ResultTable

__all__ = ["Comparison", "Figure"]


@dataclass(frozen=True)
class Figure:
    """What is measured: its name, its decimals, and which way is better.

    Parameters
    ----------
    name : str
    decimals : int
    lower_is_better : bool, default=False
    """

    name: str
    decimals: int
    lower_is_better: bool = False

    def shown(self, value: float) -> str:
        """Return a value as text; a dash for one that there is none of."""
        return "-" if np.isnan(value) else f"{self.rounded(value):.{self.decimals}f}"

    def rounded(self, value: float) -> float:
        """Return a value as it is shown: what looks equal is told as equal."""
        return round(float(value), self.decimals) + 0.0

    def leaders(self, values: Sequence[float]) -> list[bool]:
        """Return which values no other is ahead of."""
        signed = np.array([self.rounded(value) if value == value else np.nan for value in values])
        signed = -signed if self.lower_is_better else signed
        return [] if np.isnan(signed).all() else (signed == np.nanmax(signed)).tolist()


@dataclass
class Comparison:
    """What methods measured on tables.

    Parameters
    ----------
    title, lead : str
    figures : sequence of Figure
        The seconds of a fit are added.
    own : str
        The name of sklae's method.
    slow : str
        Why it can take longest. Said where it does.
    reasons : mapping of str to str
        Name of another method -> why it can be ahead. Said where it is.
    """

    title: str
    lead: str
    figures: Sequence[Figure]
    own: str
    slow: str
    reasons: Mapping[str, str]
    _measured: dict[str, dict[str, list[Sequence[float]]]] = field(default_factory=dict)

    def add(self, table: str, method: str, values: Sequence[float], seconds: float) -> None:
        """Note the figures of a run; of several runs the means are told."""
        self._measured.setdefault(table, {}).setdefault(method, []).append([*values, seconds])

    def result(self) -> ResultTable:
        """Return the figures, with a sentence wherever another method is ahead of sklae's."""
        figures = [*self.figures, Figure("seconds", 2, lower_is_better=True)]
        lines: list[Sequence[Cell]] = []
        best: set[tuple[int, int]] = set()
        for table, means in self._means().items():
            for column, figure in enumerate(self.figures):  # who is fast is no merit of its own
                leads = figure.leaders([values[column] for values in means.values()])
                best |= {(len(lines) + i, column + 2) for i, ahead in enumerate(leads) if ahead}
            for method, values in means.items():
                lines.append([table, method, *(f.shown(x) for f, x in zip(figures, values, strict=True))])
        header = ["table", "method", *(figure.name for figure in figures)]
        return ResultTable(self.title, header, lines, lead=self.lead, notes=self.losses(), best=frozenset(best))

    def losses(self) -> list[str]:
        """Return where others are ahead, and why, in a sentence for each of them; and what the time goes into."""
        ahead: dict[str, list[str]] = {}
        means = self._means()
        for table, methods in means.items():
            for column, figure in enumerate(self.figures):
                own = methods[self.own][column]
                for method, values in methods.items():
                    if method != self.own and figure.leaders([own, values[column]]) == [False, True]:
                        told = f"{table}, {figure.name} {figure.shown(values[column])} beside {figure.shown(own)}"
                        ahead.setdefault(method, []).append(told)
        said = [
            f"{name} is ahead of {self.own} ({'; '.join(where)}): {self.reasons[name]}" for name, where in ahead.items()
        ]
        is_slowest = all(
            methods[self.own][-1] == max(values[-1] for values in methods.values()) for methods in means.values()
        )
        return [*said, f"{self.own} takes longest: {self.slow}"] if is_slowest else said

    def _means(self) -> dict[str, dict[str, np.ndarray]]:
        """Return table -> method -> its figures and its seconds."""
        return {
            table: {method: np.mean(runs, axis=0) for method, runs in methods.items()}
            for table, methods in self._measured.items()
        }
