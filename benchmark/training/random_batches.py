"""Batches of random pixels and labels for cost measurements, which do not depend on the values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contracts import Batch
from benchmark.tasks import Task, TaskSet

NEAREST, FARTHEST = 0.5, 9.5
"""Range of the random depths in metres."""


def random_batch(tasks: TaskSet, batch: int, size: tuple[int, int], device: str = "cpu") -> Batch:
    """Make a `Batch` with a label for every pixel.

    Args:
        tasks: tasks to label.
        batch: number of images.
        size: (H, W).
        device: device of the tensors.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = size
    intrinsics = torch.tensor([[width, 0.0, width / 2], [0.0, width, height / 2], [0.0, 0.0, 1.0]])
    targets = {name: random_target(task, batch, size, generator).to(device) for name, task in tasks.items()}
    return Batch(
        images=torch.randn(batch, 3, *size, generator=generator).to(device),
        targets=targets,
        intrinsics=intrinsics.expand(batch, 3, 3).clone().to(device),
        index=torch.arange(batch, device=device),
        name=[f"random_{position}" for position in range(batch)],
    )


def random_target(task: Task, batch: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Random labels of one task, in its unit."""
    if task.readout == "class":
        return torch.randint(0, task.channels, (batch, *size), generator=generator)
    shape = (batch, task.target_channels or 1, *size)
    if task.readout == "direction":
        return F.normalize(torch.randn(shape, generator=generator), dim=1)
    values = torch.rand(shape, generator=generator)
    if task.readout in ("probability", "mask"):
        return (values < 0.1).float()
    return NEAREST + (FARTHEST - NEAREST) * values
