"""The training engine: a skorch net without the overheads. The only package that imports skorch."""

from skorch.callbacks import Callback

from sklae._training._batches import Batches, EncodedRows, n_batches
from sklae._training._callbacks import EpochClock, Monitor, StepSchedule
from sklae._training._net import SOLVERS, AutoencoderNet
from sklae._training._together import can_train_together, train_together

__all__ = [
    "SOLVERS",
    "AutoencoderNet",
    "Batches",
    "Callback",
    "EncodedRows",
    "EpochClock",
    "Monitor",
    "StepSchedule",
    "can_train_together",
    "n_batches",
    "train_together",
]
