"""Variants of sklae's detector, and no autoencoder at all: what `detection.py --ablation` compares.

- *default*: what all others are compared with.
- *... alone*: what one kind of evidence finds by itself; "reconstruction alone" is the autoencoder alone.
- *without ...*: what a kind adds to the others: the default's lead over it. "without reconstruction" scores without the
  autoencoder, though one is fitted: the default's lead is all that the network brings.
- *cv=None*: training rows judged by what was fitted to them. Shows what leaving them out is worth to the ranking, and,
  in false alarms, to thresholds.
- *n_estimators=4*: whether more autoencoders than one find more.
- *support_fraction=0.9*: a fixed share of rows trusted, where the default leaves out none to a fifth.
- *support_fraction=1.0*: all rows trusted, and joined by three kinds of evidence: what it gains on clean rows, and what
  it costs on others.
- *no autoencoder: neighbour distance*: mean distance to the 5 nearest training rows, nothing else: what the whole
  detector brings over the simplest score there is.
"""

from __future__ import annotations

from benchmarks.outliers._baselines import NeighborDistance
from benchmarks.outliers._protocol import Make, sklae

__all__ = ["DEFAULT", "variants"]

DEFAULT = "default"
#: The kinds of evidence that the default joins.
EVIDENCE = ("neighbors", "mixture", "robust_covariance", "columns", "reconstruction")


def variants() -> dict[str, Make]:
    """Return what makes each variant from a seed."""
    others = {left_out: [name for name in EVIDENCE if name != left_out] for left_out in EVIDENCE}
    return {
        DEFAULT: sklae(),
        **{f"{name} alone": sklae(anomaly_score=name) for name in EVIDENCE},
        **{f"without {name}": sklae(anomaly_score=names) for name, names in others.items()},
        "cv=None": sklae(cv=None),
        "n_estimators=4": sklae(n_estimators=4),
        "support_fraction=0.9": sklae(support_fraction=0.9),
        "support_fraction=1.0": sklae(support_fraction=1.0),
        "no autoencoder: neighbour distance": lambda seed: NeighborDistance(),
    }
