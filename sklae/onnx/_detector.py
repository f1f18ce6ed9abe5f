"""A detector's answers: its neighbours, distributions and known rows in the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from sklae._outliers.calibration import FARTHEST, KnownRows
from sklae._outliers.combination import Joint
from sklae._tables.columns import Columns
from sklae.onnx._answers import Answers
from sklae.onnx._curves import n_at_or_below
from sklae.onnx._evidence import EVIDENCE_MODULES, EnsembleModule
from sklae.onnx._layout import numbers
from sklae.onnx._table import TableInputs

__all__ = ["DetectorAnswers"]


class _Judged(NamedTuple):
    """A table, the scores of its rows, and which of them were fitted."""

    table: torch.Tensor
    scores: torch.Tensor
    is_known: torch.Tensor | None


class DetectorAnswers(Answers):
    """Of an `AEOutlierDetector`, in float64 but for what comes in and what goes out, as the detector has it.

    Parameters
    ----------
    estimator : AEOutlierDetector
        Fitted.
    methods, dtype
        As of `Answers`.
    """

    verbs: ClassVar[Mapping[str, str]] = {
        "decision_function": "decisions",
        "predict": "labels",
        "score_samples": "own_scores",
        "p_values": "chances",
        "transform": "codes",
    }
    refused: ClassVar[Mapping[str, str]] = {"explain": "it repairs each cell of a row in turn"}

    @staticmethod
    def columns_of(estimator: Any) -> Columns:
        return estimator.autoencoder_.layout_.columns

    def __init__(self, estimator: Any, methods: Sequence[str], dtype: torch.dtype):
        super().__init__(TableInputs.of(self.columns_of(estimator)), methods, dtype)
        self.anomaly = _JointModule(estimator._joint)
        known: KnownRows | None = estimator._known
        self.known = None if known is None else _KnownModule(known)
        calibration = estimator._calibration
        self.usual = numbers(calibration.usual)
        self.counts_itself = calibration.held_out is None and known is not None
        self.offset, self.least = float(estimator.offset_), float(estimator.min_p_value_)

    def see(self, table: torch.Tensor) -> _Judged:
        scores, is_known = -self.anomaly(table), None
        if self.known is not None:
            found, is_known = self.known(table)
            scores = torch.where(is_known, found, scores)
        return _Judged(table, scores, is_known)

    def own_scores(self, judged: _Judged) -> tuple[torch.Tensor, ...]:
        """Return minus the anomaly."""
        return (judged.scores.to(self.dtype),)

    def decisions(self, judged: _Judged) -> tuple[torch.Tensor, ...]:
        """Return what scores are above the threshold."""
        return ((judged.scores - self.offset).to(self.dtype),)

    def labels(self, judged: _Judged) -> tuple[torch.Tensor, ...]:
        """Return 1 for inliers and -1 for outliers, int64."""
        return (1 - 2 * (judged.scores - self.offset < 0).to(torch.int64),)

    def chances(self, judged: _Judged) -> tuple[torch.Tensor, ...]:
        """Return conformal p-values."""
        total = len(self.usual) + 1.0
        p_values = (1.0 + n_at_or_below(judged.scores, self.usual).double()) / total
        if self.counts_itself and judged.is_known is not None:
            p_values = p_values - judged.is_known.double() / total
        return (p_values.clamp(min=self.least).to(self.dtype),)

    def codes(self, judged: _Judged) -> tuple[torch.Tensor, ...]:
        """Return the codes of the first autoencoder."""
        ensemble = self.anomaly.ensemble
        return (ensemble.networks[0].encode(*ensemble.layout(judged.table)).mean.to(self.dtype),)


class _JointModule(nn.Module):
    """How anomalous rows are, by all kinds of evidence: see `Joint`."""

    def __init__(self, joint: Joint):
        super().__init__()
        self.ensemble = EnsembleModule(joint.ensemble)
        self.is_alone = joint.alone is not None
        self.parts = nn.ModuleList([EVIDENCE_MODULES[type(part)](part, self.ensemble) for part in joint.parts])
        self.weights = [part.weight for part in joint.parts]

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        seen = self.ensemble.see(table)
        if self.is_alone:
            return self.parts[0].strangeness(seen)  # type: ignore[operator]
        surprises = [weight * part(seen) for weight, part in zip(self.weights, self.parts, strict=True)]
        there = ~seen.values.isnan().all(-1)
        return torch.where(there, torch.stack(surprises).sum(0), 0.0)


class _KnownModule(nn.Module):
    """Looks rows up among those that were fitted, by the same keys: integers of 64 bits, whose products wrap."""

    def __init__(self, known: KnownRows):
        super().__init__()
        self.center, self.unit = numbers(known.center), numbers(known.unit)
        self.keys = torch.as_tensor(known.keys.view(np.int64))
        self.scores = numbers(known.scores)
        self.multipliers = known.multipliers(len(known.center)).view(np.int64).tolist()

    def forward(self, table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores of rows, 0 where they are not known, and which are."""
        steps = ((table - self.center) / self.unit).clamp(-FARTHEST, FARTHEST)  # which may make numbers of NaN
        bits = torch.where(table.isnan(), 2 * FARTHEST, steps.round()).to(torch.int64)
        key = torch.zeros_like(bits[:, 0])
        for column, multiplier in zip(bits.unbind(-1), self.multipliers, strict=True):
            key = (key ^ column) * multiplier
            key = key ^ ((key >> 29) & (2**35 - 1))  # a shift of the bits alone, whatever the sign
        same = key[:, None] == self.keys
        return same.double() @ self.scores, same.any(-1)
