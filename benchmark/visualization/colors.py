"""Colours of labels and predictions, the same in all pictures. Pixels without a value are black."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmark.heads import read_out, upsample_to
from benchmark.tasks import Task
from benchmark.visualization.nyu40 import COLORS_40

Picture = NDArray[np.float32]
"""(H, W, 3) RGB in [0, 1]."""
Span = tuple[float, float]
"""Values of the first and the last colour of a scale."""

GOLDEN_RATIO = 0.618034


def prediction_values(task: Task, prediction: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """(C, H, W) read-out of a raw prediction (C, h, w), which is first resized bilinearly to `size`."""
    resized = upsample_to(prediction[None].float(), size)
    return np.asarray(read_out(task, resized)[0].cpu(), np.float32)


def label_values(task: Task, target: Tensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(C, H, W) values and (H, W) validity of one target of a data set."""
    valid = np.asarray(task.valid(target[None])[0].cpu(), bool)
    values = target if task.target_channels is not None else target[None]
    return np.asarray(values.cpu(), np.float32), valid


def span_of(arrays: Iterable[NDArray[np.float32]]) -> Span:
    """Minimum and maximum of the first non-empty array; (low, low + 1) if they are equal, (0, 1) without values."""
    values = next((array for array in arrays if array.size), np.zeros(1, np.float32))
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def colorize(
    task: Task, values: NDArray[np.float32], span: Span = (0.0, 1.0), valid: NDArray[np.bool_] | None = None
) -> Picture:
    """Distinct colours for classes, (n + 1) / 2 for normals, grey for probabilities, a scale for other values.

    Args:
        task: its `readout` selects the colours.
        values: (C, H, W) from `prediction_values` or `label_values`; the first channel of plain values is shown.
        span: span of the scale of plain values.
        valid: (H, W) pixels with a value; None for all.
    """
    if task.readout == "class":
        picture = class_colors(task.channels)[values[0].clip(0, task.channels - 1).astype(int)]
    elif task.readout == "direction":
        picture = ((values + 1) / 2).clip(0, 1).transpose(1, 2, 0)
    elif task.readout == "value":
        picture = on_scale(values[0], span)
    else:
        picture = np.repeat(values[0].clip(0, 1)[..., None], 3, axis=2)
    return (picture if valid is None else np.where(valid[..., None], picture, 0)).astype(np.float32)


def class_colors(count: int) -> Picture:
    """(count, 3) distinct colours, none black: for 40 classes the colours of NYU-v2, else a generated series."""
    from matplotlib.colors import hsv_to_rgb

    if count == len(COLORS_40):
        return np.asarray(np.array(COLORS_40) / 255, np.float32)
    number = np.arange(count)
    hue, saturation = number * GOLDEN_RATIO % 1, np.array([0.78, 0.45])[number % 2]
    value = np.array([0.95, 0.6, 0.8])[number % 3]
    return np.asarray(hsv_to_rgb(np.stack([hue, saturation, value], axis=-1)), np.float32)


def on_scale(values: NDArray[np.float32], span: Span, scale: str = "turbo") -> Picture:
    """(..., 3) colours of values (...) on a colour map of matplotlib."""
    from matplotlib import colormaps

    low, high = span
    return np.asarray(colormaps[scale](((values - low) / (high - low)).clip(0, 1))[..., :3], np.float32)


def resize_mask(mask: Tensor, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) mask from a mask (h, w), by nearest pixels."""
    return np.asarray(F.interpolate(mask[None, None].to(torch.float32), size=size)[0, 0].cpu() > 0.5)
