"""Predictions and labels of a task as maps of one kind, which networks between tasks can read.

A class becomes a probability for each class, a distance one divided by the largest label, a direction a unit vector, a
boundary or a mask a probability. Where there is no label the map is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.tasks import Task

Probabilities = Callable[[Tensor], Tensor]


def map_channels(task: Task) -> int:
    """Channels of a task's map."""
    return task.channels if task.readout in ("class", "direction", "value") else 1


def label_map(task: Task, target: Tensor) -> Tensor:
    """(B, `map_channels`, H, W) from labels; see `benchmark.tasks` for their form."""
    known = task.valid(target)[:, None]
    if task.readout == "class":
        # A class for pixels without a label, which is cut off.
        classes = torch.where(known[:, 0], target, target.new_tensor(task.channels))
        return F.one_hot(classes, task.channels + 1)[..., :-1].permute(0, 3, 1, 2).float()
    values = torch.where(known, target.float(), 0.0)
    return values / largest(task, target) if task.readout == "value" else values


def prediction_map(task: Task, prediction: Tensor, target: Tensor, soften: Probabilities | None = None) -> Tensor:
    """(B, `map_channels`, h, w) from a raw prediction.

    Args:
        task: the task.
        prediction: (B, C, h, w), see `MultiTaskOutput.predictions`.
        target: labels, which say by what a value is divided.
        soften: logits to probabilities of the classes; softmax if not given.
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
    """The largest labelled value of a batch, 1 where nothing is labelled."""
    values = torch.where(task.valid(target)[:, None], target.float(), 0.0).abs().amax()
    return torch.where(values > 0, values, torch.ones_like(values))


def shrink(maps: Tensor, stride: int) -> Tensor:
    """Means over cells of stride x stride pixels; those at the border over what there is."""
    return F.avg_pool2d(maps, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else maps


def known_cells(task: Task, target: Tensor, stride: int) -> Tensor:
    """(B, 1, h, w): share of labelled pixels of each cell."""
    return shrink(task.valid(target)[:, None].float(), stride)
