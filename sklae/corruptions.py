"""Corruptions: damage to the inputs in training that the autoencoder learns to undo."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Real
from typing import TYPE_CHECKING

import torch
from torch import nn

from sklae._utils.compat import Interval
from sklae._utils.component import Component

if TYPE_CHECKING:
    from sklae._tables.layout import Layout

__all__ = [
    "CORRUPTIONS",
    "Binarize",
    "BlockMasking",
    "Corruption",
    "GaussianNoise",
    "Masking",
    "SaltAndPepper",
    "Swap",
]

_FRACTION = {"fraction": [Interval(Real, 0, 1, closed="both")]}


class Corruption(Component):
    """A component that builds a module ``forward(x, generator) -> (damaged x, kept)``.

    ``kept`` is None, or a tensor that is 0 where the corruption hides a value from the encoder.

    Attributes
    ----------
    masks : bool
        Whether it hides values; the encoder then sees a mask beside the values.
    redraws_target : bool
        Whether what it makes of the values is also what is to be reconstructed.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.corruptions import CORRUPTIONS, Corruption
    >>> class Weak(Corruption):
    ...     def build(self, layout):
    ...         return CORRUPTIONS["gaussian_noise"](0.01).build(layout)
    >>> ae = AutoencoderTransformer(2, corruption=Weak(), max_iter=2, random_state=0)
    >>> ae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    masks: bool = False
    redraws_target: bool = False

    @abstractmethod
    def build(self, layout: Layout) -> nn.Module:
        """Return the module for these columns."""


def _chosen(x: torch.Tensor, fraction: float, generator: torch.Generator) -> torch.Tensor:
    return torch.empty_like(x).uniform_(generator=generator) < fraction


class _GaussianNoiseModule(nn.Module):
    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, None]:
        return x + self.scale * torch.empty_like(x).normal_(generator=generator), None


class GaussianNoise(Corruption):
    """Add normal noise to every value (Vincent et al., JMLR 11:3371, 2010).

    Parameters
    ----------
    scale : float, default=0.5
        Standard deviation, in encoded units: standard deviations of the column where columns are
        standardised.

    Examples
    --------
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.corruptions import GaussianNoise
    >>> AutoencoderTransformer(corruption=GaussianNoise(0.3)).corruption.scale
    0.3
    """

    _parameter_constraints = {"scale": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, scale: float = 0.5):
        self.scale = scale

    def build(self, layout: Layout) -> nn.Module:
        return _GaussianNoiseModule(self.scale)


class _MaskingModule(nn.Module):
    fill: torch.Tensor

    def __init__(self, fraction: float, fill: torch.Tensor):
        super().__init__()
        self.fraction = fraction
        self.register_buffer("fill", fill)

    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = _chosen(x, self.fraction, generator)
        return torch.where(hidden, self.fill, x), (~hidden).to(x.dtype)


