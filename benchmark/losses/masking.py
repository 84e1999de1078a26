"""Sums over valid pixels.

Values at invalid pixels are set to zero before products and sums, so that no NaN can arise. A boolean index is avoided:
on a CPU it takes twice the time of the loss itself, and on a GPU it waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.losses.batch_parts import sum_over_parts

SHORTEST = 1e-12
"""Vectors of at most this length have no direction."""


def masked(values: Tensor, valid: Tensor) -> Tensor:
    """Values (B, C, H, W), set to zero where `valid` (B, H, W) is False."""
    return torch.where(valid.unsqueeze(1), values, 0.0)


def valid_pixels(valid: Tensor) -> Tensor:
    """Number of valid pixels of the batch, of all its parts if it is split over devices.

    At least 1, so that the loss of a batch without valid pixels is 0 and not 0 / 0.
    """
    return sum_over_parts(valid.sum()).clamp(min=1)


def unit_vectors(vectors: Tensor) -> Tensor:
    """Vectors (B, C, H, W) scaled to length 1; one of at most length `SHORTEST` becomes zero and gets no gradient.

    `F.normalize` gives a zero vector the gradient 1e12, so a training that starts from zero weights diverges.
    """
    # Five times as fast as a norm over the channel axis, which is not the innermost axis.
    squared_length = vectors.square().sum(1, keepdim=True)
    inverse_length = squared_length.clamp(min=SHORTEST**2).rsqrt()
    return vectors * torch.where(squared_length > SHORTEST**2, inverse_length, 0.0)
