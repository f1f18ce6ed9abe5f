"""Kinds of evidence against rows, as modules: what `sklae._outliers` computes with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from sklae._autoencoders.fitted_vae import terms_of_bound
from sklae._model.module import Autoencoder
from sklae._outliers.densities import LEAST_VARIANCE, ColumnTails, NormalMixture, TrimmedNormal
from sklae._outliers.ensemble import Ensemble
from sklae._outliers.scores import (
    EVIDENCE,
    MOST_RESIDUAL,
    SAME,
)
from sklae._outliers.spaces import CONDITION_WEIGHT, FARTHEST, NormalScores, Standardized, Whitened
from sklae.onnx._answers import network_of
from sklae.onnx._cells import CellsModule
from sklae.onnx._curves import Curves, Tails
from sklae.onnx._layout import CellUnits, LayoutModule, numbers

__all__ = ["EVIDENCE_MODULES", "EnsembleModule", "Seen"]


class Seen(NamedTuple):
    """Rows as evidence looks at them: see `sklae._outliers.spaces.Seen`; and which cells were observed."""

    table: torch.Tensor
    values: torch.Tensor
    expected: torch.Tensor
    points: torch.Tensor


class EnsembleModule(nn.Module):
    """Autoencoders of one layout as one, and rows as points, in float64 as the detector has it.

    Parameters
    ----------
    ensemble : Ensemble
    """

    networks: Sequence[Autoencoder]

    def __init__(self, ensemble: Ensemble):
        super().__init__()
        layout = ensemble.layout
        self.ensemble = ensemble
        self.layout = LayoutModule(layout, torch.float64)
        self.models: list[Any] = [member.model_ for member in ensemble.members]
        self.networks = nn.ModuleList(network_of(model, torch.float64) for model in self.models)  # type: ignore[assignment]
        self.units = CellUnits(layout, self.models[0].cells)
        self.cells = CellsModule(ensemble.cells, np.array(layout.columns.kinds) == "ordered")
        # what is expected of columns that were constant in fit
        constant = np.zeros(len(ensemble.cells.owner), dtype=bool)
        constant[ensemble.cells.first[~layout.varies]] = True
        self.constant = torch.as_tensor(constant) if constant.any() else None
        self.layout_mean = numbers(layout.mean[ensemble.cells.owner])
        self.mean = numbers(ensemble.mean)
        self.unit = numbers(ensemble.spread[ensemble.cells.owner])

    def expect(self, table: torch.Tensor) -> torch.Tensor:
        """Return what is expected in the modelled cells, (n_rows, n_cells)."""
        rows = self.layout(table)
        found = [
            self.units(network.given(network.encode(*rows).mean, rows.condition).expectation())
            for network in self.networks
        ]
        expected = found[0] if len(found) == 1 else torch.stack(found).mean(0)
        return expected if self.constant is None else torch.where(self.constant, self.layout_mean, expected)

    def see(self, table: torch.Tensor) -> Seen:
        """Return rows as evidence looks at them."""
        values, expected = self.layout.modelled(table), self.expect(table)
        observed = self.cells.expand(values)
        filled = torch.where(observed.isnan(), expected, observed)
        points = self.cells.cumulate(filled - self.mean) / self.unit
        # NaN, filled by a network that overflowed, first: onnxruntime clips it to either end
        points = torch.where(points.isnan(), FARTHEST, points).clamp(-FARTHEST, FARTHEST)
        if self.layout.condition is not None:
            points = torch.cat([points, CONDITION_WEIGHT * self.layout.condition(table)], dim=-1)
        return Seen(table, values, expected, points)


class _Reconstruction(nn.Module):
    def __init__(self, part: Any, ensemble: EnsembleModule):
        super().__init__()
        self.ensemble = ensemble
        self.scale = numbers(part.residual_scale[ensemble.ensemble.cells.owner])
        self.tail = Tails([part.tail])

    def strangeness(self, seen: Seen) -> torch.Tensor:
        cells = self.ensemble.cells
        residuals = cells.cumulate(cells.expand(seen.values) - seen.expected) / self.scale
        residuals = torch.where(residuals.isnan(), MOST_RESIDUAL, residuals)  # in gaps, and where networks overflowed
        squares = cells.add_up(residuals.clamp(-MOST_RESIDUAL, MOST_RESIDUAL).square())
        gaps = seen.values.isnan()
        squares = torch.where(gaps, 0.0, squares)
        return (squares / (~gaps).sum(-1, keepdim=True).clamp(min=1)).sum(-1)

    def forward(self, seen: Seen) -> torch.Tensor:
        return self.tail(self.strangeness(seen)[:, None])[:, 0]


class _Bound(nn.Module):
    def __init__(self, part: Any, ensemble: EnsembleModule):
        super().__init__()
        self.ensemble = ensemble
        self.tail = Tails([part.tail])

    def strangeness(self, seen: Seen) -> torch.Tensor:
        rows, ensemble = self.ensemble.layout(seen.table), self.ensemble
        pairs = zip(ensemble.models, ensemble.networks, strict=True)
        found = [terms_of_bound(model, network, rows) for model, network in pairs]
        terms = -torch.stack(found).sum(0) / len(found)
        terms = torch.where(terms.isnan(), MOST_RESIDUAL, terms)
        return terms.clamp(-MOST_RESIDUAL, MOST_RESIDUAL).sum(-1)

    def forward(self, seen: Seen) -> torch.Tensor:
        return self.tail(self.strangeness(seen)[:, None])[:, 0]


class _OfDensity(nn.Module):
    """By a distribution of points without their conditions."""

    def __init__(self, part: Any, ensemble: EnsembleModule):
        super().__init__()
        self.n_cells = len(ensemble.ensemble.cells.owner)
        self.density = _DENSITIES[type(part.density)](part.density)
        self.tail = Tails([part.tail])

    def forward(self, seen: Seen) -> torch.Tensor:
        return self.tail(self.density(seen.points[:, : self.n_cells])[:, None])[:, 0]


class _Reduced(nn.Module):
    mean: torch.Tensor
    axes: torch.Tensor | None

    def __init__(self, reduced: Any):
        super().__init__()
        self.axes = None
        if reduced.axes is not None:
            self.mean, self.axes = numbers(reduced.mean), numbers(reduced.axes)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        if self.axes is None:
            return points
        centered = points - self.mean
        scores = centered @ self.axes
        missed = (centered.square().sum(-1) - scores.square().sum(-1)).clamp(min=LEAST_VARIANCE)
        return torch.cat([scores, missed.sqrt()[:, None]], dim=-1)


class _NormalMixture(nn.Module):
    def __init__(self, density: NormalMixture):
        super().__init__()
        mixture = density.mixture
        self.reduced = _Reduced(density.reduced)
        factors = mixture.precisions_cholesky_
        if mixture.covariance_type == "diag":
            factors = np.stack([np.diag(factor) for factor in factors])
        width = mixture.means_.shape[1]
        self.factors = numbers(np.concatenate(list(factors), axis=1))
        self.offsets = numbers(np.concatenate([m @ f for m, f in zip(mixture.means_, factors, strict=True)]))
        log_volumes = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        self.constants = numbers(np.log(mixture.weights_) + log_volumes - 0.5 * width * np.log(2.0 * np.pi))
        self.width = width

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        standard = (self.reduced(points) @ self.factors - self.offsets).unflatten(-1, (-1, self.width))
        return -torch.logsumexp(self.constants - 0.5 * standard.square().sum(-1), dim=-1)


class _TrimmedNormal(nn.Module):
    def __init__(self, density: TrimmedNormal):
        super().__init__()
        self.reduced, self.inner = _Reduced(density.reduced), _Whitened(density.inner)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.inner(self.reduced(points)).square().sum(-1)


class _ColumnTails(nn.Module):
    def __init__(self, density: ColumnTails):
        super().__init__()
        self.upper, self.lower = Tails(density.upper), Tails(density.lower)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return torch.maximum(self.upper(points), self.lower(-points)).sum(-1)


_DENSITIES: dict[type, Any] = {
    NormalMixture: _NormalMixture,
    TrimmedNormal: _TrimmedNormal,
    ColumnTails: _ColumnTails,
}


class _Standardized(nn.Module):
    def __init__(self, space: Standardized):
        super().__init__()

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return points


class _Whitened(nn.Module):
    def __init__(self, space: Whitened):
        super().__init__()
        self.mean, self.inverse = numbers(space.mean), numbers(np.linalg.inv(space.root).T)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return (points - self.mean) @ self.inverse


class _NormalScores(nn.Module):
    def __init__(self, space: NormalScores):
        super().__init__()
        self.curves = Curves(space.knots)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        beyond = points - points.clamp(self.curves.lowest, self.curves.highest)
        return self.curves(points) + beyond


_SPACES: dict[type, Any] = {Standardized: _Standardized, Whitened: _Whitened, NormalScores: _NormalScores}


class _Search(nn.Module):
    """The nearest of some points: those of least squared distance, which is then taken exactly."""

    def __init__(self, search: Any):
        super().__init__()
        self.points, self.n_neighbors = numbers(search.points), search.n_neighbors
        self.transposed = self.points.T.contiguous()
        self.squares = self.points.square().sum(-1)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return mean distances to the nearest points, (n_points,)."""
        rough = self.squares - 2.0 * (points @ self.transposed)
        nearest = rough.topk(self.n_neighbors + 1, dim=-1, largest=False).indices
        found = self.points.index_select(0, nearest.flatten()).view(*nearest.shape, -1)
        distance = (points[:, None] - found).square().sum(-1)
        # the copy of a row counts as the row itself; else the farthest is one too many
        is_known = distance.amin(-1) <= SAME
        dropped = torch.where(is_known, distance.amin(-1), distance.amax(-1))
        return (distance.sqrt().sum(-1) - dropped.sqrt()) / self.n_neighbors


