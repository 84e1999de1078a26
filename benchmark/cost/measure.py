"""Time and memory of inference and of training steps, each measured in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmark.cost.memory import PeakMemory
from benchmark.cost.target import CostTarget, build, build_shapes
from benchmark.cost.timing import alternating_seconds
from benchmark.records.processes import map_in_processes
from benchmark.records.result import NO_REGULARIZER
from benchmark.records.validation import shortened
from benchmark.registry import import_files
from benchmark.training.model import TrainingModule
from benchmark.training.optim import PartsOptimWrapperConstructor
from benchmark.training.random_batches import random_batch

Cost = dict[str, float | None]
Work = Callable[[CostTarget, int], Callable[[], Any]]


class MeasurementError(RuntimeError):
    """A measurement that failed; the message is one line."""


def inference_cost(target: CostTarget, batch: int) -> Cost:
    """Latency in seconds and peak memory in MiB, weights included, of the model in eval mode on `batch` images."""
    memory = fresh_memory(target)
    (seconds,) = alternating_seconds([inference(target, batch)], target.runs, target.device)
    return {
        f"latency_p50_seconds_batch{batch}": float(np.percentile(seconds, 50)),
        f"latency_p95_seconds_batch{batch}": float(np.percentile(seconds, 95)),
        f"inference_memory_mb_batch{batch}": memory.mb(),
    }


def step_cost(target: CostTarget, batch: int) -> Cost:
    """Median seconds and peak memory in MiB of a training step: forward, losses, backward, optimizer."""
    memory = fresh_memory(target)
    (seconds,) = alternating_seconds([training_step(target, batch)], target.runs, target.device)
    return {"step_seconds": median(seconds), "step_memory_mb": memory.mb()}


def step_time_ratio(target: CostTarget, batch: int) -> Cost:
    """Median step time with the regularizer divided by the median without it."""
    return {"step_time_ratio": time_ratio(training_step, target, target.without_regularizer(), batch)}


def acceleration(target: CostTarget, batch: int) -> Cost:
    """Median time in plain torch divided by the median with `accelerate`, of inference and of a training step.

    Returns:
        inference_ratio, and step_ratio if the method has parameters to train; above 1 if `accelerate` saves time.
    """
    plain = target.without_acceleration()
    ratios: Cost = {"inference_ratio": time_ratio(inference, plain, target, batch)}
    if trains(target):
        ratios["step_ratio"] = time_ratio(training_step, plain, target, batch)
    return ratios


def time_ratio(work: Work, numerator: CostTarget, denominator: CostTarget, batch: int) -> float:
    """Ratio of the median seconds of two networks, measured alternately in this process."""
    works = [work(target, batch) for target in (numerator, denominator)]
    above, below = alternating_seconds(works, denominator.runs, denominator.device)
    return median(above) / median(below)


def inference(target: CostTarget, batch: int) -> Callable[[], Any]:
    """A forward pass in eval mode, on the same random images every time."""
    model = build(target).model.eval()
    images = model.data_preprocessor(random_batch(target.tasks, batch, target.size, target.device))["images"]
    return torch.inference_mode()(lambda: model(images))


def training_step(target: CostTarget, batch: int) -> Callable[[], Any]:
    """A training step like the Runner's, on the same random batch every time."""
    module = build(target).train()
    optimizer = optimizer_of(target, module)
    data = random_batch(target.tasks, batch, target.size)
    return lambda: module.train_step(data, optimizer)


def fresh_memory(target: CostTarget) -> PeakMemory:
    """Start a memory measurement after all modules are imported, since code takes as much memory as a small network."""
    build_shapes(target)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    return PeakMemory(target.device)


def trains(target: CostTarget) -> bool:
    """True if the method has a parameter to train."""
    return any(parameter.requires_grad for parameter in build_shapes(target).model.parameters())


def all_step_costs(target: CostTarget, batch: int, without: Cost | None = None) -> Cost:
    """All costs of a training step, and their ratios to a step without the regularizer.

    Args:
        target: the network.
        batch: images in a step.
        without: `step_cost` of the method without its regularizer, None to measure it.
    """
    cost = in_own_process(step_cost, target, batch)
    if target.spec.regularizer == NO_REGULARIZER:
        return cost
    alone = without or in_own_process(step_cost, target.without_regularizer(), batch)
    memory, memory_alone = cost["step_memory_mb"], alone["step_memory_mb"]
    ratio = memory / memory_alone if memory and memory_alone else None
    return cost | in_own_process(step_time_ratio, target, batch) | {"step_memory_ratio": ratio}


def in_own_process(work: Callable[[CostTarget, int], Cost], target: CostTarget, batch: int) -> Cost:
    """Run a measurement in a fresh process, since reused memory of earlier measurements would not count.

    Raises:
        MeasurementError: naming the cell, if it fails or the process dies.
    """
    try:
        (cost,) = map_in_processes(partial(_in_child, work, target), [batch], 1)
        return cost
    except BrokenProcessPool:
        reason = "its process died, perhaps for lack of memory; try a smaller --batch, --step-batch or --size"
    except (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        reason = f"{type(error).__name__}: {shortened(error)}"
    name = f"{target.spec.method}+{target.spec.regularizer}"
    raise MeasurementError(f"{name}: {work.__name__.replace('_', ' ')} at batch {batch}: {reason}")


def _in_child(work: Callable[[CostTarget, int], Cost], target: CostTarget, batch: int) -> Cost:
    import_files(target.imports)
    return work(target, batch)


def optimizer_of(target: CostTarget, module: TrainingModule) -> Any:
    """The optimizer wrapper of the recipe."""
    settings = dict(target.recipe.optim_wrapper)
    settings.pop("constructor", None)
    return PartsOptimWrapperConstructor(settings, settings.pop("paramwise_cfg", None))(module)
