"""Autoencoders as scikit-learn estimators."""

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

__version__ = "0.2.0.dev0"

# Both are loaded when first used: torch and skorch cost seconds to import.
_HOMES = {
    "AutoencoderTransformer": "sklae._autoencoders.autoencoder",
    "VAETransformer": "sklae._autoencoders.vae",
    "AEImputer": "sklae._imputation.imputer",
    "AEOutlierDetector": "sklae._outliers.detector",
    "load": "sklae._saving",
    "save": "sklae._saving",
    "trusted_types": "sklae._saving",
}
_SUBMODULES = (
    "compression",
    "corruptions",
    "critics",
    "distributed",
    "divergences",
    "exceptions",
    "likelihoods",
    "metrics",
    "onnx",
    "networks",
    "penalties",
    "plotting",
    "posteriors",
    "priors",
    "schedules",
    "sources",
)
__all__ = [
    "AEImputer",
    "AEOutlierDetector",
    "AutoencoderTransformer",
    "VAETransformer",
    "load",
    "save",
    "trusted_types",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _SUBMODULES:
        return import_module(f"sklae.{name}")
    raise AttributeError(f"module 'sklae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_SUBMODULES})


# Where pickles of 0.1.0 look for estimators and nets.
_GONE = {"sklae._autoencoder", "sklae._vae", "sklae._imputer", "sklae._outlier", "sklae._training._net"}


class _FilesOfOtherVersions(MetaPathFinder):
    """Says which version wrote a pickle, where that names a module which is no longer there. Asked last of all."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname in _GONE:
            raise ModuleNotFoundError(
                f"Got a pickle of sklae 0.1.0, which had a module {fullname}; expected one of sklae {__version__}. "
                "Fit the estimator again, or load it with sklae 0.1.0.",
                name=fullname,
            )


sys.meta_path.append(_FilesOfOtherVersions())
