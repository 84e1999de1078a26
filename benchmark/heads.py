"""Prediction heads, resizing, and conversion of raw predictions, for methods, regularizers and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.tasks import Task, TaskSet


def upsample_to(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resize of (B, C, h, w) to `size` = (H, W), align_corners=False as in all public code of the field."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def concatenate_maps(maps: Sequence[Tensor]) -> Tensor:
    """Upsample maps of several strides to the size of the first one and concatenate their channels."""
    size = maps[0].shape[-2:]
    return torch.cat([upsample_to(level, size) for level in maps], dim=1)


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; padding keeps the size."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class PredictionLayer(nn.Conv2d):
    """1x1 convolution, the last layer of a head of the ATRC harness: weights from N(0, 0.01^2), zero bias."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, kernel_size=1)
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(cast(Tensor, self.bias))


class FCNHead(nn.Module):
    """3x3 ConvBNReLU and a 1x1 convolution: the head of the ATRC harness.

    Source: Bruggemann et al., "Exploring Relational Context for Multi-Task Dense Prediction", ICCV 2021; the released
    baseline uses width = channels // 4.

    Args:
        channels: channels of the incoming map.
        width: channels between the two convolutions.
        out_channels: channels of the prediction.
    """

    def __init__(self, channels: int, width: int, out_channels: int) -> None:
        super().__init__()
        self.features = ConvBNReLU(channels, width, kernel_size=3)
        self.logits = PredictionLayer(width, out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out_channels, h, w)."""
        return self.logits(self.features(maps))


def head_width(channels: int) -> int:
    """Default width of an `FCNHead`: a quarter of the channels as in ATRC, but at least 64, or all channels if fewer.

    The minimum matters for narrow decoders only; ATRC's decoders have 270 channels (width 67) and 720 (width 180).
    """
    return max(channels // 4, min(channels, 64))


def task_heads(channels: int, tasks: TaskSet, width: int | None = None) -> nn.ModuleDict:
    """One `FCNHead` per task on a map of `channels` channels.

    Args:
        channels: channels of the incoming map.
        tasks: the tasks, in order.
        width: see `FCNHead`; `head_width(channels)` if None.
    """
    width = width or head_width(channels)
    return nn.ModuleDict({name: FCNHead(channels, width, task.channels) for name, task in tasks.items()})


def read_out(task: Task, prediction: Tensor) -> Tensor:
    """Convert a raw prediction (B, C, H, W) by `Task.readout`.

    Returns:
        (B, 1, H, W) classes, probabilities or values; (B, 3, H, W) unit vectors for directions.
    """
    if task.readout == "class":
        return prediction.argmax(dim=1, keepdim=True)
    if task.readout == "direction":
        return F.normalize(prediction.float(), dim=1)
    if task.readout == "probability":
        return prediction.float().sigmoid()
    if task.readout == "mask":
        return foreground(prediction.float())
    return prediction.float()


def foreground(logits: Tensor) -> Tensor:
    """Probability (B, 1, H, W) of the foreground of a mask, from one logit, or from two by their softmax."""
    return (logits if logits.shape[1] == 1 else logits[:, 1:2] - logits[:, :1]).sigmoid()
