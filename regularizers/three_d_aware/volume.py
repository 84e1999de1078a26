"""Volume rendering along rays by cumulative optical depth.

Source: the quadrature of NeRF (Mildenhall et al., ECCV 2020, eq. 3), w_i = T_i (1 - exp(-tau_i)), where tau_i is the
density times the length of interval i and T_i = exp(-(tau_0 + ... + tau_{i-1})). Transmittances come from summed
optical depths instead of products of 1 - alpha: no epsilon, an exact partition of 1, and finite gradients at opaque
intervals.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.losses.batch_parts import random_rows

SMALLEST_TOTAL = 1e-6
"""Lower bound of summed weights in divisions."""


def composite(density: Tensor, lengths: Tensor, opaque_far: bool) -> tuple[Tensor, Tensor]:
    """Weights of the samples of each ray.

    Args:
        density: (..., D), not negative, nearest sample first.
        lengths: lengths of the intervals, broadcastable to (..., D), in the inverse unit of density.
        opaque_far: extends the last interval to infinity, so that the weights of every ray sum to 1.

    Returns:
        weights (..., D), and the transmittance (...) of the whole ray with its last interval finite.
    """
    optical_depth = density * lengths
    passed = optical_depth.cumsum(-1)
    transmittance = torch.exp(-F.pad(passed[..., :-1], (1, 0)))
    absorbed = -torch.expm1(-optical_depth)
    if opaque_far:
        absorbed = torch.cat([absorbed[..., :-1], torch.ones_like(absorbed[..., -1:])], dim=-1)
    return transmittance * absorbed, torch.exp(-passed[..., -1])


def inside_weights(weights: Tensor, inside: Tensor) -> Tensor:
    """Weights of the samples inside the triplane, scaled to sum to 1; 0 on rays without such a sample.

    On a ray that leaves the triplane, the opaque end lies outside, where the planes have no features. Without this
    step, the weight of this end would go to features of an arbitrary point.

    Args:
        weights: (..., D) with an opaque end.
        inside: (..., D) bool.
    """
    known = weights * inside
    return known / known.sum(-1, keepdim=True).clamp(min=SMALLEST_TOTAL)


def shuffled_composite(density: Tensor, lengths: Tensor, opaque_far: bool) -> tuple[Tensor, Tensor]:
    """`composite` with the samples of each image in a random order.

    Args:
        density: (B, h, w, D).
        lengths: broadcastable to (B, h, w, D).
        opaque_far: see `composite`.

    Returns:
        weights in the given order of the samples, and the transmittance.
    """
    # Drawn on the CPU, so that all devices use the same order.
    drawn = random_rows((len(density), density.shape[-1])).argsort(-1)
    order = drawn.to(density.device, non_blocking=True)[:, None, None]
    moved = torch.take_along_dim(lengths.expand_as(density), order, -1)
    weights, left = composite(torch.take_along_dim(density, order, -1), moved, opaque_far)
    return torch.take_along_dim(weights, order.argsort(-1), -1), left


def equal_weights(samples: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Weights 1 / D of shape `samples` = (B, h, w, D), and the transmittance 0 of shape (B, h, w)."""
    return like.new_full(tuple(samples), 1 / samples[-1]), like.new_zeros(tuple(samples[:-1]))


def expected_depth(weights: Tensor, depth: Tensor, opaque_far: bool) -> Tensor:
    """(B, h, w) mean of depths (B, D) under weights (B, h, w, D); normalised unless they sum to 1 by `opaque_far`."""
    mean = (weights * depth[:, None, None]).sum(-1)
    return mean if opaque_far else mean / weights.sum(-1).clamp(min=SMALLEST_TOTAL)
