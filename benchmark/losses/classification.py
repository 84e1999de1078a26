"""Cross entropies: classes, masks, and the discretised depth, normals and boundaries of ATRC's auxiliary heads.

Source of the auxiliary losses: Bruggemann et al., "Exploring Relational Context for Multi-Task Dense Prediction",
ICCV 2021, and its code (brdav/atrc); nothing copied.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.losses.batch_parts import sum_over_parts
from benchmark.losses.masking import masked, valid_pixels
from benchmark.losses.registry import LOSSES

NO_CLASS = -100
"""Label of ignored pixels; unlike 255 it can never be a class."""


@LOSSES.register("cross_entropy", by_parts=True)
def cross_entropy(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean cross entropy over valid pixels.

    Args:
        prediction: (B, C, H, W) logits.
        target: (B, H, W) integer classes 0..C-1; any value at invalid pixels.
        valid: (B, H, W) pixels that count.

    Raises:
        ValueError: if a valid pixel has a class outside 0..C-1 (on a GPU, torch reports it itself).
    """
    if target.ndim != 3 or target.is_floating_point():
        raise ValueError(
            f"cross_entropy: the target must be integer classes (B, H, W), found {target.dtype} {tuple(target.shape)}"
        )
    return _mean_cross_entropy(prediction, target.long(), valid)


@LOSSES.register("depth_bin_cross_entropy", by_parts=True)
def depth_bin_cross_entropy(
    prediction: Tensor, target: Tensor, valid: Tensor, *, nearest: float = 0.7, farthest: float = 10.0
) -> Tensor:
    """Cross entropy over depth intervals of equal width in log depth (ATRC's auxiliary depth head).

    Args:
        prediction: (B, K, H, W) logits of K intervals; ATRC has 40.
        target: (B, 1, H, W) metres.
        valid: (B, H, W) pixels that count.
        nearest: start of the first interval in metres; the interval includes smaller depths.
        farthest: end of the last interval in metres; the interval includes larger depths.

    Raises:
        ValueError: if shapes or options do not fit.
    """
    _check_target("depth_bin_cross_entropy", target, channels=1)
    if not 0 < nearest < farthest:
        raise ValueError(f"nearest and farthest must be 0 < nearest < farthest, found {nearest} and {farthest}")
    intervals = prediction.shape[1]
    depth = torch.where(valid, target[:, 0], torch.full_like(target[:, 0], nearest))
    position = (depth.log() - math.log(nearest)) / math.log(farthest / nearest) * intervals
    return _mean_cross_entropy(prediction, position.floor().clamp(0, intervals - 1).long(), valid)


@LOSSES.register("normals_cluster_cross_entropy", by_parts=True)
def normals_cluster_cross_entropy(prediction: Tensor, target: Tensor, valid: Tensor, *, centroids: Any) -> Tensor:
    """Cross entropy over the nearest of K fixed directions (ATRC's auxiliary normals head).

    Args:
        prediction: (B, K, H, W) logits.
        target: (B, 3, H, W) normals of any length.
        valid: (B, H, W) pixels that count.
        centroids: (K, 3) unit vectors, in the frame of the target; a tensor or nested lists.

    Raises:
        ValueError: if shapes or options do not fit.
    """
    _check_target("normals_cluster_cross_entropy", target, channels=3)
    directions = torch.as_tensor(centroids, dtype=target.dtype, device=target.device)
    if directions.shape != (prediction.shape[1], 3):
        raise ValueError(
            f"normals_cluster_cross_entropy: {prediction.shape[1]} logits need centroids of shape "
            f"{(prediction.shape[1], 3)}, found {tuple(directions.shape)}"
        )
    similarity = torch.einsum("bchw,kc->bkhw", masked(target, valid), directions)
    return _mean_cross_entropy(prediction, similarity.argmax(dim=1), valid)


@LOSSES.register("boundary_cross_entropy", by_parts=True)
def boundary_cross_entropy(prediction: Tensor, target: Tensor, valid: Tensor, *, positive_weight: float) -> Tensor:
    """Weighted cross entropy of two classes, no boundary and boundary (ATRC's auxiliary boundary head).

    Args:
        prediction: (B, 2, H, W) logits.
        target: (B, 1, H, W) boundary strength; 0.5 and more is a boundary.
        valid: (B, H, W) pixels that count.
        positive_weight: weight of boundary pixels; other pixels weigh 1 - positive_weight. The weighted sum is
            divided by the number of valid pixels, not by the sum of their weights.

    Raises:
        ValueError: if shapes do not fit, or for a weight outside of 0..1.
    """
    return _two_class_cross_entropy("boundary_cross_entropy", prediction, target, valid, positive_weight)


@LOSSES.register("balanced_cross_entropy", by_parts=True)
def balanced_cross_entropy(
    prediction: Tensor, target: Tensor, valid: Tensor, *, positive_weight: float | None
) -> Tensor:
    """Weighted cross entropy of background and foreground (saliency in ATRC and InvPT).

    Args:
        prediction: (B, 2, H, W) logits.
        target: (B, 1, H, W) masks; 0.5 and more is foreground.
        valid: (B, H, W) pixels that count.
        positive_weight: weight of the foreground, as in `boundary_cross_entropy`. None: the share of background
            among the labelled pixels of the batch, as in HED, which is 0 for a batch of foreground alone.

    Raises:
        ValueError: if shapes do not fit, or for a weight outside of 0..1.
    """
    weight: Tensor | float | None = positive_weight
    if weight is None:
        _check_target("balanced_cross_entropy", target, channels=1)
        weight = sum_over_parts(((target[:, 0] < 0.5) & valid).sum()) / valid_pixels(valid)
    return _two_class_cross_entropy("balanced_cross_entropy", prediction, target, valid, weight)


def _two_class_cross_entropy(
    name: str, prediction: Tensor, target: Tensor, valid: Tensor, positive_weight: Tensor | float
) -> Tensor:
    _check_target(name, target, channels=1)
    if prediction.shape[1] != 2:
        raise ValueError(f"{name}: needs 2 logits per pixel, found {prediction.shape[1]}")
    if not isinstance(positive_weight, Tensor) and not 0 < positive_weight < 1:
        raise ValueError(f"{name}: positive_weight must lie between 0 and 1, found {positive_weight}")
    weight = torch.as_tensor(positive_weight, dtype=prediction.dtype, device=prediction.device)
    return _mean_cross_entropy(prediction, (target[:, 0] >= 0.5).long(), valid, torch.stack([1 - weight, weight]))


def _mean_cross_entropy(prediction: Tensor, classes: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    classes = classes.masked_fill(~valid, NO_CLASS)
    # One row per pixel is a view of channels-last logits, which takes a third of the time on a CPU.
    rows = prediction.movedim(1, -1).flatten(0, -2)
    try:
        total = F.cross_entropy(rows, classes.flatten(), weights, ignore_index=NO_CLASS, reduction="sum")
    except IndexError as error:
        found = classes[valid]
        raise ValueError(
            f"cross_entropy: classes must lie in 0..{prediction.shape[1] - 1}, "
            f"found {int(found.min())}..{int(found.max())}; 255 marks an unlabelled pixel"
        ) from error
    return total / valid_pixels(valid)


def _check_target(name: str, target: Tensor, channels: int) -> None:
    if target.ndim != 4 or target.shape[1] != channels:
        raise ValueError(f"{name}: the target must be (B, {channels}, H, W), found {tuple(target.shape)}")
