"""Bilinear upsampling: of predictions to the image, and as matrices for each axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.heads import upsample_to


class UpsampleAndCut(nn.Module):
    """Upsampling to the size of the padded images, cut to the size of the images."""

    def forward(self, maps: Tensor, padded_size: Sequence[int], size: Sequence[int]) -> Tensor:
        """Maps (B, C, h, w), two sizes (height, width) -> (B, C, *size)."""
        return upsample_to(maps, padded_size)[..., : size[0], : size[1]]


def bilinear_matrix(length: int, size: int, like: Tensor) -> Tensor:
    """Bilinear resizing of an axis, align_corners=False, as a matrix (size, length)."""
    identity = torch.eye(length, device=like.device, dtype=like.dtype)
    return F.interpolate(identity[None], size=size, mode="linear", align_corners=False)[0].t()


def tap_matrices(length: int, size: int, like: Tensor) -> Tensor:
    """Bilinear upsampling of an axis, then a zero-filled shift of -1, 0 or 1, as matrices (3, size, length)."""
    padded = F.pad(bilinear_matrix(length, size, like), (0, 0, 1, 1))
    return torch.stack([padded[start : start + size] for start in range(3)])
