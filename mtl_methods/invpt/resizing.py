"""Bilinear upsampling of an axis as a matrix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bilinear_matrix(length: int, size: int, like: Tensor) -> Tensor:
    """Bilinear resizing of an axis, align_corners=False, as a matrix (size, length)."""
    identity = torch.eye(length, device=like.device, dtype=like.dtype)
    return F.interpolate(identity[None], size=size, mode="linear", align_corners=False)[0].t()


def tap_matrices(length: int, size: int, like: Tensor) -> Tensor:
    """Bilinear upsampling of an axis, then a zero-filled shift of -1, 0 or 1, as matrices (3, size, length)."""
    padded = F.pad(bilinear_matrix(length, size, like), (0, 0, 1, 1))
    return torch.stack([padded[start : start + size] for start in range(3)])
