"""Predictions and labels of a task in one representation, the input of networks that translate between tasks.

Classes become one probability per class, distances are divided by the largest label, directions are unit vectors,
boundaries and masks are probabilities. Pixels without a label are zero in maps of labels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.tasks import Task

Probabilities = Callable[[Tensor], Tensor]


def map_channels(task: Task) -> int:
    """Number of channels of the map of a task."""
    return task.channels if task.readout in ("class", "direction", "value") else 1


def label_map(task: Task, target: Tensor) -> Tensor:
    """(B, `map_channels`, H, W) from labels in the form of `benchmark.tasks`."""
    valid = task.valid(target)[:, None]
    if task.readout == "class":
        # Unlabelled pixels become a further class, which is then removed.
        classes = torch.where(valid[:, 0], target, target.new_tensor(task.channels))
        return F.one_hot(classes, task.channels + 1)[..., :-1].permute(0, 3, 1, 2).float()
    values = torch.where(valid, target.float(), 0.0)
    return values / largest(task, target) if task.readout == "value" else values


def prediction_map(task: Task, prediction: Tensor, target: Tensor, soften: Probabilities | None = None) -> Tensor:
    """(B, `map_channels`, h, w) from a raw prediction.

    Args:
        task: the task.
        prediction: (B, C, h, w), see `MultiTaskOutput.predictions`.
        target: labels; their largest absolute value is the divisor of distances.
        soften: class logits -> probabilities; None for softmax.
    """
    prediction = prediction.float()
    if task.readout == "class":
        return prediction.softmax(1) if soften is None else soften(prediction)
    if task.readout == "direction":
        return F.normalize(prediction, dim=1)
    if task.readout == "value":
        return prediction / largest(task, target)
    return (prediction if prediction.shape[1] == 1 else prediction[:, 1:2] - prediction[:, :1]).sigmoid()


def largest(task: Task, target: Tensor) -> Tensor:
    """Largest absolute value of the labels of a batch; 1 without labels, and if all labels are 0."""
    values = torch.where(task.valid(target)[:, None], target.float(), 0.0).abs().amax()
    return torch.where(values > 0, values, torch.ones_like(values))


def shrink(maps: Tensor, stride: int) -> Tensor:
    """Means over cells of stride x stride pixels; smaller cells at the bottom and right border."""
    return F.avg_pool2d(maps, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else maps


def labelled_share(task: Task, target: Tensor, stride: int) -> Tensor:
    """(B, 1, h, w) share of labelled pixels in each cell."""
    return shrink(task.valid(target)[:, None].float(), stride)
