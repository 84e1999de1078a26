"""Small batches and models that the contract tests share."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from benchmark.contracts import Batch, Method
from benchmark.registry import METHODS, REGULARIZERS
from benchmark.tasks import NYUV2_TASKS, TaskSet
from benchmark.training.model import MultiTaskModel

BACKBONE = "timm:test_resnet"
TASK_SETS = {
    "four_tasks": NYUV2_TASKS,
    "two_tasks": NYUV2_TASKS.select(["semseg", "depth"]),
    "one_task": NYUV2_TASKS.select(["normals"]),
}


def random_targets(tasks: TaskSet, batch: int, size: tuple[int, int], seed: int) -> dict[str, Tensor]:
    """Targets in the units of the tasks, a tenth of the pixels without a label."""
    generator = torch.Generator().manual_seed(seed)
    missing = torch.rand(batch, *size, generator=generator) < 0.1
    targets: dict[str, Tensor] = {}
    for name, task in tasks.items():
        shape = (batch, task.channels, *size)
        if task.readout == "class":
            labels = torch.randint(0, task.channels, (batch, *size), generator=generator)
            targets[name] = labels.masked_fill(missing, 255)
        elif task.readout == "direction":
            directions = torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=1)
            targets[name] = directions.masked_fill(missing[:, None], 0.0)
        elif task.readout in ("probability", "mask"):
            edges = (torch.rand((batch, 1, *size), generator=generator) < 0.2).float()
            targets[name] = edges.masked_fill(missing[:, None], 255.0)
        else:
            values = torch.rand(shape, generator=generator) * 9 + 0.5
            targets[name] = values.masked_fill(missing[:, None], 0.0)
    return targets


def random_batch(tasks: TaskSet, batch: int = 2, size: tuple[int, int] = (64, 96), seed: int = 0) -> Batch:
    """A batch of random pixels in the format of the data sets."""
    generator = torch.Generator().manual_seed(seed + 1)
    intrinsics = torch.tensor([[60.0, 0.0, size[1] / 2], [0.0, 60.0, size[0] / 2], [0.0, 0.0, 1.0]])
    return Batch(
        images=torch.randn(batch, 3, *size, generator=generator),
        targets=random_targets(tasks, batch, size, seed),
        intrinsics=intrinsics.expand(batch, 3, 3).clone(),
        index=torch.arange(batch),
        name=[f"frame_{position}" for position in range(batch)],
    )


def build_method(name: str, tasks: TaskSet = NYUV2_TASKS, backbone: str = BACKBONE, seed: int = 0) -> Method:
    """A method built from tasks and backbone alone, after seeding."""
    torch.manual_seed(seed)
    method: Method = METHODS.create(name, tasks, backbone)
    method.calibrate([random_targets(tasks, 2, (64, 96), seed=7)])
    return method


def short_preparation(regularizer: str) -> dict[str, Any]:
    """Options of a regularizer that make its preparation short: one pass, if it makes `passes` through the labels."""
    return {"passes": 1} if "passes" in signature(REGULARIZERS.entry(regularizer).factory).parameters else {}


def short_overrides(regularizer: str) -> dict[str, Any]:
    """The options of `short_preparation` as overrides of a recipe."""
    return {f"regularizer.{option}": value for option, value in short_preparation(regularizer).items()}


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Sum of loss terms."""
    return torch.stack([term.reshape(()) for term in terms.values()]).sum()


def predict(model: MultiTaskModel, images: Tensor) -> dict[str, Tensor]:
    """Predictions in eval mode."""
    model.eval()
    with torch.no_grad():
        predictions: dict[str, Tensor] = model(images).predictions
    return predictions