class _Neighbors(nn.Module):
    def __init__(self, part: Any, ensemble: EnsembleModule):
        super().__init__()
        self.views = nn.ModuleList([_SPACES[type(view)](view) for view, _ in part.views])
        self.own = [len(searches) for _, searches in part.views]
        every = [each for _, searches in part.views for each in searches]
        self.searches = nn.ModuleList([_Search(search) for _, search, _ in every])
        self.tails, self.share = Tails([tail for _, _, tail in every]), numbers([share for share, _, _ in every])

    def forward(self, seen: Seen) -> torch.Tensor:
        views = [points for view, n in zip(self.views, self.own, strict=True) for points in [view(seen.points)] * n]
        distances = [search(points) for search, points in zip(self.searches, views, strict=True)]
        return (self.tails(torch.stack(distances, dim=-1)) * self.share).sum(-1)


#: Class of evidence -> module, made of it and of the ensemble; its answer is the surprise of rows, in nats.
EVIDENCE_MODULES: dict[type, Any] = {
    EVIDENCE["reconstruction"]: _Reconstruction,
    EVIDENCE["elbo"]: _Bound,
    EVIDENCE["neighbors"]: _Neighbors,
    EVIDENCE["mixture"]: _OfDensity,
    EVIDENCE["robust_covariance"]: _OfDensity,
    EVIDENCE["columns"]: _OfDensity,
}
