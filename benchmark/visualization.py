"""Labels and predictions as colours, the same for all that is drawn; black where there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmark.heads import read_out
from benchmark.tasks import Task

Picture = NDArray[np.float32]
"""(H, W, 3) RGB from 0 to 1."""
Span = tuple[float, float]
"""The values of the first and of the last colour."""

GOLDEN_RATIO = 0.618034


def said(task: Task, prediction: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """(C, H, W) what a raw prediction (C, h, w) says, brought to a size first as a loss does it."""
    whole = F.interpolate(prediction[None].float(), size=size, mode="bilinear", align_corners=False)
    return np.asarray(read_out(task, whole)[0].cpu(), np.float32)


def labelled(task: Task, target: Tensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(C, H, W) a label, and (H, W) where there is one, from one target as a data set gives it."""
    valid = np.asarray(task.valid(target[None])[0].cpu(), bool)
    values = target if task.target_channels is not None else target[None]
    return np.asarray(values.cpu(), np.float32), valid


def span_of(values: Iterable[NDArray[np.float32]]) -> Span:
    """From the least to the largest of the first values there are; never empty."""
    found = next((some for some in values if some.size), np.zeros(1, np.float32))
    low, high = float(found.min()), float(found.max())
    return (low, high) if high > low else (low, low + 1.0)


def coloured(
    task: Task, values: NDArray[np.float32], span: Span = (0.0, 1.0), valid: NDArray[np.bool_] | None = None
) -> Picture:
    """Classes in colours well apart, normals as (n + 1) / 2, probabilities in grey, other values on a scale.

    Args:
        task: the task; its `readout` decides.
        values: (C, H, W) as `said` or `labelled` gives them; of several plain values the first is shown.
        span: of the scale of plain values.
        valid: (H, W) where there is something to show; everywhere if not given.
    """
    if task.readout == "class":
        picture = class_colours(task.channels)[values[0].clip(0, task.channels - 1).astype(int)]
    elif task.readout == "direction":
        picture = ((values + 1) / 2).clip(0, 1).transpose(1, 2, 0)
    elif task.readout == "value":
        picture = on_scale(values[0], span)
    else:
        picture = np.repeat(values[0].clip(0, 1)[..., None], 3, axis=2)
    return (picture if valid is None else np.where(valid[..., None], picture, 0)).astype(np.float32)


def class_colours(count: int) -> Picture:
    """(count, 3) colours well apart, none black; those of the first classes are the same for any count."""
    from matplotlib.colors import hsv_to_rgb

    number = np.arange(count)
    hue, saturation = number * GOLDEN_RATIO % 1, np.array([0.78, 0.45])[number % 2]
    value = np.array([0.95, 0.6, 0.8])[number % 3]
    return np.asarray(hsv_to_rgb(np.stack([hue, saturation, value], axis=-1)), np.float32)


def on_scale(values: NDArray[np.float32], span: Span, scale: str = "turbo") -> Picture:
    """(..., 3) colours of plain values on one of matplotlib's scales."""
    from matplotlib import colormaps

    low, high = span
    return np.asarray(colormaps[scale](((values - low) / (high - low)).clip(0, 1))[..., :3], np.float32)


def resized(mask: Tensor, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) a mask (h, w) at another size, each pixel as the nearest."""
    return np.asarray(F.interpolate(mask[None, None].to(torch.float32), size=size)[0, 0].cpu() > 0.5)
