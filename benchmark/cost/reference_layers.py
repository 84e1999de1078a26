"""A network as the framework alone would run it: what the suite's own layers and memory layout are measured against."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmark.cost.batches import random_batch
from benchmark.cost.measure import optimizer_of
from benchmark.cost.target import Subject, build
from benchmark.cost.timing import alternating_seconds
from benchmark.training.model import TrainingModule

FRAMEWORKS = ("torch", "timm")


def speed_ratios(subject: Subject, batch: int) -> dict[str, float]:
    """How many times longer the ordinary network takes: above 1 the suite's is the faster one.

    Returns:
        inference_ratio and step_ratio, medians of runs that take turns in one process.
    """
    ours = build(subject)
    theirs = ordinary(ours)
    inference = [_inference(module, subject, batch) for module in (theirs, ours)]
    found = {"inference_ratio": _ratio(inference, subject)}
    if any(parameter.requires_grad for parameter in ours.model.parameters()):
        steps = [_step(module, subject, batch) for module in (theirs, ours)]
        found["step_ratio"] = _ratio(steps, subject)
    return found


def ordinary(module: TrainingModule) -> TrainingModule:
    """A copy with the same weights, each layer run by the framework's class that it derives from, planes in memory."""
    made = copy.deepcopy(module)
    for part in made.modules():
        part.__class__ = framework_class(type(part))
    return made.to(memory_format=torch.contiguous_format)


def framework_class(layer: type[nn.Module]) -> type[nn.Module]:
    """The class of torch or timm behind a layer that only runs it in another way; other classes stay.

    A layer runs another class in another way if it is a convolution or a linear layer and has no constructor of its
    own.
    """
    if not issubclass(layer, (nn.Conv2d, nn.Linear)) or "__init__" in vars(layer):
        return layer
    return next(base for base in layer.__mro__ if base.__module__.partition(".")[0] in FRAMEWORKS)


def _inference(module: TrainingModule, subject: Subject, batch: int) -> Callable[[], Any]:
    images = random_batch(subject.tasks, batch, subject.size, subject.device)["images"]
    images = images.to(memory_format=_memory_format(module))

    def work() -> None:
        module.eval()
        with torch.inference_mode():
            module.model.method(images)

    return work


def _step(module: TrainingModule, subject: Subject, batch: int) -> Callable[[], Any]:
    data = random_batch(subject.tasks, batch, subject.size, subject.device)
    data["images"] = data["images"].to(memory_format=_memory_format(module))
    optimizer = optimizer_of(subject, module)

    def work() -> None:
        losses = module.train()(**data, mode="loss")
        optimizer.update_params(torch.stack([term for name, term in losses.items() if "loss" in name]).sum())

    return work


def _memory_format(module: nn.Module) -> torch.memory_format:
    """The layout of the first convolution's weights."""
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Conv2d)]
    last = bool(weights) and weights[0].is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last and not weights[0].is_contiguous() else torch.contiguous_format


def _ratio(works: Sequence[Callable[[], Any]], subject: Subject) -> float:
    theirs, ours = alternating_seconds(works, subject.runs, subject.device)
    return median(theirs) / median(ours)
