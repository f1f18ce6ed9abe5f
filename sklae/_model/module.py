"""The autoencoder as a PyTorch module, and construction that leaves global generators alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from sklae._model.rows import RowsGiven
from sklae._tables.layout import Layout, Rows
from sklae._utils.processes import part_of, undivided
from sklae.corruptions import Corruption
from sklae.divergences import Codes
from sklae.likelihoods import BlockColumns, ColumnDensity, Likelihood
from sklae.networks import Inputs, Network
from sklae.networks._base import call
from sklae.networks._custom import build, draws, n_activations, try_answer
from sklae.posteriors import Posterior, RowCodes
from sklae.priors import CodeDistribution, Prior, PriorModule

__all__ = ["Autoencoder", "Output"]


class Output(NamedTuple):
    """What a forward pass gives.

    Attributes
    ----------
    given : RowsGiven
        The distribution of rows, given the codes.
    q : RowCodes
        The posterior.
    z : Tensor of shape (n_samples, n_components), or (n_draws, n_samples, n_components)
        The codes that were decoded.
    model : Autoencoder
        Holds the likelihood and the prior that the objective needs.
    noise : Tensor or None
        What the codes were pushed from; None for posterior means.
    log_q : callable or None
        ``log_q()`` is the codes' log-density under the posteriors; None for posterior means.
    condition : Tensor of shape (n_samples, n_condition) or None
    target : Tensor of shape (n_samples, n_features) or None
        What to reconstruct in place of the batch's own target, where training redraws it.
    generator : torch.Generator or None
        For further draws.
    rows : Rows or None
        What was encoded.
    """

    given: RowsGiven
    q: RowCodes
    z: torch.Tensor
    model: Autoencoder
    noise: torch.Tensor | None = None
    log_q: Callable[[], torch.Tensor] | None = None
    condition: torch.Tensor | None = None
    target: torch.Tensor | None = None
    generator: torch.Generator | None = None
    rows: Rows | None = None

    def expected(self) -> torch.Tensor:
        """Return the expected rows, (n_samples, n_features), encoded; the mean over draws of codes."""
        with torch.no_grad():
            mean = self.given.mean.detach()
            return mean.mean(0) if mean.ndim == 3 else mean

    def encode(self, rows: Rows) -> RowCodes:
        """Return the posteriors of other rows."""
        return self.model.encode(*rows, self.generator)

    def codes(self, n_rows: int, epoch: float = 0.0) -> Codes:
        """Return the codes beside what they are held to."""
        prior = self.model.prior_codes(self.condition, self.generator)
        noise = torch.zeros_like(self.z) if self.noise is None else self.noise
        log_q = self.log_q or partial(self.q.path_log_prob, self.z, noise)
        return Codes(self.q, self.z, noise, prior, n_rows, self.generator, log_q, epoch)


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
    decoder: Any

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
        self.n_components = n_components
        self.n_draws = n_draws
        self.sees_mask = layout.has_missing or (corruption is not None and corruption.masks)
        self.posterior = posterior.build(n_components)
        self.has_independent_codes = posterior.independent
        self.has_density = prior is not None and prior.has_density and posterior.has_density
        self.likelihood = likelihood.build(layout)
        self.supports = [(part.support, columns) for part, columns in likelihood.leaves(layout.columns)]
        self.prior = None if prior is None else prior.build(n_components, layout)
        self.corruption = None if corruption is None else corruption.build(layout)
        self.redraws_target = corruption is not None and corruption.redraws_target
        self.per_block = posterior.per_block
        self.n_encoder_outputs = n_latent = posterior.n_outputs(n_components)
        encoders = [
            build("encoder", network, encoder, Inputs(n, n_columns * self.sees_mask, n_condition, n_columns), n_latent)
            for n, n_columns in self._encoder_widths(layout)
        ]
        self.encoder = nn.ModuleList(encoders) if self.per_block else encoders[0]
        n_outputs = self.likelihood.n_outputs(n_features)
        self.decoder = build("decoder", network, decoder, Inputs(n_components, 0, n_condition, n_features), n_outputs)
        self.decoder_answers = hasattr(self.decoder, "given")
        for i, (_, columns) in enumerate(layout.blocks if self.per_block else ()):
            self.register_buffer(f"block_{i}", torch.as_tensor(columns), persistent=False)
        low, high = layout.clip_bounds or (None, None)
        self.register_buffer("clip_low", low, persistent=False)
        self.register_buffer("clip_high", high, persistent=False)
        varies = None if layout.varies.all() else torch.as_tensor(layout.varies, dtype=torch.float32)
        self.register_buffer("varies", varies, persistent=False)
        if self.decoder_answers:
            _try_decoder(self, layout, network)

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
        return self.posterior(call(self.encoder, self.likelihood.inputs(x, observed), told, condition, generator))

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
            outputs.append(call(encoder, h, told, condition, generator))
            present.append((says.index_select(-1, columns) > 0).any(-1, keepdim=True).to(x.dtype))
        return torch.cat([*outputs, *present], dim=-1)

    def decode(
        self,
        z: torch.Tensor,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the likelihood's parameters for codes z, (..., n_samples, n_components)."""
        if z.ndim == 2:
            return call(self.decoder, z, None, condition, generator)
        if condition is not None:
            condition = condition.expand(*z.shape[:-1], -1).flatten(0, -2)
        return call(self.decoder, z.flatten(0, -2), None, condition, generator).unflatten(0, z.shape[:-1])

    def given(
        self,
        z: torch.Tensor,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> RowsGiven:
        """Return the distribution of rows given codes z, (..., n_samples, n_components)."""
        if self.decoder_answers:
            return self.decoder.given(z, condition, self.likelihood, generator)
        return RowsGiven(self.likelihood, self.decode(z, condition, generator))

    def prior_codes(
        self, condition: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> CodeDistribution:
        """Return the distribution of codes before a row is seen."""
        if self.prior is None:
            raise TypeError("Got a plain autoencoder, which has no prior; expected a variational one.")
        with undivided(generator):  # what a prior encodes are rows of its own
            return self.prior(partial(self.encode, generator=generator), condition)

    def forward(
        self,
        x: torch.Tensor,
        observed: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Encode and decode; with a generator, from drawn codes and corrupted input, as losses are."""
        target = None
        if generator is not None and self.corruption is not None:
            x, kept = self.corruption(x, generator)
            if kept is not None:
                observed = kept if observed is None else observed * kept
            if self.redraws_target:
                target = x
        rows, part = Rows(x, observed, condition), part_of(generator)
        if part is not None:
            rows = rows.take(part.rows)
            condition = rows.condition
            target = None if target is None else target[part.rows]
        q = self.encode(*rows, generator)
        if generator is None:
            return Output(self.given(q.mean, condition), q, q.mean, self, condition=condition, rows=rows)
        noise = q.draw_noise(generator, self.n_draws)
        z, log_q = q.push_with_density(noise)
        given = self.given(z, condition, generator)
        return Output(given, q, z, self, noise, log_q, condition, target, generator, rows)

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
        log_prob = self.given(z, rows.condition).log_prob(rows.x)
        weight = self.column_weight(rows.observed)
        return log_prob if weight is None else log_prob * weight

    @property
    def width(self) -> int:
        """How many numbers a row, or a code, takes at the widest place."""
        networks = self.networks
        own = {id(weight) for network in networks for weight in network.parameters()}
        widths = [max(weight.shape) for weight in self.parameters() if weight.ndim > 1 and id(weight) not in own]
        return max([0 if self.prior is None else self.prior.width, *map(n_activations, networks), *widths])

    @property
    def networks(self) -> list[nn.Module]:
        """Encoders and decoder."""
        return [*(cast(nn.ModuleList, self.encoder) if self.per_block else [self.encoder]), self.decoder]

    @property
    def is_deterministic(self) -> bool:
        """Whether a training step draws no random numbers."""
        return self.corruption is None and self.prior is None and not any(map(draws, self.networks))

    @property
    def can_stack(self) -> bool:
        """Whether the same step can be taken for several modules at once, their weights stacked."""
        networks = self.networks
        n_weights = sum(len(list(network.parameters())) for network in networks)
        all_stack = all(getattr(network, "can_stack", False) for network in networks)
        return all_stack and self.is_deterministic and n_weights == len(list(self.parameters()))


def _try_decoder(model: Autoencoder, layout: Layout, network: Network) -> None:
    """Refuse a decoder whose answer for two rows is no distribution of rows."""
    x = torch.as_tensor(layout.fill, dtype=torch.float32).expand(2, -1)
    condition = torch.zeros(2, layout.n_condition) if layout.n_condition else None
    model.eval()
    with torch.no_grad():
        try_answer(model.given(torch.zeros(2, model.n_components), condition), f"the decoder of {network!r}", x)
    model.train()
