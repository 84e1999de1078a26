"""One picture of a training: an image with labels, predictions, and predictions that a regularizer makes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.contracts import IMAGENET_MEAN, IMAGENET_STD
from benchmark.tasks import Task, TaskSet
from benchmark.visualization.colors import Picture, colorize, label_values, prediction_values, span_of

GAP = 2
"""White pixels between two tiles."""


def training_picture(
    image: Tensor,
    targets: Mapping[str, Tensor],
    predictions: Mapping[str, Tensor],
    rendered: Mapping[str, Tensor],
    tasks: TaskSet,
) -> NDArray[np.uint8]:
    """Rows of tiles: the image and the labels; the predictions; the predictions of the regularizer, if it makes any.

    Args:
        image: (3, H, W), ImageNet-normalised.
        targets: labels by task, without a batch axis.
        predictions: raw predictions (C, H, W) by task.
        rendered: raw predictions (C, h, w) of a regularizer by task, such as depth rendered from a triplane.
        tasks: the tasks, one column each.

    Returns:
        (height, width, 3) RGB of all tiles. The tiles of a task have one scale of colours.
    """
    plain = (
        (image.cpu().permute(1, 2, 0) * torch.tensor(IMAGENET_STD) + torch.tensor(IMAGENET_MEAN)).clamp(0, 1).numpy()
    )
    blank = np.ones_like(plain)
    columns = [[plain, blank, blank]]
    for name, task in tasks.items():
        columns.append(_column(task, targets.get(name), predictions[name], rendered.get(name), blank))
    rows = list(zip(*columns, strict=True))
    return _tiled([row for row in rows if any(tile is not blank for tile in row)])


def _column(
    task: Task, target: Tensor | None, prediction: Tensor, rendered: Tensor | None, blank: Picture
) -> list[Picture]:
    size = (blank.shape[0], blank.shape[1])
    labels, valid = (None, None) if target is None else label_values(task, target)
    predicted = prediction_values(task, prediction, size)
    known = predicted if labels is None or valid is None or not valid.any() else labels[..., valid]
    span = span_of([known[:1]])
    return [
        blank if labels is None else colorize(task, labels, span, valid),
        colorize(task, predicted, span),
        blank if rendered is None else colorize(task, prediction_values(task, rendered, size), span),
    ]


def _tiled(rows: list[tuple[Picture, ...]]) -> NDArray[np.uint8]:
    """One picture from rows of tiles of equal size."""
    padded = [[np.pad(tile, ((0, GAP), (0, GAP), (0, 0)), constant_values=1.0) for tile in row] for row in rows]
    whole = np.concatenate([np.concatenate(row, axis=1) for row in padded])
    return (whole * 255).round().astype(np.uint8)
