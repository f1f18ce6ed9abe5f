"""Which methods of which estimators translate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sklae._autoencoders.autoencoder import AutoencoderTransformer
from sklae._autoencoders.vae import VAETransformer
from sklae._imputation.imputer import AEImputer
from sklae._outliers.detector import AEOutlierDetector
from sklae._tables.columns import Columns
from sklae.onnx._answers import Answers, AutoencoderAnswers, CodeAnswers, VAEAnswers
from sklae.onnx._detector import DetectorAnswers
from sklae.onnx._imputer import ImputerAnswers

__all__ = ["CONVERTERS", "answers_for", "columns_of", "find", "methods_of"]

#: Class -> its answers: for rows and, where there are some, for codes. The first method is what is meant by default.
CONVERTERS: dict[type, tuple[Any, ...]] = {
    AutoencoderTransformer: (AutoencoderAnswers, CodeAnswers),
    VAETransformer: (VAEAnswers, CodeAnswers),
    AEOutlierDetector: (DetectorAnswers,),
    AEImputer: (ImputerAnswers,),
}


def find(estimator: Any) -> tuple[Any, ...]:
    """Return the answers of an estimator's class, or of the nearest one that it derives from; none for others."""
    return next((CONVERTERS[kind] for kind in type(estimator).__mro__ if kind in CONVERTERS), ())


def methods_of(estimator: Any, method: str | Sequence[str] | None) -> list[str]:
    """Return the methods asked for.

    Raises
    ------
    TypeError
        For what is no estimator of sklae's.
    ValueError
        For methods that don't translate, or not together.
    AttributeError
        For methods that the estimator has not as it was fitted, with the reason.
    """
    kinds = find(estimator)
    if not kinds:
        raise TypeError(
            f"Got {type(estimator).__name__}; expected a Pipeline, or one of "
            f"{', '.join(sorted(kind.__name__ for kind in CONVERTERS))}."
        )
    known = [name for kind in kinds for name in kind.verbs]
    default = known[:1] or [name for kind in kinds for name in kind.refused][:1]
    methods = default if method is None else [method] if isinstance(method, str) else list(method)
    for name in methods:
        reason = next((kind.refused[name] for kind in kinds if name in kind.refused), None)
        if name not in known:
            raise ValueError(
                f"Got method={name!r} of {type(estimator).__name__}, which does not translate to ONNX"
                f"{f': {reason}' if reason else ''}; expected {f'some of {known}' if known else 'another estimator'}."
            )
        getattr(estimator, name)
    if not methods or len(set(methods)) < len(methods):
        raise ValueError(f"Got method={method!r}; expected one or several of {known}, each once.")
    if not any(set(methods) <= set(kind.verbs) for kind in kinds):
        raise ValueError(
            f"Got method={method!r}, of which some read rows and some read codes; expected methods that are fed the "
            "same. Convert them one by one."
        )
    return methods


def answers_for(estimator: Any, methods: Sequence[str], dtype: torch.dtype) -> Answers:
    """Return the module that answers these methods."""
    kind = next(kind for kind in find(estimator) if set(methods) <= set(kind.verbs))
    return kind(estimator, methods, dtype)


def columns_of(estimator: Any) -> Columns:
    """Return the columns of the tables that an estimator reads."""
    return find(estimator)[0].columns_of(estimator)
