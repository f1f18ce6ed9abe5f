"""What a penalty is: a term of the loss, and perhaps what a plain autoencoder's codes go through."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from sklae._tables.layout import Rows
from sklae._utils.component import Component
from sklae.posteriors import PointCodes, Posterior, RowCodes

__all__ = ["ActiveCodes", "ActivePoint", "CodedRows", "Penalty", "PenaltyModule"]


class CodedRows(NamedTuple):
    """A batch of rows and their codes.

    Attributes
    ----------
    z : Tensor of shape (n_samples, n_components)
        The codes that are decoded: of a variational autoencoder drawn ones.
    q : RowCodes
        Their distributions.
    rows : Rows
        What the encoder was given: in training, corrupted rows.
    encode : callable
        ``encode(rows)`` returns the distributions of the codes of other rows.
    reconstruction : callable
        ``reconstruction(z)`` returns what the loss would be, (n_samples,), were the rows' codes these.
    generator : torch.Generator or None
        Where draws come from.
    """

    z: torch.Tensor
    q: RowCodes
    rows: Rows
    encode: Callable[[Rows], RowCodes]
    reconstruction: Callable[[torch.Tensor], torch.Tensor]
    generator: torch.Generator | None = None


class Penalty(Component):
    """A component that adds a term to the loss: ``term(z)`` in nats, per row or (batch statistics) a scalar.

    Attributes
    ----------
    activates : bool
        Whether the codes of a plain autoencoder go through an activation of the penalty's own.
    rectifies : bool
        Whether that activation gives the larger of its input and 0, or 0: then a model can start as PCA.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import AutoencoderTransformer
    >>> from sklae.penalties import Penalty
    >>> class Small(Penalty):
    ...     def term(self, z):
    ...         return z.square().sum(-1)
    >>> ae = AutoencoderTransformer(2, penalty=Small(), max_iter=2, random_state=0)
    >>> ae.fit_transform(load_wine().data).shape
    (178, 2)
    """

    activates: bool = False
    rectifies: bool = False

    def check(self, posterior: Posterior) -> None:
        """Refuse a posterior that the penalty is not defined for."""

    def term(self, z: torch.Tensor) -> torch.Tensor:
        """Return the penalty of codes z, of shape (n_samples,) or ().

        Parameters
        ----------
        z : Tensor of shape (n_samples, n_components)
            Codes, a row each.

        Returns
        -------
        term : Tensor of shape (n_samples,) or ()
            In nats.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither term(z) nor a build() that returns what has.")

    def build_activation(self, n_components: int) -> nn.Module:
        """Return the activation of codes, where there is one: from encoder outputs to codes of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} says activates=True and has no build_activation().")

    def build(self, n_components: int) -> PenaltyModule:
        """Return the module of the term: a subclass where the term is of more than codes."""
        return PenaltyModule(self)


class PenaltyModule(nn.Module):
    """The term of a penalty.

    Parameters
    ----------
    penalty : Penalty
        Whose module it is.

    Attributes
    ----------
    draws : bool
        Whether the term draws random numbers.
    remembers : bool
        Whether the term depends on earlier batches: then two evaluations of a batch differ, though no weight does.
    learns_from_rows : bool
        Whether it wants to see training rows: then `begin` is called before training, and `end` after it.
    """

    draws: bool = False
    remembers: bool = False
    learns_from_rows: bool = False

    def __init__(self, penalty: Penalty):
        super().__init__()
        self.penalty = penalty

    def forward(self, coded: CodedRows) -> torch.Tensor:
        """Return the penalty, of shape (n_samples,) or ()."""
        return self.penalty.term(coded.z)

    def begin(self, rows: Rows, inputs: Callable[..., torch.Tensor], generator: torch.Generator) -> None:
        """Learn from the training rows; ``inputs(x, observed)`` is what the encoder is given of them."""

    def end(self) -> None:
        """Forget them."""


class ActiveCodes(PointCodes):
    """Points that are an activation of ``raw``, what the encoder says."""

    def __init__(self, mean: torch.Tensor, raw: torch.Tensor):
        super().__init__(mean)
        self.raw = raw

    def select(self, rows: torch.Tensor) -> ActiveCodes:
        return ActiveCodes(self.mean[rows], self.raw[rows])


class _ActivePointModule(nn.Module):
    def __init__(self, activation: nn.Module):
        super().__init__()
        self.activation = activation

    def forward(self, h: torch.Tensor) -> RowCodes:
        return ActiveCodes(self.activation(h), h)


class _RectifiedPointModule(_ActivePointModule):
    rectifies = True

    def outputs_for(self, mean: torch.Tensor, std: torch.Tensor, n_outputs: int) -> torch.Tensor:
        return mean


class ActivePoint(Posterior):
    """The posterior of a plain autoencoder whose penalty says how codes are activated.

    Parameters
    ----------
    penalty : Penalty
        What activates the codes.

    Examples
    --------
    >>> from sklae.penalties import ActivePoint, TopK
    >>> ActivePoint(TopK(3)).n_outputs(8)
    8
    """

    has_density = False

    def __init__(self, penalty: Penalty):
        self.penalty = penalty

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def build(self, n_components: int) -> nn.Module:
        kind = _RectifiedPointModule if self.penalty.rectifies else _ActivePointModule
        return kind(self.penalty.build_activation(n_components))
