"""Whole trainings of a few steps: exact resuming, a process group of one device, and the speed of loading."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor

from benchmark.cost.device_check.findings import Check, Finding, finding
from benchmark.cost.device_check.steps import SMALLEST, Size, losses_of, training_step
from benchmark.cost.measure import optimizer_of
from benchmark.records.result import RunSpec
from benchmark.training.cell import runner_at_latest_state, train_runner
from benchmark.training.cell_runner import CellRunner
from benchmark.training.checkpoints import PREVIOUS_FILE, STATE_FILE
from benchmark.training.compose import compose
from benchmark.training.data_parallel import SummedDataParallel
from benchmark.training.recipe_files import recipe_defaults

STEPS, INTERVAL = 4, 2
LOADED_SECONDS = 8.0
REPEATED = 3.0
"""Largest ratio of the difference of a resumed training to the difference of a repeated training. Both are 0 on a
device that repeats a training exactly."""


def training_checks(size: Size, rooms: Path) -> list[tuple[str, Check]]:
    """Checks that need a data set.

    Args:
        size: size of the trainings.
        rooms: folder of a small copy of the data set `synthetic`.
    """
    return [
        ("exact resume", partial(resumes, rooms)),
        ("one device in a process group", partial(runs_in_a_group, size)),
        ("loading keeps up", partial(loads, size, rooms)),
    ]


def resumes(rooms: Path) -> Iterator[Finding]:
    """Weights of a resumed training against an undisturbed one, and against a repeated one."""
    with tempfile.TemporaryDirectory() as folder:
        calm, again, resumed = (Path(folder, name) for name in ("calm", "again", "resumed"))
        first = _trained(rooms, calm)
        second = _trained(rooms, again)
        resumed.mkdir()
        shutil.copyfile(calm / PREVIOUS_FILE, resumed / STATE_FILE)
        third = _trained(rooms, resumed)
    repeated, continued = _difference(first, second), _difference(first, third)
    found = f"resumed differs by {continued:.1e}, repeated by {repeated:.1e}"
    yield finding("exact resume", "hard_sharing+three_d_aware", continued <= REPEATED * repeated, found)


def runs_in_a_group(size: Size) -> Iterator[Finding]:
    """Losses in a process group of one device, compared with losses without a group."""
    backend = "nccl" if size.device == "cuda" else "gloo"
    target = size.target(SMALLEST, regularizer="three_d_aware")
    batch = size.batch(target)
    alone, _ = losses_of(target, batch, STEPS)
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group(backend, init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            module, _ = training_step(target, batch)
            wrapped = SummedDataParallel(module)
            optimizer: Any = optimizer_of(target, module)
            optimizer.complete_gradients = wrapped.complete_gradients
            grouped = [float(wrapped.train_step(batch, optimizer)["loss"].detach()) for _ in range(STEPS)]
        finally:
            dist.destroy_process_group()
    difference = max(abs(one - other) / abs(one) for one, other in zip(alone, grouped, strict=True))
    yield finding(f"{backend} with one device", SMALLEST, difference < 1e-3, f"losses differ by {difference:.1e}")


def loads(size: Size, rooms: Path) -> Iterator[Finding]:
    """Training images per second: delivered by the loader, and used by a step in bf16."""
    target = size.target(SMALLEST, optim_wrapper__precision="bf16")
    batch_size = len(size.batch(target)["images"])
    _, seconds = losses_of(target, size.batch(target), size.steps)
    workers = 0 if size.tiny else min(8, os.cpu_count() or 1)
    rate = _images_per_second(rooms, target.size, batch_size, workers, 1.0 if size.tiny else LOADED_SECONDS)
    needed = batch_size / seconds
    found = f"{workers} workers load {rate:.0f} images per second, training uses {needed:.0f}"
    yield finding("loading keeps up", f"{SMALLEST}, {target.size[0]}x{target.size[1]}", rate >= needed, found)


def _trained(rooms: Path, folder: Path) -> dict[str, Tensor]:
    """Weights after four steps from the newest state in a folder."""
    overrides = {
        "root": str(rooms),
        "train_cfg.max_iters": STEPS,
        "checkpoint_interval": INTERVAL,
        "log_level": "ERROR",
    }
    backbone, tasks = recipe_defaults("smoke", overrides)
    spec = RunSpec("smoke", "hard_sharing", "three_d_aware", backbone, tasks, 0, overrides)
    runner, _ = runner_at_latest_state(spec, folder, ())
    train_runner(runner, 0.0)
    state: dict[str, Any] = runner.model.state_dict()
    return {name: value.cpu() for name, value in state.items() if isinstance(value, Tensor)}


def _difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    return max(float((value.double() - second[name].double()).abs().max()) for name, value in first.items())


def _images_per_second(rooms: Path, size: tuple[int, int], batch_size: int, workers: int, seconds: float) -> float:
    """Images per second of the training loader with full augmentation, after its first batches."""
    overrides = {
        "root": str(rooms),
        "train_dataloader.batch_size": batch_size,
        "train_dataloader.num_workers": workers,
        "train_dataloader.dataset.cache": False,
        "train_dataloader.dataset.size": list(size),
        "train_dataloader.dataset.augmentation": {"zoom": [1.0, 1.5], "flip": 0.5, "photometric": 1.0},
    }
    backbone, tasks = recipe_defaults("smoke", overrides)
    spec = RunSpec("smoke", "hard_sharing", "none", backbone, tasks, 0, overrides)
    with tempfile.TemporaryDirectory() as folder:
        loader = CellRunner.build_dataloader(compose(spec, Path(folder)).train_dataloader, seed=0)
    batches = iter(loader)
    for _ in range(1 + workers):
        next(batches)
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        images += len(next(batches)["images"])
    return images / (time.perf_counter() - start)
