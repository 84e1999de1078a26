"""Losses of depth and surface normals.

Sources: MTI-Net and the survey's code (SimonVandenhende/Multi-Task-Learning-PyTorch), ATRC (brdav/atrc), InvPT
(prismformore/Multi-Task-Transformer), MTAN (lorenmt/mtan); nothing copied.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from benchmark.losses.masking import masked, unit_vectors, valid_pixels
from benchmark.losses.registry import LOSSES, choice_error

DIVISORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pixels": lambda target, valid: valid_pixels(valid),
    "components": lambda target, valid: valid_pixels(valid) * target.shape[1],
}
"""Divisor of the sum over valid pixels and channels. ATRC and InvPT divide by the valid pixels, the survey's code by
the valid components, so its normals loss is three times smaller at the same weight."""


@LOSSES.register("l1", by_parts=True)
def l1(prediction: Tensor, target: Tensor, valid: Tensor, *, divisor: str = "pixels") -> Tensor:
    """Mean absolute difference.

    Args:
        prediction: (B, C, H, W), unbounded, in the unit of the target.
        target: (B, C, H, W).
        valid: (B, H, W) pixels that count.
        divisor: "pixels" or "components", which are equal for one channel.

    Raises:
        ValueError: if shapes or options do not fit.
    """
    return _difference("l1", prediction, target, valid).abs().sum() / _divisor(divisor, target, valid)


@LOSSES.register("normals_l1", by_parts=True)
def normals_l1(prediction: Tensor, target: Tensor, valid: Tensor, *, divisor: str) -> Tensor:
    """Absolute difference of surface normals, summed over x, y, z, after scaling the prediction to unit length.

    Args:
        prediction: (B, 3, H, W), any length.
        target: (B, 3, H, W), used without scaling.
        valid: (B, H, W) pixels that count.
        divisor: "pixels" (ATRC, InvPT) or "components" (the survey's code).

    Raises:
        ValueError: if shapes or options do not fit.
    """
    difference = _difference("normals_l1", unit_vectors(prediction), target, valid)
    return difference.abs().sum() / _divisor(divisor, target, valid)


@LOSSES.register("normals_l2", by_parts=True)
def normals_l2(prediction: Tensor, target: Tensor, valid: Tensor, *, divisor: str) -> Tensor:
    """Squared difference of surface normals; arguments as in `normals_l1`."""
    difference = _difference("normals_l2", unit_vectors(prediction), target, valid)
    return difference.square().sum() / _divisor(divisor, target, valid)


@LOSSES.register("normals_cosine", by_parts=True)
def normals_cosine(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """One minus the mean cosine between predicted and true normals (MTAN).

    Args:
        prediction: (B, 3, H, W), any length; it is scaled to unit length.
        target: (B, 3, H, W), used without scaling.
        valid: (B, H, W) pixels that count.

    Raises:
        ValueError: if shapes do not fit.
    """
    _check_channels("normals_cosine", prediction, target)
    shortfall = 1 - (unit_vectors(prediction) * masked(target, valid)).sum(1, keepdim=True)
    return masked(shortfall, valid).sum() / valid_pixels(valid)


def _difference(name: str, prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    _check_channels(name, prediction, target)
    return masked(prediction - target, valid)


def _check_channels(name: str, prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name}: prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape"
        )


def _divisor(divisor: str, target: Tensor, valid: Tensor) -> Tensor:
    if divisor not in DIVISORS:
        raise choice_error("divisor", divisor, DIVISORS)
    return DIVISORS[divisor](target, valid)
