"""What several test modules share: small tables, every part under test, and parts and estimators made for tests only.

The parts are read from the tables of the package, so that a new one is tested the moment it is listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from sklae import AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._tables.columns import Columns
from sklae._tables.layout import Layout
from sklae._utils.compat import container_adapter
from sklae.corruptions import CORRUPTIONS, Corruption
from sklae.divergences import DIVERGENCES, Divergence
from sklae.likelihoods import (
    LIKELIHOODS,
    Blocks,
    ColumnDensity,
    Gaussian,
    Laplace,
    Likelihood,
    NegativeBinomial,
    StudentT,
    Support,
)
from sklae.networks import ACTIVATIONS, GRU, MLP, NETWORKS, NORMALIZATIONS, Conv, EncoderDecoder, Network, PixelCNN
from sklae.penalties import PENALTIES, Penalty
from sklae.posteriors import POSTERIORS, Posterior, RowCodes
from sklae.priors import PRIORS, CodeDistribution, Flow, GaussianMixture, Prior, PriorModule, VampPrior
from sklae.schedules import WEIGHTS, WeightSchedule

TRANSFORMERS = (AutoencoderTransformer, VAETransformer)
ESTIMATORS = (*TRANSFORMERS, AEOutlierDetector)

#: Settings that keep a fit to a few milliseconds.
QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (8,),
    "max_iter": 2,
    "n_iter_no_change": np.inf,
    "early_stopping": False,
    "learning_rate": "constant",
    "random_state": 0,
}

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


# -- data and randomness --------------------------------------------------------------------------------


def make_table(n_samples: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Return correlated columns of unlike location and scale."""
    rng = np.random.RandomState(seed)
    latent = rng.normal(size=(n_samples, max(1, n_features // 2)))
    X = latent @ rng.normal(size=(latent.shape[1], n_features)) + 0.3 * rng.normal(size=(n_samples, n_features))
    return X * rng.uniform(0.5, 5.0, size=n_features) + rng.uniform(-10.0, 10.0, size=n_features)


def make_layout(
    n_features: int = 3, *, standardize: bool = True, n_samples: int = 200, likelihood: Any = None
) -> Layout:
    """Return the layout of a table without gaps or constant columns, in the support of a likelihood if one is given."""
    X = make_table(n_samples, n_features)
    if likelihood is None:
        return Layout.fit(X, rows=None, standardize=standardize)
    X = into_support(X, likelihood)
    scaled = np.empty(n_features, dtype=bool)
    for _, part, indices in likelihood.assign(Columns.fit(X)):
        scaled[indices] = part.standardize
    return Layout.fit(X, rows=None, standardize=scaled)


def seeded(seed: int = 0) -> torch.Generator:
    """Return a fresh generator."""
    return torch.Generator().manual_seed(seed)


def global_generators() -> tuple[bytes, bytes, int]:
    """Return the states of the global generators, comparable."""
    _, key, position, *_ = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), key.tobytes(), position


def quick(estimator: type, **params: Any) -> Any:
    """Return an estimator that fits in milliseconds."""
    if estimator is AEOutlierDetector:
        return AEOutlierDetector(AutoencoderTransformer(**QUICK), **params)
    return estimator(**{**QUICK, **params})


# -- what laws are checked with --------------------------------------------------------------------------


def randomized(module: nn.Module, seed: int = 0) -> nn.Module:
    """Move every learned number a little, so that no law leans on the initial ones."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.empty_like(parameter).normal_(generator=seeded(seed)))
    return module


def assert_mean(draws: torch.Tensor, expected: torch.Tensor) -> None:
    """Compare the mean over the first axis within five standard errors."""
    error = draws.std(0) / math.sqrt(len(draws))
    assert torch.all((draws.mean(0) - expected).abs() <= 5.0 * error + 1e-6)


def real_line(n_points: int = 8_001) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points on the whole real line and their weights in an integral: the substitution x = tan(u)."""
    edge = math.pi / 2
    u = torch.linspace(-edge, edge, n_points, dtype=torch.float64)[1:-1]
    return u.tan(), (u[1] - u[0]) / u.cos().square()


def plane(n_points: int = 301) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points in a wide square and their common weight."""
    line = torch.linspace(-15.0, 15.0, n_points, dtype=torch.float64)
    return torch.cartesian_prod(line, line), (line[1] - line[0]).square()


def finite_gradients(value: torch.Tensor, *leaves: torch.Tensor) -> bool:
    """Whether a value and its gradients are finite."""
    gradients = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    return bool(value.isfinite().all()) and all(g is None or bool(g.isfinite().all()) for g in gradients)


def assert_seeded(draw: Callable[[torch.Generator], torch.Tensor]) -> None:
    """Draws come from the generator that is handed along, and from no other."""
    before = global_generators()
    first, again, other = (draw(seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert global_generators() == before


# -- parts as a user would write them -------------------------------------------------------------------


class _LogisticColumns(ColumnDensity):
    n_params = 2  # of each column: first all locations, then all logarithms of scales

    def _parts(self, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        location, raw_scale = params.chunk(2, dim=-1)
        return location, 0.1 + nn.functional.softplus(raw_scale)

    def energy(self, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        location, scale = self._parts(params)
        size = (x - location).abs() / scale  # the density is even
        return size + 2.0 * torch.log1p(torch.exp(-size)) + scale.log()

    def mean(self, params: torch.Tensor) -> torch.Tensor:
        return self._parts(params)[0]

    def sample(self, params: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        location, scale = self._parts(params)
        u = torch.empty_like(location).uniform_(1e-6, 1.0 - 1e-6, generator=generator)
        return location + scale * torch.logit(u)


class Logistic(Likelihood):
    """The logistic distribution, location and scale of each value from the decoder."""

    def build(self, layout: Layout) -> ColumnDensity:
        return _LogisticColumns()


class _LaplaceCodes(CodeDistribution):
    def __init__(self, n_components: int):
        self.n_components = n_components

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -(z.abs() + math.log(2.0)).sum(-1)

    def sample(self, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        shape = (2, n_samples, self.n_components)
        draws = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
        return draws[0] - draws[1]


class _Fixed(PriorModule):
    def __init__(self, distribution: CodeDistribution):
        super().__init__()
        self.distribution = distribution

    def forward(self, encode: Any, condition: Any = None) -> CodeDistribution:
        return self.distribution


class LaplacePrior(Prior):
    """Independent double exponential codes."""

    def build(self, n_components: int, layout: Layout) -> PriorModule:
        return _Fixed(_LaplaceCodes(n_components))


class _FixedWidthCodes(RowCodes):
    def __init__(self, mean: torch.Tensor, scale: float):
        self.mean = mean
        self.scale = scale

    def rsample(self, generator: torch.Generator) -> torch.Tensor:
        return self.push(torch.empty_like(self.mean).normal_(generator=generator))

    def push(self, noise: torch.Tensor) -> torch.Tensor:
        return self.mean + self.scale * noise

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -(0.5 * ((z - self.mean) / self.scale) ** 2 + math.log(self.scale) + _HALF_LOG_2PI).sum(-1)


class _FixedWidthModule(nn.Module):
    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def forward(self, h: torch.Tensor) -> RowCodes:
        return _FixedWidthCodes(h, self.scale)


class FixedWidth(Posterior):
    """Normal, with one standard deviation for all rows and components; says nothing about its KL."""

    def __init__(self, scale: float = 0.3):
        self.scale = scale

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def build(self, n_components: int) -> nn.Module:
        return _FixedWidthModule(self.scale)


class ReverseHinge(Divergence):
    """How far the posterior means lie outside the unit ball, and their scales from 1."""

    bound_terms = ("hinge",)

    def terms(self, codes):
        outside = (codes.q.mean.square().sum(-1) - 1.0).clamp(min=0.0)
        return {"hinge": outside + (codes.q.std - 1.0).square().sum(-1)}

    def weights(self, beta):
        return {"hinge": beta}


class Halving(WeightSchedule):
    """Half the way in each epoch, for eight of them."""

    final = 1.0
    settles = 8

    def value(self, epoch):
        return 1.0 if epoch >= self.settles else 1.0 - 0.5**epoch


class _JitterModule(nn.Module):
    def forward(self, x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, None]:
        return x + torch.empty_like(x).uniform_(-0.5, 0.5, generator=generator), None


class Jitter(Corruption):
    """Uniform noise."""

    def build(self, layout: Layout) -> nn.Module:
        return _JitterModule()


class L2(Penalty):
    """Half the squared length of the codes."""

    def __init__(self, weight: float = 1e-3):
        self.weight = weight

    def term(self, z: torch.Tensor) -> torch.Tensor:
        return self.weight * 0.5 * z.square().sum(-1)


class _Skip(nn.Module):
    def __init__(self, n_inputs: int, n_outputs: int, width: int):
        super().__init__()
        self.straight = nn.Linear(n_inputs, n_outputs)
        self.bent = nn.Sequential(nn.Linear(n_inputs, width), nn.Tanh(), nn.Linear(width, n_outputs))

    def forward(self, h: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.straight(h) + self.bent(h)


class Skip(Network):
    """One hidden layer and a way around it."""

    def __init__(self, width: int = 4):
        self.width = width

    def build_encoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        return _Skip(n_inputs, n_outputs, self.width)

    def build_decoder(self, n_inputs: int, n_outputs: int) -> nn.Module:
        return _Skip(n_inputs, n_outputs, self.width)


# -- every part under test ------------------------------------------------------------------------------


def _listed(table: dict[str, type], **variants: Any) -> dict[str, Any]:
    """Return one instance of each class in a table, and what else is worth testing."""
    return {**{name: part() for name, part in table.items()}, **variants}


#: Kind -> name -> instance: the tables' parts and their variants.
LISTED: dict[str, dict[str, Any]] = {
    "likelihood": _listed(
        LIKELIHOODS,
        gaussian_fixed=Gaussian(1.0),
        gaussian_per_feature=Gaussian("per_feature"),
        gaussian_per_row=Gaussian("per_row"),
        student_t_fixed=StudentT(5.0),
        # whatever the number of columns
        blocks=Blocks(
            [
                ("first", "gaussian", slice(0, 1)),
                ("second", "bernoulli", slice(1, 2)),
                ("third", "categorical", slice(2, 3)),
                ("rest", Laplace("per_feature"), slice(3, None)),
            ]
        ),
    ),
    "prior": _listed(
        PRIORS,
        flow_spline=Flow(1, univariate="spline"),
        vamp_fixed=VampPrior(20, learned=False),
        mixture_full=GaussianMixture(2, covariance_type="full"),
    ),
    "posterior": _listed(POSTERIORS),
    "divergence": _listed(DIVERGENCES),
    "beta": _listed(WEIGHTS),
    "corruption": _listed(CORRUPTIONS),
    "penalty": _listed(PENALTIES),
    "network": _listed(
        NETWORKS,
        conv=Conv((1, -1), (4, 4)),  # whatever the number of columns
        conv_variant=Conv(
            (-1,),
            (4, 6),
            kernel_size=5,
            downsampling="max_pool",
            upsampling="transpose",
            residual=True,
            hidden_layer_sizes=(8,),
            dropout=0.2,
            linear_path=False,
        ),
        **{f"conv_{name}": Conv((1, -1), (4,), normalization=name) for name in NORMALIZATIONS},
        gru=GRU(hidden_size=8),
        gru_variant=GRU((-1,), 4, n_layers=2, bidirectional=False, dropout=0.2, linear_path=False),
        pixel_cnn=PixelCNN((1, -1), channels=8),  # whatever the number of columns
        encoder_decoder=EncoderDecoder(Conv((1, -1), (4,)), MLP((8,))),
        dropout=MLP((8,), dropout=0.3),
        no_linear_path=MLP((8,), linear_path=False),
        **{f"normalization_{name}": MLP((8,), normalization=name) for name in NORMALIZATIONS},
    ),
}
#: The same for parts that are not ours.
OWN: dict[str, dict[str, Any]] = {
    "likelihood": {"own": Logistic()},
    "prior": {"own": LaplacePrior()},
    "posterior": {"own": FixedWidth()},
    "divergence": {"own": ReverseHinge()},
    "beta": {"own": Halving()},
    "corruption": {"own": Jitter()},
    "penalty": {"own": L2()},
    "network": {"own": Skip()},
}
#: What the laws are about.
PARTS: dict[str, dict[str, Any]] = {kind: {**LISTED[kind], **OWN[kind]} for kind in LISTED}
PARTS["posterior"] = {name: part for name, part in PARTS["posterior"].items() if part.has_density}
PARTS["likelihood"] |= {
    "laplace_fixed": Laplace(0.5),
    "laplace_per_feature": Laplace("per_feature"),
    "student_t_per_feature": StudentT("per_feature", "per_feature"),
    "student_t_per_row": StudentT(scale="per_row"),
    "student_t_of_fixed_scale": StudentT(scale=0.7),
    "student_t_all_fixed": StudentT(3.0, 2.0),
    "negative_binomial_fixed": NegativeBinomial(0.5),
    "negative_binomial_shared": NegativeBinomial("shared"),
    "blocks_out_of_order": Blocks([("c", "poisson", [2]), ("a", "categorical", [0]), ("b", "log_normal", [1])]),
    "blocks_of_several": Blocks([("outer", "negative_binomial", [0, 2]), ("inner", "continuous_bernoulli", [1])]),
    "blocks_of_one": Blocks([("all", "student_t", slice(None))]),
}
PARTS["network"] |= {f"activation_{name}": MLP((8,), activation=name) for name in ACTIVATIONS}


# -- estimators for parts with a restricted support -----------------------------------------------------


def _cycle(values: np.ndarray, n: int) -> np.ndarray:
    """Map numbers to the integers below n, so that no column of different values is constant."""
    golden = 0.5 * (1.0 + math.sqrt(5.0))
    return np.floor(n * ((golden * values) % 1.0))


#: Support -> what maps any number into it. Algebraic, so that columns far from zero don't turn constant.
_MAPS: dict[Support, Callable[[np.ndarray], np.ndarray]] = {
    Support(0.0, 1.0): lambda x: 0.5 + 0.5 * x / (1.0 + np.abs(x)),
    Support(0.0, open_low=True): lambda x: np.exp(0.5 * np.arcsinh(x)),
    Support(0.0, integer=True): lambda x: _cycle(x, 5),
    LIKELIHOODS["categorical"].support: lambda x: _cycle(x, 4),
    LIKELIHOODS["ordinal"].support: lambda x: _cycle(x, 4),
}


def into_support(table: np.ndarray, likelihood: Any) -> np.ndarray:
    """Map numbers, column by column, into the supports of a likelihood; NaN and infinity stay."""
    mapped = table.astype(np.float64)
    for _, part, indices in likelihood.assign(Columns.fit(table)):
        if part.support.is_bounded:
            values = mapped[:, indices]
            finite = np.isfinite(values)
            mapped[:, indices] = np.where(finite, _MAPS[part.support](np.where(finite, values, 0.0)), values)
    return mapped.astype(table.dtype)


def squash(X: Any, likelihood: Any) -> Any:
    """Map a table into the support, keeping float32 and frames; leave what is none for the estimator to refuse."""
    try:
        values = np.asarray(X)
        values = values if values.dtype == np.float32 or values.dtype.kind == "c" else values.astype(np.float64)
    except (TypeError, ValueError):
        return X
    if values.dtype.kind == "c" or values.ndim != 2 or not values.size:
        return X
    mapped = into_support(values, LIKELIHOODS[likelihood]() if isinstance(likelihood, str) else likelihood)
    if not hasattr(X, "columns"):
        return mapped
    return container_adapter(X).create_container(mapped, X, columns=list(X.columns), inplace=False)


class _Squashing:
    """Mix-in: every verb that takes rows maps them into the likelihood's support first."""

    def fit(self, X, y=None, *, X_val=None, X_clean=None):
        return super().fit(squash(X, self.likelihood), y, X_val=X_val, X_clean=X_clean)

    def partial_fit(self, X, y=None):
        return super().partial_fit(squash(X, self.likelihood), y)

    def transform(self, X):
        return super().transform(squash(X, self.likelihood))

    def reconstruct(self, X):
        return super().reconstruct(squash(X, self.likelihood))

    def score_samples(self, X):
        return super().score_samples(squash(X, self.likelihood))


class SquashingAutoencoder(_Squashing, AutoencoderTransformer):
    """A plain autoencoder of rows in its likelihood's support."""


class SquashingVAE(_Squashing, VAETransformer):
    """A variational autoencoder of rows in its likelihood's support."""


def estimator_for(estimator: type, part: Any) -> type:
    """Return the estimator, or its version that maps any table into the support of a part."""
    if not isinstance(part, Likelihood):
        return estimator
    blocks = part.assign(Columns.fit(np.empty((1, 3))))
    if not any(block.support.is_bounded for _, block, _ in blocks):
        return estimator
    return {AutoencoderTransformer: SquashingAutoencoder, VAETransformer: SquashingVAE}[estimator]
