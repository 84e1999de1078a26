"""Read-out of predictions at the size of large pictures, strip by strip, in little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.heads import read_out, upsample_to
from benchmark.tasks import Task

STRIP_VALUES = 1 << 23
"""Largest number of values of an upsampled strip, 32 MiB of float32."""


def values_at(task: Task, prediction: Tensor, size: tuple[int, int]) -> NDArray[np.generic]:
    """Read-out of a raw prediction that is first resized bilinearly, as the evaluation does.

    Args:
        task: the task.
        prediction: (C, h, w) raw prediction.
        size: (H, W) of the result.

    Returns:
        (H, W) uint8 or int16 classes, (H, W) float32 values or probabilities, or (H, W, 3) float32 unit vectors.
    """
    strips = [read_out(task, strip[None])[0].cpu().numpy() for strip in _strips(prediction.float(), size)]
    values = np.concatenate([_typed(task, strip) for strip in strips], axis=1)
    return values[0] if len(values) == 1 else np.ascontiguousarray(values.transpose(1, 2, 0))


def _typed(task: Task, values: NDArray[np.generic]) -> NDArray[np.generic]:
    if task.readout != "class":
        return values.astype(np.float32, copy=False)
    return values.astype(np.uint8 if task.channels <= 256 else np.int16)


def _strips(prediction: Tensor, size: tuple[int, int]) -> Iterator[Tensor]:
    """Strips (C, n, W) of the prediction resized to (H, W), from top to bottom.

    The interpolation is separable: rows are mixed to the height of the strip, then `upsample_to` widens it to W.
    """
    channels, rows, _ = prediction.shape
    height, width = size
    count = max(1, STRIP_VALUES // (channels * width))
    # Centres of the rows in the prediction, as with align_corners=False.
    centres = ((torch.arange(height, device=prediction.device) + 0.5) * rows / height - 0.5).clamp(0, rows - 1)
    above = centres.floor().long()
    below, share = (above + 1).clamp(max=rows - 1), (centres - above)[:, None]
    for start in range(0, height, count):
        part = slice(start, start + count)
        mixed = torch.lerp(prediction[:, above[part]], prediction[:, below[part]], share[part])
        yield upsample_to(mixed[None], (mixed.shape[1], width))[0]
