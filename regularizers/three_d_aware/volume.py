"""Volume rendering along rays by cumulative optical depth.

Source: the quadrature of NeRF (Mildenhall et al., ECCV 2020, eq. 3), whose weights are w_i = T_i (1 - exp(-tau_i)) with
tau_i the density times the length of interval i and T_i = exp(-(tau_0 + ... + tau_{i-1})). Transmittances are taken
from summed optical depths instead of products of 1 - alpha: no epsilon, an exact partition of 1, and finite gradients
where an interval is opaque.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def composite(density: Tensor, lengths: Tensor, opaque_far: bool) -> tuple[Tensor, Tensor]:
    """Weights of the samples of each ray.

    Args:
        density: (..., D), not negative, nearest sample first.
        lengths: of the intervals, broadcastable to it, in the unit that density is the inverse of.
        opaque_far: whether the last interval has no end, so that weights sum to 1 on every ray.

    Returns:
        (..., D) weights, and (...) the transmittance behind the last interval if it had an end.
    """
    optical_depth = density * lengths
    passed = optical_depth.cumsum(-1)
    transmittance = torch.exp(-F.pad(passed[..., :-1], (1, 0)))
    absorbed = -torch.expm1(-optical_depth)
    if opaque_far:
        absorbed = torch.cat([absorbed[..., :-1], torch.ones_like(absorbed[..., -1:])], dim=-1)
    return transmittance * absorbed, torch.exp(-passed[..., -1])


def shuffled_composite(density: Tensor, lengths: Tensor, opaque_far: bool) -> tuple[Tensor, Tensor]:
    """As `composite`, with the samples of each image in a random order: what is behind may hide what is in front.

    Args:
        density: (B, h, w, D).
        lengths: broadcastable to it.
        opaque_far: see `composite`.

    Returns:
        weights in the order of the samples as they were given, and what is left.
    """
    # Drawn on the CPU, so that every device draws the same.
    order = torch.rand(len(density), density.shape[-1]).argsort(-1).to(density.device)[:, None, None]
    moved = torch.take_along_dim(lengths.expand_as(density), order, -1)
    weights, left = composite(torch.take_along_dim(density, order, -1), moved, opaque_far)
    return torch.take_along_dim(weights, order.argsort(-1), -1), left


def equal_weights(samples: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (B, h, w, D) of 1 / D, and nothing left (B, h, w)."""
    return like.new_full(tuple(samples), 1 / samples[-1]), like.new_zeros(tuple(samples[:-1]))


def expected_depth(weights: Tensor, depth: Tensor, opaque_far: bool) -> Tensor:
    """(B, h, w) mean depth of (B, h, w, D) weights at (B, D) depths, over what the ray meets."""
    mean = (weights * depth[:, None, None]).sum(-1)
    return mean if opaque_far else mean / weights.sum(-1).clamp(min=1e-6)
