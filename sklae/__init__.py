"""Autoencoders as scikit-learn estimators."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Loaded when first used: torch and skorch cost seconds to import.
_HOMES = {
    "AutoencoderTransformer": "sklae._autoencoder",
    "VAETransformer": "sklae._vae",
    "AEImputer": "sklae._imputer",
    "AEOutlierDetector": "sklae._outlier",
}
__all__ = ["AEImputer", "AEOutlierDetector", "AutoencoderTransformer", "VAETransformer"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sklae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
