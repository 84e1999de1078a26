"""Time and memory of inference and of training steps, each measured in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from statistics import median
from typing import Any

import torch

from benchmark.cost.batches import random_batch
from benchmark.cost.memory import PeakMemory
from benchmark.cost.target import Subject, build, build_shapes
from benchmark.cost.timing import alternating_seconds, percentile
from benchmark.records.result import NO_REGULARIZER
from benchmark.registry import import_files
from benchmark.training.model import TrainingModule
from benchmark.training.optim import PartsOptimWrapperConstructor

Cost = dict[str, float | None]


class MeasurementError(RuntimeError):
    """A measurement that could not be made; the message is one line."""


def inference_cost(subject: Subject, batch: int) -> Cost:
    """Latency and peak memory, weights included, of the model in eval mode on `batch` images at a time."""
    memory = fresh_memory(subject)
    model = build(subject).model.eval()
    images = model.data_preprocessor(random_batch(subject.tasks, batch, subject.size, subject.device))["images"]
    with torch.inference_mode():
        (seconds,) = alternating_seconds([lambda: model(images)], subject.runs, subject.device)
    return {
        f"latency_p50_seconds_batch{batch}": percentile(seconds, 50),
        f"latency_p95_seconds_batch{batch}": percentile(seconds, 95),
        f"inference_memory_mb_batch{batch}": memory.mb(),
    }


def step_cost(subject: Subject, batch: int) -> Cost:
    """Median seconds and peak memory of a training step: forward, losses, backward, optimiser."""
    memory = fresh_memory(subject)
    step = training_step(subject, batch)
    (seconds,) = alternating_seconds([step], subject.runs, subject.device)
    return {"step_seconds": median(seconds), "step_memory_mb": memory.mb()}


def step_time_ratio(subject: Subject, batch: int) -> Cost:
    """How much longer a training step takes with the regularizer than without; both take turns in one process."""
    works = [training_step(each, batch) for each in (subject, subject.without_regularizer())]
    with_it, without = alternating_seconds(works, subject.runs, subject.device)
    return {"step_time_ratio": median(with_it) / median(without)}


def training_step(subject: Subject, batch: int) -> Callable[[], Any]:
    """One step as the Runner makes it, on the same random batch every time."""
    module = build(subject).train()
    optimizer = optimizer_of(subject, module)
    data = random_batch(subject.tasks, batch, subject.size)
    return lambda: module.train_step(data, optimizer)


def fresh_memory(subject: Subject) -> PeakMemory:
    """A peak that starts once all modules are imported: code takes as much memory as a small network."""
    build_shapes(subject)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    return PeakMemory(subject.device)


def trains(subject: Subject) -> bool:
    """Whether the method has anything to train."""
    return any(parameter.requires_grad for parameter in build_shapes(subject).model.parameters())


def all_step_costs(subject: Subject, batch: int, without: Cost | None = None) -> Cost:
    """Everything that is said of a training step.

    Args:
        subject: what is measured.
        batch: images in a step.
        without: `step_cost` of the method alone, if it was measured before.
    """
    cost = in_own_process(step_cost, subject, batch)
    if subject.spec.regularizer == NO_REGULARIZER:
        return cost
    alone = without or in_own_process(step_cost, subject.without_regularizer(), batch)
    memory, memory_alone = cost["step_memory_mb"], alone["step_memory_mb"]
    ratio = memory / memory_alone if memory and memory_alone else None
    return cost | in_own_process(step_time_ratio, subject, batch) | {"step_memory_ratio": ratio}


def in_own_process(work: Callable[[Subject, int], Cost], subject: Subject, batch: int) -> Cost:
    """Run a measurement in a fresh process: memory that another one left behind would count as free.

    Raises:
        MeasurementError: naming the cell, if it fails or the process dies.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_in_child, work, subject, batch).result()
        except BrokenProcessPool:
            reason = "its process died, perhaps for want of memory; try a smaller --batch, --step-batch or --size"
        except (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    name = f"{subject.spec.method}+{subject.spec.regularizer}"
    raise MeasurementError(f"{name}: {work.__name__.replace('_', ' ')} at batch {batch}: {reason}")


def _in_child(work: Callable[[Subject, int], Cost], subject: Subject, batch: int) -> Cost:
    import_files(subject.imports)
    return work(subject, batch)


def optimizer_of(subject: Subject, module: TrainingModule) -> Any:
    """The optimizer wrapper of the recipe."""
    settings = dict(subject.recipe.optim_wrapper)
    settings.pop("constructor", None)
    return PartsOptimWrapperConstructor(settings, settings.pop("paramwise_cfg", None))(module)
