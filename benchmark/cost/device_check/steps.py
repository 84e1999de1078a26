"""Training steps on random batches: the published recipes, compilation, equality with a CPU, synchronisation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmark.cost.device_check.findings import Check, Finding, finding
from benchmark.cost.measure import optimizer_of
from benchmark.cost.target import CostTarget, build, image_size
from benchmark.records.result import RunSpec
from benchmark.training.optim import PRECISIONS
from benchmark.training.random_batches import random_batch
from benchmark.training.recipe_files import load_recipe, recipe_defaults

PUBLISHED = ("nyuv2_", "pascal_")
"""Beginnings of the names of published recipes. Recipes for a CPU, whose names end with `_lite`, are not published."""
SMALLEST = "nyuv2_hrnet18"
TOLERANCE = 1e-3
"""Largest difference of predictions, relative to the largest value of a task."""
WAITING = frozenset(
    (
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "cudaDeviceSynchronize",
        "cudaStreamSynchronize",
        "cudaEventSynchronize",
    )
)
"""Operations that wait for the device. On a CPU, the first two show what would wait on a GPU."""
WARM_UP = 3


@dataclass(frozen=True)
class Size:
    """Sizes of the checked trainings.

    Args:
        device: "cuda" or "cpu".
        tiny: True for small images, two of them, and a small backbone.
        steps: training steps of each recipe.
    """

    device: str
    tiny: bool
    steps: int = 10

    def target(
        self, recipe: str, method: str = "hard_sharing", regularizer: str = "none", **overrides: Any
    ) -> CostTarget:
        """A cell of a recipe at this size; overrides by dotted key, with `__` for a dot."""
        named = {name.replace("__", "."): value for name, value in overrides.items()}
        backbone, tasks = recipe_defaults(recipe, named)
        spec = RunSpec(recipe, method, regularizer, "resnet18" if self.tiny else backbone, tasks, 0, named)
        size = (64, 96) if self.tiny else image_size(load_recipe(recipe, named))
        return CostTarget(spec, size, self.device)

    def batch(self, target: CostTarget) -> Any:
        """A random batch on the CPU, as many images as the recipe has."""
        return random_batch(target.tasks, 2 if self.tiny else target.recipe.train_dataloader.batch_size, target.size)


def recipe_checks(size: Size, recipes: list[str]) -> list[tuple[str, Check]]:
    """A check for each recipe and precision."""
    return [
        (f"recipe {recipe}", partial(trains, size, recipe, precision)) for recipe in recipes for precision in PRECISIONS
    ]


def trains(size: Size, recipe: str, precision: str) -> Iterator[Finding]:
    """Some steps on one batch: memory, seconds per step, and the loss, which must fall."""
    target = size.target(recipe, optim_wrapper__precision=precision)
    if size.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    losses, seconds = losses_of(target, size.batch(target), size.steps)
    memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB, " if size.device == "cuda" else ""
    images = f"{target.size[0]}x{target.size[1]}"
    found = f"{images}, {memory}{seconds:.3f} s per step, loss {losses[0]:.3f} -> {losses[-1]:.3f}"
    yield finding(f"recipe in {precision}", recipe, losses[-1] < losses[0], found)


def compiles(size: Size) -> Iterator[Finding]:
    """Predictions of the compiled network against the plain network, and some steps."""
    # On a CPU the check is of our code, not of a compiler, which takes minutes there.
    chosen: Any = True if size.device == "cuda" else {"backend": "aot_eager"}
    plain, target = (size.target(SMALLEST, **options) for options in ({}, {"compile": chosen}))
    with full_precision():
        difference = largest_difference(plain, target, size.batch(plain))
    losses, seconds = losses_of(target, size.batch(target), size.steps)
    found = (
        f"predictions differ by {difference:.1e}, {seconds:.3f} s per step, loss {losses[0]:.3f} -> {losses[-1]:.3f}"
    )
    yield finding("compile=True", SMALLEST, difference < TOLERANCE and losses[-1] < losses[0], found)


def equals_cpu(size: Size) -> Iterator[Finding]:
    """Predictions of the device against predictions of the CPU, with the same weights and images."""
    for method in ("hard_sharing", "mti_net"):
        target = size.target(SMALLEST, method)
        with full_precision():
            difference = largest_difference(replace(target, device="cpu"), target, size.batch(target))
        yield finding("equal to the CPU", method, difference < TOLERANCE, f"predictions differ by {difference:.1e}")


def does_not_wait(size: Size) -> Iterator[Finding]:
    """Operations within a training step that wait for the device, by the profiler."""
    for regularizer in ("none", "three_d_aware"):
        target = size.target(SMALLEST, regularizer=regularizer)
        module, step = training_step(target, on_device(size.batch(target), size.device))
        # The few gradient measurements of a training wait. This step makes the last one, so no later step waits for it.
        if module.regularizer is not None:
            module.regularizer.progress = 0.999
            step()
        for _ in range(WARM_UP):
            step()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if size.device == "cuda" else [])]
        with profile(activities=activities) as profiled:
            step()
        waits = {event.key: event.count for event in profiled.key_averages() if event.key in WAITING}
        # The profiler itself waits once at its end.
        waits["cudaDeviceSynchronize"] = waits.get("cudaDeviceSynchronize", 0) - 1
        waits = {name: count for name, count in waits.items() if count > 0}
        found = ", ".join(f"{count} {name}" for name, count in waits.items()) or "no operation waits"
        yield finding("no synchronisation in a step", f"hard_sharing+{regularizer}", not waits, found)


def losses_of(target: CostTarget, batch: Any, steps: int) -> tuple[list[float], float]:
    """Losses of steps on one batch, and the mean seconds of a step after the warm-up."""
    _, step = training_step(target, batch)
    losses, seconds = [], []
    for _ in range(steps):
        before = time.perf_counter()
        losses.append(float(step()["loss"].detach()))
        seconds.append(time.perf_counter() - before)
    later = seconds[min(WARM_UP, steps - 1) :]
    return losses, sum(later) / len(later)


def training_step(target: CostTarget, batch: Any) -> tuple[Any, Callable[[], Any]]:
    """A network with weights from a fixed seed, and its training step on one batch."""
    torch.manual_seed(0)
    module = build(target).train()
    optimizer = optimizer_of(target, module)
    return module, lambda: module.train_step(batch, optimizer)


def largest_difference(first: CostTarget, second: CostTarget, batch: Any) -> float:
    """Largest difference of the predictions of two networks with the same weights, relative to the largest value."""
    networks = []
    for target in (first, second):
        torch.manual_seed(0)
        networks.append(build(target).model.eval())
    networks[1].load_state_dict(networks[0].state_dict())
    with torch.no_grad():
        predictions = [
            network(network.data_preprocessor(on_device(batch, target.device))["images"]).predictions
            for network, target in zip(networks, (first, second), strict=True)
        ]
    return max(
        float((predictions[1][name].cpu() - values.cpu()).abs().max() / values.abs().max().cpu())
        for name, values in predictions[0].items()
    )


@contextmanager
def full_precision() -> Iterator[None]:
    """Products in float32 without TF32, whose mantissa has 10 bits."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def on_device(batch: Any, device: str) -> Any:
    """A batch with its tensors on a device."""
    if isinstance(batch, dict):
        return {name: on_device(value, device) for name, value in batch.items()}
    return batch.to(device) if isinstance(batch, torch.Tensor) else batch
