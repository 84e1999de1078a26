"""Changing a method's feature maps on their way to its heads, from outside and in training only.

A regularizer that changes features, as dropout does, must reach them inside a method that does not know it. So the
modules that give the maps of `MultiTaskOutput.features` are looked for once, and hooks change what they give while the
method runs; none is left on it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.contracts import Method

Change = Callable[[int, Tensor], Tensor]


class Source(NamedTuple):
    """Where a feature map comes from.

    Args:
        module: gives it.
        position: its place in what the module gives; None if that is the map itself.
    """

    module: nn.Module
    position: int | None


def sources(method: Method, images: Tensor) -> list[Source]:
    """The outermost module that gives each feature map, in the order of `Method.feature_specs`.

    Args:
        method: is run once in eval mode, without a gradient; nothing of it changes.
        images: (B, 3, H, W), of any content.

    Raises:
        ValueError: if a map is computed outside of all modules.
    """
    given: list[tuple[Tensor, Source]] = []

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            given.append((output, Source(module, None)))
        elif isinstance(output, (list, tuple)):
            maps = ((place, value) for place, value in enumerate(output) if isinstance(value, Tensor))
            given.extend((value, Source(module, place)) for place, value in maps)

    inner = [module for module in method.modules() if module is not method]
    with evaluated(method), ExitStack() as hooks:
        for module in inner:
            hooks.callback(module.register_forward_hook(note).remove)
        features = method(images).features
    return [_source(method, given, position, feature) for position, feature in enumerate(features)]


def _source(method: Method, given: Sequence[tuple[Tensor, Source]], position: int, feature: Tensor) -> Source:
    # The module that ended last holds the others that gave the same map.
    for value, source in reversed(given):
        if value is feature:
            return source
    raise ValueError(
        f"{type(method).__name__} computes its feature map {position} {tuple(feature.shape)} in no module of its own, "
        "so nothing can change it on its way to the heads; let a module give it"
    )


@contextmanager
def changed(found: Sequence[Source], change: Change) -> Iterator[None]:
    """While it is entered, every forward pass has its feature maps changed.

    Args:
        found: what `sources` gave.
        change: (position of the map, map) -> map of the same shape.
    """
    with ExitStack() as hooks:
        for position, source in enumerate(found):
            hooks.callback(source.module.register_forward_hook(_hook(position, source, change)).remove)
        yield


def _hook(position: int, source: Source, change: Change) -> Callable[..., Any]:
    def replaced(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if source.position is None:
            return change(position, output)
        values = list(output)
        values[source.position] = change(position, values[source.position])
        return type(output)(values)

    return replaced


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """Eval mode without a gradient; every part is then as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True
