"""Reading a triplane along its z axis, for all pixels at once, or at any points.

The planes are the pairs of axes (x, y), (x, z) and (y, z). Each is interpolated bilinearly between texel centres, and
constant beyond the outermost centres. The interpolation weights sum to 1, so a layer that is linear per texel may be
applied before or after reading. The feature of a point is the mean over the planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Triplane:
    """Three feature planes over the cube [-1, 1]^3 of a frustum.

    Args:
        xy: (B, C, H, W).
        xz: (B, C, D, W).
        yz: (B, C, D, H).
    """

    xy: Tensor
    xz: Tensor
    yz: Tensor


@dataclass(frozen=True)
class AxisSamples:
    """Features of rays along z: at pixel (y, x) and sample d, the mean of `xy[y, x]`, `xz[d, x]` and `yz[d, y]`.

    Args:
        xy: (B, C, H, W).
        xz: (B, C, D, W).
        yz: (B, C, D, H).
        z: (B, D) positions of the samples.
    """

    xy: Tensor
    xz: Tensor
    yz: Tensor
    z: Tensor


def sample_axis_aligned(planes: Triplane, z: Tensor) -> AxisSamples:
    """Read the planes on rays along z through the texel centres of the xy plane.

    Args:
        planes: the triplane; all planes have the same W and H, and any D.
        z: (B, D) in [-1, 1].
    """
    return AxisSamples(planes.xy, _read_rows(planes.xz, z), _read_rows(planes.yz, z), z)


def _read_rows(plane: Tensor, z: Tensor) -> Tensor:
    """Interpolate a plane (B, C, rows, width) at heights (B, D) in [-1, 1] -> (B, C, D, width)."""
    rows = plane.shape[2]
    position = ((z + 1) * (rows / 2) - 0.5).clamp(0, rows - 1)
    # Bilinear weights of the rows, as a matrix: the backward pass of a product needs no scatter.
    shares = (1 - (position[:, :, None] - torch.arange(rows, dtype=z.dtype, device=z.device)).abs()).clamp(min=0)
    return torch.einsum("bdr,bcrw->bcdw", shares, plane)


def sample_points(planes: Triplane, points: Tensor) -> Tensor:
    """Read the planes at points.

    Args:
        planes: the triplane.
        points: (B, ..., 3) coordinates x, y, z in the cube.

    Returns:
        (B, ..., C) means over the three planes.
    """
    batch, *shape, _ = points.shape
    flat = points.reshape(batch, 1, -1, 3)
    pairs = ((planes.xy, [0, 1]), (planes.xz, [0, 2]), (planes.yz, [1, 2]))
    read = [
        F.grid_sample(plane, flat[..., axes], mode="bilinear", padding_mode="border", align_corners=False)
        for plane, axes in pairs
    ]
    mean = (read[0] + read[1] + read[2]) / 3
    return mean[:, :, 0].mT.reshape(batch, *shape, -1)
