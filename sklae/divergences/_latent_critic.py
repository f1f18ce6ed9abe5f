"""A critic of codes: the adversarial autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from sklae._utils.compat import Interval
from sklae.divergences._base import Codes, Divergence, DivergenceModule
from sklae.divergences._mmd import MMD
from sklae.networks import MLP, Inputs
from sklae.networks._judge import Judge

if TYPE_CHECKING:
    from sklae.posteriors import Posterior

__all__ = ["LatentCritic"]

# How many features of a code the critic judges by.
_WIDTH = 64


class LatentCritic(Divergence):
    """Codes that a critic can't tell from draws of the prior: the adversarial autoencoder (arXiv 1511.05644).

    The critic is trained against the model, by an optimizer of its own, to tell codes of rows from draws of the prior;
    the encoder is trained to have its codes taken for draws (the non-saturating logistic losses of arXiv 1406.2661).
    Codes of single rows stay free; only all together they resemble the prior. It asks for no densities, neither of the
    posterior, which may be ``"point"``, nor of the prior, which may be a `sklae.priors.Sampler`.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or int, default=(128, 128)
        Widths of the critic's hidden layers.
    weight : float, default=10.0
        What ``beta`` is multiplied by.
    gradient_penalty : float, default=1.0
        Weight of half the squared slope of the critic's judgement at draws of the prior (R1, arXiv 1801.04406): without
        it the critic and the encoder tend to chase each other. 0: none.
    learning_rate_init : float or None, default=None
        The critic's. None: the model's. Schedules change it as they do the model's.
    n_steps : int, default=1
        How many steps the critic takes for one of the model.

    Notes
    -----
    The critic's gradients are its own: neither ``learning_rate="auto"`` nor a callback, as skorch's
    `GradientNormClipping`, shortens them or counts them to the model's. `gradient_penalty` is what keeps them in check.

    The history has the encoder's term as ``adversarial``, and the critic's loss as ``opponent``: log 4 where it can't
    tell codes from draws. Both move with the critic, so that validation goes by the discrepancy of `MMD` instead, as
    ``valid_mmd``. A prior that is learned is not trained by the critic.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklae import VAETransformer
    >>> from sklae.critics import LatentCritic
    >>> X = load_wine().data
    >>> settings = {
    ...     "posterior": "point",
    ...     "divergence": LatentCritic((32,)),
    ...     "max_iter": 2,
    ...     "random_state": 0,
    ... }
    >>> VAETransformer(2, **settings).fit(X).sample(3, random_state=0).shape
    (3, 13)
    """

    bound_terms = ("mmd",)
    needs_density = False
    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "weight": [Interval(Real, 0, None, closed="left")],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), None],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (128, 128),
        *,
        weight: float = 10.0,
        gradient_penalty: float = 1.0,
        learning_rate_init: float | None = None,
        n_steps: int = 1,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.weight = weight
        self.gradient_penalty = gradient_penalty
        self.learning_rate_init = learning_rate_init
        self.n_steps = n_steps

    def check(self, posterior: Posterior) -> None:
        return None

    def weights(self, beta: float) -> dict[str, float]:
        return {"adversarial": beta * self.weight}

    def final_weights(self, beta: float) -> dict[str, float]:
        return {"adversarial": 0.0, "mmd": beta * self.weight}

    def build(self, n_components: int) -> DivergenceModule:
        return _LatentCriticModule(self, n_components)


class _LatentCriticModule(DivergenceModule):
    is_opponent = True

    def __init__(self, divergence: LatentCritic, n_components: int):
        super().__init__(divergence)
        self.n_steps = divergence.n_steps
        self.learning_rate = divergence.learning_rate_init
        network = MLP(divergence.hidden_layer_sizes, linear_path=False)
        self.judge = Judge(network, Inputs(n_components), _WIDTH, divergence.gradient_penalty)

    def forward(self, codes: Codes) -> dict[str, torch.Tensor]:
        log_odds, _ = self.judge.frozen(codes.z)
        terms = {"adversarial": functional.softplus(-log_odds)}
        return terms if self.training else {**terms, **MMD().terms(codes)}

    def opponent_loss(self, codes: Codes) -> torch.Tensor:
        with torch.no_grad():
            drawn = codes.draw_from_prior()
        return self.judge.tell_apart(drawn, codes.z)
