"""Critics: what is trained to tell genuine from made, and whom the model learns to deceive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sklae._utils.compat import Interval
from sklae._utils.component import Component
from sklae.divergences import Codes, LatentCritic
from sklae.divergences._base import Opponent
from sklae.networks import MLP, Inputs, Network
from sklae.networks._judge import Judge

if TYPE_CHECKING:
    from sklae._tables.layout import Layout, Rows
    from sklae.likelihoods import ColumnDensity

# What stands on the floor above, which parts do not import: the module of an estimator, and what it says of rows.
AutoencoderModule: TypeAlias = Any
RowsGiven: TypeAlias = Any

__all__ = ["CRITICS", "Critic", "CriticModule", "DataCritic", "Judged", "LatentCritic", "RowsSeen"]


class Judged(NamedTuple):
    """What a critic sees of a batch: numbers as an encoder sees them, and a number for each level of a category.

    Gaps hold what the model makes of them, and columns that were constant in ``fit`` hold 0, in all of these.

    Attributes
    ----------
    genuine : Tensor of shape (n_samples, n_inputs)
        The rows. Of their levels 1 for the one that is there.
    made : Tensor of shape (n_samples, n_inputs)
        Expected rows, given their codes: of levels their probabilities.
    codes : Codes
        Their codes ``z``, the ``prior``, and the ``generator`` for draws of the critic's own.
    make : callable
        ``make(z)`` returns the expected rows of other codes, one for each row of the batch, or several times so many.
    condition : Tensor of shape (n_samples, n_condition) or None
        Encoded conditions of the rows.
    """

    genuine: torch.Tensor
    made: torch.Tensor
    codes: Codes
    make: Callable[[torch.Tensor], torch.Tensor]
    condition: torch.Tensor | None


class RowsSeen(nn.Module):
    """Rows of a table, observed or expected, as a critic sees them.

    Parameters
    ----------
    density : ColumnDensity
        What the likelihood built: it knows how columns become numbers.
    layout : Layout
        The columns.
    """

    numbers: torch.Tensor
    column: torch.Tensor
    level: torch.Tensor
    cells: torch.Tensor

    def __init__(self, density: ColumnDensity, layout: Layout):
        super().__init__()
        n_levels = density.n_levels(layout.n_features)
        input_columns = np.asarray(density.input_columns(layout.n_features))
        width = np.maximum(n_levels, 1)
        owner = np.repeat(np.arange(len(width)), width)
        first = np.cumsum(width) - width
        is_level = n_levels[owner] > 0
        numbers = np.flatnonzero(n_levels[input_columns] == 0)
        self.has_levels = bool(is_level.any())
        tensors = {
            "numbers": numbers,
            "column": np.concatenate([input_columns[numbers], owner[is_level]]),
            "level": (np.arange(len(owner)) - first[owner])[is_level],
            "cells": np.flatnonzero(is_level),
        }
        for name, values in tensors.items():
            self.register_buffer(name, torch.as_tensor(values), persistent=False)
        n_inputs = len(tensors["column"])
        self.inputs = Inputs(n_inputs, 0, layout.n_condition, layout.n_features)

    def judged(self, model: AutoencoderModule, given: RowsGiven, target: Rows, codes: Codes) -> Judged:
        """Return a batch and what a model makes of it."""
        n_rows, condition = len(target.x), target.condition
        varies = None if model.varies is None else model.varies.index_select(-1, self.column)
        observed = None if target.observed is None else target.observed.index_select(-1, self.column)

        def make(z: torch.Tensor) -> torch.Tensor:
            conditions = None if condition is None else condition.repeat(len(z) // n_rows, 1)
            return _where_it_varies(self._expected(model, model.given(z, conditions, codes.generator)), varies)

        made = _where_it_varies(self._expected(model, given), varies)
        genuine = _where_it_varies(self._observed(model, target.x), varies)
        if observed is not None:
            genuine = torch.where(observed > 0, genuine, made.detach())
        return Judged(genuine, made, codes, make, condition)

    def _expected(self, model: Any, given: Any) -> torch.Tensor:
        if not self.has_levels:
            return self._numbers(model, given.mean)
        return torch.cat([self._numbers(model, given.mean), given.expectation().index_select(-1, self.cells)], -1)

    def _observed(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        if not self.has_levels:
            return self._numbers(model, x)
        owner = self.column[len(self.numbers) :]
        levels = (x.index_select(-1, owner) == self.level).to(x.dtype)
        return torch.cat([self._numbers(model, x), levels], -1)

    def _numbers(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        inputs = model.likelihood.inputs(x, None)
        return inputs.index_select(-1, self.numbers) if self.has_levels else inputs


def _where_it_varies(values: torch.Tensor, varies: torch.Tensor | None) -> torch.Tensor:
    return values if varies is None else values * varies


class Critic(Component):
    """A component that builds what judges rows: a `CriticModule`.

    Examples
    --------
    >>> from sklae.critics import Critic, CriticModule
    >>> class RoughnessModule(CriticModule):
    ...     is_opponent = False
    ...
    ...     def forward(self, judged):
    ...         rows, made = (part.diff(dim=-1).abs().mean(-1) for part in judged[:2])
    ...         return {"roughness": (rows - made).square()}
    >>> class Roughness(Critic):
    ...     def weights(self):
    ...         return {"roughness": 1.0}
    ...
    ...     def build(self, inputs):
    ...         return RoughnessModule(self)
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> vae = VAETransformer(2, critic=Roughness(), max_iter=2, random_state=0).fit(
    ...     load_wine().data
    ... )
    >>> "train_roughness" in vae.net_.history[-1]
    True
    """

    @abstractmethod
    def weights(self) -> dict[str, float]:
        """Return the weights in the loss of the module's terms and, if it is not to be 1, of ``reconstruction``."""

    def final_weights(self) -> dict[str, float]:
        """Return what the terms weigh in the loss of validation rows: nothing, for they move with the critic."""
        return {name: 1.0 if name == "reconstruction" else 0.0 for name in self.weights()}

    @abstractmethod
    def build(self, inputs: Inputs) -> CriticModule:
        """Return the module for what it sees of rows, and their conditions."""


