"""An imputer's answers: none so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sklae._tables.columns import Columns
from sklae.onnx._answers import Answers

__all__ = ["ImputerAnswers"]


class ImputerAnswers(Answers):
    """Of an `AEImputer`."""

    verbs: ClassVar[Mapping[str, str]] = {}
    refused: ClassVar[Mapping[str, str]] = {
        "transform": (
            "each pattern of gaps solves equations of its own under each of its mixtures of normals. Fill rows with "
            "sklae, or reconstruct them by a transformer"
        )
    }

    @staticmethod
    def columns_of(estimator: Any) -> Columns:
        return estimator._container.columns
