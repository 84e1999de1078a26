"""Task losses over valid pixels; `task_loss` computes the loss that a task names.

`LOSSES` maps a name to `(prediction (B, C, H, W), target, valid (B, H, W), **options) -> scalar`. On a batch without a
valid pixel every loss is 0, with a graph. Target values at invalid pixels change neither the loss nor a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from benchmark.losses.boundary import balanced_bce, bce
from benchmark.losses.classification import (
    balanced_cross_entropy,
    boundary_cross_entropy,
    cross_entropy,
    depth_bin_cross_entropy,
    normals_cluster_cross_entropy,
)
from benchmark.losses.registry import LOSSES, Loss, Losses, UnknownLossError, at_least_float32
from benchmark.losses.regression import l1, normals_cosine, normals_l1, normals_l2
from benchmark.tasks import Task, TaskSet

__all__ = [
    "LOSSES",
    "Loss",
    "Losses",
    "UnknownLossError",
    "balanced_bce",
    "balanced_cross_entropy",
    "bce",
    "boundary_cross_entropy",
    "check_losses",
    "cross_entropy",
    "depth_bin_cross_entropy",
    "l1",
    "normals_cluster_cross_entropy",
    "normals_cosine",
    "normals_l1",
    "normals_l2",
    "task_loss",
]


def check_losses(tasks: TaskSet) -> None:
    """Check the names of the losses and loss options of a recipe.

    Raises:
        UnknownLossError: for a loss that is not registered.
        ValueError: for an unknown option, or a missing one that the loss needs.
    """
    for task in tasks.values():
        LOSSES.check(task.loss, task.loss_options)


def task_loss(
    task: Task,
    prediction: Tensor,
    target: Tensor,
    *,
    loss: str | None = None,
    loss_options: Mapping[str, Any] | None = None,
) -> Tensor:
    """Unweighted loss of one task over its valid pixels.

    Args:
        task: the task; its `valid` says which pixels count.
        prediction: (B, C, h, w); resized bilinearly (align_corners=False) to the size of the target.
        target: see `benchmark.tasks`.
        loss: name of another loss, None for the task's own.
        loss_options: keywords of `loss`; if `loss` is None, they override the task's own.

    Returns:
        A scalar in float32; 0, with a graph, if no pixel is valid.

    Raises:
        UnknownLossError: for a loss that is not registered.
        ValueError: if shapes, classes or options do not fit.
    """
    _check_target(task, target)
    options = dict(loss_options or {})
    if loss is None:
        _check_channels(task, prediction)
        options = {**task.loss_options, **options}
    upsampled = _at_size(at_least_float32(prediction), (target.shape[-2], target.shape[-1]))
    return LOSSES[loss or task.loss](upsampled, target, task.valid(target), **options)


def _at_size(prediction: Tensor, size: tuple[int, int]) -> Tensor:
    if prediction.ndim != 4 or tuple(prediction.shape[-2:]) == size:
        return prediction
    return F.interpolate(prediction, size=size, mode="bilinear", align_corners=False)


def _check_target(task: Task, target: Tensor) -> None:
    channels = task.target_channels
    axes = "(B, H, W)" if channels is None else f"(B, {channels}, H, W)"
    if target.ndim != axes.count(",") + 1 or (target.ndim == 4 and target.shape[1] != channels):
        raise ValueError(f"{task.name}: the target must be {axes}, found {tuple(target.shape)}")


def _check_channels(task: Task, prediction: Tensor) -> None:
    if prediction.ndim != 4 or prediction.shape[1] != task.channels:
        raise ValueError(
            f"{task.name}: the prediction must be (B, {task.channels}, H, W), found {tuple(prediction.shape)}"
        )
