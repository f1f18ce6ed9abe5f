"""Penalties: what the training loss adds to keep codes in shape."""

from sklae.penalties._base import ActivePoint, CodedRows, Penalty, PenaltyModule
from sklae.penalties._contractive import Contractive
from sklae.penalties._neighbors import Neighbors
from sklae.penalties._sparse import L1, KLSparsity
from sklae.penalties._top_k import BatchTopK, TopK

__all__ = [
    "L1",
    "PENALTIES",
    "ActivePoint",
    "BatchTopK",
    "CodedRows",
    "Contractive",
    "KLSparsity",
    "Neighbors",
    "Penalty",
    "PenaltyModule",
    "TopK",
]

# as users import it: scikit-learn's errors print where a class is from
Penalty.__module__ = __name__

#: Name -> class. A new penalty is one class and one row here.
PENALTIES: dict[str, type[Penalty]] = {
    "l1": L1,
    "kl_sparsity": KLSparsity,
    "top_k": TopK,
    "batch_top_k": BatchTopK,
    "contractive": Contractive,
    "neighbors": Neighbors,
}
