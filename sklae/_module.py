"""The autoencoder as a PyTorch module, and construction that leaves global generators alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sklae._layout import Layout, Rows
from sklae.corruptions import Corruption
from sklae.divergences import Codes
from sklae.likelihoods import BlockColumns, ColumnDensity, Likelihood
from sklae.networks import Network
from sklae.posteriors import Posterior, RowCodes
from sklae.priors import CodeDistribution, Prior, PriorModule

__all__ = ["Autoencoder", "Output", "generate"]

_aten = torch.ops.aten

# What modules make their parameters from, in torch's default dtype unless told otherwise.
_FLOAT_FACTORIES = {
    _aten.empty.memory_format,
    _aten.ones.default,
    _aten.rand.default,
    _aten.randn.default,
    _aten.zeros.default,
}

# Draws whose plain form takes no generator, and the form that does.
_WITH_GENERATOR = {
    _aten.rand.default: _aten.rand.generator,
    _aten.randn.default: _aten.randn.generator,
    _aten.rand_like.default: _aten.rand_like.generator,
    _aten.randn_like.default: _aten.randn_like.generator,
    _aten.randperm.default: _aten.randperm.generator,
    _aten.randint.default: _aten.randint.generator,
    _aten.randint.low: _aten.randint.low_generator,
    _aten.randint_like.default: _aten.randint_like.generator,
    _aten.randint_like.low_dtype: _aten.randint_like.low_generator_dtype,
}


class generate(TorchDispatchMode):  # noqa: N801 - used as a context manager, like torch.no_grad
    """Make every random draw of this thread's torch calls come from one generator.

    For code that has no generator argument: the constructors of modules, and modules of users. Costs
    about 100 microseconds a step, so sklae's own modules hand their generator along instead.

    Parameters
    ----------
    generator : torch.Generator

    Examples
    --------
    >>> import torch
    >>> from sklae._module import generate
    >>> with generate(torch.Generator().manual_seed(0)):
    ...     a = torch.nn.Linear(2, 2)
    >>> with generate(torch.Generator().manual_seed(0)):
    ...     b = torch.nn.Linear(2, 2)
    >>> torch.equal(a.weight, b.weight)
    True
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _FLOAT_FACTORIES:
            kwargs.setdefault("dtype", torch.float32)  # whatever torch's default dtype is
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        if func is _aten.native_dropout.default:
            return self._dropout(*args, **kwargs)
        func = _WITH_GENERATOR.get(func, func)
        if not any(argument.name == "generator" for argument in func._schema.arguments):
            raise RuntimeError(
                f"Got a module that draws random numbers by {func}, which takes no generator; sklae needs one to "
                "make fits reproducible. Use another way to draw them."
            )
        return func(*args, **{**kwargs, "generator": kwargs.get("generator") or self.generator})

    def _dropout(self, x: torch.Tensor, p: float, train: bool | None) -> tuple[torch.Tensor, torch.Tensor]:
        if not train:
            return x.clone(), torch.ones_like(x, dtype=torch.bool)
        keep = torch.empty_like(x).bernoulli_(1.0 - p, generator=self.generator)
        return x * keep / (1.0 - p), keep.bool()


class Output(NamedTuple):
    """What a forward pass gives.

    Attributes
    ----------
    params : Tensor of shape (n_samples, n_outputs), or (n_draws, n_samples, n_outputs)
        Parameters of the likelihood.
    q : RowCodes
        The posterior.
    z : Tensor of shape (n_samples, n_components), or (n_draws, n_samples, n_components)
        The codes that were decoded.
    model : Autoencoder
        Holds the likelihood and the prior that the objective needs.
    noise : Tensor or None
        What the codes were pushed from; None for posterior means.
    condition : Tensor of shape (n_samples, n_condition) or None
    target : Tensor of shape (n_samples, n_features) or None
        What to reconstruct in place of the batch's own target, where training redraws it.
    generator : torch.Generator or None
        For further draws.
    """

    params: torch.Tensor
    q: RowCodes
    z: torch.Tensor
    model: Autoencoder
    noise: torch.Tensor | None = None
    condition: torch.Tensor | None = None
    target: torch.Tensor | None = None
    generator: torch.Generator | None = None

    def codes(self, n_rows: int) -> Codes:
        """Return the codes beside what they are held to."""
        prior = self.model.prior_codes(self.condition, self.generator)
        noise = torch.zeros_like(self.z) if self.noise is None else self.noise
        return Codes(self.q, self.z, noise, prior, n_rows, self.generator)


