"""The training engine: a skorch net without the overheads. The only package that imports skorch."""

from skorch.callbacks import Callback

from sklae._training._batches import Batches, EncodedRows, n_batches
from sklae._training._callbacks import EpochClock, Monitor, StepSchedule
from sklae._training._net import SOLVERS, AutoencoderNet

__all__ = [
    "SOLVERS",
    "AutoencoderNet",
    "Batches",
    "Callback",
    "EncodedRows",
    "EpochClock",
    "Monitor",
    "StepSchedule",
    "n_batches",
]
