"""The layers of a fitted network, in the order in which a row passes them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

__all__ = ["Layer", "layers_of", "n_parameters_of"]

_PARTS = ("encoder", "posterior", "prior", "decoder", "likelihood")


class Layer(NamedTuple):
    """A layer of a network.

    Attributes
    ----------
    part : str
        "input", "encoder", "posterior", "code", "prior", "decoder", "likelihood", "critic" or "output".
    name : str
        Where it is in ``net_.module_``, from its part on: ``net_.module_.encoder.get_submodule(name)``.
    kind : str
        Its class.
    shape : tuple of int or None
        What it gives for a row; None if it is not called as a module.
    n_parameters : int
        Its own, whether trained or not.
    """

    part: str
    name: str
    kind: str
    shape: tuple[int, ...] | None
    n_parameters: int


def n_parameters_of(model: Any) -> int:
    """Return the number of parameters of a fitted model's network."""
    return _count(model.net_.module_)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def layers_of(model: Any) -> list[Layer]:
    """Return the layers that a row passes, which a pass of two rows tells."""
    module = copy.deepcopy(model.net_.module_).cpu().eval()
    layout = model.layout_
    shapes: dict[int, tuple[int, ...]] = {}

    def note(layer: nn.Module, _: Any, output: Any) -> None:
        shapes[id(layer)] = _shape_of(output)

    for layer in module.modules():
        layer.register_forward_hook(note)
    x = torch.as_tensor(layout.fill, dtype=torch.float32).expand(2, -1).clone()
    condition = torch.zeros(2, layout.n_condition) if layout.n_condition else None
    with torch.no_grad():
        code = module.encode(x, None, condition).mean
        module.given(code, condition).log_prob(x)
    order = {key: place for place, key in enumerate(shapes)}
    layers = [Layer("input", "", "", (layout.n_features + layout.n_condition,), 0)]
    for part in _PARTS:
        if part == "decoder":
            layers.append(Layer("code", "", "", (model.n_components_,), 0))
        own = getattr(module, part)
        if not isinstance(own, nn.Module):
            continue
        found = [(name, layer) for name, layer in _walk(own) if not _does_nothing(layer)]
        if part in ("posterior", "prior", "likelihood"):
            width = layout.n_features if part == "likelihood" else model.n_components_
            if part == "likelihood" or _count(own):
                layers.append(Layer(part, "", _kind(own), (width,), _count(own)))
            continue
        found.sort(key=lambda pair: order.get(id(pair[1]), len(order)))
        layers += [Layer(part, name, _kind(layer), shapes.get(id(layer)), _own_count(layer)) for name, layer in found]
    critics = _count(model.net_.criterion_) if isinstance(model.net_.criterion_, nn.Module) else 0
    return [*layers, Layer("critic", "", "trained against it", None, critics)] if critics else layers


def _walk(part: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that are layers: without modules inside, or with parameters of their own."""
    for name, layer in part.named_modules():
        inside = [child for child, _ in layer.named_children() if child != "parametrizations"]
        is_container = isinstance(layer, (nn.ModuleList, nn.ModuleDict, nn.Sequential))
        if "parametrizations" not in name and not is_container and (not inside or _own_count(layer)):
            yield name, layer


def _kind(module: nn.Module) -> str:
    return type(module).__name__.lstrip("_")


def _own_count(layer: nn.Module) -> int:
    own = sum(parameter.numel() for parameter in layer.parameters(recurse=False))
    return own + (_count(layer.parametrizations) if hasattr(layer, "parametrizations") else 0)  # type: ignore[arg-type]


def _does_nothing(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Identity) or getattr(layer, "p", None) == 0


def _shape_of(output: Any) -> tuple[int, ...]:
    while isinstance(output, (tuple, list)) and len(output):
        output = output[0]
    return tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else ()
