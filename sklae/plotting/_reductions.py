"""Ways to draw many components as two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from sklae.plotting._tables import generator_for

__all__ = ["check_codes", "reduce_codes"]


def check_codes(codes: ArrayLike) -> np.ndarray:
    """Return codes as float64.

    Raises
    ------
    ValueError
        For such as are no numbers, or of fewer than two components.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] < 2:
        raise ValueError(
            f"Got codes of shape {codes.shape}; expected (n_samples, 2) or wider. Fit with n_components=2."
        )
    try:
        return codes.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Got codes that are no numbers: {error}; expected what `transform` of an autoencoder returns."
        ) from error


def reduce_codes(
    codes: np.ndarray, method: Any, components: tuple[int, int], random_state: Any
) -> tuple[np.ndarray, Any]:
    """Return positions on the map, and what its axes are called."""
    if hasattr(method, "fit_transform"):
        name = type(method).__name__
        return np.asarray(method.fit_transform(codes))[:, :2], (f"{name} 1", f"{name} 2")
    if not isinstance(method, str) or method not in _METHODS:
        raise ValueError(
            f"Got method={method!r}; expected 'auto', one of {sorted(_METHODS)}, or an object with fit_transform."
        )
    return _METHODS[method](codes, components, random_state)


def _take(codes: np.ndarray, components: tuple[int, int], random_state: Any) -> tuple[np.ndarray, Any]:
    wrong = [i for i in components if not -codes.shape[1] <= i < codes.shape[1]]
    if wrong or len(components) != 2:
        raise ValueError(f"Got components={components!r}; expected two integers below {codes.shape[1]}.")
    return codes[:, list(components)], tuple(f"component {i % codes.shape[1]}" for i in components)


def _by_pca(codes: np.ndarray, components: tuple[int, int], random_state: Any) -> tuple[np.ndarray, Any]:
    if len(codes) < 2:
        raise ValueError(f"Got {len(codes)} row to lay out by method='pca'; expected at least 2. Pass more of them.")
    pca = PCA(2, svd_solver="full").fit(codes)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    return pca.transform(codes), tuple(f"PCA {i + 1} ({share:.0%} of variance)" for i, share in enumerate(shares))


def _by_tsne(codes: np.ndarray, components: tuple[int, int], random_state: Any) -> tuple[np.ndarray, Any]:
    perplexity = min(30.0, (len(codes) - 1) / 3)
    random_state = generator_for(random_state)
    positions = TSNE(2, perplexity=perplexity, init="pca", random_state=random_state).fit_transform(codes)
    return positions, ("t-SNE 1", "t-SNE 2")


def _by_umap(codes: np.ndarray, components: tuple[int, int], random_state: Any) -> tuple[np.ndarray, Any]:
    try:
        from umap import UMAP
    except ImportError as error:
        raise ImportError(
            "umap-learn is missing; method='umap' needs it. Run: pip install \"sklae[umap]\". Or take method='tsne'."
        ) from error
    return np.asarray(UMAP(n_components=2, random_state=random_state).fit_transform(codes)), ("UMAP 1", "UMAP 2")


_METHODS: dict[str, Callable[[np.ndarray, tuple[int, int], Any], tuple[np.ndarray, Any]]] = {
    "components": _take,
    "pca": _by_pca,
    "tsne": _by_tsne,
    "umap": _by_umap,
}