class Masking(Corruption):
    """Hide a share of the values, as if they were missing (Vincent et al., ICML 2008).

    Hidden values are replaced by the column's mean, and the encoder is told which ones they are.

    Parameters
    ----------
    fraction : float, default=0.2
        The chance that a value is hidden.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.corruptions import Masking
    >>> ae = AutoencoderTransformer(2, corruption=Masking(0.4), max_iter=2, random_state=0)
    >>> ae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    masks = True
    _parameter_constraints = _FRACTION

    def __init__(self, fraction: float = 0.2):
        self.fraction = fraction

    def build(self, layout: Layout) -> nn.Module:
        return _MaskingModule(self.fraction, torch.as_tensor(layout.fill, dtype=torch.float32))


class _SaltAndPepperModule(nn.Module):
    minimum: torch.Tensor
    maximum: torch.Tensor

    def __init__(self, fraction: float, minimum: torch.Tensor, maximum: torch.Tensor):
        super().__init__()
        self.fraction = fraction
        self.register_buffer("minimum", minimum)
        self.register_buffer("maximum", maximum)

    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, None]:
        draw = torch.empty_like(x).uniform_(generator=generator)
        x = torch.where(draw < self.fraction, self.minimum, x)
        return torch.where(draw < 0.5 * self.fraction, self.maximum, x), None


class SaltAndPepper(Corruption):
    """Set a share of the values to the column's smallest or largest value (Vincent et al., 2010).

    Parameters
    ----------
    fraction : float, default=0.2
        The chance that a value is replaced; half of them become the maximum seen in ``fit``, half the
        minimum.

    Examples
    --------
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.corruptions import SaltAndPepper
    >>> ae = AutoencoderTransformer(corruption=SaltAndPepper(0.3))
    >>> ae.set_params(corruption__fraction=0.1).corruption
    SaltAndPepper(fraction=0.1)
    """

    _parameter_constraints = _FRACTION

    def __init__(self, fraction: float = 0.2):
        self.fraction = fraction

    def build(self, layout: Layout) -> nn.Module:
        bounds = (torch.as_tensor(b, dtype=torch.float32) for b in (layout.minimum, layout.maximum))
        return _SaltAndPepperModule(self.fraction, *bounds)


class _SwapModule(nn.Module):
    def __init__(self, fraction: float):
        super().__init__()
        self.fraction = fraction

    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, None]:
        shape = x.shape
        donors = torch.randint(len(x), shape, generator=generator, device=x.device)
        return torch.where(_chosen(x, self.fraction, generator), x.gather(0, donors), x), None


class Swap(Corruption):
    """Replace a share of the values by those of other rows, column by column.

    Keeps every column's distribution and breaks the ties between columns: "swap noise", known from
    tabular competitions and used in arXiv 2106.15147.

    Parameters
    ----------
    fraction : float, default=0.15
        The chance that a value is replaced by the same column's value in a random row of the batch.

    Examples
    --------
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.corruptions import Swap
    >>> ae = AutoencoderTransformer(corruption="swap")
    >>> ae.set_params(corruption__fraction=0.25).corruption
    Swap(fraction=0.25)
    """

    _parameter_constraints = _FRACTION

    def __init__(self, fraction: float = 0.15):
        self.fraction = fraction

    def build(self, layout: Layout) -> nn.Module:
        return _SwapModule(self.fraction)


class _BlockMaskingModule(nn.Module):
    fill: torch.Tensor
    member: torch.Tensor

    def __init__(self, probability: float, fill: torch.Tensor, member: torch.Tensor):
        super().__init__()
        self.probability = probability
        self.register_buffer("fill", fill)
        self.register_buffer("member", member)

    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        blocks = x.new_empty(len(x), len(self.member))
        draw = blocks.uniform_(generator=generator)
        hidden = draw < self.probability
        # the block that drew highest stays: a row of which nothing is seen teaches nothing
        hidden = hidden.scatter(1, draw.argmax(1, keepdim=True), False)
        kept = 1.0 - hidden.to(x.dtype) @ self.member.to(x.dtype)
        return torch.where(kept > 0, x, self.fill), kept


class BlockMasking(Corruption):
    """Hide whole blocks of columns, at least one of each row excepted; for models of several blocks.

    Parameters
    ----------
    probability : float, default=0.3
        The chance that a block is hidden.

    Examples
    --------
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.corruptions import BlockMasking
    >>> AutoencoderTransformer(corruption=BlockMasking()).get_params()["corruption"]
    BlockMasking()
    """

    masks = True
    _parameter_constraints = {"probability": [Interval(Real, 0, 1, closed="both")]}

    def __init__(self, probability: float = 0.3):
        self.probability = probability

    def build(self, layout: Layout) -> nn.Module:
        if len(layout.blocks) == 1 < layout.n_features:
            raise ValueError(
                "Got corruption='block_masking' for a single block of columns, which always stays; expected several. "
                "Name them: likelihood=[('name', 'gaussian', columns), ...]."
            )
        member = torch.zeros(len(layout.blocks), layout.n_features)
        for i, (_, columns) in enumerate(layout.blocks):
            member[i, torch.as_tensor(columns)] = 1.0
        return _BlockMaskingModule(self.probability, torch.as_tensor(layout.fill, dtype=torch.float32), member)


class _BinarizeModule(nn.Module):
    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, None]:
        return torch.bernoulli(x, generator=generator), None


class Binarize(Corruption):
    """Draw zeros and ones with the values as probabilities, anew in every step, and reconstruct the draws.

    Dynamic binarisation of grey images, as in arXiv 1509.00519. For data in [0, 1].

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklae import VAETransformer
    >>> X = load_digits().data / 16.0
    >>> vae = VAETransformer(
    ...     2,
    ...     likelihood="bernoulli",
    ...     corruption="binarize",
    ...     learning_rate="cosine",
    ...     max_iter=2,
    ... )
    >>> vae.fit(X).transform(X).shape
    (1797, 2)
    """

    redraws_target = True

    def build(self, layout: Layout) -> nn.Module:
        if layout.minimum.min() < 0 or layout.maximum.max() > 1:
            raise ValueError(
                f"Got values from {layout.minimum.min():g} to {layout.maximum.max():g} with corruption='binarize'; "
                "expected all in [0, 1]. Put a MinMaxScaler before, and use likelihood='bernoulli'."
            )
        return _BinarizeModule()


#: Name -> class. A new corruption is one class and one row here.
CORRUPTIONS: dict[str, type[Corruption]] = {
    "gaussian_noise": GaussianNoise,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
    "swap": Swap,
    "block_masking": BlockMasking,
    "binarize": Binarize,
}