class Autoencoder(nn.Module):
    """Encoder, posterior, decoder, likelihood and prior over the columns of a layout.

    Parameters
    ----------
    layout : Layout
        Only read here, never kept: modules hold no data.
    n_components : int
        Width of the code.
    network, likelihood, posterior : Component
    prior : Component or None
        None for a plain autoencoder.
    corruption : Component or None
    encoder, decoder : callable or None
        ``factory(n_inputs, n_outputs) -> nn.Module``, in place of the network's own.
    n_draws : int
        Codes drawn per row in training.
    """

    varies: torch.Tensor | None
    clip_low: torch.Tensor | None
    clip_high: torch.Tensor | None
    likelihood: ColumnDensity
    prior: PriorModule | None

    def __init__(
        self,
        layout: Layout,
        n_components: int,
        network: Network,
        likelihood: Likelihood,
        posterior: Posterior,
        prior: Prior | None = None,
        corruption: Corruption | None = None,
        encoder: Callable[[int, int], nn.Module] | None = None,
        decoder: Callable[[int, int], nn.Module] | None = None,
        n_draws: int = 1,
    ):
        super().__init__()
        n_features, n_condition = layout.n_features, layout.n_condition
        self.n_draws = n_draws
        self.sees_mask = layout.has_missing or (corruption is not None and corruption.masks)
        self.posterior = posterior.build(n_components)
        self.likelihood = likelihood.build(layout)
        self.supports = [(part.support, columns) for _, part, columns in likelihood.assign(layout.columns)]
        self.prior = None if prior is None else prior.build(n_components, layout)
        self.corruption = None if corruption is None else corruption.build(layout)
        self.redraws_target = corruption is not None and corruption.redraws_target
        self.per_block = posterior.per_block
        n_latent = posterior.n_outputs(n_components)
        encoders = [
            _build("encoder", encoder, network, n_inputs + n_columns * self.sees_mask + n_condition, n_latent)
            for n_inputs, n_columns in self._encoder_widths(layout)
        ]
        self.encoder = nn.ModuleList(encoders) if self.per_block else encoders[0]
        n_outputs = self.likelihood.n_outputs(n_features)
        self.decoder = _build("decoder", decoder, network, n_components + n_condition, n_outputs)
        for i, (_, columns) in enumerate(layout.blocks if self.per_block else ()):
            self.register_buffer(f"block_{i}", torch.as_tensor(columns), persistent=False)
        low, high = layout.clip_bounds or (None, None)
        self.register_buffer("clip_low", low, persistent=False)
        self.register_buffer("clip_high", high, persistent=False)
        varies = None if layout.varies.all() else torch.as_tensor(layout.varies, dtype=torch.float32)
        self.register_buffer("varies", varies, persistent=False)

    def _encoder_widths(self, layout: Layout) -> list[tuple[int, int]]:
        """Return for each encoder the numbers of its inputs and of its columns."""
        if not self.per_block:
            return [(self.likelihood.n_inputs(layout.n_features), layout.n_features)]
        density = cast(BlockColumns, self.likelihood)
        return list(zip(density.block_n_inputs, (len(columns) for _, columns in layout.blocks), strict=True))

    def encode(
        self,
        x: torch.Tensor,
        observed: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> RowCodes:
        """Return the posterior of each row.

        Parameters
        ----------
        x, observed : Tensor of shape (n_samples, n_features)
            Encoded values; 1 where observed, 0 where missing. None: all observed.
        condition : Tensor of shape (n_samples, n_condition) or None
        generator : torch.Generator or None
            Where the network's own draws (dropout) come from, in training.
        """
        if self.clip_low is not None:
            x = torch.clamp(x, self.clip_low, self.clip_high)
        if self.per_block:
            return self.posterior(self._encode_blocks(x, observed, condition, generator))
        told = (torch.ones_like(x) if observed is None else observed) if self.sees_mask else None
        return self.posterior(self.encoder(_beside(self.likelihood.inputs(x, observed), told, condition), generator))

    def _encode_blocks(
        self,
        x: torch.Tensor,
        observed: torch.Tensor | None,
        condition: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """Return the outputs of all encoders side by side, and after them which blocks have a value."""
        known = torch.ones_like(x) if observed is None else observed
        says = known if self.varies is None else known * self.varies
        outputs, present = [], []
        inputs = cast(BlockColumns, self.likelihood).block_inputs(x, observed)
        encoders = cast(nn.ModuleList, self.encoder)
        for i, (encoder, h) in enumerate(zip(encoders, inputs, strict=True)):
            columns = getattr(self, f"block_{i}")
            told = known.index_select(-1, columns) if self.sees_mask else None
            outputs.append(encoder(_beside(h, told, condition), generator))
            present.append((says.index_select(-1, columns) > 0).any(-1, keepdim=True).to(x.dtype))
        return torch.cat([*outputs, *present], dim=-1)

    def decode(
        self,
        z: torch.Tensor,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the likelihood's parameters for codes z, (..., n_samples, n_components)."""
        if condition is not None:
            z = _beside(z, condition.expand(*z.shape[:-1], -1))
        if z.ndim == 2:
            return self.decoder(z, generator)
        return self.decoder(z.flatten(0, -2), generator).unflatten(0, z.shape[:-1])

    def prior_codes(
        self, condition: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> CodeDistribution:
        """Return the distribution of codes before a row is seen."""
        if self.prior is None:
            raise TypeError("Got a plain autoencoder, which has no prior; expected a variational one.")
        return self.prior(partial(self.encode, generator=generator), condition)

    def forward(
        self,
        x: torch.Tensor,
        observed: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Encode and decode; with a generator, from drawn codes and (in training) corrupted input."""
        target = None
        if generator is not None and self.training and self.corruption is not None:
            x, kept = self.corruption(x, generator)
            if kept is not None:
                observed = kept if observed is None else observed * kept
            if self.redraws_target:
                target = x
        q = self.encode(x, observed, condition, generator)
        noise = None if generator is None else q.draw_noise(generator, self.n_draws)
        z = q.mean if noise is None else q.push(noise)
        return Output(self.decode(z, condition, generator), q, z, self, noise, condition, target, generator)

    def column_weight(self, observed: torch.Tensor | None) -> torch.Tensor | None:
        """Return what the density's terms are multiplied by: 0 for gaps and for constant columns."""
        if self.varies is None:
            return observed
        return self.varies if observed is None else observed * self.varies

    def log_likelihood(self, z: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return log p(x | z) of what was observed of encoded rows, (..., n_samples), in nats."""
        return self.column_log_likelihood(z, rows).sum(-1)

    def column_log_likelihood(self, z: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the same by column, (..., n_samples, n_features), 0 for gaps and constant columns."""
        log_prob = self.likelihood.log_prob(self.decode(z, rows.condition), rows.x)
        weight = self.column_weight(rows.observed)
        return log_prob if weight is None else log_prob * weight

    @property
    def width(self) -> int:
        """How many numbers a row, or a code, takes at the widest place."""
        widths = [max(parameter.shape) for parameter in self.parameters() if parameter.ndim > 1]
        return max([0 if self.prior is None else self.prior.width, *widths])

    @property
    def is_deterministic(self) -> bool:
        """Whether a training step draws no random numbers."""
        no_noise = self.corruption is None and self.prior is None
        return no_noise and not any(_draws(part) for part in (self.encoder, self.decoder))


def _beside(*parts: torch.Tensor | None) -> torch.Tensor:
    """Join along the last axis what there is."""
    there = [part for part in parts if part is not None]
    return torch.cat(there, dim=-1) if len(there) > 1 else there[0]


class _Foreign(nn.Module):
    """A user's module, which knows no generator."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.draws = _draws(module)

    def forward(self, h: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        if generator is None or not self.draws:
            return self.module(h)
        with generate(generator):
            return self.module(h)


def _draws(module: nn.Module) -> bool:
    """Whether a module may draw random numbers in training; unknown classes count as if they do."""
    return any(not _is_known(part) or _chance(part) > 0 for part in module.modules())


def _is_known(part: nn.Module) -> bool:
    return type(part).__module__.startswith(("torch.nn.modules.", "sklae."))


def _chance(part: nn.Module) -> float:
    if isinstance(part, nn.RReLU):
        return 1.0
    return float(getattr(part, "p", 0.0) or getattr(part, "dropout", 0.0) or 0.0) if _has_rate(part) else 0.0


def _has_rate(part: nn.Module) -> bool:
    return any(isinstance(getattr(part, name, None), (int, float)) for name in ("p", "dropout"))


def _build(
    role: str,
    factory: Callable[[int, int], nn.Module] | None,
    network: Network,
    n_inputs: int,
    n_outputs: int,
) -> nn.Module:
    """Build the encoder or decoder, by the user's factory if there is one."""
    if factory is None:
        build = network.build_encoder if role == "encoder" else network.build_decoder
        return build(n_inputs, n_outputs)
    call = f"{role}(n_inputs={n_inputs}, n_outputs={n_outputs})"
    try:
        module = factory(n_inputs, n_outputs)
    except TypeError as error:
        raise ValueError(
            f"Got {role}={factory!r}, which failed with {error}; expected a function or class of two arguments. It is "
            f"called as {call} and returns an nn.Module."
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"Got {role}= that returned {type(module).__name__}; expected an nn.Module. Pass a function or "
            f"class that is called as {call}."
        )
    return _Foreign(_try_out(module, call, n_inputs, n_outputs))


def _try_out(module: nn.Module, call: str, n_inputs: int, n_outputs: int) -> nn.Module:
    """Run two rows through a user's module: wrong shapes are refused before any work, lazy layers initialised."""
    remedy = f"Build the first and the last layer with the arguments of {call}."
    module.eval()
    try:
        with torch.no_grad():
            shape = tuple(module(torch.zeros(2, n_inputs)).shape)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"Got a module from {call} that fails on inputs of shape (2, {n_inputs}): {error}; expected it to "
            f"take them. {remedy}"
        ) from error
    if shape != (2, n_outputs):
        raise ValueError(
            f"Got a module from {call} whose output has shape {shape} for 2 rows; expected (2, {n_outputs}). {remedy}"
        )
    return module.train()