class CriticModule(Opponent):
    """What a critic builds: terms of the model's loss, and a loss of its own.

    Parameters
    ----------
    critic : Critic
        Whose module it is.
    """

    loss_name = "critic"

    def __init__(self, critic: Critic):
        super().__init__()
        self.critic = critic

    @abstractmethod
    def forward(self, judged: Judged) -> dict[str, torch.Tensor]:
        """Return terms of the model's loss by name, (n_samples,) each."""

    @abstractmethod
    def opponent_loss(self, judged: Judged) -> torch.Tensor:
        """Return what the critic's parameters minimise; what the model makes is to be cut off from it."""


class DataCritic(Critic):
    """A critic that tells rows from what the model makes: the VAE-GAN (arXiv 1512.09300).

    It is trained, by an optimizer of its own, to tell rows of the table from expected rows given their codes and given
    draws of the prior. The decoder learns to have these taken for rows of the table: expected rows of likelihoods that
    know no neighbours are blurred, which is what gives them away. And rows are to be like their reconstructions in
    what the critic sees: in features that it judges by, not cell by cell alone.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or int, default=(256,)
        Widths of the critic's hidden layers.
    network : Network or None, default=None
        A network whose encoder makes the features, in place of hidden layers: ``Conv()``.
    n_outputs : int, default=64
        How many features of a row there are.
    adversary : float, default=10.0
        Weight of the decoder's term, in nats per row.
    similarity : float, default=1.0
        Weight of half the squared distance between the features of a row and of its reconstruction: as if they were
        normal, in nats. Features have one variance in every row, so that it is below twice their number.
    reconstruction : float, default=1.0
        Weight of the reconstruction, cell by cell. The paper has none; with much less than 0.1 images fell apart where
        that was tried.
    gradient_penalty : float, default=1.0
        Weight of half the squared slope of the critic's judgement at rows of the table (R1, arXiv 1801.04406). 0: none.
    learning_rate_init : float or None, default=None
        The critic's. None: the model's. Schedules change it as they do the model's.
    n_steps : int, default=1
        How many steps the critic takes for one of the model.

    Notes
    -----
    The critic's gradients are its own: neither ``learning_rate="auto"`` nor a callback, as skorch's
    `GradientNormClipping`, shortens them or counts them to the model's. `gradient_penalty` is what keeps them in check.

    As in the paper, the encoder learns from the divergence and from similarity (and reconstruction), and is not trained
    to deceive the critic; the critic alone shapes the features. The history has the terms ``adversary`` and
    ``similarity``, and the critic's loss as ``critic``: log 4 where it can't tell rows from what is made. All three
    move with the critic, so that validation goes by the bound. Of categories the critic is shown the probabilities of
    levels, which draws certain answers from the decoder. Gaps are filled by the reconstruction before the critic sees
    a row.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.critics import DataCritic
    >>> vae = VAETransformer(
    ...     2, critic=DataCritic(similarity=0.5), max_iter=2, random_state=0
    ... ).fit(load_wine().data)
    >>> [
    ...     name
    ...     for name in ("adversary", "similarity", "critic")
    ...     if f"train_{name}" in vae.net_.history[-1]
    ... ]
    ['adversary', 'similarity', 'critic']
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "network": [Network, None],
        "n_outputs": [Interval(Integral, 2, None, closed="left")],
        "adversary": [Interval(Real, 0, None, closed="left")],
        "similarity": [Interval(Real, 0, None, closed="left")],
        "reconstruction": [Interval(Real, 0, None, closed="left")],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), None],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (256,),
        *,
        network: Network | None = None,
        n_outputs: int = 64,
        adversary: float = 10.0,
        similarity: float = 1.0,
        reconstruction: float = 1.0,
        gradient_penalty: float = 1.0,
        learning_rate_init: float | None = None,
        n_steps: int = 1,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.network = network
        self.n_outputs = n_outputs
        self.adversary = adversary
        self.similarity = similarity
        self.reconstruction = reconstruction
        self.gradient_penalty = gradient_penalty
        self.learning_rate_init = learning_rate_init
        self.n_steps = n_steps

    def weights(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in ("reconstruction", "similarity", "adversary")}

    def build(self, inputs: Inputs) -> CriticModule:
        return _DataCriticModule(self, inputs)


class _DataCriticModule(CriticModule):
    def __init__(self, critic: DataCritic, inputs: Inputs):
        super().__init__(critic)
        self.n_steps = critic.n_steps
        self.learning_rate = critic.learning_rate_init
        network = critic.network or MLP(critic.hidden_layer_sizes, linear_path=False)
        self.judge = Judge(network, inputs, critic.n_outputs, critic.gradient_penalty)

    def forward(self, judged: Judged) -> dict[str, torch.Tensor]:
        condition, generator = judged.condition, judged.codes.generator
        with torch.no_grad():
            _, wanted = self.judge(judged.genuine, condition, generator)
        _, features = self.judge.frozen(judged.made, condition, generator)
        log_odds, _ = self.judge.frozen(self._make(judged), _twice(condition), generator)
        return {
            "similarity": 0.5 * (wanted - features).square().sum(-1),
            # of reconstructions and of draws, half each
            "adversary": functional.softplus(-log_odds).view(2, -1).mean(0),
        }

    def opponent_loss(self, judged: Judged) -> torch.Tensor:
        with torch.no_grad():
            made = self._make(judged)
        condition, generator = judged.condition, judged.codes.generator
        return self.judge.tell_apart(judged.genuine, made, condition, _twice(condition), generator)

    def _make(self, judged: Judged) -> torch.Tensor:
        """Return rows made of the batch's codes, cut off from the encoder, and after them of draws of the prior."""
        with torch.no_grad():
            drawn = judged.codes.draw_from_prior()
        return judged.make(torch.cat([judged.codes.z.detach(), drawn]))


def _twice(condition: torch.Tensor | None) -> torch.Tensor | None:
    return None if condition is None else torch.cat([condition, condition])


#: Name -> class. A new critic of rows is one class and one row here.
CRITICS: dict[str, type[Critic]] = {"data": DataCritic}
