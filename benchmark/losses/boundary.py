"""Binary cross entropies of boundaries, balanced as in HED (Xie and Tu, ICCV 2015) or by a fixed weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.losses.batch_parts import num_parts, sum_over_parts
from benchmark.losses.masking import masked, valid_pixels
from benchmark.losses.registry import LOSSES, choice_error

DIVISORS: dict[str, Callable[[Tensor], Tensor | int]] = {
    "labelled": valid_pixels,
    "pixels": lambda valid: valid.numel() * num_parts(),
    "images": lambda valid: len(valid) * num_parts(),
}
"""Divisor of the weighted sum: labelled pixels (ATRC, InvPT), all pixels, or images (both in the code of Vandenhende et
al.). The first two are equal if every pixel is labelled."""


@LOSSES.register("balanced_bce", by_parts=True)
def balanced_bce(
    prediction: Tensor, target: Tensor, valid: Tensor, *, positive_weight: float | None, divisor: str = "labelled"
) -> Tensor:
    """Binary cross entropy with weight w on boundaries and 1 - w elsewhere.

        sum over valid pixels of  w y softplus(-x) + (1 - w) (1 - y) softplus(x),  over the divisor

    Args:
        prediction: (B, 1, H, W) logits x.
        target: (B, 1, H, W) boundary strength y in 0..1; values between 0 and 1 are soft labels.
        valid: (B, H, W) pixels that count.
        positive_weight: w; 0.8 in ATRC, 0.95 in MTI-Net, the survey and InvPT. None: the share of pixels without
            boundary among the labelled pixels of the batch, as in HED.
        divisor: "labelled", "pixels" or "images".

    Raises:
        ValueError: if shapes or options do not fit.

    The code of Vandenhende et al. counts unlabelled pixels as boundaries, since 255 is more than 0.5; here they are
    ignored.
    """
    labels = _labels("balanced_bce", prediction, target, valid)
    if positive_weight is not None and not 0 < positive_weight < 1:
        raise ValueError(f"positive_weight must lie between 0 and 1, or be None, found {positive_weight}")
    if divisor not in DIVISORS:
        raise choice_error("divisor", divisor, DIVISORS)
    weight = 1 - sum_over_parts(labels.sum()) / valid_pixels(valid) if positive_weight is None else positive_weight
    positive, negative = weight * labels, (1 - weight) * masked(1 - labels, valid)
    both = positive + negative
    # a softplus(-x) + b softplus(x) is (a + b) times the cross entropy of a soft label a / (a + b), for which torch has
    # a fast function. Invalid pixels have weight zero.
    soft_label = positive / both.clamp(min=torch.finfo(both.dtype).tiny)
    total = F.binary_cross_entropy_with_logits(prediction, soft_label, weight=both, reduction="sum")
    return total / DIVISORS[divisor](valid)


@LOSSES.register("bce", by_parts=True)
def bce(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean binary cross entropy over labelled pixels, without balancing; arguments as in `balanced_bce`."""
    labels = _labels("bce", prediction, target, valid)
    weight = valid.unsqueeze(1).to(prediction.dtype)
    return F.binary_cross_entropy_with_logits(prediction, labels, weight=weight, reduction="sum") / valid_pixels(valid)


def _labels(name: str, prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The target, zero at invalid pixels."""
    if prediction.shape != target.shape or prediction.shape[1] != 1:
        raise ValueError(
            f"{name}: prediction and target must both be (B, 1, H, W), "
            f"found {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    return masked(target, valid).to(prediction.dtype)
